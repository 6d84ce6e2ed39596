#pragma once

/*
 * Survey: takes the snapshot of the running agent, from those who know.
 */

#include "health.h"
#include "snapshot.h"
#include "spool-disks.h"
#include "spool.h"
#include "uploader.h"

/* Whom to ask; all borrowed. */
struct survey {
	enum snapshot_state state;
	const struct uploader *uploader;
	const struct health *health;
	const struct spool_disks *disks;
	struct spool *const *spools;
	size_t spool_count;
};

/* How many files are told to be uploaded: never more than MaxConcurrent= lets begin.
 * Those that are sent have given their slots to others: they wait, for the disk. */
uint64_t survey_uploading(const struct uploader_stats *stats);
uint64_t survey_waiting(const struct uploader_stats *stats);

/* Fills in what @survey's people know; the rest of *@ret (version, pid, instants, rate)
 * is zero, and the caller's. 0, and the caller releases it (snapshot_done); or -ENOMEM.
 */
int survey_take(const struct survey *survey, struct snapshot *ret);
