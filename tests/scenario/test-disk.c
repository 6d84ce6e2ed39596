/*
 * A disk is full, or may not be written, or is not the one that was meant. Nothing is
 * sent twice, nothing is touched before its time, and it goes on by itself.
 *
 * The disks are the test's own, in a namespace, whoever runs it.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

enum { FILES = 20 };

#define RETRY "InitialDelay=20ms\nMaxDelay=100ms\nMaxAttempts=2\n"

/* ---- disks ---- */

static void mount_disk(const char *path)
{
	assert_int_equal(mount("none", path, "tmpfs", 0, "size=1M,mode=770"), 0);
}

static void unmount(const char *path)
{
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static void make_writable(const char *path, bool writable)
{
	unsigned long flags = MS_REMOUNT | MS_BIND | (writable ? 0 : MS_RDONLY);

	assert_int_equal(mount(NULL, path, NULL, flags, NULL), 0);
}

/* Under a name that the agent ignores. The caller removes and frees it. */
static char *fill_disk(const char *path)
{
	static const char page[4096] = "full";
	_cleanup_close_ int fd = -1;
	char *filler;

	assert_true(asprintf(&filler, "%s/.filler", path) > 0);
	fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	while (write(fd, page, sizeof(page)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	return filler;
}

/* ---- files ---- */

static void name_of(char name[static 32], int i)
{
	snprintf(name, 32, "f%d.txt", i);
}

/* In place, as the spool may be a disk of its own. */
static void write_files(struct world *w)
{
	for (int i = 0; i < FILES; i++) {
		char name[32];

		name_of(name, i);
		world_write(w, name, name);
	}
}

static void assert_untouched(struct world *w)
{
	for (int i = 0; i < FILES; i++) {
		char name[32];

		name_of(name, i);
		assert_true(world_exists(w, name));
		assert_false(world_has_sidecar(w, name));
		assert_false(world_has_error_sidecar(w, name));
	}
}

static void assert_all_uploaded(struct world *w, const char *directory)
{
	for (int i = 0; i < FILES; i++) {
		_cleanup_free_ char *path = NULL;

		assert_true(asprintf(&path, "%s/f%d.txt", directory, i) > 0);
		world_wait_uploaded(w, path);
		world_assert_uploaded(w, path);
	}
}

static void assert_all_deleted(struct world *w)
{
	for (int i = 0; i < FILES; i++) {
		char name[32];

		name_of(name, i);
		world_wait_sidecar(w, name);
		world_wait_gone(w, name);
	}
}

/* Asked for once, sent once, and no attempt spent. */
static void assert_cost_nothing(struct world *w)
{
	assert_int_equal(service_asset_count(w->service), FILES);
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), FILES);
	assert_int_equal(world_count_log(w, "; try "), 0);
	assert_int_equal(world_count_log(w, "Gave up"), 0);
}

/* @whose it is: the other's is well. */
static void assert_told_once(struct world *w, const char *whose)
{
	char gone[64], back[64];

	snprintf(gone, sizeof(gone), "The disk of the %s can't be written", whose);
	snprintf(back, sizeof(back), "The disk of the %s can be written again", whose);
	world_wait_log(w, back);
	assert_int_equal(world_count_log(w, gone), 1);
	assert_int_equal(world_count_log(w, back), 1);
	assert_int_equal(world_count_log(w, "The disk of "), 2);
}

/* ---- the state's disk ---- */

static void a_full_disk_of_the_state_is_waited_for(void **state)
{
	static const struct world_options options = { .retry = RETRY, .no_agent = true };
	struct world *w = *state;
	_cleanup_free_ char *filler = NULL;

	world_start(w, &options);
	mount_disk(w->state);
	world_launch(w);
	world_wait_ready(w);
	filler = fill_disk(w->state);
	write_files(w);
	world_wait_log(w, "The disk of the state directory can't be written");
	/* No byte goes before its grant is on record. */
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 0);
	world_remove(w, filler);
	assert_all_uploaded(w, w->spool);
	assert_told_once(w, "state directory");
	assert_cost_nothing(w);
	world_stop(w);
	unmount(w->state);
}

