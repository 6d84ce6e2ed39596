#pragma once

/*
 * Config check: the faults that are found, and the rules that hold between keys.
 *
 * Only config's own files include this.
 */

#include "config-key.h"
#include "macro.h"

struct config_reading {
	struct config *config;
	const char *file;				/* the main one */
	struct config_source sections[CONFIG_SECTIONS]; /* where each began first */
	config_fault_fn fault;
	void *userdata;
	size_t faults; /* reported so far */
	int error;     /* -ENOMEM: a fault could not be put into words */
};

/* Reports "FILE:LINE: message" (@line 0: "FILE: message"), control characters escaped. */
void config_fault(struct config_reading *reading, const char *file, unsigned line,
		  const char *format, ...) _printf_(4, 5);

/* Reports every rule between keys that the whole configuration breaks. A key whose value
 * was refused before counts as set, and is not looked at again. */
void config_check(struct config_reading *reading);
