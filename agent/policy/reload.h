#pragma once

/*
 * Reload: the configuration is read again while the agent runs.
 *
 * All of it is read and checked, and what it needs is made, before anything of the old
 * one is given up. A bad one is refused as a whole, each fault is logged, and the old one
 * stays in force. What is under way goes on, except that nothing more is asked for in a
 * spool that is gone.
 *
 * Credentials and certificates are read anew, whether or not a key has changed. Whatever
 * is away is tried at once, since somebody who reloads may just have mended it; what
 * asked for peace is left in it, unless the settings for it have changed.
 *
 * [State] Directory can't change: the ledger that is open knows what is unfinished.
 */

#include <stdbool.h>

struct agent;

/* Never waits for anybody. Whatever comes of it is logged. False: it was refused. */
bool reload(struct agent *agent);
