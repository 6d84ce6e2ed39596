#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "macro.h"
#include "schedule.h"

#define S USEC_PER_SEC

static void add(struct schedule *s, struct item *item, const void *place,
		const char *name)
{
	*item = (struct item){ .place = place, .name = name };
	assert_int_equal(schedule_add(s, item), 0);
}

/* ---- one by one ---- */

static void test_empty(void **state)
{
	struct schedule s;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	assert_int_equal(schedule_room(&s), SCHEDULE_MAX);
	assert_null(schedule_find(&s, &s, "a"));
	assert_null(schedule_peek(&s, 0));
	assert_int_equal(schedule_wake(&s), USEC_INFINITY);
	assert_int_equal(schedule_advance(&s, USEC_INFINITY), 0);
	schedule_done(&s, NULL);
}

static void test_finds_by_place_and_name(void **state)
{
	struct schedule s;
	int here, there;
	struct item items[3];
	char name[] = "a"; /* another string of the same letters */

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	add(&s, &items[0], &here, "a");
	add(&s, &items[1], &there, "a");
	add(&s, &items[2], &here, "b");
	assert_ptr_equal(schedule_find(&s, &here, name), &items[0]);
	assert_ptr_equal(schedule_find(&s, &there, name), &items[1]);
	assert_ptr_equal(schedule_find(&s, &here, "b"), &items[2]);
	assert_null(schedule_find(&s, &there, "b"));
	assert_null(schedule_find(&s, &here, ""));
	schedule_remove(&s, &items[0]);
	assert_int_equal(items[0].state, ITEM_GONE);
	assert_null(schedule_find(&s, &here, "a"));
	assert_ptr_equal(schedule_find(&s, &there, "a"), &items[1]);
	add(&s, &items[0], &here, "a");
	assert_ptr_equal(schedule_find(&s, &here, "a"), &items[0]);
	schedule_done(&s, NULL);
}

static void test_queue(void **state)
{
	struct schedule s;
	struct item a, b, c;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	add(&s, &a, NULL, "a");
	add(&s, &b, NULL, "b");
	add(&s, &c, NULL, "c");
	schedule_ready(&s, &a, false);
	schedule_ready(&s, &b, false);
	schedule_ready(&s, &c, true);
	assert_ptr_equal(schedule_peek(&s, 0), &c);
	assert_int_equal(c.state, ITEM_READY);
	schedule_start(&s, &c);
	assert_int_equal(c.state, ITEM_MOVING);
	assert_ptr_equal(schedule_peek(&s, 0), &a);
	schedule_ready(&s, &a, false); /* once more: to the end */
	assert_ptr_equal(schedule_peek(&s, 0), &b);
	schedule_remove(&s, &b);
	assert_ptr_equal(schedule_peek(&s, 0), &a);
	schedule_ready(&s, &c, true); /* paused: first again */
	assert_ptr_equal(schedule_peek(&s, 0), &c);
	assert_int_equal(s.counts[ITEM_READY], 2);
	assert_int_equal(s.counts[ITEM_MOVING], 0);
	schedule_done(&s, NULL);
}

static void test_waits(void **state)
{
	struct schedule s;
	struct item a, b, c;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	add(&s, &a, NULL, "a");
	add(&s, &b, NULL, "b");
	add(&s, &c, NULL, "c");
	schedule_wait(&s, &a, ITEM_SETTLING, 30 * S);
	schedule_wait(&s, &b, ITEM_WAITING, 20 * S);
	schedule_wait(&s, &c, ITEM_SETTLING, 10 * S);
	assert_int_equal(schedule_wake(&s), 10 * S);
	schedule_wait(&s, &c, ITEM_SETTLING, 40 * S); /* an event: later */
	assert_int_equal(schedule_wake(&s), 20 * S);
	schedule_wait(&s, &b, ITEM_SETTLING, 35 * S); /* it changed: another state */
	assert_int_equal(schedule_wake(&s), 30 * S);
	assert_int_equal(s.counts[ITEM_SETTLING], 3);
	assert_int_equal(s.counts[ITEM_WAITING], 0);
	assert_int_equal(schedule_advance(&s, 30 * S - 1), 0);
	assert_int_equal(schedule_advance(&s, 35 * S), 2);
	assert_ptr_equal(schedule_peek(&s, 0), &a);
	schedule_start(&s, &a);
	assert_ptr_equal(schedule_peek(&s, 0), &b);
	schedule_ready(&s, &c, false); /* before its time */
	assert_int_equal(schedule_wake(&s), USEC_INFINITY);
	schedule_wait(&s, &a, ITEM_WAITING, USEC_INFINITY);
	assert_int_equal(schedule_advance(&s, USEC_INFINITY - 1), 0);
	schedule_done(&s, NULL);
}

