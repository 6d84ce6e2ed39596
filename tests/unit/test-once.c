#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "macro.h"
#include "once.h"

/* A multiplier that mixes the bits of small numbers, as marks must be. */
static uint64_t mark(uint64_t number)
{
	return (number + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

static void a_mark_is_new_once(void **state)
{
	struct once once = {};

	(void)state;
	assert_true(once_is_new(&once, mark(1)));
	assert_false(once_is_new(&once, mark(1)));
	assert_true(once_is_new(&once, mark(2)));
	assert_false(once_is_new(&once, mark(1)));
	assert_false(once_is_new(&once, mark(2)));
}

static void as_many_as_a_row_holds_never_push_each_other_out(void **state)
{
	struct once once = {};

	(void)state;
	for (uint64_t i = 0; i < ONCE_COLUMNS; i++)
		assert_true(once_is_new(&once, mark(i)));
	for (int round = 0; round < 3; round++)
		for (uint64_t i = 0; i < ONCE_COLUMNS; i++)
			assert_false(once_is_new(&once, mark(i)));
}

static void very_many_are_forgotten_and_the_latest_are_not(void **state)
{
	const uint64_t many = (uint64_t)100 * ONCE_ROWS * ONCE_COLUMNS;
	struct once once = {};

	(void)state;
	for (uint64_t i = 0; i < many; i++)
		assert_true(once_is_new(&once, mark(i)));
	assert_false(once_is_new(&once, mark(many - 1)));
	assert_true(once_is_new(&once, mark(0)));
}

static void what_comes_up_often_stays(void **state)
{
	const uint64_t many = (uint64_t)10 * ONCE_ROWS * ONCE_COLUMNS;
	struct once once = {};

	(void)state;
	assert_true(once_is_new(&once, mark(0)));
	for (uint64_t i = 1; i < many; i++) {
		(void)once_is_new(&once, mark(i));
		assert_false(once_is_new(&once, mark(0)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_is_new_once),
		cmocka_unit_test(as_many_as_a_row_holds_never_push_each_other_out),
		cmocka_unit_test(very_many_are_forgotten_and_the_latest_are_not),
		cmocka_unit_test(what_comes_up_often_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
