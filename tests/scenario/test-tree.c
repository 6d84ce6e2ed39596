/* How directories come, go and change places below a recursive spool. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

static const struct world_options recursive = { .recursive = true };

/* The kernel tells of the directory that was there only by its watch. */
static void a_directory_renamed_over_an_empty_one_is_watched(void **state)
{
	struct world *w = *state;

	world_start(w, &recursive);
	world_mkdir(w, "new");
	world_mkdir(w, "old");
	world_upload(w, "new/first.txt");
	world_remove(w, "new/first.txt");
	world_remove(w, "new/first.txt.asset.json");
	world_upload(w, "old/second.txt");
	world_rename(w, "old", "new", 0);
	world_upload(w, "new/third.txt");
	assert_int_equal(service_asset_count(w->service), 3);
	world_stop(w);
}

static void two_directories_that_change_places_are_both_watched(void **state)
{
	struct world *w = *state;

	world_start(w, &recursive);
	world_mkdir(w, "a");
	world_mkdir(w, "b");
	world_upload(w, "a/one.txt");
	world_upload(w, "b/two.txt");
	world_rename(w, "a", "b", RENAME_EXCHANGE);
	world_upload(w, "a/three.txt");
	world_upload(w, "b/four.txt");
	assert_int_equal(service_asset_count(w->service), 4);
	world_stop(w);
}

static void a_directory_that_went_and_came_back_is_watched(void **state)
{
	struct world *w = *state;

	world_start(w, &recursive);
	world_mkdir(w, "here");
	world_mkdir(w, "here/below");
	world_upload(w, "here/below/one.txt");
	world_signal(w, SIGSTOP);
	world_rename(w, "here", "there", 0);
	world_rename(w, "there", "here", 0);
	world_signal(w, SIGCONT);
	world_upload(w, "here/two.txt");
	world_upload(w, "here/below/three.txt");
	assert_int_equal(service_asset_count(w->service), 3);
	world_stop(w);
}

static void a_rename_that_the_kernel_dropped_is_found(void **state)
{
	struct world *w = *state;

	world_start(w, &recursive);
	world_mkdir(w, "old");
	world_mkdir(w, "old/below");
	world_upload(w, "old/below/one.txt");
	world_signal(w, SIGSTOP);
	world_overflow(w);
	world_rename(w, "old", "new", 0);
	world_mkdir(w, "old");
	world_write(w, "new/two.txt", "two");
	world_signal(w, SIGCONT);
	world_wait_uploaded(w, "new/two.txt");
	world_upload(w, "new/below/three.txt");
	world_upload(w, "old/four.txt");
	assert_int_equal(service_asset_count(w->service), 4);
	world_stop(w);
}

static void a_directory_that_may_not_be_read_is_told_once_and_taken_when_it_may(
	void **state)
{
	static const struct world_options options = { .recursive = true,
						      .powerless = true,
						      .no_agent = true };
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;

	world_start(w, &options);
	path = world_path(w, "closed");
	world_mkdir(w, "closed");
	world_write(w, "closed/in.txt", "in");
	assert_int_equal(chmod(path, 0444), 0); /* to be listed, not to be looked into */
	world_launch(w);
	world_wait_ready(w);
	world_wait_log(w, "can't be read");
	assert_int_equal(chmod(path, 0), 0);
	world_upload(w, "outside.txt");
	assert_int_equal(chmod(path, 0755), 0);
	world_wait_uploaded(w, "closed/in.txt");
	assert_int_equal(world_count_log(w, "can't be read"), 1);
	world_stop(w);
}

static void polling_follows_a_directory_whose_files_wait(void **state)
{
	static const struct fault away = { .endpoint = ENDPOINT_CREATE,
					   .status = 503,
					   .action = FAULT_ANSWER };
	static const struct world_options options = {
		.recursive = true,
		.spool = "Watch=poll\nPollInterval=100ms\nSettle=20ms\n",
		.retry = "InitialDelay=50ms\nMaxDelay=200ms\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &away);
	world_mkdir(w, "old");
	world_write(w, "old/one.txt", "one");
	world_write(w, "old/two.txt", "two");
	assert_true(service_wait_count(w->service, ENDPOINT_CREATE, 2, world_patience()));
	world_rename(w, "old", "new", 0);
	assert_true(service_wait_count(w->service, ENDPOINT_CREATE, 6, world_patience()));
	service_clear_faults(w->service);
	world_wait_uploaded(w, "new/one.txt");
	world_wait_uploaded(w, "new/two.txt");
	assert_int_equal(service_asset_count(w->service), 2);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(a_directory_renamed_over_an_empty_one_is_watched),
		scenario(two_directories_that_change_places_are_both_watched),
		scenario(a_directory_that_went_and_came_back_is_watched),
		scenario(a_rename_that_the_kernel_dropped_is_found),
		scenario(
			a_directory_that_may_not_be_read_is_told_once_and_taken_when_it_may),
		scenario(polling_follows_a_directory_whose_files_wait),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
