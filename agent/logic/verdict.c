#include "verdict.h"
#include "macro.h"

enum { STATUSES_MAX = 4 };

/* What a row leaves out fits everything. */
struct rule {
	enum stage stage;
	int status[STATUSES_MAX + 1]; /* 404; or 2 for all of 2xx */
	const char *code;
	unsigned transports;
	enum verdict then;
	bool resumed; /* only where a body may have arrived before */
	bool page;    /* only where the answer is a page */
};

#define ON(t) (1U << TRANSPORT_##t)

static const struct rule RULES[] = {
	/* What can't be read is reported; deleting the report asks again. Anything else
	 * is a lack on our side that passes. */
	{ STAGE_SPOOL, .transports = ON(SOURCE), .then = VERDICT_REJECT },
	{ STAGE_SPOOL, .then = VERDICT_AGAIN },

	/* A refusal is the account's fault or the server's, never a file's. */
	{ STAGE_TOKEN, { 2 }, .then = VERDICT_DONE },
	{ STAGE_TOKEN, .transports = ON(LOCAL), .then = VERDICT_LATER },
	{ STAGE_TOKEN, .then = VERDICT_PAUSE_AUTH },

	{ STAGE_CREATE, { 2 }, .then = VERDICT_DONE },
	/* They speak of this file's name and size. */
	{ STAGE_CREATE, { 400, 413, 422 }, .then = VERDICT_REJECT },
	{ STAGE_CREATE, { 401 }, .then = VERDICT_REAUTH },
	/* The file changed under way: what was said of it is void. */
	{ STAGE_CREATE, .transports = ON(SOURCE), .then = VERDICT_AGAIN },
	{ STAGE_CREATE, .transports = ON(LOCAL), .then = VERDICT_LATER },
	/* Rights and BaseURL (403, 404, 405), load (408, 429, 5xx), an answer that is not
	 * what the API promises, or none: every file would meet the same. */
	{ STAGE_CREATE, .then = VERDICT_PAUSE_API },

	{ STAGE_UPLOAD, { 2 }, .then = VERDICT_DONE },
	{ STAGE_UPLOAD, .transports = ON(SOURCE), .then = VERDICT_AGAIN },
	{ STAGE_UPLOAD, .transports = ON(LOCAL), .then = VERDICT_LATER },
	/* May be this body's fault (its size, a filter on the way), so it must cost an
	 * attempt: else one bad file could keep the storage's breaker open for ever. */
	{ STAGE_UPLOAD, .transports = ON(STALL) | ON(RESET), .then = VERDICT_AGAIN },
	/* The API's fault or AllowedHosts': asking for more such URLs won't help. */
	{ STAGE_UPLOAD, .transports = ON(REFUSED_URL), .then = VERDICT_PAUSE_API },
	/* S3, two requests for one object at a time: no word of what is there now. */
	{ STAGE_UPLOAD, { 409 }, "OperationAborted", .then = VERDICT_AGAIN },
	{ STAGE_UPLOAD, { 409 }, "ConditionalRequestConflict", .then = VERDICT_AGAIN },
	/* A web server's or a gateway's word for whatever is in its way (nginx: a
	 * directory), which is no receipt. */
	{ STAGE_UPLOAD, { 409, 412 }, .page = true, .then = VERDICT_RESIGN },
	/* Something is there: ours, if a body had been under way; else another's. */
	{ STAGE_UPLOAD, { 409, 412 }, .resumed = true, .then = VERDICT_DONE },
	/* Azure's word for that where the URL may create a blob, but not replace one. */
	{ STAGE_UPLOAD,
	  { 403 },
	  "UnauthorizedBlobOverwrite",
	  .resumed = true,
	  .then = VERDICT_DONE },
	{ STAGE_UPLOAD, { 409, 412 }, .then = VERDICT_RESIGN },
	/* The signature ran out or was never good; some say so with another status. */
	{ STAGE_UPLOAD, { 401, 403, 404, 410 }, .then = VERDICT_RESIGN },
	{ STAGE_UPLOAD, { 4 }, "ExpiredToken", .then = VERDICT_RESIGN },
	{ STAGE_UPLOAD, { 4 }, "AccessDenied", .then = VERDICT_RESIGN },
	{ STAGE_UPLOAD, { 4 }, "AuthenticationFailed", .then = VERDICT_RESIGN },
	{ STAGE_UPLOAD, { 4 }, "SignatureDoesNotMatch", .then = VERDICT_RESIGN },
	/* What S3 says for 408, and for a body that something on the way cut short. */
	{ STAGE_UPLOAD, { 400 }, "RequestTimeout", .then = VERDICT_PAUSE_STORAGE },
	{ STAGE_UPLOAD, { 400 }, "IncompleteBody", .then = VERDICT_AGAIN },
	/* Every file lacks it, and `Header=` can give it. */
	{ STAGE_UPLOAD, { 400 }, "MissingRequiredHeader", .then = VERDICT_PAUSE_STORAGE },
	/* Swift's word for a body that is not what was said of it: damaged on its way. In
	 * any case it speaks of this file. */
	{ STAGE_UPLOAD, { 422 }, .then = VERDICT_AGAIN },
	/* This file's size or type. */
	{ STAGE_UPLOAD, { 400, 411, 413, 415 }, .then = VERDICT_REJECT },
	/* 405, 408, 429, 5xx, redirects, or no answer: every file would meet the same. */
	{ STAGE_UPLOAD, .then = VERDICT_PAUSE_STORAGE },
};

