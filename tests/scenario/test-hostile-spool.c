/*
 * A spool in which somebody put what should not be there, or what looks like something
 * else: none of it is uploaded that should not be, nothing ends the agent or holds it up,
 * and the good files among it all arrive.
 */

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "disposal.h"
#include "fs.h"
#include "macro.h"
#include "sidecar.h"
#include "text.h"
#include "world.h"

#define SECRET	"this must never reach the service"
#define MEMORY	(24UL << 20) /* the most that the agent may hold */
#define A_WHILE (500 * USEC_PER_MSEC)

static void put_link(struct world *w, const char *target, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);

	assert_int_equal(symlink(target, path), 0);
}

static void put_sparse(struct world *w, const char *name, off_t size)
{
	_cleanup_free_ char *path = world_path(w, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
}

static void set_times(struct world *w, const char *name, struct timespec modified)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, modified };
	_cleanup_free_ char *path = world_path(w, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(futimens(fd, times), 0);
}

/* No name may play tricks on who reads the log: it is text, in lines. */
static void assert_log_is_plain(struct world *w)
{
	_cleanup_free_ char *log = world_read(w, w->log);
	_cleanup_free_ char *clean = text_to_utf8(log, strlen(log));

	assert_string_equal(log, clean);
	for (const char *p = log; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\n') || *p == '\x7F')
			fail_msg("the log has a raw byte %d", *p);
}

/* The file @path, whose bytes are a secret, is no asset. */
static void assert_not_sent(struct world *w, const char *path)
{
	struct service_asset asset;

	for (size_t i = 0; service_asset_at(w->service, i, &asset); i++)
		if (service_same_content(w->service, asset.id, path) == 1)
			fail_msg("%s was uploaded as %s", path, asset.name);
}

/* ---- what is no file ---- */

static void nothing_that_is_no_file_is_followed_opened_or_waited_for(void **state)
{
	static const struct world_options options = { .recursive = true };
	static const char *const names[] = { "to-file",	 "to-directory", "to-ledger",
					     "dangling", "loop",	 "pipe",
					     "device" };
	struct world *w = *state;
	_cleanup_free_ char *secret = NULL, *ledger = NULL, *pipe = NULL, *device = NULL;
	_cleanup_free_ char *outside = NULL, *within = NULL;

	world_start(w, &options);
	secret = world_beside(w, "secret.txt");
	ledger = world_beside(w, "state/ledger.db");
	outside = world_beside(w, "elsewhere");
	within = world_beside(w, "elsewhere/within.txt");
	pipe = world_path(w, "pipe");
	device = world_path(w, "device");
	world_mkdir(w, outside);
	world_write(w, within, SECRET);
	put_link(w, secret, "to-file");
	put_link(w, outside, "to-directory");
	put_link(w, ledger, "to-ledger");
	put_link(w, "nowhere", "dangling");
	put_link(w, "loop", "loop");
	assert_int_equal(mkfifo(pipe, 0640), 0);
	/* Where devices can't be made, there is one to link to. */
	if (mknod(device, S_IFCHR | 0600, makedev(1, 5)) < 0)
		put_link(w, "/dev/zero", "device");
	world_upload(w, "good.txt");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *warning = NULL;

		assert_true(asprintf(&warning, "%s: it is ", names[i]) > 0);
		world_wait_log(w, warning);
		assert_int_equal(world_count_log(w, warning), 1);
	}
	/* And then there is nothing to do. */
	world_wait_log(w, "good.txt: moving -> gone");
	world_mark_log(w);
	assert_false(service_wait_count(w->service, ENDPOINT_CREATE, 2, A_WHILE));
	assert_int_equal(world_count_log(w, "\n"), 0);
	world_stop(w);
}

/* ---- swapped in between ---- */

enum { SWAPS_MAX = 200000, UPLOADS_WANTED = 500 };

struct swapper {
	char *one, *other;
	atomic_bool stop;
	unsigned swaps;
};

