#pragma once

/*
 * History: what the journal says of a file.
 */

#include <stddef.h>

#include "clock.h"

#define HISTORY_MAX 5 /* entries, the last ones */

struct history_entry {
	usec_t at;	/* real time */
	char *message;	/* any bytes, as those below; owned */
	char *asset_id; /* NULL: none */
};

struct history {
	struct history_entry entries[HISTORY_MAX]; /* the oldest first */
	size_t count;
};

/* The last entries of asset-agent about @file, a whole path. 0, and the caller releases
 * *@ret (history_done); -ENOENT: there is no journal on this machine; -EACCES: it may not
 * be read; or another negative errno. */
int history_read(const char *file, struct history *ret);
void history_done(struct history *history);
