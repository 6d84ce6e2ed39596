#pragma once

/*
 * Transfer-state: what is known of a transfer, and the ways in which one start of it
 * ends.
 *
 * For the transfer's own modules, which each do a part of its way and hand it on to the
 * one below: transfer (take), transfer-ask, transfer-send, transfer-finish. Each path
 * through them comes to one of the ends here, once; after that the transfer is not
 * touched any more, for its owner may have freed it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "asset-api.h"
#include "config.h"
#include "content-url.h"
#include "failures.h"
#include "health.h"
#include "http.h"
#include "intake.h"
#include "ledger.h"
#include "mime.h"
#include "spool-disks.h"
#include "spool.h"
#include "tally.h"
#include "token.h"
#include "verdict.h"
#include "worker.h"

enum transfer_end {
	TRANSFER_DONE,	   /* uploaded, recorded, its sidecar is written */
	TRANSFER_WAS_DONE, /* before a restart, and told of then */
	TRANSFER_GAVE_UP,  /* its error sidecar is written */
	TRANSFER_IDLE,	   /* nothing to do: its sidecar speaks of it, or it is no file */
	TRANSFER_LATER,	   /* its writer is not done: ask again at `again_at` */
	TRANSFER_SHORT, /* no memory or descriptors, as `shortage` says: start it again at
			 * `again_at`, with fewer others */
	TRANSFER_HELD,	/* it can't be moved where it is to go: start it at `again_at` */
	TRANSFER_PAUSED, /* no fault of its own: start it when health allows */
	TRANSFER_FAILED, /* its own fault: start it again at `again_at` */
};

enum transfer_step {
	STEP_TAKE,
	STEP_ASK,
	STEP_RECORD_GRANT,
	STEP_SEND,
	STEP_RECORD_UPLOAD,
	STEP_DISPOSE,
	STEP_GIVE_UP,
};

struct transfer;

struct transfer_services {
	const struct config *config;
	uint64_t settings; /* counts up with each other config, from 1 */
	const struct mime *mime;
	struct http *http;
	struct token *token;
	struct ledger *ledger;
	struct worker *disposer; /* a thread for sidecars and sources */
	uint64_t disposals;	 /* that it was given */
	struct health *health;
	struct spool_disks *disks;
	struct failures *failures;
	struct tally *tally;
	/* How many files wait now, for messages. */
	size_t (*waiting)(void *userdata);
	/* It left its slot, and asks only the disk: another may start. */
	void (*left)(void *userdata, struct transfer *transfer);
	size_t recording; /* so many have none: they move, and only the disk is asked */
	/* Never from within transfer_start(), nor from transfer_look(). */
	void (*ended)(void *userdata, struct transfer *transfer, enum transfer_end end);
	void *userdata;
	bool stopping; /* nothing new is asked or sent; what was sent is recorded */
};

struct transfer {
	struct transfer_services *services;
	void *owner;	       /* the caller's */
	struct transfer *next; /* likewise */
	struct spool_directory *directory;
	/* Of the spool that was taken from the configuration while it moved: what has
	 * been asked for goes on by these. NULL: none was. */
	const struct config_spool *left;
	struct config *left_config; /* which holds that */
	char *name;
	enum transfer_step step;
	struct intake_glimpse *glimpse; /* the caller's */

	/* The content that is sent. */
	int fd;
	struct fs_identity identity;
	char *content_type; /* NULL: not known yet */

	/* The grant: there while `id` is. */
	char *id;
	struct content_url url;
	uint64_t url_settings; /* under which `url` was read; 0: not yet */
	char *raw_url;
	usec_t expires;	  /* monotonic */
	bool from_public; /* from an API at a public address; not known after a restart */
	bool recorded;	  /* in the ledger */
	bool resumed;	  /* a body may have gone to the URL before */
	bool restored;	  /* from the ledger, after a restart */
	unsigned unreached; /* tries in a row that did not reach its host */
	usec_t uploaded;    /* real time; 0: not yet */
	uint64_t disposal;  /* its number among all: they are done in this order */

	/* This try. */
	struct http_request *request;
	struct token_waiter waiter;
	bool waits_for_token;
	bool alone;  /* no sidecar was beside the file when it was taken */
	bool intact; /* the file was as it was uploaded after its receipt was there */
	uint64_t token_serial;
	char *bearer; /* that it asked with last: an answer may repeat it */
	bool reauthed, resigned;
	bool counted;  /* for RequestRate, and has not asked yet */
	bool slotless; /* it moves, and left its slot to another */
	bool first;    /* nothing went wrong: to be started before the others */
	bool looking;  /* it goes no further than that the file is taken */
	health_probes probes;
	uint64_t ticket;	/* of the probe of its spool's disk; 0: it is none */
	health_probes disowned; /* services that the request under way was not made for */
	usec_t started, again_at; /* monotonic */
	usec_t sending_since;	  /* monotonic; of the request under way to the storage */
	usec_t tried;		  /* monotonic: when this try began */
	int shortage;		  /* negative errno; counts with TRANSFER_SHORT */

