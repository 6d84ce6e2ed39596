#pragma once

/*
 * Reload-command: what the unit runs to reload (ExecReload=), and not for people: sends
 * SIGHUP to $MAINPID, and waits until the agent says what came of it.
 */

#include "command.h"

/* EXIT_SUCCESS: the configuration is in force; EXIT_CONFIG: it was refused, and the agent
 * has told why; EXIT_FAILURE: the agent ended, or does not say, which is told. */
int reload_command(const struct command_line *line);
