#include <curl/curl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "address.h"
#include "content-url.h"
#include "http.h"
#include "log.h"
#include "macro.h"
#include "plain.h"
#include "throttle.h"

#define SPARE_HANDLES_MAX  32
#define SOCKETS_MAX	   4096
#define UPLOAD_BUFFER_MAX  (512L * 1024)
#define UPLOAD_BUFFER_MIN  (16L * 1024) /* curl's own least */
#define EXPECT_ABOVE	   ((uint64_t)1024 * 1024)
#define LOCATION_MAX	   200		 /* characters of it that are shown */
#define STALL_LOOKS	   8		 /* at how far it is, in a StallTimeout */
#define WAIT_ASKED_MAX	   USEC_PER_HOUR /* the longest that a service may ask us to wait */
#define MILLISECONDS(usec) ((long)MIN((usec) / USEC_PER_MSEC + 1, (usec_t)LONG_MAX / 2))

/* The connections of requests that were started with the same settings, and what curl
 * remembers of TLS for them: sessions, certificates, authorities. */
struct pool {
	struct http *http;
	CURLM *multi; /* NULL: there was no memory for one */
	sd_event_source *timer;
	size_t requests; /* that use it */
	bool broken;	 /* the multi handle is of no more use */
	LIST_ENTRY(pool) link;
};

struct http_request {
	struct http *http;
	struct pool *pool;
	CURL *easy;
	struct curl_slist *headers;
	http_done_fn done;
	void *userdata;
	char *body; /* a copy of a text to send */
	int file;
	uint64_t size;	 /* of the body */
	uint64_t offset; /* of the next byte that curl gets of the file */
	uint64_t share;	 /* bytes that it may send, of the bandwidth */
	bool held;	 /* it waited for its share since the last look */
	bool queued;
	TAILQ_ENTRY(http_request) queue; /* with `queued`: it waits */
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
	bool stalled;
	bool clean; /* it went to its end */
	bool look;
	sd_event_source *stall_source;
	char problem[CURL_ERROR_SIZE];
	LIST_ENTRY(http_request) link;
};

struct http {
	sd_event *event;
	struct http_settings settings; /* its strings are owned */
	struct pool *pool;	       /* for new requests */
	LIST_HEAD(, pool) pools;       /* that, and those with old requests */
	sd_event_source *sweep_source; /* frees pools, never from their callbacks */
	CURL *spare[SPARE_HANDLES_MAX];
	size_t spares;
	LIST_HEAD(, http_request) requests;
	struct throttle throttle;
	TAILQ_HEAD(, http_request) queue; /* for their shares, the longest wait first */
	sd_event_source *share_source;	  /* when the next one is there */
	bool starved;			  /* one of them has a shortage */
};

/* ---- curl on sd-event ---- */

/* Tells what has ended. Callbacks may start and cancel requests, so each one is taken out
 * of curl before it is told of. */
static void finish(struct http_request *request, CURLcode code);

static void starve(struct http_request *request, int error)
{
	request->shortage = error;
	request->http->starved = true;
}

static struct http_request *find_starved(struct http *http)
{
	struct http_request *request;

	if (!http->starved)
		return NULL;

	LIST_FOREACH (request, &http->requests, link)
		if (request->shortage)
			return request;
	http->starved = false;
	return NULL;
}

static void collect(struct pool *pool)
{
	struct http_request *starved;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(pool->multi, &left))) {
		struct http_request *request = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
				  (char **)&request);
		finish(request, message->data.result);
	}
	while ((starved = find_starved(pool->http)))
		finish(starved, CURLE_OUT_OF_MEMORY);
}

static int open_multi(struct pool *pool);

/* Lets curl go on. Where it has no memory for that, it does not say whose request it has
 * lost sight of, and would wait for ever: all that are under way end. Nor does it keep
 * its sockets' tables whole (7.88.1 divides by zero in the next one), so it begins
 * anew. */
static void act(struct pool *pool, curl_socket_t fd, int action)
{
	struct http_request *request;
	int running;

	pool->broken = curl_multi_socket_action(pool->multi, fd, action, &running) !=
		       CURLM_OK;
	if (pool->broken)
		LIST_FOREACH (request, &pool->http->requests, link)
			if (request->pool == pool)
				starve(request, -ENOMEM);
	collect(pool);
	if (!pool->broken)
		return;
	(void)curl_multi_cleanup(take_ptr(pool->multi));
	(void)open_multi(pool); /* else the next start tries */
}

