#pragma once

/*
 * Slots: how many files may be on their way at once: as many as are configured, or fewer
 * for a while after this machine had no memory or descriptors for so many. Pure: `now` is
 * monotonic.
 *
 * Large files keep theirs for long, so they never get all of them: of two or more, a
 * quarter (at least one) is for small ones alone, whose wait is short thereby. Nor do
 * small ones, however many come, get all: after SLOTS_SMALL_MAX of them at the latest it
 * is the turn of a large one, until as many are moving as small ones have for themselves.
 * Else small ones go first. Turns also count where something else than slots is scarce,
 * such as the requests that may be made.
 */

#include <stdbool.h>
#include <stddef.h>

#include "clock.h"

#define SLOTS_DELAY	(10 * USEC_PER_SEC) /* one more, so long after a shortage */
#define SLOTS_SMALL_MAX 4		    /* in a row, while large ones wait */

struct slots {
	size_t max;	/* that are configured, >= 1 */
	size_t count;	/* that there are, 1 to max */
	usec_t at;	/* when one more is tried; 0: there was enough for all */
	unsigned small; /* that started since a large one did */
};

/* To whom a free slot is given. */
enum slots_turn {
	SLOTS_SMALL_ONLY,
	SLOTS_SMALL_FIRST, /* to a large one where there is no small one */
	SLOTS_LARGE_FIRST, /* the other way round */
};

/* From now on so many are configured (>= 1). What a shortage has taken is still missing.
 * Zero to begin with. */
void slots_configure(struct slots *slots, size_t max);

/* There was not enough for @moving files (>= 1), of which so many are sent and only
 * @recording. True: the first time in a while, which is to be told. */
bool slots_shrink(struct slots *slots, size_t moving, size_t recording, usec_t now);

/* How many there are at @now. */
size_t slots_at(struct slots *slots, usec_t now);

/* Whose turn it is, while so many @large ones are moving and a slot is free. */
enum slots_turn slots_turn(const struct slots *slots, size_t large);

/* One has got a slot. */
void slots_started(struct slots *slots, bool large);