static unsigned released;

static void release(struct item *item)
{
	released++;
	free((char *)item->name);
	free(item);
}

static void test_ceiling(void **state)
{
	struct schedule s;
	struct item extra = { .name = "one too many" }, *gone;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	released = 0;
	for (size_t i = 0; i < SCHEDULE_MAX; i++) {
		struct item *item = calloc(1, sizeof(*item));
		char *name = NULL;

		assert_int_equal(schedule_room(&s), SCHEDULE_MAX - i);
		assert_true(item && asprintf(&name, "%zu", i) > 0);
		add(&s, item, NULL, name);
		schedule_wait(&s, item, ITEM_SETTLING, (i * 7919) % SCHEDULE_MAX);
	}
	assert_int_equal(schedule_room(&s), 0);
	assert_int_equal(schedule_add(&s, &extra), -ENOBUFS);
	assert_null(schedule_find(&s, NULL, extra.name));
	assert_int_equal(schedule_advance(&s, SCHEDULE_MAX), SCHEDULE_MAX);
	/* 7919 is prime to the size: each time came once, and they come in order. */
	for (usec_t at = 0; at < SCHEDULE_MAX; at++) {
		struct item *item = schedule_peek(&s, 0);

		assert_int_equal(item->at, at);
		schedule_start(&s, item);
	}
	assert_null(schedule_peek(&s, 0));
	gone = schedule_find(&s, NULL, "17");
	schedule_remove(&s, gone);
	assert_int_equal(schedule_room(&s), 1);
	assert_int_equal(schedule_add(&s, &extra), 0);
	assert_ptr_equal(schedule_find(&s, NULL, extra.name), &extra);
	schedule_remove(&s, &extra);
	schedule_done(&s, release);
	assert_int_equal(released, SCHEDULE_MAX - 1);
	release(gone);
}

/* ---- what must not be done ends the process ---- */

enum misuse {
	START_SETTLING,
	WAIT_IN_READY,
	SETTLE_READY,
	READY_GONE,
	ADD_TWICE,
	MISUSES
};

static void misuse(enum misuse what)
{
	struct schedule s;
	struct item item, twin = { .name = "a" };

	assert_int_equal(schedule_init(&s), 0);
	add(&s, &item, NULL, "a");
	switch (what) {
	case START_SETTLING:
		schedule_wait(&s, &item, ITEM_SETTLING, 1);
		schedule_start(&s, &item);
		break;
	case WAIT_IN_READY: schedule_wait(&s, &item, ITEM_READY, 1); break;
	case SETTLE_READY:
		schedule_ready(&s, &item, false);
		schedule_wait(&s, &item, ITEM_SETTLING, 1);
		break;
	case READY_GONE:
		schedule_remove(&s, &item);
		schedule_ready(&s, &item, false);
		break;
	case ADD_TWICE: (void)schedule_add(&s, &twin); break;
	case MISUSES: break;
	}
}

static void test_misuse(void **state)
{
	(void)state;
	for (enum misuse what = 0; what < MISUSES; what++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			const struct rlimit no_core = {};

			setrlimit(RLIMIT_CORE, &no_core);
			signal(SIGABRT, SIG_DFL);
			dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
			misuse(what);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
			fail_msg("misuse %d was let through", what);
	}
}

/* ---- against a model that is too simple to be wrong ---- */

enum { ITEMS = 64, PLACES = 3, OPERATIONS = 20000 };

struct model {
	struct schedule schedule;
	struct item items[ITEMS];
	char names[ITEMS][8];
	bool known[ITEMS];
	struct item *queue[ITEMS]; /* READY, the first first */
	size_t queued;
	uint64_t random;
	usec_t now;
};

static unsigned draw(struct model *m, unsigned below)
{
	m->random = m->random * UINT64_C(6364136223846793005) +
		    UINT64_C(1442695040888963407);
	return (unsigned)(m->random >> 33) % below;
}

