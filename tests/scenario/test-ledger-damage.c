/*
 * The ledger is damaged, gone, locked, or another's. It is set aside or refused with a
 * clear line, and whatever it held, each file gets its sidecar.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "fs.h"
#include "macro.h"
#include "world.h"

enum { FILES = 3, MANY = 700, PART = 512 };

#define LEDGER_MAX ((size_t)16 * 1024 * 1024)

static const struct world_options quick = { .retry = "InitialDelay=10ms\n" };

/* ---- files on their way ---- */

static void name_of(char name[static 32], int i)
{
	snprintf(name, 32, "f%d.txt", i);
}

static void drop_files(struct world *w)
{
	for (int i = 0; i < FILES; i++) {
		char name[32];

		name_of(name, i);
		world_drop(w, name, name);
	}
}

static void assert_all_uploaded(struct world *w)
{
	for (int i = 0; i < FILES; i++) {
		char name[32];

		name_of(name, i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
	assert_int_equal(world_count_log(w, "Gave up"), 0);
}

static void remove_sidecars(struct world *w)
{
	for (int i = 0; i < FILES; i++) {
		char name[64];

		snprintf(name, sizeof(name), "f%d.txt.asset.json", i);
		if (world_exists(w, name))
			world_remove(w, name);
	}
}

static void stall_uploads(struct world *w)
{
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .phase = FAULT_AT_HEAD,
						   .action = FAULT_STALL });
	drop_files(w);
	assert_true(service_wait_held(w->service, FILES, world_patience()));
}

static void let_uploads_go(struct world *w)
{
	service_clear_faults(w->service);
	service_release(w->service);
}

static void end(struct world *w)
{
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
}

/* It ends with the files on their way in the ledger, and nothing beside that. */
static void start_and_end_under_way(struct world *w)
{
	world_start(w, &quick);
	stall_uploads(w);
	world_signal(w, SIGTERM);
	world_wait_log(w, "Stopping");
	end(w);
	let_uploads_go(w);
}

/* The same, but what is in the ledger is still in its log. */
static void start_and_kill_under_way(struct world *w)
{
	world_start(w, &quick);
	stall_uploads(w);
	world_kill9(w);
	let_uploads_go(w);
}

/* ---- the ledger's files ---- */

static const char *const parts[] = { "", "-wal", "-shm" };

struct ledger {
	struct {
		char *path;
		char *bytes; /* NULL: not there */
		size_t length;
	} files[ARRAY_SIZE(parts)];
};

static void ledger_read(struct world *w, struct ledger *ledger)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		ledger->files[i].bytes = NULL;
		assert_true(asprintf(&ledger->files[i].path, "%s/ledger.db%s", w->state,
				     parts[i]) > 0);
		(void)fs_read_file(AT_FDCWD, ledger->files[i].path, LEDGER_MAX,
				   &ledger->files[i].bytes, &ledger->files[i].length);
	}
	assert_non_null(ledger->files[0].bytes);
}

static void ledger_restore(struct world *w, const struct ledger *ledger)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		(void)unlink(ledger->files[i].path);
		if (ledger->files[i].bytes)
			world_drop_bytes(w, ledger->files[i].path, ledger->files[i].bytes,
					 ledger->files[i].length);
	}
}

static void ledger_done(struct ledger *ledger)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		free(ledger->files[i].path);
		free(ledger->files[i].bytes);
	}
}

static void truncate_file(const char *path, size_t length)
{
	assert_int_equal(truncate(path, (off_t)length), 0);
}

static void overwrite(const char *path, size_t offset, size_t length, bool zeroes)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	_cleanup_free_ char *bytes = calloc(1, length);
	uint32_t noise = 2463534242;

	assert_true(fd >= 0);
	assert_non_null(bytes);
	for (size_t i = 0; i < length && !zeroes; i++) {
		noise ^= noise << 13;
		noise ^= noise >> 17;
		noise ^= noise << 5;
		bytes[i] = (char)noise;
	}
	assert_int_equal(pwrite(fd, bytes, length, (off_t)offset), (ssize_t)length);
}

static char *ledger_path(struct world *w)
{
	char *path;

	assert_true(asprintf(&path, "%s/ledger.db", w->state) > 0);
	return path;
}

/* ---- what must come of it ---- */

