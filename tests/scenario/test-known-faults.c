/*
 * What has hurt the users of similar programs, each as a scenario: files, disks and the
 * process itself. What services did to them is in test-known-outages.c, and some of it
 * stands beside its like in the other programs, under the report's name.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

/* Longer than any Settle= here: what is wrongly done early would be done within it. */
#define SEVERAL_SETTLES (400 * USEC_PER_MSEC)

static const struct world_options quick = { .spool = "Settle=1ms\n" };

static int open_in_spool(const struct world *w, const char *name, int flags)
{
	_cleanup_free_ char *path = world_path(w, name);
	int fd = open(path, flags | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	return fd;
}

static void write_text(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* So many assets are asked for, and no more for several settles. */
static void assert_asked(struct world *w, size_t n)
{
	assert_true(service_wait_count(w->service, ENDPOINT_CREATE, n, world_patience()));
	assert_false(service_wait_count(w->service, ENDPOINT_CREATE, n + 1,
					SEVERAL_SETTLES));
}

/* ---- files that are not done ---- */

/* paperless-ngx#432: of many scans at a time, some were taken while still written. */
static void of_many_files_being_written_none_is_taken_half(void **state)
{
	enum { WRITERS = 60, STEP = 7 };
	struct world *w = *state;
	int fds[WRITERS];
	char name[32];

	world_start(w, &quick);
	for (int i = 0; i < WRITERS; i++) {
		snprintf(name, sizeof(name), "scan%d.txt", i);
		fds[i] = open_in_spool(w, name, O_WRONLY | O_CREAT);
		write_text(fds[i], "the first half, ");
	}
	assert_asked(w, 0);
	for (int i = 0, n = 0; i < WRITERS; i++, n = (n + STEP) % WRITERS) {
		write_text(fds[n], "the second half");
		close_fd(fds[n]);
		if (i == WRITERS / 2)
			assert_asked(w, WRITERS / 2 + 1);
	}
	for (int i = 0; i < WRITERS; i++) {
		snprintf(name, sizeof(name), "scan%d.txt", i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
	assert_int_equal(service_asset_count(w->service), WRITERS);
	world_stop(w);
}

/* paperless-ngx#432, by a writer whose descriptor is closed long before it is done. */
static void a_file_that_is_mapped_for_writing_is_not_taken(void **state)
{
	enum { SIZE = 8192 };
	struct world *w = *state;
	char *map;
	int fd;

	world_start(w, &quick);
	fd = open_in_spool(w, "mapped.bin", O_RDWR | O_CREAT);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	close_fd(fd);
	memset(map, 'a', SIZE / 2);
	assert_asked(w, 0);
	memset(map, 'b', SIZE);
	assert_int_equal(munmap(map, SIZE), 0);
	world_wait_uploaded(w, "mapped.bin");
	world_assert_uploaded(w, "mapped.bin");
	assert_int_equal(service_asset_count(w->service), 1);
	world_stop(w);
}

/* paperless-ngx#2918: a slow writer was waited for, then given up until a restart. */
static void a_file_that_was_open_for_long_is_taken_at_its_close(void **state)
{
	/* A thousand times Settle: the next look of its own would come only after as long
	 * again. */
	static const usec_t held = 2 * USEC_PER_SEC;
	struct service_request request;
	struct world *w = *state;
	usec_t closed;
	int fd;

	world_start(w, &quick);
	fd = open_in_spool(w, "slow.pdf", O_WRONLY | O_CREAT);
	for (int i = 0; i < 5; i++) {
		write_text(fd, "a page, ");
		assert_false(service_wait_count(w->service, ENDPOINT_CREATE, 1,
						held / 5));
	}
	close_fd(fd);
	closed = clock_monotonic();
	world_wait_uploaded(w, "slow.pdf");
	world_assert_uploaded(w, "slow.pdf");
	assert_true(service_request_at(w->service, ENDPOINT_CREATE, 0, &request));
	assert_true(usec_sub(request.arrived, closed) < held / 2);
	world_stop(w);
}

/* paperless-ngx#494: a scanner closed its file page by page, seconds apart; each close
 * made a document. */
static void a_file_closed_again_and_again_has_one_receipt_for_the_last_content(
	void **state)
{
	enum { PAGES = 9 };
	struct world *w = *state;

	world_start(w, &quick);
	for (int i = 0; i < PAGES; i++) {
		int fd = open_in_spool(w, "scan.pdf", O_WRONLY | O_CREAT | O_APPEND);

		write_text(fd, "one more page, ");
		close_fd(fd);
		/* The next page comes while this is asked for, is sent, or is done. */
		if (i % 3 == 0)
			(void)service_wait_count(w->service, ENDPOINT_CREATE,
						 (size_t)i + 1, SEVERAL_SETTLES);
		else if (i % 3 == 1)
			(void)service_wait_received(w->service, (size_t)i + 1,
						    SEVERAL_SETTLES);
		else
			world_wait_uploaded(w, "scan.pdf");
	}
	world_wait_uploaded(w, "scan.pdf");
	world_assert_uploaded(w, "scan.pdf");
	assert_in_range(service_assets_named(w->service, "scan.pdf"), 3, PAGES);
	world_stop(w);
}

/* paperless-ngx#494, where the first close would have the file deleted. */
static void a_file_opened_again_while_it_is_sent_is_not_deleted(void **state)
{
	static const struct world_options options = {
		.spool = "Settle=1ms\nAfterUpload=delete\n",
	};
	static const struct fault hold = { .endpoint = ENDPOINT_UPLOAD,
					   .times = 1,
					   .action = FAULT_STALL };
	struct service_asset asset;
	struct world *w = *state;
	_cleanup_free_ char *whole = NULL;
	int fd;

	world_start(w, &options);
	assert_true(asprintf(&whole, "%s/whole", w->root) > 0);
	service_fault(w->service, &hold);
	world_write(w, "scan.pdf", "page one, ");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	fd = open_in_spool(w, "scan.pdf", O_WRONLY | O_APPEND);
	service_release(w->service);
	world_wait_sidecar(w, "scan.pdf");
	assert_asked(w, 1);
	write_text(fd, "page two");
	close_fd(fd);
	world_wait_gone(w, "scan.pdf");
	world_write(w, whole, "page one, page two");
	assert_true(service_asset_by_name(w->service, "scan.pdf", &asset));
	assert_int_equal(service_same_content(w->service, asset.id, whole), 1);
	assert_int_equal(service_assets_named(w->service, "scan.pdf"), 2);
	world_stop(w);
}

/* ---- files that nobody is told of ---- */

static void publish(struct world *w, const char *temporary, const char *name)
{
	_cleanup_free_ char *from = world_path(w, temporary), *to = world_path(w, name);

	assert_int_equal(link(from, to), 0);
	assert_int_equal(unlink(from), 0);
}

/* onedrive#3840: a name given by link() brings no word of a close, and was not seen. */
static void a_file_that_gets_its_name_by_link_is_uploaded(void **state)
{
	struct world *w = *state;
	int fd;

	world_start(w, NULL);
	fd = open_in_spool(w, "film.mp4.filepart", O_WRONLY | O_CREAT);
	write_text(fd, "half when it gets its name, ");
	publish(w, "film.mp4.filepart", "film.mp4");
	assert_asked(w, 0);
	write_text(fd, "whole later, and its close told by a name that is gone");
	close_fd(fd);
	world_wait_uploaded(w, "film.mp4");
	world_assert_uploaded(w, "film.mp4");
	assert_int_equal(service_asset_count(w->service), 1);

	world_write(w, "photo.jpg.filepart", "whole before it has its name");
	publish(w, "photo.jpg.filepart", "photo.jpg");
	world_wait_uploaded(w, "photo.jpg");
	world_assert_uploaded(w, "photo.jpg");
	world_stop(w);
}

/* lsyncd#315: each overflow of the event queue began everything anew, again and again. */
static void overflows_lose_no_file_and_send_none_twice(void **state)
{
	enum { ROUNDS = 3, FILES = 40 };
	struct world *w = *state;
	size_t assets = FILES;

	world_start(w, NULL);
	world_drop_many(w, FILES);
	world_assert_many_uploaded(w, FILES);
	for (int round = 0; round < ROUNDS; round++, assets += FILES + 1) {
		world_signal(w, SIGSTOP);
		world_overflow(w);
		world_drop_many(w, FILES); /* others under the same names */
		world_write(w, "late.txt", round % 2 ? "odd" : "even");
		world_signal(w, SIGCONT);
		world_wait_uploaded(w, "late.txt");
		world_assert_many_uploaded(w, FILES);
	}
	assert_int_equal(service_asset_count(w->service), assets);
	assert_int_equal(world_count_log(w, "The kernel dropped events"), ROUNDS);
	world_stop(w);
}

/* fswatch#330: `git add` makes a directory and a file in it at once; only the directory
 * was seen. */
static void files_in_directories_made_at_once_all_arrive(void **state)
{
	enum { CHAINS = 60, DEPTH = 6 };
	static const struct world_options options = { .recursive = true,
						      .spool = "Settle=1ms\n" };
	struct world *w = *state;
	char path[64], temporary[128], name[128];

	world_start(w, &options);
	for (int chain = 0; chain < CHAINS; chain++) {
		size_t length = (size_t)snprintf(path, sizeof(path), "c%d", chain);

		for (int depth = 0; depth < DEPTH; depth++) {
			world_mkdir(w, path);
			snprintf(temporary, sizeof(temporary), "%s/t.tmp", path);
			snprintf(name, sizeof(name), "%s/f%d.txt", path, depth);
			world_write(w, temporary, name);
			publish(w, temporary, name);
			length += (size_t)snprintf(path + length, sizeof(path) - length,
						   "/d%d", depth);
		}
	}
	assert_true(service_wait_received(w->service, CHAINS * DEPTH, world_patience()));
	for (int chain = 0; chain < CHAINS; chain++) {
		size_t length = (size_t)snprintf(path, sizeof(path), "c%d", chain);

		for (int depth = 0; depth < DEPTH; depth++) {
			snprintf(name, sizeof(name), "%s/f%d.txt", path, depth);
			world_wait_uploaded(w, name);
			world_assert_uploaded(w, name);
			length += (size_t)snprintf(path + length, sizeof(path) - length,
						   "/d%d", depth);
		}
	}
	assert_int_equal(service_asset_count(w->service), CHAINS * DEPTH);
	world_stop(w);
}

/* syncthing#4833: the end of the kernel's watches was told as "no space left on
 * device". */
static void the_end_of_watches_is_told_as_that_and_files_arrive(void **state)
{
	enum { DIRECTORIES = 12 };
	static const struct world_options options = {
		.recursive = true,
		.spool = "PollInterval=200ms\n",
		.no_agent = true,
	};
	static const char few[] =
		"#!/bin/sh\n"
		"exec unshare --user --map-root-user -- sh -c "
		"'echo 5 >/proc/sys/user/max_inotify_watches && exec \"$@\"' sh \"$@\"\n";
	struct world *w = *state;
	_cleanup_free_ char *wrapper = NULL;
	char name[32];

	world_start(w, &options);
	assert_true(asprintf(&wrapper, "%s/few-watches", w->root) > 0);
	world_write(w, wrapper, few);
	assert_int_equal(chmod(wrapper, 0700), 0);
	setenv("ASSET_AGENT_WRAPPER", wrapper, 1);
	world_launch(w);
	world_wait_ready(w);
	for (int i = 0; i < DIRECTORIES; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		world_mkdir(w, name);
		snprintf(name, sizeof(name), "d%d/in.txt", i);
		world_write(w, name, name);
	}
	for (int i = 0; i < DIRECTORIES; i++) {
		snprintf(name, sizeof(name), "d%d/in.txt", i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
	assert_int_equal(world_count_log(w, "the kernel's limit of watched directories"),
			 1);
	assert_int_equal(world_count_log(w, "fs.inotify.max_user_watches"), 1);
	assert_int_equal(world_count_log(w, "o space left"), 0);
	world_stop(w);
	unsetenv("ASSET_AGENT_WRAPPER");
}

/* ---- what a crash leaves ---- */

enum { FILES = 20 };

static char *state_path(const struct world *w, const char *name)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", w->state, name) > 0);
	return path;
}

static void lose_state(struct world *w)
{
	static const char *const names[] = { "ledger.db", "ledger.db-wal",
					     "ledger.db-shm", "lock" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = state_path(w, names[i]);

		assert_true(unlink(path) == 0 || errno == ENOENT);
	}
	assert_int_equal(rmdir(w->state), 0);
}

/* amazon-kinesis-agent#129: the record of what was sent lay where a reboot cleans up, and
 * all was sent again. */
static void without_its_state_nothing_that_has_a_receipt_is_sent_again(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	world_drop_many(w, FILES);
	world_assert_many_uploaded(w, FILES);
	world_kill9(w);
	lose_state(w);
	world_launch(w);
	world_drop(w, "after.txt", "after the reboot");
	world_wait_uploaded(w, "after.txt");
	assert_asked(w, FILES + 1);
	assert_int_equal(service_asset_count(w->service), FILES + 1);
	world_stop(w);
}

enum tear { TEAR_EMPTY, TEAR_HALF, TEAR_ZEROES, TEAR_ALL_ZEROES, TEAR_KINDS };

/* What a disk without power may have kept of a file. */
static void tear(const char *path, enum tear how)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	off_t keep = 0;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	switch (how) {
	case TEAR_EMPTY:
	case TEAR_ALL_ZEROES: break;
	case TEAR_HALF: keep = st.st_size / 2 + 100; break;
	case TEAR_ZEROES: keep = MAX(st.st_size - 5000, 100); break;
	case TEAR_KINDS: assert_true(false);
	}
	assert_int_equal(ftruncate(fd, keep), 0);
	if (how == TEAR_ZEROES || how == TEAR_ALL_ZEROES)
		assert_int_equal(ftruncate(fd, st.st_size), 0);
}

/* In the middle of work: what is on its way is in the ledger, what waits is not. */
static void kill_in_the_middle(struct world *w, const char *torn, enum tear how)
{
	static const struct fault hold = { .endpoint = ENDPOINT_UPLOAD,
					   .phase = FAULT_AT_HEAD,
					   .action = FAULT_STALL };
	_cleanup_free_ char *path = state_path(w, torn);

	service_fault(w->service, &hold);
	world_drop_many(w, FILES);
	assert_true(service_wait_held(w->service, 16, world_patience()));
	world_kill9(w);
	service_clear_faults(w->service);
	service_release(w->service);
	tear(path, how);
}

/* beats#6792: power was lost, the registry was torn or full of zeroes, and the program
 * did not start any more. */
static void a_ledger_torn_by_a_power_cut_keeps_nothing_from_its_receipt(void **state)
{
	static const char *const files[] = { "ledger.db", "ledger.db-wal",
					     "ledger.db-shm" };
	struct world *w = *state;
	size_t before = 0;

	world_start(w, &quick);
	for (size_t i = 0; i < ARRAY_SIZE(files) * TEAR_KINDS; i++) {
		kill_in_the_middle(w, files[i / TEAR_KINDS], (enum tear)(i % TEAR_KINDS));
		world_launch(w);
		world_wait_ready(w);
		world_assert_many_uploaded(w, FILES);
		/* One orphan at the most for each that was on its way. */
		assert_in_range(service_asset_count(w->service) - before, FILES,
				FILES + 16);
		before = service_asset_count(w->service);
	}
	assert_int_equal(world_count_log(w, "Gave up"), 0);
	world_stop(w);
}

/* ---- the process ---- */

static const struct fault troubles[] = {
	{ .endpoint = ENDPOINT_CREATE, .action = FAULT_RESET },
	{ .endpoint = ENDPOINT_CREATE, .action = FAULT_CLOSE },
	{ .endpoint = ENDPOINT_CREATE, .action = FAULT_GARBAGE },
	{ .endpoint = ENDPOINT_CREATE, .action = FAULT_TRUNCATE },
	{ .endpoint = ENDPOINT_CREATE, .action = FAULT_ENDLESS },
	{ .endpoint = ENDPOINT_CREATE, .action = FAULT_ANSWER, .status = 500 },
	{ .endpoint = ENDPOINT_CREATE, .action = FAULT_ANSWER, .status = 400 },
	{ .endpoint = ENDPOINT_CREATE, .action = FAULT_ANSWER, .status = 401 },
	{ .endpoint = ENDPOINT_CREATE, .action = FAULT_ANSWER, .status = 404 },
	{ .endpoint = ENDPOINT_UPLOAD, .action = FAULT_RESET },
	{ .endpoint = ENDPOINT_UPLOAD, .action = FAULT_CLOSE },
	{ .endpoint = ENDPOINT_UPLOAD, .action = FAULT_GARBAGE },
	{ .endpoint = ENDPOINT_UPLOAD, .action = FAULT_TRUNCATE, .status = 200 },
	{ .endpoint = ENDPOINT_UPLOAD, .action = FAULT_ENDLESS, .status = 200 },
	{ .endpoint = ENDPOINT_UPLOAD, .action = FAULT_ANSWER, .status = 500 },
	{ .endpoint = ENDPOINT_UPLOAD, .action = FAULT_ANSWER, .status = 413 },
	{ .endpoint = ENDPOINT_TOKEN, .action = FAULT_RESET },
	{ .endpoint = ENDPOINT_TOKEN, .action = FAULT_GARBAGE },
	{ .endpoint = ENDPOINT_TOKEN, .action = FAULT_ENDLESS },
	{ .endpoint = ENDPOINT_TOKEN, .action = FAULT_ANSWER, .status = 401 },
	{ .endpoint = ENDPOINT_TOKEN, .action = FAULT_ANSWER, .status = 500 },
};

static void suffer(struct world *w, const struct fault *fault)
{
	size_t before = service_count(w->service, fault->endpoint);

	service_revoke_tokens(w->service);
	service_fault(w->service, fault);
	world_drop(w, "during.txt", "in trouble");
	assert_true(service_wait_count(w->service, fault->endpoint, before + 1,
				       world_patience()));
	service_clear_faults(w->service);
	world_drop(w, "after.txt", "after the trouble");
	world_wait_uploaded(w, "after.txt");
	world_assert_uploaded(w, "after.txt");
	world_remove(w, "after.txt");
	world_remove(w, "after.txt.asset.json");
}

static void be_cut_off(struct world *w)
{
	service_unlisten(w->service);
	world_drop(w, "cut-off.txt", "with nobody there");
	world_wait_status(w, "; api unreachable since ");
	service_listen(w->service);
	world_wait_uploaded(w, "cut-off.txt");
}

static void lose_the_spool(struct world *w)
{
	_cleanup_free_ char *away = NULL;

	assert_true(asprintf(&away, "%s/away", w->root) > 0);
	assert_int_equal(rename(w->spool, away), 0);
	world_wait_log(w, "can't be opened");
	assert_int_equal(rename(away, w->spool), 0);
	world_drop(w, "back.txt", "the spool is back");
	world_wait_uploaded(w, "back.txt");
}

/* systemd#2877: an upload that failed ended the program. */
static void no_trouble_ends_it(void **state)
{
	static const struct world_options options = {
		.spool = "Settle=1ms\nPollInterval=100ms\n",
		.retry = "InitialDelay=5ms\nMaxDelay=50ms\n",
	};
	struct world *w = *state;
	pid_t pid;

	world_start(w, &options);
	pid = w->pid;
	for (size_t i = 0; i < ARRAY_SIZE(troubles); i++)
		suffer(w, &troubles[i]);
	be_cut_off(w);
	lose_the_spool(w);
	assert_int_equal(w->pid, pid);
	assert_int_equal(world_count_log(w, "Stopped"), 0);
	world_stop(w);
}

/* mc#2971: it ran on, did nothing any more, and nobody could tell. */
static void the_watchdog_is_fed_only_while_it_works(void **state)
{
	static const char *const environment[] = { "WATCHDOG_USEC=200000", NULL };
	static const struct world_options options = { .environment = environment };
	struct world *w = *state;
	size_t beats;

	world_start(w, &options);
	assert_true(world_wait_watchdog(w, 3, world_patience()));
	world_signal(w, SIGSTOP);
	(void)world_wait_watchdog(w, SIZE_MAX, USEC_PER_MSEC); /* reads what was sent */
	beats = w->watchdogs;
	assert_false(world_wait_watchdog(w, beats + 1, SEVERAL_SETTLES));
	world_signal(w, SIGCONT);
	assert_true(world_wait_watchdog(w, beats + 2, world_patience()));
	world_drop(w, "works.txt", "again");
	world_wait_uploaded(w, "works.txt");
	world_stop(w);
}

/* mc#2971, where it can't go on: it must say so and end, for somebody to start it. */
static void without_its_state_directory_it_says_so_and_ends(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	world_drop(w, "one.txt", "with a ledger");
	world_wait_uploaded(w, "one.txt");
	lose_state(w);
	world_drop(w, "two.txt", "without");
	assert_int_equal(world_wait_exit(w), 1);
	assert_int_equal(world_count_log(w, "was deleted or replaced"), 1);
	world_launch(w);
	world_wait_uploaded(w, "two.txt");
	world_assert_uploaded(w, "two.txt");
	assert_int_equal(service_assets_named(w->service, "one.txt"), 1);
	world_stop(w);
}

/* ---- full disks ---- */

/* WALinuxAgent#808: a disk without room stopped it, and room did not set it going. */
static void receipts_that_found_no_room_are_written_once_there_is(void **state)
{
	static const struct world_options options = {
		.upload = "MaxConcurrent=1\n",
		.retry = "InitialDelay=10ms\nMaxDelay=50ms\n",
		.no_agent = true,
	};
	struct world *w = *state;
	_cleanup_free_ char *filler = NULL;

	world_own_mounts(); /* while there is but one thread */
	world_start(w, &options);
	world_mount(w->spool);
	filler = world_path(w, ".filler");
	for (int i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.txt", i);
		world_write(w, name, name);
	}
	world_fill_disk(filler);
	world_launch(w);
	world_wait_log(w, "The disk of the spool first can't be written");
	world_kill9(w); /* and a crash while it is full */
	world_mark_log(w);
	world_launch(w);
	world_wait_log(w, "The disk of the spool first can't be written");
	assert_int_equal(unlink(filler), 0);
	world_assert_many_uploaded(w, FILES);
	world_wait_log(w, "The disk of the spool first can be written again");
	assert_int_equal(
		world_count_log(w, "The disk of the spool first can't be written"), 1);
	/* The crash may have cut off the one request that was under way. */
	assert_in_range(service_asset_count(w->service), FILES, FILES + 1);
	world_stop(w);
	world_unmount(w->spool);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(of_many_files_being_written_none_is_taken_half),
		scenario(a_file_that_is_mapped_for_writing_is_not_taken),
		scenario(a_file_that_was_open_for_long_is_taken_at_its_close),
		scenario(
			a_file_closed_again_and_again_has_one_receipt_for_the_last_content),
		scenario(a_file_opened_again_while_it_is_sent_is_not_deleted),
		scenario(a_file_that_gets_its_name_by_link_is_uploaded),
		scenario(overflows_lose_no_file_and_send_none_twice),
		scenario(files_in_directories_made_at_once_all_arrive),
		scenario(the_end_of_watches_is_told_as_that_and_files_arrive),
		scenario(without_its_state_nothing_that_has_a_receipt_is_sent_again),
		scenario(a_ledger_torn_by_a_power_cut_keeps_nothing_from_its_receipt),
		scenario(no_trouble_ends_it),
		scenario(the_watchdog_is_fed_only_while_it_works),
		scenario(without_its_state_directory_it_says_so_and_ends),
		scenario(receipts_that_found_no_room_are_written_once_there_is),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
