#pragma once

/*
 * Item: where one file stands on its way.
 *
 *	settling ──> ready ──> moving ──> (gone)
 *	    ^          ^ ^        │
 *	    │          │ └─paused─┤
 *	    │        waiting <────┘ failed
 *	    └── an event: look again
 *
 * item_move() is the one function that assigns a state; a step that the picture does not
 * show is a bug and ends the process. What happens inside `moving` (ask, send, record,
 * sidecar, disposal) is the transfer's own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "clock.h"

enum item_state {
	ITEM_NEW,
	ITEM_SETTLING, /* until `at`: its writer may not be done */
	ITEM_READY,    /* for a free slot */
	ITEM_MOVING,   /* has a slot */
	ITEM_WAITING,  /* until `at`: it failed by its own fault */
	ITEM_GONE,
	ITEM_STATES
};

enum item_size {
	ITEM_SMALL,
	ITEM_LARGE, /* its body is on its way for long */
	ITEM_SIZES
};

struct item {
	enum item_state state;
	unsigned attempts; /* that failed by its own fault, in a row */
	unsigned lane;	   /* which queue it is ready in; the owner's, while it is not */
	enum item_size size; /* likewise */
	bool stirred;	     /* an event came while it was moving: look again after */
	bool unfinished;     /* its row in the ledger does for its place */
	usec_t at;
	/* What it is called: an opaque place and a name, both the owner's. */
	const void *place;
	const char *name;
	/* With whose it is counted: opaque, and changed by schedule_rename() alone. */
	const void *owner;
	/* The schedule's. */
	struct schedule_group *group;
	bool moves_large; /* it was large when it got its slot, and is not sent yet */
	size_t heap_index;
	TAILQ_ENTRY(item) ready;
};

const char *item_state_name(enum item_state state);

/* From @item's state to @state. */
void item_move(struct item *item, enum item_state state);
