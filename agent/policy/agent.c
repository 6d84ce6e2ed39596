#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <systemd/sd-event.h>

#include "agent-state.h"
#include "farewell.h"
#include "footprint.h"
#include "log.h"
#include "macro.h"
#include "notify.h"
#include "reload-word.h"
#include "reload.h"
#include "settings.h"

#define FOOT_INTERVAL  (100 * USEC_PER_MSEC) /* of the line on a terminal */
#define STOP_EXTENSION (15 * USEC_PER_SEC)   /* asked for at each look while it stops */

/* ---- what people see ---- */

static struct progress_counts progress_of(const struct agent *agent)
{
	struct uploader_stats stats = uploader_stats(agent->uploader);

	return (struct progress_counts){
		.uploaded = stats.uploaded,
		.bytes = stats.bytes,
		.sent = stats.sent,
		.given_up = stats.failed,
		.passed_over = stats.skipped + spools_unplaced(agent->spools),
		.left = stats.moving + stats.waiting,
		.more = stats.more,
	};
}

/* What is away, in words, or NULL. */
static char *trouble_text(const struct agent *agent)
{
	const struct health_service *away = health_away(&agent->health);
	const struct spool_disk *disk = LIST_FIRST(&agent->disks.away);
	char *text = NULL;
	int r = 0;

	if (away)
		r = asprintf(&text, "%s (%s)", health_words(&agent->health, away),
			     away->name);
	else if (disk)
		r = asprintf(&text, "the disk of the spool %s can't be written (%s)",
			     disk->spool, disk->path);
	return r < 0 ? NULL : text;
}

static void show_foot(struct agent *agent)
{
	struct progress_counts counts = progress_of(agent);
	_cleanup_free_ char *trouble = trouble_text(agent), *line = NULL;

	progress_note(&agent->progress, counts.bytes + counts.sent, clock_monotonic());
	line = progress_line(&agent->progress, &counts, trouble);
	if (line)
		log_foot(line);
}

static int on_foot(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct agent *agent = userdata;

	(void)source;
	(void)usec;
	agent->foot_armed = false;
	show_foot(agent);
	return 0;
}

/* No timer while nothing changes. */
static void on_changed(void *userdata)
{
	struct agent *agent = userdata;

	report_changed(agent->report);
	watchdog_changed(agent->watchdog);
	if (agent->foot_armed || !agent->shows_foot)
		return;
	agent->foot_armed = true;
	(void)sd_event_source_set_time(agent->foot_source,
				       usec_add(clock_monotonic(), FOOT_INTERVAL));
	(void)sd_event_source_set_enabled(agent->foot_source, SD_EVENT_ONESHOT);
}

static enum snapshot_state state_of(const struct agent *agent)
{
	if (agent->stopping)
		return SNAPSHOT_STOPPING;
	if (!agent->started)
		return SNAPSHOT_STARTING;
	return agent->mode == AGENT_DRAIN ? SNAPSHOT_DRAINING : SNAPSHOT_RUNNING;
}

static void whom_to_ask(void *userdata, struct survey *ret)
{
	struct agent *agent = userdata;
	size_t count;
	struct spool *const *spools = spools_list(agent->spools, &count);

	*ret = (struct survey){
		.state = state_of(agent),
		.uploader = agent->uploader,
		.health = &agent->health,
		.disks = &agent->disks,
		.spools = spools,
		.spool_count = count,
	};
}

static void on_rest(void *userdata)
{
	(void)userdata;
	footprint_shrink();
}

/* ---- start ---- */

static int open_ledger(struct agent *agent)
{
	const char *directory = agent->config->state.directory;
	_cleanup_free_ char *aside = NULL;
	int r;

	r = fs_make_directories(directory, 0700);
	if (r == 0)
		r = ledger_open(directory, &agent->ledger, &aside);
	if (r == -EBUSY)
		log_error(
			LOG_ALREADY_RUNNING,
			"Another asset-agent is running with the state directory %s. Stop it, "
			"or set another [State] Directory=.",
			directory);
	else if (r == -EPROTO)
		log_error(
			LOG_LEDGER_NEWER,
			"The ledger in %s was written by a newer asset-agent. Install that, "
			"or move the ledger away.",
			directory);
	else if (r == -EAGAIN)
		log_error(
			LOG_LEDGER_LOCKED,
			"The ledger in %s is locked by another program, such as the sqlite3 "
			"shell. Close that.",
			directory);
	else if (r < 0)
		log_error(LOG_START_FAILED, "Could not open the ledger in %s: %s.",
			  directory, log_errno(r));
	if (aside)
		log_error(
			LOG_LEDGER_SET_ASIDE,
			"The ledger in %s could not be read. It was set aside as %s, and a "
			"new one begun: no file is lost, but some that were on their way may "
			"be uploaded twice.",
			directory, aside);
	return r;
}

