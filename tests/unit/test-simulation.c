// wrap: notify_extend notify_is_heard schedule_add footprint_shrink
// wrap: clock_monotonic clock_realtime random_draw getrandom log_event
// wrap: sd_event_new sd_event_unref sd_event_loop sd_event_exit sd_event_set_watchdog
// wrap: sd_event_add_defer sd_event_add_post sd_event_add_time sd_event_add_io
// wrap: sd_event_add_signal sd_event_source_set_enabled sd_event_source_set_time
// wrap: sd_event_source_set_priority sd_event_source_disable_unref
// wrap: sigaction sigprocmask
// wrap: openat64 __openat64_2 close read write fstat64 fstatat64 stat64 faccessat fcntl64
// wrap: unlinkat renameat renameat2 futimens utimensat fchmod
// wrap: fdopendir readdir64 dirfd closedir
// wrap: fs_open_directory fs_is_remote fs_make_directories fs_can_rename
// wrap: watch_new watch_free watch_add watch_remove watch_path mime_load mime_free
// wrap: ledger_open ledger_close ledger_expect ledger_serial ledger_fd ledger_dispatch ledger_put
// wrap: worker_new worker_queue worker_fd worker_dispatch worker_settle worker_free
// wrap: ledger_drop ledger_finish ledger_broken ledger_each ledger_find_waiting ledger_counts
// wrap: ledger_get
// wrap: http_new http_renew http_free http_start http_cancel http_sent http_moved
// wrap: health_init spool_disks_init breaker_failed breaker_succeeded breaker_next
// wrap: breaker_start content_url_parse
// wrap: breaker_hurry slots_turn config_load config_free survey_take
// wrap: backoff_delay bucket_next verdict_for disposal_give_up transfer_judge
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>

#include "farewell.h"
#include "simulation.h"

#define SEEDS	       2000 /* in `make check`: seconds */
#define SABOTAGE_SEEDS 300  /* by then each sabotage has come to light */

/* ---- no seed breaks an invariant ---- */

static struct {
	uint64_t seeds, events, turns, files, requests, crashes, outages, reloads;
	usec_t time;
} sum;

static void add_up(void)
{
	sum.seeds++;
	sum.time += sim.now;
	sum.events += sim.events;
	sum.turns += sim.turns;
	sum.files += sim.files;
	sum.requests += sim.requests;
	sum.crashes += sim.crashes;
	sum.outages += sim.outages;
	sum.reloads += sim.reloads;
}

static void report(unsigned broken)
{
	print_message("# seeds: %" PRIu64 "\n# virtual time: %.1f days\n", sum.seeds,
		      (double)sum.time / (double)USEC_PER_DAY);
	print_message("# events: %" PRIu64 ", turns of the agent's loop: %" PRIu64 "\n",
		      sum.events, sum.turns);
	print_message("# files: %" PRIu64 ", requests: %" PRIu64 "\n", sum.files,
		      sum.requests);
	print_message("# crashes: %" PRIu64 ", outages: %" PRIu64 ", reloads: %" PRIu64
		      "\n",
		      sum.crashes, sum.outages, sum.reloads);
	print_message("# invariants: %d, broken: %u\n", INVARIANTS, broken);
}

static uint64_t seeds_to_run(void)
{
	const char *set = getenv("ASSET_TEST_SEEDS");

	return set ? strtoull(set, NULL, 10) : SEEDS;
}

static void test_seeds(void **state)
{
	uint64_t seeds = seeds_to_run();
	unsigned broken = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		if (!sim_play(seed, SABOTAGE_NONE)) {
			broken++;
			print_message("# replay: ASSET_TEST_SEED=%" PRIu64 " %s\n", seed,
				      program_invocation_name);
		}
		add_up();
	}
	report(broken);
	assert_int_equal(broken, 0);
}

/* The same seed makes the same world, or a replay would show nothing. */
static void test_same_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t events, turns, requests;
		usec_t now;

		(void)sim_play(seed, SABOTAGE_NONE);
		events = sim.events;
		turns = sim.turns;
		requests = sim.requests;
		now = sim.now;
		(void)sim_play(seed, SABOTAGE_NONE);
		assert_int_equal(sim.events, events);
		assert_int_equal(sim.turns, turns);
		assert_int_equal(sim.requests, requests);
		assert_int_equal(sim.now, now);
	}
}

/* ---- each invariant can break ---- */

