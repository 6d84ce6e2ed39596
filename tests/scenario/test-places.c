/*
 * More files than there are places for: of those that the ledger knows none is begun
 * anew, and none of those that wait keeps out another.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ledger.h"
#include "macro.h"
#include "schedule.h"
#include "world.h"

#define FILES (SCHEDULE_MAX + 200)

/* ---- what a last run left behind ---- */

static void stop(struct world *w)
{
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
}

/* A row of the file @name as it is now. */
static struct ledger_row row_of(struct world *w, struct ledger *ledger, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (struct ledger_row){
		.serial = ledger_serial(ledger),
		.state = LEDGER_GRANTED,
		.directory = w->spool,
		.name = name,
		.identity = fs_identity_of(&st),
		.content_type = "text/plain",
		.expires = clock_realtime() + USEC_PER_HOUR,
	};
}

static void put(struct ledger *ledger, const struct ledger_row *row)
{
	assert_int_equal(ledger_put(ledger, row, NULL, NULL), 0);
}

static struct ledger *open_ledger(struct world *w)
{
	_cleanup_free_ char *aside = NULL;
	struct ledger *ledger;

	assert_int_equal(ledger_open(w->state, &ledger, &aside), 0);
	assert_null(aside);
	return ledger;
}

/* As if the power had failed once all had been sent: receipts are lost, and of every
 * other file it is not known that it arrived. */
static void lose_receipts(struct world *w, int count)
{
	struct ledger *ledger = open_ledger(w);

	for (int i = 0; i < count; i++) {
		char name[32], receipt[64];
		_cleanup_free_ char *url = NULL;
		struct service_asset asset;
		struct ledger_row row;

		snprintf(name, sizeof(name), "f%d.txt", i);
		snprintf(receipt, sizeof(receipt), "%s.asset.json", name);
		assert_true(service_asset_by_name(w->service, name, &asset));
		assert_true(asprintf(&url, "http://127.0.0.1:%u%s",
				     service_port(w->service), asset.url) > 0);
		row = row_of(w, ledger, name);
		row.asset_id = asset.id;
		if (i % 2 == 0) {
			row.content_url = url;
		} else {
			row.state = LEDGER_UPLOADED;
			row.uploaded = clock_realtime();
		}
		put(ledger, &row);
		world_remove(w, receipt);
	}
	ledger_close(ledger);
}

static void no_unfinished_file_is_begun_anew_however_many_there_are(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_drop_many(w, FILES);
	world_assert_many_uploaded(w, FILES);
	stop(w);
	lose_receipts(w, FILES);
	world_launch(w);
	world_assert_many_uploaded(w, FILES);
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), FILES);
	world_stop(w);
}

/* The same of one that is run to the end of all. */
static void a_drain_finishes_all_that_is_unfinished(void **state)
{
	struct world *w = *state;

	world_start(w, &(struct world_options){ .no_agent = true });
	world_drop_many(w, FILES);
	assert_int_equal(world_run(w, "drain", NULL), 0);
	lose_receipts(w, FILES);
	assert_int_equal(world_run(w, "drain", NULL), 0);
	world_assert_many_uploaded(w, FILES);
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), FILES);
	world_stop(w);
}

/* Two contents of a file whose ends may be lost, and the grant of a third. */
static void a_file_that_was_replaced_twice_is_not_begun_anew(void **state)
{
	struct service_asset asset;
	struct world *w = *state;
	struct ledger *ledger;
	struct ledger_row row;

	world_start(w, NULL);
	world_upload(w, "bird.txt");
	assert_true(service_asset_by_name(w->service, "bird.txt", &asset));
	stop(w);
	ledger = open_ledger(w);
	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *url = NULL;

		assert_true(asprintf(&url, "http://127.0.0.1:%u%s",
				     service_port(w->service), asset.url) > 0);
		row = row_of(w, ledger, "bird.txt");
		row.asset_id = i < 2 ? "of-another-content" : asset.id;
		row.content_url = i < 2 ? NULL : url;
		row.state = i < 2 ? LEDGER_UPLOADED : LEDGER_GRANTED;
		row.uploaded = i < 2 ? clock_realtime() : 0;
		row.identity.size += 2U - (unsigned)i;
		put(ledger, &row);
	}
	ledger_close(ledger);
	world_remove(w, "bird.txt.asset.json");
	world_launch(w);
	world_wait_uploaded(w, "bird.txt");
	world_assert_uploaded(w, "bird.txt");
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), 1);
	world_stop(w);
}

/* ---- what waits for a storage that is gone ---- */

/* Files that were granted for a storage where nobody listens. */
static void drop_granted(struct world *w, int count)
{
	struct ledger *ledger = open_ledger(w);

	world_drop_many(w, count);
	for (int i = 0; i < count; i++) {
		char name[32], id[32], url[64];
		struct ledger_row row;

		snprintf(name, sizeof(name), "f%d.txt", i);
		snprintf(id, sizeof(id), "asset-%d", i);
		snprintf(url, sizeof(url), "http://127.0.0.1:1/content/%d", i);
		row = row_of(w, ledger, name);
		row.asset_id = id;
		row.content_url = url;
		put(ledger, &row);
	}
	ledger_close(ledger);
}

static void what_waits_for_a_storage_keeps_out_nobody(void **state)
{
	static const struct world_options options = { .spools = { "other" },
						      .no_agent = true };
	struct world *w = *state;

	world_start(w, &options);
	drop_granted(w, FILES);
	world_launch(w);
	world_wait_log(w, "storage");
	world_upload(w, "new.txt");
	world_upload(w, "../other/new.txt");
	/* They wait for theirs, but that one of them is tried with another now and then.
	 */
	assert_in_range(service_count(w->service, ENDPOINT_CREATE), 2, 4);
	world_wait_status(w, "+,");
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(no_unfinished_file_is_begun_anew_however_many_there_are),
		scenario(a_drain_finishes_all_that_is_unfinished),
		scenario(a_file_that_was_replaced_twice_is_not_begun_anew),
		scenario(what_waits_for_a_storage_keeps_out_nobody),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
