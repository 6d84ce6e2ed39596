#pragma once

/*
 * Spool-tree: the directories of a spool, kept in step with the disk.
 *
 * They come and go by what is found at their paths, when an event or a scan gives cause
 * to look there. Each is watched first and looked through then, so that nothing put into
 * it in between is missed.
 */

#include "config.h"
#include "spool-index.h"
#include "spool-scan.h"

struct spool_tree_ops {
	/* A scan found a file that may be due. False: there is no room; it is told again
	 * after spool_tree_resume(). */
	bool (*file)(void *userdata, struct spool_directory *directory, const char *name,
		     const struct stat *st);
	/* @name can't be uploaded. Told as often as it is seen. */
	void (*alien)(void *userdata, struct spool_directory *directory, const char *name,
		      const struct stat *st);
	/* @directory could not be looked through. Its `failed` says whether that was so
	 * before. Nothing looks again but an event, and the next spool_tree_look(). */
	void (*failed)(void *userdata, struct spool_directory *directory, int error);
	/* A directory could not be watched. */
	void (*unwatched)(void *userdata, int error);
	/* The root went away, and with it all others: the tree is empty. */
	void (*lost)(void *userdata, int error);
};

struct spool_tree {
	const struct config_spool *config;
	const struct spool_tree_ops *ops;
	void *userdata;
	struct watch *watch; /* NULL: directories are not watched */
	struct spool_index index;
	struct spool_scan scan;
};

/* An empty tree. @config and @ops must outlive it. 0 or a negative errno;
 * spool_tree_done() may be called in any case. */
int spool_tree_init(struct spool_tree *tree, sd_event *event, struct spool *spool,
		    const struct config_spool *config, const struct spool_tree_ops *ops,
		    void *userdata);

/* Its directories leave the spool. */
void spool_tree_done(struct spool_tree *tree);

/* Opens the root of the empty tree, and queues its scan. A descriptor that stays the
 * tree's, or a negative errno. */
int spool_tree_open(struct spool_tree *tree);

/* From now on directories are watched, the root at once. */
void spool_tree_watch(struct spool_tree *tree, struct watch *watch);

/* Everything is to be looked through, and whether the root is still in its place. */
void spool_tree_look(struct spool_tree *tree);

/* Looks whether the root is still what its path leads to; else it is lost. */
void spool_tree_check_root(struct spool_tree *tree);

/* The same of all directories: what their paths lead to is looked through. */
void spool_tree_check(struct spool_tree *tree);

/* An event: @directory itself may be accessible now, or no longer. */
void spool_tree_changed(struct spool_tree *tree, struct spool_directory *directory);

/* A file in @directory found no room; look again after spool_tree_resume(). */
void spool_tree_overflow(struct spool_tree *tree, struct spool_directory *directory);

/* There is room again. */
void spool_tree_resume(struct spool_tree *tree);

/* How many entries were looked at in all scans so far. */
uint64_t spool_tree_entries(const struct spool_tree *tree);

/* Whether all that can be looked through was. */
bool spool_tree_is_idle(const struct spool_tree *tree);

/* An event: a directory @name in @parent came, went or became accessible. */
void spool_tree_stirred(struct spool_tree *tree, struct spool_directory *parent,
			const char *name);

/* An event: @directory itself was moved, deleted or unmounted. */
void spool_tree_vanished(struct spool_tree *tree, struct spool_directory *directory);

/* The directory of the absolute @path: 1 and a reference; 0: it can't be in this spool;
 * or a negative errno. */
int spool_tree_find(struct spool_tree *tree, const char *path,
		    struct spool_directory **ret);
