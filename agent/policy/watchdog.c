#include "watchdog.h"
#include "log.h"
#include "macro.h"
#include "uploader-pulse.h"

#define ACCURACY USEC_PER_SEC

struct watchdog {
	sd_event *event;
	struct uploader *uploader;
	char *state_directory;
	sd_event_source *source;
	struct pulse pulse;
	bool armed, told_slow, stuck;
};

/* ---- what is told ---- */

static void tell_slow_disk(struct watchdog *w, const struct uploader_sight *sight)
{
	const struct transfer *t = sight->recording;
	bool disposes = t->step == STEP_DISPOSE;
	_cleanup_free_ char *path = transfer_path(t);
	const struct log_fields fields = { .file = path, .stage = "spool" };
	char span[CLOCK_STRING_MAX];

	if (w->told_slow)
		return;
	w->told_slow = true;
	log_event(LOG_WARNING, LOG_DISK_SLOW, &fields,
		  "The disk of %s does not answer: the %s of %s has waited for %s to be "
		  "written. Nothing is lost; it goes on when the disk does.",
		  disposes ? spool_directory_path(t->directory) : w->state_directory,
		  disposes ? "sidecar" : "record", path ? path : t->name,
		  clock_format_span(span, sight->pulse.recording));
}

static char *describe_due(const struct watchdog *w, const struct uploader_sight *sight)
{
	char span[CLOCK_STRING_MAX], *text;

	clock_format_span(span, w->pulse.starts.rest);
	return asprintf(&text, "%s, for %s", sight->due, span) < 0 ? NULL : text;
}

static char *describe_resting(const struct uploader_sight *sight, const char *path)
{
	const struct transfer *t = sight->resting;
	char span[CLOCK_STRING_MAX], *text;

	clock_format_span(span, sight->pulse.resting);
	return asprintf(&text, "%s has stood still for %s, which no timeout allows (%s)",
			path ? path : t->name, span, transfer_step_name(t)) < 0
		       ? NULL
		       : text;
}

static void give_in(struct watchdog *w, const struct uploader_sight *sight, usec_t limit)
{
	bool rests = sight->pulse.resting >= limit;
	_cleanup_free_ char *path = rests ? transfer_path(sight->resting) : NULL;
	_cleanup_free_ char *what = rests ? describe_resting(sight, path)
					  : describe_due(w, sight);
	const struct log_fields fields = { .file = path };

	w->stuck = true;
	(void)sd_event_set_watchdog(w->event, false);
	log_event(LOG_ERR, LOG_STUCK, &fields,
		  "The agent is stuck: %s. Its watchdog is not fed any more, so that the "
		  "service manager starts it anew.",
		  what ? what : "out of memory");
}

/* ---- when ---- */

void watchdog_changed(struct watchdog *w)
{
	if (!w || w->armed || w->stuck)
		return;
	w->armed = true;
	(void)sd_event_source_set_time(w->source,
				       usec_add(clock_monotonic(), PULSE_INTERVAL));
	(void)sd_event_source_set_enabled(w->source, SD_EVENT_ONESHOT);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct watchdog *w = userdata;
	usec_t step = pulse_step(&w->pulse, clock_monotonic());
	usec_t limit = uploader_patience(w->uploader);
	struct uploader_sight sight;

	(void)source;
	(void)usec;
	w->armed = false;
	uploader_look(w->uploader, step, &sight);
	switch (pulse_judge(&w->pulse, &sight.pulse, step, limit)) {
	case PULSE_BEATS: w->told_slow = false; break;
	case PULSE_DISK: tell_slow_disk(w, &sight); break;
	case PULSE_STUCK: give_in(w, &sight, limit); break;
	}
	if (!uploader_is_idle(w->uploader, true) || sight.due)
		watchdog_changed(w);
	return 0;
}

/* ---- its life ---- */

int watchdog_new(sd_event *event, struct uploader *uploader, const char *state_directory,
		 struct watchdog **ret)
{
	struct watchdog *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->event = event;
	w->uploader = uploader;
	w->state_directory = strdup(state_directory);
	r = w->state_directory ? sd_event_set_watchdog(event, true) : -ENOMEM;
	if (r >= 0)
		r = sd_event_add_time(event, &w->source, CLOCK_MONO, USEC_INFINITY,
				      ACCURACY, on_time, w);
	if (r < 0) {
		watchdog_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void watchdog_free(struct watchdog *w)
{
	if (!w)
		return;
	sd_event_source_disable_unref(w->source);
	free(w->state_directory);
	free(w);
}
