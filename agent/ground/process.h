#pragma once

/*
 * Process: which process a number means.
 *
 * Numbers are given anew; together with the time of its start, which never changes, one
 * tells a process for as long as the machine runs.
 */

#include <stdint.h>

/* When the process @pid started, in the unit of /proc/PID/stat (ticks since the boot),
 * never 0. 0; -ESRCH: there is none, or it has ended; or another negative errno: it can't
 * be told. */
int process_start(uint64_t pid, uint64_t *ret);
