#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "asset-api.h"
#include "content-url.h"
#include "macro.h"

#define SECRET "5ecret5ecret"

/* A list for one test, of words on the stack. */
#define LIST(...) \
	{ \
		.items = (char *[]){ __VA_ARGS__ }, \
		.count = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *) \
	}

static const struct strv none;

static struct content_url_policy plain_policy(void)
{
	return (struct content_url_policy){
		.headers = &none,
		.allowed_hosts = &none,
		.content_type = "image/jpeg",
	};
}

static char *join(const struct strv *list)
{
	char *text = NULL;
	size_t length;
	FILE *stream = open_memstream(&text, &length);

	for (size_t i = 0; i < list->count; i++)
		fprintf(stream, "%s%s", i ? "|" : "", list->items[i]);
	fclose(stream);
	return text;
}

/* base64url of the payloads below, without padding */
#define JWT(payload) "eyJhbGciOiJSUzI1NiJ9." payload ".c2lnbmF0dXJl"
#define JWT_POST     JWT("eyJtZXRob2QiOiJQT1NUIiwiaXNzIjoiZWdhaW4ifQ") /* POST, iss */
#define JWT_PUT	     JWT("eyJtZXRob2QiOiJQVVQifQ")
#define JWT_LOWER    JWT("eyJtZXRob2QiOiJwb3N0In0")		     /* post */
#define JWT_GET	     JWT("eyJtZXRob2QiOiJHRVQifQ")		     /* GET */
#define JWT_NUMBER   JWT("eyJtZXRob2QiOjV9")			     /* 5 */
#define JWT_EMPTY    JWT("eyJtZXRob2QiOiIifQ")			     /* "" */
#define JWT_NONE     JWT("eyJpc3MiOiJlZ2FpbiJ9")		     /* no method */
#define JWT_NULL     JWT("eyJtZXRob2QiOm51bGx9")		     /* null */
#define JWT_ARRAY    JWT("W10")					     /* [] */
#define JWT_URLSAFE  JWT("eyJtZXRob2QiOiJQT1NUIiwieCI6Iuy_v-u_viJ9") /* with _ and - */

