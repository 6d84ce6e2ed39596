#pragma once

/*
 * Config diff: what is different in another configuration, and what that means.
 */

#include <stdbool.h>

#include "config.h"

/* Services that are to be taken for others than they were; bits. */
enum config_service {
	CONFIG_SERVICE_AUTH = 1 << 0,
	CONFIG_SERVICE_API = 1 << 1,
	CONFIG_SERVICE_STORAGE = 1 << 2,
};

struct config_diff {
	/* What changed, by the names of spools and keys, never with their values:
	 * "spool outbox added; spool inbox: Settle changed; [API] Timeout changed". "":
	 * nothing. Owned. */
	char *words;
	unsigned services; /* of enum config_service */
	/* FILE:LINE: what can't change while the agent runs; NULL: all can. Owned. */
	char *frozen;
};

/* What differs in @to from @from. 0 or -ENOMEM. */
int config_diff(const struct config *from, const struct config *to,
		struct config_diff *ret);
void config_diff_done(struct config_diff *diff);

/* Whether all settings of the two spools are the same, their names included. */
bool config_spool_is_same(const struct config_spool *a, const struct config_spool *b);
