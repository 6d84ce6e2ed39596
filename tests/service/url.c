#include <time.h>

#include "url.h"

#define JWT_PATH "/core/assetmgr/v3/assets/upload"

struct kind {
	const char *name, *method;
	int success;
	bool json;
	struct refusal_text refusals[REFUSAL_COUNT]; /* status 0: as `common` has it */
};

static const struct refusal_text common[REFUSAL_COUNT] = {
	[REFUSE_SIGNATURE] = { 403, "SignatureDoesNotMatch",
			       "The signature does not match." },
	[REFUSE_EXPIRED] = { 403, "AccessDenied", "Request has expired" },
	[REFUSE_METHOD] = { 405, "MethodNotAllowed", "The method is not allowed." },
	[REFUSE_AUTHORIZATION] = { 400, "InvalidArgument",
				   "Only one auth mechanism allowed" },
	[REFUSE_STRAY_HEADER] = { 403, "AccessDenied",
				  "There were headers present which were not signed" },
	[REFUSE_MISSING_HEADER] = { 400, "MissingRequiredHeader",
				    "An HTTP header that's mandatory is not specified." },
	[REFUSE_NO_LENGTH] = { 411, "MissingContentLength",
			       "You must provide the Content-Length HTTP header." },
	[REFUSE_LENGTH] = { 400, "InvalidContentLength",
			    "Content-Length is not the size the URL was signed for." },
	[REFUSE_TYPE] = { 400, "InvalidContentType",
			  "Content-Type is not the type the URL was signed for." },
	[REFUSE_AGAIN] = { 409, "AlreadyExists",
			   "The content has been uploaded before." },
	[REFUSE_INCOMPLETE] = { 400, "IncompleteBody", "The body was too short." },
	[REFUSE_BROKEN] = { 500, "InternalError", "The content could not be stored." },
};

static const struct kind kinds[KIND_COUNT] = {
	[KIND_PLAIN] = { .name = "plain", .method = "PUT", .success = 200 },
	[KIND_JWT_POST] = { .name = "jwt-post",
			    .method = "POST",
			    .success = 201,
			    .json = true,
			    .refusals = { [REFUSE_EXPIRED] = { 403, NULL,
							       "The signature has expired" },
					  [REFUSE_AUTHORIZATION] = { 403, NULL,
								     "Actor not allowed" } } },
	[KIND_S3] = { .name = "s3",
		      .method = "PUT",
		      .success = 200,
		      .refusals = { [REFUSE_METHOD] = { 403, "SignatureDoesNotMatch",
							"The method was not signed." },
				    [REFUSE_TYPE] = { 403, "SignatureDoesNotMatch",
						      "The content-type was not signed." } } },
	[KIND_AZURE] = { .name = "azure",
			 .method = "PUT",
			 .success = 201,
			 .refusals = { [REFUSE_SIGNATURE] = { 403, "AuthenticationFailed",
							      "Signature did not match." },
				       [REFUSE_EXPIRED] = { 403, "AuthenticationFailed",
							    "Signature not valid in the "
							    "specified time frame" },
				       [REFUSE_AUTHORIZATION] = { 403,
								  "AuthenticationFailed",
								  "Two authorizations" },
				       [REFUSE_AGAIN] = { 409, "BlobAlreadyExists",
							  "The blob already exists." } } },
	[KIND_GCS] = { .name = "gcs",
		       .method = "PUT",
		       .success = 200,
		       .refusals = { [REFUSE_EXPIRED] = { 400, "ExpiredToken",
							  "The provided token has expired." },
				     [REFUSE_METHOD] = { 403, "SignatureDoesNotMatch",
							 "The method was not signed." },
				     [REFUSE_TYPE] = { 403, "SignatureDoesNotMatch",
						       "The content-type was not signed." } } },
	[KIND_MIXED] = { .name = "mixed" },
};

static const char *const prefixes[KIND_MIXED] = {
	[KIND_PLAIN] = "/content/",   [KIND_JWT_POST] = JWT_PATH, [KIND_S3] = "/bucket/",
	[KIND_AZURE] = "/container/", [KIND_GCS] = "/storage/",
};

const char *url_kind_name(enum url_kind kind)
{
	return kinds[kind].name;
}

