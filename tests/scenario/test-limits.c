/*
 * The kernel's limits, and the journal's: what does not fit is told once and waited for,
 * and no file is lost for it.
 */

#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

enum { FILES = 40 };

static void drop_files(struct world *w, const char *stem, int count)
{
	for (int i = 0; i < count; i++) {
		char name[128];

		snprintf(name, sizeof(name), "%s%d.txt", stem, i);
		world_write(w, name, name);
	}
}

static void assert_uploaded(struct world *w, const char *stem, int count)
{
	for (int i = 0; i < count; i++) {
		char name[128];

		snprintf(name, sizeof(name), "%s%d.txt", stem, i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
}

/* Nothing that was this machine's own fault was held against a file. */
static void assert_cost_nothing(struct world *w)
{
	assert_int_equal(world_count_log(w, "; try "), 0);
	assert_int_equal(world_count_log(w, "Gave up"), 0);
	assert_int_equal(world_count_log(w, " is away"), 0);
}

/* ---- the queue of inotify ---- */

/* More than fit into the kernel's queue, where two that differ are not made one. */
static void overflow(struct world *w)
{
	enum { EVENTS = 40000 };
	_cleanup_free_ char *even = world_path(w, ".even"), *odd = world_path(w, ".odd");

	world_write(w, ".even", "");
	world_write(w, ".odd", "");
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(utimensat(AT_FDCWD, i % 2 ? odd : even, NULL, 0), 0);
}

static void rename_in_spool(struct world *w, const char *from, const char *to)
{
	_cleanup_free_ char *old = world_path(w, from), *new = world_path(w, to);

	assert_int_equal(rename(old, new), 0);
}

/* In directories below each other, of which some are renamed, and files renamed and
 * deleted. */
static void make_thousands(struct world *w, int directories, int each)
{
	for (int d = 0; d < directories; d++) {
		char before[64], after[64], stem[80], gone[96], renamed[96];

		snprintf(before, sizeof(before), "before%d/below", d);
		world_mkdir(w, before);
		snprintf(stem, sizeof(stem), "%s/f", before);
		drop_files(w, stem, each + 2);
		snprintf(gone, sizeof(gone), "%s%d.txt", stem, each);
		world_remove(w, gone);
		snprintf(gone, sizeof(gone), "%s%d.txt", stem, each + 1);
		snprintf(renamed, sizeof(renamed), "before%d/renamed.txt", d);
		rename_in_spool(w, gone, renamed);
		snprintf(before, sizeof(before), "before%d", d);
		snprintf(after, sizeof(after), "after%d", d);
		rename_in_spool(w, before, after);
	}
}

static void thousands_of_files_whose_events_were_dropped_all_arrive(void **state)
{
	enum { DIRECTORIES = 20, EACH = 100 };
	static const struct world_options options = {
		.recursive = true,
		.upload = "MaxConcurrent=64\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	world_signal(w, SIGSTOP);
	make_thousands(w, DIRECTORIES / 2, EACH);
	overflow(w);
	for (int d = 0; d < DIRECTORIES / 2; d++) {
		char from[64], to[64];

		snprintf(from, sizeof(from), "after%d", d);
		snprintf(to, sizeof(to), "after%d", d + DIRECTORIES / 2);
		rename_in_spool(w, from, to);
	}
	make_thousands(w, DIRECTORIES / 2, EACH);
	world_signal(w, SIGCONT);
	for (int d = 0; d < DIRECTORIES; d++) {
		char name[64];

		snprintf(name, sizeof(name), "after%d/below/f", d);
		assert_uploaded(w, name, EACH);
		snprintf(name, sizeof(name), "after%d/renamed.txt", d);
		world_wait_uploaded(w, name);
	}
	assert_int_equal(service_asset_count(w->service), DIRECTORIES * (EACH + 1));
	world_stop(w);
}

/* ---- watches and instances of inotify ---- */

static bool put_limit(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

#define WATCHES	  "/proc/sys/user/max_inotify_watches"
#define INSTANCES "/proc/sys/user/max_inotify_instances"

static bool allow_three_watches(void)
{
	return world_make_namespace() && put_limit(WATCHES, "3");
}

static bool allow_no_instance(void)
{
	return world_make_namespace() && put_limit(INSTANCES, "0");
}

/* In the agent's namespace, by a child, since this process has threads. */
static void raise_watch_limit(struct world *w)
{
	char path[64];
	int status = -1;
	pid_t child;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)w->pid);
	child = fork();
	if (child == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		_exit(fd >= 0 && setns(fd, CLONE_NEWUSER) == 0 &&
				      put_limit(WATCHES, "1000")
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void drop_in_directories(struct world *w, const char *name)
{
	for (int d = 0; d < 10; d++) {
		char path[64];

		snprintf(path, sizeof(path), "d%d", d);
		world_mkdir(w, path);
		snprintf(path, sizeof(path), "d%d/%s", d, name);
		world_write(w, path, path);
	}
}

static void assert_uploaded_in_directories(struct world *w, const char *name)
{
	for (int d = 0; d < 10; d++) {
		char path[64];

		snprintf(path, sizeof(path), "d%d/%s", d, name);
		world_wait_uploaded(w, path);
		world_assert_uploaded(w, path);
	}
}

static void where_watches_run_out_it_polls_and_names_the_limit(void **state)
{
	static const struct world_options options = {
		.recursive = true,
		.spool = "PollInterval=100ms\n",
		.prepare = allow_three_watches,
	};
	struct world *w = *state;

	world_start(w, &options);
	drop_in_directories(w, "one.txt");
	assert_uploaded_in_directories(w, "one.txt");
	assert_int_equal(world_count_log(w, "Raise fs.inotify.max_user_watches"), 1);
	assert_int_equal(world_count_log(w, "No space left on device"), 0);
	raise_watch_limit(w);
	drop_in_directories(w, "two.txt");
	assert_uploaded_in_directories(w, "two.txt");
	drop_in_directories(w, "three.txt");
	assert_uploaded_in_directories(w, "three.txt");
	assert_int_equal(world_count_log(w, "Raise fs.inotify.max_user_watches"), 1);
	assert_int_equal(service_asset_count(w->service), 30);
	world_stop(w);
}

static void without_an_inotify_instance_it_polls_and_names_the_limit(void **state)
{
	static const struct world_options options = {
		.recursive = true,
		.spool = "PollInterval=100ms\n",
		.prepare = allow_no_instance,
	};
	struct world *w = *state;

	world_start(w, &options);
	drop_in_directories(w, "one.txt");
	assert_uploaded_in_directories(w, "one.txt");
	world_remove(w, "d3/one.txt.asset.json"); /* and so it is due again */
	world_wait_uploaded(w, "d3/one.txt");
	assert_int_equal(world_count_log(w, "Raise fs.inotify.max_user_instances"), 1);
	assert_int_equal(world_count_log(w, "Polling"), 1);
	world_stop(w);
}

/* ---- descriptors ---- */

#define SHORTAGE "instead of 16, until there is room for more: Too many open files"

static bool set_descriptors(rlim_t soft, rlim_t hard)
{
	const struct rlimit limit = { soft, hard };

	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static bool allow_few_descriptors(void)
{
	return set_descriptors(30, 30);
}

static bool allow_few_descriptors_at_first(void)
{
	return set_descriptors(30, 2000);
}

static void with_few_descriptors_it_uploads_fewer_at_once(void **state)
{
	static const struct world_options options = {
		.prepare = allow_few_descriptors,
	};
	struct world *w = *state;

	world_start(w, &options);
	/* So that sixteen are under way at once, or would be. */
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .action = FAULT_STALL });
	drop_files(w, "f", FILES);
	world_wait_log(w, SHORTAGE);
	service_clear_faults(w->service);
	service_release(w->service);
	assert_uploaded(w, "f", FILES);
	assert_int_equal(world_count_log(w, SHORTAGE), 1);
	assert_cost_nothing(w);
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), FILES);
	world_stop(w);
}

static void it_takes_all_the_descriptors_that_it_may_have(void **state)
{
	static const struct world_options options = {
		.prepare = allow_few_descriptors_at_first,
	};
	struct world *w = *state;
	struct rlimit limit;

	world_start(w, &options);
	assert_int_equal(prlimit(w->pid, RLIMIT_NOFILE, NULL, &limit), 0);
	assert_int_equal(limit.rlim_cur, 2000);
	drop_files(w, "f", FILES);
	assert_uploaded(w, "f", FILES);
	assert_int_equal(world_count_log(w, "instead of"), 0);
	world_stop(w);
}

/* User and system time of the agent so far. */
static usec_t cpu_time(struct world *w)
{
	_cleanup_fclose_ FILE *file = NULL;
	unsigned long long user, system;
	char path[64], line[1024];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)w->pid);
	file = fopen(path, "re");
	assert_true(file && fgets(line, sizeof(line), file));
	/* Behind the name, which may hold anything. */
	assert_int_equal(sscanf(strrchr(line, ')'),
				") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
				&user, &system),
			 2);
	return (user + system) * USEC_PER_SEC / (usec_t)sysconf(_SC_CLK_TCK);
}

