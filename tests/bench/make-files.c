/*
 * Make files: fills a directory, quickly.
 *
 *	make-files DIRECTORY COUNT SIZE [PREFIX]
 *
 * The files are PREFIX000001.txt and so on (file-), closed one after the other, each of
 * SIZE bytes that do not compress; the same names get the same contents.
 */

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>

#include "macro.h"

#define BLOCK ((size_t)1024 * 1024)

static uint64_t block[BLOCK / sizeof(uint64_t)];

static void fill(void)
{
	uint64_t x = 88172645463325252;

	for (size_t i = 0; i < ARRAY_SIZE(block); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		block[i] = x;
	}
}

static void make_file(int directory, const char *name, uint64_t size, uint64_t number)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	if (fd < 0)
		err(1, "%s", name);
	block[0] = number;
	while (size > 0) {
		ssize_t n = write(fd, block, MIN(size, (uint64_t)BLOCK));

		if (n < 0)
			err(1, "%s", name);
		size -= (uint64_t)n;
	}
	if (close(fd) < 0)
		err(1, "%s", name);
}

int main(int argc, char **argv)
{
	const char *prefix = argc > 4 ? argv[4] : "file-";
	uint64_t count, size;
	int directory;

	if (argc < 4)
		errx(2, "usage: make-files DIRECTORY COUNT SIZE [PREFIX]");
	count = strtoull(argv[2], NULL, 10);
	size = strtoull(argv[3], NULL, 10);
	directory = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		err(1, "%s", argv[1]);
	fill();
	for (uint64_t i = 1; i <= count; i++) {
		char name[256];

		(void)snprintf(name, sizeof(name), "%s%06" PRIu64 ".txt", prefix, i);
		make_file(directory, name, size, i);
	}
	return 0;
}
