#include "farewell.h"

void farewell_begin(struct farewell *f, uint64_t size, uint64_t sent, usec_t since,
		    usec_t now)
{
	*f = (struct farewell){
		.size = size,
		.sent = sent,
		.since = since,
		.sent_at_stop = sent,
		.sent_before = sent,
		.moved = now,
	};
}

void farewell_note(struct farewell *f, uint64_t sent, usec_t now)
{
	f->sent = sent;
	if (sent == f->sent_before)
		return;
	f->sent_before = sent;
	f->moved = now;
}

/* Since the stop it goes at another rate than before, as others were cut; but that is
 * known only after a while. */
usec_t farewell_left(const struct farewell *f, usec_t stopped, usec_t now)
{
	bool is_late = now >= usec_add(stopped, FAREWELL_SAMPLE) && f->since < stopped;
	usec_t elapsed = usec_sub(now, is_late ? stopped : f->since);
	uint64_t sent = f->sent - (is_late ? f->sent_at_stop : 0);
	unsigned __int128 left;

	if (f->sent >= f->size)
		return 0;
	if (sent == 0 || elapsed < FAREWELL_SAMPLE)
		return USEC_INFINITY;
	left = (unsigned __int128)(f->size - f->sent) * elapsed / sent;
	return left < USEC_INFINITY ? (usec_t)left : USEC_INFINITY;
}

bool farewell_waits(const struct farewell *f, usec_t stopped, usec_t deadline, usec_t now)
{
	usec_t left = farewell_left(f, stopped, now);

	if (now >= deadline || now >= usec_add(f->moved, FAREWELL_GRACE))
		return false;
	return left == USEC_INFINITY || usec_add(now, left) <= deadline;
}