static int on_socket_ready(sd_event_source *source, int fd, uint32_t revents,
			   void *userdata)
{
	struct pool *pool = userdata;
	int action = 0;

	(void)source;
	if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
		action |= CURL_CSELECT_IN;
	if (revents & EPOLLOUT)
		action |= CURL_CSELECT_OUT;
	if (revents & EPOLLERR)
		action |= CURL_CSELECT_ERR;
	act(pool, fd, action);
	return 0;
}

/* Never fails, as curl would be of no more use then: a request whose socket can't be
 * watched is ended by collect(). */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata,
		     void *socketp)
{
	static const uint32_t events[] = {
		[CURL_POLL_NONE] = 0,
		[CURL_POLL_IN] = EPOLLIN,
		[CURL_POLL_OUT] = EPOLLOUT,
		[CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
	};
	struct pool *pool = userdata;
	sd_event_source *source = socketp;
	struct http_request *request = NULL;
	int r;

	if (what == CURL_POLL_REMOVE) {
		sd_event_source_disable_unref(source);
		(void)curl_multi_assign(pool->multi, fd, NULL);
		return 0;
	}
	if (source) {
		r = sd_event_source_set_io_events(source, events[what]);
	} else {
		r = sd_event_add_io(pool->http->event, &source, fd, events[what],
				    on_socket_ready, pool);
		if (r >= 0)
			(void)curl_multi_assign(pool->multi, fd, source);
	}
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&request);
	if (r < 0 && request)
		starve(request, r);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct pool *pool = userdata;

	(void)source;
	(void)usec;
	act(pool, CURL_SOCKET_TIMEOUT, 0);
	return 0;
}

/* A timeout of 0 means now, of -1 none. */
static int on_timeout_set(CURLM *multi, long ms, void *userdata)
{
	struct pool *pool = userdata;
	usec_t at;

	(void)multi;
	if (ms < 0)
		return sd_event_source_set_enabled(pool->timer, SD_EVENT_OFF) < 0 ? -1
										  : 0;
	at = ms == 0 ? 0 : usec_add(clock_monotonic(), (usec_t)ms * USEC_PER_MSEC);
	if (sd_event_source_set_time(pool->timer, at) < 0 ||
	    sd_event_source_set_enabled(pool->timer, SD_EVENT_ONESHOT) < 0)
		return -1;
	return 0;
}

/* Asked for each address that a name has, so no name can change its mind after a check.
 * That there is no descriptor left is no word about the other side. */
static curl_socket_t on_open_socket(void *userdata, curlsocktype purpose,
				    struct curl_sockaddr *address)
{
	struct http_request *request = userdata;
	int fd;

	(void)purpose;
	if (request->public_only && !address_is_public(&address->addr)) {
		request->private_peer = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd >= 0)
		return fd;
	if (errno_is_shortage(-errno))
		starve(request, -errno);
	return CURL_SOCKET_BAD;
}

/* ---- bytes out and in ---- */

static void arm_share(struct http *http)
{
	if (TAILQ_EMPTY(&http->queue))
		return;
	(void)sd_event_source_set_time(http->share_source,
				       throttle_next(&http->throttle, clock_monotonic()));
	(void)sd_event_source_set_enabled(http->share_source, SD_EVENT_ONESHOT);
}

/* Behind those that wait already, whatever there is. */
static void wait_for_share(struct http_request *request)
{
	request->held = request->queued = true;
	TAILQ_INSERT_TAIL(&request->http->queue, request, queue);
	arm_share(request->http);
}

static void leave_queue(struct http_request *request)
{
	if (!request->queued)
		return;
	TAILQ_REMOVE(&request->http->queue, request, queue);
	request->queued = false;
}

/* What is there goes to who waits longest. Here and not where curl asks for bytes, which
 * it does later, and then others may have come. */
static int on_share(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct http *http = userdata;
	usec_t now = clock_monotonic();
	struct http_request *request;

	(void)source;
	(void)usec;
	while ((request = TAILQ_FIRST(&http->queue)) &&
	       throttle_next(&http->throttle, now) <= now) {
		request->share = throttle_take(&http->throttle, now,
					       request->size - request->offset);
		leave_queue(request);
		(void)curl_easy_pause(request->easy, CURLPAUSE_CONT);
	}
	arm_share(http);
	return 0;
}

/* Up to @want bytes that may go now, 0: it has to wait. */
static uint64_t take_share(struct http_request *request, uint64_t want)
{
	struct http *http = request->http;

	if (request->share == 0 && TAILQ_EMPTY(&http->queue))
		request->share = throttle_take(&http->throttle, clock_monotonic(), want);
	return MIN(request->share, want);
}

