#include <fcntl.h>
#include <unistd.h>

#include "internal.h"
#include "transcript.h"

static bool is_told(const struct request *request)
{
	const char *client = request_header(request, "User-Agent");

	switch (request->endpoint) {
	case ENDPOINT_TOKEN:
	case ENDPOINT_CREATE:
	case ENDPOINT_GET: break;
	default: return false;
	}
	return getenv("ASSET_SERVICE_TRANSCRIPT") && !request->service->counts_only &&
	       client && startswith(client, "asset-agent/");
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
	if (text)
		(void)json_object_object_add(object, key, json_object_new_string(text));
}

static struct json_object *headers_of(const struct request *request)
{
	static const char *const names[] = { "Accept", "Accept-Language", "Authorization",
					     "Content-Type", "X-egain-error-message" };
	struct json_object *object = json_object_new_object();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add_text(object, names[i], request_header(request, names[i]));
	return object;
}

void transcript_request(struct request *request)
{
	if (request->told || !is_told(request))
		return;
	request->told = json_object_new_object();
	add_text(request->told, "method", request->method);
	add_text(request->told, "path", request->path);
	(void)json_object_object_add(request->told, "headers", headers_of(request));
	add_text(request->told, "body", request->body);
}

void transcript_answer(struct request *request)
{
	const struct answer *answer = &request->answer;

	if (!request->told)
		return;
	(void)json_object_object_add(request->told, "status",
				     json_object_new_int(answer->status));
	add_text(request->told, "type", answer->content_type);
	add_text(request->told, "answer", answer->body);
}

void transcript_end(struct request *request)
{
	const char *file = getenv("ASSET_SERVICE_TRANSCRIPT");
	_cleanup_free_ char *line = NULL;
	int length, fd;

	if (!request->told)
		return;
	length = asprintf(&line, "%s\n",
			  json_object_to_json_string_ext(request->told,
							 JSON_C_TO_STRING_PLAIN));
	(void)json_object_put(request->told);
	request->told = NULL;
	if (length < 0) {
		line = NULL;
		return;
	}
	fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	/* In one piece, as others write there, too. */
	(void)!write(fd, line, (size_t)length);
	(void)close(fd);
}
