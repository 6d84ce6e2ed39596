/*
 * The stand-in service, asked by plain libcurl: right and wrong, and every fault it can
 * be told to make.
 */

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <json-c/json.h>
#include <sys/stat.h>

#include "service.h"

#define PATIENCE (20 * USEC_PER_SEC)

static const char good_asset[] = "{\"channel\":{\"type\":\"sms\"},\"sender\":{\"type\":"
				 "\"customer\"},\"name\":\"bird.jpg\",\"size\":5}";

/* ---- asking ---- */

struct ask {
	const char *method, *url;
	const char *headers; /* lines */
	const char *body;    /* NULL: none */
	size_t length;	     /* 0: of the string */
	bool chunked;
	long timeout_ms; /* 0: PATIENCE */
};

struct reply {
	CURLcode code;
	long status;
	char *body, *head;
	size_t size;
	FILE *body_stream, *head_stream;
};

static void reply_done(struct reply *reply)
{
	free(reply->body);
	free(reply->head);
}

static void list_freep(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

DEFINE_CLEANUP(CURL *, easy_freep, curl_easy_cleanup)
DEFINE_CLEANUP(struct json_object *, json_freep, json_object_put)

#define _cleanup_reply_	  _cleanup_(reply_done)
#define _cleanup_service_ _cleanup_(service_stopp)

static struct curl_slist *header_list(const struct ask *ask)
{
	_cleanup_free_ char *copy = strdup(ask->headers ? ask->headers : "");
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	char *rest = copy, *line;

	while ((line = strsep(&rest, "\n"))) {
		if (*line)
			list = curl_slist_append(list, line);
	}
	if (!ask->headers || !strcasestr(ask->headers, "content-type"))
		list = curl_slist_append(list, "Content-Type:");
	if (ask->chunked)
		list = curl_slist_append(list, "Transfer-Encoding: chunked");
	return list;
}

static void set_body(CURL *easy, const struct ask *ask, FILE **ret_stream)
{
	size_t length = ask->length ? ask->length : strlen(ask->body);

	if (!ask->chunked) {
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, ask->body);
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				       (curl_off_t)length);
		return;
	}
	*ret_stream = fmemopen((char *)ask->body, length, "r");
	(void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_READDATA, *ret_stream);
}

static struct reply ask(struct ask what)
{
	struct reply reply = { 0 };
	_cleanup_(easy_freep) CURL *easy = curl_easy_init();
	_cleanup_(list_freep) struct curl_slist *list = header_list(&what);
	_cleanup_fclose_ FILE *upload = NULL;
	size_t head_size;

	reply.body_stream = open_memstream(&reply.body, &reply.size);
	reply.head_stream = open_memstream(&reply.head, &head_size);
	(void)curl_easy_setopt(easy, CURLOPT_URL, what.url);
	(void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, reply.body_stream);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, reply.head_stream);
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)1 << 20);
	(void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
			       what.timeout_ms ? what.timeout_ms
					       : (long)(PATIENCE / USEC_PER_MSEC));
	if (what.body)
		set_body(easy, &what, &upload);
	(void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, what.method);
	reply.code = curl_easy_perform(easy);
	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
	(void)fclose(reply.body_stream);
	(void)fclose(reply.head_stream);
	return reply;
}

static struct service *start(struct service_options options)
{
	struct service *service = NULL;

	assert_int_equal(service_start(&options, &service), 0);
	return service;
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(object, key, &value));
	return json_object_get_string(value);
}

static const char good_form[] = "grant_type=client_credentials&client_id=client-7f3a"
				"&client_secret=s3cr3t%2F0f%2B7h3+c1i3n7%26%3D%25"
				"&scope=core.conversation%20core.asset";

static struct reply ask_token(struct service *service, const char *form)
{
	return ask((struct ask){
		.method = "POST",
		.url = service_token_url(service),
		.headers = "Content-Type: application/x-www-form-urlencoded",
		.body = form,
	});
}

/* "Authorization: Bearer ..."; the caller frees it. */
static char *bearer(struct service *service)
{
	_cleanup_reply_ struct reply reply = ask_token(service, good_form);
	_cleanup_(json_freep) struct json_object *object = json_tokener_parse(reply.body);
	char *line = NULL;

	assert_int_equal(reply.status, 200);
	assert_true(asprintf(&line, "Authorization: Bearer %s\n",
			     text_of(object, "access_token")) > 0);
	return line;
}

static struct reply ask_create(struct service *service, const char *authorization,
			       const char *body)
{
	_cleanup_free_ char *headers = NULL, *url = NULL;

	assert_true(asprintf(&headers, "%sContent-Type: application/json",
			     authorization) > 0);
	assert_true(asprintf(&url, "%s/assets", service_base_url(service)) > 0);
	return ask((struct ask){
		.method = "POST", .url = url, .headers = headers, .body = body });
}

