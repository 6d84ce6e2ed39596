// wrap: fcntl64 clock_realtime openat64
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "intake.h"
#include "scratch.h"
#include "sidecar.h"

#define S USEC_PER_SEC

/* ---- the kernel's answers ---- */

static int lease_error; /* 0: as it is */
static usec_t ahead;	/* of the real clock */
static usec_t frozen;	/* 0: it goes on */

int __real_fcntl64(int fd, int command, long argument);
int __wrap_fcntl64(int fd, int command, long argument);
int __wrap_fcntl64(int fd, int command, long argument)
{
	if (command == F_SETLEASE && lease_error) {
		errno = lease_error;
		return -1;
	}
	return __real_fcntl64(fd, command, argument);
}

static int open_error; /* 0: as it is */

int __real_openat64(int dirfd, const char *name, int flags, mode_t mode);
int __wrap_openat64(int dirfd, const char *name, int flags, mode_t mode);
int __wrap_openat64(int dirfd, const char *name, int flags, mode_t mode)
{
	if (open_error && streq(name, "f")) {
		errno = open_error;
		return -1;
	}
	return __real_openat64(dirfd, name, flags, mode);
}

usec_t __real_clock_realtime(void);
usec_t __wrap_clock_realtime(void);
usec_t __wrap_clock_realtime(void)
{
	return frozen ? frozen : __real_clock_realtime() + ahead;
}

static int set_up(void **state)
{
	(void)state;
	lease_error = 0;
	open_error = 0;
	ahead = 0;
	frozen = 0;
	return 0;
}

/* ---- helpers ---- */

static const struct intake_rules RULES = { .quiet = 5 * S };

static void put_text(int dirfd, const char *name, enum sidecar_kind kind,
		     const char *text, struct timespec modified)
{
	const struct fs_write how = { .mode = 0640,
				      .group = (gid_t)-1,
				      .modified = &modified };
	char sidecar[NAME_MAX + 1];

	assert_int_equal(sidecar_name(sidecar, name, kind), 0);
	assert_int_equal(fs_write_atomic(dirfd, sidecar, text, strlen(text), &how), 0);
}

/* The sidecar that the agent writes for @name as it is now. */
static void put_sidecar(int dirfd, const char *name, enum sidecar_kind kind)
{
	struct stat st = stat_of(dirfd, name);
	const struct sidecar done = { .id = "1",
				      .name = name,
				      .size = (uint64_t)st.st_size,
				      .content_type = "image/jpeg",
				      .modified = st.st_mtim,
				      .uploaded = S };
	const struct sidecar_error error = { .name = name,
					     .size = (uint64_t)st.st_size,
					     .modified = st.st_mtim,
					     .failed = S,
					     .stage = STAGE_CREATE,
					     .attempts = 1 };
	_cleanup_free_ char *text = kind == SIDECAR_DONE ? sidecar_format(&done)
							 : sidecar_error_format(&error);

	assert_non_null(text);
	put_text(dirfd, name, kind, text, st.st_mtim);
}

/* Asks once, with nothing known from before. */
static enum intake take(int dirfd, const char *name)
{
	struct intake_glimpse glimpse = {};
	struct intake_file file = { .fd = -1 };
	enum intake answer = intake_take(dirfd, name, &RULES, &glimpse, 1000 * S, &file);

	assert_int_equal(answer == INTAKE_TAKEN, file.fd >= 0);
	close_fd(file.fd);
	return answer;
}

/* ---- what it hands over ---- */

static bool has_beside(int dirfd, const char *name)
{
	struct intake_glimpse glimpse = {};
	struct intake_file file = { .fd = -1 };

	assert_int_equal(intake_take(dirfd, name, &RULES, &glimpse, S, &file),
			 INTAKE_TAKEN);
	close_fd(file.fd);
	return file.beside;
}

/* Of either kind, of another content, or no sidecar at all. */
static void test_beside(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	for (size_t i = 0; i < 3; i++)
		put_file(s.fd, (const char *[]){ "a", "b", "c" }[i], "bird");
	put_file(s.fd, "a.asset.json", "not this one's");
	assert_int_equal(mkdirat(s.fd, "b.asset-error.json", 0700), 0);
	assert_true(has_beside(s.fd, "a"));
	assert_true(has_beside(s.fd, "b"));
	assert_false(has_beside(s.fd, "c"));
}

