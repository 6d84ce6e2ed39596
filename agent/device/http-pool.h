#pragma once

/*
 * HTTP-pool: curl's multi interface on sd-event. Only http's own modules include this.
 */

#include "http-state.h"

/* A pool of @http without a multi handle, which the first request needs. 0 or a negative
 * errno. */
int http_pool_new(struct http *http, struct pool **ret);

/* Makes its multi handle. 0 or -ENOMEM. */
int http_pool_open(struct pool *pool);

/* No request may use it any more; not from a callback of its own. */
void http_pool_free(struct pool *pool);

/* @request can't go on for want of what @error says, and is ended soon. */
void http_pool_starve(struct http_request *request, int error);
