#pragma once

/*
 * HTTP-answer: what came of a request, judged and put into words. Only http's own modules
 * include this.
 */

#include "http-state.h"

/* Reads the end of @request, which curl, or a stall, brought with @code. @ret points into
 * the request, and to @look where that was asked for. */
void http_answer_read(struct http_request *request, CURLcode code,
		      struct http_answer *ret, struct http_look *look);
