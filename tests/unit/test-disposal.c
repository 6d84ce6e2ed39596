// wrap: read write getrandom fchmod fchown futimens utimensat fstat64 fstatat64 mkdir unlinkat renameat renameat2 linkat __openat64_2 openat64 close
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <sys/wait.h>

#include "disposal.h"
#include "faults.h"
#include "intake.h"
#include "scratch.h"

#define CONTENT "bird"
#define GROUP	12345 /* of the spool, where we may set it */

static const struct timespec MODIFIED = { 1000, 5 };

/* ---- a spool with one file that was uploaded ---- */

struct scene {
	struct scratch scratch;
	char done_path[300];
	int spool, done; /* done -1: not made yet */
	struct fs_identity identity;
	struct disposal disposal;
	struct sidecar sidecar;
	char *receipt; /* its text */
};

static void put_source(int dirfd, const char *name, const char *text)
{
	put_file(dirfd, name, text);
	set_modified(dirfd, name, MODIFIED.tv_sec, MODIFIED.tv_nsec);
}

static struct scene *scene_make(enum after_upload after, const char *name)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct stat st;

	assert_non_null(s);
	s->scratch = scratch_make();
	assert_int_equal(mkdirat(s->scratch.fd, "spool", 0755), 0);
	s->spool = openat(s->scratch.fd, "spool", O_RDONLY | O_DIRECTORY);
	if (geteuid() == 0)
		assert_int_equal(fchown(s->spool, (uid_t)-1, GROUP), 0);
	s->done = -1;
	put_source(s->spool, name, CONTENT);
	st = stat_of(s->spool, name);
	s->identity = fs_identity_of(&st);
	snprintf(s->done_path, sizeof(s->done_path), "%s/done", s->scratch.path);
	s->disposal = (struct disposal){
		.dirfd = s->spool,
		.name = name,
		.relative = "",
		.identity = &s->identity,
		.after = after,
		.done_directory = after == AFTER_MOVE ? s->done_path : NULL,
	};
	s->sidecar = (struct sidecar){
		.id = "17",
		.name = name,
		.size = STRLEN(CONTENT),
		.content_type = "image/jpeg",
		.modified = MODIFIED,
		.uploaded = 2000 * USEC_PER_SEC,
	};
	s->receipt = sidecar_format(&s->sidecar);
	assert_non_null(s->receipt);
	return s;
}

static void scene_free(struct scene *s)
{
	close_fd(s->spool);
	close_fd(s->done);
	scratch_done(&s->scratch);
	free(s->receipt);
	free(s);
}

DEFINE_CLEANUP(struct scene *, scene_freep, scene_free)
#define _cleanup_scene_ _cleanup_(scene_freep)

/* The done directory, made before the agent makes it. */
static int done_of(struct scene *s)
{
	if (s->done >= 0)
		return s->done;
	(void)!mkdirat(s->scratch.fd, "done", 0755);
	s->done = openat(s->scratch.fd, "done", O_RDONLY | O_DIRECTORY);
	assert_true(s->done >= 0);
	return s->done;
}

static int finish(struct scene *s)
{
	struct disposal_sight sight;
	int r = disposal_finish(&s->disposal, &s->sidecar, &sight);

	return r < 0 ? r : sight.had;
}

static int finish_again(struct scene *s)
{
	s->disposal.again = true;
	return finish(s);
}

/* A sidecar that says of @name whatever it says. */
static void put_stale(int dirfd, const char *name, enum sidecar_kind kind)
{
	char sidecar[NAME_MAX + 1];

	assert_int_equal(sidecar_name(sidecar, name, kind), 0);
	put_file(dirfd, sidecar, "{}");
}

static bool has_sidecar(int dirfd, const char *name, enum sidecar_kind kind)
{
	char sidecar[NAME_MAX + 1];

	assert_int_equal(sidecar_name(sidecar, name, kind), 0);
	return is_there(dirfd, sidecar);
}

