#pragma once

/*
 * Fate: what must have become of each dropped file in the end, whatever was killed on the
 * way there.
 *
 * A world of three spools, one for each AfterUpload=, with a service that refuses what is
 * larger than FATE_SIZE_LIMIT. Functions that wait or assert fail the test by cmocka, as
 * those of world.h do.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "world.h"

#define FATE_SIZE_LIMIT ((uint64_t)200 * 1000)

enum fate {
	FATE_KEPT,    /* where it was dropped, with its receipt */
	FATE_REFUSED, /* where it was dropped, with its error sidecar */
	FATE_DELETED, /* only its receipt is there */
	FATE_MOVED,   /* in the done directory, with its receipt */
};

struct fated {
	enum fate fate;
	char *dropped; /* where it was put */
	char *place;   /* where it and its sidecar belong in the end */
	char *copy;    /* the same bytes, where the agent does not come */
	uint64_t size;
	struct timespec modified;
	char *asset; /* what its receipt says, once fates_check() has read that */
};

/* Zeroed: none. */
struct fates {
	struct fated *list;
	size_t count;
	size_t strangers; /* files in the done directory that are none of these */
};

/* What fates_check() and orphans_check() have found; they add to what is there. */
struct findings {
	size_t files, sidecars;
	size_t lost;  /* files without a sidecar */
	size_t twice; /* files with more than one */
	size_t temporaries;
	size_t assets, orphans;
};

void findings_print(const struct findings *findings);

/* The next of a series of numbers that look random, the same for each seed. */
uint64_t fate_draw(uint64_t *seed);

/* A world with spools and service, and no agent yet, which will upload @at_once files at
 * a time. @w is zeroed. */
void fates_start(struct world *w, unsigned at_once);
void fates_done(struct fates *fates);

/* The path of @name in the spool of that fate, or of @w's done directory. The caller
 * frees it. */
char *fate_path(const struct world *w, enum fate fate, const char *name);
char *fate_done_path(const struct world *w, const char *name);

/* Drops a file whose bytes depend on @size and on how many came before. Returns the new
 * one, valid until the next. */
struct fated *fates_drop(struct world *w, struct fates *fates, enum fate fate,
			 const char *name, uint64_t size);

/* Waits until each file has come to its end. False: the agent has ended before. */
bool fates_wait(struct world *w, const struct fates *fates);

/* After the agent's end: each file has one sidecar of the right kind, which speaks of its
 * content and of an asset that holds the same bytes; a source is gone exactly where it
 * should be; there is no other file in any spool, but the temporary file of an error
 * sidecar for each of @kills at the most; and the ledger remembers nothing. */
void fates_check(struct world *w, struct fates *fates, size_t kills,
		 struct findings *findings);
