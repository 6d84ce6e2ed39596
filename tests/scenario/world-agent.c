#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "parse.h"
#include "strv.h"
#include "world-internal.h"

#define ARGUMENTS_MAX 32
/* Without its capabilities, root is forbidden what others are. */
#define WITHOUT_POWERS "setpriv --bounding-set=-all --inh-caps=-all"

usec_t world_patience(void)
{
	const char *scale = getenv("ASSET_TEST_PATIENCE");
	uint64_t n;

	return scale && parse_unsigned(scale, &n) == 0 && n > 0 && n < 1000
		       ? n * WORLD_PATIENCE
		       : WORLD_PATIENCE;
}

/* ---- its environment ---- */

static bool names_same(const char *a, const char *b)
{
	size_t length = strcspn(a, "=");

	return strncasecmp(a, b, length) == 0 && b[length] == '=';
}

/* What the surroundings of the tests must not bring in. */
static bool is_foreign(const char *variable, const char *const *more)
{
	static const char *const foreign[] = {
		"http_proxy=",	    "https_proxy=",	  "all_proxy=",
		"no_proxy=",	    "NOTIFY_SOCKET=",	  "JOURNAL_STREAM=",
		"STATE_DIRECTORY=", "RUNTIME_DIRECTORY=", "CREDENTIALS_DIRECTORY=",
		"WATCHDOG_USEC=",   "WATCHDOG_PID=",	  "INVOCATION_ID=",
		"LISTEN_FDS=",
	};

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		if (names_same(foreign[i], variable))
			return true;
	}
	for (; more && *more; more++) {
		if (names_same(*more, variable))
			return true;
	}
	return false;
}

void world_make_environment(struct world *w, const char *const *more)
{
	struct strv list = { 0 };
	char *socket = world_print("NOTIFY_SOCKET=%s/notify", w->root);

	for (char **variable = environ; *variable; variable++) {
		if (!is_foreign(*variable, more))
			assert_int_equal(strv_push(&list, *variable), 0);
	}
	assert_int_equal(strv_push(&list, socket), 0);
	free(socket);
	for (; more && *more; more++)
		assert_int_equal(strv_push(&list, *more), 0);
	list.items = reallocarray(list.items, list.count + 1, sizeof(char *));
	assert_non_null(list.items);
	list.items[list.count] = NULL;
	w->environment = list.items;
}

void world_set_environment(struct world *w, const char *variable)
{
	_cleanup_free_ char *name = world_print("%.*s=", (int)strcspn(variable, "="),
						variable);
	char *copy = world_print("%s", variable), **slot = w->environment;
	size_t count;

	while (*slot && !startswith(*slot, name))
		slot++;
	count = (size_t)(slot - w->environment);
	if (!*slot) {
		w->environment = reallocarray(w->environment, count + 2, sizeof(char *));
		assert_non_null(w->environment);
		w->environment[count + 1] = NULL;
	} else {
		free(*slot);
	}
	w->environment[count] = copy;
}

/* ---- namespaces ---- */

