#pragma once

/*
 * HTTP-state: what http's own modules share: http (setting up, ends), http-pool (curl on
 * the event loop), http-sockets (which of its sockets), http-body (bytes out and in,
 * bandwidth, stalls) and http-answer (what came back). Only they include this.
 */

#include <curl/curl.h>
#include <sys/queue.h>

#include "http-sockets.h"
#include "http.h"
#include "throttle.h"

#define HTTP_SPARES_MAX 32 /* handles kept for further requests */

/* Where requests wait for their shares of the bandwidth, each longest wait first. */
enum lane {
	LANE_SHORT,
	LANE_LONG,
	LANES,
};

/* The connections of requests that were started with the same settings, and what curl
 * remembers of TLS for them: sessions, certificates, authorities. */
struct pool {
	struct http *http;
	CURLM *multi;		/* NULL: there was no memory for one */
	struct sockets sockets; /* that curl waits for */
	sd_event_source *ready, *timer, *due;
	size_t requests; /* that use it */
	bool broken;	 /* the multi handle is of no more use */
	LIST_ENTRY(pool) link;
};

struct http_request {
	struct http *http;
	struct pool *pool;
	CURL *easy;
	CURLU *url;		    /* NULL: curl takes it apart by itself */
	struct curl_slist *headers; /* one block */
	size_t headers_size;
	http_done_fn done;
	void *userdata;
	char *body;	 /* a copy of what is to be sent, where that is short */
	int file;	 /* -1: it sends none */
	uint64_t size;	 /* of the body */
	uint64_t offset; /* of the next byte that curl gets of the file */
	uint64_t share;	 /* bytes that it may send, of the bandwidth */
	bool held;	 /* it waited for its share since the last look */
	enum lane lane;
	bool queued;
	TAILQ_ENTRY(http_request) queue; /* with `queued`: it waits, in its lane */
	const char *source_problem;	 /* NULL: none */
	int shortage; /* of descriptors or memory: negative errno; 0: none */
	char *answer;
	size_t length, head; /* bytes of it that came */
	bool overflow;
	bool public_only;
	bool private_peer; /* an address was not tried, since it is not public */
	usec_t stall_timeout, started;
	uint64_t mark;	/* bytes, both ways, when it was seen to move last */
	usec_t mark_at; /* and when that was */
	usec_t look_at; /* when it is to be seen next; USEC_INFINITY: it is not watched */
	bool stalled;
	bool clean;  /* it went to its end */
	bool misled; /* curl went on after it had given a reason, and gives no other */
	bool begun;  /* it was given to a connection */
	bool twice;  /* some of its body was sent before, on another connection */
	bool anew;   /* made once more, on a new connection */
	bool look;
	char problem[CURL_ERROR_SIZE];
	LIST_ENTRY(http_request) link;
};

struct http {
	sd_event *event;
	struct http_settings settings; /* its strings are owned */
	bool direct;		       /* there is no proxy */
	struct pool *pool;	       /* for new requests */
	LIST_HEAD(, pool) pools;       /* that, and those with old requests */
	sd_event_source *sweep_source; /* frees pools, never from their callbacks */
	CURL *spare[HTTP_SPARES_MAX];
	size_t spares;
	char *last_text; /* the URL of a call that came without its parts */
	CURLU *last_parts;
	LIST_HEAD(, http_request) requests;
	struct throttle throttle;
	size_t bodies; /* requests that send a file */
	TAILQ_HEAD(, http_request) lanes[LANES];
	enum lane served;	       /* whose turn it was last */
	sd_event_source *share_source; /* when the next share is there */
	sd_event_source *look_source;  /* whether what is under way moves */
	usec_t look_at; /* when that is due; USEC_INFINITY: it is not set */
	bool starved;	/* one of them has a shortage */
	/* Ends a request that curl, or a stall, brought to its end: http.c's own. */
	void (*finish)(struct http_request *request, CURLcode code);
};
