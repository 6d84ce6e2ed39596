#pragma once

/*
 * Token: the bearer token for the API, from a token server or a file.
 *
 * One request at a time, however many wait for it. A token is renewed ahead of its expiry
 * while the old one still serves, and only if somebody asks; an idle agent asks for
 * nothing. The client secret is read from its file or credential for each request, so a
 * new one counts at once. Tokens and secrets are wiped from memory when they go.
 */

#include <sys/queue.h>

#include "config.h"
#include "http.h"
#include "tally.h"

struct token;

struct token_failure {
	/* Zero where nothing was asked: with TRANSPORT_LOCAL and its error for want of
	 * memory or descriptors, else with TRANSPORT_SOURCE. */
	struct http_answer answer;
	const char *why; /* for people */
};

struct token_waiter {
	/* Called once, unless token_leave() came before: @failure is NULL when there is a
	 * token now. */
	void (*done)(void *userdata, const struct token_failure *failure);
	void *userdata;
	TAILQ_ENTRY(token_waiter) link; /* the token's */
};

/* 0 or a negative errno. All must outlive it, @config but until token_configure(). */
int token_new(sd_event *event, struct http *http, const struct config *config,
	      struct token **ret);
void token_free(struct token *token);

/* Goes by @config from now on, and the next one who asks for a token gets one that was
 * read or fetched anew. @renewed: the [Auth] of it, or the way there, is another one;
 * then a request under way is cancelled, and nobody may be waiting. */
void token_configure(struct token *token, const struct config *config, bool renewed);

/* Its requests are counted in @tally, which must outlive it. */
void token_count_in(struct token *token, struct tally *tally);

/* The token to use now, which lives until the event loop turns, and in *@ret_serial what
 * to call it; or NULL: @waiter is told later. */
const char *token_get(struct token *token, struct token_waiter *waiter,
		      uint64_t *ret_serial);

/* @waiter is not told any more. */
void token_leave(struct token *token, struct token_waiter *waiter);

/* The API refused the token @serial: unless there is a newer one already, it is dropped.
 */
void token_refused(struct token *token, uint64_t serial);

/* From now on @answered is told of each answer of the token server, with its `look`,
 * before those who wait are. */
void token_look(struct token *token, http_done_fn answered, void *userdata);

/* How long the token serves from now on; 0: there is none, USEC_INFINITY: not said. */
usec_t token_lifetime(const struct token *token);

/* Who gives the tokens, for messages. */
const char *token_source(const struct token *token);
