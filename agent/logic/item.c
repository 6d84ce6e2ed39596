#include <assert.h>

#include "item.h"
#include "log.h"

#define TO(state) (1U << (state))

static const struct {
	const char *name;
	unsigned next;
} states[ITEM_STATES] = {
	[ITEM_NEW] = { "new", TO(ITEM_SETTLING) | TO(ITEM_READY) | TO(ITEM_WAITING) |
				      TO(ITEM_GONE) },
	[ITEM_SETTLING] = { "settling", TO(ITEM_READY) | TO(ITEM_GONE) },
	[ITEM_READY] = { "ready", TO(ITEM_MOVING) | TO(ITEM_GONE) },
	[ITEM_MOVING] = { "moving", TO(ITEM_SETTLING) | TO(ITEM_READY) |
					    TO(ITEM_WAITING) | TO(ITEM_GONE) },
	[ITEM_WAITING] = { "waiting",
			   TO(ITEM_SETTLING) | TO(ITEM_READY) | TO(ITEM_GONE) },
	[ITEM_GONE] = { "gone", 0 },
};

const char *item_state_name(enum item_state state)
{
	return states[state].name;
}

void item_move(struct item *item, enum item_state state)
{
	log_debug("%s: %s -> %s", item->name, states[item->state].name,
		  states[state].name);
	assert(states[item->state].next & TO(state));
	item->state = state;
}
