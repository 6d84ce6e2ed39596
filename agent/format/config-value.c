#include <ctype.h>
#include <limits.h>
#include <strings.h>
#include <syslog.h>

#include "config-url.h"
#include "config-value.h"
#include "config.h"
#include "macro.h"
#include "parse.h"
#include "strv.h"
#include "text.h"

#define LETTERS_AND_DIGITS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
/* What a header's name and the parts of a type are made of (RFC 9110, section 5.6.2). */
#define TOKEN_CHARACTERS LETTERS_AND_DIGITS "!#$%&'*+-.^_`|~"

#define TO_TEXT(value)	 #value
#define TO_STRING(value) TO_TEXT(value)

/* One kind; what its reader needs to know besides the text is here too. */
struct kind {
	int (*read)(const struct kind *kind, const char *text, void *field);
	void (*clear)(void *field);
	bool (*same)(const void *a, const void *b);
	const char *expected;
	uint64_t min, max;
	const char *const *words;
	bool secret;
};

static void clear_string(void *field)
{
	free(*(char **)field);
	*(char **)field = NULL;
}

static void clear_list(void *field)
{
	strv_done(field);
}

static int read_bool(const struct kind *kind, const char *text, void *field)
{
	(void)kind;
	return parse_bool(text, field);
}

/* usec_t and sizes are of the same type as counts. */
static int read_ranged(const struct kind *kind, const char *text, uint64_t *field,
		       int (*parse)(const char *text, uint64_t *ret))
{
	uint64_t value;
	int r = parse(text, &value);

	if (r < 0)
		return r;
	if (value < kind->min || value > kind->max)
		return -ERANGE;
	*field = value;
	return 0;
}

static int read_count(const struct kind *kind, const char *text, void *field)
{
	return read_ranged(kind, text, field, parse_unsigned);
}

static int read_span(const struct kind *kind, const char *text, void *field)
{
	return read_ranged(kind, text, field, parse_timespan);
}

static int read_rate(const struct kind *kind, const char *text, void *field)
{
	(void)kind;
	if (streq(text, "none")) {
		*(usec_t *)field = 0;
		return 0;
	}
	return parse_rate(text, field);
}

static int read_size(const struct kind *kind, const char *text, void *field)
{
	if (streq(text, "none")) {
		*(uint64_t *)field = UINT64_MAX;
		return 0;
	}
	return read_ranged(kind, text, field, parse_size);
}

static int find_word(const struct kind *kind, const char *text)
{
	for (int i = (int)kind->min; i <= (int)kind->max; i++)
		if (streq(kind->words[i], text))
			return i;
	return -EINVAL;
}

/* Our enums hold no negative value, so they and int share one representation. */
static int read_choice(const struct kind *kind, const char *text, void *field)
{
	int value = find_word(kind, text);

	if (value < 0)
		return value;
	*(int *)field = value;
	return 0;
}

static int read_sender_type(const struct kind *kind, const char *text, void *field)
{
	int r = find_word(kind, text);

	return r < 0 ? r : replace_string(field, text);
}

static size_t count_characters(const char *utf8)
{
	size_t count = 0;

	for (; *utf8; utf8++)
		count += (*utf8 & 0xC0) != 0x80;
	return count;
}

static int read_text(const struct kind *kind, const char *text, void *field)
{
	_cleanup_free_ char *utf8 = text_to_utf8(text, strlen(text));

	if (!utf8)
		return -ENOMEM;
	if (!streq(utf8, text))
		return -EINVAL;
	if (count_characters(text) > kind->max)
		return -ERANGE;
	return replace_string(field, text);
}

static int read_language(const struct kind *kind, const char *text, void *field)
{
	if (text[strspn(text, LETTERS_AND_DIGITS "-*,;=. ")])
		return -EINVAL;
	if (strlen(text) > kind->max)
		return -ERANGE;
	return replace_string(field, text);
}

static bool is_visible(const char *text)
{
	for (; *text; text++)
		if (!isascii((unsigned char)*text) ||
		    (*text != '\t' && !isprint((unsigned char)*text)))
			return false;
	return true;
}

