#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "http-body.h"
#include "log.h"
#include "macro.h"

#define UPLOAD_BUFFER_MAX (512L * 1024)
#define UPLOAD_BUFFER_MIN (16L * 1024)		/* curl's own least */
#define STALL_LOOKS	  8			/* at how far it is, in a StallTimeout */
#define SHORT_MAX	  ((uint64_t)64 * 1024) /* a body for the short lane */
#define WHOLE_MAX	  ((uint64_t)16 * 1024) /* one that goes out with its head */

/* ---- bandwidth ---- */

/* Lanes take turns, so that a short body waits for one share of a long one at the most,
 * and no number of short ones keeps the long ones waiting. NULL: nobody waits. */
static struct http_request *next_in_line(const struct http *http)
{
	for (unsigned i = 1; i <= LANES; i++) {
		unsigned lane = (http->served + i) % LANES;

		if (!TAILQ_EMPTY(&http->lanes[lane]))
			return TAILQ_FIRST(&http->lanes[lane]);
	}
	return NULL;
}

static void arm_share(struct http *http)
{
	if (!next_in_line(http))
		return;
	(void)sd_event_source_set_time(http->share_source,
				       throttle_next(&http->throttle, clock_monotonic()));
	(void)sd_event_source_set_enabled(http->share_source, SD_EVENT_ONESHOT);
}

void http_body_set_bandwidth(struct http *http, uint64_t rate)
{
	throttle_configure(&http->throttle, rate, clock_monotonic());
	arm_share(http);
}

/* Behind those that wait already, whatever there is. */
static void wait_for_share(struct http_request *request)
{
	request->held = request->queued = true;
	TAILQ_INSERT_TAIL(&request->http->lanes[request->lane], request, queue);
	arm_share(request->http);
}

void http_body_leave(struct http_request *request)
{
	if (!request->queued)
		return;
	TAILQ_REMOVE(&request->http->lanes[request->lane], request, queue);
	request->queued = false;
}

/* What is there goes to who is next. Here and not where curl asks for bytes, which
 * it does later, and then others may have come. */
static int on_share(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct http *http = userdata;
	usec_t now = clock_monotonic();
	struct http_request *request;

	(void)source;
	(void)usec;
	while ((request = next_in_line(http)) &&
	       throttle_next(&http->throttle, now) <= now) {
		http->served = request->lane;
		request->share = throttle_take(&http->throttle, now,
					       request->size - request->offset);
		http_body_leave(request);
		(void)curl_easy_pause(request->easy, CURLPAUSE_CONT);
	}
	arm_share(http);
	return 0;
}

/* Up to @want bytes that may go now, 0: it has to wait. */
static uint64_t take_share(struct http_request *request, uint64_t want)
{
	struct http *http = request->http;

	if (request->share == 0 && !next_in_line(http))
		request->share = throttle_take(&http->throttle, clock_monotonic(), want);
	return MIN(request->share, want);
}

/* ---- bytes out and in ---- */

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
	request->twice = request->twice || request->offset > 0;
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
uint64_t http_body_moved(const struct http_request *request)
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

/* One timer for all, set for the first look there is: most requests are over before
 * theirs, and cost it nothing. */
static void arm_look(struct http *http, usec_t at)
{
	if (at >= http->look_at)
		return;
	http->look_at = at;
	(void)sd_event_source_set_time(http->look_source, at);
	(void)sd_event_source_set_enabled(http->look_source, SD_EVENT_ONESHOT);
}

static void look_again(struct http_request *request, usec_t now)
{
	request->look_at = usec_add(now, request->stall_timeout / STALL_LOOKS);
	arm_look(request->http, request->look_at);
}

static void look_at(struct http_request *request, usec_t now)
{
	uint64_t moved = http_body_moved(request);

	if (request->held || has_progressed(request, moved)) {
		request->held = request->queued;
		request->mark = moved;
		request->mark_at = now;
	}
	request->stalled = usec_sub(now, request->mark_at) >= request->stall_timeout;
	look_again(request, now);
}

/* At those whose time has come. The soonest time of the others is the timer's next. */
static void look_at_all(struct http *http, usec_t now)
{
	struct http_request *request;

	LIST_FOREACH (request, &http->requests, link) {
		if (request->look_at <= now)
			look_at(request, now);
		else
			arm_look(http, request->look_at);
	}
}

