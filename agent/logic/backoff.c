#include <assert.h>

#include "backoff.h"
#include "macro.h"

static usec_t ceiling(const struct backoff *b, unsigned failures)
{
	unsigned doublings = failures - 1;

	/* Shifting back tells whether the shift lost bits. */
	if (doublings >= 64 || (b->initial << doublings) >> doublings != b->initial)
		return b->max;
	return MIN(b->initial << doublings, b->max);
}

usec_t backoff_delay(const struct backoff *b, unsigned failures, uint64_t draw)
{
	unsigned __int128 spread;

	assert(b->initial > 0 && b->max >= b->initial && failures >= 1);

	/* The high half of the product scales without modulo's bias. */
	spread = (unsigned __int128)ceiling(b, failures) + 1;
	return (usec_t)((draw * spread) >> 64);
}
