#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "macro.h"
#include "scratch.h"
#include "writers.h"

/* A child that has the file open in some way, until it is told to end. */
struct other {
	pid_t pid;
	int done; /* closed: it may end */
};

typedef void (*hold_fn)(const char *path);

static void hold_for_writing(const char *path)
{
	if (open(path, O_WRONLY) < 0)
		_exit(1);
}

static void hold_for_appending(const char *path)
{
	if (open(path, O_RDWR | O_APPEND) < 0)
		_exit(1);
}

static void hold_for_reading(const char *path)
{
	if (open(path, O_RDONLY) < 0)
		_exit(1);
}

static void map(const char *path, int flags)
{
	int fd = open(path, O_RDWR);

	if (fd < 0 || mmap(NULL, 1, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED)
		_exit(1);
	(void)close(fd);
}

static void map_shared(const char *path)
{
	map(path, MAP_SHARED);
}

static void map_private(const char *path)
{
	map(path, MAP_PRIVATE);
}

static void lock(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		_exit(1);
}

static struct other start(const char *path, hold_fn hold)
{
	int ready[2], done[2];
	struct other other;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC) + pipe2(done, O_CLOEXEC), 0);
	other.pid = fork();
	if (other.pid == 0) {
		(void)close(done[1]);
		hold(path);
		if (write(ready[1], "", 1) == 1)
			(void)!read(done[0], &byte, 1);
		_exit(0);
	}
	(void)close(ready[1]);
	(void)close(done[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	other.done = done[1];
	return other;
}

static void stop(struct other *other)
{
	int status;

	(void)close(other->done);
	assert_int_equal(waitpid(other->pid, &status, 0), other->pid);
}

static void test_each_kind_of_writer(void **state)
{
	static const struct {
		const char *what;
		hold_fn hold;
		size_t count;
		bool mapped, locked;
	} rows[] = {
		{ "writing", hold_for_writing, 1, false, false },
		{ "appending", hold_for_appending, 1, false, false },
		{ "reading", hold_for_reading, 0, false, false },
		{ "mapped", map_shared, 1, true, false },
		{ "mapped for itself", map_private, 0, false, false },
		{ "locked", lock, 1, false, true },
	};
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_free_ char *path = NULL;
	struct writers writers;
	struct stat st;

	(void)state;
	put_file(s.fd, "file", "text");
	assert_true(asprintf(&path, "%s/file", s.path) > 0);
	assert_int_equal(stat(path, &st), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct other other = start(path, rows[i].hold);

		assert_int_equal(writers_find(&st, &writers), 0);
		stop(&other);
		if (writers.count != rows[i].count)
			fail_msg("%s: %zu", rows[i].what, writers.count);
		if (writers.count == 0)
			continue;
		assert_int_equal(writers.list[0].pid, other.pid);
		assert_string_equal(writers.list[0].command, "test-writers");
		assert_true(strlen(writers.list[0].user) > 0);
		assert_int_equal(writers.list[0].mapped, rows[i].mapped);
		assert_int_equal(writers.list[0].locked, rows[i].locked);
	}
	assert_int_equal(writers_find(&st, &writers), 0);
	assert_int_equal(writers.count, 0);
}

static void test_no_more_than_fit(void **state)
{
	struct other others[WRITERS_MAX + 2];
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_free_ char *path = NULL;
	struct writers writers;
	struct stat st;

	(void)state;
	put_file(s.fd, "file", "text");
	assert_true(asprintf(&path, "%s/file", s.path) > 0);
	assert_int_equal(stat(path, &st), 0);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = start(path, hold_for_writing);
	assert_int_equal(writers_find(&st, &writers), 0);
	assert_int_equal(writers.count, WRITERS_MAX);
	/* The last first: the later ones have the pipes of those before them. */
	for (size_t i = ARRAY_SIZE(others); i > 0; i--)
		stop(&others[i - 1]);
}

/* Who asks is not told of himself. */
static void test_not_ourselves(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	struct writers writers;
	struct stat st;
	int fd;

	(void)state;
	put_file(s.fd, "file", "text");
	fd = openat(s.fd, "file", O_WRONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(writers_find(&st, &writers), 0);
	assert_int_equal(writers.count, 0);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_of_writer),
		cmocka_unit_test(test_no_more_than_fit),
		cmocka_unit_test(test_not_ourselves),
	};

	return cmocka_run_group_tests_name("writers", tests, NULL, NULL);
}
