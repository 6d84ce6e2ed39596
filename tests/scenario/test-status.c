/* What the agent tells of itself, and how `asset-agent status` shows it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <utmp.h>

#include "macro.h"
#include "snapshot.h"
#include "world.h"

/* A retry that is not soon, so that it can be looked at. */
static const struct world_options patient = {
	.retry = "InitialDelay=1h\nMaxDelay=1h\nMaxAttempts=5\n",
};

static const struct world_options only_the_world = { .no_agent = true };

static void wait_status(struct world *w, const char *text)
{
	_cleanup_free_ char *path = world_beside(w, "status.json");

	world_wait_text(w, path, text);
}

/* What `asset-agent status` prints, with its exit status. The caller frees it. */
static char *status_of(struct world *w, int expected)
{
	assert_int_equal(world_run(w, "status", NULL), expected);
	return world_output(w);
}

static void assert_holds(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void read_snapshot(struct world *w, struct snapshot *ret)
{
	_cleanup_free_ char *path = world_beside(w, "status.json");
	_cleanup_free_ char *text = world_read(w, path);
	const char *member = NULL;

	if (snapshot_parse(text, strlen(text), ret, &member) != 0)
		fail_msg("%s: %s", member ? member : "no object", text);
}

/* The first upload of @name gets stuck after its first bytes. */
static void drop_and_hold(struct world *w, const char *name)
{
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .phase = FAULT_IN_BODY,
						   .bytes = 1000,
						   .action = FAULT_STALL });
	world_drop_random(w, name, 3 << 20, 1);
	assert_true(service_wait_held(w->service, 1, world_patience()));
}

/* ---- what is told ---- */

static void the_file_tells_all_that_was_promised(void **state)
{
	_cleanup_(snapshot_done) struct snapshot s = {};
	struct world *w = *state;
	_cleanup_free_ char *file = NULL, *path = NULL;
	struct stat st;

	world_start(w, &patient);
	drop_and_hold(w, "large.bin");
	wait_status(w, "\"step\":\"send\"");
	read_snapshot(w, &s);
	assert_string_equal(s.version, VERSION);
	assert_int_equal(s.pid, w->pid);
	assert_int_equal(s.state, SNAPSHOT_RUNNING);
	assert_true(s.started > 0 && s.updated >= s.started);
	assert_int_equal(s.uploading, 1);
	assert_int_equal(s.uploaded, 0);
	assert_int_equal(s.service_count, 4);
	for (size_t i = 0; i < s.service_count; i++)
		assert_int_equal(s.services[i].health, SNAPSHOT_OK);
	assert_int_equal(s.spool_count, 1);
	assert_string_equal(s.spools[0].name, "first");
	assert_string_equal(s.spools[0].path, w->spool);
	assert_int_equal(s.spools[0].watch, SNAPSHOT_WATCHING);
	assert_int_equal(s.transfer_count, 1);
	file = world_path(w, "large.bin");
	assert_string_equal(s.transfers[0].file, file);
	assert_string_equal(s.transfers[0].spool, "first");
	assert_int_equal(s.transfers[0].size, 3 << 20);
	assert_true(s.transfers[0].sent <= s.transfers[0].size);
	assert_int_equal(s.transfers[0].attempt, 1);
	path = world_beside(w, "status.json");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	service_release(w->service);
	world_wait_uploaded(w, "large.bin");
	wait_status(w, "\"uploading\":0,\"waiting\":0,\"more\":false,\"uploaded\":1,"
		       "\"bytes\":3145728,\"failed\":0,\"rate\":0");
	world_stop(w);
}

static void a_clean_stop_takes_the_file_away(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;

	world_start(w, NULL);
	wait_status(w, "\"state\":\"running\"");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	path = world_beside(w, "status.json");
	assert_false(world_exists(w, path));
	world_stop(w);
}