/* Whether the receipt of @name is in @dirfd, as it ought to be. */
static bool has_receipt(struct scene *s, int dirfd, const char *name)
{
	char sidecar[NAME_MAX + 1];
	struct stat st;

	assert_int_equal(sidecar_name(sidecar, name, SIDECAR_DONE), 0);
	if (!file_holds(dirfd, sidecar, s->receipt))
		return false;
	st = stat_of(dirfd, sidecar);
	return (st.st_mode & 07777) == 0640 && st.st_gid == stat_of(dirfd, ".").st_gid &&
	       fs_same_time(st.st_mtim, MODIFIED);
}

/* ---- keep ---- */

static void test_keep(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_KEEP, "a.jpg");

	(void)state;
	put_stale(s->spool, "a.jpg", SIDECAR_ERROR);
	put_stale(s->spool, "a.jpg", SIDECAR_DONE);
	assert_int_equal(finish(s), 0);
	assert_true(has_receipt(s, s->spool, "a.jpg"));
	assert_true(file_holds(s->spool, "a.jpg", CONTENT));
	assert_int_equal(entries(s->spool), 2);
	assert_int_equal(finish_again(s), 1);
	assert_int_equal(entries(s->spool), 2);
	if (geteuid() == 0)
		assert_int_equal(stat_of(s->spool, "a.jpg.asset.json").st_gid, GROUP);
}

/* What the taker saw is believed, but not over a restart, and not of another place. */
static void test_alone(void **state)
{
	_cleanup_scene_ struct scene *kept = scene_make(AFTER_KEEP, "a.jpg");
	_cleanup_scene_ struct scene *moved = scene_make(AFTER_MOVE, "a.jpg");

	(void)state;
	put_stale(kept->spool, "a.jpg", SIDECAR_ERROR);
	kept->disposal.alone = moved->disposal.alone = true;
	assert_int_equal(finish(kept), 0);
	assert_true(has_sidecar(kept->spool, "a.jpg", SIDECAR_ERROR));
	assert_int_equal(finish_again(kept), 1);
	assert_false(has_sidecar(kept->spool, "a.jpg", SIDECAR_ERROR));
	put_stale(moved->spool, "a.jpg", SIDECAR_ERROR);
	assert_int_equal(finish(moved), 0);
	assert_int_equal(entries(moved->spool), 0);
}

/* Without `again` it is written anew, and with it where it is another's. */
static void test_keep_again(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_KEEP, "a.jpg");
	ino_t first;

	(void)state;
	assert_int_equal(finish(s), 0);
	first = stat_of(s->spool, "a.jpg.asset.json").st_ino;
	assert_int_equal(finish_again(s), 1);
	assert_int_equal(stat_of(s->spool, "a.jpg.asset.json").st_ino, first);
	put_stale(s->spool, "a.jpg", SIDECAR_DONE);
	assert_int_equal(finish_again(s), 0);
	assert_true(has_receipt(s, s->spool, "a.jpg"));
}

/* One that was replaced meanwhile, by another of the same mtime, must not look as if the
 * receipt spoke of it. */
static void test_replaced_stays_due(void **state)
{
	static const enum after_upload afters[] = { AFTER_KEEP, AFTER_DELETE,
						    AFTER_MOVE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(afters); i++) {
		_cleanup_scene_ struct scene *s = scene_make(afters[i], "a.jpg");
		struct stat st;

		put_source(s->spool, "new", "another bird");
		assert_int_equal(renameat(s->spool, "new", s->spool, "a.jpg"), 0);
		assert_int_equal(finish(s), 0);
		assert_true(file_holds(s->spool, "a.jpg", "another bird"));
		assert_true(file_holds(s->spool, "a.jpg.asset.json", s->receipt));
		assert_int_equal(entries(s->spool), 2);
		st = stat_of(s->spool, "a.jpg");
		assert_false(intake_is_current(s->spool, "a.jpg", &st));
	}
}

/* ---- give up ---- */

