#include <sys/socket.h>

#include "address.h"
#include "http-answer.h"
#include "http-body.h"
#include "http-pool.h"
#include "http.h"
#include "macro.h"

#define EXPECT_ABOVE ((uint64_t)1024 * 1024)
#define BEARER	     "Authorization: Bearer "
#define NO_EXPECT    "Expect:"
#define OWN_HEADERS  2 /* those two */
/* As curl itself takes a URL apart. */
#define PARSE_FLAGS	   (CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS)
#define MILLISECONDS(usec) ((long)MIN((usec) / USEC_PER_MSEC + 1, (usec_t)LONG_MAX / 2))

/* ---- handles ---- */

static CURL *take_handle(struct http *http)
{
	if (http->spares == 0)
		return curl_easy_init();
	return http->spare[--http->spares];
}

/* Where a request broke off, header lines that curl made for it may still be in the
 * handle (7.88.1, also after a reset), and would go to whom the next one speaks with. */
static void put_handle(struct http *http, CURL *easy, bool clean)
{
	if (!clean || http->spares == HTTP_SPARES_MAX) {
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

	/* A handle of an old pool has seen other certificates. */
	if (request->easy)
		put_handle(http, request->easy,
			   request->clean && request->pool == http->pool);
	leave_pool(request);
	http_body_free_file(request);
	curl_url_cleanup(request->url);
	if (request->headers)
		explicit_bzero(request->headers, request->headers_size);
	free(request->headers);
	if (request->body)
		explicit_bzero(request->body, request->size);
	free(request->body);
	if (request->answer)
		explicit_bzero(request->answer, request->length);
	free(request->answer);
	free(request);
}

/* ---- a connection that was dead ---- */

/* No line came back on a connection that had been used before: it may have been dead for
 * long, and that is no word about the service. curl notices some such, and then tries
 * another one, five times at the most (7.88.1), and all of them may be dead. */
static bool was_dead(const struct http_request *request, enum transport transport)
{
	curl_off_t begun = 0;
	long connects = 1;

	if (request->anew || request->head > 0 ||
	    (transport != TRANSPORT_RESET && transport != TRANSPORT_TIMEOUT &&
	     transport != TRANSPORT_STALL))
		return false;
	/* A connection that did not come about does not count as one either. */
	curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connects);
	curl_easy_getinfo(request->easy, CURLINFO_PRETRANSFER_TIME_T, &begun);
	return connects == 0 && begun > 0;
}

/* curl tried a dead connection first, whose end it still gives as the reason, and then
 * got to none: why not, only another try can tell. */
static bool was_misled(const struct http_request *request, enum transport transport)
{
	return request->misled && !request->anew &&
	       (transport == TRANSPORT_RESOLVE || transport == TRANSPORT_CONNECT ||
		transport == TRANSPORT_TLS);
}

/* The others that lie idle there are left behind: they have seen the same. */
static int leave_connections(struct http *http)
{
	struct pool *pool;
	int r = http_pool_new(http, &pool);

	if (r < 0)
		return r;
	http->pool = pool;
	return sd_event_source_set_enabled(http->sweep_source, SD_EVENT_ONESHOT);
}

