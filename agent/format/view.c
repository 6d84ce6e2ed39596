#include <inttypes.h>
#include <stdarg.h>

#include "columns.h"
#include "macro.h"
#include "size.h"
#include "text.h"
#include "view.h"

#define BAR_WIDTH     20
#define BAR_COLUMNS   80		  /* narrower terminals have no room for bars, */
#define SIZES_COLUMNS 60		  /* nor for sizes */
#define NARROWEST     20		  /* of what is cut to fit */
#define ENDLESS	      (24 * 3600.0)	  /* seconds that are not counted */
#define SILENCE	      (15 * USEC_PER_SEC) /* of one that works, is none */

/* ECMA-48: select graphic rendition. */
enum colour { PLAIN, RESET, BOLD, DIM, RED, GREEN, YELLOW };

static const char *const CODES[] = {
	[PLAIN] = "",	       [RESET] = "\x1B[0m", [BOLD] = "\x1B[1m",
	[DIM] = "\x1B[2m",     [RED] = "\x1B[31m",  [GREEN] = "\x1B[32m",
	[YELLOW] = "\x1B[33m",
};

struct page {
	FILE *file;
	const struct snapshot *snapshot;
	const struct view *view;
	usec_t now;
	bool failed; /* for want of memory, beyond what the file knows */
};

/* ---- cells ---- */

/* Makes @text, escaped, fit into @max columns by @shorten. Returns how many it took. */
static size_t put(struct page *page, enum colour colour,
		  char *(*shorten)(const char *text, size_t max), size_t max,
		  const char *text)
{
	_cleanup_free_ char *escaped = text_escape(text, strlen(text)), *fits = NULL;
	bool coloured = page->view->colours && colour != PLAIN;

	if (escaped)
		fits = shorten(escaped, max);
	if (!fits) {
		page->failed = true;
		return 0;
	}
	(void)fprintf(page->file, "%s%s%s", coloured ? CODES[colour] : "", fits,
		      coloured ? CODES[RESET] : "");
	return columns_width(fits);
}

/* A name, in a column of @width. */
static void cell(struct page *page, enum colour colour, size_t width, const char *text)
{
	for (size_t used = put(page, colour, columns_shorten, width, text); used < width;
	     used++)
		(void)fputc(' ', page->file);
}

/* A sentence, the last of a line of which @used columns are taken. */
static void last_cell(struct page *page, enum colour colour, size_t used,
		      const char *text)
{
	size_t columns = page->view->columns;

	(void)put(page, colour, columns_cut,
		  columns == 0 ? SIZE_MAX : columns - MIN(columns, used), text);
	(void)fputc('\n', page->file);
}

/* The columns that @text takes once it is escaped. */
static size_t width_of(const char *text)
{
	_cleanup_free_ char *escaped = text_escape(text, strlen(text));

	return escaped ? columns_width(escaped) : 0;
}

static char *print(const char *format, ...) _printf_(1, 2);
static char *print(const char *format, ...)
{
	va_list args;
	char *text;
	int r;

	va_start(args, format);
	r = vasprintf(&text, format, args);
	va_end(args);
	return r < 0 ? NULL : text;
}

/* A line of its own, which takes @text. */
static void line(struct page *page, enum colour colour, char *text)
{
	if (text)
		last_cell(page, colour, 0, text);
	else
		page->failed = true;
	free(text);
}

static void head(struct page *page, const char *text)
{
	(void)fputc('\n', page->file);
	line(page, BOLD, strdup(text));
}

static void more(struct page *page, size_t shown, size_t count)
{
	if (shown < count)
		line(page, DIM, print("  and %zu more", count - shown));
}

/* Room for a column whose widest text takes @widest, beside @others. */
static size_t room(const struct page *page, size_t widest, size_t others)
{
	size_t columns = page->view->columns;

	if (columns == 0 || widest + others <= columns)
		return widest;
	return MIN(widest, columns > others + NARROWEST ? columns - others : NARROWEST);
}

/* ---- the whole ---- */

/* How long it has said nothing, though it has something to say each second: while files
 * are on their way. Else 0. */
static usec_t silence(const struct page *page)
{
	const struct snapshot *s = page->snapshot;
	usec_t silent = usec_sub(page->now, s->updated);

	return s->updated > 0 && s->uploading > 0 && silent >= SILENCE ? silent : 0;
}

static void put_silence(struct page *page)
{
	char span[CLOCK_STRING_MAX];

	if (silence(page) > 0)
		line(page, RED,
		     print("It has said nothing for %s: it hangs, perhaps on a filesystem "
			   "that does not answer (NFS), or can't write its status file.",
			   clock_format_span(span, silence(page))));
}