static void a_file_that_cannot_be_written_is_told_once(void **state)
{
	static const struct world_options options = {
		.report = "StatusFile=@ROOT@/later/status.json\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *directory = NULL, *path = NULL;

	world_start(w, &options);
	directory = world_beside(w, "later");
	path = world_beside(w, "later/status.json");
	world_wait_log(w,
		       "later/status.json can't be written: No such file or directory");
	world_upload(w, "one.txt");
	world_wait_status(w, "uploaded 1");
	world_upload(w, "two.txt");
	world_wait_status(w, "uploaded 2");
	assert_int_equal(world_count_log(w, "can't be written"), 1);
	assert_int_equal(mkdir(directory, 0755), 0);
	world_upload(w, "three.txt");
	world_wait_text(w, path, "\"uploaded\":3");
	world_wait_log(w, "later/status.json can be written again");
	assert_int_equal(world_count_log(w, "can be written again"), 1);
	world_stop(w);
}

/* Who drains by hand has no service's directory, and needs no status file. */
static void a_drain_without_a_place_for_the_file_says_nothing_of_it(void **state)
{
	static const struct world_options options = {
		.report = "StatusFile=@ROOT@/nowhere/status.json\nLogLevel=info\n",
		.no_agent = true,
	};
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "one.txt", "1");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	world_assert_uploaded(w, "one.txt");
	assert_int_equal(world_count_log(w, "can't be written"), 0);
	world_stop(w);
}

/* ---- the screen ---- */

static void the_screen_shows_services_spools_and_transfers(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL, *file = NULL;

	world_start(w, &patient);
	drop_and_hold(w, "large.bin");
	wait_status(w, "\"step\":\"send\"");
	text = status_of(w, 0);
	file = world_path(w, "large.bin");
	assert_holds(text, "asset-agent " VERSION " is running, for ");
	assert_holds(text, "\nUploading 1");
	assert_holds(text, "\nServices\n");
	assert_holds(text, service_base_url(w->service));
	assert_holds(text, "\nSpools\n  first  ");
	assert_holds(text, "  watching  uploaded 0, failed 0\n");
	assert_holds(text, "\nOn their way\n  ");
	assert_holds(text, file);
	assert_holds(text, "% of     3.0 MiB");
	assert_null(strchr(text, '\x1B'));
	service_release(w->service);
	world_wait_uploaded(w, "large.bin");
	world_stop(w);
}

static void a_retry_is_listed_with_its_reason(void **state)
{
	_cleanup_(snapshot_done) struct snapshot s = {};
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;

	world_start(w, &patient);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .phase = FAULT_IN_BODY,
						   .bytes = 1000,
						   .action = FAULT_RESET });
	world_drop_random(w, "bad\nname.bin", 1 << 20, 1);
	wait_status(w, "\"stage\":\"upload\"");
	read_snapshot(w, &s);
	assert_int_equal(s.retry_count, 1);
	assert_true(s.retries[0].attempts >= 1);
	assert_true(s.retries[0].next_try > s.started);
	text = status_of(w, 0);
	assert_holds(text, "\nTo be tried again\n");
	assert_holds(text, "/bad\\nname.bin");
	assert_holds(text, "; upload: ");
	service_clear_faults(w->service);
	world_stop(w);
}

static void a_service_that_is_away_is_shown_with_the_reason(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;

	world_start(w, NULL);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .action = FAULT_ANSWER,
						   .status = 503 });
	world_drop(w, "one.txt", "waits");
	wait_status(w, "\"state\":\"away\",\"since\":");
	text = status_of(w, 0);
	assert_holds(text, "  away for ");
	assert_holds(text, "503");
	service_clear_faults(w->service);
	world_wait_uploaded(w, "one.txt");
	wait_status(w, "\"uploaded\":1");
	world_stop(w);
}

static void a_spool_that_is_away_is_shown_with_the_reason(void **state)
{
	static const struct world_options options = { .spools = { "far" },
						      .spool = "PollInterval=50ms\n" };
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;

	world_start(w, &options);
	assert_int_equal(rmdir(w->spools[0]), 0);
	wait_status(w, "\"state\":\"away\",\"why\":\"No such file or directory\"");
	text = status_of(w, 0);
	assert_holds(text, "  away      uploaded 0, failed 0\n    No such file");
	assert_int_equal(mkdir(w->spools[0], 0770), 0);
	wait_status(w, "\"name\":\"far\",\"path\":");
	world_stop(w);
}

static void json_is_what_the_file_holds(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL, *file = NULL, *text = NULL;

	world_start(w, NULL);
	world_upload(w, "one.txt");
	wait_status(w, "\"uploading\":0,\"waiting\":0,\"more\":false,\"uploaded\":1");
	/* It has come to rest: nothing writes it any more. */
	wait_status(w, "\"rate\":0,");
	assert_int_equal(world_run(w, "status", "--json", NULL), 0);
	text = world_output(w);
	path = world_beside(w, "status.json");
	file = world_read(w, path);
	assert_holds(text, "\"uploaded\":1,");
	assert_int_equal(strlen(text), strlen(file));
	world_stop(w);
}

