#pragma once

/*
 * Fold: a burst of like failures, of which the first are told one by one, and the others
 * by their number.
 *
 * Failures are alike where kind, stage, status, code and spool are the same. They are one
 * burst while less than FOLD_QUIET passes from one to the next. What was folded is to be
 * told when the burst is over, and each FOLD_SPAN while it goes on. Pure: time is a
 * parameter. All zero is one in which nothing happened; fold_done() frees what it holds.
 * Where more bursts are under way at once than FOLD_BURSTS, the others are not folded.
 */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "log.h"

#define FOLD_QUIET  (2 * USEC_PER_SEC)
#define FOLD_SPAN   USEC_PER_MINUTE
#define FOLD_BURSTS 16

struct fold_burst {
	enum log_kind kind;
	const char *stage; /* a constant */
	int status;
	char *code, *spool; /* or NULL */
	uint64_t lines;	    /* 0: free */
	usec_t at;	    /* of the latest */
	/* Of those that were folded, since these were last told of: */
	uint64_t folded;
	usec_t since;
	char *first, *last; /* files; NULL: out of memory, or there is none */
};

struct fold {
	struct fold_burst bursts[FOLD_BURSTS];
};

/* A failure of @kind, as @fields tell, happens at @now. Whether it is folded, as @limit
 * (> 0) or more of its burst were told one by one. */
bool fold_add(struct fold *fold, enum log_kind kind, const struct log_fields *fields,
	      uint64_t limit, usec_t now);

/* When something that was folded is to be told; USEC_INFINITY: nothing is. */
usec_t fold_next(const struct fold *fold);

/* A burst whose folded ones are to be told by @now (USEC_INFINITY: all are), or NULL:
 * none. After fold_told() they are forgotten. */
const struct fold_burst *fold_due(const struct fold *fold, usec_t now);
void fold_told(struct fold *fold, const struct fold_burst *burst);

void fold_done(struct fold *fold);
