#pragma once

/*
 * Watchdog: feeds the service manager's, while the loop turns and waiting work either
 * moves or has a reason not to that is told (pulse.h). Else it says what is stuck and
 * feeds it no more, and the agent is started anew.
 *
 * It looks once in PULSE_INTERVAL while there is work, and never while there is none.
 */

#include <systemd/sd-event.h>

#include "uploader.h"

struct watchdog;

/* @uploader must outlive it; @state_directory is for messages, and copied. 0 or a
 * negative errno. */
int watchdog_new(sd_event *event, struct uploader *uploader, const char *state_directory,
		 struct watchdog **ret);
void watchdog_free(struct watchdog *watchdog);

/* There may be work. Called often. NULL is nothing. */
void watchdog_changed(struct watchdog *watchdog);
