#pragma once

/*
 * Disposal: the end of a file's way on the disk: its sidecar, and what becomes of the
 * source. Both may be done again after a crash, from the record alone, with the same end.
 */

#include "config.h"
#include "fs.h"
#include "sidecar.h"

struct disposal {
	int dirfd; /* of the file's directory */
	const char *name;
	const char
		*relative; /* its directory below the spool's path, "" for that itself */
	const struct fs_identity *identity; /* of the content that was uploaded */
	enum after_upload after;
	const char *done_directory; /* AFTER_MOVE */
	bool again;		    /* it may have been done before a crash */
	bool alone;		    /* no error sidecar was beside it when it was taken */
};

/* What was seen on the way. */
struct disposal_sight {
	dev_t device; /* of `dirfd` */
	bool had;     /* with `again`: the receipt was there already */
	bool intact;  /* the source was there as it was uploaded, after its receipt was */
};

/* The name under which the file of that @name and @inode stands between its unlinking and
 * the last look at it. An inode's number may soon be another file's, so it tells neither
 * from the other alone. */
void disposal_hidden_name(char buffer[static NAME_MAX + 1], const char *name,
			  ino_t inode);

/* Writes the receipt @sidecar, removes a stale error sidecar, and keeps, deletes or moves
 * the source, if it is still the one that was uploaded (a changed one stays, and is due
 * again). The upload must be durably recorded. 0; or a negative errno (-ENOSPC, -EROFS,
 * -EACCES, ...): something is left to do, and it can be called again; -ENOENT, -ESTALE:
 * `dirfd` is of a directory that is gone; -EXDEV, -ENOTDIR: the file can't be moved to
 * `done_directory`, which is on another filesystem, or can't be a directory. */
int disposal_finish(const struct disposal *disposal, const struct sidecar *sidecar,
		    struct disposal_sight *ret);

/* Removes a stale receipt and writes the error sidecar. 0 or a negative errno. At no
 * moment are both there. */
int disposal_give_up(int dirfd, const char *name, const struct sidecar_error *error);
