#pragma once

/*
 * Status: `asset-agent status [--json] [--watch]`: what the running agent is doing, or
 * that none runs, and what is unfinished then.
 */

#include "command.h"

/* EXIT_SUCCESS: it runs; EXIT_FAILURE: it does not, or it can't be told; EXIT_USAGE; or
 * that of command_load_config(). */
int status_command(const struct command_line *line);
