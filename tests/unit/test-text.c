#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "text.h"

#define FFFD "\xEF\xBF\xBD"

struct text {
	const char *bytes;
	size_t length;
	const char *expected;
};

#define CASE(bytes, expected) \
	{ \
		(bytes), sizeof(bytes) - 1, (expected) \
	}

static void check(const struct text *table, size_t count,
		  char *(*convert)(const char *bytes, size_t length))
{
	for (size_t i = 0; i < count; i++) {
		/* A copy of just that size, so that a sanitizer sees what is read past
		 * it. */
		_cleanup_free_ char *bytes = malloc(table[i].length + !table[i].length);
		_cleanup_free_ char *text = NULL;

		assert_non_null(bytes);
		memcpy(bytes, table[i].bytes, table[i].length);
		text = convert(bytes, table[i].length);
		assert_string_equal(text, table[i].expected);
		if (convert == text_to_utf8)
			assert_int_equal(text_is_utf8(bytes, table[i].length),
					 memcmp(bytes, text, table[i].length) == 0);
	}
}

static void test_join(void **state)
{
	_cleanup_free_ char *none = text_join(NULL), *one = text_join("a"),
			    *all = text_join("", "http", NULL, "://", NULL, "h");

	(void)state;
	assert_string_equal(none, "");
	assert_string_equal(one, "a");
	assert_string_equal(all, "http://h");
}

static void test_number(void **state)
{
	char number[TEXT_NUMBER_MAX];

	(void)state;
	assert_string_equal(text_number(number, 0), "0");
	assert_string_equal(text_number(number, 1090), "1090");
	assert_string_equal(text_number(number, UINT64_MAX), "18446744073709551615");
}

static void test_to_utf8(void **state)
{
	static const struct text table[] = {
		CASE("", ""),
		CASE("plain", "plain"),
		CASE("\n\x7F", "\n\x7F"),
		CASE("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x90\xA6",
		     "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x90\xA6"),
		/* The lowest and highest of each length. */
		CASE("\xC2\x80\xDF\xBF", "\xC2\x80\xDF\xBF"),
		CASE("\xE0\xA0\x80\xEF\xBF\xBF", "\xE0\xA0\x80\xEF\xBF\xBF"),
		CASE("\xED\x9F\xBF\xEE\x80\x80", "\xED\x9F\xBF\xEE\x80\x80"),
		CASE("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF",
		     "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"),
		CASE("a\xFF"
		     "b",
		     "a" FFFD "b"),
		CASE("\x80", FFFD),
		CASE("\xE4", FFFD),
		CASE("\xE4\xF6\xFC", FFFD FFFD FFFD),
		/* Tables 3-8 to 3-11 of Unicode 15. */
		CASE("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41",
		     FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A"),
		CASE("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41",
		     FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A"),
		CASE("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42",
		     FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B"),
		CASE("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", FFFD FFFD FFFD FFFD "A"),
	};

	(void)state;
	check(table, ARRAY_SIZE(table), text_to_utf8);
}

static void test_escape(void **state)
{
	static const struct text table[] = {
		CASE("", ""),
		CASE("bird.jpg", "bird.jpg"),
		CASE("\xC3\xA4\xF0\x9F\x90\xA6 x", "\xC3\xA4\xF0\x9F\x90\xA6 x"),
		CASE("a\nb\tc\rd\\e", "a\\nb\\tc\\rd\\\\e"),
		CASE("\x1B[31m", "\\x1B[31m"),
		CASE("\0\x01\x1F\x7F", "\\x00\\x01\\x1F\\x7F"),
		CASE("\xC2\x80\xC2\x9F\xC2\xA0", "\\xC2\\x80\\xC2\\x9F\xC2\xA0"),
		CASE("\xFF\xE2\x82", "\\xFF\\xE2\\x82"),
		CASE("\xE2\x80\xA8\xE2\x80\xA9", "\\xE2\\x80\\xA8\\xE2\\x80\\xA9"),
		CASE("\xE2\x80\xAA\xE2\x80\xAE\xE2\x80\xAC\xE2\x80\xAC",
		     "\\xE2\\x80\\xAA\\xE2\\x80\\xAE\\xE2\\x80\\xAC\\xE2\\x80\\xAC"),
		CASE("\xE2\x81\xA6\xE2\x81\xA9", "\\xE2\\x81\\xA6\\xE2\\x81\\xA9"),
		CASE("\xE2\x80\x8E\xE2\x80\x8F\xD8\x9C",
		     "\\xE2\\x80\\x8E\\xE2\\x80\\x8F\\xD8\\x9C"),
		/* Their neighbours are harmless. */
		CASE("\xE2\x80\x8D\xE2\x80\xA7\xE2\x80\xAF\xE2\x81\xA5\xE2\x81\xAA",
		     "\xE2\x80\x8D\xE2\x80\xA7\xE2\x80\xAF\xE2\x81\xA5\xE2\x81\xAA"),
	};

	(void)state;
	check(table, ARRAY_SIZE(table), text_escape);
}

/* A small generator of its own: the same bytes in each run. */
static uint32_t draw(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

static void fill(char *bytes, size_t length, uint32_t *seed)
{
	static const unsigned char likely[] = {
		0x00, 0x1B, 0x41, 0x5C, 0x80, 0xA8, 0xBF,
		0xC2, 0xE0, 0xE2, 0xED, 0xF0, 0xF4, 0xFF
	};

	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)(draw(seed) % 4 ? likely[draw(seed) % sizeof(likely)]
						 : draw(seed));
}

/* What is valid stays; so the second time nothing is left to replace. */
static void test_to_utf8_is_idempotent(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char bytes[16];
		_cleanup_free_ char *once = NULL, *twice = NULL;

		fill(bytes, sizeof(bytes), &seed);
		once = text_to_utf8(bytes, sizeof(bytes));
		/* A NUL stays one: the length counts, not strlen(). */
		twice = text_to_utf8(once, strlen(once));
		assert_string_equal(once, twice);
	}
}

/* Escaped text is one line of valid UTF-8 without a control character, and tells all. */
static void test_escape_is_safe(void **state)
{
	uint32_t seed = 2;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char bytes[16];
		_cleanup_free_ char *text = NULL, *valid = NULL;

		fill(bytes, sizeof(bytes), &seed);
		text = text_escape(bytes, sizeof(bytes));
		valid = text_to_utf8(text, strlen(text));
		assert_string_equal(text, valid);
		assert_true(strlen(text) >= sizeof(bytes));
		for (const char *p = text; *p; p++)
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7F);
	}
}