/* The content URL of a new bird.jpg of 5 bytes; the caller frees it. */
static char *grant(struct service *service)
{
	_cleanup_free_ char *authorization = bearer(service);
	_cleanup_reply_ struct reply reply = ask_create(service, authorization,
							good_asset);
	_cleanup_(json_freep) struct json_object *object = json_tokener_parse(reply.body);

	assert_int_equal(reply.status, 200);
	return strdup(text_of(object, "contentUrl"));
}

/* ---- the token ---- */

static void the_token_is_granted_to_whom_it_belongs(void **state)
{
	static const struct {
		const char *form;
		long status;
		const char *answer;
		bool breach;
	} table[] = {
		{ good_form, 200, "\"token_type\":\"Bearer\"", false },
		{ "grant_type=password&client_id=a&client_secret=b&scope=c", 400,
		  "unsupported_grant_type", false },
		{ "grant_type=client_credentials&client_id=client-7f3a&client_secret=wrong"
		  "&scope=core.conversation+core.asset",
		  401, "invalid_client", false },
		{ "grant_type=client_credentials&client_id=client-7f3a"
		  "&client_secret=s3cr3t%2f0f%2b7h3%20c1i3n7%26%3d%25&scope=all",
		  400, "invalid_scope", false },
		{ "grant_type=client_credentials&client_id=client-7f3a&scope=a", 400,
		  "client_secret", true },
		{ "grant_type=client_credentials&client_id=a&client_id=a", 400,
		  "invalid_request", true },
		{ "grant_type=%zz", 400, "invalid_request", true },
		{ "nothing", 400, "invalid_request", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_service_ struct service *service = start(
			(struct service_options){ 0 });
		_cleanup_reply_ struct reply reply = ask_token(service, table[i].form);
		_cleanup_free_ char *violations = service_violations(service);

		assert_int_equal(reply.status, table[i].status);
		assert_non_null(strstr(reply.body, table[i].answer));
		assert_int_equal(violations != NULL, table[i].breach);
	}
}

static void expires_in_may_be_absent(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){
		.expires_in = EXPIRES_IN_ABSENT });
	_cleanup_reply_ struct reply absent = ask_token(service, good_form), there;

	(void)state;
	assert_null(strstr(absent.body, "expires_in"));
	service_set_expires_in(service, 7);
	there = ask_token(service, good_form);
	assert_non_null(strstr(there.body, "\"expires_in\":7"));
}

static void a_token_that_is_not_good_is_refused(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_free_ char *authorization = bearer(service), *none = NULL, *some = NULL;
	_cleanup_reply_ struct reply revoked, missing, unknown;

	(void)state;
	service_revoke_tokens(service);
	revoked = ask_create(service, authorization, good_asset);
	assert_int_equal(revoked.status, 401);
	assert_non_null(strstr(revoked.body, "\"401-104\""));
	none = service_violations(service);
	assert_null(none);

	missing = ask_create(service, "", good_asset);
	assert_int_equal(missing.status, 401);
	unknown = ask_create(service, "Authorization: Bearer invented\n", good_asset);
	assert_int_equal(unknown.status, 401);
	some = service_violations(service);
	assert_non_null(strstr(some, "no Authorization"));
	assert_non_null(strstr(some, "never given out"));
}

/* ---- Create Asset ---- */

#define CHANNEL "\"channel\":{\"type\":\"sms\"},"
#define SENDER	"\"sender\":{\"type\":\"customer\"},"

static void create_takes_only_what_the_schema_allows(void **state)
{
	static const struct {
		const char *body;
		long status;
		const char *code, *about;
	} table[] = {
		{ "{" CHANNEL SENDER "\"name\":\"\\u00fc.txt\",\"size\":0}", 200, "",
		  "" },
		{ "{" CHANNEL SENDER "\"name\":\"a\\n\\\"b\",\"size\":3}", 200, "", "" },
		{ "{" CHANNEL SENDER "\"size\":5}", 400, "400-112", "name" },
		{ "{" CHANNEL SENDER "\"name\":\"a\"}", 400, "400-112", "size" },
		{ "{" SENDER "\"name\":\"a\",\"size\":1}", 400, "400-112",
		  "channel.type" },
		{ "{" CHANNEL "\"name\":\"a\",\"size\":1}", 400, "400-112",
		  "sender.type" },
		{ "{" CHANNEL SENDER "\"name\":\"\",\"size\":1}", 400, "400-196",
		  "name" },
		{ "{" CHANNEL SENDER "\"name\":7,\"size\":1}", 400, "400-196", "name" },
		{ "{" CHANNEL SENDER "\"name\":\"a\\u0000b\",\"size\":1}", 400, "400-196",
		  "name" },
		{ "{" CHANNEL SENDER "\"name\":\"a\",\"size\":-1}", 400, "400-196",
		  "size" },
		{ "{" CHANNEL SENDER "\"name\":\"a\",\"size\":1.5}", 400, "400-196",
		  "size" },
		{ "{" CHANNEL SENDER "\"name\":\"a\",\"size\":\"1\"}", 400, "400-196",
		  "size" },
		{ "{" CHANNEL SENDER "\"name\":\"a\",\"size\":99999999999999999999}", 400,
		  "400-196", "size" },
		{ "{" CHANNEL "\"sender\":{\"type\":\"me\"},\"name\":\"a\",\"size\":1}",
		  400, "400-196", "sender.type" },
		{ "{\"channel\":{\"type\":\"\"}," SENDER "\"name\":\"a\",\"size\":1}",
		  400, "400-196", "channel.type" },
		{ "{" CHANNEL SENDER "\"name\":\"a\",\"size\":1,\"more\":1}", 400,
		  "400-196", "unknown" },
		{ "{" CHANNEL SENDER "\"name\":\"\xff\",\"size\":1}", 400, "400-196",
		  "(body)" },
		{ "{" CHANNEL SENDER "\"name\":\"a\",\"size\":1}x", 400, "400-196",
		  "(body)" },
		{ "[]", 400, "400-196", "(body)" },
	};
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_free_ char *authorization = bearer(service);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_reply_ struct reply reply = ask_create(service, authorization,
								table[i].body);

		assert_int_equal(reply.status, table[i].status);
		assert_non_null(strstr(reply.body, table[i].code));
		assert_non_null(strstr(reply.body, table[i].about));
	}
}

