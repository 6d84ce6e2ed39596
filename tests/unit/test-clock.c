#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "macro.h"

static void test_add_and_sub(void **state)
{
	static const struct {
		usec_t a, b, sum, difference;
	} table[] = {
		{ 0, 0, 0, 0 },
		{ 5, 3, 8, 2 },
		{ 3, 5, 8, 0 },
		{ USEC_INFINITY - 1, 1, USEC_INFINITY, USEC_INFINITY - 2 },
		{ USEC_INFINITY - 1, 2, USEC_INFINITY, USEC_INFINITY - 3 },
		{ USEC_INFINITY, 0, USEC_INFINITY, USEC_INFINITY },
		{ 0, USEC_INFINITY, USEC_INFINITY, 0 },
		{ USEC_INFINITY, USEC_INFINITY, USEC_INFINITY, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_true(usec_add(table[i].a, table[i].b) == table[i].sum);
		assert_true(usec_sub(table[i].a, table[i].b) == table[i].difference);
	}
}

static void test_timespec(void **state)
{
	static const struct {
		struct timespec t;
		usec_t usec;
	} table[] = {
		{ { 0, 0 }, 0 },
		{ { 0, 999 }, 0 },
		{ { 0, 1000 }, 1 },
		{ { 1, 999999999 }, 1999999 },
		{ { 1700000000, 123456789 }, UINT64_C(1700000000123456) },
		{ { -1, 999999999 }, 0 },
		{ { -1700000000, 0 }, 0 },
		/* A file's time may be anywhere. */
		{ { INT64_C(18446744073709), 0 }, UINT64_C(18446744073709000000) },
		{ { INT64_C(18446744073709), 999999999 }, USEC_INFINITY },
		{ { INT64_C(18446744073710), 0 }, USEC_INFINITY },
		{ { INT64_MAX, 0 }, USEC_INFINITY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		assert_true(usec_from_timespec(table[i].t) == table[i].usec);
	for (usec_t t = 0; t < UINT64_C(1) << 60; t = t * 3 + 7)
		assert_true(usec_from_timespec(usec_to_timespec(t)) == t);
}

static void test_clocks(void **state)
{
	usec_t mono = clock_monotonic(), real = clock_realtime();
	struct timespec t;

	(void)state;
	assert_true(clock_monotonic() >= mono);
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
	/* One and the same clock, in the same unit. */
	assert_true(usec_sub(usec_from_timespec(t), real) < USEC_PER_MINUTE);
	assert_true(usec_sub(real, usec_from_timespec(t)) < USEC_PER_MINUTE);
}

static void test_format(void **state)
{
	static const struct {
		struct timespec t;
		unsigned digits;
		const char *text;
	} table[] = {
		{ { 0, 0 }, 0, "1970-01-01T00:00:00Z" },
		{ { 0, 0 }, 3, "1970-01-01T00:00:00.000Z" },
		{ { 1795428900, 123456789 }, 0, "2026-11-23T10:15:00Z" },
		{ { 1795428900, 123456789 }, 1, "2026-11-23T10:15:00.1Z" },
		{ { 1795428900, 123456789 }, 3, "2026-11-23T10:15:00.123Z" },
		{ { 1795428900, 123456789 }, 9, "2026-11-23T10:15:00.123456789Z" },
		{ { 1795428900, 123456789 }, 12, "2026-11-23T10:15:00.123456789Z" },
		/* Cut, not rounded: never an instant that is still to come. */
		{ { 1795428900, 999999999 }, 3, "2026-11-23T10:15:00.999Z" },
		{ { 1795428900, 42 }, 9, "2026-11-23T10:15:00.000000042Z" },
		{ { 951782400, 0 }, 0, "2000-02-29T00:00:00Z" },
		{ { 4102444799, 0 }, 0, "2099-12-31T23:59:59Z" },
		{ { -1, 500000000 }, 1, "1969-12-31T23:59:59.5Z" },
		{ { -62135596800, 0 }, 0, "0001-01-01T00:00:00Z" },
		{ { 253402300799, 0 }, 0, "9999-12-31T23:59:59Z" },
		{ { -62167219200, 0 }, 0, "0000-01-01T00:00:00Z" },
		{ { 253402300800, 500000000 }, 1, "@253402300800.5Z" },
		{ { -62167219201, 0 }, 0, "@-62167219201Z" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char buffer[CLOCK_STRING_MAX];

		assert_ptr_equal(clock_format(buffer, table[i].t, table[i].digits),
				 buffer);
		assert_string_equal(buffer, table[i].text);
	}
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		struct timespec t;
	} table[] = {
		{ "1970-01-01T00:00:00Z", { 0, 0 } },
		{ "2020-08-11T03:19:21.070Z", { 1597115961, 70000000 } },
		{ "2026-11-23T10:15:00.123456789Z", { 1795428900, 123456789 } },
		{ "2026-11-23T10:15:00.1234567891234Z", { 1795428900, 123456789 } },
		{ "2026-11-23t10:15:00z", { 1795428900, 0 } },
		{ "2026-11-23 10:15:00Z", { 1795428900, 0 } },
		{ "2026-11-23T11:15:00+01:00", { 1795428900, 0 } },
		{ "2026-11-23T04:45:00-05:30", { 1795428900, 0 } },
		{ "2026-11-23T10:15:00.5+00:00", { 1795428900, 500000000 } },
		{ "2000-02-29T00:00:00Z", { 951782400, 0 } },
		{ "2016-12-31T23:59:60Z", { 1483228800, 0 } },
		{ "1969-12-31T23:59:59.5Z", { -1, 500000000 } },
		{ "9999-12-31T23:59:59Z", { 253402300799, 0 } },
		{ "@0Z", { 0, 0 } },
		{ "@-62167219201.25Z", { -62167219201, 250000000 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct timespec t = { 42, 42 };

		if (clock_parse(table[i].text, &t) != 0 ||
		    t.tv_sec != table[i].t.tv_sec || t.tv_nsec != table[i].t.tv_nsec)
			fail_msg("%s: %jd.%09ld", table[i].text, (intmax_t)t.tv_sec,
				 t.tv_nsec);
	}
}

static void test_parse_faults(void **state)
{
	static const char *const table[] = {
		"",
		"now",
		"2026-11-23",
		"2026-11-23T10:15Z",
		"2026-11-23T10:15:00",
		"2026-11-23T10:15:00 Z",
		"2026-11-23T10:15:00Z ",
		" 2026-11-23T10:15:00Z",
		"2026-11-23T10:15:00.Z",
		"2026-11-23T10:15:00,5Z",
		"2026-11-23T10:15:00+1:00",
		"2026-11-23T10:15:00+0100",
		"2026-11-23T10:15:00+24:00",
		"2026-11-23T10:15:00+01:60",
		"2026-11-23T10:15:00+01:00Z",
		"2026-1-23T10:15:00Z",
		"26-11-23T10:15:00Z",
		"+026-11-23T10:15:00Z",
		"2026-13-23T10:15:00Z",
		"2026-00-23T10:15:00Z",
		"2026-11-00T10:15:00Z",
		"2026-11-31T10:15:00Z",
		"2026-02-29T10:15:00Z",
		"2026-02-30T10:15:60Z",
		"2026-11-23T24:00:00Z",
		"2026-11-23T10:60:00Z",
		"2026-11-23T10:15:61Z",
		"2026-11-23T10:15:00X",
		"@",
		"@Z",
		"@-Z",
		"@+1Z",
		"@ 1Z",
		"@1",
		"@1.Z",
		"@1+00:00",
		"@9223372036854775808Z",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct timespec t = { 42, 43 };

		if (clock_parse(table[i], &t) != -EINVAL || t.tv_sec != 42 ||
		    t.tv_nsec != 43)
			fail_msg("\"%s\" is taken for an instant", table[i]);
	}
}

static void assert_round_trip(struct timespec t)
{
	struct timespec back;
	char buffer[CLOCK_STRING_MAX];

	assert_int_equal(clock_parse(clock_format(buffer, t, 9), &back), 0);
	assert_true(back.tv_sec == t.tv_sec && back.tv_nsec == t.tv_nsec);
}

/* Whatever time a file has: what is written is read back. */
static void test_round_trip(void **state)
{
	(void)state;
	for (int64_t s = 1; s < INT64_MAX / 3; s = s * 3 / 2 + 86399) {
		assert_round_trip((struct timespec){ s, s % 1000000000 });
		assert_round_trip((struct timespec){ -s, s % 1000000000 });
	}
	assert_round_trip((struct timespec){ INT64_MAX, 999999999 });
	assert_round_trip((struct timespec){ INT64_MIN, 0 });
}

/* Each day that RFC 3339 can write, and each that its digits can but no calendar has, as
 * timegm() knows them. */
static void test_calendar(void **state)
{
	(void)state;
	for (int day = 0; day < 10000 * 12 * 33; day++) {
		const int year = day / 33 / 12, month = day / 33 % 12, mday = day % 33;
		struct tm tm = { .tm_year = year - 1900,
				 .tm_mon = month,
				 .tm_mday = mday };
		time_t expected = timegm(&tm);
		struct timespec t = {};
		char text[CLOCK_STRING_MAX];

		(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT00:00:00Z", year,
			       month + 1, mday);
		if (clock_parse(text, &t) != (tm.tm_mday == mday ? 0 : -EINVAL) ||
		    (tm.tm_mday == mday && t.tv_sec != expected))
			fail_msg("%s became %jd", text, (intmax_t)t.tv_sec);
	}
}

static void test_format_span(void **state)
{
	static const struct {
		usec_t span;
		const char *text;
	} table[] = {
		{ 0, "0us" },
		{ 640, "640us" },
		{ 999, "999us" },
		{ 1000, "1ms" },
		{ 13 * USEC_PER_MSEC + 999, "13ms" },
		{ 999999, "999ms" },
		{ USEC_PER_SEC, "1.0s" },
		{ 4200 * USEC_PER_MSEC, "4.2s" },
		{ 59999999, "59.9s" },
		{ USEC_PER_MINUTE, "1min 0s" },
		{ 185 * USEC_PER_SEC, "3min 5s" },
		{ USEC_PER_HOUR - 1, "59min 59s" },
		{ USEC_PER_HOUR, "1h 0min" },
		{ 130 * USEC_PER_MINUTE, "2h 10min" },
		{ 10 * USEC_PER_DAY, "240h 0min" },
		{ USEC_INFINITY - 1, "5124095576h 1min" },
		{ USEC_INFINITY, "ever" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char buffer[CLOCK_STRING_MAX];

		assert_ptr_equal(clock_format_span(buffer, table[i].span), buffer);
		assert_string_equal(buffer, table[i].text);
	}
}

static void test_parse_http(void **state)
{
	static const struct {
		const char *text;
		time_t seconds; /* -1: refused */
	} table[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
		{ "Mon, 23 Nov 2026 10:15:00 GMT", 1795428900 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
		{ "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", -1 }, /* obsolete */
		{ "Sun Nov  6 08:49:37 1994", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 CET", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT ", -1 },
		{ "Sun, 6 Nov 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 nov 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:49 GMT", -1 },
		{ "Tue, 30 Feb 2026 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov 1994 24:49:37 GMT", -1 },
		{ "Sun,", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		time_t seconds = -1;
		int r = clock_parse_http(table[i].text, &seconds);

		if (seconds != table[i].seconds || (r == 0) != (seconds != -1))
			fail_msg("\"%s\" became %jd", table[i].text, (intmax_t)seconds);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_sub), cmocka_unit_test(test_timespec),
		cmocka_unit_test(test_clocks),	    cmocka_unit_test(test_format),
		cmocka_unit_test(test_parse),	    cmocka_unit_test(test_parse_faults),
		cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_format_span), cmocka_unit_test(test_parse_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
