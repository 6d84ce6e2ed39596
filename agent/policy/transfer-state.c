#include <inttypes.h>

#include "log.h"
#include "macro.h"
#include "text.h"
#include "transfer-state.h"

/* When to look again while we are out of memory or descriptors. */
#define SHORTAGE_DELAY USEC_PER_SEC

/* How long after the one that looks whether files can be moved the others come. */
#define HELD_STAGGER (100 * USEC_PER_MSEC)

static const char *const step_names[] = {
	[STEP_TAKE] = "take",
	[STEP_ASK] = "ask",
	[STEP_RECORD_GRANT] = "record the grant",
	[STEP_SEND] = "send",
	[STEP_RECORD_UPLOAD] = "record the upload",
	[STEP_DISPOSE] = "dispose",
	[STEP_GIVE_UP] = "give up",
};

const char *transfer_step_name(const struct transfer *t)
{
	return step_names[t->step];
}

char *transfer_path(const struct transfer *t)
{
	return text_join(spool_directory_path(t->directory), "/", t->name);
}

const struct config_spool *transfer_spool(const struct transfer *t)
{
	struct spool *spool = spool_of(t->directory);

	return spool ? spool_config(spool) : t->left;
}

const char *transfer_spool_path(const struct transfer *t)
{
	struct spool *spool = spool_of(t->directory);

	return spool ? spool_config(spool)->path : NULL;
}

/* ---- what is known of it ---- */

void transfer_set_step(struct transfer *t, enum transfer_step step)
{
	log_debug("%s: %s -> %s", t->name, step_names[t->step], step_names[step]);
	t->step = step;
}

void transfer_clear_error(struct transfer *t)
{
	asset_error_done(&t->error);
	t->error = (struct asset_error){};
	t->status = 0;
}

void transfer_set_error(struct transfer *t, enum stage stage, const char *why)
{
	transfer_clear_error(t);
	t->stage = stage;
	t->transport = TRANSPORT_SOURCE;
	t->error.developer_message = strdup(why);
}

const char *transfer_error_text(const struct transfer *t)
{
	return t->error.developer_message && t->error.developer_message[0]
		       ? t->error.developer_message
		       : "no reason was given";
}

int transfer_set_bearer(struct transfer *t, const char *bearer)
{
	if (t->bearer)
		explicit_bzero(t->bearer, strlen(t->bearer));
	return replace_string(&t->bearer, bearer);
}

void transfer_drop_grant(struct transfer *t)
{
	free(take_ptr(t->id));
	free(take_ptr(t->raw_url));
	content_url_done(&t->url);
	t->url = (struct content_url){};
	t->url_settings = 0;
	t->resumed = false;
	t->unreached = 0;
	t->recorded = false;
}

struct ledger_row transfer_row(const struct transfer *t, enum ledger_state state)
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

void transfer_drop_row(struct transfer *t)
{
	/* A row that can't be dropped now is found stale at the next start. */
	if (t->serial > 0)
		(void)ledger_drop(t->services->ledger, t->serial);
	t->serial = 0;
}

void transfer_leave_slot(struct transfer *t)
{
	if (t->slotless)
		return;
	t->slotless = true;
	t->services->recording++;
	t->services->left(t->services->userdata, t);
}

void transfer_take_slot(struct transfer *t)
{
	t->services->recording -= t->slotless;
	t->slotless = false;
}

/* ---- ends ---- */

void transfer_finish(struct transfer *t, enum transfer_end how)
{
	struct transfer_services *services = t->services;

	transfer_take_slot(t);
	t->fd = close_fd(t->fd);
	(void)transfer_set_bearer(t, NULL);
	if (t->counted)
		health_unasked(services->health);
	t->counted = t->looking = false;
	health_leave(services->health, &t->probes);
	spool_disks_leave(services->disks, &t->ticket);
	services->ended(services->userdata, t, how);
}

/* The descriptor is closed at each end: what was not sent whole starts with the file. */
static void back_to_take(struct transfer *t)
{
	if (t->step < STEP_RECORD_UPLOAD)
		transfer_set_step(t, STEP_TAKE);
}

/* Back to the queue, with the grant if there is one. */
void transfer_pause(struct transfer *t)
{
	back_to_take(t);
	transfer_finish(t, TRANSFER_PAUSED);
}

