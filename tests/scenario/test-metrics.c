/* The metrics of a busy agent, and what is made of them: promtool and jq judge. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/stat.h>

#include "macro.h"
#include "world.h"

#define DASHBOARD "conf/grafana-dashboard.json"
#define RULES	  "conf/asset-agent.rules.yml"

static const struct world_options measured = {
	.report = "MetricsFile=@ROOT@/asset.prom\n",
	.retry = "InitialDelay=1h\nMaxDelay=1h\nMaxAttempts=5\n",
};

static void wait_metric(struct world *w, const char *line)
{
	_cleanup_free_ char *path = world_beside(w, "asset.prom");

	world_wait_text(w, path, line);
}

/* By a shell, with what it prints beside the results, which standard output is for. */
_printf_(1, 2) static void assert_runs(const char *format, ...)
{
	_cleanup_free_ char *command = NULL, *whole = NULL;
	va_list args;

	va_start(args, format);
	assert_true(vasprintf(&command, format, args) > 0);
	va_end(args);
	assert_true(asprintf(&whole, "{ %s; } >&2", command) > 0);
	if (system(whole) != 0) /* NOLINT(cert-env33-c): a shell is what is wanted */
		fail_msg("failed: %s", command);
}

static const char *promtool(void)
{
	const char *set = getenv("ASSET_PROMTOOL");
	const char *path = set ? set : "build/tools/promtool";

	if (access(path, X_OK) < 0)
		fail_msg("There is no %s: make deps-test fetches it.", path);
	return path;
}

/* One is given up, one waits for its retry, one is being sent, one is done. */
static void make_busy(struct world *w)
{
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 400 });
	world_drop(w, "refused.txt", "no");
	world_wait_error_sidecar(w, "refused.txt");
	world_upload(w, "one.txt");
	/* Not only once: libcurl tries anew by itself where a kept connection breaks. */
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .phase = FAULT_IN_BODY,
						   .bytes = 1000,
						   .action = FAULT_RESET });
	world_drop_random(w, "broken.bin", 1 << 20, 1);
	wait_metric(w,
		    "asset_agent_retries_total{stage=\"upload\",reason=\"reset\"} 1\n");
	service_clear_faults(w->service);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .phase = FAULT_IN_BODY,
						   .bytes = 1000,
						   .action = FAULT_STALL });
	world_drop_random(w, "large.bin", 1 << 20, 2);
	wait_metric(w, "asset_agent_uploading_files 1\n");
}

static void a_busy_agent_counts_all_and_promtool_likes_it(void **state)
{
	static const char *const lines[] = {
		"asset_agent_build_info{version=\"",
		"asset_agent_up 1\n",
		"asset_agent_uploads_total 1\n",
		"asset_agent_uploaded_bytes_total 7\n",
		"asset_agent_waiting_files 1\n",
		"asset_agent_failures_total{stage=\"create\",reason=\"http_4xx\"} 1\n",
		"asset_agent_failures_total{stage=\"upload\",reason=\"reset\"} 0\n",
		"asset_agent_request_errors_total{stage=\"upload\",reason=\"reset\"} 1\n",
		"asset_agent_request_duration_seconds_count{request=\"token\"} 1\n",
		"asset_agent_spool_uploads_total{spool=\"first\"} 1\n",
		"asset_agent_spool_failures_total{spool=\"first\"} 1\n",
		"asset_agent_spool_state{spool=\"first\",state=\"watching\"} 1\n",
		"asset_agent_service_up{service=\"api\",",
		"asset_agent_oldest_waiting_timestamp_seconds ",
		"asset_agent_last_upload_timestamp_seconds ",
	};
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;
	struct stat st;

	world_start(w, &measured);
	make_busy(w);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		wait_metric(w, lines[i]);
	path = world_beside(w, "asset.prom");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_runs("%s check metrics <%s", promtool(), path);
	service_clear_faults(w->service);
	service_release(w->service);
	world_wait_uploaded(w, "large.bin");
	world_stop(w);
}

