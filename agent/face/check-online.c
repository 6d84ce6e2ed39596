#include <inttypes.h>
#include <systemd/sd-event.h>

#include "asset-api.h"
#include "check-parts.h"
#include "config-value.h"
#include "http.h"
#include "json.h"
#include "log.h"
#include "text.h"
#include "token.h"

#define NO_ASSET     "{}" /* lacks all that Create Asset requires */
#define SKEW_MAX     (60 * USEC_PER_SEC)
#define WARN_EXPIRES (14 * USEC_PER_DAY)
#define CREDENTIALS \
	SYSCONFDIR "/asset-agent" /* where LoadCredential= finds the secret \
				   */

/* Who is spoken of, at the begin of a sentence and within one. */
struct server {
	const char *title, *name, *url;
};

struct online {
	struct check *check;
	sd_event *event;
	struct http *http;
	struct token *token;
	struct token_waiter waiter;
	bool done;
	bool has_token;
};

/* ---- what is told of a server ---- */

static void tell_proxy(struct online *o, const struct server *server,
		       const struct http_look *look)
{
	static const char *const variables[] = { "https_proxy", "HTTPS_PROXY",
						 "all_proxy", "ALL_PROXY" };
	const char *proxy = o->check->config->api.proxy, *from = "Proxy=";
	_cleanup_free_ char *shown = NULL;

	if (!look->tunnelled)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(variables) && !proxy; i++) {
		proxy = getenv(variables[i]);
		from = variables[i];
	}
	shown = config_value_shown(CONFIG_PROXY, proxy ? proxy : "");
	screen_mark(&o->check->screen, SCREEN_INFO,
		    "%s is reached through the proxy %s, of %s%s.", server->title,
		    shown ? shown : "", from,
		    o->check->config->api.proxy
			    ? ""
			    : " in the environment; the service has one of its own");
}

static void tell_certificate(struct online *o, const struct server *server,
			     const struct http_look *look)
{
	struct screen *screen = &o->check->screen;
	usec_t left = usec_sub(look->expires, clock_realtime());
	char until[CLOCK_STRING_MAX];

	if (look->expires == 0)
		return;
	screen_instant(until, look->expires);
	if (left < WARN_EXPIRES)
		screen_mark(screen, SCREEN_WARNING,
			    "%s: its certificate ends on %s, days left: %" PRIu64
			    "; issued by %s. Tell who runs it.",
			    server->title, until, left / USEC_PER_DAY,
			    look->issuer ? look->issuer : "somebody");
	else
		screen_mark(screen, SCREEN_OK,
			    "%s: its certificate is good until %s; issued by %s.",
			    server->title, until,
			    look->issuer ? look->issuer : "somebody");
}

static void tell_clock(struct online *o, const struct server *server, usec_t date)
{
	usec_t now = clock_realtime();
	usec_t skew = MAX(usec_sub(now, date), usec_sub(date, now));
	char span[CLOCK_STRING_MAX];

	if (date == 0) {
		screen_mark(&o->check->screen, SCREEN_INFO,
			    "%s did not tell its time, so the clocks can't be compared.",
			    server->title);
		return;
	}
	clock_format_span(span, skew);
	if (skew > SKEW_MAX)
		screen_mark(&o->check->screen, SCREEN_WARNING,
			    "The clock here is %s %s that of %s. Set it right: "
			    "timedatectl set-ntp yes",
			    span, now > date ? "ahead of" : "behind", server->name);
	else
		screen_mark(&o->check->screen, SCREEN_OK,
			    "The clock here agrees with that of %s.", server->name);
}

static void tell_connection(struct online *o, const struct server *server,
			    const struct http_look *look)
{
	char resolved[CLOCK_STRING_MAX], connected[CLOCK_STRING_MAX];
	char secured[CLOCK_STRING_MAX + 32] = ", not encrypted";

	clock_format_span(resolved, look->resolved);
	clock_format_span(connected, usec_sub(look->connected, look->resolved));
	if (look->secured > 0) {
		char span[CLOCK_STRING_MAX];

		snprintf(secured, sizeof(secured), ", TLS in %s",
			 clock_format_span(span,
					   usec_sub(look->secured, look->connected)));
	}
	screen_mark(&o->check->screen, SCREEN_OK,
		    "%s (%s) is there: name found in %s, connected to %s port %u in "
		    "%s%s.",
		    server->title, server->url, resolved, look->address, look->port,
		    connected, secured);
}

/* Where on the way it ended. */
static const char *what_to_do(const struct http_answer *answer)
{
	switch (answer->transport) {
	case TRANSPORT_RESOLVE:
		return "Look at the name, and at the DNS of this machine: resolvectl "
		       "query";
	case TRANSPORT_CONNECT: return "Look at firewall, port and proxy";
	case TRANSPORT_TIMEOUT:
		return "Look at firewall and proxy: something swallows the packets";
	case TRANSPORT_TLS: return "Look at the clock, CAFile= and ClientCertificate=";
	case TRANSPORT_ANSWERED:
	case TRANSPORT_STALL:
	case TRANSPORT_RESET:
	case TRANSPORT_GARBAGE:
	case TRANSPORT_BAD_ANSWER:
	case TRANSPORT_SOURCE:
	case TRANSPORT_REFUSED_URL:
	case TRANSPORT_LOCAL: break;
	}
	return "Look whether the URL is right, and what is between";
}