static const void *place_of(struct model *m, size_t i)
{
	return &m->names[i % PLACES];
}

static void model_unqueue(struct model *m, const struct item *item)
{
	for (size_t i = 0; i < m->queued; i++)
		if (m->queue[i] == item) {
			memmove(&m->queue[i], &m->queue[i + 1],
				(--m->queued - i) * sizeof(m->queue[0]));
			return;
		}
}

static void model_queue(struct model *m, struct item *item, bool first)
{
	model_unqueue(m, item);
	if (first)
		memmove(&m->queue[1], &m->queue[0], m->queued * sizeof(m->queue[0]));
	m->queue[first ? 0 : m->queued] = item;
	m->queued++;
}

static bool waits(const struct item *item)
{
	return item->state == ITEM_SETTLING || item->state == ITEM_WAITING;
}

static usec_t model_wake(const struct model *m)
{
	usec_t wake = USEC_INFINITY;

	for (size_t i = 0; i < ITEMS; i++)
		if (m->known[i] && waits(&m->items[i]))
			wake = MIN(wake, m->items[i].at);
	return wake;
}

static void compare(struct model *m)
{
	const struct schedule *s = &m->schedule;
	size_t counts[ITEM_STATES] = {}, size = 0, heap = 0;

	for (size_t i = 0; i < ITEMS; i++) {
		struct item *found = schedule_find(s, place_of(m, i), m->names[i]);

		assert_ptr_equal(found, m->known[i] ? &m->items[i] : NULL);
		counts[m->items[i].state] += m->known[i];
		heap += m->known[i] && waits(&m->items[i]);
		size += m->known[i];
	}
	assert_memory_equal(counts, s->counts, sizeof(counts));
	assert_int_equal(s->size, size);
	assert_int_equal(schedule_room(s), SCHEDULE_MAX - size);
	assert_int_equal(s->heap_size, heap);
	assert_int_equal(schedule_wake(s), model_wake(m));
	assert_ptr_equal(schedule_peek(&m->schedule, 0), m->queued ? m->queue[0] : NULL);
}

static void advance(struct model *m)
{
	struct item *item = TAILQ_LAST(&m->schedule.ready[0], item_queue);
	size_t due = 0, moved;
	usec_t last = 0;

	m->now += draw(m, 20);
	for (size_t i = 0; i < ITEMS; i++)
		due += m->known[i] && waits(&m->items[i]) && m->items[i].at <= m->now;
	moved = schedule_advance(&m->schedule, m->now);
	assert_int_equal(moved, due);
	/* Behind all others, the earliest first. */
	for (item = item ? TAILQ_NEXT(item, ready) : TAILQ_FIRST(&m->schedule.ready[0]);
	     item; item = TAILQ_NEXT(item, ready), moved--) {
		assert_in_range(item->at, last, m->now);
		last = item->at;
		model_queue(m, item, false);
	}
	assert_int_equal(moved, 0);
}

static void come(struct model *m, size_t i)
{
	add(&m->schedule, &m->items[i], place_of(m, i), m->names[i]);
	m->known[i] = true;
}

static void operate(struct model *m)
{
	size_t i = draw(m, ITEMS);
	struct item *item = &m->items[i];
	usec_t at = m->now + draw(m, 50);
	bool first = draw(m, 2);

	if (draw(m, 10) == 0) {
		advance(m);
		return;
	}
	if (!m->known[i])
		come(m, i);
	if (draw(m, 12) == 0) {
		model_unqueue(m, item);
		schedule_remove(&m->schedule, item);
		m->known[i] = false;
		return;
	}
	switch (item->state) {
	case ITEM_READY:
		if (first) {
			schedule_start(&m->schedule, item);
			model_unqueue(m, item);
			break;
		}
		/* fall through */
	case ITEM_NEW:
	case ITEM_SETTLING:
		if (item->state != ITEM_READY && draw(m, 3)) {
			schedule_wait(&m->schedule, item, ITEM_SETTLING, at);
			break;
		}
		schedule_ready(&m->schedule, item, first);
		model_queue(m, item, first);
		break;
	case ITEM_MOVING:
	case ITEM_WAITING:
		schedule_wait(&m->schedule, item, first ? ITEM_SETTLING : ITEM_WAITING,
			      at);
		break;
	case ITEM_GONE:
	case ITEM_STATES: fail();
	}
}