static void test_taken(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	struct intake_glimpse glimpse = {};
	struct intake_file file = { .fd = -1 };
	char text[16] = "";
	struct stat st;
	int flags;

	(void)state;
	put_file(s.fd, "a.jpg", "bird");
	assert_int_equal(intake_take(s.fd, "a.jpg", &RULES, &glimpse, S, &file),
			 INTAKE_TAKEN);
	st = stat_of(s.fd, "a.jpg");
	assert_int_equal(file.st.st_ino, st.st_ino);
	assert_int_equal(file.st.st_size, 4);
	assert_int_equal(read(file.fd, text, sizeof(text)), 4);
	assert_string_equal(text, "bird");
	flags = fcntl(file.fd, F_GETFD);
	assert_true(flags & FD_CLOEXEC);
	/* No lease is left that would hold up the next writer. */
	assert_int_equal(fcntl(file.fd, F_GETLEASE), F_UNLCK);
	close(file.fd);
}

static void test_gone(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	assert_int_equal(take(s.fd, "missing"), INTAKE_GONE);
}

/* ---- due, like make ---- */

static void change_nothing(int dirfd)
{
	(void)dirfd;
}

static void grow(int dirfd)
{
	put_file(dirfd, "f", "longer than before");
}

static void grow_and_set_back(int dirfd)
{
	grow(dirfd);
	set_modified(dirfd, "f", 1000, 5);
}

static void rewrite(int dirfd)
{
	put_file(dirfd, "f", "1234!");
}

static void touch(int dirfd)
{
	set_modified(dirfd, "f", 1001, 5);
}

static void touch_nanoseconds(int dirfd)
{
	set_modified(dirfd, "f", 1000, 6);
}

static void touch_back(int dirfd)
{
	set_modified(dirfd, "f", 999, 5);
}

static void change_mode(int dirfd)
{
	assert_int_equal(fchmodat(dirfd, "f", 0600, 0), 0);
}

static void replace(int dirfd, const char *text)
{
	put_file(dirfd, "new", text);
	set_modified(dirfd, "new", 1000, 5);
	assert_int_equal(renameat(dirfd, "new", dirfd, "f"), 0);
}

/* cp -p of another file over it: the same mtime, another size. */
static void replace_by_other_size(int dirfd)
{
	replace(dirfd, "another");
}

/* The rule is make's: what looks the same is the same. */
static void replace_by_same_looks(int dirfd)
{
	replace(dirfd, "54321");
}

static void rename_away_and_back(int dirfd)
{
	assert_int_equal(renameat(dirfd, "f", dirfd, "g"), 0);
	assert_int_equal(renameat(dirfd, "g", dirfd, "f"), 0);
}

static const struct {
	const char *name;
	void (*change)(int dirfd);
	enum intake expected;
} CHANGES[] = {
	{ "nothing", change_nothing, INTAKE_CURRENT },
	{ "other size and mtime", grow, INTAKE_TAKEN },
	{ "other size, mtime set back", grow_and_set_back, INTAKE_TAKEN },
	{ "same size, rewritten", rewrite, INTAKE_TAKEN },
	{ "touched", touch, INTAKE_TAKEN },
	{ "touched by a nanosecond", touch_nanoseconds, INTAKE_TAKEN },
	{ "touched into the past", touch_back, INTAKE_TAKEN },
	{ "chmod", change_mode, INTAKE_CURRENT },
	{ "replaced, same mtime, another size", replace_by_other_size, INTAKE_TAKEN },
	{ "replaced, same mtime, same size", replace_by_same_looks, INTAKE_CURRENT },
	{ "renamed to and fro", rename_away_and_back, INTAKE_CURRENT },
};

