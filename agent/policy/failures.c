#include <inttypes.h>

#include "failures.h"
#include "fold.h"
#include "macro.h"

struct failures {
	struct fold fold;
	sd_event_source *source;
	bool armed;
};

/* The level of their lines, how many of a burst have it, and what is said of the others.
 * Whoever looks for a file that was given up looks for errors: so of those there are
 * more.
 */
static const struct {
	int level;
	uint64_t limit;
	const char *what;
} kinds[LOG_KINDS] = {
	[LOG_GIVEN_UP] = { LOG_ERR, 50, "were given up" },
	[LOG_RETRYING] = { LOG_INFO, 10, "could not be uploaded, and are tried again" },
	[LOG_SIDECAR_FAILED] = { LOG_WARNING, 10,
				 "wait for their sidecars, which could not be written" },
	[LOG_NOT_A_FILE] = { LOG_WARNING, 10,
			     "are not uploaded, as they are no regular files" },
};

static int folded_level(int level)
{
	return level < LOG_INFO ? LOG_INFO : LOG_DEBUG;
}

static void tell(const struct fold_burst *burst, usec_t now)
{
	const struct log_fields fields = {
		.spool = burst->spool,
		.stage = burst->stage,
		.http_status = burst->status,
		.error_code = burst->code,
		.count = burst->folded,
	};
	int level = kinds[burst->kind].level;
	char span[CLOCK_STRING_MAX];

	log_event(level, LOG_BURST, &fields,
		  "More files that %s: %" PRIu64 " in %s, at stage %s%s%s; the first %s, "
		  "the last %s. Each has its line at level %s.",
		  kinds[burst->kind].what, burst->folded,
		  clock_format_span(span, usec_sub(now, burst->since)), burst->stage,
		  burst->code ? ", " : "", burst->code ? burst->code : "",
		  burst->first ? burst->first : "?", burst->last ? burst->last : "?",
		  folded_level(level) == LOG_INFO ? "info" : "debug");
}

static void tell_due(struct failures *failures, usec_t due, usec_t now)
{
	const struct fold_burst *burst;

	while ((burst = fold_due(&failures->fold, due))) {
		tell(burst, now);
		fold_told(&failures->fold, burst);
	}
}

static void arm(struct failures *failures)
{
	usec_t next = fold_next(&failures->fold);

	failures->armed = next != USEC_INFINITY;
	if (!failures->armed)
		return;
	(void)sd_event_source_set_time(failures->source, next);
	(void)sd_event_source_set_enabled(failures->source, SD_EVENT_ONESHOT);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct failures *failures = userdata;
	usec_t now = clock_monotonic();

	(void)source;
	(void)usec;
	tell_due(failures, now, now);
	arm(failures);
	return 0;
}

int failures_level(struct failures *failures, enum log_kind kind,
		   const struct log_fields *fields)
{
	int level = kinds[kind].level;

	if (!fold_add(&failures->fold, kind, fields, kinds[kind].limit,
		      clock_monotonic()))
		return level;
	/* What is due moves on with each line: one wake-up more is cheaper than to follow
	 * it. */
	if (!failures->armed)
		arm(failures);
	return folded_level(level);
}

int failures_new(sd_event *event, struct failures **ret)
{
	struct failures *failures = calloc(1, sizeof(*failures));
	int r;

	if (!failures)
		return -ENOMEM;
	r = sd_event_add_time(event, &failures->source, CLOCK_MONO, USEC_INFINITY,
			      USEC_PER_MSEC, on_due, failures);
	if (r >= 0)
		r = sd_event_source_set_enabled(failures->source, SD_EVENT_OFF);
	if (r < 0) {
		free(failures);
		return r;
	}
	*ret = failures;
	return 0;
}

void failures_tell(struct failures *failures)
{
	tell_due(failures, USEC_INFINITY, clock_monotonic());
}

void failures_free(struct failures *failures)
{
	if (!failures)
		return;
	failures_tell(failures);
	fold_done(&failures->fold);
	sd_event_source_disable_unref(failures->source);
	free(failures);
}
