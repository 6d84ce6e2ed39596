#include <assert.h>

#include "json.h"
#include "text.h"

DEFINE_CLEANUP(struct json_tokener *, tokener_freep, json_tokener_free)

/* json-c's own check lets overlong forms and surrogates pass. */
static int check_utf8(const char *text, size_t length)
{
	_cleanup_free_ char *clean = NULL;

	if (memchr(text, '\0', length))
		return -EBADMSG;
	clean = text_to_utf8(text, length);
	if (!clean)
		return -ENOMEM;
	return strlen(clean) == length && memcmp(clean, text, length) == 0 ? 0 : -EBADMSG;
}

int json_parse(const char *text, size_t length, enum json_type type,
	       struct json_object **ret)
{
	_cleanup_(tokener_freep) struct json_tokener *tokener = NULL;
	_cleanup_(json_putp) struct json_object *value = NULL;
	int r;

	/* A number could go on past the end of the text; these two can't. */
	assert(type == json_type_object || type == json_type_array);

	if (length == 0 || length > JSON_SIZE_MAX)
		return -EBADMSG;
	r = check_utf8(text, length);
	if (r < 0)
		return r;
	tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!tokener)
		return -ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	value = json_tokener_parse_ex(tokener, text, (int)length);
	if (json_tokener_get_error(tokener) != json_tokener_success)
		return -EBADMSG;
	if (!json_object_is_type(value, type) ||
	    json_tokener_get_parse_end(tokener) != length)
		return -EBADMSG;
	*ret = take_ptr(value);
	return 0;
}

int json_get(const struct json_object *object, const char *key, enum json_type type,
	     struct json_object **ret)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, type))
		return -EBADMSG;
	*ret = value;
	return 1;
}

int json_get_string(const struct json_object *object, const char *key, const char **ret)
{
	struct json_object *value;
	const char *text;
	int r;

	r = json_get(object, key, json_type_string, &value);
	if (r <= 0)
		return r;
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return -EBADMSG;
	*ret = text;
	return 1;
}

int json_get_unsigned(const struct json_object *object, const char *key, uint64_t *ret)
{
	struct json_object *value;
	uint64_t number;
	int r;

	r = json_get(object, key, json_type_int, &value);
	if (r <= 0)
		return r;
	/* json-c makes 0 of what is below, and UINT64_MAX of what is above. */
	number = json_object_get_uint64(value);
	if (json_object_get_int64(value) < 0 || number == UINT64_MAX)
		return -EBADMSG;
	*ret = number;
	return 1;
}

int json_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_object_add(object, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

int json_add_string(struct json_object *object, const char *key, const char *bytes)
{
	_cleanup_free_ char *text = NULL;

	if (!bytes)
		return 0;
	text = text_to_utf8(bytes, strlen(bytes));
	if (!text)
		return -ENOMEM;
	return json_add(object, key, json_object_new_string(text));
}

int json_add_unsigned(struct json_object *object, const char *key, uint64_t value)
{
	return json_add(object, key, json_object_new_uint64(value));
}

char *json_format(struct json_object *value, const char *end)
{
	size_t length;
	const char *text = json_object_to_json_string_length(
		value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
	size_t tail = strlen(end);
	char *line = text ? malloc(length + tail + 1) : NULL;

	if (line)
		memcpy(mempcpy(line, text, length), end, tail + 1);
	return line;
}