/* As fast as it can. What was `one` at first is so in the end. */
static void *swap(void *userdata)
{
	struct swapper *s = userdata;

	for (; !s->stop && s->swaps < SWAPS_MAX; s->swaps += 2)
		for (int i = 0; i < 2; i++)
			if (renameat2(AT_FDCWD, s->one, AT_FDCWD, s->other,
				      RENAME_EXCHANGE) < 0)
				return s;
	return NULL;
}

/* Makes @name due over and over while it changes places with @link. */
static void upload_while_swapping(struct world *w, const char *name, const char *link,
				  const char *file)
{
	struct swapper s = { .one = world_path(w, name), .other = world_path(w, link) };
	usec_t deadline = usec_add(clock_monotonic(), 2 * USEC_PER_SEC);
	void *failed = NULL;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, swap, &s), 0);
	while (service_received(w->service) < UPLOADS_WANTED &&
	       clock_monotonic() < deadline) {
		_cleanup_free_ char *sidecar = NULL;

		assert_true(asprintf(&sidecar, "%s/%s.asset.json", w->spool, file) > 0);
		(void)unlink(sidecar);
		(void)service_wait_received(w->service, service_received(w->service) + 1,
					    20 * USEC_PER_MSEC);
	}
	s.stop = true;
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	assert_true(s.swaps > 100);
	free(s.one);
	free(s.other);
}

static void a_link_that_changes_places_with_a_file_is_never_followed(void **state)
{
	static const struct world_options options = { .spool = "Settle=1ms\n" };
	struct world *w = *state;
	_cleanup_free_ char *secret = NULL;

	world_start(w, &options);
	secret = world_beside(w, "outside-of-it.txt");
	world_write(w, secret, SECRET);
	put_link(w, secret, "link.tmp");
	world_upload(w, "good.txt");
	upload_while_swapping(w, "good.txt", "link.tmp", "good.txt");
	world_wait_uploaded(w, "good.txt");
	world_assert_uploaded(w, "good.txt");
	assert_not_sent(w, secret);
	assert_int_equal(world_count_log(w, "Gave up"), 0);
	world_stop(w);
}

static void a_link_that_changes_places_with_a_directory_is_never_entered(void **state)
{
	static const struct world_options options = { .spool = "Settle=1ms\n",
						      .recursive = true };
	struct world *w = *state;
	_cleanup_free_ char *outside = NULL, *secret = NULL, *stray = NULL;

	world_start(w, &options);
	outside = world_beside(w, "elsewhere");
	secret = world_beside(w, "elsewhere/good.txt");
	stray = world_beside(w, "elsewhere/good.txt.asset.json");
	world_mkdir(w, outside);
	world_write(w, secret, SECRET);
	put_link(w, outside, "link.tmp");
	world_mkdir(w, "sub");
	world_upload(w, "sub/good.txt");
	upload_while_swapping(w, "sub", "link.tmp", "sub/good.txt");
	world_wait_uploaded(w, "sub/good.txt");
	world_assert_uploaded(w, "sub/good.txt");
	assert_not_sent(w, secret);
	assert_false(world_exists(w, stray));
	assert_int_equal(world_count_log(w, "Gave up"), 0);
	world_stop(w);
}

/* ---- hard links, locks and leases ---- */

static void each_name_of_a_file_is_uploaded_and_only_that_name_deleted(void **state)
{
	static const struct world_options options = { .spool = "AfterUpload=delete\n" };
	struct world *w = *state;
	_cleanup_free_ char *outside = NULL, *one = NULL, *two = NULL, *text = NULL;

	world_start(w, &options);
	outside = world_beside(w, "outside-of-it.txt");
	one = world_path(w, "one.txt");
	two = world_path(w, "two.txt");
	world_write(w, outside, "three names");
	assert_int_equal(link(outside, one), 0);
	assert_int_equal(link(outside, two), 0);
	world_wait_gone(w, "one.txt");
	world_wait_gone(w, "two.txt");
	world_wait_sidecar(w, "one.txt");
	world_wait_sidecar(w, "two.txt");
	assert_int_equal(service_received(w->service), 2);
	text = world_read(w, outside);
	assert_string_equal(text, "three names");
	world_stop(w);
}