static void what_is_larger_than_allowed_is_refused_and_no_breach(void **state)
{
	_cleanup_service_ struct service *narrow = start((struct service_options){
		.size_limit = 4 });
	_cleanup_service_ struct service *wide = start((struct service_options){
		.size_limit = 5 });
	_cleanup_free_ char *here = bearer(narrow), *there = bearer(wide);
	_cleanup_reply_ struct reply refused = ask_create(narrow, here, good_asset),
				     granted = ask_create(wide, there, good_asset);

	(void)state;
	assert_int_equal(refused.status, 400);
	assert_non_null(strstr(refused.body, "\"400-196\""));
	assert_int_equal(service_asset_count(narrow), 0);
	assert_null(service_violations(narrow));
	assert_int_equal(granted.status, 200);
}

static void errors_speak_to_users_when_asked(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_free_ char *authorization = bearer(service), *more = NULL;
	_cleanup_reply_ struct reply plain = ask_create(service, authorization, "{}"),
				     asked;

	(void)state;
	assert_null(strstr(plain.body, "userMessage"));
	assert_true(asprintf(&more, "%sX-egain-error-message: yes\n", authorization) > 0);
	asked = ask_create(service, more, "{}");
	assert_non_null(strstr(asked.body, "userMessage"));
}

static void an_asset_can_be_asked_for(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_free_ char *url = grant(service), *authorization = bearer(service);
	_cleanup_free_ char *there = NULL, *nowhere = NULL;
	_cleanup_reply_ struct reply found, missing;
	struct service_asset asset;

	(void)state;
	assert_non_null(url);
	assert_true(service_asset_by_name(service, "bird.jpg", &asset));
	assert_true(asprintf(&there, "%s/assets/%s", service_base_url(service),
			     asset.id) > 0);
	assert_true(asprintf(&nowhere, "%s/assets/x", service_base_url(service)) > 0);
	found = ask((struct ask){
		.method = "GET", .url = there, .headers = authorization });
	assert_int_equal(found.status, 200);
	assert_non_null(strstr(found.body, "\"contentType\":\"image/jpeg\""));
	missing = ask((struct ask){
		.method = "GET", .url = nowhere, .headers = authorization });
	assert_int_equal(missing.status, 404);
	assert_non_null(strstr(missing.body, "404-101"));
}

static void the_clock_can_be_wrong(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_free_ char *authorization = bearer(service);
	_cleanup_reply_ struct reply reply;
	_cleanup_(json_freep) struct json_object *object = NULL;
	struct timespec expiry;
	const char *date;
	time_t said;

	(void)state;
	service_set_clock_offset(service, (int64_t)(400 * USEC_PER_DAY));
	reply = ask_create(service, authorization, good_asset);
	object = json_tokener_parse(reply.body);
	assert_int_equal(clock_parse(text_of(object, "contentUrlExpiry"), &expiry), 0);
	date = strstr(reply.head, "Date: ");
	assert_non_null(date);
	said = curl_getdate(date + STRLEN("Date: "), NULL);
	assert_true(said > time(NULL) + 399 * 86400);
	assert_in_range(expiry.tv_sec - said, 3595, 3605);
	assert_null(strstr(date + 1, "Date: "));
}

/* ---- uploads ---- */

enum wrong {
	WRONG_NOT,
	WRONG_LENGTH,
	WRONG_TYPE,
	WRONG_NO_TYPE,
	WRONG_EXPIRED,
	WRONG_TAMPERED,
	WRONG_AUTHORIZATION,
	WRONG_TWICE,
	WRONG_CHUNKED,
	WRONG_METHOD,
	WRONG_STRAY,
	WRONG_NO_BLOB_TYPE,
	WRONG_COUNT,
};