void transfer_restart(struct transfer *t)
{
	t->first = true;
	transfer_pause(t);
}

void transfer_idle(struct transfer *t)
{
	transfer_drop_grant(t);
	transfer_drop_row(t);
	transfer_finish(t, TRANSFER_IDLE);
}

void transfer_later(struct transfer *t, usec_t delay)
{
	back_to_take(t);
	t->again_at = usec_add(clock_monotonic(), delay);
	transfer_finish(t, TRANSFER_LATER);
}

unsigned transfer_storage(const struct transfer *t)
{
	return health_storage(t->services->health, t->url.host);
}

bool transfer_may_ask(struct transfer *t, unsigned index)
{
	return health_enter(t->services->health, index, &t->probes, clock_monotonic());
}

void transfer_short(struct transfer *t, int error)
{
	back_to_take(t);
	t->shortage = error;
	t->again_at = usec_add(clock_monotonic(), SHORTAGE_DELAY);
	transfer_finish(t, TRANSFER_SHORT);
}

/* What was asked under settings that are no more says nothing of those there are. */
static bool is_disowned(const struct transfer *t, unsigned index)
{
	return t->disowned & (health_probes)1 << index;
}

/* What the service said, with the code or the status that it said it by; who looks for a
 * 404 finds it. The caller frees it. NULL: for want of memory. */
static char *answer_text(const struct transfer *t)
{
	const char *said = transfer_error_text(t);
	char status[16], *text = NULL;

	snprintf(status, sizeof(status), "%d", t->status);
	if (t->error.code)
		return asprintf(&text, "%s, %s", t->error.code, said) < 0 ? NULL : text;
	if (t->status == 0 || strstr(said, status))
		return strdup(said);
	return asprintf(&text, "HTTP status %s, %s", status, said) < 0 ? NULL : text;
}

void transfer_report_failure(struct transfer *t, unsigned index, usec_t retry_after)
{
	_cleanup_free_ char *why = answer_text(t);
	const struct health_failure failure = {
		.why = why ? why : transfer_error_text(t),
		.retry_after = retry_after,
		.http_status = t->status,
		.error_code = t->error.code,
		.waiting = t->services->waiting(t->services->userdata) + 1,
	};

	if (!is_disowned(t, index))
		health_failed(t->services->health, index, &t->probes, &failure);
}

void transfer_report_works(struct transfer *t, unsigned index)
{
	if (is_disowned(t, index))
		return;
	health_works(t->services->health, index, &t->probes,
		     t->services->waiting(t->services->userdata));
}

/* What the disk did not take, for people. What was noted of the file itself stays, for
 * its sidecar. The caller frees it. NULL: out of memory. */
static char *disk_text(const struct transfer *t, int error, const char *what)
{
	_cleanup_free_ char *path = transfer_path(t);
	char *why;

	return asprintf(&why, "%s of %s: %s", what, path ? path : t->name,
			log_errno(error)) < 0
		       ? NULL
		       : why;
}

void transfer_disk_failed(struct transfer *t, int error, const char *what)
{
	_cleanup_free_ char *why = disk_text(t, error, what);
	struct spool *spool = spool_of(t->directory);
	int r = 0;

	if (errno_is_shortage(error))
		r = error;
	else if (spool) /* else it left while the disk was asked */
		r = spool_disks_failed(t->services->disks, spool_config(spool),
				       &t->ticket, why ? why : log_errno(error));
	if (r < 0)
		transfer_short(t, r);
	else
		transfer_pause(t);
}

void transfer_record_failed(struct transfer *t, int error, const char *what)
{
	_cleanup_free_ char *why = disk_text(t, error, what);
	const struct health_failure failure = {
		.why = why ? why : log_errno(error),
		.waiting = t->services->waiting(t->services->userdata) + 1,
	};

	if (errno_is_shortage(error)) {
		transfer_short(t, error);
		return;
	}
	/* A ledger that is broken ends the agent, which says so. */
	if (error != -EUCLEAN && error != -ESTALE)
		health_failed(t->services->health, HEALTH_DISK, &t->probes, &failure);
	transfer_pause(t);
}

usec_t transfer_held_until(const struct spool_directory *directory, usec_t now)
{
	usec_t until = spool_directory_apart_until(directory);

	return until > now ? usec_add(until, HELD_STAGGER) : 0;
}

