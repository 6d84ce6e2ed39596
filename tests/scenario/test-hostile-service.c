/* A service that means harm, or has gone mad: whatever it says, nothing hangs, grows or
 * is lost, and once it is sane again every file arrives. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <json-c/json_object.h>

#include "macro.h"
#include "world.h"

#define PUBLIC_HOST  "203.0.113.1"
#define PRIVATE_HOST "10.9.8.7"
#define HOSTS \
	"127.0.0.1 localhost\n" PUBLIC_HOST " api.test\n" PRIVATE_HOST " files.test\n"

DEFINE_CLEANUP(struct json_object *, json_freep, json_object_put)
#define _cleanup_json_ _cleanup_(json_freep)

#define MEGABYTE (UINT64_C(1024) * 1024)

/* Of the agent's memory, by what it was told. A sanitizer's allocator keeps some of each
 * size that an answer has had while it grew. */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_MAX (64 * MEGABYTE)
#else
#define GROWTH_MAX (8 * MEGABYTE)
#endif

/* Memory that the sanitizer keeps back is none that the agent holds. */
static const char *const frugal[] = { "ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=1",
				      NULL };

/* One attempt is all that a file has, so whatever costs one ends in an error sidecar. */
static const struct world_options strict = {
	.api = "Timeout=250ms\n",
	.spool = "Settle=1ms\n",
	.retry = "InitialDelay=5ms\nMaxDelay=10ms\nMaxAttempts=1\n",
	.environment = frugal,
};

/* For the storage, where some of it may be the fault of a file's body, and a stall of our
 * own on a busy machine would be taken for that. */
static const struct world_options patient = {
	.upload = "StallTimeout=1s\n",
	.spool = "Settle=1ms\n",
	.retry = "InitialDelay=5ms\nMaxDelay=10ms\nMaxAttempts=10\n",
	.environment = frugal,
};

static const struct {
	const char *gone, *back;
} lines[ENDPOINT_COUNT] = {
	[ENDPOINT_TOKEN] = { "Authorization fails (", "Authorization works again (" },
	[ENDPOINT_CREATE] = { "The API is away (", "The API is back (" },
	[ENDPOINT_UPLOAD] = { "The storage is away (", "The storage is back (" },
};

struct hostility {
	const char *what;
	struct fault fault;
	const char *told; /* part of the one line about it; NULL: in whatever words */
	bool costs; /* at the storage: an attempt, for it may be this body's fault */
};

/* An outage: told once, and its end once, and no file has failed. Or it cost attempts,
 * and there is no outage. */
static void assert_told(struct world *w, enum endpoint endpoint,
			const struct hostility *h)
{
	bool costs = endpoint == ENDPOINT_UPLOAD && h->costs;
	size_t gone = world_count_log(w, lines[endpoint].gone);
	size_t back = world_count_log(w, lines[endpoint].back);
	size_t failed = world_count_log(w, "Could not upload");

	if (gone != !costs || back != !costs || !failed != !costs)
		fail_msg("%s: told of %zu times, of its end %zu times; %zu failures",
			 h->what, gone, back, failed);
	if (h->told && world_count_log(w, h->told) == 0)
		fail_msg("%s: nobody was told of \"%s\"", h->what, h->told);
}

/* The endpoint is struck twice, or as often as is said. It is told, and the file arrives.
 */
static void endure(struct world *w, enum endpoint endpoint, const struct hostility *h)
{
	struct fault fault = h->fault;

	fault.endpoint = endpoint;
	fault.times = fault.times ? fault.times : 2;
	world_mark_log(w);
	/* Or it would not be asked for another. */
	if (endpoint == ENDPOINT_TOKEN)
		service_revoke_tokens(w->service);
	service_fault(w->service, &fault);
	world_drop(w, "file.txt", h->what);
	world_wait_uploaded(w, "file.txt");
	world_assert_uploaded(w, "file.txt");
	assert_told(w, endpoint, h);
	service_clear_faults(w->service);
	service_release(w->service);
}

static void endure_all(struct world *w, enum endpoint endpoint,
		       const struct hostility *all, size_t count)
{
	uint64_t before;

	world_start(w, endpoint == ENDPOINT_UPLOAD ? &patient : &strict);
	world_drop(w, "first.txt", "before all that");
	world_wait_uploaded(w, "first.txt");
	before = world_rss_peak(w);
	for (size_t i = 0; i < count; i++)
		endure(w, endpoint, &all[i]);
	assert_in_range(world_rss_peak(w), before, before + GROWTH_MAX);
	world_stop(w);
}

/* ---- bytes that are no answer ---- */

#define OK	"HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define RAW(text) \
	{ \
		.action = FAULT_GARBAGE, .body = (text) \
	}
#define FLOOD(text, more) \
	{ \
		.action = FAULT_DRIP, .body = (text), .drip = (more) \
	}
#define DRIP(text, more) \
	{ \
		.action = FAULT_DRIP, .body = (text), .drip = (more), \
		.pace = 50 * USEC_PER_MSEC \
	}

