// wrap: read write getrandom fchmod fchown futimens utimensat fstat64 fstatat64 mkdir unlinkat renameat renameat2 linkat __openat64_2 openat64 close
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "faults.h"
#include "fs.h"
#include "scratch.h"

static const struct fs_write PLAIN = { .mode = 0640, .group = (gid_t)-1 };

/* ---- identities, times, names ---- */

static void test_times(void **state)
{
	static const struct {
		struct timespec a, b;
		bool same, before;
	} table[] = {
		{ { 1, 2 }, { 1, 2 }, true, false },
		{ { 1, 2 }, { 1, 3 }, false, true },
		{ { 1, 3 }, { 1, 2 }, false, false },
		{ { 1, 9 }, { 2, 0 }, false, true },
		{ { 2, 0 }, { 1, 9 }, false, false },
		{ { -1, 0 }, { 0, 0 }, false, true },
		{ { 0, 0 }, { -1, 9 }, false, false },
		{ { 0, 0 }, { 0, 0 }, true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(fs_same_time(table[i].a, table[i].b), table[i].same);
		assert_int_equal(fs_before(table[i].a, table[i].b), table[i].before);
	}
}

static void test_identity(void **state)
{
	const struct stat st = { .st_dev = 1,
				 .st_ino = 2,
				 .st_size = 3,
				 .st_mtim = { 4, 5 },
				 .st_ctim = { 6, 7 } };
	const struct fs_identity same = fs_identity_of(&st);
	struct fs_identity others[5];

	(void)state;
	assert_int_equal(same.device, 1);
	assert_int_equal(same.inode, 2);
	assert_int_equal(same.size, 3);
	assert_int_equal(same.modified.tv_sec, 4);
	assert_int_equal(same.modified.tv_nsec, 5);
	assert_true(fs_identity_equal(&same, &same));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = same;
	others[0].device++;
	others[1].inode++;
	others[2].size++;
	others[3].modified.tv_sec++;
	others[4].modified.tv_nsec++;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(fs_identity_equal(&same, &others[i]));
}

static void test_temporary_names(void **state)
{
	static const struct {
		const char *name;
		bool is;
	} table[] = {
		{ ".asset-agent.0123.tmp", true },
		{ ".asset-agent..tmp", true },
		{ ".asset-agent.delete-2a.tmp", true },
		{ ".asset-agent.tmp", false },
		{ "asset-agent.0123.tmp", false },
		{ ".asset-agent.0123.tmp.jpg", false },
		{ "x.asset-agent.0123.tmp", false },
		{ ".asset-agent.0123", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (fs_is_temporary(table[i].name) != table[i].is)
			fail_msg("%s", table[i].name);
}

/* ---- directories ---- */

static void test_open_directory(void **state)
{
	static const struct {
		const char *path;
		int error;
	} table[] = {
		{ ".", 0 },
		{ "a", 0 },
		{ "a/b", 0 },
		{ "a/b/", 0 },
		{ "./a//b", 0 },
		{ "missing", -ENOENT },
		{ "a/missing", -ENOENT },
		{ "", -ENOENT },
		{ "file", -ENOTDIR },
		{ "pipe", -ENOTDIR },
		{ "link", -ELOOP },
		{ "link/b", -ELOOP },
		{ "a/up", -ELOOP },
		{ "out", -ELOOP },
		{ "a/dangling", -ELOOP },
		{ "..", -EXDEV },
		{ "a/../..", -EXDEV },
		{ "/", -EXDEV },
		{ "/tmp", -EXDEV },
	};
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	assert_int_equal(mkdirat(s.fd, "a", 0755), 0);
	assert_int_equal(mkdirat(s.fd, "a/b", 0755), 0);
	put_file(s.fd, "file", "");
	assert_int_equal(mkfifoat(s.fd, "pipe", 0600), 0);
	assert_int_equal(symlinkat("a", s.fd, "link"), 0);
	assert_int_equal(symlinkat("..", s.fd, "a/up"), 0);
	assert_int_equal(symlinkat("/", s.fd, "out"), 0);
	assert_int_equal(symlinkat("nowhere", s.fd, "a/dangling"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_close_ int fd = fs_open_directory(s.fd, table[i].path);

		if (table[i].error ? fd != table[i].error : fd < 0)
			fail_msg("%s: %d", table[i].path, fd);
		if (fd >= 0)
			assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
}

/* Longer than a name, or than any path, can be. */
static void test_open_directory_too_long(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	char name[NAME_MAX + 2], path[PATH_MAX + 1];
	_cleanup_close_ int fd = -1;

	(void)state;
	memset(name, 'x', NAME_MAX + 1);
	name[NAME_MAX + 1] = '\0';
	assert_int_equal(fs_open_directory(s.fd, name), -ENAMETOOLONG);
	for (size_t i = 0; i < PATH_MAX; i++)
		path[i] = i % 2 ? '/' : '.';
	path[PATH_MAX] = '\0';
	assert_int_equal(fs_open_directory(s.fd, path), -ENAMETOOLONG);
	path[PATH_MAX - 1] = '\0';
	fd = fs_open_directory(s.fd, path);
	assert_true(fd >= 0);
}

/* Where the administrator wrote the path, links are followed. */
static void test_open_directory_by_path(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_close_ int fd = -1;
	char path[sizeof(s.path) + 8];
	struct stat a, b;

	(void)state;
	assert_int_equal(mkdirat(s.fd, "a", 0755), 0);
	assert_int_equal(symlinkat("a", s.fd, "link"), 0);
	snprintf(path, sizeof(path), "%s/link", s.path);
	fd = fs_open_directory(AT_FDCWD, path);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &a), 0);
	b = stat_of(s.fd, "a");
	assert_int_equal(a.st_ino, b.st_ino);
}

static void test_make_directories(void **state)
{
	static const struct {
		const char *path;
		int error;
	} table[] = {
		{ "a", 0 },	      { "a", 0 },
		{ "a/b/c/d", 0 },     { "e//f/", 0 },
		{ "link/g", 0 },      { "", 0 },
		{ "file", -ENOTDIR }, { "file/x", -ENOTDIR },
		{ "a/./b/../h", 0 },
	};
	_cleanup_scratch_ struct scratch s = scratch_make();
	mode_t mask = umask(0);

	(void)state;
	put_file(s.fd, "file", "");
	assert_int_equal(symlinkat("a", s.fd, "link"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char path[sizeof(s.path) + 32];
		struct stat st;
		int r;

		snprintf(path, sizeof(path), "%s/%s", s.path, table[i].path);
		r = fs_make_directories(path, 0770);
		if (r != table[i].error)
			fail_msg("%s: %d", table[i].path, r);
		if (r == 0)
			assert_true(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
	}
	umask(mask);
	/* The mode is for those that it made, not for those that were there. */
	assert_int_equal(stat_of(s.fd, "a/b/c").st_mode & 07777, 0770);
	assert_int_equal(stat_of(s.fd, "a/g").st_mode & 07777, 0770);
	assert_int_equal(stat_of(s.fd, ".").st_mode & 07777, 0755);
	assert_int_equal(fs_make_directories("/", 0700), 0);
	assert_int_equal(fs_make_directories("", 0700), -ENOENT);
}

static void test_make_directories_fails(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	char path[sizeof(s.path) + 8];

	(void)state;
	snprintf(path, sizeof(path), "%s/a/b", s.path);
	faults_begin((struct faults){ .at = 1, .error = EROFS, .only = "mkdir" });
	assert_int_equal(fs_make_directories(path, 0700), -EROFS);
	assert_true(faults_end());
	assert_false(is_there(s.fd, "a"));
}

/* ---- reading ---- */

static void test_read_file(void **state)
{
	static const struct {
		const char *text;
		size_t max;
		int error;
	} table[] = {
		{ "", 0, 0 },		{ "", 10, 0 },	   { "a", 0, -EFBIG },
		{ "12345", 5, 0 },	{ "12345", 6, 0 }, { "12345", 4, -EFBIG },
		{ "12345", 1, -EFBIG },
	};
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char *text = (char *)"untouched";
		size_t length = 99;

		put_file(s.fd, "f", table[i].text);
		assert_int_equal(fs_read_file(s.fd, "f", table[i].max, &text, &length),
				 table[i].error);
		assert_string_equal(text, table[i].error ? "untouched" : table[i].text);
		assert_int_equal(length, table[i].error ? 99 : strlen(table[i].text));
		if (!table[i].error)
			free(text);
	}
}

/* Around the steps in which it reads, and with bytes of every kind. */
static void test_read_large_file(void **state)
{
	static const size_t sizes[] = {
		16382, 16383, 16384, 16385, 32767, 32768, 100000
	};
	_cleanup_scratch_ struct scratch s = scratch_make();
	static char content[100000];

	(void)state;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)(i * 31 >> 3);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_free_ char *text = NULL, *none = NULL;
		size_t length = 0;
		int fd = openat(s.fd, "f", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		assert_int_equal(write(fd, content, sizes[i]), sizes[i]);
		close(fd);
		assert_int_equal(fs_read_file(s.fd, "f", sizes[i], &text, &length), 0);
		assert_int_equal(length, sizes[i]);
		assert_memory_equal(text, content, length);
		assert_int_equal(text[length], '\0');
		assert_int_equal(fs_read_file(s.fd, "f", sizes[i] - 1, &none, NULL),
				 -EFBIG);
		assert_null(none);
	}
}

static void test_read_only_files(void **state)
{
	static const struct {
		const char *name;
		bool follow;
		int error;
	} table[] = {
		{ "missing", false, -ENOENT },
		{ "missing", true, -ENOENT },
		{ "pipe", false, -EINVAL },
		{ "pipe", true, -EINVAL },
		{ "directory", false, -EINVAL },
		{ "directory", true, -EINVAL },
		{ "socket", false, -ENXIO },
		{ "socket", true, -ENXIO },
		{ "link", false, -ELOOP },
		{ "link", true, 0 },
		{ "dangling", false, -ELOOP },
		{ "dangling", true, -ENOENT },
		{ "to-pipe", false, -ELOOP },
		{ "to-pipe", true, -EINVAL },
		{ "loop", true, -ELOOP },
		{ "file", false, 0 },
		{ "file", true, 0 },
	};
	_cleanup_scratch_ struct scratch s = scratch_make();
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	put_file(s.fd, "file", "text");
	assert_int_equal(mkfifoat(s.fd, "pipe", 0600), 0);
	assert_int_equal(mkdirat(s.fd, "directory", 0700), 0);
	assert_int_equal(symlinkat("file", s.fd, "link"), 0);
	assert_int_equal(symlinkat("nowhere", s.fd, "dangling"), 0);
	assert_int_equal(symlinkat("pipe", s.fd, "to-pipe"), 0);
	assert_int_equal(symlinkat("loop", s.fd, "loop"), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/socket",
		 s.fd);
	assert_int_equal(bind(listener, (void *)&address, sizeof(address)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *text = NULL, *path = NULL;
		int r;

		assert_true(asprintf(&path, "%s/%s", table[i].follow ? s.path : ".",
				     table[i].name) > 0);
		r = fs_read_file(table[i].follow ? AT_FDCWD : s.fd, path, 100, &text,
				 NULL);
		if (r != table[i].error || !streq(text, r ? NULL : "text"))
			fail_msg("%s: %d", path, r);
	}
	close(listener);
}

static atomic_bool grow;

static void *append(void *userdata)
{
	static const char block[4096] = "x";
	int fd = *(int *)userdata;

	while (grow && write(fd, block, sizeof(block)) > 0)
		;
	return NULL;
}

/* However fast somebody writes, it ends. */
static void test_read_growing_file(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_close_ int fd = openat(s.fd, "f", O_WRONLY | O_CREAT | O_APPEND, 0600);
	pthread_t thread;

	(void)state;
	grow = true;
	assert_int_equal(pthread_create(&thread, NULL, append, &fd), 0);
	for (int i = 0; i < 50; i++) {
		_cleanup_free_ char *text = NULL;
		size_t length = 0;
		int r = fs_read_file(s.fd, "f", 64 * 1024, &text, &length);

		assert_true(r == -EFBIG || (r == 0 && length <= 64 * 1024));
		if (r == -EFBIG)
			assert_int_equal(ftruncate(fd, 0), 0);
	}
	grow = false;
	pthread_join(thread, NULL);
}

static void test_read_faults(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	unsigned n;

	(void)state;
	put_file(s.fd, "f", "text");
	for (n = 1;; n++) {
		_cleanup_free_ char *text = NULL;
		size_t length = 7;
		int r;

		faults_begin((struct faults){ .at = n, .error = EIO });
		r = fs_read_file(s.fd, "f", 100, &text, &length);
		if (!faults_end()) {
			assert_int_equal(r, 0);
			break;
		}
		if (r == 0) {
			/* Of a close after reading nobody wants to know. */
			assert_string_equal(text, "text");
			continue;
		}
		assert_int_equal(r, -EIO);
		assert_null(text);
		assert_int_equal(length, 7);
	}
	assert_true(n > 3);
}

static void test_interrupted(void **state)
{
	static const char *const calls[] = { "read", "write" };
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		_cleanup_free_ char *text = NULL;

		faults_begin((struct faults){
			.at = 1, .error = EINTR, .only = calls[i] });
		assert_int_equal(fs_write_atomic(s.fd, "f", "text", 4, &PLAIN), 0);
		assert_int_equal(fs_read_file(s.fd, "f", 100, &text, NULL), 0);
		assert_true(faults_end());
		assert_string_equal(text, "text");
	}
}

/* ---- writing ---- */

static void test_write_makes(void **state)
{
	static const mode_t modes[] = { 0640, 0600, 0644, 02640, 0 };
	const struct timespec modified = { 1234567890, 123456789 };
	_cleanup_scratch_ struct scratch s = scratch_make();
	mode_t mask = umask(0777); /* counts for nothing */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		const struct fs_write how = { .mode = modes[i],
					      .group = (gid_t)-1,
					      .modified = &modified };
		struct stat st;

		assert_int_equal(fs_write_atomic(s.fd, "f", "a\0b", 3, &how), 0);
		st = stat_of(s.fd, "f");
		assert_int_equal(st.st_mode, S_IFREG | modes[i]);
		assert_int_equal(st.st_size, 3);
		assert_true(fs_same_time(st.st_mtim, modified));
		assert_int_equal(entries(s.fd), 1);
	}
	umask(mask);
}

static void test_write_now(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	struct timespec before, after;
	struct stat st;

	(void)state;
	/* Files are stamped by the coarse clock. */
	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	assert_int_equal(fs_write_atomic(s.fd, "f", "", 0, &PLAIN), 0);
	clock_gettime(CLOCK_REALTIME, &after);
	st = stat_of(s.fd, "f");
	assert_false(fs_before(st.st_mtim, before) || fs_before(after, st.st_mtim));
}

/* The group that the caller is told to use, whether he may or not. */
static void test_write_group(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	const struct fs_write how = { .mode = 02640, .group = 12345 };

	(void)state;
	assert_int_equal(fs_write_atomic(s.fd, "f", "x", 1, &how), 0);
	if (geteuid() == 0)
		assert_int_equal(stat_of(s.fd, "f").st_gid, 12345);
	/* chown clears mode bits, and must not have the last word. */
	assert_int_equal(stat_of(s.fd, "f").st_mode & 07777, 02640);

	faults_begin((struct faults){ .at = 1, .error = EPERM, .only = "fchown" });
	assert_int_equal(fs_write_atomic(s.fd, "g", "x", 1, &how), 0);
	assert_true(faults_end());
	assert_true(file_holds(s.fd, "g", "x"));

	faults_begin((struct faults){ .at = 1, .error = EIO, .only = "fchown" });
	assert_int_equal(fs_write_atomic(s.fd, "h", "x", 1, &how), -EIO);
	assert_true(faults_end());
	assert_int_equal(entries(s.fd), 2);
}

/* A directory that hands down its group needs no chown. */
static void test_write_group_of_setgid_directory(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	const struct fs_write how = { .mode = 0640, .group = stat_of(s.fd, ".").st_gid };

	(void)state;
	assert_int_equal(fchmod(s.fd, 02755), 0);
	faults_begin((struct faults){ .at = 1, .error = EIO, .only = "fchown" });
	assert_int_equal(fs_write_atomic(s.fd, "f", "x", 1, &how), 0);
	assert_false(faults_end());
}

static void test_write_replaces(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_close_ int old = -1;
	_cleanup_free_ char *text = NULL;

	(void)state;
	put_file(s.fd, "f", "the old one, which is longer");
	old = openat(s.fd, "f", O_RDONLY);
	assert_int_equal(fs_write_atomic(s.fd, "f", "new", 3, &PLAIN), 0);
	assert_true(file_holds(s.fd, "f", "new"));
	text = calloc(1, 64);
	assert_true(read(old, text, 63) > 0);
	assert_string_equal(text, "the old one, which is longer");
	assert_int_equal(entries(s.fd), 1);
}

/* A link of that name is replaced, not followed; what can't be replaced stays. */
static void test_write_over_others(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	put_file(s.fd, "victim", "mine");
	assert_int_equal(symlinkat("victim", s.fd, "link"), 0);
	assert_int_equal(mkdirat(s.fd, "directory", 0700), 0);
	assert_int_equal(fs_write_atomic(s.fd, "link", "x", 1, &PLAIN), 0);
	assert_true(S_ISREG(stat_of(s.fd, "link").st_mode));
	assert_true(file_holds(s.fd, "victim", "mine"));
	assert_int_equal(fs_write_atomic(s.fd, "directory", "x", 1, &PLAIN), -EISDIR);
	assert_int_equal(entries(s.fd), 3);
}

/* A reader sees the old text or the new one, whole. */
static void *read_on(void *userdata)
{
	int dirfd = *(int *)userdata;
	uintptr_t torn = 0;

	while (grow) {
		_cleanup_free_ char *text = get_file(dirfd, "f");

		torn += !streq(text, "aaaaaaaa") && !streq(text, "bbbbbbbbbbbb");
	}
	return (void *)torn;
}

static void test_write_in_one_step(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	pthread_t reader;
	void *torn;

	(void)state;
	put_file(s.fd, "f", "aaaaaaaa");
	grow = true;
	assert_int_equal(pthread_create(&reader, NULL, read_on, &s.fd), 0);
	for (int i = 0; i < 500; i++) {
		const char *text = i % 2 ? "aaaaaaaa" : "bbbbbbbbbbbb";

		assert_int_equal(fs_write_atomic(s.fd, "f", text, strlen(text), &PLAIN),
				 0);
	}
	grow = false;
	pthread_join(reader, &torn);
	assert_null(torn);
}

static void test_write_faults(void **state)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT, EACCES };
	const struct timespec modified = { 1000, 1 };
	const struct fs_write how = { .mode = 0640,
				      .group = 12345,
				      .modified = &modified };
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		unsigned n;

		put_file(s.fd, "f", "old");
		for (n = 1;; n++) {
			int r;

			faults_begin((struct faults){ .at = n, .error = errors[i] });
			r = fs_write_atomic(s.fd, "f", "new text", 8, &how);
			if (!faults_end()) {
				assert_int_equal(r, 0);
				break;
			}
			assert_int_equal(r, -errors[i]);
			assert_true(file_holds(s.fd, "f", "old"));
			assert_int_equal(entries(s.fd), 1);
		}
		assert_true(n > 7);
		assert_true(file_holds(s.fd, "f", "new text"));
	}
}

