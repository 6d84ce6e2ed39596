#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "columns.h"
#include "macro.h"
#include "view.h"

#define NOW	     (UINT64_C(1795428900) * USEC_PER_SEC)
#define AGO(seconds) (NOW - (seconds)*USEC_PER_SEC)
#define IN(seconds)  (NOW + (seconds)*USEC_PER_SEC)

static struct snapshot_service services[] = {
	{ .name = (char *)"auth", .target = (char *)"https://login.example/token" },
	{ .name = (char *)"storage",
	  .target = (char *)"store.example",
	  .health = SNAPSHOT_AWAY,
	  .since = AGO(192),
	  .why = (char *)"Could not resolve host\x1B[2J",
	  .next_try = IN(4),
	  .waiting = 12 },
};

static struct snapshot_spool spools[] = {
	{ .name = (char *)"inbox", .path = (char *)"/srv/in", .uploaded = 4501 },
	{ .name = (char *)"far",
	  .path = (char *)"/srv/far",
	  .watch = SNAPSHOT_SPOOL_AWAY,
	  .why = (char *)"No such file or directory",
	  .failed = 2 },
};

static struct snapshot_transfer transfers[] = {
	{ .file = (char *)"/srv/in/a\n\xFF.jpg",
	  .spool = (char *)"inbox",
	  .step = SNAPSHOT_SEND,
	  .size = 20 << 20,
	  .sent = 5 << 20,
	  .started = AGO(5),
	  .attempt = 1 },
	{ .file = (char *)"/srv/in/b", .step = SNAPSHOT_ASK, .started = AGO(1) },
	{ .file = (char *)"/srv/in/empty", .step = SNAPSHOT_SEND, .started = NOW },
};

static struct snapshot_retry retries[] = {
	{ .file = (char *)"/srv/in/c",
	  .attempts = 2,
	  .next_try = IN(3),
	  .stage = STAGE_UPLOAD,
	  .why = (char *)"the transfer stalled" },
	{ .file = (char *)"/srv/in/d",
	  .attempts = 1,
	  .next_try = AGO(1),
	  .stage = STAGE_CREATE },
};

static const struct snapshot busy = {
	.version = (char *)"0.1.0",
	.pid = 123,
	.started = AGO(7800),
	.state = SNAPSHOT_RUNNING,
	.uploading = 3,
	.waiting = 120,
	.more = true,
	.uploaded = 4501,
	.bytes = UINT64_C(1288490188),
	.failed = 2,
	.rate = 3 << 20,
	.oldest_waiting = AGO(312),
	.services = services,
	.service_count = ARRAY_SIZE(services),
	.spools = spools,
	.spool_count = ARRAY_SIZE(spools),
	.transfers = transfers,
	.transfer_count = ARRAY_SIZE(transfers),
	.retries = retries,
	.retry_count = ARRAY_SIZE(retries),
};

static const struct snapshot hanging = {
	.version = (char *)"0.1.0",
	.pid = 7,
	.started = AGO(60),
	.updated = AGO(35),
	.state = SNAPSHOT_RUNNING,
	.uploading = 1,
};

/* Nothing is to be told of one that has nothing to do. */
static const struct snapshot at_rest = {
	.version = (char *)"0.1.0",
	.pid = 7,
	.started = AGO(60),
	.updated = AGO(35),
	.state = SNAPSHOT_RUNNING,
};

static const struct snapshot idle = {
	.version = (char *)"0.1.0",
	.pid = 1,
	.started = AGO(1),
	.state = SNAPSHOT_STARTING,
};

