/*
 * What has hurt the users of similar programs, each as a scenario: services that fail,
 * forget, lie or are slow. What disks did to them is in test-known-faults.c, and some of
 * it stands beside its like in the other programs, under the report's name.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "macro.h"
#include "world-slow.h"
#include "world.h"

/* Probes come quickly, so that an outage is short. */
#define QUICK_RETRY "InitialDelay=10ms\nMaxDelay=100ms\n"

static const struct world_options quick = { .retry = QUICK_RETRY };

static void answer_with(struct world *w, enum endpoint endpoint, int status,
			unsigned times)
{
	service_fault(w->service, &(struct fault){ .endpoint = endpoint,
						   .times = times,
						   .action = FAULT_ANSWER,
						   .status = status });
}

/* No file was told to have failed, nor has it cost one an attempt. */
static void assert_no_file_suffered(struct world *w)
{
	assert_int_equal(world_count_log(w, "Gave up"), 0);
	assert_int_equal(world_count_log(w, "; try "), 0);
}

/* ---- content URLs ---- */

/* Each URL that was refused was not tried again. */
static void assert_refused_urls_are_left(struct world *w)
{
	struct service_request refused, later;

	for (size_t i = 0; service_request_at(w->service, ENDPOINT_UPLOAD, i, &refused);
	     i++) {
		if (refused.status != 403)
			continue;
		for (size_t j = i + 1;
		     service_request_at(w->service, ENDPOINT_UPLOAD, j, &later); j++)
			assert_string_not_equal(refused.url, later.url);
	}
}

/* uppy#1724: the network was away for longer than the URLs lived, and then every retry
 * with the old ones failed. */
static void urls_that_expire_in_an_outage_are_replaced(void **state)
{
	enum { FILES = 40, AT_ONCE = 16 };
	struct world *w = *state;

	world_start(w, &quick);
	answer_with(w, ENDPOINT_UPLOAD, 503, 0);
	world_drop_many(w, FILES);
	assert_true(service_wait_answers(w->service, ENDPOINT_UPLOAD, 503, AT_ONCE + 3,
					 world_patience()));
	service_expire_urls(w->service);
	service_clear_faults(w->service);
	world_assert_many_uploaded(w, FILES);
	/* Those that had a URL when the storage was found to be away get a second one,
	 * and the few that went to see whether the API grants another host by now. */
	assert_in_range(service_asset_count(w->service), FILES + 1, FILES + 2 * AT_ONCE);
	assert_refused_urls_are_left(w);
	assert_no_file_suffered(w);
	world_stop(w);
}

/* dataverse-uploader#30: a file that took longer than its URL lived was sent to the same
 * URL for ever. */
static void a_url_that_expires_under_way_is_not_tried_again(void **state)
{
	enum { REFUSALS = 7 };
	static const struct world_options options = { .service.kind = KIND_S3,
						      .retry = QUICK_RETRY };
	struct world *w = *state;

	world_start(w, &options);
	answer_with(w, ENDPOINT_UPLOAD, 403, REFUSALS);
	world_drop_random(w, "large.bin", 1 << 20, 1);
	world_wait_uploaded(w, "large.bin");
	world_assert_uploaded(w, "large.bin");
	assert_int_equal(service_assets_named(w->service, "large.bin"), REFUSALS + 1);
	assert_refused_urls_are_left(w);
	world_stop(w);
}

/* flyte-sdk#1363: all URLs were signed at the start, and ran out before their turn. */
static void no_url_is_asked_for_before_there_is_a_slot(void **state)
{
	enum { FILES = 40, AT_ONCE = 3, ROUNDS = 5 };
	static const struct world_options options = { .upload = "MaxConcurrent=3\n" };
	static const struct fault slow = { .endpoint = ENDPOINT_UPLOAD,
					   .phase = FAULT_AT_HEAD,
					   .action = FAULT_STALL };
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &slow);
	world_drop_many(w, FILES);
	for (size_t round = 1; round <= ROUNDS; round++) {
		assert_true(service_wait_count(w->service, ENDPOINT_UPLOAD,
					       round * AT_ONCE, world_patience()));
		assert_true(service_wait_held(w->service, AT_ONCE, world_patience()));
		assert_false(service_wait_count(w->service, ENDPOINT_CREATE,
						round * AT_ONCE + 1, 50 * USEC_PER_MSEC));
		service_release(w->service);
	}
	service_clear_faults(w->service);
	service_release(w->service);
	world_assert_many_uploaded(w, FILES);
	assert_int_equal(service_asset_count(w->service), FILES);
	world_stop(w);
}

