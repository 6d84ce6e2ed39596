/*
 * HTTP against a peer that says, byte by byte, what each test wants it to say.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <curl/curl.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "http.h"
#include "scratch.h"
#include "throttle.h"

#define S USEC_PER_SEC

/* Nothing here takes so long; it only keeps a broken program from hanging the run. */
#define PATIENCE (PATIENCE_SECONDS * S)

/* ---- the peer ---- */

enum act {
	ACT_END,
	ACT_ACCEPT,
	ACT_HEAD,  /* reads to the empty line */
	ACT_BODY,  /* reads n bytes */
	ACT_SAY,   /* text, or n bytes of it */
	ACT_DRIP,  /* text, byte by byte, each half a second after the one before */
	ACT_POUR,  /* n times a block of 8 KiB, each half a second after the one before */
	ACT_SIP,   /* read n bytes each half a second, until the other side is gone */
	ACT_FLOOD, /* text, again and again until the other side hangs up */
	ACT_FIN,   /* says no more */
	ACT_GONE,  /* reads until the other side hangs up */
	ACT_HOLD,  /* does nothing until the test hangs up for it */
	ACT_SHUT,  /* listens no more */
	ACT_CLOSE,
	ACT_RESET,
};

struct step {
	enum act act;
	const char *text;
	size_t n;
};

#define ACCEPT \
	{ \
		.act = ACT_ACCEPT \
	}
#define HEAD \
	{ \
		.act = ACT_HEAD \
	}
#define BODY(k) \
	{ \
		.act = ACT_BODY, .n = (k) \
	}
#define SAY(t) \
	{ \
		.act = ACT_SAY, .text = (t) \
	}
#define SAY_N(t, k) \
	{ \
		.act = ACT_SAY, .text = (t), .n = (k) \
	}
#define POUR(k) \
	{ \
		.act = ACT_POUR, .n = (k) \
	}
#define SIP(k) \
	{ \
		.act = ACT_SIP, .n = (k) \
	}
#define DRIP(t) \
	{ \
		.act = ACT_DRIP, .text = (t) \
	}
#define FLOOD(t) \
	{ \
		.act = ACT_FLOOD, .text = (t) \
	}
#define FIN \
	{ \
		.act = ACT_FIN \
	}
#define HOLD \
	{ \
		.act = ACT_HOLD \
	}
#define GONE \
	{ \
		.act = ACT_GONE \
	}
#define SHUT \
	{ \
		.act = ACT_SHUT \
	}
#define CLOSE \
	{ \
		.act = ACT_CLOSE \
	}
#define RESET \
	{ \
		.act = ACT_RESET \
	}
#define END \
	{ \
		.act = ACT_END \
	}

enum { KEPT_MAX = 4 * 1024 * 1024 };

struct peer {
	const struct step *steps;
	int listener, fd;
	uint16_t port;
	pthread_t thread;
	/* Of what came; to be read once it was joined. */
	char *heads, *body;
	size_t head_length, body_length;
	atomic_uint accepted, heads_read;
	const struct step *stuck; /* the step that can't be done */
};

static bool peer_accept(struct peer *p)
{
	const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	struct pollfd ready = { .fd = p->listener, .events = POLLIN };

	if (poll(&ready, 1, PATIENCE_SECONDS * 1000) != 1)
		return false;
	close_fd(p->fd);
	p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	(void)setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	p->accepted++;
	return p->fd >= 0;
}

static bool peer_read_head(struct peer *p)
{
	size_t start = p->head_length;

	while (p->head_length - start < 4 ||
	       memcmp(p->heads + p->head_length - 4, "\r\n\r\n", 4) != 0) {
		if (p->head_length == KEPT_MAX - 1 ||
		    recv(p->fd, p->heads + p->head_length, 1, 0) != 1)
			return false;
		p->head_length++;
	}
	p->heads_read++;
	return true;
}

static bool peer_read_body(struct peer *p, size_t n)
{
	while (n > 0) {
		size_t room = MIN(n, KEPT_MAX - p->body_length);
		ssize_t got = recv(p->fd, p->body + p->body_length, room, 0);

		if (got <= 0)
			return false;
		p->body_length += (size_t)got;
		n -= (size_t)got;
	}
	return true;
}

static bool peer_say(struct peer *p, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t put = send(p->fd, text, n, MSG_NOSIGNAL);

		if (put <= 0)
			return false;
		text += put;
		n -= (size_t)put;
	}
	return true;
}

static bool peer_drip(struct peer *p, const char *text)
{
	for (; *text; text++) {
		/* Time is what is tested here. */
		poll(NULL, 0, 500);
		if (!peer_say(p, text, 1))
			return false;
	}
	return true;
}

static bool peer_pour(struct peer *p, size_t blocks)
{
	static const char block[8192];

	for (; blocks > 0; blocks--) {
		poll(NULL, 0, 500);
		if (!peer_say(p, block, sizeof(block)))
			return false;
	}
	return true;
}

