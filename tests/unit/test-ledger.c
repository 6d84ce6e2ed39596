// wrap: syncfs pthread_cond_timedwait sqlite3_step
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ledger-db.h"
#include "ledger.h"
#include "macro.h"

/* Nothing here takes so long; it only keeps a broken ledger from hanging the run. */
#define PATIENCE_MSEC 60000

/* ---- a disk that fails on demand: SQLite's own files, seen from below ---- */

enum disk_call { DISK_WRITE, DISK_SYNC };

static struct {
	atomic_int fuse; /* calls that still work; -1: all */
	enum disk_call call;
	int error; /* SQLITE_* */
	atomic_uint syncs;
	atomic_bool hold; /* the next sync tells `held` and waits for `go_on` */
	sem_t held, go_on;
} disk = { .fuse = -1 };

/* SQLite's methods for a kind of file (it locks some, others not), and those in between.
 */
static struct file_kind {
	sqlite3_io_methods faulty; /* first: a file points to it */
	const sqlite3_io_methods *real;
} file_kinds[4];

static sqlite3_vfs *real_vfs, faulty_vfs;

static bool disk_fails(enum disk_call call)
{
	if (call != disk.call || disk.fuse < 0)
		return false;
	if (disk.fuse == 0)
		return true;
	disk.fuse--;
	return false;
}

static const sqlite3_io_methods *real_of(sqlite3_file *file)
{
	return ((const struct file_kind *)file->pMethods)->real;
}

static int faulty_write(sqlite3_file *file, const void *data, int length,
			sqlite3_int64 at)
{
	return disk_fails(DISK_WRITE) ? disk.error
				      : real_of(file)->xWrite(file, data, length, at);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
	disk.syncs++;
	if (atomic_exchange(&disk.hold, false)) {
		sem_post(&disk.held);
		sem_wait(&disk.go_on);
	}
	return disk_fails(DISK_SYNC) ? disk.error : real_of(file)->xSync(file, flags);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
		       int *ret_flags)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	int rc = real_vfs->xOpen(real_vfs, name, file, flags, ret_flags);
	struct file_kind *kind = file_kinds;

	(void)vfs;
	if (rc != SQLITE_OK)
		return rc;
	pthread_mutex_lock(&mutex);
	while (kind->real && kind->real != file->pMethods)
		kind++;
	if (!kind->real) {
		kind->real = file->pMethods;
		kind->faulty = *kind->real;
		kind->faulty.xWrite = faulty_write;
		kind->faulty.xSync = faulty_sync;
	}
	pthread_mutex_unlock(&mutex);
	file->pMethods = &kind->faulty;
	return rc;
}

static void disk_install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	faulty_vfs = *real_vfs;
	faulty_vfs.zName = "faulty";
	faulty_vfs.xOpen = faulty_open;
	sqlite3_vfs_register(&faulty_vfs, 1);
	sem_init(&disk.held, 0, 0);
	sem_init(&disk.go_on, 0, 0);
}

static void disk_fail(enum disk_call call, int error, int after)
{
	disk.call = call;
	disk.error = error;
	disk.fuse = after;
}

static void disk_mend(void)
{
	disk.fuse = -1;
}

/* ---- the calls that are wrapped ---- */

int __real_syncfs(int fd);
int __wrap_syncfs(int fd);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __real_sqlite3_step(sqlite3_stmt *s);
int __wrap_sqlite3_step(sqlite3_stmt *s);

static struct {
	atomic_uint calls;
	atomic_int error;
	atomic_ulong last_device;
	sem_t called;
} syncfs_seen;

static struct {
	atomic_bool expires; /* at once; else never, however slow the machine is */
	atomic_uint calls;
	atomic_bool too_long;
} idle;

static _Thread_local unsigned steps;
static atomic_int insert_error;

int __wrap_syncfs(int fd)
{
	struct stat st = {};
	int r = fstat(fd, &st);

	syncfs_seen.last_device = r == 0 ? st.st_dev : 0;
	if (syncfs_seen.error) {
		errno = syncfs_seen.error;
		r = -1;
	} else {
		r = __real_syncfs(fd);
	}
	syncfs_seen.calls++;
	sem_post(&syncfs_seen.called);
	return r;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (usec_from_timespec(*until) > usec_from_timespec(now) + LEDGER_SYNC_DELAY)
		idle.too_long = true;
	idle.calls++;
	return idle.expires ? ETIMEDOUT : pthread_cond_wait(cond, mutex);
}

int __wrap_sqlite3_step(sqlite3_stmt *s)
{
	steps++;
	if (insert_error && startswith(sqlite3_sql(s), "INSERT"))
		return insert_error;
	return __real_sqlite3_step(s);
}

/* ---- a state directory and its ledger ---- */

struct world {
	char directory[64];
	struct ledger *ledger;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level > 0 ? remove(path) : 0;
}

static void empty_directory(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	strcpy(w->directory, "/tmp/test-ledger.XXXXXX");
	if (!mkdtemp(w->directory))
		return -1;
	disk_mend();
	disk.hold = false;
	insert_error = SQLITE_OK;
	syncfs_seen.error = 0;
	idle.expires = false;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	disk_mend();
	ledger_close(w->ledger);
	/* One that a failed test has left. */
	(void)umount2(w->directory, MNT_DETACH);
	empty_directory(w->directory);
	rmdir(w->directory);
	free(w);
	return 0;
}

static const char *path_in(const struct world *w, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", w->directory, name);
	return path;
}

static void open_ledger(struct world *w)
{
	char *aside = NULL;

	assert_int_equal(ledger_open(w->directory, &w->ledger, &aside), 0);
	assert_null(aside);
}

static void close_ledger(struct world *w)
{
	ledger_close(take_ptr(w->ledger));
}

static void reopen(struct world *w)
{
	close_ledger(w);
	open_ledger(w);
}

struct done {
	unsigned called;
	int error;
};

static void on_done(void *userdata, int error)
{
	struct done *done = userdata;

	done->called++;
	done->error = error;
}

static void wait_for(struct world *w, const struct done *done, unsigned calls)
{
	while (done->called < calls) {
		struct pollfd p = { .fd = ledger_fd(w->ledger), .events = POLLIN };

		assert_int_equal(poll(&p, 1, PATIENCE_MSEC), 1);
		ledger_dispatch(w->ledger);
	}
	assert_int_equal(done->called, calls);
}

static void wait_for_semaphore(sem_t *semaphore)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MSEC / 1000;
	while (sem_timedwait(semaphore, &until) < 0)
		assert_int_equal(errno, EINTR);
}

/* Puts and waits; what the callback was told. */
static int put(struct world *w, const struct ledger_row *row)
{
	struct done done = {};

	assert_int_equal(ledger_put(w->ledger, row, on_done, &done), 0);
	wait_for(w, &done, 1);
	return done.error;
}

static struct ledger_row row_of(uint64_t serial, enum ledger_state state,
				const char *name)
{
	return (struct ledger_row){
		.serial = serial,
		.state = state,
		.directory = "/spool",
		.name = name,
		.identity = { .device = 1, .inode = serial, .size = 17245 },
	};
}