/* flyte-sdk#1363, where a URL lives for less than all of them take. Long enough for one,
 * on a busy machine too. */
static void a_backlog_goes_through_by_urls_that_do_not_outlive_it(void **state)
{
	enum { FILES = 100 };
	static const struct world_options options = {
		.service = { .url_lifetime = 4 * USEC_PER_SEC, .kind = KIND_S3 },
		.upload = "MaxConcurrent=4\n",
		.no_agent = true,
	};
	static const struct fault slow = { .endpoint = ENDPOINT_UPLOAD,
					   .delay = 200 * USEC_PER_MSEC };
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &slow);
	world_drop_many(w, FILES);
	world_launch(w);
	world_assert_many_uploaded(w, FILES);
	assert_int_equal(service_asset_count(w->service), FILES);
	assert_no_file_suffered(w);
	world_stop(w);
}

/* ---- trickles ---- */

/* The first try is cut and told of, the second goes through. */
static void assert_trickle_is_cut(struct world *w, const struct slow_speed *speed)
{
	struct slow_store *slow = slow_store_open(speed);
	const struct world_options options = {
		.service.content_base = slow_store_base(slow),
		.upload = "StallTimeout=2s\n",
		.retry = QUICK_RETRY,
	};

	world_start(w, &options);
	slow_store_serve(slow, service_port(w->service));
	world_drop_random(w, "held.bin", 1 << 20, 1);
	world_wait_log(w, "; try 2 of 10");
	world_wait_uploaded(w, "held.bin");
	world_assert_uploaded(w, "held.bin");
	assert_int_equal(world_count_log(w, "; try "), 1);
	assert_int_equal(service_assets_named(w->service, "held.bin"), 1);
	world_stop(w);
	slow_store_close(slow);
}

/* rclone#9841: some bytes now and then held an upload for sixteen hours, since none of
 * the pauses was as long as the timeout. */
static void a_store_that_takes_a_few_bytes_at_a_time_is_left(void **state)
{
	static const struct slow_speed speed = { .pause = 100 * USEC_PER_MSEC,
						 .takes = 16 };

	assert_trickle_is_cut(*state, &speed);
}

static void a_store_that_answers_a_byte_at_a_time_is_left(void **state)
{
	static const struct slow_speed speed = { .pause = 100 * USEC_PER_MSEC,
						 .takes = SIZE_MAX,
						 .gives = 1 };

	assert_trickle_is_cut(*state, &speed);
}

/* ---- tokens ---- */

static size_t count_authorized(struct world *w, enum endpoint endpoint)
{
	struct service_request request;
	size_t n = 0;

	for (size_t i = 0; service_request_at(w->service, endpoint, i, &request); i++) {
		_cleanup_free_ char *value = service_request_header(&request,
								    "Authorization");

		n += value != NULL;
	}
	return n;
}

