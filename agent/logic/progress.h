#pragma once

/*
 * Progress: how far a drain is, in one line, and what came of it, in the same words
 * wherever that is told. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

struct progress_counts {
	uint64_t uploaded, bytes; /* done with */
	uint64_t sent;		  /* bytes of those that are on their way */
	uint64_t given_up;	  /* with an error sidecar */
	uint64_t passed_over;	  /* told of, and due as before */
	uint64_t left;		  /* on their way, or waiting */
	bool more;		  /* and others that were not looked at yet */
};

/* How fast it goes. */
struct progress {
	usec_t started;
	usec_t mark_at;
	uint64_t mark_bytes; /* at mark_at */
	uint64_t rate;	     /* bytes per second over the last seconds */
};

void progress_init(struct progress *progress, usec_t now);

/* So many bytes have gone out by @now. */
void progress_note(struct progress *progress, uint64_t bytes, usec_t now);

/* "12 of 40+ files, 3.4 MiB, 1.2 MiB/s; given up 2; the API is away"; @trouble may be
 * NULL. The caller frees it. NULL: out of memory. */
char *progress_line(const struct progress *progress, const struct progress_counts *counts,
		    const char *trouble);

/* "Uploaded 12 files, 3.4 MiB in 2.1s, 1.6 MiB/s; given up 1; left waiting 5: WHY."
 * @why may be NULL. The caller frees it. NULL: out of memory. */
char *progress_summary(const struct progress *progress,
		       const struct progress_counts *counts, const char *why, usec_t now);