	/* All tries. */
	uint64_t serial; /* in the ledger; 0: no row */
	unsigned attempts;
	unsigned sidecar_failures; /* in a row */
	/* What went wrong last. */
	enum stage stage;
	enum transport transport;
	int status;
	struct asset_error error;
};

/* The file's whole path. The caller frees it. NULL: out of memory. */
char *transfer_path(const struct transfer *transfer);

/* The configuration of its spool, or NULL: its directory left the spool. */
const struct config_spool *transfer_spool(const struct transfer *transfer);

/* The path of its spool, while that is one of the configuration; else NULL. */
const char *transfer_spool_path(const struct transfer *transfer);

/* For messages. */
const char *transfer_step_name(const struct transfer *transfer);

/* The one function that assigns a step. */
void transfer_set_step(struct transfer *transfer, enum transfer_step step);

/* Keeps a copy of the token that it asks with; NULL: wipes it. 0 or -ENOMEM. */
int transfer_set_bearer(struct transfer *transfer, const char *bearer);

/* What went wrong, for the log and the error sidecar. Where it was not the file
 * (TRANSPORT_SOURCE), the caller sets `transport` after that. */
void transfer_clear_error(struct transfer *transfer);
void transfer_set_error(struct transfer *transfer, enum stage stage, const char *why);
const char *transfer_error_text(const struct transfer *transfer);

/* Takes over what @answer said; @problem (NULL: none) says what is wrong with a body.
 * 0; or -ENOMEM, and it may have said more. */
int transfer_note_answer(struct transfer *transfer, enum stage stage,
			 const struct http_answer *answer, const char *problem);
/* Why it failed last, as the metrics have it. */
enum tally_reason transfer_reason(const struct transfer *transfer);
/* The verdict on what was noted. */
enum verdict transfer_judge(const struct transfer *transfer, enum transport transport);

/* Forgets the grant: it was for another content, or is of no use any more. */
void transfer_drop_grant(struct transfer *transfer);

/* Its row for the ledger, and the end of that row. */
struct ledger_row transfer_row(const struct transfer *transfer, enum ledger_state state);
void transfer_drop_row(struct transfer *transfer);

/* The host of the grant, as health_storage() has it. */
unsigned transfer_storage(const struct transfer *transfer);

/* @index is an enum health_part, or of health_storage(). What went wrong is what was
 * noted. */
void transfer_report_failure(struct transfer *transfer, unsigned index,
			     usec_t retry_after);
void transfer_report_works(struct transfer *transfer, unsigned index);

/* From now on it asks nobody but the disk: another may start. */
void transfer_leave_slot(struct transfer *transfer);
/* It has one again, if it left it. */
void transfer_take_slot(struct transfer *transfer);

/* ---- ends ---- */

void transfer_finish(struct transfer *transfer, enum transfer_end how);
/* May go on to ask the service @index. Else it is to be paused. */
bool transfer_may_ask(struct transfer *transfer, unsigned index);
/* Back to the queue, with the grant if there is one. */
void transfer_pause(struct transfer *transfer);
/* There is nothing to do, and nothing to remember. */
void transfer_idle(struct transfer *transfer);
/* The same, to be started again from its beginning before the others. */
void transfer_restart(struct transfer *transfer);
void transfer_later(struct transfer *transfer, usec_t delay);
/* Out of memory or descriptors, as @error says. */
void transfer_short(struct transfer *transfer, int error);
/* Paused until the disk of its spool, which must be one of the configuration, can be
 * written; @what ("writing the sidecar") was being done. */
void transfer_disk_failed(struct transfer *transfer, int error, const char *what);
/* Paused until the ledger takes records; @what ("recording the upload") was being done.
 */
void transfer_record_failed(struct transfer *transfer, int error, const char *what);
/* It can't be moved to DoneDirectory: -EXDEV: that is on another filesystem; -ENOTDIR: no
 * directory. Waits, with all files of its own directory, and says so once. */
void transfer_hold(struct transfer *transfer, int error);
/* Until when (monotonic) the files of @directory wait after one has found at @now or
 * before that they can't be moved: until it has looked again. 0: they don't wait. */
usec_t transfer_held_until(const struct spool_directory *directory, usec_t now);
/* Waits so long. False: it need not wait. */
bool transfer_stay_held(struct transfer *transfer);
/* It can. */
void transfer_release(struct transfer *transfer);
