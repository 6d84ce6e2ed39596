#pragma once

/*
 * Intake: is this name due, and is its writer done? The one place that answers, for
 * events, scans, polls and recovery alike.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "clock.h"
#include "fs.h"

/* How the file looked when it was seen first like this. Zero: never seen. */
struct intake_glimpse {
	uint64_t size;
	struct timespec modified, changed;
	usec_t since; /* monotonic */
};

struct intake_rules {
	usec_t quiet; /* that long without a change, where the kernel can't tell */
	bool remote;  /* writers may be on other machines: leases prove nothing, and the
		       * clock that stamps files is not ours */
};

enum intake {
	INTAKE_TAKEN,	/* it is due and whole: @ret is filled in */
	INTAKE_CURRENT, /* its sidecar speaks of it: nothing to do */
	INTAKE_GONE,
	INTAKE_BUSY,	   /* somebody has it open for writing: ask again later */
	INTAKE_FRESH,	   /* the kernel can't tell, and it changed lately: ask again */
	INTAKE_NOT_A_FILE, /* directory, link, socket, pipe, device */
	INTAKE_UNREADABLE, /* @ret->error says why */
};

struct intake_file {
	int fd;		/* INTAKE_TAKEN: open for reading, the caller's */
	struct stat st; /* all but INTAKE_GONE */
	int error;	/* INTAKE_UNREADABLE: negative errno */
	bool beside;	/* something has the name of a sidecar of it, of whatever kind */
};

/* Whether a sidecar of @name (either kind) speaks of the file that @st describes: one
 * stat a sidecar, and only where that does not settle it, its text. */
bool intake_is_current(int dirfd, const char *name, const struct stat *st);

/* Opens @name in @dirfd for sending, if it is due and its writer is done. @glimpse is
 * kept by the caller between two asks of the same name. */
enum intake intake_take(int dirfd, const char *name, const struct intake_rules *rules,
			struct intake_glimpse *glimpse, usec_t now,
			struct intake_file *ret);

/* How long ago @st's file last changed, by the real-time clock; 0: just now or ahead. */
usec_t intake_age(const struct stat *st);

/* Asks the kernel whether anybody has @fd's file open for writing. 1: yes, 0: no,
 * -EOPNOTSUPP: it can't say (not our file and no CAP_LEASE, or not that filesystem). */
int intake_has_writer(int fd);