/* Starts with the ledger as it is now. Whether it was set aside. */
static bool comes_through(struct world *w)
{
	size_t aside;

	world_mark_log(w);
	remove_sidecars(w);
	world_launch(w);
	assert_all_uploaded(w);
	aside = world_count_log(w, "It was set aside as");
	assert_in_range(aside, 0, 1);
	end(w);
	return aside == 1;
}

static void assert_refused(struct world *w, const char *why)
{
	world_mark_log(w);
	world_launch(w);
	assert_int_equal(world_wait_exit(w), 1);
	assert_int_equal(world_count_log(w, why), 1);
	assert_int_equal(world_count_log(w, "set aside"), 0);
}

/* No file was asked for twice: what the ledger holds was used. */
static void assert_no_orphans(struct world *w)
{
	assert_int_equal(service_asset_count(w->service), FILES);
}

/* ---- damaged between two runs ---- */

static void a_ledger_cut_off_anywhere_is_set_aside(void **state)
{
	struct world *w = *state;
	struct ledger ledger;

	start_and_end_under_way(w);
	ledger_read(w, &ledger);
	assert_null(ledger.files[1].bytes);
	for (size_t length = 0; length < ledger.files[0].length; length += PART) {
		ledger_restore(w, &ledger);
		truncate_file(ledger.files[0].path, length);
		assert_true(comes_through(w));
	}
	ledger_done(&ledger);
	world_stop(w);
}

/* Its frames are sealed each, so what is whole counts, and the rest never was. */
static void a_log_cut_off_anywhere_is_read_as_far_as_it_goes(void **state)
{
	struct world *w = *state;
	struct ledger ledger;

	start_and_kill_under_way(w);
	ledger_read(w, &ledger);
	assert_non_null(ledger.files[1].bytes);
	for (size_t length = 0; length < ledger.files[1].length; length += PART) {
		ledger_restore(w, &ledger);
		truncate_file(ledger.files[1].path, length);
		(void)comes_through(w);
	}
	ledger_restore(w, &ledger);
	assert_false(comes_through(w));
	ledger_done(&ledger);
	world_stop(w);
}

/* In the whole, or at the places that SQLite trusts most; or at a lost page. */
static const struct {
	size_t part, offset, length; /* length 0: to the end */
	bool zeroes, set_aside;
} noises[] = {
	{ 0, 0, 16, false, true },    /* the magic string */
	{ 0, 16, 84, false, true },   /* the rest of the header */
	{ 0, 28, 4, false, true },    /* the number of pages */
	{ 0, 100, 8, false, true },   /* the first page's own header */
	{ 0, 4096, 0, false, true },  /* all pages but the first */
	{ 0, 4096, 12, false, true }, /* one page's header */
	{ 0, 8192, 0, true, true },   /* zeroes, as a power loss leaves them */
	{ 0, 0, 0, true, true },
	{ 0, 0, 0, false, true },
	{ 1, 0, 32, false, false },    /* the log's header */
	{ 1, 32, 24, false, false },   /* a frame's */
	{ 1, 56, 4096, false, false }, /* a frame */
	{ 1, 0, 0, false, false },
	{ 1, 4152, 0, true, false }, /* zeroes behind the first */
	{ 2, 0, 0, false, false },   /* what is found anew anyway */
	{ 2, 0, 0, true, false },
};

static void noise_in_any_of_its_files_loses_nothing(void **state)
{
	struct world *w = *state;
	struct ledger closed, killed;

	start_and_end_under_way(w);
	ledger_read(w, &closed);
	world_launch(w);
	assert_all_uploaded(w);
	remove_sidecars(w);
	world_kill9(w);
	ledger_read(w, &killed);
	for (size_t i = 0; i < ARRAY_SIZE(noises); i++) {
		const struct ledger *ledger = noises[i].part == 0 ? &closed : &killed;
		size_t length = ledger->files[noises[i].part].length;

		ledger_restore(w, ledger);
		overwrite(ledger->files[noises[i].part].path, noises[i].offset,
			  noises[i].length ? noises[i].length : length - noises[i].offset,
			  noises[i].zeroes);
		if (comes_through(w) != noises[i].set_aside)
			fail_msg("noise %zu: set aside: %d", i, !noises[i].set_aside);
	}
	ledger_done(&closed);
	ledger_done(&killed);
	world_stop(w);
}

