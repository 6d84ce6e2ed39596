#include <assert.h>
#include <inttypes.h>

#include "backoff.h"
#include "disposal.h"
#include "log.h"
#include "macro.h"
#include "random.h"
#include "transfer.h"

#define URL_MARGIN \
	(2 * USEC_PER_SEC)	 /* a URL this near its end is as good as expired \
				  */
#define LOCAL_DELAY USEC_PER_SEC /* when we are out of memory or descriptors */

static const char *const step_names[] = {
	[STEP_TAKE] = "take",
	[STEP_ASK] = "ask",
	[STEP_RECORD_GRANT] = "record the grant",
	[STEP_SEND] = "send",
	[STEP_RECORD_UPLOAD] = "record the upload",
	[STEP_DISPOSE] = "dispose",
	[STEP_GIVE_UP] = "give up",
};

char *transfer_path(const struct transfer *t)
{
	char *path;

	return asprintf(&path, "%s/%s", spool_directory_path(t->directory), t->name) < 0
		       ? NULL
		       : path;
}

static const struct config_spool *spool_of_transfer(const struct transfer *t)
{
	struct spool *spool = spool_of(t->directory);

	return spool ? spool_config(spool) : NULL;
}

/* ---- what is known of it ---- */

static void set_step(struct transfer *t, enum transfer_step step)
{
	log_debug("%s: %s -> %s", t->name, step_names[t->step], step_names[step]);
	t->step = step;
}

static void clear_error(struct transfer *t)
{
	asset_error_done(&t->error);
	t->error = (struct asset_error){};
	t->status = 0;
}

static void set_error(struct transfer *t, enum stage stage, const char *why)
{
	clear_error(t);
	t->stage = stage;
	t->error.developer_message = strdup(why);
}

static const char *error_text(const struct transfer *t)
{
	return t->error.developer_message && t->error.developer_message[0]
		       ? t->error.developer_message
		       : "no reason was given";
}

static void drop_grant(struct transfer *t)
{
	free(take_ptr(t->id));
	free(take_ptr(t->raw_url));
	content_url_done(&t->url);
	t->url = (struct content_url){};
	t->resumed = false;
	t->recorded = false;
}

static struct ledger_row row_of(const struct transfer *t, enum ledger_state state)
{
	usec_t mono = clock_monotonic(), real = clock_realtime();

	return (struct ledger_row){
		.serial = t->serial,
		.state = state,
		.directory = spool_directory_path(t->directory),
		.name = t->name,
		.identity = t->identity,
		.asset_id = t->id,
		.content_url = t->uploaded ? NULL : t->raw_url,
		.content_type = t->content_type,
		.expires = t->expires == USEC_INFINITY
				   ? 0
				   : usec_add(real, usec_sub(t->expires, mono)),
		.uploaded = t->uploaded,
		.attempts = t->attempts,
		.next_try = usec_add(real, usec_sub(t->again_at, mono)),
	};
}

static void drop_row(struct transfer *t)
{
	/* A row that can't be dropped now is found stale at the next start. */
	if (t->serial > 0)
		(void)ledger_drop(t->services->ledger, t->serial);
	t->serial = 0;
}

/* ---- ends ---- */

static void end(struct transfer *t, enum transfer_end how)
{
	struct transfer_services *services = t->services;

	t->fd = close_fd(t->fd);
	health_leave(services->health, &t->probes);
	services->ended(services->userdata, t, how);
}

/* Back to the queue, with the grant if there is one. */
static void pause_transfer(struct transfer *t)
{
	if (t->step < STEP_RECORD_UPLOAD)
		set_step(t, STEP_TAKE);
	end(t, TRANSFER_PAUSED);
}

static void idle(struct transfer *t)
{
	drop_grant(t);
	drop_row(t);
	end(t, TRANSFER_IDLE);
}

static void later(struct transfer *t, usec_t delay)
{
	t->again_at = usec_add(clock_monotonic(), delay);
	end(t, TRANSFER_LATER);
}

static void report_failure(struct transfer *t, unsigned index, usec_t retry_after)
{
	const struct health_failure failure = {
		.why = error_text(t),
		.retry_after = retry_after,
		.http_status = t->status,
		.error_code = t->error.code,
		.waiting = t->services->waiting(t->services->userdata) + 1,
	};

	health_failed(t->services->health, index, &t->probes, &failure);
}

