#pragma once

/*
 * Status-watch: calls for a new picture whenever a file may have been replaced, and while
 * something moves, until somebody ends it.
 */

#include "terminal.h"

/* @terminal: entered already, and left while the process is suspended; NULL: there is
 * none, and no key ends it. @draw is called at once, and then again and again; it returns
 * after how many milliseconds at the latest (-1: with the next change), or what is less
 * than -1 to end. Ends by q, SIGINT, SIGTERM, SIGHUP, too. 0 or a negative errno. */
int status_watch(const char *file, struct terminal *terminal, int (*draw)(void *userdata),
		 void *userdata);