static struct log_fields held_fields(const struct transfer *t)
{
	const struct config_spool *spool = transfer_spool(t);

	return (struct log_fields){ .spool = spool ? spool->name : NULL,
				    .stage = "spool" };
}

void transfer_hold(struct transfer *t, int error)
{
	const struct log_fields fields = held_fields(t);
	const struct config_spool *spool = transfer_spool(t);
	usec_t wait = spool ? spool->poll_interval : USEC_PER_MINUTE;
	usec_t until = usec_add(clock_monotonic(), wait);
	char span[CLOCK_STRING_MAX];

	if (spool_directory_set_apart(t->directory, true, until))
		log_event(
			LOG_WARNING, LOG_SPOOL_HELD, &fields,
			"No file can be moved from %s to DoneDirectory=%s: %s. The files "
			"there wait; looking again every %s.",
			spool_directory_path(t->directory),
			spool ? spool->done_directory : "",
			error == -EXDEV ? "they are on different filesystems, or mounted "
					  "apart"
					: log_errno(error),
			clock_format_span(span, wait));
	back_to_take(t);
	t->again_at = until;
	transfer_finish(t, TRANSFER_HELD);
}

bool transfer_stay_held(struct transfer *t)
{
	usec_t until = transfer_held_until(t->directory, clock_monotonic());

	if (until == 0)
		return false;
	back_to_take(t);
	t->again_at = until;
	transfer_finish(t, TRANSFER_HELD);
	return true;
}

void transfer_release(struct transfer *t)
{
	const struct log_fields fields = held_fields(t);

	if (spool_directory_set_apart(t->directory, false, 0))
		log_event(LOG_NOTICE, LOG_SPOOL_FREE, &fields,
			  "Files can be moved from %s again; they wait no longer.",
			  spool_directory_path(t->directory));
}

/* ---- what came back ---- */

/* What a service says may repeat what we sent it: a token, a signed URL. Both before it
 * is read, since a cut would make a secret unknown, and after, since it may be encoded.
 */
static void hide_secrets(const struct transfer *t, char *text)
{
	if (!text)
		return;
	if (t->bearer)
		text_hide(text, t->bearer);
	if (t->raw_url)
		content_url_hide(t->raw_url, text);
}

/* 0 or -ENOMEM. */
static int note_refusal(struct transfer *t, const struct http_answer *answer)
{
	_cleanup_free_ char *body = strndup(answer->body, answer->length);

	hide_secrets(t, body);
	if (!body || asset_error_parse(body, strlen(body), &t->error) < 0)
		return -ENOMEM;
	hide_secrets(t, t->error.developer_message);
	hide_secrets(t, t->error.user_message);
	hide_secrets(t, t->error.details);
	return 0;
}

/* Takes over what an answer said as what went wrong. */
int transfer_note_answer(struct transfer *t, enum stage stage,
			 const struct http_answer *answer, const char *problem)
{
	transfer_clear_error(t);
	t->stage = stage;
	t->transport = problem ? TRANSPORT_BAD_ANSWER : answer->transport;
	if (answer->transport != TRANSPORT_ANSWERED || problem) {
		t->error.developer_message = strdup(problem ? problem : answer->problem);
		return 0;
	}
	t->status = answer->status;
	if (answer->status / 100 == 2)
		return 0;
	/* The page of a redirect says less than where it leads. */
	if (!answer->location && note_refusal(t, answer) < 0)
		return -ENOMEM;
	if (!t->error.developer_message)
		t->error.developer_message = http_describe_status(answer);
	return 0;
}

enum tally_reason transfer_reason(const struct transfer *t)
{
	return tally_reason_of(t->transport, t->status);
}

enum verdict transfer_judge(const struct transfer *t, enum transport transport)
{
	const struct outcome outcome = {
		.stage = t->stage,
		.transport = transport,
		.status = t->status,
		.code = t->error.code,
		.resumed = t->resumed,
		.page = t->error.page,
	};
	enum verdict verdict = verdict_for(&outcome);

	log_debug("%s: %s, %s %d: %s", t->name, stage_name(t->stage),
		  transport_name(transport), t->status, verdict_name(verdict));
	return verdict;
}
