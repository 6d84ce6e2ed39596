#include <fcntl.h>
#include <inttypes.h>

#include "explain-parts.h"
#include "fs.h"
#include "log.h"
#include "process.h"
#include "size.h"
#include "text.h"

/* ---- the agent ---- */

static void read_live(struct explain *e)
{
	const char *path = e->config->report.status_file;
	_cleanup_free_ char *text = NULL;
	size_t length;
	uint64_t start;

	if (fs_read_file(AT_FDCWD, path, SNAPSHOT_SIZE_MAX, &text, &length) < 0 ||
	    snapshot_parse(text, length, &e->live, NULL) < 0)
		return;
	/* What a process left that was killed is told by nobody now. */
	if (process_start(e->live.pid, &start) == 0 && start == e->live.process_start)
		e->has_live = true;
	else
		snapshot_done(&e->live);
}

/* In status.json names are text. */
static bool is_it(const struct explain *e, const char *file)
{
	_cleanup_free_ char *name = text_to_utf8(e->known_as, strlen(e->known_as));

	return name && streq(name, file);
}

void explain_find_agent(struct explain *e)
{
	e->agent = ledger_holder(e->config->state.directory);
	read_live(e);
	if (e->agent < 0 && e->has_live)
		e->agent = (pid_t)e->live.pid;
	if (e->agent > 0)
		check_user_enter(&e->user, e->agent);
}

static void find_transfer(struct explain *e)
{
	for (size_t i = 0; i < e->live.transfer_count && e->known_as; i++)
		if (is_it(e, e->live.transfers[i].file))
			e->moving = &e->live.transfers[i];
}

/* ---- what it does ---- */

static const char *step_words(enum snapshot_step step)
{
	switch (step) {
	case SNAPSHOT_TAKE: return "being looked at";
	case SNAPSHOT_ASK: return "asking the API for a URL";
	case SNAPSHOT_RECORD_GRANT: return "recording the URL that it got";
	case SNAPSHOT_SEND: return "being sent";
	case SNAPSHOT_RECORD_UPLOAD: return "sent, and being recorded as that";
	case SNAPSHOT_DISPOSE: return "sent, and getting its receipt";
	case SNAPSHOT_GIVE_UP: return "being given up";
	}
	return "";
}

static void tell_moving(struct explain *e)
{
	const struct snapshot_transfer *t = e->moving;
	char sent[SIZE_STRING_MAX], size[SIZE_STRING_MAX], started[CLOCK_STRING_MAX];

	screen_say(&e->screen, "It is on its way now: %s, since %s, in try %" PRIu64 ".",
		   step_words(t->step), screen_instant(started, t->started), t->attempt);
	if (t->step == SNAPSHOT_SEND && t->size > 0)
		screen_say(&e->screen, "Of its %s, %s are sent: %" PRIu64 "%%.",
			   size_format(size, t->size), size_format(sent, t->sent),
			   (uint64_t)((unsigned __int128)t->sent * 100 / t->size));
	explain_next(e, "its receipt %s" SIDECAR_DONE_SUFFIX " comes to be beside it.",
		     e->name);
}

/* Whether it failed and is to be tried again. */
static bool tell_retry(struct explain *e)
{
	for (size_t i = 0; i < e->live.retry_count; i++) {
		const struct snapshot_retry *r = &e->live.retries[i];
		const char *why = r->why ? r->why : "no reason is known";
		char at[CLOCK_STRING_MAX];

		if (!is_it(e, r->file))
			continue;
		screen_instant(at, r->next_try);
		screen_say(&e->screen,
			   "Try %" PRIu64 " of %" PRIu64 " failed at stage %s: %.*s.",
			   r->attempts, e->config->retry.max_attempts,
			   stage_name(r->stage), text_clause(why), why);
		explain_next(e, "it is tried again on %s.", at);
		return true;
	}
	return false;
}

/* ---- what it waits for ---- */

struct words {
	const char *name;
	const char *gone;  /* as the journal has it */
	const char *again; /* what is done about it, */
	const char *well;  /* and until when */
};

/* The disks of spools bear their paths, in status.json as text. */
static bool is_of_spool(const struct explain *e, const struct snapshot_service *s)
{
	const char *path = e->spool->path;
	_cleanup_free_ char *target = text_to_utf8(path, strlen(path));

	return streq(s->name, "disk") && target && streq(s->target, target);
}

/* Of the disks of spools only its own. */
static bool concerns(const struct explain *e, const struct snapshot_service *s)
{
	const char *path = e->config->state.directory;
	_cleanup_free_ char *target = text_to_utf8(path, strlen(path));

	return !streq(s->name, "disk") || (target && streq(s->target, target)) ||
	       is_of_spool(e, s);
}

static const struct words *service_words(const struct explain *e,
					 const struct snapshot_service *s)
{
	static const struct words services[] = {
		{ "auth", "Authorization fails", "the token server is asked again",
		  "when it gives a token" },
		{ "api", "The API is away", "the API is asked again", "when it is back" },
		{ "disk", "The disk of the state directory can't be written",
		  "the disk is tried again", "when it can be written" },
		{ "storage", "The storage is away", "the storage is asked again",
		  "when it is back" },
	};
	static const struct words spool = { "disk",
					    "The disk of this spool can't be written",
					    "the disk is tried again",
					    "when it can be written" };
	static const struct words other = { "", "A service is away",
					    "the service is asked again",
					    "when it is back" };

	if (is_of_spool(e, s))
		return &spool;
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (streq(services[i].name, s->name))
			return &services[i];
	return &other;
}

