#include "fold.h"
#include "macro.h"

static bool is_over(const struct fold_burst *burst, usec_t now)
{
	return burst->folded == 0 && usec_sub(now, burst->at) >= FOLD_QUIET;
}

static bool is_alike(const struct fold_burst *burst, enum log_kind kind,
		     const struct log_fields *fields)
{
	return burst->kind == kind && burst->status == fields->http_status &&
	       streq(burst->stage, fields->stage) &&
	       streq(burst->code, fields->error_code) &&
	       streq(burst->spool, fields->spool);
}

static void forget_folded(struct fold_burst *burst)
{
	free(burst->first);
	free(burst->last);
	burst->first = burst->last = NULL;
	burst->folded = 0;
}

static void end(struct fold_burst *burst)
{
	forget_folded(burst);
	free(burst->code);
	free(burst->spool);
	*burst = (struct fold_burst){};
}

static bool begin(struct fold_burst *burst, enum log_kind kind,
		  const struct log_fields *fields)
{
	end(burst);
	burst->kind = kind;
	burst->stage = fields->stage;
	burst->status = fields->http_status;
	if (replace_string(&burst->code, fields->error_code) == 0 &&
	    replace_string(&burst->spool, fields->spool) == 0)
		return true;
	end(burst);
	return false;
}

/* The burst of such failures, begun where it is new; NULL: no room for it. */
static struct fold_burst *find(struct fold *fold, enum log_kind kind,
			       const struct log_fields *fields, usec_t now)
{
	struct fold_burst *free_one = NULL;

	for (size_t i = 0; i < FOLD_BURSTS; i++) {
		struct fold_burst *burst = &fold->bursts[i];

		if (burst->lines == 0 || is_over(burst, now))
			free_one = burst;
		else if (is_alike(burst, kind, fields))
			return burst;
	}
	return free_one && begin(free_one, kind, fields) ? free_one : NULL;
}

bool fold_add(struct fold *fold, enum log_kind kind, const struct log_fields *fields,
	      uint64_t limit, usec_t now)
{
	struct fold_burst *burst = find(fold, kind, fields, now);

	if (!burst)
		return false;
	burst->lines++;
	burst->at = now;
	if (burst->lines <= limit)
		return false;
	if (burst->folded++ == 0) {
		burst->since = now;
		(void)replace_string(&burst->first, fields->file);
	}
	(void)replace_string(&burst->last, fields->file);
	return true;
}

static usec_t due_at(const struct fold_burst *burst)
{
	if (burst->folded == 0)
		return USEC_INFINITY;
	return MIN(usec_add(burst->at, FOLD_QUIET), usec_add(burst->since, FOLD_SPAN));
}

usec_t fold_next(const struct fold *fold)
{
	usec_t next = USEC_INFINITY;

	for (size_t i = 0; i < FOLD_BURSTS; i++)
		next = MIN(next, due_at(&fold->bursts[i]));
	return next;
}

const struct fold_burst *fold_due(const struct fold *fold, usec_t now)
{
	for (size_t i = 0; i < FOLD_BURSTS; i++)
		if (fold->bursts[i].folded > 0 && due_at(&fold->bursts[i]) <= now)
			return &fold->bursts[i];
	return NULL;
}

void fold_told(struct fold *fold, const struct fold_burst *burst)
{
	forget_folded(&fold->bursts[burst - fold->bursts]);
}

void fold_done(struct fold *fold)
{
	for (size_t i = 0; i < FOLD_BURSTS; i++)
		end(&fold->bursts[i]);
}
