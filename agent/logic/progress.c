#include <inttypes.h>

#include "macro.h"
#include "progress.h"
#include "size.h"

#define WINDOW	   (3 * USEC_PER_SEC) /* of the rate */
#define WINDOW_MIN USEC_PER_SEC	      /* the first one counts as so long at least */

void progress_init(struct progress *p, usec_t now)
{
	*p = (struct progress){ .started = now, .mark_at = now };
}

static uint64_t rate_of(uint64_t bytes, usec_t span)
{
	unsigned __int128 product = (unsigned __int128)bytes * USEC_PER_SEC;

	return (uint64_t)(product / MAX(span, USEC_PER_MSEC));
}

void progress_note(struct progress *p, uint64_t bytes, usec_t now)
{
	usec_t span = usec_sub(now, p->mark_at);

	/* What was sent in vain does not count any more. */
	p->mark_bytes = MIN(p->mark_bytes, bytes);
	/* Until the first window is full there is no better number. */
	if (p->mark_at == p->started || span >= WINDOW)
		p->rate = rate_of(bytes - p->mark_bytes, MAX(span, WINDOW_MIN));
	if (span < WINDOW)
		return;
	p->mark_at = now;
	p->mark_bytes = bytes;
}

static void print_passed(FILE *out, const struct progress_counts *counts)
{
	if (counts->given_up > 0)
		fprintf(out, "; given up %" PRIu64, counts->given_up);
	if (counts->passed_over > 0)
		fprintf(out, "; passed over %" PRIu64, counts->passed_over);
}

static char *close_text(FILE *out, char **text)
{
	bool whole = !ferror(out);

	if (fclose(out) != 0 || !whole) {
		free(*text);
		return NULL;
	}
	return *text;
}

char *progress_line(const struct progress *p, const struct progress_counts *counts,
		    const char *trouble)
{
	uint64_t done = counts->uploaded + counts->given_up + counts->passed_over;
	char size[SIZE_STRING_MAX], rate[SIZE_STRING_MAX], *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	fprintf(out, "%" PRIu64 " of %" PRIu64 "%s files, %s, %s/s", done,
		done + counts->left, counts->more ? "+" : "",
		size_format(size, counts->bytes + counts->sent),
		size_format(rate, p->rate));
	print_passed(out, counts);
	if (trouble)
		fprintf(out, "; %s", trouble);
	return close_text(out, &text);
}

char *progress_summary(const struct progress *p, const struct progress_counts *counts,
		       const char *why, usec_t now)
{
	char size[SIZE_STRING_MAX], rate[SIZE_STRING_MAX], span[CLOCK_STRING_MAX];
	usec_t took = MAX(usec_sub(now, p->started), USEC_PER_MSEC);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	fprintf(out, "Uploaded %" PRIu64 " %s, %s in %s, %s/s", counts->uploaded,
		counts->uploaded == 1 ? "file" : "files",
		size_format(size, counts->bytes), clock_format_span(span, took),
		size_format(rate, rate_of(counts->bytes, took)));
	print_passed(out, counts);
	if (counts->left > 0)
		fprintf(out, "; left waiting %" PRIu64 "%s", counts->left,
			counts->more ? "+" : "");
	else if (counts->more)
		fprintf(out, "; others are left waiting");
	else
		fprintf(out, "; none is left waiting");
	fprintf(out, "%s%s.", why ? ": " : "", why ? why : "");
	return close_text(out, &text);
}
