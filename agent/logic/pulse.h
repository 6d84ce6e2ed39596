#pragma once

/*
 * Pulse: whether the agent still gets on with what it has to do. Its loop may turn for
 * ever and nothing come of it: a file that is ready and that nobody starts, a request
 * that no timeout ends. The service manager's watchdog is to end that, too.
 *
 * Each look adds the time since the last one to what rests, at most two intervals, so
 * that hours in which the machine was suspended are not taken for a standstill. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define PULSE_INTERVAL USEC_PER_MINUTE	     /* between two looks, while there is work */
#define PULSE_PATIENCE (5 * USEC_PER_MINUTE) /* besides all timeouts that there are */

/* Something that moves, or should: zero to begin with. */
struct pulse_mark {
	uint64_t count; /* of its steps and bytes: when that changes it has moved */
	usec_t rest;	/* for how long it has not */
};

enum pulse_state {
	PULSE_BEATS,
	PULSE_DISK,  /* but the disk does not take records: a reason, not a fault of ours
		      */
	PULSE_STUCK, /* something could go on and does not */
};

struct pulse {
	usec_t looked; /* monotonic: last; 0: not yet */
	struct pulse_mark starts;
};

/* What a look sees. */
struct pulse_sight {
	bool due;	  /* something could be started right now */
	uint64_t starts;  /* how often something was, ever */
	usec_t resting;	  /* the longest of what moves, but for records */
	usec_t recording; /* the longest that waits for a record */
};

/* How much is to be added to what rests. Called once a look. */
usec_t pulse_step(struct pulse *pulse, usec_t now);

/* Adds @step to the rest of what has not moved. Returns its rest. */
usec_t pulse_note(struct pulse_mark *mark, uint64_t count, usec_t step);

/* The verdict of a look; @limit is longer than anything may rest. */
enum pulse_state pulse_judge(struct pulse *pulse, const struct pulse_sight *sight,
			     usec_t step, usec_t limit);
