#pragma once

/*
 * Content URL: what a signed URL asks of the one who uploads to it.
 *
 * The service does not say which store is behind it, so the URL's own query tells:
 *
 *	X-Amz-Signature		S3: PUT; every header of X-Amz-SignedHeaders
 *	sv, sr (or ss), sig	Azure Blob: PUT with x-ms-blob-type: BlockBlob
 *	X-Goog-Signature	GCS: PUT; every header of X-Goog-SignedHeaders
 *	a JWT with a `method`	that method (the published eGain form names POST)
 *	anything else		PUT
 *
 * The URL is a bearer secret until it expires: only content_url_redact() of it may be
 * logged.
 */

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "strv.h"

enum content_store { STORE_PLAIN, STORE_JWT, STORE_S3, STORE_AZURE, STORE_GCS };

struct content_url {
	char *url;		/* without a fragment */
	struct Curl_URL *parts; /* the same as curl takes it, the path as it is */
	char *host; /* host, or host:port where the URL names one; lower case */
	enum content_store store;
	enum upload_method method; /* never UPLOAD_AUTO */
	struct strv headers; /* "Name: value" to send, besides Content-Length and Host */
	bool public_only;    /* whatever address its host has must be a public one */
};

struct content_url_policy {
	enum upload_method method;  /* of the configuration; AUTO: as the URL says */
	const struct strv *headers; /* of the configuration; they win over ours by name */
	const struct strv *allowed_hosts; /* empty: any */
	bool allow_insecure;
	bool public_only; /* no private host, unless a line of AllowedHosts is its name */
	const char *content_type; /* sent as Content-Type */
};

/* 0; -EBADMSG and a reason in people's words (the caller frees it): not http(s), user
 * information or a zone in it, an http host that is not loopback without allow_insecure,
 * a host that is not allowed, a private address where only public ones are, a signed
 * header that we don't know a value for, a JWT whose method is neither PUT nor POST where
 * the configuration names none, an `Authorization`, `Content-Length` or
 * `Transfer-Encoding` header from the configuration, more than ASSET_URL_MAX bytes;
 * -ENOMEM. A fragment is cut off. Globs are matched against the host without port and
 * brackets, in any case. */
int content_url_parse(const char *url, const struct content_url_policy *policy,
		      struct content_url *ret, char **ret_reason);
void content_url_done(struct content_url *url);

/* @url without its query, fragment and user information, for people, whether it parses or
 * not, escaped as text_escape() does. The caller frees it. NULL: out of memory. */
char *content_url_redact(const char *url);

/* Writes stars over what @text repeats of the query of @url: the whole, and each value
 * that is long enough to be a secret, encoded or not. */
void content_url_hide(const char *url, char *text);

/* "PUT" or "POST". */
const char *content_url_method(const struct content_url *url);

const char *content_store_name(enum content_store store);