static size_t on_read(char *buffer, size_t size, size_t count, void *userdata)
{
	struct http_request *request = userdata;
	size_t want = MIN(size * count, request->size - request->offset);
	ssize_t n;

	if (want == 0)
		return 0;
	want = take_share(request, want);
	if (want == 0) {
		wait_for_share(request);
		return CURL_READFUNC_PAUSE;
	}
	n = pread(request->file, buffer, want, (off_t)request->offset);
	if (n <= 0) {
		/* It ended before its time: what was promised can't be sent any more. */
		request->source_problem = n < 0 ? log_errno(-errno)
						: "the file became shorter meanwhile";
		return CURL_READFUNC_ABORT;
	}
	request->offset += (uint64_t)n;
	request->share -= (uint64_t)n;
	return (size_t)n;
}

/* curl starts over where a connection that it used again turns out to be dead. */
static int on_seek(void *userdata, curl_off_t offset, int origin)
{
	struct http_request *request = userdata;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > request->size)
		return CURL_SEEKFUNC_FAIL;
	request->offset = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *data, size_t size, size_t count, void *userdata)
{
	struct http_request *request = userdata;
	size_t n = size * count;
	char *answer;

	if (request->length + n > HTTP_ANSWER_MAX) {
		request->overflow = true;
		return 0;
	}
	answer = realloc(request->answer, request->length + n + 1);
	if (!answer)
		return 0;
	memcpy(answer + request->length, data, n);
	request->answer = answer;
	request->length += n;
	answer[request->length] = '\0';
	return n;
}

/* curl limits a line, and the head, but keeps trailers without end. */
static size_t on_header(char *data, size_t size, size_t count, void *userdata)
{
	struct http_request *request = userdata;

	(void)data;
	request->head += size * count;
	if (request->head <= HTTP_ANSWER_MAX)
		return size * count;
	request->overflow = true;
	return 0;
}

/* ---- stalls ---- */

/* Bytes that the other side has taken or given. What still lies in the kernel's queue has
 * moved nowhere, and that may be megabytes. */
static uint64_t bytes_moved(const struct http_request *request)
{
	curl_socket_t socket = CURL_SOCKET_BAD;
	curl_off_t out = 0, in = 0;
	int queued = 0;

	curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &out);
	curl_easy_getinfo(request->easy, CURLINFO_SIZE_DOWNLOAD_T, &in);
	curl_easy_getinfo(request->easy, CURLINFO_ACTIVESOCKET, &socket);
	if (socket == CURL_SOCKET_BAD || ioctl(socket, SIOCOUTQ, &queued) < 0)
		queued = 0;
	return (uint64_t)in + (uint64_t)MAX(out - queued, (curl_off_t)0);
}

/* A trickle is no progress, or it could hold a slot for hours; the last bytes of a body
 * are, however few they are. */
static bool has_progressed(const struct http_request *request, uint64_t moved)
{
	uint64_t goal = request->mark + HTTP_PROGRESS_MIN;

	if (request->file >= 0 && request->mark < request->size)
		goal = MIN(goal, request->size);
	return moved >= goal;
}