static void tell_away(struct explain *e, const struct snapshot_service *s)
{
	const struct words *words = service_words(e, s);
	char since[CLOCK_STRING_MAX], at[CLOCK_STRING_MAX];
	const char *why = s->why ? s->why : "no reason is known";

	screen_say(&e->screen,
		   "%s (%s), since %s: %.*s. Files that wait for it: %" PRIu64
		   "; none is lost.",
		   words->gone, s->target ? s->target : "?",
		   screen_instant(since, s->since), text_clause(why), why, s->waiting);
	if (s->next_try > 0)
		explain_next(
			e,
			"%s on %s; %s, the file goes by itself. What is to be mended "
			"here, if anything: asset-agent check --online",
			words->again, screen_instant(at, s->next_try), words->well);
	else
		explain_next(e,
			     "%s right now; %s, the file goes by itself. What is to be "
			     "mended here, if anything: asset-agent check --online",
			     words->again, words->well);
}

static void tell_spool(struct explain *e)
{
	for (size_t i = 0; i < e->live.spool_count; i++) {
		const struct snapshot_spool *s = &e->live.spools[i];
		const char *why = s->why ? s->why : "no reason is known";
		char span[CLOCK_STRING_MAX];

		if (!streq(s->name, e->spool->name))
			continue;
		switch (s->watch) {
		case SNAPSHOT_WATCHING: break;
		case SNAPSHOT_POLLING:
			screen_say(&e->screen,
				   "The agent looks through this spool every %s only.",
				   clock_format_span(span, e->spool->poll_interval));
			break;
		case SNAPSHOT_SPOOL_AWAY:
			screen_say(&e->screen, "The agent can't open this spool: %s.",
				   why);
			explain_next(e, "it is looked at when the spool can be opened.");
			break;
		case SNAPSHOT_HELD:
			screen_say(&e->screen,
				   "The files of this spool are held back: %s.", why);
			explain_next(e, "it goes when that is mended.");
			break;
		}
	}
}

static void tell_queue(struct explain *e)
{
	uint64_t most = e->config->upload.max_concurrent;
	char span[CLOCK_STRING_MAX];

	if (e->live.uploading >= most)
		screen_say(&e->screen,
			   "It waits for its turn. Files on their way: %" PRIu64
			   ", as many as MaxConcurrent= lets; files that wait: %" PRIu64
			   "%s.",
			   e->live.uploading, e->live.waiting, e->live.more ? "+" : "");
	else if (e->live.waiting > 0)
		screen_say(&e->screen,
			   "Files that wait now, this one included: %" PRIu64 "%s.",
			   e->live.waiting, e->live.more ? "+" : "");
	if (e->config->api.request_interval > 0)
		screen_say(&e->screen,
			   "RequestRate= lets one file a %s go, after a burst of %" PRIu64
			   ".",
			   clock_format_span(span, e->config->api.request_interval),
			   e->config->api.request_burst);
}

static void tell_no_agent(struct explain *e)
{
	screen_say(&e->screen, "The agent does not run.");
	explain_next(e, "nothing, until the agent runs: systemctl start asset-agent");
}

static void tell_unknown_agent(struct explain *e)
{
	if (e->agent < 0)
		screen_say(
			&e->screen,
			"Whether the agent runs can't be seen: %s; root would see more.",
			log_errno(e->agent));
	else
		screen_say(&e->screen,
			   "The agent runs, but %s, where it says what it does, can't be "
			   "read.",
			   e->config->report.status_file);
}

void explain_live(struct explain *e)
{
	find_transfer(e);
	if (e->moving) {
		tell_moving(e);
		return;
	}
	if (!e->exists || !e->may_be_due || e->current)
		return;
	if (e->agent == 0) {
		tell_no_agent(e);
		return;
	}
	if (!e->has_live) {
		tell_unknown_agent(e);
		return;
	}
	if (tell_retry(e))
		return;
	for (size_t i = 0; i < e->live.service_count; i++)
		if (e->live.services[i].health == SNAPSHOT_AWAY &&
		    concerns(e, &e->live.services[i]))
			tell_away(e, &e->live.services[i]);
	tell_spool(e);
	tell_queue(e);
}

/* ---- the ledger ---- */

static int on_row(void *userdata, const struct ledger_row *row)
{
	struct explain *e = userdata;
	char at[CLOCK_STRING_MAX];

	e->known = true;
	switch (row->state) {
	case LEDGER_GRANTED:
		screen_say(&e->screen,
			   "The ledger has a URL for it, as asset %s%s%s; tries that "
			   "failed: %u.",
			   row->asset_id, row->expires > 0 ? ", good until " : "",
			   row->expires > 0 ? screen_instant(at, row->expires) : "",
			   row->attempts);
		break;
	case LEDGER_UPLOADED:
		screen_say(&e->screen,
			   "The ledger has it as uploaded, as asset %s, on %s; its "
			   "receipt may not be on the disk yet.",
			   row->asset_id, screen_instant(at, row->uploaded));
		break;
	case LEDGER_WAITING:
		screen_say(&e->screen,
			   "The ledger has it as waiting after %u %s, to be tried again "
			   "on %s.",
			   row->attempts, row->attempts == 1 ? "try" : "tries",
			   screen_instant(at, row->next_try));
		break;
	}
	return 0;
}

void explain_ledger(struct explain *e)
{
	_cleanup_free_ char *directory = e->known_as ? strdup(e->known_as) : NULL;
	int r;

	if (!directory)
		return;
	*strrchr(directory, '/') = '\0';
	r = ledger_look(e->config->state.directory, directory, e->name, on_row, e);
	if (r == -EACCES || r == -EPERM)
		screen_say(&e->screen,
			   "The ledger can't be read: %s; root would see more.",
			   log_errno(r));
	else if (r < 0 && r != -ENOENT)
		screen_say(&e->screen, "The ledger can't be read now: %s.", log_errno(r));
}