static const struct {
	const char *method, *headers;
} manner[KIND_MIXED] = {
	[KIND_PLAIN] = { "PUT", "" },
	[KIND_JWT_POST] = { "POST", "" },
	[KIND_S3] = { "PUT", "" },
	[KIND_AZURE] = { "PUT", "x-ms-blob-type: BlockBlob\n" },
	[KIND_GCS] = { "PUT", "" },
};

/* What each kind answers to each wrong; WRONG_NOT is the success. */
static const struct {
	long status[WRONG_COUNT];
	const char *expired, *tampered;
} answers[KIND_MIXED] = {
	[KIND_PLAIN] = { { 200, 400, 400, 400, 403, 403, 400, 409, 411, 405, 403, 0 },
			 "Request has expired",
			 "<Code>SignatureDoesNotMatch</Code>" },
	[KIND_JWT_POST] = { { 201, 400, 400, 400, 403, 403, 403, 409, 411, 405, 403, 0 },
			    "expired",
			    "developerMessage" },
	[KIND_S3] = { { 200, 400, 403, 403, 403, 403, 400, 409, 411, 403, 403, 0 },
		      "<Code>AccessDenied</Code><Message>Request has expired</Message>",
		      "<Code>SignatureDoesNotMatch</Code>" },
	[KIND_AZURE] = { { 201, 400, 400, 400, 403, 403, 403, 409, 411, 405, 403, 400 },
			 "<Code>AuthenticationFailed</Code>",
			 "<Code>AuthenticationFailed</Code>" },
	[KIND_GCS] = { { 200, 400, 403, 403, 400, 403, 400, 409, 411, 403, 403, 0 },
		       "<Code>ExpiredToken</Code>",
		       "<Code>SignatureDoesNotMatch</Code>" },
};

static const bool is_breach[WRONG_COUNT] = {
	[WRONG_LENGTH] = true,	      [WRONG_TYPE] = true,
	[WRONG_NO_TYPE] = true,	      [WRONG_TAMPERED] = true,
	[WRONG_AUTHORIZATION] = true, [WRONG_CHUNKED] = true,
	[WRONG_METHOD] = true,	      [WRONG_STRAY] = true,
	[WRONG_NO_BLOB_TYPE] = true,
};

static struct reply ask_upload(const char *url, enum url_kind kind, enum wrong wrong)
{
	static const char *const extra[WRONG_COUNT] = {
		[WRONG_AUTHORIZATION] = "Authorization: Bearer x\n",
		[WRONG_STRAY] = "X-Goog-Meta: a\nX-Amz-Acl: private\n",
	};
	_cleanup_free_ char *headers = NULL;
	const char *type = "Content-Type: image/jpeg\n";

	if (wrong == WRONG_TYPE)
		type = "Content-Type: application/x-www-form-urlencoded\n";
	if (wrong == WRONG_NO_TYPE)
		type = "";
	assert_true(asprintf(&headers, "%s%s%s", type,
			     wrong == WRONG_NO_BLOB_TYPE ? "" : manner[kind].headers,
			     extra[wrong] ? extra[wrong] : "") >= 0);
	return ask((struct ask){
		.method = wrong == WRONG_METHOD ? "DELETE" : manner[kind].method,
		.url = url,
		.headers = headers,
		.body = wrong == WRONG_LENGTH ? "tweets" : "tweet",
		.chunked = wrong == WRONG_CHUNKED,
	});
}

/* Another digit in the middle of the signature. */
static void tamper(char *url)
{
	char *digit = url + strlen(url) - 10;

	*digit = *digit == '0' ? '1' : '0';
}

static void upload_wrongly(enum url_kind kind, enum wrong wrong)
{
	_cleanup_service_ struct service *service = start((struct service_options){
		.kind = kind });
	_cleanup_free_ char *url = grant(service), *violations = NULL;
	_cleanup_reply_ struct reply first = { 0 }, reply;

	if (wrong == WRONG_EXPIRED)
		service_expire_urls(service);
	if (wrong == WRONG_TAMPERED)
		tamper(url);
	if (wrong == WRONG_TWICE)
		first = ask_upload(url, kind, WRONG_NOT);
	reply = ask_upload(url, kind, wrong);

	assert_int_equal(reply.status, answers[kind].status[wrong]);
	if (wrong == WRONG_EXPIRED)
		assert_non_null(strstr(reply.body, answers[kind].expired));
	if (wrong == WRONG_TAMPERED)
		assert_non_null(strstr(reply.body, answers[kind].tampered));
	violations = service_violations(service);
	assert_int_equal(violations != NULL, is_breach[wrong]);
	assert_int_equal(service_received(service),
			 wrong == WRONG_NOT || wrong == WRONG_TWICE);
}

static void each_kind_takes_and_refuses_uploads(void **state)
{
	(void)state;
	for (enum url_kind kind = 0; kind < KIND_MIXED; kind++) {
		for (enum wrong wrong = 0; wrong < WRONG_COUNT; wrong++) {
			if (answers[kind].status[wrong])
				upload_wrongly(kind, wrong);
		}
	}
}

