#pragma once

/*
 * Uploader: which file moves when.
 *
 * It takes candidates from the spools into the schedule, gives slots to those that are
 * ready as health allows, and decides what becomes of each transfer that ended. Small
 * files do not wait for large ones (slots.h), nor one spool for another. It holds at most
 * SCHEDULE_MAX files; what does not fit stays in its directory, which is looked through
 * again.
 */

#include <stdbool.h>
#include <stdint.h>

#include "schedule.h"
#include "transfer.h"

struct uploader;

struct uploader_stats {
	uint64_t uploaded, bytes;
	uint64_t failed;  /* given up */
	uint64_t skipped; /* drain: still being written */
	size_t moving;	  /* files on their way, */
	size_t recording; /* of which so many are sent, and have no slot any more */
	uint64_t sent;	  /* bytes that went out for those */
	size_t waiting;	  /* files known to wait: for quiet, a slot, or their next try */
	bool more;	  /* and others that were not even looked at */
};

struct uploader_ops {
	/* There is room for candidates again: for those of all spools, or of @spool,
	 * which may be gone. */
	void (*room)(void *userdata, const struct spool *spool);
	/* There is room for unfinished rows, of which one found none. */
	void (*vacant)(void *userdata);
	/* The file @name, whose row is @serial, is on its way, but not kept in mind any
	 * more: its spool is gone, or too many are like it. It is to be restored when
	 * that is otherwise. */
	void (*left)(void *userdata, const struct spool_directory *directory,
		     const char *name, uint64_t serial);
	/* Something in the stats, or in health, is new. Called often. */
	void (*changed)(void *userdata);
};

/* @once: each file is tried when its time comes, but one that is being written is passed
 * over (`drain`). @services' callbacks are set here; the rest must outlive it. 0 or a
 * negative errno. */
int uploader_new(sd_event *event, struct transfer_services *services, bool once,
		 const struct uploader_ops *ops, void *userdata, struct uploader **ret);
void uploader_free(struct uploader *uploader);

/* There are so many spools now, which share the room. */
void uploader_share(struct uploader *uploader, size_t spools);

/* For the spools: @name in @directory may be due from @at on; @st is what was seen there,
 * or NULL: it was an event. False: no room. */
bool uploader_candidate(struct uploader *uploader, struct spool_directory *directory,
			const char *name, usec_t at, const struct stat *st);

/* Takes over an unfinished row of the ledger, before its file is a candidate. 0;
 * -ENOBUFS: there is no place for it now; or another negative errno. */
int uploader_restore(struct uploader *uploader, struct spool_directory *directory,
		     const struct ledger_row *row);

/* The services' configuration is another one. Of the services @renewed, what was asked
 * before says nothing any more. */
void uploader_configure(struct uploader *uploader, health_probes renewed);

/* Nothing new is started; what moves may end. */
void uploader_stop(struct uploader *uploader);

/* Ends at once what moves, but is not worth to be waited for (farewell.h) until
 * @deadline (monotonic). @first: this is the stop; later it is called each FAREWELL_LOOK.
 * @away: a service is, and what has not begun to be sent will not be. */
void uploader_farewell(struct uploader *uploader, bool first, bool away, usec_t deadline);

/* Ends at once what moves, but for records under way. */
void uploader_cancel(struct uploader *uploader);

/* Whether nothing moves (@all: and nothing waits). */
bool uploader_is_idle(const struct uploader *uploader, bool all);

struct uploader_stats uploader_stats(const struct uploader *uploader);

/* One file that it has in mind. */
struct uploader_file {
	enum item_state state;
	struct spool_directory *directory;
	const char *name;
	const struct transfer *transfer; /* NULL: it was not looked at yet */
	unsigned attempts;		 /* that failed */
	unsigned needs; /* where it waits for a slot: bits of enum health_need */
	usec_t at;	/* monotonic: settling, waiting: until then */
	usec_t since;	/* monotonic: when it came to be known */
};

/* Calls @each for every file, in no order. What it is given lives until it returns. */
void uploader_each(const struct uploader *uploader,
		   void (*each)(void *userdata, const struct uploader_file *file),
		   void *userdata);
