#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>

#include "ledger-look.h"
#include "macro.h"
#include "scratch.h"

#define PATIENCE_MSEC (PATIENCE_SECONDS * 1000)

/* ---- a ledger with one granted, two uploaded and three waiting ---- */

static void on_put(void *userdata, int error)
{
	unsigned *pending = userdata;

	assert_int_equal(error, 0);
	--*pending;
}

static void put_rows(struct ledger *ledger)
{
	static const enum ledger_state STATES[] = {
		LEDGER_GRANTED, LEDGER_UPLOADED, LEDGER_UPLOADED,
		LEDGER_WAITING, LEDGER_WAITING,	 LEDGER_WAITING,
	};
	unsigned pending = ARRAY_SIZE(STATES);

	for (size_t i = 0; i < ARRAY_SIZE(STATES); i++) {
		const struct ledger_row row = { .serial = ledger_serial(ledger),
						.state = STATES[i],
						.directory = "/spool",
						.name = "f" };

		assert_int_equal(ledger_put(ledger, &row, on_put, &pending), 0);
	}
	while (pending > 0) {
		struct pollfd p = { .fd = ledger_fd(ledger), .events = POLLIN };

		assert_int_equal(poll(&p, 1, PATIENCE_MSEC), 1);
		ledger_dispatch(ledger);
	}
}

static struct ledger *open_ledger(const char *directory)
{
	struct ledger *ledger = NULL;
	char *aside = NULL;

	assert_int_equal(ledger_open(directory, &ledger, &aside), 0);
	assert_null(aside);
	return ledger;
}

static void assert_counts(const char *directory)
{
	uint64_t counts[4] = {};

	assert_int_equal(ledger_look_counts(directory, counts), 0);
	assert_int_equal(counts[LEDGER_GRANTED], 1);
	assert_int_equal(counts[LEDGER_UPLOADED], 2);
	assert_int_equal(counts[LEDGER_WAITING], 3);
}

/* The names in the directory, each with its size, in any order that stays the same. */
static uint64_t fingerprint(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	uint64_t sum = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		uint64_t hash = 14695981039346656037U;
		struct stat st;

		assert_int_equal(fstatat(dirfd(directory), entry->d_name, &st, 0), 0);
		for (const char *p = entry->d_name; *p; p++)
			hash = (hash ^ (unsigned char)*p) * 1099511628211U;
		sum += hash ^ (uint64_t)st.st_size * 31;
	}
	(void)closedir(directory);
	return sum;
}

/* ---- tests ---- */

/* Beside whoever has it open, and when nobody has; and nothing comes of looking. */
static void test_counts(void **state)
{
	_cleanup_scratch_ struct scratch scratch = scratch_make();
	struct ledger *ledger = open_ledger(scratch.path);
	uint64_t before;

	(void)state;
	put_rows(ledger);
	before = fingerprint(scratch.path);
	assert_counts(scratch.path);
	assert_true(fingerprint(scratch.path) == before);
	ledger_close(ledger);

	before = fingerprint(scratch.path);
	assert_counts(scratch.path);
	assert_true(fingerprint(scratch.path) == before);
}

/* The writer goes on while somebody looks, and the next look sees what it wrote. */
static void test_writer_goes_on(void **state)
{
	_cleanup_scratch_ struct scratch scratch = scratch_make();
	struct ledger *ledger = open_ledger(scratch.path);
	uint64_t counts[4] = {};

	(void)state;
	for (uint64_t n = 1; n <= 5; n++) {
		put_rows(ledger);
		assert_int_equal(ledger_look_counts(scratch.path, counts), 0);
		assert_int_equal(counts[LEDGER_WAITING], 3 * n);
	}
	ledger_close(ledger);
}

/* A path is no URI, whatever is in it. */
static void test_odd_path(void **state)
{
	_cleanup_scratch_ struct scratch scratch = scratch_make();
	char path[sizeof(scratch.path) + 32];
	struct ledger *ledger;

	(void)state;
	snprintf(path, sizeof(path), "%s/a?mode=rw#b%%20c", scratch.path);
	assert_int_equal(mkdir(path, 0700), 0);
	ledger = open_ledger(path);
	put_rows(ledger);
	assert_counts(path);
	ledger_close(ledger);
	assert_counts(path);
}

static void test_faults(void **state)
{
	_cleanup_scratch_ struct scratch scratch = scratch_make();
	uint64_t counts[4] = { 7, 7, 7, 7 };

	(void)state;
	assert_int_equal(ledger_look_counts(scratch.path, counts), -ENOENT);
	assert_false(is_there(scratch.fd, LEDGER_FILE));
	put_file(scratch.fd, LEDGER_FILE,
		 "this is no database, but it is long enough for one");
	assert_int_equal(ledger_look_counts(scratch.path, counts), -EUCLEAN);
	assert_true(file_holds(scratch.fd, LEDGER_FILE,
			       "this is no database, but it is long enough for one"));
	put_file(scratch.fd, LEDGER_FILE, "");
	assert_true(ledger_look_counts(scratch.path, counts) < 0);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		assert_int_equal(counts[i], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_writer_goes_on),
		cmocka_unit_test(test_odd_path),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