/* ---- when it does not run ---- */

static void that_none_runs_is_said(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL, *json = NULL;

	world_start(w, &only_the_world);
	text = status_of(w, 1);
	assert_holds(text, "asset-agent is not running: there is no ");
	assert_holds(text, "there is no ledger in ");
	assert_int_equal(world_run(w, "status", "--json", NULL), 1);
	json = world_output(w);
	assert_string_equal(json, "");
	world_stop(w);
}

static void one_that_was_killed_is_told_from_one_that_runs(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL, *path = NULL;

	world_start(w, &patient);
	drop_and_hold(w, "large.bin");
	wait_status(w, "\"step\":\"send\"");
	world_kill9(w);
	text = status_of(w, 1);
	assert_holds(text, "asset-agent is not running: process ");
	assert_holds(text, "is gone without a clean stop");
	assert_holds(text, "1 on their way to a granted URL, 0 uploaded");
	path = world_beside(w, "status.json");
	assert_true(world_exists(w, path)); /* looking has changed nothing */
	service_release(w->service);
	world_restart(w);
	world_wait_uploaded(w, "large.bin");
	world_stop(w);
}

/* Numbers of processes are given anew: here to this one. */
static void another_program_of_the_same_number_is_not_taken_for_it(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL, *text = NULL, *said = NULL;
	struct snapshot s = { .version = (char *)VERSION,
			      .pid = (uint64_t)getpid(),
			      .process_start = 1,
			      .started = USEC_PER_SEC,
			      .updated = USEC_PER_SEC };

	world_start(w, &only_the_world);
	path = world_beside(w, "status.json");
	text = snapshot_format(&s);
	world_write(w, path, text);
	said = status_of(w, 1);
	assert_holds(said, "asset-agent is not running: process ");
	world_stop(w);
}

static const struct {
	const char *text, *complaint;
} torn[] = {
	{ "", "is no status file of asset-agent: it is no JSON object" },
	{ "{\"version\":\"1\"",
	  "is no status file of asset-agent: it is no JSON object" },
	{ "{\"version\":\"1\"}", "its member \"pid\" is missing or wrong" },
};

static void a_file_that_is_no_status_is_refused(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;

	world_start(w, &only_the_world);
	path = world_beside(w, "status.json");
	for (size_t i = 0; i < ARRAY_SIZE(torn); i++) {
		world_write(w, path, torn[i].text);
		assert_int_equal(world_run(w, "status", NULL), 1);
		world_wait_log(w, torn[i].complaint);
		assert_int_equal(world_run(w, "status", "--json", NULL), 1);
	}
	world_stop(w);
}

static void assert_told_to_join(struct world *w)
{
	world_mark_log(w);
	assert_int_equal(world_run(w, "status", NULL), 1);
	world_wait_log(w, "You may not read ");
	world_wait_log(w, "Use sudo, or join the group ");
}

static void who_may_not_read_it_is_told_what_to_do(void **state)
{
	static const struct world_options options = {
		.report = "StatusFile=@ROOT@/run/status.json\n",
		.no_agent = true,
		.powerless = true,
	};
	struct world *w = *state;
	_cleanup_free_ char *directory = NULL, *path = NULL;

	world_start(w, &options);
	directory = world_beside(w, "run");
	path = world_beside(w, "run/status.json");
	assert_int_equal(mkdir(directory, 0750), 0);
	world_write(w, path, "{}");
	world_chmod(w, path, 0040);
	assert_told_to_join(w);
	/* systemd keeps others out of its directory. */
	world_chmod(w, path, 0640);
	world_chmod(w, directory, 0050);
	assert_told_to_join(w);
	world_chmod(w, directory, 0700);
	world_stop(w);
}

static void who_may_not_read_the_configuration_is_told_too(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .powerless = true };
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;

	world_start(w, &options);
	path = world_beside(w, "agent.conf");
	world_chmod(w, path, 0040);
	world_mark_log(w);
	assert_int_equal(world_run(w, "status", NULL), 78);
	world_wait_log(w, "agent.conf: can't be read: Permission denied");
	world_wait_log(w, "Use sudo, or join the group ");
	world_chmod(w, path, 0640);
	world_stop(w);
}

