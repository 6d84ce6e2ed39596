#include <assert.h>
#include <inttypes.h>
#include <sys/queue.h>

#include "http.h"
#include "simulation.h"

#define ASSETS_MAX 32000
#define ANSWER_MAX 1024
#define URL_MARGIN (5 * USEC_PER_SEC) /* so near its end, a URL may be left */

enum kind { KIND_TOKEN, KIND_CREATE, KIND_PUT };

struct http {
	int unused;
};

struct http_request {
	struct sim_request seen; /* what the checks see of it */
	enum kind kind;
	char name[64], bearer[32], secret[32];
	uint64_t size;
	unsigned changes; /* of the file, until it was asked for */
	bool own_fault;	  /* the answer counts as an attempt */
	usec_t stall_timeout;
	struct sim_inode *inode; /* whose content is sent */
	uint64_t content;	 /* when the sending began */
	http_done_fn done;
	void *userdata;
	struct sim_event *event; /* the next step of it */
	/* The answer. */
	enum transport transport;
	uint64_t sent; /* of the body, when it came */
	int status;
	char body[ANSWER_MAX];
	LIST_ENTRY(http_request) link;
};

struct sim_services sim_services;

static LIST_HEAD(, http_request) requests;
static unsigned in_flight;
static uint64_t request_numbers;
static struct sim_asset assets[ASSETS_MAX];
static size_t asset_count;

static struct { /* tokens count up; those below are revoked, the last one expires */
	uint64_t serial, valid_from;
	usec_t expires[4096];
} tokens;

/* What the services did to a file that costs it an attempt. */
static struct charge {
	char name[64];
	unsigned own, refusals;
} * charges;
static size_t charge_count;

/* ---- the record ---- */

struct sim_asset *sim_asset(const char *id)
{
	uint64_t number = id && startswith(id, "asset-") ? strtoull(id + 6, NULL, 10) : 0;

	return number >= 1 && number <= asset_count ? &assets[number - 1] : NULL;
}

size_t sim_asset_count(void)
{
	return asset_count;
}

struct sim_asset *sim_asset_at(size_t index)
{
	return &assets[index];
}

unsigned sim_in_flight(void)
{
	return in_flight;
}

unsigned sim_large_in_flight(uint64_t size)
{
	const struct http_request *r;
	unsigned count = 0;

	LIST_FOREACH (r, &requests, link)
		count += r->seen.asset && r->seen.asset->size > size &&
			 sim_changes(r->seen.asset->name) == 1;
	return count;
}

bool sim_services_are_busy(void)
{
	return !LIST_EMPTY(&requests);
}

bool sim_is_rejected(const char *name)
{
	return startswith(name, "bad");
}

static struct charge *charge_of(const char *name)
{
	struct charge *charge;

	for (size_t i = 0; i < charge_count; i++)
		if (streq(charges[i].name, name))
			return &charges[i];
	charges = reallocarray(charges, charge_count + 1, sizeof(*charges));
	charge = &charges[charge_count++];
	memset(charge, 0, sizeof(*charge));
	snprintf(charge->name, sizeof(charge->name), "%s", name);
	return charge;
}

unsigned sim_charges(const char *name)
{
	const struct charge *charge = charge_of(name);

	/* The first refusal of a URL is free, the second one is not. */
	return charge->own + charge->refusals / 2;
}

void sim_revoke_tokens(void)
{
	tokens.valid_from = tokens.serial + 1;
}

static usec_t service_clock(void)
{
	return SIM_EPOCH + sim.now + (usec_t)sim_services.skew;
}

void sim_excuse(const char *name)
{
	for (size_t i = 0; i < asset_count; i++)
		if (streq(assets[i].name, name))
			assets[i].excused = true;
}

/* What its file needs no more when it asks for another. */
static void excuse_predecessors(const char *name)
{
	for (size_t i = 0; i < asset_count; i++)
		if (streq(assets[i].name, name) &&
		    (assets[i].leave <= sim.now + URL_MARGIN ||
		     assets[i].changes != sim_changes(name)))
			assets[i].excused = true;
}

static struct sim_asset *create_asset(const struct http_request *r)
{
	struct sim_asset *asset;

	assert(asset_count < ASSETS_MAX);
	asset = &assets[asset_count++];

