#include "tally.h"
#include "macro.h"

const usec_t TALLY_BOUNDS[TALLY_BUCKETS] = { 5 * USEC_PER_MSEC,	   10 * USEC_PER_MSEC,
					     25 * USEC_PER_MSEC,   50 * USEC_PER_MSEC,
					     100 * USEC_PER_MSEC,  250 * USEC_PER_MSEC,
					     500 * USEC_PER_MSEC,  1 * USEC_PER_SEC,
					     2500 * USEC_PER_MSEC, 5 * USEC_PER_SEC,
					     10 * USEC_PER_SEC,	   30 * USEC_PER_SEC,
					     2 * USEC_PER_MINUTE,  10 * USEC_PER_MINUTE };

static const char *const NAMES[] = {
	[TALLY_RESOLVE] = "resolve",   [TALLY_CONNECT] = "connect",
	[TALLY_TLS] = "tls",	       [TALLY_TIMEOUT] = "timeout",
	[TALLY_STALL] = "stall",       [TALLY_RESET] = "reset",
	[TALLY_GARBAGE] = "garbage",   [TALLY_BAD_ANSWER] = "bad_answer",
	[TALLY_SOURCE] = "source",     [TALLY_URL] = "url",
	[TALLY_LOCAL] = "local",       [TALLY_HTTP_3XX] = "http_3xx",
	[TALLY_HTTP_4XX] = "http_4xx", [TALLY_HTTP_5XX] = "http_5xx",
	[TALLY_OTHER] = "other",
};

const char *tally_reason_name(enum tally_reason reason)
{
	return NAMES[reason];
}

static enum tally_reason reason_of_status(int status)
{
	switch (status / 100) {
	case 3: return TALLY_HTTP_3XX;
	case 4: return TALLY_HTTP_4XX;
	case 5: return TALLY_HTTP_5XX;
	}
	return TALLY_OTHER;
}

enum tally_reason tally_reason_of(enum transport transport, int status)
{
	switch (transport) {
	case TRANSPORT_ANSWERED: return reason_of_status(status);
	case TRANSPORT_RESOLVE: return TALLY_RESOLVE;
	case TRANSPORT_CONNECT: return TALLY_CONNECT;
	case TRANSPORT_TLS: return TALLY_TLS;
	case TRANSPORT_TIMEOUT: return TALLY_TIMEOUT;
	case TRANSPORT_STALL: return TALLY_STALL;
	case TRANSPORT_RESET: return TALLY_RESET;
	case TRANSPORT_GARBAGE: return TALLY_GARBAGE;
	case TRANSPORT_BAD_ANSWER: return TALLY_BAD_ANSWER;
	case TRANSPORT_SOURCE: return TALLY_SOURCE;
	case TRANSPORT_REFUSED_URL: return TALLY_URL;
	case TRANSPORT_LOCAL: return TALLY_LOCAL;
	}
	return TALLY_OTHER;
}

bool tally_is_possible(enum stage stage, enum tally_reason reason)
{
	switch (stage) {
	case STAGE_SPOOL:
		return reason == TALLY_SOURCE || reason == TALLY_LOCAL ||
		       reason == TALLY_OTHER;
	case STAGE_TOKEN: return reason != TALLY_SOURCE && reason != TALLY_URL;
	case STAGE_CREATE: return reason != TALLY_URL;
	case STAGE_UPLOAD: return reason != TALLY_BAD_ANSWER;
	}
	return false;
}

static void count_latency(struct tally_latency *latency, usec_t duration)
{
	size_t i = 0;

	while (i < TALLY_BUCKETS && duration > TALLY_BOUNDS[i])
		i++;
	if (i < TALLY_BUCKETS)
		latency->counts[i]++;
	latency->total++;
	latency->sum = usec_add(latency->sum, duration);
}

void tally_request(struct tally *tally, enum stage stage, enum transport transport,
		   int status, usec_t duration)
{
	count_latency(&tally->latency[stage], duration);
	if (transport != TRANSPORT_ANSWERED || status / 100 != 2)
		tally->errors[stage][tally_reason_of(transport, status)]++;
}