static const struct hostility endless[] = {
	{ "an endless body", FLOOD(OK "\r\n", "x"), "longer than", false },
	{ "endless chunks", FLOOD(CHUNKED, "5\r\n     \r\n"), "longer than", false },
	{ "an endless line", FLOOD(OK "X: ", "x"), NULL, false },
	{ "an endless head", FLOOD(OK, "X-More: and more\r\n"), NULL, false },
	{ "an endless first line", FLOOD("HTTP/1.1 200 ", "O"), NULL, false },
	{ "endless heads", FLOOD("", "HTTP/1.1 100 Continue\r\n\r\n"), NULL, false },
	{ "an endless trailer", FLOOD(CHUNKED "0\r\n", "X-More: and more\r\n"), NULL,
	  false },
	/* Nothing of it is kept: only its time is limited. */
	{ "an endless extension of a chunk", FLOOD(CHUNKED "5;", "x"), NULL, true },
};

static const struct hostility dripping[] = {
	{ "a head by drops", DRIP(OK "X: ", "x"), NULL, true },
	{ "a body by drops", DRIP(OK "Content-Length: 60000\r\n\r\n", " "), NULL, true },
	{ "chunks by drops", DRIP(CHUNKED, "1\r\n \r\n"), NULL, true },
	{ "heads by drops", DRIP("", "HTTP/1.1 100 Continue\r\n\r\n"), NULL, true },
	{ "silence", { .action = FAULT_STALL }, NULL, true },
};

static const struct hostility garbled[] = {
	{ "a length too great", RAW(OK "Content-Length: 1000\r\n\r\n{}"), NULL, true },
	{ "a length below zero", RAW(OK "Content-Length: -5\r\n\r\n{}"), NULL, false },
	{ "a length in words", RAW(OK "Content-Length: some\r\n\r\n{}"), NULL, false },
	{ "two lengths", RAW(OK "Content-Length: 5\r\nContent-Length: 7\r\n\r\n{}"), NULL,
	  true },
	{ "a chunk of no size", RAW(CHUNKED "zz\r\n{}\r\n"), NULL, true },
	{ "a chunk below zero", RAW(CHUNKED "-5\r\n{}\r\n"), NULL, true },
	{ "a chunk past all numbers", RAW(CHUNKED "FFFFFFFFFFFFFFFFFF\r\n{}"), NULL,
	  true },
	{ "a chunk that is cut", RAW(CHUNKED "5\r\n{}"), NULL, true },
	{ "chunks without an end", RAW(CHUNKED "2\r\n{}\r\n"), NULL, true },
	{ "HTTP/0.9", RAW("{\"id\":\"a\"}"), "HTTP/0.9", false },
	{ "another protocol", RAW("SSH-2.0-OpenSSH_9.2\r\n"), "HTTP/0.9", false },
	{ "a first line alone", RAW("HTTP/1.1 200 OK"), NULL, true },
	{ "a status of four digits", RAW("HTTP/1.1 2000 OK\r\n\r\n{}"), NULL, false },
	{ "a status of two digits", RAW("HTTP/1.1 99 Odd\r\n\r\n{}"), NULL, false },
	{ "a status of one digit", RAW("HTTP/1.1 2 Odd\r\n\r\n{}"), NULL, false },
	{ "a status below zero", RAW("HTTP/1.1 -200 Odd\r\n\r\n{}"), NULL, false },
	{ "status 999", RAW("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"),
	  "HTTP status 999", false },
	{ "HTTP/9.9", RAW("HTTP/9.9 200 OK\r\n\r\n{}"), NULL, false },
	{ "another protocol from here on",
	  RAW("HTTP/1.1 101 Switching Protocols\r\nUpgrade: irc\r\n\r\n:irc 001 you"),
	  NULL, false },
	{ "no answer", { .action = FAULT_CLOSE }, NULL, true },
	{ "a reset", { .action = FAULT_RESET }, NULL, true },
	{ "a refusal with a length too small",
	  RAW("HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nBusy"), "Bus", false },
};

#define FOR_EACH_ENDPOINT(table) \
	static void table##_answers_of_the_token_server_are_cut(void **state) \
	{ \
		endure_all(*state, ENDPOINT_TOKEN, table, ARRAY_SIZE(table)); \
	} \
	static void table##_answers_of_the_api_are_cut(void **state) \
	{ \
		endure_all(*state, ENDPOINT_CREATE, table, ARRAY_SIZE(table)); \
	} \
	static void table##_answers_of_the_storage_are_cut(void **state) \
	{ \
		endure_all(*state, ENDPOINT_UPLOAD, table, ARRAY_SIZE(table)); \
	}

FOR_EACH_ENDPOINT(endless)
FOR_EACH_ENDPOINT(dripping)
FOR_EACH_ENDPOINT(garbled)

/* Whoever does not know the question gets the body all the same. */
static void a_continue_that_never_comes_is_not_waited_for(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .phase = FAULT_AT_HEAD,
						   .delay = 1500 * USEC_PER_MSEC });
	world_drop_random(w, "large.bin", 2 * MEGABYTE, 1);
	world_wait_uploaded(w, "large.bin");
	world_assert_uploaded(w, "large.bin");
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 1);
	world_stop(w);
}

/* ---- answers that are not what was promised ---- */

#define SAYS(text) \
	{ \
		.action = FAULT_ANSWER, .status = 200, .body = (text) \
	}
#define TOKEN(value) "{\"access_token\":" value ",\"token_type\":\"Bearer\"}"

