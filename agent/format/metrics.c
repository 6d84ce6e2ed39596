#include <inttypes.h>

#include "macro.h"
#include "metrics.h"
#include "text.h"

struct page {
	FILE *file;
	bool failed; /* for want of memory, beyond what the file knows */
};

/* ---- lines ---- */

static void family(struct page *page, const char *name, const char *type,
		   const char *help)
{
	(void)fprintf(page->file, "# HELP asset_agent_%s %s\n# TYPE asset_agent_%s %s\n",
		      name, help, name, type);
}

static void number(struct page *page, const char *name, const char *type,
		   const char *help, uint64_t value)
{
	family(page, name, type, help);
	(void)fprintf(page->file, "asset_agent_%s %" PRIu64 "\n", name, value);
}

static void put_seconds(struct page *page, usec_t t)
{
	(void)fprintf(page->file, "%" PRIu64 ".%06" PRIu64, t / USEC_PER_SEC,
		      t % USEC_PER_SEC);
}

/* A time that is not known has no line. */
static void instant(struct page *page, const char *name, const char *help, usec_t value)
{
	if (value == 0)
		return;
	family(page, name, "gauge", help);
	(void)fprintf(page->file, "asset_agent_%s ", name);
	put_seconds(page, value);
	(void)fputc('\n', page->file);
}

/* In quotes. The format wants UTF-8, and three characters written otherwise. */
static void put_label(struct page *page, const char *name, const char *value)
{
	_cleanup_free_ char *text = text_to_utf8(value, strlen(value));

	page->failed = page->failed || !text;
	(void)fprintf(page->file, "%s=\"", name);
	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == '\n')
			(void)fputs("\\n", page->file);
		else if (*p == '"' || *p == '\\')
			(void)fprintf(page->file, "\\%c", *p);
		else
			(void)fputc(*p, page->file);
	}
	(void)fputc('"', page->file);
}

/* ---- what the snapshot says ---- */

static void put_build(struct page *page, const struct snapshot *s)
{
	family(page, "build_info", "gauge", "A constant 1, labeled with the version.");
	(void)fputs("asset_agent_build_info{", page->file);
	put_label(page, "version", s->version);
	(void)fputs("} 1\n", page->file);
}

static void put_files(struct page *page, const struct snapshot *s)
{
	number(page, "uploads_total", "counter", "Files uploaded since the start.",
	       s->uploaded);
	number(page, "uploaded_bytes_total", "counter", "Bytes of the files uploaded.",
	       s->bytes);
	number(page, "uploading_files", "gauge", "Files on their way.", s->uploading);
	number(page, "waiting_files", "gauge", "Files known to wait.", s->waiting);
	number(page, "waiting_more", "gauge",
	       "1 where others wait in the spools that were not looked at yet.", s->more);
	instant(page, "oldest_waiting_timestamp_seconds",
		"Since when the file that waits for longest is known; absent where none "
		"waits.",
		s->oldest_waiting);
	instant(page, "last_upload_timestamp_seconds", "When a file was uploaded last.",
		s->last_upload);
}

/* Storage hosts that are told apart may be many and look alike: both labels name one. */
static void put_services(struct page *page, const struct snapshot *s)
{
	family(page, "service_up", "gauge",
	       "1 where the service works, 0 while it is away and only probed.");
	for (size_t i = 0; i < s->service_count; i++) {
		const struct snapshot_service *service = &s->services[i];

		(void)fputs("asset_agent_service_up{", page->file);
		put_label(page, "service", service->name);
		(void)fputc(',', page->file);
		put_label(page, "target", service->target ? service->target : "");
		(void)fprintf(page->file, "} %d\n", service->health == SNAPSHOT_OK);
	}
}

static void put_spool_counts(struct page *page, const struct snapshot *s,
			     const char *name, const char *help, size_t offset)
{
	family(page, name, "counter", help);
	for (size_t i = 0; i < s->spool_count; i++) {
		const void *count = (const char *)&s->spools[i] + offset;

		(void)fprintf(page->file, "asset_agent_%s{", name);
		put_label(page, "spool", s->spools[i].name);
		(void)fprintf(page->file, "} %" PRIu64 "\n", *(const uint64_t *)count);
	}
}