static int on_stall(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct http_request *request = userdata;
	uint64_t moved = bytes_moved(request);
	usec_t now = clock_monotonic();

	(void)usec;
	if (request->held || has_progressed(request, moved)) {
		request->held = request->queued;
		request->mark = moved;
		request->mark_at = now;
	}
	if (usec_sub(now, request->mark_at) < request->stall_timeout) {
		(void)sd_event_source_set_time(
			source, usec_add(now, request->stall_timeout / STALL_LOOKS));
		(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
		return 0;
	}
	request->stalled = true;
	finish(request, CURLE_OPERATION_TIMEDOUT);
	return 0;
}

/* ---- handles ---- */

static CURL *take_handle(struct http *http)
{
	if (http->spares == 0)
		return curl_easy_init();
	return http->spare[--http->spares];
}

/* Where a request broke off, its Authorization header may still be in the handle (7.88.1,
 * also after a reset), and would go to whom the next one speaks with. */
static void put_handle(struct http *http, CURL *easy, bool clean)
{
	if (!clean || http->spares == SPARE_HANDLES_MAX) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	http->spare[http->spares++] = easy;
}

/* One pool less in use, if it was the last request of an old one. */
static void leave_pool(struct http_request *request)
{
	struct pool *pool = request->pool;

	if (--pool->requests == 0 && pool != pool->http->pool)
		(void)sd_event_source_set_enabled(pool->http->sweep_source,
						  SD_EVENT_ONESHOT);
}

static void request_free(struct http_request *request)
{
	struct http *http = request->http;

	sd_event_source_disable_unref(request->stall_source);
	/* A handle of an old pool has seen other certificates. */
	if (request->easy)
		put_handle(http, request->easy,
			   request->clean && request->pool == http->pool);
	leave_pool(request);
	curl_slist_free_all(request->headers);
	if (request->body)
		explicit_bzero(request->body, request->size);
	free(request->body);
	if (request->answer)
		explicit_bzero(request->answer, request->length);
	free(request->answer);
	free(request);
}

/* ---- what came back ---- */

static const struct {
	CURLcode code;
	enum transport transport;
} transports[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, TRANSPORT_RESOLVE },
	{ CURLE_COULDNT_RESOLVE_PROXY, TRANSPORT_RESOLVE },
	{ CURLE_COULDNT_CONNECT, TRANSPORT_CONNECT },
	{ CURLE_INTERFACE_FAILED, TRANSPORT_CONNECT },
	{ CURLE_PROXY, TRANSPORT_CONNECT },
	{ CURLE_SSL_CONNECT_ERROR, TRANSPORT_TLS },
	{ CURLE_SSL_ENGINE_NOTFOUND, TRANSPORT_TLS },
	{ CURLE_SSL_ENGINE_SETFAILED, TRANSPORT_TLS },
	{ CURLE_SSL_ENGINE_INITFAILED, TRANSPORT_TLS },
	{ CURLE_SSL_CERTPROBLEM, TRANSPORT_TLS },
	{ CURLE_SSL_CIPHER, TRANSPORT_TLS },
	{ CURLE_PEER_FAILED_VERIFICATION, TRANSPORT_TLS },
	{ CURLE_SSL_CACERT_BADFILE, TRANSPORT_TLS },
	{ CURLE_SSL_CRL_BADFILE, TRANSPORT_TLS },
	{ CURLE_SSL_ISSUER_ERROR, TRANSPORT_TLS },
	{ CURLE_SSL_PINNEDPUBKEYNOTMATCH, TRANSPORT_TLS },
	{ CURLE_SSL_INVALIDCERTSTATUS, TRANSPORT_TLS },
	{ CURLE_SSL_CLIENTCERT, TRANSPORT_TLS },
	{ CURLE_USE_SSL_FAILED, TRANSPORT_TLS },
	{ CURLE_OPERATION_TIMEDOUT, TRANSPORT_TIMEOUT },
	{ CURLE_GOT_NOTHING, TRANSPORT_RESET },
	{ CURLE_SEND_ERROR, TRANSPORT_RESET },
	{ CURLE_RECV_ERROR, TRANSPORT_RESET },
	{ CURLE_PARTIAL_FILE, TRANSPORT_RESET },
	{ CURLE_SEND_FAIL_REWIND, TRANSPORT_RESET },
	{ CURLE_HTTP2, TRANSPORT_RESET },
	{ CURLE_HTTP2_STREAM, TRANSPORT_RESET },
	{ CURLE_UNSUPPORTED_PROTOCOL, TRANSPORT_GARBAGE },
	{ CURLE_WEIRD_SERVER_REPLY, TRANSPORT_GARBAGE },
#if LIBCURL_VERSION_NUM >= 0x080600
	{ CURLE_TOO_LARGE, TRANSPORT_GARBAGE },
#endif
	{ CURLE_BAD_CONTENT_ENCODING, TRANSPORT_GARBAGE },
	{ CURLE_ABORTED_BY_CALLBACK, TRANSPORT_SOURCE },
	{ CURLE_READ_ERROR, TRANSPORT_SOURCE },
	{ CURLE_URL_MALFORMAT, TRANSPORT_REFUSED_URL },
	{ CURLE_OUT_OF_MEMORY, TRANSPORT_LOCAL },
	{ CURLE_FAILED_INIT, TRANSPORT_LOCAL },
};

static enum transport transport_of(CURLcode code)
{
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
		if (transports[i].code == code)
			return transports[i].transport;
	return TRANSPORT_LOCAL;
}