static const struct hostility tokens[] = {
	{ "no body", SAYS(""), "not a JSON object", false },
	{ "a page", SAYS("<html>sign in</html>"), "not a JSON object", false },
	{ "an array", SAYS("[]"), "not a JSON object", false },
	{ "two objects", SAYS(TOKEN("\"a\"") TOKEN("\"b\"")), "not a JSON object",
	  false },
	{ "no token", SAYS("{\"token_type\":\"Bearer\"}"), "no access_token", false },
	{ "null", SAYS(TOKEN("null")), "no access_token", false },
	{ "a number", SAYS(TOKEN("7")), "no access_token", false },
	{ "an empty token", SAYS(TOKEN("\"\"")), "the token is empty", false },
	{ "a NUL", SAYS(TOKEN("\"abc\\u0000def\"")), "no access_token", false },
	{ "another header in it", SAYS(TOKEN("\"abc\\r\\nX-Injected: yes\"")),
	  "no header may carry", false },
	{ "no type", SAYS("{\"access_token\":\"a\"}"), "token_type", false },
	{ "another type", SAYS("{\"access_token\":\"a\",\"token_type\":\"mac\"}"),
	  "token_type", false },
	{ "a life in words",
	  SAYS("{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":\"soon\"}"),
	  "expires_in", false },
	{ "a life below zero",
	  SAYS("{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":-1}"),
	  "expires_in", false },
	{ "nothing by 204", { .action = FAULT_ANSWER, .status = 204 }, NULL, false },
	{ "a body by 205", RAW("HTTP/1.1 205 Reset\r\nContent-Length: 2\r\n\r\n{}"), NULL,
	  false },
};

#define GRANT(id, url) "{\"id\":" id ",\"contentUrl\":" url "}"
#define GOOD_URL       "\"http://127.0.0.1:1/x?signature=s3cr3t\""
#define NO_ID	       "no id, or not a usable one"
#define NO_URL	       "no contentUrl, or not a usable one"

static const struct hostility grants[] = {
	{ "no body", SAYS(""), "not a JSON object", false },
	{ "a page", SAYS("<html>sign in</html>"), "not a JSON object", false },
	{ "a string", SAYS("\"id\""), "not a JSON object", false },
	{ "half an object", SAYS("{\"id\":\"a\""), "not a JSON object", false },
	{ "junk behind it", SAYS(GRANT("\"a\"", GOOD_URL) "x"), "not a JSON object",
	  false },
	{ "bytes that are no text", SAYS(GRANT("\"\xff\xfe\"", GOOD_URL)),
	  "not a JSON object", false },
	{ "no id", SAYS("{\"contentUrl\":" GOOD_URL "}"), NO_ID, false },
	{ "null", SAYS(GRANT("null", GOOD_URL)), NO_ID, false },
	{ "a number", SAYS(GRANT("7", GOOD_URL)), NO_ID, false },
	{ "an object", SAYS(GRANT("{}", GOOD_URL)), NO_ID, false },
	{ "an empty id", SAYS(GRANT("\"\"", GOOD_URL)), NO_ID, false },
	{ "a NUL in the id", SAYS(GRANT("\"a\\u0000b\"", GOOD_URL)), NO_ID, false },
	{ "two lines", SAYS(GRANT("\"a\\nb\"", GOOD_URL)), NO_ID, false },
	{ "the last of two ids",
	  SAYS("{\"id\":\"a\",\"id\":7,\"contentUrl\":" GOOD_URL "}"), NO_ID, false },
	{ "no URL", SAYS("{\"id\":\"a\"}"), NO_URL, false },
	{ "an empty URL", SAYS(GRANT("\"a\"", "\"\"")), NO_URL, false },
	{ "a list of URLs", SAYS(GRANT("\"a\"", "[" GOOD_URL "]")), NO_URL, false },
	{ "a NUL in the URL", SAYS(GRANT("\"a\"", "\"http://127.0.0.1\\u0000/\"")),
	  NO_URL, false },
	{ "an expiry in words",
	  SAYS("{\"id\":\"a\",\"contentUrl\":" GOOD_URL
	       ",\"contentUrlExpiry\":\"soon\"}"),
	  "contentUrlExpiry", false },
	{ "an expiry by number",
	  SAYS("{\"id\":\"a\",\"contentUrl\":" GOOD_URL ",\"contentUrlExpiry\":1}"),
	  "contentUrlExpiry", false },
	{ "nothing by 204", { .action = FAULT_ANSWER, .status = 204 }, NULL, false },
	{ "a body by 205", RAW("HTTP/1.1 205 Reset\r\nContent-Length: 2\r\n\r\n{}"), NULL,
	  false },
};

#define URL(text, why) \
	{ \
		(text), SAYS(GRANT("\"a\"", "\"" text "?signature=s3cr3t\"")), (why), \
			false \
	}

static const struct hostility urls[] = {
	URL("file:///etc/passwd", "can't be used"),
	URL("ftp://127.0.0.1/x", "its scheme is ftp"),
	URL("gopher://127.0.0.1/x", "its scheme is gopher"),
	URL("javascript:alert(1)", "can't be used"),
	URL("//127.0.0.1/x", "not a URL"),
	URL("127.0.0.1/x", "not a URL"),
	URL("http://user:secret@127.0.0.1/x", "user information"),
	URL("http:///x", "can't be used"),
	URL("http://", "not a URL"),
	URL("http://127.0.0.1:0/x", "port 0"),
	URL("http://127.0.0.1:99999/x", "not a URL"),
	URL("http://127.0.0.1:http/x", "not a URL"),
	URL("http://[::1/x", "not a URL"),
	URL("http://[fe80::1%25lo]/x", "can't be used"),
	URL("http://127.0.0.1/\\r\\nX-Injected: yes", "not a URL"),
	URL("http://127.0.0.1/\\u0001", "not a URL"),
	URL("http://" PUBLIC_HOST "/x", "AllowInsecure"),
};