/* With so small a buffer, what it has not read lies with the one that sends. */
static bool peer_sip(struct peer *p, size_t n)
{
	struct pollfd hung_up = { .fd = p->fd, .events = POLLRDHUP };
	char sip[64];

	while (poll(&hung_up, 1, 500) == 0)
		if (recv(p->fd, sip, MIN(n, sizeof(sip)), MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			return false;
	return true;
}

static bool peer_wait_gone(struct peer *p)
{
	static char dump[65536];
	ssize_t n;

	while ((n = recv(p->fd, dump, sizeof(dump), MSG_TRUNC)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

static bool peer_hold(struct peer *p)
{
	struct pollfd hung_up = { .fd = p->fd, .events = POLLRDHUP };

	return poll(&hung_up, 1, PATIENCE_SECONDS * 1000) == 1;
}

static bool peer_act(struct peer *p, const struct step *s)
{
	const struct linger hard = { .l_onoff = 1 };

	switch (s->act) {
	case ACT_END: break;
	case ACT_ACCEPT: return peer_accept(p);
	case ACT_HEAD: return peer_read_head(p);
	case ACT_BODY: return peer_read_body(p, s->n);
	case ACT_SAY: return peer_say(p, s->text, s->n ? s->n : strlen(s->text));
	case ACT_DRIP: return peer_drip(p, s->text);
	case ACT_POUR: return peer_pour(p, s->n);
	case ACT_SIP: return peer_sip(p, s->n);
	case ACT_FLOOD:
		while (peer_say(p, s->text, strlen(s->text)))
			;
		return errno == EPIPE || errno == ECONNRESET;
	case ACT_FIN: return shutdown(p->fd, SHUT_WR) == 0;
	case ACT_HOLD: return peer_hold(p);
	case ACT_GONE: return peer_wait_gone(p);
	case ACT_SHUT: p->listener = close_fd(p->listener); break;
	case ACT_RESET:
		(void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		/* fall through */
	case ACT_CLOSE: p->fd = close_fd(p->fd); break;
	}
	return true;
}

static void *peer_run(void *userdata)
{
	struct peer *p = userdata;

	for (const struct step *s = p->steps; s->act != ACT_END && !p->stuck; s++)
		if (!peer_act(p, s))
			p->stuck = s;
	p->fd = close_fd(p->fd);
	return NULL;
}

static struct peer *peer_start(const struct step *steps)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	struct peer *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->steps = steps;
	p->fd = -1;
	p->heads = calloc(1, KEPT_MAX);
	p->body = calloc(1, KEPT_MAX);
	assert_true(p->heads && p->body);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (void *)&address, length), 0);
	assert_int_equal(listen(p->listener, 8), 0);
	assert_int_equal(getsockname(p->listener, (void *)&address, &length), 0);
	p->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&p->thread, NULL, peer_run, p), 0);
	return p;
}

static void peer_free(struct peer *p)
{
	close_fd(p->listener);
	free(p->heads);
	free(p->body);
	free(p);
}

DEFINE_CLEANUP(struct peer *, peer_freep, peer_free)
#define _cleanup_peer_ _cleanup_(peer_freep)

/* Waits until it has done all its steps. */
static void peer_join(struct peer *p)
{
	assert_int_equal(pthread_join(p->thread, NULL), 0);
	if (p->stuck)
		fail_msg("the peer is stuck in step %td", p->stuck - p->steps);
}

static const char *url_of(const struct peer *p)
{
	static char urls[4][64];
	static unsigned next;
	char *url = urls[next++ % ARRAY_SIZE(urls)];

	snprintf(url, sizeof(urls[0]), "http://127.0.0.1:%u/path", p->port);
	return url;
}

/* ---- the client ---- */

struct client {
	sd_event *event;
	struct http *http;
};

/* What was told, kept. */
struct told {
	unsigned times;
	struct http_answer answer;
	char body[HTTP_ANSWER_MAX + 1], problem[512];
	/* Done from within the callback. */
	struct client *client;
	struct http_request *cancel;
	const struct http_call *start;
	struct told *started;
};

static void on_done(void *userdata, const struct http_answer *answer)
{
	struct told *told = userdata;

	told->times++;
	told->answer = *answer;
	assert_true(answer->body && answer->length <= HTTP_ANSWER_MAX);
	assert_int_equal(answer->body[answer->length], '\0');
	memcpy(told->body, answer->body, answer->length + 1);
	snprintf(told->problem, sizeof(told->problem), "%s", answer->problem);
	/* "" exactly when answered. */
	assert_int_equal(!told->problem[0], answer->transport == TRANSPORT_ANSWERED);
	http_cancel(take_ptr(told->cancel));
	if (told->start)
		assert_int_equal(http_start(told->client->http, told->start, on_done,
					    told->started, NULL),
				 0);
}

static struct client client_make(struct http_settings settings)
{
	struct client c = {};

	if (!settings.connect_timeout)
		settings.connect_timeout = 10 * S;
	if (!settings.connections_max)
		settings.connections_max = 16;
	assert_int_equal(sd_event_new(&c.event), 0);
	assert_int_equal(http_new(c.event, &settings, &c.http), 0);
	return c;
}

static void client_done(struct client *c)
{
	http_free(c->http);
	sd_event_unref(c->event);
}

#define _cleanup_client_ _cleanup_(client_done)

/* Runs the loop until @told was told. */
static void await(struct client *c, const struct told *told)
{
	usec_t deadline = clock_monotonic() + PATIENCE;

	while (told->times == 0) {
		if (clock_monotonic() > deadline)
			fail_msg("nothing was told");
		assert_true(sd_event_run(c->event, S) >= 0);
	}
}

static struct http_call call_to(const char *url)
{
	return (struct http_call){ .method = "GET",
				   .url = url,
				   .file = -1,
				   .timeout = PATIENCE,
				   .stall_timeout = USEC_INFINITY };
}

static void ask(struct client *c, const struct http_call *call, struct told *told)
{
	memset(told, 0, sizeof(*told));
	assert_int_equal(http_start(c->http, call, on_done, told, NULL), 0);
	assert_int_equal(told->times, 0); /* never from within */
	await(c, told);
	assert_int_equal(told->times, 1);
}

/* One call to a peer of its own that does @steps. */
static struct peer *exchange(const struct step *steps, struct http_call call,
			     struct told *told)
{
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	struct peer *p = peer_start(steps);

	call.url = url_of(p);
	ask(&c, &call, told);
	/* Kept connections end here, and with them a peer that waits for that. */
	http_free(take_ptr(c.http));
	peer_join(p);
	return p;
}

/* ---- answers ---- */

#define DATE "Date: Mon, 23 Nov 2026 10:15:00 GMT\r\n"
#define NONE "Content-Length: 0\r\n\r\n"

static const struct {
	const char *name, *text;
	int status;
	const char *body;
	bool dated;
	usec_t wait;
} ANSWERS[] = {
	{ "plain", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello",
	  false, 0 },
	{ "Date", "HTTP/1.1 200 OK\r\n" DATE NONE, 200, "", true, 0 },
	{ "a date that is none", "HTTP/1.1 200 OK\r\nDate: yesterday\r\n" NONE, 200, "",
	  false, 0 },
	{ "chunks",
	  "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
	  201, "hello", false, 0 },
	{ "until the end", "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello", false, 0 },
	{ "no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, 0 },
	{ "continue first",
	  "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\nHTTP/1.1 200 OK\r\n" NONE, 200,
	  "", false, 0 },
	{ "redirects are not followed",
	  "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n" NONE, 302, "", false,
	  0 },
	{ "401", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n" NONE, 401,
	  "", false, 0 },
	{ "500 and a body", "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}", 500, "{}",
	  false, 0 },

	{ "wait: seconds", "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n" NONE, 503, "", false,
	  7 * S },
	{ "wait: zero", "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n" NONE, 503, "", false,
	  0 },
	{ "wait: in any case", "HTTP/1.1 429 Slow\r\nrETRY-aFTER:  8 \r\n" NONE, 429, "",
	  false, 8 * S },
	{ "wait: a day is too long", "HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\n" NONE,
	  503, "", false, USEC_PER_HOUR },
	{ "wait: past all numbers",
	  "HTTP/1.1 503 Busy\r\nRetry-After: 99999999999999999999999\r\n" NONE, 503, "",
	  false, USEC_PER_HOUR },
	{ "wait: less than nothing", "HTTP/1.1 503 Busy\r\nRetry-After: -5\r\n" NONE, 503,
	  "", false, 0 },
	{ "wait: nothing", "HTTP/1.1 503 Busy\r\nRetry-After:\r\n" NONE, 503, "", false,
	  0 },
	{ "wait: words", "HTTP/1.1 503 Busy\r\nRetry-After: soon\r\n" NONE, 503, "",
	  false, 0 },
	{ "wait: until",
	  "HTTP/1.1 503 Busy\r\n" DATE
	  "Retry-After: Mon, 23 Nov 2026 10:16:30 GMT\r\n" NONE,
	  503, "", true, 90 * S },
	{ "wait: until, in the past",
	  "HTTP/1.1 503 Busy\r\n" DATE
	  "Retry-After: Mon, 23 Nov 2026 10:14:30 GMT\r\n" NONE,
	  503, "", true, 0 },
	{ "wait: until, without a Date",
	  "HTTP/1.1 503 Busy\r\nRetry-After: Tue, 01 Jan 2999 00:00:00 GMT\r\n" NONE, 503,
	  "", false, USEC_PER_HOUR },
	{ "reset: an HTTP date",
	  "HTTP/1.1 429 Slow\r\n" DATE
	  "X-RateLimit-Reset: Mon, 23 Nov 2026 10:15:20 GMT\r\n" NONE,
	  429, "", true, 20 * S },
	{ "reset: RFC 3339",
	  "HTTP/1.1 429 Slow\r\n" DATE
	  "X-RateLimit-Reset: 2026-11-23T10:15:01.500Z\r\n" NONE,
	  429, "", true, 1500 * USEC_PER_MSEC },
	{ "reset: seconds since 1970",
	  "HTTP/1.1 429 Slow\r\n" DATE "X-RateLimit-Reset: 1795428930\r\n" NONE, 429, "",
	  true, 30 * S },
	{ "reset: in the past",
	  "HTTP/1.1 429 Slow\r\n" DATE "X-RateLimit-Reset: 1795428890\r\n" NONE, 429, "",
	  true, 0 },
	{ "reset: past all numbers",
	  "HTTP/1.1 429 Slow\r\n" DATE
	  "X-RateLimit-Reset: 99999999999999999999999\r\n" NONE,
	  429, "", true, USEC_PER_HOUR },
	{ "both: Retry-After counts",
	  "HTTP/1.1 429 Slow\r\n" DATE
	  "X-RateLimit-Reset: 1795428930\r\nRetry-After: 5\r\n" NONE,
	  429, "", true, 5 * S },
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ANSWERS); i++) {
		const struct step steps[] = { ACCEPT, HEAD, SAY(ANSWERS[i].text),
					      FIN,    GONE, END };
		static struct told told;
		_cleanup_peer_ struct peer *p = exchange(steps, call_to(NULL), &told);

		if (told.answer.transport != TRANSPORT_ANSWERED ||
		    told.answer.status != ANSWERS[i].status ||
		    !streq(told.body, ANSWERS[i].body) ||
		    told.answer.length != strlen(ANSWERS[i].body) ||
		    told.answer.retry_after != ANSWERS[i].wait ||
		    told.answer.date != (ANSWERS[i].dated ? 1795428900 * S : 0))
			fail_msg("%s: %d, status %d, wait %ju, date %ju", ANSWERS[i].name,
				 told.answer.transport, told.answer.status,
				 (uintmax_t)told.answer.retry_after,
				 (uintmax_t)told.answer.date);
		assert_true(startswith(p->heads, "GET /path HTTP/1.1\r\n"));
		assert_int_equal(told.answer.sent, 0);
		assert_true(told.answer.duration > 0);
	}
}

static const struct step NO_STEPS[] = { END };

