#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "breaker.h"
#include "macro.h"

#define S     USEC_PER_SEC
#define ALL   UINT64_MAX /* the draw that waits for the whole ceiling */
#define NEVER USEC_INFINITY

static const struct backoff BACKOFF = { 1 * S, 60 * S };

enum action { END, START, FAIL, SUCCEED, ABANDON, HURRY, RENEW };

struct step {
	enum action action;
	bool probe; /* START: what it must return */
	usec_t now, at_least;
	uint64_t draw;
	enum breaker_change change;
	enum breaker_state state; /* afterwards */
	usec_t next;		  /* breaker_next() at `now`, afterwards */
};

struct script {
	const char *name;
	struct step steps[12];
};

#define CLOSED	BREAKER_CLOSED
#define OPEN	BREAKER_OPEN
#define PROBING BREAKER_PROBING
#define SAME	BREAKER_SAME
#define OPENED	BREAKER_OPENED
#define AGAIN	BREAKER_CLOSED_AGAIN

static const struct script SCRIPTS[] = {
	{ "closed: everybody, whatever succeeds",
	  {
		  { START, false, 5 * S, 0, 0, SAME, CLOSED, 5 * S },
		  { START, false, 6 * S, 0, 0, SAME, CLOSED, 6 * S },
		  { SUCCEED, false, 7 * S, 0, 0, SAME, CLOSED, 7 * S },
		  { ABANDON, false, 8 * S, 0, 0, SAME, CLOSED, 8 * S },
	  } },
	{ "opens at the first failure, one probe, closes",
	  {
		  { FAIL, false, 10 * S, 0, ALL, OPENED, OPEN, 11 * S },
		  { START, true, 11 * S, 0, 0, SAME, PROBING, NEVER },
		  { SUCCEED, true, 12 * S, 0, 0, AGAIN, CLOSED, 12 * S },
		  { START, false, 13 * S, 0, 0, SAME, CLOSED, 13 * S },
	  } },
	{ "waits longer with each probe, and anew after it closed",
	  {
		  { FAIL, false, 10 * S, 0, ALL, OPENED, OPEN, 11 * S },
		  { START, true, 11 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 20 * S, 0, ALL, SAME, OPEN, 22 * S },
		  { START, true, 22 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 30 * S, 0, ALL, SAME, OPEN, 34 * S },
		  { START, true, 34 * S, 0, 0, SAME, PROBING, NEVER },
		  { SUCCEED, true, 35 * S, 0, 0, AGAIN, CLOSED, 35 * S },
		  { FAIL, false, 40 * S, 0, ALL, OPENED, OPEN, 41 * S },
	  } },
	{ "what was under way changes nothing, open or probing",
	  {
		  { FAIL, false, 10 * S, 0, ALL, OPENED, OPEN, 11 * S },
		  { FAIL, false, 10 * S, 0, ALL, SAME, OPEN, 11 * S },
		  { SUCCEED, false, 10 * S, 0, 0, SAME, OPEN, 11 * S },
		  { ABANDON, false, 10 * S, 0, 0, SAME, OPEN, 11 * S },
		  { START, true, 11 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, false, 12 * S, 0, ALL, SAME, PROBING, NEVER },
		  { SUCCEED, false, 12 * S, 0, 0, SAME, PROBING, NEVER },
		  { ABANDON, false, 12 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 20 * S, 0, ALL, SAME, OPEN, 22 * S },
	  } },
	{ "but for the longer wait that it was told of",
	  {
		  { FAIL, false, 10 * S, 30 * S, 0, OPENED, OPEN, 40 * S },
		  { FAIL, false, 11 * S, 10 * S, ALL, SAME, OPEN, 40 * S },
		  { FAIL, false, 12 * S, 90 * S, ALL, SAME, OPEN, 103 * S },
		  { START, true, 103 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, false, 104 * S, 60 * S, 0, SAME, PROBING, NEVER },
		  { ABANDON, true, 105 * S, 0, 0, SAME, OPEN, 164 * S },
		  { START, true, 164 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, false, 165 * S, 90 * S, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 166 * S, 0, ALL, SAME, OPEN, 168 * S },
	  } },
	{ "an abandoned probe leaves its place at once, and the count",
	  {
		  { FAIL, false, 10 * S, 0, ALL, OPENED, OPEN, 11 * S },
		  { START, true, 11 * S, 0, 0, SAME, PROBING, NEVER },
		  { ABANDON, true, 12 * S, 0, 0, SAME, OPEN, 11 * S },
		  { START, true, 12 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 20 * S, 0, ALL, SAME, OPEN, 22 * S },
	  } },
	{ "what the service asks for is kept, jitter on top",
	  {
		  { FAIL, false, 10 * S, 30 * S, 0, OPENED, OPEN, 40 * S },
		  { START, true, 40 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 50 * S, 30 * S, ALL, SAME, OPEN, 82 * S },
	  } },
	{ "the least draw: at once, but still one at a time",
	  {
		  { FAIL, false, 10 * S, 0, 0, OPENED, OPEN, 10 * S },
		  { START, true, 10 * S, 0, 0, SAME, PROBING, NEVER },
	  } },
	{ "in a hurry: at once, one at a time, the count goes on",
	  {
		  { HURRY, false, 9 * S, 0, 0, SAME, CLOSED, 9 * S },
		  { FAIL, false, 10 * S, 0, ALL, OPENED, OPEN, 11 * S },
		  { START, true, 11 * S, 0, 0, SAME, PROBING, NEVER },
		  { HURRY, false, 12 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 20 * S, 0, ALL, SAME, OPEN, 22 * S },
		  { HURRY, false, 20 * S, 0, 0, SAME, OPEN, 20 * S },
		  { START, true, 20 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 21 * S, 0, ALL, SAME, OPEN, 25 * S },
	  } },
	{ "in a hurry: what the service asked for is kept, the jitter is not",
	  {
		  { FAIL, false, 10 * S, 30 * S, ALL, OPENED, OPEN, 41 * S },
		  { HURRY, false, 11 * S, 0, 0, SAME, OPEN, 40 * S },
		  { FAIL, false, 12 * S, 50 * S, ALL, SAME, OPEN, 63 * S },
		  { HURRY, false, 13 * S, 0, 0, SAME, OPEN, 62 * S },
		  { START, true, 62 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 63 * S, 0, ALL, SAME, OPEN, 65 * S },
		  { HURRY, false, 64 * S, 0, 0, SAME, OPEN, 64 * S },
	  } },
	{ "renewed: nothing of the old one counts",
	  {
		  { RENEW, false, 9 * S, 0, 0, SAME, CLOSED, 9 * S },
		  { FAIL, false, 10 * S, 30 * S, ALL, OPENED, OPEN, 41 * S },
		  { RENEW, false, 11 * S, 0, 0, SAME, OPEN, 11 * S },
		  { START, true, 11 * S, 0, 0, SAME, PROBING, NEVER },
		  { RENEW, false, 12 * S, 0, 0, SAME, OPEN, 11 * S },
		  { START, true, 12 * S, 0, 0, SAME, PROBING, NEVER },
		  { FAIL, true, 13 * S, 0, ALL, SAME, OPEN, 14 * S },
		  { START, true, 14 * S, 0, 0, SAME, PROBING, NEVER },
		  { SUCCEED, true, 15 * S, 0, 0, AGAIN, CLOSED, 15 * S },
	  } },
	{ "a wait without end does not come round again",
	  {
		  { FAIL, false, 10 * S, NEVER, ALL, OPENED, OPEN, NEVER },
	  } },
};

