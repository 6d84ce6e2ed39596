#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "pulse.h"

#define MIN_  USEC_PER_MINUTE
#define LIMIT (5 * MIN_)

struct look {
	usec_t after; /* the one before */
	struct pulse_sight sight;
	enum pulse_state state;
};

static const struct {
	const char *name;
	struct look looks[10];
} SCRIPTS[] = {
	{ "starts go on",
	  { { MIN_, { .due = true, .starts = 1 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 2 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 3 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 4 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 5 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 6 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS } } },
	{ "nothing is started that could be",
	  { { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_STUCK } } },
	{ "nothing can be started, for hours, and then for a while it could",
	  { { MIN_, { .starts = 7 }, PULSE_BEATS },
	    { 60 * MIN_, { .starts = 7 }, PULSE_BEATS },
	    { 60 * MIN_, { .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS } } },
	{ "suspended for a night",
	  { { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { 480 * MIN_, { .due = true, .starts = 7 }, PULSE_BEATS },
	    { MIN_, { .due = true, .starts = 8 }, PULSE_BEATS } } },
	{ "one rests, whatever the others do",
	  { { MIN_, { .starts = 7, .resting = LIMIT - 1 }, PULSE_BEATS },
	    { MIN_, { .starts = 8, .resting = LIMIT }, PULSE_STUCK } } },
	{ "the disk does not answer, and what else rests is a fault all the same",
	  { { MIN_, { .starts = 7, .recording = LIMIT - 1 }, PULSE_BEATS },
	    { MIN_, { .starts = 7, .recording = LIMIT }, PULSE_DISK },
	    { 60 * MIN_, { .starts = 7, .recording = 9 * LIMIT }, PULSE_DISK },
	    { MIN_, { .resting = LIMIT, .recording = 9 * LIMIT }, PULSE_STUCK } } },
};

static void test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(SCRIPTS); i++) {
		struct pulse pulse = {};
		usec_t now = 1000 * MIN_;

		for (const struct look *l = SCRIPTS[i].looks; l->after > 0; l++) {
			usec_t step;

			now += l->after;
			step = pulse_step(&pulse, now);
			if (pulse_judge(&pulse, &l->sight, step, LIMIT) != l->state)
				fail_msg("%s, look %td", SCRIPTS[i].name,
					 l - SCRIPTS[i].looks);
		}
	}
}

static void test_steps(void **state)
{
	struct pulse pulse = {};

	(void)state;
	assert_int_equal(pulse_step(&pulse, 1000 * MIN_), 0);
	assert_int_equal(pulse_step(&pulse, 1000 * MIN_ + 5), 5);
	assert_int_equal(pulse_step(&pulse, 5000 * MIN_), 2 * PULSE_INTERVAL);
	assert_int_equal(pulse_step(&pulse, 4000 * MIN_), 0);
}

static void test_marks(void **state)
{
	struct pulse_mark mark = {};

	(void)state;
	assert_int_equal(pulse_note(&mark, 7, MIN_), 0);
	assert_int_equal(pulse_note(&mark, 7, MIN_), MIN_);
	assert_int_equal(pulse_note(&mark, 7, MIN_), 2 * MIN_);
	assert_int_equal(pulse_note(&mark, 6, MIN_), 0);
	assert_int_equal(pulse_note(&mark, 6, USEC_INFINITY), USEC_INFINITY);
	assert_int_equal(pulse_note(&mark, 6, MIN_), USEC_INFINITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_marks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("pulse", tests, NULL, NULL);
}