static void wrong_tokens_are_not_used(void **state)
{
	endure_all(*state, ENDPOINT_TOKEN, tokens, ARRAY_SIZE(tokens));
}

static void wrong_grants_are_not_used(void **state)
{
	endure_all(*state, ENDPOINT_CREATE, grants, ARRAY_SIZE(grants));
}

static void wrong_content_urls_are_not_used(void **state)
{
	struct world *w = *state;
	struct service_request request;

	endure_all(w, ENDPOINT_CREATE, urls, ARRAY_SIZE(urls));
	assert_int_equal(world_count_log(w, "secret@"), 0);
	for (size_t i = 0; service_request_at(w->service, ENDPOINT_ANY, i, &request); i++)
		assert_null(strstr(request.headers, "X-Injected"));
}

/* @count times @text, between @before and @after. The caller frees it. */
static char *repeat(const char *before, const char *text, size_t count, const char *after)
{
	size_t length = strlen(text);
	char *all = malloc(strlen(before) + count * length + strlen(after) + 1), *out;

	assert_non_null(all);
	out = stpcpy(all, before);
	for (; count > 0; count--)
		out = mempcpy(out, text, length);
	(void)stpcpy(out, after);
	return all;
}

/* A URL without an end leads to a host that nobody reaches: others go on meanwhile, and
 * in the end another URL is asked for. */
static void a_url_of_a_host_that_is_not_there_is_left(void **state)
{
	struct world *w = *state;

	world_start(w, &strict);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 200,
						   .body = GRANT("\"a\"", GOOD_URL) });
	world_drop(w, "lost.txt", "sent where nobody is");
	world_wait_log(w, "The storage is away (127.0.0.1:1)");
	world_drop(w, "other.txt", "sent where somebody is");
	world_wait_uploaded(w, "other.txt");
	world_wait_uploaded(w, "lost.txt");
	world_assert_uploaded(w, "lost.txt");
	assert_int_equal(world_count_log(w, "The storage is away"), 1);
	assert_int_equal(service_assets_named(w->service, "lost.txt"), 1);
	world_stop(w);
}

/* Up to the ceiling of an answer, where JSON's own ceilings count, and beyond. */
static void deep_and_long_answers_do_no_harm(void **state)
{
	static const struct {
		const char *before, *text, *after;
		size_t count;
		const char *told;
	} table[] = {
		{ "", "[", "", 100000, "longer than" },
		{ "", "[", "", 60000, "not a JSON object" },
		{ "{\"id\":", "[", "", 60000, "not a JSON object" },
		{ "", "{\"id\":", "", 10000, "not a JSON object" },
		{ "{\"id\":\"", "a", "\",\"contentUrl\":\"http://127.0.0.1/\"}", 10240,
		  NO_ID },
		{ "{\"id\":\"a\",\"contentUrl\":\"http://127.0.0.1/", "u", "\"}", 60000,
		  NO_URL },
		{ "{\"id\":\"a\",\"contentUrl\":\"http://127.0.0.1/", "u", "\"}", 102400,
		  "longer than" },
		{ "{", "\"a\":1,", "\"a\":1}", 9000, NO_ID },
	};
	struct world *w = *state;
	uint64_t before;

	world_start(w, &strict);
	world_drop(w, "first.txt", "before all that");
	world_wait_uploaded(w, "first.txt");
	before = world_rss_peak(w);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *body = repeat(table[i].before, table[i].text,
						   table[i].count, table[i].after);
		struct hostility h = { .what = table[i].before, .told = table[i].told };

		h.fault = (struct fault)SAYS(body);
		endure(w, ENDPOINT_CREATE, &h);
	}
	assert_in_range(world_rss_peak(w), before, before + GROWTH_MAX);
	world_stop(w);
}

static size_t count_files(const char *directory)
{
	DIR *stream = opendir(directory);
	size_t n = 0;

	assert_non_null(stream);
	while (readdir(stream))
		n++;
	(void)closedir(stream);
	return n - 2; /* . and .. */
}

/* An id is only a word: it stands in the sidecar as it came, and leads nowhere. */
static void an_id_leads_nowhere(void **state)
{
	static const char *const ids[] = { "../../../../tmp/evil",
					   "/etc/passwd",
					   "..",
					   "a\\b",
					   "%s%n%n",
					   "<script>",
					   "$(reboot)",
					   "\xF0\x9F\x90\xA6" };
	struct world *w = *state;

	world_start(w, &strict);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		_cleanup_json_ struct json_object *sidecar = NULL;
		_cleanup_json_ struct json_object *grant = json_object_new_object();
		_cleanup_free_ char *url = NULL;

		assert_true(asprintf(&url,
				     "http://127.0.0.1:%u/content/x?signature=s3cr3t",
				     service_port(w->service)) > 0);
		(void)json_object_object_add(grant, "id", json_object_new_string(ids[i]));
		(void)json_object_object_add(grant, "contentUrl",
					     json_object_new_string(url));
		service_fault(w->service,
			      &(struct fault){
				      .endpoint = ENDPOINT_CREATE,
				      .times = 1,
				      .action = FAULT_ANSWER,
				      .status = 200,
				      .body = json_object_to_json_string(grant) });
		service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
							   .times = 1,
							   .phase = FAULT_AT_HEAD,
							   .action = FAULT_ANSWER,
							   .status = 200 });
		world_write(w, "file.txt", "");
		world_touch(w, "file.txt");
		world_wait_uploaded(w, "file.txt");
		sidecar = world_sidecar(w, "file.txt");
		assert_string_equal(world_text(sidecar, "id"), ids[i]);
		world_remove(w, "file.txt");
		world_remove(w, "file.txt.asset.json");
	}
	assert_int_equal(count_files(w->spool), 0);
	world_stop(w);
}

