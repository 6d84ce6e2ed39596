#include <inttypes.h>

#include "backoff.h"
#include "disposal.h"
#include "log.h"
#include "macro.h"
#include "random.h"
#include "text.h"
#include "transfer-finish.h"

static struct log_fields failure_fields(const struct transfer *t, const char *path)
{
	const struct config_spool *spool = transfer_spool(t);

	return (struct log_fields){
		.file = path,
		.spool = spool ? spool->name : NULL,
		.stage = stage_name(t->stage),
		.attempt = t->attempts,
		.http_status = t->status,
		.error_code = t->error.code,
	};
}

static int level_of(const struct transfer *t, enum log_kind kind,
		    const struct log_fields *fields)
{
	return failures_level(t->services->failures, kind, fields);
}

static usec_t draw_wait(const struct transfer *t, unsigned failures)
{
	const struct config *config = t->services->config;
	const struct backoff backoff = { config->retry.initial_delay,
					 config->retry.max_delay };

	return backoff_delay(&backoff, failures, random_draw());
}

/* What is wrong with this one name, such as a directory that somebody made in the place
 * of its sidecar, or a file that may not be replaced or removed, and not with the disk.
 */
static bool is_names_own_fault(int error)
{
	return error == -EISDIR || error == -ENOTDIR || error == -ENOTEMPTY ||
	       error == -EEXIST || error == -ELOOP || error == -ENAMETOOLONG ||
	       error == -EPERM;
}

/* Or with its directory, which may be one of many, or in no spool any more. */
static bool is_directorys_fault(const struct transfer *t)
{
	int fd = spool_directory_fd(t->directory);
	int r = fd >= 0 ? spool_directory_may_write(t->directory, fd) : 0;

	return r == -EACCES || r == -EROFS || !spool_of(t->directory);
}

static bool is_to_move(const struct transfer *t)
{
	const struct config_spool *spool = transfer_spool(t);

	return spool && spool->after_upload == AFTER_MOVE;
}

/* The sidecar could not be written: what is to be told in it is kept, and it is tried
 * again, for as long as it takes. */
static void sidecar_failed(struct transfer *t, int error)
{
	_cleanup_free_ char *path = transfer_path(t);
	struct log_fields fields = failure_fields(t, path);
	char span[CLOCK_STRING_MAX];
	usec_t wait;

	if (error == -EXDEV || (error == -ENOTDIR && is_to_move(t))) {
		transfer_hold(t, error);
		return;
	}
	if (!is_names_own_fault(error) && !is_directorys_fault(t)) {
		transfer_disk_failed(t, error, "writing the sidecar");
		return;
	}
	wait = draw_wait(t, ++t->sidecar_failures);
	t->again_at = usec_add(clock_monotonic(), wait);
	fields.asset_id = t->id;
	fields.retry = MAX(wait, 1U);
	log_event(
		t->sidecar_failures == 1 ? level_of(t, LOG_SIDECAR_FAILED, &fields)
					 : LOG_DEBUG,
		LOG_SIDECAR_FAILED, &fields,
		"Could not write the sidecar of %s: %s. Nothing is lost; next try in %s.",
		path ? path : t->name, log_errno(error), clock_format_span(span, wait));
	transfer_finish(t, TRANSFER_FAILED);
}

/* ---- give up ---- */

static void log_given_up(const struct transfer *t)
{
	_cleanup_free_ char *path = transfer_path(t);
	struct log_fields fields = failure_fields(t, path);
	const char *why = transfer_error_text(t);

	fields.has_size = true;
	fields.size = t->identity.size;

	log_event(
		level_of(t, LOG_GIVEN_UP, &fields), LOG_GIVEN_UP, &fields,
		"Gave up %s after %u %s, at stage %s: %s%s%.*s. Delete %s" SIDECAR_ERROR_SUFFIX
		" or change the file to try again.",
		path ? path : t->name, t->attempts, t->attempts == 1 ? "try" : "tries",
		stage_name(t->stage), t->error.code ? t->error.code : "",
		t->error.code ? ", " : "", text_clause(why), why, t->name);
}