static void test_give_up(void **state)
{
	static const struct asset_error why = { .code = (char *)"400-196" };
	_cleanup_scene_ struct scene *s = scene_make(AFTER_KEEP, "a.jpg");
	const struct sidecar_error error = { .name = "a.jpg",
					     .size = STRLEN(CONTENT),
					     .modified = MODIFIED,
					     .failed = USEC_PER_SEC,
					     .stage = STAGE_CREATE,
					     .attempts = 1,
					     .http_status = 400,
					     .error = &why };
	_cleanup_free_ char *text = sidecar_error_format(&error);
	struct stat st;

	(void)state;
	put_stale(s->spool, "a.jpg", SIDECAR_DONE);
	assert_int_equal(disposal_give_up(s->spool, "a.jpg", &error), 0);
	assert_true(file_holds(s->spool, "a.jpg.asset-error.json", text));
	assert_false(has_sidecar(s->spool, "a.jpg", SIDECAR_DONE));
	assert_int_equal(entries(s->spool), 2);
	st = stat_of(s->spool, "a.jpg.asset-error.json");
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(fs_same_time(st.st_mtim, MODIFIED));
	if (geteuid() == 0)
		assert_int_equal(st.st_gid, GROUP);
	/* The file was replaced since by one of the same mtime: it is due. */
	put_source(s->spool, "a.jpg", "another bird");
	assert_int_equal(disposal_give_up(s->spool, "a.jpg", &error), 0);
	st = stat_of(s->spool, "a.jpg");
	assert_false(intake_is_current(s->spool, "a.jpg", &st));
}

static void test_give_up_faults(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_KEEP, "a.jpg");
	const struct sidecar_error error = { .name = "a.jpg", .modified = MODIFIED };
	unsigned n;

	(void)state;
	for (n = 1;; n++) {
		int r;

		(void)!unlinkat(s->spool, "a.jpg.asset-error.json", 0);
		put_stale(s->spool, "a.jpg", SIDECAR_DONE);
		faults_begin((struct faults){ .at = n, .error = ENOSPC });
		r = disposal_give_up(s->spool, "a.jpg", &error);
		if (!faults_end())
			break;
		assert_true(r == 0 || r == -ENOSPC);
		/* Never both: a crash at this moment would leave them so. */
		assert_int_equal(entries(s->spool),
				 1 + has_sidecar(s->spool, "a.jpg", SIDECAR_DONE) +
					 has_sidecar(s->spool, "a.jpg", SIDECAR_ERROR));
		assert_in_range(entries(s->spool), r == 0 ? 2 : 1, 2);
	}
	assert_true(n > 7);
}

/* ---- delete ---- */

static void test_delete(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_DELETE, "a.jpg");

	(void)state;
	put_stale(s->spool, "a.jpg", SIDECAR_ERROR);
	assert_int_equal(finish(s), 0);
	assert_true(has_receipt(s, s->spool, "a.jpg"));
	assert_int_equal(entries(s->spool), 1);
	assert_int_equal(finish_again(s), 1);
	assert_true(has_receipt(s, s->spool, "a.jpg"));
	assert_int_equal(entries(s->spool), 1);
}

/* The name under which it stands while it is being deleted. */
static const char *hidden_of(const struct scene *s)
{
	static char name[NAME_MAX + 1];

	disposal_hidden_name(name, s->disposal.name, s->identity.inode);
	return name;
}

/* A crash left it hidden. */
static void test_delete_hidden(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_DELETE, "a.jpg");

	(void)state;
	assert_int_equal(renameat(s->spool, "a.jpg", s->spool, hidden_of(s)), 0);
	assert_int_equal(finish_again(s), 0);
	assert_true(has_receipt(s, s->spool, "a.jpg"));
	assert_int_equal(entries(s->spool), 1);
}

/* Its row is still in the ledger although it is deleted, and another file that has its
 * inode's number was hidden when the agent was killed: that is none of its own. */
static void test_delete_beside_a_hidden_one(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_DELETE, "a.jpg");
	char others[NAME_MAX + 1];

	(void)state;
	assert_int_equal(unlinkat(s->spool, "a.jpg", 0), 0);
	disposal_hidden_name(others, "b.jpg", s->identity.inode);
	put_file(s->spool, others, "of another");
	assert_int_equal(finish_again(s), 0);
	assert_true(has_receipt(s, s->spool, "a.jpg"));
	assert_false(is_there(s->spool, "a.jpg"));
	assert_true(file_holds(s->spool, others, "of another"));
}

/* And then somebody who had it open wrote to it: it gets a name back, and nothing that
 * has the name by now is lost. */
