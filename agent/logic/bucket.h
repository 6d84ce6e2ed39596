#pragma once

/*
 * Bucket: a ceiling on the rate of something, as a token bucket.
 *
 * It is kept as one instant, the virtual time at which the bucket would be full again
 * (the "generic cell rate algorithm" of ITU-T I.371, annex A), so nothing has to tick.
 */

#include <stdint.h>

#include "clock.h"

struct bucket {
	usec_t interval; /* between two, in the long run; 0: no ceiling */
	uint64_t burst;	 /* that many at once from a full bucket, >= 1 */
	usec_t full_at;	 /* 0 to begin with */
};

/* When the next one may go: @now or earlier means at once. */
usec_t bucket_next(const struct bucket *b, usec_t now);

/* Counts one that goes at @now, which bucket_next() allowed. */
void bucket_take(struct bucket *b, usec_t now);

/* From @now on it has that interval and burst. What went lately still counts. */
void bucket_configure(struct bucket *b, usec_t interval, uint64_t burst, usec_t now);

/* One that was counted did not go. */
void bucket_return(struct bucket *b);