/* Whether it answered, by HTTP, whatever it said. */
static bool tell_server(struct online *o, const struct server *server,
			const struct http_answer *answer)
{
	if (answer->transport != TRANSPORT_ANSWERED) {
		screen_mark(&o->check->screen, SCREEN_FAILED,
			    "%s (%s) can't be reached: %s: %s. %s.", server->title,
			    server->url, transport_name(answer->transport),
			    answer->problem, what_to_do(answer));
		return false;
	}
	tell_connection(o, server, answer->look);
	tell_proxy(o, server, answer->look);
	tell_certificate(o, server, answer->look);
	tell_clock(o, server, answer->date);
	return true;
}

static void wait_until_done(struct online *o)
{
	while (!o->done)
		if (sd_event_run(o->event, UINT64_MAX) < 0)
			return;
}

/* ---- the token ---- */

static void on_token_answer(void *userdata, const struct http_answer *answer)
{
	struct online *o = userdata;
	const struct server server = { "The token server", "the token server",
				       o->check->config->auth.token_url };

	(void)tell_server(o, &server, answer);
}

static void on_token(void *userdata, const struct token_failure *failure)
{
	struct online *o = userdata;

	o->done = true;
	o->has_token = !failure;
	/* That it can't be reached was told. */
	if (failure &&
	    (failure->answer.transport == TRANSPORT_ANSWERED ||
	     failure->answer.transport == TRANSPORT_BAD_ANSWER || !failure->answer.look))
		screen_mark(&o->check->screen, SCREEN_FAILED,
			    "No token: %.*s. Look at [Auth] and at the client secret.",
			    text_clause(failure->why), failure->why);
}

static void tell_token(struct online *o)
{
	usec_t lifetime = token_lifetime(o->token);
	char span[CLOCK_STRING_MAX];

	if (lifetime == USEC_INFINITY)
		screen_mark(&o->check->screen, SCREEN_OK,
			    "A token comes from %s; for how long it serves is not said.",
			    token_source(o->token));
	else
		screen_mark(&o->check->screen, SCREEN_OK,
			    "A token comes from %s, and serves for %s.",
			    token_source(o->token), clock_format_span(span, lifetime));
}

/* The token, which lives until the loop turns, or NULL. */
static const char *get_token(struct online *o)
{
	uint64_t serial;
	const char *token;

	o->waiter = (struct token_waiter){ .done = on_token, .userdata = o };
	o->done = false;
	token = token_get(o->token, &o->waiter, &serial);
	if (!token) {
		wait_until_done(o);
		if (!o->has_token)
			return NULL;
		token = token_get(o->token, &o->waiter, &serial);
	}
	o->has_token = token != NULL;
	if (token)
		tell_token(o);
	return token;
}

/* ---- the API ---- */

/*
 * Create Asset itself is asked, with a request that it must refuse, as that lacks all
 * that is required: 400 in its own words. So nothing is created, and one that does not
 * know of assets at all is told from it: another path of the same service says 404 in the
 * same words, and so does it of an asset that is not there.
 */

static bool is_json(const struct http_answer *answer)
{
	_cleanup_(json_putp) struct json_object *object = NULL;

	return json_parse(answer->body, answer->length, json_type_object, &object) == 0;
}

/* Whether it has found out what the request lacks, or what checks requests before it. */
static bool is_the_refusal(const struct http_answer *answer)
{
	return (answer->status == 400 || answer->status == 422) && is_json(answer);
}

/* The code of an error in the API's own form; the caller frees it. NULL: it has none. */
static char *find_code(const struct http_answer *answer)
{
	struct asset_error error = {};
	char *code = NULL;

	if (asset_error_parse(answer->body, answer->length, &error) == 0 && error.code &&
	    strchr(error.code, '-'))
		code = take_ptr(error.code);
	asset_error_done(&error);
	return code;
}

/* What it said, for people; the caller frees it. NULL: out of memory. */
static char *describe(const struct http_answer *answer, const char *code)
{
	_cleanup_free_ char *status = http_describe_status(answer);
	char *text;

	if (!status || !code)
		return take_ptr(status);
	return asprintf(&text, "%s, %s", status, code) < 0 ? NULL : text;
}

static void judge_success(struct online *o, const struct http_answer *answer,
			  const char *said)
{
	struct asset_grant grant = {};
	const char *reason;

	if (asset_grant_parse(answer->body, answer->length, &grant, &reason) == 0)
		screen_mark(
			&o->check->screen, SCREEN_WARNING,
			"The API made an asset, %s, of a request that lacked all, and "
			"that it should refuse. Nobody needs that asset.",
			grant.id);
	else
		screen_mark(&o->check->screen, SCREEN_FAILED,
			    "What answers at BaseURL= does not look like the API: %s to "
			    "whatever is asked. Look at BaseURL=.",
			    said);
	asset_grant_done(&grant);
}

