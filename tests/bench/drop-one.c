/*
 * Drop one: drops files one after the other, each once the last has its sidecar.
 *
 *	drop-one DIRECTORY COUNT SIZE SECONDS [PREFIX]
 *
 * Prints for each the milliseconds from its close() to the arrival of its sidecar; status
 * 1 if one has none after SECONDS.
 */

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <time.h>

#include "macro.h"

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void drop(const char *path, size_t size)
{
	char *bytes = calloc(1, size);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd < 0 || !bytes || write(fd, bytes, size) != (ssize_t)size || close(fd) < 0)
		err(1, "%s", path);
	free(bytes);
}

static bool tells_of(const char *events, size_t length, const char *name)
{
	for (size_t at = 0; at < length;) {
		const struct inotify_event *event = (const void *)(events + at);

		if (event->len > 0 && strcmp(event->name, name) == 0)
			return true;
		at += sizeof(*event) + event->len;
	}
	return false;
}

/* The time of its arrival. */
static double await(int watch, const char *name, double deadline)
{
	char events[65536] __attribute__((aligned(8)));
	struct pollfd p = { .fd = watch, .events = POLLIN };

	while (poll(&p, 1, (int)MAX(deadline - now(), 0.0)) > 0) {
		double at = now();
		ssize_t n = read(watch, events, sizeof(events));

		if (n > 0 && tells_of(events, (size_t)n, name))
			return at;
	}
	errx(1, "%s did not come", name);
}

int main(int argc, char **argv)
{
	const char *prefix = argc > 5 ? argv[5] : "one-";
	unsigned long count;
	double patience;
	int watch;

	if (argc < 5)
		errx(2, "usage: drop-one DIRECTORY COUNT SIZE SECONDS [PREFIX]");
	count = strtoul(argv[2], NULL, 10);
	patience = strtod(argv[4], NULL) * 1e3;
	watch = inotify_init1(IN_CLOEXEC);
	if (watch < 0 || inotify_add_watch(watch, argv[1], IN_CREATE | IN_MOVED_TO) < 0)
		err(1, "%s", argv[1]);
	for (unsigned long i = 1; i <= count; i++) {
		char path[4096], sidecar[512];
		double dropped;

		(void)snprintf(path, sizeof(path), "%s/%s%06lu.txt", argv[1], prefix, i);
		(void)snprintf(sidecar, sizeof(sidecar), "%s%06lu.txt.asset.json", prefix,
			       i);
		drop(path, strtoul(argv[3], NULL, 10));
		dropped = now();
		(void)printf("%.3f\n",
			     await(watch, sidecar, dropped + patience) - dropped);
	}
	return 0;
}
