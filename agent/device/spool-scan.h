#pragma once

/*
 * Spool-scan: looks through directories, one after the other and a bounded number of
 * entries a turn of the loop, behind all other work.
 *
 * Those to be looked through stand in a queue. The one whose turn it is has a cursor,
 * which pauses at the entry that found no room and goes on there. Where an event finds no
 * room, its directory is queued (again). So nothing but directories is ever remembered.
 *
 * It holds no references: a directory that leaves the spool must be forgotten here first.
 */

#include <dirent.h>
#include <systemd/sd-event.h>

#include "spool-directory.h"

/* None of these may forget the directory that it is called for, but @ended, which may. */
struct spool_scan_ops {
	/* Its turn has come. A descriptor to read it by, which becomes the scan's; or a
	 * negative errno, and then it ends with that. */
	int (*open)(void *userdata, struct spool_directory *directory);
	/* An entry, but for "." and "..", and @fd to look at it by. False: there is no
	 * room; it is given again after spool_scan_resume(). */
	bool (*entry)(void *userdata, struct spool_directory *directory, int fd,
		      const char *name);
	/* It was looked through to its end (0), or as far as it went (a negative errno).
	 */
	void (*ended)(void *userdata, struct spool_directory *directory, int error);
};

struct spool_scan {
	const struct spool_scan_ops *ops;
	void *userdata;
	sd_event_source *source; /* enabled while there is something to do */
	TAILQ_HEAD(, spool_directory) queue;
	struct spool_directory *current; /* whose turn it is, or NULL */
	DIR *stream;			 /* of the current one */
	char *held;			 /* its entry that found no room, or NULL */
	bool full;			 /* until spool_scan_resume() */
	uint64_t entries;		 /* that were looked at, ever */
};

/* 0 or a negative errno; spool_scan_done() may be called in any case. */
int spool_scan_init(struct spool_scan *scan, sd_event *event,
		    const struct spool_scan_ops *ops, void *userdata);

/* All directories must have been forgotten. */
void spool_scan_done(struct spool_scan *scan);

/* @directory shall be looked through from its beginning, once more if it is its turn now.
 */
void spool_scan_queue(struct spool_scan *scan, struct spool_directory *directory);

/* Something in @directory was seen that found no room: nothing goes on until
 * spool_scan_resume(), and then @directory is looked through again. */
void spool_scan_overflow(struct spool_scan *scan, struct spool_directory *directory);

/* There is room again. */
void spool_scan_resume(struct spool_scan *scan);

/* @directory leaves the queue and the cursor. */
void spool_scan_forget(struct spool_scan *scan, struct spool_directory *directory);

/* Whether everything was looked through. */
bool spool_scan_is_idle(const struct spool_scan *scan);