static void a_service_that_is_away_is_down(void **state)
{
	struct world *w = *state;

	world_start(w, &measured);
	service_unlisten(w->service);
	world_drop(w, "one.txt", "waits");
	wait_metric(w, "asset_agent_service_up{service=\"auth\"");
	wait_metric(w, "/token\"} 0\n");
	wait_metric(w, "asset_agent_request_errors_total{stage=\"token\","
		       "reason=\"connect\"} ");
	service_listen(w->service);
	/* The next probe is an hour away. */
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	world_restart(w);
	world_wait_uploaded(w, "one.txt");
	wait_metric(w, "/token\"} 1\n");
	world_stop(w);
}

static void a_clean_stop_says_that_it_is_down(void **state)
{
	struct world *w = *state;

	world_start(w, &measured);
	world_upload(w, "one.txt");
	wait_metric(w, "asset_agent_up 1\n");
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	wait_metric(w, "asset_agent_up 0\n");
	wait_metric(w, "asset_agent_uploads_total 1\n");
	world_stop(w);
}

/* ---- what is shipped to read them ---- */

/* Each metric that @text names, an asset_agent_..., is one that @metrics has. */
static size_t assert_names_are_known(const char *text, const char *metrics)
{
	size_t names = 0;

	for (const char *p = text; (p = strstr(p, "asset_agent_")); names++) {
		size_t length = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
		_cleanup_free_ char *name = strndup(p, length), *line = NULL;
		const char *at;

		assert_true(asprintf(&line, "\n%s", name) > 0);
		at = strstr(metrics, line);
		/* Not the beginning of a longer one alone. */
		while (at && !strchr("{ ", at[strlen(line)]))
			at = strstr(at + 1, line);
		if (!at)
			fail_msg("no metric is called %s", name);
		p += length;
	}
	return names;
}

static void the_dashboard_and_the_rules_ask_for_what_there_is(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL, *metrics = NULL, *questions = NULL;
	_cleanup_free_ char *asked = NULL, *rules = NULL, *cwd = getcwd(NULL, 0);
	_cleanup_free_ char *rules_path = NULL;

	world_start(w, &measured);
	make_busy(w);
	path = world_beside(w, "asset.prom");
	questions = world_beside(w, "questions");
	metrics = world_read(w, path);
	assert_true(asprintf(&rules_path, "%s/" RULES, cwd) > 0);
	assert_runs("jq -r '.. | .expr? // empty' " DASHBOARD " >%s", questions);
	asked = world_read(w, questions);
	rules = world_read(w, rules_path);
	assert_true(assert_names_are_known(asked, metrics) > 20);
	assert_true(assert_names_are_known(rules, metrics) > 10);
	service_clear_faults(w->service);
	service_release(w->service);
	world_wait_uploaded(w, "large.bin");
	world_stop(w);
}

static void the_dashboard_is_whole(void **state)
{
	(void)state;
	assert_runs("[ \"$(jq -r -f tests/metrics/dashboard.jq " DASHBOARD
		    " | tee /dev/stderr)\" = whole ]");
	assert_runs("d=$(mktemp -d) && jq -f tests/metrics/rules.jq " DASHBOARD
		    " >$d/rules.json && %s check rules $d/rules.json; r=$?; rm -r $d; "
		    "(exit $r)",
		    promtool());
}

static void each_alert_fires_where_it_should_and_only_there(void **state)
{
	(void)state;
	assert_runs("%s check rules " RULES, promtool());
	assert_runs("%s test rules tests/metrics/rules-test.yml", promtool());
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(a_busy_agent_counts_all_and_promtool_likes_it),
		scenario(a_service_that_is_away_is_down),
		scenario(a_clean_stop_says_that_it_is_down),
		scenario(the_dashboard_and_the_rules_ask_for_what_there_is),
		cmocka_unit_test(the_dashboard_is_whole),
		cmocka_unit_test(each_alert_fires_where_it_should_and_only_there),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
