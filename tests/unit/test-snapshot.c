#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "snapshot.h"

/* The instant that the texts below write as "2026-11-23T10:15:0N.000Z". */
#define SECOND(n)  ((UINT64_C(1795428900) + (n)) * USEC_PER_SEC)
#define WRITTEN(n) "\"2026-11-23T10:15:0" #n ".000Z\""

static struct snapshot_service services[] = {
	{ .name = (char *)"api", .target = (char *)"https://api.example/v3" },
	{ .name = (char *)"auth" },
	{ .name = (char *)"storage",
	  .target = (char *)"store.example",
	  .health = SNAPSHOT_AWAY,
	  .since = SECOND(1),
	  .why = (char *)"Could not resolve host",
	  .next_try = SECOND(9),
	  .waiting = 12 },
};

static struct snapshot_spool spools[] = {
	{ .name = (char *)"inbox",
	  .path = (char *)"/srv/in",
	  .uploaded = 7,
	  .failed = 2 },
	{ .name = (char *)"far",
	  .path = (char *)"/srv/far",
	  .watch = SNAPSHOT_SPOOL_AWAY,
	  .why = (char *)"No such file or directory" },
};

static struct snapshot_transfer transfers[] = {
	{ .file = (char *)"/srv/in/a.jpg",
	  .spool = (char *)"inbox",
	  .step = SNAPSHOT_SEND,
	  .size = 1000,
	  .sent = 400,
	  .started = SECOND(2),
	  .attempt = 1 },
	{ .file = (char *)"/gone/b", .started = SECOND(3), .attempt = 2 },
};

static struct snapshot_retry retries[] = {
	{ .file = (char *)"/srv/in/c",
	  .spool = (char *)"inbox",
	  .attempts = 2,
	  .next_try = SECOND(8),
	  .stage = STAGE_UPLOAD,
	  .why = (char *)"the transfer \"stalled\"" },
};

static const struct snapshot busy = {
	.version = (char *)"0.1.0",
	.pid = 123,
	.process_start = 4567,
	.started = SECOND(0),
	.updated = SECOND(4),
	.state = SNAPSHOT_RUNNING,
	.uploading = 2,
	.waiting = 120,
	.more = true,
	.uploaded = 4501,
	.bytes = UINT64_MAX - 1,
	.failed = 2,
	.rate = 1048576,
	.last_upload = SECOND(3),
	.oldest_waiting = SECOND(1),
	.services = services,
	.service_count = ARRAY_SIZE(services),
	.spools = spools,
	.spool_count = ARRAY_SIZE(spools),
	.transfers = transfers,
	.transfer_count = ARRAY_SIZE(transfers),
	.retries = retries,
	.retry_count = ARRAY_SIZE(retries),
};

static const struct snapshot idle = {
	.version = (char *)"0.1.0",
	.pid = 1,
	.started = SECOND(0),
	.updated = SECOND(0),
};

#define HEAD \
	"\"version\":\"0.1.0\",\"pid\":1,\"started\":" WRITTEN( \
		0) ",\"updated\":" WRITTEN(0) ","
#define COUNTS \
	"\"uploading\":0,\"waiting\":0,\"more\":false,\"uploaded\":0,\"bytes\":0," \
	"\"failed\":0,\"rate\":0"
#define NO_LISTS "\"services\":[],\"spools\":[],\"transfers\":[],\"retries\":[]"
#define IDLE	 "{" HEAD "\"state\":\"starting\"," COUNTS "," NO_LISTS "}"

