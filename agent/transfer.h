#pragma once

/*
 * Transfer: one file's way from the spool to its sidecar.
 *
 *	take ─> ask ─> record the grant ─> send ─> record the upload ─> dispose
 *	                                                   give up ─> (error sidecar)
 *
 * A transfer that is paused or failed is kept with what it has (the grant, above all) and
 * started again from where that leads. The descriptor of the file is open only while it
 * moves. Whatever happens, `ended` is called once for each start.
 */

#include <stdbool.h>
#include <stdint.h>

#include "asset-api.h"
#include "config.h"
#include "content-url.h"
#include "health.h"
#include "http.h"
#include "intake.h"
#include "ledger.h"
#include "mime.h"
#include "spool.h"
#include "token.h"
#include "verdict.h"

enum transfer_end {
	TRANSFER_DONE,	  /* uploaded, recorded, its sidecar is written */
	TRANSFER_GAVE_UP, /* its error sidecar is written */
	TRANSFER_IDLE,	  /* nothing to do: its sidecar speaks of it, or it is no file */
	TRANSFER_LATER,	  /* its writer is not done: ask again at `again_at` */
	TRANSFER_PAUSED,  /* no fault of its own: start it when health allows */
	TRANSFER_FAILED,  /* its own fault: start it again at `again_at` */
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
	const struct mime *mime;
	struct http *http;
	struct token *token;
	struct ledger *ledger;
	struct health *health;
	/* How many files wait now, for messages. */
	size_t (*waiting)(void *userdata);
	/* Never from within transfer_start(). */
	void (*ended)(void *userdata, struct transfer *transfer, enum transfer_end end);
	void *userdata;
	bool stopping; /* nothing new is asked or sent; what was sent is recorded */
};

struct transfer {
	struct transfer_services *services;
	void *owner; /* the caller's */
	struct spool_directory *directory;
	char *name;
	enum transfer_step step;
	struct intake_glimpse *glimpse; /* the caller's */

	/* The content that is sent. */
	int fd;
	struct fs_identity identity;
	const char *content_type;
	char *own_type; /* content_type, where it came from the ledger */

	/* The grant: there while `id` is. */
	char *id;
	struct content_url url;
	char *raw_url;
	usec_t expires;	 /* monotonic */
	bool recorded;	 /* in the ledger */
	bool resumed;	 /* a body may have gone to the URL before */
	bool restored;	 /* from the ledger, after a restart */
	usec_t uploaded; /* real time; 0: not yet */

	/* This try. */
	struct http_request *request;
	struct token_waiter waiter;
	bool waits_for_token;
	uint64_t token_serial;
	bool reauthed, resigned;
	health_probes probes;
	usec_t started, again_at; /* monotonic */
	sd_event_source *step_source;

	/* All tries. */
	uint64_t serial; /* in the ledger; 0: no row */
	unsigned attempts;
	/* What went wrong last. */
	enum stage stage;
	int status;
	struct asset_error error;
};

/* Keeps a reference to @directory, copies @name. 0 or a negative errno. */
int transfer_new(sd_event *event, struct transfer_services *services,
		 struct spool_directory *directory, const char *name,
		 struct intake_glimpse *glimpse, void *owner, struct transfer **ret);

/* Only while it does not move. */
void transfer_free(struct transfer *transfer);

/* Takes over what a row of the ledger says: a grant, or an upload that lacks its end.
 * 0 or a negative errno. */
int transfer_restore(struct transfer *transfer, const struct ledger_row *row);

/* Bits of enum health_need, for where it stands. */
unsigned transfer_needs(const struct transfer *transfer);

/* Goes on; health allows it. */
void transfer_start(struct transfer *transfer);

/* Ends what can be ended at once: a request under way, a wait for a token; it is paused
 * then. A record under way is not cut short. */
void transfer_cancel(struct transfer *transfer);

/* Bytes of the body that went out until now; 0 when not sending. */
uint64_t transfer_sent(const struct transfer *transfer);

/* The file's whole path. The caller frees it. NULL: out of memory. */
char *transfer_path(const struct transfer *transfer);