static void report_works(struct transfer *t, unsigned index)
{
	health_works(t->services->health, index, &t->probes,
		     t->services->waiting(t->services->userdata));
}

static unsigned storage_of(const struct transfer *t)
{
	return health_storage(t->services->health, t->url.host);
}

static void disk_failed(struct transfer *t, int error, const char *what)
{
	_cleanup_free_ char *why = NULL;

	if (asprintf(&why, "%s: %s", what, log_errno(error)) < 0)
		why = NULL;
	set_error(t, STAGE_SPOOL, why ? why : what);
	report_failure(t, HEALTH_DISK, 0);
	pause_transfer(t);
}

/* ---- give up ---- */

static void log_given_up(const struct transfer *t)
{
	const struct config_spool *spool = spool_of_transfer(t);
	_cleanup_free_ char *path = transfer_path(t);
	const struct log_fields fields = {
		.kind = LOG_GIVEN_UP,
		.file = path,
		.spool = spool ? spool->name : NULL,
		.stage = stage_name(t->stage),
		.attempt = t->attempts,
		.http_status = t->status,
		.error_code = t->error.code,
		.has_size = true,
		.size = t->identity.size,
	};

	log_event(
		LOG_ERR, &fields,
		"Gave up %s after %u %s, at stage %s: %s%s%s. Delete %s" SIDECAR_ERROR_SUFFIX
		" or change the file to try again.",
		path ? path : t->name, t->attempts, t->attempts == 1 ? "try" : "tries",
		stage_name(t->stage), t->error.code ? t->error.code : "",
		t->error.code ? ", " : "", error_text(t), t->name);
}

static void give_up(struct transfer *t)
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
		idle(t);
		return;
	}
	if (r < 0) {
		/* The reason is kept for the next try at the sidecar. */
		const struct health_failure failure = {
			.why = log_errno(r),
			.waiting = t->services->waiting(t->services->userdata) + 1,
		};

		health_failed(t->services->health, HEALTH_DISK, &t->probes, &failure);
		end(t, TRANSFER_PAUSED);
		return;
	}
	report_works(t, HEALTH_DISK);
	log_given_up(t);
	drop_grant(t);
	drop_row(t);
	end(t, TRANSFER_GAVE_UP);
}

static void reject(struct transfer *t)
{
	t->attempts++;
	set_step(t, STEP_GIVE_UP);
	give_up(t);
}

/* ---- try again by its own backoff ---- */

static void log_retrying(const struct transfer *t, usec_t wait)
{
	const struct config_spool *spool = spool_of_transfer(t);
	_cleanup_free_ char *path = transfer_path(t);
	char span[CLOCK_STRING_MAX];
	const struct log_fields fields = {
		.kind = LOG_RETRYING,
		.file = path,
		.spool = spool ? spool->name : NULL,
		.stage = stage_name(t->stage),
		.attempt = t->attempts,
		.http_status = t->status,
		.error_code = t->error.code,
		.retry = MAX(wait, 1U),
	};

	log_event(LOG_INFO, &fields,
		  "Could not upload %s: %s; try %u of %" PRIu64 " in %s.",
		  path ? path : t->name, error_text(t), t->attempts + 1,
		  t->services->config->retry.max_attempts, clock_format_span(span, wait));
}

static void again(struct transfer *t)
{
	const struct config *config = t->services->config;
	const struct backoff backoff = { config->retry.initial_delay,
					 config->retry.max_delay };
	struct ledger_row row;
	usec_t wait;

	t->attempts++;
	t->resigned = t->reauthed = false;
	if (t->attempts >= config->retry.max_attempts) {
		set_step(t, STEP_GIVE_UP);
		give_up(t);
		return;
	}
	wait = backoff_delay(&backoff, t->attempts, random_draw());
	t->again_at = usec_add(clock_monotonic(), wait);
	log_retrying(t, wait);
	if (t->serial == 0)
		t->serial = ledger_serial(t->services->ledger);
	row = row_of(t, t->id ? LEDGER_GRANTED : LEDGER_WAITING);
	/* Not waited for: without it a restart would merely try sooner. */
	(void)ledger_put(t->services->ledger, &row, NULL, NULL);
	set_step(t, STEP_TAKE);
	end(t, TRANSFER_FAILED);
}

