#include "slots.h"
#include "macro.h"

void slots_configure(struct slots *s, size_t max)
{
	s->max = max;
	if (s->at == 0 || s->count >= max) {
		s->count = max;
		s->at = 0;
	}
}

/* More may be moving than there are slots, where there were more when they started. Those
 * that are recorded have no slot any more: counted, they would let nothing shrink. */
bool slots_shrink(struct slots *s, size_t moving, size_t recording, usec_t now)
{
	size_t held = moving - MIN(moving, recording);
	bool is_first = s->at == 0;

	s->count = MIN(s->count, MAX(held, (size_t)2) - 1);
	s->at = usec_add(now, SLOTS_DELAY);
	return is_first;
}

size_t slots_at(struct slots *s, usec_t now)
{
	if (s->at == 0 || s->at > now)
		return s->count;
	s->count = MIN(s->count + 1, s->max);
	s->at = s->count < s->max ? usec_add(now, SLOTS_DELAY) : 0;
	return s->count;
}

enum slots_turn slots_turn(const struct slots *s, size_t large)
{
	size_t apart = s->count < 2 ? 0 : MAX(s->count / 4, (size_t)1);

	if (large >= s->count - apart)
		return SLOTS_SMALL_ONLY;
	if (large < MAX(apart, (size_t)1) && s->small >= SLOTS_SMALL_MAX)
		return SLOTS_LARGE_FIRST;
	return SLOTS_SMALL_FIRST;
}

void slots_started(struct slots *s, bool large)
{
	s->small = large ? 0 : MIN(s->small + 1, (unsigned)SLOTS_SMALL_MAX);
}
