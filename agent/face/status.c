#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>

#include "fs.h"
#include "ledger-look.h"
#include "log.h"
#include "macro.h"
#include "process.h"
#include "screen.h"
#include "size.h"
#include "status-watch.h"
#include "status.h"
#include "view.h"

DEFINE_CLEANUP(struct config *, config_freep, config_free)

#define MOVING_MSEC  1000  /* between two pictures while something moves, */
#define RESTING_MSEC 10000 /* and while only spans grow */

/* ---- is it there? ---- */

enum presence {
	RUNS,
	RUNS_UNSEEN, /* it has the ledger, but there is no status of it: starts, stops */
	STOPPED,
	LEFT_BEHIND, /* the file is there, its writer is not */
	NOT_TOLD,    /* the file can't be read */
	NO_STATUS,   /* it is no status file */
};

struct sight {
	enum presence presence;
	char *text; /* RUNS: of the file */
	struct snapshot snapshot;
	const char *member; /* NO_STATUS: as snapshot_parse() has it */
	int error;	    /* NOT_TOLD */
	pid_t holder;	    /* RUNS_UNSEEN */
};

static void sight_done(struct sight *sight)
{
	free(sight->text);
	snapshot_done(&sight->snapshot);
}

/* Numbers of processes are given anew. Where /proc hides those of others, it goes by the
 * number alone. */
static bool is_alive(const struct snapshot *snapshot)
{
	uint64_t start = 0;
	int r;

	if (snapshot->pid == 0 || snapshot->pid > INT32_MAX)
		return false;
	r = process_start(snapshot->pid, &start);
	if (r == 0 && snapshot->process_start > 0)
		return start == snapshot->process_start;
	return r == 0 || kill((pid_t)snapshot->pid, 0) == 0 || errno == EPERM;
}

/* Without a status file. */
static void look_for_holder(const struct config *config, struct sight *sight)
{
	pid_t holder = ledger_holder(config->state.directory);

	sight->presence = holder > 0 ? RUNS_UNSEEN : STOPPED;
	sight->holder = holder;
}

static void judge(struct sight *sight, size_t length)
{
	int r = snapshot_parse(sight->text, length, &sight->snapshot, &sight->member);

	if (r == -EBADMSG) {
		sight->presence = NO_STATUS;
	} else if (r < 0) {
		sight->presence = NOT_TOLD;
		sight->error = r;
	} else {
		sight->presence = is_alive(&sight->snapshot) ? RUNS : LEFT_BEHIND;
	}
}

static void look(const struct config *config, struct sight *ret)
{
	size_t length;
	int r;

	*ret = (struct sight){};
	r = fs_read_file(AT_FDCWD, config->report.status_file, SNAPSHOT_SIZE_MAX,
			 &ret->text, &length);
	if (r == -ENOENT) {
		look_for_holder(config, ret);
	} else if (r < 0) {
		ret->presence = NOT_TOLD;
		ret->error = r;
	} else {
		judge(ret, length);
	}
}

static int exit_status(const struct sight *sight)
{
	return sight->presence == RUNS || sight->presence == RUNS_UNSEEN ? EXIT_SUCCESS
									 : EXIT_FAILURE;
}

/* ---- in words ---- */

static void say_ledger(const struct config *config, FILE *out)
{
	const char *directory = config->state.directory;
	uint64_t counts[4];
	int r = ledger_look_counts(directory, counts);

	if (r == -ENOENT)
		fprintf(out, "Nothing is unfinished: there is no ledger in %s.\n",
			directory);
	else if (r == -EACCES)
		fprintf(out,
			"What is unfinished stands in the ledger in %s, which you may not "
			"read: sudo asset-agent status tells.\n",
			directory);
	else if (r < 0)
		fprintf(out, "The ledger in %s can't be read: %s.\n", directory,
			log_errno(r));
	else if (counts[LEDGER_GRANTED] + counts[LEDGER_UPLOADED] +
			 counts[LEDGER_WAITING] ==
		 0)
		fprintf(out,
			"Nothing that was begun is unfinished. What is due in the spools is "
			"uploaded at the next start.\n");
	else
		fprintf(out,
			"Unfinished, in the ledger in %s: %" PRIu64
			" on their way to a granted URL, %" PRIu64
			" uploaded but for the last step, %" PRIu64
			" to be tried again. They go on at the next start, with all that "
			"is due in the spools.\n",
			directory, counts[LEDGER_GRANTED], counts[LEDGER_UPLOADED],
			counts[LEDGER_WAITING]);
}

static void say_not_told(const char *path, int error, FILE *out)
{
	if (error == -EACCES)
		command_say_forbidden(path, out);
	else
		fprintf(out, "%s can't be read: %s.\n", path, log_errno(error));
}

static void say_left_behind(const struct config *config, const struct snapshot *snapshot,
			    FILE *out)
{
	char span[CLOCK_STRING_MAX];

	fprintf(out,
		"asset-agent is not running: process %" PRIu64
		", which wrote %s %s ago, is gone without a clean stop. journalctl -u "
		"asset-agent tells why.\n",
		snapshot->pid, config->report.status_file,
		clock_format_span(span, usec_sub(clock_realtime(), snapshot->updated)));
	say_ledger(config, out);
}