/* ---- dispose ---- */

static void log_uploaded(const struct transfer *t)
{
	const struct config_spool *spool = spool_of_transfer(t);
	_cleanup_free_ char *path = transfer_path(t);
	char span[CLOCK_STRING_MAX];
	usec_t duration = MAX(usec_sub(clock_monotonic(), t->started), 1U);
	const struct log_fields fields = {
		.kind = LOG_UPLOADED,
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

	log_event(LOG_INFO, &fields,
		  "Uploaded %s as asset %s: %" PRIu64 " bytes, %s, in %s.",
		  path ? path : t->name, t->id, t->identity.size, t->content_type,
		  clock_format_span(span, duration));
}

static void dispose(struct transfer *t)
{
	const struct config_spool *spool = spool_of_transfer(t);
	const struct sidecar sidecar = {
		.id = t->id,
		.name = t->name,
		.size = t->identity.size,
		.content_type = t->content_type,
		.modified = t->identity.modified,
		.uploaded = t->uploaded,
	};
	struct disposal disposal = {
		.dirfd = spool_directory_fd(t->directory),
		.name = t->name,
		.relative = spool_directory_relative(t->directory),
		.identity = &t->identity,
		.after = spool ? spool->after_upload : AFTER_KEEP,
		.done_directory = spool ? spool->done_directory : NULL,
		.again = t->restored,
	};
	int r = disposal.dirfd < 0 ? disposal.dirfd
				   : disposal_finish(&disposal, &sidecar);

	if (r < 0 && r != -ENOENT && r != -ESTALE) {
		disk_failed(t, r, "writing the sidecar");
		return;
	}
	report_works(t, HEALTH_DISK);
	if (r != 1) /* else it was told of before the restart */
		log_uploaded(t);
	/* Where the directory is gone there is no place for a receipt but the journal. */
	if (r < 0 || ledger_finish(t->services->ledger, t->serial, disposal.dirfd) < 0)
		drop_row(t);
	t->serial = 0;
	end(t, TRANSFER_DONE);
}

static void on_upload_recorded(void *userdata, int error)
{
	struct transfer *t = userdata;

	if (error < 0) {
		disk_failed(t, error, "recording an upload");
		return;
	}
	set_step(t, STEP_DISPOSE);
	dispose(t);
}

static void record_upload(struct transfer *t)
{
	struct ledger_row row = row_of(t, LEDGER_UPLOADED);
	int r = ledger_put(t->services->ledger, &row, on_upload_recorded, t);

	if (r < 0)
		disk_failed(t, r, "recording an upload");
}

/* ---- send ---- */

/* Takes over what an answer said as what went wrong. */
static void note_answer(struct transfer *t, enum stage stage,
			const struct http_answer *answer, const char *problem)
{
	clear_error(t);
	t->stage = stage;
	if (answer->transport != TRANSPORT_ANSWERED || problem) {
		t->error.developer_message = strdup(problem ? problem : answer->problem);
		return;
	}
	t->status = answer->status;
	if (answer->status / 100 == 2)
		return;
	(void)asset_error_parse(answer->body, answer->length, &t->error);
	if (!t->error.developer_message &&
	    asprintf(&t->error.developer_message, "HTTP status %d", answer->status) < 0)
		t->error.developer_message = NULL;
}

static enum verdict judge(const struct transfer *t, enum transport transport)
{
	const struct outcome outcome = {
		.stage = t->stage,
		.transport = transport,
		.status = t->status,
		.code = t->error.code,
		.resumed = t->resumed,
	};
	enum verdict verdict = verdict_for(&outcome);

	log_debug("%s: %s, %s %d: %s", t->name, stage_name(t->stage),
		  transport_name(transport), t->status, verdict_name(verdict));
	return verdict;
}

static bool is_unchanged(struct transfer *t)
{
	struct fs_identity now;
	struct stat st;

	if (fstat(t->fd, &st) < 0)
		return false;
	now = fs_identity_of(&st);
	return fs_identity_equal(&now, &t->identity);
}

static void sent(struct transfer *t)
{
	if (!is_unchanged(t)) {
		drop_grant(t);
		set_error(t, STAGE_UPLOAD, "the file changed while it was sent");
		again(t);
		return;
	}
	t->fd = close_fd(t->fd);
	t->uploaded = clock_realtime();
	set_step(t, STEP_RECORD_UPLOAD);
	record_upload(t);
}

static void resign(struct transfer *t)
{
	drop_grant(t);
	if (t->resigned) {
		again(t);
		return;
	}
	t->resigned = true;
	pause_transfer(t);
}

static void on_sent(void *userdata, const struct http_answer *answer)
{
	struct transfer *t = userdata;
	unsigned storage = storage_of(t);
	enum verdict verdict;

	t->request = NULL;
	note_answer(t, STAGE_UPLOAD, answer, NULL);
	verdict = judge(t, answer->transport);
	t->resumed = true;
	if (answer->transport == TRANSPORT_ANSWERED && verdict != VERDICT_PAUSE_STORAGE)
		report_works(t, storage);
	switch (verdict) {
	case VERDICT_DONE: sent(t); break;
	case VERDICT_AGAIN: again(t); break;
	case VERDICT_RESIGN: resign(t); break;
	case VERDICT_REJECT: reject(t); break;
	case VERDICT_PAUSE_STORAGE:
		report_failure(t, storage, answer->retry_after);
		pause_transfer(t);
		break;
	case VERDICT_REAUTH:
	case VERDICT_PAUSE_AUTH:
	case VERDICT_PAUSE_API:
		report_failure(t, HEALTH_API, answer->retry_after);
		pause_transfer(t);
		break;
	}
}

static const char *method_name(enum upload_method method)
{
	return method == UPLOAD_POST ? "POST" : "PUT";
}

static void send_content(struct transfer *t)
{
	const struct http_call call = {
		.method = method_name(t->url.method),
		.url = t->url.url,
		.headers = &t->url.headers,
		.file = t->fd,
		.file_size = t->identity.size,
		.timeout = USEC_INFINITY,
		.stall_timeout = t->services->config->upload.stall_timeout,
	};
	int r;

	if (usec_add(clock_monotonic(), URL_MARGIN) >= t->expires) {
		set_error(t, STAGE_UPLOAD, "the URL expired before its turn");
		resign(t);
		return;
	}
	if (!is_unchanged(t)) {
		drop_grant(t);
		set_error(t, STAGE_UPLOAD, "the file changed before it was sent");
		again(t);
		return;
	}
	r = http_start(t->services->http, &call, on_sent, t, &t->request);
	if (r < 0)
		later(t, LOCAL_DELAY);
}

/* ---- record the grant ---- */

static void on_grant_recorded(void *userdata, int error)
{
	struct transfer *t = userdata;

	if (error < 0) {
		disk_failed(t, error, "recording a grant");
		return;
	}
	t->recorded = true;
	if (t->services->stopping) {
		pause_transfer(t);
		return;
	}
	set_step(t, STEP_SEND);
	send_content(t);
}

static void record_grant(struct transfer *t)
{
	struct ledger_row row;
	int r;

	if (t->serial == 0)
		t->serial = ledger_serial(t->services->ledger);
	row = row_of(t, LEDGER_GRANTED);
	r = ledger_put(t->services->ledger, &row, on_grant_recorded, t);
	if (r < 0)
		disk_failed(t, r, "recording a grant");
}

/* ---- ask ---- */

/* The URL's end on our monotonic clock, from the service's own idea of now. */
static usec_t expiry(const struct asset_grant *grant, const struct http_answer *answer)
{
	usec_t theirs = answer->date > 0 ? answer->date : clock_realtime();

	if (grant->expires == 0)
		return USEC_INFINITY;
	return usec_add(clock_monotonic(), usec_sub(grant->expires, theirs));
}

static int read_url(struct transfer *t, char **ret_reason)
{
	const struct config *config = t->services->config;
	const struct content_url_policy policy = {
		.method = config->upload.method,
		.headers = &config->upload.headers,
		.allowed_hosts = &config->upload.allowed_hosts,
		.allow_insecure = config->api.allow_insecure,
		.content_type = t->content_type,
	};

	content_url_done(&t->url);
	t->url = (struct content_url){};
	return content_url_parse(t->raw_url, &policy, &t->url, ret_reason);
}

static void refuse_url(struct transfer *t, const char *reason)
{
	_cleanup_free_ char *shown = content_url_redact(t->raw_url), *why = NULL;

	if (asprintf(&why, "it answered with a content URL (%s) that can't be used: %s",
		     shown ? shown : "", reason ? reason : "out of memory") < 0)
		why = NULL;
	drop_grant(t);
	set_error(t, STAGE_UPLOAD, why ? why : "out of memory");
	(void)judge(t, TRANSPORT_REFUSED_URL);
	report_failure(t, HEALTH_API, 0);
	pause_transfer(t);
}

static void granted(struct transfer *t, struct asset_grant *grant,
		    const struct http_answer *answer)
{
	_cleanup_free_ char *reason = NULL;

	drop_grant(t);
	t->id = take_ptr(grant->id);
	t->raw_url = take_ptr(grant->content_url);
	t->expires = expiry(grant, answer);
	if (read_url(t, &reason) < 0) {
		refuse_url(t, reason);
		return;
	}
	log_debug("%s: asset %s, %s, %s to %s", t->name, t->id,
		  content_store_name(t->url.store), method_name(t->url.method),
		  t->url.shown);
	report_works(t, HEALTH_AUTH);
	report_works(t, HEALTH_API);
	set_step(t, STEP_RECORD_GRANT);
	record_grant(t);
}

static void ask(struct transfer *t);

static void reauthorize(struct transfer *t, usec_t retry_after)
{
	token_refused(t->services->token, t->token_serial);
	if (!t->reauthed) {
		t->reauthed = true;
		ask(t);
		return;
	}
	t->reauthed = false;
	report_failure(t, HEALTH_AUTH, retry_after);
	pause_transfer(t);
}

static void on_asked(void *userdata, const struct http_answer *answer)
{
	_cleanup_(asset_grant_done) struct asset_grant grant = {};
	enum transport transport = answer->transport;
	struct transfer *t = userdata;
	const char *reason = NULL;

	t->request = NULL;
	if (transport == TRANSPORT_ANSWERED && answer->status / 100 == 2 &&
	    asset_grant_parse(answer->body, answer->length, &grant, &reason) < 0) {
		transport = TRANSPORT_BAD_ANSWER;
		reason = reason ? reason : "out of memory";
	}
	note_answer(t, STAGE_CREATE, answer, reason);
	switch (judge(t, transport)) {
	case VERDICT_DONE: granted(t, &grant, answer); break;
	case VERDICT_REAUTH: reauthorize(t, answer->retry_after); break;
	case VERDICT_REJECT:
		report_works(t, HEALTH_AUTH);
		report_works(t, HEALTH_API);
		reject(t);
		break;
	case VERDICT_AGAIN:
	case VERDICT_RESIGN: again(t); break;
	case VERDICT_PAUSE_AUTH:
		report_failure(t, HEALTH_AUTH, answer->retry_after);
		pause_transfer(t);
		break;
	case VERDICT_PAUSE_API:
	case VERDICT_PAUSE_STORAGE:
		report_failure(t, HEALTH_API, answer->retry_after);
		pause_transfer(t);
		break;
	}
}

static int send_question(struct transfer *t, const struct config_spool *spool,
			 const char *bearer)
{
	const struct config *config = t->services->config;
	_cleanup_(strv_done) struct strv headers = {};
	_cleanup_free_ char *body = NULL, *url = NULL, *language = NULL;
	const struct asset_request request = {
		.channel_type = spool->channel_type,
		.sender_type = spool->sender_type,
		.name = t->name,
		.size = t->identity.size,
	};

	body = asset_request_format(&request);
	if (!body || asprintf(&url, "%s/assets", config->api.base_url) < 0 ||
	    asprintf(&language, "Accept-Language: %s", config->api.accept_language) < 0 ||
	    strv_push(&headers, "Content-Type: application/json") < 0 ||
	    strv_push(&headers, "Accept: application/json") < 0 ||
	    strv_push(&headers, "X-egain-error-message: yes") < 0 ||
	    strv_push(&headers, language) < 0)
		return -ENOMEM;
	return http_start(t->services->http,
			  &(struct http_call){
				  .method = "POST",
				  .url = url,
				  .headers = &headers,
				  .bearer = bearer,
				  .body = body,
				  .body_length = strlen(body),
				  .file = -1,
				  .timeout = config->api.timeout,
				  .stall_timeout = USEC_INFINITY,
				  .multiplex = true,
			  },
			  on_asked, t, &t->request);
}

static void on_token(void *userdata, const struct token_failure *failure)
{
	struct transfer *t = userdata;

	t->waits_for_token = false;
	if (!failure) {
		ask(t);
		return;
	}
	set_error(t, STAGE_TOKEN, failure->why);
	t->status = failure->answer.status;
	report_failure(t, HEALTH_AUTH, failure->answer.retry_after);
	pause_transfer(t);
}

static void ask(struct transfer *t)
{
	const struct config_spool *spool = spool_of_transfer(t);
	const char *bearer;

	if (t->services->stopping || !spool) {
		pause_transfer(t);
		return;
	}
	t->waiter = (struct token_waiter){ .done = on_token, .userdata = t };
	bearer = token_get(t->services->token, &t->waiter, &t->token_serial);
	t->waits_for_token = !bearer;
	if (bearer && send_question(t, spool, bearer) < 0)
		later(t, LOCAL_DELAY);
}

/* ---- take ---- */

static void unreadable(struct transfer *t, const struct intake_file *file)
{
	int error = file->error;

	if (error == -EMFILE || error == -ENFILE || error == -ENOMEM) {
		later(t, LOCAL_DELAY);
		return;
	}
	t->identity = fs_identity_of(&file->st);
	set_error(t, STAGE_SPOOL, log_errno(error));
	drop_grant(t);
	if (verdict_for(&(struct outcome){ .stage = STAGE_SPOOL,
					   .transport = TRANSPORT_SOURCE }) ==
	    VERDICT_REJECT)
		reject(t);
	else
		again(t);
}

static void too_large(struct transfer *t, uint64_t limit)
{
	_cleanup_free_ char *why = NULL;

	if (asprintf(&why,
		     "the file is too large: %" PRIu64 " bytes, and MaxSize= is %" PRIu64,
		     t->identity.size, limit) < 0)
		why = NULL;
	set_error(t, STAGE_SPOOL, why ? why : "the file is larger than MaxSize=");
	reject(t);
}

static void set_type(struct transfer *t)
{
	const struct config *config = t->services->config;

	t->content_type = config->upload.content_type
				  ? config->upload.content_type
				  : mime_type(t->services->mime, t->name);
}

/* With the file in hand: to whom next? */
static void taken(struct transfer *t, const struct config_spool *spool)
{
	_cleanup_free_ char *reason = NULL;

	if (t->identity.size > spool->max_size) {
		too_large(t, spool->max_size);
		return;
	}
	set_type(t);
	if (t->id && !t->url.url && read_url(t, &reason) < 0)
		drop_grant(t); /* of a row, under another configuration */
	if (!t->id) {
		set_step(t, STEP_ASK);
		ask(t);
	} else if (!t->recorded) {
		set_step(t, STEP_RECORD_GRANT);
		record_grant(t);
	} else {
		set_step(t, STEP_SEND);
		send_content(t);
	}
}

static void take(struct transfer *t)
{
	const struct config_spool *spool = spool_of_transfer(t);
	const struct intake_rules rules = spool_directory_rules(t->directory);
	struct intake_file file = { .fd = -1 };
	struct fs_identity identity;
	bool had_grant = t->id;
	int fd = spool_directory_fd(t->directory);

	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM) {
		later(t, LOCAL_DELAY);
		return;
	}
	if (fd < 0 || !spool) {
		idle(t);
		return;
	}
	switch (intake_take(fd, t->name, &rules, t->glimpse, clock_monotonic(), &file)) {
	case INTAKE_TAKEN: break;
	case INTAKE_NOT_A_FILE:
		spool_warn(t->directory, t->name, &file.st); /* fall through */
	case INTAKE_GONE:
	case INTAKE_CURRENT: idle(t); return;
	case INTAKE_BUSY:
	case INTAKE_FRESH: later(t, MAX(rules.quiet, USEC_PER_MSEC)); return;
	case INTAKE_UNREADABLE: unreadable(t, &file); return;
	}
	t->fd = file.fd;
	identity = fs_identity_of(&file.st);
	if (had_grant && !fs_identity_equal(&identity, &t->identity)) {
		drop_grant(t); /* it was for another content */
		t->identity = identity;
		pause_transfer(t);
		return;
	}
	t->identity = identity;
	taken(t, spool);
}

