#pragma once

/*
 * Place: where on which filesystem a path leads, whatever links and mounts are on its
 * way.
 *
 * Two paths that lead to one directory have one place. A directory that lies in another
 * by any path at all has a place inside the other's.
 */

#include <stdbool.h>

struct place {
	char *device; /* of the filesystem: "MAJOR:MINOR". NULL: no place */
	char *path;   /* from its root, which is "" */
};

/* Where @path, absolute, leads. 0; -ENOENT, -EACCES: nowhere, or nobody may see; or
 * another negative errno. */
int place_find(const char *path, struct place *ret);
void place_done(struct place *place);

/* Whether both are known, and are one. */
bool place_is_same(const struct place *a, const struct place *b);

/* Whether both are known, and @inner lies in @outer and is another. */
bool place_is_inside(const struct place *inner, const struct place *outer);
