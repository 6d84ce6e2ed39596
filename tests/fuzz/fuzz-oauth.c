#include <assert.h>

#include "macro.h"
#include "oauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*parse_fn)(const char *text, size_t length, struct oauth_token *ret,
			const char **ret_reason);

static void try_token(parse_fn parse, const char *text, size_t length)
{
	struct oauth_token token;
	const char *reason = NULL;

	if (parse(text, length, &token, &reason) < 0) {
		assert(reason);
		return;
	}
	assert(*token.access_token && strlen(token.access_token) <= OAUTH_TOKEN_MAX);
	for (const char *p = token.access_token; *p; p++)
		assert(*p > ' ' && *p < '\x7F');
	oauth_token_done(&token);
}

static void try_error(const char *text, size_t length)
{
	_cleanup_free_ char *shown = oauth_error_format(text, length, NULL);

	assert(shown && !strpbrk(shown, "\r\n\t"));
	assert(strlen(shown) <= (size_t)4 * 1024);
}

static void try_request(const char *text, size_t length)
{
	_cleanup_free_ char *secret = strndup(text, length);
	_cleanup_free_ char *body = oauth_request_format("id", secret, secret);

	assert(body && startswith(body, "grant_type=client_credentials&client_id=id&"));
	for (const char *p = body; *p; p++)
		assert(*p > ' ' && *p < '\x7F');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_token(oauth_token_parse, (const char *)data, size);
	try_token(oauth_token_file_parse, (const char *)data, size);
	try_error((const char *)data, size);
	try_request((const char *)data, size);
	return 0;
}