static void test_changes(void **state)
{
	static const enum sidecar_kind kinds[] = { SIDECAR_DONE, SIDECAR_ERROR };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t i = 0; i < ARRAY_SIZE(CHANGES); i++) {
			_cleanup_scratch_ struct scratch s = scratch_make();
			enum intake answer;
			struct stat st;

			put_file(s.fd, "f", "12345");
			set_modified(s.fd, "f", 1000, 5);
			put_sidecar(s.fd, "f", kinds[k]);
			CHANGES[i].change(s.fd);
			answer = take(s.fd, "f");
			if (answer != CHANGES[i].expected)
				fail_msg("%s, kind %zu: %d", CHANGES[i].name, k, answer);
			st = stat_of(s.fd, "f");
			assert_int_equal(intake_is_current(s.fd, "f", &st),
					 CHANGES[i].expected == INTAKE_CURRENT);
		}
}

static void test_error_sidecar_deleted(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	put_file(s.fd, "f", "12345");
	put_sidecar(s.fd, "f", SIDECAR_ERROR);
	assert_int_equal(take(s.fd, "f"), INTAKE_CURRENT);
	assert_int_equal(unlinkat(s.fd, "f" SIDECAR_ERROR_SUFFIX, 0), 0);
	assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
}

/* A sidecar of one name says nothing of another; one of two kinds is enough. */
static void test_whose_sidecar(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	put_file(s.fd, "f", "12345");
	put_file(s.fd, "g", "12345");
	put_sidecar(s.fd, "g", SIDECAR_DONE);
	assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
	put_sidecar(s.fd, "f", SIDECAR_DONE);
	touch(s.fd);
	assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
	put_sidecar(s.fd, "f", SIDECAR_ERROR);
	assert_int_equal(take(s.fd, "f"), INTAKE_CURRENT);
}

/* Texts that are no receipt, older than the file's inode so that they must be read. */
static const char *const TORN[] = {
	"",
	"{",
	"{}",
	"[]",
	"null",
	"{\"id\":\"1\",\"name\":\"f\",\"size\":5",
	"{\"id\":\"1\",\"name\":\"f\",\"size\":5}",
	"{\"id\":\"1\",\"name\":\"f\",\"size\":\"5\",\"modified\":\"1970-01-01T00:16:40.000000005Z\"}",
	"{\"name\":\"f\",\"size\":5,\"modified\":\"1970-01-01T00:16:40.000000005Z\"}",
};

static const char GOOD[] = "{\"id\":\"1\",\"name\":\"f\",\"size\":5,\"modified\":"
			   "\"1970-01-01T00:16:40.000000005Z\"}\n";

static void test_torn_sidecar(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	const struct timespec other = { 7, 7 };

	(void)state;
	put_file(s.fd, "f", "12345");
	set_modified(s.fd, "f", 1000, 5);
	for (size_t i = 0; i < ARRAY_SIZE(TORN); i++) {
		put_text(s.fd, "f", SIDECAR_DONE, TORN[i], other);
		if (take(s.fd, "f") != INTAKE_TAKEN)
			fail_msg("%s", TORN[i]);
	}
	/* The very same in one piece: so it was the tear. */
	put_text(s.fd, "f", SIDECAR_DONE, GOOD, other);
	assert_int_equal(take(s.fd, "f"), INTAKE_CURRENT);
}

static void test_strange_sidecars(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	const char *sidecar = "f" SIDECAR_DONE_SUFFIX;

	(void)state;
	put_file(s.fd, "f", "12345");
	set_modified(s.fd, "f", 1000, 5);
	put_file(s.fd, "receipt", GOOD);
	assert_int_equal(symlinkat("receipt", s.fd, sidecar), 0);
	assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
	assert_int_equal(unlinkat(s.fd, sidecar, 0), 0);
	assert_int_equal(mkdirat(s.fd, sidecar, 0700), 0);
	assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
	assert_int_equal(unlinkat(s.fd, sidecar, AT_REMOVEDIR), 0);
	assert_int_equal(mkfifoat(s.fd, sidecar, 0600), 0);
	assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
	assert_int_equal(unlinkat(s.fd, sidecar, 0), 0);
	assert_int_equal(renameat(s.fd, "receipt", s.fd, sidecar), 0);
	assert_int_equal(take(s.fd, "f"), INTAKE_CURRENT);
}