static const struct {
	const char *url;
	enum content_store store;
	enum upload_method method;
	const char *shown, *host;
	const char *headers;
} urls[] = {
	/* nobody's */
	{ "https://h.example/p", STORE_PLAIN, UPLOAD_PUT, "https://h.example/p",
	  "h.example", "Content-Type: image/jpeg" },
	{ "https://H.Example:8443/P/%41?q=" SECRET, STORE_PLAIN, UPLOAD_PUT,
	  "https://H.Example:8443/P/%41", "h.example:8443", "Content-Type: image/jpeg" },
	{ "HTTPS://h?" SECRET, STORE_PLAIN, UPLOAD_PUT, "https://h/", "h",
	  "Content-Type: image/jpeg" },
	{ "https://h.example:443/p", STORE_PLAIN, UPLOAD_PUT, "https://h.example/p",
	  "h.example", "Content-Type: image/jpeg" },
	{ "https://[2001:DB8::1]:8443/p", STORE_PLAIN, UPLOAD_PUT,
	  "https://[2001:DB8::1]:8443/p", "[2001:db8::1]:8443",
	  "Content-Type: image/jpeg" },
	{ "https://h/a/../b/./c", STORE_PLAIN, UPLOAD_PUT, "https://h/a/../b/./c", "h",
	  "Content-Type: image/jpeg" },
	{ "http://localhost:1/p", STORE_PLAIN, UPLOAD_PUT, "http://localhost:1/p",
	  "localhost:1", "Content-Type: image/jpeg" },
	{ "http://127.0.0.1/p", STORE_PLAIN, UPLOAD_PUT, "http://127.0.0.1/p",
	  "127.0.0.1", "Content-Type: image/jpeg" },
	{ "http://[::1]:80/p", STORE_PLAIN, UPLOAD_PUT, "http://[::1]/p", "[::1]",
	  "Content-Type: image/jpeg" },
	/* the published form */
	{ "https://h/core/assetmgr/v3/assets/upload?signature=" JWT_POST, STORE_JWT,
	  UPLOAD_POST, "https://h/core/assetmgr/v3/assets/upload", "h",
	  "Content-Type: image/jpeg" },
	{ "https://h/?a=b&token=" JWT_PUT "&c", STORE_JWT, UPLOAD_PUT, "https://h/", "h",
	  "Content-Type: image/jpeg" },
	{ "https://h/?signature=" JWT_LOWER, STORE_JWT, UPLOAD_POST, "https://h/", "h",
	  "Content-Type: image/jpeg" },
	{ "https://h/?signature=" JWT_URLSAFE, STORE_JWT, UPLOAD_POST, "https://h/", "h",
	  "Content-Type: image/jpeg" },
	{ "https://h/?signature=eyJhbGciOiJSUzI1NiJ9%2EeyJtZXRob2QiOiJQT1NUIn0%2Ec2ln",
	  STORE_JWT, UPLOAD_POST, "https://h/", "h", "Content-Type: image/jpeg" },
	{ "https://h/?first=" JWT_NONE "&second=" JWT_POST, STORE_JWT, UPLOAD_POST,
	  "https://h/", "h", "Content-Type: image/jpeg" },
	/* no JWT with a method */
	{ "https://h/?signature=" JWT_NONE, STORE_PLAIN, UPLOAD_PUT, "https://h/", "h",
	  "Content-Type: image/jpeg" },
	{ "https://h/?signature=" JWT_NULL, STORE_PLAIN, UPLOAD_PUT, "https://h/", "h",
	  "Content-Type: image/jpeg" },
	{ "https://h/?signature=" JWT_ARRAY, STORE_PLAIN, UPLOAD_PUT, "https://h/", "h",
	  "Content-Type: image/jpeg" },
	{ "https://h/?signature=" JWT_POST ".x", STORE_PLAIN, UPLOAD_PUT, "https://h/",
	  "h", "Content-Type: image/jpeg" },
	{ "https://h/?signature=a.eyJtZXRob2QiOiJQT1NUIn0", STORE_PLAIN, UPLOAD_PUT,
	  "https://h/", "h", "Content-Type: image/jpeg" },
	{ "https://h/?signature=a.eyJtZXRob2QiOiJQT1NUIn0.", STORE_PLAIN, UPLOAD_PUT,
	  "https://h/", "h", "Content-Type: image/jpeg" },
	{ "https://h/?signature=.eyJtZXRob2QiOiJQT1NUIn0.a", STORE_PLAIN, UPLOAD_PUT,
	  "https://h/", "h", "Content-Type: image/jpeg" },
	{ "https://h/?signature=a..b&x=a.b.c&y=www.example.com&z=a.YWJjZ.b", STORE_PLAIN,
	  UPLOAD_PUT, "https://h/", "h", "Content-Type: image/jpeg" },
	{ "https://h/?signature=a.eyJtZXRob2QiOiJQT1NUIn0+.b", STORE_PLAIN, UPLOAD_PUT,
	  "https://h/", "h", "Content-Type: image/jpeg" },
	{ "https://h/?signature=a.eyJtZXRob2QiOiJQT1NUIn0gA.b", STORE_PLAIN, UPLOAD_PUT,
	  "https://h/", "h", "Content-Type: image/jpeg" },
	{ "https://h/#signature=" JWT_POST, STORE_PLAIN, UPLOAD_PUT, "https://h/", "h",
	  "Content-Type: image/jpeg" },
	/* the three stores */
	{ "https://b.s3.example/k?X-Amz-SignedHeaders=host&X-Amz-Signature=" SECRET,
	  STORE_S3, UPLOAD_PUT, "https://b.s3.example/k", "b.s3.example",
	  "Content-Type: image/jpeg" },
	{ "https://b.s3.example/k?X-Amz-Signature=" SECRET
	  "&X-Amz-SignedHeaders=content-length%3Bcontent-type%3bHOST",
	  STORE_S3, UPLOAD_PUT, "https://b.s3.example/k", "b.s3.example",
	  "Content-Type: image/jpeg" },
	{ "https://b.s3.example/k?X-Amz-Signature=" SECRET "&X-Amz-SignedHeaders=;host;;",
	  STORE_S3, UPLOAD_PUT, "https://b.s3.example/k", "b.s3.example",
	  "Content-Type: image/jpeg" },
	{ "https://b.s3.example/k?X-Amz-Signature=" SECRET "&x=" JWT_POST, STORE_S3,
	  UPLOAD_PUT, "https://b.s3.example/k", "b.s3.example",
	  "Content-Type: image/jpeg" },
	{ "https://g.example/k?X-Goog-Signature=" SECRET
	  "&X-Goog-SignedHeaders=content-type;host",
	  STORE_GCS, UPLOAD_PUT, "https://g.example/k", "g.example",
	  "Content-Type: image/jpeg" },
	{ "https://a.example/c/k?sv=2020&sr=b&sig=" SECRET "%3D", STORE_AZURE, UPLOAD_PUT,
	  "https://a.example/c/k", "a.example",
	  "Content-Type: image/jpeg|x-ms-blob-type: BlockBlob" },
	{ "https://a.example/c/k?ss=b&sig=" SECRET "&sv=2020", STORE_AZURE, UPLOAD_PUT,
	  "https://a.example/c/k", "a.example",
	  "Content-Type: image/jpeg|x-ms-blob-type: BlockBlob" },
	{ "https://a.example/c/k?svx=2020&sr=b&sig=" SECRET, STORE_PLAIN, UPLOAD_PUT,
	  "https://a.example/c/k", "a.example", "Content-Type: image/jpeg" },
	{ "https://a.example/c/k?sv=2020&sig=" SECRET, STORE_PLAIN, UPLOAD_PUT,
	  "https://a.example/c/k", "a.example", "Content-Type: image/jpeg" },
};

