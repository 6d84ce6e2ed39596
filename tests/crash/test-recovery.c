/*
 * What comes after a crash may crash as well, again and again: each start goes on from
 * what it finds. As test-every-call.c, with all files on their way at once.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "calls.h"

static void kills_at_any_call_of_the_recoveries_too_leave_one_receipt_each(void **state)
{
	calls_try_each(state, &(struct calls_plan){ .at_once = 16, .recoveries = 3 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			kills_at_any_call_of_the_recoveries_too_leave_one_receipt_each,
			calls_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