	excuse_predecessors(r->name);

	*asset = (struct sim_asset){ .size = r->size,
				     .host = sim_services.granted,
				     .expires = USEC_INFINITY,
				     .leave = sim.now + USEC_PER_HOUR,
				     .changes = r->changes };
	snprintf(asset->id, sizeof(asset->id), "asset-%zu", asset_count);
	snprintf(asset->name, sizeof(asset->name), "%s", r->name);
	if (sim_services.url_lifetime > 0)
		asset->expires = asset->leave = sim.now + sim_services.url_lifetime;
	return asset;
}

/* ---- answers ---- */

static void finish(struct http_request *r)
{
	LIST_REMOVE(r, link);
	if (r->kind != KIND_TOKEN)
		in_flight--;
}

static usec_t date_of_answer(void)
{
	if (!sim_services.dates)
		return 0;
	if (sim.sabotage == SABOTAGE_WRONG_DATE) {
		sim.sabotaged++;
		return service_clock() - USEC_PER_HOUR * 12;
	}
	return service_clock();
}

static void deliver(void *userdata)
{
	struct http_request *r = userdata;
	const struct http_answer answer = {
		.transport = r->transport,
		.status = r->transport == TRANSPORT_ANSWERED ? r->status : 0,
		.body = r->transport == TRANSPORT_ANSWERED ? r->body : "",
		.length = r->transport == TRANSPORT_ANSWERED ? strlen(r->body) : 0,
		.date = date_of_answer(),
		.retry_after = r->seen.retry_after,
		.sent = r->sent,
		.problem = r->transport == TRANSPORT_ANSWERED
				   ? ""
				   : transport_name(r->transport),
		.duration = sim.now - r->seen.started,
	};

	r->done(r->userdata, &answer);
}

/* After ten tries in a row that did not reach its host, a URL is left for another. */
static void count_unreached(const struct http_request *r)
{
	struct sim_asset *asset = r->seen.asset;

	if (r->transport != TRANSPORT_RESOLVE && r->transport != TRANSPORT_CONNECT &&
	    r->transport != TRANSPORT_TLS && r->transport != TRANSPORT_TIMEOUT)
		asset->unreached = 0;
	else if (++asset->unreached == 10)
		asset->excused = true;
}

static void on_answer(void *userdata)
{
	struct http_request *r = userdata;

	r->event = NULL;
	finish(r);
	if (r->own_fault)
		r->seen.asset->own_faults++;
	if (r->kind == KIND_PUT)
		count_unreached(r);
	sim_trace("answer to %s %s: %s %d %s", sim_services.each[r->seen.service].host,
		  r->seen.asset ? r->seen.asset->id : r->name,
		  transport_name(r->transport), r->status,
		  r->seen.retry_after ? "(later)" : "");
	check_answered(&r->seen);
	sim_turn(deliver, r);
	free(r);
}

static void answer_after(struct http_request *r, usec_t delay, enum transport transport,
			 int status, const char *body)
{
	r->transport = transport;
	r->status = status;
	snprintf(r->body, sizeof(r->body), "%s", body);
	if (sim.sabotage == SABOTAGE_LOST_ANSWER && r->kind == KIND_PUT &&
	    sim.sabotaged == 0) {
		sim.sabotaged++;
		return;
	}
	r->event = sim_after(delay, on_answer, r);
}

static usec_t latency(void)
{
	return sim_services.latency ? sim_between(1, sim_services.latency) : 1;
}

/* A fault of the file's own way, which counts as an attempt. */
static void own_fault(struct http_request *r, usec_t delay, enum transport transport)
{
	charge_of(r->name)->own++;
	r->own_fault = true;
	answer_after(r, delay, transport, 0, "");
}

static void refuse_url(struct http_request *r, int status)
{
	charge_of(r->name)->refusals++;
	r->seen.asset->excused = true;
	answer_after(r, latency(), TRANSPORT_ANSWERED, status,
		     "<Error><Code>AccessDenied</Code></Error>");
}