/* Whether the request could begin: name, connection and TLS stand. */
static bool is_connected(const struct http_request *request)
{
	curl_off_t ready = 0;

	curl_easy_getinfo(request->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
	return ready > 0;
}

/* Whether the other side broke TLS off with a reason: all of curl's TLS libraries call it
 * an alert, and curl gives no code for it. */
static bool is_alert(const struct http_request *request)
{
	curl_off_t handshake = 0;

	curl_easy_getinfo(request->easy, CURLINFO_APPCONNECT_TIME_T, &handshake);
	return handshake > 0 && strstr(request->problem, " alert ");
}

/* Whoever looks up a name needs descriptors, and where there are none, it is the name
 * that is said not to be found. */
static void look_for_descriptors(struct http_request *request)
{
	_cleanup_close_ int fd = eventfd(0, EFD_CLOEXEC);

	if (fd < 0 && errno_is_shortage(-errno))
		request->shortage = -errno;
}

static enum transport judge(const struct http_request *request, CURLcode code,
			    long status)
{
	curl_off_t first_byte = 0;

	if (request->source_problem)
		return TRANSPORT_SOURCE;
	if (request->overflow)
		return TRANSPORT_GARBAGE;
	if (request->stalled)
		return is_connected(request) ? TRANSPORT_STALL : TRANSPORT_TIMEOUT;
	if (request->shortage)
		return TRANSPORT_LOCAL;
	if (code == CURLE_OK)
		return status > 0 ? TRANSPORT_ANSWERED : TRANSPORT_GARBAGE;
	/* A server that refuses a body early answers and closes; the answer counts. */
	if (status >= 400 && transport_of(code) == TRANSPORT_RESET)
		return TRANSPORT_ANSWERED;
	/* What TLS 1.3 says of a client's certificate comes after the handshake. */
	if (transport_of(code) == TRANSPORT_RESET && is_alert(request))
		return TRANSPORT_TLS;
	/* So curl calls a line of the head that is longer than it takes. */
	curl_easy_getinfo(request->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte);
	if (code == CURLE_OUT_OF_MEMORY && first_byte > 0)
		return TRANSPORT_GARBAGE;
	return transport_of(code);
}

static const char *header(CURL *easy, const char *name)
{
	struct curl_header *found;

	return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK
		       ? found->value
		       : NULL;
}

/* An instant as headers have it: an HTTP date, RFC 3339, or seconds since 1970; 0: none.
 */
static usec_t parse_instant(const char *text)
{
	struct timespec t;
	time_t seconds;

	if (!text)
		return 0;
	if (clock_parse(text, &t) == 0)
		return usec_from_timespec(t);
	seconds = strspn(text, "0123456789") == strlen(text)
			  ? (time_t)strtoll(text, NULL, 10)
			  : curl_getdate(text, NULL);
	return seconds > 0 ? (usec_t)seconds * USEC_PER_SEC : 0;
}

/* Both ways to ask for a wait; instants count against the server's own clock. */
static usec_t parse_wait(CURL *easy, usec_t date)
{
	const char *after = header(easy, "Retry-After");
	const char *reset = header(easy, "X-RateLimit-Reset");
	usec_t now = date > 0 ? date : clock_realtime(), wait = 0;

	if (after && *after && strspn(after, "0123456789") == strlen(after))
		wait = (usec_t)MIN(strtoull(after, NULL, 10),
				   WAIT_ASKED_MAX / USEC_PER_SEC) *
		       USEC_PER_SEC;
	else if (after)
		wait = usec_sub(parse_instant(after), now);
	else if (reset)
		wait = usec_sub(parse_instant(reset), now);
	return MIN(wait, WAIT_ASKED_MAX);
}

static void describe_stall(struct http_request *request)
{
	uint64_t moved = bytes_moved(request);
	char span[CLOCK_STRING_MAX];

	clock_format_span(span, request->stall_timeout);
	if (!is_connected(request))
		snprintf(request->problem, sizeof(request->problem),
			 "no connection for %s", span);
	else if (moved <= request->mark)
		snprintf(request->problem, sizeof(request->problem),
			 "no byte moved for %s", span);
	else
		snprintf(request->problem, sizeof(request->problem),
			 "only %" PRIu64 " bytes moved in %s", moved - request->mark,
			 span);
}

static void describe(struct http_request *request, CURLcode code,
		     struct http_answer *answer)
{
	if (answer->transport == TRANSPORT_ANSWERED) {
		answer->problem = "";
		return;
	}
	answer->problem = request->problem;
	if (request->source_problem)
		answer->problem = request->source_problem;
	else if (request->stalled)
		describe_stall(request);
	else if (request->overflow)
		snprintf(request->problem, sizeof(request->problem),
			 "the answer is longer than %zu bytes", HTTP_ANSWER_MAX);
	else if (answer->transport == TRANSPORT_CONNECT && request->private_peer)
		snprintf(request->problem, sizeof(request->problem),
			 "its host is at a private address, and the API is not; "
			 "AllowedHosts= must name it to allow that");
	else if (!request->problem[0])
		snprintf(request->problem, sizeof(request->problem), "%s",
			 curl_easy_strerror(code));
}

/* An answer to less than the whole body is none: the service can't have all of it. */
static void check_sent(struct http_request *request, struct http_answer *answer)
{
	if (answer->transport != TRANSPORT_ANSWERED || answer->status >= 300 ||
	    request->body || answer->sent == request->size)
		return;
	answer->transport = TRANSPORT_RESET;
	snprintf(request->problem, sizeof(request->problem),
		 "answered %d before the whole file was sent", answer->status);
	answer->problem = request->problem;
}

static bool is_from_public(CURL *easy)
{
	const char *address = NULL;
	bool public = false;

	curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
	return address && address_parse_is_public(address, &public) && public;
}

static usec_t time_of(CURL *easy, CURLINFO which)
{
	curl_off_t usec = 0;

	curl_easy_getinfo(easy, which, &usec);
	return (usec_t)MAX(usec, (curl_off_t)0);
}

/* Of the lines "Name:value" about the first certificate, the server's own. */
static const char *of_certificate(CURL *easy, const char *name)
{
	struct curl_certinfo *chain = NULL;

	curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain);
	if (!chain || chain->num_of_certs < 1)
		return NULL;
	for (const struct curl_slist *line = chain->certinfo[0]; line; line = line->next)
		if (startswith(line->data, name))
			return line->data + strlen(name);
	return NULL;
}

