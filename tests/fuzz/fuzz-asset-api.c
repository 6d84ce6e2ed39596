#include <assert.h>

#include "asset-api.h"
#include "macro.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_utf8(const char *text)
{
	_cleanup_free_ char *clean = text ? text_to_utf8(text, strlen(text)) : NULL;

	assert(streq(text, clean));
}

static void try_grant(const char *text, size_t length)
{
	struct asset_grant grant;
	const char *reason = NULL;

	if (asset_grant_parse(text, length, &grant, &reason) < 0) {
		assert(reason);
		return;
	}
	assert(*grant.id && strlen(grant.id) <= ASSET_ID_MAX);
	assert(*grant.content_url && strlen(grant.content_url) <= ASSET_URL_MAX);
	check_utf8(grant.id);
	asset_grant_done(&grant);
}

static void try_error(const char *text, size_t length)
{
	struct asset_error error;

	assert(asset_error_parse(text, length, &error) == 0);
	assert(!error.code || strlen(error.code) <= ASSET_CODE_MAX);
	check_utf8(error.code);
	check_utf8(error.developer_message);
	check_utf8(error.user_message);
	check_utf8(error.details);
	assert(!error.details ||
	       (error.details[0] == '[' && !strchr(error.details, '\n')));
	asset_error_done(&error);
}

/* Any bytes are a file's name, too. */
static void try_request(const char *text, size_t length)
{
	_cleanup_free_ char *name = strndup(text, length);
	struct asset_request request = {
		.channel_type = "sms",
		.sender_type = "customer",
		.name = name,
		.size = length,
	};
	_cleanup_free_ char *body = asset_request_format(&request);

	assert(body);
	check_utf8(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_grant((const char *)data, size);
	try_error((const char *)data, size);
	try_request((const char *)data, size);
	return 0;
}
