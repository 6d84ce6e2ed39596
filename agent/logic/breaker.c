#include <assert.h>

#include "breaker.h"
#include "macro.h"

static void become(struct breaker *b, enum breaker_state state)
{
	static const bool LEGAL[3][3] = {
		[BREAKER_CLOSED] = { [BREAKER_OPEN] = true },
		[BREAKER_OPEN] = { [BREAKER_PROBING] = true },
		[BREAKER_PROBING] = { [BREAKER_OPEN] = true, [BREAKER_CLOSED] = true },
	};

	assert(LEGAL[b->state][state]);
	b->state = state;
}

/* On top, not the greater of the two: agents that were all told the same second must not
 * come back in the same second. */
static usec_t probe_time(const struct breaker *b, usec_t now, usec_t at_least,
			 uint64_t draw)
{
	return usec_add(now, usec_add(at_least,
				      backoff_delay(&b->backoff, b->failures, draw)));
}

static void open_until_probe(struct breaker *b, usec_t now, usec_t at_least,
			     uint64_t draw)
{
	b->failures++;
	b->next_probe = probe_time(b, now, at_least, draw);
	b->asked = at_least > 0 ? usec_add(now, at_least) : 0;
	become(b, BREAKER_OPEN);
}

static void keep_peace(struct breaker *b, usec_t now, usec_t at_least, uint64_t draw)
{
	b->next_probe = MAX(b->next_probe, probe_time(b, now, at_least, draw));
	b->asked = MAX(b->asked, usec_add(now, at_least));
}

usec_t breaker_next(const struct breaker *b, usec_t now)
{
	switch (b->state) {
	case BREAKER_CLOSED: return now;
	case BREAKER_OPEN: return b->next_probe;
	case BREAKER_PROBING: break;
	}
	return USEC_INFINITY;
}

bool breaker_start(struct breaker *b)
{
	if (b->state == BREAKER_CLOSED)
		return false;
	become(b, BREAKER_PROBING);
	return true;
}

enum breaker_change breaker_failed(struct breaker *b, bool probe, usec_t now,
				   usec_t at_least, uint64_t draw)
{
	if (probe) {
		open_until_probe(b, now, at_least, draw);
		return BREAKER_SAME;
	}
	if (b->state != BREAKER_CLOSED) {
		if (at_least > 0)
			keep_peace(b, now, at_least, draw);
		return BREAKER_SAME;
	}
	b->since = now;
	open_until_probe(b, now, at_least, draw);
	return BREAKER_OPENED;
}

enum breaker_change breaker_succeeded(struct breaker *b, bool probe)
{
	/* One that was let in before it opened says nothing about now: closing on its
	 * word would send everybody at a service that has just asked for peace. */
	if (!probe)
		return BREAKER_SAME;
	become(b, BREAKER_CLOSED);
	b->failures = 0;
	return BREAKER_CLOSED_AGAIN;
}

void breaker_hurry(struct breaker *b, usec_t now, bool renewed)
{
	if (renewed && b->state == BREAKER_PROBING)
		become(b, BREAKER_OPEN);
	if (renewed) {
		b->failures = 0;
		b->asked = 0;
	}
	if (b->state == BREAKER_OPEN)
		b->next_probe = MIN(b->next_probe, MAX(now, b->asked));
}

void breaker_abandoned(struct breaker *b, bool probe)
{
	if (probe)
		become(b, BREAKER_OPEN);
}