/* Whether the service's own fault is the answer. */
static bool is_faulty(struct http_request *r)
{
	const struct sim_service *s = &sim_services.each[r->seen.service];

	switch (s->fault) {
	case FAULT_NONE: return false;
	case FAULT_REFUSED: answer_after(r, latency(), TRANSPORT_CONNECT, 0, ""); break;
	case FAULT_RESOLVE: answer_after(r, latency(), TRANSPORT_RESOLVE, 0, ""); break;
	case FAULT_TLS: answer_after(r, latency(), TRANSPORT_TLS, 0, ""); break;
	case FAULT_BLACKHOLE:
		answer_after(r, sim.config.api.connect_timeout, TRANSPORT_TIMEOUT, 0, "");
		break;
	case FAULT_STATUS:
		r->seen.retry_after = s->retry_after;
		answer_after(r, latency(), TRANSPORT_ANSWERED, s->status, "<p>Not now");
		break;
	case FAULT_GARBAGE: answer_after(r, latency(), TRANSPORT_GARBAGE, 0, ""); break;
	case FAULT_BAD_ANSWER:
		if (r->kind == KIND_PUT)
			answer_after(r, latency(), TRANSPORT_ANSWERED, 302, "");
		else
			answer_after(r, latency(), TRANSPORT_ANSWERED, 200, "{\"a\":");
		break;
	case SIM_FAULTS: break;
	}
	return true;
}

/* ---- the token server ---- */

static void answer_token(struct http_request *r)
{
	uint64_t lifetime = sim_services.token_lifetime / USEC_PER_SEC;
	char body[ANSWER_MAX], tail[64] = "";

	if (!streq(r->secret, sim_services.secret)) {
		answer_after(r, latency(), TRANSPORT_ANSWERED, 401,
			     "{\"error\":\"invalid_client\"}");
		return;
	}
	tokens.serial++;
	tokens.expires[tokens.serial % ARRAY_SIZE(tokens.expires)] =
		lifetime ? sim.now + sim_services.token_lifetime : USEC_INFINITY;
	if (lifetime)
		snprintf(tail, sizeof(tail), ",\"expires_in\":%" PRIu64, lifetime);
	snprintf(body, sizeof(body),
		 "{\"access_token\":\"t%" PRIu64 "\",\"token_type\":\"Bearer\"%s}",
		 tokens.serial, tail);
	answer_after(r, latency(), TRANSPORT_ANSWERED, 200, body);
}

/* ---- the API ---- */

static bool is_authorized(const char *bearer)
{
	uint64_t serial = strtoull(bearer + 1, NULL, 10);

	return serial >= tokens.valid_from && serial <= tokens.serial &&
	       sim.now < tokens.expires[serial % ARRAY_SIZE(tokens.expires)];
}

static void answer_create(struct http_request *r)
{
	char body[ANSWER_MAX], instant[CLOCK_STRING_MAX], tail[96] = "";
	struct sim_asset *asset;

	if (!is_authorized(r->bearer)) {
		answer_after(r, latency(), TRANSPORT_ANSWERED, 401,
			     "{\"code\":\"401-104\",\"developerMessage\":\"No.\"}");
		return;
	}
	if (sim_is_rejected(r->name)) {
		answer_after(r, latency(), TRANSPORT_ANSWERED, 400,
			     "{\"code\":\"400-196\",\"developerMessage\":\"Bad name.\"}");
		return;
	}
	asset = create_asset(r);
	r->seen.asset = asset;
	if (sim_chance(sim_services.losses)) { /* done, and nobody learns of it */
		asset->excused = true;
		answer_after(r, latency(), TRANSPORT_RESET, 0, "");
		return;
	}
	if (asset->expires != USEC_INFINITY)
		snprintf(tail, sizeof(tail), ",\"contentUrlExpiry\":\"%s\"",
			 clock_format(instant,
				      usec_to_timespec(service_clock() +
						       sim_services.url_lifetime),
				      3));
	snprintf(body, sizeof(body),
		 "{\"id\":\"%s\",\"contentUrl\":\"https://%s/put?asset=%s\"%s}",
		 asset->id, sim_services.each[asset->host].host, asset->id, tail);
	answer_after(r, latency(), TRANSPORT_ANSWERED, 200, body);
}

/* ---- a storage ---- */

static void store(struct http_request *r)
{
	struct sim_asset *asset = r->seen.asset;

	asset->content = r->content;
	if (sim.sabotage == SABOTAGE_TORN_OBJECT && sim_chance(100)) {
		sim.sabotaged++;
		asset->content = 0;
	}
}

