#pragma once

/*
 * Uploader-state: what the uploader knows of each file, and the turns of a file's life.
 *
 * For the uploader's own modules: uploader-candidates (a file comes), uploader-pump (it
 * gets a slot), uploader-ends (what becomes of it then); uploader-files, on which these
 * stand; uploader-rehome (its spool is another now), uploader-pulse, and uploader, which
 * makes them one.
 */

#include "farewell.h"
#include "macro.h"
#include "pulse.h"
#include "slots.h"
#include "uploader.h"

/* Who waits for the same things. */
enum lane {
	LANE_DISPOSE, /* its end is to be told beside it: only its spool is needed */
	LANE_RECORD,  /* its upload is to be recorded: nobody is asked */
	LANE_HOST,    /* it has a URL: one lane for each storage host */
	LANE_NEW = LANE_HOST + HEALTH_HOSTS_MAX, /* it asks for one */
	LANES
};

_Static_assert(LANES <= SCHEDULE_LANES, "each host has its lane");

struct file {
	struct item item;
	struct uploader *uploader;
	struct spool_directory *directory;
	struct intake_glimpse glimpse;
	struct transfer *transfer; /* while it moves, and later if it keeps something */
	struct transfer *next; /* restored: of its newer contents, each after its elder */
	unsigned busy;	       /* looks in a row at which it was being written */
	usec_t since;	       /* monotonic: when it came to be known */
	bool seen;	       /* looked at while a service was away */
	struct farewell farewell; /* at a stop */
	struct pulse_mark pulse;  /* of its steps and bytes, while it moves */
	bool adrift;		  /* its spool was taken from the configuration */
	LIST_ENTRY(file) moving;
	STAILQ_ENTRY(file) starting;
	LIST_ENTRY(file) drifting;
	char name[];
};

struct uploader {
	sd_event *event;
	struct transfer_services *services;
	bool once;
	const struct uploader_ops *ops;
	void *userdata;
	struct schedule schedule;
	LIST_HEAD(, file) moving;
	STAILQ_HEAD(, file)
	starting;		    /* of these: they have a slot, and do not go on yet */
	LIST_HEAD(, file) drifting; /* the adrift ones */
	sd_event_source *pump_source; /* starts what can be started */
	sd_event_source *wake_source; /* when the next one may be */
	bool starved;		      /* a candidate found no room */
	bool crowded;		      /* nor did an unfinished row */
	bool recalls;		      /* the ledger may know files that failed */
	uint64_t starts;
	uint64_t moves; /* files that got a slot, ever */
	struct slots slots;
	usec_t stopped; /* when; 0: not yet */
	struct uploader_stats stats;
};

static inline struct file *file_of(struct item *item)
{
	return container_of(item, struct file, item);
}

/* ---- files (uploader-files.c) ---- */

/* One more. 0; -ENOBUFS: there is no place for it; or -ENOMEM. */
int uploader_add(struct uploader *uploader, struct spool_directory *directory,
		 const char *name, bool unfinished, struct file **ret);

/* @file, which does not move, is not kept in mind any more. */
void uploader_forget(struct uploader *uploader, struct file *file);

/* The same of one that is adrift: its row in the ledger is for a later start. */
void uploader_leave_behind(struct uploader *uploader, struct file *file);

/* Of a file that is in no schedule. */
void uploader_free_file(struct file *file);

/* The transfer of its next content, which is the caller's then, or NULL. */
struct transfer *uploader_take_next(struct file *file);

/* 0 or -ENOMEM. */
int uploader_need_transfer(struct file *file);

/* 1: the file is still the one of that @identity, 0: it is another now, or a negative
 * errno. */
int uploader_is_still(const struct file *file, const struct fs_identity *identity);

/* Whether those who found no room are to be told that there is some; telling them: all,
 * else those whose own place was @lent, or @owner, as far as its own places go. */
bool uploader_has_room(const struct uploader *uploader);
void uploader_tell_room(struct uploader *uploader, const void *owner, bool lent);

/* Bits of enum health_need. */
unsigned uploader_needs_of_lane(unsigned lane);

/* It waits for a slot; @first: before the others. @bytes: it is so large. */
void uploader_ready(struct uploader *uploader, struct file *file, bool first);
void uploader_ready_as(struct uploader *uploader, struct file *file, bool first,
		       uint64_t bytes);

/* It gets ready by itself at @at, in ITEM_SETTLING or ITEM_WAITING until then. */
void uploader_wait(struct uploader *uploader, struct file *file, enum item_state state,
		   usec_t at);

/* The same, in mind while there is room for that, else in its directory: then no crowd of
 * files that fail, or are being written, keeps out the others. */
void uploader_wait_in_mind(struct uploader *uploader, struct file *file,
			   enum item_state state, usec_t at);

/* Until when it need not even be looked at; 0: it has to be. Who drains passes it over.
 */
usec_t uploader_held_until(const struct file *file, usec_t now);

/* It goes on from where its transfer stood. */
void uploader_go_on(struct uploader *uploader, struct file *file);

/* ---- slots (uploader-pump.c) ---- */

/* Looks soon at what can be started. */
void uploader_kick(struct uploader *uploader);

int uploader_on_pump(sd_event_source *source, void *userdata);
int uploader_on_wake(sd_event_source *source, uint64_t usec, void *userdata);

/* The next file of @lane and @size whose spool's disk lets it start at @now; NULL: there
 * is none. *@ret_at is when there may be one: USEC_INFINITY: never, or a probe decides;
 * @now or earlier: one of LANE_DISPOSE probes it first. */
struct item *uploader_peek(struct uploader *uploader, unsigned lane, enum item_size size,
			   usec_t now, usec_t *ret_at);

/* To which sizes a free slot may be given, the first first. Returns how many. */
size_t uploader_sizes(const struct uploader *uploader, enum item_size ret[ITEM_SIZES]);

/* ---- ends (uploader-ends.c): what transfer_services has ---- */

void uploader_on_left(void *userdata, struct transfer *transfer);
void uploader_on_ended(void *userdata, struct transfer *transfer, enum transfer_end how);