static void contents_are_kept_byte_for_byte(void **state)
{
	static const struct {
		const char *text;
		int same;
	} table[] = { { "tweet", 1 }, { "twees", 0 }, { "twee", 0 }, { "tweets", 0 } };
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_free_ char *url = grant(service), *violations = NULL;
	_cleanup_reply_ struct reply reply = ask_upload(url, KIND_PLAIN, WRONG_NOT);
	char path[] = "/tmp/test-service.XXXXXX";
	_cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);
	struct service_asset asset;

	(void)state;
	assert_int_equal(reply.status, 200);
	assert_true(service_asset_by_name(service, "bird.jpg", &asset));
	assert_true(asset.complete);
	assert_string_equal(asset.channel_type, "sms");
	assert_string_equal(asset.sender_type, "customer");
	assert_string_equal(asset.content_type, "image/jpeg");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ssize_t length = (ssize_t)strlen(table[i].text);

		assert_int_equal(pwrite(fd, table[i].text, (size_t)length, 0), length);
		assert_int_equal(ftruncate(fd, length), 0);
		assert_int_equal(service_same_content(service, asset.id, path),
				 table[i].same);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(service_same_content(service, asset.id, path), -ENOENT);
	assert_int_equal(service_same_content(service, "0-0", path), -ENOENT);
	assert_int_equal(service_received_bytes(service), 5);
	violations = service_violations(service);
	assert_null(violations);
}

static void mixed_takes_every_kind_in_turn(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){
		.kind = KIND_MIXED });

	(void)state;
	for (size_t i = 0; i < (size_t)2 * KIND_MIXED; i++) {
		_cleanup_free_ char *url = grant(service);
		_cleanup_reply_ struct reply reply = ask_upload(
			url, (enum url_kind)(i % KIND_MIXED), WRONG_NOT);

		assert_true(reply.status == 200 || reply.status == 201);
	}
	assert_int_equal(service_received(service), 2 * KIND_MIXED);
	assert_int_equal(service_assets_named(service, "bird.jpg"), 2 * KIND_MIXED);
}

/* ---- faults ---- */

static struct reply ask_good_token(struct service *service, long timeout_ms)
{
	return ask((struct ask){
		.method = "POST",
		.url = service_token_url(service),
		.headers = "Content-Type: application/x-www-form-urlencoded",
		.body = good_form,
		.timeout_ms = timeout_ms,
	});
}

static void faults_look_as_they_should(void **state)
{
	static const struct {
		struct fault fault;
		CURLcode code;
		long status;
		const char *body;
	} table[] = {
		{ { .action = FAULT_ANSWER, .status = 503, .body = "down" },
		  CURLE_OK,
		  503,
		  "down" },
		{ { .action = FAULT_ANSWER, .phase = FAULT_AT_HEAD, .status = 413 },
		  CURLE_OK,
		  413,
		  "" },
		{ { .action = FAULT_ANSWER, .phase = FAULT_CARRIED_OUT },
		  CURLE_OK,
		  500,
		  "" },
		{ { .action = FAULT_RESET }, CURLE_RECV_ERROR, 0, "" },
		{ { .action = FAULT_RESET, .phase = FAULT_AT_HEAD },
		  CURLE_RECV_ERROR,
		  0,
		  "" },
		{ { .action = FAULT_RESET, .phase = FAULT_IN_BODY, .bytes = 10 },
		  CURLE_RECV_ERROR,
		  0,
		  "" },
		{ { .action = FAULT_RESET, .phase = FAULT_CARRIED_OUT },
		  CURLE_RECV_ERROR,
		  0,
		  "" },
		{ { .action = FAULT_CLOSE }, CURLE_GOT_NOTHING, 0, "" },
		{ { .action = FAULT_TRUNCATE, .status = 200, .body = "half" },
		  CURLE_PARTIAL_FILE,
		  200,
		  "half" },
		{ { .action = FAULT_GARBAGE },
		  CURL_LAST, /* whichever error */
		  0,
		  "" },
		{ { .action = FAULT_CONTINUE, .delay = 20 * USEC_PER_MSEC },
		  CURLE_OK,
		  200,
		  "access_token" },
		{ { .action = FAULT_CONTINUE,
		    .phase = FAULT_IN_BODY,
		    .bytes = 7,
		    .delay = 20 * USEC_PER_MSEC },
		  CURLE_OK,
		  200,
		  "access_token" },
		{ { .action = FAULT_CONTINUE,
		    .phase = FAULT_CARRIED_OUT,
		    .delay = 20 * USEC_PER_MSEC },
		  CURLE_OK,
		  200,
		  "access_token" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_service_ struct service *service = start(
			(struct service_options){ 0 });
		usec_t before = clock_monotonic();
		_cleanup_reply_ struct reply reply = { 0 }, after = { 0 };
		struct fault fault = table[i].fault;

		fault.endpoint = ENDPOINT_TOKEN;
		fault.times = 1;
		service_fault(service, &fault);
		reply = ask_good_token(service, 0);
		if (table[i].code == CURL_LAST)
			assert_int_not_equal(reply.code, CURLE_OK);
		else
			assert_int_equal(reply.code, table[i].code);
		if (table[i].status)
			assert_int_equal(reply.status, table[i].status);
		assert_non_null(strstr(reply.body, table[i].body));
		assert_true(clock_monotonic() - before >= fault.delay);
		after = ask_good_token(service, 0);
		assert_int_equal(after.status, 200);
	}
}

static void a_scripted_answer_has_its_headers(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_reply_ struct reply reply;

	(void)state;
	service_fault(service,
		      &(struct fault){ .endpoint = ENDPOINT_TOKEN,
				       .action = FAULT_ANSWER,
				       .status = 429,
				       .headers = "Retry-After: 7\nContent-Type: "
						  "text/html\n" });
	reply = ask_good_token(service, 0);
	assert_non_null(strstr(reply.head, "Retry-After: 7\r\n"));
	assert_non_null(strstr(reply.head, "Content-Type: text/html\r\n"));
	assert_null(strstr(reply.head, "application/json"));
}

static size_t stop_after(char *bytes, size_t size, size_t n, void *userdata)
{
	size_t *left = userdata;

	(void)bytes;
	if (*left < size * n)
		return 0;
	*left -= size * n;
	return size * n;
}

static void an_endless_body_goes_on(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_(easy_freep) CURL *easy = curl_easy_init();
	size_t left = (size_t)3 << 20;

	(void)state;
	service_fault(service, &(struct fault){ .action = FAULT_ENDLESS, .status = 200 });
	(void)curl_easy_setopt(easy, CURLOPT_URL, service_token_url(service));
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, stop_after);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, &left);
	assert_int_equal(curl_easy_perform(easy), CURLE_WRITE_ERROR);
	assert_true(left < (size_t)1 << 20);
}

