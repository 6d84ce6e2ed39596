#pragma once

/*
 * Uploader-pulse: what there is to see of the uploader's pulse (pulse.h).
 */

#include "pulse.h"
#include "uploader.h"

struct uploader_sight {
	struct pulse_sight pulse;
	const char *due; /* a phrase: what could be done and is not; NULL: nothing */
	/* Those that rest, or wait for a record, for the longest; NULL: none does. */
	const struct transfer *resting, *recording;
};

/* Adds @step to the rest of what has not moved since the last look. */
void uploader_look(struct uploader *uploader, usec_t step, struct uploader_sight *ret);

/* Longer than any file may rest, by all timeouts that there are. */
usec_t uploader_patience(const struct uploader *uploader);
