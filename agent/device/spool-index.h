#pragma once

/*
 * Spool-index: the directories of a spool that are known, found by their paths.
 *
 * Whenever a directory is known, so are those above it, up to the root; they leave from
 * the leaves on. The root's descriptor stays open: the others are opened from it.
 */

#include "spool-directory.h"

struct spool_index {
	struct spool *spool;		   /* which its directories belong to */
	struct spool_directory *root;	   /* NULL: there is none */
	TAILQ_HEAD(, spool_directory) all; /* each behind those above it */
	void *by_path;			   /* tsearch(3) */
};

void spool_index_init(struct spool_index *index, struct spool *spool);

/* Adds the directory @name in @parent, or (@parent NULL) the root, whose path is @name.
 * The reference is the index's. 0; -EEXIST: it is known; -ENOMEM. */
int spool_index_add(struct spool_index *index, struct spool_directory *parent,
		    const char *name, struct spool_directory **ret);

/* The directory @name in @parent, or NULL. */
struct spool_directory *spool_index_find(const struct spool_index *index,
					 const struct spool_directory *parent,
					 const char *name);

/* A directory that is @directory or below it, and has none below itself. */
struct spool_directory *spool_index_leaf(struct spool_directory *directory);

/* Removes @leaf, and its watch from @watch. It leaves the spool. */
void spool_index_remove(struct spool_index *index, struct spool_directory *leaf,
			struct watch *watch);
