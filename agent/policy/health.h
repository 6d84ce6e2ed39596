#pragma once

/*
 * Health: whether the outside things that an upload needs are there, and what is said of
 * it: one warning when one goes away, one notice when it is back.
 *
 * Each has a breaker. While one is open, a transfer may start only as its probe, one at a
 * time. A transfer says at its start what it will need, carries the probes that it got,
 * and answers for each of them in the end.
 */

#include <stdbool.h>
#include <stdint.h>

#include "breaker.h"
#include "bucket.h"
#include "clock.h"

#define HEALTH_HOSTS_MAX  16 /* storage hosts that are told apart */
#define HEALTH_GRANTS_MAX 8  /* latest grants that tell where the next one may lead */
#define HEALTH_NAME_MAX	  256
#define HEALTH_WHY_MAX	  512

enum health_part { HEALTH_AUTH, HEALTH_API, HEALTH_DISK, HEALTH_STORAGE };

/* What a transfer needs from where it stands; bits. */
enum health_need {
	NEED_AUTH = 1 << HEALTH_AUTH,
	NEED_API = 1 << HEALTH_API,
	NEED_DISK = 1 << HEALTH_DISK,
	/* A storage host that is not known before it is granted: it will do if one of
	 * those that the latest grants named is there. Where all of them are away, one
	 * transfer at a time goes as a probe, of the one that may be probed first. */
	NEED_STORAGE = 1 << HEALTH_STORAGE,
	/* And above: one host each, health_need_of(). */
};

struct health_service {
	char name[HEALTH_NAME_MAX]; /* for people: a URL's host, a path */
	struct breaker breaker;
	usec_t since;		  /* real time, while it is away */
	char why[HEALTH_WHY_MAX]; /* its last failure, for people; cut short if need be */
	bool refuses;		  /* it answered, and no */
	bool renewed;		  /* it is another one since it was told of */
	uint64_t used; /* a host's: counts up with each time that one is spoken of */
};

struct health {
	struct health_service services[HEALTH_STORAGE + HEALTH_HOSTS_MAX];
	unsigned used;			    /* of services */
	struct bucket requests;		    /* RequestRate: for Create Asset */
	unsigned grants[HEALTH_GRANTS_MAX]; /* indices of their hosts, in a ring */
	uint64_t grant_count, uses;
};

/* Bits of services, by their index. */
typedef uint32_t health_probes;

void health_init(struct health *health, const struct backoff *backoff,
		 usec_t request_interval, uint64_t request_burst);

/* The same of one in use: other settings, from now on. */
void health_configure(struct health *health, const struct backoff *backoff,
		      usec_t request_interval, uint64_t request_burst);

/* What is away may be probed at once, unless it asked for peace. Those of @renewed, bits
 * of enum health_need, are others now than they were, and are asked anyway; that they are
 * away, too, is told anew. Returns the
 * bits of these by their index: who carries a probe of one loses it, and has no more to
 * say of it. */
health_probes health_hurry(struct health *health, unsigned renewed);

/* What the fixed parts are called in messages. */
void health_name(struct health *health, enum health_part part, const char *name);

/* The service of a storage host, made known where it is new. Where there are too many, it
 * takes the place of the one that works and was not spoken of for longest; where all are
 * away, it shares the last one. */
unsigned health_storage(struct health *health, const char *host);

/* The bit of the host @index of health_storage(). */
unsigned health_need_of(unsigned index);

/* A URL was granted for the host @index. The probes of other hosts, which it turned out
 * not to be needed for, leave *@probes. */
void health_granted(struct health *health, unsigned index, health_probes *probes);

/* When a transfer with @needs may start; @now or earlier: at once; USEC_INFINITY: when a
 * probe that is under way has ended. */
usec_t health_next(const struct health *health, unsigned needs, usec_t now);

/* It starts. Returns the probes that it carries. */
health_probes health_start(struct health *health, unsigned needs, usec_t now);

/* A transfer that started is about to ask the service @index (an enum health_part, or of
 * health_storage()). True: it may, as that works, or as the probe, which *@probes then
 * has. False: that went away meanwhile, or asked for peace. */
bool health_enter(struct health *health, unsigned index, health_probes *probes,
		  usec_t now);

/* What started with NEED_API has not asked Create Asset, and won't before it starts
 * again: it does not count for RequestRate. */
void health_unasked(struct health *health);

struct health_failure {
	const char *why;	/* for people */
	usec_t retry_after;	/* what the service asked for; 0: nothing */
	int http_status;	/* 0: none */
	const char *error_code; /* NULL: none */
	size_t waiting;		/* files that now have to wait */
};

/* The service @index (an enum health_part, or of health_storage()) failed, or works.
 * *@probes loses its bit. */
void health_failed(struct health *health, unsigned index, health_probes *probes,
		   const struct health_failure *failure);
void health_works(struct health *health, unsigned index, health_probes *probes,
		  size_t waiting);

/* The transfer ends; what it did not get to asking, another may probe. */
void health_leave(struct health *health, health_probes *probes);

/* Whether files may need the service @index now: not a storage host that was granted
 * once, and by none of the latest grants. */
bool health_counts(const struct health *health, unsigned index);

/* The first service that is away, or NULL. Of the storage hosts only those count that the
 * latest grants named, if any did. */
const struct health_service *health_away(const struct health *health);

/* What is said of @service, which is away, within a sentence: "the API is away". */
const char *health_words(const struct health *health,
			 const struct health_service *service);

/* The same for a status: "storage unreachable", and then " since 12:01". */
const char *health_brief(const struct health *health,
			 const struct health_service *service);

/* The most probes in a row that any service has left unanswered. */
unsigned health_failures(const struct health *health);