static void test_delete_hidden_and_changed(void **state)
{
	(void)state;
	for (int taken = 0; taken < 3; taken++) {
		_cleanup_scene_ struct scene *s = scene_make(AFTER_DELETE, "a.jpg");
		static const char *const back[] = { "a.jpg", "a.1.jpg", "a.2.jpg" };

		assert_int_equal(renameat(s->spool, "a.jpg", s->spool, hidden_of(s)), 0);
		put_file(s->spool, hidden_of(s), "changed");
		for (int i = 0; i < taken; i++)
			put_file(s->spool, back[i], "new");
		assert_int_equal(finish_again(s), 0);
		assert_true(file_holds(s->spool, back[taken], "changed"));
		for (int i = 0; i < taken; i++)
			assert_true(file_holds(s->spool, back[i], "new"));
		assert_int_equal(entries(s->spool), 2 + (size_t)taken);
	}
}

static struct scene *the_scene;

static void swap(void)
{
	put_source(the_scene->spool, "new", "another bird");
	assert_int_equal(renameat(the_scene->spool, "new", the_scene->spool, "a.jpg"), 0);
}

static int writer = -1;

static void start_writing(void)
{
	if (is_there(the_scene->spool, "a.jpg"))
		writer = openat(the_scene->spool, "a.jpg", O_WRONLY);
}

/* Whatever moment somebody takes to replace the file, or to open it for writing: what is
 * new is there afterwards, under some name in one of the two directories. */
static bool holds_somewhere(int dirfd, const char *text)
{
	static const char *const names[] = { "a.jpg", "a.1.jpg" };

	for (size_t i = 0; i < ARRAY_SIZE(names) && dirfd >= 0; i++)
		if (file_holds(dirfd, names[i], text))
			return true;
	return false;
}

static void test_replaced_at_any_moment(void **state)
{
	static const enum after_upload afters[] = { AFTER_KEEP, AFTER_DELETE,
						    AFTER_MOVE };

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(afters); i++)
		for (unsigned n = 1;; n++) {
			_cleanup_scene_ struct scene *s = scene_make(afters[i / 2],
								     "a.jpg");
			struct stat st;

			the_scene = s;
			no_rename_flags = i % 2;
			faults_begin((struct faults){ .at = n, .meanwhile = swap });
			assert_int_equal(finish(s), 0);
			if (!faults_end())
				break;
			no_rename_flags = false;
			if (!holds_somewhere(s->spool, "another bird"))
				fail_msg("case %zu, call %u: the new file is lost", i, n);
			st = stat_of(s->spool, "a.jpg");
			if (intake_is_current(s->spool, "a.jpg", &st))
				fail_msg("case %zu, call %u: it passes for uploaded", i,
					 n);
			assert_false(is_there(s->spool, hidden_of(s)));
		}
	no_rename_flags = false;
}

static void test_opened_at_any_moment(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		_cleanup_scene_ struct scene *s = scene_make(AFTER_DELETE, "a.jpg");

		the_scene = s;
		faults_begin((struct faults){ .at = n, .meanwhile = start_writing });
		assert_int_equal(finish(s), 0);
		if (!faults_end())
			break;
		if (writer >= 0) {
			assert_int_equal(write(writer, "more", 4), 4);
			close(writer);
			writer = -1;
			if (!file_holds(s->spool, "a.jpg", "more"))
				fail_msg("call %u: deleted under the writer's hands", n);
		}
		assert_false(is_there(s->spool, hidden_of(s)));
	}
}

/* Open for writing before: it stays as it is, and gets its receipt. */
static void test_being_written(void **state)
{
	static const enum after_upload afters[] = { AFTER_DELETE, AFTER_MOVE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(afters); i++) {
		_cleanup_scene_ struct scene *s = scene_make(afters[i], "a.jpg");
		int fd = openat(s->spool, "a.jpg", O_WRONLY);

		assert_int_equal(finish(s), 0);
		assert_true(file_holds(s->spool, "a.jpg", CONTENT));
		assert_true(has_receipt(s, s->spool, "a.jpg"));
		assert_int_equal(entries(s->spool), 2);
		close(fd);
	}
}

/* ---- move ---- */

