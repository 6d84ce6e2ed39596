#pragma once

/*
 * Tally: what is counted from the start on, for the metrics: the requests and how long
 * they took, the files that were given up and those to be tried again, each by its stage
 * and by a reason of a small fixed set. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "verdict.h"

#define TALLY_STAGES  (STAGE_UPLOAD + 1)
#define TALLY_BUCKETS 14

/* Why something failed, as a label: never the words of a service or a file's name. */
enum tally_reason {
	TALLY_RESOLVE,
	TALLY_CONNECT,
	TALLY_TLS,
	TALLY_TIMEOUT,
	TALLY_STALL,
	TALLY_RESET,
	TALLY_GARBAGE,
	TALLY_BAD_ANSWER,
	TALLY_SOURCE, /* the file: not readable, too large, changed */
	TALLY_URL,    /* the content URL: can't be used, or expired */
	TALLY_LOCAL,  /* out of memory or descriptors here */
	TALLY_HTTP_3XX,
	TALLY_HTTP_4XX,
	TALLY_HTTP_5XX,
	TALLY_OTHER,
	TALLY_REASONS
};

/* How long requests took. */
struct tally_latency {
	uint64_t counts[TALLY_BUCKETS]; /* of those that took no longer than the bound of
					 * their bucket, and longer than that below */
	uint64_t total;			/* all, those beyond the last bound too */
	usec_t sum;
};

struct tally {
	uint64_t given_up[TALLY_STAGES][TALLY_REASONS]; /* files */
	uint64_t retries[TALLY_STAGES][TALLY_REASONS];	/* of files, by their own fault */
	uint64_t errors[TALLY_STAGES][TALLY_REASONS];	/* requests, of whatever fault */
	struct tally_latency latency[TALLY_STAGES];
	uint64_t sent; /* bytes of bodies that went to storages */
};

/* The upper bounds of the buckets, rising. */
extern const usec_t TALLY_BOUNDS[TALLY_BUCKETS];

/* A request at @stage ended, with @status where it was answered, and took @duration. */
void tally_request(struct tally *tally, enum stage stage, enum transport transport,
		   int status, usec_t duration);

/* The reason behind what came back. */
enum tally_reason tally_reason_of(enum transport transport, int status);

/* Whether a request, or a file, can fail at @stage for that reason at all. */
bool tally_is_possible(enum stage stage, enum tally_reason reason);

const char *tally_reason_name(enum tally_reason reason); /* "http_5xx" */
