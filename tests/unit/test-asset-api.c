#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "asset-api.h"
#include "json.h"
#include "macro.h"

#define UNCHANGED ((char *)"unchanged")

/* @count times @unit, between @before and @after. */
static char *repeat(const char *before, const char *unit, size_t count, const char *after)
{
	char *text = malloc(strlen(before) + count * strlen(unit) + strlen(after) + 1);
	char *out = stpcpy(text, before);

	while (count--)
		out = stpcpy(out, unit);
	stpcpy(out, after);
	return text;
}

static size_t characters(const char *utf8)
{
	size_t n = 0;

	for (; *utf8; utf8++)
		n += ((unsigned char)*utf8 & 0xC0) != 0x80;
	return n;
}

static const struct {
	struct asset_request request;
	const char *expected;
} requests[] = {
	{ { "sms", "customer", "bird.jpg", 17245 },
	  "{\"channel\":{\"type\":\"sms\"},\"sender\":{\"type\":\"customer\"},"
	  "\"name\":\"bird.jpg\",\"size\":17245}" },
	{ { "custom.teams", "custom_bot", "a \"b\"\\\n.txt", 0 },
	  "{\"channel\":{\"type\":\"custom.teams\"},\"sender\":{\"type\":\"custom_bot\"},"
	  "\"name\":\"a \\\"b\\\"\\\\\\n.txt\",\"size\":0}" },
	{ { "sms", "customer", "\xC3\xA4\xFF\x80.jpg", UINT64_MAX },
	  "{\"channel\":{\"type\":\"sms\"},\"sender\":{\"type\":\"customer\"},"
	  "\"name\":\"\xC3\xA4\xEF\xBF\xBD\xEF\xBF\xBD.jpg\","
	  "\"size\":18446744073709551615}" },
};

static void test_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		_cleanup_free_ char *text = asset_request_format(&requests[i].request);

		assert_string_equal(text, requests[i].expected);
	}
}

#define EXPIRY_2020 UINT64_C(1597115961070000)

/* With its whole answer: { id, contentUrl, contentUrlExpiry }. */
static const struct {
	const char *text;
	const char *id, *url;
	usec_t expires;
} grants[] = {
	{ "{\"id\":\"a1\",\"contentUrl\":\"https://h/p?s=1\","
	  "\"contentUrlExpiry\":\"2020-08-11T03:19:21.070Z\"}",
	  "a1", "https://h/p?s=1", EXPIRY_2020 },
	{ "\r\n{\"extra\":[{}],\"contentUrlExpiry\":\"2020-08-11T05:19:21.07+02:00\","
	  "\"contentUrl\":\"u\",\"id\":\"\\u00e4\"}\n",
	  "\xC3\xA4", "u", EXPIRY_2020 },
	{ "{\"id\":\"a1\",\"contentUrl\":\"u\"}", "a1", "u", 0 },
	{ "{\"id\":\"a1\",\"contentUrl\":\"u\",\"contentUrlExpiry\":null}", "a1", "u",
	  0 },
};

static void test_grant(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(grants); i++) {
		struct asset_grant grant;
		const char *reason = UNCHANGED;

		assert_int_equal(asset_grant_parse(grants[i].text, strlen(grants[i].text),
						   &grant, &reason),
				 0);
		assert_string_equal(grant.id, grants[i].id);
		assert_string_equal(grant.content_url, grants[i].url);
		assert_int_equal(grant.expires, grants[i].expires);
		assert_ptr_equal(reason, UNCHANGED);
		asset_grant_done(&grant);
		assert_null(grant.id);
	}
}