static void test_move(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_MOVE, "a.jpg");
	struct stat st;

	(void)state;
	put_stale(s->spool, "a.jpg", SIDECAR_ERROR);
	put_stale(s->spool, "a.jpg", SIDECAR_DONE);
	assert_int_equal(finish(s), 0);
	assert_int_equal(entries(s->spool), 0);
	assert_true(file_holds(done_of(s), "a.jpg", CONTENT));
	assert_true(has_receipt(s, s->done, "a.jpg"));
	assert_int_equal(entries(s->done), 2);
	st = stat_of(s->done, "a.jpg");
	assert_int_equal(st.st_ino, s->identity.inode);
	assert_int_equal(finish_again(s), 1);
	assert_int_equal(entries(s->done), 2);
}

static void test_move_below(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_MOVE, "a.jpg");

	(void)state;
	s->disposal.relative = "x/y";
	assert_int_equal(finish(s), 0);
	assert_true(file_holds(done_of(s), "x/y/a.jpg", CONTENT));
	assert_true(file_holds(s->done, "x/y/a.jpg.asset.json", s->receipt));
}

#define X64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X232 X64 X64 X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *name;
	const char *targets[3]; /* in the order in which they are tried */
} TARGETS[] = {
	{ "a.jpg", { "a.jpg", "a.1.jpg", "a.2.jpg" } },
	{ "a", { "a", "a.1", "a.2" } },
	{ ".hidden", { ".hidden", ".hidden.1", ".hidden.2" } },
	{ ".hidden.jpg", { ".hidden.jpg", ".hidden.1.jpg", ".hidden.2.jpg" } },
	{ "a.tar.gz", { "a.tar.gz", "a.tar.1.gz", "a.tar.2.gz" } },
	{ "a.", { "a.", "a.1.", "a.2." } },
	{ "a b.c d", { "a b.c d", "a b.1.c d", "a b.2.c d" } },
	{ "%s.%n", { "%s.%n", "%s.1.%n", "%s.2.%n" } },
	{ "a\n.jpg", { "a\n.jpg", "a\n.1.jpg", "a\n.2.jpg" } },
	{ X232 "XY.jpg",
	  { X232 "XY.jpg", X232 ".1.jpg", X232 ".2.jpg" } }, /* 238 bytes */
	{ X232 "123456", { X232 "123456", X232 "1234.1", X232 "1234.2" } },
	{ "a." X64,
	  { "a." X64, "a." X64 ".1", "a." X64 ".2" } }, /* that is no extension */
};

static void test_move_never_overwrites(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(TARGETS); i++)
		for (size_t taken = 0; taken < 6; taken++) {
			_cleanup_scene_ struct scene *s = scene_make(AFTER_MOVE,
								     TARGETS[i].name);
			const char *const *targets = TARGETS[i].targets;
			size_t nth = (taken + 1) / 2;

			assert_true(strlen(TARGETS[i].name) <= SIDECAR_BASE_MAX);
			no_rename_flags = taken == 5; /* 5: as 2, on another filesystem */
			if (taken == 5)
				nth = 1;
			/* In the way: nothing, a sidecar, a file, a file and a sidecar,
			 * two files. */
			if (taken == 1)
				put_stale(done_of(s), targets[0], SIDECAR_ERROR);
			else if (taken > 1)
				put_file(done_of(s), targets[0], "mine");
			if (taken == 2)
				nth = 1;
			if (taken == 3)
				put_stale(done_of(s), targets[1], SIDECAR_DONE);
			else if (taken == 4)
				put_file(done_of(s), targets[1], "mine too");
			assert_int_equal(finish(s), 0);
			if (!file_holds(done_of(s), targets[nth], CONTENT) ||
			    !has_receipt(s, s->done, targets[nth]))
				fail_msg("%s, case %zu", TARGETS[i].name, taken);
			assert_int_equal(entries(s->spool), 0);
			if (taken > 1)
				assert_true(file_holds(s->done, targets[0], "mine"));
			if (taken == 4)
				assert_true(file_holds(s->done, targets[1], "mine too"));
			assert_int_equal(finish_again(s), 1);
			assert_true(has_receipt(s, s->done, targets[nth]));
		}
	no_rename_flags = false;
}