static struct http_look look_at(CURL *easy)
{
	struct http_look look = {
		.address = "",
		.resolved = time_of(easy, CURLINFO_NAMELOOKUP_TIME_T),
		.connected = time_of(easy, CURLINFO_CONNECT_TIME_T),
		.secured = time_of(easy, CURLINFO_APPCONNECT_TIME_T),
		.issuer = of_certificate(easy, "Issuer:"),
		.expires = parse_instant(of_certificate(easy, "Expire date:")),
	};
	long port = 0, tunnel = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &look.address);
	curl_easy_getinfo(easy, CURLINFO_PRIMARY_PORT, &port);
	curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
	look.port = (unsigned)port;
	look.tunnelled = tunnel > 0;
	return look;
}

static void finish(struct http_request *request, CURLcode code)
{
	curl_off_t sent = 0;
	long status = 0;
	struct http_answer answer;
	struct http_look look;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	if (transport_of(code) == TRANSPORT_RESOLVE)
		look_for_descriptors(request);
	answer = (struct http_answer){
		.transport = judge(request, code, status),
		.status = (int)status,
		.body = request->answer ? request->answer : "",
		.length = request->length,
		.date = parse_instant(header(request->easy, "Date")),
		.error = request->shortage ? request->shortage : -ENOMEM,
		.sent = (uint64_t)sent,
		.duration = usec_sub(clock_monotonic(), request->started),
		.from_public = is_from_public(request->easy),
	};
	curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &answer.location);
	answer.retry_after = parse_wait(request->easy, answer.date);
	describe(request, code, &answer);
	check_sent(request, &answer);
	if (request->look) {
		look = look_at(request->easy);
		answer.look = &look;
	}
	request->clean = code == CURLE_OK;
	leave_queue(request);
	LIST_REMOVE(request, link);
	(void)curl_multi_remove_handle(request->pool->multi, request->easy);
	request->done(request->userdata, &answer);
	request_free(request);
}

/* ---- setting up ---- */

static int add_header(struct http_request *request, const char *line)
{
	struct curl_slist *list = curl_slist_append(request->headers, line);

	if (!list)
		return -ENOMEM;
	request->headers = list;
	return 0;
}

static int set_headers(struct http_request *request, const struct http_call *call)
{
	int r = 0;

	for (size_t i = 0; call->headers && i < call->headers->count && r == 0; i++)
		r = add_header(request, call->headers->items[i]);
	/* To ask first whether the body is welcome costs a small one more than it saves,
	 * and a second where the server does not know the question. */
	if (r == 0 && !call->body && call->file_size <= EXPECT_ABOVE)
		r = add_header(request, "Expect:");
	if (r < 0)
		return r;
	curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
	if (!call->bearer)
		return 0;
	curl_easy_setopt(request->easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
	return curl_easy_setopt(request->easy, CURLOPT_XOAUTH2_BEARER, call->bearer) ==
			       CURLE_OK
		       ? 0
		       : -ENOMEM;
}

static void set_file(struct http_request *request, const struct http_call *call)
{
	CURL *easy = request->easy;
	long buffer = (long)MIN(call->file_size, (uint64_t)UPLOAD_BUFFER_MAX);

	request->file = call->file;
	request->size = call->file_size;
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, request);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, request);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, MAX(buffer, UPLOAD_BUFFER_MIN));
	if (streq(call->method, "POST")) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)call->file_size);
	} else {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
				 (curl_off_t)call->file_size);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	}
}

