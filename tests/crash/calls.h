#pragma once

/*
 * Calls: the agent killed at each of its system calls that leave a trace, one after the
 * other.
 *
 * A fixed set of files lies in the spools. killer.c kills the agent at the entry of the
 * n-th such call; a new start, which nobody disturbs, must bring everything to its end;
 * then the disk and the service's record are looked at. So for n = 1, 2, 3, ... until a
 * run gets through, its stop included.
 *
 * What this can't show: a SIGKILL leaves the page cache as it is, so a sync that was
 * forgotten goes unnoticed; only a loss of power would tell. Nor are the writes of SQLite
 * to its memory-mapped index calls at which to kill.
 */

struct calls_plan {
	unsigned at_once;    /* files that the agent uploads; with 1, the n-th call is
				much the same in each run */
	unsigned recoveries; /* starts after the first kill that may be killed as well, at
				a moment that depends on n */
};

/* A cmocka test; prints the figures. Works in memory unless $TMPDIR is set. */
void calls_try_each(void **state, const struct calls_plan *plan);
/* Its teardown; where it failed, prints what the runs of the last world were. */
int calls_teardown(void **state);