/* ---- from outside ---- */

unsigned transfer_needs(const struct transfer *t)
{
	if (t->step >= STEP_RECORD_UPLOAD)
		return NEED_DISK;
	return t->id ? NEED_DISK | NEED_STORAGE
		     : NEED_DISK | NEED_STORAGE | NEED_AUTH | NEED_API;
}

static int on_start(sd_event_source *source, void *userdata)
{
	struct transfer *t = userdata;

	(void)source;
	if (t->services->stopping && t->step == STEP_TAKE) {
		pause_transfer(t);
		return 0;
	}
	switch (t->step) {
	case STEP_TAKE: take(t); break;
	case STEP_RECORD_UPLOAD: record_upload(t); break;
	case STEP_DISPOSE: dispose(t); break;
	case STEP_GIVE_UP: give_up(t); break;
	case STEP_ASK:
	case STEP_RECORD_GRANT:
	case STEP_SEND: assert(!"a transfer starts from these only by way of another");
	}
	return 0;
}

void transfer_start(struct transfer *t)
{
	usec_t now = clock_monotonic();

	if (t->started == 0)
		t->started = now;
	t->probes = health_start(t->services->health, transfer_needs(t), now);
	(void)sd_event_source_set_enabled(t->step_source, SD_EVENT_ONESHOT);
}