static const struct {
	const struct snapshot *snapshot;
	size_t columns;
	const char *expected;
} views[] = {
	{ &idle, 0,
	  "asset-agent 0.1.0 is starting, for 1.0s (process 1)\n"
	  "Uploading 0, waiting 0, uploaded 0 (0 bytes), failed 0\n" },
	{ &hanging, 0,
	  "asset-agent 0.1.0 is running, for 1min 0s (process 7)\n"
	  "It has said nothing for 35.0s: it hangs, perhaps on a filesystem that does "
	  "not answer (NFS), or can't write its status file.\n"
	  "Uploading 1, waiting 0, uploaded 0 (0 bytes), failed 0\n" },
	{ &at_rest, 0,
	  "asset-agent 0.1.0 is running, for 1min 0s (process 7)\n"
	  "Uploading 0, waiting 0, uploaded 0 (0 bytes), failed 0\n" },
	{ &busy, 0,
	  "asset-agent 0.1.0 is running, for 2h 10min (process 123)\n"
	  "Uploading 3 (3.0 MiB/s), waiting 120+ (for up to 5min 12s), "
	  "uploaded 4501 (1.1 GiB), failed 2\n"
	  "\n"
	  "Services\n"
	  "  auth     https://login.example/token  ok\n"
	  "  storage  store.example                away for 3min 12s, next try in 4.0s; "
	  "12 waiting\n"
	  "    Could not resolve host\\x1B[2J\n"
	  "\n"
	  "Spools\n"
	  "  inbox  /srv/in   watching  uploaded 4501, failed 0\n"
	  "  far    /srv/far  away      uploaded 0, failed 2\n"
	  "    No such file or directory\n"
	  "\n"
	  "On their way\n"
	  "  /srv/in/a\\n\\xFF.jpg   25% of    20.0 MiB      1.0 MiB/s      15.0s left\n"
	  "  /srv/in/b            asks for an upload URL\n"
	  "  /srv/in/empty        100% of     0 bytes\n"
	  "\n"
	  "To be tried again\n"
	  "  /srv/in/c  in 3.0s, after 2 tries; upload: the transfer stalled\n"
	  "  /srv/in/d  now, after 1 try; create\n" },
	{ &busy, 100,
	  "asset-agent 0.1.0 is running, for 2h 10min (process 123)\n"
	  "Uploading 3 (3.0 MiB/s), waiting 120+ (for up to 5min 12s), "
	  "uploaded 4501 (1.1 GiB), failed 2\n"
	  "\n"
	  "Services\n"
	  "  auth     https://login.example/token  ok\n"
	  "  storage  store.example                away for 3min 12s, next try in 4.0s; "
	  "12 waiting\n"
	  "    Could not resolve host\\x1B[2J\n"
	  "\n"
	  "Spools\n"
	  "  inbox  /srv/in   watching  uploaded 4501, failed 0\n"
	  "  far    /srv/far  away      uploaded 0, failed 2\n"
	  "    No such file or directory\n"
	  "\n"
	  "On their way\n"
	  "  /srv/in/a\\n\\xFF.jpg  [#####---------------]  25% of    20.0 MiB      "
	  "1.0 MiB/s      15.0s left\n"
	  "  /srv/in/b            asks for an upload URL\n"
	  "  /srv/in/empty        [--------------------] 100% of     0 bytes\n"
	  "\n"
	  "To be tried again\n"
	  "  /srv/in/c  in 3.0s, after 2 tries; upload: the transfer stalled\n"
	  "  /srv/in/d  now, after 1 try; create\n" },
};

static void test_views(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		const struct view view = { .columns = views[i].columns };
		_cleanup_free_ char *text = view_format(views[i].snapshot, &view, NOW);

		assert_string_equal(text, views[i].expected);
	}
}

/* The text without what sets colours. */
static void strip(char *text)
{
	char *out = text;

	while (*text) {
		if (startswith(text, "\x1B["))
			text += strcspn(text, "m") + 1;
		else
			*out++ = *text++;
	}
	*out = '\0';
}

/* Colours are all that they add, and each line ends without one. */
static void test_colours(void **state)
{
	const struct view with = { .columns = 100, .colours = true };
	const struct view without = { .columns = 100 };
	_cleanup_free_ char *coloured = view_format(&busy, &with, NOW);
	_cleanup_free_ char *plain = view_format(&busy, &without, NOW);

	(void)state;
	assert_null(strchr(plain, '\x1B'));
	assert_non_null(strstr(coloured, "\x1B[32mok\x1B[0m\n"));
	assert_non_null(strstr(coloured, "\x1B[31maway for 3min 12s"));
	strip(coloured);
	assert_string_equal(coloured, plain);
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

static void assert_fits(const struct view *view)
{
	_cleanup_free_ char *text = view_format(&busy, view, NOW);
	char *rest = text;

	assert_true(view->rows == 0 || count_lines(text) <= view->rows);
	for (char *line; (line = strsep(&rest, "\n"));)
		if (columns_width(line) > view->columns)
			fail_msg("%zu columns: %s", view->columns, line);
}

/* From the narrowest where a cut name still means something, to the widest. */
static void test_sizes(void **state)
{
	(void)state;
	for (size_t columns = 64; columns <= 250; columns++)
		assert_fits(&(struct view){ .columns = columns });
	for (size_t rows = 1; rows <= 40; rows++)
		assert_fits(&(struct view){ .columns = 120, .rows = rows });
}

/* What there is no room for is counted. */
static void test_more(void **state)
{
	static struct snapshot_retry many[SNAPSHOT_RETRIES_MAX];
	const struct view view = { .columns = 80, .rows = 24 };
	struct snapshot s = idle;
	_cleanup_free_ char *text = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = retries[0];
	s.retries = many;
	s.retry_count = ARRAY_SIZE(many);
	text = view_format(&s, &view, NOW);
	assert_true(count_lines(text) <= 24);
	assert_non_null(strstr(text, "\n  and 94 more\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_colours),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
