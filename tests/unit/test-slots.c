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
			if (slots_shrink(&slots, steps[i].n, now) != steps[i].first)
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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_slots) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
