#include <fcntl.h>
#include <inttypes.h>

#include "fs.h"
#include "log.h"
#include "macro.h"
#include "metrics.h"
#include "notify.h"
#include "plain.h"
#include "process.h"
#include "progress.h"
#include "report.h"

#define INTERVAL USEC_PER_SEC	       /* between two */
#define DELAY	 (100 * USEC_PER_MSEC) /* of the first: what comes together */
#define WHY_MAX	 200		       /* characters of a reason in the STATUS= line */

/* A file that is replaced as a whole each time. */
struct report_file {
	const char *path; /* NULL: none */
	const char *what; /* for messages: "status file" */
	mode_t mode;
	bool failed; /* the last time, which was told */
};

struct report {
	const struct config *config;
	const struct tally *tally;
	const struct report_ops *ops;
	void *userdata;
	sd_event_source *source;
	bool armed;
	bool changed;	 /* since the last time */
	bool told_ready; /* the service manager knows */
	usec_t told_at;	 /* monotonic */
	usec_t started, last_upload;
	usec_t refused; /* real time: when a reload was; 0: none, or one came after it */
	uint64_t process_start, uploaded;
	struct report_file status, metrics;
	struct progress progress; /* of what goes out, while something does */
};

/* Bytes that went out since the start, but for those of tries that were cut off. */
static uint64_t sent_in_all(const struct report *report, const struct survey *survey)
{
	return report->tally->sent + uploader_stats(survey->uploader).sent;
}

/* ---- files ---- */

/* The directory of @path, opened, and the name in it; or a negative errno. */
static int open_directory(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *directory = NULL;

	directory = slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/");
	if (!directory)
		return -ENOMEM;
	*ret_name = slash + 1;
	return fs_open_directory(AT_FDCWD, directory);
}

static int write_file(const struct report_file *file, const char *text)
{
	const struct fs_write how = { .mode = file->mode, .group = (gid_t)-1 };
	_cleanup_close_ int directory = -1;
	const char *name;

	directory = open_directory(file->path, &name);
	if (directory < 0)
		return directory;
	return fs_write_atomic(directory, name, text, strlen(text), &how);
}

/* Told once, whichever way it goes; @quiet: hardly at all. */
static void put_file(struct report_file *file, const char *text, bool quiet)
{
	int r = text ? write_file(file, text) : -ENOMEM;

	if (r < 0 && !file->failed)
		log_event(quiet ? LOG_DEBUG : LOG_WARNING, LOG_REPORT_FAILED, NULL,
			  "The %s %s can't be written: %s. Uploads go on; it is tried "
			  "again with the next change.",
			  file->what, file->path, log_errno(r));
	else if (r == 0 && file->failed)
		log_notice(LOG_REPORT_BACK, "The %s %s can be written again.", file->what,
			   file->path);
	file->failed = r < 0;
}

static int open_directory_of(const struct report_file *file, const char **ret_name)
{
	return file->path ? open_directory(file->path, ret_name) : -ENOENT;
}

static void clear_temporary(const struct report_file *file)
{
	const char *name;
	_cleanup_close_ int directory = open_directory_of(file, &name);

	if (directory >= 0)
		fs_clear_temporary(directory, name);
}

static void remove_file(const struct report_file *file)
{
	const char *name;
	_cleanup_close_ int directory = open_directory_of(file, &name);

	if (directory >= 0)
		(void)unlinkat(directory, name, 0);
}

/* ---- what is told ---- */

static int take_snapshot(struct report *report, const struct survey *survey,
			 struct snapshot *ret)
{
	int r = survey_take(survey, ret);

	if (r < 0)
		return r;
	if (ret->uploaded > report->uploaded)
		report->last_upload = clock_realtime();
	report->uploaded = ret->uploaded;
	ret->pid = (uint64_t)getpid();
	ret->process_start = report->process_start;
	ret->started = report->started;
	ret->updated = clock_realtime();
	ret->last_upload = report->last_upload;
	ret->rate = ret->uploading > 0 ? report->progress.rate : 0;
	return replace_string(&ret->version, VERSION);
}