static void rules_skip_and_end(void **state)
{
	static const long expected[] = { 200, 503, 503, 200, 502, 200 };
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });

	(void)state;
	service_fault(service, &(struct fault){ .endpoint = ENDPOINT_TOKEN,
						.skip = 1,
						.times = 2,
						.action = FAULT_ANSWER,
						.status = 503 });
	/* Those that the first rule strikes do not reach the second. */
	service_fault(service, &(struct fault){ .endpoint = ENDPOINT_ANY,
						.skip = 2,
						.action = FAULT_ANSWER,
						.status = 502 });
	service_fault(service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						.action = FAULT_RESET });
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		_cleanup_reply_ struct reply reply = { 0 };

		if (i == 5)
			service_clear_faults(service);
		reply = ask_good_token(service, 0);
		assert_int_equal(reply.status, expected[i]);
	}
	assert_int_equal(service_count(service, ENDPOINT_TOKEN), ARRAY_SIZE(expected));
	assert_int_equal(service_answers(service, ENDPOINT_TOKEN, 503), 2);
	assert_int_equal(service_answers(service, ENDPOINT_ANY, 200), 3);
}

static void a_stalled_client_times_out(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_reply_ struct reply reply;

	(void)state;
	service_fault(service, &(struct fault){ .action = FAULT_STALL, .times = 1 });
	reply = ask_good_token(service, 100);
	assert_int_equal(reply.code, CURLE_OPERATION_TIMEDOUT);
	assert_true(service_wait_held(service, 1, PATIENCE));
	service_release(service);
	assert_true(service_wait_held(service, 0, PATIENCE));
}

struct patient {
	struct service *service;
	struct reply reply;
};

static void *ask_patiently(void *userdata)
{
	struct patient *patient = userdata;

	patient->reply = ask_good_token(patient->service, 0);
	return NULL;
}

static void a_stalled_request_goes_on_when_released(void **state)
{
	static const enum fault_phase phases[] = { FAULT_AT_HEAD, FAULT_IN_BODY,
						   FAULT_AT_ANSWER, FAULT_CARRIED_OUT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(phases); i++) {
		_cleanup_service_ struct service *service = start(
			(struct service_options){ 0 });
		struct patient patient = { .service = service };
		pthread_t thread;

		service_fault(service, &(struct fault){ .phase = phases[i],
							.bytes = 20,
							.action = FAULT_STALL });
		assert_int_equal(pthread_create(&thread, NULL, ask_patiently, &patient),
				 0);
		assert_true(service_wait_count(service, ENDPOINT_TOKEN, 1, PATIENCE));
		assert_true(service_wait_held(service, 1, PATIENCE));
		assert_int_equal(service_answers(service, ENDPOINT_TOKEN, 200), 0);
		assert_false(service_wait_answers(service, ENDPOINT_TOKEN, 200, 1, 1000));
		service_release(service);
		assert_true(service_wait_answers(service, ENDPOINT_TOKEN, 200, 1,
						 PATIENCE));
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(patient.reply.status, 200);
		reply_done(&patient.reply);
	}
}

