#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs.h"
#include "macro.h"
#include "reload-word.h"

#define NAME	 "reload"
#define TEXT_MAX 64

static const char *const words[] = { "refused", "in force" };

/* A descriptor, or a negative errno. */
static int open_directory(void)
{
	const char *path = getenv("RUNTIME_DIRECTORY");

	return path ? fs_open_directory(AT_FDCWD, path) : -ENXIO;
}

int reload_word_put(usec_t began, bool in_force)
{
	static const struct fs_write how = { .mode = 0640, .group = (gid_t)-1 };
	_cleanup_close_ int fd = open_directory();
	char text[TEXT_MAX];
	int length = snprintf(text, sizeof(text), "%" PRIu64 " %s\n", began,
			      words[in_force]);

	if (fd < 0)
		return fd == -ENXIO ? 0 : fd;
	return fs_write_atomic(fd, NAME, text, (size_t)length, &how);
}

int reload_word_get(usec_t *ret_began, bool *ret_in_force)
{
	_cleanup_close_ int fd = open_directory();
	_cleanup_free_ char *text = NULL;
	uint64_t began;
	char *end;
	int r;

	if (fd < 0)
		return fd;
	r = fs_read_file(fd, NAME, TEXT_MAX, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	began = strtoull(text, &end, 10);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (end != text && *end == ' ' && startswith(end + 1, words[i])) {
			*ret_began = began;
			*ret_in_force = i;
			return 1;
		}
	return -EBADMSG;
}
