#pragma once

/*
 * Orphans: assets that were granted and that no sidecar speaks of.
 *
 * A kill may leave one for each Create Asset that was in flight: asked for, and its
 * answer not yet recorded. The service's own record tells which ones may be. Each start
 * of the agent has a token of its own, so the token of a Create Asset tells which run has
 * asked; and the agent sends nothing to a content URL before the grant is recorded.
 */

#include "fate.h"

/* After fates_check(). No two receipts speak of one asset, and of those of which none
 * speaks: nothing was ever sent there; each belongs to a run that was killed, which is
 * any but @last_asked's (the asset of a file that the last run has asked for); no two
 * belong to one run and one name; and a run left @in_flight_max at the most. */
void orphans_check(struct world *w, const struct fates *fates, const char *last_asked,
		   size_t in_flight_max, struct findings *findings);