/* ---- redirects ---- */

/* None is followed, wherever it leads, and it is told where that is. */
static void redirects_are_told_of_and_not_followed(void **state)
{
	static const int codes[] = { 301, 302, 303, 307, 308 };
	static const enum endpoint endpoints[] = { ENDPOINT_TOKEN, ENDPOINT_CREATE,
						   ENDPOINT_UPLOAD };
	static const char *const targets[] = { ("http://" PUBLIC_HOST),
					       "https://127.0.0.1", "file:///etc" };
	const struct service_options other = { .address = PUBLIC_HOST };
	_cleanup_(service_stopp) struct service *elsewhere = NULL;
	struct world *w = *state;

	assert_int_equal(service_start(&other, &elsewhere), 0);
	world_start(w, &strict);
	for (size_t i = 0; i < ARRAY_SIZE(codes) * ARRAY_SIZE(endpoints); i++) {
		_cleanup_free_ char *target = NULL, *headers = NULL, *told = NULL;
		struct hostility h = { .what = "a redirect" };

		assert_true(asprintf(&target, "%s:%u/there",
				     targets[i % ARRAY_SIZE(targets)],
				     service_port(elsewhere)) > 0);
		assert_true(asprintf(&headers, "Location: %s?code=0p3n\n", target) > 0);
		assert_true(asprintf(&told, "HTTP status %d, a redirect to %s, and none",
				     codes[i / ARRAY_SIZE(endpoints)], target) > 0);
		h.told = told;
		h.fault = (struct fault){ .action = FAULT_ANSWER,
					  .status = codes[i / ARRAY_SIZE(endpoints)],
					  .headers = headers,
					  .body = "<html>Moved</html>" };
		/* Each code to each target by way of each endpoint in turn. */
		endure(w,
		       endpoints[(i + i / ARRAY_SIZE(endpoints)) % ARRAY_SIZE(endpoints)],
		       &h);
	}
	assert_int_equal(service_count(elsewhere, ENDPOINT_ANY), 0);
	assert_int_equal(world_count_log(w, "0p3n"), 0);
	world_stop(w);
}

/* ---- refusals that are not the file's fault ---- */

#define STATUS(n) \
	{ \
		"status " #n, { .action = FAULT_ANSWER, .status = (n) }, \
			"HTTP status " #n, false \
	}

static const struct hostility refusals[] = {
	STATUS(402),
	STATUS(405),
	STATUS(408),
	STATUS(429),
	STATUS(500),
	STATUS(501),
	STATUS(502),
	STATUS(503),
	STATUS(504),
	STATUS(599),
	{ "a page",
	  { .action = FAULT_ANSWER,
	    .status = 502,
	    .headers = "Content-Type: text/html\n",
	    .body = "<html><h1>Bad Gateway</h1><script>alert(1)</script></html>" },
	  "Bad Gateway",
	  false },
};

/* To the token server and the API these are the account's, not a file's. */
static const struct hostility more_refusals[] = { STATUS(403), STATUS(404) };

static const struct hostility token_refusals[] = {
	STATUS(400),
	STATUS(401),
	STATUS(422),
	{ "a client that is not known",
	  { .action = FAULT_ANSWER,
	    .status = 400,
	    .body = "{\"error\":\"invalid_client\",\"error_description\":\"Who?\"}" },
	  "invalid_client: Who?",
	  false },
};

static void refusals_of_the_token_server_cost_nothing(void **state)
{
	struct world *w = *state;

	world_start(w, &strict);
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		endure(w, ENDPOINT_TOKEN, &refusals[i]);
	for (size_t i = 0; i < ARRAY_SIZE(more_refusals); i++)
		endure(w, ENDPOINT_TOKEN, &more_refusals[i]);
	for (size_t i = 0; i < ARRAY_SIZE(token_refusals); i++)
		endure(w, ENDPOINT_TOKEN, &token_refusals[i]);
	world_stop(w);
}

static void refusals_of_the_api_cost_nothing(void **state)
{
	struct world *w = *state;

	world_start(w, &strict);
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		endure(w, ENDPOINT_CREATE, &refusals[i]);
	for (size_t i = 0; i < ARRAY_SIZE(more_refusals); i++)
		endure(w, ENDPOINT_CREATE, &more_refusals[i]);
	world_stop(w);
}

static void refusals_of_the_storage_cost_nothing(void **state)
{
	endure_all(*state, ENDPOINT_UPLOAD, refusals, ARRAY_SIZE(refusals));
}