static void put_heading(struct page *page)
{
	static const char *const STATES[] = {
		[SNAPSHOT_STARTING] = "is starting",
		[SNAPSHOT_RUNNING] = "is running",
		[SNAPSHOT_STOPPING] = "is stopping",
		[SNAPSHOT_DRAINING] = "is draining",
	};
	const struct snapshot *s = page->snapshot;
	char span[CLOCK_STRING_MAX];

	line(page, BOLD,
	     print("asset-agent %s %s, for %s (process %" PRIu64 ")", s->version,
		   STATES[s->state],
		   clock_format_span(span, usec_sub(page->now, s->started)), s->pid));
	put_silence(page);
}

static void put_counts(struct page *page)
{
	const struct snapshot *s = page->snapshot;
	char bytes[SIZE_STRING_MAX], rate[SIZE_STRING_MAX], span[CLOCK_STRING_MAX];
	bool waits = s->waiting > 0 && s->oldest_waiting > 0;

	line(page, PLAIN,
	     print("Uploading %" PRIu64 "%s%s%s, waiting %" PRIu64 "%s%s%s%s, "
		   "uploaded %" PRIu64 " (%s), failed %" PRIu64,
		   s->uploading, s->rate > 0 ? " (" : "",
		   s->rate > 0 ? size_format(rate, s->rate) : "",
		   s->rate > 0 ? "/s)" : "", s->waiting, s->more ? "+" : "",
		   waits ? " (for up to " : "",
		   waits ? clock_format_span(span, usec_sub(page->now, s->oldest_waiting))
			 : "",
		   waits ? ")" : "", s->uploaded, size_format(bytes, s->bytes),
		   s->failed));
}

/* ---- services ---- */

static char *describe_service(const struct page *page,
			      const struct snapshot_service *service)
{
	char since[CLOCK_STRING_MAX], next[CLOCK_STRING_MAX];
	usec_t left = usec_sub(service->next_try, page->now);

	if (service->health == SNAPSHOT_OK)
		return strdup("ok");
	return print("away for %s, %s%s; %" PRIu64 " waiting",
		     clock_format_span(since, usec_sub(page->now, service->since)),
		     left > 0 ? "next try in " : "being tried now",
		     left > 0 ? clock_format_span(next, left) : "", service->waiting);
}

static void put_service(struct page *page, const struct snapshot_service *service,
			size_t names, size_t targets)
{
	enum colour colour = service->health == SNAPSHOT_OK ? GREEN : RED;
	_cleanup_free_ char *state = describe_service(page, service);

	if (!state) {
		page->failed = true;
		return;
	}
	(void)fputs("  ", page->file);
	cell(page, PLAIN, names + 2, service->name);
	cell(page, PLAIN, targets, service->target ? service->target : "");
	(void)fputs("  ", page->file);
	last_cell(page, colour, names + targets + 6, state);
	if (service->health == SNAPSHOT_AWAY && service->why)
		line(page, PLAIN, print("    %s", service->why));
}

static void put_services(struct page *page)
{
	const struct snapshot *s = page->snapshot;
	size_t names = 0, targets = 0, states = 0;

	for (size_t i = 0; i < s->service_count; i++) {
		const struct snapshot_service *service = &s->services[i];

		names = MAX(names, width_of(service->name));
		targets = MAX(targets, width_of(service->target ? service->target : ""));
		states = MAX(states, service->health == SNAPSHOT_OK ? 2U : 30U);
	}
	if (s->service_count == 0)
		return;
	targets = room(page, targets, names + states + 6);
	head(page, "Services");
	for (size_t i = 0; i < s->service_count; i++)
		put_service(page, &s->services[i], names, targets);
}

/* ---- spools ---- */

static void put_spool(struct page *page, const struct snapshot_spool *spool, size_t names,
		      size_t paths)
{
	static const enum colour COLOURS[] = {
		[SNAPSHOT_WATCHING] = GREEN,
		[SNAPSHOT_POLLING] = YELLOW,
		[SNAPSHOT_SPOOL_AWAY] = RED,
		[SNAPSHOT_HELD] = RED,
	};
	_cleanup_free_ char *counts = print("uploaded %" PRIu64 ", failed %" PRIu64,
					    spool->uploaded, spool->failed);

	if (!counts) {
		page->failed = true;
		return;
	}
	(void)fputs("  ", page->file);
	cell(page, PLAIN, names, spool->name);
	(void)fputs("  ", page->file);
	cell(page, PLAIN, paths, spool->path);
	(void)fputs("  ", page->file);
	cell(page, COLOURS[spool->watch], 8, snapshot_watch_name(spool->watch));
	(void)fputs("  ", page->file);
	last_cell(page, PLAIN, names + paths + 16, counts);
	if (spool->why)
		line(page, PLAIN, print("    %s", spool->why));
}

