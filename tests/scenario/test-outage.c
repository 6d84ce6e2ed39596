/* The service, the storage or the token server is away, or answers strangely. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

enum { FILES = 50 };

/* Probes come quickly, so that an outage is short. */
static const struct world_options quick = {
	.retry = "InitialDelay=20ms\nMaxDelay=100ms\nMaxAttempts=3\n",
};

/* The outage costs no file an attempt, is told of once, and is probed by few requests. */
static void assert_rode_out(struct world *w, enum endpoint endpoint, int status,
			    const char *gone, const char *back)
{
	size_t before, failed;

	world_start(w, &quick);
	service_fault(w->service,
		      &(struct fault){ .endpoint = endpoint,
				       .action = status ? FAULT_ANSWER : FAULT_RESET,
				       .status = status });
	world_drop_many(w, FILES);
	/* More probes than a file has attempts. */
	assert_true(service_wait_answers(w->service, endpoint, status, 16 + 8,
					 world_patience()));
	failed = service_answers(w->service, endpoint, status);
	service_clear_faults(w->service);
	before = service_count(w->service, endpoint);
	world_assert_many_uploaded(w, FILES);
	assert_int_equal(world_count_log(w, gone), 1);
	assert_int_equal(world_count_log(w, back), 1);
	assert_int_equal(world_count_log(w, "Gave up"), 0);
	assert_true(failed < FILES + 16);
	assert_true(before >= failed);
	world_stop(w);
}

static void an_outage_of_the_api_is_ridden_out(void **state)
{
	assert_rode_out(*state, ENDPOINT_CREATE, 503, "The API is away",
			"The API is back");
}

static void a_reset_api_is_ridden_out(void **state)
{
	assert_rode_out(*state, ENDPOINT_CREATE, 0, "The API is away", "The API is back");
}

static void an_outage_of_the_storage_is_ridden_out(void **state)
{
	assert_rode_out(*state, ENDPOINT_UPLOAD, 503, "The storage is away",
			"The storage is back");
}

static void too_many_requests_are_ridden_out(void **state)
{
	assert_rode_out(*state, ENDPOINT_CREATE, 429, "The API is away",
			"The API is back");
}

static void an_outage_of_the_token_server_is_ridden_out(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_TOKEN,
						   .action = FAULT_ANSWER,
						   .status = 503 });
	world_drop_many(w, FILES);
	assert_true(service_wait_answers(w->service, ENDPOINT_TOKEN, 503, 5,
					 world_patience()));
	service_clear_faults(w->service);
	world_assert_many_uploaded(w, FILES);
	assert_int_equal(world_count_log(w, "Authorization fails"), 1);
	assert_int_equal(world_count_log(w, "Authorization works again"), 1);
	assert_int_equal(world_count_log(w, "Gave up"), 0);
	world_stop(w);
}

static void a_service_that_is_not_there_at_the_start_is_waited_for(void **state)
{
	static const struct world_options options = {
		.retry = "InitialDelay=20ms\nMaxDelay=100ms\n",
		.no_agent = true,
	};
	struct world *w = *state;

	world_start(w, &options);
	service_unlisten(w->service);
	world_drop(w, "patient.txt", "waits");
	world_launch(w);
	world_wait_ready(w); /* whatever the state of the service */
	world_wait_log(w, "Files waiting: 1, none is lost");
	world_wait_status(w, "; auth failing since ");
	service_listen(w->service);
	world_wait_uploaded(w, "patient.txt");
	world_assert_uploaded(w, "patient.txt");
	world_stop(w);
}

static void the_status_text_tells_what_it_is_doing(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	world_wait_status(w, "Uploading 0, waiting 0, uploaded 0, failed 0");
	world_drop(w, "one.txt", "1");
	world_wait_uploaded(w, "one.txt");
	world_wait_status(w, "Uploading 0, waiting 0, uploaded 1, failed 0");
	world_stop(w);
}

