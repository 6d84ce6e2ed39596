#pragma once

/*
 * Reload-word: what the agent says of its last reload, to whoever asked for it by SIGHUP
 * and waits: the file `reload` in $RUNTIME_DIRECTORY, since a service manager is told of
 * a reload's end, but not of how it went.
 */

#include <stdbool.h>

#include "clock.h"

/* The configuration was read again from @began (monotonic) on, and is in force or was
 * refused. Without that directory, nothing. 0 or a negative errno. */
int reload_word_put(usec_t began, bool in_force);

/* 1 and what was said last; 0: nothing was; or a negative errno: -ENXIO: there is no
 * $RUNTIME_DIRECTORY, -EBADMSG: it is something else. */
int reload_word_get(usec_t *ret_began, bool *ret_in_force);