static const struct {
	const char *text;
	const char *reason; /* a part of it */
} refused[] = {
	{ "", "JSON" },
	{ "null", "JSON" },
	{ "[]", "JSON" },
	{ "<html>", "JSON" },
	{ "{\"id\":\"a\",\"contentUrl\":\"u\"} trailing", "JSON" },
	{ "{\"id\":\"\xFF\",\"contentUrl\":\"u\"}", "JSON" },
	{ "{}", " id" },
	{ "{\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":null,\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":\"\",\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":17,\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":{},\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":\"a\\nb\",\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":\"a\\u007fb\",\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":\"a\\u0080b\",\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":\"a\\u009f\",\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":\"a\\u0000b\",\"contentUrl\":\"u\"}", " id" },
	{ "{\"id\":\"a\"}", "contentUrl" },
	{ "{\"id\":\"a\",\"contentURL\":\"u\"}", "contentUrl" },
	{ "{\"id\":\"a\",\"contentUrl\":null}", "contentUrl" },
	{ "{\"id\":\"a\",\"contentUrl\":\"\"}", "contentUrl" },
	{ "{\"id\":\"a\",\"contentUrl\":[\"u\"]}", "contentUrl" },
	{ "{\"id\":\"a\",\"contentUrl\":\"u\\u0000\"}", "contentUrl" },
	{ "{\"id\":\"a\",\"contentUrl\":\"u\",\"contentUrlExpiry\":\"\"}", "Expiry" },
	{ "{\"id\":\"a\",\"contentUrl\":\"u\",\"contentUrlExpiry\":\"soon\"}", "Expiry" },
	{ "{\"id\":\"a\",\"contentUrl\":\"u\","
	  "\"contentUrlExpiry\":\"@9223372036854775807Z\"}",
	  "Expiry" },
	{ "{\"id\":\"a\",\"contentUrl\":\"u\",\"contentUrlExpiry\":1597115961}",
	  "Expiry" },
	{ "{\"id\":\"a\",\"contentUrl\":\"u\","
	  "\"contentUrlExpiry\":\"2020-02-30T00:00:00Z\"}",
	  "Expiry" },
	{ "{\"id\":\"a\",\"contentUrl\":\"u\","
	  "\"contentUrlExpiry\":\"2020-08-11T03:19:21Z\\u0000\"}",
	  "Expiry" },
};

static void check_refused(const char *text, size_t length, const char *part)
{
	struct asset_grant grant = { .id = UNCHANGED };
	const char *reason = NULL;

	if (asset_grant_parse(text, length, &grant, &reason) != -EBADMSG)
		fail_msg("taken: %.*s", (int)MIN(length, 200U), text);
	assert_ptr_equal(grant.id, UNCHANGED);
	assert_non_null(reason);
	assert_non_null(strstr(reason, part));
}

static void test_grant_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		check_refused(refused[i].text, strlen(refused[i].text),
			      refused[i].reason);
	for (size_t n = 0; n < strlen(grants[0].text); n++)
		check_refused(grants[0].text, n, "JSON");
}

