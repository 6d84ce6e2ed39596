#pragma once

/*
 * Scratch: a directory for one test, and files in it.
 */

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "macro.h"

/* Nothing here takes so long; it only keeps a broken program from hanging the run. */
#define PATIENCE_SECONDS 60

struct scratch {
	char path[256];
	int fd;
};

static int scratch_remove_one(const char *path, const struct stat *st, int kind,
			      struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline struct scratch scratch_make(void)
{
	const char *parent = getenv("TMPDIR");
	struct scratch scratch;

	snprintf(scratch.path, sizeof(scratch.path), "%s/asset-agent-test.XXXXXX",
		 parent ? parent : "/tmp");
	assert_non_null(mkdtemp(scratch.path));
	/* A test that takes on another user still gets in. */
	assert_int_equal(chmod(scratch.path, 0755), 0);
	scratch.fd = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(scratch.fd >= 0);
	return scratch;
}

static inline void scratch_done(struct scratch *scratch)
{
	close_fd(scratch->fd);
	(void)nftw(scratch->path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define _cleanup_scratch_ _cleanup_(scratch_done)

static inline void put_file(int dirfd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, name,
					O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* The content of a small file, or NULL: there is none. The caller frees it. */
static inline char *get_file(int dirfd, const char *name)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *text = calloc(1, 4096);

	assert_non_null(text);
	if (fd < 0 || read(fd, text, 4095) < 0) {
		free(text);
		return NULL;
	}
	return text;
}

static inline bool file_holds(int dirfd, const char *name, const char *text)
{
	_cleanup_free_ char *found = get_file(dirfd, name);

	return found && strcmp(found, text) == 0;
}

static inline bool is_there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline struct stat stat_of(int dirfd, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static inline void set_modified(int dirfd, const char *name, time_t seconds, long nsec)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { seconds, nsec } };

	assert_int_equal(utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* Entries of @dirfd besides "." and "..". */
static inline size_t entries(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	size_t count = 0;

	assert_non_null(dir);
	for (const struct dirent *e; (e = readdir(dir));)
		count += !streq(e->d_name, ".") && !streq(e->d_name, "..");
	closedir(dir);
	return count;
}