static struct http_request *find_stalled(const struct http *http)
{
	struct http_request *request;

	LIST_FOREACH (request, &http->requests, link)
		if (request->stalled)
			return request;
	return NULL;
}

/* Callbacks may start and cancel requests, so each end is followed by another search. */
static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct http *http = userdata;
	struct http_request *stalled;

	(void)source;
	(void)usec;
	http->look_at = USEC_INFINITY;
	look_at_all(http, clock_monotonic());
	while ((stalled = find_stalled(http)))
		http->finish(stalled, CURLE_OPERATION_TIMEDOUT);
	return 0;
}

/* ---- setting up ---- */

/* Of a body that lies in memory curl does not say when it begins it again. */
static int on_begin(void *userdata, char *peer, char *local, int peer_port,
		    int local_port)
{
	struct http_request *request = userdata;

	(void)peer;
	(void)local;
	(void)peer_port;
	(void)local_port;
	request->twice = request->twice || request->begun;
	request->begun = true;
	return CURL_PREREQFUNC_OK;
}

void http_body_send_whole(struct http_request *request)
{
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->size);
}

/* All of the file, or NULL: it has become shorter, or there is no memory, which shows
 * again where it is read piece by piece. The caller frees it. */
static char *read_whole(int fd, uint64_t size)
{
	_cleanup_free_ char *body = malloc(size);

	return body && pread(fd, body, size, 0) == (ssize_t)size ? take_ptr(body) : NULL;
}

/* A short file goes out with the head: one packet, and one call, in the place of two. No
 * share of a bandwidth that is limited can be kept so. Whether that is done. */
static bool send_file_whole(struct http_request *request, const char *method)
{
	if (request->size == 0 || request->size > WHOLE_MAX ||
	    !throttle_is_open(&request->http->throttle))
		return false;
	request->body = read_whole(request->file, request->size);
	if (!request->body)
		return false;
	http_body_send_whole(request);
	curl_easy_setopt(request->easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(request->easy, CURLOPT_PREREQFUNCTION, on_begin);
	curl_easy_setopt(request->easy, CURLOPT_PREREQDATA, request);
	return true;
}

void http_body_send_file(struct http_request *request, const struct http_call *call)
{
	CURL *easy = request->easy;
	long buffer = (long)MIN(call->file_size, (uint64_t)UPLOAD_BUFFER_MAX);

	if (request->http->bodies++ == 0)
		throttle_wake(&request->http->throttle, clock_monotonic());
	request->file = call->file;
	request->size = call->file_size;
	if (send_file_whole(request, call->method))
		return;
	request->lane = call->file_size <= SHORT_MAX ? LANE_SHORT : LANE_LONG;
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

void http_body_free_file(struct http_request *request)
{
	if (request->file >= 0)
		request->http->bodies--;
}

void http_body_receive(struct http_request *request)
{
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
}

void http_body_watch(struct http_request *request, const struct http_call *call)
{
	request->look_at = USEC_INFINITY;
	if (call->stall_timeout == USEC_INFINITY)
		return;
	request->stall_timeout = call->stall_timeout;
	request->mark_at = request->started;
	look_again(request, request->started);
}

void http_body_begin_again(struct http_request *request)
{
	http_body_leave(request);
	request->twice = request->twice || request->offset > 0;
	request->offset = request->share = request->mark = 0;
	request->held = false;
	request->mark_at = clock_monotonic();
	if (request->look_at != USEC_INFINITY)
		look_again(request, request->mark_at);
}

int http_body_init(struct http *http)
{
	int r;

	http->look_at = USEC_INFINITY;
	for (unsigned lane = 0; lane < LANES; lane++)
		TAILQ_INIT(&http->lanes[lane]);
	r = sd_event_add_time(http->event, &http->share_source, CLOCK_MONO, USEC_INFINITY,
			      USEC_PER_MSEC, on_share, http);
	if (r < 0)
		return r;
	return sd_event_add_time(http->event, &http->look_source, CLOCK_MONO,
				 USEC_INFINITY, USEC_PER_MSEC, on_look, http);
}

void http_body_done(struct http *http)
{
	sd_event_source_disable_unref(http->share_source);
	sd_event_source_disable_unref(http->look_source);
}