static void a_refused_token_is_renewed_once_and_unseen(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	world_drop(w, "one.txt", "with the first token");
	world_wait_uploaded(w, "one.txt");
	service_revoke_tokens(w->service);
	world_drop(w, "two.txt", "with the second");
	world_wait_uploaded(w, "two.txt");
	assert_int_equal(service_count(w->service, ENDPOINT_TOKEN), 2);
	assert_int_equal(service_answers(w->service, ENDPOINT_CREATE, 401), 1);
	assert_int_equal(world_count_log(w, "Authorization"), 0);
	world_stop(w);
}

static void one_token_serves_however_many_wait_for_it(void **state)
{
	static const struct world_options options = { .no_agent = true };
	struct world *w = *state;

	world_start(w, &options);
	world_drop_many(w, FILES);
	world_launch(w);
	world_assert_many_uploaded(w, FILES);
	assert_int_equal(service_count(w->service, ENDPOINT_TOKEN), 1);
	world_stop(w);
}

/* onedrive#3355: token expiry in a long run. A fifth of its life is ahead: more than a
 * question takes from its asking to its answer, on a busy machine too. */
static void a_token_is_renewed_ahead_of_its_expiry(void **state)
{
	static const struct world_options options = { .service = { .expires_in = 5 } };
	struct world *w = *state;

	world_start(w, &options);
	for (int i = 0; i < 1000 && service_count(w->service, ENDPOINT_TOKEN) < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.txt", i);
		world_drop(w, name, name);
		world_wait_uploaded(w, name);
	}
	assert_true(service_count(w->service, ENDPOINT_TOKEN) >= 3);
	assert_int_equal(service_answers(w->service, ENDPOINT_CREATE, 401), 0);
	world_stop(w);
}

static void a_token_without_a_lifetime_serves_until_it_is_refused(void **state)
{
	static const struct world_options options = {
		.service = { .expires_in = EXPIRES_IN_ABSENT },
	};
	struct world *w = *state;

	world_start(w, &options);
	world_drop_many(w, FILES);
	world_assert_many_uploaded(w, FILES);
	assert_int_equal(service_count(w->service, ENDPOINT_TOKEN), 1);
	world_stop(w);
}

static void a_wrong_secret_is_told_and_a_right_one_is_taken_up(void **state)
{
	static const struct world_options options = {
		.retry = "InitialDelay=20ms\nMaxDelay=100ms\n",
		.no_agent = true,
	};
	struct world *w = *state;
	_cleanup_free_ char *path = NULL, *right = NULL;

	world_start(w, &options);
	assert_true(asprintf(&path, "%s/secret", w->root) > 0);
	right = world_read(w, path);
	world_write(w, path, "wrong");
	world_drop(w, "waits.txt", "for the right secret");
	world_launch(w);
	world_wait_log(w, "Authorization fails");
	assert_int_equal(world_count_log(w, "invalid_client"), 1);
	world_write(w, path, right);
	world_wait_uploaded(w, "waits.txt");
	world_stop(w);
}

/* A store's 403 means that the URL is no good: one new URL, not the old one again. */
static void a_url_that_is_refused_is_asked_for_anew(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	service_fault(w->service,
		      &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
				       .times = 1,
				       .action = FAULT_ANSWER,
				       .status = 403,
				       .body = "<Error><Code>AccessDenied</Code>"
					       "<Message>Request has expired"
					       "</Message></Error>" });
	world_drop(w, "expired.txt", "a second URL");
	world_wait_uploaded(w, "expired.txt");
	world_assert_uploaded(w, "expired.txt");
	assert_int_equal(service_assets_named(w->service, "expired.txt"), 2);
	world_stop(w);
}

