#include <ctype.h>

#include "asset-api.h"
#include "json.h"
#include "macro.h"
#include "plain.h"
#include "text.h"

#define STRANGE_TEXT_MAX 200 /* characters of a body that is nobody's format */

/* "@key": {"type": @type} */
static void write_typed(struct json_writer *writer, const char *key, const char *type)
{
	json_write_open(writer, key);
	json_write_string(writer, "type", type);
	json_write_close(writer);
}

char *asset_request_format(const struct asset_request *request)
{
	struct json_writer writer = {};

	json_write_open(&writer, NULL);
	write_typed(&writer, "channel", request->channel_type);
	write_typed(&writer, "sender", request->sender_type);
	json_write_string(&writer, "name", request->name);
	json_write_unsigned(&writer, "size", request->size);
	json_write_close(&writer);
	return json_write_end(&writer, "");
}

static bool is_control(const unsigned char *c)
{
	/* C1 is U+0080 to U+009F. */
	return c[0] < 0x20 || c[0] == 0x7F ||
	       (c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0);
}

static bool is_id(const char *id)
{
	size_t length = strlen(id);

	if (length < 1 || length > ASSET_ID_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (is_control((const unsigned char *)id + i))
			return false;
	return true;
}

static bool is_url(const char *url)
{
	size_t length = strlen(url);

	return length >= 1 && length <= ASSET_URL_MAX;
}

static bool read_expiry(const struct json_object *object, usec_t *ret)
{
	const char *text = NULL;
	struct timespec t = {};
	int r = json_get_string(object, "contentUrlExpiry", &text);

	/* RFC 3339 only: clock_parse() reads our own form for far years, too. */
	if (r < 0 || (r > 0 && (*text == '@' || clock_parse(text, &t) < 0)))
		return false;
	*ret = usec_from_timespec(t);
	return true;
}

static int refuse(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return -EBADMSG;
}

int asset_grant_parse(const char *text, size_t length, struct asset_grant *ret,
		      const char **ret_reason)
{
	_cleanup_(asset_grant_done) struct asset_grant grant = {};
	_cleanup_(json_putp) struct json_object *object = NULL;
	const char *id = NULL, *url = NULL;
	int r;

	r = json_parse(text, length, json_type_object, &object);
	if (r == -EBADMSG)
		return refuse(ret_reason, "the answer is not a JSON object");
	if (r < 0)
		return r;
	if (json_get_string(object, "id", &id) <= 0 || !is_id(id))
		return refuse(ret_reason, "the answer has no id, or not a usable one");
	if (json_get_string(object, "contentUrl", &url) <= 0 || !is_url(url))
		return refuse(ret_reason,
			      "the answer has no contentUrl, or not a usable one");
	if (!read_expiry(object, &grant.expires))
		return refuse(ret_reason,
			      "the answer's contentUrlExpiry is not an instant");
	grant.id = strdup(id);
	grant.content_url = strdup(url);
	if (!grant.id || !grant.content_url)
		return -ENOMEM;
	*ret = grant;
	grant = (struct asset_grant){};
	return 0;
}

void asset_grant_done(struct asset_grant *grant)
{
	free(grant->id);
	free(grant->content_url);
	*grant = (struct asset_grant){};
}

/* digits-digits, as the API writes its codes. */
static bool is_api_code(const char *code)
{
	static const char digits[] = "0123456789";
	size_t first = strspn(code, digits);
	size_t second = code[first] == '-' ? strspn(code + first + 1, digits) : 0;

	return first && second && !code[first + 1 + second] &&
	       first + 1 + second <= ASSET_CODE_MAX;
}

/* A word, as the stores write theirs. */
static bool is_store_code(const char *code)
{
	size_t length = 0;

	while (isalnum((unsigned char)code[length]) ||
	       (code[length] && strchr("._-", code[length])))
		length++;
	return length > 0 && length <= ASSET_CODE_MAX && !code[length];
}

/* Appends {key, value} of one item, cut, unless it says nothing. 0 or -ENOMEM. */
static int push_detail(struct json_object *details, const struct json_object *item)
{
	static const char *const keys[] = { "key", "value" };
	_cleanup_(json_putp) struct json_object *copy = json_object_new_object();

	for (size_t i = 0; copy && i < ARRAY_SIZE(keys); i++) {
		_cleanup_free_ char *cut = NULL;
		const char *text = NULL;

		if (json_get_string(item, keys[i], &text) <= 0)
			continue;
		cut = strdup(text);
		if (!cut)
			return -ENOMEM;
		plain_cut(cut, ASSET_DETAIL_MAX);
		if (json_add_string(copy, keys[i], cut) < 0)
			return -ENOMEM;
	}
	if (!copy)
		return -ENOMEM;
	if (json_object_object_length(copy) == 0)
		return 0;
	if (json_object_array_add(details, copy) < 0)
		return -ENOMEM;
	(void)take_ptr(copy);
	return 0;
}

static int read_details(const struct json_object *object, char **ret)
{
	_cleanup_(json_putp) struct json_object *details = NULL;
	struct json_object *items;

	if (json_get(object, "details", json_type_array, &items) <= 0)
		return 0;
	details = json_object_new_array();
	if (!details)
		return -ENOMEM;
	for (size_t i = 0; i < json_object_array_length(items); i++) {
		if (json_object_array_length(details) == ASSET_DETAILS_MAX)
			break;
		if (push_detail(details, json_object_array_get_idx(items, i)) < 0)
			return -ENOMEM;
	}
	if (json_object_array_length(details) == 0)
		return 0;
	*ret = json_format(details, "");
	return *ret ? 0 : -ENOMEM;
}

/* A copy of the string at @key, cut; none where there is no string, or an empty one. */
static int read_message(const struct json_object *object, const char *key, size_t max,
			char **ret)
{
	const char *text = NULL;

	if (json_get_string(object, key, &text) <= 0 || !*text)
		return 0;
	*ret = strdup(text);
	if (!*ret)
		return -ENOMEM;
	plain_cut(*ret, max);
	return 0;
}

static int read_json(const struct json_object *object, struct asset_error *error)
{
	const char *code = NULL;
	int r;

	if (json_get_string(object, "code", &code) > 0 && is_api_code(code)) {
		error->code = strdup(code);
		if (!error->code)
			return -ENOMEM;
	}
	r = read_message(object, "developerMessage", ASSET_DEVELOPER_MESSAGE_MAX,
			 &error->developer_message);
	if (r < 0)
		return r;
	r = read_message(object, "userMessage", ASSET_USER_MESSAGE_MAX,
			 &error->user_message);
	if (r < 0)
		return r;
	return read_details(object, &error->details);
}

/* The text between @opens and @closes; NULL in *@ret where there is none. */
static int read_element(const char *text, const char *opens, const char *closes,
			size_t max, char **ret)
{
	const char *from = strstr(text, opens), *to = from ? strstr(from, closes) : NULL;

	if (!to)
		return 0;
	from += strlen(opens);
	*ret = plain_text(from, (size_t)(to - from), max);
	return *ret ? 0 : -ENOMEM;
}

static int read_text(const char *text, struct asset_error *error)
{
	_cleanup_free_ char *code = NULL, *message = NULL;
	int r;

	/* One more than a code may have, so that a long one is refused rather than cut.
	 */
	r = read_element(text, "<Code>", "</Code>", ASSET_CODE_MAX + 1, &code);
	if (r < 0)
		return r;
	r = read_element(text, "<Message>", "</Message>", ASSET_DEVELOPER_MESSAGE_MAX,
			 &message);
	if (r < 0)
		return r;
	if (!message || !*message) {
		free(message);
		message = plain_text(text, strlen(text), STRANGE_TEXT_MAX);
		if (!message)
			return -ENOMEM;
	}
	if (code && is_store_code(code))
		error->code = take_ptr(code);
	if (*message)
		error->developer_message = take_ptr(message);
	return 0;
}

static bool says_nothing(const struct asset_error *error)
{
	return !error->code && !error->developer_message && !error->user_message &&
	       !error->details;
}

int asset_error_parse(const char *text, size_t length, struct asset_error *ret)
{
	_cleanup_(asset_error_done) struct asset_error error = {};
	_cleanup_(json_putp) struct json_object *object = NULL;
	_cleanup_free_ char *clean = NULL;
	int r;

	/* All that is taken from a text in UTF-8, cut between characters, is UTF-8. */
	clean = length ? text_to_utf8(text, strnlen(text, length)) : strdup("");
	if (!clean)
		return -ENOMEM;
	r = json_parse(clean, strlen(clean), json_type_object, &object);
	if (r == 0)
		r = read_json(object, &error);
	if (r == -ENOMEM)
		return r;
	if (says_nothing(&error)) {
		error.page = plain_is_page(clean);
		r = read_text(clean, &error);
		if (r < 0)
			return r;
	}
	*ret = error;
	error = (struct asset_error){};
	return 0;
}

void asset_error_done(struct asset_error *error)
{
	free(error->code);
	free(error->developer_message);
	free(error->user_message);
	free(error->details);
	*error = (struct asset_error){};
}
