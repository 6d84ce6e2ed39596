#pragma once

/*
 * Farewell: whether a stop waits for an upload that is under way.
 *
 * One that is cut starts again from its first byte with the next start, so it is waited
 * for while it moves and would end in time; one that has too much left for that is cut at
 * once, rather than after a wait for nothing. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

#define FAREWELL_GRACE	 (10 * USEC_PER_SEC) /* for what does not visibly move */
#define FAREWELL_CEILING (2 * USEC_PER_MINUTE)
#define FAREWELL_LOOK	 USEC_PER_SEC	    /* between two looks */
#define FAREWELL_SAMPLE	 (2 * USEC_PER_SEC) /* a rate is not known in less */

/* One upload. Zero: nothing of its body has gone out. Instants are monotonic. */
struct farewell {
	uint64_t size, sent; /* bytes, now */
	usec_t since;	     /* when its first byte went */
	uint64_t sent_at_stop;
	uint64_t sent_before; /* at the last look at which it had moved... */
	usec_t moved;	      /* ...and when that was */
};

/* The first look, at the stop. */
void farewell_begin(struct farewell *farewell, uint64_t size, uint64_t sent, usec_t since,
		    usec_t now);

/* A later one. */
void farewell_note(struct farewell *farewell, uint64_t sent, usec_t now);

/* How long it will take by how fast it was; USEC_INFINITY: nobody knows. @stopped is when
 * the stop was. */
usec_t farewell_left(const struct farewell *farewell, usec_t stopped, usec_t now);

/* Whether to wait on, @deadline being the end of all waits. */
bool farewell_waits(const struct farewell *farewell, usec_t stopped, usec_t deadline,
		    usec_t now);