static void locks_hold_up_nothing_and_a_write_lease_only_its_own_file(void **state)
{
	static const struct {
		const char *name;
		int flags, lock, lease;
	} table[] = {
		{ "locked.txt", O_RDONLY, LOCK_EX, 0 },
		{ "read-lease.txt", O_RDONLY, 0, F_RDLCK },
		{ "write-lease.txt", O_RDWR, 0, F_WRLCK },
	};
	struct world *w = *state;
	int fds[ARRAY_SIZE(table)];

	(void)signal(SIGIO, SIG_IGN); /* what a broken lease is told by */
	world_start(w, &(struct world_options){ .no_agent = true });
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *path = world_path(w, table[i].name);

		world_drop(w, table[i].name, table[i].name);
		fds[i] = open(path, table[i].flags | O_CLOEXEC);
		assert_true(fds[i] >= 0);
		if (table[i].lock)
			assert_int_equal(flock(fds[i], table[i].lock), 0);
		else
			assert_int_equal(fcntl(fds[i], F_SETLEASE, table[i].lease), 0);
	}
	world_launch(w);
	world_wait_uploaded(w, "locked.txt");
	world_wait_uploaded(w, "read-lease.txt");
	world_upload(w, "good.txt");
	assert_int_equal(service_assets_named(w->service, "write-lease.txt"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		close_fd(fds[i]);
	world_wait_uploaded(w, "write-lease.txt");
	world_assert_uploaded(w, "write-lease.txt");
	world_stop(w);
}

/* ---- names ---- */

static void every_byte_that_a_name_can_have_is_uploaded(void **state)
{
	struct world *w = *state;
	char name[8], longest[NAME_MAX + 1] = "all-but-the-slash-";
	size_t length = strlen(longest), files = 0;

	world_start(w, NULL);
	for (int byte = 1; byte < 256; byte++) {
		if (byte == '/')
			continue;
		(void)snprintf(name, sizeof(name), "a%cz", byte);
		world_drop(w, name, name);
		files++;
		if (byte < 128 && length < SIDECAR_BASE_MAX)
			longest[length++] = (char)byte;
	}
	world_drop(w, longest, "each byte below 128");
	world_wait_uploaded(w, longest);
	world_assert_uploaded(w, longest);
	for (int byte = 1; byte < 256; byte++) {
		_cleanup_free_ char *known = NULL;

		if (byte == '/')
			continue;
		(void)snprintf(name, sizeof(name), "a%cz", byte);
		known = text_to_utf8(name, strlen(name));
		world_wait_uploaded(w, name);
		world_assert_uploaded_as(w, name, known);
	}
	assert_int_equal(service_asset_count(w->service), files + 1);
	assert_log_is_plain(w);
	world_stop(w);
}

static void a_name_with_all_bytes_is_too_long_and_told_of_in_plain_text(void **state)
{
	struct world *w = *state;
	char name[NAME_MAX + 1] = "";
	size_t length = 0;

	world_start(w, NULL);
	for (int byte = 255; byte > 0; byte--)
		if (byte != '/')
			name[length++] = (char)byte;
	assert_int_equal(length, NAME_MAX - 1);
	world_drop(w, name, "no room for its sidecar");
	world_wait_log(w, "whose name is too long");
	world_upload(w, "good.txt");
	assert_int_equal(world_count_log(w, "whose name is too long"), 1);
	assert_int_equal(service_asset_count(w->service), 1);
	assert_log_is_plain(w);
	world_stop(w);
}

static void names_that_mean_something_to_others_mean_nothing_here(void **state)
{
	static const char *const names[] = {
		"--help", "-",	      "%s%n%d.txt",    "$(reboot)",	 "*",
		"..x",	  "a\\b.txt", "CON",	       "\x1B]0;title\a", "\x1B[2J.txt",
		"~",	  "con.pdf:", "\u202Efdp.txt", "a\r\nX: y",
	};
	/* Names of sidecars belong to nobody but us. */
	static const char *const not_files[] = { "x.asset.json",
						 "x.asset.json.asset.json",
						 "x.asset-error.json",
						 "x.asset.json.asset-error.json" };
	/* Nor does the bare ending hide a file, but that it begins with a dot. */
	static const struct world_options options = { .spool = "Ignore=nothing\n" };
	struct world *w = *state;

	world_start(w, &options);
	for (size_t i = 0; i < ARRAY_SIZE(not_files); i++)
		world_drop(w, not_files[i], "{}");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		world_drop(w, names[i], names[i]);
	world_upload(w, ".asset.json");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		world_wait_uploaded(w, names[i]);
		world_assert_uploaded(w, names[i]);
	}
	assert_int_equal(service_asset_count(w->service), ARRAY_SIZE(names) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(not_files); i++)
		assert_true(world_exists(w, not_files[i]));
	assert_log_is_plain(w);
	world_stop(w);
}

