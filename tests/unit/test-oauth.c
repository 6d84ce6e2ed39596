#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "oauth.h"

#define UNCHANGED ((char *)"unchanged")
#define OPAQUE	  "zQ4x7Wq9LmN2pRtK8vYc"

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

static const struct {
	const char *id, *secret, *scope;
	const char *expected;
} requests[] = {
	{ "id", "secret", "a.b c.d",
	  "grant_type=client_credentials&client_id=id&client_secret=secret&scope=a.b+c.d" },
	{ "id", "secret", NULL,
	  "grant_type=client_credentials&client_id=id&client_secret=secret" },
	{ "", "", "", "grant_type=client_credentials&client_id=&client_secret=&scope=" },
	{ "a&b=c", "%+/~-._*", "\xC3\xA4\n",
	  "grant_type=client_credentials&client_id=a%26b%3Dc"
	  "&client_secret=%25%2B%2F%7E-._*&scope=%C3%A4%0A" },
};

static void test_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		_cleanup_free_ char *text = oauth_request_format(requests[i].id,
								 requests[i].secret,
								 requests[i].scope);

		assert_string_equal(text, requests[i].expected);
	}
}

#define BEARER(members) "{\"access_token\":\"abc\",\"token_type\":\"Bearer\"" members "}"

static const struct {
	const char *text;
	const char *token;
	usec_t lifetime;
} tokens[] = {
	{ BEARER(""), "abc", USEC_INFINITY },
	{ BEARER(",\"expires_in\":3600"), "abc", 3600 * USEC_PER_SEC },
	{ BEARER(",\"expires_in\":\"3600\""), "abc", 3600 * USEC_PER_SEC },
	{ BEARER(",\"expires_in\":3599.9"), "abc", 3599 * USEC_PER_SEC },
	{ BEARER(",\"expires_in\":0"), "abc", 0 },
	{ BEARER(",\"expires_in\":null"), "abc", USEC_INFINITY },
	{ BEARER(",\"expires_in\":18446744073708"), "abc",
	  UINT64_C(18446744073708) * USEC_PER_SEC },
	{ BEARER(",\"scope\":\"a b\",\"ext\":{\"x\":[1]}"), "abc", USEC_INFINITY },
	{ "\n{\"token_type\":\"bEARER\",\"access_token\":\"!~.-_+/=\"}\n",
	  "!~.-_+/=", USEC_INFINITY },
};

static void test_token(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		struct oauth_token token;
		const char *reason = UNCHANGED;
		int r = oauth_token_parse(tokens[i].text, strlen(tokens[i].text), &token,
					  &reason);

		if (r != 0)
			fail_msg("row %zu: %s", i, reason);
		assert_string_equal(token.access_token, tokens[i].token);
		assert_int_equal(token.lifetime, tokens[i].lifetime);
		assert_ptr_equal(reason, UNCHANGED);
		oauth_token_done(&token);
		assert_null(token.access_token);
	}
}

static const struct {
	const char *text;
	const char *reason; /* a part of it */
} refused[] = {
	{ "", "JSON" },
	{ "token", "JSON" },
	{ "access_token=abc&token_type=bearer", "JSON" },
	{ "[]", "JSON" },
	{ BEARER("") "x", "JSON" },
	{ BEARER(",\"x\":\"\xFF\""), "JSON" },
	{ "{}", "access_token" },
	{ "{\"token_type\":\"Bearer\"}", "access_token" },
	{ "{\"access_token\":null,\"token_type\":\"Bearer\"}", "access_token" },
	{ "{\"access_token\":5,\"token_type\":\"Bearer\"}", "access_token" },
	{ "{\"access_token\":\"a\\u0000b\",\"token_type\":\"Bearer\"}", "access_token" },
	{ "{\"access_token\":\"abc\"}", "token_type" },
	{ "{\"access_token\":\"abc\",\"token_type\":\"mac\"}", "token_type" },
	{ "{\"access_token\":\"abc\",\"token_type\":\"Bearer \"}", "token_type" },
	{ "{\"access_token\":\"abc\",\"token_type\":true}", "token_type" },
	{ "{\"access_token\":\"\",\"token_type\":\"Bearer\"}", "empty" },
	{ "{\"access_token\":\"a b\",\"token_type\":\"Bearer\"}", "characters" },
	{ "{\"access_token\":\"a\\r\\nX: y\",\"token_type\":\"Bearer\"}", "characters" },
	{ "{\"access_token\":\"\xC3\xA4\",\"token_type\":\"Bearer\"}", "characters" },
	{ "{\"access_token\":\"a\\u007f\",\"token_type\":\"Bearer\"}", "characters" },
	{ BEARER(",\"expires_in\":-1"), "expires_in" },
	{ BEARER(",\"expires_in\":-0.5"), "expires_in" },
	{ BEARER(",\"expires_in\":\"\""), "expires_in" },
	{ BEARER(",\"expires_in\":\"-5\""), "expires_in" },
	{ BEARER(",\"expires_in\":\"1h\""), "expires_in" },
	{ BEARER(",\"expires_in\":\"3600.0\""), "expires_in" },
	{ BEARER(",\"expires_in\":true"), "expires_in" },
	{ BEARER(",\"expires_in\":[3600]"), "expires_in" },
	{ BEARER(",\"expires_in\":18446744073709"), "expires_in" },
	{ BEARER(",\"expires_in\":18446744073709551616"), "expires_in" },
	{ BEARER(",\"expires_in\":\"99999999999999999999\""), "expires_in" },
	{ BEARER(",\"expires_in\":1e300"), "expires_in" },
	{ BEARER(",\"expires_in\":1e999"), "expires_in" },
	{ BEARER(",\"expires_in\":NaN"), "expires_in" },
};