static const struct {
	const char *name;
	struct step steps[6];
	enum transport transport;
	int status; /* when answered */
} BROKEN[] = {
	{ "closed", { ACCEPT, HEAD, CLOSE }, TRANSPORT_RESET, 0 },
	{ "reset", { ACCEPT, HEAD, RESET }, TRANSPORT_RESET, 0 },
	{ "reset in the head",
	  { ACCEPT, HEAD, SAY("HTTP/1.1 200 OK\r\nConte"), RESET },
	  TRANSPORT_RESET,
	  0 },
	{ "cut short",
	  { ACCEPT, HEAD, SAY("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), CLOSE },
	  TRANSPORT_RESET,
	  0 },
	{ "cut between chunks",
	  { ACCEPT, HEAD,
	    SAY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"),
	    CLOSE },
	  TRANSPORT_RESET,
	  0 },
	{ "a refusal that is cut short is still one",
	  { ACCEPT, HEAD, SAY("HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n{"), CLOSE },
	  TRANSPORT_ANSWERED,
	  403 },
	{ "not HTTP",
	  { ACCEPT, HEAD, SAY("SSH-2.0-OpenSSH_9.2\r\n"), CLOSE },
	  TRANSPORT_GARBAGE,
	  0 },
	{ "a status that is none",
	  { ACCEPT, HEAD, SAY("HTTP/1.1 9 Nine\r\n" NONE), GONE },
	  TRANSPORT_GARBAGE,
	  0 },
	{ "a length that is none",
	  { ACCEPT, HEAD, SAY("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), GONE },
	  TRANSPORT_GARBAGE,
	  0 },
	{ "endless",
	  { ACCEPT, HEAD, SAY("HTTP/1.1 200 OK\r\n\r\n"), FLOOD("xxxxxxxxxxxxxxxx") },
	  TRANSPORT_GARBAGE,
	  0 },
	{ "an endless refusal",
	  { ACCEPT, HEAD, SAY("HTTP/1.1 500 No\r\n\r\n"), FLOOD("xxxxxxxxxxxxxxxx") },
	  TRANSPORT_GARBAGE,
	  0 },
	{ "an endless line",
	  { ACCEPT, HEAD, SAY("HTTP/1.1 200 OK\r\nX: "), FLOOD("xxxxxxxxxxxxxxxx") },
	  TRANSPORT_GARBAGE,
	  0 },
	{ "an endless trailer",
	  { ACCEPT, HEAD,
	    SAY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
	    FLOOD("X-More: and more\r\n") },
	  TRANSPORT_GARBAGE,
	  0 },
	{ "endless heads",
	  { ACCEPT, HEAD, FLOOD("HTTP/1.1 100 Continue\r\n\r\n") },
	  TRANSPORT_GARBAGE,
	  0 },
	{ "an endless first line",
	  { ACCEPT, HEAD, SAY("HTTP/1.1 200 "), FLOOD("xxxxxxxxxxxxxxxx") },
	  TRANSPORT_GARBAGE,
	  0 },
};

static void test_broken_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(BROKEN); i++) {
		static struct told told;

		peer_free(exchange(BROKEN[i].steps, call_to(NULL), &told));
		if (told.answer.transport != BROKEN[i].transport ||
		    (BROKEN[i].status && told.answer.status != BROKEN[i].status))
			fail_msg("%s: %d, status %d, %s", BROKEN[i].name,
				 told.answer.transport, told.answer.status, told.problem);
	}
}

/* Which of the two depends on curl's version; never an answer, and it ends. */
static void test_endless_head(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD, SAY("HTTP/1.1 200 OK\r\n"),
					     FLOOD("X-More: and more\r\n"), END };
	static struct told told;
	struct peer *p = exchange(steps, call_to(NULL), &told);

	(void)state;
	assert_true(told.answer.transport == TRANSPORT_RESET ||
		    told.answer.transport == TRANSPORT_GARBAGE);
	peer_free(p);
}

/* A body as long as may be, with NULs in it, and one byte more. */
static void test_longest_answer(void **state)
{
	static char text[HTTP_ANSWER_MAX + 200];

	(void)state;
	for (size_t more = 0; more < 2; more++) {
		size_t length = HTTP_ANSWER_MAX + more;
		size_t head = (size_t)snprintf(
			text, 100, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
			length);
		const struct step steps[] = { ACCEPT, HEAD, SAY_N(text, head + length),
					      GONE, END };
		static struct told told;
		struct peer *p;

		memset(text + head, 0, length);
		text[head + length - 1] = '!';
		p = exchange(steps, call_to(NULL), &told);
		assert_int_equal(told.answer.transport,
				 more ? TRANSPORT_GARBAGE : TRANSPORT_ANSWERED);
		if (!more) {
			assert_int_equal(told.answer.length, length);
			assert_memory_equal(told.body, text + head, length);
		}
		peer_free(p);
	}
}

#define NO_SUCH_NAME \
	"http://a-label-that-is-longer-than-the-sixty-three-bytes-that-a-label-may-have/"

static void test_no_connection(void **state)
{
	static const struct {
		const char *name, *url;
		enum transport transport;
	} table[] = {
		{ "refused", NULL, TRANSPORT_CONNECT },
		{ "no such name", NO_SUCH_NAME, TRANSPORT_RESOLVE },
		{ "no URL", "http://[::1", TRANSPORT_REFUSED_URL },
		{ "empty", "", TRANSPORT_REFUSED_URL },
		{ "another scheme", "file:///etc/passwd", TRANSPORT_GARBAGE },
	};
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(NO_STEPS);
	const char *nobody = url_of(p);

	(void)state;
	peer_join(p);
	p->listener = close_fd(p->listener);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct http_call call = call_to(table[i].url ? table[i].url
								   : nobody);
		static struct told told;

		ask(&c, &call, &told);
		if (told.answer.transport != table[i].transport)
			fail_msg("%s: %d, %s", table[i].name, told.answer.transport,
				 told.problem);
	}
}

