#pragma once

/*
 * Spool-directory: one directory of a spool: its path, its watch, and a descriptor that
 * is open only while somebody needs it, since there may be many thousands.
 *
 * It is counted. One reference is the spool's; whoever else keeps a directory takes one
 * too. Such a directory outlives its place in the spool, and the spool itself: it keeps
 * its path and the descriptor that it has, but belongs to no spool and opens nothing new.
 *
 * A path may come to lead to another directory than before. What has a watch or an open
 * descriptor is known by its inode, and is never taken for another.
 *
 * Users of a spool call what stands in the first half; the fields and the second half are
 * for the spool's own modules.
 */

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "clock.h"
#include "macro.h"
#include "watch.h"

struct spool;

struct spool_directory {
	struct spool *spool;		/* NULL: it left it */
	struct spool_directory *root;	/* of the spool; itself, if that is this */
	struct spool_directory *parent; /* NULL: the root, or it left */
	unsigned references;		/* the spool's own is one */
	int fd;				/* -1: nobody needs it now */
	int wd;				/* -1: not watched */
	dev_t device;			/* these two count while fd or wd does: which */
	ino_t inode;			/* directory they belong to */
	char *path;			/* absolute */
	size_t relative;		/* where in `path` that below the root begins */
	bool failed;			/* it could not be read when it was tried last */
	bool closed;			/* nor a file be made in it */
	bool apart;			/* from DoneDirectory, */
	usec_t apart_until;		/* which is looked at again then */
	unsigned aparts;		/* the root: so many of the spool's are */

	/* Those of spool-index. */
	LIST_HEAD(, spool_directory) children;
	LIST_ENTRY(spool_directory) sibling;
	TAILQ_ENTRY(spool_directory) all;

	/* Those of spool-scan. */
	bool queued;
	TAILQ_ENTRY(spool_directory) scan;
};

/* ---- for those who use a spool ---- */

/* NULL: the directory left its spool, or that was freed. */
struct spool *spool_of(const struct spool_directory *directory);

struct spool_directory *spool_directory_ref(struct spool_directory *directory);
void spool_directory_unref(struct spool_directory *directory);
DEFINE_CLEANUP(struct spool_directory *, spool_directory_unrefp, spool_directory_unref)

/* A descriptor for *at() calls, which stays the directory's and is kept open as long as
 * somebody but the spool has a reference; or a negative errno. */
int spool_directory_fd(struct spool_directory *directory);

/* Notes whether its files can't be moved to where they are to go, and that this is looked
 * at again at @until (monotonic). Whether it is new. */
bool spool_directory_set_apart(struct spool_directory *directory, bool apart,
			       usec_t until);

/* When that is to be looked at: 0, as they can, for all that is known. */
usec_t spool_directory_apart_until(const struct spool_directory *directory);

/* The path below the spool's own, "" for that itself. */
const char *spool_directory_relative(const struct spool_directory *directory);

/* The absolute path of the directory. Lives as long as it. */
const char *spool_directory_path(const struct spool_directory *directory);

/* ---- for the spool ---- */

/* The directory @name in @parent, or (@parent NULL) the root @name. The caller owns the
 * one reference. 0 or -ENOMEM. */
int spool_directory_new(struct spool *spool, struct spool_directory *parent,
			const char *name, struct spool_directory **ret);

/* The last component of its path. */
const char *spool_directory_name(const struct spool_directory *directory);

/* Opens what the path leads to now. A descriptor, which is the caller's; -ESTALE: another
 * directory than it was; -EACCES: it may not be read, or nothing in it looked at; or
 * another negative errno. */
int spool_directory_open(struct spool_directory *directory);

/* Whether @st, found at its path, is another directory than it was. False, too, where
 * that is not known. */
bool spool_directory_is_other(const struct spool_directory *directory,
			      const struct stat *st);

/* Watches it, unless it is watched already. @fd is from spool_directory_open().
 * 0 or what watch_add() fails with. */
int spool_directory_watch(struct spool_directory *directory, struct watch *watch, int fd);

/* It belongs to no spool any more, and is not watched. */
void spool_directory_leave(struct spool_directory *directory, struct watch *watch);
