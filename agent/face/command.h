#pragma once

/*
 * Command: what the commands of the program have in common.
 *
 * Each but run and drain has a file of its own; main.c's table names them, and which
 * options and how many arguments each takes.
 */

#include <stdio.h>

#include "config.h"

enum {
	EXIT_USAGE = 2,
	EXIT_CONFIG = 78, /* sysexits.h: EX_CONFIG */
};

struct command_line {
	const char *config_file; /* NULL: the default */
	bool online, json, watch;
	char **arguments; /* as many as the table has for the command */
};

/* Returns the exit status. */
typedef int (*command_fn)(const struct command_line *line);

/* Says on standard error that "@complaint: @argument" (both NULL: that was said already)
 * and where help is. Returns EXIT_USAGE. */
int command_usage(const char *complaint, const char *argument);

/* Reads the configuration @file (NULL: the default) and tells each fault on standard
 * error. EXIT_SUCCESS, and the caller frees *@ret; else the exit status. */
int command_load_config(const char *file, struct config **ret);

/* The same for who looks on, who may be anybody: also tells how to get leave to read it.
 */
int command_load_config_to_look(const char *file, struct config **ret);

/* The same for who needs no more of it than where the agent leaves its reports: with
 * faults, which are told, too, EXIT_SUCCESS and a configuration, as
 * config_load_faulty() has it. */
int command_load_config_faulty(const char *file, struct config **ret);

/* Says on @out that @path may not be read, and how to get leave. */
void command_say_forbidden(const char *path, FILE *out);