/* A body that has arrived is not on record: its source stays until it is. */
static void a_disk_of_the_state_that_fills_up_under_way_touches_no_source(void **state)
{
	static const struct world_options options = {
		.retry = RETRY,
		.spool = "AfterUpload=delete\n",
		.upload = "MaxConcurrent=20\n",
		.no_agent = true,
	};
	struct world *w = *state;
	_cleanup_free_ char *filler = NULL;

	world_start(w, &options);
	mount_disk(w->state);
	world_launch(w);
	world_wait_ready(w);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .action = FAULT_STALL });
	write_files(w);
	assert_true(service_wait_held(w->service, FILES, world_patience()));
	filler = fill_disk(w->state);
	service_clear_faults(w->service);
	service_release(w->service);
	world_wait_log(w, "The disk of the state directory can't be written");
	assert_true(service_wait_received(w->service, FILES, world_patience()));
	assert_untouched(w);
	world_remove(w, filler);
	assert_all_deleted(w);
	assert_told_once(w, "state directory");
	assert_cost_nothing(w);
	world_stop(w);
	unmount(w->state);
}

static void a_disk_of_the_state_that_may_not_be_written_is_refused(void **state)
{
	static const struct world_options options = { .no_agent = true };
	struct world *w = *state;

	world_start(w, &options);
	mount_disk(w->state);
	make_writable(w->state, false);
	write_files(w);
	world_launch(w);
	assert_int_equal(world_wait_exit(w), 1);
	assert_int_equal(world_count_log(w, "Read-only file system"), 1);
	make_writable(w->state, true);
	world_launch(w);
	assert_all_uploaded(w, w->spool);
	assert_cost_nothing(w);
	world_stop(w);
	unmount(w->state);
}

/* ---- the spool's disk ---- */

#define LOOK "PollInterval=100ms\n"

static const struct {
	const char *after;
	const char *done; /* below the world's directory; NULL: they are deleted */
} ways[] = {
	{ LOOK "AfterUpload=keep\n", "spool" },
	{ LOOK "AfterUpload=delete\n", NULL },
	{ LOOK "AfterUpload=move\nDoneDirectory=@ROOT@/spool/done\n", "spool/done" },
};

static void assert_ended_as(struct world *w, const char *done)
{
	_cleanup_free_ char *path = NULL;

	if (!done) {
		assert_all_deleted(w);
		return;
	}
	assert_true(asprintf(&path, "%s/%s", w->root, done) > 0);
	assert_all_uploaded(w, path);
}

/* A file may have been moved, as it is on record that it was sent, but not its receipt:
 * so it is not told as done, and not gone. */
static void assert_none_is_lost(struct world *w)
{
	for (int i = 0; i < FILES; i++) {
		char name[32], moved[64];

		name_of(name, i);
		snprintf(moved, sizeof(moved), "done/%s", name);
		assert_true(world_exists(w, name) || world_exists(w, moved));
		assert_false(world_has_sidecar(w, name));
		assert_false(world_has_error_sidecar(w, name));
	}
}

/* Files are there when the spool's disk fills up, until there is room again. */
static void ride_out_a_full_spool(struct world *w, size_t way)
{
	struct world_options options = { .retry = RETRY,
					 .spool = ways[way].after,
					 .no_agent = true };
	_cleanup_free_ char *named = NULL;

	world_start(w, &options);
	mount_disk(w->spool);
	write_files(w);
	free(fill_disk(w->spool));
	world_launch(w);
	/* Not that of the state, which has room. */
	assert_true(asprintf(&named,
			     "The disk of the spool first can't be written (%s): ",
			     w->spool) > 0);
	world_wait_log(w, named);
	assert_none_is_lost(w);
	world_remove(w, ".filler");
	assert_ended_as(w, ways[way].done);
	assert_told_once(w, "spool first");
	assert_cost_nothing(w);
	world_stop(w);
	unmount(w->spool);
}

/* Its files wait, unasked for, and the disk as such is well. */
static void ride_out_a_read_only_spool(struct world *w, size_t way)
{
	struct world_options options = { .retry = RETRY,
					 .spool = ways[way].after,
					 .no_agent = true };

	world_start(w, &options);
	mount_disk(w->spool);
	write_files(w);
	make_writable(w->spool, false);
	world_launch(w);
	world_wait_log(w, "No sidecar can be written in the directory");
	world_wait_log(w, "Read-only file system. Its files wait");
	assert_none_is_lost(w);
	assert_int_equal(service_asset_count(w->service), 0);
	make_writable(w->spool, true);
	assert_ended_as(w, ways[way].done);
	assert_int_equal(world_count_log(w, "No sidecar can be written"), 1);
	assert_int_equal(world_count_log(w, "The disk of "), 0);
	assert_cost_nothing(w);
	world_stop(w);
	unmount(w->spool);
}

