/*
 * Files and directories that change under the agent's hands.
 *
 * The first part is a matrix: each way in which a file can change, at each moment of its
 * way, for each AfterUpload=. The moments are held, never slept for: the service holds
 * requests, a lock the ledger, an obstacle the sidecar.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

#define PIECE	     "replaced by this piece"
#define LARGE	     ((uint64_t)6 << 20) /* more than the sockets between take in */
#define IN_MID_BODY  ((uint64_t)64 << 10)
#define RENAMED_NAME "renamed-at-last.bin"

DEFINE_CLEANUP(struct json_object *, json_freep, json_object_put)

/* ---- copies of what the service must have in the end, outside of the spool ---- */

static char *wanted_path(const struct world *w, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/wanted-%s", w->root, name) > 0);
	return path;
}

static void want(struct world *w, const char *name, const char *as)
{
	_cleanup_free_ char *from = world_path(w, name), *to = wanted_path(w, as);
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				       0600);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = sendfile(out, in, NULL, LARGE)) > 0)
		;
	assert_int_equal(n, 0);
}

/* ---- the ways to change ---- */

static int open_file(struct world *w, const char *name, int flags)
{
	_cleanup_free_ char *path = world_path(w, name);
	int fd = open(path, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void append(struct world *w, const char *name)
{
	_cleanup_close_ int fd = open_file(w, name, O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, PIECE, STRLEN(PIECE)), STRLEN(PIECE));
	want(w, name, name);
}

/* By its path, which gives no event that anybody could wait for. */
static void cut_off(struct world *w, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size / 2), 0);
	want(w, name, name);
}

static void replace(struct world *w, const char *name)
{
	world_drop(w, name, PIECE);
	want(w, name, name);
}

static void rewrite(struct world *w, const char *name)
{
	_cleanup_close_ int fd = open_file(w, name, O_WRONLY);

	assert_int_equal(pwrite(fd, PIECE, STRLEN(PIECE), 0), STRLEN(PIECE));
	want(w, name, name);
}

static void rename_it(struct world *w, const char *name)
{
	want(w, name, name);
	want(w, name, RENAMED_NAME);
	world_rename(w, name, RENAMED_NAME, 0);
}

static void delete (struct world *w, const char *name)
{
	want(w, name, name);
	world_remove(w, name);
}

static void replace_by_directory(struct world *w, const char *name)
{
	delete (w, name);
	world_mkdir(w, name);
}

static void forbid(struct world *w, const char *name)
{
	want(w, name, name);
	world_chmod(w, name, 0);
}

static const struct change {
	const char *name;
	void (*make)(struct world *w, const char *name);
	const char *becomes; /* the name of what must be uploaded then; NULL: none */
} changes[] = {
	{ "appended.bin", append, "appended.bin" },
	{ "truncated.bin", cut_off, "truncated.bin" },
	{ "replaced.bin", replace, "replaced.bin" },
	{ "rewritten.bin", rewrite, "rewritten.bin" },
	{ "renamed.bin", rename_it, RENAMED_NAME },
	{ "deleted.bin", delete, NULL },
	{ "directory.bin", replace_by_directory, NULL },
	{ "forbidden.bin", forbid, "forbidden.bin" },
};

enum { CHANGES = ARRAY_SIZE(changes) };

/* ---- the moments ---- */

static void drop_all(struct world *w, uint64_t size)
{
	for (unsigned i = 0; i < CHANGES; i++)
		world_drop_random(w, changes[i].name, size, i);
}

/* Each traces that it has come to @step. */
static void wait_for_step(struct world *w, const char *step)
{
	for (size_t i = 0; i < CHANGES; i++) {
		_cleanup_free_ char *text = NULL;

		assert_true(asprintf(&text, "%s: %s", changes[i].name, step) > 0);
		world_wait_log(w, text);
	}
}

