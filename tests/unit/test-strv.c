#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "strv.h"

static void assert_items(const struct strv *list, const char *const *items, size_t count)
{
	assert_int_equal(list->count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(list->items[i], items[i]);
}

static void test_push(void **state)
{
	_cleanup_(strv_done) struct strv list = {};
	char item[] = "first";

	(void)state;
	assert_int_equal(strv_push(&list, item), 0);
	item[0] = 'X';
	assert_int_equal(strv_push(&list, ""), 0);
	assert_int_equal(strv_push(&list, "with blanks"), 0);
	assert_items(&list, (const char *const[]){ "first", "", "with blanks" }, 3);
}

static void test_push_many(void **state)
{
	_cleanup_(strv_done) struct strv list = {};
	char item[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(item, sizeof(item), "%d", i);
		assert_int_equal(strv_push(&list, item), 0);
	}
	assert_int_equal(list.count, 1000);
	for (int i = 0; i < 1000; i++) {
		snprintf(item, sizeof(item), "%d", i);
		assert_string_equal(list.items[i], item);
	}
}

static void test_push_words(void **state)
{
	static const struct {
		const char *words;
		size_t count;
		const char *items[3];
	} table[] = {
		{ "", 0, {} },
		{ " \t\r\n\f\v", 0, {} },
		{ "one", 1, { "one" } },
		{ "one two", 2, { "one", "two" } },
		{ "  one\t\ttwo\n three ", 3, { "one", "two", "three" } },
		{ "\"a b\" c", 3, { "\"a", "b\"", "c" } },
		{ ".* *~", 2, { ".*", "*~" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_(strv_done) struct strv list = {};

		assert_int_equal(strv_push_words(&list, table[i].words), 0);
		assert_items(&list, table[i].items, table[i].count);
	}
}

static void test_push_words_appends(void **state)
{
	_cleanup_(strv_done) struct strv list = {};

	(void)state;
	assert_int_equal(strv_push_words(&list, "a b"), 0);
	assert_int_equal(strv_push_words(&list, "c"), 0);
	assert_items(&list, (const char *const[]){ "a", "b", "c" }, 3);
}

static void test_done(void **state)
{
	struct strv list = {};

	(void)state;
	strv_done(&list);
	assert_int_equal(strv_push(&list, "a"), 0);
	strv_done(&list);
	assert_null(list.items);
	assert_int_equal(list.count, 0);
	assert_int_equal(strv_push(&list, "b"), 0);
	assert_items(&list, (const char *const[]){ "b" }, 1);
	strv_done(&list);
}

static void test_match(void **state)
{
	static const struct {
		const char *globs, *name, *match; /* NULL: none */
	} table[] = {
		{ "", "a", NULL },
		{ "*.tmp", "a.tmp", "*.tmp" },
		{ "*.tmp", "a.tmp2", NULL },
		{ "*.tmp", ".tmp", "*.tmp" },
		{ "*.tmp *~ .*", "a~", "*~" },
		{ ".*", ".hidden", ".*" },
		{ "*", ".hidden", "*" },
		{ "?", ".", "?" },
		{ "a?c", "abc", "a?c" },
		{ "a?c", "ABC", NULL },
		{ "[ab]*", "boat", "[ab]*" },
		{ "*.JPG *.jpg", "a.jpg", "*.jpg" },
		{ "a* *b", "ab", "a*" },
		{ "*.example.com", "s3.eu.example.com", "*.example.com" },
		{ "*.example.com", "example.com", NULL },
		{ "*.[jt]pg", "a.jpg", "*.[jt]pg" },
		{ "*.[jt]pg", "a.[jt]pg", NULL },
		{ "*.\\?", "a.?", "*.\\?" },
		{ "*.\\?", "a.\\?", NULL },
		{ "*.?", "a.b", "*.?" },
		{ "**", "a", "**" },
		{ "*longer", "long", NULL },
		{ "a", "", NULL },
		{ "*", "", "*" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_(strv_done) struct strv globs = {};

		assert_int_equal(strv_push_words(&globs, table[i].globs), 0);
		if (!streq(strv_match(&globs, table[i].name), table[i].match))
			fail_msg("\"%s\" against \"%s\"", table[i].name, table[i].globs);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_push_many),
		cmocka_unit_test(test_push_words),
		cmocka_unit_test(test_push_words_appends),
		cmocka_unit_test(test_done),
		cmocka_unit_test(test_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
