#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>

#include "fs.h"
#include "macro.h"
#include "process.h"

#define STAT_MAX    ((size_t)4096)
#define START_FIELD 22 /* proc(5); the name is the second, in parentheses */

int process_start(uint64_t pid, uint64_t *ret)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	const char *at;
	uint64_t start;
	int r;

	if (asprintf(&path, "/proc/%" PRIu64 "/stat", pid) < 0)
		return -ENOMEM;
	r = fs_read_file(AT_FDCWD, path, STAT_MAX, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	/* A program may be called anything, with spaces and parentheses. */
	at = strrchr(text, ')');
	/* Its parent has not heard of its end yet, but it has ended. */
	if (at && (startswith(at, ") Z") || startswith(at, ") X")))
		return -ESRCH;
	for (int field = 2; at && field < START_FIELD; field++)
		at = strchr(at + 1, ' ');
	if (!at || !isdigit((unsigned char)at[1]))
		return -EBADMSG;
	start = strtoull(at + 1, NULL, 10);
	if (start == 0)
		return -EBADMSG;
	*ret = start;
	return 0;
}