static void hold(struct world *w, enum endpoint endpoint, enum fault_phase phase,
		 unsigned times)
{
	service_fault(w->service, &(struct fault){ .endpoint = endpoint,
						   .times = times,
						   .phase = phase,
						   .bytes = IN_MID_BODY,
						   .action = FAULT_STALL });
}

static void wait_held(struct world *w, size_t n)
{
	assert_true(service_wait_held(w->service, n, world_patience()));
}

static void let_go(struct world *w)
{
	service_clear_faults(w->service);
	service_release(w->service);
}

static void reach_queue(struct world *w)
{
	hold(w, ENDPOINT_CREATE, FAULT_AT_ANSWER, 1);
	world_drop(w, "first.txt", "has the only slot");
	wait_held(w, 1);
	drop_all(w, 1000);
	wait_for_step(w, "settling -> ready");
}

static void reach_question(struct world *w)
{
	hold(w, ENDPOINT_CREATE, FAULT_AT_ANSWER, CHANGES);
	drop_all(w, 1000);
	wait_held(w, CHANGES);
}

static void reach_body(struct world *w)
{
	hold(w, ENDPOINT_UPLOAD, FAULT_IN_BODY, CHANGES);
	drop_all(w, LARGE);
	wait_held(w, CHANGES);
}

static void reach_answer(struct world *w)
{
	hold(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER, CHANGES);
	drop_all(w, 1000);
	wait_held(w, CHANGES);
}

static sqlite3 *ledger; /* the test's own connection, while it has the lock */

