#include "internal.h"

/* The knobs and dials of service.h; each is a line or two under the right lock. */

uint16_t service_port(const struct service *service)
{
	return service->port;
}

const char *service_base_url(const struct service *service)
{
	return service->base_url;
}

const char *service_token_url(const struct service *service)
{
	return service->token_url;
}

const char *service_scope(const struct service *service)
{
	return service->scope;
}

void service_set_kind(struct service *service, enum url_kind kind)
{
	HOLD(service);

	service->kind = kind;
}

void service_set_clock_offset(struct service *service, int64_t offset)
{
	HOLD(service);

	service->clock_offset = offset;
}

void service_set_url_lifetime(struct service *service, usec_t lifetime)
{
	HOLD(service);

	service->url_lifetime = lifetime ? lifetime : USEC_PER_HOUR;
}

void service_set_expires_in(struct service *service, int seconds)
{
	HOLD(service);

	service->expires_in = seconds ? seconds : 3600;
}

void service_revoke_tokens(struct service *service)
{
	HOLD(service);

	for (struct token *token = service->tokens; token; token = token->next)
		token->expires = 0;
}

void service_expire_urls(struct service *service)
{
	depot_expire_all(&service->depot);
}

void service_fault(struct service *service, const struct fault *fault)
{
	HOLD(service);

	if (script_add(&service->script, fault) < 0)
		abort();
}

void service_clear_faults(struct service *service)
{
	HOLD(service);

	script_clear(&service->script);
}

/* ---- numbers ---- */

static size_t number(struct service *service, struct record_query query)
{
	return record_number(&service->record, query);
}

size_t service_count(struct service *service, enum endpoint endpoint)
{
	return number(service, (struct record_query){ QUERY_COME, endpoint, 0 });
}

size_t service_peak(struct service *service, enum endpoint endpoint)
{
	return number(service, (struct record_query){ QUERY_PEAK, endpoint, 0 });
}

size_t service_answers(struct service *service, enum endpoint endpoint, int status)
{
	return number(service, (struct record_query){ QUERY_ANSWERS, endpoint, status });
}

size_t service_held(struct service *service)
{
	return number(service, (struct record_query){ QUERY_HELD, ENDPOINT_ANY, 0 });
}

size_t service_received(struct service *service)
{
	return number(service, (struct record_query){ QUERY_RECEIVED, ENDPOINT_ANY, 0 });
}

uint64_t service_received_bytes(struct service *service)
{
	return number(service, (struct record_query){ QUERY_BYTES, ENDPOINT_ANY, 0 });
}

bool service_wait_count(struct service *service, enum endpoint endpoint, size_t n,
			usec_t timeout)
{
	return record_wait(&service->record,
			   (struct record_query){ QUERY_COME, endpoint, 0 }, n, false,
			   timeout);
}

bool service_wait_answers(struct service *service, enum endpoint endpoint, int status,
			  size_t n, usec_t timeout)
{
	return record_wait(&service->record,
			   (struct record_query){ QUERY_ANSWERS, endpoint, status }, n,
			   false, timeout);
}

bool service_wait_received(struct service *service, size_t n, usec_t timeout)
{
	return record_wait(&service->record,
			   (struct record_query){ QUERY_RECEIVED, ENDPOINT_ANY, 0 }, n,
			   false, timeout);
}

bool service_wait_held(struct service *service, size_t n, usec_t timeout)
{
	return record_wait(&service->record,
			   (struct record_query){ QUERY_HELD, ENDPOINT_ANY, 0 }, n, true,
			   timeout);
}

/* ---- details ---- */

char *service_violations(struct service *service)
{
	return record_violations(&service->record);
}

bool service_request_at(struct service *service, enum endpoint endpoint, size_t index,
			struct service_request *ret)
{
	return record_at(&service->record, endpoint, index, ret);
}

char *service_request_header(const struct service_request *request, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = request->headers; line && *line;) {
		size_t end = strcspn(line, "\n");

		if (strncasecmp(line, name, length) == 0 && line[length] == ':')
			return strndup(line + length + 2, end - length - 2);
		line += end + 1;
	}
	return NULL;
}

size_t service_asset_count(struct service *service)
{
	return depot_count(&service->depot);
}

bool service_asset_at(struct service *service, size_t index, struct service_asset *ret)
{
	return depot_at(&service->depot, index, ret);
}

bool service_asset_by_id(struct service *service, const char *id,
			 struct service_asset *ret)
{
	return depot_find(&service->depot, id, strlen(id)) &&
	       depot_at(&service->depot, strtoul(id, NULL, 16), ret);
}

bool service_asset_by_name(struct service *service, const char *name,
			   struct service_asset *ret)
{
	return depot_by_name(&service->depot, name, ret);
}

size_t service_assets_named(struct service *service, const char *name)
{
	return depot_named(&service->depot, name);
}

int service_same_content(struct service *service, const char *id, const char *path)
{
	return depot_same(&service->depot, id, path);
}

struct telling {
	void (*each)(void *userdata, const char *secret);
	void *userdata;
};

static void tell_signature(void *userdata, const struct service_asset *asset)
{
	struct telling *telling = userdata;

	telling->each(telling->userdata, asset->signature);
}

void service_each_secret(struct service *service,
			 void (*each)(void *userdata, const char *secret), void *userdata)
{
	struct telling telling = { .each = each, .userdata = userdata };

	each(userdata, service->client_secret);
	depot_each(&service->depot, tell_signature, &telling);

	HOLD(service);
	for (struct token *token = service->tokens; token; token = token->next)
		each(userdata, token->text);
}
