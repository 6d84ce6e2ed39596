#pragma once

/*
 * HTTP: requests on the event loop, by libcurl's multi interface. Nothing above sees
 * curl.
 *
 * HTTP/1.1 only, one request on a connection at a time. Before 8.5.0 (Debian 12 has
 * 7.88.1), libcurl remembers by host and port, not by connection, that several requests
 * may go at once. Where a host has connections of both kinds, since some requests ask for
 * HTTP/2 and some for HTTP/1.1 or since its front ends differ, a request that may go over
 * HTTP/2 is put on a connection of HTTP/1.1 that is in use, and each gets the answer of
 * the other, which the answer itself does not show. HTTP/2 without several requests at
 * once is safe, but saves nothing: it costs more CPU and as many connections.
 *
 * Files share the bandwidth that there may be: of the short ones, and of the others, the
 * one that waits longest for its share gets the next, by turns. Whoever waits for it is
 * not stalled.
 *
 * A connection that was used before may be dead, and nobody has told us: a server has
 * closed it, a gateway on the way forgot it. Who gets no line of an answer on one asks
 * once more, on a new connection, with times that begin anew, and no other that lies idle
 * is used any more.
 *
 * Nothing blocks, redirects are not followed, connections, TLS sessions and handles are
 * used again. What came back is one struct, told once to `done`, never from within
 * http_start() or http_cancel().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "clock.h"
#include "strv.h"
#include "verdict.h"

/* Bytes of an answer's body, and of its head and trailer with all 1xx before it, that are
 * kept; more is garbage. */
#define HTTP_ANSWER_MAX ((size_t)64 * 1024)

/* Fewer bytes than this in a stall timeout, unless they are the last of a body, are no
 * progress. */
#define HTTP_PROGRESS_MIN ((uint64_t)4096)

struct http_settings { /* copied; NULL: curl's default */
	const char *ca_file;
	const char *client_certificate, *client_key;
	const char *proxy;
	usec_t connect_timeout;
	size_t connections_max; /* kept open, as many as may be in flight */
	uint64_t bandwidth;	/* bytes of files per second; 0: no ceiling */
};

struct http_call {
	const char *method; /* "GET", "POST", "PUT" */
	const char *url;
	struct Curl_URL *parts; /* the same for curl, http or https, no zone; or NULL */
	const struct strv *headers; /* "Name: value"; may be NULL */
	const char *bearer;	    /* a token for Authorization, or NULL */
	const char *body;	    /* text to send, or NULL */
	size_t body_length;
	int file;	    /* with body NULL: sent from its start, stays the caller's */
	uint64_t file_size; /* exactly that many bytes are sent of it */
	usec_t timeout;	    /* for the whole; USEC_INFINITY: none */
	usec_t stall_timeout; /* no progress for so long; USEC_INFINITY: none */
	bool public_only;     /* to no address that is private; TRANSPORT_CONNECT */
	bool look;	      /* on a connection of its own, with the answer's `look` */
};

/* What was seen on the way of a request. Strings live as long as the answer. */
struct http_look {
	const char *address; /* that was connected to, a proxy's too; "": none */
	unsigned port;
	bool tunnelled; /* through a proxy */
	/* How long it took from the start; 0: it did not get so far. */
	usec_t resolved, connected, secured;
	const char *issuer; /* of the server's certificate; NULL: not known */
	usec_t expires;	    /* its end, real time; 0: not known */
};

struct http_answer {
	enum transport transport;
	int status;	  /* TRANSPORT_ANSWERED */
	const char *body; /* NUL-terminated, may hold NULs; never NULL */
	size_t length;
	usec_t date;	    /* of the Date header: the server's clock; 0: none */
	usec_t retry_after; /* how long it asks us to wait; 0: it does not */
	uint64_t sent;	    /* bytes of the body that went out */
	bool twice; /* the body was begun again, and what came first may have arrived */
	int error;  /* negative errno, should TRANSPORT_LOCAL be the word */
	const char *problem;  /* what happened, for people; "" when answered */
	const char *location; /* of a redirect, may hold secrets; NULL: none */
	usec_t duration;
	bool from_public; /* the address that answered, a proxy's too, is a public one */
	const struct http_look *look; /* NULL: not asked for */
};

struct http;
struct http_request;

/* @answer lives until the return. The request is gone by then. */
typedef void (*http_done_fn)(void *userdata, const struct http_answer *answer);

/* 0 or a negative errno. @event must outlive it. */
int http_new(sd_event *event, const struct http_settings *settings, struct http **ret);

/* Requests from now on are made with @settings and what the files that these name hold
 * now: on connections of their own, with nothing remembered of TLS. Those under way go on
 * as they are; the bandwidth is shared by all. 0; or a negative errno, and nothing has
 * changed. */
int http_renew(struct http *http, const struct http_settings *settings);

/* Cancels what is under way. */
void http_free(struct http *http);

/* Copies what @call points to, but for the file. 0, and *@ret_request (may be NULL)
 * serves to cancel it until `done`; or a negative errno, and `done` won't be called. */
int http_start(struct http *http, const struct http_call *call, http_done_fn done,
	       void *userdata, struct http_request **ret_request);

/* Ends it at once, without telling `done`. NULL is nothing. */
void http_cancel(struct http_request *request);

/* What an answer that is no success says where its body says nothing: its status, and
 * where a redirect points, without the query. The caller frees it. NULL: out of memory.
 */
char *http_describe_status(const struct http_answer *answer);

/* Bytes of the body that went out until now. */
uint64_t http_sent(const struct http_request *request);

/* The same, and those of the answer's body that came: while this changes, it goes on. */
uint64_t http_moved(const struct http_request *request);