/* A name that can't be looked up for want of descriptors may well be there. */
static void test_no_descriptors(void **state)
{
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	const struct http_call call = call_to(NO_SUCH_NAME);
	static struct told told;
	struct rlimit before;
	int taken[64], count = 0;

	(void)state;
	assert_int_equal(prlimit(0, RLIMIT_NOFILE, NULL, &before), 0);
	assert_int_equal(
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, before.rlim_max }), 0);
	while ((taken[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	ask(&c, &call, &told);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	while (count > 0)
		(void)close(taken[--count]);
	assert_int_equal(told.answer.transport, TRANSPORT_LOCAL);
	assert_int_equal(told.answer.error, -EMFILE);
	/* With some, it is the name. */
	ask(&c, &call, &told);
	assert_int_equal(told.answer.transport, TRANSPORT_RESOLVE);
}

static void test_no_tls(void **state)
{
	static const struct step steps[] = { ACCEPT, SAY("HTTP/1.1 400 Plain\r\n" NONE),
					     GONE, END };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(steps);
	static struct told told;
	struct http_call call;
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", p->port);
	call = call_to(url);
	ask(&c, &call, &told);
	assert_int_equal(told.answer.transport, TRANSPORT_TLS);
	peer_join(p);
}

/* ---- what is sent ---- */

#define OK	   "HTTP/1.1 200 OK\r\n" NONE
#define GO_ON	   "HTTP/1.1 100 Continue\r\n\r\n"
#define A_MEGABYTE ((size_t)1024 * 1024)

static int make_file(size_t size)
{
	int fd = memfd_create("content", MFD_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t at = 0; at < size;) {
		char block[8192];
		size_t n = MIN(sizeof(block), size - at);

		for (size_t i = 0; i < n; i++)
			block[i] = (char)((at + i) * 131 >> 5);
		assert_int_equal(write(fd, block, n), n);
		at += n;
	}
	return fd;
}

static bool same_content(int fd, const char *body, size_t length)
{
	const char *content = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
	bool same = content != MAP_FAILED && memcmp(content, body, length) == 0;

	munmap((void *)content, length);
	return same;
}

static struct http_call upload_of(const char *method, int fd, size_t size)
{
	struct http_call call = call_to(NULL);

	call.method = method;
	call.file = fd;
	call.file_size = size;
	return call;
}

static void test_exact_lengths(void **state)
{
	static const size_t sizes[] = {
		0,     1,      16383,	16384,		16385,
		70000, 524288, 1000000, A_MEGABYTE + 1, 3 * A_MEGABYTE
	};
	static const char *const methods[] = { "PUT", "POST" };

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		const char *method = methods[i % 2];
		size_t size = sizes[i / 2];
		/* Large ones ask first. */
		const struct step steps[] = {
			ACCEPT,	    HEAD,    SAY(size > A_MEGABYTE ? GO_ON : ""),
			BODY(size), SAY(OK), GONE,
			END
		};
		/* It grew since: no byte of that is sent. */
		_cleanup_close_ int fd = make_file(size + 1000);
		static struct told told;
		_cleanup_peer_ struct peer *p = exchange(steps,
							 upload_of(method, fd, size),
							 &told);
		char expected[64];

		assert_int_equal(told.answer.transport, TRANSPORT_ANSWERED);
		assert_int_equal(told.answer.status, 200);
		assert_int_equal(told.answer.sent, size);
		snprintf(expected, sizeof(expected), "%s /path HTTP/1.1\r\n", method);
		assert_true(startswith(p->heads, expected));
		snprintf(expected, sizeof(expected), "\r\nContent-Length: %zu\r\n", size);
		if (!strcasestr(p->heads, expected) ||
		    strcasestr(p->heads, "Transfer-Encoding"))
			fail_msg("%zu bytes: %s", size, p->heads);
		/* Only where the answer can save something. */
		assert_int_equal(strcasestr(p->heads, "\r\nExpect: 100-continue\r\n") !=
					 NULL,
				 size > A_MEGABYTE);
		assert_int_equal(p->body_length, size);
		assert_true(size == 0 || same_content(fd, p->body, size));
	}
}

static void test_text(void **state)
{
	static const char text[] = "{\"name\":\"a\0b\"}";
	const struct step steps[] = {
		ACCEPT, HEAD, BODY(STRLEN(text)), SAY(OK), GONE, END
	};
	static struct told told;
	char body[sizeof(text)];
	struct http_call call = call_to(NULL);
	struct peer *p;

	(void)state;
	call.method = "POST";
	call.body = memcpy(body, text, sizeof(text));
	call.body_length = STRLEN(text);
	p = exchange(steps, call, &told);
	assert_int_equal(told.answer.status, 200);
	assert_true(startswith(p->heads, "POST "));
	assert_int_equal(p->body_length, STRLEN(text));
	assert_memory_equal(p->body, text, STRLEN(text));
	peer_free(p);
}

static void test_source_fails(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD, GONE, END };
	static const char *const methods[] = { "PUT", "POST" };
	_cleanup_scratch_ struct scratch s = scratch_make();
	_cleanup_close_ int shorter = make_file(100000);

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(methods); i++) {
		/* It shrank; it can't be read (of a directory nobody can). */
		int fd = i % 2 ? s.fd : shorter;
		static struct told told;

		peer_free(exchange(steps, upload_of(methods[i / 2], fd, 300000), &told));
		assert_int_equal(told.answer.transport, TRANSPORT_SOURCE);
		assert_non_null(strstr(told.problem, i % 2 ? "directory" : "shorter"));
	}
}

/* Headers as they were given, the path as it is, and a token only where one is asked for.
 */
static void test_headers(void **state)
{
	static const struct step steps[] = { ACCEPT,  HEAD, SAY(OK), HEAD,
					     SAY(OK), GONE, END };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(steps);
	static struct told told;
	char *lines[] = { (char *)"X-One: 1", (char *)"Accept-Language: en-US" };
	const struct strv headers = { .items = lines, .count = ARRAY_SIZE(lines) };
	struct http_call call;
	char url[96], *second;

	(void)state;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/a/../b/./%%2e%%2F?sig=a%%2Bb",
		 p->port);
	call = call_to(url);
	call.headers = &headers;
	call.bearer = "the-token";
	ask(&c, &call, &told);
	assert_int_equal(told.answer.status, 200);
	/* Over the same connection and by the same handle. */
	call.headers = NULL;
	call.bearer = NULL;
	ask(&c, &call, &told);
	assert_int_equal(told.answer.status, 200);
	http_free(take_ptr(c.http));
	peer_join(p);
	assert_int_equal(p->accepted, 1);
	second = strstr(p->heads, "\r\n\r\n") + 4;
	assert_true(startswith(p->heads, "GET /a/../b/./%2e%2F?sig=a%2Bb HTTP/1.1\r\n"));
	assert_true(startswith(second, "GET /a/../b/./%2e%2F?sig=a%2Bb HTTP/1.1\r\n"));
	assert_null(strcasestr(second, "Authorization"));
	assert_null(strcasestr(second, "the-token"));
	assert_null(strcasestr(second, "X-One"));
	assert_non_null(strcasestr(second, "\r\nUser-Agent: asset-agent/"));
	second[-2] = '\0';
	assert_non_null(strstr(p->heads, "\r\nAuthorization: Bearer the-token\r\n"));
	assert_non_null(strstr(p->heads, "\r\nX-One: 1\r\n"));
	assert_non_null(strstr(p->heads, "\r\nAccept-Language: en-US\r\n"));
}

static void test_proxy(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD, SAY(OK), GONE, END };
	_cleanup_peer_ struct peer *p = peer_start(steps);
	_cleanup_client_ struct client c = client_make((struct http_settings){
		.proxy = url_of(p) });
	const struct http_call call = call_to("http://far.invalid/x");
	static struct told told;

	(void)state;
	unsetenv("no_proxy");
	ask(&c, &call, &told);
	setenv("no_proxy", "*", 1);
	assert_int_equal(told.answer.status, 200);
	http_free(take_ptr(c.http));
	peer_join(p);
	assert_true(startswith(p->heads, "GET http://far.invalid/x HTTP/1.1\r\n"));
}

/* By each name that curl knows. */
static void test_proxy_of_environment(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD,
					     SAY("HTTP/1.1 403 Forbidden\r\n" NONE), GONE,
					     END };
	static const struct {
		const char *name, *url, *head;
	} table[] = {
		{ "http_proxy", "http://far.invalid/x", "GET http://far.invalid/x " },
		{ "https_proxy", "https://far.invalid/x", "CONNECT far.invalid:443 " },
		{ "HTTPS_PROXY", "https://far.invalid/x", "CONNECT far.invalid:443 " },
		{ "all_proxy", "http://far.invalid/x", "GET http://far.invalid/x " },
		{ "ALL_PROXY", "http://far.invalid/x", "GET http://far.invalid/x " },
	};

	(void)state;
	unsetenv("no_proxy");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_peer_ struct peer *p = peer_start(steps);
		_cleanup_client_ struct client c = {};
		const struct http_call call = call_to(table[i].url);
		static struct told told;

		setenv(table[i].name, url_of(p), 1);
		c = client_make((struct http_settings){});
		ask(&c, &call, &told);
		unsetenv(table[i].name);
		http_free(take_ptr(c.http));
		peer_join(p);
		if (!startswith(p->heads, table[i].head))
			fail_msg("%s: %s", table[i].name, p->heads);
	}
	setenv("no_proxy", "*", 1);
}

/* No fault of the file that was to go through it. */
static void test_proxy_refuses(void **state)
{
	static const struct {
		struct step steps[6];
		const char *why;
	} table[] = {
		{ { ACCEPT, HEAD, SAY("HTTP/1.1 403 Forbidden\r\n" NONE), GONE, END },
		  "403" },
		{ { ACCEPT, HEAD,
		    SAY("HTTP/1.1 407 Proxy Authentication Required\r\n"
			"Proxy-Authenticate: Basic realm=\"gate\"\r\n" NONE),
		    GONE, END },
		  "407" },
		{ { ACCEPT, HEAD, SAY("HTTP/1.1 503 Service Unavailable\r\n" NONE), CLOSE,
		    END },
		  "503" },
	};
	static struct told told;

	(void)state;
	unsetenv("no_proxy");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_peer_ struct peer *p = peer_start(table[i].steps);
		_cleanup_client_ struct client c = client_make((struct http_settings){
			.proxy = url_of(p) });
		_cleanup_close_ int fd = make_file(5000);
		struct http_call call = upload_of("PUT", fd, 5000);

		call.url = "https://far.invalid/x";
		ask(&c, &call, &told);
		assert_int_equal(told.answer.transport, TRANSPORT_CONNECT);
		assert_non_null(strstr(told.problem, table[i].why));
		http_free(take_ptr(c.http));
		peer_join(p);
	}
	setenv("no_proxy", "*", 1);
}

/* ---- time ---- */