static void write_files(struct report *report, const struct survey *survey, bool up)
{
	_cleanup_(snapshot_done) struct snapshot snapshot = {};
	_cleanup_free_ char *status = NULL, *metrics = NULL;
	bool taken = take_snapshot(report, survey, &snapshot) == 0;

	if (report->status.path && up) {
		status = taken ? snapshot_format(&snapshot) : NULL;
		/* One who drains sees what it does, and has no service's directory. */
		put_file(&report->status, status, survey->state == SNAPSHOT_DRAINING);
	}
	if (report->metrics.path) {
		metrics = taken ? metrics_format(&snapshot, report->tally, up) : NULL;
		put_file(&report->metrics, metrics, false);
	}
}

/* The day, too, where it was not within the last one. */
static void format_since(char buffer[static CLOCK_STRING_MAX], usec_t real)
{
	bool is_recent = usec_sub(clock_realtime(), real) < USEC_PER_DAY;
	time_t seconds = (time_t)(real / USEC_PER_SEC);
	struct tm tm;

	if (!localtime_r(&seconds, &tm) ||
	    !strftime(buffer, CLOCK_STRING_MAX, is_recent ? "%H:%M" : "%F %H:%M", &tm))
		buffer[0] = '\0';
}

/* In one line: what a service says is not ours. */
static char *service_trouble(const struct health *health,
			     const struct health_service *away)
{
	_cleanup_free_ char *why = plain_text(away->why, strlen(away->why), WHY_MAX);
	char since[CLOCK_STRING_MAX], *text;

	format_since(since, away->since);
	if (asprintf(&text, "; %s since %s (%s): %s", health_brief(health, away), since,
		     away->name, why ? why : "") < 0)
		return NULL;
	return text;
}

static char *disk_trouble(const struct spool_disk *disk)
{
	char since[CLOCK_STRING_MAX], *text;
	_cleanup_free_ char *why = disk->why ? plain_text(disk->why, strlen(disk->why),
							  WHY_MAX)
					     : NULL;

	format_since(since, disk->since);
	if (asprintf(&text, "; disk of the spool %s unwritable since %s (%s): %s",
		     disk->spool, since, disk->path, why ? why : "") < 0)
		return NULL;
	return text;
}

static char *spool_trouble(const struct spool *spool)
{
	const struct spool_stats stats = spool_stats(spool);
	bool is_away = stats.state == SPOOL_IS_AWAY;
	char *text;

	if (!is_away && stats.state != SPOOL_IS_HELD)
		return NULL;
	if (asprintf(&text, "; the spool %s is %s: %s", spool_config(spool)->name,
		     is_away ? "away" : "held back", stats.why ? stats.why : "") < 0)
		return NULL;
	return text;
}

/* The first that there is, or NULL. */
static char *trouble_text(const struct survey *survey)
{
	const struct health_service *away = health_away(survey->health);
	const struct spool_disk *disk = LIST_FIRST(&survey->disks->away);
	char *text = away ? service_trouble(survey->health, away) : NULL;

	if (disk && !text)
		text = disk_trouble(disk);
	for (size_t i = 0; i < survey->spool_count && !text; i++)
		text = spool_trouble(survey->spools[i]);
	return text;
}

/* What was changed in the configuration does not count, which is easily missed. */
static char *reload_text(const struct report *report)
{
	char since[CLOCK_STRING_MAX], *text;

	if (report->refused == 0)
		return strdup("");
	format_since(since, report->refused);
	return asprintf(&text,
			"; reload refused at %s, the old configuration is in force",
			since) < 0
		       ? NULL
		       : text;
}

static char *status_text(const struct report *report, const struct survey *survey)
{
	_cleanup_free_ char *reload = reload_text(report);
	struct uploader_stats stats = uploader_stats(survey->uploader);
	_cleanup_free_ char *trouble = trouble_text(survey);
	char *text;

	if (asprintf(&text,
		     "Uploading %" PRIu64 ", waiting %" PRIu64 "%s, uploaded %" PRIu64
		     ", failed %" PRIu64 "%s%s",
		     survey_uploading(&stats), survey_waiting(&stats),
		     stats.more ? "+" : "", stats.uploaded, stats.failed,
		     reload ? reload : "", trouble ? trouble : "") < 0)
		return NULL;
	return text;
}

