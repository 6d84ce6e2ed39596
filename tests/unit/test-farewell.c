#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "farewell.h"
#include "macro.h"

#define S      USEC_PER_SEC
#define MB     UINT64_C(1000000)
#define STOP   (1000 * S)
#define NOBODY USEC_INFINITY /* knows */

struct look {
	usec_t after; /* the stop */
	uint64_t sent;
	usec_t left;
	bool waits;
};

static const struct {
	const char *name;
	uint64_t size, sent;
	usec_t since;	 /* before the stop */
	usec_t deadline; /* after it */
	struct look looks[8];
} STOPS[] = {
	{ "nearly there",
	  100 * MB,
	  90 * MB,
	  90 * S,
	  120 * S,
	  { { 0, 90 * MB, 10 * S, true },
	    { 1 * S, 91 * MB, 9 * S, true },
	    { 5 * S, 95 * MB, 5 * S, true },
	    { 10 * S, 100 * MB, 0, true } } },
	{ "too much left, at once",
	  1000 * MB,
	  10 * MB,
	  10 * S,
	  120 * S,
	  { { 0, 10 * MB, 990 * S, false } } },
	{ "too much left for the nine seconds that there are",
	  20 * MB,
	  10 * MB,
	  10 * S,
	  9 * S,
	  { { 0, 10 * MB, 10 * S, false } } },
	{ "the very last moment",
	  20 * MB,
	  10 * MB,
	  10 * S,
	  10 * S,
	  { { 0, 10 * MB, 10 * S, true }, { 10 * S, 19 * MB, 1111111, false } } },
	{ "just begun: its rate is not known, then it is too slow",
	  1000 * MB,
	  1 * MB,
	  1 * S,
	  120 * S,
	  { { 0, 1 * MB, NOBODY, true }, { 1 * S, 2 * MB, 998 * S, false } } },
	{ "faster, now that others are cut",
	  1000 * MB,
	  100 * MB,
	  20 * S,
	  200 * S,
	  { { 0, 100 * MB, 180 * S, true }, { 2 * S, 300 * MB, 7 * S, true } } },
	{ "slower than it was",
	  100 * MB,
	  50 * MB,
	  50 * S,
	  120 * S,
	  { { 0, 50 * MB, 50 * S, true },
	    { 1 * S, 50 * MB, 51 * S, true },
	    { 4 * S, 50 * MB + 400000, 496 * S, false } } },
	{ "stalled",
	  100 * MB,
	  50 * MB,
	  50 * S,
	  120 * S,
	  { { 0, 50 * MB, 50 * S, true },
	    { 9 * S, 50 * MB, NOBODY, true },
	    { 10 * S, 50 * MB, NOBODY, false } } },
	{ "all sent, and no answer",
	  5 * MB,
	  5 * MB,
	  50 * S,
	  120 * S,
	  { { 0, 5 * MB, 0, true },
	    { 9 * S, 5 * MB, 0, true },
	    { 10 * S, 5 * MB, 0, false } } },
	{ "a question",
	  5 * MB,
	  0,
	  0,
	  120 * S,
	  { { 0, 0, NOBODY, true },
	    { 9 * S, 0, NOBODY, true },
	    { 10 * S, 0, NOBODY, false } } },
	{ "begins after the stop",
	  5 * MB,
	  0,
	  0,
	  120 * S,
	  { { 0, 0, NOBODY, true },
	    { 9 * S, 1 * MB, 36 * S, true },
	    { 12 * S, 4 * MB, 3 * S, true } } },
	{ "an empty file", 0, 0, 0, 120 * S, { { 0, 0, 0, true } } },
};

static void test_stops(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(STOPS); i++) {
		usec_t deadline = STOP + STOPS[i].deadline;
		struct farewell f;

		farewell_begin(&f, STOPS[i].size, STOPS[i].sent, STOP - STOPS[i].since,
			       STOP);
		for (const struct look *l = STOPS[i].looks;
		     l == STOPS[i].looks || l->after > 0; l++) {
			usec_t now = STOP + l->after, left;

			farewell_note(&f, l->sent, now);
			left = farewell_left(&f, STOP, now);
			if (left != l->left ||
			    farewell_waits(&f, STOP, deadline, now) != l->waits)
				fail_msg("%s, after %ju: %ju left", STOPS[i].name,
					 (uintmax_t)l->after, (uintmax_t)left);
		}
	}
}

/* Whatever its rate, none is waited for beyond the deadline, and none that would have
 * ended long before it is cut. */
static void test_any_rate(void **state)
{
	(void)state;
	for (uint64_t rate = 1000; rate < 1000 * MB; rate = rate * 5 / 3) {
		const uint64_t size = 1000 * MB;
		struct farewell f;
		usec_t now = STOP, deadline = STOP + FAREWELL_CEILING;
		uint64_t sent = MIN(rate * 10, size);

		farewell_begin(&f, size, sent, STOP - 10 * S, now);
		while (sent < size && farewell_waits(&f, STOP, deadline, now)) {
			now += FAREWELL_LOOK;
			sent = MIN(sent + rate, size);
			farewell_note(&f, sent, now);
		}
		assert_true(now <= deadline);
		if ((size - MIN(rate * 10, size)) / rate < FAREWELL_CEILING / S)
			assert_int_equal(sent, size);
	}
}

static void test_overflow(void **state)
{
	struct farewell f;

	(void)state;
	farewell_begin(&f, UINT64_MAX, 1, 0, 1000 * USEC_PER_DAY);
	assert_int_equal(farewell_left(&f, 1000 * USEC_PER_DAY, 1000 * USEC_PER_DAY),
			 USEC_INFINITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_any_rate),
		cmocka_unit_test(test_overflow),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("farewell", tests, NULL, NULL);
}
