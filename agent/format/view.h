#pragma once

/*
 * View: a snapshot of the agent in words, for people: on a terminal of so many columns
 * and rows, or in a file. Pure.
 */

#include "snapshot.h"

struct view {
	size_t columns; /* no line is wider; 0: as wide as it gets, nothing is cut */
	size_t rows;	/* nor are there more lines; 0: as many as it takes */
	bool colours;
};

/* @now is of the real-time clock. The caller frees the lines. NULL: out of memory. */
char *view_format(const struct snapshot *snapshot, const struct view *view, usec_t now);
