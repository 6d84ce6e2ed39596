#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <fnmatch.h>
#include <stdarg.h>

#include "address.h"
#include "asset-api.h"
#include "content-url.h"
#include "json.h"
#include "macro.h"
#include "text.h"

/* The path is part of what is signed: no dot in it may be resolved. */
#define PARSE_FLAGS (CURLU_PATH_AS_IS | CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME)

#define SECRET_MIN 8 /* bytes of a value; what is shorter is a word or a number */

enum part { PART_SCHEME, PART_HOST, PART_ZONE, PART_PORT, PART_PATH, PART_QUERY, PARTS };

static const CURLUPart curl_parts[PARTS] = {
	[PART_SCHEME] = CURLUPART_SCHEME, [PART_HOST] = CURLUPART_HOST,
	[PART_ZONE] = CURLUPART_ZONEID,	  [PART_PORT] = CURLUPART_PORT,
	[PART_PATH] = CURLUPART_PATH,	  [PART_QUERY] = CURLUPART_QUERY,
};

/* How each store is known: by all of these parameters. The first row that fits decides.
 */
static const struct {
	const char *parameters[3];
	enum content_store store;
} marks[] = {
	{ { "X-Amz-Signature" }, STORE_S3 },
	{ { "X-Goog-Signature" }, STORE_GCS },
	{ { "sv", "sr", "sig" }, STORE_AZURE },
	{ { "sv", "ss", "sig" }, STORE_AZURE },
};

static const struct {
	const char *name;
	const char *signed_headers; /* the parameter that names them; NULL: none does */
	const char *header, *value; /* what it asks for besides; NULL: nothing */
} stores[] = {
	[STORE_PLAIN] = { .name = "plain" },
	[STORE_JWT] = { .name = "jwt" },
	[STORE_S3] = { .name = "s3", .signed_headers = "X-Amz-SignedHeaders" },
	[STORE_AZURE] = { .name = "azure",
			  .header = "x-ms-blob-type",
			  .value = "BlockBlob" },
	[STORE_GCS] = { .name = "gcs", .signed_headers = "X-Goog-SignedHeaders" },
};

/* Headers that the configuration may not set, and why. */
static const struct {
	const char *name, *why;
} forbidden[] = {
	{ "Authorization", "it would hand our token to the store" },
	{ "Content-Length", "it is always the file's size" },
	{ "Transfer-Encoding", "a signed URL needs the exact length" },
};

static const char *const method_names[] = {
	[UPLOAD_PUT] = "PUT",
	[UPLOAD_POST] = "POST",
};

/* All that the request goes by; not a fragment, which never leaves the machine. */
struct parts {
	CURLU *handle;	   /* curl goes by it: what was looked at is what is asked for */
	char *text[PARTS]; /* curl's; NULL: the URL has none */
	char *url;	   /* made of these */
};

static void parts_done(struct parts *parts)
{
	curl_url_cleanup(parts->handle);
	for (size_t i = 0; i < PARTS; i++)
		curl_free(parts->text[i]);
	free(parts->url);
}

