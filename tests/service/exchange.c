#include "internal.h"
#include "transcript.h"
#include "url.h"

enum meeting { MEETING_PAST, MEETING_HELD, MEETING_GONE, MEETING_ANSWERED };

static enum meeting strike(struct request *request, const struct fault *fault)
{
	switch (fault->action) {
	case FAULT_CONTINUE: return MEETING_PAST;
	case FAULT_STALL:
		if (request->stalled)
			return MEETING_PAST;
		request->stalled = true;
		porter_hold(request, USEC_INFINITY);
		return MEETING_HELD;
	case FAULT_ANSWER:
	case FAULT_ENDLESS:
		return answer_send_fault(request, fault) == MHD_YES ? MEETING_ANSWERED
								    : MEETING_GONE;
	case FAULT_RESET: answer_reset(request); return MEETING_GONE;
	case FAULT_CLOSE: return MEETING_GONE;
	case FAULT_TRUNCATE: answer_truncated(request, fault); return MEETING_GONE;
	case FAULT_GARBAGE: answer_garbage(request, fault); return MEETING_GONE;
	case FAULT_DRIP: answer_drip_first(request, fault); return MEETING_HELD;
	}
	return MEETING_PAST;
}

/* Lets the fault strike if this is its phase. Called again after MEETING_HELD. */
static enum meeting meet(struct request *request, enum fault_phase phase)
{
	const struct fault *fault = request->fault;
	enum meeting meeting;

	if (!fault || fault->phase != phase)
		return MEETING_PAST;
	if (fault->delay && !request->delayed) {
		request->delayed = true;
		porter_hold(request, usec_add(clock_monotonic(), fault->delay));
		return MEETING_HELD;
	}
	/* Before the client can know that this try has failed, it is forgotten. */
	if (fault->action != FAULT_CONTINUE && fault->action != FAULT_STALL)
		content_drop(&request->content);
	meeting = strike(request, fault);
	if (meeting == MEETING_PAST)
		request->fault = NULL;
	return meeting;
}

static enum MHD_Result verdict_of(enum meeting meeting)
{
	return meeting == MEETING_GONE ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_head(struct request *request)
{
	enum meeting meeting = meet(request, FAULT_AT_HEAD);

	if (meeting != MEETING_PAST)
		return verdict_of(meeting);
	request->step = STEP_BODY;
	if (request->endpoint == ENDPOINT_UPLOAD)
		upload_begin(request);
	/* Who asks first need not send the body in vain. */
	if (request->answer.status && request_header(request, "Expect"))
		return answer_send(request);
	return MHD_YES;
}

static void keep_body(struct request *request, const char *bytes, size_t length)
{
	char *longer;

	if (request->body_length + length > SERVICE_BODY_MAX)
		return;
	longer = realloc(request->body, request->body_length + length + 1);
	if (!longer)
		return;
	memcpy(longer + request->body_length, bytes, length);
	request->body = longer;
	request->body_length += length;
	request->body[request->body_length] = '\0';
}

static void take(struct request *request, const char *bytes, size_t length)
{
	request->received += length;
	if (request->detail)
		record_body(&request->service->record, request->detail, length);
	if (request->endpoint == ENDPOINT_UPLOAD)
		upload_body(request, bytes, length);
	else
		keep_body(request, bytes, length);
}

static enum MHD_Result on_body(struct request *request, const char *bytes, size_t *left)
{
	const struct fault *fault = request->fault;

	if (fault && fault->phase == FAULT_IN_BODY &&
	    request->received + *left >= fault->bytes) {
		size_t before = (size_t)(fault->bytes - request->received);
		enum meeting meeting;

		take(request, bytes, before);
		bytes += before;
		*left -= before;
		meeting = meet(request, FAULT_IN_BODY);
		if (meeting != MEETING_PAST)
			return verdict_of(meeting);
	}
	take(request, bytes, *left);
	*left = 0;
	return MHD_YES;
}

static void carry_out(struct request *request)
{
	static void (*const how[ENDPOINT_COUNT])(struct request * request) = {
		[ENDPOINT_TOKEN] = token_carry_out, [ENDPOINT_CREATE] = create_carry_out,
		[ENDPOINT_GET] = get_carry_out,	    [ENDPOINT_UPLOAD] = upload_carry_out,
		[ENDPOINT_OTHER] = other_carry_out,
	};

	how[request->endpoint](request);
	/* A refused content is forgotten before the client learns of it. */
	content_drop(&request->content);
}

static enum MHD_Result on_end(struct request *request)
{
	enum meeting meeting;