static void test_times_out(void **state)
{
	static const struct {
		const char *name;
		struct step steps[6];
		bool upload;
		usec_t timeout, stall;
		enum transport transport;
	} table[] = {
		{ "no answer",
		  { ACCEPT, HEAD, GONE },
		  false,
		  S / 2,
		  USEC_INFINITY,
		  TRANSPORT_TIMEOUT },
		{ "no answer, stall",
		  { ACCEPT, HEAD, GONE },
		  false,
		  PATIENCE,
		  S / 2,
		  TRANSPORT_STALL },
		{ "half a head",
		  { ACCEPT, HEAD, SAY("HTTP/1.1 2"), HOLD },
		  false,
		  PATIENCE,
		  S / 2,
		  TRANSPORT_STALL },
		{ "half an answer",
		  { ACCEPT, HEAD, SAY("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"),
		    HOLD },
		  false,
		  PATIENCE,
		  S / 2,
		  TRANSPORT_STALL },
		/* The kernel takes some megabytes that nobody reads. */
		{ "a body that nobody takes",
		  { ACCEPT, HEAD, SAY(GO_ON), BODY(1000), HOLD },
		  true,
		  PATIENCE,
		  S / 2,
		  TRANSPORT_STALL },
		{ "silence after the head",
		  { ACCEPT, HEAD, HOLD },
		  true,
		  PATIENCE,
		  S / 2,
		  TRANSPORT_STALL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_client_ struct client c = client_make((struct http_settings){});
		_cleanup_close_ int fd = memfd_create("sparse", MFD_CLOEXEC);
		struct peer *p = peer_start(table[i].steps);
		struct http_call call = table[i].upload
						? upload_of("PUT", fd, 64 * A_MEGABYTE)
						: call_to(NULL);
		static struct told told;
		usec_t start = clock_monotonic(),
		       least = MIN(table[i].timeout, table[i].stall);

		assert_int_equal(ftruncate(fd, 64 * A_MEGABYTE), 0);
		call.url = url_of(p);
		call.timeout = table[i].timeout;
		call.stall_timeout = table[i].stall;
		ask(&c, &call, &told);
		if (told.answer.transport != table[i].transport)
			fail_msg("%s: %d, %s", table[i].name, told.answer.transport,
				 told.problem);
		assert_true(clock_monotonic() - start >= least);
		if (told.answer.transport == TRANSPORT_STALL)
			assert_true(startswith(told.problem, "no byte moved for ") ||
				    startswith(told.problem, "only "));
		assert_true(told.answer.sent < 64 * A_MEGABYTE);
		http_free(take_ptr(c.http));
		(void)shutdown(p->fd, SHUT_RDWR);
		peer_join(p);
		peer_free(p);
	}
}

/* Slow, but it moves: longer on its way than a stall may last. */
static void test_slow_is_not_stalled(void **state)
{
	static const struct step steps[] = {
		ACCEPT,	 HEAD, SAY("HTTP/1.1 200 OK\r\nContent-Length: 49152\r\n\r\n"),
		POUR(6), GONE, END,
	};
	struct http_call call = call_to(NULL);
	static struct told told;
	struct peer *p;

	(void)state;
	call.stall_timeout = 2 * S;
	p = exchange(steps, call, &told);
	assert_int_equal(told.answer.transport, TRANSPORT_ANSWERED);
	assert_int_equal(told.answer.length, 49152);
	assert_true(told.answer.duration > 2 * S);
	peer_free(p);
}

/* It moves, but so little that it would take for ever. */
static void test_a_trickle_is_a_stall(void **state)
{
	static const struct {
		const char *name;
		struct step steps[6];
		bool upload;
	} table[] = {
		{ "of the answer",
		  { ACCEPT, HEAD, SAY("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
		    DRIP("drops, drops, drops"), END },
		  false },
		{ "of its head",
		  { ACCEPT, HEAD, DRIP("HTTP/1.1 200 OK\r\nX: y") },
		  false },
		{ "of the body", { ACCEPT, HEAD, SAY(GO_ON), SIP(16), END }, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_client_ struct client c = client_make((struct http_settings){});
		_cleanup_close_ int fd = memfd_create("sparse", MFD_CLOEXEC);
		struct peer *p = peer_start(table[i].steps);
		struct http_call call = table[i].upload
						? upload_of("PUT", fd, 64 * A_MEGABYTE)
						: call_to(NULL);
		static struct told told;

		(void)setsockopt(p->listener, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 },
				 sizeof(int));
		assert_int_equal(ftruncate(fd, 64 * A_MEGABYTE), 0);
		call.url = url_of(p);
		call.stall_timeout = 2 * S;
		ask(&c, &call, &told);
		if (told.answer.transport != TRANSPORT_STALL)
			fail_msg("%s: %d, %s", table[i].name, told.answer.transport,
				 told.problem);
		assert_in_range(told.answer.duration, 2 * S, 6 * S);
		http_free(take_ptr(c.http));
		(void)shutdown(p->fd, SHUT_RDWR);
		assert_int_equal(pthread_join(p->thread, NULL), 0);
		peer_free(p);
	}
}

/* Two files share the bandwidth fairly, take no more than it, and neither is stalled
 * while it waits for its share, however short the timeout. */
static void test_bandwidth_is_shared(void **state)
{
	enum { SIZE = 300 * 1000, RATE = 1000 * 1000, FILES = 2 };
	static const struct step steps[] = {
		ACCEPT, HEAD, BODY(SIZE), SAY(OK), GONE, END
	};
	_cleanup_client_ struct client c = client_make((struct http_settings){
		.bandwidth = RATE });
	_cleanup_close_ int fd = memfd_create("file", MFD_CLOEXEC);
	struct peer *peers[FILES];
	static struct told told[FILES];
	usec_t begun = clock_monotonic();

	(void)state;
	assert_int_equal(ftruncate(fd, SIZE), 0);
	for (int i = 0; i < FILES; i++) {
		struct http_call call = upload_of("PUT", fd, SIZE);

		peers[i] = peer_start(steps);
		call.url = url_of(peers[i]);
		call.stall_timeout = S;
		told[i] = (struct told){};
		assert_int_equal(http_start(c.http, &call, on_done, &told[i], NULL), 0);
	}
	for (int i = 0; i < FILES; i++) {
		await(&c, &told[i]);
		assert_int_equal(told[i].answer.transport, TRANSPORT_ANSWERED);
		assert_int_equal(told[i].answer.sent, SIZE);
	}
	assert_true(usec_sub(clock_monotonic(), begun) >=
		    (usec_t)FILES * SIZE * S / RATE - THROTTLE_IDLE -
			    FILES * THROTTLE_SLICE);
	for (int i = 0; i < FILES; i++)
		assert_true(told[i].answer.duration >= told[!i].answer.duration / 2);
	http_free(take_ptr(c.http));
	for (int i = 0; i < FILES; i++) {
		peer_join(peers[i]);
		peer_free(peers[i]);
	}
}

static uint64_t sent_of(struct http_request *const *requests, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += http_sent(requests[i]);
	return sum;
}

/* A short body needs four shares here. One by one among all that wait, the others would
 * send 64 meanwhile; by turns, some four. */
static void test_a_short_body_does_not_queue_behind_long_ones(void **state)
{
	enum { LONG_ONES = 16, RATE = 20 * 1024, SHORT = 4096 };
	static const struct step steps[] = { ACCEPT, HEAD, GONE, END };
	static const struct step short_steps[] = { ACCEPT,  HEAD, BODY(SHORT),
						   SAY(OK), GONE, END };
	_cleanup_client_ struct client c = client_make((struct http_settings){
		.bandwidth = RATE });
	_cleanup_close_ int fd = memfd_create("file", MFD_CLOEXEC);
	struct http_call call = upload_of("PUT", fd, SHORT);
	struct http_request *requests[LONG_ONES];
	struct peer *peers[LONG_ONES + 1];
	static struct told told, none;
	uint64_t before;

	(void)state;
	assert_int_equal(ftruncate(fd, A_MEGABYTE), 0);
	peers[LONG_ONES] = peer_start(short_steps);
	for (int i = 0; i < LONG_ONES; i++) {
		struct http_call long_call = upload_of("PUT", fd, A_MEGABYTE);

		peers[i] = peer_start(steps);
		long_call.url = url_of(peers[i]);
		assert_int_equal(
			http_start(c.http, &long_call, on_done, &none, &requests[i]), 0);
	}
	while (sent_of(requests, LONG_ONES) < LONG_ONES * THROTTLE_SLICE_MIN)
		assert_true(sd_event_run(c.event, PATIENCE) > 0);
	before = sent_of(requests, LONG_ONES);
	call.url = url_of(peers[LONG_ONES]);
	ask(&c, &call, &told);
	assert_int_equal(told.answer.transport, TRANSPORT_ANSWERED);
	assert_in_range(sent_of(requests, LONG_ONES) - before, 1,
			LONG_ONES * 2 * THROTTLE_SLICE_MIN);
	http_free(take_ptr(c.http));
	for (int i = 0; i <= LONG_ONES; i++) {
		peer_join(peers[i]);
		peer_free(peers[i]);
	}
}

/* So slow that a share comes more rarely than a stall may last. */
static void test_waiting_for_bandwidth_is_no_stall(void **state)
{
	enum { SIZE = 3000 };
	static const struct step steps[] = {
		ACCEPT, HEAD, BODY(SIZE), SAY(OK), GONE, END
	};
	_cleanup_client_ struct client c = client_make((struct http_settings){
		.bandwidth = 1000 });
	_cleanup_close_ int fd = memfd_create("file", MFD_CLOEXEC);
	struct peer *p = peer_start(steps);
	struct http_call call = upload_of("PUT", fd, SIZE);
	static struct told told;

	(void)state;
	assert_int_equal(ftruncate(fd, SIZE), 0);
	call.url = url_of(p);
	call.stall_timeout = S / 2;
	ask(&c, &call, &told);
	assert_int_equal(told.answer.transport, TRANSPORT_ANSWERED);
	assert_true(told.answer.duration > S);
	http_free(take_ptr(c.http));
	peer_join(p);
	peer_free(p);
}

/* ---- a body that is refused on its way ---- */

static void test_early_answers(void **state)
{
#define REFUSED \
	"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
	static const struct {
		const char *name;
		struct step steps[8];
		enum transport transport;
		int status;
		size_t sent_max;
	} table[] = {
		{ "instead of continue",
		  { ACCEPT, HEAD, SAY(REFUSED), GONE },
		  TRANSPORT_ANSWERED,
		  413,
		  0 },
		{ "in the body",
		  { ACCEPT, HEAD, SAY(GO_ON), BODY(100000), SAY(REFUSED), GONE },
		  TRANSPORT_ANSWERED,
		  413,
		  32 * A_MEGABYTE - 1 },
		{ "a success that can be none",
		  { ACCEPT, HEAD, SAY(GO_ON), BODY(100000),
		    SAY("HTTP/1.1 200 OK\r\nConnection: close\r\n" NONE), RESET },
		  TRANSPORT_RESET,
		  0,
		  32 * A_MEGABYTE - 1 },
		{ "a success instead of continue",
		  { ACCEPT, HEAD, SAY("HTTP/1.1 200 OK\r\nConnection: close\r\n" NONE),
		    GONE },
		  TRANSPORT_RESET,
		  0,
		  32 * A_MEGABYTE - 1 },
		{ "reset in the body",
		  { ACCEPT, HEAD, SAY(GO_ON), BODY(100000), RESET },
		  TRANSPORT_RESET,
		  0,
		  32 * A_MEGABYTE - 1 },
	};
	static const char *const methods[] = { "PUT", "POST" };

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(table); i++) {
		_cleanup_close_ int fd = memfd_create("sparse", MFD_CLOEXEC);
		static struct told told;
		struct peer *p;

		assert_int_equal(ftruncate(fd, 32 * A_MEGABYTE), 0);
		p = exchange(table[i / 2].steps,
			     upload_of(methods[i % 2], fd, 32 * A_MEGABYTE), &told);
		if (told.answer.transport != table[i / 2].transport ||
		    (table[i / 2].status && told.answer.status != table[i / 2].status) ||
		    told.answer.sent > table[i / 2].sent_max)
			fail_msg("%s, %s: %d, status %d, sent %ju, %s", table[i / 2].name,
				 methods[i % 2], told.answer.transport,
				 told.answer.status, (uintmax_t)told.answer.sent,
				 told.problem);
		if (told.answer.transport == TRANSPORT_ANSWERED)
			assert_string_equal(told.body, "{}");
		peer_free(p);
	}
}

/* ---- connections ---- */

/* A connection that is used again turns out to be dead: it starts over on a new one, with
 * the whole body, and tells of nothing but that some of it may have arrived before. */
static void test_dead_connection(void **state)
{
	enum { SHORT = 7000, LONG = 70000 }; /* with the head, and after it */
	static const struct {
		const char *name;
		struct step dying[4];
		int twice; /* bodies up to that have begun to arrive */
	} table[] = {
		{ "while idle", { CLOSE }, 0 },
		{ "at the head", { HEAD, CLOSE }, SHORT },
		{ "at the head, hard", { HEAD, RESET }, SHORT },
		{ "in the body", { HEAD, BODY(5000), RESET }, LONG },
		{ "after the body", { HEAD, BODY(SHORT), CLOSE }, LONG },
	};
	static const char *const methods[] = { "PUT", "POST" };
	static const int sizes[] = { SHORT, LONG };

	(void)state;
	for (size_t i = 0; i < 4 * ARRAY_SIZE(table); i++) {
		struct step steps[16] = { ACCEPT, HEAD, SAY(OK) };
		int size = sizes[i / 2 % 2];
		struct step rest[] = { ACCEPT, HEAD, BODY(size), SAY(OK), GONE, END };
		_cleanup_client_ struct client c = client_make((struct http_settings){});
		_cleanup_close_ int fd = make_file(size);
		struct http_call call = upload_of(methods[i % 2], fd, size), first;
		static struct told told;
		struct peer *p;
		size_t n = 3;

		for (const struct step *s = table[i / 4].dying; s->act != ACT_END; s++)
			steps[n++] = *s;
		memcpy(&steps[n], rest, sizeof(rest));
		p = peer_start(steps);
		first = call_to(url_of(p));
		ask(&c, &first, &told);
		assert_int_equal(told.answer.status, 200);
		call.url = url_of(p);
		ask(&c, &call, &told);
		if (told.answer.transport != TRANSPORT_ANSWERED ||
		    told.answer.sent != (uint64_t)size ||
		    (size <= table[i / 4].twice && !told.answer.twice))
			fail_msg("%s, %s of %d: %d, sent %ju, twice %d, %s",
				 table[i / 4].name, methods[i % 2], size,
				 told.answer.transport, (uintmax_t)told.answer.sent,
				 told.answer.twice, told.problem);
		http_free(take_ptr(c.http));
		peer_join(p);
		assert_int_equal(p->accepted, 2);
		assert_true(same_content(fd, p->body + p->body_length - size, size));
		peer_free(p);
	}
}

/* It was there, and is silent now: a gateway on the way has forgotten it. */
static void test_forgotten_connection(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD,	  SAY(OK), HEAD, ACCEPT,
					     HEAD,   BODY(70000), SAY(OK), GONE, END };
	static const struct {
		usec_t timeout, stall_timeout;
	} table[] = { { S, USEC_INFINITY }, { PATIENCE, S } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_client_ struct client c = client_make((struct http_settings){});
		_cleanup_close_ int fd = make_file(70000);
		_cleanup_peer_ struct peer *p = peer_start(steps);
		struct http_call call = upload_of("PUT", fd, 70000),
				 first = call_to(url_of(p));
		static struct told told;

		ask(&c, &first, &told);
		assert_int_equal(told.answer.status, 200);
		call.url = first.url;
		call.timeout = table[i].timeout;
		call.stall_timeout = table[i].stall_timeout;
		ask(&c, &call, &told);
		assert_int_equal(told.answer.transport, TRANSPORT_ANSWERED);
		assert_int_equal(told.answer.sent, 70000);
		http_free(take_ptr(c.http));
		peer_join(p);
		assert_true(same_content(fd, p->body + p->body_length - 70000, 70000));
	}
}