static void make_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) <
		    (int)sizeof(address.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void what_is_no_file_in_its_place_is_set_aside(void **state)
{
	static void (*const make[])(const char *path) = { make_directory, make_fifo,
							  make_socket };
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;

	start_and_end_under_way(w);
	path = ledger_path(w);
	for (size_t i = 0; i < ARRAY_SIZE(make); i++) {
		world_remove(w, path);
		make[i](path);
		assert_true(comes_through(w));
	}
	world_stop(w);
}

/* ---- refused ---- */

static void one_that_may_not_be_read_is_refused_and_left_alone(void **state)
{
	static const mode_t modes[] = { 0, 0400, 0200 };
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;

	/* Without its capabilities, root is forbidden what others are. */
	if (geteuid() == 0)
		setenv("ASSET_AGENT_WRAPPER",
		       "setpriv --bounding-set=-all --inh-caps=-all", 1);
	start_and_end_under_way(w);
	path = ledger_path(w);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_refused(w, "Could not open the ledger");
		assert_int_equal(world_count_log(w, "Permission denied"), 1);
	}
	assert_int_equal(chmod(path, 0600), 0);
	assert_false(comes_through(w));
	assert_no_orphans(w);
	world_stop(w);
	unsetenv("ASSET_AGENT_WRAPPER");
}

static void execute(sqlite3 *sqlite, const char *sql)
{
	if (sqlite3_exec(sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(sqlite));
}

static sqlite3 *open_database(struct world *w)
{
	_cleanup_free_ char *path = ledger_path(w);
	sqlite3 *sqlite;

	assert_int_equal(sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READWRITE, NULL),
			 SQLITE_OK);
	(void)sqlite3_busy_timeout(sqlite, 5000);
	return sqlite;
}

static void set_version(struct world *w, const char *sql)
{
	sqlite3 *sqlite = open_database(w);

	execute(sqlite, sql);
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
}

static void one_of_an_older_schema_is_set_aside(void **state)
{
	struct world *w = *state;

	start_and_end_under_way(w);
	set_version(w, "PRAGMA user_version = 0");
	assert_true(comes_through(w));
	set_version(w, "PRAGMA user_version = -1");
	assert_true(comes_through(w));
	world_stop(w);
}

static void one_of_a_newer_schema_is_refused_and_not_touched(void **state)
{
	struct world *w = *state;
	struct ledger before, after;

	start_and_end_under_way(w);
	set_version(w, "PRAGMA user_version = 2");
	ledger_read(w, &before);
	assert_refused(w, "was written by a newer asset-agent");
	assert_int_equal(world_run(w, "drain", NULL), 1);
	ledger_read(w, &after);
	assert_int_equal(before.files[0].length, after.files[0].length);
	assert_memory_equal(before.files[0].bytes, after.files[0].bytes,
			    before.files[0].length);
	ledger_done(&before);
	ledger_done(&after);
	set_version(w, "PRAGMA user_version = 1");
	assert_false(comes_through(w));
	assert_no_orphans(w);
	world_stop(w);
}

static void a_second_agent_on_the_same_state_refuses_to_start(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall_uploads(w);
	assert_int_equal(world_run(w, "drain", NULL), 1);
	assert_int_equal(world_count_log(w, "Another asset-agent is running"), 1);
	let_uploads_go(w);
	assert_all_uploaded(w);
	assert_no_orphans(w);
	world_stop(w);
}

/* ---- locked by the sqlite3 shell ---- */

static void one_that_is_locked_at_the_start_is_refused(void **state)
{
	struct world *w = *state;
	sqlite3 *sqlite;

	start_and_end_under_way(w);
	sqlite = open_database(w);
	execute(sqlite, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
	assert_refused(w, "is locked by another program");
	assert_int_equal(world_count_log(w, "Another asset-agent"), 0);
	execute(sqlite, "ROLLBACK");
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
	assert_false(comes_through(w));
	assert_no_orphans(w);
	world_stop(w);
}

static void one_that_is_locked_while_it_runs_is_waited_for(void **state)
{
	struct world *w = *state;
	sqlite3 *sqlite;

	world_start(w, &quick);
	sqlite = open_database(w);
	execute(sqlite, "BEGIN IMMEDIATE");
	drop_files(w);
	world_wait_log(w, "The disk of the state directory can't be written");
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 0);
	execute(sqlite, "ROLLBACK");
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
	assert_all_uploaded(w);
	world_wait_log(w, "The disk of the state directory can be written again");
	assert_int_equal(
		world_count_log(w, "The disk of the state directory can't be written"),
		1);
	assert_no_orphans(w);
	world_stop(w);
}

