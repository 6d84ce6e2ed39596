#include <assert.h>

#include "spool-scan.h"

#define ENTRIES_A_TURN 256 /* before the loop's other sources get theirs */

bool spool_scan_is_idle(const struct spool_scan *scan)
{
	return !scan->current && TAILQ_EMPTY(&scan->queue);
}

/* ---- the queue ---- */

static void update_source(struct spool_scan *scan)
{
	bool on = !scan->full && !spool_scan_is_idle(scan);

	(void)sd_event_source_set_enabled(scan->source, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

void spool_scan_queue(struct spool_scan *scan, struct spool_directory *directory)
{
	if (directory->queued)
		return;
	directory->queued = true;
	TAILQ_INSERT_TAIL(&scan->queue, directory, scan);
	update_source(scan);
}

void spool_scan_overflow(struct spool_scan *scan, struct spool_directory *directory)
{
	scan->full = true;
	spool_scan_queue(scan, directory);
	update_source(scan);
}

void spool_scan_resume(struct spool_scan *scan)
{
	scan->full = false;
	update_source(scan);
}

static void unqueue(struct spool_scan *scan, struct spool_directory *directory)
{
	if (directory->queued)
		TAILQ_REMOVE(&scan->queue, directory, scan);
	directory->queued = false;
}

/* ---- the cursor ---- */

static void close_current(struct spool_scan *scan)
{
	scan->current = NULL;
	if (scan->stream)
		(void)closedir(take_ptr(scan->stream));
	free(take_ptr(scan->held));
}

static void end_current(struct spool_scan *scan, int error)
{
	struct spool_directory *directory = scan->current;

	/* First, as it may be forgotten then. */
	close_current(scan);
	scan->ops->ended(scan->userdata, directory, error);
}

static int open_stream(struct spool_scan *scan)
{
	_cleanup_close_ int fd = scan->ops->open(scan->userdata, scan->current);

	if (fd < 0)
		return fd;
	scan->stream = fdopendir(fd);
	if (!scan->stream)
		return -errno;
	(void)take_fd(&fd); /* it is the stream's */
	return 0;
}

static void begin_next(struct spool_scan *scan)
{
	int r;

	scan->current = TAILQ_FIRST(&scan->queue);
	unqueue(scan, scan->current);
	r = open_stream(scan);
	if (r < 0)
		end_current(scan, r);
}

static bool give(struct spool_scan *scan, const char *name)
{
	if (streq(name, ".") || streq(name, ".."))
		return true;
	return scan->ops->entry(scan->userdata, scan->current, dirfd(scan->stream), name);
}

/* Again from the beginning, by what may have changed since. False: still no room. */
static bool give_held(struct spool_scan *scan)
{
	if (scan->held && !give(scan, scan->held)) {
		scan->full = true;
		return false;
	}
	free(take_ptr(scan->held));
	return true;
}

static void hold(struct spool_scan *scan, const char *name)
{
	scan->full = true;
	scan->held = strdup(name);
	if (!scan->held) /* then it must be found again */
		spool_scan_queue(scan, scan->current);
}

/* Goes on until the turn is over, the directory ends or there is no room. */
static void step(struct spool_scan *scan)
{
	if (!give_held(scan))
		return;
	for (int i = 0; i < ENTRIES_A_TURN; i++) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(scan->stream);
		if (!entry) {
			end_current(scan, -errno);
			return;
		}
		scan->entries++;
		if (!give(scan, entry->d_name)) {
			hold(scan, entry->d_name);
			return;
		}
	}
}

static int on_turn(sd_event_source *source, void *userdata)
{
	struct spool_scan *scan = userdata;

	(void)source;
	if (!scan->current && !TAILQ_EMPTY(&scan->queue))
		begin_next(scan);
	if (scan->current && !scan->full)
		step(scan);
	update_source(scan);
	return 0;
}

/* ---- from outside ---- */

void spool_scan_forget(struct spool_scan *scan, struct spool_directory *directory)
{
	unqueue(scan, directory);
	if (scan->current == directory)
		close_current(scan);
	update_source(scan);
}

int spool_scan_init(struct spool_scan *scan, sd_event *event,
		    const struct spool_scan_ops *ops, void *userdata)
{
	int r;

	*scan = (struct spool_scan){ .ops = ops, .userdata = userdata };
	TAILQ_INIT(&scan->queue);
	r = sd_event_add_defer(event, &scan->source, on_turn, scan);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(scan->source, SD_EVENT_OFF);
	/* Behind what is under way: a scan only brings more to do. */
	(void)sd_event_source_set_priority(scan->source, SD_EVENT_PRIORITY_IDLE);
	return 0;
}

void spool_scan_done(struct spool_scan *scan)
{
	assert(spool_scan_is_idle(scan));

	scan->source = sd_event_source_disable_unref(scan->source);
}