static void limit_descriptors(struct world *w, rlim_t soft)
{
	struct rlimit limit;

	assert_int_equal(prlimit(w->pid, RLIMIT_NOFILE, NULL, &limit), 0);
	limit.rlim_cur = soft;
	assert_int_equal(prlimit(w->pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* The limit with which the agent could open so many @more. */
static rlim_t room_for_descriptors(struct world *w, unsigned more)
{
	rlim_t limit = 0;
	char path[64];

	for (;; limit++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%lu", (int)w->pid, limit);
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		    more-- == 0)
			return limit;
	}
}

/* One more at a time, so that it fails at each step up to the token: the file, the
 * secret, the connection. None of them says that a service is away. */
static void a_descriptor_that_is_missing_is_no_services_fault(void **state)
{
	enum { MORE = 5 };
	struct world *w = *state;

	world_start(w, NULL);
	for (unsigned more = 0; more < MORE; more++) {
		char name[32];

		world_restart(w);
		limit_descriptors(w, room_for_descriptors(w, more));
		world_mark_log(w);
		(void)snprintf(name, sizeof(name), "f%u.txt", more);
		world_drop(w, name, "hello");
		world_wait_log(w, "moving -> ");
		limit_descriptors(w, 1000);
		world_wait_uploaded(w, name);
		assert_int_equal(world_count_log(w, "Authorization fails"), 0);
		assert_cost_nothing(w);
	}
	world_stop(w);
}

static void without_any_descriptor_it_waits_asleep_until_there_are_some(void **state)
{
	struct world *w = *state;
	usec_t begin, cpu;

	world_start(w, NULL);
	drop_files(w, "first", 1); /* then it has looked through the spool */
	assert_uploaded(w, "first", 1);
	limit_descriptors(w, 3); /* fewer than it has open */
	drop_files(w, "f", FILES);
	world_wait_log(w, "Too many open files");
	begin = clock_monotonic();
	cpu = cpu_time(w);
	limit_descriptors(w, 1000);
	assert_uploaded(w, "f", FILES); /* at the next look, a second later */
	assert_true(2 * (cpu_time(w) - cpu) < clock_monotonic() - begin);
	assert_int_equal(world_count_log(w, SHORTAGE), 1);
	assert_cost_nothing(w);
	world_stop(w);
}

/* ---- the journal ---- */

static char journal_path[108]; /* where the agent finds its socket */

static bool bring_journal(void)
{
	return world_make_namespace() && mount("none", "/run", "tmpfs", 0, NULL) == 0 &&
	       mkdir("/run/systemd", 0755) == 0 &&
	       mkdir("/run/systemd/journal", 0755) == 0 &&
	       symlink(journal_path, "/run/systemd/journal/socket") == 0;
}

static const struct world_options to_journal = {
	.report = "LogTarget=journal\nLogLevel=info\n",
	.prepare = bring_journal,
	.no_agent = true,
};

static void start_with_journal(struct world *w)
{
	world_start(w, &to_journal);
	assert_true(snprintf(journal_path, sizeof(journal_path), "%s/journal", w->root) <
		    (int)sizeof(journal_path));
}

static int open_journal(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, journal_path, sizeof(address.sun_path));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Until the queue of the socket @path takes no more. */
static void fill_queue(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) <
		    (int)sizeof(address.sun_path));
	assert_true(fd >= 0);
	while (sendto(fd, "\n", 1, MSG_DONTWAIT, (struct sockaddr *)&address,
		      sizeof(address)) == 1)
		;
	assert_int_equal(errno, EAGAIN);
}

