#pragma once

/*
 * Verdict: from what came back to what to do. The whole retry policy is one table in
 * verdict.c, read from top to bottom, the first row that fits decides.
 */

#include <stdbool.h>

/* What was asked for. In sidecars and ASSET_STAGE: "spool", "token", "create", "upload".
 */
enum stage { STAGE_SPOOL, STAGE_TOKEN, STAGE_CREATE, STAGE_UPLOAD };

/* How far a request got. */
enum transport {
	TRANSPORT_ANSWERED,    /* a whole answer: its status counts */
	TRANSPORT_RESOLVE,     /* no address for the name */
	TRANSPORT_CONNECT,     /* refused, unreachable, proxy refused */
	TRANSPORT_TLS,	       /* handshake or certificate */
	TRANSPORT_TIMEOUT,     /* connect or whole-request time was up */
	TRANSPORT_STALL,       /* no progress for StallTimeout */
	TRANSPORT_RESET,       /* the connection broke after it stood */
	TRANSPORT_GARBAGE,     /* not HTTP, or more of it than the ceiling */
	TRANSPORT_BAD_ANSWER,  /* a 2xx whose body is not what the API promises */
	TRANSPORT_SOURCE,      /* the file could not be read to its end, or changed */
	TRANSPORT_REFUSED_URL, /* content URL: scheme, host or headers that can't be used
				*/
	TRANSPORT_LOCAL,       /* out of memory or descriptors on this side */
};

struct outcome {
	enum stage stage;
	enum transport transport;
	int status;	  /* HTTP status; counts with TRANSPORT_ANSWERED */
	const char *code; /* the body's code ("400-196", "ExpiredToken"), or NULL */
	bool resumed;	  /* a body may have gone to this URL before */
	bool page;	  /* the body is an HTML page: no word of an API or a store */
};

enum verdict {
	VERDICT_DONE,	/* it worked */
	VERDICT_AGAIN,	/* the file's own backoff, counts as an attempt */
	VERDICT_RESIGN, /* a new Create Asset, once an attempt; after that: again */
	VERDICT_REAUTH, /* a fresh token, once; after that: pause auth */
	VERDICT_LATER,	/* for want of memory or descriptors here: soon, for nothing */
	VERDICT_PAUSE_AUTH, /* these three open a breaker and cost the file nothing */
	VERDICT_PAUSE_API,
	VERDICT_PAUSE_STORAGE,
	VERDICT_REJECT, /* error sidecar */
};

/* Never fails: what no row names is VERDICT_PAUSE_* of its stage for an answer, so that
 * nothing is given up that an administrator could mend. */
enum verdict verdict_for(const struct outcome *outcome);

const char *stage_name(enum stage stage);
const char *transport_name(enum transport transport); /* a short phrase for messages */
const char *verdict_name(enum verdict verdict);