/* type/subtype, and perhaps parameters. */
static bool is_content_type(const char *text)
{
	size_t length = strspn(text, TOKEN_CHARACTERS);

	if (length == 0 || text[length] != '/')
		return false;
	text += length + 1;
	length = strspn(text, TOKEN_CHARACTERS);
	if (length == 0)
		return false;
	text += length + strspn(text + length, " ");
	return *text == '\0' || (*text == ';' && is_visible(text));
}

static int read_content_type(const struct kind *kind, const char *text, void *field)
{
	if (streq(text, "auto"))
		return replace_string(field, NULL);
	if (!is_content_type(text))
		return -EINVAL;
	if (strlen(text) > kind->max)
		return -ERANGE;
	return replace_string(field, text);
}

/* Cleans the path in place. False: it is the root, or goes up, which can't be undone by
 * its letters alone where a link is on the way. */
static bool clean_path(char *path)
{
	char *in = path, *out = path;

	while (*(in += strspn(in, "/"))) {
		size_t length = strcspn(in, "/");

		if (length == 2 && memcmp(in, "..", 2) == 0)
			return false;
		if (length != 1 || *in != '.') {
			*out++ = '/';
			memmove(out, in, length);
			out += length;
		}
		in += length;
	}
	*out = '\0';
	return out > path;
}

static int read_path(const struct kind *kind, const char *text, void *field)
{
	_cleanup_free_ char *path = NULL;

	if (*text != '/')
		return -EINVAL;
	if (strlen(text) > kind->max)
		return -ERANGE;
	path = strdup(text);
	if (!path)
		return -ENOMEM;
	if (!clean_path(path))
		return -EINVAL;
	clear_string(field);
	*(char **)field = take_ptr(path);
	return 0;
}

static int read_url(const char *text, bool query, void *field)
{
	char *url;
	int r = config_url_normalize(text, query, &url);

	if (r < 0)
		return r;
	clear_string(field);
	*(char **)field = url;
	return 0;
}

static int read_token_url(const struct kind *kind, const char *text, void *field)
{
	(void)kind;
	return read_url(text, true, field);
}

static int read_base_url(const struct kind *kind, const char *text, void *field)
{
	int r = read_url(text, false, field);
	char *end;

	(void)kind;
	if (r < 0)
		return r;
	end = strchr(*(char **)field, '\0');
	while (end[-1] == '/')
		*--end = '\0';
	return 0;
}

/* Kept as it was written: libcurl has its own ideas about what a proxy leaves out. */
static int read_proxy(const struct kind *kind, const char *text, void *field)
{
	int r = config_url_check_proxy(text);

	(void)kind;
	return r < 0 ? r : replace_string(field, text);
}

static int read_globs(const struct kind *kind, const char *text, void *field)
{
	_cleanup_(strv_done) struct strv list = {};
	int r = strv_push_words(&list, text);

	if (r < 0)
		return r;
	if (list.count > kind->max)
		return -ERANGE;
	clear_list(field);
	*(struct strv *)field = list;
	list = (struct strv){};
	return 0;
}

/* Whether it is a host's name, of any kind, and its port. */
static bool has_port(const char *glob)
{
	const char *colon = strchr(glob, ':');

	return colon && colon[1] && !colon[1 + strspn(colon + 1, "0123456789")];
}

/* What would never match: a host is compared without its port and the rest of its URL. */
static bool is_more_than_hosts(const struct strv *globs)
{
	for (size_t i = 0; i < globs->count; i++)
		if (strchr(globs->items[i], '/') || has_port(globs->items[i]))
			return true;
	return false;
}

/* Hosts are compared in lower case. */
static int read_hosts(const struct kind *kind, const char *text, void *field)
{
	_cleanup_free_ char *lower = strdup(text);
	_cleanup_(strv_done) struct strv list = {};
	int r;

	if (!lower)
		return -ENOMEM;
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	r = read_globs(kind, lower, &list);
	if (r < 0)
		return r;
	if (is_more_than_hosts(&list))
		return -EINVAL;
	clear_list(field);
	*(struct strv *)field = list;
	list = (struct strv){};
	return 0;
}

/* These are the agent's own to send: a second one breaks the request, or gives our token
 * to the store. */