static void begin_again(struct http_request *request)
{
	http_body_begin_again(request);
	if (request->answer)
		explicit_bzero(request->answer, request->length);
	request->length = 0;
	request->problem[0] = '\0';
	request->stalled = request->misled = false;
	request->anew = true;
	curl_easy_setopt(request->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(request->easy, CURLOPT_CLOSESOCKETDATA, request->pool);
}

/* Once, as the new connection is one that was not used before. 0 or a negative errno: it
 * has ended. */
static int try_anew(struct http_request *request)
{
	struct http *http = request->http;
	int r = request->pool == http->pool ? leave_connections(http) : 0;

	if (r == 0 && !http->pool->multi)
		r = http_pool_open(http->pool);
	if (r < 0 || http->pool->broken)
		return r < 0 ? r : -ENOMEM;
	(void)curl_multi_remove_handle(request->pool->multi, request->easy);
	leave_pool(request);
	request->pool = http->pool;
	request->pool->requests++;
	begin_again(request);
	return curl_multi_add_handle(request->pool->multi, request->easy) == CURLM_OK
		       ? 0
		       : -ENOMEM;
}

/* Callbacks may start and cancel requests. */
static void finish(struct http_request *request, CURLcode code)
{
	struct http_answer answer;
	struct http_look look;

	http_answer_read(request, code, &answer, &look);
	if (was_dead(request, answer.transport) ||
	    was_misled(request, answer.transport)) {
		request->shortage = try_anew(request);
		if (request->shortage == 0)
			return;
		http_answer_read(request, CURLE_OUT_OF_MEMORY, &answer, &look);
	}
	/* Moved to another pool, a handle may have seen other certificates. */
	request->clean = code == CURLE_OK && !request->anew;
	http_body_leave(request);
	LIST_REMOVE(request, link);
	(void)curl_multi_remove_handle(request->pool->multi, request->easy);
	request->done(request->userdata, &answer);
	request_free(request);
}

/* ---- setting up ---- */

static bool is_http(CURLU *url)
{
	char *scheme = NULL;
	bool is;

	(void)curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	is = streq(scheme, "http") || streq(scheme, "https");
	curl_free(scheme);
	return is;
}

/* A copy of a URL would lose it (7.88.1). */
static bool has_zone(CURLU *url)
{
	char *zone = NULL;
	bool has = curl_url_get(url, CURLUPART_ZONEID, &zone, 0) != CURLUE_NO_ZONEID;

	curl_free(zone);
	return has;
}

DEFINE_CLEANUP(CURLU *, url_cleanupp, curl_url_cleanup)

static CURLU *take_apart(const char *text)
{
	_cleanup_(url_cleanupp) CURLU *url = curl_url();

	if (!url || curl_url_set(url, CURLUPART_URL, text, PARSE_FLAGS) != CURLUE_OK ||
	    !is_http(url) || has_zone(url))
		return NULL;
	return take_ptr(url);
}

/* As curl would take @text apart for each request. The last one is kept, since Create
 * Asset is asked at the same URL for each file. NULL: it is left to curl. */
static CURLU *parts_of(struct http *http, const char *text)
{
	char *copy;

	if (streq(http->last_text, text))
		return http->last_parts;
	copy = strdup(text);
	if (!copy)
		return NULL;
	free(http->last_text);
	curl_url_cleanup(http->last_parts);
	http->last_text = copy;
	http->last_parts = take_apart(text);
	return http->last_parts;
}

/* The text alone would do, but curl would take it apart, and then write down what it
 * found, a byte at a time. Of two, it goes by the parts. */
static int set_url(struct http_request *request, const struct http_call *call)
{
	CURLU *parts = call->parts ? call->parts : parts_of(request->http, call->url);

	if (curl_easy_setopt(request->easy, CURLOPT_URL, call->url) != CURLE_OK)
		return -ENOMEM;
	if (!parts) {
		/* It says what is wrong with it. */
		curl_easy_setopt(request->easy, CURLOPT_PROTOCOLS_STR, "http,https");
		return 0;
	}
	request->url = curl_url_dup(parts);
	if (!request->url)
		return -ENOMEM;
	curl_easy_setopt(request->easy, CURLOPT_CURLU, request->url);
	return 0;
}

static void add_header(struct curl_slist *node, char **end, const char *before,
		       const char *text)
{
	node->data = *end;
	node->next = node + 1;
	*end = stpcpy(stpcpy(*end, before), text) + 1;
}

/* The list, and what it says behind it, in one block: curl copies neither, so the token
 * is in no handle, and can be wiped. */
static int set_headers(struct http_request *request, const struct http_call *call)
{
	size_t given = call->headers ? call->headers->count : 0, size;
	struct curl_slist *node;
	char *end;

	size = (given + OWN_HEADERS) * sizeof(*node) + sizeof(NO_EXPECT);
	for (size_t i = 0; i < given; i++)
		size += strlen(call->headers->items[i]) + 1;
	if (call->bearer)
		size += STRLEN(BEARER) + strlen(call->bearer) + 1;
	request->headers = node = malloc(size);
	if (!node)
		return -ENOMEM;
	request->headers_size = size;
	end = (char *)(node + given + OWN_HEADERS);
	if (call->bearer)
		add_header(node++, &end, BEARER, call->bearer);
	for (size_t i = 0; i < given; i++)
		add_header(node++, &end, "", call->headers->items[i]);
	/* To ask first whether the body is welcome costs a small one more than it saves,
	 * and a second where the server does not know the question. */
	if (!call->body && call->file_size <= EXPECT_ABOVE)
		add_header(node++, &end, "", NO_EXPECT);
	if (node == request->headers)
		return 0;
	node[-1].next = NULL;
	curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
	return 0;
}

static int set_body(struct http_request *request, const struct http_call *call)
{
	if (streq(call->method, "GET")) {
		curl_easy_setopt(request->easy, CURLOPT_HTTPGET, 1L);
		return 0;
	}
	if (!call->body) {
		http_body_send_file(request, call);
		return 0;
	}
	request->body = malloc(call->body_length + 1);
	if (!request->body)
		return -ENOMEM;
	memcpy(request->body, call->body, call->body_length);
	request->size = call->body_length;
	http_body_send_whole(request);
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
	if (fd >= 0) {
		sockets_opened(&request->pool->sockets, fd);
		return fd;
	}
	if (errno_is_shortage(-errno))
		http_pool_starve(request, -errno);
	return CURL_SOCKET_BAD;
}

static int on_close_socket(void *userdata, curl_socket_t fd)
{
	struct pool *pool = userdata;

	sockets_closed(&pool->sockets, fd);
	return close(fd);
}

static void set_common(struct http_request *request, const struct http_call *call)
{
	const struct http_settings *settings = &request->http->settings;
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else whatever ends it waits for the thread that looks up the name, which may
	 * take a minute where the name servers keep silent. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->problem);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS,
			 1L); /* a signed path must stay as it is */
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "asset-agent/" VERSION);
	http_body_receive(request);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, request->pool);
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
	/* Else it would look through the environment for each request. */
	if (request->http->direct)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
}

