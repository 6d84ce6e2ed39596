#pragma once

/*
 * Report: what the agent tells of itself while it runs: STATUS= for the service manager,
 * status.json, and the file of metrics.
 *
 * They are told at most once a second while things change, once more when those have come
 * to rest, and then no more: an idle agent runs no timer for it. A file that can't
 * be written stops nothing: it is told once, and once when it can again.
 */

#include <systemd/sd-event.h>

#include "config.h"
#include "survey.h"
#include "tally.h"

struct report;

struct report_ops {
	/* Fills in whom to ask now. */
	void (*whom)(void *userdata, struct survey *ret);
	/* All of it has come to rest, and was told. */
	void (*rests)(void *userdata);
};

/* All must outlive it. 0 or a negative errno. */
int report_new(sd_event *event, const struct config *config, const struct tally *tally,
	       const struct report_ops *ops, void *userdata, struct report **ret);
void report_free(struct report *report);

/* Goes by @config from now on. A file of the old one that has another name now, or none,
 * goes; to be called before that configuration does. */
void report_configure(struct report *report, const struct config *config);

/* Something is new. May be called often. */
void report_changed(struct report *report);

/* Tells all of it now: the first time also that the agent is ready. */
void report_now(struct report *report);

/* The same, and once more that the agent is ready: the configuration was read again, and
 * is (@in_force) or was refused, which is told until one is. */
void report_ready(struct report *report, bool in_force);

/* The agent has ended, as it was to: the status file goes, the metrics tell so. */
void report_stopped(struct report *report);