static const struct {
	enum sabotage sabotage;
	enum invariant breaks;
} SABOTAGE[] = {
	{ SABOTAGE_EARLY_ACK, ORDER_OF_DISPOSAL },
	{ SABOTAGE_TORN_OBJECT, RECEIPT_IS_TRUE },
	{ SABOTAGE_LOST_PAPERS, ERROR_HAS_A_CAUSE },
	{ SABOTAGE_COSTLY_OUTAGE, ATTEMPTS_ARE_OWN_FAULTS },
	{ SABOTAGE_NO_RECEIPT, ATTEMPTS_END },
	{ SABOTAGE_PROBE_TWICE, ONE_PROBE_AT_A_TIME },
	{ SABOTAGE_EARLY_PROBE, PROBES_WAIT },
	{ SABOTAGE_NO_PATIENCE, RETRY_AFTER_IS_KEPT },
	{ SABOTAGE_NO_BACKOFF, OUTAGE_IS_QUIET },
	{ SABOTAGE_FORGOTTEN_ROW, ORPHANS_ARE_ACCOUNTED },
	{ SABOTAGE_LENDING_BUCKET, REQUEST_RATE_IS_KEPT },
	{ SABOTAGE_MORE_SLOTS, SLOTS_ARE_KEPT },
	{ SABOTAGE_NO_ROOM, LARGE_LEAVE_ROOM },
	{ SABOTAGE_WRONG_DATE, URL_IS_FRESH },
	{ SABOTAGE_ENDLESS_RETRY, URL_IS_NOT_RETRIED_FOR_EVER },
	{ SABOTAGE_STUCK_BREAKER, BREAKER_CLOSES_AGAIN },
	{ SABOTAGE_LOST_EVENT, NO_FILE_IS_FORGOTTEN },
	{ SABOTAGE_SLOTH, ALL_IS_DONE_IN_TIME },
	{ SABOTAGE_LOST_ANSWER, NOTHING_IS_STUCK },
	{ SABOTAGE_SPIN, LOOP_DOES_NOT_SPIN },
	{ SABOTAGE_INSOMNIA, IDLE_MEANS_ASLEEP },
	{ SABOTAGE_LEAK, NOTHING_LEAKS },
	{ SABOTAGE_CURIOSITY, REPORTS_LEAVE_SPOOLS_ALONE },
};

_Static_assert(ARRAY_SIZE(SABOTAGE) == INVARIANTS, "each invariant is seen to break");

static enum invariant first_broken(void)
{
	enum invariant which = 0;

	while (!check_is_broken(which))
		which++;
	return which;
}

static void test_each_can_break(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(SABOTAGE); i++) {
		uint64_t seed = 1;

		/* The first one that breaks ends its world. */
		while (seed <= SABOTAGE_SEEDS && sim_play(seed, SABOTAGE[i].sabotage))
			seed++;
		if (seed > SABOTAGE_SEEDS)
			fail_msg("nothing breaks: %s", check_name(SABOTAGE[i].breaks));
		if (!check_is_broken(SABOTAGE[i].breaks))
			fail_msg("seed %" PRIu64 " breaks another than: %s: %s", seed,
				 check_name(SABOTAGE[i].breaks),
				 check_name(first_broken()));
		if (sim.sabotaged == 0)
			fail_msg("without sabotage: %s", check_name(SABOTAGE[i].breaks));
		print_message("# can break (seed %" PRIu64 "): %s\n", seed,
			      check_name(SABOTAGE[i].breaks));
	}
}

/* ---- two outages ---- */

/* Ten minutes at 1 s doubling to 5 min, each wait half of that on the average: 17
 * requests or so, and those that were under way. */
static void test_an_outage_of_ten_minutes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct sim_outage_report seen = sim_play_outage(seed);

		print_message("# API away for 10 min, 1000 files: %" PRIu64
			      " requests, %" PRIu64
			      " attempts spent, all done %.1f s after\n",
			      seen.requests, seen.attempts,
			      (double)seen.drained / (double)USEC_PER_SEC);
		assert_int_equal(seen.broken, 0);
		assert_int_equal(seen.attempts, 0);
		assert_in_range(seen.requests, 2, 99);
		/* The wait for the next probe, and 1000 files by 16. */
		assert_true(seen.drained < 5 * USEC_PER_MINUTE + 15 * USEC_PER_SEC);
	}
}