static void a_full_spool_whose_files_are_kept_is_waited_for(void **state)
{
	ride_out_a_full_spool(*state, 0);
}

static void a_full_spool_whose_files_are_deleted_is_waited_for(void **state)
{
	ride_out_a_full_spool(*state, 1);
}

static void a_full_spool_whose_files_are_moved_is_waited_for(void **state)
{
	ride_out_a_full_spool(*state, 2);
}

static void a_read_only_spool_whose_files_are_kept_is_waited_for(void **state)
{
	ride_out_a_read_only_spool(*state, 0);
}

static void a_read_only_spool_whose_files_are_deleted_is_waited_for(void **state)
{
	ride_out_a_read_only_spool(*state, 1);
}

static void a_read_only_spool_whose_files_are_moved_is_waited_for(void **state)
{
	ride_out_a_read_only_spool(*state, 2);
}

/* A spool of its own. */
static char *add_other_spool(struct world *w)
{
	_cleanup_free_ char *directory = NULL, *drop_in = NULL, *text = NULL;
	char *other;

	assert_true(asprintf(&other, "%s/other", w->root) > 0);
	assert_true(asprintf(&directory, "%s.d", w->config) > 0);
	assert_true(asprintf(&drop_in, "%s/other.conf", directory) > 0);
	assert_true(asprintf(&text,
			     "[Spool:other]\nPath=%s\nChannelType=sms\n"
			     "SenderType=customer\nSettle=20ms\n",
			     other) > 0);
	world_mkdir(w, other);
	world_mkdir(w, directory);
	world_write(w, drop_in, text);
	return other;
}

/* In it, beside the one that the world has. The caller frees it. */
static char *drop_in_other(struct world *w, const char *other, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", other, name) > 0);
	world_write(w, path, name);
	return path;
}

static void assert_says(struct world *w, const char *text)
{
	_cleanup_free_ char *said = world_output(w);

	if (!strstr(said, text))
		fail_msg("it does not say \"%s\", but:\n%s", text, said);
}

static void assert_silent_on(struct world *w, const char *text)
{
	_cleanup_free_ char *said = world_output(w);

	assert_null(strstr(said, text));
}

/* Who looks at night is told which one it is, and that it is not the others. */
static void assert_full_spool_is_named(struct world *w, const char *theirs)
{
	_cleanup_free_ char *mine = world_path(w, "f0.txt"), *row = NULL, *metric = NULL;
	_cleanup_free_ char *metrics = world_beside(w, "metrics");

	assert_true(asprintf(&row, "disk     %s", w->spool) > 0);
	assert_true(asprintf(&metric,
			     "asset_agent_service_up{service=\"disk\",target=\"%s\"} 0\n",
			     w->spool) > 0);
	world_wait_status(w, "; disk of the spool first unwritable since ");
	world_wait_text(w, metrics, metric);
	assert_int_equal(world_run(w, "status", NULL), 0);
	assert_says(w, row);
	assert_says(w, "No space left on device");
	assert_int_equal(world_run(w, "explain", mine, NULL), 0);
	assert_says(w, "The disk of this spool can't be written");
	assert_int_equal(world_run(w, "explain", theirs, NULL), 0);
	assert_silent_on(w, "can't be written");
}

static void a_full_spool_holds_itself_alone(void **state)
{
	static const struct world_options options = {
		.retry = RETRY,
		.report = "MetricsFile=@ROOT@/metrics\n",
		.no_agent = true,
	};
	struct world *w = *state;
	_cleanup_free_ char *other = NULL, *first = NULL, *second = NULL;

	world_start(w, &options);
	other = add_other_spool(w);
	mount_disk(w->spool);
	write_files(w);
	free(fill_disk(w->spool));
	world_launch(w);
	world_wait_log(w, "The disk of the spool first can't be written");
	first = drop_in_other(w, other, "first.txt");
	world_wait_uploaded(w, first);
	second = drop_in_other(w, other, "second.txt");
	world_wait_uploaded(w, second);
	world_assert_uploaded(w, first);
	world_assert_uploaded(w, second);
	assert_int_equal(world_count_log(w, "can be written again"), 0);
	assert_full_spool_is_named(w, first);
	world_remove(w, ".filler");
	assert_all_uploaded(w, w->spool);
	assert_told_once(w, "spool first");
	assert_int_equal(service_asset_count(w->service), FILES + 2);
	world_stop(w);
	unmount(w->spool);
}

