#include <strings.h>

#include "internal.h"
#include "parse.h"
#include "url.h"

static const struct {
	const char *extension, *type;
} types[] = {
	{ ".pdf", "application/pdf" },
	{ ".jpg", "image/jpeg" },
	{ ".jpeg", "image/jpeg" },
	{ ".png", "image/png" },
	{ ".gif", "image/gif" },
	{ ".txt", "text/plain" },
	{ ".csv", "text/csv" },
	{ ".json", "application/json" },
	{ ".zip", "application/zip" },
	{ ".mp4", "video/mp4" },
	{ ".bin", "application/octet-stream" },
};

const char *service_content_type(const char *name)
{
	const char *extension = strrchr(name, '.');

	for (size_t i = 0; extension && i < ARRAY_SIZE(types); i++) {
		if (strcasecmp(types[i].extension, extension) == 0)
			return types[i].type;
	}
	return "application/octet-stream";
}

static void refuse(struct request *request, enum url_kind kind, enum refusal refusal)
{
	const struct refusal_text *text = url_refusal(kind, refusal);

	if (url_is_json(kind))
		answer_api_error(request, text->status, 110 + (int)refusal, text->message,
				 NULL, NULL);
	else
		answer_xml_error(&request->answer, text->status, text->code,
				 text->message);
}

struct strays {
	enum url_kind kind;
	char name[128];
};

static enum MHD_Result find_stray(void *userdata, enum MHD_ValueKind kind,
				  const char *name, const char *value)
{
	static const char *const families[] = { "x-amz-", "x-goog-", "x-ms-" };
	struct strays *strays = userdata;

	(void)kind;
	(void)value;
	if (strays->kind == KIND_AZURE && strcasecmp(name, "x-ms-blob-type") == 0)
		return MHD_YES;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (strncasecmp(name, families[i], strlen(families[i])) == 0)
			(void)snprintf(strays->name, sizeof(strays->name), "%s", name);
	}
	return MHD_YES;
}

static bool has_stray(const struct request *request)
{
	struct strays strays = { .kind = request->asset->kind };

	(void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, find_stray,
					&strays);
	return strays.name[0];
}

/* ---- the checks, each true where the request breaks it ---- */

static bool signature_is_wrong(const struct request *request)
{
	return !streq(request->path, request->asset->url);
}

static bool method_is_wrong(const struct request *request)
{
	return !streq(request->method, url_method(request->asset->kind));
}

static bool has_authorization(const struct request *request)
{
	return request_header(request, "Authorization");
}

static bool lacks_header(const struct request *request)
{
	return request->asset->kind == KIND_AZURE &&
	       !streq(request_header(request, "x-ms-blob-type"), "BlockBlob");
}

static bool lacks_length(const struct request *request)
{
	return !request_header(request, "Content-Length") ||
	       request_header(request, "Transfer-Encoding");
}

static bool length_is_wrong(const struct request *request)
{
	uint64_t length;

	return parse_unsigned(request_header(request, "Content-Length"), &length) < 0 ||
	       length != request->asset->size;
}

static bool type_is_wrong(const struct request *request)
{
	return !streq(request_header(request, "Content-Type"),
		      request->asset->content_type);
}

static bool is_expired(const struct request *request)
{
	return depot_expired(&request->service->depot, request->asset,
			     service_now(request->service));
}

static bool is_complete(const struct request *request)
{
	return depot_complete(&request->service->depot, request->asset);
}

/* In the order in which a store would look. What a correct client may run into (an old
 * URL, a second try after the answer to the first was lost) is no breach. */
static const struct {
	enum refusal refusal;
	bool (*is_broken)(const struct request *request);
	const char *breach; /* NULL: none */
} checks[] = {
	{ REFUSE_SIGNATURE, signature_is_wrong, "the URL is not the one that was given" },
	{ REFUSE_METHOD, method_is_wrong, "the method is wrong" },
	{ REFUSE_AUTHORIZATION, has_authorization, "an Authorization header" },
	{ REFUSE_STRAY_HEADER, has_stray, "a header of a store that was not signed" },
	{ REFUSE_MISSING_HEADER, lacks_header, "x-ms-blob-type is not BlockBlob" },
	{ REFUSE_NO_LENGTH, lacks_length, "no Content-Length" },
	{ REFUSE_LENGTH, length_is_wrong,
	  "Content-Length is not the size of Create Asset" },
	{ REFUSE_TYPE, type_is_wrong, "the Content-Type is wrong" },
	{ REFUSE_EXPIRED, is_expired, NULL },
	{ REFUSE_AGAIN, is_complete, NULL },
};

static const struct service_asset *find_asset(struct request *request)
{
	_cleanup_free_ char *id = url_asset_id(request->path);

	return id ? depot_find(&request->service->depot, id, strlen(id)) : NULL;
}

void upload_begin(struct request *request)
{
	const struct service_asset *asset = find_asset(request);

	enum url_kind kind = KIND_PLAIN;

	if (!asset) {
		(void)url_is_content(request->path, &kind);
		service_violate(request, "the URL is for no asset");
		return refuse(request, kind, REFUSE_SIGNATURE);
	}
	request->asset = asset;
	record_asset(&request->service->record, request->detail, asset->id);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		if (!checks[i].is_broken(request))
			continue;
		if (checks[i].breach)
			service_violate(request, "%s", checks[i].breach);
		return refuse(request, asset->kind, checks[i].refusal);
	}
	request->write_error = content_open(&request->content, &request->service->depot,
					    asset);
}

void upload_body(struct request *request, const char *bytes, size_t length)
{
	if (request->content.asset && request->write_error == 0)
		request->write_error = content_write(&request->content, bytes, length);
}

static void announce(struct request *request)
{
	struct service *service = request->service;
	struct service_asset asset;

	record_received(&service->record, request->asset->size);
	if (service->received &&
	    depot_at(&service->depot, strtoul(request->asset->id, NULL, 16), &asset))
		service->received(service->userdata, &asset);
}

void upload_carry_out(struct request *request)
{
	const struct service_asset *asset = request->asset;
	int r = request->write_error;

	if (request->answer.status)
		return;
	if (r == 0 && request->content.size != asset->size)
		return refuse(request, asset->kind, REFUSE_INCOMPLETE);
	if (r == 0)
		r = content_commit(&request->content, &request->service->depot);
	if (r < 0)
		return refuse(request, asset->kind,
			      r == -EEXIST ? REFUSE_AGAIN : REFUSE_BROKEN);

	if (url_is_json(asset->kind))
		answer_set(&request->answer, url_success(asset->kind), "application/json",
			   strdup("{}"));
	else
		answer_set(&request->answer, url_success(asset->kind), NULL, NULL);
	announce(request);
}
