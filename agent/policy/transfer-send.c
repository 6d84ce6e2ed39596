#include "transfer-send.h"
#include "macro.h"
#include "transfer-finish.h"

/* So many tries at a host out of reach, and another URL is asked for. */
#define UNREACHED_MAX 10

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
		transfer_drop_grant(t);
		transfer_set_error(t, STAGE_UPLOAD, "the file changed while it was sent");
		transfer_again(t);
		return;
	}
	t->fd = close_fd(t->fd);
	t->uploaded = clock_realtime();
	transfer_set_step(t, STEP_RECORD_UPLOAD);
	transfer_record_upload(t);
}

static void resign(struct transfer *t)
{
	transfer_drop_grant(t);
	if (t->resigned) {
		transfer_again(t);
		return;
	}
	t->resigned = true;
	transfer_pause(t);
}

/* An upload's only TRANSPORT_TIMEOUT is that of its connection. */
static bool is_out_of_reach(enum transport transport)
{
	return transport == TRANSPORT_RESOLVE || transport == TRANSPORT_CONNECT ||
	       transport == TRANSPORT_TLS || transport == TRANSPORT_TIMEOUT;
}

/* Only where some of the body was under way can what the store holds be ours. */
static bool may_have_arrived(const struct transfer *t, const struct http_answer *answer)
{
	return answer->sent > 0 ||
	       (t->identity.size == 0 && !is_out_of_reach(answer->transport));
}

/* The API may name another host by now, and a URL without an end would never be left. */
static void count_unreached(struct transfer *t, enum transport transport)
{
	t->unreached = is_out_of_reach(transport) ? t->unreached + 1 : 0;
	if (t->unreached == UNREACHED_MAX)
		transfer_drop_grant(t);
}

static void on_sent(void *userdata, const struct http_answer *answer)
{
	struct transfer *t = userdata;
	unsigned storage = transfer_storage(t);
	enum transport transport = answer->transport;
	enum verdict verdict;

	t->request = NULL;
	t->services->tally->sent += answer->sent;
	tally_request(t->services->tally, STAGE_UPLOAD, transport, answer->status,
		      answer->duration);
	if (transfer_note_answer(t, STAGE_UPLOAD, answer, NULL) < 0)
		transport = TRANSPORT_LOCAL;
	t->resumed = t->resumed || answer->twice;
	verdict = transfer_judge(t, transport);
	t->resumed = t->resumed || may_have_arrived(t, answer);
	if (answer->transport == TRANSPORT_ANSWERED && verdict != VERDICT_PAUSE_STORAGE)
		transfer_report_works(t, storage);
	switch (verdict) {
	case VERDICT_DONE: sent(t); break;
	case VERDICT_AGAIN: transfer_again(t); break;
	case VERDICT_RESIGN: resign(t); break;
	case VERDICT_REJECT: transfer_reject(t); break;
	case VERDICT_LATER: transfer_short(t, answer->error); break;
	case VERDICT_PAUSE_STORAGE:
		transfer_report_failure(t, storage, answer->retry_after);
		count_unreached(t, transport);
		transfer_pause(t);
		break;
	case VERDICT_REAUTH:
	case VERDICT_PAUSE_AUTH:
	case VERDICT_PAUSE_API:
		transfer_report_failure(t, HEALTH_API, answer->retry_after);
		/* With its grant it would not wait for the API. */
		transfer_drop_grant(t);
		transfer_pause(t);
		break;
	}
}

bool transfer_url_is_over(const struct transfer *t)
{
	return clock_monotonic() >= t->expires;
}

void transfer_send(struct transfer *t)
{
	const struct http_call call = {
		.method = content_url_method(&t->url),
		.url = t->url.url,
		.parts = t->url.parts,
		.headers = &t->url.headers,
		.file = t->fd,
		.file_size = t->identity.size,
		.timeout = USEC_INFINITY,
		.stall_timeout = t->services->config->upload.stall_timeout,
		.public_only = t->url.public_only,
	};
	int r;

	/* It was granted a moment ago: the next one would be no better. */
	if (transfer_url_is_over(t)) {
		transfer_set_error(t, STAGE_UPLOAD, "the URL expired before its turn");
		t->transport = TRANSPORT_REFUSED_URL;
		resign(t);
		return;
	}
	if (!transfer_may_ask(t, transfer_storage(t))) {
		transfer_pause(t);
		return;
	}
	if (!is_unchanged(t)) {
		transfer_drop_grant(t);
		transfer_set_error(t, STAGE_UPLOAD,
				   "the file changed before it was sent");
		transfer_again(t);
		return;
	}
	t->sending_since = clock_monotonic();
	t->disowned = 0;
	r = http_start(t->services->http, &call, on_sent, t, &t->request);
	if (r < 0)
		transfer_short(t, r);
}
