#pragma once

/*
 * Breaker: whether one outside thing (the token server, the API, a storage host, the
 * disk) is asked at all.
 *
 * Closed: everybody asks. The first failure that is the thing's own opens it: then one
 * probe at a time asks, after a wait that backs off with each probe that fails, until one
 * comes back good. Requests that were under way when it opened change nothing, however
 * they end, but for what the thing asks for in them: a longer wait is kept. Pure: `now`
 * is monotonic, the draw comes in as a parameter.
 */

#include <stdbool.h>

#include "backoff.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

struct breaker {
	struct backoff backoff;
	enum breaker_state state; /* assigned by breaker.c alone */
	unsigned failures;	  /* probes that failed in a row, and the first failure */
	usec_t since;		  /* when it opened; as long as it is not closed */
	usec_t next_probe;	  /* not closed: none may go before */
	usec_t asked;		  /* until when the thing itself asked for peace */
};

enum breaker_change { BREAKER_SAME, BREAKER_OPENED, BREAKER_CLOSED_AGAIN };

/* When a request may start: @now or earlier means at once (then tell breaker_start()),
 * USEC_INFINITY: a probe is under way, its end decides. */
usec_t breaker_next(const struct breaker *b, usec_t now);

/* A request starts that breaker_next() allowed. True: it is the probe, and the caller
 * must end it with breaker_failed(), breaker_succeeded() or breaker_abandoned(), each
 * with @probe true. */
bool breaker_start(struct breaker *b);

/* A request failed by the thing's own fault. @probe as breaker_start() returned it.
 * @at_least is the least wait that the service asked for (Retry-After), 0: none; it is
 * kept, and up to one backoff's jitter is added on top. */
enum breaker_change breaker_failed(struct breaker *b, bool probe, usec_t now,
				   usec_t at_least, uint64_t draw);

/* A request showed that the thing works. */
enum breaker_change breaker_succeeded(struct breaker *b, bool probe);

/* Somebody says that it may be well by now: the next probe may go at once, but not before
 * the thing itself has asked for. @renewed: it is another thing now, that has failed
 * nobody and asked for nothing; a probe of the old one that is under way is abandoned,
 * and must not be ended any more. */
void breaker_hurry(struct breaker *b, usec_t now, bool renewed);

/* The probe ended without telling anything (its file vanished, the agent stops): another
 * may start, at once unless a longer wait was asked for meanwhile. */
void breaker_abandoned(struct breaker *b, bool probe);