static void test_hide(void **state)
{
	static const struct {
		const char *text, *secret, *expected;
	} rows[] = {
		{ "", "s3cr3t", "" },
		{ "nothing", "s3cr3t", "nothing" },
		{ "s3cr3t", "s3cr3t", "***" },
		{ "a s3cr3t, s3cr3ts3cr3t!", "s3cr3t", "a ***, ******!" },
		{ "s3cr3", "s3cr3t", "s3cr3" },
		{ "ab", "b", "a*" },
		{ "text", "", "text" },
		{ "a%2Fb+c&", "a/b c&", "***" },
		{ "x=a%2fb%20c%26;", "a/b c&", "x=***;" },
		{ "%61%2F%62%20%63%26", "a/b c&", "***" },
		{ "a/b c%26, a/b+c&", "a/b c&", "***, ***" },
		{ "a%2Fb+d&", "a/b c&", "a%2Fb+d&" },
		{ "a%2", "a/", "a%2" },
		{ "a%", "a/", "a%" },
		{ "a+b, a%2Bb, a b", "a+b", "***, ***, a b" },
		{ "a%41, a%2541", "a%41", "***, ***" },
		{ "100%, 100%25", "100%", "***, ***" },
		/* Its own stars are no secret, however like one they look. */
		{ "*******", "****", "******" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = strdup(rows[i].text);

		text_hide(text, rows[i].secret);
		assert_string_equal(text, rows[i].expected);
	}
}

static void test_clause(void **state)
{
	static const struct {
		const char *text;
		int length;
	} rows[] = {
		{ "", 0 },	  { ".", 1 },	     { "gone", 4 },
		{ "gone.", 4 },	  { "gone .\n", 4 }, { "gone. \r\n\t ", 4 },
		{ "wait...", 7 }, { "one. two", 8 }, { "gone!", 5 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (text_clause(rows[i].text) != rows[i].length)
			fail_msg("row %zu: %d", i, text_clause(rows[i].text));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_to_utf8),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_to_utf8_is_idempotent),
		cmocka_unit_test(test_escape_is_safe),
		cmocka_unit_test(test_hide),
		cmocka_unit_test(test_clause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
