#include <inttypes.h>

#include "log.h"
#include "macro.h"
#include "text.h"
#include "transfer-ask.h"
#include "transfer-finish.h"
#include "transfer-send.h"

/* A URL this near its end is as good as expired; less where it lives for seconds only. */
#define URL_MARGIN   (2 * USEC_PER_SEC)
#define LIFE_ASSUMED USEC_PER_HOUR /* of a URL of which it is not known */

/* ---- record the grant ---- */

static void on_grant_recorded(void *userdata, int error)
{
	struct transfer *t = userdata;

	if (error < 0) {
		transfer_record_failed(t, error, "recording the grant");
		return;
	}
	t->recorded = true;
	transfer_report_works(t, HEALTH_DISK);
	if (t->services->stopping) {
		transfer_pause(t);
		return;
	}
	transfer_set_step(t, STEP_SEND);
	transfer_send(t);
}

void transfer_record_grant(struct transfer *t)
{
	struct ledger_row row;
	int r;

	if (t->serial == 0)
		t->serial = ledger_serial(t->services->ledger);
	row = transfer_row(t, LEDGER_GRANTED);
	r = ledger_put(t->services->ledger, &row, on_grant_recorded, t);
	if (r < 0)
		transfer_record_failed(t, r, "recording the grant");
}

/* ---- ask ---- */

/* Until when the URL is used, on our monotonic clock, from the service's own idea of now.
 */
static usec_t expiry(const struct asset_grant *grant, const struct http_answer *answer)
{
	usec_t theirs = answer->date > 0 ? answer->date : clock_realtime();
	usec_t life = usec_sub(grant->expires, theirs);

	/* Nothing was said; or something that can't be, since nobody gives out what has
	 * expired: then it is the clocks that differ. The store is to judge, but not for
	 * ever, or a file would never leave a host that is gone for good. */
	if (grant->expires == 0 || life == 0)
		life = LIFE_ASSUMED;
	return usec_add(clock_monotonic(), life - MIN(life / 4, URL_MARGIN));
}

int transfer_read_url(struct transfer *t, char **ret_reason)
{
	const struct config *config = t->services->config;
	const struct content_url_policy policy = {
		.method = config->upload.method,
		.headers = &config->upload.headers,
		.allowed_hosts = &config->upload.allowed_hosts,
		.allow_insecure = config->api.allow_insecure,
		.public_only = t->from_public,
		.content_type = t->content_type,
	};

	int r;

	content_url_done(&t->url);
	t->url = (struct content_url){};
	t->url_settings = 0; /* not read, should it fail */
	r = content_url_parse(t->raw_url, &policy, &t->url, ret_reason);
	if (r == 0)
		t->url_settings = t->services->settings;
	return r;
}

static void refuse_url(struct transfer *t, const char *reason)
{
	_cleanup_free_ char *shown = content_url_redact(t->raw_url), *why = NULL;

	if (asprintf(&why, "it answered with a content URL (%s) that can't be used: %s",
		     shown ? shown : "", reason ? reason : "out of memory") < 0)
		why = NULL;
	transfer_drop_grant(t);
	transfer_set_error(t, STAGE_UPLOAD, why ? why : "out of memory");
	t->transport = TRANSPORT_REFUSED_URL;
	(void)transfer_judge(t, TRANSPORT_REFUSED_URL);
	transfer_report_failure(t, HEALTH_API, 0);
	transfer_pause(t);
}

static void trace_grant(const struct transfer *t)
{
	_cleanup_free_ char *shown = content_url_redact(t->url.url);

	log_debug("%s: asset %s, %s, %s to %s", t->name, t->id,
		  content_store_name(t->url.store), content_url_method(&t->url),
		  shown ? shown : "");
}

static void granted(struct transfer *t, struct asset_grant *grant,
		    const struct http_answer *answer)
{
	_cleanup_free_ char *reason = NULL;
	int r;

	transfer_drop_grant(t);
	t->id = take_ptr(grant->id);
	t->raw_url = take_ptr(grant->content_url);
	t->expires = expiry(grant, answer);
	t->from_public = answer->from_public;
	r = transfer_read_url(t, &reason);
	if (r == -ENOMEM) {
		transfer_short(t, r);
		return;
	}
	if (r < 0) {
		refuse_url(t, reason);
		return;
	}
	if (log_enabled(LOG_DEBUG))
		trace_grant(t);
	transfer_report_works(t, HEALTH_AUTH);
	transfer_report_works(t, HEALTH_API);
	health_granted(t->services->health, transfer_storage(t), &t->probes);
	transfer_set_step(t, STEP_RECORD_GRANT);
	transfer_record_grant(t);
}