/* ---- sidecars that were there before ---- */

static void sparse_sidecar(struct world *w, const char *name)
{
	put_sparse(w, name, (off_t)1 << 30);
}

static void empty_sidecar(struct world *w, const char *name)
{
	world_write(w, name, "");
}

static void garbage_sidecar(struct world *w, const char *name)
{
	world_write(w, name,
		    "\x7F"
		    "ELF{\"id\":");
}

static void anothers_sidecar(struct world *w, const char *name)
{
	world_write(w, name,
		    "{\"id\":\"x\",\"name\":\"x\",\"size\":1,\"contentType\":\"a/b\","
		    "\"modified\":\"2001-01-01T00:00:00Z\","
		    "\"uploaded\":\"2001-01-01T00:00:00Z\"}\n");
}

static void pipe_for_a_sidecar(struct world *w, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);

	assert_int_equal(mkfifo(path, 0640), 0);
}

static void link_for_a_sidecar(struct world *w, const char *name)
{
	_cleanup_free_ char *target = world_beside(w, "not-to-be-written");

	put_link(w, target, name);
}

static const struct {
	const char *name;
	void (*make)(struct world *w, const char *name);
} forgeries[] = {
	{ "empty.txt", empty_sidecar },	    { "sparse.txt", sparse_sidecar },
	{ "garbage.txt", garbage_sidecar }, { "other.txt", anothers_sidecar },
	{ "pipe.txt", pipe_for_a_sidecar }, { "link.txt", link_for_a_sidecar },
};

static void a_forged_sidecar_is_no_receipt_and_is_never_written_through(void **state)
{
	static const char *const endings[] = { SIDECAR_DONE_SUFFIX,
					       SIDECAR_ERROR_SUFFIX };
	struct world *w = *state;
	_cleanup_free_ char *target = NULL, *text = NULL;

	world_start(w, &(struct world_options){ .no_agent = true });
	target = world_beside(w, "not-to-be-written");
	world_write(w, target, "as it was");
	for (size_t i = 0; i < ARRAY_SIZE(forgeries); i++) {
		world_drop(w, forgeries[i].name, forgeries[i].name);
		for (size_t j = 0; j < ARRAY_SIZE(endings); j++) {
			char sidecar[NAME_MAX + 1];

			(void)snprintf(sidecar, sizeof(sidecar), "%s%s",
				       forgeries[i].name, endings[j]);
			forgeries[i].make(w, sidecar);
		}
	}
	world_launch(w);
	for (size_t i = 0; i < ARRAY_SIZE(forgeries); i++) {
		char error[NAME_MAX + 1];

		(void)snprintf(error, sizeof(error), "%s" SIDECAR_ERROR_SUFFIX,
			       forgeries[i].name);
		world_wait_uploaded(w, forgeries[i].name);
		world_wait_gone(w, error);
		world_assert_uploaded(w, forgeries[i].name);
	}
	text = world_read(w, target);
	assert_string_equal(text, "as it was");
	if (!getenv("ASAN_OPTIONS"))
		assert_true(world_rss_peak(w) < MEMORY);
	world_stop(w);
}

