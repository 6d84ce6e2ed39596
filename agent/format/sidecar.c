#include <assert.h>

#include "json.h"
#include "macro.h"
#include "sidecar.h"

#define MODIFIED_DIGITS 9
#define DECIDED_DIGITS	3

static const char *const suffixes[] = {
	[SIDECAR_NONE] = NULL,
	[SIDECAR_DONE] = SIDECAR_DONE_SUFFIX,
	[SIDECAR_ERROR] = SIDECAR_ERROR_SUFFIX,
};

enum sidecar_kind sidecar_kind_of(const char *name, size_t *ret_base)
{
	size_t length = strlen(name);

	for (enum sidecar_kind kind = SIDECAR_DONE; kind < ARRAY_SIZE(suffixes); kind++) {
		size_t tail = strlen(suffixes[kind]);

		if (length <= tail || !endswith(name, suffixes[kind]))
			continue;
		if (ret_base)
			*ret_base = length - tail;
		return kind;
	}
	return SIDECAR_NONE;
}

int sidecar_name(char buffer[static NAME_MAX + 1], const char *base,
		 enum sidecar_kind kind)
{
	size_t length = strlen(base), tail;

	assert(kind != SIDECAR_NONE);

	tail = strlen(suffixes[kind]);
	if (length + tail > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(mempcpy(buffer, base, length), suffixes[kind], tail + 1);
	return 0;
}

static int add_instant(struct json_object *object, const char *key, struct timespec t,
		       unsigned digits)
{
	char text[CLOCK_STRING_MAX];

	return json_add_string(object, key, clock_format(text, t, digits));
}

char *sidecar_format(const struct sidecar *sidecar)
{
	char modified[CLOCK_STRING_MAX], uploaded[CLOCK_STRING_MAX];
	struct json_writer writer = {};

	(void)clock_format(modified, sidecar->modified, MODIFIED_DIGITS);
	(void)clock_format(uploaded, usec_to_timespec(sidecar->uploaded), DECIDED_DIGITS);
	json_write_open(&writer, NULL);
	json_write_string(&writer, "id", sidecar->id);
	json_write_string(&writer, "name", sidecar->name);
	json_write_unsigned(&writer, "size", sidecar->size);
	json_write_string(&writer, "contentType", sidecar->content_type);
	json_write_string(&writer, "modified", modified);
	json_write_string(&writer, "uploaded", uploaded);
	json_write_close(&writer);
	return json_write_end(&writer, "\n");
}

static int add_details(struct json_object *object, const char *text)
{
	struct json_object *details = NULL;
	int r;

	if (!text)
		return 0;
	r = json_parse(text, strlen(text), json_type_array, &details);
	/* Of our own making; were it broken, the rest is still worth more than nothing.
	 */
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	return json_add(object, "details", details);
}

static int add_error(struct json_object *object, const struct asset_error *error)
{
	if (!error)
		return 0;
	if (json_add_string(object, "code", error->code) < 0 ||
	    json_add_string(object, "developerMessage", error->developer_message) < 0 ||
	    json_add_string(object, "userMessage", error->user_message) < 0)
		return -ENOMEM;
	return add_details(object, error->details);
}

static int add_status(struct json_object *object, int status)
{
	return status ? json_add_unsigned(object, "httpStatus", (uint64_t)status) : 0;
}

char *sidecar_error_format(const struct sidecar_error *error)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();

	if (!object || json_add_string(object, "name", error->name) < 0 ||
	    json_add_unsigned(object, "size", error->size) < 0 ||
	    add_instant(object, "modified", error->modified, MODIFIED_DIGITS) < 0 ||
	    add_instant(object, "failed", usec_to_timespec(error->failed),
			DECIDED_DIGITS) < 0 ||
	    json_add_string(object, "stage", stage_name(error->stage)) < 0 ||
	    json_add_unsigned(object, "attempts", error->attempts) < 0 ||
	    add_status(object, error->http_status) < 0 ||
	    add_error(object, error->error) < 0)
		return NULL;
	return json_format(object, "\n");
}

int sidecar_speaks_of(const char *text, size_t length, uint64_t size,
		      struct timespec modified)
{
	_cleanup_(json_putp) struct json_object *object = NULL;
	const char *name, *mark, *instant;
	struct timespec parsed;
	uint64_t written;
	int r;

	if (length > SIDECAR_SIZE_MAX)
		return -EBADMSG;
	r = json_parse(text, length, json_type_object, &object);
	if (r < 0)
		return r;
	/* An upload's receipt has an id, an error's has a stage. */
	if (json_get_string(object, "id", &mark) <= 0 &&
	    json_get_string(object, "stage", &mark) <= 0)
		return -EBADMSG;
	if (json_get_string(object, "name", &name) <= 0 ||
	    json_get_unsigned(object, "size", &written) <= 0 ||
	    json_get_string(object, "modified", &instant) <= 0)
		return -EBADMSG;
	if (clock_parse(instant, &parsed) < 0)
		return -EBADMSG;
	return written == size && parsed.tv_sec == modified.tv_sec &&
	       parsed.tv_nsec == modified.tv_nsec;
}