/* request#860: the API's token went on to the store, which refused the request for it. */
static void the_token_goes_to_nobody_but_the_api(void **state)
{
	/* One connection serves the API and the store: they have one address here. */
	static const struct world_options options = { .service.kind = KIND_MIXED,
						      .upload = "MaxConcurrent=1\n",
						      .retry = QUICK_RETRY };
	static const struct {
		enum endpoint endpoint;
		int status;
		const char *headers;
	} lures[] = {
		{ ENDPOINT_UPLOAD, 200, NULL }, /* none */
		{ ENDPOINT_UPLOAD, 302, "Location: /elsewhere\n" },
		{ ENDPOINT_UPLOAD, 307, "Location: /elsewhere\n" },
		{ ENDPOINT_CREATE, 307, "Location: /elsewhere\n" },
		{ ENDPOINT_TOKEN, 307, "Location: /elsewhere\n" },
		{ ENDPOINT_UPLOAD, 401, "WWW-Authenticate: Bearer realm=\"store\"\n" },
		{ ENDPOINT_UPLOAD, 401, "WWW-Authenticate: Basic realm=\"store\"\n" },
		{ ENDPOINT_CREATE, 401, "WWW-Authenticate: Bearer realm=\"api\"\n" },
		{ ENDPOINT_UPLOAD, 503, "Retry-After: 0\n" },
		{ ENDPOINT_UPLOAD, 407, "Proxy-Authenticate: Basic realm=\"way\"\n" },
	};
	struct world *w = *state;
	char name[32];

	world_start(w, &options);
	for (size_t i = 0; i < ARRAY_SIZE(lures); i++) {
		if (lures[i].status != 200)
			service_fault(w->service,
				      &(struct fault){ .endpoint = lures[i].endpoint,
						       .times = 2,
						       .action = FAULT_ANSWER,
						       .status = lures[i].status,
						       .headers = lures[i].headers });
		if (lures[i].endpoint == ENDPOINT_TOKEN)
			service_revoke_tokens(w->service);
		snprintf(name, sizeof(name), "lure%zu.txt", i);
		world_drop(w, name, name);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
	assert_int_equal(count_authorized(w, ENDPOINT_UPLOAD), 0);
	assert_int_equal(count_authorized(w, ENDPOINT_TOKEN), 0);
	assert_int_equal(count_authorized(w, ENDPOINT_CREATE),
			 service_count(w->service, ENDPOINT_CREATE));
	assert_int_equal(service_count(w->service, ENDPOINT_OTHER), 0);
	world_stop(w);
}

/* onedrive#3355: the token ran out in the middle of a long run, which failed then. */
static void tokens_that_run_out_in_a_long_run_cost_no_file_anything(void **state)
{
	enum { FILES = 240, REVOCATIONS = 5, AT_ONCE = 4 };
	static const struct world_options options = {
		.service.expires_in = 2,
		.upload = "MaxConcurrent=4\n",
		.no_agent = true,
	};
	/* A token may run out while it is looked at. */
	static const struct fault slow = { .endpoint = ENDPOINT_CREATE,
					   .delay = 40 * USEC_PER_MSEC };
	struct world *w = *state;
	usec_t begun = clock_monotonic();
	size_t tokens;

	world_start(w, &options);
	service_fault(w->service, &slow);
	world_drop_many(w, FILES);
	world_launch(w);
	for (size_t i = 1; i <= REVOCATIONS; i++) {
		assert_true(service_wait_count(w->service, ENDPOINT_CREATE, i * 30,
					       world_patience()));
		service_revoke_tokens(w->service);
	}
	world_assert_many_uploaded(w, FILES);
	assert_int_equal(service_asset_count(w->service), FILES);
	/* One for each revocation, and one a second, however long it took. */
	tokens = service_count(w->service, ENDPOINT_TOKEN);
	assert_in_range(tokens, REVOCATIONS + 1,
			2 * REVOCATIONS + 2 + (clock_monotonic() - begun) / USEC_PER_SEC);
	assert_in_range(service_answers(w->service, ENDPOINT_CREATE, 401), 1,
			tokens * AT_ONCE);
	assert_int_equal(world_count_log(w, "Authorization fails"), 0);
	assert_no_file_suffered(w);
	world_stop(w);
}

/* The same, for a file that has waited through an outage with a renewed token. */
static void a_token_revoked_during_an_outage_is_no_alarm(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	world_drop(w, "before.txt", "with the first token");
	world_wait_uploaded(w, "before.txt");
	service_revoke_tokens(w->service);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .skip = 1,
						   .times = 1,
						   .delay = USEC_PER_HOUR,
						   .action = FAULT_ANSWER,
						   .status = 503 });
	world_drop(w, "renewed.txt", "with the second and third");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	service_revoke_tokens(w->service);
	service_release(w->service);
	world_wait_uploaded(w, "renewed.txt");
	assert_int_equal(service_answers(w->service, ENDPOINT_CREATE, 401), 2);
	assert_int_equal(world_count_log(w, "Authorization fails"), 0);
	assert_no_file_suffered(w);
	world_stop(w);
}

/* The same, by a token server that calls its tokens dead at birth: no endless asking. */
static void a_token_that_is_said_to_live_for_no_time_is_used(void **state)
{
	enum { FILES = 50 };
	static const struct world_options options = { .no_agent = true };
	struct world *w = *state;
	_cleanup_free_ char *token = NULL, *body = NULL;

	world_start(w, &options);
	token = service_issue_token(w->service);
	assert_true(asprintf(&body,
			     "{\"access_token\":\"%s\",\"token_type\":\"Bearer\","
			     "\"expires_in\":0}",
			     token) > 0);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_TOKEN,
						   .action = FAULT_ANSWER,
						   .status = 200,
						   .body = body });
	world_drop_many(w, FILES);
	world_launch(w);
	world_assert_many_uploaded(w, FILES);
	/* One a second. */
	assert_in_range(service_count(w->service, ENDPOINT_TOKEN), 1,
			world_patience() / USEC_PER_SEC);
	assert_no_file_suffered(w);
	world_stop(w);
}

/* ---- clocks ---- */

static const int64_t offsets[] = { -30 * 24 * 3600LL, -3600, 3600, 30 * 24 * 3600LL };