/* The file has that name in the done directory already, by another link: it only leaves
 * the spool, or it would be due for ever. */
static void test_move_to_itself(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_MOVE, "a.jpg");

	(void)state;
	assert_int_equal(linkat(s->spool, "a.jpg", done_of(s), "a.jpg", 0), 0);
	assert_int_equal(finish(s), 0);
	assert_int_equal(entries(s->spool), 0);
	assert_true(file_holds(s->done, "a.jpg", CONTENT));
	assert_true(has_receipt(s, s->done, "a.jpg"));
	assert_int_equal(entries(s->done), 2);
}

static void test_move_without_its_source(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_MOVE, "a.jpg");

	(void)state;
	assert_int_equal(unlinkat(s->spool, "a.jpg", 0), 0);
	assert_int_equal(finish(s), 0);
	/* It was uploaded: that it was is still told where it lay. */
	assert_true(has_receipt(s, s->spool, "a.jpg"));
	assert_int_equal(entries(done_of(s)), 0);
}

static void test_move_to_another_filesystem(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_MOVE, "a.jpg");
	/* Shared memory is a filesystem of its own: one of the two is not the spool's. */
	char shared[] = "/dev/shm/asset-agent-test.XXXXXX";
	char usual[] = "/var/tmp/asset-agent-test.XXXXXX";
	struct stat a, b;
	char *other;
	int r;

	(void)state;
	assert_int_equal(stat("/dev/shm", &a), 0);
	assert_int_equal(fstat(s->spool, &b), 0);
	other = mkdtemp(a.st_dev != b.st_dev ? shared : usual);
	assert_non_null(other);
	s->disposal.done_directory = other;
	r = finish(s);
	assert_int_equal(rmdir(other), 0); /* nothing is in it */
	assert_int_equal(r, -EXDEV);
	assert_true(file_holds(s->spool, "a.jpg", CONTENT));
	assert_int_equal(entries(s->spool), 1);
}

static void test_done_directory_is_a_file(void **state)
{
	_cleanup_scene_ struct scene *s = scene_make(AFTER_MOVE, "a.jpg");

	(void)state;
	put_file(s->scratch.fd, "done", "");
	assert_int_equal(finish(s), -ENOTDIR);
	assert_true(file_holds(s->spool, "a.jpg", CONTENT));
}

/* ---- crashes and faults at every step ---- */

/* Everything that has an end: the policy, and whether the filesystem knows rename flags.
 */
static const struct {
	const char *name;
	enum after_upload after;
	bool no_flags;
	size_t left; /* entries in the spool, in the end */
} WAYS[] = {
	{ "keep", AFTER_KEEP, false, 2 },
	{ "delete", AFTER_DELETE, false, 1 },
	{ "move", AFTER_MOVE, false, 0 },
	{ "move by links", AFTER_MOVE, true, 0 },
};

static struct scene *scene_of_way(size_t way, const char *name)
{
	struct scene *s = scene_make(WAYS[way].after, name);

	put_stale(s->spool, name, SIDECAR_ERROR);
	no_rename_flags = WAYS[way].no_flags;
	return s;
}

/* The one end, without any file that a crash has left. */
static void check_end(struct scene *s, size_t way, unsigned n)
{
	bool moved = WAYS[way].after == AFTER_MOVE;
	int there = moved ? done_of(s) : s->spool;
	const char *name = s->disposal.name;
	bool fine = has_receipt(s, there, name) &&
		    !has_sidecar(there, name, SIDECAR_ERROR) &&
		    !is_there(s->spool, hidden_of(s));

	if (WAYS[way].after == AFTER_DELETE)
		fine = fine && !is_there(s->spool, name);
	else
		fine = fine && file_holds(there, name, CONTENT);
	if (moved)
		fine = fine && !is_there(s->spool, name) &&
		       !has_sidecar(s->spool, name, SIDECAR_DONE) &&
		       !has_sidecar(s->spool, name, SIDECAR_ERROR) && entries(there) == 2;
	fine = fine && entries(s->spool) == WAYS[way].left;
	if (!fine)
		fail_msg("%s, call %u: another end", WAYS[way].name, n);
}

