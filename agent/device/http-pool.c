#include "http-pool.h"
#include "macro.h"

#define SOCKETS_MAX    4096
#define SOCKETS_A_TURN 64 /* then the loop's other sources get theirs */

/* ---- curl on sd-event ---- */

void http_pool_starve(struct http_request *request, int error)
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

/* Tells what has ended. Callbacks may start and cancel requests, so each one is taken out
 * of curl before it is told of. */
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
		pool->http->finish(request, message->data.result);
	}
	while ((starved = find_starved(pool->http)))
		pool->http->finish(starved, CURLE_OUT_OF_MEMORY);
}

/* Lets curl go on with @fd, or (CURL_SOCKET_TIMEOUT) with what is due. False: it is of no
 * more use. */
static bool act(struct pool *pool, curl_socket_t fd, int action)
{
	int running;

	pool->broken = curl_multi_socket_action(pool->multi, fd, action, &running) !=
		       CURLM_OK;
	return !pool->broken;
}

/* After curl went on. Where it has no memory for that, it does not say whose request it
 * has lost sight of, and would wait for ever: all that are under way end. Nor does it
 * keep its sockets' tables whole (7.88.1 divides by zero in the next one), so it begins
 * anew. */
static void settle(struct pool *pool)
{
	struct http_request *request;

	if (pool->broken)
		LIST_FOREACH (request, &pool->http->requests, link)
			if (request->pool == pool)
				http_pool_starve(request, -ENOMEM);
	collect(pool);
	if (!pool->broken)
		return;
	(void)curl_multi_cleanup(take_ptr(pool->multi));
	(void)http_pool_open(pool); /* else the next start tries */
}

static int action_of(uint32_t events)
{
	int action = 0;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		action |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		action |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		action |= CURL_CSELECT_ERR;
	return action;
}

/* All that are ready in one turn of the loop. That one of them is curl's no more by the
 * time it comes to it, or is another by now, curl finds out by itself. */
static int on_sockets_ready(sd_event_source *source, int fd, uint32_t revents,
			    void *userdata)
{
	struct epoll_event events[SOCKETS_A_TURN];
	struct pool *pool = userdata;
	size_t count = sockets_ready(&pool->sockets, events, SOCKETS_A_TURN);

	(void)source;
	(void)fd;
	(void)revents;
	for (size_t i = 0; i < count; i++)
		if (!act(pool, events[i].data.fd, action_of(events[i].events)))
			break;
	settle(pool);
	return 0;
}

/* Never fails, as curl would be of no more use then: a request whose socket can't be
 * watched is ended by collect(). */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata,
		     void *socketp)
{
	static const uint32_t events[] = {
		[CURL_POLL_NONE] = 0,	    [CURL_POLL_IN] = EPOLLIN,
		[CURL_POLL_OUT] = EPOLLOUT, [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
		[CURL_POLL_REMOVE] = 0,
	};
	struct pool *pool = userdata;
	struct http_request *request = NULL;
	int r = sockets_want(&pool->sockets, fd, events[what]);

	(void)socketp;
	if (what == CURL_POLL_REMOVE)
		return 0;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&request);
	if (request && request->problem[0])
		request->misled = true;
	if (r < 0 && request)
		http_pool_starve(request, r);
	return 0;
}

static int on_due(sd_event_source *source, void *userdata)
{
	struct pool *pool = userdata;

	(void)source;
	(void)act(pool, CURL_SOCKET_TIMEOUT, 0);
	settle(pool);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)usec;
	return on_due(source, userdata);
}

/* A timeout of 0 means now, of -1 none. Each request begins with one of 0, for which no
 * clock need be set. */
static int on_timeout_set(CURLM *multi, long ms, void *userdata)
{
	struct pool *pool = userdata;
	bool later = ms > 0;
	usec_t at = usec_add(clock_monotonic(), (usec_t)MAX(ms, 0L) * USEC_PER_MSEC);

	(void)multi;
	if ((later && sd_event_source_set_time(pool->timer, at) < 0) ||
	    sd_event_source_set_enabled(pool->timer,
					later ? SD_EVENT_ONESHOT : SD_EVENT_OFF) < 0 ||
	    sd_event_source_set_enabled(pool->due,
					ms == 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF) < 0)
		return -1;
	return 0;
}

/* ---- pools ---- */

int http_pool_open(struct pool *pool)
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

void http_pool_free(struct pool *pool)
{
	LIST_REMOVE(pool, link);
	/* Closing connections still calls back for their sockets. */
	if (pool->multi)
		curl_multi_cleanup(pool->multi);
	sd_event_source_disable_unref(pool->timer);
	sd_event_source_disable_unref(pool->due);
	sd_event_source_disable_unref(pool->ready);
	sockets_done(&pool->sockets);
	free(pool);
}

static int add_sources(struct pool *pool)
{
	sd_event *event = pool->http->event;
	int r = sockets_init(&pool->sockets);

	if (r < 0)
		return r;
	r = sd_event_add_io(event, &pool->ready, pool->sockets.fd, EPOLLIN,
			    on_sockets_ready, pool);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &pool->timer, CLOCK_MONO, USEC_INFINITY,
			      USEC_PER_MSEC, on_timer, pool);
	if (r < 0)
		return r;
	r = sd_event_add_defer(event, &pool->due, on_due, pool);
	return r < 0 ? r : sd_event_source_set_enabled(pool->due, SD_EVENT_OFF);
}

int http_pool_new(struct http *http, struct pool **ret)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	pool->http = http;
	LIST_INSERT_HEAD(&http->pools, pool, link);
	r = add_sources(pool);
	if (r < 0) {
		http_pool_free(pool);
		return r;
	}
	*ret = pool;
	return 0;
}