static void put_spools(struct page *page, const struct snapshot *s)
{
	if (s->spool_count == 0)
		return;
	family(page, "spool_state", "gauge",
	       "1 for the state that the spool is in, 0 for the others.");
	for (size_t i = 0; i < s->spool_count; i++)
		for (enum snapshot_watch w = SNAPSHOT_WATCHING; w <= SNAPSHOT_HELD; w++) {
			(void)fputs("asset_agent_spool_state{", page->file);
			put_label(page, "spool", s->spools[i].name);
			(void)fprintf(page->file, ",state=\"%s\"} %d\n",
				      snapshot_watch_name(w), s->spools[i].watch == w);
		}
	put_spool_counts(page, s, "spool_uploads_total", "Files uploaded from the spool.",
			 offsetof(struct snapshot_spool, uploaded));
	put_spool_counts(page, s, "spool_failures_total", "Files of the spool given up.",
			 offsetof(struct snapshot_spool, failed));
}

/* ---- what was counted ---- */

/* All that are possible, so that the first one is an increase. */
static void put_reasons(struct page *page, const char *name, const char *help,
			enum stage first,
			const uint64_t counts[TALLY_STAGES][TALLY_REASONS])
{
	family(page, name, "counter", help);
	for (enum stage stage = first; stage < TALLY_STAGES; stage++)
		for (enum tally_reason r = 0; r < TALLY_REASONS; r++)
			if (tally_is_possible(stage, r) || counts[stage][r] > 0)
				(void)fprintf(
					page->file,
					"asset_agent_%s{stage=\"%s\",reason=\"%s\"} %" PRIu64
					"\n",
					name, stage_name(stage), tally_reason_name(r),
					counts[stage][r]);
}

static void put_bucket(struct page *page, enum stage stage, usec_t bound, uint64_t count)
{
	(void)fprintf(page->file,
		      "asset_agent_request_duration_seconds_bucket{request=\"%s\",le=\"",
		      stage_name(stage));
	if (bound == USEC_INFINITY)
		(void)fputs("+Inf", page->file);
	else
		(void)fprintf(page->file, "%g", (double)bound / (double)USEC_PER_SEC);
	(void)fprintf(page->file, "\"} %" PRIu64 "\n", count);
}

static void put_latency(struct page *page, enum stage stage,
			const struct tally_latency *latency)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < TALLY_BUCKETS; i++) {
		sum += latency->counts[i];
		put_bucket(page, stage, TALLY_BOUNDS[i], sum);
	}
	put_bucket(page, stage, USEC_INFINITY, latency->total);
	(void)fprintf(page->file,
		      "asset_agent_request_duration_seconds_sum{request=\"%s\"} ",
		      stage_name(stage));
	put_seconds(page, latency->sum);
	(void)fprintf(
		page->file,
		"\nasset_agent_request_duration_seconds_count{request=\"%s\"} %" PRIu64
		"\n",
		stage_name(stage), latency->total);
}

static void put_tally(struct page *page, const struct tally *tally)
{
	number(page, "sent_bytes_total", "counter",
	       "Bytes of bodies that went out, those of tries that failed too.",
	       tally->sent);
	put_reasons(page, "failures_total", "Files given up.", STAGE_SPOOL,
		    tally->given_up);
	put_reasons(page, "retries_total",
		    "Tries that failed by the file's own fault and are repeated.",
		    STAGE_SPOOL, tally->retries);
	put_reasons(page, "request_errors_total",
		    "Requests that failed, by whatever fault; an outage costs no file a "
		    "try.",
		    STAGE_TOKEN, tally->errors);
	family(page, "request_duration_seconds", "histogram", "How long requests took.");
	for (enum stage stage = STAGE_TOKEN; stage < TALLY_STAGES; stage++)
		put_latency(page, stage, &tally->latency[stage]);
}

char *metrics_format(const struct snapshot *snapshot, const struct tally *tally, bool up)
{
	char *text = NULL;
	size_t length;
	struct page page = { .file = open_memstream(&text, &length) };

	if (!page.file)
		return NULL;
	put_build(&page, snapshot);
	number(&page, "up", "gauge", "1 while the agent runs, 0 once it has ended.", up);
	instant(&page, "start_time_seconds", "When the agent started.",
		snapshot->started);
	instant(&page, "report_timestamp_seconds",
		"When this was written; an agent that has nothing to do writes nothing.",
		snapshot->updated);
	put_files(&page, snapshot);
	put_services(&page, snapshot);
	put_spools(&page, snapshot);
	put_tally(&page, tally);
	page.failed = page.failed || ferror(page.file);
	if (fclose(page.file) != 0 || page.failed) {
		free(text);
		return NULL;
	}
	return text;
}