int url_kind_parse(const char *name, enum url_kind *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (streq(kinds[i].name, name)) {
			*ret = (enum url_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

const struct refusal_text *url_refusal(enum url_kind kind, enum refusal refusal)
{
	const struct refusal_text *own = &kinds[kind].refusals[refusal];

	return own->status ? own : &common[refusal];
}

const char *url_method(enum url_kind kind)
{
	return kinds[kind].method;
}

int url_success(enum url_kind kind)
{
	return kinds[kind].success;
}

bool url_is_json(enum url_kind kind)
{
	return kinds[kind].json;
}

/* ---- writing ---- */

static char *percent_encode(const char *text)
{
	char *encoded = malloc(strlen(text) * 3 + 1), *at = encoded;

	if (!encoded)
		return NULL;
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		bool plain = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') ||
			     (*c >= 'a' && *c <= 'z') || strchr("-._~", *c);

		at += sprintf(at, plain ? "%c" : "%%%02X", *c);
	}
	*at = '\0';
	return encoded;
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"abcdefghijklmnopqrstuvwxyz0123456789-_";

static char *base64url_encode(const char *text)
{
	size_t length = strlen(text);
	char *encoded = malloc(length / 3 * 4 + 5), *at = encoded;

	if (!encoded)
		return NULL;
	for (size_t bit = 0; bit < length * 8; bit += 6) {
		unsigned two = (unsigned char)text[bit / 8] * 256u +
			       (unsigned char)text[bit / 8 + 1];

		*at++ = base64url[(two >> (10 - bit % 8)) & 63];
	}
	*at = '\0';
	return encoded;
}

/* Up to the first character that is no base64url. */
static char *base64url_decode(const char *text)
{
	char *decoded = malloc(strlen(text) + 1), *at = decoded;
	unsigned bits = 0, have = 0;

	if (!decoded)
		return NULL;
	for (const char *c; *text && (c = strchr(base64url, *text)); text++) {
		bits = (bits << 6) | (unsigned)(c - base64url);
		have += 6;
		if (have >= 8) {
			have -= 8;
			*at++ = (char)(bits >> have);
		}
	}
	*at = '\0';
	return decoded;
}

static char *format_jwt(const struct service_asset *asset)
{
	_cleanup_free_ char *payload = NULL, *head = NULL, *middle = NULL;
	char *url = NULL;

	if (asprintf(&payload,
		     "{\"method\":\"POST\",\"iss\":\"conversationmgr\",\"sub\":\"%s\","
		     "\"exp\":%llu}",
		     asset->id,
		     (unsigned long long)(asset->expires / USEC_PER_SEC)) < 0) {
		payload = NULL;
		return NULL;
	}
	head = base64url_encode("{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
	middle = base64url_encode(payload);
	if (!head || !middle ||
	    asprintf(&url, JWT_PATH "?signature=%s.%s.%s", head, middle,
		     asset->signature) < 0)
		return NULL;
	return url;
}

struct dates {
	char day[16], basic[32],
		extended[40]; /* 20261123, 20261123T101500Z, 2026-11-23T... */
	unsigned seconds;
};

static struct dates dates_of(usec_t now, usec_t lifetime)
{
	struct dates dates = { .seconds = (unsigned)MIN(lifetime / USEC_PER_SEC,
							604800) };
	time_t signed_at = (time_t)(now / USEC_PER_SEC);
	time_t ends = (time_t)((now + lifetime) / USEC_PER_SEC);
	struct tm tm;

	(void)gmtime_r(&signed_at, &tm);
	(void)strftime(dates.day, sizeof(dates.day), "%Y%m%d", &tm);
	(void)strftime(dates.basic, sizeof(dates.basic), "%Y%m%dT%H%M%SZ", &tm);
	(void)gmtime_r(&ends, &tm);
	(void)strftime(dates.extended, sizeof(dates.extended), "%Y-%m-%dT%H%%3A%M%%3A%SZ",
		       &tm);
	return dates;
}

/* The two spellings of one scheme. */
static int format_v4(char **ret, const struct service_asset *asset, const char *name,
		     const struct dates *d, bool google)
{
	const char *x = google ? "X-Goog" : "X-Amz";

	return asprintf(ret,
			"%s%s/%s?%s-Algorithm=%s&%s-Credential=%s%%2F%s%%2F%s"
			"&%s-Date=%s&%s-Expires=%u&%s-SignedHeaders=content-type%%3Bhost"
			"&%s-Signature=%s",
			prefixes[asset->kind], asset->id, name, x,
			google ? "GOOG4-RSA-SHA256" : "AWS4-HMAC-SHA256", x,
			google ? "assets%40example.iam.gserviceaccount.com"
			       : "AKIAEXAMPLE",
			d->day,
			google ? "auto%2Fstorage%2Fgoog4_request"
			       : "us-east-1%2Fs3%2Faws4_request",
			x, d->basic, x, d->seconds, x, x, asset->signature);
}

char *url_format(const struct service_asset *asset, usec_t now, usec_t lifetime)
{
	_cleanup_free_ char *name = percent_encode(asset->name);
	struct dates dates = dates_of(now, lifetime);
	char *url = NULL;
	int r = -1;

	if (!name)
		return NULL;
	switch (asset->kind) {
	case KIND_JWT_POST: return format_jwt(asset);
	case KIND_S3: r = format_v4(&url, asset, name, &dates, false); break;
	case KIND_GCS: r = format_v4(&url, asset, name, &dates, true); break;
	case KIND_AZURE:
		r = asprintf(&url, "%s%s/%s?sv=2023-11-03&sr=b&se=%s&sp=cw&sig=%s%%3D",
			     prefixes[asset->kind], asset->id, name, dates.extended,
			     asset->signature);
		break;
	case KIND_PLAIN:
		r = asprintf(&url, "%s%s/%s?signature=%s", prefixes[asset->kind],
			     asset->id, name, asset->signature);
		break;
	case KIND_MIXED:
	case KIND_COUNT: break;
	}
	return r < 0 ? NULL : url;
}

/* ---- reading ---- */

static char *jwt_asset_id(const char *url)
{
	const char *dot = strchr(url, '.');
	_cleanup_free_ char *payload = dot ? base64url_decode(dot + 1) : NULL;
	const char *subject = payload ? strstr(payload, "\"sub\":\"") : NULL;

	if (!subject)
		return NULL;
	subject += STRLEN("\"sub\":\"");
	return strndup(subject, strcspn(subject, "\""));
}

bool url_is_content(const char *url, enum url_kind *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (startswith(url, prefixes[i])) {
			*ret = (enum url_kind)i;
			return true;
		}
	}
	return false;
}

char *url_asset_id(const char *url)
{
	const char *id;

	if (startswith(url, JWT_PATH))
		return jwt_asset_id(url);
	id = strchr(url + 1, '/');
	return id ? strndup(id + 1, strcspn(id + 1, "/?")) : NULL;
}
