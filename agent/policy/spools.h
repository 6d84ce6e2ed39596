#pragma once

/*
 * Spools: all spools of the configuration, the one watch that they share, and the rows of
 * the ledger whose spool is not there.
 *
 * The first configuration and each later one come in the same way: what is needed for it
 * is made (spools_prepare(), which can fail and changes nothing), then taken into use. A
 * spool whose settings are what they were goes on as it is. One with other settings is
 * closed and opened anew, and its files go on where they were; so are spools told apart
 * by their paths.
 */

#include <stdbool.h>

#include "failures.h"
#include "ledger.h"
#include "report.h"
#include "uploader.h"

struct spools;
struct spools_plan;

/* @once: look once, as `drain` does. Nothing is watched yet. 0 or a negative errno, which
 * was told. All must outlive it. */
int spools_new(sd_event *event, struct ledger *ledger, struct failures *failures,
	       struct report *report, bool once, struct spools **ret);

/* The uploader's files must be gone. NULL is nothing. */
void spools_free(struct spools *spools);

/* Makes what @config needs. 0 or a negative errno. */
int spools_prepare(struct spools *spools, const struct config *config,
		   struct spools_plan **ret);

/* Takes it into use; it is freed. From now on nothing refers to the configuration that
 * was in use before, but what @uploader keeps of it. */
void spools_apply(struct spools *spools, struct spools_plan *plan,
		  struct uploader *uploader);

/* Not to be called for one that was applied. NULL is nothing. */
void spools_plan_free(struct spools_plan *plan);

/* After the first configuration, before the loop runs: takes over what was unfinished. Of
 * what finds no place now, only which rows these are is kept: it gets one by and by, or
 * when its file is seen, and its spool is there. 0 or a negative errno, which was told.
 */
int spools_restore(struct spools *spools);

/* There is room for candidates again: of all, or (not NULL) of @spool, if it is still
 * there. */
void spools_resume(struct spools *spools, const struct spool *spool);

/* The row @serial is of a file that has no place, or lies in no spool that is there. */
void spools_keep(struct spools *spools, const struct spool_directory *directory,
		 const char *name, uint64_t serial);

/* There is room for rows that have no place. */
void spools_take_in(struct spools *spools);

/* Whether each has been looked through. */
bool spools_are_quiet(const struct spools *spools);

/* All that there are. */
struct spool *const *spools_list(const struct spools *spools, size_t *ret_count);

/* Files that were seen and can't be uploaded as they are. */
uint64_t spools_unplaced(const struct spools *spools);

/* Whether a spool, or a directory in one, could not be used at any time until now. */
bool spools_were_away(const struct spools *spools);
