#pragma once

/*
 * OAuth: the texts of a client credentials grant (RFC 6749, sections 4.4, 5.1 and 5.2).
 */

#include <stddef.h>

#include "clock.h"

#define OAUTH_TOKEN_MAX ((size_t)16 * 1024) /* bytes of an access token, at the most */

/* The form-urlencoded request with the client's credentials in the body. @scope may be
 * NULL. The caller wipes (explicit_bzero) and frees it. NULL: out of memory. */
char *oauth_request_format(const char *client_id, const char *client_secret,
			   const char *scope);

struct oauth_token {
	char *access_token; /* visible ASCII only: fit for a header */
	usec_t lifetime;    /* of expires_in; USEC_INFINITY: not said */
};

/* Reads a 200. 0; -EBADMSG and a reason: not a token answer (token_type other than
 * Bearer, in any case, included); -ENOMEM. expires_in may be a number or a string of
 * digits. */
int oauth_token_parse(const char *text, size_t length, struct oauth_token *ret,
		      const char **ret_reason);

/* Reads a file with a bearer token: its first line, without white space around it.
 * 0, -EBADMSG and a reason, -ENOMEM. The lifetime is USEC_INFINITY. */
int oauth_token_file_parse(const char *text, size_t length, struct oauth_token *ret,
			   const char **ret_reason);

/* Wipes and frees. */
void oauth_token_done(struct oauth_token *token);

/* What an error answer says, for people: "invalid_client: bad secret", else the text's
 * first 200 characters without markup. Never holds what looks like a token, nor @secret
 * (NULL: there is none). The caller frees it. NULL: out of memory. */
char *oauth_error_format(const char *text, size_t length, const char *secret);
