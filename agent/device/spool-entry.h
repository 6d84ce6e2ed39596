#pragma once

/*
 * Spool-entry: what a name in a spool's directory is to us.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "config.h"

enum spool_entry {
	SPOOL_ENTRY_NOTHING,   /* gone, ignored, ours, or done with */
	SPOOL_ENTRY_DUE,       /* a file that may have to be uploaded */
	SPOOL_ENTRY_DIRECTORY, /* that belongs to the spool too */
	SPOOL_ENTRY_ALIEN,     /* it can't be uploaded: spool_entry_why_alien() */
};

/* Whether @name is to be left alone, whatever it may be. */
bool spool_entry_is_ignored(const struct config_spool *config, const char *name);

/* Looks at @name in the directory @path that @fd is open for. @ret is filled in but for
 * SPOOL_ENTRY_NOTHING. A temporary file that a crash left long ago is removed. */
enum spool_entry spool_entry_look(const struct config_spool *config, const char *path,
				  int fd, const char *name, struct stat *ret);

/* A phrase for what @st, of what can't be uploaded, is: "a socket". */
const char *spool_entry_why_alien(const struct stat *st);
