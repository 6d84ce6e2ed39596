#pragma once

/*
 * Agent: everything together on one event loop, from start to stop.
 */

#include "config.h"

enum agent_mode {
	AGENT_RUN,   /* until SIGTERM or SIGINT */
	AGENT_DRAIN, /* until everything that is due has been tried */
};

/* Runs it. Returns the exit status: 0, or 1: it could not start, broke down, or (drain)
 * not every file was uploaded. */
int agent_run(const struct config *config, enum agent_mode mode);