/* Whether an entry with those bytes comes within @timeout. */
static bool journal_has(int fd, const void *bytes, size_t length, usec_t timeout)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	char entry[8192];
	ssize_t n;

	while (poll(&polled, 1, (int)(timeout / USEC_PER_MSEC)) == 1) {
		n = recv(fd, entry, sizeof(entry), 0);
		assert_true(n > 0 && entry[n - 1] == '\n');
		if (memmem(entry, (size_t)n, bytes, length))
			return true;
	}
	return false;
}

static void what_the_journal_gets_are_its_own_fields(void **state)
{
	static const char plain[] = "\nASSET_SIZE=5\n";
	struct world *w = *state;
	_cleanup_close_ int journal = -1;
	_cleanup_free_ char *path = NULL;
	char field[256];
	uint64_t length;

	start_with_journal(w);
	journal = open_journal();
	world_launch(w);
	world_wait_ready(w);
	world_drop(w, "plain.txt", "12345");
	assert_true(journal_has(journal, plain, STRLEN(plain), world_patience()));
	world_drop(w, "two\nlines.txt", "2");
	path = world_path(w, "two\nlines.txt");
	length = htole64(strlen(path));
	memcpy(mempcpy(mempcpy(field, "ASSET_FILE\n", 11), &length, 8), path,
	       strlen(path));
	assert_true(journal_has(journal, field, 19 + strlen(path), world_patience()));
	world_stop(w);
}