/* Somebody broke the configuration at night; what runs has the old one. */
static void with_a_faulty_configuration_the_agent_is_seen_all_the_same(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *old = NULL, *faulty = NULL, *output = NULL;

	world_start(w, NULL);
	world_upload(w, "before.txt");
	world_wait_status(w, "uploaded 1");
	old = world_read(w, w->config);
	assert_true(asprintf(&faulty, "%s\n[Upload]\nMaxConcurrent=many\n", old) > 0);
	world_write(w, w->config, faulty);
	assert_int_equal(world_run(w, "status", NULL), 0);
	output = world_output(w);
	assert_non_null(strstr(output, " is running, "));
	world_wait_log(w, ": MaxConcurrent= must be ");
	world_wait_log(w, "A running agent goes on with what it has read before.");
	world_stop(w);
}

static void watching_needs_a_terminal(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	assert_int_equal(world_run(w, "status", "--watch", NULL), 2);
	world_wait_log(w, "--watch without --json needs a terminal");
	world_stop(w);
}

/* ---- --watch, on a terminal of our own ---- */

#define ENTER	 "\x1B[?1049h"
#define LEAVE	 "\x1B[?1049l"
#define HOME	 "\x1B[H"
#define CLEAR	 "\x1B[2J"
#define SEEN_MAX ((size_t)1 << 20)

#define MARK "\x01the end\x01" /* that we print behind the last of its words */

/* The other end of the terminal stays open here, too: where nobody has it open, what was
 * not read of it may be lost. */
struct session {
	pid_t pid;
	int pidfd, master, slave;
	int status; /* -1: it has not ended */
	char *seen; /* all that was printed */
	size_t length;
};

static void open_session(struct world *w, struct session *s, const char *option)
{
	const struct winsize size = { .ws_row = 40, .ws_col = 120 };
	const char *agent = getenv("ASSET_AGENT");
	const char *arguments[] = { agent ? agent : "build/asset-agent",
				    "--config",
				    w->config,
				    "status",
				    "--watch",
				    option,
				    NULL };

	*s = (struct session){ .status = -1, .seen = calloc(1, SEEN_MAX) };
	assert_int_equal(openpty(&s->master, &s->slave, NULL, NULL, &size), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)close(s->master);
		(void)login_tty(s->slave);
		(void)setenv("TERM", "xterm", 1);
		(void)unsetenv("NO_COLOR");
		(void)execv(arguments[0], (char **)arguments);
		_exit(127);
	}
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	assert_true(s->pidfd >= 0);
}

static void take_end(struct session *s)
{
	int status;

	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	assert_int_equal(write(s->slave, MARK, STRLEN(MARK)), STRLEN(MARK));
}

/* One more piece of what it prints. False: that was all. */
static bool read_more(struct session *s)
{
	struct pollfd fds[] = {
		{ .fd = s->master, .events = POLLIN },
		{ .fd = s->status < 0 ? s->pidfd : -1, .events = POLLIN },
	};
	ssize_t n = 0;

	if (poll(fds, 2, (int)(world_patience() / USEC_PER_MSEC)) < 1)
		fail_msg("nothing more is printed after:\n%s", s->seen);
	assert_true(s->length < SEEN_MAX - 1);
	if (fds[0].revents)
		n = read(s->master, s->seen + s->length, SEEN_MAX - 1 - s->length);
	assert_true(n >= 0);
	s->length += (size_t)n;
	if (fds[1].revents)
		take_end(s);
	return !strstr(s->seen, MARK);
}

/* Until @text is printed, from @from on. Returns where it was. */
static size_t wait_seen(struct session *s, size_t from, const char *text)
{
	const char *at;

	while (!(at = strstr(s->seen + from, text)))
		if (!read_more(s) && !strstr(s->seen + from, text))
			fail_msg("it ended without \"%s\":\n%s", text, s->seen);
	return (size_t)(at - s->seen);
}

/* Waits for its end. Returns the exit status. */
static int close_session(struct session *s)
{
	while (read_more(s))
		;
	*strstr(s->seen, MARK) = '\0';
	(void)close(s->pidfd);
	(void)close(s->master);
	(void)close(s->slave);
	return s->status;
}

/* Frames are drawn over each other, and the terminal is as before in the end. */
static void assert_clean_session(const struct session *s)
{
	assert_true(startswith(s->seen, ENTER));
	assert_null(strstr(s->seen, CLEAR));
	assert_non_null(strstr(s->seen, LEAVE));
	assert_null(strstr(strstr(s->seen, LEAVE), HOME));
	assert_non_null(strstr(s->seen, "\x1B[?25h")); /* the cursor */
}

