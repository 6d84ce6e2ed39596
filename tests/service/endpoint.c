#include <stdint.h>
#include <strings.h>
#include <sys/random.h>

#include <json-c/json_tokener.h>

#include "aide.h"
#include "internal.h"

/* ---- the token ---- */

enum form_field { FORM_GRANT, FORM_ID, FORM_SECRET, FORM_SCOPE, FORM_COUNT };

static const char *const form_names[FORM_COUNT] = {
	[FORM_GRANT] = "grant_type",
	[FORM_ID] = "client_id",
	[FORM_SECRET] = "client_secret",
	[FORM_SCOPE] = "scope",
};

static void refuse_token(struct request *request, int status, const char *error,
			 const char *description)
{
	struct json_object *object = json_object_new_object();

	(void)json_object_object_add(object, "error", json_object_new_string(error));
	(void)json_object_object_add(object, "error_description",
				     json_object_new_string(description));
	answer_json(&request->answer, status, object);
	answer_header(&request->answer, "Cache-Control: no-store");
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 32) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Decodes in place. False: a broken escape. */
static bool form_decode(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++) {
		if (*from != '%') {
			*to++ = *from == '+' ? ' ' : *from;
			continue;
		}
		if (hex_digit(from[1]) < 0 || hex_digit(from[2]) < 0)
			return false;
		*to++ = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
		from += 2;
	}
	*to = '\0';
	return true;
}

/* Cuts @body up. False: not a form, a name that is none of ours, or one twice. */
static bool form_parse(char *body, char *values[static FORM_COUNT])
{
	char *pair;

	while ((pair = strsep(&body, "&"))) {
		char *value = strchr(pair, '=');
		size_t i;

		if (!value)
			return false;
		*value++ = '\0';
		if (!form_decode(pair) || !form_decode(value))
			return false;
		for (i = 0; i < FORM_COUNT && !streq(form_names[i], pair); i++)
			;
		if (i == FORM_COUNT || values[i])
			return false;
		values[i] = value;
	}
	return true;
}