/* On standard error. A receipt is there before its line is. */
static void assert_all_told(struct world *w)
{
	for (unsigned i = 0; i < FILES; i++) {
		char line[32];

		(void)snprintf(line, sizeof(line), "f%u.txt as asset", i);
		world_wait_log(w, line);
	}
	assert_int_equal(world_count_log(w, "Uploaded "), FILES);
}

static void without_a_journal_it_uploads_and_tells_standard_error(void **state)
{
	struct world *w = *state;

	start_with_journal(w);
	world_launch(w);
	world_wait_ready(w);
	drop_files(w, "f", FILES);
	assert_uploaded(w, "f", FILES);
	assert_all_told(w);
	world_stop(w);
}

static void a_journal_that_nobody_reads_holds_nothing_up(void **state)
{
	static const char last[] = "last.txt";
	struct world *w = *state;
	_cleanup_close_ int journal = -1;

	start_with_journal(w);
	journal = open_journal();
	fill_queue(journal_path);
	world_launch(w);
	world_wait_ready(w);
	drop_files(w, "f", FILES);
	assert_uploaded(w, "f", FILES);
	assert_all_told(w); /* here, as they could not go there */
	while (recv(journal, journal_path, 1, MSG_DONTWAIT) > 0)
		;
	world_drop(w, last, "last");
	assert_true(journal_has(journal, last, STRLEN(last), world_patience()));
	world_stop(w);
}

/* ---- the service manager ---- */

static void a_manager_that_does_not_read_holds_nothing_up(void **state)
{
	static const struct world_options options = { .no_agent = true };
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;

	world_start(w, &options);
	assert_true(asprintf(&path, "%s/notify", w->root) > 0);
	fill_queue(path);
	drop_files(w, "f", FILES);
	assert_int_equal(world_run(w, "drain", NULL), 0);
	assert_uploaded(w, "f", FILES);
	drop_files(w, "more", FILES);
	fill_queue(path);
	world_launch(w);
	world_wait_ready(w); /* told once there is room */
	assert_uploaded(w, "more", FILES);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(thousands_of_files_whose_events_were_dropped_all_arrive),
		scenario(where_watches_run_out_it_polls_and_names_the_limit),
		scenario(without_an_inotify_instance_it_polls_and_names_the_limit),
		scenario(with_few_descriptors_it_uploads_fewer_at_once),
		scenario(it_takes_all_the_descriptors_that_it_may_have),
		scenario(a_descriptor_that_is_missing_is_no_services_fault),
		scenario(without_any_descriptor_it_waits_asleep_until_there_are_some),
		scenario(what_the_journal_gets_are_its_own_fields),
		scenario(without_a_journal_it_uploads_and_tells_standard_error),
		scenario(a_journal_that_nobody_reads_holds_nothing_up),
		scenario(a_manager_that_does_not_read_holds_nothing_up),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
