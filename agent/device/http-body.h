#pragma once

/*
 * HTTP-body: the bytes of a request, out and in: the file, its share of the bandwidth,
 * the ceiling of an answer, and whether anything moves at all. Only http's own modules
 * include this.
 */

#include "http-state.h"

/* Bytes of files per second from now on, for all; UINT64_MAX: no ceiling. */
void http_body_set_bandwidth(struct http *http, uint64_t rate);

/* 0 or a negative errno. done() takes what init() did not get to, too. */
int http_body_init(struct http *http);
void http_body_done(struct http *http);

/* Curl is to send `body`, in one piece with the head of the request. */
void http_body_send_whole(struct http_request *request);

/* Curl is to send the file of @call. */
void http_body_send_file(struct http_request *request, const struct http_call *call);

/* It won't any more, if it was. */
void http_body_free_file(struct http_request *request);

/* What comes back is kept in @request. */
void http_body_receive(struct http_request *request);

/* Ends @request where nothing moves for the stall timeout of @call. */
void http_body_watch(struct http_request *request, const struct http_call *call);

/* @request, which was watched, is made once more: its body goes from its start. */
void http_body_begin_again(struct http_request *request);

/* @request waits for no share of the bandwidth any more. */
void http_body_leave(struct http_request *request);

/* Bytes, both ways, that the other side has taken or given. */
uint64_t http_body_moved(const struct http_request *request);
