#include <assert.h>

#include "bucket.h"
#include "macro.h"

usec_t bucket_next(const struct bucket *b, usec_t now)
{
	usec_t ahead;

	assert(b->burst >= 1);

	/* One fewer than the burst: the one that asks needs room too. */
	if (__builtin_mul_overflow(b->burst - 1, b->interval, &ahead))
		ahead = USEC_INFINITY;
	return MAX(now, usec_sub(b->full_at, ahead));
}

void bucket_take(struct bucket *b, usec_t now)
{
	if (b->interval == 0)
		return;
	b->full_at = usec_add(MAX(b->full_at, now), b->interval);
}

void bucket_return(struct bucket *b)
{
	b->full_at = usec_sub(b->full_at, b->interval);
}
