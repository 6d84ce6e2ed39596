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

/* So many as could not have gone yet at the old rate have not gone yet at the new one. */
void bucket_configure(struct bucket *b, usec_t interval, uint64_t burst, usec_t now)
{
	usec_t ahead = usec_sub(b->full_at, now);
	uint64_t taken = b->interval > 0 ? ahead / b->interval + (ahead % b->interval > 0)
					 : 0;
	usec_t paid;

	assert(burst >= 1);
	if (__builtin_mul_overflow(MIN(taken, burst), interval, &paid))
		paid = USEC_INFINITY;
	*b = (struct bucket){
		.interval = interval,
		.burst = burst,
		.full_at = paid > 0 ? usec_add(now, paid) : 0,
	};
}

void bucket_return(struct bucket *b)
{
	b->full_at = usec_sub(b->full_at, b->interval);
}
