#include <inttypes.h>
#include <sys/eventfd.h>

#include "address.h"
#include "content-url.h"
#include "http-answer.h"
#include "http-body.h"
#include "macro.h"
#include "plain.h"

#define LOCATION_MAX   200	     /* characters of it that are shown */
#define WAIT_ASKED_MAX USEC_PER_HOUR /* the longest that a service may ask us to wait */

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

/* What a proxy says instead of opening a tunnel; no word of the host behind it. */
static bool is_no_tunnel(const struct http_request *request)
{
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	return status > 0 && status / 100 != 2;
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
	if (transport_of(code) == TRANSPORT_RESET && is_no_tunnel(request))
		return TRANSPORT_CONNECT;
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

/* curl reads all forms that there ever were, by sscanf(3), and each answer has a Date. */
static time_t parse_date(const char *text)
{
	time_t seconds;

	return clock_parse_http(text, &seconds) == 0 ? seconds : curl_getdate(text, NULL);
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
			  : parse_date(text);
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
	uint64_t moved = http_body_moved(request);
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
	else if (!request->problem[0] || request->misled)
		snprintf(request->problem, sizeof(request->problem), "%s",
			 curl_easy_strerror(code));
}

/* An answer to less than the whole body is none: the service can't have all of it. */
static void check_sent(struct http_request *request, struct http_answer *answer)
{
	if (answer->transport != TRANSPORT_ANSWERED || answer->status >= 300 ||
	    request->file < 0 || answer->sent == request->size)
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

void http_answer_read(struct http_request *request, CURLcode code,
		      struct http_answer *ret, struct http_look *look)
{
	curl_off_t sent = 0;
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	if (transport_of(code) == TRANSPORT_RESOLVE)
		look_for_descriptors(request);
	*ret = (struct http_answer){
		.transport = judge(request, code, status),
		.status = (int)status,
		.body = request->answer ? request->answer : "",
		.length = request->length,
		.date = parse_instant(header(request->easy, "Date")),
		.error = request->shortage ? request->shortage : -ENOMEM,
		.sent = (uint64_t)sent,
		.twice = request->twice,
		.duration = usec_sub(clock_monotonic(), request->started),
		.from_public = is_from_public(request->easy),
	};
	curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &ret->location);
	ret->retry_after = parse_wait(request->easy, ret->date);
	describe(request, code, ret);
	check_sent(request, ret);
	if (request->look) {
		*look = look_at(request->easy);
		ret->look = look;
	}
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
