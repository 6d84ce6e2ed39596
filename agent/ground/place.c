#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>

#include "macro.h"
#include "place.h"

#define MOUNTS "/proc/self/mountinfo"

/* Where a filesystem is mounted; the strings are parts of a line of MOUNTS. */
struct mount {
	const char *device, *root, *point;
};

/* The kernel writes what would part words in octal, "\040". In place. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		if (*in == '\\' && strspn(in + 1, "01234567") >= 3) {
			*out++ = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 |
					(in[3] - '0'));
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
}

/* Reads "ID PARENT MAJOR:MINOR ROOT POINT ...", which it takes to pieces. False: it is
 * another mount. */
static bool read_mount(char *line, uint64_t id, struct mount *ret)
{
	enum { ID, PARENT, DEVICE, ROOT, POINT, WORDS };
	char *words[WORDS];

	for (int i = 0; i < WORDS; i++) {
		words[i] = strsep(&line, " ");
		if (!words[i])
			return false;
	}
	if (strtoull(words[ID], NULL, 10) != id)
		return false;
	unescape(words[ROOT]);
	unescape(words[POINT]);
	*ret = (struct mount){ words[DEVICE], words[ROOT], words[POINT] };
	return true;
}

/* "/" is no part of a path that begins with what comes after it. */
static const char *without_root(const char *path)
{
	return streq(path, "/") ? "" : path;
}

static int place_on(const struct mount *mount, const char *path, struct place *ret)
{
	const char *point = without_root(mount->point);
	struct place place = {};

	if (!startswith(path, point))
		return -EXDEV;
	place.device = strdup(mount->device);
	if (!place.device || asprintf(&place.path, "%s%s", without_root(mount->root),
				      path + strlen(point)) < 0) {
		free(place.device);
		return -ENOMEM;
	}
	*ret = place;
	return 0;
}

static int find_on(uint64_t id, const char *path, struct place *ret)
{
	_cleanup_fclose_ FILE *mounts = fopen(MOUNTS, "re");
	_cleanup_free_ char *line = NULL;
	struct mount mount;
	size_t room = 0;

	if (!mounts)
		return -errno;
	while (getline(&line, &room, mounts) >= 0)
		if (read_mount(line, id, &mount))
			return place_on(&mount, path, ret);
	return -ENOENT;
}

int place_find(const char *path, struct place *ret)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	struct statx st;

	if (!real || statx(AT_FDCWD, real, 0, STATX_MNT_ID, &st) < 0)
		return -errno;
	if (!(st.stx_mask & STATX_MNT_ID))
		return -EOPNOTSUPP;
	return find_on(st.stx_mnt_id, without_root(real), ret);
}

void place_done(struct place *place)
{
	free(place->device);
	free(place->path);
	*place = (struct place){};
}

bool place_is_same(const struct place *a, const struct place *b)
{
	return a->device && b->device && streq(a->device, b->device) &&
	       streq(a->path, b->path);
}

bool place_is_inside(const struct place *inner, const struct place *outer)
{
	return inner->device && outer->device && streq(inner->device, outer->device) &&
	       startswith(inner->path, outer->path) &&
	       inner->path[strlen(outer->path)] == '/';
}