static void stopping_ends_what_is_held(void **state)
{
	struct service *service = start((struct service_options){ 0 });
	struct patient patient = { .service = service };
	pthread_t thread;

	(void)state;
	service_fault(service, &(struct fault){ .action = FAULT_STALL });
	assert_int_equal(pthread_create(&thread, NULL, ask_patiently, &patient), 0);
	assert_true(service_wait_held(service, 1, PATIENCE));
	service_stop(service);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_not_equal(patient.reply.code, CURLE_OK);
	reply_done(&patient.reply);
}

static void a_lost_answer_leaves_the_content(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_free_ char *url = grant(service), *violations = NULL;
	_cleanup_reply_ struct reply lost, again;

	(void)state;
	service_fault(service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						.times = 1,
						.phase = FAULT_CARRIED_OUT,
						.action = FAULT_RESET });
	lost = ask_upload(url, KIND_PLAIN, WRONG_NOT);
	assert_int_equal(lost.code, CURLE_RECV_ERROR);
	assert_int_equal(service_received(service), 1);
	again = ask_upload(url, KIND_PLAIN, WRONG_NOT);
	assert_int_equal(again.status, 409);
	violations = service_violations(service);
	assert_null(violations);
}

static void a_reset_body_leaves_nothing(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	_cleanup_free_ char *url = grant(service);
	_cleanup_reply_ struct reply lost, again;
	struct service_request request;

	(void)state;
	service_fault(service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						.times = 1,
						.phase = FAULT_IN_BODY,
						.bytes = 3,
						.action = FAULT_RESET });
	lost = ask_upload(url, KIND_PLAIN, WRONG_NOT);
	assert_int_not_equal(lost.code, CURLE_OK);
	assert_int_equal(service_received(service), 0);
	assert_true(service_request_at(service, ENDPOINT_UPLOAD, 0, &request));
	assert_int_equal(request.body, 3);
	assert_int_equal(request.status, 0);
	again = ask_upload(url, KIND_PLAIN, WRONG_NOT);
	assert_int_equal(again.status, 200);
	assert_int_equal(service_received(service), 1);
}

static void it_can_go_away_and_come_back(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });

	(void)state;
	for (int i = 0; i < 3; i++) {
		_cleanup_reply_ struct reply there = ask_good_token(service, 0),
					     gone = { 0 };

		assert_int_equal(there.status, 200);
		service_unlisten(service);
		gone = ask_good_token(service, 0);
		assert_int_equal(gone.code, CURLE_COULDNT_CONNECT);
		service_listen(service);
	}
}

static void going_away_cuts_open_connections(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){ 0 });
	struct patient patient = { .service = service };
	pthread_t thread;

	(void)state;
	service_fault(service, &(struct fault){ .action = FAULT_STALL });
	assert_int_equal(pthread_create(&thread, NULL, ask_patiently, &patient), 0);
	assert_true(service_wait_held(service, 1, PATIENCE));
	service_unlisten(service);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_not_equal(patient.reply.code, CURLE_OK);
	reply_done(&patient.reply);
}

/* ---- the record ---- */

static void note(void *userdata, const char *secret)
{
	char **all = userdata, *longer = NULL;

	assert_true(asprintf(&longer, "%s%s\n", *all ? *all : "", secret) > 0);
	free(*all);
	*all = longer;
}

static void requests_and_secrets_are_known(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){
		.kind = KIND_S3 });
	_cleanup_free_ char *url = grant(service), *secrets = NULL, *value = NULL;
	struct service_request request;
	const char *token;

	(void)state;
	assert_true(service_request_at(service, ENDPOINT_CREATE, 0, &request));
	assert_string_equal(request.method, "POST");
	assert_string_equal(request.url, "/conversation/conversationmgr/v3/assets");
	assert_int_equal(request.sequence, 1);
	assert_int_equal(request.status, 200);
	assert_int_equal(request.body, strlen(good_asset));
	assert_non_null(request.asset);
	assert_true(request.answered >= request.arrived);
	value = service_request_header(&request, "authorization");
	assert_non_null(value);
	assert_false(service_request_at(service, ENDPOINT_CREATE, 1, &request));

	service_each_secret(service, note, &secrets);
	token = value + STRLEN("Bearer ");
	assert_non_null(strstr(secrets, token));
	assert_non_null(strstr(secrets, SERVICE_CLIENT_SECRET));
	assert_non_null(strstr(secrets,
			       strstr(url, "Signature=") + STRLEN("Signature=")));
}

static void counts_only_keeps_counts(void **state)
{
	_cleanup_service_ struct service *service = start((struct service_options){
		.counts_only = true, .discard = true });
	_cleanup_free_ char *url = grant(service);
	_cleanup_reply_ struct reply reply = ask_upload(url, KIND_PLAIN, WRONG_NOT);
	struct service_request request;

	(void)state;
	assert_int_equal(reply.status, 200);
	assert_int_equal(service_count(service, ENDPOINT_ANY), 3);
	assert_int_equal(service_peak(service, ENDPOINT_ANY), 1);
	assert_int_equal(service_received(service), 1);
	assert_false(service_request_at(service, ENDPOINT_ANY, 0, &request));
}