static bool put_proc(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

bool world_make_namespace(void)
{
	unsigned user = geteuid(), group = getegid();
	char users[32], groups[32];

	snprintf(users, sizeof(users), "0 %u 1", user);
	snprintf(groups, sizeof(groups), "0 %u 1", group);
	/* No mount of ours is to be seen outside. */
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       put_proc("/proc/self/uid_map", users) &&
	       put_proc("/proc/self/setgroups", "deny") &&
	       put_proc("/proc/self/gid_map", groups) &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* ---- starting ---- */

/* The wrapper, the program, its configuration, then @tail. */
static void make_command(struct world *w, struct strv *ret, const struct strv *tail)
{
	const char *wrapper = w->wrapper ? w->wrapper : getenv("ASSET_AGENT_WRAPPER");
	const char *program = getenv("ASSET_AGENT");

	if (wrapper)
		assert_int_equal(strv_push_words(ret, wrapper), 0);
	if (w->powerless && geteuid() == 0)
		assert_int_equal(strv_push_words(ret, WITHOUT_POWERS), 0);
	if (!program)
		program = "build/asset-agent";
	if (access(program, X_OK) < 0)
		fail_msg("there is no program %s; build it or set ASSET_AGENT", program);
	assert_int_equal(strv_push(ret, program), 0);
	assert_int_equal(strv_push(ret, "--config"), 0);
	assert_int_equal(strv_push(ret, w->config), 0);
	for (size_t i = 0; i < tail->count; i++)
		assert_int_equal(strv_push(ret, tail->items[i]), 0);
	assert_in_range(ret->count, 1, ARGUMENTS_MAX - 1);
}

/* Between fork and exec of a process with threads: only what is safe in a signal handler.
 */
static _Noreturn void become(struct world *w, char **arguments, int output, int log,
			     pid_t parent)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if ((w->journal && !world_enter_journal(w)) || (w->prepare && !w->prepare()))
		_exit(127);
	/* Behind what gives new rights, as that resets it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)close(STDIN_FILENO);
	(void)open("/dev/null", O_RDONLY);
	(void)dup2(output, STDOUT_FILENO);
	(void)dup2(log, STDERR_FILENO);
	(void)execvpe(arguments[0], arguments, w->environment);
	_exit(127);
}

static int open_output(const struct world *w)
{
	int fd = open(w->output, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static pid_t spawn_with(struct world *w, const struct strv *tail, int output, int log,
			int *ret_pidfd)
{
	_cleanup_(strv_done) struct strv command = { 0 };
	char *arguments[ARGUMENTS_MAX] = { 0 };
	pid_t parent = getpid(), pid;

	make_command(w, &command, tail);
	for (size_t i = 0; i < command.count; i++)
		arguments[i] = command.items[i];
	pid = fork();
	if (pid == 0)
		become(w, arguments, output, log, parent);
	assert_true(pid > 0);
	*ret_pidfd = pidfd_open(pid, 0);
	assert_true(*ret_pidfd >= 0);
	return pid;
}

static pid_t spawn(struct world *w, const struct strv *tail, int *ret_pidfd)
{
	_cleanup_close_ int output = open_output(w);
	_cleanup_close_ int log = open(w->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
				       0600);

	assert_true(log >= 0);
	return spawn_with(w, tail, output, log, ret_pidfd);
}

void world_launch(struct world *w)
{
	const struct strv none = { 0 };

	assert_int_equal(w->pid, 0);
	w->ready = w->stopping = w->died = false;
	w->watchdogs = w->reloads = w->extensions = 0;
	w->pid = spawn(w, &none, &w->pidfd);
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int wait_for(pid_t pid, int pidfd, usec_t timeout)
{
	struct pollfd polled = { .fd = pidfd, .events = POLLIN };
	int status = 0;

	if (poll(&polled, 1, (int)(timeout / USEC_PER_MSEC)) != 1) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
		fail_msg("the program did not end in time");
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void take_words(struct strv *ret, const char *command, va_list arguments)
{
	for (const char *word = command; word; word = va_arg(arguments, const char *))
		assert_int_equal(strv_push(ret, word), 0);
}

/* What comes through @master goes to the output, until the other end is closed. */
static void copy_terminal(struct world *w, int master)
{
	usec_t deadline = usec_add(clock_monotonic(), world_patience());
	_cleanup_close_ int output = open_output(w);
	char bytes[4096];
	ssize_t n = 1;

	while (n > 0) {
		struct pollfd polled = { .fd = master, .events = POLLIN };
		usec_t left = usec_sub(deadline, clock_monotonic());

		if (poll(&polled, 1, (int)(left / USEC_PER_MSEC)) != 1)
			return;
		n = read(master, bytes, sizeof(bytes));
		if (n > 0)
			assert_int_equal(write(output, bytes, (size_t)n), n);
	}
}

int world_run_on_terminal(struct world *w, unsigned short columns, const char *command,
			  ...)
{
	const struct winsize size = { .ws_row = 24, .ws_col = columns };
	_cleanup_(strv_done) struct strv tail = { 0 };
	_cleanup_close_ int master = -1, slave = -1, pidfd = -1;
	va_list arguments;
	pid_t pid;

	va_start(arguments, command);
	take_words(&tail, command, arguments);
	va_end(arguments);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
	assert_int_equal(fcntl(master, F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(fcntl(slave, F_SETFD, FD_CLOEXEC), 0);
	pid = spawn_with(w, &tail, slave, slave, &pidfd);
	slave = close_fd(slave);
	copy_terminal(w, master);
	return exit_status(wait_for(pid, pidfd, world_patience()));
}

int world_run(struct world *w, const char *command, ...)
{
	_cleanup_(strv_done) struct strv tail = { 0 };
	_cleanup_close_ int pidfd = -1;
	va_list arguments;
	int status;
	pid_t pid;

	va_start(arguments, command);
	take_words(&tail, command, arguments);
	va_end(arguments);
	pid = spawn(w, &tail, &pidfd);
	status = exit_status(wait_for(pid, pidfd, world_patience()));
	world_assert_no_secrets(w); /* the next one's output takes this one's place */
	return status;
}

/* ---- waiting ---- */

/* All of them are kept, as each may be seen by people. */
static void take_status(struct world *w, const char *text)
{
	_cleanup_free_ char *path = world_print("%s/notified", w->root);
	_cleanup_fclose_ FILE *file = fopen(path, "ae");

	assert_non_null(file);
	(void)fprintf(file, "%s\n", text);
	(void)replace_string(&w->status_text, text);
}

static void take_notice(struct world *w, char *message)
{
	char *line;

	while ((line = strsep(&message, "\n"))) {
		if (streq(line, "READY=1"))
			w->ready = true;
		else if (streq(line, "RELOADING=1"))
			w->ready = false;
		else if (startswith(line, "MONOTONIC_USEC=") && !w->ready)
			w->reloads++;
		else if (startswith(line, "EXTEND_TIMEOUT_USEC="))
			w->extensions++;
		else if (streq(line, "STOPPING=1"))
			w->stopping = true;
		else if (streq(line, "WATCHDOG=1"))
			w->watchdogs++;
		else if (startswith(line, "STATUS="))
			take_status(w, line + STRLEN("STATUS="));
	}
}

void world_read_notify(struct world *w)
{
	char message[4096];
	ssize_t n;

	while ((n = recv(w->notify, message, sizeof(message) - 1, MSG_DONTWAIT)) >= 0) {
		message[n] = '\0';
		take_notice(w, message);
	}
}

static void reap(struct world *w)
{
	assert_int_equal(waitpid(w->pid, &w->status, 0), w->pid);
	w->pid = 0;
	w->pidfd = close_fd(w->pidfd);
	world_read_notify(w);
}

/* Watches the directory of @path, or while that is not there the nearest above. */
static void watch(int inotify, const char *path)
{
	_cleanup_free_ char *directory = path ? strdup(path) : NULL;
	char *slash;

	while (directory && (slash = strrchr(directory, '/')) && slash != directory) {
		*slash = '\0';
		if (inotify_add_watch(inotify, directory,
				      IN_CREATE | IN_MOVE | IN_DELETE | IN_MODIFY |
					      IN_CLOSE_WRITE | IN_ATTRIB) >= 0)
			return;
	}
}

static void drain(int inotify)
{
	char events[16 * 1024];

	while (read(inotify, events, sizeof(events)) > 0)
		;
}

static bool is_over(struct world *w, usec_t deadline)
{
	return w->pid == 0 || clock_monotonic() >= deadline;
}

static bool until(struct world *w, const char *path, usec_t timeout,
		  bool (*holds)(struct world *w, const void *what), const void *what)
{
	usec_t deadline = usec_add(clock_monotonic(), timeout);
	_cleanup_close_ int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	assert_true(inotify >= 0);
	for (;;) {
		bool over = is_over(w, deadline);
		struct pollfd polled[] = {
			{ .fd = inotify, .events = POLLIN },
			{ .fd = w->notify, .events = POLLIN },
			{ .fd = w->pidfd, .events = POLLIN },
		};
		usec_t left = usec_sub(deadline, clock_monotonic());

		/* In this order, so that nothing can happen unseen. */
		watch(inotify, path);
		world_read_notify(w);
		if (holds(w, what))
			return true;
		if (over)
			return false;
		(void)poll(polled, ARRAY_SIZE(polled), (int)(left / USEC_PER_MSEC) + 1);
		drain(inotify);
		if (polled[2].revents) {
			reap(w);
			w->died = true;
		}
	}
}

bool world_until(struct world *w, const char *path,
		 bool (*holds)(struct world *w, const void *what), const void *what)
{
	return until(w, path, world_patience(), holds, what);
}

static bool has_ended(struct world *w, const void *what)
{
	(void)what;
	return w->pid == 0;
}

int world_wait_exit(struct world *w)
{
	if (!world_until(w, NULL, has_ended, NULL))
		fail_msg("the agent did not end in time");
	w->died = false;
	return exit_status(w->status);
}

static bool is_ready(struct world *w, const void *what)
{
	(void)what;
	return w->ready;
}

void world_wait_ready(struct world *w)
{
	if (!world_until(w, NULL, is_ready, NULL))
		fail_msg("the agent %s", w->pid ? "did not get ready in time"
						: "ended before it was ready");
}

static bool is_reloaded(struct world *w, const void *before)
{
	return w->reloads > *(const size_t *)before && w->ready;
}

void world_reload(struct world *w)
{
	size_t before;

	world_read_notify(w);
	before = w->reloads;
	world_signal(w, SIGHUP);
	if (!world_until(w, NULL, is_reloaded, &before))
		fail_msg("the agent %s", w->pid ? "did not reload in time"
						: "ended when it was to reload");
}

void world_reconfigure(struct world *w, const struct world_options *options)
{
	world_configure(w, options);
	world_reload(w);
}

static bool has_status(struct world *w, const void *text)
{
	return w->status_text && strstr(w->status_text, text);
}

void world_wait_status(struct world *w, const char *text)
{
	if (!world_until(w, NULL, has_status, text))
		fail_msg("no STATUS= had \"%s\"; the last: %s", text,
			 w->status_text ? w->status_text : "(none)");
}

static bool has_beaten(struct world *w, const void *what)
{
	return w->watchdogs >= *(const size_t *)what;
}

bool world_wait_watchdog(struct world *w, size_t n, usec_t timeout)
{
	return until(w, NULL, timeout, has_beaten, &n);
}

const char *world_status(struct world *w)
{
	world_read_notify(w);
	return w->status_text;
}

/* ---- ending ---- */

void world_signal(struct world *w, int signal)
{
	siginfo_t info;

	assert_true(w->pid > 0);
	assert_int_equal(kill(w->pid, signal), 0);
	/* It stops by itself, a moment later. */
	if (signal == SIGSTOP)
		assert_int_equal(waitid(P_PID, (id_t)w->pid, &info, WSTOPPED), 0);
}

void world_kill9(struct world *w)
{
	world_signal(w, SIGKILL);
	assert_int_equal(world_wait_exit(w), 128 + SIGKILL);
}

void world_restart(struct world *w)
{
	if (w->pid) {
		world_signal(w, SIGTERM);
		assert_int_equal(world_wait_exit(w), 0);
	}
	world_launch(w);
	world_wait_ready(w);
}

void world_kill_if_runs(struct world *w)
{
	if (w->pid == 0)
		return;
	(void)kill(w->pid, SIGKILL);
	(void)waitpid(w->pid, &w->status, 0);
	w->pid = 0;
	w->pidfd = close_fd(w->pidfd);
}

uint64_t world_rss_peak(struct world *w)
{
	_cleanup_free_ char *path = world_print("/proc/%d/status", (int)w->pid);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	unsigned long long kilobytes = 0;
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmHWM: %llu kB", &kilobytes) == 1)
			break;
	}
	return kilobytes * 1024;
}