/* Only what is uploaded already can tell soon whether there is room again: a new file
 * would first be sent, which may take for hours. */
static void a_full_spool_is_not_probed_by_new_files(void **state)
{
	static const struct world_options options = { .retry = RETRY,
						      .upload = "MaxConcurrent=20\n",
						      .report = "LogLevel=debug\n",
						      .no_agent = true };
	const struct fault stall = { .endpoint = ENDPOINT_UPLOAD, .action = FAULT_STALL };
	struct world *w = *state;

	world_start(w, &options);
	mount_disk(w->spool);
	write_files(w);
	world_write(w, ".late", "late");
	service_fault(w->service, &stall);
	world_launch(w);
	assert_true(service_wait_held(w->service, FILES, world_patience()));
	free(fill_disk(w->spool));
	service_clear_faults(w->service);
	service_release(w->service);
	assert_true(service_wait_received(w->service, FILES, world_patience()));
	world_wait_log(w, "The disk of the spool first can't be written");
	service_fault(w->service, &stall);
	world_rename(w, ".late", "late.txt", 0);
	for (int probes = 0; probes < 8; probes++) {
		world_mark_log(w);
		world_wait_log(w, "the probe failed too");
	}
	world_remove(w, ".filler");
	assert_all_uploaded(w, w->spool);
	service_clear_faults(w->service);
	service_release(w->service);
	world_wait_uploaded(w, "late.txt");
	world_stop(w);
	unmount(w->spool);
}

static void a_full_disk_of_the_state_holds_all_spools(void **state)
{
	static const struct world_options options = { .retry = RETRY, .no_agent = true };
	struct world *w = *state;
	_cleanup_free_ char *filler = NULL, *other = NULL, *path = NULL;

	world_start(w, &options);
	other = add_other_spool(w);
	mount_disk(w->state);
	world_launch(w);
	world_wait_ready(w);
	filler = fill_disk(w->state);
	write_files(w);
	world_wait_log(w, "The disk of the state directory can't be written");
	path = drop_in_other(w, other, "waits.txt");
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 0);
	world_remove(w, filler);
	assert_all_uploaded(w, w->spool);
	world_wait_uploaded(w, path);
	assert_told_once(w, "state directory");
	world_stop(w);
	unmount(w->state);
}

/* It must end, but not before the other spool's files are through. */
static void a_drain_uploads_what_is_in_other_spools_than_the_full_one(void **state)
{
	static const struct world_options options = {
		.retry = "InitialDelay=1ms\nMaxDelay=5ms\nMaxAttempts=2\n",
		.upload = "MaxConcurrent=1\n",
		.no_agent = true,
	};
	struct world *w = *state;
	_cleanup_free_ char *other = NULL;

	world_start(w, &options);
	other = add_other_spool(w);
	mount_disk(w->spool);
	write_files(w);
	for (int i = 0; i < FILES; i++) {
		char name[32];
		_cleanup_free_ char *path = NULL;

		name_of(name, i);
		path = drop_in_other(w, other, name);
	}
	free(fill_disk(w->spool));
	assert_int_equal(world_run(w, "drain", NULL), 1);
	assert_all_uploaded(w, other);
	assert_none_is_lost(w);
	world_remove(w, ".filler");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	assert_all_uploaded(w, w->spool);
	assert_int_equal(service_asset_count(w->service), 2 * FILES);
	world_stop(w);
	unmount(w->spool);
}

/* What is not in the configuration any more is not talked of, and comes back unharmed. */
static void a_full_spool_that_is_taken_away_is_not_spoken_of(void **state)
{
	static const struct world_options options = { .retry = RETRY, .no_agent = true };
	struct world *w = *state;
	_cleanup_free_ char *other = NULL, *drop_in = NULL, *aside = NULL, *kept = NULL;
	_cleanup_free_ char *filler = NULL;

	world_start(w, &options);
	other = add_other_spool(w);
	mount_disk(other);
	kept = drop_in_other(w, other, "kept.txt");
	free(fill_disk(other));
	world_launch(w);
	world_wait_log(w, "The disk of the spool other can't be written");
	assert_true(asprintf(&drop_in, "%s.d/other.conf", w->config) > 0);
	assert_true(asprintf(&aside, "%s.d/other.off", w->config) > 0);
	assert_int_equal(rename(drop_in, aside), 0);
	world_reload(w);
	world_wait_status(w, "failed 0");
	assert_null(strstr(world_status(w), "unwritable"));
	assert_int_equal(rename(aside, drop_in), 0);
	assert_true(asprintf(&filler, "%s/.filler", other) > 0);
	assert_int_equal(unlink(filler), 0);
	world_reload(w);
	world_wait_uploaded(w, kept);
	assert_int_equal(service_asset_count(w->service), 1);
	world_stop(w);
	unmount(other);
}