static uint64_t put_new(struct world *w, enum ledger_state state, const char *name)
{
	struct ledger_row row = row_of(ledger_serial(w->ledger), state, name);

	assert_int_equal(put(w, &row), 0);
	return row.serial;
}

/* The names of all rows of a state, in their order, each with a blank after it. */
struct names {
	char text[4096];
};

static int add_name(void *userdata, const struct ledger_row *row)
{
	struct names *names = userdata;
	size_t used = strlen(names->text);

	snprintf(names->text + used, sizeof(names->text) - used, "%s ", row->name);
	return 0;
}

static const char *names_of(struct world *w, enum ledger_state state)
{
	static struct names names;

	names.text[0] = '\0';
	assert_int_equal(ledger_each(w->ledger, state, add_name, &names), 0);
	return names.text;
}

static void assert_counts(struct world *w, uint64_t granted, uint64_t uploaded,
			  uint64_t waiting)
{
	uint64_t counts[4] = {};

	ledger_counts(w->ledger, counts);
	assert_int_equal(counts[LEDGER_GRANTED], granted);
	assert_int_equal(counts[LEDGER_UPLOADED], uploaded);
	assert_int_equal(counts[LEDGER_WAITING], waiting);
}

/* What a bystander with the sqlite3 shell sees: the number that @sql gives. */
static int64_t ask(struct world *w, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int64_t number = -1;

	assert_int_equal(sqlite3_open(path_in(w, LEDGER_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	while (__real_sqlite3_step(s) == SQLITE_ROW)
		number = sqlite3_column_int64(s, 0);
	assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return number;
}

static unsigned count_entries(const char *directory)
{
	DIR *dir = opendir(directory);
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* ---- rows ---- */

static char every_byte[256];

static const struct ledger_row ROWS[] = {
	{
		.serial = 1,
		.state = LEDGER_GRANTED,
		.directory = "/spool/in",
		.name = "bird.jpg",
		.identity = { 2, 3, 4, { 5, 6 } },
		.asset_id = "7-8",
		.content_url = "https://store.example/9?signature=10",
		.content_type = "image/jpeg",
		.expires = 11,
		.uploaded = 12,
		.attempts = 13,
		.next_try = 14,
	},
	{ .serial = 2, .state = LEDGER_UPLOADED, .directory = "/", .name = "least" },
	{
		.serial = 3,
		.state = LEDGER_WAITING,
		.directory = "/greatest",
		.name = every_byte,
		.identity = { UINT64_MAX,
			      UINT64_MAX,
			      INT64_MAX,
			      { INT64_MAX, 999999999 } },
		.asset_id = "",
		.expires = USEC_INFINITY,
		.uploaded = USEC_INFINITY,
		.attempts = UINT32_MAX,
		.next_try = USEC_INFINITY,
	},
	{
		.serial = 4,
		.state = LEDGER_WAITING,
		.directory = "/\xff\xfe",
		.name = "before 1970",
		.identity = { .modified = { -1, 1 } },
	},
	{ .serial = 5,
	  .state = LEDGER_WAITING,
	  .directory = "/sql",
	  .name = "'; DROP--\n" },
};

static void assert_text(const char *a, const char *b)
{
	if (!streq(a, b))
		fail_msg("\"%s\" is not \"%s\"", a ?: "(null)", b ?: "(null)");
}

static void assert_rows_equal(const struct ledger_row *a, const struct ledger_row *b)
{
	assert_int_equal(a->serial, b->serial);
	assert_int_equal(a->state, b->state);
	assert_text(a->directory, b->directory);
	assert_text(a->name, b->name);
	assert_int_equal(a->identity.device, b->identity.device);
	assert_int_equal(a->identity.inode, b->identity.inode);
	assert_int_equal(a->identity.size, b->identity.size);
	assert_int_equal(a->identity.modified.tv_sec, b->identity.modified.tv_sec);
	assert_int_equal(a->identity.modified.tv_nsec, b->identity.modified.tv_nsec);
	assert_text(a->asset_id, b->asset_id);
	assert_text(a->content_url, b->content_url);
	assert_text(a->content_type, b->content_type);
	assert_int_equal(a->expires, b->expires);
	assert_int_equal(a->uploaded, b->uploaded);
	assert_int_equal(a->attempts, b->attempts);
	assert_int_equal(a->next_try, b->next_try);
}

static int compare_row(void *userdata, const struct ledger_row *row)
{
	const struct ledger_row **expected = userdata;

	assert_rows_equal(row, (*expected)++);
	return 0;
}

static void test_every_field_comes_back(void **state)
{
	struct world *w = *state;
	const struct ledger_row *next = ROWS;

	open_ledger(w);
	for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++)
		assert_int_equal(put(w, &ROWS[i]), 0);
	reopen(w);
	for (enum ledger_state s = LEDGER_GRANTED; s <= LEDGER_WAITING; s++)
		assert_int_equal(ledger_each(w->ledger, s, compare_row, &next), 0);
	assert_ptr_equal(next, ROWS + ARRAY_SIZE(ROWS));
	assert_counts(w, 1, 1, 3);
}

static void test_what_a_row_points_to_is_copied(void **state)
{
	struct world *w = *state;
	char name[] = "before", url[] = "https://before";
	struct ledger_row row = row_of(1, LEDGER_WAITING, name), found;
	struct done done = {};

	open_ledger(w);
	row.content_url = url;
	assert_int_equal(ledger_put(w->ledger, &row, on_done, &done), 0);
	memset(name, 'x', STRLEN("before"));
	memset(url, 'x', STRLEN("https://before"));
	wait_for(w, &done, 1);
	assert_int_equal(ledger_find_waiting(w->ledger, "/spool", "before", &found), 1);
	assert_string_equal(found.content_url, "https://before");
}

static void test_put_over(void **state)
{
	struct world *w = *state;
	struct ledger_row row = row_of(1, LEDGER_GRANTED, "a");

	open_ledger(w);
	assert_int_equal(put(w, &row), 0);
	assert_counts(w, 1, 0, 0);
	row.state = LEDGER_UPLOADED;
	assert_int_equal(put(w, &row), 0);
	assert_counts(w, 0, 1, 0);
	row.state = LEDGER_WAITING;
	assert_int_equal(put(w, &row), 0);
	assert_int_equal(put(w, &row), 0);
	assert_counts(w, 0, 0, 1);
	reopen(w);
	assert_counts(w, 0, 0, 1);
	assert_string_equal(names_of(w, LEDGER_WAITING), "a ");
}

/* A row of @to over one of @from, or over none where that is 0. */
static void check_put_over(struct world *w, enum ledger_state from, enum ledger_state to)
{
	struct ledger_row before = row_of(ledger_serial(w->ledger), from, "before");
	struct ledger_row after = ROWS[0];
	const struct ledger_row *expected = &after;
	uint64_t counts[4] = {};

	before.asset_id = "before";
	if (from != 0)
		assert_int_equal(put(w, &before), 0);
	after.serial = before.serial;
	after.state = to;
	assert_int_equal(put(w, &after), 0);
	counts[to] = 1;
	assert_counts(w, counts[1], counts[2], counts[3]);
	assert_int_equal(ledger_each(w->ledger, to, compare_row, &expected), 0);
	assert_ptr_equal(expected, &after + 1);
	assert_int_equal(ledger_drop(w->ledger, after.serial), 0);
}

/* Not only those that come in the course of a file. */
static void test_put_each_over_each(void **state)
{
	struct world *w = *state;

	open_ledger(w);
	for (int from = 0; from <= LEDGER_WAITING; from++)
		for (int to = LEDGER_GRANTED; to <= LEDGER_WAITING; to++)
			check_put_over(w, (enum ledger_state)from, (enum ledger_state)to);
}

static void test_drop(void **state)
{
	struct world *w = *state;
	uint64_t a, b;

	open_ledger(w);
	a = put_new(w, LEDGER_GRANTED, "a");
	b = put_new(w, LEDGER_WAITING, "b");
	assert_int_equal(ledger_drop(w->ledger, a), 0);
	assert_int_equal(ledger_drop(w->ledger, b), 0);
	assert_int_equal(ledger_drop(w->ledger, 999), 0);
	put_new(w, LEDGER_GRANTED, "c");
	assert_counts(w, 1, 0, 0);
	assert_int_equal(ask(w, "SELECT count(*) FROM file"), 1);
	reopen(w);
	assert_counts(w, 1, 0, 0);
	assert_string_equal(names_of(w, LEDGER_GRANTED), "c ");
}

static int stop_at_second(void *userdata, const struct ledger_row *row)
{
	unsigned *seen = userdata;

	(void)row;
	return ++*seen == 2 ? -ECANCELED : 0;
}

static void test_each_ends_where_told(void **state)
{
	struct world *w = *state;
	unsigned seen = 0;

	open_ledger(w);
	for (unsigned i = 0; i < 3; i++)
		put_new(w, LEDGER_GRANTED, "a");
	assert_int_equal(ledger_each(w->ledger, LEDGER_GRANTED, stop_at_second, &seen),
			 -ECANCELED);
	assert_int_equal(seen, 2);
	assert_string_equal(names_of(w, LEDGER_GRANTED), "a a a ");
}

static void test_find_waiting(void **state)
{
	static const struct {
		const char *directory, *name;
		int found;
	} asks[] = {
		{ "/spool", "waits", 1 },    { "/spool", "", 0 },
		{ "/spool", "wait", 0 },     { "/spool", "waits2", 0 },
		{ "/spool", "granted", 0 },  { "/spool/", "waits", 0 },
		{ "/other", "waits", 1 },    { "waits", "/spool", 0 },
		{ "/spool", every_byte, 1 }, { "/spool", every_byte + 1, 0 },
		{ "/spool", "WAITS", 0 },
	};
	struct world *w = *state;
	struct ledger_row row = row_of(99, LEDGER_WAITING, "waits"), found;

	open_ledger(w);
	put_new(w, LEDGER_GRANTED, "granted");
	put_new(w, LEDGER_WAITING, "waits");
	put_new(w, LEDGER_WAITING, every_byte);
	row.directory = "/other";
	row.attempts = 7;
	assert_int_equal(put(w, &row), 0);
	for (size_t i = 0; i < ARRAY_SIZE(asks); i++) {
		int r = ledger_find_waiting(w->ledger, asks[i].directory, asks[i].name,
					    &found);

		if (r != asks[i].found)
			fail_msg("ask %zu: %d", i, r);
		if (r > 0) {
			assert_string_equal(found.directory, asks[i].directory);
			assert_string_equal(found.name, asks[i].name);
		}
	}
	assert_int_equal(ledger_find_waiting(w->ledger, "/other", "waits", &found), 1);
	assert_rows_equal(&found, &row);
}

static void test_find_waiting_asks_only_where_some_wait(void **state)
{
	struct world *w = *state;
	struct ledger_row found;
	uint64_t serial;

	open_ledger(w);
	put_new(w, LEDGER_GRANTED, "a");
	steps = 0;
	assert_int_equal(ledger_find_waiting(w->ledger, "/spool", "a", &found), 0);
	assert_int_equal(steps, 0);
	serial = put_new(w, LEDGER_WAITING, "b");
	assert_int_equal(ledger_find_waiting(w->ledger, "/spool", "b", &found), 1);
	assert_true(steps > 0);
	assert_int_equal(ledger_drop(w->ledger, serial), 0);
	put_new(w, LEDGER_GRANTED, "c");
	steps = 0;
	assert_int_equal(ledger_find_waiting(w->ledger, "/spool", "b", &found), 0);
	assert_int_equal(steps, 0);
}

static void test_get(void **state)
{
	struct world *w = *state;
	struct ledger_row row = row_of(99, LEDGER_GRANTED, every_byte), found;
	uint64_t serial;

	open_ledger(w);
	assert_int_equal(ledger_get(w->ledger, 99, &found), 0);
	assert_int_equal(put(w, &row), 0);
	serial = put_new(w, LEDGER_UPLOADED, "uploaded");
	assert_int_equal(ledger_get(w->ledger, 99, &found), 1);
	assert_rows_equal(&found, &row);
	assert_int_equal(ledger_get(w->ledger, serial, &found), 1);
	assert_string_equal(found.name, "uploaded");
	assert_int_equal(ledger_drop(w->ledger, 99), 0);
	put_new(w, LEDGER_GRANTED, "another");
	assert_int_equal(ledger_get(w->ledger, 99, &found), 0);
}

static void test_find_waiting_uses_the_index(void **state)
{
	struct world *w = *state;
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;

	open_ledger(w);
	assert_int_equal(sqlite3_open(path_in(w, LEDGER_FILE), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "EXPLAIN QUERY PLAN SELECT * FROM file WHERE"
					    " state = 3 AND directory = ?1 AND name = ?2",
					    -1, &s, NULL),
			 SQLITE_OK);
	assert_int_equal(__real_sqlite3_step(s), SQLITE_ROW);
	assert_non_null(strstr((const char *)sqlite3_column_text(s, 3), "INDEX waiting"));
	sqlite3_finalize(s);
	sqlite3_close(db);
}

/* ---- commits ---- */

static void test_done_means_synced(void **state)
{
	struct world *w = *state;

	open_ledger(w);
	for (unsigned i = 0; i < 5; i++) {
		unsigned before = disk.syncs;

		put_new(w, LEDGER_GRANTED, "a");
		assert_true(disk.syncs > before);
	}
}

static void test_the_caller_does_not_wait(void **state)
{
	struct world *w = *state;
	struct ledger_row row = row_of(1, LEDGER_GRANTED, "a");
	struct done done = {};

	open_ledger(w);
	disk.hold = true;
	assert_int_equal(ledger_put(w->ledger, &row, on_done, &done), 0);
	wait_for_semaphore(&disk.held);
	/* The disk stands still, and so it has not happened yet. */
	ledger_dispatch(w->ledger);
	assert_int_equal(done.called, 0);
	assert_counts(w, 0, 0, 0);
	assert_string_equal(names_of(w, LEDGER_GRANTED), "");
	sem_post(&disk.go_on);
	wait_for(w, &done, 1);
	assert_int_equal(done.error, 0);
	assert_counts(w, 1, 0, 0);
}

struct turn {
	unsigned *next, mine;
};

static void on_turn(void *userdata, int error)
{
	struct turn *turn = userdata;

	assert_int_equal(error, 0);
	assert_int_equal((*turn->next)++, turn->mine);
}

static void test_group_commit(void **state)
{
	enum { PUTS = 100 };
	struct world *w = *state;
	struct turn turns[PUTS];
	unsigned next = 0, before;

	open_ledger(w);
	/* What the first of its kind writes besides is not to be counted below. */
	put_new(w, LEDGER_GRANTED, "warm");
	before = disk.syncs;
	disk.hold = true;
	for (unsigned i = 0; i < PUTS; i++) {
		struct ledger_row row = row_of(100 + i, LEDGER_GRANTED, "a");

		turns[i] = (struct turn){ &next, i };
		assert_int_equal(ledger_put(w->ledger, &row, on_turn, &turns[i]), 0);
		if (i == 0)
			wait_for_semaphore(&disk.held);
	}
	sem_post(&disk.go_on);
	while (next < PUTS) {
		struct pollfd p = { .fd = ledger_fd(w->ledger), .events = POLLIN };

		assert_int_equal(poll(&p, 1, PATIENCE_MSEC), 1);
		ledger_dispatch(w->ledger);
	}
	assert_int_equal(disk.syncs - before, 2);
	assert_counts(w, PUTS + 1, 0, 0);
}

/* Puts @count rows, and waits for them. */
static void put_many(struct world *w, uint64_t serial, unsigned count)
{
	struct done done = {};

	for (unsigned i = 0; i < count; i++) {
		struct ledger_row row = row_of(serial + i, LEDGER_GRANTED, "a");

		assert_int_equal(ledger_put(w->ledger, &row, on_done, &done), 0);
	}
	wait_for(w, &done, count);
}

/* What comes together waits until most of what may come is there; here it would for ever.
 */
static void test_gathering(void **state)
{
	struct world *w = *state;
	struct done done = {};
	unsigned before;

	open_ledger(w);
	ledger_expect(w->ledger, 16);
	put_new(w, LEDGER_GRANTED, "alone");
	disk.hold = true;
	for (unsigned i = 0; i < 3; i++) {
		struct ledger_row row = row_of(100 + i, LEDGER_GRANTED, "a");

		assert_int_equal(ledger_put(w->ledger, &row, on_done, &done), 0);
		if (i == 0)
			wait_for_semaphore(&disk.held);
	}
	sem_post(&disk.go_on);
	wait_for(w, &done, 3);
	before = disk.syncs;
	put_many(w, 200, 12);
	assert_int_equal(disk.syncs - before, 1);
	/* Nor for longer than a moment. */
	idle.expires = true;
	put_new(w, LEDGER_GRANTED, "alone");
	assert_int_equal(disk.syncs - before, 2);
}

static void on_done_kill(void *userdata, int error)
{
	(void)userdata;
	if (error == 0)
		(void)raise(SIGKILL);
}

/* A process of its own that dies within the callback; only its exit tells of a fault. */
static void put_and_die(const struct world *w, const struct ledger_row *row)
{
	struct ledger *ledger = NULL;
	char *aside = NULL;

	if (ledger_open(w->directory, &ledger, &aside) < 0 ||
	    ledger_put(ledger, row, on_done_kill, NULL) < 0)
		_exit(1);
	for (;;) {
		struct pollfd p = { .fd = ledger_fd(ledger), .events = POLLIN };

		if (poll(&p, 1, PATIENCE_MSEC) != 1)
			_exit(2);
		ledger_dispatch(ledger);
	}
}

static void test_kill_after_done(void **state)
{
	static const char *const names[] = { [LEDGER_GRANTED] = "granted",
					     [LEDGER_UPLOADED] = "uploaded",
					     [LEDGER_WAITING] = "waiting" };
	struct world *w = *state;

	for (enum ledger_state s = LEDGER_GRANTED; s <= LEDGER_WAITING; s++) {
		struct ledger_row row = row_of(s, s, names[s]);
		pid_t pid = fork();
		int status;

		if (pid == 0)
			put_and_die(w, &row);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	open_ledger(w);
	assert_counts(w, 1, 1, 1);
	assert_string_equal(names_of(w, LEDGER_UPLOADED), "uploaded ");
	/* The dead have used up their serials. */
	assert_true(ledger_serial(w->ledger) > LEDGER_WAITING);
}

static void test_serials_are_never_used_again(void **state)
{
	struct world *w = *state;
	uint64_t greatest = 0;

	open_ledger(w);
	for (unsigned round = 0; round < 20; round++) {
		unsigned rows = round == 10 ? 3000 : round;

		for (unsigned i = 0; i < rows; i++) {
			struct ledger_row row = row_of(ledger_serial(w->ledger),
						       LEDGER_GRANTED, "a");

			assert_true(row.serial > greatest);
			greatest = row.serial;
			assert_int_equal(ledger_put(w->ledger, &row, NULL, NULL), 0);
			assert_int_equal(ledger_drop(w->ledger, row.serial), 0);
		}
		reopen(w);
		assert_counts(w, 0, 0, 0);
	}
	assert_true(ledger_serial(w->ledger) > greatest);
	/* And one that came from elsewhere counts too. */
	close_ledger(w);
	ask(w, "UPDATE reserved SET serial = 5");
	ask(w, "INSERT INTO file VALUES (777777, 1, 'd', 'n', 0, 0, 0, 0, 0,"
	       " NULL, NULL, NULL, 0, 0, 0, 0)");
	open_ledger(w);
	assert_true(ledger_serial(w->ledger) > 777777);
}

/* ---- finishing ---- */

static int open_spool(struct world *w)
{
	int fd = open(w->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void drain_syncfs(void)
{
	while (sem_trywait(&syncfs_seen.called) == 0)
		;
	syncfs_seen.calls = 0;
}

static int finish(struct ledger *ledger, uint64_t serial, int fd)
{
	struct stat st = {};

	(void)fstat(fd, &st);
	return ledger_finish(ledger, serial, st.st_dev, fd);
}

static void test_finish_at_the_close(void **state)
{
	struct world *w = *state;
	struct stat st;
	int fd;

	open_ledger(w);
	drain_syncfs();
	fd = open_spool(w);
	assert_int_equal(fstat(fd, &st), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(finish(w->ledger, put_new(w, LEDGER_UPLOADED, "a"), fd),
				 0);
	put_new(w, LEDGER_UPLOADED, "b");
	/* Finished ones no longer count, but are there until the filesystem is synced. */
	assert_counts(w, 0, 1, 0);
	assert_int_equal(ask(w, "SELECT count(*) FROM file"), 11);
	assert_int_equal(syncfs_seen.calls, 0);
	/* It's the ledger's own descriptor that is synced. */
	close(fd);
	reopen(w);
	assert_int_equal(syncfs_seen.calls, 1);
	assert_int_equal(syncfs_seen.last_device, st.st_dev);
	assert_string_equal(names_of(w, LEDGER_UPLOADED), "b ");
}

static void test_finish_when_idle(void **state)
{
	struct world *w = *state;
	unsigned waits, fds;
	int fd;

	open_ledger(w);
	drain_syncfs();
	fd = open_spool(w);
	put_new(w, LEDGER_UPLOADED, "warm");
	fds = count_entries("/proc/self/fd");
	idle.calls = 0;
	idle.expires = true;
	assert_int_equal(finish(w->ledger, put_new(w, LEDGER_UPLOADED, "a"), fd), 0);
	wait_for_semaphore(&syncfs_seen.called);
	/* One transaction after another: when this one is done, so is the deletion. */
	put_new(w, LEDGER_UPLOADED, "b");
	assert_int_equal(count_entries("/proc/self/fd"), fds);
	assert_int_equal(ask(w, "SELECT count(*) FROM file"), 2);
	assert_counts(w, 0, 2, 0);
	waits = idle.calls;
	assert_int_equal(waits, 1);
	assert_false(idle.too_long);
	/* Nothing to finish, nothing to wake up for. */
	put_new(w, LEDGER_UPLOADED, "c");
	put_new(w, LEDGER_UPLOADED, "d");
	assert_int_equal(idle.calls, waits);
	close(fd);
}

static void test_finish_when_many_wait(void **state)
{
	struct world *w = *state;
	int fd;

	open_ledger(w);
	drain_syncfs();
	fd = open_spool(w);
	for (unsigned i = 0; i < LEDGER_SYNC_ROWS; i++) {
		struct ledger_row row = row_of(ledger_serial(w->ledger), LEDGER_UPLOADED,
					       "a");

		assert_int_equal(ledger_put(w->ledger, &row, NULL, NULL), 0);
		if (i > 0)
			assert_int_equal(finish(w->ledger, row.serial, fd), 0);
	}
	put_new(w, LEDGER_UPLOADED, "b");
	assert_int_equal(syncfs_seen.calls, 0);
	assert_counts(w, 0, 2, 0);
	assert_int_equal(finish(w->ledger, put_new(w, LEDGER_UPLOADED, "c"), fd), 0);
	wait_for_semaphore(&syncfs_seen.called);
	put_new(w, LEDGER_UPLOADED, "d");
	assert_int_equal(ask(w, "SELECT count(*) FROM file"), 3);
	assert_int_equal(syncfs_seen.calls, 1);
	close(fd);
}

static void test_finish_without_a_sync_keeps_the_row(void **state)
{
	struct world *w = *state;
	int fd;

	open_ledger(w);
	fd = open_spool(w);
	syncfs_seen.error = EIO;
	assert_int_equal(finish(w->ledger, put_new(w, LEDGER_UPLOADED, "a"), fd), 0);
	reopen(w);
	assert_string_equal(names_of(w, LEDGER_UPLOADED), "a ");
	syncfs_seen.error = 0;
	assert_int_equal(finish(w->ledger, 1, fd), 0);
	reopen(w);
	assert_string_equal(names_of(w, LEDGER_UPLOADED), "");
	close(fd);
}

static void test_finish_with_a_bad_descriptor(void **state)
{
	struct world *w = *state;
	uint64_t serial;

	open_ledger(w);
	serial = put_new(w, LEDGER_UPLOADED, "a");
	assert_int_equal(finish(w->ledger, serial, -1), -EBADF);
	reopen(w);
	assert_counts(w, 0, 1, 0);
}

static void test_failed_drops_and_finishes_come_back(void **state)
{
	struct world *w = *state;
	struct ledger_row row;
	uint64_t a, b;
	int fd;

	open_ledger(w);
	fd = open_spool(w);
	a = put_new(w, LEDGER_GRANTED, "a");
	b = put_new(w, LEDGER_UPLOADED, "b");
	disk_fail(DISK_WRITE, SQLITE_FULL, 0);
	assert_int_equal(ledger_drop(w->ledger, a), 0);
	assert_int_equal(finish(w->ledger, b, fd), 0);
	row = row_of(ledger_serial(w->ledger), LEDGER_GRANTED, "c");
	assert_int_equal(put(w, &row), -ENOSPC);
	assert_int_equal(ask(w, "SELECT count(*) FROM file"), 2);
	disk_mend();
	drain_syncfs();
	idle.expires = true;
	put_new(w, LEDGER_GRANTED, "d");
	wait_for_semaphore(&syncfs_seen.called);
	put_new(w, LEDGER_GRANTED, "e");
	assert_counts(w, 2, 0, 0);
	assert_int_equal(ask(w, "SELECT count(*) FROM file"), 2);
	close(fd);
}

/* ---- a disk that fails ---- */

static void test_full_disk(void **state)
{
	static const struct {
		enum disk_call call;
		int sqlite, error;
	} rows[] = {
		{ DISK_WRITE, SQLITE_FULL, -ENOSPC },
		{ DISK_WRITE, SQLITE_READONLY, -EROFS },
		{ DISK_WRITE, SQLITE_NOMEM, -ENOMEM },
		{ DISK_SYNC, SQLITE_FULL, -ENOSPC },
	};
	struct world *w = *state;

	open_ledger(w);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ledger_row row = row_of(ledger_serial(w->ledger), LEDGER_WAITING,
					       "a");
		struct ledger_row found;
		int error;

		disk_fail(rows[i].call, rows[i].sqlite, 0);
		error = put(w, &row);
		if (error != rows[i].error)
			fail_msg("row %zu: %d", i, error);
		assert_int_equal(put(w, &row), rows[i].error);
		assert_counts(w, 0, 0, 0);
		disk_mend();
		assert_int_equal(put(w, &row), 0);
		assert_int_equal(ledger_find_waiting(w->ledger, "/spool", "a", &found),
				 1);
		assert_int_equal(ledger_drop(w->ledger, row.serial), 0);
		assert_int_equal(put(w, &row), 0);
		assert_int_equal(ledger_drop(w->ledger, row.serial), 0);
		reopen(w);
		assert_counts(w, 0, 0, 0);
	}
}

/* Not all faults end a transaction by themselves. */
static void test_a_fault_within_a_transaction(void **state)
{
	struct world *w = *state;
	struct ledger_row row = row_of(1, LEDGER_GRANTED, "a");

	open_ledger(w);
	insert_error = SQLITE_BUSY;
	assert_int_equal(put(w, &row), -EAGAIN);
	insert_error = SQLITE_OK;
	assert_int_equal(put(w, &row), 0);
	assert_string_equal(names_of(w, LEDGER_GRANTED), "a ");
}

enum { FAULT_PUTS = 12, FAULT_FIRST = 100 };

/* Puts some rows in two batches, of which the @after-th call fails and all behind it.
 * False: that many calls there were not. */
static bool put_with_fault(struct world *w, enum disk_call call, int error, int after,
			   struct done told[static FAULT_PUTS])
{
	static char long_url[3000];
	bool blown;

	memset(long_url, 'u', sizeof(long_url) - 1);
	disk.hold = true;
	for (unsigned i = 0; i < FAULT_PUTS; i++) {
		struct ledger_row row = row_of(FAULT_FIRST + i, LEDGER_UPLOADED, "a");

		row.content_url = long_url;
		assert_int_equal(ledger_put(w->ledger, &row, on_done, &told[i]), 0);
		if (i == 0)
			wait_for_semaphore(&disk.held);
	}
	disk_fail(call, error, after);
	sem_post(&disk.go_on);
	for (unsigned i = 0; i < FAULT_PUTS; i++)
		wait_for(w, &told[i], 1);
	blown = disk.fuse == 0;
	disk_mend();
	return blown;
}

static int note_serial(void *userdata, const struct ledger_row *row)
{
	bool *there = userdata;

	if (row->serial >= FAULT_FIRST && row->serial < FAULT_FIRST + FAULT_PUTS)
		there[row->serial - FAULT_FIRST] = true;
	return 0;
}

/* What was told is what is there afterwards, whichever call of the disk it was. */
static bool check_fault(struct world *w, enum disk_call call, int error, int after)
{
	struct done told[FAULT_PUTS] = {};
	bool there[FAULT_PUTS] = {}, blown;

	empty_directory(w->directory);
	open_ledger(w);
	put_new(w, LEDGER_GRANTED, "before");
	blown = put_with_fault(w, call, error, after, told);
	put_new(w, LEDGER_GRANTED, "after");
	reopen(w);
	assert_string_equal(names_of(w, LEDGER_GRANTED), "before after ");
	assert_int_equal(ledger_each(w->ledger, LEDGER_UPLOADED, note_serial, there), 0);
	for (unsigned i = 0; i < FAULT_PUTS; i++)
		if (there[i] != (told[i].error == 0))
			fail_msg("call %d, row %u: told %d", after, i, told[i].error);
	close_ledger(w);
	return blown;
}

static void test_a_fault_in_every_call(void **state)
{
	static const struct {
		enum disk_call call;
		int error;
		int at_least; /* so many calls there must have been */
	} faults[] = {
		{ DISK_WRITE, SQLITE_FULL, 10 },
		{ DISK_WRITE, SQLITE_IOERR_WRITE, 10 },
		{ DISK_SYNC, SQLITE_IOERR_FSYNC, 2 },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		int after = 0;

		while (check_fault(w, faults[i].call, faults[i].error, after))
			after++;
		assert_true(after >= faults[i].at_least);
	}
}

static void fill(int fd)
{
	static const char zeros[4096];

	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	while (write(fd, zeros, 1) > 0)
		;
}

static void test_a_really_full_disk(void **state)
{
	struct world *w = *state;
	struct ledger_row row = row_of(7, LEDGER_GRANTED, "b");
	int fd;

	if (mount("tmpfs", w->directory, "tmpfs", 0, "size=1m") < 0) {
		print_message("# no mounts here: %s\n", strerror(errno));
		return;
	}
	open_ledger(w);
	put_new(w, LEDGER_GRANTED, "a");
	fd = open(path_in(w, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	fill(fd);
	/* The log may have room of its own left. */
	for (unsigned i = 0; i < 1000 && put(w, &row) == 0; i++)
		row.serial++;
	assert_int_equal(put(w, &row), -ENOSPC);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	assert_int_equal(put(w, &row), 0);
	reopen(w);
	assert_int_equal(ask(w, "SELECT max(serial) FROM file"), row.serial);
	close_ledger(w);
	assert_int_equal(umount2(w->directory, MNT_DETACH), 0);
}

/* The kernel's own refusal, which needs no mount. SIGXFSZ must not reach anybody. */
static void test_a_file_size_limit(void **state)
{
	struct world *w = *state;
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	const struct rlimit small = { UINT64_C(64) * 1024, RLIM_INFINITY };
	struct ledger_row row = row_of(1, LEDGER_GRANTED, "a");
	int error = 0;

	open_ledger(w);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 0; i < 1000 && error == 0; i++) {
		row.serial++;
		error = put(w, &row);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	/* SQLite does not always keep the errno of a failed commit. */
	assert_true(error == -EFBIG || error == -EIO);
	assert_counts(w, row.serial - 2, 0, 0);
	assert_int_equal(put(w, &row), 0);
	reopen(w);
	assert_counts(w, row.serial - 1, 0, 0);
}

/* ---- opening ---- */

/* How a ledger of many rows is spoiled while nobody has it open. */
static void make_garbage(struct world *w, int fd)
{
	char junk[4096];

	(void)w;
	memset(junk, 'x', sizeof(junk));
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), (off_t)i * 4096),
				 sizeof(junk));
}

static void make_text(struct world *w, int fd)
{
	(void)w;
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, "hello\n", 6, 0), 6);
}

static void cut_to_half(struct world *w, int fd)
{
	struct stat st;

	(void)w;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size / 2 / 4096 * 4096), 0);
}

static void cut_within_a_page(struct world *w, int fd)
{
	(void)w;
	assert_int_equal(ftruncate(fd, 4096 + 100), 0);
}

static void cut_within_the_header(struct world *w, int fd)
{
	(void)w;
	assert_int_equal(ftruncate(fd, 50), 0);
}

static void spoil_a_page(struct world *w, int fd)
{
	char junk[64];

	(void)w;
	memset(junk, 0xee, sizeof(junk));
	assert_int_equal(pwrite(fd, junk, sizeof(junk), (off_t)5 * 4096), sizeof(junk));
}

static void make_foreign(struct world *w, int fd)
{
	(void)fd;
	ask(w, "DROP TABLE file");
	ask(w, "DROP TABLE reserved");
	ask(w, "CREATE TABLE other (a)");
	ask(w, "PRAGMA user_version = 0");
}

static void take_a_table(struct world *w, int fd)
{
	(void)fd;
	ask(w, "DROP TABLE file");
}

static void take_a_column(struct world *w, int fd)
{
	(void)fd;
	ask(w, "ALTER TABLE file DROP COLUMN next_try");
}

static void spoil(struct world *w, void (*how)(struct world *, int))
{
	int fd = open(path_in(w, LEDGER_FILE), O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	how(w, fd);
	close(fd);
}

static void fill_and_close(struct world *w, unsigned rows)
{
	struct ledger_row row;

	empty_directory(w->directory);
	open_ledger(w);
	for (unsigned i = 0; i < rows; i++) {
		row = row_of(ledger_serial(w->ledger), LEDGER_WAITING,
			     "an ordinary name");
		assert_int_equal(ledger_put(w->ledger, &row, NULL, NULL), 0);
	}
	close_ledger(w);
}

static char *slurp(const char *path, size_t *ret_length)
{
	char *text = NULL;

	assert_int_equal(fs_read_file(AT_FDCWD, path, 1 << 24, &text, ret_length), 0);
	return text;
}

static void assert_set_aside(struct world *w, const char *aside, const char *what)
{
	static const char pattern[] = "dddddddd"
				      "T"
				      "dddddd"
				      "Z";
	const char *prefix = path_in(w, LEDGER_FILE ".damaged-"), *stamp;

	if (!aside || !startswith(aside, prefix)) {
		fail_msg("%s: set aside as %s", what, aside ?: "nothing");
		return;
	}
	stamp = aside + strlen(prefix);
	assert_int_equal(strlen(stamp), strlen(pattern));
	for (size_t i = 0; pattern[i]; i++)
		assert_true(pattern[i] == 'd' ? stamp[i] >= '0' && stamp[i] <= '9'
					      : stamp[i] == pattern[i]);
}

static void test_damaged_files_are_set_aside(void **state)
{
	static const struct {
		const char *name;
		void (*spoil)(struct world *, int);
	} rows[] = {
		{ "garbage", make_garbage },
		{ "text", make_text },
		{ "half", cut_to_half },
		{ "within a page", cut_within_a_page },
		{ "within the header", cut_within_the_header },
		{ "a spoiled page", spoil_a_page },
		{ "another's database", make_foreign },
		{ "no table", take_a_table },
		{ "a column too few", take_a_column },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *aside = NULL, *before = NULL, *after = NULL;
		size_t length_before, length_after;

		fill_and_close(w, 2000);
		spoil(w, rows[i].spoil);
		before = slurp(path_in(w, LEDGER_FILE), &length_before);
		assert_int_equal(ledger_open(w->directory, &w->ledger, &aside), 0);
		assert_set_aside(w, aside, rows[i].name);
		after = slurp(aside, &length_after);
		assert_int_equal(length_after, length_before);
		assert_memory_equal(after, before, length_before);
		assert_counts(w, 0, 0, 0);
		put_new(w, LEDGER_GRANTED, "new");
		reopen(w);
		assert_counts(w, 1, 0, 0);
		close_ledger(w);
	}
}

static void test_the_log_is_set_aside_too(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *aside = NULL, *log = NULL, *text = NULL;
	const struct fs_write how = { .mode = 0600, .group = (gid_t)-1 };
	int fd = open_spool(w);

	fill_and_close(w, 100);
	spoil(w, make_text);
	assert_int_equal(fs_write_atomic(fd, LEDGER_FILE "-wal", "log", 3, &how), 0);
	close(fd);
	assert_int_equal(ledger_open(w->directory, &w->ledger, &aside), 0);
	assert_non_null(aside);
	assert_true(asprintf(&log, "%s-wal", aside) > 0);
	text = slurp(log, NULL);
	assert_string_equal(text, "log");
}

/* SQLite would take it for a new one, and nobody would hear of it. */
static void test_an_empty_file_is_set_aside(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *aside = NULL;

	fill_and_close(w, 10);
	assert_int_equal(truncate(path_in(w, LEDGER_FILE), 0), 0);
	assert_int_equal(ledger_open(w->directory, &w->ledger, &aside), 0);
	assert_set_aside(w, aside, "empty");
	assert_counts(w, 0, 0, 0);
	put_new(w, LEDGER_GRANTED, "a");
}

/* Though all that it asks for is in memory. */
static void test_one_that_is_emptied_takes_nothing_more(void **state)
{
	struct world *w = *state;
	struct ledger_row row;

	open_ledger(w);
	put_new(w, LEDGER_GRANTED, "a");
	assert_int_equal(ledger_broken(w->ledger), 0);
	row = row_of(ledger_serial(w->ledger), LEDGER_GRANTED, "b");
	assert_int_equal(truncate(path_in(w, LEDGER_FILE), 0), 0);
	assert_int_equal(put(w, &row), -EUCLEAN);
	assert_int_equal(ledger_broken(w->ledger), -EUCLEAN);
	close_ledger(w);
}

static void test_two_set_aside_in_a_second_are_both_kept(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++) {
		_cleanup_free_ char *aside = NULL, *expected = NULL;

		assert_int_equal(mkdir(path_in(w, LEDGER_FILE), 0700), 0);
		assert_int_equal(ledger_db_set_aside(path_in(w, LEDGER_FILE), 0, &aside),
				 0);
		assert_true(asprintf(&expected,
				     "%s/" LEDGER_FILE ".damaged-19700101T000000Z%s%.0u",
				     w->directory, i > 0 ? "." : "", i) > 0);
		assert_string_equal(aside, expected);
	}
}

static void test_a_newer_schema_is_left_alone(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct ledger *ledger = NULL;
	size_t length_before, length_after;
	char *aside = NULL;

	fill_and_close(w, 10);
	ask(w, "PRAGMA user_version = 2");
	before = slurp(path_in(w, LEDGER_FILE), &length_before);
	assert_int_equal(ledger_open(w->directory, &ledger, &aside), -EPROTO);
	assert_null(ledger);
	assert_null(aside);
	after = slurp(path_in(w, LEDGER_FILE), &length_after);
	assert_int_equal(length_after, length_before);
	assert_memory_equal(after, before, length_before);
	/* And the lock is free again. */
	ask(w, "PRAGMA user_version = 1");
	open_ledger(w);
	assert_counts(w, 0, 0, 10);
}

static void test_second_opener_is_refused(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *pid = NULL;
	struct ledger *second = NULL;
	char *aside = NULL;
	int status;
	pid_t child;

	open_ledger(w);
	assert_int_equal(ledger_open(w->directory, &second, &aside), -EBUSY);
	assert_null(second);
	child = fork();
	if (child == 0)
		_exit(ledger_open(w->directory, &second, &aside) == -EBUSY ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	pid = slurp(path_in(w, "lock"), NULL);
	assert_int_equal(strtol(pid, NULL, 10), getpid());
	/* The first one has not been harmed. */
	put_new(w, LEDGER_GRANTED, "a");
	reopen(w);
	assert_counts(w, 1, 0, 0);
}

static void test_places_that_do_not_work(void **state)
{
	struct world *w = *state;
	struct ledger *ledger = NULL;
	char *aside = NULL;

	assert_int_equal(ledger_open(path_in(w, "missing"), &ledger, &aside), -ENOENT);
	assert_int_equal(ledger_open("/dev/null", &ledger, &aside), -ENOTDIR);
	assert_null(ledger);
	assert_null(aside);
}

/* Permissions do not stop root, a mount does. */
static void test_a_read_only_directory(void **state)
{
	struct world *w = *state;
	struct ledger *ledger = NULL;
	char *aside = NULL;
	bool root = geteuid() == 0;
	int r;

	fill_and_close(w, 10);
	if (root) {
		if (mount(w->directory, w->directory, NULL, MS_BIND, NULL) < 0) {
			print_message("# no mounts here: %s\n", strerror(errno));
			return;
		}
		assert_int_equal(mount(NULL, w->directory, NULL,
				       MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
				 0);
	} else {
		assert_int_equal(unlink(path_in(w, "lock")), 0);
		assert_int_equal(chmod(w->directory, 0500), 0);
	}
	r = ledger_open(w->directory, &ledger, &aside);
	if (root)
		umount2(w->directory, MNT_DETACH);
	else
		chmod(w->directory, 0700);
	assert_int_equal(r, root ? -EROFS : -EACCES);
	assert_null(aside);
	open_ledger(w);
	assert_counts(w, 0, 0, 10);
}

static void test_files_are_private(void **state)
{
	static const char *const files[] = { LEDGER_FILE, LEDGER_FILE "-wal", "lock" };
	struct world *w = *state;
	mode_t before = umask(0);
	struct stat st;

	open_ledger(w);
	umask(before);
	put_new(w, LEDGER_GRANTED, "a");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		assert_int_equal(stat(path_in(w, files[i]), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

/* Another process, as SQLite keeps its locks by process: reads, and closes again. */
static int visit(const char *path)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open(path, &db);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "SELECT count(*) FROM file", NULL, NULL, NULL);
	return rc == SQLITE_OK && sqlite3_close(db) == SQLITE_OK ? EXIT_SUCCESS
								 : EXIT_FAILURE;
}

/* Whoever comes and goes with the sqlite3 shell must not take the log along. */
static void test_a_visitor_leaves_the_log_alone(void **state)
{
	struct world *w = *state;
	struct stat st;
	pid_t child;
	int status;

	open_ledger(w);
	put_new(w, LEDGER_GRANTED, "a");
	child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "test-ledger", path_in(w, LEDGER_FILE), NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(stat(path_in(w, LEDGER_FILE "-wal"), &st), 0);
	assert_true(st.st_size > 0);
}

/* ---- the end ---- */

struct closing {
	struct world *w;
	int fd;
	int put, finish;
	uint64_t serial;
};

static void on_closing(void *userdata, int error)
{
	struct closing *c = userdata;
	struct ledger_row row = row_of(77, LEDGER_GRANTED, "too late");

	assert_int_equal(error, 0);
	c->put = ledger_put(c->w->ledger, &row, NULL, NULL);
	c->finish = finish(c->w->ledger, c->serial, c->fd);
}

static void test_close_does_what_is_owed(void **state)
{
	struct world *w = *state;
	struct closing c = { .w = w, .fd = open_spool(w), .put = 1, .finish = 1 };
	struct ledger_row row;

	open_ledger(w);
	c.serial = ledger_serial(w->ledger);
	row = row_of(c.serial, LEDGER_UPLOADED, "a");
	assert_int_equal(ledger_put(w->ledger, &row, on_closing, &c), 0);
	row = row_of(ledger_serial(w->ledger), LEDGER_UPLOADED, "b");
	assert_int_equal(ledger_put(w->ledger, &row, NULL, NULL), 0);
	ledger_close(w->ledger);
	w->ledger = NULL;
	assert_int_equal(c.put, -ESHUTDOWN);
	assert_int_equal(c.finish, 0);
	open_ledger(w);
	assert_string_equal(names_of(w, LEDGER_UPLOADED), "b ");
	close(c.fd);
}

static void test_close_leaves_nothing_behind(void **state)
{
	struct world *w = *state;
	unsigned fds = count_entries("/proc/self/fd");
	unsigned threads = count_entries("/proc/self/task");
	int fd;

	ledger_close(NULL);
	open_ledger(w);
	assert_int_equal(count_entries("/proc/self/task"), threads + 1);
	fd = open_spool(w);
	assert_int_equal(finish(w->ledger, put_new(w, LEDGER_UPLOADED, "a"), fd), 0);
	close(fd);
	close_ledger(w);
	assert_int_equal(count_entries("/proc/self/fd"), fds);
	/* The database, the lock, and the two that every directory has. */
	assert_int_equal(count_entries(w->directory), 4);
}

static void test_the_thread_takes_no_signals(void **state)
{
	struct world *w = *state;
	unsigned long long blocked = 0;
	struct dirent *entry;
	DIR *tasks;

	open_ledger(w);
	put_new(w, LEDGER_GRANTED, "a");
	tasks = opendir("/proc/self/task");
	assert_non_null(tasks);
	while ((entry = readdir(tasks))) {
		_cleanup_free_ char *text = NULL;
		char path[300];

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		if (entry->d_name[0] == '.' ||
		    fs_read_file(AT_FDCWD, path, 1 << 16, &text, NULL) < 0)
			continue;
		if (startswith(text, "Name:\tledger\n"))
			blocked = strtoull(strstr(text, "SigBlk:") + 7, NULL, 16);
	}
	closedir(tasks);
	for (int s = 1; s < 32; s++)
		if (s != SIGKILL && s != SIGSTOP)
			assert_true(blocked >> (s - 1) & 1);
}

#define ledger_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		ledger_test(test_every_field_comes_back),
		ledger_test(test_what_a_row_points_to_is_copied),
		ledger_test(test_put_over),
		ledger_test(test_put_each_over_each),
		ledger_test(test_drop),
		ledger_test(test_each_ends_where_told),
		ledger_test(test_find_waiting),
		ledger_test(test_find_waiting_asks_only_where_some_wait),
		ledger_test(test_get),
		ledger_test(test_find_waiting_uses_the_index),
		ledger_test(test_done_means_synced),
		ledger_test(test_the_caller_does_not_wait),
		ledger_test(test_group_commit),
		ledger_test(test_gathering),
		ledger_test(test_kill_after_done),
		ledger_test(test_serials_are_never_used_again),
		ledger_test(test_finish_at_the_close),
		ledger_test(test_finish_when_idle),
		ledger_test(test_finish_when_many_wait),
		ledger_test(test_finish_without_a_sync_keeps_the_row),
		ledger_test(test_finish_with_a_bad_descriptor),
		ledger_test(test_failed_drops_and_finishes_come_back),
		ledger_test(test_full_disk),
		ledger_test(test_a_fault_within_a_transaction),
		ledger_test(test_a_fault_in_every_call),
		ledger_test(test_a_really_full_disk),
		ledger_test(test_a_file_size_limit),
		ledger_test(test_damaged_files_are_set_aside),
		ledger_test(test_the_log_is_set_aside_too),
		ledger_test(test_an_empty_file_is_set_aside),
		ledger_test(test_one_that_is_emptied_takes_nothing_more),
		ledger_test(test_two_set_aside_in_a_second_are_both_kept),
		ledger_test(test_a_newer_schema_is_left_alone),
		ledger_test(test_second_opener_is_refused),
		ledger_test(test_places_that_do_not_work),
		ledger_test(test_a_read_only_directory),
		ledger_test(test_files_are_private),
		ledger_test(test_a_visitor_leaves_the_log_alone),
		ledger_test(test_close_does_what_is_owed),
		ledger_test(test_close_leaves_nothing_behind),
		ledger_test(test_the_thread_takes_no_signals),
	};

	if (argc == 2)
		return visit(argv[1]);
	for (unsigned i = 0; i < sizeof(every_byte) - 1; i++)
		every_byte[i] = (char)(i + 1);
	sem_init(&syncfs_seen.called, 0, 0);
	disk_install();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