void transfer_give_up(struct transfer *t)
{
	const struct sidecar_error sidecar = {
		.name = t->name,
		.size = t->identity.size,
		.modified = t->identity.modified,
		.failed = clock_realtime(),
		.stage = t->stage,
		.attempts = t->attempts,
		.http_status = t->status,
		.error = &t->error,
	};
	int fd = spool_directory_fd(t->directory);
	int r = fd < 0 ? fd : disposal_give_up(fd, t->name, &sidecar);

	if (r == -ENOENT || r == -ESTALE) { /* its directory was deleted under it */
		transfer_idle(t);
		return;
	}
	if (r < 0) {
		sidecar_failed(t, r);
		return;
	}
	spool_disks_works(t->services->disks, &t->ticket);
	log_given_up(t);
	t->services->tally->given_up[t->stage][transfer_reason(t)]++;
	transfer_drop_grant(t);
	transfer_drop_row(t);
	transfer_finish(t, TRANSFER_GAVE_UP);
}

void transfer_reject(struct transfer *t)
{
	t->attempts++;
	transfer_set_step(t, STEP_GIVE_UP);
	transfer_give_up(t);
}

/* ---- try again by its own backoff ---- */

static void log_retrying(const struct transfer *t, usec_t wait)
{
	_cleanup_free_ char *path = transfer_path(t);
	char span[CLOCK_STRING_MAX];
	struct log_fields fields = failure_fields(t, path);
	const char *why = transfer_error_text(t);

	fields.retry = MAX(wait, 1U);
	log_event(level_of(t, LOG_RETRYING, &fields), LOG_RETRYING, &fields,
		  "Could not upload %s: %.*s; try %u of %" PRIu64 " in %s.",
		  path ? path : t->name, text_clause(why), why, t->attempts + 1,
		  t->services->config->retry.max_attempts, clock_format_span(span, wait));
}

void transfer_again(struct transfer *t)
{
	const struct config *config = t->services->config;
	struct ledger_row row;
	usec_t wait;

	t->attempts++;
	t->resigned = false;
	if (t->attempts >= config->retry.max_attempts) {
		transfer_set_step(t, STEP_GIVE_UP);
		transfer_give_up(t);
		return;
	}
	wait = draw_wait(t, t->attempts);
	t->again_at = usec_add(clock_monotonic(), wait);
	log_retrying(t, wait);
	t->services->tally->retries[t->stage][transfer_reason(t)]++;
	if (t->serial == 0)
		t->serial = ledger_serial(t->services->ledger);
	row = transfer_row(t, t->id ? LEDGER_GRANTED : LEDGER_WAITING);
	/* Not waited for: without it a restart would merely try sooner. */
	(void)ledger_put(t->services->ledger, &row, NULL, NULL);
	transfer_set_step(t, STEP_TAKE);
	transfer_finish(t, TRANSFER_FAILED);
}

/* ---- dispose ---- */

static void log_uploaded(const struct transfer *t)
{
	const struct config_spool *spool = transfer_spool(t);
	_cleanup_free_ char *path = transfer_path(t);
	char span[CLOCK_STRING_MAX];
	usec_t duration = MAX(usec_sub(clock_monotonic(), t->started), 1U);
	const struct log_fields fields = {
		.asset_id = t->id,
		.file = path,
		.spool = spool ? spool->name : NULL,
		.content_type = t->content_type,
		.stage = stage_name(STAGE_UPLOAD),
		.attempt = t->attempts + 1,
		.has_size = true,
		.size = t->identity.size,
		.duration = duration,
	};

	log_event(LOG_INFO, LOG_UPLOADED, &fields,
		  "Uploaded %s as asset %s: %" PRIu64 " bytes, %s, in %s.",
		  path ? path : t->name, t->id, t->identity.size, t->content_type,
		  clock_format_span(span, duration));
}

/* One disposal, of which the thread reads what is the transfer's: that does not change as
 * long as it moves. Of what may, there is a reference or a copy. */
struct disposing {
	struct worker_job job;
	struct transfer *transfer;
	struct spool_directory *directory;
	char *done_directory;
	struct sidecar sidecar;
	struct disposal disposal;
	struct disposal_sight sight;
	int error;
};