/* Silent on the new one, too: that is the service's own, and told. */
static void test_silent_again(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD, SAY(OK), HEAD,
					     ACCEPT, HEAD, GONE,    END };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(steps);
	struct http_call call = call_to(url_of(p));
	static struct told told;

	(void)state;
	ask(&c, &call, &told);
	assert_int_equal(told.answer.status, 200);
	call.timeout = 300 * USEC_PER_MSEC;
	ask(&c, &call, &told);
	assert_int_equal(told.answer.transport, TRANSPORT_TIMEOUT);
	peer_join(p);
	assert_int_equal(p->accepted, 2);
}

/* And where there comes none in its place, that is told, too, and nothing is begun over
 * and over. */
static void test_no_other_connection(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD, SAY(OK), HEAD, GONE, END };
	_cleanup_client_ struct client c = client_make((struct http_settings){
		.connect_timeout = 300 * USEC_PER_MSEC });
	_cleanup_peer_ struct peer *p = peer_start(steps);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(p->port) };
	struct http_call call = call_to(url_of(p));
	static struct told told;
	int crowd[3];

	(void)state;
	ask(&c, &call, &told);
	assert_int_equal(told.answer.status, 200);
	/* Nobody else fits into its queue. */
	assert_int_equal(listen(p->listener, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(crowd); i++) {
		crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(crowd[i], (void *)&address, sizeof(address));
	}
	call.timeout = S;
	ask(&c, &call, &told);
	assert_int_equal(told.answer.transport, TRANSPORT_TIMEOUT);
	assert_non_null(strcasestr(told.problem, "timeout"));
	peer_join(p);
	for (size_t i = 0; i < ARRAY_SIZE(crowd); i++)
		close_fd(crowd[i]);
}