	transcript_request(request);
	meeting = meet(request, FAULT_IN_BODY);
	if (meeting == MEETING_PAST)
		meeting = meet(request, FAULT_AT_ANSWER);
	if (meeting != MEETING_PAST)
		return verdict_of(meeting);
	carry_out(request);
	transcript_answer(request);
	request->step = STEP_CARRIED_OUT;
	return MHD_YES;
}

static enum MHD_Result on_carried_out(struct request *request)
{
	enum meeting meeting = meet(request, FAULT_CARRIED_OUT);

	return meeting == MEETING_PAST ? answer_send(request) : verdict_of(meeting);
}

static enum endpoint endpoint_of(const char *url)
{
	static const struct {
		const char *path;
		bool whole;
		enum endpoint endpoint;
	} routes[] = {
		{ SERVICE_TOKEN_PATH, true, ENDPOINT_TOKEN },
		{ SERVICE_ASSETS_PATH, true, ENDPOINT_CREATE },
		{ SERVICE_ASSETS_PATH "/", false, ENDPOINT_GET },
	};
	enum url_kind kind;

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (routes[i].whole ? streq(url, routes[i].path)
				    : startswith(url, routes[i].path))
			return routes[i].endpoint;
	}
	return url_is_content(url, &kind) ? ENDPOINT_UPLOAD : ENDPOINT_OTHER;
}

static enum MHD_Result print_header(void *userdata, enum MHD_ValueKind kind,
				    const char *name, const char *value)
{
	(void)kind;
	(void)fprintf(userdata, "%s: %s\n", name, value ? value : "");
	return MHD_YES;
}

static char *headers_text(struct request *request)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_fclose_ FILE *stream = NULL;
	size_t length;

	if (request->service->counts_only)
		return NULL;
	stream = open_memstream(&text, &length);
	if (!stream)
		return NULL;
	(void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND,
					print_header, stream);
	(void)fclose(take_ptr(stream));
	return take_ptr(text);
}

/* MHD's own name of the method goes with the connection. */
static const char *method_name(const char *method)
{
	static const char *const names[] = { "GET",  "POST",   "PUT",
					     "HEAD", "DELETE", "PATCH" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (streq(names[i], method))
			return names[i];
	}
	return "OTHER";
}

static void on_come(struct request *request, const char *method)
{
	struct service *service = request->service;
	struct service_request detail = {
		.endpoint = endpoint_of(request->url),
		.method = method_name(method),
		.url = request->url,
		.headers = headers_text(request),
		.arrived = clock_monotonic(),
	};

	request->endpoint = detail.endpoint;
	request->method = detail.method;
	request->path = request->url;
	request->detail = record_come(&service->record, &detail);
	request->url = (char *)detail.url;
	free((char *)detail.headers);
	request->step = STEP_HEAD;
	{
		HOLD(service);
		request->fault = script_strike(&service->script, request->endpoint);
	}
}

enum MHD_Result exchange_request(void *userdata, struct MHD_Connection *connection,
				 const char *decoded, const char *method,
				 const char *version, const char *bytes, size_t *left,
				 void **context)
{
	struct request *request = *context;

	(void)userdata;
	(void)connection;
	(void)decoded;
	(void)version;
	if (!request || request->dropped)
		return MHD_NO;
	if (request->step == STEP_COME)
		on_come(request, method);
	if (request->step == STEP_HEAD)
		return on_head(request);
	if (*left > 0)
		return on_body(request, bytes, left);
	if (request->step == STEP_BODY)
		request->step = STEP_END;
	if (request->step == STEP_END) {
		enum MHD_Result r = on_end(request);

		if (request->step != STEP_CARRIED_OUT)
			return r;
	}
	return on_carried_out(request);
}

/* ---- what MHD tells of requests and connections ---- */

/* The only place that learns the URL as it was sent. */
void *exchange_begin(void *userdata, const char *url, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->service = userdata;
	request->connection = connection;
	request->url = strdup(url);
	if (!request->url) {
		free(request);
		return NULL;
	}
	return request;
}

void exchange_end(void *userdata, struct MHD_Connection *connection, void **context,
		  enum MHD_RequestTerminationCode code)
{
	struct request *request = *context;

	(void)userdata;
	(void)connection;
	(void)code;
	if (!request)
		return;
	if (request->step != STEP_COME && !request->answered)
		record_answer(&request->service->record, request->detail,
			      request->endpoint, 0);
	transcript_end(request);
	content_drop(&request->content);
	answer_done(&request->answer);
	free(request->url);
	free(request->body);
	free(request);
	*context = NULL;
}
