#pragma once

/*
 * Schedule: the files that the agent has in mind, at most SCHEDULE_MAX of them however
 * many lie in the spools, and which is next.
 *
 * It knows each item by (place, name), keeps those that wait for a time in a heap and
 * those that wait for a slot in queues, and counts them by state. It owns no item. Pure:
 * `now` comes in as a parameter.
 *
 * There is a queue for each lane: items of one lane can go or have to wait together, for
 * the same things, so that none stands in the way of those of another.
 */

#include "item.h"

#define SCHEDULE_MAX   4096
#define SCHEDULE_LANES 32

TAILQ_HEAD(item_queue, item);

struct schedule {
	struct item **heap; /* SETTLING and WAITING, the earliest first */
	size_t heap_size;
	struct item_queue ready[SCHEDULE_LANES];
	void *index; /* tsearch(3), by place and name */
	size_t counts[ITEM_STATES];
	size_t size; /* items in it */
};

/* 0 or -ENOMEM. */
int schedule_init(struct schedule *schedule);

/* Forgets all items, which are the caller's: @release (may be NULL) is called for each.
 */
void schedule_done(struct schedule *schedule, void (*release)(struct item *item));

/* The item of that place and name, or NULL. */
struct item *schedule_find(const struct schedule *schedule, const void *place,
			   const char *name);

/* How many more fit. */
size_t schedule_room(const struct schedule *schedule);

/* Takes in a new item (ITEM_NEW, not yet known by its name), which then must be put into
 * a state by one of the following. 0; -ENOBUFS: full; -ENOMEM. */
int schedule_add(struct schedule *schedule, struct item *item);

/* @item waits until @at, in ITEM_SETTLING or ITEM_WAITING; where it is in that state
 * already, only the time changes. */
void schedule_wait(struct schedule *schedule, struct item *item, enum item_state state,
		   usec_t at);

/* @item waits for a slot, in the queue of its lane: behind all others, or (@first) before
 * them. */
void schedule_ready(struct schedule *schedule, struct item *item, bool first);

/* The next item of @lane for a free slot, still in ITEM_READY, or NULL. */
struct item *schedule_peek(struct schedule *schedule, unsigned lane);

/* @item, in ITEM_READY, gets a slot. */
void schedule_start(struct schedule *schedule, struct item *item);

/* @item is called by another place from now on, in whatever state it is. 0; -EEXIST: so
 * another one is called, and nothing has changed; -ENOMEM: it is known by no name any
 * more, and can only be removed. */
int schedule_rename(struct schedule *schedule, struct item *item, const void *place);

/* @item leaves, from whatever state. */
void schedule_remove(struct schedule *schedule, struct item *item);

/* Makes ready what was to wait until @now or earlier. Returns how many. */
size_t schedule_advance(struct schedule *schedule, usec_t now);

/* Calls @each for every item, in no order. It may not change the schedule. */
void schedule_each(const struct schedule *schedule,
		   void (*each)(void *userdata, const struct item *item), void *userdata);

/* When schedule_advance() has something to do; USEC_INFINITY: never. */
usec_t schedule_wake(const struct schedule *schedule);
