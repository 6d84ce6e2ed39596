#pragma once

/*
 * Watch: what the kernel tells of changes in directories, by one inotify descriptor.
 *
 * Events are hints: they say where to look, never what is there. Those that got lost
 * (the kernel's queue overflowed) are told as one. Mounts give no event of a directory:
 * the kernel's table of them tells by itself that it has changed.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

enum watch_event {
	WATCH_FILE,	 /* @name may be new or changed */
	WATCH_VANISHED,	 /* @name is gone from here */
	WATCH_DIRECTORY, /* a directory @name came to be here, or to be accessible */
	WATCH_DIRECTORY_VANISHED,
	/* Of the directory itself; @name is NULL. */
	WATCH_SELF_CHANGED,  /* its mode, owner or times */
	WATCH_SELF_VANISHED, /* it was moved, deleted or unmounted */
};

struct watch_ops {
	/* @owner is what watch_add() was told. The name lives until the return. Watches
	 * may be added and removed from here. */
	void (*event)(void *userdata, void *owner, enum watch_event event,
		      const char *name);
	/* Events were lost: look everywhere again. */
	void (*overflow)(void *userdata);
	/* Something was mounted or unmounted, or a watch_path() leads elsewhere now: look
	 * whether what is watched is still where its path leads. */
	void (*rerouted)(void *userdata);
};

struct watch;

/* 0 or a negative errno. Where the user has no inotify instance left, it watches nothing,
 * and says so at each watch_add(). @event is not owned and must outlive the watch. Should
 * reading fail for good, @event's loop ends with the errno: nothing would be told any
 * more. */
int watch_new(sd_event *event, const struct watch_ops *ops, void *userdata,
	      struct watch **ret);
void watch_free(struct watch *watch);

/* Watches the directory of the descriptor @fd, which may be closed then. Returns a watch
 * descriptor (>= 0) for watch_remove(); -ENOSPC: fs.inotify.max_user_watches is reached;
 * -EMFILE: fs.inotify.max_user_instances was, when it was made;
 * -EEXIST: it is watched already; or another negative errno. */
int watch_add(struct watch *watch, int fd, void *owner);

/* No event for it comes after this. */
void watch_remove(struct watch *watch, int wd);

/* Watches the way along @path, which is absolute, all its directories and links, for
 * being moved or deleted: that is told as `rerouted`. It may be called again for the same
 * path, and holds until the watch is freed. 0 or a negative errno. */
int watch_path(struct watch *watch, const char *path);