/* To go on would be to forget. Whoever starts it again starts it with a ledger. */
static void end_without_ledger(struct agent *agent, int error)
{
	agent->broken = true;
	log_error(
		LOG_LEDGER_BROKEN,
		"The ledger in %s %s. Ending, since nothing can be recorded any more; a new "
		"start begins a new one.",
		agent->config->state.directory,
		error == -ESTALE ? "was deleted or replaced" : "is damaged");
	(void)sd_event_exit(agent->event, 0);
}

static int on_ledger(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct agent *agent = userdata;
	int error = ledger_broken(agent->ledger);

	(void)source;
	(void)fd;
	(void)revents;
	if (error < 0 && !agent->broken)
		end_without_ledger(agent, error);
	ledger_dispatch(agent->ledger);
	return 0;
}

static int on_disposer(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct agent *agent = userdata;

	(void)source;
	(void)fd;
	(void)revents;
	worker_dispatch(agent->disposer);
	return 0;
}

static void on_room(void *userdata, const struct spool *spool)
{
	struct agent *agent = userdata;

	spools_resume(agent->spools, spool);
}

static void on_vacant(void *userdata)
{
	struct agent *agent = userdata;

	spools_take_in(agent->spools);
}

static void on_left(void *userdata, const struct spool_directory *directory,
		    const char *name, uint64_t serial)
{
	struct agent *agent = userdata;

	spools_keep(agent->spools, directory, name, serial);
}

static int open_services(struct agent *agent)
{
	static const struct uploader_ops ops = { on_room, on_vacant, on_left,
						 on_changed };
	static const struct report_ops report_ops = { whom_to_ask, on_rest };
	const struct config *config = agent->config;
	const struct http_settings settings = settings_for_http(config);
	const struct backoff backoff = settings_for_breakers(config);
	int r;

	agent->opening = config->upload.mime_types;
	r = mime_load(config->upload.mime_types, &agent->mime);
	if (r < 0)
		return r;
	agent->opening = "the services";
	r = http_new(agent->event, &settings, &agent->http);
	if (r >= 0)
		r = token_new(agent->event, agent->http, config, &agent->token);
	if (r >= 0)
		r = failures_new(agent->event, &agent->failures);
	if (r >= 0)
		r = report_new(agent->event, config, &agent->tally, &report_ops, agent,
			       &agent->report);
	if (r < 0)
		return r;
	token_count_in(agent->token, &agent->tally);
	health_init(&agent->health, &backoff, config->api.request_interval,
		    config->api.request_burst);
	settings_name_services(&agent->health, config);
	spool_disks_init(&agent->disks, &backoff);
	agent->services = (struct transfer_services){
		.config = config,
		.settings = 1,
		.mime = agent->mime,
		.http = agent->http,
		.token = agent->token,
		.ledger = agent->ledger,
		.disposer = agent->disposer,
		.health = &agent->health,
		.disks = &agent->disks,
		.failures = agent->failures,
		.tally = &agent->tally,
	};
	r = uploader_new(agent->event, &agent->services, agent->mode == AGENT_DRAIN, &ops,
			 agent, &agent->uploader);
	return r < 0 ? r
		     : watchdog_new(agent->event, agent->uploader,
				    config->state.directory, &agent->watchdog);
}

static int open_spools(struct agent *agent)
{
	struct spools_plan *plan;
	int r;

	agent->opening = "inotify";
	r = spools_new(agent->event, agent->ledger, agent->failures, agent->report,
		       agent->mode == AGENT_DRAIN, &agent->spools);
	if (r >= 0)
		r = spools_prepare(agent->spools, agent->config, &plan);
	if (r < 0)
		return r;
	spools_apply(agent->spools, plan, agent->uploader);
	agent->opening = "the ledger";
	return spools_restore(agent->spools);
}

/* ---- stop ---- */

static bool nothing_left(const struct agent *agent)
{
	return spools_are_quiet(agent->spools) && uploader_is_idle(agent->uploader, true);
}

/* A drain must end: it gives the service as many probes as a file gets tries. The disk of
 * one spool ends it only where no other has files on their way. */
static bool gives_up(const struct agent *agent)
{
	uint64_t probes = agent->config->retry.max_attempts;

	return health_failures(&agent->health) >= probes ||
	       (spool_disks_failures(&agent->disks) >= probes &&
		uploader_is_idle(agent->uploader, false));
}