/* -EBADMSG with a reason that is safe to print, or -ENOMEM. */
_printf_(2, 3) static int refuse(char **ret_reason, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	char *safe;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	safe = text_escape(text, (size_t)n);
	if (!safe)
		return -ENOMEM;
	*ret_reason = safe;
	return -EBADMSG;
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* The same as text: curl would make it a byte at a time, for more than all the rest of
 * this costs. */
static int join_url(struct parts *parts)
{
	const char *port = parts->text[PART_PORT], *path = parts->text[PART_PATH];
	const char *query = parts->text[PART_QUERY];
	bool has_query = query && *query;

	parts->url = text_join(parts->text[PART_SCHEME], "://", parts->text[PART_HOST],
			       port ? ":" : NULL, port, path ? path : "/",
			       has_query ? "?" : NULL, query);
	return parts->url ? 0 : -ENOMEM;
}

static int split_url(const char *url, struct parts *parts, char **ret_reason)
{
	CURLU *handle = parts->handle = curl_url();
	CURLUcode code;

	if (!handle)
		return -ENOMEM;
	if (strlen(url) > ASSET_URL_MAX)
		return refuse(ret_reason, "longer than %zu bytes", ASSET_URL_MAX);
	code = curl_url_set(handle, CURLUPART_URL, url, PARSE_FLAGS);
	if (code == CURLUE_OUT_OF_MEMORY)
		return -ENOMEM;
	if (code == CURLUE_USER_NOT_ALLOWED)
		return refuse(ret_reason, "user information in it");
	if (code != CURLUE_OK)
		return refuse(ret_reason, "not a URL: %s", curl_url_strerror(code));
	/* One host is one, whether or not its default port is written down. */
	for (size_t i = 0; i < PARTS; i++)
		if (curl_url_get(handle, curl_parts[i], &parts->text[i],
				 i == PART_PORT ? CURLU_NO_DEFAULT_PORT : 0) ==
		    CURLUE_OUT_OF_MEMORY)
			return -ENOMEM;
	if (!parts->text[PART_SCHEME] || !parts->text[PART_HOST])
		return refuse(ret_reason, "no scheme or no host");
	/* The number of an interface, and of whose machine? */
	if (parts->text[PART_ZONE])
		return refuse(ret_reason, "not a URL: a zone in its host");
	if (streq(parts->text[PART_PORT], "0"))
		return refuse(ret_reason, "not a URL: port 0");
	/* Nothing of these reaches the other side. */
	curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
	if (streq(parts->text[PART_QUERY], ""))
		curl_url_set(handle, CURLUPART_QUERY, NULL, 0);
	if (join_url(parts) < 0)
		return -ENOMEM;
	lower(parts->text[PART_SCHEME]);
	lower(parts->text[PART_HOST]);
	return 0;
}

/* The host's name or address alone: an IPv6 address loses its brackets. */
static char *bare_host(const char *host)
{
	size_t length = strlen(host);

	return host[0] == '[' && length >= 2 ? strndup(host + 1, length - 2)
					     : strdup(host);
}

/* Names of hosts have no case, unlike what strv_match() is for. */
static bool is_allowed(const struct strv *globs, const char *host)
{
	for (size_t i = 0; i < globs->count; i++)
		if (fnmatch(globs->items[i], host, FNM_CASEFOLD) == 0)
			return true;
	return globs->count == 0;
}

/* A glob that fits more than one host is no word about this one. */
static bool is_named(const struct strv *globs, const char *host)
{
	for (size_t i = 0; i < globs->count; i++)
		if (strcasecmp(globs->items[i], host) == 0)
			return true;
	return false;
}

static bool is_private(const char *host)
{
	bool public = true;

	return config_host_is_loopback(host) ||
	       (address_parse_is_public(host, &public) && !public);
}

static int check_origin(const struct parts *parts,
			const struct content_url_policy *policy, bool *ret_public_only,
			char **ret_reason)
{
	const char *scheme = parts->text[PART_SCHEME];
	_cleanup_free_ char *host = NULL;

	assert(scheme && parts->text[PART_HOST]);

	host = bare_host(parts->text[PART_HOST]);
	if (!host)
		return -ENOMEM;
	if (!streq(scheme, "https") && !streq(scheme, "http"))
		return refuse(ret_reason, "its scheme is %.20s, not https", scheme);
	if (streq(scheme, "http") && !policy->allow_insecure &&
	    !config_host_is_loopback(host))
		return refuse(ret_reason, "plain http to %s needs AllowInsecure=yes",
			      host);
	if (!is_allowed(policy->allowed_hosts, host))
		return refuse(ret_reason, "AllowedHosts= has no glob for %s", host);
	*ret_public_only = policy->public_only && !is_named(policy->allowed_hosts, host);
	if (*ret_public_only && is_private(host))
		return refuse(ret_reason,
			      "%s is a private address, and the API's is not; "
			      "AllowedHosts= must name it to allow that",
			      host);
	return 0;
}

static int join_host(struct content_url *url, const struct parts *parts)
{
	const char *port = parts->text[PART_PORT];

	url->host = text_join(parts->text[PART_HOST], port ? ":" : NULL, port);
	return url->host ? 0 : -ENOMEM;
}

/* Appends the query's parameters, decoded, as "name=value". 0 or -ENOMEM. */
static int split_query(const char *query, struct strv *ret)
{
	size_t length;
	int r;

	for (; query && *query; query += length + (query[length] == '&')) {
		char *decoded;

		length = strcspn(query, "&");
		if (length == 0)
			continue;
		decoded = curl_easy_unescape(NULL, query, (int)length, NULL);
		r = decoded ? strv_push(ret, decoded) : -ENOMEM;
		curl_free(decoded);
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *query_value(const struct strv *query, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < query->count; i++)
		if (startswith(query->items[i], name) && query->items[i][length] == '=')
			return query->items[i] + length + 1;
	return NULL;
}

static bool has_all(const struct strv *query, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count && names[i]; i++)
		if (!query_value(query, names[i]))
			return false;
	return true;
}

static enum content_store find_store(const struct strv *query)
{
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (has_all(query, marks[i].parameters, ARRAY_SIZE(marks[i].parameters)))
			return marks[i].store;
	return STORE_PLAIN;
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"abcdefghijklmnopqrstuvwxyz0123456789-_";

/* Decodes @length characters, all of the alphabet, without padding. The caller frees it.
 * NULL: out of memory. Bits that make no whole byte are dropped. */
static char *decode_base64url(const char *text, size_t length, size_t *ret_length)
{
	char *bytes = malloc(length / 4 * 3 + 3);
	size_t n = 0;
	unsigned bits = 0;

	for (size_t i = 0; bytes && i < length; i++) {
		const char *at = memchr(base64url, text[i], STRLEN(base64url));

		bits = bits << 6 | (unsigned)(at - base64url);
		/* Of each four characters the first completes no byte. */
		if (i % 4 != 0)
			bytes[n++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	*ret_length = n;
	return bytes;
}

/* Finds the payload of a JWT: three parts of base64url between dots. */
static bool find_payload(const char *value, const char **ret, size_t *ret_length)
{
	size_t header = strspn(value, base64url), payload, signature;

	if (header == 0 || value[header] != '.')
		return false;
	value += header + 1;
	payload = strspn(value, base64url);
	if (payload == 0 || payload % 4 == 1 || value[payload] != '.')
		return false;
	signature = strspn(value + payload + 1, base64url);
	if (signature == 0 || value[payload + 1 + signature])
		return false;
	*ret = value;
	*ret_length = payload;
	return true;
}

/* 1: the payload says something about the method, which is *@ret, or UPLOAD_AUTO if we
 * can't use it. 0: it does not. Or -ENOMEM. */
static int read_method(const char *payload, size_t length, enum upload_method *ret)
{
	_cleanup_(json_putp) struct json_object *object = NULL;
	_cleanup_free_ char *text = NULL;
	const char *name = NULL;
	size_t size;
	int r;

	text = decode_base64url(payload, length, &size);
	if (!text)
		return -ENOMEM;
	r = json_parse(text, size, json_type_object, &object);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	r = json_get_string(object, "method", &name);
	if (r == 0)
		return 0;
	*ret = UPLOAD_AUTO;
	for (enum upload_method m = UPLOAD_PUT; r > 0 && m < ARRAY_SIZE(method_names);
	     m++)
		if (strcasecmp(name, method_names[m]) == 0)
			*ret = m;
	return 1;
}

/* As read_method(), of the first JWT in the query that has one. */
static int find_method(const struct strv *query, enum upload_method *ret)
{
	const char *payload;
	size_t length;
	int r;

	for (size_t i = 0; i < query->count; i++) {
		const char *value = strchr(query->items[i], '=');

		if (!value || !find_payload(value + 1, &payload, &length))
			continue;
		r = read_method(payload, length, ret);
		if (r != 0)
			return r;
	}
	return 0;
}

static int choose_method(const struct strv *query,
			 const struct content_url_policy *policy, struct content_url *url,
			 char **ret_reason)
{
	enum upload_method method = UPLOAD_PUT;
	int r = 0;

	url->store = find_store(query);
	if (url->store == STORE_PLAIN)
		r = find_method(query, &method);
	if (r < 0)
		return r;
	if (r > 0)
		url->store = STORE_JWT;
	url->method = policy->method == UPLOAD_AUTO ? method : policy->method;
	if (url->method == UPLOAD_AUTO)
		return refuse(ret_reason,
			      "its token names a method that is neither PUT nor "
			      "POST; Method= would override it");
	return 0;
}

/* Whether the header line @line has the @length bytes of @name as its name. */
static bool is_header(const char *line, const char *name, size_t length)
{
	return strncasecmp(line, name, length) == 0 &&
	       line[length + strspn(line + length, " \t")] == ':';
}

static bool has_header(const struct strv *headers, const char *name, size_t length)
{
	for (size_t i = 0; i < headers->count; i++)
		if (is_header(headers->items[i], name, length))
			return true;
	return false;
}

/* Ours, unless the configuration has one of that name. */
static int add_header(struct strv *headers, const struct strv *configured,
		      const char *name, const char *value)
{
	_cleanup_free_ char *line = NULL;

	if (has_header(configured, name, strlen(name)))
		return 0;
	line = text_join(name, ": ", value);
	return line ? strv_push(headers, line) : -ENOMEM;
}

static int collect_headers(const struct content_url_policy *policy,
			   struct content_url *url, char **ret_reason)
{
	const struct strv *configured = policy->headers;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (has_header(configured, forbidden[i].name, strlen(forbidden[i].name)))
			return refuse(ret_reason, "Header= may not set %s: %s",
				      forbidden[i].name, forbidden[i].why);
	r = add_header(&url->headers, configured, "Content-Type", policy->content_type);
	if (r == 0 && stores[url->store].header)
		r = add_header(&url->headers, configured, stores[url->store].header,
			       stores[url->store].value);
	for (size_t i = 0; r == 0 && i < configured->count; i++)
		r = strv_push(&url->headers, configured->items[i]);
	return r;
}

static bool is_sent(const struct content_url *url, const char *name, size_t length)
{
	static const char *const by_curl[] = { "host", "content-length" };

	for (size_t i = 0; i < ARRAY_SIZE(by_curl); i++)
		if (length == strlen(by_curl[i]) &&
		    strncasecmp(name, by_curl[i], length) == 0)
			return true;
	return has_header(&url->headers, name, length);
}

/* A signature over a header that is not sent never fits; say so before the body goes. */
static int check_signed(const struct strv *query, const struct content_url *url,
			char **ret_reason)
{
	const char *parameter = stores[url->store].signed_headers;
	const char *names = parameter ? query_value(query, parameter) : NULL;
	size_t length;

	for (; names && *names; names += length + (names[length] == ';')) {
		length = strcspn(names, ";");
		if (length > 0 && !is_sent(url, names, length))
			return refuse(
				ret_reason,
				"%s signs the header %.*s, whose value only you know: "
				"set Header=%.*s: ... in [Upload]",
				parameter, (int)MIN(length, 100U), names,
				(int)MIN(length, 100U), names);
	}
	return 0;
}

int content_url_parse(const char *url, const struct content_url_policy *policy,
		      struct content_url *ret, char **ret_reason)
{
	_cleanup_(content_url_done) struct content_url result = {};
	_cleanup_(parts_done) struct parts parts = {};
	_cleanup_(strv_done) struct strv query = {};
	int r;

	r = split_url(url, &parts, ret_reason);
	if (r < 0)
		return r;
	r = check_origin(&parts, policy, &result.public_only, ret_reason);
	if (r < 0)
		return r;
	r = split_query(parts.text[PART_QUERY], &query);
	if (r < 0)
		return r;
	r = choose_method(&query, policy, &result, ret_reason);
	if (r < 0)
		return r;
	r = collect_headers(policy, &result, ret_reason);
	if (r < 0)
		return r;
	r = check_signed(&query, &result, ret_reason);
	if (r < 0)
		return r;
	r = join_host(&result, &parts);
	if (r < 0)
		return r;
	result.url = take_ptr(parts.url);
	result.parts = take_ptr(parts.handle);
	*ret = result;
	result = (struct content_url){};
	return 0;
}

void content_url_done(struct content_url *url)
{
	free(url->url);
	curl_url_cleanup(url->parts);
	free(url->host);
	strv_done(&url->headers);
	*url = (struct content_url){};
}

char *content_url_redact(const char *url)
{
	_cleanup_free_ char *text = strndup(url, strcspn(url, "?#"));
	char *host, *at;
	size_t length;

	if (!text)
		return NULL;
	host = strstr(text, "://");
	/* Without a scheme, nobody knows where user information ends. */
	if (host) {
		host += STRLEN("://");
		host += strspn(host, "/");
		length = strcspn(host, "/");
	} else {
		host = text;
		length = strlen(text);
	}
	at = memrchr(host, '@', length);
	if (at)
		memmove(host, at + 1, strlen(at + 1) + 1);
	return text_escape(text, strlen(text));
}

static void hide_value(const char *value, size_t length, char *text)
{
	_cleanup_free_ char *raw = NULL;
	char *decoded;

	if (length < SECRET_MIN)
		return;
	raw = strndup(value, length);
	decoded = curl_easy_unescape(NULL, value, (int)length, NULL);
	if (raw && decoded) {
		text_hide(text, raw);
		text_hide(text, decoded);
	} else {
		*text = '\0'; /* rather nothing than a secret */
	}
	curl_free(decoded);
}

void content_url_hide(const char *url, char *text)
{
	const char *query = strchr(url, '?');

	if (query)
		hide_value(query + 1, strcspn(query + 1, "#"), text);
	while (query && (*query == '?' || *query == '&')) {
		size_t length = strcspn(++query, "&#"), name = strcspn(query, "=&#");

		if (name < length)
			hide_value(query + name + 1, length - name - 1, text);
		query += length;
	}
}

const char *content_url_method(const struct content_url *url)
{
	return url->method == UPLOAD_POST ? "POST" : "PUT";
}

const char *content_store_name(enum content_store store)
{
	return stores[store].name;
}
