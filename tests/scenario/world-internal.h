#pragma once

/*
 * What the parts of the fixture share.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

/* Waits until @holds(w, what), asking again whenever something happens in the directory
 * of
 * @path (NULL: none; or the nearest above that is there), the agent notifies or it ends.
 * False: the deadline has passed, or the agent runs no longer. */
bool world_until(struct world *w, const char *path,
		 bool (*holds)(struct world *w, const void *what), const void *what);

/* asprintf() that fails the test. The caller frees it. */
char *world_print(const char *format, ...) _printf_(1, 2);
/* As world_path() with a suffix. */
char *world_path_of(const struct world *w, const char *name, const char *suffix);
/* Reads the notifications that are there. */
void world_read_notify(struct world *w);
/* The environment of the agent. */
void world_make_environment(struct world *w, const char *const *more);
void world_kill_if_runs(struct world *w);
/* Asserts that no file of the world holds a secret. */
void world_assert_no_secrets(struct world *w);
/* Opens the journal of a world, and ends it; asserts that each of its entries is of a
 * kind that the catalog explains, or a debug line, and on one line. */
void world_open_journal(struct world *w);
void world_close_journal(struct world *w);
void world_assert_journal(struct world *w);
/* Makes this process, which will be the agent, find it. Safe in a signal handler. False:
 * it can't be. */
bool world_enter_journal(const struct world *w);