/* A body had been under way to that URL: what is there now is ours. */
static void a_conflict_after_a_body_was_under_way_means_that_it_arrived(void **state)
{
	struct world *w = *state;

	world_start(w, &patient);
	/* It was stored, but nobody heard of it. */
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .phase = FAULT_CARRIED_OUT,
						   .action = FAULT_ANSWER,
						   .status = 503 });
	world_drop(w, "file.txt", "arrived unheard");
	world_wait_uploaded(w, "file.txt");
	world_assert_uploaded(w, "file.txt");
	assert_int_equal(service_answers(w->service, ENDPOINT_UPLOAD, 409), 1);
	assert_int_equal(service_assets_named(w->service, "file.txt"), 1);
	world_stop(w);
}

/* The answer was lost with a connection that had been used before: what is sent once more
 * meets what has arrived. */
static void a_conflict_after_a_lost_answer_means_that_it_arrived(void **state)
{
	struct world *w = *state;

	world_start(w, &patient);
	world_upload(w, "before.txt");
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .phase = FAULT_CARRIED_OUT,
						   .action = FAULT_RESET });
	world_upload(w, "lost.txt");
	assert_int_equal(service_answers(w->service, ENDPOINT_UPLOAD, 409), 1);
	assert_int_equal(service_assets_named(w->service, "lost.txt"), 1);
	world_stop(w);
}

/* Nothing of ours can be at a URL that is new. */
static void a_conflict_at_a_fresh_url_does_not(void **state)
{
	static const int codes[] = { 409, 412 };
	struct world *w = *state;

	world_start(w, &strict);
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
							   .times = 1,
							   .action = FAULT_ANSWER,
							   .status = codes[i] });
		world_drop(w, "file.txt", i ? "once" : "and again");
		world_wait_uploaded(w, "file.txt");
		world_assert_uploaded(w, "file.txt");
		assert_int_equal(service_assets_named(w->service, "file.txt"),
				 2 * (i + 1));
	}
	world_stop(w);
}

/* A web server says so where something else is in the way, and has not stored a byte. */
static void a_conflict_told_by_a_page_does_not(void **state)
{
	struct world *w = *state;

	world_start(w, &patient);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 503 });
	service_fault(w->service,
		      &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
				       .times = 1,
				       .action = FAULT_ANSWER,
				       .status = 409,
				       .body = "<html><h1>409 Conflict</h1>" });
	world_drop(w, "file.txt", "not there yet");
	world_wait_uploaded(w, "file.txt");
	world_assert_uploaded(w, "file.txt");
	assert_int_equal(service_assets_named(w->service, "file.txt"), 2);
	world_stop(w);
}

/* Nor where it was refused before a byte of a body was under way. */
static void a_conflict_after_a_refusal_does_not(void **state)
{
	struct world *w = *state;

	world_start(w, &strict);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .phase = FAULT_AT_HEAD,
						   .action = FAULT_ANSWER,
						   .status = 503 });
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 409 });
	/* Large enough to ask first. */
	world_drop_random(w, "large.bin", 2 * MEGABYTE, 2);
	world_wait_uploaded(w, "large.bin");
	world_assert_uploaded(w, "large.bin");
	assert_int_equal(service_assets_named(w->service, "large.bin"), 2);
	world_stop(w);
}

/* ---- when to come back ---- */

static void ask_to_come_back(struct world *w, enum endpoint endpoint, const char *headers)
{
	service_fault(w->service, &(struct fault){ .endpoint = endpoint,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 503,
						   .headers = headers });
}

/* And not at the very instant, where all others would come too. */
static void a_wait_that_is_asked_for_is_kept(void **state)
{
	static const enum endpoint endpoints[] = { ENDPOINT_TOKEN, ENDPOINT_UPLOAD };
	struct world *w = *state;

	world_start(w, &strict);
	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++)
		ask_to_come_back(w, endpoints[i], "Retry-After: 1\n");
	world_drop(w, "file.txt", "comes when it is asked to");
	world_wait_uploaded(w, "file.txt");
	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++) {
		struct service_request refused, next;

		assert_true(service_request_at(w->service, endpoints[i], 0, &refused));
		assert_true(service_request_at(w->service, endpoints[i], 1, &next));
		assert_int_equal(refused.status, 503);
		assert_true(next.arrived >= refused.answered + USEC_PER_SEC);
	}
	world_stop(w);
}

static void a_wait_of_a_week_is_cut_to_an_hour_and_ends_with_a_restart(void **state)
{
	struct world *w = *state;

	world_start(w, &strict);
	ask_to_come_back(w, ENDPOINT_CREATE, "Retry-After: 604800\n");
	world_drop(w, "file.txt", "has no week");
	world_wait_log(w, "next try in 1h");
	world_restart(w);
	world_wait_uploaded(w, "file.txt");
	world_assert_uploaded(w, "file.txt");
	world_stop(w);
}

static void a_wait_that_makes_no_sense_is_not_kept(void **state)
{
	static const char *const waits[] = {
		"Retry-After: -604800\n",
		"Retry-After: soon\n",
		"Retry-After:\n",
		"Retry-After: 0x7fffffff\n",
		"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\n",
		"X-RateLimit-Reset: -1\n",
		"X-RateLimit-Reset: 1970-01-01T00:00:00Z\n",
		"X-RateLimit-Reset: never\n",
	};
	struct world *w = *state;

	world_start(w, &strict);
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		ask_to_come_back(w, ENDPOINT_CREATE, waits[i]);
		world_drop(w, "file.txt", waits[i]);
		world_wait_uploaded(w, "file.txt");
		world_assert_uploaded(w, "file.txt");
	}
	world_stop(w);
}

