#include <netinet/in.h>
#include <sys/socket.h>

#include "internal.h"

static const char garbage[] = "\x16\x03\x01\x02\x00 not HTTP at all \xff\xfe\r\n\r\n";

void answer_done(struct answer *answer)
{
	free(answer->body);
	free(answer->headers);
	*answer = (struct answer){ 0 };
}

void answer_set(struct answer *answer, int status, const char *content_type, char *body)
{
	answer_done(answer);
	answer->status = status;
	answer->content_type = content_type;
	answer->body = body;
	answer->length = body ? strlen(body) : 0;
}

void answer_header(struct answer *answer, const char *line)
{
	char *longer = NULL;

	if (asprintf(&longer, "%s%s\n", answer->headers ? answer->headers : "", line) < 0)
		return;
	free(answer->headers);
	answer->headers = longer;
}

void answer_json(struct answer *answer, int status, struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	answer_set(answer, status, "application/json", strdup(text));
	(void)json_object_put(object);
}

static void add_string(struct json_object *object, const char *key, const char *value)
{
	(void)json_object_object_add(object, key, json_object_new_string(value));
}

void answer_api_error(struct request *request, int status, int reason,
		      const char *message, const char *key, const char *value)
{
	struct json_object *error = json_object_new_object();
	char code[32];

	(void)snprintf(code, sizeof(code), "%d-%d", status, reason);
	add_string(error, "code", code);
	add_string(error, "developerMessage", message);
	if (key) {
		struct json_object *details = json_object_new_array();
		struct json_object *detail = json_object_new_object();

		add_string(detail, "key", key);
		add_string(detail, "value", value);
		(void)json_object_array_add(details, detail);
		(void)json_object_object_add(error, "details", details);
	}
	if (streq(request_header(request, "X-egain-error-message"), "yes"))
		add_string(error, "userMessage", "Please try again later.");
	answer_json(&request->answer, status, error);
}

void answer_xml_error(struct answer *answer, int status, const char *code,
		      const char *message)
{
	char *body = NULL;

	if (asprintf(&body,
		     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		     "<Error><Code>%s</Code><Message>%s</Message></Error>",
		     code, message) < 0)
		body = NULL;
	answer_set(answer, status, "application/xml", body);
}

/* ---- sending ---- */

static void add_line(struct MHD_Response *response, const char *line, size_t length)
{
	_cleanup_free_ char *name = strndup(line, length);
	char *colon = name ? strchr(name, ':') : NULL;

	if (!colon)
		return;
	*colon = '\0';
	(void)MHD_add_response_header(response, name, colon + 1 + strspn(colon + 1, " "));
}

static void add_lines(struct MHD_Response *response, const char *lines)
{
	while (lines && *lines) {
		size_t length = strcspn(lines, "\n");

		add_line(response, lines, length);
		lines += length + (lines[length] == '\n');
	}
}

/* MHD would put the true time. */
static void add_date(struct MHD_Response *response, struct service *service)
{
	time_t now = (time_t)(service_now(service) / USEC_PER_SEC);
	char text[64];
	struct tm tm;

	if (service->no_date)
		return;
	(void)gmtime_r(&now, &tm);
	(void)strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	(void)MHD_add_response_header(response, "Date", text);
}

static enum MHD_Result send_response(struct request *request, int status,
				     struct MHD_Response *response)
{
	enum MHD_Result r;

	record_answer(&request->service->record, request->detail, request->endpoint,
		      status);
	request->answered = true;
	r = MHD_queue_response(request->connection, (unsigned)status, response);
	MHD_destroy_response(response);
	return r;
}

enum MHD_Result answer_send(struct request *request)
{
	struct answer *answer = &request->answer;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->length, answer->body, MHD_RESPMEM_MUST_FREE);

	if (!response)
		return MHD_NO;
	answer->body = NULL;
	if (answer->content_type)
		(void)MHD_add_response_header(response, "Content-Type",
					      answer->content_type);
	add_lines(response, answer->headers);
	add_date(response, request->service);
	return send_response(request, answer->status, response);
}

static bool names_content_type(const char *headers)
{
	return headers && strcasestr(headers, "content-type:");
}

static ssize_t endless(void *userdata, uint64_t position, char *buffer, size_t max)
{
	struct service *service = userdata;
	bool stopping;

	(void)position;
	{
		HOLD(service);
		stopping = service->stopping;
	}
	if (stopping)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	memset(buffer, ' ', max);
	return (ssize_t)max;
}

