#include <fcntl.h>
#include <signal.h>

#include "explain-parts.h"
#include "intake.h"
#include "writers.h"

/* As the agent asks it: 1: somebody has it open for writing, 0: nobody, or -EOPNOTSUPP:
 * the kernel can't say. */
static int ask_kernel(const struct explain *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;

	if (asprintf(&path, "%s/%s", e->directory, e->name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == EAGAIN ? 1 : -errno;
	return intake_has_writer(fd);
}

static void tell_writer(struct explain *e, const struct writer *w)
{
	screen_say(&e->screen, "%s by process %d (%s), of %s.",
		   w->locked   ? "It is locked, to be written,"
		   : w->mapped ? "It is mapped into memory, to be written,"
			       : "It is being written: it is open",
		   (int)w->pid, w->command, w->user);
}

static bool is_fresh(const struct explain *e)
{
	return e->spool && intake_age(&e->st) < e->spool->settle;
}

static void tell_age(struct explain *e)
{
	char settle[CLOCK_STRING_MAX];

	if (!is_fresh(e))
		return;
	screen_say(&e->screen,
		   "It has changed just now, and must be left alone for Settle=%s first.",
		   clock_format_span(settle, e->spool->settle));
}

void explain_writers(struct explain *e)
{
	struct writers writers = {};
	int busy;

	if (!e->exists || !e->may_be_due || e->current)
		return;
	/* Who wants to write while we ask is told so by a signal. */
	(void)signal(SIGIO, SIG_IGN);
	busy = ask_kernel(e);
	if (busy != 0)
		(void)writers_find(&e->st, &writers);
	for (size_t i = 0; i < writers.count; i++)
		tell_writer(e, &writers.list[i]);
	if (busy == 1 && writers.count == 0)
		screen_say(&e->screen,
			   "It is being written: somebody has it open, whom the kernel "
			   "does not show here%s.",
			   writers.partial ? "; root would see more" : "");
	if (busy == 1 || writers.count > 0)
		explain_next(e,
			     "the agent waits until it is closed, and uploads it then.");
	else
		tell_age(e);
}