typedef int (*parse_fn)(const char *text, size_t length, struct oauth_token *ret,
			const char **ret_reason);

static void check_refused(parse_fn parse, const char *text, size_t length,
			  const char *part)
{
	struct oauth_token token = { .access_token = UNCHANGED };
	const char *reason = NULL;

	if (parse(text, length, &token, &reason) != -EBADMSG)
		fail_msg("taken: %.*s", (int)MIN(length, 200U), text);
	assert_ptr_equal(token.access_token, UNCHANGED);
	assert_non_null(reason);
	if (!strstr(reason, part))
		fail_msg("%s: %s", text, reason);
}

static void test_token_refused(void **state)
{
	static const char whole[] = BEARER(",\"expires_in\":3600");
	_cleanup_free_ char *deep = repeat("{\"access_token\":", "{\"a\":", 50000, "");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		check_refused(oauth_token_parse, refused[i].text, strlen(refused[i].text),
			      refused[i].reason);
	for (size_t n = 0; n < STRLEN(whole); n++)
		check_refused(oauth_token_parse, whole, n, "JSON");
	check_refused(oauth_token_parse, deep, strlen(deep), "JSON");
}

static void test_token_bounds(void **state)
{
	static const struct {
		parse_fn parse;
		const char *before, *after;
	} rows[] = {
		{ oauth_token_parse, "{\"token_type\":\"Bearer\",\"access_token\":\"",
		  "\"}" },
		{ oauth_token_file_parse, "", "\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *fits = repeat(rows[i].before, "x", OAUTH_TOKEN_MAX,
						   rows[i].after);
		_cleanup_free_ char *above = repeat(rows[i].before, "x",
						    OAUTH_TOKEN_MAX + 1, rows[i].after);
		struct oauth_token token;
		const char *reason;

		assert_int_equal(rows[i].parse(fits, strlen(fits), &token, &reason), 0);
		assert_int_equal(strlen(token.access_token), OAUTH_TOKEN_MAX);
		oauth_token_done(&token);
		check_refused(rows[i].parse, above, strlen(above), "long");
	}
}

static const struct {
	const char *text;
	const char *token;  /* NULL: refused */
	const char *reason; /* then, a part of it */
} files[] = {
	{ "abc", "abc", NULL },
	{ "abc\n", "abc", NULL },
	{ " \tabc \r\n", "abc", NULL },
	{ "abc\nsecond line\n", "abc", NULL },
	{ "", NULL, "empty" },
	{ "\n", NULL, "empty" },
	{ "\nabc\n", NULL, "empty" },
	{ " \r\n", NULL, "empty" },
	{ "Bearer abc\n", NULL, "characters" },
	{ "\xEF\xBB\xBF"
	  "abc",
	  NULL, "characters" },
	{ "a\x01", NULL, "characters" },
};

static void test_token_file(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct oauth_token token;
		const char *reason = NULL;

		if (!files[i].token) {
			check_refused(oauth_token_file_parse, files[i].text,
				      strlen(files[i].text), files[i].reason);
			continue;
		}
		assert_int_equal(oauth_token_file_parse(files[i].text,
							strlen(files[i].text), &token,
							&reason),
				 0);
		assert_string_equal(token.access_token, files[i].token);
		assert_int_equal(token.lifetime, USEC_INFINITY);
		oauth_token_done(&token);
	}
	check_refused(oauth_token_file_parse, "a\0b", 3, "characters");
	check_refused(oauth_token_file_parse, NULL, 0, "empty");
}