static bool fits_answer(const struct rule *rule, const struct outcome *o)
{
	const int *status = rule->status;

	if (o->transport != TRANSPORT_ANSWERED ||
	    (rule->code && !streq(rule->code, o->code)))
		return false;
	while (*status && *status != o->status && *status != o->status / 100)
		status++;
	return *status != 0;
}

static bool fits(const struct rule *rule, const struct outcome *o)
{
	return rule->stage == o->stage && (!rule->status[0] || fits_answer(rule, o)) &&
	       (!rule->resumed || o->resumed) && (!rule->page || o->page) &&
	       (!rule->transports || rule->transports & 1U << o->transport);
}

enum verdict verdict_for(const struct outcome *outcome)
{
	const struct rule *rule = RULES;

	/* Each stage's last row fits everything. */
	while (!fits(rule, outcome))
		rule++;
	return rule->then;
}

const char *stage_name(enum stage stage)
{
	static const char *const NAMES[] = {
		[STAGE_SPOOL] = "spool",
		[STAGE_TOKEN] = "token",
		[STAGE_CREATE] = "create",
		[STAGE_UPLOAD] = "upload",
	};

	return NAMES[stage];
}

const char *transport_name(enum transport transport)
{
	static const char *const NAMES[] = {
		[TRANSPORT_ANSWERED] = "answered",
		[TRANSPORT_RESOLVE] = "host name not found",
		[TRANSPORT_CONNECT] = "connection refused or host unreachable",
		[TRANSPORT_TLS] = "TLS handshake or certificate failed",
		[TRANSPORT_TIMEOUT] = "timed out",
		[TRANSPORT_STALL] = "transfer stalled",
		[TRANSPORT_RESET] = "connection broken",
		[TRANSPORT_GARBAGE] = "answer is not HTTP, or too long",
		[TRANSPORT_BAD_ANSWER] = "answer is not what the API promises",
		[TRANSPORT_SOURCE] = "file changed or can't be read",
		[TRANSPORT_REFUSED_URL] = "content URL can't be used",
		[TRANSPORT_LOCAL] = "out of memory or descriptors",
	};

	return NAMES[transport];
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const NAMES[] = {
		[VERDICT_DONE] = "done",
		[VERDICT_AGAIN] = "again",
		[VERDICT_RESIGN] = "re-sign",
		[VERDICT_REAUTH] = "re-auth",
		[VERDICT_LATER] = "later",
		[VERDICT_PAUSE_AUTH] = "pause auth",
		[VERDICT_PAUSE_API] = "pause api",
		[VERDICT_PAUSE_STORAGE] = "pause storage",
		[VERDICT_REJECT] = "reject",
	};

	return NAMES[verdict];
}