/* The reason is that of the new connection, not of the old one. */
static void test_reason_of_the_last_try(void **state)
{
	static const struct step steps[] = {
		ACCEPT, HEAD, SAY(OK), HEAD, SHUT, RESET, END
	};
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(steps);
	struct http_call call = call_to(url_of(p));
	static struct told told;

	(void)state;
	ask(&c, &call, &told);
	assert_int_equal(told.answer.status, 200);
	ask(&c, &call, &told);
	assert_int_equal(told.answer.transport, TRANSPORT_CONNECT);
	assert_non_null(strstr(told.problem, "Failed to connect"));
	peer_join(p);
}

/* ---- a crowd of connections that all die ---- */

enum { CROWD = 12 };

static void *crowd_run(void *userdata)
{
	const struct linger hard = { .l_onoff = 1 };
	struct pollfd fds[CROWD + 1] = { { .fd = *(int *)userdata, .events = POLLIN } };
	char head[4096];

	for (int i = 1; i <= CROWD; i++) {
		fds[i] = (struct pollfd){ .fd = accept(fds[0].fd, NULL, NULL),
					  .events = POLLIN };
		(void)!read(fds[i].fd, head, sizeof(head));
	}
	for (int i = 1; i <= CROWD; i++)
		(void)!write(fds[i].fd, OK, STRLEN(OK));
	/* Whoever comes by one of these again meets a reset. */
	while (poll(fds, CROWD + 1, PATIENCE_SECONDS * 1000) > 0 && !fds[0].revents)
		for (int i = 1; i <= CROWD; i++)
			if (fds[i].revents) {
				setsockopt(fds[i].fd, SOL_SOCKET, SO_LINGER, &hard,
					   sizeof(hard));
				fds[i].fd = close_fd(fds[i].fd);
			}
	for (int i = 1; i <= CROWD; i++)
		close_fd(fds[i].fd);
	fds[1].fd = accept(fds[0].fd, NULL, NULL);
	(void)!read(fds[1].fd, head, sizeof(head));
	(void)!write(fds[1].fd, OK, STRLEN(OK));
	close_fd(fds[1].fd);
	return NULL;
}

/* More of them than curl tries by itself. */
static void test_all_connections_are_dead(void **state)
{
	static struct told told[CROWD], last;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	struct http_call call;
	pthread_t thread;
	char url[64];

	(void)state;
	assert_int_equal(bind(listener, (void *)&address, length), 0);
	assert_int_equal(listen(listener, CROWD), 0);
	assert_int_equal(getsockname(listener, (void *)&address, &length), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
	assert_int_equal(pthread_create(&thread, NULL, crowd_run, &listener), 0);
	call = call_to(url);
	for (size_t i = 0; i < CROWD; i++)
		assert_int_equal(http_start(c.http, &call, on_done, &told[i], NULL), 0);
	for (size_t i = 0; i < CROWD; i++)
		await(&c, &told[i]);
	ask(&c, &call, &last);
	assert_int_equal(last.answer.transport, TRANSPORT_ANSWERED);
	assert_int_equal(last.answer.status, 200);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_connection_is_used_again(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD,    SAY(OK), HEAD, SAY(OK),
					     HEAD,   SAY(OK), GONE,    END };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(steps);
	const struct http_call call = call_to(url_of(p));

	(void)state;
	for (int i = 0; i < 3; i++) {
		static struct told told;

		ask(&c, &call, &told);
		assert_int_equal(told.answer.status, 200);
	}
	http_free(take_ptr(c.http));
	peer_join(p);
	assert_int_equal(p->accepted, 1);
}

/* With other settings comes another connection, and the old one is not kept. */
static void test_renewed(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD,    SAY(OK), GONE, ACCEPT,
					     HEAD,   SAY(OK), GONE,    END };
	static const struct http_settings settings = { .connect_timeout = 10 * S,
						       .connections_max = 16 };
	_cleanup_client_ struct client c = client_make(settings);
	_cleanup_peer_ struct peer *p = peer_start(steps);
	const struct http_call call = call_to(url_of(p));
	static struct told told;

	(void)state;
	for (int i = 0; i < 2; i++) {
		ask(&c, &call, &told);
		assert_int_equal(told.answer.status, 200);
		assert_int_equal(http_renew(c.http, &settings), 0);
		/* The next is accepted only when the last is gone. */
		while (sd_event_run(c.event, 0) > 0)
			;
	}
	peer_join(p);
	assert_int_equal(p->accepted, 2);
}

/* What is under way goes on as it is, however often, and its settings' strings go. */
static void test_renewed_under_way(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD, SAY(OK), GONE, END };
	_cleanup_free_ char *proxy = NULL;
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *one = peer_start(steps), *other = peer_start(steps);
	const struct http_call first = call_to(url_of(one));
	const struct http_call second = call_to("http://through.the.proxy/");
	static struct told told, told_too;

	(void)state;
	memset(&told, 0, sizeof(told));
	proxy = strdup(url_of(other));
	assert_int_equal(http_start(c.http, &first, on_done, &told, NULL), 0);
	while (one->heads_read == 0)
		assert_true(sd_event_run(c.event, 1000) >= 0);
	setenv("no_proxy", "", 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(http_renew(c.http,
					    &(struct http_settings){
						    .connect_timeout = 10 * S,
						    .connections_max = 16,
						    .proxy = proxy }),
				 0);
	memset(proxy, 'x', strlen(proxy));
	ask(&c, &second, &told_too);
	await(&c, &told);
	setenv("no_proxy", "*", 1);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.answer.status, 200);
	assert_int_equal(told_too.answer.status, 200);
	http_free(take_ptr(c.http));
	peer_join(one);
	peer_join(other);
}

/* ---- starting and cancelling ---- */

/* Even what fails at once is told from the loop. */
static void test_nothing_from_start(void **state)
{
	static const char *const urls[] = { "http://[::1", "", "file:///",
					    "http://127.0.0.1:1/" };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	static struct told told[ARRAY_SIZE(urls)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		const struct http_call call = call_to(urls[i]);

		assert_int_equal(http_start(c.http, &call, on_done, &told[i], NULL), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		assert_int_equal(told[i].times, 0);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		await(&c, &told[i]);
		assert_int_equal(told[i].times, 1);
	}
}

/* The call and all it points to may go once it has started. */
static void test_call_is_copied(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD, BODY(4), SAY(OK), GONE, END };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(steps);
	char url[64], body[] = "text", token[] = "token", line[] = "X-One: 1";
	char *lines[] = { line };
	struct strv headers = { .items = lines, .count = 1 };
	CURLU *parts = curl_url();
	struct http_call call;
	static struct told told;

	(void)state;
	snprintf(url, sizeof(url), "%s", url_of(p));
	assert_int_equal(curl_url_set(parts, CURLUPART_URL, url, 0), CURLUE_OK);
	assert_int_equal(curl_url_set(parts, CURLUPART_PATH, "/by/its/parts", 0),
			 CURLUE_OK);
	call = call_to(url);
	memset(&told, 0, sizeof(told));
	call.method = "POST";
	call.body = body;
	call.body_length = 4;
	call.bearer = token;
	call.headers = &headers;
	call.parts = parts;
	assert_int_equal(http_start(c.http, &call, on_done, &told, NULL), 0);
	curl_url_cleanup(parts);
	memset(url, '#', sizeof(url));
	memset(body, '#', sizeof(body));
	memset(token, '#', sizeof(token));
	memset(line, '#', sizeof(line));
	memset(&headers, 0, sizeof(headers));
	memset(&call, 0, sizeof(call));
	await(&c, &told);
	assert_int_equal(told.answer.status, 200);
	http_free(take_ptr(c.http));
	peer_join(p);
	assert_memory_equal(p->body, "text", 4);
	assert_true(startswith(p->heads, "POST /by/its/parts HTTP/1.1\r\n"));
	assert_non_null(strstr(p->heads, "\r\nAuthorization: Bearer token\r\n"));
	assert_non_null(strstr(p->heads, "\r\nX-One: 1\r\n"));
}