/* The file's own mtime alone makes no sidecar. */
static void test_stamped_sidecars(void **state)
{
	static const off_t sizes[] = { 0, SIDECAR_SIZE_MAX + 1, (off_t)1 << 30 };
	_cleanup_scratch_ struct scratch s = scratch_make();
	const char *sidecar = "f" SIDECAR_DONE_SUFFIX;

	(void)state;
	put_file(s.fd, "f", "12345");
	set_modified(s.fd, "f", 1000, 5);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_close_ int fd = openat(s.fd, sidecar, O_WRONLY | O_CREAT, 0600);

		assert_int_equal(ftruncate(fd, sizes[i]), 0);
		do /* until the kernel's coarse clock ticks */
			set_modified(s.fd, sidecar, 1000, 5);
		while (!fs_before(stat_of(s.fd, "f").st_ctim,
				  stat_of(s.fd, sidecar).st_ctim));
		assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
	}
}

/* A name that leaves no room for a suffix has no sidecar; that is for others to refuse.
 */
static void test_long_name(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	char name[NAME_MAX + 1];

	(void)state;
	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	put_file(s.fd, name, "x");
	assert_int_equal(take(s.fd, name), INTAKE_TAKEN);
	name[SIDECAR_BASE_MAX] = '\0';
	put_file(s.fd, name, "x");
	assert_int_equal(take(s.fd, name), INTAKE_TAKEN);
	put_sidecar(s.fd, name, SIDECAR_ERROR);
	assert_int_equal(take(s.fd, name), INTAKE_CURRENT);
}

/* ---- not files ---- */