static void test_parse(void **state)
{
	struct content_url_policy policy = plain_policy();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		_cleanup_(content_url_done) struct content_url url = {};
		_cleanup_free_ char *reason = NULL, *headers = NULL, *shown = NULL;

		if (content_url_parse(urls[i].url, &policy, &url, &reason) != 0)
			fail_msg("row %zu: %s", i, reason);
		if (url.store != urls[i].store)
			fail_msg("row %zu: %s", i, content_store_name(url.store));
		assert_int_equal(url.method, urls[i].method);
		shown = content_url_redact(url.url);
		assert_string_equal(shown, urls[i].shown);
		assert_string_equal(url.host, urls[i].host);
		headers = join(&url.headers);
		assert_string_equal(headers, urls[i].headers);
		assert_null(reason);
	}
}

/* What is signed must arrive byte for byte: only the fragment may go, and case where it
 * has no meaning. */
static void test_url_is_kept(void **state)
{
	static const struct {
		const char *url, *expected;
	} rows[] = {
		{ "https://h/a%2fb/%7E/../c?x=%2B+%20&y=a%3db&&z", NULL },
		{ "https://h/p?a=1#fragment", "https://h/p?a=1" },
		{ "https://h/p#f?not=query", "https://h/p" },
		{ "https://h/p?a=?/&b=//", NULL },
		{ "https://h/~a!$&'()*+,;=:@?x=~!$'()*,;:@/", NULL },
		{ "https://H.Example:8443/P?Q", NULL },
		{ "https://[2001:DB8::1]:8443/p?q", NULL },
		{ "HTTPS://h:443?q", "https://h/?q" },
		{ "https://h/p?", "https://h/p" },
	};
	struct content_url_policy policy = plain_policy();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(content_url_done) struct content_url url = {};
		_cleanup_free_ char *reason = NULL;
		char *parts = NULL, *query = NULL;

		assert_int_equal(content_url_parse(rows[i].url, &policy, &url, &reason),
				 0);
		assert_string_equal(url.url,
				    rows[i].expected ? rows[i].expected : rows[i].url);
		assert_int_equal(curl_url_get(url.parts, CURLUPART_URL, &parts,
					      CURLU_NO_DEFAULT_PORT),
				 CURLUE_OK);
		assert_string_equal(parts, url.url);
		assert_int_not_equal(curl_url_get(url.parts, CURLUPART_QUERY, &query, 0),
				     strchr(url.url, '?') ? CURLUE_NO_QUERY : CURLUE_OK);
		curl_free(parts);
		curl_free(query);
	}
}

static void check_refused(const char *text, const struct content_url_policy *policy,
			  const char *part)
{
	struct content_url url = { .method = 77 };
	_cleanup_free_ char *reason = NULL;

	if (content_url_parse(text, policy, &url, &reason) != -EBADMSG)
		fail_msg("taken: %.200s", text);
	assert_int_equal(url.method, 77);
	assert_non_null(reason);
	if (!strstr(reason, part))
		fail_msg("%.200s: %s", text, reason);
	assert_null(strstr(reason, SECRET));
}

