#include "throttle.h"
#include "macro.h"

static uint64_t slice(const struct throttle *t)
{
	return MAX(t->rate / (USEC_PER_SEC / THROTTLE_SLICE), THROTTLE_SLICE_MIN);
}

/* The remainder is carried on, so that no rate drifts. */
static void pay(struct throttle *t, usec_t now, uint64_t bytes)
{
	unsigned __int128 due = (unsigned __int128)bytes * USEC_PER_SEC + t->rest;

	t->paid_at = MAX(t->paid_at, usec_sub(now, THROTTLE_CREDIT));
	t->paid_at = usec_add(t->paid_at, (usec_t)(due / t->rate));
	t->rest = (uint64_t)(due % t->rate);
}

bool throttle_is_open(const struct throttle *t)
{
	return t->rate == UINT64_MAX;
}

void throttle_wake(struct throttle *t, usec_t now)
{
	t->paid_at = MAX(t->paid_at, usec_sub(now, THROTTLE_IDLE));
}

usec_t throttle_next(const struct throttle *t, usec_t now)
{
	return t->rate == UINT64_MAX ? now : MAX(now, t->paid_at);
}

uint64_t throttle_take(struct throttle *t, usec_t now, uint64_t want)
{
	uint64_t bytes = MIN(want, slice(t));

	if (t->rate == UINT64_MAX)
		return want;
	if (t->paid_at > now)
		return 0;
	pay(t, now, bytes);
	return bytes;
}

void throttle_configure(struct throttle *t, uint64_t rate, usec_t now)
{
	usec_t unpaid = usec_sub(t->paid_at, now);
	unsigned __int128 scaled = (unsigned __int128)unpaid * t->rate / rate;

	if (unpaid > 0)
		t->paid_at = scaled < USEC_INFINITY ? usec_add(now, (usec_t)scaled)
						    : USEC_INFINITY;
	t->rate = rate;
	t->rest = 0;
}