/* dataverse-uploader#30, uppy#1724: expired URLs retried for ever. */
static void urls_that_are_always_refused_end_in_an_error_sidecar(void **state)
{
	struct world *w = *state;
	struct json_object *error;

	world_start(w, &quick);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .action = FAULT_ANSWER,
						   .status = 403 });
	world_drop(w, "never.txt", "never good");
	world_wait_error_sidecar(w, "never.txt");
	error = world_error_sidecar(w, "never.txt");
	assert_string_equal(world_text(error, "stage"), "upload");
	assert_int_equal(world_number(error, "attempts"), 3);
	assert_int_equal(world_number(error, "httpStatus"), 403);
	json_object_put(error);
	assert_int_equal(service_assets_named(w->service, "never.txt"), 6);
	world_stop(w);
}

/* aws-sdk-js#399: skewed clocks. */
static void a_clock_that_is_hours_off_does_no_harm(void **state)
{
	static const int64_t offsets[] = { -5 * 3600LL, 5 * 3600LL };
	struct world *w = *state;

	world_start(w, &quick);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		char name[32];

		service_set_clock_offset(w->service, offsets[i] * (int64_t)USEC_PER_SEC);
		snprintf(name, sizeof(name), "skewed%zu.txt", i);
		world_drop(w, name, name);
		world_wait_uploaded(w, name);
		assert_int_equal(service_assets_named(w->service, name), 1);
	}
	world_stop(w);
}

static void an_upload_that_stalls_is_cut_and_tried_again(void **state)
{
	static const struct world_options options = {
		.retry = "InitialDelay=20ms\n",
		.upload = "StallTimeout=300ms\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .phase = FAULT_IN_BODY,
						   .bytes = 100000,
						   .action = FAULT_STALL });
	world_drop_random(w, "stalled.bin", 32 << 20, 3);
	world_wait_log(w, "no byte moved for 300ms; try 2 of 10");
	world_wait_uploaded(w, "stalled.bin");
	world_assert_uploaded(w, "stalled.bin");
	service_release(w->service);
	world_stop(w);
}

static void a_body_that_is_reset_is_sent_again_whole(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .phase = FAULT_IN_BODY,
						   .bytes = 1000000,
						   .action = FAULT_RESET });
	world_drop_random(w, "reset.bin", 16 << 20, 4);
	world_wait_uploaded(w, "reset.bin");
	world_assert_uploaded(w, "reset.bin");
	world_stop(w);
}

static const struct {
	const char *what;
	struct fault fault;
} strange[] = {
	{ "no JSON", { .body = "<html>sign in to the network</html>" } },
	{ "junk behind JSON",
	  { .body = "{\"id\":\"a\",\"contentUrl\":\"http://127.0.0.1/\"} x" } },
	{ "no id", { .body = "{\"contentUrl\":\"http://127.0.0.1:1/x\"}" } },
	{ "no URL", { .body = "{\"id\":\"a\"}" } },
	{ "wrong types", { .body = "{\"id\":7,\"contentUrl\":[]}" } },
	{ "another scheme",
	  { .body = "{\"id\":\"a\",\"contentUrl\":\"file:///etc/passwd\"}" } },
	{ "a user in the URL",
	  { .body = "{\"id\":\"a\",\"contentUrl\":\"http://u:p@127.0.0.1:1/x\"}" } },
	{ "plain http to elsewhere",
	  { .body = "{\"id\":\"a\",\"contentUrl\":\"http://192.0.2.1/x\"}" } },
	{ "a redirect", { .status = 302, .headers = "Location: http://127.0.0.1:1/\n" } },
	{ "an endless answer", { .action = FAULT_ENDLESS } },
	{ "no HTTP", { .action = FAULT_GARBAGE } },
	{ "a truncated answer", { .action = FAULT_TRUNCATE, .body = "{\"id\":" } },
	{ "nothing", { .action = FAULT_CLOSE } },
};

/* Whatever it answers, nothing is lost, and a sane answer later is taken. */
static void strange_answers_cost_no_file(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++) {
		struct fault fault = strange[i].fault;
		char name[32];

		fault.endpoint = ENDPOINT_CREATE;
		fault.times = 4;
		if (fault.action == FAULT_CONTINUE)
			fault.action = FAULT_ANSWER;
		fault.status = fault.status ? fault.status : 200;
		service_fault(w->service, &fault);
		snprintf(name, sizeof(name), "strange%zu.txt", i);
		world_drop(w, name, strange[i].what);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
		service_clear_faults(w->service);
	}
	assert_int_equal(world_count_log(w, "Gave up"), 0);
	world_stop(w);
}