static char *new_token(void)
{
	static const char visible[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_";
	unsigned char random[48];
	char *text = malloc(sizeof(random) + 1);

	if (!text || getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return text;
	for (size_t i = 0; i < sizeof(random); i++)
		text[i] = visible[random[i] % 64];
	text[sizeof(random)] = '\0';
	return text;
}

/* A token that is good from now on, and in *@ret_expires_in what is said of its life. */
static const char *add_token(struct service *service, int *ret_expires_in)
{
	struct token *token = calloc(1, sizeof(*token));
	HOLD(service);

	token->text = new_token();
	*ret_expires_in = service->expires_in;
	token->expires = usec_add(clock_monotonic(),
				  (usec_t)(*ret_expires_in > 0 ? *ret_expires_in : 3600) *
					  USEC_PER_SEC);
	token->next = service->tokens;
	service->tokens = token;
	return token->text;
}

char *service_issue_token(struct service *service)
{
	int expires_in;

	return strdup(add_token(service, &expires_in));
}

static void grant_token(struct request *request)
{
	struct json_object *object = json_object_new_object();
	int expires_in;
	const char *text = add_token(request->service, &expires_in);

	(void)json_object_object_add(object, "access_token",
				     json_object_new_string(text));
	(void)json_object_object_add(object, "token_type",
				     json_object_new_string("Bearer"));
	if (expires_in > 0)
		(void)json_object_object_add(object, "expires_in",
					     json_object_new_int(expires_in));
	answer_json(&request->answer, 200, object);
	answer_header(&request->answer, "Cache-Control: no-store");
}

static bool has_type(const struct request *request, const char *type)
{
	const char *sent = request_header(request, "Content-Type");
	size_t length = strlen(type);

	return sent && strncasecmp(sent, type, length) == 0 &&
	       (sent[length] == '\0' || sent[length] == ';');
}

/* The first thing wrong with the request's form, or NULL. */
static const char *token_fault(struct request *request, char *values[static FORM_COUNT])
{
	if (!streq(request->method, "POST"))
		return "the method is not POST";
	if (!has_type(request, "application/x-www-form-urlencoded"))
		return "the content is not application/x-www-form-urlencoded";
	if (!request->body || !form_parse(request->body, values))
		return "the form is broken";
	for (size_t i = 0; i < FORM_COUNT; i++) {
		if (!values[i])
			return form_names[i];
	}
	return NULL;
}

void token_carry_out(struct request *request)
{
	const struct service *service = request->service;
	char *values[FORM_COUNT] = { 0 };
	const char *fault = token_fault(request, values);

	if (fault) {
		service_violate(request, "%s", fault);
		return refuse_token(request, 400, "invalid_request", fault);
	}
	if (!streq(values[FORM_GRANT], "client_credentials"))
		return refuse_token(request, 400, "unsupported_grant_type",
				    "only client_credentials");
	if (!streq(values[FORM_ID], service->client_id) ||
	    !streq(values[FORM_SECRET], service->client_secret))
		return refuse_token(request, 401, "invalid_client",
				    "unknown client or secret");
	if (!streq(values[FORM_SCOPE], service->scope))
		return refuse_token(request, 400, "invalid_scope",
				    "not a scope of this client");
	grant_token(request);
}

/* ---- who may ---- */

enum bearer { BEARER_GOOD, BEARER_EXPIRED, BEARER_UNKNOWN };

/* What is no longer good there may have been so when it was asked for. */
static enum bearer bearer_ask(const char *judge, const char *text)
{
	_cleanup_free_ char *word = aide_ask(judge, &text, 1);

	return streq(word, "good") ? BEARER_GOOD : BEARER_EXPIRED;
}

static enum bearer bearer_find(struct service *service, const char *text)
{
	enum bearer found = BEARER_UNKNOWN;
	usec_t now = clock_monotonic();

	HOLD(service);

	for (struct token *t = service->tokens; t && found == BEARER_UNKNOWN;
	     t = t->next) {
		if (streq(t->text, text))
			found = t->expires > now ? BEARER_GOOD : BEARER_EXPIRED;
	}
	return found;
}

/* An expired token is no breach: it may have expired on its way. */
static bool is_allowed(struct request *request)
{
	const char *header = request_header(request, "Authorization");
	const char *judge = request->service->judge;
	enum bearer bearer = BEARER_UNKNOWN;

	if (header && strncasecmp(header, "Bearer ", 7) == 0)
		bearer = judge ? bearer_ask(judge, header + 7)
			       : bearer_find(request->service, header + 7);
	if (bearer == BEARER_GOOD)
		return true;
	if (bearer == BEARER_UNKNOWN)
		service_violate(request, "%s",
				header ? "a token that was never given out"
				       : "no Authorization header");
	answer_api_error(request, 401, 104, "Invalid or missing authorization header",
			 NULL, NULL);
	return false;
}

/* ---- Create Asset ---- */

static size_t characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* No NUL within, and so many characters. */
static bool is_text(struct json_object *value, size_t max)
{
	const char *text = json_object_get_string(value);

	return *text && strlen(text) == (size_t)json_object_get_string_len(value) &&
	       characters(text) <= max;
}

static bool channel_is_valid(struct json_object *value)
{
	return is_text(value, 255);
}

static bool sender_is_valid(struct json_object *value)
{
	static const char *const types[] = { "custom_bot", "customer", "egain_agent",
					     "egain_bot", "custom_agent" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (streq(json_object_get_string(value), types[i]))
			return true;
	}
	return false;
}

static bool name_is_valid(struct json_object *value)
{
	return is_text(value, SIZE_MAX);
}

static bool size_is_valid(struct json_object *value)
{
	int64_t size = json_object_get_int64(value);

	/* json-c makes the greatest of whatever is greater. */
	return size >= 0 && size < INT64_MAX;
}

enum parameter { CHANNEL_TYPE, SENDER_TYPE, NAME, SIZE, PARAMETER_COUNT };

static const struct {
	const char *shown, *outer, *key;
	enum json_type type;
	bool (*is_valid)(struct json_object *value);
} parameters[PARAMETER_COUNT] = {
	[CHANNEL_TYPE] = { "channel.type", "channel", "type", json_type_string,
			   channel_is_valid },
	[SENDER_TYPE] = { "sender.type", "sender", "type", json_type_string,
			  sender_is_valid },
	[NAME] = { "name", NULL, "name", json_type_string, name_is_valid },
	[SIZE] = { "size", NULL, "size", json_type_int, size_is_valid },
};

static struct json_object *parse(const char *text, size_t length)
{
	struct json_tokener *tokener = json_tokener_new_ex(8);
	struct json_object *object;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)length);
	/* A number, or an unfinished text, would want more. */
	if (json_tokener_get_error(tokener) != json_tokener_success ||
	    json_tokener_get_parse_end(tokener) != length) {
		(void)json_object_put(object);
		object = NULL;
	}
	json_tokener_free(tokener);
	return object;
}

static void refuse_parameter(struct request *request, int reason, const char *key)
{
	static const char *const messages[] = { "Required parameter is missing",
						"Invalid value of attribute" };

	service_violate(request, "%s: %s", messages[reason == 196], key);
	answer_api_error(request, 400, reason, messages[reason == 196], "attribute", key);
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (json_object_is_type(object, json_type_object))
		(void)json_object_object_get_ex(object, key, &value);
	return value;
}

/* False: refused. */
static bool find_parameters(struct request *request, struct json_object *root,
			    struct json_object *values[static PARAMETER_COUNT])
{
	for (size_t i = 0; i < PARAMETER_COUNT; i++) {
		struct json_object *outer = root;

		if (parameters[i].outer)
			outer = member(root, parameters[i].outer);
		values[i] = member(outer, parameters[i].key);
		if (!values[i]) {
			refuse_parameter(request, 112, parameters[i].shown);
			return false;
		}
		if (!json_object_is_type(values[i], parameters[i].type) ||
		    !parameters[i].is_valid(values[i])) {
			refuse_parameter(request, 196, parameters[i].shown);
			return false;
		}
	}
	/* Each is there, so a greater number means an unknown one. */
	if (json_object_object_length(root) != 4 ||
	    json_object_object_length(member(root, "channel")) != 1 ||
	    json_object_object_length(member(root, "sender")) != 1) {
		refuse_parameter(request, 196, "(unknown attribute)");
		return false;
	}
	return true;
}