static void test_against_the_model(void **state)
{
	static const uint64_t seeds[] = { 1, 2, 3, 20261123, 0x9E3779B97F4A7C15 };

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(seeds); n++) {
		struct model *m = calloc(1, sizeof(*m));

		assert_non_null(m);
		m->random = seeds[n];
		assert_int_equal(schedule_init(&m->schedule), 0);
		for (size_t i = 0; i < ITEMS; i++)
			snprintf(m->names[i], sizeof(m->names[i]), "%zu", i / PLACES);
		for (size_t i = 0; i < OPERATIONS; i++) {
			operate(m);
			compare(m);
		}
		schedule_done(&m->schedule, NULL);
		free(m);
	}
}

/* What waits in one lane stands in nobody's way in another. */
static void test_lanes(void **state)
{
	struct schedule s;
	struct item a = { .name = "a", .lane = 1 }, b = { .name = "b", .lane = 2 },
		    c = { .name = "c", .lane = 1 };

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	assert_int_equal(schedule_add(&s, &a), 0);
	assert_int_equal(schedule_add(&s, &b), 0);
	assert_int_equal(schedule_add(&s, &c), 0);
	schedule_ready(&s, &a, false);
	schedule_ready(&s, &b, false);
	schedule_wait(&s, &c, ITEM_SETTLING, 5 * S);
	assert_null(schedule_peek(&s, 0));
	assert_ptr_equal(schedule_peek(&s, 1), &a);
	assert_ptr_equal(schedule_peek(&s, 2), &b);
	assert_int_equal(schedule_advance(&s, 5 * S), 1);
	schedule_start(&s, &a);
	assert_ptr_equal(schedule_peek(&s, 1), &c);
	/* Another one the next time. */
	a.lane = SCHEDULE_LANES - 1;
	schedule_ready(&s, &a, true);
	assert_ptr_equal(schedule_peek(&s, SCHEDULE_LANES - 1), &a);
	assert_ptr_equal(schedule_peek(&s, 1), &c);
	assert_int_equal(s.counts[ITEM_READY], 3);
	schedule_done(&s, NULL);
}

/* In whatever state: only what it is called changes. */
static void test_rename(void **state)
{
	struct schedule s;
	int here, there;
	struct item ready, waits, moves, other;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	add(&s, &ready, &here, "ready");
	add(&s, &waits, &here, "waits");
	add(&s, &moves, &here, "moves");
	add(&s, &other, &there, "ready");
	schedule_ready(&s, &moves, false);
	schedule_start(&s, &moves);
	schedule_ready(&s, &ready, false);
	schedule_wait(&s, &waits, ITEM_WAITING, 5 * S);
	assert_int_equal(schedule_rename(&s, &ready, &there), -EEXIST);
	assert_ptr_equal(schedule_find(&s, &here, "ready"), &ready);
	assert_int_equal(schedule_rename(&s, &waits, &there), 0);
	assert_int_equal(schedule_rename(&s, &moves, &there), 0);
	assert_null(schedule_find(&s, &here, "waits"));
	assert_ptr_equal(schedule_find(&s, &there, "waits"), &waits);
	assert_ptr_equal(schedule_find(&s, &there, "moves"), &moves);
	assert_int_equal(schedule_wake(&s), 5 * S);
	assert_int_equal(moves.state, ITEM_MOVING);
	assert_ptr_equal(schedule_peek(&s, 0), &ready);
	schedule_done(&s, NULL);
}

static void count(void *userdata, const struct item *item)
{
	((struct item *)item)->attempts++;
	++*(size_t *)userdata;
}

static void test_each(void **state)
{
	static struct item items[100];
	static char names[100][4];
	struct schedule s;
	size_t seen = 0;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	schedule_each(&s, count, &seen);
	assert_int_equal(seen, 0);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		snprintf(names[i], sizeof(names[i]), "%zu", i);
		add(&s, &items[i], NULL, names[i]);
	}
	schedule_each(&s, count, &seen);
	assert_int_equal(seen, ARRAY_SIZE(items));
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		assert_int_equal(items[i].attempts, 1);
	schedule_done(&s, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_finds_by_place_and_name),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_against_the_model),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_each),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