static const struct {
	const char *url;
	const char *reason; /* a part of it */
} refused[] = {
	{ "", "not a URL" },
	{ "h/p?q=" SECRET, "not a URL" },
	{ "/p?q=" SECRET, "not a URL" },
	{ "https://?q=" SECRET, "not a URL" },
	{ "https://h:99999/?q=" SECRET, "not a URL" },
	{ "https://h:port/?q=" SECRET, "not a URL" },
	{ "https://h:0/?q=" SECRET, "port 0" },
	{ "https://h:00000/?q=" SECRET, "port 0" },
	{ "https://[::1/?q=" SECRET, "not a URL" },
	{ "https://[fe80::1%25eth0]/?q=" SECRET, "a zone" },
	{ "https://h /?q=" SECRET, "not a URL" },
	{ "https://h/a b?q=" SECRET, "not a URL" },
	{ "https://h/\r\nX: y?q=" SECRET, "not a URL" },
	{ "https://h\\@evil/?q=" SECRET, "" },
	{ "ftp://h/p?q=" SECRET, "scheme is ftp" },
	{ "file:///etc/passwd", "" },
	{ "javascript://h/p", "scheme is javascript" },
	{ "gopher://h/p", "scheme is gopher" },
	{ "https://user@h/p?q=" SECRET, "user information" },
	{ "https://user:" SECRET "@h/p", "user information" },
	{ "https://:" SECRET "@h/p", "user information" },
	{ "http://h/p?q=" SECRET, "AllowInsecure" },
	{ "http://localhost.evil/p?q=" SECRET, "AllowInsecure" },
	{ "http://127.0.0.1.evil/p?q=" SECRET, "AllowInsecure" },
	{ "http://[2001:db8::1]/p?q=" SECRET, "AllowInsecure" },
	{ "https://h/?signature=" JWT_GET, "neither PUT nor POST" },
	{ "https://h/?signature=" JWT_NUMBER, "neither PUT nor POST" },
	{ "https://h/?signature=" JWT_EMPTY, "neither PUT nor POST" },
	{ "https://h/?X-Amz-Signature=" SECRET "&X-Amz-SignedHeaders=host%3Bx-amz-acl",
	  "Header=x-amz-acl: ... in [Upload]" },
	{ "https://h/?X-Amz-SignedHeaders=content-typ&X-Amz-Signature=" SECRET,
	  "Header=content-typ:" },
	{ "https://h/?X-Amz-SignedHeaders=hos&X-Amz-Signature=" SECRET, "Header=hos:" },
	{ "https://h/?X-Goog-Signature=" SECRET
	  "&X-Goog-SignedHeaders=host;x-goog-meta-a",
	  "X-Goog-SignedHeaders signs the header x-goog-meta-a" },
	{ "https://h/?X-Amz-Signature=" SECRET "&X-Amz-SignedHeaders=a%0Ab", "a\\nb" },
};

static void test_refused(void **state)
{
	struct content_url_policy policy = plain_policy();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		check_refused(refused[i].url, &policy, refused[i].reason);
}

static void test_length(void **state)
{
	struct content_url_policy policy = plain_policy();
	char text[ASSET_URL_MAX + 2];
	_cleanup_(content_url_done) struct content_url url = {};
	_cleanup_free_ char *reason = NULL, *shown = NULL;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "https://h/?", 11);
	text[ASSET_URL_MAX] = '\0';
	assert_int_equal(content_url_parse(text, &policy, &url, &reason), 0);
	shown = content_url_redact(url.url);
	assert_string_equal(shown, "https://h/");
	text[ASSET_URL_MAX] = 'a';
	text[ASSET_URL_MAX + 1] = '\0';
	check_refused(text, &policy, "longer");
}

static void test_insecure(void **state)
{
	struct content_url_policy policy = plain_policy();
	_cleanup_(content_url_done) struct content_url url = {};
	_cleanup_free_ char *reason = NULL;

	(void)state;
	policy.allow_insecure = true;
	assert_int_equal(content_url_parse("http://h/p", &policy, &url, &reason), 0);
	assert_string_equal(url.url, "http://h/p");
	check_refused("ftp://h/p", &policy, "scheme");
}

