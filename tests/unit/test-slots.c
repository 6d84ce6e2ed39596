#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "slots.h"

#define NOW  (1000 * USEC_PER_SEC)
#define NONE 0

/* One after the other, to the same slots. */
static const struct {
	enum { CONFIGURE, SHRINK, LOOK } act;
	size_t n;      /* configured, moving */
	size_t of;     /* SHRINK: of which are only recorded */
	usec_t after;  /* since NOW */
	bool first;    /* SHRINK: the first one */
	size_t expect; /* LOOK */
} steps[] = {
	{ CONFIGURE, .n = 16 },
	{ LOOK, .after = NONE, .expect = 16 },
	/* A shortage takes away what was too much, and one comes back at a time. */
	{ SHRINK, .n = 10, .first = true },
	{ LOOK, .after = 1, .expect = 9 },
	{ SHRINK, .n = 9, .after = 1 },
	{ LOOK, .after = SLOTS_DELAY, .expect = 8 },
	{ LOOK, .after = SLOTS_DELAY + 1, .expect = 9 },
	{ LOOK, .after = SLOTS_DELAY + 2, .expect = 9 },
	{ LOOK, .after = 2 * SLOTS_DELAY + 1, .expect = 10 },
	/* More are configured: they are missing too. */
	{ CONFIGURE, .n = 20 },
	{ LOOK, .after = 2 * SLOTS_DELAY + 2, .expect = 10 },
	/* As many as there are, or fewer: none is missing. */
	{ CONFIGURE, .n = 4 },
	{ LOOK, .after = 9 * SLOTS_DELAY, .expect = 4 },
	{ LOOK, .after = 99 * SLOTS_DELAY, .expect = 4 },
	{ CONFIGURE, .n = 6 },
	{ LOOK, .after = 99 * SLOTS_DELAY, .expect = 6 },
	/* Those that started when there were more do not bring them back. */
	{ SHRINK, .n = 16, .after = 100 * SLOTS_DELAY, .first = true },
	{ LOOK, .after = 100 * SLOTS_DELAY, .expect = 6 },
	{ LOOK, .after = 101 * SLOTS_DELAY, .expect = 6 },
	{ LOOK, .after = 109 * SLOTS_DELAY, .expect = 6 },
	/* Nor do those that were sent count. */
	{ CONFIGURE, .n = 4 },
	{ CONFIGURE, .n = 16 },
	{ SHRINK, .n = 30, .of = 16, .after = 110 * SLOTS_DELAY, .first = true },
	{ LOOK, .after = 110 * SLOTS_DELAY, .expect = 13 },
	{ SHRINK, .n = 13, .of = 12, .after = 110 * SLOTS_DELAY },
	{ LOOK, .after = 110 * SLOTS_DELAY, .expect = 1 },
	{ CONFIGURE, .n = 1 },
	{ CONFIGURE, .n = 6 },
	/* One is left whatever happens. */
	{ SHRINK, .n = 1, .after = 110 * SLOTS_DELAY, .first = true },
	{ SHRINK, .n = 1, .after = 110 * SLOTS_DELAY },
	{ LOOK, .after = 110 * SLOTS_DELAY, .expect = 1 },
	{ LOOK, .after = 111 * SLOTS_DELAY, .expect = 2 },
};

static void test_slots(void **state)
{
	struct slots slots = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		usec_t now = NOW + steps[i].after;
		size_t seen;

		switch (steps[i].act) {
		case CONFIGURE: slots_configure(&slots, steps[i].n); break;
		case SHRINK:
			if (slots_shrink(&slots, steps[i].n, steps[i].of, now) !=
			    steps[i].first)
				fail_msg("step %zu: told otherwise", i);
			break;
		case LOOK:
			seen = slots_at(&slots, now);
			if (seen != steps[i].expect)
				fail_msg("step %zu: %zu slots", i, seen);
			break;
		}
	}
}

/* ---- small ones and large ones ---- */