/* 0, or -EAGAIN: it did not get through. */
static int show_status(struct report *report, const struct survey *survey)
{
	_cleanup_free_ char *text = status_text(report, survey);

	if (!report->told_ready)
		report->told_ready = notify_ready() == 0;
	if (!text || !report->told_ready)
		return -EAGAIN;
	return notify_status("%s", text);
}

/* ---- when ---- */

static void arm(struct report *report, usec_t at)
{
	if (report->armed)
		return;
	report->armed = true;
	(void)sd_event_source_set_time(report->source, at);
	(void)sd_event_source_set_enabled(report->source, SD_EVENT_ONESHOT);
}

void report_changed(struct report *report)
{
	usec_t soon = usec_add(clock_monotonic(), DELAY);

	report->changed = true;
	arm(report, MAX(soon, usec_add(report->told_at, INTERVAL)));
}

/* Bytes that move call nobody, so while some do it is told again and again. */
static void tell(struct report *report)
{
	struct survey survey = {};
	usec_t now = clock_monotonic();
	bool resting, late;

	report->ops->whom(report->userdata, &survey);
	resting = !report->changed && uploader_stats(survey.uploader).moving == 0;
	report->changed = false;
	report->told_at = now;
	if (resting)
		progress_init(&report->progress, now);
	progress_note(&report->progress, sent_in_all(report, &survey), now);
	late = show_status(report, &survey) < 0;
	write_files(report, &survey, true);
	if (!resting || late)
		arm(report, usec_add(now, INTERVAL));
	else
		report->ops->rests(report->userdata);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct report *report = userdata;

	(void)source;
	(void)usec;
	report->armed = false;
	tell(report);
	return 0;
}

void report_now(struct report *report)
{
	report->changed = true;
	tell(report);
}

void report_ready(struct report *report, bool in_force)
{
	report->refused = in_force ? 0 : clock_realtime();
	report->told_ready = false;
	report_now(report);
}

void report_stopped(struct report *report)
{
	struct survey survey = {};

	report->ops->whom(report->userdata, &survey);
	report->progress.rate = 0;
	write_files(report, &survey, false);
	remove_file(&report->status);
}

/* ---- its life ---- */

static void rename_file(struct report_file *file, const char *path)
{
	bool is_other = !streq(file->path, path);

	if (is_other)
		remove_file(file);
	file->path = path;
	if (!is_other)
		return;
	file->failed = false;
	clear_temporary(file);
}

void report_configure(struct report *report, const struct config *config)
{
	report->config = config;
	rename_file(&report->status, config->report.status_file);
	rename_file(&report->metrics, config->report.metrics_file);
}

int report_new(sd_event *event, const struct config *config, const struct tally *tally,
	       const struct report_ops *ops, void *userdata, struct report **ret)
{
	struct report *report = calloc(1, sizeof(*report));
	int r;

	if (!report)
		return -ENOMEM;
	r = sd_event_add_time(event, &report->source, CLOCK_MONO, USEC_INFINITY,
			      USEC_PER_MSEC, on_time, report);
	if (r < 0) {
		free(report);
		return r;
	}
	report->config = config;
	report->tally = tally;
	report->ops = ops;
	report->userdata = userdata;
	report->started = clock_realtime();
	report->status = (struct report_file){ .path = config->report.status_file,
					       .what = "status file",
					       .mode = 0640 };
	report->metrics = (struct report_file){ .path = config->report.metrics_file,
						.what = "metrics file",
						.mode = 0644 };
	/* Not known: then a reader goes by the number alone. */
	(void)process_start((uint64_t)getpid(), &report->process_start);
	clear_temporary(&report->status);
	clear_temporary(&report->metrics);
	*ret = report;
	return 0;
}

void report_free(struct report *report)
{
	if (!report)
		return;
	sd_event_source_disable_unref(report->source);
	free(report);
}
