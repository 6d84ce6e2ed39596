#include <assert.h>
#include <json-c/printbuf.h>

#include "json.h"
#include "text.h"

#define ROOM_MIN ((size_t)256) /* of a text that is written */

DEFINE_CLEANUP(struct json_tokener *, tokener_freep, json_tokener_free)

/* json-c does not look whether the text of a string grew: where there is no memory, a
 * part of it would be missing. So its room is made before. */
static int reserve(struct json_tokener *tokener, size_t length)
{
	int r = printbuf_memset(tokener->pb, 0, '\0', (int)length);

	printbuf_reset(tokener->pb);
	return r < 0 ? -ENOMEM : 0;
}

int json_parse(const char *text, size_t length, enum json_type type,
	       struct json_object **ret)
{
	_cleanup_(tokener_freep) struct json_tokener *tokener = NULL;
	_cleanup_(json_putp) struct json_object *value = NULL;
	int r;

	/* A number could go on past the end of the text; these two can't. */
	assert(type == json_type_object || type == json_type_array);

	/* json-c's own check of UTF-8 lets overlong forms and surrogates pass. */
	if (length == 0 || length > JSON_SIZE_MAX || memchr(text, '\0', length) ||
	    !text_is_utf8(text, length))
		return -EBADMSG;
	tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!tokener)
		return -ENOMEM;
	r = reserve(tokener, length);
	if (r < 0)
		return r;
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

/* ---- text ---- */

/* json-c's own writer does not look whether its text grew: where there is no memory, a
 * part is missing. This one remembers. */
static void put(struct json_writer *writer, const char *text, size_t length)
{
	if (writer->failed || length == 0)
		return;
	if (writer->length + length > writer->room) {
		size_t room = MAX(2 * writer->room, writer->length + length + ROOM_MIN);
		char *larger = realloc(writer->text, room);

		writer->failed = !larger;
		if (!larger)
			return;
		writer->text = larger;
		writer->room = room;
	}
	memcpy(writer->text + writer->length, text, length);
	writer->length += length;
}

static void put_char(struct json_writer *writer, char c)
{
	put(writer, &c, 1);
}

static bool is_plain(char c)
{
	return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

static void put_escaped(struct json_writer *writer, char c)
{
	static const char shorts[][2] = { { '"', '"' },	 { '\\', '\\' }, { '\b', 'b' },
					  { '\n', 'n' }, { '\r', 'r' },	 { '\t', 't' },
					  { '\f', 'f' } };
	char escape[STRLEN("\\uHHHH") + 1];

	for (size_t i = 0; i < ARRAY_SIZE(shorts); i++) {
		if (shorts[i][0] != c)
			continue;
		put_char(writer, '\\');
		put_char(writer, shorts[i][1]);
		return;
	}
	snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)(unsigned char)c);
	put(writer, escape, strlen(escape));
}

static void put_string(struct json_writer *writer, const char *text, size_t length)
{
	put_char(writer, '"');
	for (size_t at = 0; at < length; at++) {
		size_t begin = at;

		while (at < length && is_plain(text[at]))
			at++;
		put(writer, text + begin, at - begin);
		if (at < length)
			put_escaped(writer, text[at]);
	}
	put_char(writer, '"');
}

static void put_other(struct json_writer *writer, struct json_object *value)
{
	/* Short enough for the room that json-c begins with. */
	const char *text = json_object_to_json_string(value);

	if (text)
		put(writer, text, strlen(text));
	else
		writer->failed = true;
}

static void put_value(struct json_writer *writer, struct json_object *value)
{
	const char *before = "";

	switch (json_object_get_type(value)) {
	case json_type_string:
		put_string(writer, json_object_get_string(value),
			   (size_t)json_object_get_string_len(value));
		return;
	case json_type_object:
		put_char(writer, '{');
		json_object_object_foreach(value, key, member)
		{
			put(writer, before, strlen(before));
			put_string(writer, key, strlen(key));
			put_char(writer, ':');
			put_value(writer, member);
			before = ",";
		}
		put_char(writer, '}');
		return;
	case json_type_array:
		put_char(writer, '[');
		for (size_t i = 0; i < json_object_array_length(value); i++) {
			put(writer, before, strlen(before));
			put_value(writer, json_object_array_get_idx(value, i));
			before = ",";
		}
		put_char(writer, ']');
		return;
	case json_type_null:
	case json_type_boolean:
	case json_type_double:
	case json_type_int: put_other(writer, value);
	}
}

char *json_format(struct json_object *value, const char *end)
{
	struct json_writer writer = {};

	put_value(&writer, value);
	return json_write_end(&writer, end);
}

/* ---- text at once ---- */

/* What goes before each member: @key is of ours, and plain. */
static void put_key(struct json_writer *writer, const char *key)
{
	if (writer->inside)
		put_char(writer, ',');
	put_char(writer, '"');
	put(writer, key, strlen(key));
	put(writer, "\":", 2);
	writer->inside = true;
}

void json_write_open(struct json_writer *writer, const char *key)
{
	if (key)
		put_key(writer, key);
	put_char(writer, '{');
	writer->inside = false;
}

void json_write_close(struct json_writer *writer)
{
	put_char(writer, '}');
	writer->inside = true;
}

/* Of the text that most texts are: it stands for itself, and is UTF-8. */
static size_t plain_ascii(const char *bytes)
{
	size_t length = 0;

	while ((signed char)bytes[length] > 0 && is_plain(bytes[length]))
		length++;
	return length;
}

void json_write_string(struct json_writer *writer, const char *key, const char *bytes)
{
	_cleanup_free_ char *clean = NULL;
	size_t plain;

	if (!bytes)
		return;
	put_key(writer, key);
	plain = plain_ascii(bytes);
	if (bytes[plain]) {
		clean = text_to_utf8(bytes, strlen(bytes));
		writer->failed |= !clean;
		put_string(writer, clean, clean ? strlen(clean) : 0);
		return;
	}
	put_char(writer, '"');
	put(writer, bytes, plain);
	put_char(writer, '"');
}

void json_write_unsigned(struct json_writer *writer, const char *key, uint64_t value)
{
	char number[TEXT_NUMBER_MAX];
	const char *digits = text_number(number, value);

	put_key(writer, key);
	put(writer, digits, strlen(digits));
}

char *json_write_end(struct json_writer *writer, const char *end)
{
	put(writer, end, strlen(end) + 1);
	if (writer->failed)
		free(take_ptr(writer->text));
	return take_ptr(writer->text);
}