static enum breaker_change act(struct breaker *b, const struct step *s)
{
	switch (s->action) {
	case END: break;
	case START:
		if (breaker_next(b, s->now) > s->now || breaker_start(b) != s->probe)
			fail_msg("no start, or not of this kind");
		break;
	case FAIL: return breaker_failed(b, s->probe, s->now, s->at_least, s->draw);
	case SUCCEED: return breaker_succeeded(b, s->probe);
	case ABANDON: breaker_abandoned(b, s->probe); break;
	case HURRY: breaker_hurry(b, s->now, false); break;
	case RENEW: breaker_hurry(b, s->now, true); break;
	}
	return BREAKER_SAME;
}

static void test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(SCRIPTS); i++) {
		struct breaker b = { .backoff = BACKOFF };

		for (const struct step *s = SCRIPTS[i].steps; s->action != END; s++) {
			enum breaker_change change = act(&b, s);

			if (change != s->change || b.state != s->state ||
			    breaker_next(&b, s->now) != s->next)
				fail_msg("%s, step %td", SCRIPTS[i].name,
					 s - SCRIPTS[i].steps);
		}
	}
}

static void test_tells_since_when(void **state)
{
	struct breaker b = { .backoff = BACKOFF };

	(void)state;
	breaker_failed(&b, false, 10 * S, 0, 0);
	assert_true(breaker_start(&b));
	breaker_failed(&b, true, 20 * S, 0, 0);
	assert_int_equal(b.since, 10 * S);
	assert_int_equal(b.failures, 2);
	assert_true(breaker_start(&b));
	breaker_succeeded(&b, true);
	assert_int_equal(b.failures, 0);
	breaker_failed(&b, false, 30 * S, 0, 0);
	assert_int_equal(b.since, 30 * S);
	assert_int_equal(b.failures, 1);
}

/* However requests overlap and end: one probe at a time, and open and close in turn. */
static void test_any_order(void **state)
{
	struct breaker b = { .backoff = BACKOFF };
	unsigned under_way = 0, opened = 0, closed = 0, random = 1;
	bool probe = false;

	(void)state;
	for (usec_t now = 0; now < 200000 * (S / 10); now += S / 10) {
		enum breaker_change change = BREAKER_SAME;
		bool end_probe;

		random = random * 1103515245U + 12345U;
		if (random >> 30 < 2 && breaker_next(&b, now) <= now) {
			bool is_probe = breaker_start(&b);

			assert_false(is_probe && probe);
			probe = probe || is_probe;
			under_way += !is_probe;
			continue;
		}
		end_probe = probe && random & 1U << 20;
		if (!end_probe && under_way == 0)
			continue;
		if (random >> 28 & 1)
			change = breaker_succeeded(&b, end_probe);
		else if (random >> 27 & 1)
			breaker_abandoned(&b, end_probe);
		else
			change = breaker_failed(&b, end_probe, now, 0, random * ALL);
		if (end_probe)
			probe = false;
		else
			under_way--;
		opened += change == BREAKER_OPENED;
		closed += change == BREAKER_CLOSED_AGAIN;
		assert_in_range(opened - closed, 0, 1);
		assert_int_equal(b.state == BREAKER_CLOSED, opened == closed);
		assert_int_equal(b.state == BREAKER_PROBING, probe);
	}
	assert_true(closed > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_tells_since_when),
		cmocka_unit_test(test_any_order),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
