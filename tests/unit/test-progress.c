#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "progress.h"
#include "size.h"

#define S   USEC_PER_SEC
#define MiB (UINT64_C(1) << 20)

static void test_sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 bytes" },	    { 1, "1 byte" },
		{ 2, "2 bytes" },	    { 99999, "99999 bytes" },
		{ 100000, "97.6 KiB" },	    { MiB - 1, "1023.9 KiB" },
		{ MiB, "1.0 MiB" },	    { MiB * 3 / 2, "1.5 MiB" },
		{ MiB * 1024, "1.0 GiB" },  { MiB * MiB, "1.0 TiB" },
		{ UINT64_MAX, "15.9 EiB" },
	};
	char buffer[SIZE_STRING_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(size_format(buffer, rows[i].bytes), rows[i].text);
}

static void test_rate_follows_the_last_seconds(void **state)
{
	struct progress p;

	(void)state;
	progress_init(&p, 100 * S);
	progress_note(&p, 0, 100 * S);
	assert_int_equal(p.rate, 0);
	/* A burst at the start is no rate of a second yet. */
	progress_note(&p, MiB, 100 * S + 1);
	assert_int_equal(p.rate, MiB);
	progress_note(&p, MiB, 101 * S);
	assert_int_equal(p.rate, MiB);
	progress_note(&p, 3 * MiB, 103 * S);
	assert_int_equal(p.rate, MiB);
	/* Within a window the last one's stands. */
	progress_note(&p, 3 * MiB, 105 * S);
	assert_int_equal(p.rate, MiB);
	progress_note(&p, 3 * MiB, 106 * S);
	assert_int_equal(p.rate, 0);
	/* A broken send takes back what it had counted. */
	progress_note(&p, 2 * MiB, 107 * S);
	progress_note(&p, 5 * MiB, 109 * S);
	assert_int_equal(p.rate, MiB);
}

static void test_lines(void **state)
{
	static const struct {
		struct progress_counts counts;
		const char *trouble, *text;
	} rows[] = {
		{ { 0 }, NULL, "0 of 0 files, 0 bytes, 512 bytes/s" },
		{ { .uploaded = 3, .bytes = 40, .sent = 2, .left = 7 },
		  NULL,
		  "3 of 10 files, 42 bytes, 512 bytes/s" },
		{ { .uploaded = 3, .given_up = 2, .passed_over = 1, .more = true },
		  "the API is away",
		  "6 of 6+ files, 0 bytes, 512 bytes/s; given up 2; passed over 1; the API "
		  "is away" },
	};
	const struct progress p = { .rate = 512 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = progress_line(&p, &rows[i].counts,
							  rows[i].trouble);

		assert_string_equal(text, rows[i].text);
	}
}

static void test_summaries(void **state)
{
	static const struct {
		struct progress_counts counts;
		const char *why, *text;
	} rows[] = {
		{ { .uploaded = 1, .bytes = 2000 },
		  NULL,
		  "Uploaded 1 file, 2000 bytes in 2.0s, 1000 bytes/s; none is left "
		  "waiting." },
		{ { .uploaded = 0, .given_up = 1, .passed_over = 2 },
		  NULL,
		  "Uploaded 0 files, 0 bytes in 2.0s, 0 bytes/s; given up 1; passed over "
		  "2; none is left waiting." },
		{ { .more = true },
		  "no way in",
		  "Uploaded 0 files, 0 bytes in 2.0s, 0 bytes/s; others are left "
		  "waiting: no way in." },
		{ { .uploaded = 2, .bytes = 8 * MiB, .left = 5, .more = true },
		  "stopped",
		  "Uploaded 2 files, 8.0 MiB in 2.0s, 4.0 MiB/s; left waiting 5+: "
		  "stopped." },
	};
	const struct progress p = { .started = 10 * S };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = progress_summary(&p, &rows[i].counts,
							     rows[i].why, 12 * S);

		assert_string_equal(text, rows[i].text);
	}
}

static void test_no_time_at_all_is_no_infinite_rate(void **state)
{
	const struct progress p = { .started = 10 * S };
	const struct progress_counts counts = { .uploaded = 1, .bytes = UINT64_MAX / 8 };
	_cleanup_free_ char *text = progress_summary(&p, &counts, NULL, 10 * S);

	(void)state;
	assert_non_null(strstr(text, "in 1ms"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_rate_follows_the_last_seconds),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_summaries),
		cmocka_unit_test(test_no_time_at_all_is_no_infinite_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
