#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "log.h"
#include "parse.h"
#include "reload-command.h"
#include "reload-word.h"

#define LOOK	 (20 * USEC_PER_MSEC)
#define PATIENCE USEC_PER_MINUTE /* less than systemd has with us */

static int fail(const char *why)
{
	fprintf(stderr, "asset-agent: could not reload: %s\n", why);
	return EXIT_FAILURE;
}

/* Whether what the agent says is of a reload that began at @since or later. */
static bool has_word(usec_t since, bool *ret_in_force)
{
	usec_t began;

	return reload_word_get(&began, ret_in_force) > 0 && began >= since;
}

static int await(pid_t pid, usec_t since)
{
	const struct timespec pause = usec_to_timespec(LOOK);
	bool in_force;

	while (clock_monotonic() < since + PATIENCE) {
		if (has_word(since, &in_force))
			return in_force ? EXIT_SUCCESS : EXIT_CONFIG;
		if (kill(pid, 0) < 0 && errno == ESRCH)
			return fail("the agent has ended");
		(void)nanosleep(&pause, NULL);
	}
	return fail("the agent does not say what came of it; look at its journal");
}

int reload_command(const struct command_line *line)
{
	const char *pid_text = getenv("MAINPID");
	uint64_t pid;
	usec_t began, since = clock_monotonic();
	bool in_force;
	int r;

	(void)line;
	if (!pid_text || parse_unsigned(pid_text, &pid) < 0 || pid > INT32_MAX)
		return fail("there is no $MAINPID; this is for ExecReload= of the unit, "
			    "use: systemctl reload asset-agent");
	r = reload_word_get(&began, &in_force);
	if (r < 0 && r != -EBADMSG)
		return fail(r == -ENXIO ? "there is no $RUNTIME_DIRECTORY"
					: log_errno(r));
	if (kill((pid_t)pid, SIGHUP) < 0)
		return fail(log_errno(-errno));
	return await((pid_t)pid, since);
}