static void directories_with_the_names_of_sidecars_hold_up_no_other_file(void **state)
{
	enum { BLOCKED = 200 };
	struct world *w = *state;
	char name[64];

	world_start(w, &(struct world_options){ .no_agent = true });
	for (int i = 0; i < BLOCKED; i++) {
		(void)snprintf(name, sizeof(name), "f%d.txt", i);
		world_drop(w, name, name);
		(void)snprintf(name, sizeof(name), "f%d.txt.asset.json", i);
		world_mkdir(w, name);
	}
	world_drop(w, "refused.txt", "refused");
	world_mkdir(w, "refused.txt.asset-error.json");
	world_launch(w);
	/* Where only the error has no place, a file that is taken has none. */
	world_wait_uploaded(w, "refused.txt");
	world_upload(w, "good.txt");
	assert_false(service_wait_count(w->service, ENDPOINT_CREATE, 3, A_WHILE));
	assert_int_equal(world_count_log(w, "whose sidecar has no place"), BLOCKED);
	{
		_cleanup_free_ char *path = world_path(w, "f7.txt.asset.json");

		assert_int_equal(rmdir(path), 0);
	}
	world_wait_uploaded(w, "f7.txt");
	world_assert_uploaded(w, "f7.txt");
	assert_int_equal(service_asset_count(w->service), 3);
	world_stop(w);
}

/* Where a file stands for a moment while it is deleted, somebody else put something. */
static void names_of_our_temporary_files_can_be_taken(void **state)
{
	static const struct world_options options = { .spool = "AfterUpload=delete\n",
						      .no_agent = true };
	static const char *const names[] = { "by-file.txt", "by-link.txt",
					     "by-directory.txt" };
	struct world *w = *state;
	struct stat st;

	world_start(w, &options);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = world_path(w, names[i]);
		char hidden[NAME_MAX + 1];

		world_drop(w, names[i], names[i]);
		assert_int_equal(stat(path, &st), 0);
		disposal_hidden_name(hidden, names[i], st.st_ino);
		if (i == 0)
			world_write(w, hidden, "somebody's own");
		else if (i == 1)
			put_link(w, "/etc/passwd", hidden);
		else
			world_mkdir(w, hidden);
	}
	world_launch(w);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		world_wait_gone(w, names[i]);
		world_wait_sidecar(w, names[i]);
	}
	/* It was in the way, got a name of its own, and was a file like others then. */
	world_wait_sidecar(w, "by-file.1.txt");
	world_stop(w);
}

/* ---- sizes and times ---- */

static void a_sparse_terabyte_is_refused_at_once_where_there_is_a_limit(void **state)
{
	static const struct world_options options = { .spool = "MaxSize=1G\n" };
	struct world *w = *state;

	world_start(w, &options);
	put_sparse(w, "huge.bin", (off_t)1 << 40);
	world_wait_error_sidecar(w, "huge.bin");
	world_upload(w, "good.txt");
	assert_int_equal(service_asset_count(w->service), 1);
	world_stop(w);
}