/* Until a second from now by the service's clock, as an HTTP date or by RFC 3339. */
static void ask_to_wait(struct world *w, int64_t offset, bool as_date)
{
	time_t then = time(NULL) + (time_t)offset + 1;
	char header[64];
	struct tm tm;

	assert_non_null(gmtime_r(&then, &tm));
	if (as_date)
		(void)strftime(header, sizeof(header),
			       "Retry-After: %a, %d %b %Y %H:%M:%S GMT\n", &tm);
	else
		(void)strftime(header, sizeof(header), "X-RateLimit-Reset: %FT%TZ\n",
			       &tm);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 429,
						   .headers = header });
}

/* aws-sdk-js#399: where the clock was an hour off, every upload was refused. Here with
 * URLs that live for a minute, a crash in between, and waits until an instant. */
static void clocks_far_apart_do_no_harm(void **state)
{
	static const struct world_options options = {
		.service.url_lifetime = USEC_PER_MINUTE,
		.retry = QUICK_RETRY,
	};
	static const struct fault hold = { .endpoint = ENDPOINT_UPLOAD,
					   .times = 1,
					   .phase = FAULT_AT_HEAD,
					   .action = FAULT_STALL };
	struct world *w = *state;

	world_start(w, &options);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		char name[32];

		service_set_clock_offset(w->service, offsets[i] * (int64_t)USEC_PER_SEC);
		ask_to_wait(w, offsets[i], i % 2);
		service_fault(w->service, &hold);
		snprintf(name, sizeof(name), "skewed%zu.txt", i);
		world_drop(w, name, name);
		assert_true(service_wait_held(w->service, 1, world_patience()));
		world_kill9(w);
		service_release(w->service);
		world_launch(w);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
		assert_int_equal(service_assets_named(w->service, name), 1);
	}
	assert_no_file_suffered(w);
	world_stop(w);
}

/* The same, where nothing tells what the service's clock says. */
static void a_url_that_seems_to_be_expired_at_birth_is_tried(void **state)
{
	static const struct world_options options = { .service.no_date = true };
	struct world *w = *state;

	world_start(w, &options);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		char name[32];

		service_set_clock_offset(w->service, offsets[i] * (int64_t)USEC_PER_SEC);
		snprintf(name, sizeof(name), "undated%zu.txt", i);
		world_drop(w, name, name);
		world_wait_uploaded(w, name);
		assert_int_equal(service_assets_named(w->service, name), 1);
	}
	assert_no_file_suffered(w);
	world_stop(w);
}

/* ---- refusals ---- */

enum fate { FATE_REFUSED, FATE_RETRIED, FATE_WAITS };

static bool is_among(int status, const int *statuses)
{
	while (*statuses && *statuses != status)
		statuses++;
	return *statuses != 0;
}

static enum fate fate_of(enum endpoint endpoint, int status)
{
	static const int create_refused[] = { 400, 413, 422, 0 };
	static const int upload_refused[] = { 400, 411, 413, 415, 0 };
	static const int upload_retried[] = { 401, 403, 404, 409, 410, 412, 422, 0 };

	if (endpoint == ENDPOINT_CREATE && is_among(status, create_refused))
		return FATE_REFUSED;
	if (endpoint == ENDPOINT_UPLOAD && is_among(status, upload_refused))
		return FATE_REFUSED;
	if (endpoint == ENDPOINT_UPLOAD && is_among(status, upload_retried))
		return FATE_RETRIED;
	return FATE_WAITS;
}

static void assert_not_silent(struct world *w, enum endpoint endpoint, int status)
{
	struct json_object *error;
	char name[32];

	snprintf(name, sizeof(name), "file%d-%d.txt", endpoint, status);
	world_mark_log(w);
	if (endpoint == ENDPOINT_TOKEN)
		service_revoke_tokens(w->service);
	answer_with(w, endpoint, status, 0);
	world_drop(w, name, name);
	switch (fate_of(endpoint, status)) {
	case FATE_REFUSED:
		world_wait_error_sidecar(w, name);
		error = world_error_sidecar(w, name);
		assert_int_equal(world_number(error, "httpStatus"), status);
		json_object_put(error);
		service_clear_faults(w->service);
		return;
	case FATE_RETRIED: world_wait_log(w, "; try 2 of 1000 in"); break;
	case FATE_WAITS: world_wait_log(w, "Files waiting: 1, none is lost"); break;
	}
	service_clear_faults(w->service);
	world_wait_uploaded(w, name);
	world_assert_uploaded(w, name);
}

/* vector#10870: a 403 or 404 of a minute, from something on the way, was loss for good.
 */
