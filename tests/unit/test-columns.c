#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "columns.h"
#include "macro.h"

#define E_ACUTE "e\xCC\x81"    /* of two characters */
#define KANJI	"\xE6\xBC\xA2" /* wide */
#define UMLAUT	"\xC3\xA4"
#define PICTURE "\xF0\x9F\x93\x84" /* wide, beyond the basic plane */

static const struct {
	const char *text;
	size_t width;
} widths[] = {
	{ "", 0 },
	{ "a", 1 },
	{ "bird.jpg", 8 },
	{ UMLAUT, 1 },
	{ E_ACUTE, 1 },
	{ KANJI, 2 },
	{ PICTURE, 2 },
	{ KANJI "a" PICTURE E_ACUTE, 6 },
	{ "\xEF\xBF\xBD", 1 }, /* U+FFFD */
};

static void test_width(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++)
		assert_int_equal(columns_width(widths[i].text), widths[i].width);
}

static const struct {
	const char *text;
	size_t max;
	const char *expected;
} shortened[] = {
	{ "bird.jpg", 8, "bird.jpg" },
	{ "bird.jpg", 7, "bi...pg" },
	{ "bird.jpg", 6, "b...pg" },
	{ "bird.jpg", 4, "...g" },
	{ "bird.jpg", 3, "..." },
	{ "bird.jpg", 1, "." },
	{ "bird.jpg", 0, "" },
	{ "", 0, "" },
	{ KANJI KANJI KANJI KANJI, 8, KANJI KANJI KANJI KANJI },
	{ KANJI KANJI KANJI KANJI, 7, KANJI "..." KANJI },
	/* half of a wide one is none */
	{ KANJI KANJI KANJI KANJI, 6, "..." KANJI },
	{ KANJI KANJI KANJI KANJI, 5, "..." },
	/* no accent is taken off its letter, nor put on another */
	{ "ab" E_ACUTE "cdef" E_ACUTE "g", 7, "ab..." E_ACUTE "g" },
	{ "abcdefg" E_ACUTE "g", 6, "a...\x65\xCC\x81g" },
	{ "a" E_ACUTE "cdefghi", 7, "a" E_ACUTE "...hi" },
};

static void test_shorten(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shortened); i++) {
		_cleanup_free_ char *text = columns_shorten(shortened[i].text,
							    shortened[i].max);

		if (!streq(text, shortened[i].expected))
			fail_msg("row %zu: %s", i, text);
	}
}

static const struct {
	const char *text;
	size_t max;
	const char *expected;
} cut[] = {
	{ "away for 3s", 11, "away for 3s" },
	{ "away for 3s", 10, "away fo..." },
	{ "away for 3s", 3, "..." },
	{ "away for 3s", 2, ".." },
	{ "away for 3s", 0, "" },
	{ KANJI KANJI KANJI, 5, KANJI "..." },
};

static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		_cleanup_free_ char *text = columns_cut(cut[i].text, cut[i].max);

		if (!streq(text, cut[i].expected))
			fail_msg("row %zu: %s", i, text);
	}
}

/* Whatever the text and the room, it fits. */
static void test_it_fits(void **state)
{
	static const char text[] = "/srv/" UMLAUT KANJI "x" PICTURE E_ACUTE E_ACUTE
				   "/" KANJI KANJI "name" E_ACUTE ".jpg";

	(void)state;
	for (size_t max = 0; max <= columns_width(text) + 1; max++) {
		_cleanup_free_ char *fits = columns_shorten(text, max);

		assert_true(columns_width(fits) <= max);
		if (max >= columns_width(text))
			assert_string_equal(fits, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_shorten),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_it_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
