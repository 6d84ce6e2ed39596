#pragma once

/*
 * Fs: files by descriptor and name, never through a symbolic link.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* What tells one content of a file from another. */
struct fs_identity {
	uint64_t device, inode;
	uint64_t size;
	struct timespec modified;
};

struct fs_identity fs_identity_of(const struct stat *st);
bool fs_identity_equal(const struct fs_identity *a, const struct fs_identity *b);
bool fs_same_time(struct timespec a, struct timespec b);
/* Whether @a is earlier than @b. */
bool fs_before(struct timespec a, struct timespec b);

/* Names of our temporary files; always ignored in a spool. */
#define FS_TEMPORARY_PREFIX ".asset-agent."
#define FS_TEMPORARY_SUFFIX ".tmp"
bool fs_is_temporary(const char *name);

/* A number that stands for @name in the name of a temporary file (FNV-1a). */
uint64_t fs_hash_name(const char *name);

/* Opens the directory @path (relative to @at, or absolute) for *at() calls, following no
 * link in @path when @at is given. The descriptor, or a negative errno. */
int fs_open_directory(int at, const char *path);

/* Whether @fd lies on a filesystem that other machines may write to (NFS, CIFS, FUSE, 9p,
 * ...), which the kernel here is not told of. */
bool fs_is_remote(int fd);

/*
 * Reads a whole regular file of at most @max bytes; the text is NUL-terminated, and
 * *@ret_length (may be NULL) does not count that. The last component may not be a link
 * when
 * @at is a descriptor; with AT_FDCWD links are followed. The caller frees it. 0; -EFBIG:
 * more than @max; -EINVAL: not a regular file; or a negative errno.
 */
int fs_read_file(int at, const char *path, size_t max, char **ret, size_t *ret_length);

struct fs_write {
	mode_t mode;
	gid_t group;			 /* (gid_t)-1: as the directory gives it */
	const struct timespec *modified; /* NULL: now */
	/* There is hardly one of that name yet: it is made by link(2), which costs a
	 * directory one entry, not two, and its watchers two events, not six. A crash may
	 * leave it with the time of its making in the place of `modified`. */
	bool fresh;
};

/* Makes or replaces @name in the directory @dirfd in one step: a reader sees the old file
 * or the whole new one. Not synced. 0 or a negative errno, and then nothing has changed.
 */
int fs_write_atomic(int dirfd, const char *name, const char *text, size_t length,
		    const struct fs_write *how);

/* Sets the time when @name was changed last. 0 or a negative errno. */
int fs_set_modified(int dirfd, const char *name, struct timespec modified);

/* Writes all of @text to @fd, waiting where that has to. 0 or a negative errno, and then
 * part of it may be written. */
int fs_write_all(int fd, const char *text, size_t length);

/* Removes what a crash in fs_write_atomic() may have left of @name, if anything. Not
 * while another writes it. */
void fs_clear_temporary(int dirfd, const char *name);

/* mkdir -p. @mode is for those it makes. 0 or a negative errno. */
int fs_make_directories(const char *path, mode_t mode);

/* Whether a file in the directory @from can be renamed into @to, which need not be there
 * yet: 1; 0: they are not on one mount of one filesystem; -ENOTDIR: what is there, or on
 * the way to it, is no directory; or another negative errno. */
int fs_can_rename(const char *from, const char *to);