/* Of a connection that is used again, nothing would be told. */
static void set_look(struct http_request *request)
{
	request->look = true;
	curl_easy_setopt(request->easy, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(request->easy, CURLOPT_FRESH_CONNECT, 1L);
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
	r = set_url(request, call);
	if (r == 0)
		r = set_headers(request, call);
	if (r == 0)
		r = set_body(request, call);
	if (r == 0)
		http_body_watch(request, call);
	return r;
}

int http_start(struct http *http, const struct http_call *call, http_done_fn done,
	       void *userdata, struct http_request **ret_request)
{
	struct pool *pool = http->pool;
	struct http_request *request;
	int r = pool->multi ? 0 : http_pool_open(pool);

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
	http_body_leave(request);
	LIST_REMOVE(request, link);
	(void)curl_multi_remove_handle(request->pool->multi, request->easy);
	request_free(request);
}

uint64_t http_sent(const struct http_request *request)
{
	curl_off_t sent = 0;

	curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	return (uint64_t)sent;
}

uint64_t http_moved(const struct http_request *request)
{
	return http_sent(request) + request->length;
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
			http_pool_free(pool);
	}
	return 0;
}

/* ---- settings ---- */

/* Which one, is curl's to find out. */
static bool environment_has_proxy(void)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
					     "all_proxy", "ALL_PROXY" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (getenv(names[i]))
			return true;
	return false;
}

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
	r = http_pool_new(http, &pool);
	if (r < 0) {
		settings_done(&copy);
		return r;
	}
	settings_done(&http->settings);
	http->settings = copy;
	http->direct = !copy.proxy && !environment_has_proxy();
	http_body_set_bandwidth(http, copy.bandwidth ? copy.bandwidth : UINT64_MAX);
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
	r = http_body_init(http);
	if (r < 0)
		return r;
	r = http_renew(http, settings);
	return r < 0 ? r : http_pool_open(http->pool);
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
	http->finish = finish;
	LIST_INIT(&http->pools);
	LIST_INIT(&http->requests);
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
		http_pool_free(LIST_FIRST(&http->pools));
	sd_event_source_disable_unref(http->sweep_source);
	http_body_done(http);
	curl_url_cleanup(http->last_parts);
	free(http->last_text);
	settings_done(&http->settings);
	curl_global_cleanup();
	free(http);
}
