#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#include "macro.h"
#include "status-watch.h"

#define EVENTS \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define SEARCH_MSEC 1000 /* for a directory that is not there */

struct watching {
	char *directory;
	int inotify, wd; /* wd -1: the directory is not there */
	int signals;
	sigset_t caught, before;
	struct terminal *terminal; /* or NULL */
};

static int open_signals(struct watching *w)
{
	static const int SIGNALS[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP };

	sigemptyset(&w->caught);
	for (size_t i = 0; i < ARRAY_SIZE(SIGNALS); i++)
		sigaddset(&w->caught, SIGNALS[i]);
	if (sigprocmask(SIG_BLOCK, &w->caught, &w->before) < 0)
		return -errno;
	w->signals = signalfd(-1, &w->caught, SFD_CLOEXEC | SFD_NONBLOCK);
	return w->signals < 0 ? -errno : 0;
}

static int watching_init(struct watching *w, const char *file, struct terminal *terminal)
{
	*w = (struct watching){
		.inotify = -1, .wd = -1, .signals = -1, .terminal = terminal
	};
	w->directory = strdup(file);
	if (!w->directory)
		return -ENOMEM;
	/* "/name" lies in "/". */
	*MAX(strrchr(w->directory, '/'), w->directory + 1) = '\0';
	w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->inotify < 0)
		return -errno;
	return open_signals(w);
}

static void watching_done(struct watching *w)
{
	if (w->signals >= 0)
		(void)sigprocmask(SIG_SETMASK, &w->before, NULL);
	close_fd(w->signals);
	close_fd(w->inotify);
	free(w->directory);
}

/* The service takes its directory along when it stops. */
static void find_directory(struct watching *w)
{
	if (w->wd < 0)
		w->wd = inotify_add_watch(w->inotify, w->directory, EVENTS);
}

static void read_events(struct watching *w)
{
	char buffer[4096] __attribute__((__aligned__(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(w->inotify, buffer, sizeof(buffer))) > 0) {
		const struct inotify_event *event;

		for (char *p = buffer; p < buffer + n; p += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)(void *)p;
			/* One that was moved away is not ours any more. */
			if (event->mask & IN_MOVE_SELF)
				(void)inotify_rm_watch(w->inotify, w->wd);
			if (event->mask & (IN_IGNORED | IN_MOVE_SELF))
				w->wd = -1;
		}
	}
}

/* As the shell's job control wants it, with the terminal as it was meanwhile. */
static void suspend(struct watching *w)
{
	if (w->terminal)
		terminal_leave(w->terminal);
	(void)raise(SIGSTOP);
	if (w->terminal)
		terminal_enter(w->terminal);
}

/* Whether one of them ends it. */
static bool read_signals(struct watching *w)
{
	struct signalfd_siginfo info;

	while (read(w->signals, &info, sizeof(info)) == sizeof(info)) {
		switch ((int)info.ssi_signo) {
		case SIGWINCH: break;
		case SIGTSTP: suspend(w); break;
		default: return true;
		}
	}
	return false;
}

static bool has_keys(const struct watching *w)
{
	return w->terminal && w->terminal->keys;
}

/* Until something happened. 1: it is to end. */
static int wait_for_news(struct watching *w, int timeout)
{
	struct pollfd fds[] = {
		{ .fd = w->signals, .events = POLLIN },
		{ .fd = w->inotify, .events = POLLIN },
		{ .fd = has_keys(w) ? STDIN_FILENO : -1, .events = POLLIN },
	};

	if (w->wd < 0)
		timeout = timeout < 0 ? SEARCH_MSEC : MIN(timeout, SEARCH_MSEC);
	if (poll(fds, ARRAY_SIZE(fds), timeout) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents)
		read_events(w);
	if (fds[0].revents && read_signals(w))
		return 1;
	return fds[2].revents && terminal_read_end() ? 1 : 0;
}

int status_watch(const char *file, struct terminal *terminal, int (*draw)(void *userdata),
		 void *userdata)
{
	struct watching w;
	int r = watching_init(&w, file, terminal);

	while (r == 0) {
		int timeout;

		/* Before it is read, so that no change is missed. */
		find_directory(&w);
		timeout = draw(userdata);
		if (timeout < -1)
			break;
		r = wait_for_news(&w, timeout);
	}
	watching_done(&w);
	return MIN(r, 0);
}