static bool is_reserved_header(const char *text, size_t length)
{
	static const char *const names[] = { "Authorization", "Content-Length", "Host",
					     "Transfer-Encoding" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == length &&
		    strncasecmp(text, names[i], length) == 0)
			return true;
	return false;
}

static int read_header(const struct kind *kind, const char *text, void *field)
{
	size_t length = strspn(text, TOKEN_CHARACTERS);
	_cleanup_free_ char *header = NULL;
	struct strv *list = field;
	const char *value;

	if (length == 0 || text[length] != ':' || is_reserved_header(text, length))
		return -EINVAL;
	value = text + length + 1;
	value += strspn(value, " \t");
	if (!*value || !is_visible(value))
		return -EINVAL;
	if (list->count >= kind->max)
		return -ERANGE;
	if (asprintf(&header, "%.*s: %s", (int)length, text, value) < 0) {
		header = NULL;
		return -ENOMEM;
	}
	return strv_push(list, header);
}

static bool same_bool(const void *a, const void *b)
{
	return *(const bool *)a == *(const bool *)b;
}

static bool same_number(const void *a, const void *b)
{
	return *(const uint64_t *)a == *(const uint64_t *)b;
}

static bool same_choice(const void *a, const void *b)
{
	return *(const int *)a == *(const int *)b;
}

static bool same_string(const void *a, const void *b)
{
	return streq(*(char *const *)a, *(char *const *)b);
}

static bool same_list(const void *a, const void *b)
{
	const struct strv *one = a, *other = b;

	if (one->count != other->count)
		return false;
	for (size_t i = 0; i < one->count; i++)
		if (!streq(one->items[i], other->items[i]))
			return false;
	return true;
}

static const char *const methods[] = {
	[UPLOAD_AUTO] = "auto",
	[UPLOAD_PUT] = "PUT",
	[UPLOAD_POST] = "POST",
};

