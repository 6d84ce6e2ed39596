#include <fcntl.h>
#include <inttypes.h>

#include "disposal.h"
#include "intake.h"
#include "macro.h"

#define SIDECAR_MODE 0640
#define TARGETS_MAX  1000 /* names tried in DoneDirectory for one file */

/* A sidecar's directory. */
struct place {
	int fd;
	struct stat st;
};

static int look_at_place(int fd, struct place *ret)
{
	ret->fd = fd;
	return fstat(fd, &ret->st) < 0 ? -errno : 0;
}

static int write_sidecar(const struct place *place, const char *base,
			 enum sidecar_kind kind, const char *text,
			 struct timespec modified)
{
	const struct fs_write how = { .mode = SIDECAR_MODE,
				      .group = place->st.st_gid,
				      .modified = &modified,
				      .fresh = true };
	char name[NAME_MAX + 1];
	int r;

	r = sidecar_name(name, base, kind);
	return r < 0 ? r : fs_write_atomic(place->fd, name, text, strlen(text), &how);
}

/* A sidecar with its file's mtime and a later ctime tells the intake that the file has
 * not changed since. Where @base is another file already, with the same mtime, that would
 * be wrong: then the text must tell. Looks after the writing, since what comes still
 * later has the later ctime. *@ret: what is there, {} for nothing. */