static struct scratch *watched;

static void take_away(void)
{
	assert_int_equal(unlinkat(watched->fd, "f", 0), 0);
}

/* By a link; and whatever goes wrong with that, by a rename. */
static void test_write_fresh(void **state)
{
	const struct timespec modified = { 1234567890, 123456789 };
	const struct fs_write how = {
		.mode = 0640, .group = (gid_t)-1, .modified = &modified, .fresh = true
	};
	_cleanup_scratch_ struct scratch s = scratch_make();
	mode_t mask = umask(0777);
	bool failed = true;

	(void)state;
	for (unsigned n = 1; failed; n++) {
		struct stat st;

		faults_begin((struct faults){ .at = n, .error = EIO });
		assert_int_equal(fs_write_atomic(s.fd, "f", "text", 4, &how), 0);
		failed = faults_end();
		st = stat_of(s.fd, "f");
		assert_int_equal(st.st_mode, S_IFREG | 0640);
		assert_true(fs_same_time(st.st_mtim, modified));
		assert_true(file_holds(s.fd, "f", "text"));
		assert_int_equal(entries(s.fd), 1);
		assert_true(failed || n > 4);
		assert_int_equal(unlinkat(s.fd, "f", 0), 0);
	}
	/* It was there after all. */
	put_file(s.fd, "f", "old");
	assert_int_equal(fs_write_atomic(s.fd, "f", "new", 3, &how), 0);
	assert_true(file_holds(s.fd, "f", "new"));
	assert_int_equal(entries(s.fd), 1);
	/* Lost, and told of at the close only. */
	assert_int_equal(unlinkat(s.fd, "f", 0), 0);
	faults_begin((struct faults){ .at = 1, .error = EIO, .only = "close" });
	assert_int_equal(fs_write_atomic(s.fd, "f", "text", 4, &how), 0);
	assert_true(faults_end());
	assert_int_equal(faults.calls, 2); /* it was written once more */
	assert_true(file_holds(s.fd, "f", "text"));
	assert_int_equal(entries(s.fd), 1);
	/* Whoever takes it away as soon as it is there does not get it once more. */
	assert_int_equal(unlinkat(s.fd, "f", 0), 0);
	watched = &s;
	faults_begin((struct faults){
		.at = 1, .only = "utimensat", .meanwhile = take_away });
	assert_int_equal(fs_write_atomic(s.fd, "f", "text", 4, &how), 0);
	assert_true(faults_end());
	assert_int_equal(entries(s.fd), 0);
	umask(mask);
}