/* Each time that something was done and there is no more to do now, but to scan. */
static int on_turn(sd_event_source *source, void *userdata)
{
	struct agent *agent = userdata;

	(void)source;
	if (agent->stopping)
		return uploader_is_idle(agent->uploader, false)
			       ? sd_event_exit(agent->event, 0)
			       : 0;
	if (agent->mode != AGENT_DRAIN)
		return 0;
	if (gives_up(agent)) {
		agent->gave_up = true;
		return sd_event_exit(agent->event, 0);
	}
	return nothing_left(agent) ? sd_event_exit(agent->event, 0) : 0;
}

/* What moves is worth waiting for while it moves; somebody who waits for us is told. Once
 * only records are left that the disk does not take, it is theirs to end that. */
static int on_stop(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct agent *agent = userdata;
	usec_t now = clock_monotonic();

	(void)usec;
	uploader_farewell(agent->uploader, false, false, agent->stop_by);
	if (now < agent->stop_by)
		notify_extend(STOP_EXTENSION);
	(void)sd_event_source_set_time(source, usec_add(now, FAREWELL_LOOK));
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

/* Nobody gives more time where there is nobody to ask for it. */
static int begin_stop(struct agent *agent)
{
	usec_t now = clock_monotonic();

	agent->stop_by = usec_add(now,
				  notify_is_heard() ? FAREWELL_CEILING : FAREWELL_GRACE);
	notify_stopping();
	notify_extend(STOP_EXTENSION);
	uploader_stop(agent->uploader);
	uploader_farewell(agent->uploader, true, health_away(&agent->health),
			  agent->stop_by);
	report_changed(agent->report);
	/* Whoever writes files all the while does not hold up the end. */
	(void)sd_event_source_set_priority(agent->turn_source, SD_EVENT_PRIORITY_NORMAL);
	return sd_event_add_time(agent->event, &agent->stop_source, CLOCK_MONO,
				 usec_add(now, FAREWELL_LOOK), USEC_PER_MSEC, on_stop,
				 agent);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info,
		     void *userdata)
{
	struct agent *agent = userdata;

	(void)source;
	/* Asked twice: what is on its way goes on at the next start anyway. */
	if (agent->stopping) {
		uploader_cancel(agent->uploader);
		return 0;
	}
	agent->stopping = true;
	log_info(LOG_STOPPING, "Stopping on %s; files on their way: %zu.",
		 strsignal((int)info->ssi_signo), uploader_stats(agent->uploader).moving);
	return begin_stop(agent);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info,
		     void *userdata)
{
	struct agent *agent = userdata;
	usec_t began = clock_monotonic();
	bool in_force;
	int r;

	(void)source;
	(void)info;
	if (agent->stopping || agent->broken)
		return 0;
	notify_reloading();
	in_force = reload(agent);
	report_ready(agent->report, in_force);
	r = reload_word_put(began, in_force);
	if (r < 0)
		log_debug("Who asked for the reload can't be told: %s.", log_errno(r));
	return 0;
}

int agent_block_signals(enum agent_mode mode)
{
	static const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	/* SIGPIPE: a peer that closes is an error like others. SIGIO: somebody opened for
	 * writing what we asked a lease of. */
	if (sigaction(SIGPIPE, &ignore, NULL) < 0 ||
	    sigaction(SIGIO, &ignore, NULL) < 0 ||
	    (mode == AGENT_DRAIN && sigaction(SIGHUP, &ignore, NULL) < 0))
		return -errno;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (mode == AGENT_RUN)
		sigaddset(&set, SIGHUP);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

/* Behind all else, or it would be another turn of the loop after each of the others; but
 * not behind the scans, which may go on for minutes. */
static int add_turn(struct agent *agent)
{
	int r = sd_event_add_post(agent->event, &agent->turn_source, on_turn, agent);

	return r < 0 ? r
		     : sd_event_source_set_priority(agent->turn_source,
						    SD_EVENT_PRIORITY_IDLE - 1);
}

static int open_loop(struct agent *agent)
{
	int r;

	r = sd_event_new(&agent->event);
	if (r >= 0)
		r = sd_event_add_signal(agent->event, NULL, SIGTERM, on_signal, agent);
	if (r >= 0)
		r = sd_event_add_signal(agent->event, NULL, SIGINT, on_signal, agent);
	if (r >= 0 && agent->mode == AGENT_RUN)
		r = sd_event_add_signal(agent->event, NULL, SIGHUP, on_hangup, agent);
	if (r >= 0)
		r = add_turn(agent);
	if (r >= 0)
		r = sd_event_add_io(agent->event, NULL, ledger_fd(agent->ledger), EPOLLIN,
				    on_ledger, agent);
	if (r >= 0)
		r = worker_new("disposer", &agent->disposer);
	if (r >= 0)
		r = sd_event_add_io(agent->event, NULL, worker_fd(agent->disposer),
				    EPOLLIN, on_disposer, agent);
	if (r >= 0)
		r = sd_event_add_time(agent->event, &agent->foot_source, CLOCK_MONO,
				      USEC_INFINITY, USEC_PER_MSEC, on_foot, agent);
	return r;
}

/* Each file on its way takes two descriptors, and nothing here uses select(2). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int start(struct agent *agent)
{
	int r;

	raise_descriptor_limit();
	r = open_ledger(agent);
	if (r < 0)
		return r;
	agent->opening = "the event loop";
	r = open_loop(agent);
	if (r >= 0)
		r = open_services(agent);
	if (r >= 0)
		r = open_spools(agent);
	if (r < 0)
		log_error(LOG_START_FAILED, "Could not start: %s: %s.", agent->opening,
			  log_errno(r));
	return r;
}

static void finish(struct agent *agent)
{
	if (agent->uploader) {
		uploader_stop(agent->uploader);
		uploader_cancel(agent->uploader);
	}
	/* Ends what is being disposed of and recorded, which ends its transfers. */
	if (agent->disposer)
		worker_settle(agent->disposer);
	ledger_close(agent->ledger);
	worker_free(agent->disposer);
	uploader_free(agent->uploader);
	spools_free(agent->spools);
	spool_disks_done(&agent->disks);
	failures_free(agent->failures);
	watchdog_free(agent->watchdog);
	report_free(agent->report);
	token_free(agent->token);
	http_free(agent->http);
	mime_free(agent->mime);
	config_free(agent->config);
	sd_event_source_disable_unref(agent->foot_source);
	sd_event_source_disable_unref(agent->stop_source);
	sd_event_source_disable_unref(agent->turn_source);
	sd_event_unref(agent->event);
}

static void log_started(const struct agent *agent)
{
	const struct config *config = agent->config;

	log_info(LOG_STARTED,
		 "asset-agent " VERSION ": %s %zu %s (%s%s) for %s, %" PRIu64 " at once.",
		 agent->mode == AGENT_DRAIN ? "draining" : "watching",
		 config->spool_count, config->spool_count == 1 ? "spool" : "spools",
		 config->spools[0].path, config->spool_count > 1 ? ", ..." : "",
		 config->api.base_url, config->upload.max_concurrent);
}

/* Why some are left, or NULL: there is no more to say. The caller frees it. */
static char *why_left(const struct agent *agent, const struct progress_counts *counts)
{
	if (agent->gave_up)
		return trouble_text(agent);
	if (agent->stopping && counts->left > 0)
		return strdup("they go on at the next start");
	if (spools_were_away(agent->spools))
		return strdup("a directory of theirs can't be used");
	return NULL;
}

/* Returns whether everything that was to be done was done. */
static bool log_stopped(const struct agent *agent)
{
	struct progress_counts counts = progress_of(agent);
	_cleanup_free_ char *why = why_left(agent, &counts), *summary = NULL;
	bool drained = !agent->gave_up && !agent->stopping &&
		       !spools_were_away(agent->spools) && counts.given_up == 0 &&
		       counts.passed_over == 0;

	counts.more |= spools_were_away(agent->spools);
	summary = progress_summary(&agent->progress, &counts, why, clock_monotonic());
	log_foot(NULL);
	failures_tell(agent->failures);
	log_info(LOG_STOPPED, "%s. %s",
		 agent->gave_up ? "Gave up waiting for the service"
		 : agent->mode == AGENT_RUN || agent->stopping ? "Stopped"
							       : "Done",
		 summary ? summary : "");
	return !agent->broken && (agent->mode == AGENT_RUN || drained);
}

int agent_run(struct config *config, const char *file, enum agent_mode mode)
{
	struct agent agent = {
		.config = config,
		.config_file = file,
		.mode = mode,
		.shows_foot = mode == AGENT_DRAIN && isatty(STDERR_FILENO),
	};
	int r;

	settings_log(config);

	progress_init(&agent.progress, clock_monotonic());
	r = start(&agent);
	if (r >= 0) {
		log_started(&agent);
		agent.started = true;
		report_now(agent.report);
		r = sd_event_loop(agent.event);
		if (r < 0)
			log_error(
				LOG_LOOP_BROKE,
				"The event loop broke down: %s. Ending; a new start goes "
				"on where this one stood.",
				log_errno(r));
		else
			report_stopped(agent.report);
		if (!log_stopped(&agent))
			r = -EIO;
	}
	finish(&agent);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