static void a_sparse_terabyte_takes_no_memory_and_a_stop_ends_it(void **state)
{
	struct world *w = *state;

	world_start(w, &(struct world_options){ .service.discard = true });
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .phase = FAULT_IN_BODY,
						   .times = 1,
						   .bytes = 64 << 20,
						   .action = FAULT_STALL });
	put_sparse(w, "huge.bin", (off_t)1 << 40);
	assert_true(service_wait_held(w->service, 1, world_patience()));
	if (!getenv("ASAN_OPTIONS"))
		assert_true(world_rss_peak(w) < MEMORY);
	world_drop(w, "good.txt", "beside it");
	world_wait_sidecar(w, "good.txt");
	world_signal(w, SIGTERM);
	world_wait_log(w, "Stopping");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	assert_false(world_has_sidecar(w, "huge.bin"));
	assert_false(world_has_error_sidecar(w, "huge.bin"));
	service_release(w->service);
	world_stop(w);
}

static void files_of_any_time_are_uploaded_and_not_twice(void **state)
{
	static const time_t times[] = {
		-1,
		0,
		-2208988800,		 /* 1900 */
		-99999999999,		 /* before the year 0 */
		INT64_C(4102444800),	 /* 2100 */
		INT64_C(9223372037),	 /* 2262, in nanoseconds */
		INT64_C(253402300800),	 /* 10000 */
		INT64_C(18446744073710), /* in microseconds */
		INT64_C(9223372036854775000),
	};
	struct world *w = *state;
	char name[32];

	world_start(w, &(struct world_options){ .no_agent = true });
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		(void)snprintf(name, sizeof(name), "t%zu.txt", i);
		world_drop(w, name, name);
		/* The filesystem keeps what is nearest to that. */
		set_times(w, name, (struct timespec){ times[i], 123456789 });
	}
	world_launch(w);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		(void)snprintf(name, sizeof(name), "t%zu.txt", i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
	world_restart(w);
	world_upload(w, "good.txt");
	assert_int_equal(service_asset_count(w->service), ARRAY_SIZE(times) + 1);
	world_stop(w);
}

/* ---- very many, very deep ---- */

/* Many files are made in memory: a disk would take its time. */
static void mount_memory(const char *path)
{
	assert_int_equal(mount("none", path, "tmpfs", 0, "size=1G,mode=770"), 0);
}