static int mind_another(int dirfd, const char *base, enum sidecar_kind kind,
			uint64_t size, struct fs_identity *ret)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int r;

	*ret = (struct fs_identity){};
	if (fstatat(dirfd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	*ret = fs_identity_of(&st);
	if (ret->size == size)
		return 0;
	r = sidecar_name(name, base, kind);
	if (r < 0)
		return r;
	if (utimensat(dirfd, name, NULL, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static int remove_sidecar(int dirfd, const char *base, enum sidecar_kind kind)
{
	char name[NAME_MAX + 1];
	int r;

	r = sidecar_name(name, base, kind);
	if (r < 0)
		return r;
	/* A directory is no sidecar, whatever its name. */
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT && errno != EISDIR)
		return -errno;
	return 0;
}

/* Whether @base's receipt is there, to the letter. */
static bool has_receipt(int dirfd, const char *base, const char *text)
{
	_cleanup_free_ char *found = NULL;
	char name[NAME_MAX + 1];

	return sidecar_name(name, base, SIDECAR_DONE) == 0 &&
	       fs_read_file(dirfd, name, SIDECAR_SIZE_MAX, &found, NULL) == 0 &&
	       streq(found, text);
}

/* A crash may have come between the receipt and its time. */
static int stamp_receipt(int dirfd, const char *base, struct timespec modified)
{
	char name[NAME_MAX + 1];
	int r = sidecar_name(name, base, SIDECAR_DONE);

	return r < 0 ? r : fs_set_modified(dirfd, name, modified);
}

/* What a crash left of writing @base's receipt. Nobody else would remove it from the done
 * directory, which is no spool. */
static void clear_receipt(int dirfd, const char *base)
{
	char name[NAME_MAX + 1];

	if (sidecar_name(name, base, SIDECAR_DONE) == 0)
		fs_clear_temporary(dirfd, name);
}

static int write_receipt(const struct disposal *d, const struct place *place,
			 const char *base, const struct sidecar *sidecar,
			 struct disposal_sight *sight)
{
	_cleanup_free_ char *text = sidecar_format(sidecar);
	struct fs_identity there;
	int r;

	if (!text)
		return -ENOMEM;
	if (d->again)
		clear_receipt(place->fd, base);
	sight->had = d->again && has_receipt(place->fd, base, text);
	r = sight->had
		    ? stamp_receipt(place->fd, base, sidecar->modified)
		    : write_sidecar(place, base, SIDECAR_DONE, text, sidecar->modified);
	if (r == 0)
		r = mind_another(place->fd, base, SIDECAR_DONE, sidecar->size, &there);
	/* Only we make one, and not of a file that is on its way. */
	if (r == 0 && (d->again || !d->alone || place->fd != d->dirfd))
		r = remove_sidecar(place->fd, base, SIDECAR_ERROR);
	if (r == 0)
		sight->intact = place->fd == d->dirfd &&
				fs_identity_equal(&there, d->identity);
	return r;
}

/* 1: @name is the file of that identity, 0: it is another, or none. */
static int is_the_one(int dirfd, const char *name, const struct fs_identity *identity)
{
	struct fs_identity found;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	found = fs_identity_of(&st);
	return fs_identity_equal(&found, identity);
}

/* The @nth name to try for @name: itself, then with a number before the extension. Names
 * near the limit lose the end of their stem, never the extension or the number. */
static void target_name(char buffer[static NAME_MAX + 1], const char *name, unsigned nth)
{
	const char *dot = strrchr(name, '.');
	const char *extension = dot && dot != name && strlen(dot) <= 32 ? dot : "";
	size_t stem = strlen(name) - strlen(extension);
	char number[16] = "";

	if (nth > 0)
		snprintf(number, sizeof(number), ".%u", nth);
	stem = MIN(stem, SIDECAR_BASE_MAX - strlen(extension) - strlen(number));
	snprintf(buffer, NAME_MAX + 1, "%.*s%s%s", (int)stem, name, number, extension);
}

/* Whether renameat2(2) failed for its flags: NFS, 9p, many of FUSE. */
static bool knows_no_flags(int error)
{
	return error == EINVAL || error == ENOSYS;
}

/* Renames one that nobody else knows by @name. 0 or a negative errno. */
static int rename_ours(int fromfd, const char *name, int tofd, const char *target)
{
	if (renameat2(fromfd, name, tofd, target, RENAME_NOREPLACE) == 0)
		return 0;
	if (!knows_no_flags(errno))
		return -errno;
	if (linkat(fromfd, name, tofd, target, 0) < 0 || unlinkat(fromfd, name, 0) < 0)
		return -errno;
	return 0;
}

/* Gives what stands as @hidden in @fromfd the name back that it had in @dirfd, or, where
 * that is taken by now, one with a number. */
static int give_back(int fromfd, const char *hidden, int dirfd, const char *name)
{
	char target[NAME_MAX + 1];
	int r = -EEXIST;

	for (unsigned nth = 0; nth < TARGETS_MAX && r == -EEXIST; nth++) {
		target_name(target, name, nth);
		r = rename_ours(fromfd, hidden, dirfd, target);
	}
	return r == -ENOENT ? 0 : r;
}

void disposal_hidden_name(char buffer[static NAME_MAX + 1], const char *name, ino_t inode)
{
	snprintf(buffer, NAME_MAX + 1,
		 FS_TEMPORARY_PREFIX "delete-%jx-%" PRIx64 FS_TEMPORARY_SUFFIX,
		 (uintmax_t)inode, fs_hash_name(name));
}

/* Whether somebody has the file open to change it: 1, 0 (also where nobody can tell), or
 * a negative errno. */
static int is_being_written(int dirfd, const char *name)
{
	_cleanup_close_ int fd = openat(
		dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		return intake_has_writer(fd) == 1;
	switch (errno) {
	case EAGAIN: return 1; /* a write lease: a file server's client has it open */
	case EMFILE:
	case ENFILE:
	case ENOMEM: return -errno;
	}
	return 0;
}

/* Under its hidden name nobody replaces or opens it any more: what was swapped in just
 * before, or opened, is told by one more look, and given its name back. */
static int delete_hidden(int dirfd, const char *hidden, const char *name,
			 const struct fs_identity *identity)
{
	int written, same;

	written = is_being_written(dirfd, hidden);
	if (written < 0)
		return written;
	same = is_the_one(dirfd, hidden, identity);
	if (same < 0)
		return same;
	if (!same || written)
		return give_back(dirfd, hidden, dirfd, name);
	return unlinkat(dirfd, hidden, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int delete_source(const struct disposal *d)
{
	char hidden[NAME_MAX + 1];
	int same, r;

	disposal_hidden_name(hidden, d->name, d->identity->inode);
	/* A crash may have come between the two steps, and a writer after it. */
	r = delete_hidden(d->dirfd, hidden, d->name, d->identity);
	if (r < 0)
		return r;
	same = is_the_one(d->dirfd, d->name, d->identity);
	if (same <= 0)
		return same;
	r = is_being_written(d->dirfd, d->name);
	if (r != 0)
		return MIN(r, 0);
	if (renameat(d->dirfd, d->name, d->dirfd, hidden) < 0)
		return errno == ENOENT ? 0 : -errno;
	return delete_hidden(d->dirfd, hidden, d->name, d->identity);
}

static int open_done_directory(const struct disposal *d)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (asprintf(&path, "%s%s%s", d->done_directory, d->relative[0] ? "/" : "",
		     d->relative) < 0)
		return -ENOMEM;
	/* Set-group-ID comes from the parent: mkdir(2) takes none. */
	r = fs_make_directories(path, 0770);
	if (r == 0)
		r = fs_open_directory(AT_FDCWD, path);
	/* That is no word of the file's own directory. */
	return r == -ENOENT || r == -ESTALE ? -ENOTDIR : r;
}

/* 1: nothing of that name is there, 0: something is, or a negative errno. */
static int is_free(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return errno == ENOENT ? 1 : -errno;
}

/* The same, of @name and its sidecars. */
static int is_wholly_free(int dirfd, const char *name)
{
	static const enum sidecar_kind kinds[] = { SIDECAR_DONE, SIDECAR_ERROR };
	int r = is_free(dirfd, name);

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 1; i++) {
		char sidecar[NAME_MAX + 1];

		r = sidecar_name(sidecar, name, kinds[i]);
		if (r == 0)
			r = is_free(dirfd, sidecar);
	}
	return r;
}

/* As move_to(), where the filesystem can't rename without replacing: for a while the file
 * has both names, and again after a crash. */
static int move_by_link(const struct disposal *d, int donefd, const char *target)
{
	int same, r;

	if (linkat(d->dirfd, d->name, donefd, target, 0) < 0)
		return -errno;
	same = is_the_one(donefd, target, d->identity);
	if (same <= 0) {
		r = unlinkat(donefd, target, 0) < 0 ? -errno : 0;
		return same < 0 ? same : r;
	}
	r = delete_source(d);
	return r < 0 ? r : 1;
}

/* 1: moved to @target, 0: it was not the one that was uploaded, and is where it was. */
static int move_to(const struct disposal *d, int donefd, const char *target)
{
	int same;

	if (renameat2(d->dirfd, d->name, donefd, target, RENAME_NOREPLACE) < 0)
		return knows_no_flags(errno) ? move_by_link(d, donefd, target) : -errno;
	same = is_the_one(donefd, target, d->identity);
	if (same != 0)
		return same;
	return give_back(donefd, target, d->dirfd, d->name);
}

/* Where @d's file is in the done directory, moved there now or before a crash. 1: found,
 * 0: it is no longer the one that was uploaded, and stays where it is. */
static int move_source(const struct disposal *d, int donefd,
		       char target[static NAME_MAX + 1])
{
	int here, r;

	here = is_the_one(d->dirfd, d->name, d->identity);
	if (here < 0)
		return here;
	r = here ? is_being_written(d->dirfd, d->name) : 0;
	if (r != 0)
		return MIN(r, 0);
	for (unsigned nth = 0; nth < TARGETS_MAX; nth++) {
		target_name(target, d->name, nth);
		r = is_the_one(donefd, target, d->identity);
		if (r < 0)
			return r;
		if (r == 1) {
			/* Another name of it may be left, of a move by links or not. */
			r = delete_source(d);
			return r < 0 ? r : 1;
		}
		r = here ? is_wholly_free(donefd, target) : 0;
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		r = move_to(d, donefd, target);
		if (r != -EEXIST)
			return r == -ENOENT ? 0 : r;
	}
	return here ? -EEXIST : 0;
}

static int finish_by_move(const struct disposal *d, const struct place *here,
			  const struct sidecar *sidecar, struct disposal_sight *sight)
{
	_cleanup_close_ int donefd = open_done_directory(d);
	char target[NAME_MAX + 1];
	struct place done;
	int r;

	if (donefd < 0)
		return donefd;
	r = move_source(d, donefd, target);
	if (r < 0)
		return r;
	if (r == 0)
		return write_receipt(d, here, d->name, sidecar, sight);
	r = look_at_place(donefd, &done);
	if (r == 0)
		r = write_receipt(d, &done, target, sidecar, sight);
	if (r == 0)
		r = remove_sidecar(d->dirfd, d->name, SIDECAR_DONE);
	return r < 0 ? r : remove_sidecar(d->dirfd, d->name, SIDECAR_ERROR);
}

int disposal_finish(const struct disposal *d, const struct sidecar *sidecar,
		    struct disposal_sight *ret)
{
	struct place here;
	int r;

	*ret = (struct disposal_sight){};
	r = look_at_place(d->dirfd, &here);
	if (r < 0)
		return r;
	ret->device = here.st.st_dev;
	if (d->after == AFTER_MOVE)
		return finish_by_move(d, &here, sidecar, ret);
	r = write_receipt(d, &here, d->name, sidecar, ret);
	if (r < 0 || d->after == AFTER_KEEP)
		return r;
	ret->intact = false;
	return delete_source(d);
}

int disposal_give_up(int dirfd, const char *name, const struct sidecar_error *error)
{
	_cleanup_free_ char *text = sidecar_error_format(error);
	struct fs_identity ignored;
	struct place place;
	int r;

	if (!text)
		return -ENOMEM;
	r = look_at_place(dirfd, &place);
	if (r < 0)
		return r;
	/* First, since nothing is recorded: with the error there the file is not due, and
	 * after a crash nobody would take the receipt of its earlier content away. */
	r = remove_sidecar(dirfd, name, SIDECAR_DONE);
	if (r == 0)
		r = write_sidecar(&place, name, SIDECAR_ERROR, text, error->modified);
	if (r == 0)
		r = mind_another(dirfd, name, SIDECAR_ERROR, error->size, &ignored);
	return r;
}
