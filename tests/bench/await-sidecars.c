/*
 * Await sidecars: waits until a directory holds so many, and tells when the last came.
 *
 *	await-sidecars DIRECTORY COUNT SECONDS
 *
 * Prints the time of the newest sidecar's arrival, as seconds since the epoch; status 1
 * if there are fewer after SECONDS. The time is that of the sidecar's inode, so that this
 * can look rarely and takes no CPU from who is measured: only once nothing has changed in
 * the directory for some time are its entries read.
 */

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <time.h>

#include "macro.h"

#define LOOK_MS	 50 /* at the directory's time */
#define QUIET_MS 400

static bool is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static unsigned long count_sidecars(int fd, struct timespec *last)
{
	DIR *directory = fdopendir(dup(fd));
	const struct dirent *entry;
	unsigned long count = 0;
	struct stat st;

	if (!directory)
		err(1, "fdopendir");
	rewinddir(directory);
	while ((entry = readdir(directory))) {
		if (fnmatch("*.asset.json", entry->d_name, FNM_PERIOD) != 0 ||
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		count++;
		if (is_later(st.st_ctim, *last))
			*last = st.st_ctim;
	}
	(void)closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	struct timespec last = {}, changed = {};
	unsigned long count, found = 0;
	long quiet = 0, left;
	struct stat st;
	int fd;

	if (argc != 4)
		errx(2, "usage: await-sidecars DIRECTORY COUNT SECONDS");
	count = strtoul(argv[2], NULL, 10);
	fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", argv[1]);
	for (left = strtol(argv[3], NULL, 10) * 1000; left > 0; left -= LOOK_MS) {
		(void)nanosleep(&pause, NULL);
		if (fstat(fd, &st) < 0)
			err(1, "%s", argv[1]);
		quiet = is_later(st.st_mtim, changed) ? 0 : quiet + LOOK_MS;
		changed = st.st_mtim;
		if (quiet == 0 || quiet % QUIET_MS != 0)
			continue;
		found = count_sidecars(fd, &last);
		if (found < count)
			continue;
		(void)printf("%lld.%09ld\n", (long long)last.tv_sec, last.tv_nsec);
		return 0;
	}
	errx(1, "%lu sidecars of %lu in %s", found, count, argv[1]);
}
