/*
 * Who waits for whom: no small file for large ones, no spool for another.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "macro.h"
#include "schedule.h"
#include "world.h"

/* The service keeps the first @count requests to @endpoint until it is let go. */
static void start_held(struct world *w, const struct world_options *options,
		       enum endpoint endpoint, unsigned count)
{
	world_start(w, options);
	service_fault(w->service, &(struct fault){ .endpoint = endpoint,
						   .times = count,
						   .action = FAULT_STALL });
}

static void drop_large(struct world *w, int count)
{
	for (int i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "large%d.bin", i);
		world_drop_random(w, name, 2 << 20, (unsigned)i);
	}
}

static void assert_large_uploaded(struct world *w, int count)
{
	for (int i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "large%d.bin", i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
}

/* It waits for nothing but a slot. */
static void wait_ready(struct world *w, const char *name)
{
	_cleanup_free_ char *line = NULL;

	assert_true(asprintf(&line, "%s: settling -> ready", name) > 0);
	world_wait_log(w, line);
}

/* At the latest, one of the first @within files that were asked for. */
static void assert_asked_early(struct world *w, const char *name, size_t within)
{
	struct service_asset asset;
	size_t at = 0;

	while (service_asset_at(w->service, at, &asset) && !streq(asset.name, name))
		at++;
	assert_true(at < within);
}

static void small_files_pass_large_ones_that_hold_their_slots(void **state)
{
	static const struct world_options options = { .upload = "MaxConcurrent=4\n" };
	struct world *w = *state;

	start_held(w, &options, ENDPOINT_UPLOAD, 3);
	drop_large(w, 6);
	assert_true(service_wait_held(w->service, 3, world_patience()));
	world_wait_status(w, "Uploading 3, waiting 3");
	world_drop_many(w, 20);
	world_assert_many_uploaded(w, 20);
	assert_int_equal(service_held(w->service), 3);
	service_release(w->service);
	assert_large_uploaded(w, 6);
	world_stop(w);
}

/* What a narrow line takes for longer than a second is large. */
static void on_a_narrow_line_files_are_large_sooner(void **state)
{
	static const struct world_options options = { .upload = "MaxConcurrent=2\n"
								"Bandwidth=64K\n" };
	struct world *w = *state;

	start_held(w, &options, ENDPOINT_UPLOAD, 1);
	world_drop_random(w, "held.bin", 66000, 1);
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_drop_random(w, "waits.bin", 66000, 2);
	world_wait_status(w, "Uploading 1, waiting 1");
	world_upload(w, "small.txt");
	assert_false(world_has_sidecar(w, "waits.bin"));
	service_release(w->service);
	world_wait_uploaded(w, "held.bin");
	world_wait_uploaded(w, "waits.bin");
	world_stop(w);
}

static void a_single_slot_goes_to_the_small_file_next(void **state)
{
	static const struct world_options options = { .upload = "MaxConcurrent=1\n",
						      .report = "LogLevel=debug\n" };
	struct world *w = *state;

	start_held(w, &options, ENDPOINT_UPLOAD, 1);
	drop_large(w, 3);
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_drop(w, "small.txt", "small");
	wait_ready(w, "small.txt");
	service_release(w->service);
	assert_large_uploaded(w, 3);
	world_wait_uploaded(w, "small.txt");
	assert_asked_early(w, "small.txt", 2);
	world_stop(w);
}

/* More than are kept in mind, of which none can go on, and one in another spool. */
static void a_flood_in_one_spool_does_not_hold_up_another(void **state)
{
	enum { FLOOD = SCHEDULE_MAX + 100 };
	static const struct world_options options = { .upload = "MaxConcurrent=1\n",
						      .report = "LogLevel=debug\n",
						      .spools = { "other" } };
	struct world *w = *state;

	start_held(w, &options, ENDPOINT_CREATE, 1);
	world_drop_many(w, FLOOD);
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_wait_status(w, "+,"); /* others that find no room */
	world_drop(w, "../other/single.txt", "the only one");
	wait_ready(w, "single.txt");
	service_release(w->service);
	world_wait_uploaded(w, "../other/single.txt");
	assert_asked_early(w, "single.txt", 3);
	world_stop(w);
}

/* All places are taken, and a spool that is new gets those of its own one by one. */
static void a_new_spool_does_not_wait_until_a_flood_ebbs(void **state)
{
	enum { FLOOD = SCHEDULE_MAX + 100 };
	static const struct world_options before = { .upload = "MaxConcurrent=1\n" };
	static const struct world_options after = { .upload = "MaxConcurrent=1\n",
						    .spools = { "other" } };
	struct world *w = *state;

	start_held(w, &before, ENDPOINT_CREATE, 1);
	world_drop_many(w, FLOOD);
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_wait_status(w, "+,"); /* others that find no room */
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .times = FLOOD,
						   .delay = 5 * USEC_PER_MSEC });
	world_reconfigure(w, &after);
	world_drop(w, "../other/single.txt", "the only one");
	service_release(w->service);
	world_wait_uploaded(w, "../other/single.txt");
	assert_asked_early(w, "single.txt", FLOOD / 8);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(small_files_pass_large_ones_that_hold_their_slots),
		scenario(on_a_narrow_line_files_are_large_sooner),
		scenario(a_single_slot_goes_to_the_small_file_next),
		scenario(a_flood_in_one_spool_does_not_hold_up_another),
		scenario(a_new_spool_does_not_wait_until_a_flood_ebbs),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
