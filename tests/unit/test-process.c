#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "macro.h"
#include "process.h"

static void test_self(void **state)
{
	uint64_t first = 0, again = 0;

	(void)state;
	assert_int_equal(process_start((uint64_t)getpid(), &first), 0);
	assert_int_equal(process_start((uint64_t)getpid(), &again), 0);
	assert_true(first > 0);
	assert_int_equal(first, again);
}

static const char *const names[] = { "plain", "a) R 1 2 3", ") (", "x 1\n2" };

/* Whatever a program is called, its start is the same. */
static void test_name(void **state)
{
	char before[16];
	uint64_t expected = 0;

	(void)state;
	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	assert_int_equal(process_start((uint64_t)getpid(), &expected), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t start = 0;

		assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
		assert_int_equal(process_start((uint64_t)getpid(), &start), 0);
		assert_int_equal(start, expected);
	}
	assert_int_equal(prctl(PR_SET_NAME, before), 0);
}

static void test_gone(void **state)
{
	uint64_t start = 77;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(process_start((uint64_t)pid, &start), -ESRCH);
	assert_int_equal(process_start(UINT64_MAX, &start), -ESRCH);
	assert_int_equal(start, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
