#pragma once

/*
 * Agent: everything together on one event loop, from start to stop.
 */

#include "config.h"

enum agent_mode {
	AGENT_RUN,   /* until SIGTERM or SIGINT */
	AGENT_DRAIN, /* until everything that is due has been tried */
};

/* Before anything else is done, as a signal may come at any time: those that the agent
 * knows wait until it runs, the rest is ignored. 0 or a negative errno. */
int agent_block_signals(enum agent_mode mode);

/* Runs it. @config is taken over; it is read again from @file (NULL: the default) at each
 * SIGHUP, but by a drain. Returns the exit status: 0, or 1: it could not start, broke
 * down, or (drain) not every file was uploaded. */
int agent_run(struct config *config, const char *file, enum agent_mode mode);