/* At no time is the file gone without a receipt. */
static void check_safe(struct scene *s, size_t way, unsigned n)
{
	const char *name = s->disposal.name;
	bool safe = file_holds(s->spool, name, CONTENT) ||
		    file_holds(s->spool, hidden_of(s), CONTENT);

	if (WAYS[way].after == AFTER_DELETE)
		safe = safe || has_receipt(s, s->spool, name);
	if (WAYS[way].after == AFTER_MOVE)
		safe = safe || file_holds(done_of(s), name, CONTENT);
	if (!safe)
		fail_msg("%s, call %u: the file is lost", WAYS[way].name, n);
}

/* False: there is no @nth call. */
static bool crash(struct scene *s, unsigned nth, bool carry_out)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		faults_begin((struct faults){ .at = nth, .carry_out = carry_out });
		_exit(finish(s) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != FAULT_DEATH)
		assert_int_equal(WEXITSTATUS(status), 0);
	return WEXITSTATUS(status) == FAULT_DEATH;
}

static void test_crash_at_every_step(void **state)
{
	(void)state;
	for (size_t way = 0; way < ARRAY_SIZE(WAYS); way++) {
		unsigned n;
		bool more = true;

		for (n = 1; more; n++) {
			_cleanup_scene_ struct scene *s = scene_of_way(
				way, n % 2 ? "a.jpg" : X232 "XY.jpg");
			int r;

			more = crash(s, n, false);
			check_safe(s, way, n);
			r = finish_again(s);
			assert_in_range(r, 0, 1);
			check_end(s, way, n);
			assert_int_equal(finish_again(s), 1);
			check_end(s, way, n);
		}
		assert_true(n > 10);
	}
	no_rename_flags = false;
}

/* Once more each time before the first try is over: two crashes, one after the other. */
static void test_crash_twice(void **state)
{
	(void)state;
	for (size_t way = 0; way < ARRAY_SIZE(WAYS); way++)
		for (unsigned n = 2;; n += 3) {
			_cleanup_scene_ struct scene *s = scene_of_way(way, "a.jpg");

			if (!crash(s, n, true))
				break;
			s->disposal.again = true;
			(void)crash(s, n / 2 + 1, true);
			check_safe(s, way, n);
			assert_in_range(finish_again(s), 0, 1);
			check_end(s, way, n);
		}
	no_rename_flags = false;
}

static void test_fault_at_every_step(void **state)
{
	static const int errors[] = { EIO, ENOSPC, EACCES, EROFS };

	(void)state;
	for (size_t way = 0; way < ARRAY_SIZE(WAYS); way++)
		for (unsigned n = 1;; n++) {
			_cleanup_scene_ struct scene *s = scene_of_way(way, "a.jpg");
			int error = errors[n % ARRAY_SIZE(errors)], r;

			faults_begin((struct faults){ .at = n, .error = error });
			r = finish(s);
			if (!faults_end()) {
				assert_true(n > 10);
				break;
			}
			assert_true(r == 0 || r == -error);
			check_safe(s, way, n);
			r = r < 0 ? finish_again(s) : r;
			assert_in_range(r, 0, 1);
			check_end(s, way, n);
			assert_int_equal(entries(s->spool), WAYS[way].left);
		}
	no_rename_flags = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_keep_again),
		cmocka_unit_test(test_replaced_stays_due),
		cmocka_unit_test(test_give_up),
		cmocka_unit_test(test_give_up_faults),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_delete_hidden),
		cmocka_unit_test(test_delete_beside_a_hidden_one),
		cmocka_unit_test(test_delete_hidden_and_changed),
		cmocka_unit_test(test_replaced_at_any_moment),
		cmocka_unit_test(test_opened_at_any_moment),
		cmocka_unit_test(test_being_written),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_move_below),
		cmocka_unit_test(test_move_never_overwrites),
		cmocka_unit_test(test_move_to_itself),
		cmocka_unit_test(test_move_without_its_source),
		cmocka_unit_test(test_move_to_another_filesystem),
		cmocka_unit_test(test_done_directory_is_a_file),
		cmocka_unit_test(test_crash_at_every_step),
		cmocka_unit_test(test_crash_twice),
		cmocka_unit_test(test_fault_at_every_step),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("disposal", tests, NULL, NULL);
}