static int fault_status(const struct fault *fault)
{
	return fault->status ? fault->status : 500;
}

/* @text with the first @mark in it, if any, replaced. NULL: out of memory. */
static char *fill_in(const char *text, const char *mark, const char *value)
{
	const char *at = strstr(text, mark);
	char *filled;

	if (!at)
		return strdup(text);
	return asprintf(&filled, "%.*s%s%s", (int)(at - text), text, value ? value : "",
			at + strlen(mark)) < 0
		       ? NULL
		       : filled;
}

/* The body of a FAULT_ANSWER, from the heap. NULL: out of memory. */
static char *fault_body(const struct request *request, const struct fault *fault)
{
	_cleanup_free_ char *half = fill_in(fault->body ? fault->body : "", "@URL@",
					    request->path);

	return half ? fill_in(half, "@AUTHORIZATION@",
			      request_header(request, "Authorization"))
		    : NULL;
}

enum MHD_Result answer_send_fault(struct request *request, const struct fault *fault)
{
	char *body = fault_body(request, fault);
	struct MHD_Response *response;

	if (!body)
		return MHD_NO;
	if (fault->action == FAULT_ENDLESS)
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384,
							     endless, request->service,
							     NULL);
	else
		response = MHD_create_response_from_buffer(strlen(body), body,
							   MHD_RESPMEM_MUST_COPY);
	free(body);
	if (!response)
		return MHD_NO;
	if (!names_content_type(fault->headers))
		(void)MHD_add_response_header(response, "Content-Type",
					      "application/json");
	add_lines(response, fault->headers);
	if (!fault->headers || !strcasestr(fault->headers, "date:"))
		add_date(response, request->service);
	return send_response(request, fault_status(fault), response);
}

/* ---- past MHD ---- */

static int socket_of(const struct request *request)
{
	return MHD_get_connection_info(request->connection,
				       MHD_CONNECTION_INFO_CONNECTION_FD)
		->connect_fd;
}

static void send_raw(struct request *request, int status, const char *bytes,
		     size_t length)
{
	record_answer(&request->service->record, request->detail, request->endpoint,
		      status);
	request->answered = true;
	/* A few hundred bytes fit into the buffer of a socket that has sent nothing yet.
	 */
	(void)!send(socket_of(request), bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_last(struct request *request, int status, const char *bytes,
		      size_t length)
{
	send_raw(request, status, bytes, length);
	(void)shutdown(socket_of(request), SHUT_WR);
}

void answer_truncated(struct request *request, const struct fault *fault)
{
	const char *body = fault->body ? fault->body : "{\"id\":\"";
	_cleanup_free_ char *text = NULL;
	int length = asprintf(&text,
			      "HTTP/1.1 %d Truncated\r\n%s"
			      "Content-Length: %zu\r\n\r\n%s",
			      fault_status(fault),
			      names_content_type(fault->headers)
				      ? ""
				      : "Content-Type: application/json\r\n",
			      strlen(body) + 1000, body);

	if (length < 0) {
		text = NULL;
		return;
	}
	send_last(request, fault_status(fault), text, (size_t)length);
}

void answer_drip_first(struct request *request, const struct fault *fault)
{
	send_raw(request, 0, fault->body, strlen(fault->body));
	request->drip = fault;
	porter_hold(request, usec_add(clock_monotonic(), fault->pace));
}

bool answer_drip(struct request *request)
{
	const char *drip = request->drip->drip;
	size_t length = strlen(drip), room = request->drip->pace ? 1 : 16384;
	char block[16384];

	for (unsigned turns = request->drip->pace ? 1 : 64; turns > 0; turns--) {
		ssize_t n;

		for (size_t i = 0; i < room; i++)
			block[i] = drip[(request->dripped + i) % length];
		n = send(socket_of(request), block, room, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN;
		request->dripped += (size_t)n;
	}
	return true;
}

void answer_garbage(struct request *request, const struct fault *fault)
{
	if (fault->body)
		send_last(request, 0, fault->body, strlen(fault->body));
	else
		send_last(request, 0, garbage, sizeof(garbage));
}

void answer_reset(struct request *request)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	record_answer(&request->service->record, request->detail, request->endpoint, 0);
	request->answered = true;
	/* Sends the RST now; with SO_LINGER, MHD's own shutdown would send a FIN first.
	 */
	(void)connect(socket_of(request), &nowhere, sizeof(nowhere));
}
