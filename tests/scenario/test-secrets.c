/*
 * Secrets of the configuration, and what servers repeat of them: none is written
 * anywhere, however the run goes. world_stop() and world_run() look for them.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

#define PASSWORD "pa55word-of-alice"
#define KEY	 "Zm9v-key-of-the-store-0123456789"

/* ---- a configuration that is refused ---- */

static void a_faulty_configuration_is_told_without_its_secrets(void **state)
{
	static const struct {
		const char *api, *auth, *upload;
	} table[] = {
		{ .api = "BaseURL=https://alice:" PASSWORD "@api.example/v3\n" },
		{ .api = "BaseURL=https://api.example/v3?key=" PASSWORD "\n" },
		{ .api = "BaseURL=ftp://alice:" PASSWORD "@api.example/v3\n" },
		{ .api = "Proxy=ftp://alice:" PASSWORD "@proxy.example\n" },
		{ .api = "Proxy=http://alice:" PASSWORD "@proxy.example:99999\n" },
		{ .auth = "TokenURL=https://alice:" PASSWORD "@login.example/token\n" },
		{ .auth = "TokenURL=mailto:alice:" PASSWORD "@login.example\n" },
		{ .auth = "ClientSecret=" PASSWORD "\n" },
		{ .upload = "Header=Authorization Bearer " PASSWORD "\n" },
		{ .upload = "Header=Authorization: Bearer " PASSWORD "\n" },
		{ .upload = "Header=X-Key: " PASSWORD "\x01\n" },
	};
	struct world *w = *state;
	struct world_options options = { .no_agent = true };
	_cleanup_free_ char *directory = NULL;

	world_start(w, &options);
	world_secret(w, PASSWORD);
	world_secret(w, "alice:" PASSWORD);
	directory = world_beside(w, "agent.conf.d");
	world_mkdir(w, directory);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *path = world_beside(w, "agent.conf.d/more.conf"),
				    *text = NULL;

		assert_true(asprintf(&text, "[API]\n%s[Auth]\n%s[Upload]\n%s",
				     table[i].api ? table[i].api : "",
				     table[i].auth ? table[i].auth : "",
				     table[i].upload ? table[i].upload : "") > 0);
		world_write(w, path, text);
		if (world_run(w, "run", NULL) != 78)
			fail_msg("taken: %s", text);
	}
	world_stop(w);
}

/* ---- proxies ---- */

static void run_with_proxy(struct world *w, const struct world_options *options)
{
	world_start(w, options);
	world_secret(w, PASSWORD);
	world_secret(w, "alice:" PASSWORD);
	world_launch(w);
	world_wait_ready(w);
	world_drop(w, "a.txt", "hello");
	world_wait_log(w, "Authorization fails");
	world_stop(w);
}

static void a_proxys_password_stays_a_secret(void **state)
{
	run_with_proxy(*state,
		       &(struct world_options){ .no_agent = true,
						.api = "Proxy=http://alice:" PASSWORD
						       "@127.0.0.1:1\n" });
}

static void so_does_one_of_a_proxy_that_has_no_address(void **state)
{
	run_with_proxy(*state,
		       &(struct world_options){ .no_agent = true,
						.api = "Proxy=http://alice:" PASSWORD
						       "@proxy.invalid\n" });
}

static void so_does_one_from_the_environment(void **state)
{
	static const char *const environment[] = { "http_proxy=http://alice:" PASSWORD
						   "@127.0.0.1:1",
						   "no_proxy=example", NULL };

	run_with_proxy(*state, &(struct world_options){ .no_agent = true,
							.environment = environment });
}

/* ---- headers ---- */

static void a_header_of_the_configuration_stays_a_secret(void **state)
{
	struct world *w = *state;
	const struct world_options options = { .upload = "Header=X-Store-Key: " KEY
							 "\n" };

	world_start(w, &options);
	world_secret(w, KEY);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 503 });
	world_upload(w, "a.txt");
	world_stop(w);
}

/* ---- what a token server repeats ---- */

static void a_client_secret_that_is_repeated_stays_a_secret(void **state)
{
	static const char *const bodies[] = {
		"{\"error\":\"invalid_client\",\"error_description\":"
		"\"no client with s3cr3t/of+the client&=%\"}",
		"{\"error\":\"invalid_client\",\"error_description\":"
		"\"client_secret s3cr3t/of+the client&=% is wrong\"}",
		"{\"error\":\"invalid_client\",\"error_description\":"
		"\"bad: client_secret=s3cr3t%2Fof%2Bthe+client%26%3D%25\"}",
		"{\"error\":\"s3cr3t/of+the client&=%\"}",
		"<html>Bad form: s3cr3t%2Fof%2Bthe+client%26%3D%25</html>",
		"<html>Bad form: s3cr3t%2fof%2bthe%20client%26%3d%25</html>",
		"<html>Bad form: s3cr3t/of+the client&amp;=%</html>",
		"s3cr3t/of+the client&=% is no secret of ours",
	};
	struct world *w = *state;

	world_start(w, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		char name[32];

		service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_TOKEN,
							   .times = 1,
							   .action = FAULT_ANSWER,
							   .status = 401,
							   .body = bodies[i] });
		service_revoke_tokens(w->service);
		(void)snprintf(name, sizeof(name), "f%zu.txt", i);
		world_upload(w, name);
		/* Each was told of. */
		assert_int_equal(world_count_log(w, "Authorization fails"), i + 1);
		assert_int_equal(world_count_log(w, "Authorization works again"), i + 1);
	}
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(a_faulty_configuration_is_told_without_its_secrets),
		scenario(a_proxys_password_stays_a_secret),
		scenario(so_does_one_of_a_proxy_that_has_no_address),
		scenario(so_does_one_from_the_environment),
		scenario(a_header_of_the_configuration_stays_a_secret),
		scenario(a_client_secret_that_is_repeated_stays_a_secret),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