static const struct {
	size_t slots, large;
	unsigned small; /* that started since a large one did */
	enum slots_turn expect;
} turns[] = {
	{ 16, 0, 0, SLOTS_SMALL_FIRST },
	{ 16, 0, 3, SLOTS_SMALL_FIRST },
	{ 16, 0, 4, SLOTS_LARGE_FIRST },
	{ 16, 3, 9, SLOTS_LARGE_FIRST },
	{ 16, 4, 9, SLOTS_SMALL_FIRST },
	{ 16, 11, 9, SLOTS_SMALL_FIRST },
	{ 16, 12, 9, SLOTS_SMALL_ONLY },
	{ 16, 15, 0, SLOTS_SMALL_ONLY },
	{ 2, 0, 0, SLOTS_SMALL_FIRST },
	{ 2, 0, 4, SLOTS_LARGE_FIRST },
	{ 2, 1, 4, SLOTS_SMALL_ONLY },
	{ 3, 0, 4, SLOTS_LARGE_FIRST },
	{ 3, 1, 4, SLOTS_SMALL_FIRST },
	{ 3, 2, 4, SLOTS_SMALL_ONLY },
	{ 1, 0, 0, SLOTS_SMALL_FIRST },
	{ 1, 0, 4, SLOTS_LARGE_FIRST },
	{ 1, 1, 4, SLOTS_SMALL_ONLY },
	{ 1024, 255, 4, SLOTS_LARGE_FIRST },
	{ 1024, 768, 4, SLOTS_SMALL_ONLY },
	/* Those that started when there were more. */
	{ 4, 9, 4, SLOTS_SMALL_ONLY },
};

static void test_turns(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		struct slots slots = {};

		slots_configure(&slots, turns[i].slots);
		slots_started(&slots, true);
		for (unsigned n = 0; n < turns[i].small; n++)
			slots_started(&slots, false);
		if (slots_turn(&slots, turns[i].large) != turns[i].expect)
			fail_msg(
				"%zu slots, %zu large, after %u small: it is another's turn",
				turns[i].slots, turns[i].large, turns[i].small);
	}
}

/* Slots are plenty, but only one file may go at a time: neither kind waits for more than
 * a few of the other. */
static void test_turns_where_slots_are_plenty(void **state)
{
	struct slots slots = {};
	unsigned in_row[2] = {};

	(void)state;
	slots_configure(&slots, 16);
	for (size_t i = 0; i < 100; i++) {
		bool large = slots_turn(&slots, 0) == SLOTS_LARGE_FIRST;

		slots_started(&slots, large);
		in_row[large]++;
		in_row[!large] = 0;
		assert_true(in_row[0] <= SLOTS_SMALL_MAX);
		assert_true(in_row[1] <= 1);
	}
}

/* One kind comes without end and keeps its slots for as long as @longest steps, for every
 * count of slots: how long does one of the other kind wait? */
struct play {
	struct slots slots;
	unsigned left[2][64]; /* steps, of each that moves */
	size_t moving[2];
};

static void end_some(struct play *play)
{
	for (unsigned kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < play->moving[kind];)
			if (--play->left[kind][i] == 0)
				play->left[kind][i] =
					play->left[kind][--play->moving[kind]];
			else
				i++;
}

/* Gives slots to those that are there, of whom there are so many @ready. */
static void give(struct play *play, size_t ready[2], const unsigned last[2])
{
	while (play->moving[0] + play->moving[1] < play->slots.count) {
		enum slots_turn turn = slots_turn(&play->slots, play->moving[1]);
		unsigned kind = turn == SLOTS_LARGE_FIRST;

		if (ready[kind] == 0 && turn != SLOTS_SMALL_ONLY)
			kind = !kind;
		if (ready[kind] == 0)
			return;
		ready[kind]--;
		slots_started(&play->slots, kind);
		play->left[kind][play->moving[kind]++] = last[kind];
	}
}

enum { FOREVER = 1000000, SHORT = 1 };

static void test_small_do_not_wait_for_large(void **state)
{
	(void)state;
	for (size_t count = 2; count <= 64; count++) {
		const unsigned last[] = { SHORT, FOREVER };
		struct play play = {};
		size_t ready[2] = { 0, 1000 };

		slots_configure(&play.slots, count);
		give(&play, ready, last);
		ready[0] = 1;
		give(&play, ready, last);
		assert_int_equal(ready[0], 0);
		assert_in_range(play.moving[1], count / 2, count - 1);
	}
}

static void test_large_get_going_among_small(void **state)
{
	(void)state;
	for (size_t count = 1; count <= 64; count++) {
		const unsigned last[] = { SHORT, 100 };
		struct play play = {};
		size_t waited = 0;

		slots_configure(&play.slots, count);
		for (size_t step = 0; step < 1000; step++) {
			size_t ready[2] = { 1000, step >= 10 };

			end_some(&play);
			give(&play, ready, last);
			waited = play.moving[1] > 0 ? 0 : waited + 1;
			assert_true(step < 10 || waited <= SLOTS_SMALL_MAX + 1);
			/* And never more than their part, as small ones wait, too. */
			assert_true(play.moving[1] <= MAX(count / 4, (size_t)1));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_turns_where_slots_are_plenty),
		cmocka_unit_test(test_small_do_not_wait_for_large),
		cmocka_unit_test(test_large_get_going_among_small),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