static void a_watched_screen_is_drawn_anew_with_each_change(void **state)
{
	struct world *w = *state;
	struct session s;
	size_t first;

	world_start(w, NULL);
	open_session(w, &s, NULL);
	first = wait_seen(&s, 0, "uploaded 0 (0 bytes)");
	world_upload(w, "one.txt");
	assert_true(wait_seen(&s, first, "uploaded 1 (7 bytes)") > first);
	assert_int_equal(write(s.master, "q", 1), 1);
	assert_int_equal(close_session(&s), 0);
	assert_clean_session(&s);
	free(s.seen);
	world_stop(w);
}

static void a_watched_screen_shows_how_a_transfer_goes_on(void **state)
{
	struct world *w = *state;
	struct session s;
	size_t at;

	world_start(w, &patient);
	drop_and_hold(w, "large.bin");
	open_session(w, &s, NULL);
	at = wait_seen(&s, 0, "On their way");
	at = wait_seen(&s, at, "large.bin");
	at = wait_seen(&s, at, "[");
	/* Nothing comes from the agent that stands, but time goes on. */
	at = wait_seen(&s, at, HOME);
	service_release(w->service);
	world_wait_uploaded(w, "large.bin");
	(void)wait_seen(&s, at, "uploaded 1 (3.0 MiB)");
	assert_int_equal(kill(s.pid, SIGINT), 0);
	assert_int_equal(close_session(&s), 0);
	assert_clean_session(&s);
	free(s.seen);
	world_stop(w);
}

static void a_watched_screen_sees_the_agent_stop_and_start(void **state)
{
	struct world *w = *state;
	struct session s;
	size_t at;

	world_start(w, NULL);
	open_session(w, &s, NULL);
	at = wait_seen(&s, 0, "is running");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	at = wait_seen(&s, at, "asset-agent is not running");
	world_launch(w);
	world_wait_ready(w);
	at = wait_seen(&s, at, "is running");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	(void)wait_seen(&s, at, "asset-agent is not running");
	assert_int_equal(write(s.master, "\x03", 1), 1); /* Ctrl-C */
	assert_int_equal(close_session(&s), 1);
	assert_clean_session(&s);
	free(s.seen);
	world_stop(w);
}

static void watched_json_is_a_line_a_change(void **state)
{
	struct world *w = *state;
	struct session s;
	size_t at;

	world_start(w, NULL);
	open_session(w, &s, "--json");
	at = wait_seen(&s, 0, "\"uploaded\":0,");
	world_upload(w, "one.txt");
	at = wait_seen(&s, at, "\n{\"version\"");
	at = wait_seen(&s, at, "\"uploaded\":1,");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	(void)wait_seen(&s, at, "asset-agent is not running");
	assert_int_equal(close_session(&s), 1);
	assert_null(strchr(s.seen, '\x1B'));
	free(s.seen);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(the_file_tells_all_that_was_promised),
		scenario(a_clean_stop_takes_the_file_away),
		scenario(a_file_that_cannot_be_written_is_told_once),
		scenario(a_drain_without_a_place_for_the_file_says_nothing_of_it),
		scenario(the_screen_shows_services_spools_and_transfers),
		scenario(a_retry_is_listed_with_its_reason),
		scenario(a_service_that_is_away_is_shown_with_the_reason),
		scenario(a_spool_that_is_away_is_shown_with_the_reason),
		scenario(json_is_what_the_file_holds),
		scenario(that_none_runs_is_said),
		scenario(one_that_was_killed_is_told_from_one_that_runs),
		scenario(another_program_of_the_same_number_is_not_taken_for_it),
		scenario(a_file_that_is_no_status_is_refused),
		scenario(who_may_not_read_it_is_told_what_to_do),
		scenario(who_may_not_read_the_configuration_is_told_too),
		scenario(with_a_faulty_configuration_the_agent_is_seen_all_the_same),
		scenario(watching_needs_a_terminal),
		scenario(a_watched_screen_is_drawn_anew_with_each_change),
		scenario(a_watched_screen_shows_how_a_transfer_goes_on),
		scenario(a_watched_screen_sees_the_agent_stop_and_start),
		scenario(watched_json_is_a_line_a_change),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
