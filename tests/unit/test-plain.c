#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "plain.h"

static const struct {
	const char *text;
	size_t max;
	const char *expected;
} texts[] = {
	{ "", SIZE_MAX, "" },
	{ "Not Found", SIZE_MAX, "Not Found" },
	{ " \r\n a \t\n b\x01\x7F"
	  "c \n",
	  SIZE_MAX, "a b c" },
	{ "<html><head><title>502 Bad Gateway</title></head>\r\n"
	  "<body><center><h1>502 Bad Gateway</h1></center><hr>nginx</body></html>",
	  SIZE_MAX, "502 Bad Gateway nginx" },
	{ "<title>Gone</title><h1> Gone\n</h1><p>Gone</p><p>for good</p>", SIZE_MAX,
	  "Gone for good" },
	{ "<b>no</b> no <i>no, no</i>", SIZE_MAX, "no no, no" },
	{ "no no<b></b>", SIZE_MAX, "no no" },
	{ "<STYLE type=x>h1 { color: red }</STYLE >gone</style>a", SIZE_MAX, "a" },
	{ "<script>if (1 < 2) alert('<b>')</script>a", SIZE_MAX, "a" },
	{ "a<!-- b > c -->d", SIZE_MAX, "a d" },
	{ "a<!-- never closed", SIZE_MAX, "a" },
	{ "a<b", SIZE_MAX, "a" },
	{ "size < 5 and > 3, <3", SIZE_MAX, "size < 5 and > 3, <3" },
	{ "<", SIZE_MAX, "<" },
	{ "a &amp;lt; &lt;b&gt; &quot;&apos;&#39;&nbsp;&unknown; &", SIZE_MAX,
	  "a &lt; <b> \"'' &unknown; &" },
	{ "\xEF\xBB\xBF<?xml version=\"1.0\"?><Error>x</Error>", SIZE_MAX, "x" },
	{ "a\xFF"
	  "b\xE2\x82",
	  SIZE_MAX,
	  "a\xEF\xBF\xBD"
	  "b\xEF\xBF\xBD" },
	{ "\xC3\xA4\xC3\xB6\xC3\xBC", 2, "\xC3\xA4\xC3\xB6" },
	{ "\xF0\x9F\x90\xA6x", 1, "\xF0\x9F\x90\xA6" },
	{ "abc", 3, "abc" },
	{ "abc", 0, "" },
};

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *plain = plain_text(texts[i].text,
							strlen(texts[i].text),
							texts[i].max);

		if (!streq(plain, texts[i].expected))
			fail_msg("row %zu: '%s'", i, plain);
	}
}

static void test_ends(void **state)
{
	_cleanup_free_ char *none = plain_text(NULL, 0, 10);
	_cleanup_free_ char *nul = plain_text("ab\0cd", 5, 10);
	_cleanup_free_ char *part = plain_text("abcd", 2, 10);

	(void)state;
	assert_string_equal(none, "");
	assert_string_equal(nul, "ab");
	assert_string_equal(part, "ab");
}

static const struct {
	const char *text;
	size_t max;
	const char *expected;
} cuts[] = {
	{ "", 0, "" },
	{ "", 5, "" },
	{ "abc", 0, "" },
	{ "abc", 2, "ab" },
	{ "abc", 3, "abc" },
	{ "abc", SIZE_MAX, "abc" },
	{ "a\xC3\xA4"
	  "b",
	  1, "a" },
	{ "a\xC3\xA4"
	  "b",
	  2, "a\xC3\xA4" },
	{ "\xE2\x82\xAC\xE2\x82\xAC", 1, "\xE2\x82\xAC" },
};

static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		_cleanup_free_ char *text = strdup(cuts[i].text);

		plain_cut(text, cuts[i].max);
		if (!streq(text, cuts[i].expected))
			fail_msg("row %zu: '%s'", i, text);
	}
}

static void test_page(void **state)
{
	static const char *const pages[] = {
		"<html>",
		"<HTML lang=en>\n<h1>No</h1>",
		"\xEF\xBB\xBF \r\n<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">",
		"<!-- a proxy's mark -->\n<!-- <x> -->\n<!doctype html><title>No</title>",
	};
	static const char *const others[] = {
		"",
		" ",
		"<",
		"<!--",
		"<!-- no end <html>",
		"<!-- --",
		"<?xml version=\"1.0\"?><Error><Code>BlobAlreadyExists</Code></Error>",
		"<Error>",
		"<!DOCTYPE Error>",
		"{\"page\":\"<html>\"}",
		"not <html>",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (!plain_is_page(pages[i]))
			fail_msg("page %zu", i);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (plain_is_page(others[i]))
			fail_msg("no page %zu", i);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
