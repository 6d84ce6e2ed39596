#pragma once

/*
 * Slots: how many files may be on their way at once: as many as are configured, or fewer
 * for a while after this machine had no memory or descriptors for so many. Pure: `now` is
 * monotonic.
 */

#include <stdbool.h>
#include <stddef.h>

#include "clock.h"

#define SLOTS_DELAY (10 * USEC_PER_SEC) /* one more, so long after a shortage */

struct slots {
	size_t max;   /* that are configured, >= 1 */
	size_t count; /* that there are, 1 to max */
	usec_t at;    /* when one more is tried; 0: there was enough for all */
};

/* From now on so many are configured (>= 1). What a shortage has taken is still missing.
 * Zero to begin with. */
void slots_configure(struct slots *slots, size_t max);

/* There was not enough for @moving files (>= 1). True: the first time in a while, which
 * is to be told. */
bool slots_shrink(struct slots *slots, size_t moving, usec_t now);

/* How many there are at @now. */
size_t slots_at(struct slots *slots, usec_t now);
