/* What a stop, a crash and a new start leave behind. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

/* So that what was under way is under way again at once. */
static const struct world_options quick = { .retry = "InitialDelay=10ms\n" };

static void stall(struct world *w, enum endpoint endpoint, enum fault_phase phase)
{
	service_fault(w->service, &(struct fault){ .endpoint = endpoint,
						   .times = 1,
						   .phase = phase,
						   .action = FAULT_STALL });
}

static void files_dropped_while_it_was_stopped_are_uploaded_at_the_start(void **state)
{
	static const struct world_options options = { .no_agent = true };
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "early.txt", "before the start");
	world_launch(w);
	world_wait_uploaded(w, "early.txt");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	world_drop(w, "between.txt", "between two runs");
	world_launch(w);
	world_wait_uploaded(w, "between.txt");
	world_assert_uploaded(w, "between.txt");
	world_stop(w);
}

/* amazon-kinesis-agent#129: everything sent again after a restart. */
static void what_is_uploaded_is_not_uploaded_again_after_a_restart(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	for (int i = 0; i < 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.txt", i);
		world_drop(w, name, name);
	}
	assert_true(service_wait_received(w->service, 20, world_patience()));
	world_restart(w);
	world_drop(w, "last.txt", "after the restart");
	world_wait_uploaded(w, "last.txt");
	assert_int_equal(service_asset_count(w->service), 21);
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 21);
	world_stop(w);
}

/* Its row is still there, until the disk is known to have the receipt. */
static void what_was_uploaded_before_a_kill_is_neither_told_nor_counted_again(
	void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	world_upload(w, "before.txt");
	world_wait_status(w, "uploaded 1, ");
	world_kill9(w);
	world_launch(w);
	world_upload(w, "after.txt");
	world_wait_status(w, "waiting 0, uploaded 1, ");
	assert_int_equal(world_count_log(w, "before.txt as asset "), 1);
	world_stop(w);
}

static void a_kill_while_sending_reuses_the_asset(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall(w, ENDPOINT_UPLOAD, FAULT_AT_HEAD);
	world_drop_random(w, "big.pdf", 2 << 20, 1);
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_kill9(w);
	service_release(w->service);
	world_launch(w);
	world_wait_uploaded(w, "big.pdf");
	world_assert_uploaded(w, "big.pdf");
	assert_int_equal(service_assets_named(w->service, "big.pdf"), 1);
	world_stop(w);
}

static void a_kill_after_the_body_arrived_counts_as_uploaded(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall(w, ENDPOINT_UPLOAD, FAULT_CARRIED_OUT);
	world_drop(w, "arrived.txt", "it arrived, but nobody heard of it");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_kill9(w);
	service_release(w->service);
	world_launch(w);
	world_wait_uploaded(w, "arrived.txt");
	world_assert_uploaded(w, "arrived.txt");
	assert_int_equal(service_assets_named(w->service, "arrived.txt"), 1);
	assert_int_equal(service_answers(w->service, ENDPOINT_UPLOAD, 409), 1);
	world_stop(w);
}

static void a_kill_while_asking_leaves_one_orphan_at_most(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall(w, ENDPOINT_CREATE, FAULT_CARRIED_OUT);
	world_drop(w, "asked.txt", "granted, but nobody heard of it");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_kill9(w);
	service_release(w->service);
	world_launch(w);
	world_wait_uploaded(w, "asked.txt");
	world_assert_uploaded(w, "asked.txt");
	assert_int_equal(service_assets_named(w->service, "asked.txt"), 2);
	world_stop(w);
}

static void a_file_that_changed_between_kill_and_start_gets_an_asset_of_its_own(
	void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall(w, ENDPOINT_UPLOAD, FAULT_AT_HEAD);
	world_drop(w, "changed.txt", "the first content");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_kill9(w);
	service_release(w->service);
	world_drop(w, "changed.txt", "the second content, of another length");
	world_launch(w);
	world_wait_uploaded(w, "changed.txt");
	world_assert_uploaded(w, "changed.txt");
	assert_int_equal(service_assets_named(w->service, "changed.txt"), 2);
	world_stop(w);
}