static int set_body(struct http_request *request, const struct http_call *call)
{
	if (streq(call->method, "GET")) {
		curl_easy_setopt(request->easy, CURLOPT_HTTPGET, 1L);
		return 0;
	}
	if (!call->body) {
		set_file(request, call);
		return 0;
	}
	request->body = malloc(call->body_length + 1);
	if (!request->body)
		return -ENOMEM;
	memcpy(request->body, call->body, call->body_length);
	request->size = call->body_length;
	curl_easy_setopt(request->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, request->body);
	curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE_LARGE,
			 (curl_off_t)call->body_length);
	return 0;
}

static void set_common(struct http_request *request, const struct http_call *call)
{
	const struct http_settings *settings = &request->http->settings;
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->problem);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS,
			 1L); /* a signed path must stay as it is */
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "asset-agent/" VERSION);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* Whatever the machine's own settings would still put up with. */
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 MILLISECONDS(settings->connect_timeout));
	if (call->timeout != USEC_INFINITY)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, MILLISECONDS(call->timeout));
	request->public_only = call->public_only;
	if (settings->ca_file) {
		/* In place of the system's: the directory of those would count besides.
		 */
		curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (settings->client_certificate)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, settings->client_certificate);
	if (settings->client_key)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, settings->client_key);
	if (settings->proxy)
		curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy);
}

/* Of a connection that is used again, nothing would be told. */
static void set_look(struct http_request *request)
{
	request->look = true;
	curl_easy_setopt(request->easy, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(request->easy, CURLOPT_FRESH_CONNECT, 1L);
}

static int set_stall(struct http_request *request, const struct http_call *call)
{
	struct http *http = request->http;

	if (call->stall_timeout == USEC_INFINITY)
		return 0;
	request->stall_timeout = call->stall_timeout;
	request->mark_at = request->started;
	return sd_event_add_time(http->event, &request->stall_source, CLOCK_MONO,
				 usec_add(request->started,
					  call->stall_timeout / STALL_LOOKS),
				 USEC_PER_MSEC, on_stall, request);
}

static int set_up(struct http_request *request, const struct http_call *call)
{
	int r;

	request->easy = take_handle(request->http);
	if (!request->easy)
		return -ENOMEM;
	set_common(request, call);
	if (call->look)
		set_look(request);
	/* The only one that copies a long text and so can fail for want of memory. */
	if (curl_easy_setopt(request->easy, CURLOPT_URL, call->url) != CURLE_OK)
		return -ENOMEM;
	r = set_headers(request, call);
	if (r < 0)
		return r;
	r = set_body(request, call);
	if (r < 0)
		return r;
	return set_stall(request, call);
}

int http_start(struct http *http, const struct http_call *call, http_done_fn done,
	       void *userdata, struct http_request **ret_request)
{
	struct pool *pool = http->pool;
	struct http_request *request;
	int r = pool->multi ? 0 : open_multi(pool);

	if (pool->broken || r < 0)
		return -ENOMEM;
	request = calloc(1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	request->http = http;
	request->pool = pool;
	pool->requests++;
	request->done = done;
	request->userdata = userdata;
	request->file = -1;
	request->started = clock_monotonic();
	r = set_up(request, call);
	if (r == 0 && curl_multi_add_handle(pool->multi, request->easy) != CURLM_OK)
		r = -ENOMEM;
	if (r < 0) {
		request_free(request);
		return r;
	}
	LIST_INSERT_HEAD(&http->requests, request, link);
	if (ret_request)
		*ret_request = request;
	return 0;
}

void http_cancel(struct http_request *request)
{
	if (!request)
		return;
	leave_queue(request);
	LIST_REMOVE(request, link);
	(void)curl_multi_remove_handle(request->pool->multi, request->easy);
	request_free(request);
}

char *http_describe_status(const struct http_answer *answer)
{
	_cleanup_free_ char *shown = NULL;
	char *text = NULL;
	int n;

	if (answer->location) {
		shown = content_url_redact(answer->location);
		if (!shown)
			return NULL;
		plain_cut(shown, LOCATION_MAX);
		n = asprintf(&text,
			     "HTTP status %d, a redirect to %s, and none is followed",
			     answer->status, shown);
	} else {
		n = asprintf(&text, "HTTP status %d", answer->status);
	}
	return n < 0 ? NULL : text;
}

uint64_t http_sent(const struct http_request *request)
{
	curl_off_t sent = 0;

	curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	return (uint64_t)sent;
}

/* ---- pools ---- */

static int open_multi(struct pool *pool)
{
	size_t connections = MIN(pool->http->settings.connections_max,
				 (size_t)SOCKETS_MAX);

	pool->multi = curl_multi_init();
	if (!pool->multi)
		return -ENOMEM;
	pool->broken = false;
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timeout_set);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)connections);
	return 0;
}

