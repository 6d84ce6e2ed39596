#pragma once

/*
 * Ledger-look: what the ledger knows of a file, seen from beside the agent, which may be
 * running: nothing is written, and nobody waits.
 */

#include <sys/types.h>

#include "ledger.h"

/* Who holds the ledger in @directory: a process id; 0: nobody; or a negative errno. */
pid_t ledger_holder(const char *directory);

/* Calls @row for each row of the file @name in @path, as last committed. 0; -ENOENT:
 * there is no ledger; -EACCES: it may not be read; -EPROTO: it is of another schema; what
 * a negative @row returned; or another negative errno. */
int ledger_look(const char *directory, const char *path, const char *name,
		ledger_row_fn row, void *userdata);

/* How many rows of each state there are (index: ledger_state), as last committed. Fails
 * as ledger_look() does. */
int ledger_look_counts(const char *directory, uint64_t counts[static 4]);