/* ---- damaged while it runs ---- */

static void one_that_is_deleted_while_it_runs_loses_nothing(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	stall_uploads(w);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		_cleanup_free_ char *path = ledger_path(w), *part = NULL;

		assert_true(asprintf(&part, "%s%s", path, parts[i]) > 0);
		world_remove(w, part);
	}
	world_kill9(w);
	let_uploads_go(w);
	assert_false(comes_through(w));
	world_stop(w);
}

static void many(struct world *w, void (*what)(struct world *w, const char *name))
{
	for (int i = 0; i < MANY; i++) {
		char name[256];

		snprintf(name, sizeof(name), "%0200d.txt", i);
		what(w, name);
	}
}

static void drop_long(struct world *w, const char *name)
{
	world_drop_random(w, name, 1000, 1);
}

/* Twice as many rows as SQLite keeps in memory. They fail by an answer, and wait for
 * another try: where a connection is cut, libcurl tries again by itself, who knows how
 * often. */
static void start_with_many_waiting(struct world *w)
{
	static const struct world_options patient = {
		.retry = "InitialDelay=1h\nMaxDelay=1h\nMaxAttempts=9\n",
	};
	_cleanup_free_ char *waiting = NULL;

	world_start(w, &patient);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .action = FAULT_ANSWER,
						   .status = 422 });
	many(w, drop_long);
	assert_true(service_wait_answers(w->service, ENDPOINT_UPLOAD, 422, MANY,
					 world_patience()));
	assert_true(asprintf(&waiting, "Uploading 0, waiting %d, ", MANY) > 0);
	world_wait_status(w, waiting);
	service_clear_faults(w->service);
	/* A checkpoint that is under way would write the pages anew, and mend what the
	 * test breaks. All that came before a receipt is done, checkpoints and all. */
	world_upload(w, "last.txt");
}

static void drop_again(struct world *w, const char *name)
{
	if (w->pid > 0)
		world_drop(w, name, name);
}

/* It ends and says why: the next start, which is systemd's to make, sets it aside. */
static void damage_under_way(struct world *w, void (*damage)(const char *path))
{
	struct ledger ledger;

	start_with_many_waiting(w);
	ledger_read(w, &ledger);
	damage(ledger.files[0].path);
	damage(ledger.files[1].path);
	ledger_done(&ledger);
	many(w, drop_again);
	assert_int_equal(world_wait_exit(w), 1);
	assert_int_equal(world_count_log(w, "is damaged. Ending"), 1);
	drop_files(w);
	assert_true(comes_through(w));
	world_stop(w);
}

static void cut_off(const char *path)
{
	truncate_file(path, 0);
}

static void fill_with_noise(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	overwrite(path, 0, (size_t)st.st_size, false);
}

static void one_that_is_cut_off_while_it_runs_ends_it_with_a_word(void **state)
{
	damage_under_way(*state, cut_off);
}

static void one_that_turns_to_noise_while_it_runs_ends_it_with_a_word(void **state)
{
	damage_under_way(*state, fill_with_noise);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(a_ledger_cut_off_anywhere_is_set_aside),
		scenario(a_log_cut_off_anywhere_is_read_as_far_as_it_goes),
		scenario(noise_in_any_of_its_files_loses_nothing),
		scenario(what_is_no_file_in_its_place_is_set_aside),
		scenario(one_that_may_not_be_read_is_refused_and_left_alone),
		scenario(one_of_an_older_schema_is_set_aside),
		scenario(one_of_a_newer_schema_is_refused_and_not_touched),
		scenario(a_second_agent_on_the_same_state_refuses_to_start),
		scenario(one_that_is_locked_at_the_start_is_refused),
		scenario(one_that_is_locked_while_it_runs_is_waited_for),
		scenario(one_that_is_deleted_while_it_runs_loses_nothing),
		scenario(one_that_is_cut_off_while_it_runs_ends_it_with_a_word),
		scenario(one_that_turns_to_noise_while_it_runs_ends_it_with_a_word),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