static const struct {
	char *glob;
	const char *url;
	bool allowed;
} hosts[] = {
	{ (char *)"*.example", "https://h.example/", true },
	{ (char *)"*.example", "https://h.EXAMPLE:8443/", true },
	{ (char *)"*.Example", "https://h.example/", true },
	{ (char *)"h.example", "https://h.example/", true },
	{ (char *)"2001:db8::*", "https://[2001:db8::1]/", true },
	{ (char *)"*.example", "https://example/", false },
	{ (char *)"*.example", "https://h.example.evil/", false },
	{ (char *)"*.example", "https://evil/?h.example", false },
	{ (char *)"*.example", "https://evil/h.example", false },
	{ (char *)"*.example", "https://evil#h.example", false },
	{ (char *)"h.example", "https://xh.example/", false },
	{ (char *)"", "https://h/", false },
};

static void test_allowed_hosts(void **state)
{
	struct content_url_policy policy = plain_policy();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct strv globs = LIST((char *)"other", hosts[i].glob);
		_cleanup_(content_url_done) struct content_url url = {};
		_cleanup_free_ char *reason = NULL;

		policy.allowed_hosts = &globs;
		if (!hosts[i].allowed)
			check_refused(hosts[i].url, &policy, "AllowedHosts");
		else if (content_url_parse(hosts[i].url, &policy, &url, &reason) != 0)
			fail_msg("row %zu: %s", i, reason);
	}
}

static const struct {
	const char *url;
	char *glob;
	bool allowed, public_only; /* what is said of it when it is allowed */
} private_hosts[] = {
	{ "https://files.example/", NULL, true, true },
	{ "https://203.0.113.1/", NULL, true, true },
	{ "https://[2001:db8::1]:8443/", NULL, true, true },
	{ "https://localhost/", NULL, false, false },
	{ "https://LOCALHOST./", NULL, false, false },
	{ "https://127.0.0.1:8443/", NULL, false, false },
	{ "https://10.1.2.3/", NULL, false, false },
	{ "https://172.31.0.1/", NULL, false, false },
	{ "https://192.168.0.1/", NULL, false, false },
	{ "https://169.254.169.254/latest/meta-data", NULL, false, false },
	{ "https://[::1]/", NULL, false, false },
	{ "https://[fd00:ec2::254]/", NULL, false, false },
	{ "https://[fe80::1]/", NULL, false, false },
	{ "https://[::ffff:10.1.2.3]/", NULL, false, false },
	/* However an IPv4 address is written. */
	{ "https://127.1/", NULL, false, false },
	{ "https://0x7f000001/", NULL, false, false },
	{ "https://2130706433/", NULL, false, false },
	{ "https://0177.0.0.1/", NULL, false, false },
	{ "https://0/", NULL, false, false },
	/* Only its own name is a word of permission. */
	{ "https://10.1.2.3/", (char *)"10.1.2.3", true, false },
	{ "https://[fd00::1]/", (char *)"FD00::1", true, false },
	{ "https://files.example/", (char *)"Files.Example", true, false },
	{ "https://10.1.2.3/", (char *)"10.*", false, false },
	{ "https://10.1.2.3/", (char *)"*", false, false },
	{ "https://files.example/", (char *)"*", true, true },
};

static void test_private_hosts(void **state)
{
	struct content_url_policy policy = plain_policy();

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(private_hosts); i++) {
		struct strv globs = LIST((char *)"other", private_hosts[i / 2].glob);
		_cleanup_(content_url_done) struct content_url url = {};
		_cleanup_free_ char *reason = NULL;

		policy.allowed_hosts = private_hosts[i / 2].glob ? &globs : &none;
		policy.public_only = i % 2;
		if (policy.public_only && !private_hosts[i / 2].allowed) {
			check_refused(private_hosts[i / 2].url, &policy,
				      "is a private address");
			continue;
		}
		if (content_url_parse(private_hosts[i / 2].url, &policy, &url, &reason))
			fail_msg("row %zu: %s", i / 2, reason);
		assert_int_equal(url.public_only,
				 policy.public_only && private_hosts[i / 2].public_only);
	}
}

#define S3_ACL "https://h/?X-Amz-Signature=s&X-Amz-SignedHeaders=host;x-amz-acl"
#define AZURE  "https://h/?sv=1&sr=b&sig=s"