void transfer_cancel(struct transfer *t)
{
	if (t->request)
		http_cancel(take_ptr(t->request));
	else if (t->waits_for_token)
		token_leave(t->services->token, &t->waiter);
	else
		return;
	t->waits_for_token = false;
	/* A body may have gone out. */
	t->resumed = t->resumed || t->step == STEP_SEND;
	pause_transfer(t);
}

uint64_t transfer_sent(const struct transfer *t)
{
	return t->step == STEP_SEND && t->request ? http_sent(t->request) : 0;
}

int transfer_new(sd_event *event, struct transfer_services *services,
		 struct spool_directory *directory, const char *name,
		 struct intake_glimpse *glimpse, void *owner, struct transfer **ret)
{
	struct transfer *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->services = services;
	t->owner = owner;
	t->directory = spool_directory_ref(directory);
	t->glimpse = glimpse;
	t->fd = -1;
	t->name = strdup(name);
	r = t->name ? sd_event_add_defer(event, &t->step_source, on_start, t) : -ENOMEM;
	if (r < 0) {
		transfer_free(t);
		return r;
	}
	(void)sd_event_source_set_enabled(t->step_source, SD_EVENT_OFF);
	*ret = t;
	return 0;
}

void transfer_free(struct transfer *t)
{
	if (!t)
		return;
	assert(!t->request && !t->waits_for_token);
	sd_event_source_disable_unref(t->step_source);
	close_fd(t->fd);
	drop_grant(t);
	clear_error(t);
	spool_directory_unref(t->directory);
	free(t->own_type);
	free(t->name);
	free(t);
}

/* A deadline of the real-time clock on the monotonic one; 0 is none. */
static usec_t to_monotonic(usec_t real)
{
	if (real == 0)
		return USEC_INFINITY;
	return usec_add(clock_monotonic(), usec_sub(real, clock_realtime()));
}

int transfer_restore(struct transfer *t, const struct ledger_row *row)
{
	t->serial = row->serial;
	t->identity = row->identity;
	t->attempts = row->attempts;
	t->again_at = to_monotonic(row->next_try);
	if (row->state == LEDGER_WAITING)
		return 0;
	if (replace_string(&t->id, row->asset_id) < 0 ||
	    replace_string(&t->raw_url, row->content_url) < 0 ||
	    replace_string(&t->own_type, row->content_type) < 0)
		return -ENOMEM;
	t->content_type = t->own_type ? t->own_type : MIME_DEFAULT;
	t->expires = to_monotonic(row->expires);
	t->recorded = t->resumed = t->restored = true;
	t->uploaded = row->uploaded;
	if (row->state == LEDGER_UPLOADED)
		set_step(t, STEP_DISPOSE);
	return 0;
}
