#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "item.h"
#include "log.h"
#include "macro.h"

static const char *const NAMES[ITEM_STATES] = {
	[ITEM_NEW] = "new",	  [ITEM_SETTLING] = "settling", [ITEM_READY] = "ready",
	[ITEM_MOVING] = "moving", [ITEM_WAITING] = "waiting",	[ITEM_GONE] = "gone",
};

/* The picture of item.h; all that is not here ends the process. */
static const struct {
	enum item_state from, to;
} LEGAL[] = {
	{ ITEM_NEW, ITEM_SETTLING },	 { ITEM_NEW, ITEM_READY },
	{ ITEM_NEW, ITEM_WAITING },	 { ITEM_NEW, ITEM_GONE },
	{ ITEM_SETTLING, ITEM_READY },	 { ITEM_SETTLING, ITEM_GONE },
	{ ITEM_READY, ITEM_MOVING },	 { ITEM_READY, ITEM_GONE },
	{ ITEM_MOVING, ITEM_SETTLING },	 { ITEM_MOVING, ITEM_READY },
	{ ITEM_MOVING, ITEM_WAITING },	 { ITEM_MOVING, ITEM_GONE },
	{ ITEM_WAITING, ITEM_SETTLING }, { ITEM_WAITING, ITEM_READY },
	{ ITEM_WAITING, ITEM_GONE },
};

static bool is_legal(enum item_state from, enum item_state to)
{
	for (size_t i = 0; i < ARRAY_SIZE(LEGAL); i++)
		if (LEGAL[i].from == from && LEGAL[i].to == to)
			return true;
	return false;
}

/* In a process of its own: 0, or the signal that ended it. */
static int try_step(enum item_state from, enum item_state to)
{
	struct item item = { .state = from, .name = "bird.jpg" };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		const struct rlimit no_core = {};

		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		item_move(&item, to);
		_exit(item.state == to ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_every_step(void **state)
{
	(void)state;
	for (enum item_state from = 0; from < ITEM_STATES; from++)
		for (enum item_state to = 0; to < ITEM_STATES; to++)
			if (try_step(from, to) != (is_legal(from, to) ? 0 : SIGABRT))
				fail_msg("%s -> %s", NAMES[from], NAMES[to]);
}

static void test_only_the_state_changes(void **state)
{
	struct item item = { .state = ITEM_NEW,
			     .attempts = 3,
			     .stirred = true,
			     .at = 77,
			     .name = "a",
			     .place = &item,
			     .heap_index = 5 };

	(void)state;
	item_move(&item, ITEM_SETTLING);
	assert_int_equal(item.state, ITEM_SETTLING);
	assert_int_equal(item.attempts, 3);
	assert_true(item.stirred);
	assert_int_equal(item.at, 77);
	assert_string_equal(item.name, "a");
	assert_ptr_equal(item.place, &item);
	assert_int_equal(item.heap_index, 5);
}

static void test_names(void **state)
{
	(void)state;
	for (enum item_state s = 0; s < ITEM_STATES; s++)
		assert_string_equal(item_state_name(s), NAMES[s]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_step),
		cmocka_unit_test(test_only_the_state_changes),
		cmocka_unit_test(test_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("item", tests, NULL, NULL);
}
