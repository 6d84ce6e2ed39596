#pragma once

/*
 * Explain: `asset-agent explain FILE`: why this file is, or is not, uploaded, and what
 * happens next.
 */

#include "command.h"

/* EXIT_SUCCESS; EXIT_FAILURE: there is no such file, and nothing is known of it; or that
 * of command_load_config(). */
int explain_command(const struct command_line *line);
