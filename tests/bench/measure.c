/*
 * Measure: runs a program, and writes what it took.
 *
 *	measure REPORT PROGRAM [ARGUMENT ...]
 *
 * REPORT gets one line once the program has ended:
 *
 *	WALL USER SYSTEM PEAK VOLUNTARY INVOLUNTARY
 *
 * seconds by the clock, seconds of CPU in user and system mode, of the program with all
 * its threads and the children that it waited for; its largest resident set in KiB (of
 * the largest of them); context switches. The exit status is that of the program, 128 +
 * the signal where one ended it. SIGTERM and SIGINT are passed on.
 */

#include <err.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "macro.h"

static pid_t child;

static void pass_on(int number)
{
	(void)kill(child, number);
}

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void report(const char *path, double wall, const struct rusage *usage)
{
	FILE *file = fopen(path, "we");

	if (!file ||
	    fprintf(file, "%.6f %.6f %.6f %ld %ld %ld\n", wall, seconds(usage->ru_utime),
		    seconds(usage->ru_stime), usage->ru_maxrss, usage->ru_nvcsw,
		    usage->ru_nivcsw) < 0 ||
	    fclose(file) != 0)
		err(125, "%s", path);
}

int main(int argc, char **argv)
{
	static const struct sigaction action = { .sa_handler = pass_on };
	struct rusage usage;
	sigset_t both, before;
	double start;
	int status, r;

	if (argc < 3)
		errx(2, "usage: measure REPORT PROGRAM [ARGUMENT ...]");
	/* Until there is somebody to pass them on to. */
	(void)sigemptyset(&both);
	(void)sigaddset(&both, SIGTERM);
	(void)sigaddset(&both, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &both, &before);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);

	start = now();
	child = fork();
	if (child < 0)
		err(125, "fork");
	if (child == 0) {
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		(void)execvp(argv[2], argv + 2);
		err(127, "%s", argv[2]);
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	do
		r = wait4(child, &status, 0, &usage);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		err(125, "wait4");
	report(argv[1], now() - start, &usage);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
