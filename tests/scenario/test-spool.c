/* How files come into a spool, and when each of them is taken. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

/* Longer than any Settle= here, and shorter than patience: what is wrongly taken early
 * would be taken within it. */
#define SEVERAL_SETTLES (800 * USEC_PER_MSEC)

static int open_in_spool(const struct world *w, const char *name, int flags)
{
	_cleanup_free_ char *path = world_path(w, name);
	int fd = open(path, flags | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	return fd;
}

static void write_text(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* That the service is asked for nothing for several settles: a wait for what must not
 * come. */
static void assert_nothing_asked(struct world *w, size_t so_far)
{
	assert_false(service_wait_count(w->service, ENDPOINT_CREATE, so_far + 1,
					SEVERAL_SETTLES));
}

static void run_program(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_file_written_slowly_is_uploaded_once_and_whole(void **state)
{
	struct world *w = *state;
	int fd;

	world_start(w, NULL);
	fd = open_in_spool(w, "slow.txt", O_WRONLY | O_CREAT);
	write_text(fd, "first half, ");
	assert_nothing_asked(w, 0);
	write_text(fd, "second half");
	assert_nothing_asked(w, 0);
	close_fd(fd);
	world_wait_uploaded(w, "slow.txt");
	world_assert_uploaded(w, "slow.txt");
	assert_int_equal(service_assets_named(w->service, "slow.txt"), 1);
	world_stop(w);
}

/* paperless-ngx#494: a scanner that closes twice; one receipt, for the last content. */
static void a_file_closed_twice_has_one_receipt_for_the_last_content(void **state)
{
	struct world *w = *state;
	int fd;

	world_start(w, NULL);
	world_write(w, "scan.pdf", "page one");
	world_wait_uploaded(w, "scan.pdf");
	fd = open_in_spool(w, "scan.pdf", O_WRONLY | O_APPEND);
	write_text(fd, ", page two");
	close_fd(fd);
	world_wait_uploaded(w, "scan.pdf");
	world_assert_uploaded(w, "scan.pdf");
	assert_int_equal(service_assets_named(w->service, "scan.pdf"), 2);
	world_stop(w);
}

static void a_file_opened_again_within_settle_is_asked_for_once(void **state)
{
	static const struct world_options options = { .spool = "Settle=400ms\n" };
	struct world *w = *state;
	int fd;

	world_start(w, &options);
	world_write(w, "log.txt", "a");
	for (int i = 0; i < 3; i++) {
		fd = open_in_spool(w, "log.txt", O_WRONLY | O_APPEND);
		write_text(fd, "b");
		close_fd(fd);
	}
	world_wait_uploaded(w, "log.txt");
	world_assert_uploaded(w, "log.txt");
	assert_int_equal(service_assets_named(w->service, "log.txt"), 1);
	world_stop(w);
}

static void a_file_published_by_rename_is_uploaded(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_write(w, "photo.jpg.part", "not yet its name");
	assert_nothing_asked(w, 0);
	{
		_cleanup_free_ char *from = world_path(w, "photo.jpg.part");
		_cleanup_free_ char *to = world_path(w, "photo.jpg");

		assert_int_equal(rename(from, to), 0);
	}
	world_wait_uploaded(w, "photo.jpg");
	world_assert_uploaded(w, "photo.jpg");
	world_stop(w);
}

/* onedrive#3840: link() gives a CREATE event and no other. */
static void a_file_published_by_hard_link_is_uploaded(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	{
		_cleanup_free_ char *from = NULL, *to = world_path(w, "linked.txt");
		int fd;

		assert_true(asprintf(&from, "%s/outside.txt", w->root) > 0);
		fd = open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		write_text(fd, "two names, one file");
		close_fd(fd);
		assert_int_equal(link(from, to), 0);
	}
	world_wait_uploaded(w, "linked.txt");
	world_assert_uploaded(w, "linked.txt");
	world_stop(w);
}

static void an_unnamed_file_is_uploaded_once_it_has_a_name_and_no_writer(void **state)
{
	struct world *w = *state;
	char self[64];
	int fd;

	world_start(w, NULL);
	fd = open_in_spool(w, ".", O_TMPFILE | O_WRONLY);
	write_text(fd, "born without a name, ");
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	{
		_cleanup_free_ char *to = world_path(w, "unnamed.txt");

		assert_int_equal(linkat(AT_FDCWD, self, AT_FDCWD, to, AT_SYMLINK_FOLLOW),
				 0);
	}
	assert_nothing_asked(w, 0);
	write_text(fd, "and still being written");
	close_fd(fd);
	world_wait_uploaded(w, "unnamed.txt");
	world_assert_uploaded(w, "unnamed.txt");
	world_stop(w);
}

static void files_put_there_by_rsync_are_uploaded(void **state)
{
	static const struct world_options options = { .recursive = true };
	static const char *const names[] = { "a.txt", "sub/b.pdf", "sub/deep er/c.png" };
	struct world *w = *state;
	_cleanup_free_ char *from = NULL, *to = NULL;

	world_start(w, &options);
	assert_true(asprintf(&from, "%s/source/", w->root) > 0);
	assert_true(asprintf(&to, "%s/", w->spool) > 0);
	world_mkdir(w, from);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = NULL, *directory = NULL;

		assert_true(asprintf(&path, "%s%s", from, names[i]) > 0);
		directory = strndup(path, (size_t)(strrchr(path, '/') - path));
		run_program((const char *const[]){ "mkdir", "-p", directory, NULL });
		world_write(w, path, names[i]);
	}
	run_program((const char *const[]){ "rsync", "-a", from, to, NULL });
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *base = strrchr(names[i], '/');

		world_wait_uploaded(w, names[i]);
		world_assert_uploaded_as(w, names[i], base ? base + 1 : names[i]);
	}
	assert_int_equal(service_asset_count(w->service), ARRAY_SIZE(names));
	world_stop(w);
}

enum { DIRECTORIES = 20, SUBDIRECTORIES = 25, FILES = 20 };

/* fswatch#330: files lost in directories that are new themselves. */
static void ten_thousand_files_in_new_nested_directories_all_arrive(void **state)
{
	static const struct world_options options = {
		.recursive = true,
		.service = { .counts_only = true },
	};
	const size_t all = (size_t)DIRECTORIES * SUBDIRECTORIES * FILES;
	struct world *w = *state;

	world_start(w, &options);
	for (int i = 0; i < DIRECTORIES * SUBDIRECTORIES; i++) {
		char directory[64], name[96];

		snprintf(directory, sizeof(directory), "d%d", i / SUBDIRECTORIES);
		if (i % SUBDIRECTORIES == 0)
			world_mkdir(w, directory);
		snprintf(directory, sizeof(directory), "d%d/e%d", i / SUBDIRECTORIES,
			 i % SUBDIRECTORIES);
		world_mkdir(w, directory);
		for (int j = 0; j < FILES; j++) {
			snprintf(name, sizeof(name), "%s/f%d-%d.txt", directory, i, j);
			world_write(w, name, name);
		}
	}
	assert_true(service_wait_received(w->service, all, 6 * world_patience()));
	for (int i = 0; i < DIRECTORIES * SUBDIRECTORIES; i++) {
		char name[96];

		snprintf(name, sizeof(name), "d%d/e%d/f%d-%d.txt", i / SUBDIRECTORIES,
			 i % SUBDIRECTORIES, i, i % FILES);
		world_wait_uploaded(w, name);
		world_assert_uploaded_as(w, name, strrchr(name, '/') + 1);
	}
	assert_int_equal(service_received(w->service), all);
	assert_int_equal(service_asset_count(w->service), all);
	world_stop(w);
}

static void a_directory_moved_into_the_spool_brings_its_files(void **state)
{
	static const struct world_options options = { .recursive = true };
	struct world *w = *state;
	_cleanup_free_ char *outside = NULL, *inside = NULL, *file = NULL;

	world_start(w, &options);
	assert_true(asprintf(&outside, "%s/batch", w->root) > 0);
	assert_true(asprintf(&file, "%s/in.txt", outside) > 0);
	world_mkdir(w, outside);
	world_write(w, file, "moved along");
	inside = world_path(w, "batch");
	assert_int_equal(rename(outside, inside), 0);
	world_wait_uploaded(w, "batch/in.txt");
	world_assert_uploaded_as(w, "batch/in.txt", "in.txt");
	world_stop(w);
}

static void a_directory_renamed_within_the_spool_is_still_watched(void **state)
{
	static const struct world_options options = { .recursive = true };
	struct world *w = *state;
	_cleanup_free_ char *old = world_path(w, "old"), *new = NULL;

	world_start(w, &options);
	free(old);
	old = world_path(w, "old");
	new = world_path(w, "new");
	world_mkdir(w, "old");
	world_write(w, "old/before.txt", "before");
	world_wait_uploaded(w, "old/before.txt");
	assert_int_equal(rename(old, new), 0);
	world_write(w, "new/after.txt", "after");
	world_wait_uploaded(w, "new/after.txt");
	world_assert_uploaded_as(w, "new/before.txt", "before.txt");
	assert_int_equal(service_asset_count(w->service), 2);
	world_stop(w);
}

static void a_spool_that_is_not_recursive_leaves_directories_alone(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_mkdir(w, "sub");
	world_write(w, "sub/in.txt", "in");
	world_wait_log(w, "Recursive=no");
	world_drop(w, "top.txt", "top");
	world_wait_uploaded(w, "top.txt");
	assert_int_equal(service_asset_count(w->service), 1);
	assert_int_equal(world_count_log(w, "Recursive=no"), 1);
	world_stop(w);
}

static void ignored_names_are_not_uploaded(void **state)
{
	static const char *const ignored[] = {
		".hidden",
		"draft~",
		"x.tmp",
		"y.part",
		"z.partial",
		"w.crdownload",
		".f.swp",
		"other.asset.json",
		"other.asset-error.json",
		".asset-agent.0123456789abcdef.tmp",
	};
	struct world *w = *state;

	world_start(w, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		world_write(w, ignored[i], "ignored");
	world_drop(w, "taken.txt", "taken");
	world_wait_uploaded(w, "taken.txt");
	assert_nothing_asked(w, 1);
	assert_int_equal(service_asset_count(w->service), 1);
	world_stop(w);
}

static void ignore_can_be_set(void **state)
{
	static const struct world_options options = { .spool = "Ignore=*.log core.?\n" };
	struct world *w = *state;

	world_start(w, &options);
	world_write(w, "noise.log", "ignored");
	world_write(w, "core.1", "ignored");
	world_write(w, "now.tmp", "no longer ignored");
	world_wait_uploaded(w, "now.tmp");
	assert_nothing_asked(w, 1);
	world_stop(w);
}

static void several_spools_send_each_its_own_channel(void **state)
{
	static const struct world_options options = { .spools = { "second" } };
	struct service_asset asset;
	struct world *w = *state;
	_cleanup_free_ char *name = NULL;

	world_start(w, &options);
	assert_true(asprintf(&name, "%s/other.txt", w->spools[0]) > 0);
	world_drop(w, "one.txt", "one");
	world_drop(w, name, "two");
	world_wait_uploaded(w, "one.txt");
	world_wait_uploaded(w, name);
	assert_true(service_asset_by_name(w->service, "other.txt", &asset));
	assert_true(asset.complete);
	world_stop(w);
}

static void polling_finds_new_changed_and_nested_files(void **state)
{
	static const struct world_options options = {
		.recursive = true,
		.spool = "Watch=poll\nPollInterval=200ms\nSettle=50ms\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	world_write(w, "polled.txt", "found");
	world_wait_uploaded(w, "polled.txt");
	world_write(w, "polled.txt", "changed and longer");
	world_wait_uploaded(w, "polled.txt");
	world_assert_uploaded(w, "polled.txt");
	world_mkdir(w, "new");
	world_write(w, "new/nested.txt", "nested");
	world_wait_uploaded(w, "new/nested.txt");
	world_stop(w);
}

static void polling_does_not_take_a_file_that_is_open_for_writing(void **state)
{
	static const struct world_options options = {
		.spool = "Watch=poll\nPollInterval=100ms\nSettle=50ms\n",
	};
	struct world *w = *state;
	int fd;

	world_start(w, &options);
	fd = open_in_spool(w, "slow.txt", O_WRONLY | O_CREAT);
	write_text(fd, "half");
	assert_nothing_asked(w, 0);
	write_text(fd, " and half");
	close_fd(fd);
	world_wait_uploaded(w, "slow.txt");
	world_assert_uploaded(w, "slow.txt");
	assert_int_equal(service_assets_named(w->service, "slow.txt"), 1);
	world_stop(w);
}

static void a_spool_made_after_the_start_is_found(void **state)
{
	static const struct world_options options = {
		.spool = "PollInterval=200ms\n",
		.no_agent = true,
	};
	struct world *w = *state;

	world_start(w, &options);
	assert_int_equal(rmdir(w->spool), 0);
	world_launch(w);
	world_wait_ready(w);
	world_wait_log(w, "can't be opened");
	assert_int_equal(mkdir(w->spool, 0755), 0);
	world_wait_log(w, "is back");
	world_drop(w, "late.txt", "late");
	world_wait_uploaded(w, "late.txt");
	world_stop(w);
}

static void a_file_that_changes_while_it_is_sent_is_sent_again_whole(void **state)
{
	static const struct fault stall = {
		.endpoint = ENDPOINT_UPLOAD,
		.times = 1,
		.action = FAULT_STALL,
	};
	static const struct world_options options = { .retry = "InitialDelay=10ms\n" };
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &stall);
	world_drop(w, "moving.txt", "the old content");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_write(w, "moving.txt", "the new content, which is longer");
	service_release(w->service);
	world_wait_uploaded(w, "moving.txt");
	world_assert_uploaded(w, "moving.txt");
	world_stop(w);
}

/* 100,000 files waiting: the directory is the queue, not the agent's memory. */
static void memory_does_not_grow_with_the_backlog(void **state)
{
	static const struct fault away = { .endpoint = ENDPOINT_CREATE,
					   .status = 503,
					   .action = FAULT_ANSWER };
	static const struct world_options options = {
		.no_agent = true,
		.report = "LogLevel=info\n",
		.service = { .counts_only = true, .discard = true },
	};
	enum { BACKLOG = 100000 };
	struct world *w = *state;
	uint64_t peak;

	world_start(w, &options);
	for (int i = 0; i < BACKLOG; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.txt", i);
		close_fd(open_in_spool(w, name, O_WRONLY | O_CREAT));
	}
	service_fault(w->service, &away);
	world_launch(w);
	world_wait_ready(w);
	assert_true(service_wait_count(w->service, ENDPOINT_CREATE, 3, world_patience()));
	service_clear_faults(w->service);
	assert_true(service_wait_received(w->service, 5000, 3 * world_patience()));
	peak = world_rss_peak(w);
	print_message("# %d files waiting: peak RSS %.1f MiB\n", BACKLOG,
		      (double)peak / (1024 * 1024));
	if (!getenv("ASAN_OPTIONS"))
		assert_true(peak < 24UL * 1024 * 1024);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(a_file_written_slowly_is_uploaded_once_and_whole),
		scenario(a_file_closed_twice_has_one_receipt_for_the_last_content),
		scenario(a_file_opened_again_within_settle_is_asked_for_once),
		scenario(a_file_published_by_rename_is_uploaded),
		scenario(a_file_published_by_hard_link_is_uploaded),
		scenario(an_unnamed_file_is_uploaded_once_it_has_a_name_and_no_writer),
		scenario(files_put_there_by_rsync_are_uploaded),
		scenario(ten_thousand_files_in_new_nested_directories_all_arrive),
		scenario(a_directory_moved_into_the_spool_brings_its_files),
		scenario(a_directory_renamed_within_the_spool_is_still_watched),
		scenario(a_spool_that_is_not_recursive_leaves_directories_alone),
		scenario(ignored_names_are_not_uploaded),
		scenario(ignore_can_be_set),
		scenario(several_spools_send_each_its_own_channel),
		scenario(polling_finds_new_changed_and_nested_files),
		scenario(polling_does_not_take_a_file_that_is_open_for_writing),
		scenario(a_spool_made_after_the_start_is_found),
		scenario(a_file_that_changes_while_it_is_sent_is_sent_again_whole),
		scenario(memory_does_not_grow_with_the_backlog),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
