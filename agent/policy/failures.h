#pragma once

/*
 * Failures: how loud the line of a file's failure is, so that 50,000 bad files leave a
 * journal that people can read.
 *
 * The first lines of a burst of like failures (fold.h) are written at their own level.
 * Each further one is still written, with all its fields, but one step down, where it
 * does not stand in the way: errors and warnings as LOG_INFO, what was LOG_INFO as
 * LOG_DEBUG. So `journalctl ASSET_FILE=` finds every file that was given up, while
 * `journalctl -p err` has some dozens of them and then one line with the count of the
 * others, at the level that they would have had. Uploads are not failures, and are never
 * folded. There is a timer only while there is something to tell.
 */

#include <systemd/sd-event.h>

#include "log.h"

struct failures;

int failures_new(sd_event *event, struct failures **ret);

/* Tells what is still to be told. NULL: nothing. */
void failures_free(struct failures *failures);

/* Does not wait for the ends of bursts. */
void failures_tell(struct failures *failures);

/* The level with which the caller is to write its line of @kind with @fields, one of:
 * LOG_GIVEN_UP, LOG_RETRYING, LOG_SIDECAR_FAILED, LOG_NOT_A_FILE. */
int failures_level(struct failures *failures, enum log_kind kind,
		   const struct log_fields *fields);