static void a_token_file_is_read_again_when_it_changes(void **state)
{
	static const struct world_options options = { .no_agent = true };
	struct world *w = *state;
	_cleanup_free_ char *path = NULL, *drop_in = NULL, *directory = NULL,
			    *text = NULL;

	world_start(w, &options);
	assert_true(asprintf(&path, "%s/token", w->root) > 0);
	world_secret_file(w, path);
	assert_true(asprintf(&directory, "%s.d", w->config) > 0);
	assert_true(asprintf(&drop_in, "%s/token.conf", directory) > 0);
	assert_true(asprintf(&text,
			     "[Auth]\nTokenURL=\nClientID=\nClientSecretFile=\nScope=\n"
			     "TokenFile=%s\n[Retry]\nInitialDelay=20ms\nMaxDelay=100ms\n",
			     path) > 0);
	world_mkdir(w, directory);
	world_write(w, drop_in, text);
	{
		_cleanup_free_ char *token = service_issue_token(w->service);

		world_write(w, path, token);
		service_revoke_tokens(w->service);
	}
	world_drop(w, "token.txt", "by a token from a file");
	world_launch(w);
	world_wait_log(w, "Authorization fails");
	{
		_cleanup_free_ char *token = service_issue_token(w->service);

		world_write(w, path, token);
	}
	world_wait_uploaded(w, "token.txt");
	world_assert_uploaded(w, "token.txt");
	world_stop(w);
}

/* One name that can't have its sidecar is not the disk's fault, and holds up nobody. */
static void a_directory_in_the_place_of_a_sidecar_holds_up_no_other_file(void **state)
{
	struct world *w = *state;

	world_start(w, &quick);
	world_mkdir(w, "odd.txt.asset.json");
	world_drop(w, "odd.txt", "has no place for its receipt");
	world_wait_log(w, "odd.txt: it is a file whose sidecar has no place");
	world_drop(w, "next.txt", "goes on");
	world_wait_uploaded(w, "next.txt");
	assert_int_equal(world_count_log(w, "The disk of "), 0);
	{
		_cleanup_free_ char *path = world_path(w, "odd.txt.asset.json");

		assert_int_equal(rmdir(path), 0);
	}
	world_wait_uploaded(w, "odd.txt");
	world_assert_uploaded(w, "odd.txt");
	assert_int_equal(service_assets_named(w->service, "odd.txt"), 1);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(an_outage_of_the_api_is_ridden_out),
		scenario(a_reset_api_is_ridden_out),
		scenario(an_outage_of_the_storage_is_ridden_out),
		scenario(too_many_requests_are_ridden_out),
		scenario(an_outage_of_the_token_server_is_ridden_out),
		scenario(a_service_that_is_not_there_at_the_start_is_waited_for),
		scenario(the_status_text_tells_what_it_is_doing),
		scenario(a_refused_token_is_renewed_once_and_unseen),
		scenario(one_token_serves_however_many_wait_for_it),
		scenario(a_token_is_renewed_ahead_of_its_expiry),
		scenario(a_token_without_a_lifetime_serves_until_it_is_refused),
		scenario(a_wrong_secret_is_told_and_a_right_one_is_taken_up),
		scenario(a_url_that_is_refused_is_asked_for_anew),
		scenario(urls_that_are_always_refused_end_in_an_error_sidecar),
		scenario(a_clock_that_is_hours_off_does_no_harm),
		scenario(an_upload_that_stalls_is_cut_and_tried_again),
		scenario(a_body_that_is_reset_is_sent_again_whole),
		scenario(strange_answers_cost_no_file),
		scenario(a_token_file_is_read_again_when_it_changes),
		scenario(a_directory_in_the_place_of_a_sidecar_holds_up_no_other_file),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
