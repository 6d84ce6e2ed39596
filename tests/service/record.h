#pragma once

/*
 * Record: what happened at the service, and waiting for it. Locks itself.
 *
 * Details of requests and violations are kept until record_done(). Violations stop at
 * RECORD_VIOLATIONS_MAX: a client that breaks the contract a million times is known by
 * then.
 */

#include <pthread.h>

#include "service.h"
#include "strv.h"

#define RECORD_VIOLATIONS_MAX 1000
#define RECORD_STATUS_MAX     600

struct tally {
	size_t come, now, peak;
	size_t answers[RECORD_STATUS_MAX];
};

struct record {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool counts_only;
	struct tally tallies[ENDPOINT_COUNT]; /* ENDPOINT_ANY: of all */
	size_t held, received;
	uint64_t received_bytes;
	struct service_request **requests; /* strings owned, but .method and .asset */
	size_t count;
	struct strv violations;
};

/* 0 or a negative errno. */
int record_init(struct record *record, bool counts_only);
void record_done(struct record *record);

/* A request has come. Takes the strings of @request, which are NULL afterwards, unless
 * only counts are kept. Returns its detail (only by record_*() is it changed), or NULL.
 */
struct service_request *record_come(struct record *record,
				    struct service_request *request);
/* It is answered (0: cut off), before that leaves, and so has ended. @detail may be
 * NULL. */
void record_answer(struct record *record, struct service_request *detail,
		   enum endpoint endpoint, int status);
void record_asset(struct record *record, struct service_request *detail, const char *id);
void record_body(struct record *record, struct service_request *detail, uint64_t bytes);
void record_held(struct record *record, int change);
void record_received(struct record *record, uint64_t bytes);
void record_violation(struct record *record, const char *format, ...) _printf_(2, 3);

bool record_at(struct record *record, enum endpoint endpoint, size_t index,
	       struct service_request *ret);
/* One a line, or NULL: none. The caller frees it. */
char *record_violations(struct record *record);

/* A number of the record, read under its lock. */
struct record_query {
	enum {
		QUERY_COME,
		QUERY_PEAK,
		QUERY_ANSWERS,
		QUERY_HELD,
		QUERY_RECEIVED,
		QUERY_BYTES,
	} what;
	enum endpoint endpoint;
	int status;
};

size_t record_number(struct record *record, struct record_query query);
/* Until the number is at least @n, or exactly @n. False: @timeout passed. */
bool record_wait(struct record *record, struct record_query query, size_t n, bool exactly,
		 usec_t timeout);