static const struct service_asset *grant_asset(
	struct service *service, struct json_object *values[static PARAMETER_COUNT])
{
	size_t next = depot_count(&service->depot);
	struct wish wish = {
		.name = json_object_get_string(values[NAME]),
		.channel_type = json_object_get_string(values[CHANNEL_TYPE]),
		.sender_type = json_object_get_string(values[SENDER_TYPE]),
		.size = (uint64_t)json_object_get_int64(values[SIZE]),
		.now = service_now(service),
		.signer = service->signer,
	};

	{
		HOLD(service);
		wish.lifetime = service->url_lifetime;
		wish.kind = service->kind;
	}
	if (wish.kind == KIND_MIXED)
		wish.kind = (enum url_kind)(next % KIND_MIXED);
	return depot_grant(&service->depot, &wish);
}

static struct json_object *describe(struct service *service,
				    const struct service_asset *asset)
{
	struct json_object *object = json_object_new_object();
	_cleanup_free_ char *url = NULL;
	char expiry[CLOCK_STRING_MAX];

	if (asprintf(&url, "%s%s", service->signer ? "" : service->content_base,
		     asset->url) < 0)
		url = NULL;
	(void)clock_format(expiry, usec_to_timespec(asset->expires), 3);
	(void)json_object_object_add(object, "id", json_object_new_string(asset->id));
	(void)json_object_object_add(object, "contentUrl", json_object_new_string(url));
	if (!service->no_url_expiry)
		(void)json_object_object_add(object, "contentUrlExpiry",
					     json_object_new_string(expiry));
	return object;
}

static void grant(struct request *request,
		  struct json_object *values[static PARAMETER_COUNT])
{
	struct service *service = request->service;
	const struct service_asset *asset;

	if ((uint64_t)json_object_get_int64(values[SIZE]) > service->size_limit) {
		answer_api_error(request, 400, 196, "Larger than the channel allows",
				 "attribute", parameters[SIZE].shown);
		return;
	}
	asset = grant_asset(service, values);
	if (!asset) {
		service_violate(request, "no asset could be made of it");
		answer_api_error(request, 500, 100, "No URL could be made", NULL, NULL);
		return;
	}
	record_asset(&service->record, request->detail, asset->id);
	answer_json(&request->answer, 200, describe(service, asset));
}

/* To look whether Create Asset is here, by a request that lacks all, is no breach. */
static void refuse_probe(struct request *request)
{
	if (!request_header(request, "Authorization"))
		answer_api_error(request, 401, 104,
				 "Invalid or missing authorization header", NULL, NULL);
	else if (is_allowed(request))
		answer_api_error(request, 400, 112, "Required parameter is missing",
				 "attribute", "channel.type");
}

void create_carry_out(struct request *request)
{
	struct json_object *root, *values[PARAMETER_COUNT];

	if (!streq(request->method, "POST"))
		return other_carry_out(request);
	if (streq(request->body, "{}"))
		return refuse_probe(request);
	if (!is_allowed(request))
		return;
	if (!has_type(request, "application/json"))
		return refuse_parameter(request, 196, "Content-Type");
	root = parse(request->body ? request->body : "", request->body_length);
	if (!json_object_is_type(root, json_type_object)) {
		refuse_parameter(request, 196, "(body)");
	} else if (find_parameters(request, root, values)) {
		grant(request, values);
	}
	(void)json_object_put(root);
}

/* ---- the rest ---- */

void get_carry_out(struct request *request)
{
	const char *id = request->path + STRLEN(SERVICE_ASSETS_PATH "/");
	const struct service_asset *asset;
	struct json_object *object;

	if (!streq(request->method, "GET"))
		return other_carry_out(request);
	/* To look whether anybody is there at all is no breach. */
	if (!request_header(request, "Authorization"))
		return answer_api_error(request, 401, 104,
					"Invalid or missing authorization header", NULL,
					NULL);
	if (!is_allowed(request))
		return;
	asset = depot_find(&request->service->depot, id, strcspn(id, "?"));
	if (!asset)
		return answer_api_error(request, 404, 101, "Asset not found", "id", id);
	object = describe(request->service, asset);
	(void)json_object_object_add(object, "name", json_object_new_string(asset->name));
	(void)json_object_object_add(object, "size",
				     json_object_new_int64((int64_t)asset->size));
	(void)json_object_object_add(object, "contentType",
				     json_object_new_string(asset->content_type));
	answer_json(&request->answer, 200, object);
}

void other_carry_out(struct request *request)
{
	if (request->endpoint == ENDPOINT_OTHER) {
		service_violate(request, "there is no such resource");
		return answer_api_error(request, 404, 101, "Resource not found", NULL,
					NULL);
	}
	service_violate(request, "the method is not allowed");
	answer_api_error(request, 405, 101, "Method not allowed", NULL, NULL);
}