static void a_file_that_vanished_between_kill_and_start_is_forgotten(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall(w, ENDPOINT_UPLOAD, FAULT_AT_HEAD);
	world_drop(w, "gone.txt", "soon gone");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_kill9(w);
	service_release(w->service);
	world_remove(w, "gone.txt");
	world_launch(w);
	world_drop(w, "other.txt", "goes on");
	world_wait_uploaded(w, "other.txt");
	assert_false(world_has_sidecar(w, "gone.txt"));
	assert_false(world_has_error_sidecar(w, "gone.txt"));
	world_stop(w);
}

static void an_expired_url_is_asked_for_anew_after_the_restart(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall(w, ENDPOINT_UPLOAD, FAULT_AT_HEAD);
	world_drop(w, "late.txt", "its URL will be stale");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_kill9(w);
	service_release(w->service);
	service_expire_urls(w->service);
	world_launch(w);
	world_wait_uploaded(w, "late.txt");
	world_assert_uploaded(w, "late.txt");
	assert_int_equal(service_assets_named(w->service, "late.txt"), 2);
	world_stop(w);
}

static void a_deleted_sidecar_makes_the_file_due_again(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_drop(w, "again.txt", "twice, please");
	world_wait_uploaded(w, "again.txt");
	world_remove(w, "again.txt.asset.json");
	assert_true(service_wait_received(w->service, 2, world_patience()));
	world_wait_uploaded(w, "again.txt");
	world_assert_uploaded(w, "again.txt");
	world_stop(w);
}

static void a_torn_sidecar_is_written_anew(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_drop(w, "torn.txt", "its receipt will be torn");
	world_wait_uploaded(w, "torn.txt");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	world_write(w, "torn.txt.asset.json", "{\"id\":\"half a rec");
	world_launch(w);
	world_wait_uploaded(w, "torn.txt");
	world_assert_uploaded(w, "torn.txt");
	world_stop(w);
}

static void sigterm_lets_what_is_under_way_finish(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	stall(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER);
	world_drop(w, "underway.txt", "nearly there");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_signal(w, SIGTERM);
	world_wait_log(w, "Stopping");
	service_release(w->service);
	assert_int_equal(world_wait_exit(w), 0);
	world_assert_uploaded(w, "underway.txt");
	assert_true(w->stopping);
	world_stop(w);
	assert_int_equal(service_asset_count(w->service), 1);
}

static void an_answer_that_does_not_come_is_not_waited_for(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER);
	world_drop(w, "sent.txt", "has it arrived?");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	assert_int_equal(world_count_log(w, "it is sent, but the storage does not say"),
			 1);
	service_release(w->service);
	world_launch(w);
	world_wait_uploaded(w, "sent.txt");
	world_assert_uploaded(w, "sent.txt");
	assert_int_equal(service_asset_count(w->service), 1);
	world_stop(w);
}

static void a_second_sigterm_ends_it_at_once_and_nothing_is_lost(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall(w, ENDPOINT_UPLOAD, FAULT_AT_HEAD);
	world_drop(w, "underway.txt", "resumed later");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_signal(w, SIGTERM);
	world_wait_log(w, "Stopping");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	assert_false(world_has_sidecar(w, "underway.txt"));
	service_release(w->service);
	world_launch(w);
	world_wait_uploaded(w, "underway.txt");
	world_assert_uploaded(w, "underway.txt");
	assert_int_equal(service_assets_named(w->service, "underway.txt"), 1);
	world_stop(w);
}

/* It takes longer than it would be given without asking. */
static void a_large_upload_that_is_nearly_there_is_waited_for(void **state)
{
	static const struct world_options options = { .upload = "Bandwidth=200K\n" };
	struct world *w = *state;

	world_start(w, &options);
	world_drop_random(w, "large.bin", 2300000, 1);
	assert_true(service_wait_count(w->service, ENDPOINT_UPLOAD, 1, world_patience()));
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	world_assert_uploaded(w, "large.bin");
	assert_true(w->extensions > 0);
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 1);
	world_stop(w);
}