static void pool_free(struct pool *pool)
{
	LIST_REMOVE(pool, link);
	/* Closing connections still calls back for their sockets. */
	if (pool->multi)
		curl_multi_cleanup(pool->multi);
	sd_event_source_disable_unref(pool->timer);
	free(pool);
}

/* Without a multi handle, which the first request needs. */
static int pool_new(struct http *http, struct pool **ret)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	pool->http = http;
	r = sd_event_add_time(http->event, &pool->timer, CLOCK_MONO, USEC_INFINITY,
			      USEC_PER_MSEC, on_timer, pool);
	if (r < 0) {
		free(pool);
		return r;
	}
	LIST_INSERT_HEAD(&http->pools, pool, link);
	*ret = pool;
	return 0;
}

static void drop_spares(struct http *http)
{
	while (http->spares > 0)
		curl_easy_cleanup(http->spare[--http->spares]);
}

static int on_sweep(sd_event_source *source, void *userdata)
{
	struct http *http = userdata;
	struct pool *pool = LIST_FIRST(&http->pools), *next;

	(void)source;
	for (; pool; pool = next) {
		next = LIST_NEXT(pool, link);
		if (pool != http->pool && pool->requests == 0)
			pool_free(pool);
	}
	return 0;
}

/* ---- settings ---- */

static int copy_string(const char **ret, const char *text)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static void settings_done(struct http_settings *settings)
{
	free((char *)settings->ca_file);
	free((char *)settings->client_certificate);
	free((char *)settings->client_key);
	free((char *)settings->proxy);
}

DEFINE_CLEANUP(struct http *, http_freep, http_free)

static int settings_copy(struct http_settings *ret, const struct http_settings *settings)
{
	*ret = *settings;
	ret->client_certificate = ret->client_key = ret->proxy = NULL;
	if (copy_string(&ret->ca_file, settings->ca_file) == 0 &&
	    copy_string(&ret->client_certificate, settings->client_certificate) == 0 &&
	    copy_string(&ret->client_key, settings->client_key) == 0 &&
	    copy_string(&ret->proxy, settings->proxy) == 0)
		return 0;
	settings_done(ret);
	return -ENOMEM;
}

int http_renew(struct http *http, const struct http_settings *settings)
{
	struct http_settings copy;
	struct pool *pool;
	int r;

	r = settings_copy(&copy, settings);
	if (r < 0)
		return r;
	r = pool_new(http, &pool);
	if (r < 0) {
		settings_done(&copy);
		return r;
	}
	settings_done(&http->settings);
	http->settings = copy;
	http->throttle.rate = copy.bandwidth ? copy.bandwidth : UINT64_MAX;
	http->pool = pool;
	drop_spares(http);
	return sd_event_source_set_enabled(http->sweep_source, SD_EVENT_ONESHOT);
}

static int set_up_http(struct http *http, const struct http_settings *settings)
{
	int r;

	r = sd_event_add_defer(http->event, &http->sweep_source, on_sweep, http);
	if (r < 0)
		return r;
	r = sd_event_add_time(http->event, &http->share_source, CLOCK_MONO, USEC_INFINITY,
			      USEC_PER_MSEC, on_share, http);
	if (r < 0)
		return r;
	r = http_renew(http, settings);
	return r < 0 ? r : open_multi(http->pool);
}

int http_new(sd_event *event, const struct http_settings *settings, struct http **ret)
{
	_cleanup_(http_freep) struct http *http = NULL;
	int r;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	http = calloc(1, sizeof(*http));
	if (!http) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	http->event = event;
	LIST_INIT(&http->pools);
	LIST_INIT(&http->requests);
	TAILQ_INIT(&http->queue);
	r = set_up_http(http, settings);
	if (r < 0)
		return r;
	*ret = take_ptr(http);
	return 0;
}

void http_free(struct http *http)
{
	struct http_request *request;

	if (!http)
		return;
	while ((request = LIST_FIRST(&http->requests)))
		http_cancel(request);
	drop_spares(http);
	while (!LIST_EMPTY(&http->pools))
		pool_free(LIST_FIRST(&http->pools));
	sd_event_source_disable_unref(http->sweep_source);
	sd_event_source_disable_unref(http->share_source);
	settings_done(&http->settings);
	curl_global_cleanup();
	free(http);
}
