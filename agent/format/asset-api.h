#pragma once

/*
 * Asset API: the texts of eGain's Create Asset (POST {BaseURL}/assets), both ways.
 * Sources: the vendor's page for request, response and error fields; the bounds are those
 * of its public OpenAPI documents for sibling calls.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

#define ASSET_ID_MAX		    256 /* bytes of an id that we accept */
#define ASSET_URL_MAX		    ((size_t)16 * 1024) /* bytes of a contentUrl that we accept */
#define ASSET_CODE_MAX		    64
#define ASSET_DEVELOPER_MESSAGE_MAX 2048 /* characters; the three bounds of an error */
#define ASSET_USER_MESSAGE_MAX	    1024
#define ASSET_DETAILS_MAX	    30 /* items, of ASSET_DETAIL_MAX characters each */
#define ASSET_DETAIL_MAX	    255

struct asset_request {
	const char *channel_type;
	const char *sender_type;
	const char *name; /* the file's base name, any bytes; sent as UTF-8 */
	uint64_t size;
};

/* The request's body. The caller frees it. NULL: out of memory. */
char *asset_request_format(const struct asset_request *request);

struct asset_grant {
	char *id;
	char *content_url; /* not looked into: that is content-url's */
	usec_t expires;	   /* by the service's own clock, since 1970 UTC; 0: not said */
};

/* Reads the body of a 200. 0; -EBADMSG: not what the API promises, and *@ret_reason is
 * fixed text for people; -ENOMEM. An id must be 1 to ASSET_ID_MAX bytes without control
 * characters, a contentUrl 1 to ASSET_URL_MAX bytes. An expiry that is missing or null is
 * 0; one that is not an instant is a fault. */
int asset_grant_parse(const char *text, size_t length, struct asset_grant *ret,
		      const char **ret_reason);
void asset_grant_done(struct asset_grant *grant);

struct asset_error {
	char *code;		 /* NULL: none; the API's "400-196", or a store's word */
	char *developer_message; /* NULL: none */
	char *user_message;	 /* NULL: none */
	char *details; /* a JSON array of {key, value} as one line; NULL: none */
	bool page; /* the body is an HTML page: neither the API speaks so nor a store */
};

/* Reads what came with another status, cut to the bounds above. Of a body that is not the
 * API's JSON (a gateway's page, a store's XML <Error>), code and developer_message are
 * taken from <Code> and <Message> where those stand, else the developer_message is the
 * text itself without markup, one line, at most 200 characters. 0 or -ENOMEM; an empty
 * body is an empty error. All strings are valid UTF-8. */
int asset_error_parse(const char *text, size_t length, struct asset_error *ret);
void asset_error_done(struct asset_error *error);