/* Everything but that it runs. */
static void say(const struct config *config, const struct sight *sight, FILE *out)
{
	const char *path = config->report.status_file;

	switch (sight->presence) {
	case RUNS: break;
	case RUNS_UNSEEN:
		fprintf(out,
			"asset-agent has the ledger open (process %d), but there is no %s: "
			"it is just starting or stopping, or can't write that. journalctl "
			"-u asset-agent tells.\n",
			(int)sight->holder, path);
		break;
	case STOPPED:
		fprintf(out,
			"asset-agent is not running: there is no %s. To start it: systemctl "
			"start asset-agent\n",
			path);
		say_ledger(config, out);
		break;
	case LEFT_BEHIND: say_left_behind(config, &sight->snapshot, out); break;
	case NOT_TOLD: say_not_told(path, sight->error, out); break;
	case NO_STATUS:
		fprintf(out, "%s is no status file of asset-agent: %s%s%s.\n", path,
			sight->member ? "its member \"" : "it is no JSON object",
			sight->member ? sight->member : "",
			sight->member ? "\" is missing or wrong" : "");
		break;
	}
}

/* The whole text for people; NULL: out of memory. */
static char *describe(const struct config *config, const struct sight *sight,
		      const struct view *view)
{
	char *text = NULL;
	size_t length;
	FILE *out;

	if (sight->presence == RUNS)
		return view_format(&sight->snapshot, view, clock_realtime());
	out = open_memstream(&text, &length);
	if (!out)
		return NULL;
	say(config, sight, out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- once ---- */

static int show_once(const struct config *config)
{
	_cleanup_(sight_done) struct sight sight = {};
	_cleanup_free_ char *text = NULL;
	struct screen screen;
	struct view view = {};
	size_t rows;

	look(config, &sight);
	screen_init(&screen);
	view.colours = screen.colour;
	if (isatty(STDOUT_FILENO))
		terminal_size(&view.columns, &rows);
	text = describe(config, &sight, &view);
	if (!text)
		return EXIT_FAILURE;
	fputs(text, sight.presence == NOT_TOLD || sight.presence == NO_STATUS ? stderr
									      : stdout);
	return exit_status(&sight);
}

static int show_json(const struct config *config)
{
	_cleanup_(sight_done) struct sight sight = {};

	look(config, &sight);
	if (sight.presence == RUNS)
		fputs(sight.text, stdout);
	else
		say(config, &sight, stderr);
	return sight.presence == RUNS ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- and again and again ---- */

struct show {
	const struct config *config;
	bool colours;
	char *last; /* JSON: what was printed last */
	int status;
};

/* How long what was seen stays true without a change. */
static int patience(const struct sight *sight)
{
	const struct snapshot *s = &sight->snapshot;

	/* Nobody replaces the file of one that was killed. */
	if (sight->presence != RUNS || s->uploading > 0 || s->retry_count > 0)
		return MOVING_MSEC;
	for (size_t i = 0; i < s->service_count; i++)
		if (s->services[i].health == SNAPSHOT_AWAY)
			return MOVING_MSEC;
	return RESTING_MSEC;
}

static int draw(void *userdata)
{
	_cleanup_(sight_done) struct sight sight = {};
	_cleanup_free_ char *text = NULL;
	struct show *show = userdata;
	struct view view = { .colours = show->colours };

	look(show->config, &sight);
	terminal_size(&view.columns, &view.rows);
	text = describe(show->config, &sight, &view);
	show->status = exit_status(&sight);
	if (text && terminal_draw(text) < 0)
		return -EIO;
	return patience(&sight);
}

static int print_change(void *userdata)
{
	_cleanup_(sight_done) struct sight sight = {};
	struct show *show = userdata;

	look(show->config, &sight);
	show->status = exit_status(&sight);
	if (sight.presence == RUNS_UNSEEN)
		return MOVING_MSEC;
	if (sight.presence != RUNS) {
		say(show->config, &sight, stderr);
		return -ESRCH;
	}
	if (!streq(sight.text, show->last)) {
		fputs(sight.text, stdout);
		free(show->last);
		show->last = take_ptr(sight.text);
	}
	if (fflush(stdout) != 0)
		return -EIO;
	/* That it was killed changes no file. */
	return RESTING_MSEC;
}

static int watch_json(const struct config *config)
{
	struct show show = { .config = config };
	int r = status_watch(config->report.status_file, NULL, print_change, &show);

	free(show.last);
	return r < 0 ? EXIT_FAILURE : show.status;
}

static int watch_screen(const struct config *config)
{
	struct show show = { .config = config };
	struct terminal terminal = {};
	struct screen screen;
	int r;

	if (!terminal_is_capable())
		return command_usage("--watch without --json needs a terminal that can "
				     "be drawn on, and this is none",
				     "status");
	screen_init(&screen);
	show.colours = screen.colour;
	terminal_enter(&terminal);
	r = status_watch(config->report.status_file, &terminal, draw, &show);
	terminal_leave(&terminal);
	if (r < 0)
		fprintf(stderr, "asset-agent: %s can't be watched: %s\n",
			config->report.status_file, log_errno(r));
	return r < 0 ? EXIT_FAILURE : show.status;
}

int status_command(const struct command_line *line)
{
	_cleanup_(config_freep) struct config *config = NULL;
	int status = command_load_config_faulty(line->config_file, &config);

	if (status != EXIT_SUCCESS)
		return status;
	if (line->watch)
		return line->json ? watch_json(config) : watch_screen(config);
	return line->json ? show_json(config) : show_once(config);
}