static void test_not_a_file(void **state)
{
	static const char *const names[] = { "pipe", "socket",	     "directory",
					     "link", "to-directory", "dangling",
					     "loop" };
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_close_ int devices = open("/dev", O_RDONLY | O_DIRECTORY);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	put_file(s.fd, "file", "x");
	assert_int_equal(mkfifoat(s.fd, "pipe", 0600), 0);
	assert_int_equal(mkdirat(s.fd, "directory", 0700), 0);
	assert_int_equal(symlinkat("file", s.fd, "link"), 0);
	assert_int_equal(symlinkat("directory", s.fd, "to-directory"), 0);
	assert_int_equal(symlinkat("nowhere", s.fd, "dangling"), 0);
	assert_int_equal(symlinkat("loop", s.fd, "loop"), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/socket",
		 s.fd);
	assert_int_equal(bind(listener, (void *)&address, sizeof(address)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (take(s.fd, names[i]) != INTAKE_NOT_A_FILE)
			fail_msg("%s", names[i]);
	assert_int_equal(take(devices, "null"), INTAKE_NOT_A_FILE);
	close(listener);
}

/* A link, say, when it was opened, and a file when it was looked at: that is no reason to
 * give the file up. */
static void test_swapped_in(void **state)
{
	static const int errors[] = { ELOOP, ENXIO, ENODEV };
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	put_file(s.fd, "f", "12345");
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		open_error = errors[i];
		assert_int_equal(take(s.fd, "f"), INTAKE_BUSY);
	}
	open_error = 0;
	assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
}

/* As somebody who may not read it; a child, since there is no way back from setuid(). */
static int take_as_nobody(int dirfd, const char *name)
{
	struct intake_glimpse glimpse = {};
	struct intake_file file = { .fd = -1 };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (geteuid() == 0 &&
		    (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
			_exit(100);
		if (intake_take(dirfd, name, &RULES, &glimpse, S, &file) !=
		    INTAKE_UNREADABLE)
			_exit(101);
		_exit(file.error == -EACCES && file.st.st_size == 5 && file.fd < 0 ? 0
										   : 102);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_unreadable(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	put_file(s.fd, "f", "12345");
	assert_int_equal(fchmodat(s.fd, "f", 0, 0), 0);
	assert_int_equal(take_as_nobody(s.fd, "f"), 0);
	/* It was given up for that: then it is no news. */
	put_sidecar(s.fd, "f", SIDECAR_ERROR);
	assert_int_equal(fchmodat(s.fd, "f" SIDECAR_ERROR_SUFFIX, 0644, 0), 0);
	assert_int_equal(take_as_nobody(s.fd, "f"), 101);
}

/* ---- its writer ---- */

enum writer { OPENS, MAPS, LEASES };

/* A process that has "f" open for writing (or mapped, shared and writable, and closed; or
 * under a write lease, as file servers have what a client has open) until @ret_pipe is
 * closed. */
static pid_t start_writer(const struct scratch *s, enum writer how, int *ret_pipe)
{
	int ready[2], end[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(end, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int fd = openat(s->fd, "f", O_RDWR);

		close(end[1]);
		if (how == MAPS) {
			if (mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
			    MAP_FAILED)
				_exit(1);
			close(fd);
		}
		signal(SIGIO, SIG_IGN);
		if (how == LEASES && fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
			_exit(1);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)!read(end[0], &byte, 1);
		_exit(0);
	}
	close(ready[1]);
	close(end[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_pipe = end[1];
	return pid;
}

static void test_busy(void **state)
{
	static const enum writer writers[] = { OPENS, MAPS, LEASES };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		_cleanup_scratch_ struct scratch s = scratch_make();
		int status, end;
		pid_t pid;

		put_file(s.fd, "f", "12345");
		pid = start_writer(&s, writers[i], &end);
		assert_int_equal(take(s.fd, "f"), INTAKE_BUSY);
		assert_int_equal(take(s.fd, "f"), INTAKE_BUSY);
		close(end);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
	}
}

/* However long nothing happens: the kernel knows better than the clock. */
static void test_busy_and_quiet(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	int end;
	pid_t pid;

	(void)state;
	put_file(s.fd, "f", "12345");
	pid = start_writer(&s, OPENS, &end);
	ahead = USEC_PER_DAY;
	assert_int_equal(take(s.fd, "f"), INTAKE_BUSY);
	close(end);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_readers_do_not_matter(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_close_ int reader = -1;

	(void)state;
	put_file(s.fd, "f", "12345");
	reader = openat(s.fd, "f", O_RDONLY);
	assert_int_equal(take(s.fd, "f"), INTAKE_TAKEN);
}

static void test_has_writer(void **state)
{
	static const struct {
		int error, answer;
	} table[] = {
		{ 0, 0 },
		{ EAGAIN, 1 },
		{ EACCES, -EOPNOTSUPP },
		{ EINVAL, -EOPNOTSUPP },
		{ EOPNOTSUPP, -EOPNOTSUPP },
		{ ENOLCK, -EOPNOTSUPP },
	};
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_close_ int fd = -1;

	(void)state;
	put_file(s.fd, "f", "x");
	fd = openat(s.fd, "f", O_RDONLY);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		lease_error = table[i].error;
		assert_int_equal(intake_has_writer(fd), table[i].answer);
	}
}

/* ---- where the kernel can't tell ---- */

static enum intake ask(const struct scratch *s, const struct intake_rules *rules,
		       struct intake_glimpse *glimpse, usec_t now)
{
	struct intake_file file = { .fd = -1 };
	enum intake answer = intake_take(s->fd, "f", rules, glimpse, now, &file);

	close_fd(file.fd);
	return answer;
}

static void test_fresh_until_quiet(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	struct intake_glimpse glimpse = {};

	(void)state;
	lease_error = EACCES;
	put_file(s.fd, "f", "1");
	assert_int_equal(ask(&s, &RULES, &glimpse, 100 * S), INTAKE_FRESH);
	assert_int_equal(ask(&s, &RULES, &glimpse, 105 * S - 1), INTAKE_FRESH);
	put_file(s.fd, "f", "12"); /* it was not done */
	assert_int_equal(ask(&s, &RULES, &glimpse, 105 * S), INTAKE_FRESH);
	set_modified(s.fd, "f", 1000, 0); /* nor after that: cp -p sets the times last */
	assert_int_equal(ask(&s, &RULES, &glimpse, 109 * S), INTAKE_FRESH);
	assert_int_equal(ask(&s, &RULES, &glimpse, 114 * S - 1), INTAKE_FRESH);
	assert_int_equal(ask(&s, &RULES, &glimpse, 114 * S), INTAKE_TAKEN);
}

/* mmap'ed writes and a mtime that was set back change ctime alone. */
static void test_ctime_counts(void **state)
{
	_cleanup_scratch_ struct scratch s = scratch_make();
	struct intake_glimpse glimpse = {};
	struct stat before, after;

	(void)state;
	lease_error = EACCES;
	put_file(s.fd, "f", "12345");
	set_modified(s.fd, "f", 1000, 0);
	assert_int_equal(ask(&s, &RULES, &glimpse, 100 * S), INTAKE_FRESH);
	before = stat_of(s.fd, "f");
	do { /* until the kernel's coarse clock ticks */
		put_file(s.fd, "f", "54321");
		set_modified(s.fd, "f", 1000, 0);
		after = stat_of(s.fd, "f");
	} while (fs_same_time(before.st_ctim, after.st_ctim));
	assert_int_equal(ask(&s, &RULES, &glimpse, 105 * S), INTAKE_FRESH);
	assert_int_equal(ask(&s, &RULES, &glimpse, 110 * S), INTAKE_TAKEN);
}

/* What lay there long before us need not be watched, unless its stamps are another
 * machine's. */
static void test_old_file(void **state)
{
	static const struct {
		usec_t ahead;
		bool remote;
		enum intake expected;
	} table[] = {
		{ 0, false, INTAKE_FRESH },
		{ 4 * S, false, INTAKE_FRESH },
		{ USEC_PER_HOUR, false, INTAKE_TAKEN },
		{ USEC_PER_HOUR, true, INTAKE_FRESH },
	};
	_cleanup_scratch_ struct scratch s = scratch_make();

	(void)state;
	lease_error = EACCES;
	put_file(s.fd, "f", "12345");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct intake_rules rules = { .quiet = 60 * S,
						    .remote = table[i].remote };
		struct intake_glimpse glimpse = {};

		ahead = table[i].ahead;
		assert_int_equal(ask(&s, &rules, &glimpse, S), table[i].expected);
	}
}

/* On a remote filesystem a lease that is granted proves nothing. */
static void test_remote(void **state)
{
	const struct intake_rules rules = { .quiet = 5 * S, .remote = true };
	_cleanup_scratch_ struct scratch s = scratch_make();
	struct intake_glimpse glimpse = {};

	(void)state;
	put_file(s.fd, "f", "12345");
	assert_int_equal(ask(&s, &rules, &glimpse, 100 * S), INTAKE_FRESH);
	assert_int_equal(ask(&s, &rules, &glimpse, 105 * S), INTAKE_TAKEN);
}

static void test_age(void **state)
{
	static const struct {
		time_t modified, changed;
		usec_t age; /* at 1000 s */
	} table[] = {
		{ 900, 990, 10 * S }, { 990, 900, 10 * S }, { 1000, 900, 0 },
		{ 1001, 900, 0 },     { -5, -7, 1000 * S },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct stat st = { .st_mtim = { table[i].modified, 0 },
					 .st_ctim = { table[i].changed, 0 } };

		frozen = 1000 * S;
		assert_int_equal(intake_age(&st), table[i].age);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_taken),
		TEST(test_beside),
		TEST(test_gone),
		TEST(test_changes),
		TEST(test_error_sidecar_deleted),
		TEST(test_whose_sidecar),
		TEST(test_torn_sidecar),
		TEST(test_strange_sidecars),
		TEST(test_stamped_sidecars),
		TEST(test_long_name),
		TEST(test_not_a_file),
		TEST(test_swapped_in),
		TEST(test_unreadable),
		TEST(test_busy),
		TEST(test_busy_and_quiet),
		TEST(test_readers_do_not_matter),
		TEST(test_has_writer),
		TEST(test_fresh_until_quiet),
		TEST(test_ctime_counts),
		TEST(test_old_file),
		TEST(test_remote),
		TEST(test_age),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