static void a_crowd_in_one_spool_keeps_no_file_of_another_waiting(void **state)
{
	enum { CROWD = 200000 };
	static const struct world_options options = {
		.spools = { "crowd" },
		.report = "LogLevel=warning\n",
		.no_agent = true,
		.service = { .counts_only = true, .discard = true },
	};
	struct world *w = *state;
	_cleanup_close_ int crowd = -1;
	size_t received;

	world_own_mounts(); /* while there is but one thread */
	world_start(w, &options);
	mount_memory(w->spools[0]);
	mount_memory(w->state);
	crowd = open(w->spools[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < CROWD; i++) {
		char name[32];

		/* Each third is to be ignored. */
		(void)snprintf(name, sizeof(name), "f%d%s", i, i % 3 ? ".txt" : ".tmp");
		close_fd(openat(crowd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
	}
	world_launch(w);
	assert_true(service_wait_received(w->service, 500, world_patience()));
	world_drop(w, "good.txt", "among few");
	world_wait_sidecar(w, "good.txt");
	received = service_received(w->service);
	assert_true(received < CROWD / 3);
	if (!getenv("ASAN_OPTIONS"))
		assert_true(world_rss_peak(w) < MEMORY);
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	world_stop(w);
	world_unmount(w->spools[0]);
	world_unmount(w->state);
}

static void ten_thousand_directories_are_looked_through(void **state)
{
	enum { DIRECTORIES = 10000 };
	static const struct world_options options = { .recursive = true,
						      .no_agent = true };
	struct world *w = *state;
	char name[64];

	world_own_mounts();
	world_start(w, &options);
	mount_memory(w->spool);
	for (int i = 0; i < DIRECTORIES; i++) {
		(void)snprintf(name, sizeof(name), "d%d", i);
		world_mkdir(w, name);
	}
	world_write(w, "d9999/early.txt", "early");
	world_launch(w);
	world_wait_ready(w);
	world_wait_uploaded(w, "d9999/early.txt");
	world_upload(w, "d5000/late.txt");
	if (!getenv("ASAN_OPTIONS"))
		assert_true(world_rss_peak(w) < MEMORY);
	world_stop(w);
	world_unmount(w->spool);
}

/* Made from within, since no path leads so far down. */
static void make_deep(const char *top, unsigned levels)
{
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (unsigned i = 0; i < levels; i++) {
		int below;

		assert_int_equal(mkdirat(fd, "deep-down", 0750), 0);
		below = openat(fd, "deep-down", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(below >= 0);
		close_fd(fd);
		fd = below;
	}
	close_fd(openat(fd, "unreachable.txt", O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
	close_fd(fd);
}

static void what_lies_deeper_than_a_path_can_lead_is_told_of_once(void **state)
{
	static const struct world_options options = { .recursive = true,
						      .no_agent = true };
	struct world *w = *state;

	world_own_mounts();
	world_start(w, &options);
	mount_memory(w->spool);
	make_deep(w->spool, 1000); /* of 10 bytes each */
	world_launch(w);
	world_wait_ready(w);
	world_wait_log(w, "File name too long");
	world_upload(w, "deep-down/deep-down/good.txt");
	world_upload(w, "good.txt");
	assert_int_equal(world_count_log(w, "File name too long"), 1);
	assert_int_equal(service_asset_count(w->service), 2);
	world_stop(w);
	world_unmount(w->spool);
}

/* It is there, and held back, before the program begins. */
static bool stop_beforehand(void)
{
	sigset_t term;

	return sigemptyset(&term) == 0 && sigaddset(&term, SIGTERM) == 0 &&
	       sigprocmask(SIG_BLOCK, &term, NULL) == 0 && kill(getpid(), SIGTERM) == 0;
}

static void a_stop_does_not_wait_until_all_is_looked_through(void **state)
{
	const struct world_options options = { .prepare = stop_beforehand,
					       .no_agent = true };
	struct world *w = *state;

	world_start(w, &options);
	put_link(w, "nowhere", "link");
	assert_int_equal(world_run(w, "run", NULL), 0);
	assert_int_equal(world_count_log(w, "Stopping on"), 1);
	assert_int_equal(world_count_log(w, "a symbolic link"), 0);
	w->prepare = NULL;
	world_launch(w);
	world_wait_log(w, "a symbolic link");
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(nothing_that_is_no_file_is_followed_opened_or_waited_for),
		scenario(a_link_that_changes_places_with_a_file_is_never_followed),
		scenario(a_link_that_changes_places_with_a_directory_is_never_entered),
		scenario(each_name_of_a_file_is_uploaded_and_only_that_name_deleted),
		scenario(locks_hold_up_nothing_and_a_write_lease_only_its_own_file),
		scenario(every_byte_that_a_name_can_have_is_uploaded),
		scenario(a_name_with_all_bytes_is_too_long_and_told_of_in_plain_text),
		scenario(names_that_mean_something_to_others_mean_nothing_here),
		scenario(a_forged_sidecar_is_no_receipt_and_is_never_written_through),
		scenario(directories_with_the_names_of_sidecars_hold_up_no_other_file),
		scenario(names_of_our_temporary_files_can_be_taken),
		scenario(a_sparse_terabyte_is_refused_at_once_where_there_is_a_limit),
		scenario(a_sparse_terabyte_takes_no_memory_and_a_stop_ends_it),
		scenario(files_of_any_time_are_uploaded_and_not_twice),
		scenario(what_lies_deeper_than_a_path_can_lead_is_told_of_once),
		scenario(a_crowd_in_one_spool_keeps_no_file_of_another_waiting),
		scenario(ten_thousand_directories_are_looked_through),
		scenario(a_stop_does_not_wait_until_all_is_looked_through),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
