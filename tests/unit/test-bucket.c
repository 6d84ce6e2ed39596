#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bucket.h"
#include "macro.h"

#define S USEC_PER_SEC

struct ask {
	usec_t now;
	usec_t next; /* what bucket_next() is to say; taken if that is now */
};

struct script {
	const char *name;
	usec_t interval;
	uint64_t burst;
	struct ask asks[8]; /* ends at the first { 0, 0 } but one in front */
};

static const struct script SCRIPTS[] = {
	{ "no ceiling", 0, 1, { { 5, 5 }, { 5, 5 }, { 5, 5 }, { 6, 6 } } },
	{ "one at a time",
	  S,
	  1,
	  { { S, S }, { S, 2 * S }, { 2 * S, 2 * S }, { 2 * S, 3 * S } } },
	{ "a burst, then the rate",
	  S,
	  3,
	  { { 9 * S, 9 * S },
	    { 9 * S, 9 * S },
	    { 9 * S, 9 * S },
	    { 9 * S, 10 * S },
	    { 10 * S, 10 * S },
	    { 10 * S, 11 * S } } },
	{ "fills while it rests",
	  S,
	  2,
	  { { 1 * S, 1 * S },
	    { 1 * S, 1 * S },
	    { 1 * S, 2 * S },
	    { 99 * S, 99 * S },
	    { 99 * S, 99 * S },
	    { 99 * S, 100 * S } } },
	{ "fills partly",
	  S,
	  2,
	  { { 4 * S, 4 * S }, { 4 * S, 4 * S }, { 5 * S, 5 * S }, { 5 * S, 6 * S } } },
	{ "from the clock's beginning", S, 2, { { 0, 0 }, { 1, 1 }, { 2, S } } },
	{ "longest interval",
	  USEC_INFINITY,
	  1,
	  { { S, S }, { 2 * S, USEC_INFINITY }, { 3 * S, USEC_INFINITY } } },
	{ "largest burst", 2, (UINT64_C(1) << 63) + 1, { { S, S }, { S, S }, { S, S } } },
};

static void run_script(const struct script *script)
{
	struct bucket b = { .interval = script->interval, .burst = script->burst };

	for (size_t i = 0; i < ARRAY_SIZE(script->asks); i++) {
		const struct ask *ask = &script->asks[i];
		usec_t next;

		if (i > 0 && ask->next == 0)
			break;
		next = bucket_next(&b, ask->now);
		if (next != ask->next)
			fail_msg("%s, ask %zu: %ju, not %ju", script->name, i,
				 (uintmax_t)next, (uintmax_t)ask->next);
		if (next <= ask->now)
			bucket_take(&b, ask->now);
	}
}

static void test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(SCRIPTS); i++)
		run_script(&SCRIPTS[i]);
}

/* Whoever comes as soon as allowed gets the burst and then the rate, no more, no less. */
static void test_long_run(void **state)
{
	static const struct {
		usec_t interval;
		uint64_t burst;
	} rates[] = { { 2 * S, 10 }, { S / 30, 1 }, { 7, 1000 }, { 1, 3 } };
	enum { TAKES = 5000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct bucket b = { .interval = rates[i].interval,
				    .burst = rates[i].burst };
		usec_t start = 12345, now = start;

		for (unsigned taken = 0; taken < TAKES; taken++) {
			usec_t next = bucket_next(&b, now);

			now = MAX(now, next);
			assert_int_equal(now - start,
					 usec_sub(taken + 1, b.burst) * b.interval);
			bucket_take(&b, now);
		}
	}
}

static void test_asking_takes_nothing(void **state)
{
	const struct bucket fresh = { .interval = S, .burst = 2 };
	struct bucket b = fresh;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(bucket_next(&b, S), S);
	assert_memory_equal(&b, &fresh, sizeof(b));
}

/* One that did not go leaves room for exactly one, now or later. */
static void test_return(void **state)
{
	struct bucket b = { .interval = S, .burst = 2 };

	(void)state;
	bucket_take(&b, 10 * S);
	bucket_take(&b, 10 * S);
	assert_int_equal(bucket_next(&b, 10 * S), 11 * S);
	bucket_return(&b);
	assert_int_equal(bucket_next(&b, 10 * S), 10 * S);
	bucket_take(&b, 10 * S);
	assert_int_equal(bucket_next(&b, 10 * S), 11 * S);
	bucket_take(&b, 30 * S);
	bucket_return(&b);
	bucket_take(&b, 30 * S);
	bucket_take(&b, 30 * S);
	assert_int_equal(bucket_next(&b, 30 * S), 31 * S);
}

/* A bucket of which three were taken just now, and then another rate. */
static void test_another_rate(void **state)
{
	static const struct {
		usec_t from, to;
		uint64_t from_burst, to_burst;
		usec_t next; /* after so long */
	} changes[] = {
		{ 1 * S, 1 * S, 3, 3, 1 * S },	/* the same */
		{ 60 * S, 1 * S, 3, 3, 1 * S }, /* no wait of the old rate is left */
		{ 1 * S, 60 * S, 3, 3, 60 * S },
		{ 1 * S, 1 * S, 3, 10, 0 }, /* seven more at once */
		{ 1 * S, 2 * S, 10, 1, 2 * S },
		{ 0, 5 * S, 3, 3, 0 }, /* nobody counted */
		{ 5 * S, 0, 3, 3, 0 },
		{ S, 365 * USEC_PER_DAY, 3, 3, 365 * USEC_PER_DAY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct bucket b = { .interval = changes[i].from,
				    .burst = changes[i].from_burst };

		for (unsigned n = 0; n < 3; n++)
			bucket_take(&b, 9 * S);
		bucket_configure(&b, changes[i].to, changes[i].to_burst, 9 * S);
		if (bucket_next(&b, 9 * S) != 9 * S + changes[i].next)
			fail_msg("change %zu: %ju", i, (uintmax_t)bucket_next(&b, 9 * S));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_long_run),
		cmocka_unit_test(test_asking_takes_nothing),
		cmocka_unit_test(test_another_rate),
		cmocka_unit_test(test_return),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