static void put_spools(struct page *page, size_t max)
{
	const struct snapshot *s = page->snapshot;
	size_t names = 0, paths = 0, shown = MIN(max, s->spool_count);

	if (shown == 0)
		return;
	for (size_t i = 0; i < shown; i++) {
		names = MAX(names, width_of(s->spools[i].name));
		paths = MAX(paths, width_of(s->spools[i].path));
	}
	/* The counts of most take less than 30. */
	names = room(page, names, 16 + NARROWEST + 30);
	paths = room(page, paths, names + 16 + 30);
	head(page, "Spools");
	for (size_t i = 0; i < shown; i++)
		put_spool(page, &s->spools[i], names, paths);
	more(page, shown, s->spool_count);
}

/* ---- files on their way ---- */

static void print_bar(char bar[static BAR_WIDTH + 3], uint64_t sent, uint64_t size)
{
	size_t done = size > 0 ? (size_t)((double)sent / (double)size * BAR_WIDTH) : 0;

	done = MIN(done, (size_t)BAR_WIDTH);
	bar[0] = '[';
	memset(bar + 1, '#', done);
	memset(bar + 1 + done, '-', BAR_WIDTH - done);
	bar[BAR_WIDTH + 1] = ']';
	bar[BAR_WIDTH + 2] = '\0';
}

/* "   512.0 KiB/s   12.0s left", or "" before there is a speed. */
static void print_speed(char *buffer, size_t length, const struct page *page,
			const struct snapshot_transfer *t)
{
	double seconds = (double)usec_sub(page->now, t->started) / (double)USEC_PER_SEC;
	double rate = seconds > 0 ? (double)t->sent / seconds : 0;
	char text[SIZE_STRING_MAX], span[CLOCK_STRING_MAX];
	double left;

	if (rate < 1)
		return;
	left = (double)usec_sub(t->size, t->sent) / rate;
	size_format(text, (uint64_t)rate);
	if (left < ENDLESS)
		clock_format_span(span, (usec_t)(left * (double)USEC_PER_SEC));
	else
		snprintf(span, sizeof(span), "days");
	snprintf(buffer, length, "  %11s/s  %9s left", text, span);
}

static char *describe_sending(const struct page *page, const struct snapshot_transfer *t)
{
	size_t columns = page->view->columns;
	unsigned percent = t->size > 0
				   ? (unsigned)((double)t->sent / (double)t->size * 100)
				   : 100;
	char bar[BAR_WIDTH + 3], size[SIZE_STRING_MAX], speed[2 * CLOCK_STRING_MAX] = "";

	print_bar(bar, t->sent, t->size);
	if (columns == 0 || columns >= SIZES_COLUMNS)
		print_speed(speed, sizeof(speed), page, t);
	return print("%s%s%3u%% of %11s%s", columns >= BAR_COLUMNS ? bar : "",
		     columns >= BAR_COLUMNS ? " " : "", MIN(percent, 100U),
		     size_format(size, t->size), speed);
}

static char *describe_transfer(const struct page *page, const struct snapshot_transfer *t)
{
	switch (t->step) {
	case SNAPSHOT_TAKE: return strdup("is looked at");
	case SNAPSHOT_ASK: return strdup("asks for an upload URL");
	case SNAPSHOT_RECORD_GRANT: return strdup("has its URL");
	case SNAPSHOT_SEND: return describe_sending(page, t);
	case SNAPSHOT_RECORD_UPLOAD:
	case SNAPSHOT_DISPOSE: return strdup("is uploaded, and finished off");
	case SNAPSHOT_GIVE_UP: break;
	}
	return strdup("is given up");
}

/* All in one column, so that bars stand below each other. */
static void put_transfer(struct page *page, const struct snapshot_transfer *t,
			 size_t files)
{
	_cleanup_free_ char *state = describe_transfer(page, t);

	if (!state) {
		page->failed = true;
		return;
	}
	(void)fputs("  ", page->file);
	cell(page, PLAIN, files, t->file);
	(void)fputs("  ", page->file);
	last_cell(page, t->step == SNAPSHOT_SEND ? PLAIN : DIM, files + 4, state);
}

