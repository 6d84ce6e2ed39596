#pragma once

/*
 * Script: the rules by which the service fails. Not locked: the service's lock is held.
 *
 * Rules live until script_done(), also when they are spent or cleared, so that a request
 * may keep a pointer to the one that struck it.
 */

#include "service.h"

struct rule {
	struct fault fault; /* strings owned */
	unsigned passed, struck;
	bool cleared;
};

struct script {
	struct rule **rules;
	size_t count;
};

/* Copies. 0 or -ENOMEM. */
int script_add(struct script *script, const struct fault *fault);
void script_clear(struct script *script);
void script_done(struct script *script);

/* Counts a request that comes to @endpoint. The fault that strikes it, or NULL. */
const struct fault *script_strike(struct script *script, enum endpoint endpoint);
