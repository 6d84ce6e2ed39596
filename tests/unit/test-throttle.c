#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "throttle.h"

#define S   USEC_PER_SEC
#define MS  USEC_PER_MSEC
#define ALL (UINT64_C(1) << 40)

struct take {
	usec_t now;
	uint64_t want, got;
	usec_t next; /* what throttle_next() says then */
};

static const struct script {
	const char *name;
	uint64_t rate;
	struct take takes[5]; /* ends at the first that wants nothing */
} SCRIPTS[] = {
	{ "no ceiling",
	  UINT64_MAX,
	  { { 7 * S, ALL, ALL, 7 * S }, { 7 * S, ALL, ALL, 7 * S } } },
	{ "a slice, then as long as it takes",
	  1000 * 1000,
	  { { 0, ALL, 20000, 20 * MS },
	    { 1, ALL, 0, 20 * MS },
	    { 20 * MS, ALL, 20000, 40 * MS } } },
	{ "no more than is wanted",
	  1000 * 1000,
	  { { 0, 5, 5, 5 }, { 5, 5, 5, 10 }, { 10, ALL, 20000, 20 * MS + 10 } } },
	{ "a slow line still gets some at once",
	  100,
	  { { 0, ALL, 1024, 10240 * MS }, { 10240 * MS, ALL, 1024, 20480 * MS } } },
};

static void test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(SCRIPTS); i++) {
		const struct script *script = &SCRIPTS[i];
		struct throttle t = { .rate = script->rate };

		for (size_t k = 0; k < 5 && script->takes[k].want > 0; k++) {
			const struct take *take = &script->takes[k];
			uint64_t got = throttle_take(&t, take->now, take->want);
			usec_t next = throttle_next(&t, take->now);

			if (got != take->got || next != take->next)
				fail_msg("%s, take %zu: %ju, then at %ju", script->name,
					 k, (uintmax_t)got, (uintmax_t)next);
		}
	}
}

static uint64_t take_all(struct throttle *t, usec_t now)
{
	uint64_t sum = 0, got;

	while ((got = throttle_take(t, now, ALL)) > 0)
		sum += got;
	return sum;
}

/* What late timers and a busy machine cost is made up for, an idle hour is not; the last
 * slice is always on credit. */
static void test_unused_time(void **state)
{
	enum { RATE = 1000 * 1000, SLICE = RATE / (S / THROTTLE_SLICE) };
	struct throttle t = { .rate = RATE };

	(void)state;
	throttle_wake(&t, 9 * S);
	assert_int_equal(take_all(&t, 9 * S), THROTTLE_IDLE * RATE / S + SLICE);
	/* Late by a little: not a byte is lost. */
	assert_int_equal(take_all(&t, 9 * S + THROTTLE_CREDIT),
			 THROTTLE_CREDIT * RATE / S);
	/* By a lot. */
	assert_int_equal(take_all(&t, 90 * S), THROTTLE_CREDIT * RATE / S + SLICE);
	/* Whoever wakes it does not undo what is not paid yet. */
	throttle_wake(&t, 90 * S);
	assert_int_equal(take_all(&t, 90 * S), 0);
	/* Less than is kept anyway. */
	throttle_wake(&t, 90 * S + 4 * THROTTLE_SLICE);
	assert_int_equal(take_all(&t, 90 * S + 4 * THROTTLE_SLICE), 4 * SLICE);
}

/* Whoever comes as soon as there is something gets the rate to the byte, whatever it is
 * divided by. */
static void test_long_run(void **state)
{
	static const uint64_t rates[] = { 1,	 7,	      999,	    65536,
					  12345, 50ULL << 20, 3000000019ULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct throttle t = { .rate = rates[i], .paid_at = S };
		uint64_t sum = 0;
		usec_t now = S;

		for (unsigned n = 0; n < 10000; n++) {
			sum += throttle_take(&t, now, 1 + 977 * n);
			now = throttle_next(&t, now);
		}
		/* What is not paid is less than a microsecond's worth. */
		assert_in_range((unsigned __int128)(now - S) * rates[i] / S,
				sum - rates[i] / S - 1, sum);
	}
}

static void test_nothing_overflows(void **state)
{
	struct throttle t = { .rate = 1, .paid_at = USEC_INFINITY - 5 };

	(void)state;
	assert_int_equal(throttle_take(&t, USEC_INFINITY - 5, UINT64_MAX),
			 THROTTLE_SLICE_MIN);
	assert_int_equal(throttle_next(&t, USEC_INFINITY - 5), USEC_INFINITY);
}

/* What waits for its turn does not go on waiting at the old rate. */
static void test_another_rate(void **state)
{
	static const struct {
		uint64_t from, to;
		usec_t next; /* after so long */
	} changes[] = {
		{ 1024, 1024, S },	      /* the same */
		{ 1, 1024 * 1024, S / 1024 }, /* not 17 minutes */
		{ 1024, 1, 1024 * S },
		{ 1024, UINT64_MAX, 0 },
		{ UINT64_MAX, 1024, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct throttle t = { .rate = changes[i].from, .paid_at = 9 * S };

		(void)throttle_take(&t, 9 * S, 1024);
		throttle_configure(&t, changes[i].to, 9 * S);
		if (throttle_next(&t, 9 * S) != 9 * S + changes[i].next)
			fail_msg("change %zu: %ju", i,
				 (uintmax_t)(throttle_next(&t, 9 * S) - 9 * S));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_unused_time),
		cmocka_unit_test(test_long_run),
		cmocka_unit_test(test_nothing_overflows),
		cmocka_unit_test(test_another_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