static void execute(const char *sql)
{
	assert_int_equal(sqlite3_exec(ledger, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* While somebody else has the ledger's lock, nothing can be recorded. */
static void reach_record(struct world *w)
{
	_cleanup_free_ char *path = NULL;

	reach_answer(w);
	assert_true(asprintf(&path, "%s/ledger.db", w->state) > 0);
	assert_int_equal(sqlite3_open_v2(path, &ledger, SQLITE_OPEN_READWRITE, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_busy_timeout(ledger, 10000), SQLITE_OK);
	execute("BEGIN IMMEDIATE");
	let_go(w);
	wait_for_step(w, "send -> record the upload");
}

static void leave_record(struct world *w)
{
	(void)w;
	execute("ROLLBACK");
	assert_int_equal(sqlite3_close(take_ptr(ledger)), SQLITE_OK);
}

static void sidecar_of(char buffer[static 64], const char *name)
{
	(void)snprintf(buffer, 64, "%s.asset.json", name);
}

static const char *trouble; /* what is told of a sidecar that can't be written */

/* A directory in its place keeps a sidecar from being written; where files are moved
 * before that, a file in the place of their directory does. */
static void reach_sidecar(struct world *w)
{
	_cleanup_free_ char *done = NULL;
	char sidecar[64];

	reach_answer(w);
	assert_true(asprintf(&done, "%s/done", w->root) > 0);
	world_write(w, done, "in the way");
	for (size_t i = 0; i < CHANGES; i++) {
		sidecar_of(sidecar, changes[i].name);
		world_mkdir(w, sidecar);
	}
	let_go(w);
	wait_for_step(w, "record the upload -> dispose");
	world_wait_log(w, trouble);
}

static void leave_sidecar(struct world *w)
{
	_cleanup_free_ char *done = NULL;
	char sidecar[64];

	assert_true(asprintf(&done, "%s/done", w->root) > 0);
	world_remove(w, done);
	for (size_t i = 0; i < CHANGES; i++) {
		_cleanup_free_ char *path = NULL;

		sidecar_of(sidecar, changes[i].name);
		path = world_path(w, sidecar);
		assert_int_equal(rmdir(path), 0);
	}
}

enum moment { QUEUED, ASKED, SENT_IN_PART, SENT, RECORDED };

static const struct {
	void (*reach)(struct world *w);
	void (*leave)(struct world *w);
	const char *upload;
} moments[] = {
	[QUEUED] = { reach_queue, let_go, "MaxConcurrent=1\n" },
	[ASKED] = { reach_question, let_go, NULL },
	[SENT_IN_PART] = { reach_body, let_go, NULL },
	[SENT] = { reach_record, leave_record, NULL },
	[RECORDED] = { reach_sidecar, leave_sidecar, NULL },
};

/* ---- the ends ---- */

enum end { KEPT, DELETED, MOVED };

static char *done_path(const struct world *w, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/done/%s", w->root, name) > 0);
	return path;
}

/* The sidecar of @file speaks of an asset that has exactly the wanted content. */
static void assert_sidecar_true(struct world *w, const char *file, const char *wanted)
{
	_cleanup_(json_freep) struct json_object *sidecar = world_sidecar(w, file);
	_cleanup_free_ char *path = wanted_path(w, wanted);
	const char *id = world_text(sidecar, "id");
	struct service_asset asset;

	assert_true(service_asset_by_id(w->service, id, &asset) && asset.complete);
	assert_int_equal(world_number(sidecar, "size"), asset.size);
	if (service_same_content(w->service, id, path) != 1)
		fail_msg("the sidecar of %s speaks of another content", file);
}

static void assert_kept(struct world *w, const char *name)
{
	world_wait_uploaded(w, name);
	world_assert_uploaded(w, name);
	assert_sidecar_true(w, name, name);
}

static void assert_deleted(struct world *w, const char *name)
{
	world_wait_gone(w, name);
	assert_false(world_has_error_sidecar(w, name));
	assert_sidecar_true(w, name, name);
}

static void assert_moved(struct world *w, const char *name)
{
	_cleanup_free_ char *done = done_path(w, name);
	char sidecar[64];

	world_wait_gone(w, name);
	world_wait_uploaded(w, done);
	world_chmod(w, done, 0640); /* it may be the forbidden one */
	world_assert_uploaded_as(w, done, name);
	assert_sidecar_true(w, done, name);
	sidecar_of(sidecar, name);
	world_wait_gone(w, sidecar);
}

static const struct {
	const char *spool, *trouble;
	void (*assert_arrived)(struct world *w, const char *name);
} ends[] = {
	[KEPT] = { NULL, "Could not write the sidecar of", assert_kept },
	[DELETED] = { "AfterUpload=delete\n", "Could not write the sidecar of",
		      assert_deleted },
	[MOVED] = { "AfterUpload=move\nDoneDirectory=@ROOT@/done\nPollInterval=100ms\n",
		    "No file can be moved from", assert_moved },
};

/* ---- the matrix ---- */

static const struct cell {
	const char *name;
	enum moment moment;
	enum end end;
} cells[] = {
	{ "files_that_change_while_queued_are_kept_and_receipted", QUEUED, KEPT },
	{ "files_that_change_while_queued_are_deleted_once_uploaded", QUEUED, DELETED },
	{ "files_that_change_while_queued_are_moved_once_uploaded", QUEUED, MOVED },
	{ "files_that_change_while_asked_for_are_kept_and_receipted", ASKED, KEPT },
	{ "files_that_change_while_asked_for_are_deleted_once_uploaded", ASKED, DELETED },
	{ "files_that_change_while_asked_for_are_moved_once_uploaded", ASKED, MOVED },
	{ "files_that_change_in_mid_body_are_kept_and_receipted", SENT_IN_PART, KEPT },
	{ "files_that_change_in_mid_body_are_deleted_once_uploaded", SENT_IN_PART,
	  DELETED },
	{ "files_that_change_in_mid_body_are_moved_once_uploaded", SENT_IN_PART, MOVED },
	{ "files_that_change_once_sent_are_kept_and_receipted", SENT, KEPT },
	{ "files_that_change_once_sent_are_deleted_once_uploaded", SENT, DELETED },
	{ "files_that_change_once_sent_are_moved_once_uploaded", SENT, MOVED },
	{ "files_that_change_once_recorded_are_kept_and_receipted", RECORDED, KEPT },
	{ "files_that_change_once_recorded_are_deleted_once_uploaded", RECORDED,
	  DELETED },
	{ "files_that_change_once_recorded_are_moved_once_uploaded", RECORDED, MOVED },
};

static const struct cell *cell;

static int setup_cell(void **state)
{
	cell = *state;
	return world_setup(state);
}

/* Who may not read a file says so at once, and takes it when it is allowed and asked. */
static void allow_again(struct world *w, const char *name)
{
	if (cell->moment == QUEUED) {
		world_wait_error_sidecar(w, name);
		world_chmod(w, name, 0640);
		{
			_cleanup_(json_freep) struct json_object *sidecar =
				world_error_sidecar(w, name);

			assert_string_equal(world_text(sidecar, "stage"), "spool");
			assert_string_equal(world_text(sidecar, "developerMessage"),
					    "the file can't be read: Permission denied");
		}
		assert_int_equal(service_assets_named(w->service, name), 0);
		world_remove(w, "forbidden.bin.asset-error.json");
	} else if (cell->end == KEPT) {
		world_wait_uploaded(w, name);
		world_chmod(w, name, 0640);
	}
}

/* A name that is no file any more has no error, and no sidecar but that of what was
 * uploaded. */
static void assert_left_nothing_false(struct world *w, const char *name)
{
	assert_false(world_has_error_sidecar(w, name));
	if (world_has_sidecar(w, name))
		assert_sidecar_true(w, name, name);
}

static void every_change_is_seen(void **state)
{
	const struct world_options options = {
		.powerless = true,
		.upload = moments[cell->moment].upload,
		.spool = ends[cell->end].spool,
	};
	struct world *w = *state;

	trouble = ends[cell->end].trouble;
	world_start(w, &options);
	moments[cell->moment].reach(w);
	for (size_t i = 0; i < CHANGES; i++)
		changes[i].make(w, changes[i].name);
	moments[cell->moment].leave(w);
	allow_again(w, "forbidden.bin");
	for (size_t i = 0; i < CHANGES; i++)
		if (changes[i].becomes)
			ends[cell->end].assert_arrived(w, changes[i].becomes);
	/* What is under way gets its end. */
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	for (size_t i = 0; i < CHANGES; i++)
		if (!streq(changes[i].becomes, changes[i].name))
			assert_left_nothing_false(w, changes[i].name);
	assert_false(world_exists(w, "deleted.bin"));
	assert_false(world_exists(w, "renamed.bin"));
	assert_true(world_exists(w, "directory.bin"));
	world_stop(w);
}

/* ---- the spool's directory ---- */

/* What must be found without a poll is never found by this one. */
#define NEVER_POLL "PollInterval=1h\n"
#define POLL_SOON  "PollInterval=200ms\n"

static void remove_tree(const char *path)
{
	_cleanup_free_ char *command = NULL;

	assert_true(asprintf(&command, "rm -rf '%s'", path) > 0);
	/* NOLINTNEXTLINE(cert-env33-c) */
	assert_int_equal(system(command), 0);
}

static void a_spool_directory_replaced_by_another_is_taken_up_at_once(void **state)
{
	static const struct world_options options = { .spool = NEVER_POLL };
	struct world *w = *state;
	_cleanup_free_ char *other = NULL, *early = NULL, *stray = NULL;

	world_start(w, &options);
	other = world_beside(w, "other");
	early = world_beside(w, "other/early.txt");
	stray = world_beside(w, "other/stray.txt");
	world_upload(w, "first.txt");
	world_mkdir(w, other);
	world_write(w, early, "in the new directory before it came");
	world_rename(w, w->spool, other, RENAME_EXCHANGE);
	world_wait_uploaded(w, "early.txt");
	world_assert_uploaded(w, "early.txt");
	world_write(w, stray, "where the spool was");
	world_upload(w, "second.txt");
	assert_int_equal(service_assets_named(w->service, "stray.txt"), 0);
	assert_int_equal(world_count_log(w, "can't be opened"), 0);
	world_stop(w);
}

/* Its file is on its way all the while: it is the same one in the same directory. */
static void see_the_spool_go_and_come_back(struct world *w, bool told)
{
	_cleanup_free_ char *elsewhere = world_beside(w, "elsewhere");

	hold(w, ENDPOINT_UPLOAD, FAULT_IN_BODY, 1);
	world_drop_random(w, "under-way.bin", LARGE, 1);
	wait_held(w, 1);
	world_rename(w, w->spool, elsewhere, 0);
	if (told)
		world_wait_log(w, "can't be opened");
	world_rename(w, elsewhere, w->spool, 0);
	if (told)
		world_wait_log(w, "is back");
	/* With that it has looked at the other one, too. */
	world_drop(w, "next.txt", "is taken as ever");
	world_wait_sidecar(w, "next.txt");
	let_go(w);
	world_wait_sidecar(w, "under-way.bin");
	assert_int_equal(service_assets_named(w->service, "under-way.bin"), 1);
	assert_int_equal(service_asset_count(w->service), 2);
}

static void a_spool_that_goes_and_comes_back_sends_nothing_twice(void **state)
{
	static const struct world_options options = { .spool = POLL_SOON };
	struct world *w = *state;

	world_start(w, &options);
	see_the_spool_go_and_come_back(w, true);
	world_assert_uploaded(w, "under-way.bin");
	world_stop(w);
}

static void nor_does_one_that_comes_back_before_it_was_missed(void **state)
{
	static const struct world_options options = { .spool = POLL_SOON };
	struct world *w = *state;

	world_start(w, &options);
	see_the_spool_go_and_come_back(w, false);
	world_assert_uploaded(w, "under-way.bin");
	world_stop(w);
}

static void its_settings_count_for_what_comes_back_with_it(void **state)
{
	static const struct world_options options = {
		.spool = POLL_SOON "AfterUpload=delete\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	see_the_spool_go_and_come_back(w, true);
	world_wait_gone(w, "under-way.bin");
	world_stop(w);
}

/* One that waits for its storage has a grant, and is not to lose it. */
static void what_waits_in_a_spool_that_comes_back_keeps_its_grant(void **state)
{
	static const struct world_options options = {
		.spool = POLL_SOON,
		.retry = "InitialDelay=1h\nMaxDelay=1h\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *elsewhere = NULL;

	world_start(w, &options);
	elsewhere = world_beside(w, "elsewhere");
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .action = FAULT_ANSWER,
						   .status = 503 });
	world_drop(w, "waits.txt", "for its storage");
	world_wait_log(w, "The storage is away");
	service_clear_faults(w->service);
	world_rename(w, w->spool, elsewhere, 0);
	world_wait_log(w, "can't be opened");
	world_reload(w); /* it is tried at once, but has no spool */
	world_rename(w, elsewhere, w->spool, 0);
	world_wait_log(w, "is back");
	world_reload(w);
	world_wait_uploaded(w, "waits.txt");
	world_assert_uploaded(w, "waits.txt");
	assert_int_equal(service_asset_count(w->service), 1);
	world_stop(w);
}

static void a_spool_directory_deleted_under_a_file_on_its_way_and_made_again_goes_on(
	void **state)
{
	static const struct world_options options = { .spool = POLL_SOON };
	struct world *w = *state;

	world_start(w, &options);
	hold(w, ENDPOINT_UPLOAD, FAULT_IN_BODY, 1);
	world_drop_random(w, "under-way.bin", LARGE, 1);
	wait_held(w, 1);
	remove_tree(w->spool);
	world_wait_log(w, "can't be opened");
	let_go(w);
	world_wait_log(w, "under-way.bin: moving -> gone");
	assert_int_equal(mkdir(w->spool, 0770), 0);
	world_wait_log(w, "is back");
	world_upload(w, "after.txt");
	assert_int_equal(world_count_log(w, "can't be opened"), 1);
	assert_int_equal(world_count_log(w, "Gave up"), 0);
	world_stop(w);
}

/* Nothing tells when a directory above is renamed. */
static void a_spool_that_was_moved_with_its_parent_is_looked_for_at_its_path(void **state)
{
	static const struct world_options options = {
		.spool = "Path=@ROOT@/parent/inbox\n" POLL_SOON,
		.no_agent = true,
	};
	struct world *w = *state;
	_cleanup_free_ char *parent = NULL, *inbox = NULL, *moved = NULL, *stray = NULL;
	_cleanup_free_ char *first = NULL, *second = NULL;

	world_start(w, &options);
	parent = world_beside(w, "parent");
	inbox = world_beside(w, "parent/inbox");
	moved = world_beside(w, "moved");
	stray = world_beside(w, "moved/inbox/stray.txt");
	first = world_beside(w, "parent/inbox/first.txt");
	second = world_beside(w, "parent/inbox/second.txt");
	world_mkdir(w, inbox);
	world_launch(w);
	world_upload(w, first);
	world_rename(w, parent, moved, 0);
	world_wait_log(w, "can't be opened");
	world_write(w, stray, "in no spool any more");
	world_mkdir(w, inbox);
	world_upload(w, second);
	assert_int_equal(service_assets_named(w->service, "stray.txt"), 0);
	world_stop(w);
}

/* A file that is sent while its directory gets another name has its sidecar beside it. */
static void a_directory_renamed_around_a_file_on_its_way_keeps_its_sidecar(void **state)
{
	static const struct world_options options = { .recursive = true };
	struct world *w = *state;

	world_start(w, &options);
	hold(w, ENDPOINT_UPLOAD, FAULT_IN_BODY, 1);
	world_mkdir(w, "old");
	world_drop_random(w, "old/film.bin", LARGE, 1);
	wait_held(w, 1);
	world_rename(w, "old", "new", 0);
	let_go(w);
	world_wait_uploaded(w, "new/film.bin");
	world_upload(w, "new/after.txt");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	world_assert_uploaded(w, "new/film.bin");
	assert_in_range(service_assets_named(w->service, "film.bin"), 1, 2);
	assert_false(world_exists(w, "old"));
	world_stop(w);
}

static void a_disk_mounted_over_a_spool_is_the_spool_until_it_is_gone(void **state)
{
	static const struct world_options options = { .recursive = true,
						      .spool = NEVER_POLL };
	struct world *w = *state;
	_cleanup_free_ char *sub = NULL;

	world_own_mounts(); /* while there is but one thread */
	world_start(w, &options);
	sub = world_path(w, "sub");
	world_upload(w, "below.txt");
	world_mount(w->spool);
	world_upload(w, "above.txt");
	world_mkdir(w, "sub");
	world_upload(w, "sub/below.txt");
	world_mount(sub);
	world_upload(w, "sub/above.txt");
	world_unmount(sub);
	world_upload(w, "sub/below-again.txt");
	world_unmount(w->spool);
	world_upload(w, "below-again.txt");
	world_assert_uploaded(w, "below.txt");
	assert_int_equal(service_asset_count(w->service), 6);
	assert_int_equal(world_count_log(w, "can't be opened"), 0);
	world_stop(w);
}

/* One file has the only slot, another is behind it. */
static void queue_two(struct world *w, const char *first, const char *second)
{
	hold(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER, 1);
	world_drop(w, first, first);
	wait_held(w, 1);
	world_drop(w, second, second);
	world_wait_log(w, "settling -> ready");
	world_wait_log(w, ": settling -> ready");
}

static void a_spool_that_may_not_be_entered_for_a_while_loses_no_file(void **state)
{
	static const struct world_options options = { .powerless = true,
						      .upload = "MaxConcurrent=1\n",
						      .spool = POLL_SOON };
	struct world *w = *state;

	world_start(w, &options);
	queue_two(w, "first.txt", "queued.txt");
	world_chmod(w, w->spool, 0);
	world_wait_log(w, "can't be opened");
	let_go(w);
	world_wait_log(w, "first.txt: moving -> gone");
	world_chmod(w, w->spool, 0770);
	world_wait_uploaded(w, "first.txt");
	world_wait_uploaded(w, "queued.txt");
	world_assert_uploaded(w, "queued.txt");
	assert_int_equal(world_count_log(w, "can't be opened"), 1);
	assert_int_equal(world_count_log(w, "is back"), 1);
	world_stop(w);
}

static void a_directory_without_a_place_for_sidecars_holds_up_no_other(void **state)
{
	static const struct world_options options = { .recursive = true,
						      .powerless = true,
						      .upload = "MaxConcurrent=1\n",
						      .spool = NEVER_POLL };
	struct world *w = *state;

	world_start(w, &options);
	world_mkdir(w, "sub");
	queue_two(w, "sub/first.txt", "sub/queued.txt");
	world_chmod(w, "sub", 0550);
	let_go(w);
	world_wait_log(w, "Could not write the sidecar of");
	world_wait_log(w, "queued.txt: moving -> gone");
	world_upload(w, "elsewhere.txt");
	/* What can't be receipted is not even begun with. */
	assert_int_equal(service_assets_named(w->service, "queued.txt"), 0);
	world_chmod(w, "sub", 0750);
	world_wait_uploaded(w, "sub/first.txt");
	world_wait_uploaded(w, "sub/queued.txt");
	world_assert_uploaded(w, "sub/first.txt");
	world_assert_uploaded(w, "sub/queued.txt");
	assert_int_equal(service_asset_count(w->service), 3);
	assert_int_equal(world_count_log(w, "No sidecar can be written in"), 1);
	assert_int_equal(world_count_log(w, "The disk of "), 0);
	world_stop(w);
}

static void a_directory_where_a_file_was_and_a_file_again_are_each_taken(void **state)
{
	static const struct world_options options = { .recursive = true };
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;

	world_start(w, &options);
	path = world_path(w, "thing");
	world_upload(w, "thing");
	world_remove(w, "thing");
	world_mkdir(w, "thing");
	world_upload(w, "thing/within.txt");
	remove_tree(path);
	world_write(w, "thing", "a file again");
	world_wait_uploaded(w, "thing");
	world_assert_uploaded(w, "thing");
	world_stop(w);
}

static void a_done_directory_that_goes_away_is_made_again(void **state)
{
	static const struct world_options options = {
		.spool = "AfterUpload=move\nDoneDirectory=@ROOT@/done\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *done = NULL, *away = NULL, *first = NULL, *second = NULL;

	world_start(w, &options);
	done = world_beside(w, "done");
	away = world_beside(w, "away");
	first = world_beside(w, "done/first.txt");
	second = world_beside(w, "done/second.txt");
	world_drop(w, "first.txt", "first");
	world_wait_uploaded(w, first);
	hold(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER, 1);
	world_drop(w, "second.txt", "second");
	wait_held(w, 1);
	world_rename(w, done, away, 0);
	let_go(w);
	world_wait_uploaded(w, second);
	world_assert_uploaded(w, second);
	assert_false(world_exists(w, "second.txt"));
	assert_false(world_exists(w, first));
	world_stop(w);
}

/* That needs no service, so it does not wait for one. */
static void what_can_not_be_uploaded_is_told_of_in_an_outage_too(void **state)
{
	static const struct world_options options = {
		.powerless = true,
		.spool = "MaxSize=10\n",
		.retry = "InitialDelay=1h\nMaxDelay=1h\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	service_unlisten(w->service);
	world_drop(w, "waits.txt", "waits");
	world_wait_log(w, "none is lost");
	world_drop(w, "waits-too.txt", "too");
	world_drop(w, "large.txt", "eleven char");
	world_wait_error_sidecar(w, "large.txt");
	world_write(w, "forbidden.tmp", "forbidden");
	world_chmod(w, "forbidden.tmp", 0);
	world_rename(w, "forbidden.tmp", "forbidden.txt", 0);
	world_wait_error_sidecar(w, "forbidden.txt");
	assert_false(world_has_error_sidecar(w, "waits.txt"));
	assert_false(world_has_error_sidecar(w, "waits-too.txt"));
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	service_listen(w->service);
	world_launch(w);
	world_wait_uploaded(w, "waits.txt");
	world_wait_uploaded(w, "waits-too.txt");
	assert_int_equal(service_asset_count(w->service), 2);
	world_stop(w);
}

static void assert_refused(struct world *w, const char *message)
{
	world_mark_log(w);
	world_launch(w);
	assert_int_equal(world_wait_exit(w), 78);
	world_wait_log(w, message);
	assert_int_equal(world_count_log(w, "\n"), 1);
	assert_int_equal(world_count_log(w, "agent.conf:"),
			 2); /* whose line, and where */
}

/* Else each file would be uploaded twice. */
static void one_directory_by_two_paths_is_refused_at_the_start(void **state)
{
	static const struct world_options options = { .recursive = true,
						      .spools = { "other" },
						      .no_agent = true };
	struct world *w = *state;
	_cleanup_free_ char *other = NULL, *inside = NULL;

	world_own_mounts();
	world_start(w, &options);
	other = world_beside(w, "other");
	inside = world_beside(w, "spool/in side");
	world_mkdir(w, inside);
	assert_int_equal(rmdir(other), 0);

	assert_int_equal(symlink(w->spool, other), 0);
	assert_refused(w, "Path= leads to the same directory as that of the spool at");
	world_remove(w, other);
	assert_int_equal(symlink(inside, other), 0);
	assert_refused(w, "Path= leads into the Recursive spool at");
	world_remove(w, other);
	assert_int_equal(symlink(w->root, other), 0);
	assert_refused(w, "Path= leads to a directory around the spool at");
	world_remove(w, other);

	world_mkdir(w, other);
	assert_int_equal(mount(w->spool, other, NULL, MS_BIND, NULL), 0);
	assert_refused(w, "Path= leads to the same directory as that of the spool at");
	world_unmount(other);
	assert_int_equal(mount(inside, other, NULL, MS_BIND, NULL), 0);
	assert_refused(w, "Path= leads into the Recursive spool at");
	world_unmount(other);

	world_launch(w); /* two directories are two */
	world_wait_ready(w);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

static const struct CMUnitTest others[] = {
	scenario(a_spool_directory_replaced_by_another_is_taken_up_at_once),
	scenario(a_spool_that_goes_and_comes_back_sends_nothing_twice),
	scenario(nor_does_one_that_comes_back_before_it_was_missed),
	scenario(its_settings_count_for_what_comes_back_with_it),
	scenario(what_waits_in_a_spool_that_comes_back_keeps_its_grant),
	scenario(
		a_spool_directory_deleted_under_a_file_on_its_way_and_made_again_goes_on),
	scenario(a_spool_that_was_moved_with_its_parent_is_looked_for_at_its_path),
	scenario(a_directory_renamed_around_a_file_on_its_way_keeps_its_sidecar),
	scenario(a_spool_that_may_not_be_entered_for_a_while_loses_no_file),
	scenario(a_directory_without_a_place_for_sidecars_holds_up_no_other),
	scenario(a_directory_where_a_file_was_and_a_file_again_are_each_taken),
	scenario(a_done_directory_that_goes_away_is_made_again),
	scenario(what_can_not_be_uploaded_is_told_of_in_an_outage_too),
	scenario(a_disk_mounted_over_a_spool_is_the_spool_until_it_is_gone),
	scenario(one_directory_by_two_paths_is_refused_at_the_start),
};

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(cells) + ARRAY_SIZE(others)];

	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		tests[i] = (struct CMUnitTest){
			.name = cells[i].name,
			.test_func = every_change_is_seen,
			.setup_func = setup_cell,
			.teardown_func = world_teardown,
			.initial_state = (void *)&cells[i],
		};
	memcpy(tests + ARRAY_SIZE(cells), others, sizeof(others));
	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