/* The body is there, or as much of it as ever will be. */
static void on_body(void *userdata)
{
	struct http_request *r = userdata;
	bool late = false;

	r->event = NULL;
	r->sent = r->size;
	if (sim_services.each[r->seen.service].fault != FAULT_NONE) {
		own_fault(r, 1, TRANSPORT_RESET);
		return;
	}
	if (sim_inode_size(r->inode) < r->size) {
		own_fault(r, 1, TRANSPORT_SOURCE);
		return;
	}
	/* What was sent is then neither the one nor the other. */
	if (sim_inode_content(r->inode) != r->content)
		r->content = UINT64_MAX;
	if (sim_chance(sim_services.resets)) {
		late = sim_chance(500);
		if (late)
			store(r);
		own_fault(r, 1, TRANSPORT_RESET);
		return;
	}
	store(r);
	answer_after(r, latency(), TRANSPORT_ANSWERED, 200, "");
}

static void answer_put(struct http_request *r)
{
	const struct sim_asset *asset = r->seen.asset;

	if (sim.now >= asset->expires || sim_services.refuses) {
		refuse_url(r, 403);
	} else if (asset->content && sim_services.second_put != 200) {
		if (asset->content != r->content)
			refuse_url(r, 403);
		else
			answer_after(r, latency(), TRANSPORT_ANSWERED,
				     sim_services.second_put, "");
	} else if (sim_chance(sim_services.stalls)) {
		r->sent = r->size / 2;
		own_fault(r, r->stall_timeout, TRANSPORT_STALL);
	} else {
		r->event = sim_after(r->size * USEC_PER_SEC / sim_services.rate, on_body,
				     r);
	}
}

/* ---- a request ---- */

static void on_arrival(void *userdata)
{
	struct http_request *r = userdata;

	r->event = NULL;
	if (is_faulty(r))
		return;
	switch (r->kind) {
	case KIND_TOKEN: answer_token(r); break;
	case KIND_CREATE: answer_create(r); break;
	case KIND_PUT: answer_put(r); break;
	}
}

/* Copies what stands behind @key in @text, up to one of @ends. */
static void value_of(const char *text, const char *key, const char *ends, char *ret,
		     size_t room)
{
	const char *found = text ? strstr(text, key) : NULL;

	ret[0] = '\0';
	if (found)
		snprintf(ret, MIN(room, strcspn(found + strlen(key), ends) + 1), "%s",
			 found + strlen(key));
}

static unsigned service_of(const char *url)
{
	unsigned service = 0;

	while (!startswith(url + STRLEN("https://"), sim_services.each[service].host))
		service++;
	return service;
}

static void read_call(struct http_request *r, const struct http_call *call)
{
	char text[64];

	r->seen.service = service_of(call->url);
	switch (r->seen.service) {
	case SIM_TOKEN:
		r->kind = KIND_TOKEN;
		value_of(call->body, "client_secret=", "&", r->secret, sizeof(r->secret));
		break;
	case SIM_API:
		r->kind = KIND_CREATE;
		snprintf(r->bearer, sizeof(r->bearer), "%s", call->bearer);
		value_of(call->body, "\"name\":\"", "\"", r->name, sizeof(r->name));
		value_of(call->body, "\"size\":", ",}", text, sizeof(text));
		r->size = strtoull(text, NULL, 10);
		r->changes = sim_changes(r->name);
		break;
	default:
		r->kind = KIND_PUT;
		value_of(call->url, "asset=", "&", text, sizeof(text));
		r->seen.asset = sim_asset(text);
		r->inode = sim_inode_of(call->file);
		r->content = sim_inode_content(r->inode);
		r->size = call->file_size;
		snprintf(r->name, sizeof(r->name), "%s", r->seen.asset->name);
	}
}

int __wrap_http_start(struct http *http, const struct http_call *call, http_done_fn done,
		      void *userdata, struct http_request **ret);