static void test_start_from_a_callback(void **state)
{
	static const struct step steps[] = { ACCEPT,  HEAD, SAY(OK), HEAD,
					     SAY(OK), GONE, END };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(steps);
	const struct http_call call = call_to(url_of(p));
	static struct told first, second;

	(void)state;
	first = (struct told){ .client = &c, .start = &call, .started = &second };
	assert_int_equal(http_start(c.http, &call, on_done, &first, NULL), 0);
	await(&c, &second);
	assert_int_equal(first.times, 1);
	assert_int_equal(second.times, 1);
	assert_int_equal(second.answer.status, 200);
	http_free(take_ptr(c.http));
	peer_join(p);
	assert_int_equal(p->accepted, 1);
}

/* One is told of, and cancels another that is in the midst of its body, or has ended in
 * the same turn of the loop. */
static void test_cancel_from_a_callback(void **state)
{
	static const struct step answers[] = { ACCEPT, HEAD, SAY(OK), GONE, END },
				 hangs[] = { ACCEPT, HEAD, GONE, END };

	(void)state;
	for (int both = 0; both < 2; both++) {
		_cleanup_client_ struct client c = client_make((struct http_settings){});
		_cleanup_peer_ struct peer *p = peer_start(both ? NO_STEPS : answers);
		_cleanup_peer_ struct peer *q = peer_start(both ? NO_STEPS : hangs);
		struct http_call call = call_to(url_of(p)), other = call_to(url_of(q));
		static struct told first, second;

		if (both) /* two that fail at once, in one turn */
			call = other = call_to("http://[::1");
		first = second = (struct told){};
		assert_int_equal(
			http_start(c.http, &other, on_done, &second, &first.cancel), 0);
		assert_int_equal(
			http_start(c.http, &call, on_done, &first, &second.cancel), 0);
		if (!both)
			second.cancel = NULL;
		while (first.times + second.times == 0)
			assert_true(sd_event_run(c.event, PATIENCE) > 0);
		/* Whoever came first has cancelled the other. */
		while (sd_event_run(c.event, 0) > 0)
			;
		assert_int_equal(first.times + second.times, 1);
		if (!both)
			assert_int_equal(first.answer.status, 200);
		http_free(take_ptr(c.http));
		peer_join(p);
		peer_join(q);
	}
}

static void test_cancel(void **state)
{
	static const struct step steps[] = { ACCEPT,	   HEAD, SAY(GO_ON),
					     BODY(100000), GONE, END };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(steps);
	_cleanup_close_ int fd = memfd_create("sparse", MFD_CLOEXEC);
	struct http_call call = upload_of("PUT", fd, 1024 * A_MEGABYTE);
	struct http_request *request = NULL;
	static struct told told;

	(void)state;
	memset(&told, 0, sizeof(told));
	assert_int_equal(ftruncate(fd, 1024 * A_MEGABYTE), 0);
	call.url = url_of(p);
	call.stall_timeout = PATIENCE;
	assert_int_equal(http_start(c.http, &call, on_done, &told, &request), 0);
	assert_int_equal(http_sent(request), 0);
	while (http_sent(request) < 100000)
		assert_true(sd_event_run(c.event, PATIENCE) > 0);
	http_cancel(request);
	http_cancel(NULL);
	peer_join(p); /* it hung up */
	assert_int_equal(told.times, 0);
}

/* An answer that comes byte by byte goes on, though nothing is sent any more. */
static void test_moved(void **state)
{
	static const struct step steps[] = { ACCEPT,	   HEAD,
					     BODY(7),	   SAY("HTTP/1.1 200 OK\r\n\r\n"),
					     DRIP("drop"), HOLD,
					     END };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(steps);
	_cleanup_close_ int fd = memfd_create("sparse", MFD_CLOEXEC);
	struct http_call call = upload_of("PUT", fd, 7);
	struct http_request *request = NULL;
	static struct told told;

	(void)state;
	memset(&told, 0, sizeof(told));
	assert_int_equal(ftruncate(fd, 7), 0);
	call.url = url_of(p);
	call.stall_timeout = PATIENCE;
	assert_int_equal(http_start(c.http, &call, on_done, &told, &request), 0);
	for (uint64_t moved = 0; moved < 7 + STRLEN("drop");
	     moved = http_moved(request)) {
		assert_int_equal(http_moved(request), moved);
		while (http_moved(request) == moved)
			assert_true(sd_event_run(c.event, PATIENCE) > 0);
	}
	assert_int_equal(http_sent(request), 7);
	http_cancel(request);
	peer_join(p);
}

/* Freed with requests under way, in every state. */
static void test_free_under_way(void **state)
{
	static const struct step steps[] = { ACCEPT, HEAD, GONE, END };
	_cleanup_peer_ struct peer *p = peer_start(steps);
	struct client c = client_make((struct http_settings){});
	const struct http_call call = call_to(url_of(p));
	static struct told told;

	(void)state;
	memset(&told, 0, sizeof(told));
	assert_int_equal(http_start(c.http, &call, on_done, &told, NULL), 0);
	while (p->heads_read == 0)
		assert_true(sd_event_run(c.event, 1000) >= 0);
	assert_int_equal(http_start(c.http, &call, on_done, &told, NULL), 0);
	client_done(&c);
	peer_join(p);
	assert_int_equal(told.times, 0);
	http_free(NULL);
}

/* More at once than handles are kept for. */
static void test_many(void **state)
{
	enum { MANY = 100 };
	_cleanup_client_ struct client c = client_make((struct http_settings){});
	_cleanup_peer_ struct peer *p = peer_start(NO_STEPS);
	const struct http_call call = call_to(url_of(p));
	struct told *told = calloc(MANY, sizeof(*told));

	(void)state;
	assert_non_null(told);
	peer_join(p);
	p->listener = close_fd(p->listener);
	for (int turn = 0; turn < 2; turn++) {
		memset(told, 0, MANY * sizeof(*told));
		for (size_t i = 0; i < MANY; i++)
			assert_int_equal(
				http_start(c.http, &call, on_done, &told[i], NULL), 0);
		for (size_t i = 0; i < MANY; i++) {
			await(&c, &told[i]);
			assert_int_equal(told[i].times, 1);
			assert_int_equal(told[i].answer.transport, TRANSPORT_CONNECT);
		}
	}
	free(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_broken_answers),
		cmocka_unit_test(test_endless_head),
		cmocka_unit_test(test_longest_answer),
		cmocka_unit_test(test_no_connection),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_exact_lengths),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_source_fails),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_proxy_of_environment),
		cmocka_unit_test(test_proxy_refuses),
		cmocka_unit_test(test_times_out),
		cmocka_unit_test(test_slow_is_not_stalled),
		cmocka_unit_test(test_a_trickle_is_a_stall),
		cmocka_unit_test(test_bandwidth_is_shared),
		cmocka_unit_test(test_a_short_body_does_not_queue_behind_long_ones),
		cmocka_unit_test(test_waiting_for_bandwidth_is_no_stall),
		cmocka_unit_test(test_early_answers),
		cmocka_unit_test(test_dead_connection),
		cmocka_unit_test(test_forgotten_connection),
		cmocka_unit_test(test_silent_again),
		cmocka_unit_test(test_no_other_connection),
		cmocka_unit_test(test_reason_of_the_last_try),
		cmocka_unit_test(test_all_connections_are_dead),
		cmocka_unit_test(test_connection_is_used_again),
		cmocka_unit_test(test_renewed),
		cmocka_unit_test(test_renewed_under_way),
		cmocka_unit_test(test_nothing_from_start),
		cmocka_unit_test(test_call_is_copied),
		cmocka_unit_test(test_start_from_a_callback),
		cmocka_unit_test(test_cancel_from_a_callback),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_free_under_way),
		cmocka_unit_test(test_many),
	};

	/* Only the proxy that a test names. */
	setenv("no_proxy", "*", 1);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