static const struct {
	const struct snapshot *snapshot;
	const char *expected;
} texts[] = {
	{ &idle, IDLE "\n" },
	{ &busy,
	  "{\"version\":\"0.1.0\",\"pid\":123,\"processStart\":4567,"
	  "\"started\":" WRITTEN(0) ",\"updated\":" WRITTEN(
		  4) ","
		     "\"state\":\"running\",\"uploading\":2,\"waiting\":120,\"more\":true,"
		     "\"uploaded\":4501,\"bytes\":18446744073709551614,\"failed\":2,"
		     "\"rate\":1048576,\"lastUpload\":" WRITTEN(
			     3) ","
				"\"oldestWaiting\":" WRITTEN(
					1) ",\"services\":["
					   "{\"name\":\"api\",\"target\":\"https://api.example/v3\",\"state\":\"ok\"},"
					   "{\"name\":\"auth\",\"state\":\"ok\"},"
					   "{\"name\":\"storage\",\"target\":\"store.example\",\"state\":\"away\","
					   "\"since\":" WRITTEN(
						   1) ",\"why\":\"Could not resolve host\","
						      "\"nextTry\":" WRITTEN(
							      9) ",\"waiting\":12}],\"spools\":["
								 "{\"name\":\"inbox\",\"path\":\"/srv/in\",\"state\":\"watching\","
								 "\"uploaded\":7,\"failed\":2},"
								 "{\"name\":\"far\",\"path\":\"/srv/far\",\"state\":\"away\","
								 "\"why\":\"No such file or directory\",\"uploaded\":0,\"failed\":0}],"
								 "\"transfers\":["
								 "{\"file\":\"/srv/in/a.jpg\",\"spool\":\"inbox\",\"step\":\"send\","
								 "\"size\":1000,\"sent\":400,\"started\":" WRITTEN(
									 2) ",\"attempt\":1},"
									    "{\"file\":\"/gone/b\",\"step\":\"take\",\"size\":0,\"sent\":0,"
									    "\"started\":" WRITTEN(
										    3) ",\"attempt\":2}],\"retries\":["
										       "{\"file\":\"/srv/in/c\",\"spool\":\"inbox\",\"attempts\":2,"
										       "\"nextTry\":" WRITTEN(
											       8) ",\"stage\":\"upload\","
												  "\"why\":\"the transfer \\\"stalled\\\"\"}]}\n" },
};

static void test_format(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *text = snapshot_format(texts[i].snapshot);

		assert_string_equal(text, texts[i].expected);
	}
}

/* What was read writes the same text again. */
static void assert_round_trip(const char *text)
{
	_cleanup_(snapshot_done) struct snapshot snapshot = {};
	_cleanup_free_ char *again = NULL;
	const char *member = NULL;

	if (snapshot_parse(text, strlen(text), &snapshot, &member) != 0)
		fail_msg("%s: %s", member ? member : "no object", text);
	again = snapshot_format(&snapshot);
	assert_string_equal(again, text);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_round_trip(texts[i].expected);
}

static void test_parse(void **state)
{
	_cleanup_(snapshot_done) struct snapshot s = {};
	const char *text = texts[1].expected;

	(void)state;
	assert_int_equal(snapshot_parse(text, strlen(text), &s, NULL), 0);
	assert_string_equal(s.version, "0.1.0");
	assert_int_equal(s.pid, 123);
	assert_int_equal(s.state, SNAPSHOT_RUNNING);
	assert_true(s.more);
	assert_true(s.bytes == UINT64_MAX - 1);
	assert_true(s.oldest_waiting == SECOND(1));
	assert_int_equal(s.service_count, 3);
	assert_int_equal(s.services[2].health, SNAPSHOT_AWAY);
	assert_true(s.services[2].next_try == SECOND(9));
	assert_null(s.services[1].target);
	assert_int_equal(s.spool_count, 2);
	assert_int_equal(s.spools[1].watch, SNAPSHOT_SPOOL_AWAY);
	assert_int_equal(s.transfer_count, 2);
	assert_int_equal(s.transfers[0].step, SNAPSHOT_SEND);
	assert_int_equal(s.transfers[0].sent, 400);
	assert_null(s.transfers[1].spool);
	assert_int_equal(s.retry_count, 1);
	assert_int_equal(s.retries[0].stage, STAGE_UPLOAD);
	assert_string_equal(s.retries[0].why, "the transfer \"stalled\"");
}

