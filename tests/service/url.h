#pragma once

/*
 * Url: the content URLs of the service, and the store's rules that go with each kind.
 */

#include "service.h"

/* Whether @url (path and query) looks like a content URL, and of which kind. */
bool url_is_content(const char *url, enum url_kind *ret);

/* Path and query of the asset's content URL, of which url and expiry are not yet set.
 * @now is when it was signed. The caller frees it. NULL: out of memory. */
char *url_format(const struct service_asset *asset, usec_t now, usec_t lifetime);

/* The id of the asset that a content URL is for. The caller frees it. NULL: it names none
 * (or out of memory). */
char *url_asset_id(const char *url);

enum refusal {
	REFUSE_SIGNATURE,
	REFUSE_EXPIRED,
	REFUSE_METHOD,
	REFUSE_AUTHORIZATION,
	REFUSE_STRAY_HEADER,
	REFUSE_MISSING_HEADER,
	REFUSE_NO_LENGTH,
	REFUSE_LENGTH,
	REFUSE_TYPE,
	REFUSE_AGAIN,
	REFUSE_INCOMPLETE,
	REFUSE_BROKEN,
	REFUSAL_COUNT,
};

struct refusal_text {
	int status;
	const char *code, *message;
};

/* How a store of that kind says no. */
const struct refusal_text *url_refusal(enum url_kind kind, enum refusal refusal);
const char *url_method(enum url_kind kind);
int url_success(enum url_kind kind);
/* Whether it speaks JSON as the API does; else XML. */
bool url_is_json(enum url_kind kind);
