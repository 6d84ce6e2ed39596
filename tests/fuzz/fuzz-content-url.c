#include <assert.h>

#include "content-url.h"
#include "macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(const struct content_url *url)
{
	assert(startswith(url->url, "http"));
	assert(!strpbrk(url->url, "#\r\n"));
	assert(*url->host && !strpbrk(url->host, "/?#@\r\n"));
	assert(url->method == UPLOAD_PUT || url->method == UPLOAD_POST);
	assert(url->headers.count >= 1);
	assert(content_store_name(url->store));
}

/* What was normalized once is as it should be. */
static void check_again(const struct content_url *first,
			const struct content_url_policy *policy)
{
	_cleanup_(content_url_done) struct content_url again = {};
	_cleanup_free_ char *reason = NULL;

	assert(content_url_parse(first->url, policy, &again, &reason) == 0);
	assert(streq(again.url, first->url) && streq(again.host, first->host));
	assert(again.store == first->store && again.method == first->method);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_free_ char *redacted = content_url_redact(text), *reason = NULL;
	_cleanup_free_ char *shown = NULL;
	_cleanup_(content_url_done) struct content_url url = {};
	static const struct strv none;
	const struct content_url_policy policy = {
		.headers = &none,
		.allowed_hosts = &none,
		.content_type = "text/plain",
	};

	assert(redacted && !strpbrk(redacted, "?#\r\n"));
	if (content_url_parse(text, &policy, &url, &reason) < 0) {
		assert(reason && !url.url);
		return 0;
	}
	shown = content_url_redact(url.url);
	assert(startswith(shown, "http") && !strpbrk(shown, "?#\r\n"));
	check_url(&url);
	check_again(&url, &policy);
	return 0;
}
