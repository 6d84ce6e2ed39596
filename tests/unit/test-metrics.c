#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "metrics.h"

static struct snapshot_service services[] = {
	{ .name = (char *)"api", .target = (char *)"https://api.example/v3" },
	{ .name = (char *)"storage",
	  .target = (char *)"store.example",
	  .health = SNAPSHOT_AWAY },
};

static struct snapshot_spool spools[] = {
	{ .name = (char *)"in\"box\\\n\xFF", .path = (char *)"/in", .uploaded = 7 },
	{ .name = (char *)"b",
	  .path = (char *)"/b",
	  .watch = SNAPSHOT_HELD,
	  .failed = 2 },
};

static const struct snapshot busy = {
	.version = (char *)"0.1.0",
	.started = 1795428900 * USEC_PER_SEC,
	.updated = 1795428904 * USEC_PER_SEC + 42,
	.uploading = 3,
	.waiting = 120,
	.more = true,
	.uploaded = 4501,
	.bytes = UINT64_MAX - 1,
	.failed = 2,
	.last_upload = 1795428903 * USEC_PER_SEC + 500000,
	.oldest_waiting = 1795428901 * USEC_PER_SEC,
	.services = services,
	.service_count = ARRAY_SIZE(services),
	.spools = spools,
	.spool_count = ARRAY_SIZE(spools),
};

static struct tally counted;

static const char *const lines[] = {
	"asset_agent_build_info{version=\"0.1.0\"} 1",
	"asset_agent_up 1",
	"asset_agent_start_time_seconds 1795428900.000000",
	"asset_agent_report_timestamp_seconds 1795428904.000042",
	"asset_agent_uploads_total 4501",
	"asset_agent_uploaded_bytes_total 18446744073709551614",
	"asset_agent_uploading_files 3",
	"asset_agent_waiting_files 120",
	"asset_agent_waiting_more 1",
	"asset_agent_oldest_waiting_timestamp_seconds 1795428901.000000",
	"asset_agent_last_upload_timestamp_seconds 1795428903.500000",
	"asset_agent_service_up{service=\"api\",target=\"https://api.example/v3\"} 1",
	"asset_agent_service_up{service=\"storage\",target=\"store.example\"} 0",
	"asset_agent_spool_state{spool=\"in\\\"box\\\\\\n\xEF\xBF\xBD\",state=\"watching\"} 1",
	"asset_agent_spool_state{spool=\"b\",state=\"watching\"} 0",
	"asset_agent_spool_state{spool=\"b\",state=\"held\"} 1",
	"asset_agent_spool_uploads_total{spool=\"in\\\"box\\\\\\n\xEF\xBF\xBD\"} 7",
	"asset_agent_spool_failures_total{spool=\"b\"} 2",
	"asset_agent_sent_bytes_total 77",
	"asset_agent_failures_total{stage=\"create\",reason=\"http_4xx\"} 2",
	"asset_agent_failures_total{stage=\"upload\",reason=\"stall\"} 0",
	"asset_agent_failures_total{stage=\"spool\",reason=\"source\"} 1",
	"asset_agent_retries_total{stage=\"upload\",reason=\"stall\"} 5",
	"asset_agent_request_errors_total{stage=\"token\",reason=\"connect\"} 1",
	"asset_agent_request_duration_seconds_bucket{request=\"token\",le=\"0.005\"} 0",
	"asset_agent_request_duration_seconds_bucket{request=\"token\",le=\"0.1\"} 1",
	"asset_agent_request_duration_seconds_bucket{request=\"token\",le=\"600\"} 2",
	"asset_agent_request_duration_seconds_bucket{request=\"token\",le=\"+Inf\"} 3",
	"asset_agent_request_duration_seconds_sum{request=\"token\"} 4000.100000",
	"asset_agent_request_duration_seconds_count{request=\"token\"} 3",
	"asset_agent_request_duration_seconds_count{request=\"upload\"} 0",
};

static int count_some(void **state)
{
	(void)state;
	counted.sent = 77;
	counted.given_up[STAGE_CREATE][TALLY_HTTP_4XX] = 2;
	counted.given_up[STAGE_SPOOL][TALLY_SOURCE] = 1;
	counted.retries[STAGE_UPLOAD][TALLY_STALL] = 5;
	tally_request(&counted, STAGE_TOKEN, TRANSPORT_ANSWERED, 200, 100000);
	tally_request(&counted, STAGE_TOKEN, TRANSPORT_ANSWERED, 200, 400 * USEC_PER_SEC);
	tally_request(&counted, STAGE_TOKEN, TRANSPORT_CONNECT, 0, 3600 * USEC_PER_SEC);
	return 0;
}

/* Whether @line is one of those of @text. */
static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	for (const char *p = text; (p = strstr(p, line)); p++)
		if ((p == text || p[-1] == '\n') && p[length] == '\n')
			return true;
	return false;
}

static void test_lines(void **state)
{
	_cleanup_free_ char *text = metrics_format(&busy, &counted, true);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!has_line(text, lines[i]))
			fail_msg("%s\n%s", lines[i], text);
}

/* What is not known has no line, and neither has what can't be. */
static void test_absent(void **state)
{
	static const struct snapshot idle = { .version = (char *)"0.1.0" };
	static const struct tally nothing;
	_cleanup_free_ char *text = metrics_format(&idle, &nothing, false);

	(void)state;
	assert_true(has_line(text, "asset_agent_up 0"));
	assert_true(has_line(text, "asset_agent_waiting_files 0"));
	assert_null(strstr(text, "oldest_waiting"));
	assert_null(strstr(text, "last_upload"));
	assert_null(strstr(text, "spool_"));
	assert_null(strstr(text, "stage=\"spool\",reason=\"http_5xx\""));
	assert_null(strstr(text, "failures_total{stage=\"token\",reason=\"source\""));
}

/* Each family once, its lines behind its head, all of one form. */
static void test_form(void **state)
{
	_cleanup_free_ char *text = metrics_format(&busy, &counted, true);
	char family[80] = "";
	char *rest = text;

	(void)state;
	assert_int_equal(text[strlen(text) - 1], '\n');
	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		char name[80];

		if (sscanf(line, "# HELP %79s", name) == 1) {
			_cleanup_free_ char *head = NULL;

			assert_true(asprintf(&head, "# HELP %s ", name) > 0);
			assert_null(rest ? strstr(rest, head) : NULL);
			snprintf(family, sizeof(family), "%s", name);
			continue;
		}
		if (sscanf(line, "# TYPE %79s", name) == 1) {
			assert_string_equal(name, family);
			continue;
		}
		assert_true(startswith(line, family));
		assert_true(strrchr(line, ' ')[1] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_form),
	};

	return cmocka_run_group_tests(tests, count_some, NULL);
}
