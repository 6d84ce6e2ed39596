#pragma once

/*
 * Ini: reads a file of sections, `Key=value` lines and comments, as systemd writes them.
 *
 * A line is a `[Section]`, a `Key=value`, blank, or a comment that starts with # or ;.
 * White space around keys, values and lines does not count, a value may be empty and may
 * hold any character but NUL and newline, quotes and backslashes stand for themselves. A
 * byte order mark at the start and carriage returns at line ends are passed over.
 */

#include <stddef.h>

#define INI_LINE_MAX ((size_t)64 * 1024) /* bytes of a line; a longer one is a fault */

struct ini_handler {
	/* Each must be there. @section is "" before the first section line. The strings
	 * live until the call returns. A negative return ends the reading. */
	int (*section)(void *userdata, unsigned line, const char *section);
	int (*entry)(void *userdata, unsigned line, const char *section, const char *key,
		     const char *value);
	/* A line that can't be read; reading goes on with the next one. @message is fixed
	 * text for people. */
	int (*fault)(void *userdata, unsigned line, const char *message);
};

/* Reads @text, which is @length bytes long and may hold anything. 0, what a handler
 * returned to end the reading, or -ENOMEM. */
int ini_parse(const char *text, size_t length, const struct ini_handler *handler,
	      void *userdata);