static const struct {
	const char *text;
	const char *expected;
} errors[] = {
	{ "", "" },
	{ "{\"error\":\"invalid_client\",\"error_description\":\"bad secret\"}",
	  "invalid_client: bad secret" },
	{ "{\"error\":\"unauthorized_client\",\"error_uri\":\"https://h/\"}",
	  "unauthorized_client" },
	{ "{\"error\":\"invalid_scope\",\"error_description\":5}", "invalid_scope" },
	{ "{\"error\":\"e\",\"error_description\":\"two\\r\\nlines\"}", "e: two lines" },
	{ "{\"error\":{\"code\":5}}", "{\"error\":{\"code\":5}}" },
	{ "{\"code\":\"401-104\"}", "{\"code\":\"401-104\"}" },
	{ "<html><title>503</title><body><h1>Service &amp; co</h1></body></html>",
	  "503 Service & co" },
	{ "bad \xFF byte", "bad \xEF\xBF\xBD byte" },
	/* by its label */
	{ "{\"access_token\":\"abc\",\"x\":1}", "{\"access_token\":\"***\",\"x\":1}" },
	{ "{\"x\":\"{\\\"id_token\\\":\\\"abcd\\\"}\"}",
	  "{\"x\":\"{\\\"id_token\\\":\\\"***\\\"}\"}" },
	{ "grant_type=x&client_secret=hunter2&Password: ab",
	  "grant_type=x&client_secret=***&Password: **" },
	{ "Invalid client_secret provided", "Invalid client_secret provided" },
	/* by its looks */
	{ "{\"error\":\"e\",\"error_description\":\"token " OPAQUE " is old\"}",
	  "e: token *** is old" },
	{ "{\"error\":\"" OPAQUE "\"}", "***" },
	{ "Bearer eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln!", "Bearer ***!" },
	{ "a%2Bb%2F" OPAQUE "%3D", "***" },
	{ "<b>" OPAQUE "</b>", "***" },
	{ "id 3f2504e0-4f89-11d3-9a0c-0305e82c3301.", "id ***" },
	{ "the_quick_brown_fox_jumps", "the_quick_brown_fox_jumps" },
};

static void test_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		_cleanup_free_ char *text = oauth_error_format(errors[i].text,
							       strlen(errors[i].text),
							       NULL);

		if (!streq(text, errors[i].expected))
			fail_msg("row %zu: %s", i, text);
	}
}

static void test_error_ends(void **state)
{
	_cleanup_free_ char *none = oauth_error_format(NULL, 0, NULL);
	_cleanup_free_ char *nul = oauth_error_format("ab\0cd", 5, NULL);
	_cleanup_free_ char *page = repeat("", "\xE2\x82\xAC ", 5000, "");
	_cleanup_free_ char *cut = oauth_error_format(page, strlen(page), NULL);

	(void)state;
	assert_string_equal(none, "");
	assert_string_equal(nul, "ab");
	assert_int_equal(strlen(cut), 100 * 3 + 100);
}

/* Wherever a token stands, and wherever the text is cut: no half of it is shown. */
static void test_error_hides(void **state)
{
	static const struct {
		const char *before, *after;
	} forms[] = {
		{ "", "" },
		{ "{\"error\":\"e\",\"error_description\":\"", "\"}" },
		{ "{\"error\":\"", "\"}" },
		{ "{\"access_token\":\"", "" },
		{ "<p>", "</p>" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		for (size_t n = 0; n < 1100; n++) {
			_cleanup_free_ char *padding = repeat(forms[i].before, " -", n,
							      " ");
			_cleanup_free_ char *text = repeat(padding, OPAQUE, 1,
							   forms[i].after);
			_cleanup_free_ char *shown = oauth_error_format(text,
									strlen(text),
									NULL);

			assert_null(strstr(shown, "zQ4"));
			assert_null(strstr(shown, "vYc"));
		}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),	      cmocka_unit_test(test_token),
		cmocka_unit_test(test_token_refused), cmocka_unit_test(test_token_bounds),
		cmocka_unit_test(test_token_file),    cmocka_unit_test(test_error),
		cmocka_unit_test(test_error_ends),    cmocka_unit_test(test_error_hides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
