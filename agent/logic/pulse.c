#include "pulse.h"
#include "macro.h"

usec_t pulse_step(struct pulse *pulse, usec_t now)
{
	usec_t step = pulse->looked > 0 ? usec_sub(now, pulse->looked) : 0;

	pulse->looked = now;
	return MIN(step, 2 * PULSE_INTERVAL);
}

usec_t pulse_note(struct pulse_mark *mark, uint64_t count, usec_t step)
{
	mark->rest = count == mark->count ? usec_add(mark->rest, step) : 0;
	mark->count = count;
	return mark->rest;
}

enum pulse_state pulse_judge(struct pulse *pulse, const struct pulse_sight *sight,
			     usec_t step, usec_t limit)
{
	usec_t waiting = pulse_note(&pulse->starts, sight->starts, step);

	if (!sight->due)
		pulse->starts.rest = waiting = 0;
	if (waiting >= limit || sight->resting >= limit)
		return PULSE_STUCK;
	return sight->recording >= limit ? PULSE_DISK : PULSE_BEATS;
}