static void an_upload_with_too_much_left_is_cut_at_once(void **state)
{
	static const struct world_options slow = { .upload = "Bandwidth=200K\n" };
	static const struct world_options fast;
	struct world *w = *state;

	world_start(w, &slow);
	world_drop_random(w, "huge.bin", 60 << 20, 1);
	assert_true(service_wait_count(w->service, ENDPOINT_UPLOAD, 1, world_patience()));
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	assert_int_equal(world_count_log(w, "Not waiting for "), 1);
	assert_false(world_has_sidecar(w, "huge.bin"));
	world_configure(w, &fast);
	world_launch(w);
	world_wait_uploaded(w, "huge.bin");
	world_assert_uploaded(w, "huge.bin");
	assert_int_equal(service_assets_named(w->service, "huge.bin"), 1);
	world_stop(w);
}

static void a_second_signal_ends_a_wait_for_a_large_upload(void **state)
{
	static const struct world_options options = { .upload = "Bandwidth=200K\n" };
	struct world *w = *state;

	world_start(w, &options);
	world_drop_random(w, "large.bin", 20000000, 1);
	assert_true(service_wait_count(w->service, ENDPOINT_UPLOAD, 1, world_patience()));
	world_signal(w, SIGTERM);
	world_wait_log(w, "Stopping");
	world_signal(w, SIGINT);
	assert_int_equal(world_wait_exit(w), 0);
	assert_false(world_has_sidecar(w, "large.bin"));
	world_stop(w);
}

static void sigint_stops_it_too(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_signal(w, SIGINT);
	assert_int_equal(world_wait_exit(w), 0);
	world_stop(w);
}

static void twenty_kills_lose_nothing_and_leave_one_receipt_each(void **state)
{
	enum { FILES = 300, KILLS = 20 };
	static const struct world_options options = { .retry = "InitialDelay=10ms\n",
						      .spool = "Settle=1ms\n" };
	struct world *w = *state;

	world_start(w, &options);
	for (int i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.txt", i);
		world_drop_random(w, name, 1000 + (uint64_t)i, (unsigned)i);
		/* Killed wherever it is then: at the n-th upload, not after a time. */
		if (i % (FILES / KILLS) == FILES / KILLS - 1) {
			(void)service_wait_count(
				w->service, ENDPOINT_UPLOAD,
				service_count(w->service, ENDPOINT_UPLOAD) + 3,
				100 * USEC_PER_MSEC);
			world_kill9(w);
			world_launch(w);
		}
	}
	for (int i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.txt", i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
		assert_false(world_has_error_sidecar(w, name));
	}
	/* At most one orphan for each question that was under way at a kill. */
	assert_true(service_asset_count(w->service) <= FILES + KILLS * 16);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(files_dropped_while_it_was_stopped_are_uploaded_at_the_start),
		scenario(what_is_uploaded_is_not_uploaded_again_after_a_restart),
		scenario(
			what_was_uploaded_before_a_kill_is_neither_told_nor_counted_again),
		scenario(a_kill_while_sending_reuses_the_asset),
		scenario(a_kill_after_the_body_arrived_counts_as_uploaded),
		scenario(a_kill_while_asking_leaves_one_orphan_at_most),
		scenario(
			a_file_that_changed_between_kill_and_start_gets_an_asset_of_its_own),
		scenario(a_file_that_vanished_between_kill_and_start_is_forgotten),
		scenario(an_expired_url_is_asked_for_anew_after_the_restart),
		scenario(a_deleted_sidecar_makes_the_file_due_again),
		scenario(a_torn_sidecar_is_written_anew),
		scenario(sigterm_lets_what_is_under_way_finish),
		scenario(an_answer_that_does_not_come_is_not_waited_for),
		scenario(a_second_sigterm_ends_it_at_once_and_nothing_is_lost),
		scenario(a_large_upload_that_is_nearly_there_is_waited_for),
		scenario(an_upload_with_too_much_left_is_cut_at_once),
		scenario(a_second_signal_ends_a_wait_for_a_large_upload),
		scenario(sigint_stops_it_too),
		scenario(twenty_kills_lose_nothing_and_leave_one_receipt_each),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
