#include <arpa/inet.h>
#include <curl/curl.h>
#include <strings.h>

#include "config-url.h"
#include "config.h"
#include "macro.h"

#define LOOPBACK_NET 127U
#define LOCALHOST    "localhost"

static const char *const web_schemes[] = { "http", "https", NULL };

static const char *const proxy_schemes[] = {
	"http", "https", "socks4", "socks4a", "socks5", "socks5h", NULL,
};

DEFINE_CLEANUP(CURLU *, curlup, curl_url_cleanup)

static void curl_freep(char **p)
{
	curl_free(*p);
}

/* libcurl's codes as far as they concern us: out of memory, or not a URL. */
static int url_error(CURLUcode code)
{
	if (code == CURLUE_OK)
		return 0;
	return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

static int parse(const char *text, unsigned flags, CURLU **ret)
{
	_cleanup_(curlup) CURLU *url = curl_url();
	int r;

	if (!url)
		return -ENOMEM;
	r = url_error(curl_url_set(url, CURLUPART_URL, text, flags));
	if (r < 0)
		return r;
	*ret = take_ptr(url);
	return 0;
}

static int check_scheme(CURLU *url, const char *const *schemes)
{
	_cleanup_(curl_freep) char *scheme = NULL;
	int r = url_error(curl_url_get(url, CURLUPART_SCHEME, &scheme, 0));

	if (r < 0)
		return r;
	for (; *schemes; schemes++)
		if (strcasecmp(*schemes, scheme) == 0)
			return 0;
	return -EINVAL;
}

static bool has_part(CURLU *url, CURLUPart part)
{
	_cleanup_(curl_freep) char *value = NULL;

	return curl_url_get(url, part, &value, 0) == CURLUE_OK;
}

int config_url_normalize(const char *text, bool query, char **ret)
{
	_cleanup_(curlup) CURLU *url = NULL;
	_cleanup_(curl_freep) char *normal = NULL;
	char *copy;
	int r;

	r = parse(text, CURLU_NON_SUPPORT_SCHEME, &url);
	if (r < 0)
		return r;
	r = check_scheme(url, web_schemes);
	if (r < 0)
		return r;
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD) ||
	    has_part(url, CURLUPART_FRAGMENT) ||
	    (!query && has_part(url, CURLUPART_QUERY)))
		return -EINVAL;
	r = url_error(curl_url_get(url, CURLUPART_URL, &normal, 0));
	if (r < 0)
		return r;
	/* What libcurl allocates, libcurl must free. */
	copy = strdup(normal);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

int config_url_check_proxy(const char *text)
{
	_cleanup_(curlup) CURLU *url = NULL;
	int r;

	r = parse(text, CURLU_NON_SUPPORT_SCHEME | CURLU_DEFAULT_SCHEME, &url);
	return r < 0 ? r : check_scheme(url, proxy_schemes);
}

bool config_host_is_loopback(const char *host)
{
	size_t length = strlen(host);
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == LOOPBACK_NET;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length < STRLEN(LOCALHOST))
		return false;
	length -= STRLEN(LOCALHOST);
	return strncasecmp(host + length, LOCALHOST, STRLEN(LOCALHOST)) == 0 &&
	       (length == 0 || host[length - 1] == '.');
}

int config_url_is_exposed(const char *url)
{
	_cleanup_(curlup) CURLU *parsed = NULL;
	_cleanup_(curl_freep) char *host = NULL;
	int r;

	if (strncasecmp(url, "http:", STRLEN("http:")) != 0)
		return 0;
	r = parse(url, 0, &parsed);
	if (r == 0)
		r = url_error(curl_url_get(parsed, CURLUPART_HOST, &host, 0));
	if (r < 0)
		return r;
	if (*host != '[')
		return !config_host_is_loopback(host);
	host[strcspn(host, "]")] = '\0';
	return !config_host_is_loopback(host + 1);
}