/* ---- how fast ---- */

#define INTERVAL (50 * USEC_PER_MSEC)

/* When request @i can have been sent at the earliest: those of one file come after each
 * other. When one has arrived tells less, on a busy machine. */
static usec_t sent_after(struct world *w, size_t i, bool one_file, usec_t begun)
{
	struct service_request before;

	if (i == 0 || !one_file)
		return begun;
	assert_true(service_request_at(w->service, ENDPOINT_CREATE, i - 1, &before));
	return before.answered;
}

/* In no span that begins there, and ends with an arrival at the service, are there more
 * than the burst and what the rate allows, but for @more. */
static void assert_rate(struct world *w, size_t burst, size_t more, bool one_file,
			usec_t begun)
{
	size_t count = service_count(w->service, ENDPOINT_CREATE);
	struct service_request last;

	for (size_t i = 0; i < count; i++)
		for (size_t j = i + burst + more; j < count; j++) {
			usec_t least = (usec_t)(j - i - burst - more + 1) * INTERVAL;
			usec_t sent = sent_after(w, i, one_file, begun);

			assert_true(service_request_at(w->service, ENDPOINT_CREATE, j,
						       &last));
			if (last.arrived < sent + least)
				fail_msg("requests %zu to %zu came within %ju us", i, j,
					 (uintmax_t)(last.arrived - sent));
		}
}

static void drop_many(struct world *w, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "f%zu.txt", i);
		world_drop(w, name, name);
	}
	assert_true(service_wait_received(w->service, count, world_patience()));
}

static void create_asset_is_asked_no_faster_than_allowed(void **state)
{
	static const struct world_options options = {
		.api = "RequestRate=20/s\nRequestBurst=5\n",
	};
	struct world *w = *state;
	usec_t begun;

	world_start(w, &options);
	begun = clock_monotonic();
	drop_many(w, 25);
	assert_rate(w, 5, 0, false, begun);
	world_stop(w);
}

/* Who asks again with a fresh token is counted too. */
static void a_token_that_is_refused_is_no_way_around_the_rate(void **state)
{
	enum { FILES = 10 };
	static const struct world_options options = {
		.api = "RequestRate=20/s\nRequestBurst=1\n",
		.upload = "MaxConcurrent=1\n",
	};
	struct world *w = *state;
	usec_t begun;

	world_start(w, &options);
	begun = clock_monotonic();
	/* Every other request: a rule passes on what the ones before it struck. */
	for (unsigned i = 0; i < FILES; i++)
		service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
							   .skip = i,
							   .times = 1,
							   .action = FAULT_ANSWER,
							   .status = 401 });
	drop_many(w, FILES);
	assert_int_equal(service_answers(w->service, ENDPOINT_CREATE, 401), FILES);
	assert_rate(w, 1, 1, true, begun);
	world_stop(w);
}

/* ---- content URLs that lead inside ---- */

/* A world whose API is at @host, and its content URLs are at @content. */
static void start_at(struct world *w, const char *host, const char *content,
		     const char *upload)
{
	const struct world_options options = {
		.service = { .address = "0.0.0.0", .content_base = content },
		.api = "AllowInsecure=yes\n",
		.upload = upload,
		.retry = strict.retry,
		.no_agent = true,
	};
	_cleanup_free_ char *directory = NULL, *drop_in = NULL, *text = NULL;

	world_start(w, &options);
	assert_true(asprintf(&directory, "%s.d", w->config) > 0);
	assert_true(asprintf(&drop_in, "%s/host.conf", directory) > 0);
	assert_true(
		asprintf(&text,
			 "[API]\nBaseURL=http://%s:%u/conversation/conversationmgr/v3\n"
			 "[Auth]\nTokenURL=http://%s:%u/oauth/token\n",
			 host, service_port(w->service), host,
			 service_port(w->service)) > 0);
	world_mkdir(w, directory);
	world_write(w, drop_in, text);
	world_launch(w);
	world_wait_ready(w);
}

static void allow(struct world *w, const char *hosts)
{
	_cleanup_free_ char *drop_in = NULL, *text = NULL;

	assert_true(asprintf(&drop_in, "%s.d/allowed.conf", w->config) > 0);
	assert_true(asprintf(&text, "[Upload]\nAllowedHosts=%s\n", hosts) > 0);
	world_write(w, drop_in, text);
	world_restart(w);
}

#define INSIDE(host) \
	{ \
		(host), SAYS(GRANT("\"a\"", "\"http://" host "/x?signature=s3cr3t\"")), \
			"is a private address", false \
	}