/* Every name of every enum goes there and back. */
static void test_words(void **state)
{
	struct snapshot s = idle;
	struct snapshot_spool spool = { .name = (char *)"s", .path = (char *)"/" };
	struct snapshot_transfer transfer = { .file = (char *)"/f" };
	struct snapshot_retry retry = { .file = (char *)"/f" };

	(void)state;
	s.spools = &spool;
	s.transfers = &transfer;
	s.retries = &retry;
	s.spool_count = s.transfer_count = s.retry_count = 1;
	for (unsigned i = 0; i <= SNAPSHOT_GIVE_UP; i++) {
		_cleanup_free_ char *text = NULL;

		s.state = MIN(i, (unsigned)SNAPSHOT_DRAINING);
		spool.watch = MIN(i, (unsigned)SNAPSHOT_HELD);
		retry.stage = MIN(i, (unsigned)STAGE_UPLOAD);
		transfer.step = i;
		text = snapshot_format(&s);
		assert_non_null(strstr(text, snapshot_state_name(s.state)));
		assert_non_null(strstr(text, snapshot_watch_name(spool.watch)));
		assert_non_null(strstr(text, snapshot_step_name(transfer.step)));
		assert_non_null(strstr(text, stage_name(retry.stage)));
		assert_round_trip(text);
	}
}

/* Names are bytes: what is not UTF-8 becomes U+FFFD, the rest comes back as it was. */
static const struct {
	const char *name, *back;
} names[] = {
	{ "/a \"b\"\\\n\x01", "/a \"b\"\\\n\x01" },
	{ "/\xC3\xA4", "/\xC3\xA4" },
	{ "/\xFFx\xC3", "/\xEF\xBF\xBDx\xEF\xBF\xBD" },
	{ "", "" },
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(snapshot_done) struct snapshot back = {};
		struct snapshot_transfer transfer = { .file = (char *)names[i].name };
		struct snapshot s = idle;
		_cleanup_free_ char *text = NULL;

		s.transfers = &transfer;
		s.transfer_count = 1;
		text = snapshot_format(&s);
		assert_int_equal(snapshot_parse(text, strlen(text), &back, NULL), 0);
		assert_string_equal(back.transfers[0].file, names[i].back);
	}
}

/* Beyond each ceiling nothing is written, and what is written can be read. */
static void test_ceilings(void **state)
{
	static struct snapshot_retry many[SNAPSHOT_RETRIES_MAX + 5];
	_cleanup_(snapshot_done) struct snapshot back = {};
	_cleanup_free_ char *why = malloc(SNAPSHOT_TEXT_MAX + 100), *text = NULL;
	struct snapshot s = idle;

	(void)state;
	memset(why, '\xFF', SNAPSHOT_TEXT_MAX + 99);
	why[SNAPSHOT_TEXT_MAX + 99] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct snapshot_retry){ .file = (char *)"/f", .why = why };
	s.retries = many;
	s.retry_count = ARRAY_SIZE(many);
	text = snapshot_format(&s);
	assert_int_equal(snapshot_parse(text, strlen(text), &back, NULL), 0);
	assert_int_equal(back.retry_count, SNAPSHOT_RETRIES_MAX);
	assert_true(strlen(back.retries[0].why) <= SNAPSHOT_TEXT_MAX);
}

#define WITH_SPOOLS(items) \
	"{" HEAD "\"state\":\"running\"," COUNTS ",\"services\":[],\"spools\":[" items \
	"],\"transfers\":[],\"retries\":[]}"