static const struct {
	const char *url;
	char *header;
	const char *expected; /* NULL: refused */
} configured[] = {
	{ "https://h/", (char *)"X-Tag: a", "Content-Type: image/jpeg|X-Tag: a" },
	{ "https://h/", (char *)"content-TYPE: text/x", "content-TYPE: text/x" },
	{ "https://h/", (char *)"Content-Type-X: a",
	  "Content-Type: image/jpeg|Content-Type-X: a" },
	{ AZURE, (char *)"X-MS-Blob-Type: AppendBlob",
	  "Content-Type: image/jpeg|X-MS-Blob-Type: AppendBlob" },
	{ S3_ACL, (char *)"X-Amz-Acl: private",
	  "Content-Type: image/jpeg|X-Amz-Acl: private" },
	{ S3_ACL, (char *)"X-Amz-Acl : private",
	  "Content-Type: image/jpeg|X-Amz-Acl : private" },
	{ S3_ACL, (char *)"X-Amz-Acls: private", NULL },
	{ S3_ACL, (char *)"X-Amz: x-amz-acl: private", NULL },
	{ "https://h/", (char *)"Authorization: Bearer x", NULL },
	{ "https://h/", (char *)"AUTHORIZATION : Bearer x", NULL },
	{ "https://h/", (char *)"Content-Length: 5", NULL },
	{ "https://h/", (char *)"transfer-encoding: chunked", NULL },
};

static void test_configured_headers(void **state)
{
	struct content_url_policy policy = plain_policy();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configured); i++) {
		struct strv list = LIST(configured[i].header);
		_cleanup_(content_url_done) struct content_url url = {};
		_cleanup_free_ char *reason = NULL, *headers = NULL;

		policy.headers = &list;
		if (!configured[i].expected) {
			check_refused(configured[i].url, &policy, "Header=");
			continue;
		}
		if (content_url_parse(configured[i].url, &policy, &url, &reason) != 0)
			fail_msg("row %zu: %s", i, reason);
		headers = join(&url.headers);
		assert_string_equal(headers, configured[i].expected);
	}
}

static void test_configured_method(void **state)
{
	static const char *const all[] = {
		"https://h/",
		"https://h/?signature=" JWT_POST,
		"https://h/?signature=" JWT_PUT,
		"https://h/?signature=" JWT_GET,
		AZURE,
	};
	static const enum upload_method methods[] = { UPLOAD_PUT, UPLOAD_POST };
	struct content_url_policy policy = plain_policy();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (size_t j = 0; j < ARRAY_SIZE(methods); j++) {
			_cleanup_(content_url_done) struct content_url url = {};
			_cleanup_free_ char *reason = NULL;

			policy.method = methods[j];
			assert_int_equal(
				content_url_parse(all[i], &policy, &url, &reason), 0);
			assert_int_equal(url.method, methods[j]);
		}
}

/* Whatever a URL is cut to, the secret shows neither in `shown` nor in a reason. */
static void test_secret(void **state)
{
	static const char *const forms[] = {
		"https://h.example:1/a?q=" SECRET,
		"https://h/?X-Amz-Signature=" SECRET "&X-Amz-SignedHeaders=x",
		"https://h/?sv=1&sr=b&sig=" SECRET,
		"https://h/#" SECRET,
		"https://u:" SECRET "@h/p",
		"http://h/?" SECRET,
		"ftp://u:" SECRET "@h/?" SECRET,
		"https://h/?\n" SECRET,
	};
	struct content_url_policy policy = plain_policy();
	size_t taken = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		for (size_t skip = 0; skip < 8; skip++) {
			_cleanup_(content_url_done) struct content_url url = {};
			_cleanup_free_ char *reason = NULL;
			_cleanup_free_ char *redacted = content_url_redact(forms[i] +
									   skip);

			assert_null(strstr(redacted, SECRET));
			if (content_url_parse(forms[i] + skip, &policy, &url, &reason) ==
			    0) {
				_cleanup_free_ char *shown = content_url_redact(url.url);

				taken++;
				assert_null(strstr(shown, SECRET));
				assert_null(strstr(url.host, SECRET));
			} else {
				assert_null(strstr(reason, SECRET));
			}
		}
	assert_int_equal(taken, 3);
}

/* A URL that is cut short anywhere is taken or refused, never more than that. */
static void test_prefixes(void **state)
{
	static const char whole[] =
		"https://[2001:db8::1]:8443/a%20b?X-Amz-SignedHeaders=host%3Bcontent-type"
		"&X-Amz-Signature=1&signature=" JWT_POST "#f";
	struct content_url_policy policy = plain_policy();

	(void)state;
	for (size_t n = 0; n < STRLEN(whole); n++) {
		_cleanup_(content_url_done) struct content_url url = {};
		_cleanup_free_ char *text = strndup(whole, n), *reason = NULL;
		int r = content_url_parse(text, &policy, &url, &reason);

		assert_true(r == 0 || r == -EBADMSG);
		assert_int_equal(r == 0, url.url != NULL);
		assert_int_equal(r == 0, url.parts != NULL);
		assert_int_equal(r == 0, reason == NULL);
	}
}

