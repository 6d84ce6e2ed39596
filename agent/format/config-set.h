#pragma once

/*
 * Config set: gives one key a value or its default, and remembers where that came from.
 *
 * Only config's own files include this.
 */

#include "config-check.h"

/* Reads @text, which is not empty, into the field of @key, one of @spool's (ignored for
 * other keys). @file must live as long as the configuration. A value that the key can't
 * have is reported. 0 or -ENOMEM. */
int config_set(struct config_reading *reading, struct config_spool *spool,
	       enum config_key key, const char *file, unsigned line, const char *text);

/* Gives the key its default, or none. 0 or -ENOMEM. */
int config_reset(struct config_reading *reading, struct config_spool *spool,
		 enum config_key key);

/* The same for each key from @first up to but not including @end. */
int config_reset_all(struct config_reading *reading, struct config_spool *spool,
		     enum config_key first, enum config_key end);

/* Frees what those keys' fields and sources own. */
void config_clear_all(struct config *config, struct config_spool *spool,
		      enum config_key first, enum config_key end);