static void a_port_can_be_asked_for(void **state)
{
	_cleanup_service_ struct service *first = start((struct service_options){ 0 });
	struct service_options options = { .port = service_port(first) };
	struct service *second = NULL;

	(void)state;
	assert_int_equal(service_start(&options, &second), -EADDRINUSE);
	assert_null(second);
	service_stop(take_ptr(first));
	second = start(options);
	assert_int_equal(service_port(second), options.port);
	service_stop(second);
}

/* ---- programs that know better ---- */

/* The path of an executable file with this text; the caller frees it. */
static char *write_program(const char *text)
{
	char *path = strdup("/tmp/asset-aide.XXXXXX");
	_cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, 0700), 0);
	return path;
}

static void a_signer_makes_the_urls(void **state)
{
	_cleanup_free_ char *signer = write_program(
		"#!/bin/sh\n"
		"echo \"https://store.example/$2?id=$1&type=$3&size=$4&life=$5\"\n");
	struct service_options options = { .signer = signer,
					   .url_lifetime = 90 * USEC_PER_SEC };
	_cleanup_service_ struct service *service = start(options);
	_cleanup_free_ char *url = grant(service), *expected = NULL;
	struct service_asset asset;

	(void)state;
	(void)unlink(signer);
	assert_true(service_asset_by_name(service, "bird.jpg", &asset));
	assert_true(asprintf(&expected,
			     "https://store.example/bird.jpg?id=%s&type=image/jpeg"
			     "&size=5&life=90",
			     asset.id) > 0);
	assert_string_equal(url, expected);
	assert_null(service_violations(service));
}

static void a_signer_that_fails_grants_nothing(void **state)
{
	static const char *const programs[] = {
		"#!/bin/sh\necho https://store.example/; exit 1\n",
		"#!/bin/sh\nkill -9 $$\n",
		"#!/bin/sh\n",
		"#!/bin/sh\nhead -c 70000 /dev/zero\n",
		"#!/nowhere/at/all\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		_cleanup_free_ char *signer = write_program(programs[i]);
		_cleanup_service_ struct service *service = start(
			(struct service_options){ .signer = signer });
		_cleanup_free_ char *authorization = bearer(service), *violations = NULL;
		_cleanup_reply_ struct reply reply = ask_create(service, authorization,
								good_asset);

		(void)unlink(signer);
		assert_int_equal(reply.status, 500);
		assert_int_equal(service_asset_count(service), 0);
		violations = service_violations(service);
		assert_non_null(violations);
	}
}

static void a_judge_knows_the_tokens(void **state)
{
	_cleanup_free_ char *judge = write_program(
		"#!/bin/sh\n[ \"$1\" = from-elsewhere ] && echo good\n");
	_cleanup_service_ struct service *service = start((struct service_options){
		.judge = judge });
	_cleanup_reply_ struct reply good = ask_create(
		service, "Authorization: Bearer from-elsewhere\n", good_asset);
	_cleanup_reply_ struct reply bad = ask_create(
		service, "Authorization: Bearer unheard-of\n", good_asset);

	(void)state;
	(void)unlink(judge);
	assert_int_equal(good.status, 200);
	assert_int_equal(bad.status, 401);
	assert_null(service_violations(service));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_token_is_granted_to_whom_it_belongs),
		cmocka_unit_test(expires_in_may_be_absent),
		cmocka_unit_test(a_token_that_is_not_good_is_refused),
		cmocka_unit_test(create_takes_only_what_the_schema_allows),
		cmocka_unit_test(what_is_larger_than_allowed_is_refused_and_no_breach),
		cmocka_unit_test(errors_speak_to_users_when_asked),
		cmocka_unit_test(an_asset_can_be_asked_for),
		cmocka_unit_test(the_clock_can_be_wrong),
		cmocka_unit_test(each_kind_takes_and_refuses_uploads),
		cmocka_unit_test(contents_are_kept_byte_for_byte),
		cmocka_unit_test(mixed_takes_every_kind_in_turn),
		cmocka_unit_test(faults_look_as_they_should),
		cmocka_unit_test(a_scripted_answer_has_its_headers),
		cmocka_unit_test(an_endless_body_goes_on),
		cmocka_unit_test(rules_skip_and_end),
		cmocka_unit_test(a_stalled_client_times_out),
		cmocka_unit_test(a_stalled_request_goes_on_when_released),
		cmocka_unit_test(stopping_ends_what_is_held),
		cmocka_unit_test(a_lost_answer_leaves_the_content),
		cmocka_unit_test(a_reset_body_leaves_nothing),
		cmocka_unit_test(it_can_go_away_and_come_back),
		cmocka_unit_test(going_away_cuts_open_connections),
		cmocka_unit_test(requests_and_secrets_are_known),
		cmocka_unit_test(counts_only_keeps_counts),
		cmocka_unit_test(a_port_can_be_asked_for),
		cmocka_unit_test(a_signer_makes_the_urls),
		cmocka_unit_test(a_signer_that_fails_grants_nothing),
		cmocka_unit_test(a_judge_knows_the_tokens),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	(void)curl_global_init(CURL_GLOBAL_ALL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