static void test_a_dead_host_holds_nobody_up(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct sim_outage_report seen = sim_play_dead_host(seed);

		print_message("# storage host dead, another one granted: %" PRIu64
			      " requests in its first 10 min, %" PRIu64
			      " attempts spent, 1000 new files done in %.1f s\n",
			      seen.requests, seen.attempts,
			      (double)seen.drained / (double)USEC_PER_SEC);
		assert_int_equal(seen.broken, 0);
		assert_int_equal(seen.attempts, 0);
		assert_in_range(seen.requests, 2, 99);
		assert_true(seen.drained < 15 * USEC_PER_SEC);
	}
}

/* It is a reason, and told once for each time that it lasts. */
static void test_a_disk_that_does_not_answer(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct sim_disk_report seen = sim_play_slow_disk(seed);

		print_message("# commits of an hour: told %u times\n", seen.told);
		assert_int_equal(seen.broken, 0);
		assert_in_range(seen.told, 1, 6);
	}
}

/* The one that hangs is named, and not one behind it, which may lie on another disk. */
static void test_a_spool_whose_disk_does_not_answer(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct sim_disk_report seen = sim_play_slow_spool(seed);

		print_message("# sidecars of an hour: told %u times\n", seen.told);
		assert_int_equal(seen.broken, 0);
		assert_in_range(seen.told, 1, 6);
		assert_int_equal(seen.misnamed, 0);
	}
}

/* A stop that nothing can bring to its end is left to the service manager. */
static void test_a_stop_on_such_a_disk(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		assert_in_range(sim_play_stop_on_slow_disk(seed), FAREWELL_GRACE,
				FAREWELL_CEILING);
}

/* What is sent and waits for its record has given up its slot, the share of the large
 * ones included. */
static void test_a_large_file_that_is_being_recorded(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		assert_true(sim_play_large_on_slow_disk(seed));
}

/* Each of those that are not kept in mind is due at its own time, and each look for it
 * meets all: a thousand a second are looked at, and the first two looks. */
static void test_a_crowd_that_fails(void **state)
{
	uint64_t entries = sim_play_crowd_that_fails(1);

	(void)state;
	print_message("# a crowd that fails for a minute: %" PRIu64 " entries read\n",
		      entries);
	assert_in_range(entries, 1, 70 * 1000);
}

/* What is granted for them has a share of the places; the rest is found again. */
static void test_storages_that_go_one_after_the_other(void **state)
{
	(void)state;
	assert_true(sim_play_two_storages(1));
}

/* One asks for all, each PollInterval=; at first, as many as have slots. */
static void test_a_crowd_that_is_held(void **state)
{
	bool done;
	uint64_t questions = sim_play_held(1, &done);

	(void)state;
	print_message("# a crowd that is held for 10 min: %" PRIu64 " questions\n",
		      questions);
	assert_in_range(questions, 60, 60 + 16 + 4);
	assert_true(done);
}

static void test_a_file_that_no_memory_was_left_for(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		assert_true(sim_play_no_memory(seed));
}

static void test_a_grant_that_no_memory_was_left_to_read(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		assert_int_equal(sim_play_no_memory_for_urls(seed), 1);
}

static void test_a_row_that_no_memory_was_left_for(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		assert_int_equal(sim_play_no_memory_for_rows(seed), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_can_break),
		cmocka_unit_test(test_same_again),
		cmocka_unit_test(test_an_outage_of_ten_minutes),
		cmocka_unit_test(test_a_dead_host_holds_nobody_up),
		cmocka_unit_test(test_a_disk_that_does_not_answer),
		cmocka_unit_test(test_a_spool_whose_disk_does_not_answer),
		cmocka_unit_test(test_a_stop_on_such_a_disk),
		cmocka_unit_test(test_a_large_file_that_is_being_recorded),
		cmocka_unit_test(test_a_crowd_that_fails),
		cmocka_unit_test(test_storages_that_go_one_after_the_other),
		cmocka_unit_test(test_a_crowd_that_is_held),
		cmocka_unit_test(test_a_file_that_no_memory_was_left_for),
		cmocka_unit_test(test_a_grant_that_no_memory_was_left_to_read),
		cmocka_unit_test(test_a_row_that_no_memory_was_left_for),
		cmocka_unit_test(test_seeds),
	};
	const char *replay = getenv("ASSET_TEST_SEED");

	/* Nothing of the tests' surroundings is of that world. */
	unsetenv("NOTIFY_SOCKET");
	unsetenv("CREDENTIALS_DIRECTORY");
	if (replay) {
		sim.trace = true;
		return !sim_play(strtoull(replay, NULL, 10), SABOTAGE_NONE);
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("simulation", tests, NULL, NULL);
}
