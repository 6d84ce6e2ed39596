#pragma once

/*
 * Spool: one watched directory, with those below it where it is recursive.
 *
 * Events, the start-up scan, the poll and the rescan after an overflow all end in
 * `candidate`: this name may be due. A scan (spool-scan.h) pauses when its candidate
 * finds no room and goes on at spool_resume(), and an event that finds no room queues its
 * directory to be looked through again. So the directory itself is the queue, and memory
 * does not grow with it.
 *
 * A spool whose directory is away is looked for every PollInterval. While it is there,
 * the way to it is watched, too; where that can't be, it is made sure as often that the
 * path still leads to the directory that is watched.
 */

#include <stdbool.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "intake.h"
#include "spool-directory.h"
#include "watch.h"

struct spool;

enum spool_news {
	SPOOL_AWAY, /* its directory can't be opened: @error */
	SPOOL_BACK,
	/* Its path leads to it no more: its directories, the one of each file that it has
	 * told of, are in no spool now. It is looked for. */
	SPOOL_LOST,
	/* After that or SPOOL_AWAY: there is a directory again, perhaps the same one, and
	 * nothing in it was looked at yet. */
	SPOOL_FOUND,
	/* Inotify can't see (@error 0: a remote filesystem), or has no room. */
	SPOOL_POLLING,
	/* @directory can't be looked through: @error. Told once. */
	SPOOL_DIRECTORY_UNREADABLE,
	/* No sidecar can be made in @directory: @error. Told once. */
	SPOOL_DIRECTORY_UNWRITABLE,
};

struct spool_ops {
	/* @name may be due from @at on (monotonic). @st is what a scan saw; NULL:
	 * something happened to it just now. False: no room, and spool_resume() will be
	 * called when there is. */
	bool (*candidate)(void *userdata, struct spool_directory *directory,
			  const char *name, usec_t at, const struct stat *st);
	/* @name can't be uploaded, for it is no regular file, or (@file) is one, but its
	 * sidecar has no place; told once. @why is a phrase. */
	void (*not_a_file)(void *userdata, struct spool_directory *directory,
			   const char *name, const char *why, bool file);
	/* @directory is NULL but for SPOOL_DIRECTORY_... */
	void (*news)(void *userdata, struct spool *spool,
		     struct spool_directory *directory, enum spool_news news, int error);
};

/* A spool that looks at nothing yet. @event, @watch (NULL: look once, as `drain` does),
 * @config, @ops must outlive it. 0 or a negative errno. */
int spool_new(sd_event *event, struct watch *watch, const struct config_spool *config,
	      const struct spool_ops *ops, void *userdata, struct spool **ret);

/* Opens what can be opened, and queues the first scan. Called once. */
void spool_open(struct spool *spool);

/* From now on its settings are found in @config, which says what they were. */
void spool_set_config(struct spool *spool, const struct config_spool *config);

/* Directories that somebody still has a reference to live on, but know no spool. */
void spool_free(struct spool *spool);

/* There is room for candidates again. */
void spool_resume(struct spool *spool);

/* Events were lost: look everywhere again, the path of the spool's directory included. */
void spool_look_again(struct spool *spool);

/* Something was mounted or moved: do all paths lead where they did? */
void spool_check(struct spool *spool);

/* Look through @directory again at @at (monotonic): something in it is due only then. Not
 * before the spool has rested from the last such look, the longer the more there was to
 * look at. */
void spool_look_at(struct spool_directory *directory, usec_t at);

enum spool_state {
	SPOOL_IS_WATCHED,
	SPOOL_IS_POLLED,
	SPOOL_IS_AWAY, /* its directory can't be opened */
	SPOOL_IS_HELD, /* files of it wait for a directory to be mended */
};

struct spool_stats {
	enum spool_state state;
	const char
		*why; /* away or held: a phrase, which lives as long as nothing changes */
	uint64_t uploaded, failed; /* files, that spool_count() told of */
};

struct spool_stats spool_stats(const struct spool *spool);

/* It takes the place of @from, and what was told of that counts for it. */
void spool_inherit(struct spool *spool, const struct spool *from);

/* A file of it was uploaded, or (@uploaded false) given up. */
void spool_count(struct spool *spool, bool uploaded);

/* Whether every directory that can be has been looked through, and no event waits for
 * room. */
bool spool_is_quiet(const struct spool *spool);

const struct config_spool *spool_config(const struct spool *spool);

/* The directory of @path, the absolute path of one in @spool, as for a candidate: 1 and a
 * reference, 0: it is not in this spool, or a negative errno. */
int spool_find_directory(struct spool *spool, const char *path,
			 struct spool_directory **ret);

/* Tells, once a file, that @name can't be uploaded, being what @st says. */
void spool_warn(struct spool_directory *directory, const char *name,
		const struct stat *st);

/* Tells, once, that @name is not uploaded, since its sidecar's name is taken by the
 * directory that @st describes. */
void spool_warn_no_place(struct spool_directory *directory, const char *name,
			 const struct stat *st);

/* Whether a file can be made in @directory, open as @fd: 0; -EACCES: it may not, which is
 * told, once, and a change of its mode will bring its files back; -EROFS: its filesystem
 * is read-only, which is told likewise, and the next look brings them back; or another
 * negative errno. */
int spool_directory_may_write(struct spool_directory *directory, int fd);

/* How to tell whether a file in @directory is whole. */
struct intake_rules spool_directory_rules(const struct spool_directory *directory);

/* Called by the watch's owner, who has one watch for all spools: @owner is ours. */
void spool_event(void *owner, enum watch_event event, const char *name);