/* The columns of describe_sending(). */
static size_t sending_width(size_t columns)
{
	size_t width = STRLEN("100% of 99999 bytes");

	if (columns == 0 || columns >= SIZES_COLUMNS)
		width += STRLEN("  99999 bytes/s  59min 59s left");
	return columns >= BAR_COLUMNS ? width + BAR_WIDTH + 3 : width;
}

static void put_transfers(struct page *page, size_t max)
{
	const struct snapshot *s = page->snapshot;
	size_t files = 0, shown = MIN(max, s->transfer_count);

	if (shown == 0)
		return;
	for (size_t i = 0; i < shown; i++)
		files = MAX(files, width_of(s->transfers[i].file));
	files = room(page, files, sending_width(page->view->columns) + 4);
	head(page, "On their way");
	for (size_t i = 0; i < shown; i++)
		put_transfer(page, &s->transfers[i], files);
	more(page, shown, MAX(s->uploading, (uint64_t)s->transfer_count));
}

/* ---- files that failed ---- */

static void put_retry(struct page *page, const struct snapshot_retry *retry, size_t files)
{
	char span[CLOCK_STRING_MAX];
	usec_t left = usec_sub(retry->next_try, page->now);
	_cleanup_free_ char *state = print(
		"%s%s, after %" PRIu64 " %s; %s%s%s", left > 0 ? "in " : "",
		left > 0 ? clock_format_span(span, left) : "now", retry->attempts,
		retry->attempts == 1 ? "try" : "tries", stage_name(retry->stage),
		retry->why ? ": " : "", retry->why ? retry->why : "");

	if (!state) {
		page->failed = true;
		return;
	}
	(void)fputs("  ", page->file);
	cell(page, PLAIN, files, retry->file);
	(void)fputs("  ", page->file);
	last_cell(page, YELLOW, files + 4, state);
}

static void put_retries(struct page *page, size_t max)
{
	const struct snapshot *s = page->snapshot;
	size_t files = 0, shown = MIN(max, s->retry_count);

	if (shown == 0)
		return;
	for (size_t i = 0; i < shown; i++)
		files = MAX(files, width_of(s->retries[i].file));
	/* The reason is worth as much as the name. */
	if (page->view->columns > 0)
		files = MIN(files, MAX(page->view->columns / 2, (size_t)NARROWEST));
	head(page, "To be tried again");
	for (size_t i = 0; i < shown; i++)
		put_retry(page, &s->retries[i], files);
	more(page, shown, s->retry_count);
}

/* ---- what there is room for ---- */

struct shares {
	size_t spools, transfers, retries;
};

static size_t take_share(size_t *left, size_t wanted, size_t most)
{
	size_t share = MIN(wanted, most);

	if (share == 0 || *left < 4) /* a gap, a head, one, and how many more */
		return 0;
	share = MIN(share, *left - 3);
	*left -= share + 3;
	return share;
}

/* First what is wrong, then what moves; services are always few. */
static struct shares share_out(const struct page *page)
{
	const struct snapshot *s = page->snapshot;
	size_t rows = page->view->rows, used = silence(page) > 0 ? 5 : 4;
	struct shares shares;

	if (rows == 0)
		return (struct shares){ SIZE_MAX, SIZE_MAX, SIZE_MAX };
	for (size_t i = 0; i < s->service_count; i++)
		used += s->services[i].health == SNAPSHOT_OK ? 1 : 2;
	rows = rows > used ? rows - used : 0;
	shares.spools = take_share(&rows, s->spool_count, MAX(rows / 4, 3U));
	shares.retries = take_share(&rows, s->retry_count, MAX(rows / 3, 1U));
	shares.transfers = take_share(&rows, s->transfer_count, rows);
	return shares;
}

/* Cuts @text behind its @rows-th line. */
static void cut_rows(char *text, size_t rows)
{
	while (rows > 0 && (text = strchr(text, '\n'))) {
		text++;
		rows--;
	}
	if (text)
		*text = '\0';
}

char *view_format(const struct snapshot *snapshot, const struct view *view, usec_t now)
{
	struct page page = { .snapshot = snapshot, .view = view, .now = now };
	struct shares shares = share_out(&page);
	char *text = NULL;
	size_t length;

	page.file = open_memstream(&text, &length);
	if (!page.file)
		return NULL;
	put_heading(&page);
	put_counts(&page);
	put_services(&page);
	put_spools(&page, shares.spools);
	put_transfers(&page, shares.transfers);
	put_retries(&page, shares.retries);
	page.failed = page.failed || ferror(page.file);
	if (fclose(page.file) != 0 || page.failed) {
		free(text);
		return NULL;
	}
	if (view->rows > 0)
		cut_rows(text, view->rows);
	return text;
}
