#pragma once

/*
 * Backoff: how long to wait before the next try.
 *
 * Exponential with full jitter: the wait before try N is drawn evenly from
 * [0, min(max, initial * 2^(N-1))], so that many agents that failed together
 * do not come back together. Pure: the draw comes in as a parameter.
 */

#include "clock.h"

struct backoff {
	usec_t initial; /* ceiling of the first wait, > 0 */
	usec_t max;	/* ceiling of every wait, >= initial */
};

/* The wait before the next try after @failures failures in a row (>= 1).
 * @draw is uniform over all of uint64_t. Never overflows. */
usec_t backoff_delay(const struct backoff *b, unsigned failures, uint64_t draw);
