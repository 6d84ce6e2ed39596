/*
 * Promise 3: after `kill -9` at any instant, a restart leaves each file with exactly one
 * sidecar, reuses the asset already granted while its URL lives, and leaves at most one
 * orphaned asset for each Create Asset that was in flight. Promise 4: a source is deleted
 * or moved only when the upload is durably recorded (as far as a kill can tell: calls.h).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "calls.h"

static void a_kill_at_any_call_leaves_one_receipt_each(void **state)
{
	calls_try_each(state, &(struct calls_plan){ .at_once = 1 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_kill_at_any_call_leaves_one_receipt_each,
					  calls_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