/* The last bytes of a payload decode as the first do, whatever its length modulo 3. */
static void test_payload_lengths(void **state)
{
	static const char *const payloads[] = {
		"eyJtZXRob2QiOiJQT1NUIn0",     /* {"method":"POST"} */
		"eyJtZXRob2QiOiJQT1NUIn0g",    /* and a space */
		"eyJtZXRob2QiOiJQT1NUIn0gIA",  /* and two */
		"eyJtZXRob2QiOiJQT1NUIn0gICA", /* and three */
	};
	struct content_url_policy policy = plain_policy();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
		_cleanup_(content_url_done) struct content_url url = {};
		_cleanup_free_ char *text = NULL, *reason = NULL;

		assert_true(asprintf(&text, "https://h/?s=a.%s.b", payloads[i]) > 0);
		assert_int_equal(content_url_parse(text, &policy, &url, &reason), 0);
		assert_int_equal(url.store, STORE_JWT);
		assert_int_equal(url.method, UPLOAD_POST);
	}
}

static const struct {
	const char *url, *expected;
} redacted[] = {
	{ "", "" },
	{ "https://h/p?q=1", "https://h/p" },
	{ "https://h/p#f", "https://h/p" },
	{ "https://h/p#f?x", "https://h/p" },
	{ "https://u:p@h/p", "https://h/p" },
	{ "https://u:p@q@h/p", "https://h/p" },
	{ "https://h/a@b", "https://h/a@b" },
	{ "u:p@h/p?x", "h/p" },
	{ "h?x://u@y", "h" },
	{ "://u@h", "://h" },
	{ "https:/u:p@h/p", "h/p" },
	{ "//u:p@h/p", "h/p" },
	{ "https:///u:p@h/p", "https:///h/p" },
	{ "https://u\\@h/p", "https://h/p" },
	{ "https://h/\x1B[31m\n", "https://h/\\x1B[31m\\n" },
	{ "?", "" },
};

static void test_redact(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(redacted); i++) {
		_cleanup_free_ char *text = content_url_redact(redacted[i].url);

		assert_string_equal(text, redacted[i].expected);
	}
}

static void test_hide(void **state)
{
	static const struct {
		const char *url, *text, *expected;
	} rows[] = {
		{ "https://h/p", "h p", "h p" },
		{ "https://h/p?", "h p", "h p" },
		{ "https://h/p?signature=" SECRET, "not " SECRET, "not ***" },
		{ "https://h/p?a=1&sig=" SECRET "&b=2#f", "a=1, " SECRET "; b=2",
		  "a=1, ***; b=2" },
		{ "https://h/p?sig=" SECRET "%2Fx", SECRET "%2Fx " SECRET "/x " SECRET,
		  "*** *** " SECRET },
		{ "https://h/p?" SECRET, SECRET, "***" },
		{ "https://h/p?" SECRET "&a", SECRET, SECRET }, /* no value */
		{ "https://h/p?a=1&b=22&sig=3", "/p?a=1&b=22&sig=3", "/p?***" },
		{ "https://h/p?=" SECRET, SECRET, "***" },
		{ "https://h/p?v=300&&w", "300 of &", "300 of &" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = strdup(rows[i].text);

		content_url_hide(rows[i].url, text);
		assert_string_equal(text, rows[i].expected);
	}
}

static void test_store_names(void **state)
{
	static const char *const names[] = {
		[STORE_PLAIN] = "plain", [STORE_JWT] = "jwt", [STORE_S3] = "s3",
		[STORE_AZURE] = "azure", [STORE_GCS] = "gcs",
	};

	(void)state;
	for (enum content_store store = 0; store < ARRAY_SIZE(names); store++)
		assert_string_equal(content_store_name(store), names[store]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_url_is_kept),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_insecure),
		cmocka_unit_test(test_allowed_hosts),
		cmocka_unit_test(test_private_hosts),
		cmocka_unit_test(test_configured_headers),
		cmocka_unit_test(test_configured_method),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_payload_lengths),
		cmocka_unit_test(test_redact),
		cmocka_unit_test(test_hide),
		cmocka_unit_test(test_store_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
