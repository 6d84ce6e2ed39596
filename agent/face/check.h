#pragma once

/*
 * Check: `asset-agent check [--online]`: what is in force and where it comes from, and
 * what is in the way of uploads.
 */

#include "command.h"

/* EXIT_SUCCESS: nothing FAILED; EXIT_FAILURE; or that of command_load_config(). */
int check_command(const struct command_line *line);