/* ---- DoneDirectory on another disk ---- */

static const struct world_options moving = {
	.retry = RETRY,
	.spool = "PollInterval=100ms\nAfterUpload=move\nDoneDirectory=@ROOT@/done\n",
	.no_agent = true,
};

static char *make_done(struct world *w)
{
	char *done;

	assert_true(asprintf(&done, "%s/done", w->root) > 0);
	world_mkdir(w, done);
	return done;
}

static void a_done_directory_on_another_disk_is_refused_at_the_start(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *done = NULL, *line = NULL;

	world_start(w, &moving);
	done = make_done(w);
	mount_disk(done);
	world_launch(w);
	assert_int_equal(world_wait_exit(w), 78);
	assert_int_equal(
		world_count_log(w, "DoneDirectory= is on another filesystem than Path="),
		1);
	assert_true(asprintf(&line, "%s:", w->config) > 0);
	assert_int_equal(world_count_log(w, line), 1);
	unmount(done);
	world_stop(w);
}

static void assert_held(struct world *w, const char *done)
{
	_cleanup_free_ char *line = NULL;

	assert_true(asprintf(&line, "No file can be moved from %s to DoneDirectory=%s",
			     w->spool, done) > 0);
	world_wait_log(w, line);
	assert_int_equal(world_count_log(w, "No file can be moved from"), 1);
	assert_int_equal(world_count_log(w, "The disk of "), 0);
	assert_untouched(w);
}

static void one_that_comes_to_be_on_another_disk_holds_its_spool_alone(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *done = NULL, *other = NULL, *path = NULL;

	world_start(w, &moving);
	done = make_done(w);
	other = add_other_spool(w);
	world_launch(w);
	world_wait_ready(w);
	mount_disk(done);
	write_files(w);
	assert_true(asprintf(&path, "%s/goes-on.txt", other) > 0);
	world_write(w, path, "goes on");
	world_wait_uploaded(w, path);
	assert_held(w, done);
	assert_int_equal(service_asset_count(w->service), 1);
	unmount(done);
	assert_all_uploaded(w, done);
	assert_int_equal(service_asset_count(w->service), 1 + FILES);
	assert_int_equal(world_count_log(w, "Files can be moved from"), 1);
	assert_int_equal(world_count_log(w, "No file can be moved from"), 1);
	world_stop(w);
}

static void a_file_in_the_place_of_a_done_directory_holds_its_spool_alone(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *done = NULL, *other = NULL, *path = NULL;

	world_start(w, &moving);
	done = world_beside(w, "done");
	other = add_other_spool(w);
	world_write(w, done, "in the way");
	world_launch(w);
	world_wait_ready(w);
	write_files(w);
	assert_true(asprintf(&path, "%s/goes-on.txt", other) > 0);
	world_write(w, path, "goes on");
	world_wait_uploaded(w, path);
	assert_held(w, done);
	assert_int_equal(service_asset_count(w->service), 1);
	world_remove(w, done);
	assert_all_uploaded(w, done);
	assert_int_equal(service_asset_count(w->service), 1 + FILES);
	world_stop(w);
}

/* As of a disk that is not mounted. */
static void a_done_directory_whose_link_leads_nowhere_holds_its_spool(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *done = NULL, *there = NULL;

	world_start(w, &moving);
	done = world_beside(w, "done");
	there = world_beside(w, "there");
	assert_int_equal(symlink(there, done), 0);
	world_launch(w);
	world_wait_ready(w);
	write_files(w);
	assert_held(w, done);
	assert_int_equal(service_asset_count(w->service), 0);
	world_mkdir(w, there);
	assert_all_uploaded(w, there);
	assert_cost_nothing(w);
	world_stop(w);
}

