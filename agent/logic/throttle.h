#pragma once

/*
 * Throttle: a ceiling on bytes per second, for all that share it.
 *
 * Bytes are handed out in slices, and each is paid for by the time that it takes at the
 * rate: the next slice is there when the last one is paid. Time that went unused although
 * somebody had bytes to send is kept, so that neither a late timer nor a machine that was
 * busy elsewhere loses any; of time in which nobody had, next to none is, so that nobody
 * begins with a burst. Pure: `now` is monotonic.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define THROTTLE_SLICE	   (20 * USEC_PER_MSEC)	 /* bytes of so long at once... */
#define THROTTLE_SLICE_MIN ((uint64_t)1024)	 /* ...but so many at the least */
#define THROTTLE_CREDIT	   (800 * USEC_PER_MSEC) /* unused time that is kept... */
#define THROTTLE_IDLE	   (100 * USEC_PER_MSEC) /* ...and of idle time */

struct throttle {
	uint64_t rate;	/* bytes per second, > 0; UINT64_MAX: no ceiling */
	usec_t paid_at; /* 0 to begin with */
	uint64_t rest;	/* of the division that led to it */
};

/* From @now on it has that rate (> 0): what is not paid yet is paid at that. */
void throttle_configure(struct throttle *t, uint64_t rate, usec_t now);

/* Whether there is no ceiling. */
bool throttle_is_open(const struct throttle *t);

/* From @now on somebody has bytes to send, and nobody had before. */
void throttle_wake(struct throttle *t, usec_t now);

/* When the next slice is there: @now or earlier means at once. */
usec_t throttle_next(const struct throttle *t, usec_t now);

/* Takes up to @want bytes, as many as may go now. 0: none before throttle_next(). */
uint64_t throttle_take(struct throttle *t, usec_t now, uint64_t want);
