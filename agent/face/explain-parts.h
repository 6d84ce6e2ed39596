#pragma once

/*
 * Explain-parts: what `explain` finds out of a file, a file a part. Each says what it
 * found in sentences; what happens next, the first part says that knows.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "check-user.h"
#include "config.h"
#include "ledger-look.h"
#include "screen.h"
#include "sidecar.h"
#include "snapshot.h"

struct explain {
	const struct config *config;
	struct screen screen;
	struct check_user user; /* who the agent runs as */

	/* The file: its directory's true path, no link in it, and its name. */
	char *directory, *name;
	bool hidden; /* we may not look into the directory */
	bool exists; /* then there is the last look at it */
	struct stat st;
	const struct config_spool *spool; /* that it is in; NULL: none */
	char *known_as; /* its path as the agent knows it, which may lead through links */
	bool may_be_due; /* by where, what and how large it is, and by its name */
	bool current;	 /* a sidecar speaks of it as it is */
	bool known;	 /* something is known of it */

	/* The agent. */
	pid_t agent; /* 0: it does not run; negative: that can't be seen */
	bool has_live;
	struct snapshot live; /* what it says of itself */
	const struct snapshot_transfer *moving;

	char *next; /* what happens next; NULL: nobody has said yet */
};

/* What happens next, unless that was said before. */
void explain_next(struct explain *e, const char *format, ...) _printf_(2, 3);

/* In which spool, if any; which kind of file; may it be read; is it ignored, too large?
 */
void explain_place(struct explain *e);

/* What its sidecars say. */
void explain_sidecars(struct explain *e);

/* Who is writing it. */
void explain_writers(struct explain *e);

/* Finds the agent, and what it says of itself. Says nothing. */
void explain_find_agent(struct explain *e);
/* What the agent is doing about it, or what it waits for. */
void explain_live(struct explain *e);
/* What the ledger has of it. */
void explain_ledger(struct explain *e);

/* What the journal says of it. */
void explain_past(struct explain *e);
