#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>

#include "macro.h"
#include "parse.h"

#define UNTOUCHED UINT64_C(0xDEADBEEF)

struct value {
	const char *text;
	int r;
	uint64_t value;
};

static void check(const struct value *table, size_t count,
		  int (*parse)(const char *text, uint64_t *ret))
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = UNTOUCHED;
		int r = parse(table[i].text, &value);
		uint64_t expected = table[i].r < 0 ? UNTOUCHED : table[i].value;

		if (r != table[i].r || value != expected)
			fail_msg("\"%s\": %d %" PRIu64 ", expected %d %" PRIu64,
				 table[i].text, r, value, table[i].r, expected);
	}
}

static void test_bool(void **state)
{
	static const struct {
		const char *text;
		int r;
		bool value;
	} table[] = {
		{ "yes", 0, true },	{ "no", 0, false },	 { "YES", 0, true },
		{ "No", 0, false },	{ "true", 0, true },	 { "false", 0, false },
		{ "on", 0, true },	{ "off", 0, false },	 { "1", 0, true },
		{ "0", 0, false },	{ "", -EINVAL, 0 },	 { "y", -EINVAL, 0 },
		{ "yes ", -EINVAL, 0 }, { "2", -EINVAL, 0 },	 { "maybe", -EINVAL, 0 },
		{ "01", -EINVAL, 0 },	{ "yesno", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		/* The opposite of what is expected tells whether it was written. */
		bool value = !table[i].value;

		if (parse_bool(table[i].text, &value) != table[i].r ||
		    value != (table[i].r < 0 ? !table[i].value : table[i].value))
			fail_msg("\"%s\"", table[i].text);
	}
}

static void test_unsigned(void **state)
{
	static const struct value table[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1 },
		{ "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999999", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999999x", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
	};

	(void)state;
	check(table, ARRAY_SIZE(table), parse_unsigned);
}

static void test_timespan(void **state)
{
	static const struct value table[] = {
		{ "0", 0, 0 },
		{ "30", 0, 30 * USEC_PER_SEC },
		{ "640us", 0, 640 },
		{ "640usec", 0, 640 },
		{ "500ms", 0, 500 * USEC_PER_MSEC },
		{ "500msec", 0, 500 * USEC_PER_MSEC },
		{ "30s", 0, 30 * USEC_PER_SEC },
		{ "30sec", 0, 30 * USEC_PER_SEC },
		{ "1second", 0, USEC_PER_SEC },
		{ "2 seconds", 0, 2 * USEC_PER_SEC },
		{ "5m", 0, 5 * USEC_PER_MINUTE },
		{ "5min", 0, 5 * USEC_PER_MINUTE },
		{ "1minute", 0, USEC_PER_MINUTE },
		{ "5 minutes", 0, 5 * USEC_PER_MINUTE },
		{ "2h", 0, 2 * USEC_PER_HOUR },
		{ "2hr", 0, 2 * USEC_PER_HOUR },
		{ "1hour", 0, USEC_PER_HOUR },
		{ "2hours", 0, 2 * USEC_PER_HOUR },
		{ "7d", 0, 7 * USEC_PER_DAY },
		{ "1day", 0, USEC_PER_DAY },
		{ "7days", 0, 7 * USEC_PER_DAY },
		{ "1w", 0, 7 * USEC_PER_DAY },
		{ "1week", 0, 7 * USEC_PER_DAY },
		{ "2weeks", 0, 14 * USEC_PER_DAY },
		{ "1.5s", 0, 1500 * USEC_PER_MSEC },
		{ "0.25ms", 0, 250 },
		{ "0.0000001s", 0, 0 },
		{ "0.12345678901234567890123s", 0, 123456 },
		{ "1h30min", 0, 90 * USEC_PER_MINUTE },
		{ "1h 30min 5s", 0, 90 * USEC_PER_MINUTE + 5 * USEC_PER_SEC },
		{ "1min 30", 0, 90 * USEC_PER_SEC },
		{ "1.5h 0.5min", 0, 90 * USEC_PER_MINUTE + 30 * USEC_PER_SEC },
		{ "infinity", 0, USEC_INFINITY },
		{ "18446744073709551614us", 0, USEC_INFINITY - 1 },
		{ "18446744073709551615us", -ERANGE, 0 },
		{ "18446744073709551614us 1us", -ERANGE, 0 },
		{ "18446744073709551615w 18446744073709551615w", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999999w", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999999x", -EINVAL, 0 },
		{ "30000000000w 1fortnight", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "-5s", -EINVAL, 0 },
		{ " 5s", -EINVAL, 0 },
		{ "5S", -EINVAL, 0 },
		{ "5Min", -EINVAL, 0 },
		{ "5 parsecs", -EINVAL, 0 },
		{ ".5s", -EINVAL, 0 },
		{ "5.s", -EINVAL, 0 },
		{ "1.2.3s", -EINVAL, 0 },
		{ "1,5s", -EINVAL, 0 },
		{ "Infinity", -EINVAL, 0 },
		{ "infinity 1s", -EINVAL, 0 },
		{ "5s infinity", -EINVAL, 0 },
	};

	(void)state;
	check(table, ARRAY_SIZE(table), parse_timespan);
}

static void test_size(void **state)
{
	static const struct value table[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1 },
		{ "17B", 0, 17 },
		{ "64K", 0, 64 << 10 },
		{ "64KB", 0, 64 << 10 },
		{ "10M", 0, 10 << 20 },
		{ "10 MB", 0, 10 << 20 },
		{ "2G", 0, UINT64_C(2) << 30 },
		{ "2GB", 0, UINT64_C(2) << 30 },
		{ "3T", 0, UINT64_C(3) << 40 },
		{ "3TB", 0, UINT64_C(3) << 40 },
		{ "1.5K", 0, 1536 },
		{ "0.5", 0, 0 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "16777215T", 0, UINT64_C(16777215) << 40 },
		{ "16777216T", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999999T", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999999P", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "K", -EINVAL, 0 },
		{ "64k", -EINVAL, 0 },
		{ "64KiB", -EINVAL, 0 },
		{ "64KK", -EINVAL, 0 },
		{ "1G 1M", -EINVAL, 0 },
		{ "-1K", -EINVAL, 0 },
		{ "1.K", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
	};

	(void)state;
	check(table, ARRAY_SIZE(table), parse_size);
}

static void test_rate(void **state)
{
	static const struct value table[] = {
		{ "1/s", 0, USEC_PER_SEC },
		{ "0.5/s", 0, 2 * USEC_PER_SEC },
		{ "30/min", 0, 2 * USEC_PER_SEC },
		{ "100/h", 0, 36 * USEC_PER_SEC },
		{ "1/d", 0, USEC_PER_DAY },
		{ "2.5/s", 0, 400 * USEC_PER_MSEC },
		/* Rounded to the slower side. */
		{ "3/s", 0, 333334 },
		{ "7/min", 0, 8571429 },
		{ "1000000/s", 0, 1 },
		{ "5000000/s", 0, 1 },
		{ "99999999999999999999999999999999999999999999/s", 0, 1 },
		{ "0.00000001/d", 0, USEC_PER_DAY * 100000000 },
		{ "0.000000001/d", -ERANGE, 0 },
		{ "0.000000000000000001/d", -ERANGE, 0 },
		{ "0/s", -EINVAL, 0 },
		{ "0.0/s", -EINVAL, 0 },
		{ "-1/s", -EINVAL, 0 },
		{ "1", -EINVAL, 0 },
		{ "1/", -EINVAL, 0 },
		{ "/s", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "1/m", -EINVAL, 0 },
		{ "1/2s", -EINVAL, 0 },
		{ "1/s ", -EINVAL, 0 },
		{ "1 /s", -EINVAL, 0 },
		{ "1/second", -EINVAL, 0 },
	};

	(void)state;
	check(table, ARRAY_SIZE(table), parse_rate);
}

/* What clock_format_span() writes without rounding is read back as it was. */
static void test_timespan_round_trip(void **state)
{
	static const usec_t spans[] = {
		0,
		1,
		999,
		USEC_PER_MSEC,
		999 * USEC_PER_MSEC,
		4200 * USEC_PER_MSEC,
		185 * USEC_PER_SEC,
		130 * USEC_PER_MINUTE,
		365 * USEC_PER_DAY,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
		char buffer[CLOCK_STRING_MAX];
		usec_t back = UNTOUCHED;

		assert_int_equal(
			parse_timespan(clock_format_span(buffer, spans[i]), &back), 0);
		assert_true(back == spans[i]);
	}
}

/* The interval never lets more through than was asked for, and not needlessly less. */
static void test_rate_is_a_ceiling(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 5000; n++) {
		char text[32];
		usec_t interval = 0;

		snprintf(text, sizeof(text), "%u/min", n);
		assert_int_equal(parse_rate(text, &interval), 0);
		assert_true(interval * n >= USEC_PER_MINUTE);
		assert_true((interval - 1) * n < USEC_PER_MINUTE);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_unsigned),
		cmocka_unit_test(test_timespan),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_timespan_round_trip),
		cmocka_unit_test(test_rate_is_a_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