static void reauthorize(struct transfer *t, usec_t retry_after)
{
	token_refused(t->services->token, t->token_serial);
	if (!t->reauthed) {
		t->reauthed = true;
		transfer_restart(t); /* it asks twice, and counts twice for RequestRate */
		return;
	}
	transfer_report_failure(t, HEALTH_AUTH, retry_after);
	transfer_pause(t);
}

static void on_asked(void *userdata, const struct http_answer *answer)
{
	_cleanup_(asset_grant_done) struct asset_grant grant = {};
	enum transport transport = answer->transport;
	struct transfer *t = userdata;
	const char *reason = NULL;
	int r = 0;

	t->request = NULL;
	if (transport == TRANSPORT_ANSWERED && answer->status / 100 == 2)
		r = asset_grant_parse(answer->body, answer->length, &grant, &reason);
	if (r < 0)
		transport = TRANSPORT_BAD_ANSWER;
	tally_request(t->services->tally, STAGE_CREATE, transport, answer->status,
		      answer->duration);
	if (transfer_note_answer(t, STAGE_CREATE, answer, reason) < 0 || r == -ENOMEM)
		transport = TRANSPORT_LOCAL;
	switch (transfer_judge(t, transport)) {
	case VERDICT_DONE: granted(t, &grant, answer); break;
	case VERDICT_REAUTH: reauthorize(t, answer->retry_after); break;
	case VERDICT_REJECT:
		transfer_report_works(t, HEALTH_AUTH);
		transfer_report_works(t, HEALTH_API);
		transfer_reject(t);
		break;
	case VERDICT_AGAIN:
	case VERDICT_RESIGN: transfer_again(t); break;
	case VERDICT_LATER: transfer_short(t, answer->error); break;
	case VERDICT_PAUSE_AUTH:
		transfer_report_failure(t, HEALTH_AUTH, answer->retry_after);
		transfer_pause(t);
		break;
	case VERDICT_PAUSE_API:
	case VERDICT_PAUSE_STORAGE:
		transfer_report_failure(t, HEALTH_API, answer->retry_after);
		transfer_pause(t);
		break;
	}
}

static int send_question(struct transfer *t, const struct config_spool *spool,
			 const char *bearer)
{
	static char content_type[] = "Content-Type: application/json";
	static char accept[] = "Accept: application/json";
	static char messages[] = "X-egain-error-message: yes";
	const struct config *config = t->services->config;
	_cleanup_free_ char *body = NULL, *url = NULL, *language = NULL;
	const struct asset_request request = {
		.channel_type = spool->channel_type,
		.sender_type = spool->sender_type,
		.name = t->name,
		.size = t->identity.size,
	};
	char *lines[] = { content_type, accept, messages, NULL };
	const struct strv headers = { .items = lines, .count = ARRAY_SIZE(lines) };

	body = asset_request_format(&request);
	url = text_join(config->api.base_url, "/assets");
	language = text_join("Accept-Language: ", config->api.accept_language);
	if (!body || !url || !language)
		return -ENOMEM;
	lines[3] = language;
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
			  },
			  on_asked, t, &t->request);
}

static void on_token(void *userdata, const struct token_failure *failure)
{
	struct transfer *t = userdata;

	t->waits_for_token = false;
	if (!failure) {
		/* While it waited, the file may have changed, the API gone away, and its
		 * place under RequestRate been lost. */
		transfer_restart(t);
		return;
	}
	transfer_set_error(t, STAGE_TOKEN, failure->why);
	t->transport = failure->answer.transport;
	t->status = failure->answer.status;
	if (transfer_judge(t, failure->answer.transport) == VERDICT_LATER) {
		transfer_short(t, failure->answer.error);
		return;
	}
	transfer_report_failure(t, HEALTH_AUTH, failure->answer.retry_after);
	transfer_pause(t);
}

void transfer_ask(struct transfer *t)
{
	const struct config_spool *spool = transfer_spool(t);
	const char *bearer;
	int r;

	if (t->services->stopping || !spool || t->left ||
	    !transfer_may_ask(t, HEALTH_AUTH) || !transfer_may_ask(t, HEALTH_API)) {
		transfer_pause(t);
		return;
	}
	t->waiter = (struct token_waiter){ .done = on_token, .userdata = t };
	bearer = token_get(t->services->token, &t->waiter, &t->token_serial);
	t->waits_for_token = !bearer;
	if (!bearer)
		return;
	t->counted = false;
	t->disowned = 0;
	r = transfer_set_bearer(t, bearer);
	if (r == 0)
		r = send_question(t, spool, bearer);
	if (r < 0)
		transfer_short(t, r);
}