/* A name for the temporary file is found, though some are taken. */
static void test_write_taken_names(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	faults_begin((struct faults){ .at = 1, .error = EEXIST, .only = "openat" });
	assert_int_equal(fs_write_atomic(s.fd, "f", "x", 1, &PLAIN), 0);
	assert_true(faults_end());
	assert_int_equal(entries(s.fd), 1);
}

static void test_write_to_a_vanished_directory(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_close_ int fd = -1;

	(void)state;
	assert_int_equal(mkdirat(s.fd, "d", 0700), 0);
	fd = fs_open_directory(s.fd, "d");
	assert_int_equal(unlinkat(s.fd, "d", AT_REMOVEDIR), 0);
	assert_int_equal(fs_write_atomic(fd, "f", "x", 1, &PLAIN), -ENOENT);
}

static void test_can_rename(void **state)
{
	static const struct {
		const char *from, *to;
		int r;
	} rows[] = {
		{ "/", "/", 1 },
		{ "/proc", "/proc/not/there", 1 },
		{ "/proc", "/not/there", 0 },
		{ "/", "/proc", 0 },
		{ "/not/there", "/", -ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(fs_can_rename(rows[i].from, rows[i].to), rows[i].r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_temporary_names),
		cmocka_unit_test(test_open_directory),
		cmocka_unit_test(test_open_directory_too_long),
		cmocka_unit_test(test_open_directory_by_path),
		cmocka_unit_test(test_can_rename),
		cmocka_unit_test(test_make_directories),
		cmocka_unit_test(test_make_directories_fails),
		cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_read_large_file),
		cmocka_unit_test(test_read_only_files),
		cmocka_unit_test(test_read_growing_file),
		cmocka_unit_test(test_read_faults),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_write_makes),
		cmocka_unit_test(test_write_now),
		cmocka_unit_test(test_write_group),
		cmocka_unit_test(test_write_group_of_setgid_directory),
		cmocka_unit_test(test_write_replaces),
		cmocka_unit_test(test_write_over_others),
		cmocka_unit_test(test_write_in_one_step),
		cmocka_unit_test(test_write_faults),
		cmocka_unit_test(test_write_fresh),
		cmocka_unit_test(test_write_taken_names),
		cmocka_unit_test(test_write_to_a_vanished_directory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("fs", tests, NULL, NULL);
}