static void no_refusal_makes_a_file_silently_gone(void **state)
{
	static const enum endpoint endpoints[] = { ENDPOINT_TOKEN, ENDPOINT_CREATE,
						   ENDPOINT_UPLOAD };
	static const struct world_options options = {
		.retry = "InitialDelay=5ms\nMaxDelay=20ms\nMaxAttempts=1000\n",
		.spool = "Settle=1ms\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++) {
		for (int status = 400; status <= 431; status++)
			assert_not_silent(w, endpoints[i], status);
		assert_not_silent(w, endpoints[i], 451);
		assert_not_silent(w, endpoints[i], 499);
	}
	world_stop(w);
}

/* ---- storms ---- */

enum { STORM_FILES = 1000, STORM_AT_ONCE = 8, STORM_AFTER = 200 };

/* From the @first on, each request came after the one before had its answer. */
static void assert_one_at_a_time(struct world *w, enum endpoint endpoint, size_t first)
{
	struct service_request before, after;

	for (size_t i = first;
	     service_request_at(w->service, endpoint, i, &after) && after.status == 503;
	     i++) {
		assert_true(service_request_at(w->service, endpoint, i - 1, &before));
		assert_true(before.answered > 0 && before.answered <= after.arrived);
	}
}

static void assert_no_storm(struct world *w, enum endpoint endpoint, const char *gone)
{
	static const struct world_options options = {
		.upload = "MaxConcurrent=8\n",
		.retry = "InitialDelay=20ms\nMaxDelay=100ms\n",
		.no_agent = true,
	};
	/* Those that ask before they know, and one probe each 50 ms or so. */
	static const size_t few = STORM_AT_ONCE + 50;
	size_t failed;

	world_start(w, &options);
	world_drop_many(w, STORM_FILES);
	answer_with(w, endpoint, 503, 0);
	world_launch(w);
	assert_true(service_wait_answers(w->service, endpoint, 503, 1, world_patience()));
	assert_false(service_wait_count(w->service, endpoint, few, USEC_PER_SEC));
	failed = service_answers(w->service, endpoint, 503);
	assert_true(failed <= few);
	assert_true(service_wait_answers(w->service, endpoint, 503, 3, world_patience()));
	service_clear_faults(w->service);
	assert_true(service_wait_received(w->service, STORM_AFTER, world_patience()));
	assert_one_at_a_time(w, endpoint, STORM_AT_ONCE);
	assert_true(service_peak(w->service, ENDPOINT_CREATE) <= STORM_AT_ONCE);
	assert_true(service_peak(w->service, ENDPOINT_UPLOAD) <= STORM_AT_ONCE);
	assert_int_equal(service_peak(w->service, ENDPOINT_TOKEN), 1);
	assert_true(service_asset_count(w->service) <=
		    service_received(w->service) + STORM_AT_ONCE);
	assert_int_equal(world_count_log(w, gone), 1);
	assert_no_file_suffered(w);
	print_message("# %zu requests in a second's outage with %d files waiting\n",
		      failed, STORM_FILES);
	world_stop(w);
}

/* vector#22947: all that waited was retried at once, and again, against a service that
 * was down for it. */
static void an_api_that_is_down_is_not_stormed(void **state)
{
	assert_no_storm(*state, ENDPOINT_CREATE, "The API is away");
}

static void a_storage_that_is_down_is_not_stormed(void **state)
{
	assert_no_storm(*state, ENDPOINT_UPLOAD, "The storage is away");
}

static void a_token_server_that_is_down_is_not_stormed(void **state)
{
	assert_no_storm(*state, ENDPOINT_TOKEN, "Authorization fails");
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(urls_that_expire_in_an_outage_are_replaced),
		scenario(a_url_that_expires_under_way_is_not_tried_again),
		scenario(no_url_is_asked_for_before_there_is_a_slot),
		scenario(a_backlog_goes_through_by_urls_that_do_not_outlive_it),
		scenario(a_store_that_takes_a_few_bytes_at_a_time_is_left),
		scenario(a_store_that_answers_a_byte_at_a_time_is_left),
		scenario(the_token_goes_to_nobody_but_the_api),
		scenario(tokens_that_run_out_in_a_long_run_cost_no_file_anything),
		scenario(a_token_revoked_during_an_outage_is_no_alarm),
		scenario(a_token_that_is_said_to_live_for_no_time_is_used),
		scenario(clocks_far_apart_do_no_harm),
		scenario(a_url_that_seems_to_be_expired_at_birth_is_tried),
		scenario(no_refusal_makes_a_file_silently_gone),
		scenario(an_api_that_is_down_is_not_stormed),
		scenario(a_storage_that_is_down_is_not_stormed),
		scenario(a_token_server_that_is_down_is_not_stormed),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