static void test_grant_bounds(void **state)
{
	static const struct {
		const char *before, *after;
		size_t max;
		const char *reason;
	} rows[] = {
		{ "{\"contentUrl\":\"u\",\"id\":\"", "\"}", ASSET_ID_MAX, " id" },
		{ "{\"id\":\"a\",\"contentUrl\":\"", "\"}", ASSET_URL_MAX, "contentUrl" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *fits = repeat(rows[i].before, "x", rows[i].max,
						   rows[i].after);
		_cleanup_free_ char *above = repeat(rows[i].before, "x", rows[i].max + 1,
						    rows[i].after);
		_cleanup_free_ char *far = repeat(rows[i].before, "x", 102400,
						  rows[i].after);
		struct asset_grant grant;
		const char *reason;

		assert_int_equal(asset_grant_parse(fits, strlen(fits), &grant, &reason),
				 0);
		asset_grant_done(&grant);
		check_refused(above, strlen(above), rows[i].reason);
		check_refused(far, strlen(far), rows[i].reason);
	}
}

static void test_grant_deep(void **state)
{
	_cleanup_free_ char *deep = repeat("{\"id\":", "[", 100000, "");

	(void)state;
	check_refused(deep, strlen(deep), "JSON");
}

struct expected_error {
	const char *code, *developer_message, *user_message, *details;
	bool page;
};

static const struct {
	const char *text;
	struct expected_error expected;
} errors[] = {
	{ "", {} },
	{ " \r\n ", {} },
	/* the API's own */
	{ "{\"code\":\"400-196\",\"developerMessage\":\"Invalid value of attribute\","
	  "\"details\":[{\"key\":\"sender.type\",\"value\":\"robot\"}],"
	  "\"userMessage\":\"Sorry\"}",
	  { "400-196", "Invalid value of attribute", "Sorry",
	    "[{\"key\":\"sender.type\",\"value\":\"robot\"}]", false } },
	{ "{\"code\":\"429-001\"}", { .code = "429-001" } },
	{ "{\"code\":null,\"developerMessage\":\"m\"}", { .developer_message = "m" } },
	{ "{\"code\":\"E-1\",\"developerMessage\":\"m\"}", { .developer_message = "m" } },
	{ "{\"code\":\"400\",\"developerMessage\":\"m\"}", { .developer_message = "m" } },
	{ "{\"code\":\"400-\",\"developerMessage\":\"m\"}",
	  { .developer_message = "m" } },
	{ "{\"code\":\"-1\",\"developerMessage\":\"m\"}", { .developer_message = "m" } },
	{ "{\"code\":\"1-2 \",\"developerMessage\":\"m\"}",
	  { .developer_message = "m" } },
	{ "{\"code\":400,\"developerMessage\":\"m\"}", { .developer_message = "m" } },
	{ "{\"code\":\"1-2\",\"developerMessage\":7,\"userMessage\":[],\"details\":{}}",
	  { .code = "1-2" } },
	{ "{\"code\":\"1-2\",\"developerMessage\":\"\",\"details\":[]}",
	  { .code = "1-2" } },
	{ "{\"code\":\"1-2\",\"developerMessage\":\"a\\u0000b\"}", { .code = "1-2" } },
	{ "{\"code\":\"1-2\",\"details\":[null,1,\"x\",[],{},{\"key\":5},{\"other\":\"x\"},"
	  "{\"key\":\"k\"},{\"value\":\"v\"},{\"key\":\"k\",\"value\":null,\"z\":1}]}",
	  { .code = "1-2",
	    .details = "[{\"key\":\"k\"},{\"value\":\"v\"},{\"key\":\"k\"}]" } },
	{ "{\"developerMessage\":\"bad \xFF byte\"}",
	  { .developer_message = "bad \xEF\xBF\xBD byte" } },
	/* somebody else's JSON */
	{ "{\"message\":\"Forbidden\"}",
	  { .developer_message = "{\"message\":\"Forbidden\"}" } },
	{ "{}", { .developer_message = "{}" } },
	{ "[1]", { .developer_message = "[1]" } },
	/* the stores' XML */
	{ "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code>"
	  "<Message>Request has expired</Message><HostId>x</HostId></Error>",
	  { .code = "AccessDenied", .developer_message = "Request has expired" } },
	{ "\xEF\xBB\xBF<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code>"
	  "<Message>Server failed.\nRequestId:1&amp;2\r\nTime:now</Message></Error>",
	  { .code = "AuthenticationFailed",
	    .developer_message = "Server failed. RequestId:1&2 Time:now" } },
	{ "<Error><Code>Expired Token!</Code><Message>m</Message></Error>",
	  { .developer_message = "m" } },
	{ "<Error><Code>SlowDown</Code></Error>",
	  { .code = "SlowDown", .developer_message = "SlowDown" } },
	{ "<Error><Code>SlowDown</Code><Message> </Message></Error>",
	  { .code = "SlowDown", .developer_message = "SlowDown" } },
	{ "<Error><Code>SlowDown</Code><Message>cut off",
	  { .code = "SlowDown", .developer_message = "SlowDown cut off" } },
	{ "<Error><Code></Code></Error>", {} },
	/* a gateway's page */
	{ "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
	  "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
	  { .developer_message = "502 Bad Gateway", .page = true } },
	{ "<!DOCTYPE html>", { .page = true } },
	{ "{\"code\":\"1-2\",\"developerMessage\":\"<html>\"}",
	  { .code = "1-2", .developer_message = "<html>" } },
	{ "upstream connect error", { .developer_message = "upstream connect error" } },
};

static void check_error(const struct asset_error *error,
			const struct expected_error *expected, size_t row)
{
	if (!streq(error->code, expected->code))
		fail_msg("row %zu: code %s", row, error->code);
	if (!streq(error->developer_message, expected->developer_message))
		fail_msg("row %zu: developer message %s", row, error->developer_message);
	if (!streq(error->user_message, expected->user_message))
		fail_msg("row %zu: user message %s", row, error->user_message);
	if (!streq(error->details, expected->details))
		fail_msg("row %zu: details %s", row, error->details);
	if (error->page != expected->page)
		fail_msg("row %zu: page %d", row, error->page);
}

static void test_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct asset_error error;

		assert_int_equal(asset_error_parse(errors[i].text, strlen(errors[i].text),
						   &error),
				 0);
		check_error(&error, &errors[i].expected, i);
		asset_error_done(&error);
		assert_null(error.code);
	}
}

static void test_error_ends(void **state)
{
	struct asset_error error;

	(void)state;
	assert_int_equal(asset_error_parse(NULL, 0, &error), 0);
	check_error(&error, &(struct expected_error){}, 0);
	assert_int_equal(asset_error_parse("\0binary", 7, &error), 0);
	check_error(&error, &(struct expected_error){}, 1);
	assert_int_equal(asset_error_parse("text\0binary", 11, &error), 0);
	check_error(&error, &(struct expected_error){ .developer_message = "text" }, 2);
	asset_error_done(&error);
}