static const char *const log_levels[] = {
	[LOG_ERR] = "err",   [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

static const char *const log_targets[] = {
	[LOG_CHOICE_AUTO] = "auto",
	[LOG_CHOICE_JOURNAL] = "journal",
	[LOG_CHOICE_STDERR] = "stderr",
};

static const char *const watches[] = {
	[WATCH_AUTO] = "auto",
	[WATCH_INOTIFY] = "inotify",
	[WATCH_POLL] = "poll",
};

static const char *const after_uploads[] = {
	[AFTER_KEEP] = "keep",
	[AFTER_DELETE] = "delete",
	[AFTER_MOVE] = "move",
};

static const char *const sender_types[] = {
	"custom_bot", "customer", "egain_agent", "egain_bot", "custom_agent",
};

/* A row: what it reads, within which bounds, and the words for that. */
/* clang-format off */
#define COUNT(low, high)                                 \
	.read = read_count, .same = same_number, .min = (low), .max = (high), \
	.expected = "a number from " TO_STRING(low) " to " TO_STRING(high)
#define SPAN(low, bounds)                                        \
	.read = read_span, .same = same_number, .min = (low), .max = CONFIG_SPAN_MAX, \
	.expected = "a time span " bounds ", such as 500ms, 30s, 5min or 2h"
#define CHOICE(table) \
	.read = read_choice, .same = same_choice, .words = (table), \
	.max = ARRAY_SIZE(table) - 1
#define STRING(reader, limit) \
	.read = (reader), .clear = clear_string, .same = same_string, .max = (limit)
#define LIST(reader) \
	.read = (reader), .clear = clear_list, .same = same_list, .max = CONFIG_LIST_MAX

static const struct kind kinds[CONFIG_KINDS] = {
	[CONFIG_BOOL] = { .read = read_bool, .same = same_bool, .expected = "yes or no" },
	[CONFIG_CONCURRENT] = { COUNT(1, CONFIG_CONCURRENT_MAX) },
	[CONFIG_BURST] = { COUNT(1, CONFIG_BURST_MAX) },
	[CONFIG_TRIES] = { COUNT(1, CONFIG_TRIES_MAX) },
	[CONFIG_SPAN] = { SPAN(0, "of at most 365d") },
	[CONFIG_SPAN_POSITIVE] = { SPAN(CONFIG_SPAN_MIN, "above 0, from 1ms to 365d") },
	[CONFIG_RATE] = { .read = read_rate, .same = same_number,
		.expected = "a rate above 0 such as 0.5/s, 30/min or 100/h, or none" },
	[CONFIG_SIZE] = { .read = read_size, .same = same_number, .min = 1, .max = UINT64_MAX,
		.expected = "a size above 0 such as 64K, 10M or 2G, or none" },
	[CONFIG_METHOD] = { CHOICE(methods), .expected = "auto, PUT or POST" },
	[CONFIG_LOG_LEVEL] = { CHOICE(log_levels), .min = LOG_ERR,
		.expected = "err, warning, notice, info or debug" },
	[CONFIG_LOG_TARGET] = { CHOICE(log_targets),
		.expected = "auto, journal or stderr" },
	[CONFIG_WATCH] = { CHOICE(watches), .expected = "auto, inotify or poll" },
	[CONFIG_AFTER_UPLOAD] = { CHOICE(after_uploads),
		.expected = "keep, delete or move" },
	[CONFIG_SENDER_TYPE] = { STRING(read_sender_type, ARRAY_SIZE(sender_types) - 1),
		.words = sender_types,
		.expected = "custom_bot, customer, egain_agent, egain_bot or "
			"custom_agent" },
	[CONFIG_CHANNEL_TYPE] = { STRING(read_text, CONFIG_NAME_MAX),
		.expected = "1 to " TO_STRING(CONFIG_NAME_MAX) " characters of UTF-8" },
	[CONFIG_TEXT] = { STRING(read_text, CONFIG_TEXT_MAX),
		.expected = "1 to " TO_STRING(CONFIG_TEXT_MAX) " characters of UTF-8" },
	[CONFIG_LANGUAGE] = { STRING(read_language, CONFIG_NAME_MAX),
		.expected = "language tags such as en-US or de, en;q=0.5" },
	[CONFIG_CONTENT_TYPE] = { STRING(read_content_type, CONFIG_NAME_MAX),
		.expected = "auto or a type such as image/jpeg" },
	[CONFIG_PATH] = { STRING(read_path, PATH_MAX - 1),
		.expected = "an absolute path other than /, without .." },
	[CONFIG_BASE_URL] = { STRING(read_base_url, 0), .secret = true,
		.expected = "an http or https URL without user, query or fragment" },
	[CONFIG_TOKEN_URL] = { STRING(read_token_url, 0), .secret = true,
		.expected = "an http or https URL without user or fragment" },
	[CONFIG_PROXY] = { STRING(read_proxy, 0), .secret = true,
		.expected = "a proxy such as http://host:3128 or socks5h://host:1080" },
	[CONFIG_GLOBS] = { LIST(read_globs),
		.expected = "at most " TO_STRING(CONFIG_LIST_MAX) " patterns" },
	[CONFIG_HOSTS] = { LIST(read_hosts),
		.expected = "at most " TO_STRING(CONFIG_LIST_MAX) " patterns of hosts, "
			"without scheme, port and path" },
	[CONFIG_HEADERS] = { LIST(read_header), .secret = true,
		.expected = "of the form Name: value, in ASCII, "
			TO_STRING(CONFIG_LIST_MAX) " at most, and none of "
			"Authorization, Content-Length, Host and Transfer-Encoding" },
};
/* clang-format on */

int config_value_read(enum config_kind kind, const char *text, void *field)
{
	return kinds[kind].read(&kinds[kind], text, field);
}

void config_value_clear(enum config_kind kind, void *field)
{
	if (kinds[kind].clear)
		kinds[kind].clear(field);
}

const char *config_value_expected(enum config_kind kind)
{
	return kinds[kind].expected;
}

bool config_value_is_same(enum config_kind kind, const void *a, const void *b)
{
	return kinds[kind].same(a, b);
}

bool config_value_is_secret(enum config_kind kind)
{
	return kinds[kind].secret;
}

char *config_value_shown(enum config_kind kind, const char *text)
{
	const char *at = strrchr(text, '@');

	if (kind == CONFIG_HEADERS)
		return strndup(text, strcspn(text, ":"));
	return strdup(kind == CONFIG_PROXY && at ? at + 1 : text);
}