static const struct {
	const char *text;
	const char *member; /* that is to blame */
} faults[] = {
	{ "", NULL },
	{ "[]", NULL },
	{ "null", NULL },
	{ IDLE "x", NULL },
	{ IDLE IDLE, NULL },
	{ "{}", "version" },
	{ "{\"version\":1}", "version" },
	{ "{\"version\":\"\\u0000\"}", "version" },
	{ "{\"version\":\"1\",\"pid\":-1}", "pid" },
	{ "{\"version\":\"1\",\"pid\":1.5}", "pid" },
	{ "{\"version\":\"1\",\"pid\":18446744073709551616}", "pid" },
	{ "{\"version\":\"1\",\"pid\":1,\"processStart\":\"x\"}", "processStart" },
	{ "{\"version\":\"1\",\"pid\":1,\"started\":\"now\"}", "started" },
	{ "{" HEAD "\"state\":\"flying\"}", "state" },
	{ "{" HEAD "\"state\":\"running\"," COUNTS "}", "services" },
	{ "{" HEAD "\"state\":\"running\"," COUNTS ",\"services\":{}}", "services" },
	{ "{" HEAD "\"state\":\"running\"," COUNTS ",\"services\":[1]}", "services" },
	{ "{" HEAD "\"state\":\"running\"," COUNTS ",\"services\":[null]}", "services" },
	{ "{" HEAD "\"state\":\"running\"," COUNTS ",\"services\":[{}]}", "name" },
	{ WITH_SPOOLS("{\"name\":\"a\"}"), "path" },
	{ WITH_SPOOLS("{\"name\":\"a\",\"path\":\"/\",\"state\":\"flat\"}"), "state" },
	{ WITH_SPOOLS("{\"name\":\"a\",\"path\":\"/\",\"state\":\"held\",\"why\":[]}"),
	  "why" },
};

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct snapshot untouched = { .pid = 77 };
		const char *member = "none";

		if (snapshot_parse(faults[i].text, strlen(faults[i].text), &untouched,
				   &member) != -EBADMSG ||
		    !streq(member, faults[i].member))
			fail_msg("row %zu: %s", i, member ? member : "no object");
		assert_int_equal(untouched.pid, 77);
	}
}

/* Torn anywhere, it is none. */
static void test_torn(void **state)
{
	const char *text = texts[1].expected;

	(void)state;
	for (size_t n = 0; n < strlen(text) - 1; n++) {
		struct snapshot untouched = { .pid = 77 };

		assert_int_equal(snapshot_parse(text, n, &untouched, NULL), -EBADMSG);
		assert_int_equal(untouched.pid, 77);
	}
}

static void test_unknown_members(void **state)
{
	static const char text[] = "{" HEAD
				   "\"later\":{\"a\":[1]},\"state\":\"running\"," COUNTS
				   "," NO_LISTS "}";
	_cleanup_(snapshot_done) struct snapshot s = {};

	(void)state;
	assert_int_equal(snapshot_parse(text, STRLEN(text), &s, NULL), 0);
	assert_int_equal(s.state, SNAPSHOT_RUNNING);
}

static void test_list_too_long(void **state)
{
	static const char item[] = "{\"name\":\"a\",\"path\":\"/\",\"state\":\"held\","
				   "\"uploaded\":0,\"failed\":0},";
	_cleanup_free_ char *text = NULL, *items = NULL;
	const char *member = NULL;
	struct snapshot s = {};

	(void)state;
	items = calloc(SNAPSHOT_SPOOLS_MAX + 1, STRLEN(item) + 1);
	for (size_t i = 0; i < SNAPSHOT_SPOOLS_MAX + 1; i++)
		memcpy(items + i * STRLEN(item), item, STRLEN(item));
	items[strlen(items) - 1] = '\0';
	assert_true(asprintf(&text, WITH_SPOOLS("%s"), items) > 0);
	assert_int_equal(snapshot_parse(text, strlen(text), &s, &member), -EBADMSG);
	assert_string_equal(member, "spools");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_unknown_members),
		cmocka_unit_test(test_list_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