/* Whatever is cut off, an error is made of the rest. */
static void test_error_prefixes(void **state)
{
	static const char text[] = "{\"code\":\"400-196\",\"developerMessage\":\"no\","
				   "\"details\":[{\"key\":\"k\",\"value\":\"v\"}]}";

	(void)state;
	for (size_t n = 1; n < STRLEN(text); n++) {
		_cleanup_free_ char *torn = strndup(text, n);
		struct asset_error error;

		assert_int_equal(asset_error_parse(torn, n, &error), 0);
		check_error(&error, &(struct expected_error){ .developer_message = torn },
			    n);
		asset_error_done(&error);
	}
}

/* Each bound, met by characters of three bytes, so that a cut in bytes would show. */
static const struct {
	const char *before, *after;
	size_t member;
	size_t max;
} bounds[] = {
	{ "{\"developerMessage\":\"", "\"}",
	  offsetof(struct asset_error, developer_message), ASSET_DEVELOPER_MESSAGE_MAX },
	{ "{\"userMessage\":\"", "\"}", offsetof(struct asset_error, user_message),
	  ASSET_USER_MESSAGE_MAX },
	{ "<Message>", "</Message>", offsetof(struct asset_error, developer_message),
	  ASSET_DEVELOPER_MESSAGE_MAX },
	{ "", "", offsetof(struct asset_error, developer_message), 200 },
};

static void test_error_bounds(void **state)
{
	static const int around[] = { -1, 0, 1, 10000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
		for (size_t j = 0; j < ARRAY_SIZE(around); j++) {
			size_t count = bounds[i].max + (size_t)around[j];
			_cleanup_free_ char *text = repeat(bounds[i].before,
							   "\xE2\x82\xAC", count,
							   bounds[i].after);
			struct asset_error error;
			char *member;

			assert_int_equal(asset_error_parse(text, strlen(text), &error),
					 0);
			memcpy(&member, (char *)&error + bounds[i].member,
			       sizeof(member));
			assert_non_null(member);
			assert_int_equal(characters(member), MIN(count, bounds[i].max));
			assert_int_equal(strlen(member), 3 * characters(member));
			asset_error_done(&error);
		}
}

static void test_code_bounds(void **state)
{
	static const struct {
		const char *before, *unit, *after;
		size_t fixed; /* bytes of the code besides the units */
	} rows[] = {
		{ "{\"userMessage\":\"u\",\"code\":\"4-", "1", "\"}", 2 },
		{ "<Code>", "x", "</Code>", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t extra = 0; extra <= 1; extra++) {
			_cleanup_free_ char *text = repeat(rows[i].before, rows[i].unit,
							   ASSET_CODE_MAX -
								   rows[i].fixed + extra,
							   rows[i].after);
			struct asset_error error;

			assert_int_equal(asset_error_parse(text, strlen(text), &error),
					 0);
			assert_int_equal(error.code != NULL, extra == 0);
			if (error.code)
				assert_int_equal(strlen(error.code), ASSET_CODE_MAX);
			asset_error_done(&error);
		}
}

static void test_details_bounds(void **state)
{
	_cleanup_free_ char *key = repeat("", "\xC3\xA4", 300, "");
	_cleanup_free_ char *item = repeat("{\"value\":\"v\",\"key\":\"", key, 1, "\"},");
	_cleanup_free_ char *text = repeat("{\"details\":[", item, 40, "null]}");
	_cleanup_(json_putp) struct json_object *details = NULL;
	struct asset_error error;
	const char *cut = NULL;

	(void)state;
	assert_int_equal(asset_error_parse(text, strlen(text), &error), 0);
	assert_int_equal(json_parse(error.details, strlen(error.details), json_type_array,
				    &details),
			 0);
	asset_error_done(&error);
	assert_int_equal(json_object_array_length(details), ASSET_DETAILS_MAX);
	assert_int_equal(
		json_get_string(json_object_array_get_idx(details, 29), "key", &cut), 1);
	assert_int_equal(characters(cut), ASSET_DETAIL_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_grant),
		cmocka_unit_test(test_grant_refused),
		cmocka_unit_test(test_grant_bounds),
		cmocka_unit_test(test_grant_deep),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_error_ends),
		cmocka_unit_test(test_error_prefixes),
		cmocka_unit_test(test_error_bounds),
		cmocka_unit_test(test_code_bounds),
		cmocka_unit_test(test_details_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