int __wrap_http_start(struct http *http, const struct http_call *call, http_done_fn done,
		      void *userdata, struct http_request **ret)
{
	struct http_request *r = calloc(1, sizeof(*r));

	(void)http;
	read_call(r, call);
	r->done = done;
	r->userdata = userdata;
	r->stall_timeout = call->stall_timeout;
	r->seen.started = sim.now;
	r->seen.number = ++request_numbers;
	LIST_INSERT_HEAD(&requests, r, link);
	if (r->kind != KIND_TOKEN)
		in_flight++;
	*ret = r;
	if (!sim_device())
		return 0;
	sim.requests++;
	sim_trace("request to %s for %s%s", sim_services.each[r->seen.service].host,
		  r->seen.asset ? r->seen.asset->id : "", r->name);
	check_started(&r->seen);
	r->event = sim_after(latency(), on_arrival, r);
	return 0;
}

void __wrap_http_cancel(struct http_request *r);
void __wrap_http_cancel(struct http_request *r)
{
	if (!r)
		return;
	sim_cancel(r->event);
	finish(r);
	if (r->kind == KIND_CREATE && r->seen.asset)
		r->seen.asset->excused = true; /* in flight at a stop */
	check_gone(&r->seen);
	free(r);
}

uint64_t __wrap_http_sent(const struct http_request *r);
uint64_t __wrap_http_sent(const struct http_request *r)
{
	if (sim_services.each[r->seen.service].fault != FAULT_NONE)
		return 0;
	return MIN(r->size,
		   (sim.now - r->seen.started) * sim_services.rate / USEC_PER_SEC);
}

uint64_t __wrap_http_moved(const struct http_request *r);
uint64_t __wrap_http_moved(const struct http_request *r)
{
	return __wrap_http_sent(r);
}

int __wrap_http_new(void *event, const void *settings, struct http **ret);
int __wrap_http_new(void *event, const void *settings, struct http **ret)
{
	(void)event;
	(void)settings;
	*ret = calloc(1, sizeof(struct http));
	return 0;
}

int __wrap_http_renew(struct http *http, const void *settings);
int __wrap_http_renew(struct http *http, const void *settings)
{
	(void)http;
	(void)settings;
	return 0;
}

void __wrap_http_free(struct http *http);
void __wrap_http_free(struct http *http)
{
	while (!LIST_EMPTY(&requests))
		__wrap_http_cancel(LIST_FIRST(&requests));
	free(http);
}

/* ---- their life ---- */

void sim_services_stop(void)
{
	for (size_t i = 0; i < asset_count; i++)
		if (assets[i].unrecordable && !assets[i].recorded)
			assets[i].excused = true;
}

/* What was on its way arrives all the same, or not; nobody is told. */
void sim_services_crash(void)
{
	struct http_request *r;

	LIST_FOREACH (r, &requests, link) {
		if (r->kind == KIND_PUT && r->event && sim_chance(200) &&
		    sim_services.each[r->seen.service].fault == FAULT_NONE &&
		    sim.now < r->seen.asset->expires &&
		    (!r->seen.asset->content || sim_services.second_put == 200) &&
		    sim_inode_content(r->inode) == r->content)
			r->seen.asset->content = r->content;
		if (r->kind == KIND_CREATE && !r->seen.asset && r->event &&
		    sim_chance(500) && is_authorized(r->bearer) &&
		    !sim_is_rejected(r->name) &&
		    sim_services.each[SIM_API].fault == FAULT_NONE)
			r->seen.asset = create_asset(r);
	}
	for (size_t i = 0; i < asset_count; i++)
		if (!assets[i].recorded)
			assets[i].excused = true;
}

void sim_services_begin(void)
{
	static const char *const hosts[] = {
		"token.example", "api.example", "s0.example",
		"s1.example",	 "s2.example",	"s3.example"
	};

	sim_services = (struct sim_services){
		.granted = SIM_STORAGE,
		.dates = true,
		.secret = "right",
		.token_lifetime = USEC_PER_HOUR,
		.url_lifetime = USEC_PER_HOUR,
		.latency = 100 * USEC_PER_MSEC,
		.second_put = 200,
		.rate = 10000000,
	};
	for (unsigned i = 0; i < SIM_SERVICES; i++)
		sim_services.each[i].host = hosts[i];
	LIST_INIT(&requests);
	in_flight = 0;
	tokens.serial = 0;
	tokens.valid_from = 1;
	charge_count = 0;
	asset_count = 0;
}

void sim_services_end(void)
{
	free(take_ptr(charges));
}