static void disposing_free(struct disposing *d)
{
	spool_directory_unref(d->directory);
	free(d->done_directory);
	free(d);
}

DEFINE_CLEANUP(struct disposing *, disposing_freep, disposing_free)

/* NULL: out of memory. */
static struct disposing *disposing_new(struct transfer *t, int dirfd)
{
	_cleanup_(disposing_freep) struct disposing *d = calloc(1, sizeof(*d));
	const struct config_spool *spool = transfer_spool(t);
	enum after_upload after = spool ? spool->after_upload : AFTER_KEEP;

	if (!d)
		return NULL;
	d->transfer = t;
	d->directory = spool_directory_ref(t->directory);
	if (after == AFTER_MOVE) {
		d->done_directory = strdup(spool->done_directory);
		if (!d->done_directory)
			return NULL;
	}
	d->sidecar = (struct sidecar){
		.id = t->id,
		.name = t->name,
		.size = t->identity.size,
		.content_type = t->content_type,
		.modified = t->identity.modified,
		.uploaded = t->uploaded,
	};
	d->disposal = (struct disposal){
		.dirfd = dirfd,
		.name = t->name,
		.relative = spool_directory_relative(d->directory),
		.identity = &t->identity,
		.after = after,
		.done_directory = d->done_directory,
		.again = t->restored,
		.alone = t->alone,
	};
	return take_ptr(d);
}

/* Where the directory is gone there is no place for a receipt but the journal. */
static void directory_gone(struct transfer *t)
{
	transfer_release(t);
	log_uploaded(t);
	transfer_drop_row(t);
	transfer_finish(t, TRANSFER_DONE);
}

static void disposed(struct transfer *t, const struct disposal_sight *sight, int dirfd)
{
	transfer_release(t);
	spool_disks_works(t->services->disks, &t->ticket);
	if (!sight->had)
		log_uploaded(t);
	/* A row that can't be finished waits for the next start. */
	(void)ledger_finish(t->services->ledger, t->serial, sight->device, dirfd);
	t->serial = 0;
	t->intact = sight->intact;
	transfer_finish(t, sight->had ? TRANSFER_WAS_DONE : TRANSFER_DONE);
}

static void not_disposed(struct transfer *t, int error)
{
	if (error == -ENOENT || error == -ESTALE)
		directory_gone(t);
	else
		sidecar_failed(t, error);
}

static void run_disposal(struct worker_job *job)
{
	struct disposing *d = container_of(job, struct disposing, job);

	d->error = disposal_finish(&d->disposal, &d->sidecar, &d->sight);
}

static void on_disposed(struct worker_job *job)
{
	_cleanup_(disposing_freep) struct disposing *d = container_of(job,
								      struct disposing,
								      job);
	struct transfer *t = d->transfer;

	if (d->error < 0)
		not_disposed(t, d->error);
	else
		disposed(t, &d->sight, d->disposal.dirfd);
}

void transfer_dispose(struct transfer *t)
{
	int dirfd = spool_directory_fd(t->directory);
	struct disposing *d;

	if (dirfd < 0) {
		not_disposed(t, dirfd);
		return;
	}
	d = disposing_new(t, dirfd);
	if (!d) {
		transfer_short(t, -ENOMEM);
		return;
	}
	d->job.run = run_disposal;
	d->job.done = on_disposed;
	t->disposal = ++t->services->disposals;
	transfer_leave_slot(t);
	worker_queue(t->services->disposer, &d->job);
}

static void on_upload_recorded(void *userdata, int error)
{
	struct transfer *t = userdata;

	if (error < 0) {
		transfer_record_failed(t, error, "recording the upload");
		return;
	}
	transfer_report_works(t, HEALTH_DISK);
	transfer_set_step(t, STEP_DISPOSE);
	transfer_dispose(t);
}

void transfer_record_upload(struct transfer *t)
{
	struct ledger_row row = transfer_row(t, LEDGER_UPLOADED);
	int r = ledger_put(t->services->ledger, &row, on_upload_recorded, t);

	if (r < 0)
		transfer_record_failed(t, r, "recording the upload");
	else
		transfer_leave_slot(t);
}