static void judge_forbidden(struct online *o, const char *code, const char *said)
{
	screen_mark(
		&o->check->screen, SCREEN_FAILED,
		"The API does not let this client create assets: %s. %s", said,
		code ? "Look at Scope= and at the rights of the client."
		     : "It does not say so in the words of the API: it may be a gateway "
		       "or a firewall before it, or the path of BaseURL= is wrong. Else "
		       "look at Scope= and at the rights of the client.");
}

static void judge_other(struct online *o, const struct http_answer *answer,
			const char *code, const char *said)
{
	struct screen *screen = &o->check->screen;

	if (!code)
		screen_mark(screen, SCREEN_FAILED,
			    "What answers at BaseURL= does not look like the API: %s. "
			    "Look at the path of BaseURL=.",
			    said);
	else if (answer->status == 404 || answer->status == 405)
		screen_mark(screen, SCREEN_FAILED,
			    "There is no Create Asset at BaseURL=: %s, in the words of "
			    "the API. So the host is right, and the path is not: look at "
			    "that of BaseURL=, to which /assets is appended.",
			    said);
	else
		screen_mark(screen, SCREEN_FAILED,
			    "The API refuses what the agent asks it: %s.", said);
}

static void judge_api(struct online *o, const struct http_answer *answer)
{
	_cleanup_free_ char *code = find_code(answer), *text = describe(answer, code);
	struct screen *screen = &o->check->screen;
	const char *said = text ? text : "";

	if (answer->status == 401 && !o->has_token)
		screen_mark(screen, SCREEN_INFO,
			    "The API answers, and asks for the token that there is not.");
	else if (answer->status == 401)
		screen_mark(screen, SCREEN_FAILED,
			    "The API refuses the token: %s. Look at ClientID= and "
			    "Scope=.",
			    said);
	else if (answer->status == 403)
		judge_forbidden(o, code, said);
	else if (answer->status >= 500 || answer->status == 429)
		screen_mark(screen, SCREEN_FAILED,
			    "The API answers, but is not well: %s. Files wait until it "
			    "is.",
			    said);
	else if (answer->status / 100 == 2)
		judge_success(o, answer, said);
	else if (is_the_refusal(answer))
		screen_mark(screen, SCREEN_OK, "The API answers as it should%s.",
			    o->has_token ? ", and takes the token" : "");
	else
		judge_other(o, answer, code, said);
}

static void on_api_answer(void *userdata, const struct http_answer *answer)
{
	struct online *o = userdata;
	const struct server server = { "The API", "the API",
				       o->check->config->api.base_url };

	o->done = true;
	if (tell_server(o, &server, answer))
		judge_api(o, answer);
}

static int ask_api(struct online *o, const char *token)
{
	static char content_type[] = "Content-Type: application/json";
	static char accept[] = "Accept: application/json";
	const struct config *config = o->check->config;
	_cleanup_free_ char *url = NULL, *language = NULL;
	char *lines[] = { content_type, accept, NULL };
	const struct strv headers = { .items = lines, .count = ARRAY_SIZE(lines) };
	struct http_call call = {
		.method = "POST",
		.headers = &headers,
		.bearer = token,
		.body = NO_ASSET,
		.body_length = STRLEN(NO_ASSET),
		.file = -1,
		.timeout = config->api.timeout,
		.stall_timeout = USEC_INFINITY,
		.look = true,
	};
	int r;

	if (asprintf(&url, "%s/assets", config->api.base_url) < 0 ||
	    asprintf(&language, "Accept-Language: %s", config->api.accept_language) < 0)
		return -ENOMEM;
	lines[2] = language;
	call.url = url;
	o->done = false;
	r = http_start(o->http, &call, on_api_answer, o, NULL);
	if (r >= 0)
		wait_until_done(o);
	return r;
}

/* ---- all ---- */

/* The service gets it from systemd. */
static void find_credential(const struct config *config)
{
	if (!config->auth.token_file && !config->auth.client_secret_file)
		(void)setenv("CREDENTIALS_DIRECTORY", CREDENTIALS, false);
}

static int open_online(struct online *o)
{
	const struct config *config = o->check->config;
	const struct http_settings settings = {
		.ca_file = config->api.ca_file,
		.client_certificate = config->api.client_certificate,
		.client_key = config->api.client_key,
		.proxy = config->api.proxy,
		.connect_timeout = config->api.connect_timeout,
		.connections_max = 1,
	};
	int r = sd_event_new(&o->event);

	if (r >= 0)
		r = http_new(o->event, &settings, &o->http);
	if (r >= 0)
		r = token_new(o->event, o->http, config, &o->token);
	return r;
}

void check_online(struct check *c)
{
	struct online o = { .check = c };
	int r;

	find_credential(c->config);
	r = open_online(&o);
	if (r >= 0) {
		token_look(o.token, on_token_answer, &o);
		r = ask_api(&o, get_token(&o));
	}
	if (r < 0)
		screen_mark(&c->screen, SCREEN_FAILED, "Nothing could be asked: %s.",
			    log_errno(r));
	token_free(o.token);
	http_free(o.http);
	sd_event_unref(o.event);
}