/* The same, found out at the end. */
static void one_whose_link_came_to_lead_nowhere_gets_its_files_later(void **state)
{
	const struct fault stall = { .endpoint = ENDPOINT_UPLOAD, .action = FAULT_STALL };
	struct world_options options = moving;
	struct world *w = *state;
	_cleanup_free_ char *done = NULL, *there = NULL;

	options.upload = "MaxConcurrent=20\n";
	world_start(w, &options);
	done = world_beside(w, "done");
	there = world_beside(w, "there");
	world_launch(w);
	world_wait_ready(w);
	service_fault(w->service, &stall);
	write_files(w);
	assert_true(service_wait_held(w->service, FILES, world_patience()));
	assert_int_equal(symlink(there, done), 0);
	service_clear_faults(w->service);
	service_release(w->service);
	world_wait_log(w, "No file can be moved from");
	assert_untouched(w);
	world_mkdir(w, there);
	assert_all_uploaded(w, there);
	assert_cost_nothing(w);
	world_stop(w);
}

static void what_was_sent_before_it_was_on_another_disk_is_moved_later(void **state)
{
	struct world_options options = moving;
	struct world *w = *state;
	_cleanup_free_ char *done = NULL;

	options.upload = "MaxConcurrent=20\n";
	world_start(w, &options);
	done = make_done(w);
	world_launch(w);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .action = FAULT_STALL });
	write_files(w);
	assert_true(service_wait_held(w->service, FILES, world_patience()));
	mount_disk(done);
	service_clear_faults(w->service);
	service_release(w->service);
	assert_true(service_wait_received(w->service, FILES, world_patience()));
	assert_held(w, done);
	unmount(done);
	assert_all_uploaded(w, done);
	assert_cost_nothing(w);
	assert_int_equal(world_count_log(w, "No file can be moved from"), 1);
	world_stop(w);
}

/* It must end; what it could not do is told by its exit status. */
static void a_drain_passes_over_a_spool_that_is_held(void **state)
{
	struct world_options options = moving;
	struct world *w = *state;
	_cleanup_free_ char *done = NULL, *below = NULL;

	options.recursive = true;
	world_start(w, &options);
	done = make_done(w);
	below = world_path(w, "below");
	world_mkdir(w, below);
	mount_disk(below); /* the spool's own directory is where it should be */
	world_write(w, "below/in.txt", "on another disk");
	world_write(w, "beside.txt", "on the same");
	assert_int_equal(world_run(w, "drain", NULL), 1);
	assert_int_equal(world_count_log(w, "No file can be moved from"), 1);
	assert_false(world_exists(w, "beside.txt"));
	assert_true(world_exists(w, "below/in.txt"));
	assert_int_equal(service_asset_count(w->service), 1);
	unmount(below);
	world_stop(w);
}

static int enter(void **state)
{
	(void)state;
	return world_make_namespace() ? 0 : -1; /* while there is but one thread */
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(a_full_disk_of_the_state_is_waited_for),
		scenario(a_disk_of_the_state_that_fills_up_under_way_touches_no_source),
		scenario(a_disk_of_the_state_that_may_not_be_written_is_refused),
		scenario(a_full_spool_whose_files_are_kept_is_waited_for),
		scenario(a_full_spool_whose_files_are_deleted_is_waited_for),
		scenario(a_full_spool_whose_files_are_moved_is_waited_for),
		scenario(a_read_only_spool_whose_files_are_kept_is_waited_for),
		scenario(a_read_only_spool_whose_files_are_deleted_is_waited_for),
		scenario(a_read_only_spool_whose_files_are_moved_is_waited_for),
		scenario(a_full_spool_holds_itself_alone),
		scenario(a_full_spool_is_not_probed_by_new_files),
		scenario(a_full_disk_of_the_state_holds_all_spools),
		scenario(a_drain_uploads_what_is_in_other_spools_than_the_full_one),
		scenario(a_full_spool_that_is_taken_away_is_not_spoken_of),
		scenario(a_done_directory_on_another_disk_is_refused_at_the_start),
		scenario(one_that_comes_to_be_on_another_disk_holds_its_spool_alone),
		scenario(a_file_in_the_place_of_a_done_directory_holds_its_spool_alone),
		scenario(a_done_directory_whose_link_leads_nowhere_holds_its_spool),
		scenario(one_whose_link_came_to_lead_nowhere_gets_its_files_later),
		scenario(what_was_sent_before_it_was_on_another_disk_is_moved_later),
		scenario(a_drain_passes_over_a_spool_that_is_held),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, enter, NULL);
}
