#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backoff.h"
#include "macro.h"

#define S	  USEC_PER_SEC
#define LAST_DRAW UINT64_MAX

static void test_table(void **state)
{
	static const struct {
		usec_t initial, max;
		unsigned failures;
		uint64_t draw;
		usec_t expected;
	} rows[] = {
		/* the least draw is no wait at all */
		{ 1 * S, 300 * S, 1, 0, 0 },
		{ 1 * S, 300 * S, 40, 0, 0 },
		/* the greatest is the ceiling itself, which doubles */
		{ 1 * S, 300 * S, 1, LAST_DRAW, 1 * S },
		{ 1 * S, 300 * S, 2, LAST_DRAW, 2 * S },
		{ 1 * S, 300 * S, 9, LAST_DRAW, 256 * S },
		{ 1 * S, 300 * S, 10, LAST_DRAW, 300 * S },
		{ 1 * S, 300 * S, 11, LAST_DRAW, 300 * S },
		/* the middle */
		{ 1 * S, 300 * S, 1, UINT64_C(1) << 63, S / 2 },
		{ 1 * S, 300 * S, 20, UINT64_C(1) << 63, 150 * S },
		{ 1 * S, 300 * S, 1, UINT64_C(1) << 62, S / 4 },
		/* doublings that leave the 64 bits, or C's shift */
		{ 3, USEC_INFINITY - 1, 63, LAST_DRAW, UINT64_C(3) << 62 },
		{ 3, USEC_INFINITY - 1, 64, LAST_DRAW, USEC_INFINITY - 1 },
		{ 1, USEC_INFINITY, 64, LAST_DRAW, UINT64_C(1) << 63 },
		{ 1, USEC_INFINITY, 65, LAST_DRAW, USEC_INFINITY },
		{ 1, USEC_INFINITY, 66, LAST_DRAW, USEC_INFINITY },
		{ 1, 7, UINT32_MAX, LAST_DRAW, 7 },
		/* the first wait at its ceiling */
		{ 5 * S, 5 * S, 1, LAST_DRAW, 5 * S },
		{ 5 * S, 5 * S, 2, LAST_DRAW, 5 * S },
		{ 1, 1, 1, LAST_DRAW, 1 },
		{ 1, 1, 1, UINT64_C(1) << 63, 1 },
		{ 1, 1, 1, (UINT64_C(1) << 63) - 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct backoff b = { rows[i].initial, rows[i].max };
		usec_t delay = backoff_delay(&b, rows[i].failures, rows[i].draw);

		if (delay != rows[i].expected)
			fail_msg("row %zu: %ju, not %ju", i, (uintmax_t)delay,
				 (uintmax_t)rows[i].expected);
	}
}

/* Any stream of bits does that is the same every time (Knuth's MMIX generator). */
static uint64_t next_draw(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed;
}

static void test_never_above_the_ceilings(void **state)
{
	const struct backoff b = { 250 * USEC_PER_MSEC, 5 * USEC_PER_MINUTE };
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		unsigned failures = 1 + i % 100;
		usec_t delay = backoff_delay(&b, failures, next_draw(&seed));

		assert_true(delay <= b.max);
		if (failures <= 10)
			assert_true(delay <= b.initial << (failures - 1));
	}
}

static void test_spreads_evenly(void **state)
{
	enum { DRAWS = 100000, PARTS = 10 };
	const struct backoff b = { 1 * S, 1 * S };
	unsigned in_part[PARTS] = {};
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < DRAWS; i++) {
		usec_t part = backoff_delay(&b, 1, next_draw(&seed)) * PARTS / S;

		in_part[MIN(part, PARTS - 1)]++;
	}
	for (unsigned i = 0; i < PARTS; i++)
		assert_in_range(in_part[i], DRAWS / PARTS * 9 / 10,
				DRAWS / PARTS * 11 / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_never_above_the_ceilings),
		cmocka_unit_test(test_spreads_evenly),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