static void a_public_api_can_send_no_file_to_a_private_address(void **state)
{
	static const struct hostility inside[] = {
		INSIDE("127.0.0.1"),	   INSIDE("127.1"),
		INSIDE("2130706433"),	   INSIDE("localhost"),
		INSIDE("any.localhost"),   INSIDE("0.0.0.0"),
		INSIDE(PRIVATE_HOST),	   INSIDE("172.16.0.1"),
		INSIDE("192.168.1.1"),	   INSIDE("169.254.169.254"),
		INSIDE("[::1]"),	   INSIDE("[::ffff:127.0.0.1]"),
		INSIDE("[fd00:ec2::254]"), INSIDE("[fe80::1]"),
	};
	struct world *w = *state;

	start_at(w, "api.test", "http://api.test:@PORT@", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
		endure(w, ENDPOINT_CREATE, &inside[i]);
	world_stop(w);
}

/* It is checked where it is connected to: names lead anywhere. */
static void nor_to_a_name_of_one_unless_that_is_allowed(void **state)
{
	struct world *w = *state;

	start_at(w, "api.test", "http://files.test:@PORT@", NULL);
	world_drop(w, "file.txt", "stays outside");
	world_wait_log(w, "the probe failed too");
	assert_int_equal(world_count_log(w, "The storage is away (files.test:"), 1);
	assert_int_equal(world_count_log(w, "its host is at a private address"), 1);
	/* A glob that fits is no word about this host; its name is. */
	allow(w, "*.test");
	world_wait_uploaded(w, "file.txt");
	world_assert_uploaded(w, "file.txt");
	world_stop(w);
}

static void a_private_api_may_name_private_hosts(void **state)
{
	struct world *w = *state;

	start_at(w, "files.test", "http://localhost:@PORT@", NULL);
	world_drop(w, "file.txt", "all in the house");
	world_wait_uploaded(w, "file.txt");
	world_assert_uploaded(w, "file.txt");
	world_stop(w);
}

/* ---- secrets ---- */

/* world_stop() looks for them, in the error sidecars too. */
static void what_a_refusal_repeats_of_our_secrets_is_not_written(void **state)
{
	static const struct {
		enum endpoint endpoint;
		int status;
		const char *body;
	} table[] = {
		{ ENDPOINT_CREATE, 400,
		  "{\"code\":\"400-196\",\"developerMessage\":\"no @AUTHORIZATION@\"}" },
		{ ENDPOINT_CREATE, 400,
		  "{\"code\":\"400-196\",\"userMessage\":\"no @AUTHORIZATION@\"}" },
		{ ENDPOINT_CREATE, 400,
		  "{\"details\":[{\"key\":\"a\",\"value\":\"@AUTHORIZATION@\"}]}" },
		{ ENDPOINT_CREATE, 400, "<html>Bad header: @AUTHORIZATION@</html>" },
		{ ENDPOINT_UPLOAD, 415,
		  "<Error><Code>No</Code><Message>Not at @URL@</Message></Error>" },
		{ ENDPOINT_UPLOAD, 415, "<html>Nothing like that at @URL@</html>" },
		{ ENDPOINT_UPLOAD, 503, "<html>Later at @URL@</html>" },
	};
	static const struct world_options options = { .service.kind = KIND_MIXED,
						      .retry = "InitialDelay=5ms\n" };
	struct world *w = *state;

	world_start(w, &options);
	/* With each kind of URL. */
	for (size_t i = 0; i < ARRAY_SIZE(table) * KIND_MIXED; i++) {
		char name[32];

		service_fault(w->service,
			      &(struct fault){ .endpoint = table[i / KIND_MIXED].endpoint,
					       .times = 1,
					       .action = FAULT_ANSWER,
					       .status = table[i / KIND_MIXED].status,
					       .body = table[i / KIND_MIXED].body });
		(void)snprintf(name, sizeof(name), "f%zu.txt", i);
		world_drop(w, name, name);
		if (table[i / KIND_MIXED].status / 100 == 4)
			world_wait_error_sidecar(w, name);
		else
			world_wait_uploaded(w, name);
	}
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
#define each_endpoint(table) \
	scenario(table##_answers_of_the_token_server_are_cut), \
		scenario(table##_answers_of_the_api_are_cut), \
		scenario(table##_answers_of_the_storage_are_cut)

int main(void)
{
	static const char *const addresses[] = { PUBLIC_HOST, PRIVATE_HOST, NULL };
	const struct CMUnitTest tests[] = {
		each_endpoint(endless),
		each_endpoint(dripping),
		each_endpoint(garbled),
		scenario(a_continue_that_never_comes_is_not_waited_for),
		scenario(wrong_tokens_are_not_used),
		scenario(wrong_grants_are_not_used),
		scenario(wrong_content_urls_are_not_used),
		scenario(a_url_of_a_host_that_is_not_there_is_left),
		scenario(deep_and_long_answers_do_no_harm),
		scenario(an_id_leads_nowhere),
		scenario(redirects_are_told_of_and_not_followed),
		scenario(refusals_of_the_token_server_cost_nothing),
		scenario(refusals_of_the_api_cost_nothing),
		scenario(refusals_of_the_storage_cost_nothing),
		scenario(a_conflict_after_a_body_was_under_way_means_that_it_arrived),
		scenario(a_conflict_after_a_lost_answer_means_that_it_arrived),
		scenario(a_conflict_at_a_fresh_url_does_not),
		scenario(a_conflict_told_by_a_page_does_not),
		scenario(a_conflict_after_a_refusal_does_not),
		scenario(a_wait_that_is_asked_for_is_kept),
		scenario(a_wait_of_a_week_is_cut_to_an_hour_and_ends_with_a_restart),
		scenario(a_wait_that_makes_no_sense_is_not_kept),
		scenario(create_asset_is_asked_no_faster_than_allowed),
		scenario(a_token_that_is_refused_is_no_way_around_the_rate),
		scenario(a_public_api_can_send_no_file_to_a_private_address),
		scenario(nor_to_a_name_of_one_unless_that_is_allowed),
		scenario(a_private_api_may_name_private_hosts),
		scenario(what_a_refusal_repeats_of_our_secrets_is_not_written),
	};

	world_own_network(addresses, HOSTS);
	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
