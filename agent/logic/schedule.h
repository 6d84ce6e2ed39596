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
 * the same things, so that none stands in the way of those of another. In a lane, the
 * large ones stand apart from the small, and those of each owner (a spool) from those of
 * the others: the owners take turns. And each owner has some places of its own, so that
 * one that has a million files does not keep out the only one of another.
 */

#include "item.h"

#define SCHEDULE_MAX	 4096
#define SCHEDULE_LANES	 32
#define SCHEDULE_OWN_MAX 64		    /* places of one owner's own */
#define SCHEDULE_OLD_MAX (SCHEDULE_MAX / 4) /* for what is unfinished */

TAILQ_HEAD(item_queue, item);

/* The ready items of one owner, of a lane and a size. */
struct schedule_queue {
	struct item_queue items;
	TAILQ_ENTRY(schedule_queue) turn; /* while there are any */
};

struct schedule_group {
	const void *owner;
	size_t size;  /* items, in all states */
	bool starved; /* one found no room since schedule_feed() */
	struct schedule_queue queues[SCHEDULE_LANES][ITEM_SIZES];
	LIST_ENTRY(schedule_group) link;
};

struct schedule {
	struct item **heap; /* SETTLING and WAITING, the earliest first */
	size_t heap_size;
	/* Whose turn it is: the next one first. */
	TAILQ_HEAD(schedule_turns, schedule_queue) turns[SCHEDULE_LANES][ITEM_SIZES];
	void *index; /* tsearch(3), by place and name */
	size_t counts[ITEM_STATES];
	size_t size;	     /* items in it */
	size_t unfinished;   /* of which so many are */
	size_t moving_large; /* of those in ITEM_MOVING, until they are sent */
	LIST_HEAD(, schedule_group) groups;
	size_t own;    /* places of each owner's own */
	size_t common; /* places for all, */
	size_t shared; /* of which so many are taken */
};

/* For one owner. 0 or -ENOMEM. */
int schedule_init(struct schedule *schedule);

/* Forgets all items, which are the caller's: @release (may be NULL) is called for each.
 */
void schedule_done(struct schedule *schedule, void (*release)(struct item *item));

/* From now on there are so many owners (>= 1, at most SCHEDULE_MAX / 4). */
void schedule_share(struct schedule *schedule, size_t owners);

/* The item of that place and name, or NULL. */
struct item *schedule_find(const struct schedule *schedule, const void *place,
			   const char *name);

/* How many more fit: of @owner; of any. */
size_t schedule_room_of(const struct schedule *schedule, const void *owner);
size_t schedule_room(const struct schedule *schedule);

/* Whether something of @owner found no room, and half of its own places are free now.
 * True once, until something finds no room again. */
bool schedule_feed(struct schedule *schedule, const void *owner);

/* How many more that are unfinished fit, of any owner. */
size_t schedule_room_unfinished(const struct schedule *schedule);

/* @item, in whatever state, is unfinished from now on. False: there are as many as may
 * be, and nothing has changed. */
bool schedule_set_unfinished(struct schedule *schedule, struct item *item);

/* Whether it is full and somebody holds places of another's own, who may find no room: of
 * a time when there were fewer owners. Of those that leave, each makes room for one of
 * such another's. */
bool schedule_is_overdrawn(const struct schedule *schedule);

/* Takes in a new item (ITEM_NEW, not yet known by its name), which then must be put into
 * a state by one of the following. 0; -ENOBUFS: no room for its owner's, or for one that
 * is unfinished; -ENOMEM. */
int schedule_add(struct schedule *schedule, struct item *item);

/* @item waits until @at, in ITEM_SETTLING or ITEM_WAITING; where it is in that state
 * already, only the time changes. */
void schedule_wait(struct schedule *schedule, struct item *item, enum item_state state,
		   usec_t at);

/* @item waits for a slot, in the queue of its lane and size: behind all others of its
 * owner, or (@first) before them, and its owner before the others. */
void schedule_ready(struct schedule *schedule, struct item *item, bool first);

/* The next item of @lane and @size for a free slot, still in ITEM_READY, or NULL. */
struct item *schedule_peek(struct schedule *schedule, unsigned lane, enum item_size size);

/* The same, of the owner whose turn comes after that of @item, which is such a one. */
struct item *schedule_peek_after(const struct item *item);

/* Whether any of the owner of @item is in ITEM_READY in @lane. */
bool schedule_has_ready(const struct item *item, unsigned lane);

/* One of those of @lane that @suits, or NULL: there is none. */
struct item *schedule_search(struct schedule *schedule, unsigned lane,
			     bool (*suits)(const struct item *item));

/* @item, in ITEM_READY, gets a slot. Then it is the others' turn. */
void schedule_start(struct schedule *schedule, struct item *item);

/* @item, in ITEM_MOVING, has no body to be sent any more: if it was large, it does not
 * count as such. */
void schedule_lighten(struct schedule *schedule, struct item *item);

/* @item is called by another place from now on, and is @owner's, in whatever state it is.
 * 0; -EEXIST: so another one is called, and nothing has changed; -ENOMEM: likewise, or it
 * is known by no name any more, and can only be removed. */
int schedule_rename(struct schedule *schedule, struct item *item, const void *place,
		    const void *owner);

/* @item leaves, from whatever state. */
void schedule_remove(struct schedule *schedule, struct item *item);

/* One that was to wait until @now or earlier, the earliest first, or NULL. It is to be
 * made ready, or to wait for longer. */
struct item *schedule_due(struct schedule *schedule, usec_t now);

/* Calls @each for every item, in no order. It may not change the schedule. */
void schedule_each(const struct schedule *schedule,
		   void (*each)(void *userdata, const struct item *item), void *userdata);

/* When schedule_due() has something; USEC_INFINITY: never. */
usec_t schedule_wake(const struct schedule *schedule);
