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

static struct item *peek(struct schedule *s, unsigned lane)
{
	return schedule_peek(s, lane, ITEM_SMALL);
}

/* Makes ready what was to wait until then. How many. */
static size_t advance_to(struct schedule *s, usec_t now)
{
	struct item *item;
	size_t moved = 0;

	for (; (item = schedule_due(s, now)); moved++)
		schedule_ready(s, item, false);
	return moved;
}

/* ---- one by one ---- */

static void test_empty(void **state)
{
	struct schedule s;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	assert_int_equal(schedule_room_of(&s, NULL), SCHEDULE_MAX);
	assert_null(schedule_find(&s, &s, "a"));
	assert_null(peek(&s, 0));
	assert_int_equal(schedule_wake(&s), USEC_INFINITY);
	assert_int_equal(advance_to(&s, USEC_INFINITY), 0);
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
	assert_ptr_equal(peek(&s, 0), &c);
	assert_int_equal(c.state, ITEM_READY);
	schedule_start(&s, &c);
	assert_int_equal(c.state, ITEM_MOVING);
	assert_ptr_equal(peek(&s, 0), &a);
	schedule_ready(&s, &a, false); /* once more: to the end */
	assert_ptr_equal(peek(&s, 0), &b);
	schedule_remove(&s, &b);
	assert_ptr_equal(peek(&s, 0), &a);
	schedule_ready(&s, &c, true); /* paused: first again */
	assert_ptr_equal(peek(&s, 0), &c);
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
	assert_int_equal(advance_to(&s, 30 * S - 1), 0);
	assert_int_equal(advance_to(&s, 35 * S), 2);
	assert_ptr_equal(peek(&s, 0), &a);
	schedule_start(&s, &a);
	assert_ptr_equal(peek(&s, 0), &b);
	schedule_ready(&s, &c, false); /* before its time */
	assert_int_equal(schedule_wake(&s), USEC_INFINITY);
	schedule_wait(&s, &a, ITEM_WAITING, USEC_INFINITY);
	assert_int_equal(advance_to(&s, USEC_INFINITY - 1), 0);
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

		assert_int_equal(schedule_room_of(&s, NULL), SCHEDULE_MAX - i);
		assert_true(item && asprintf(&name, "%zu", i) > 0);
		add(&s, item, NULL, name);
		schedule_wait(&s, item, ITEM_SETTLING, (i * 7919) % SCHEDULE_MAX);
	}
	assert_int_equal(schedule_room_of(&s, NULL), 0);
	assert_int_equal(schedule_add(&s, &extra), -ENOBUFS);
	assert_null(schedule_find(&s, NULL, extra.name));
	assert_int_equal(advance_to(&s, SCHEDULE_MAX), SCHEDULE_MAX);
	/* 7919 is prime to the size: each time came once, and they come in order. */
	for (usec_t at = 0; at < SCHEDULE_MAX; at++) {
		struct item *item = peek(&s, 0);

		assert_int_equal(item->at, at);
		schedule_start(&s, item);
	}
	assert_null(peek(&s, 0));
	gone = schedule_find(&s, NULL, "17");
	schedule_remove(&s, gone);
	assert_int_equal(schedule_room_of(&s, NULL), 1);
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
	assert_int_equal(schedule_room_of(s, NULL), SCHEDULE_MAX - size);
	assert_int_equal(s->heap_size, heap);
	assert_int_equal(schedule_wake(s), model_wake(m));
	assert_ptr_equal(peek(&m->schedule, 0), m->queued ? m->queue[0] : NULL);
}

static void advance(struct model *m)
{
	struct item *item = m->queued ? m->queue[m->queued - 1] : NULL;
	size_t due = 0, moved;
	usec_t last = 0;

	m->now += draw(m, 20);
	for (size_t i = 0; i < ITEMS; i++)
		due += m->known[i] && waits(&m->items[i]) && m->items[i].at <= m->now;
	moved = advance_to(&m->schedule, m->now);
	assert_int_equal(moved, due);
	/* Behind all others, the earliest first. */
	for (item = item ? TAILQ_NEXT(item, ready) : peek(&m->schedule, 0); item;
	     item = TAILQ_NEXT(item, ready), moved--) {
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
	assert_null(peek(&s, 0));
	assert_ptr_equal(peek(&s, 1), &a);
	assert_ptr_equal(peek(&s, 2), &b);
	assert_int_equal(advance_to(&s, 5 * S), 1);
	schedule_start(&s, &a);
	assert_ptr_equal(peek(&s, 1), &c);
	/* Another one the next time. */
	a.lane = SCHEDULE_LANES - 1;
	schedule_ready(&s, &a, true);
	assert_ptr_equal(peek(&s, SCHEDULE_LANES - 1), &a);
	assert_ptr_equal(peek(&s, 1), &c);
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
	assert_int_equal(schedule_rename(&s, &ready, &there, NULL), -EEXIST);
	assert_ptr_equal(schedule_find(&s, &here, "ready"), &ready);
	assert_int_equal(schedule_rename(&s, &waits, &there, NULL), 0);
	assert_int_equal(schedule_rename(&s, &moves, &there, NULL), 0);
	assert_null(schedule_find(&s, &here, "waits"));
	assert_ptr_equal(schedule_find(&s, &there, "waits"), &waits);
	assert_ptr_equal(schedule_find(&s, &there, "moves"), &moves);
	assert_int_equal(schedule_wake(&s), 5 * S);
	assert_int_equal(moves.state, ITEM_MOVING);
	assert_ptr_equal(peek(&s, 0), &ready);
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

/* ---- owners and sizes ---- */

enum { OWNERS = 3 };

static const char owners[OWNERS];

static void add_of(struct schedule *s, struct item *item, size_t owner, const char *name,
		   enum item_size size)
{
	*item = (struct item){
		.place = &owners[owner],
		.owner = &owners[owner],
		.name = name,
		.size = size,
	};
	assert_int_equal(schedule_add(s, item), 0);
	schedule_ready(s, item, false);
}

/* A hundred of the first owner stand there before one of each other comes. */
static void test_owners_take_turns(void **state)
{
	static struct item flood[100], few[OWNERS];
	static char names[100][4];
	static const int expected[] = { 0, 1, 2, 0, 0, 0 };
	struct schedule s;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	schedule_share(&s, OWNERS);
	for (size_t i = 0; i < ARRAY_SIZE(flood); i++) {
		snprintf(names[i], sizeof(names[i]), "%zu", i);
		add_of(&s, &flood[i], 0, names[i], ITEM_SMALL);
	}
	for (size_t i = 1; i < OWNERS; i++)
		add_of(&s, &few[i], i, "one", ITEM_SMALL);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct item *item = peek(&s, 0);

		assert_ptr_equal(item->owner, &owners[expected[i]]);
		schedule_start(&s, item);
	}
	assert_null(schedule_peek_after(peek(&s, 0)));
	/* What is first is first among all; what leaves costs its owner no turn. */
	schedule_ready(&s, &few[2], true);
	schedule_ready(&s, &few[1], true);
	assert_ptr_equal(peek(&s, 0), &few[1]);
	assert_ptr_equal(schedule_peek_after(&few[1]), &few[2]);
	assert_ptr_equal(schedule_peek_after(&few[2])->owner, &owners[0]);
	assert_null(schedule_peek_after(schedule_peek_after(&few[2])));
	schedule_remove(&s, &few[1]);
	assert_ptr_equal(peek(&s, 0), &few[2]);
	schedule_done(&s, NULL);
}

static void test_sizes_stand_apart(void **state)
{
	struct schedule s;
	struct item a, b, c;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	add_of(&s, &a, 0, "a", ITEM_LARGE);
	add_of(&s, &b, 0, "b", ITEM_LARGE);
	add_of(&s, &c, 0, "c", ITEM_SMALL);
	assert_ptr_equal(schedule_peek(&s, 0, ITEM_LARGE), &a);
	assert_ptr_equal(schedule_peek(&s, 0, ITEM_SMALL), &c);
	assert_int_equal(s.moving_large, 0);
	assert_true(schedule_has_ready(&c, 0));
	assert_false(schedule_has_ready(&c, 1));
	schedule_start(&s, &a);
	schedule_start(&s, &c);
	assert_int_equal(s.moving_large, 1);
	assert_true(schedule_has_ready(&c, 0)); /* the other large one */
	/* It was sent: what is left to do is small. */
	a.size = ITEM_SMALL;
	schedule_ready(&s, &a, false);
	assert_int_equal(s.moving_large, 0);
	assert_ptr_equal(schedule_peek(&s, 0, ITEM_SMALL), &a);
	schedule_start(&s, &b);
	schedule_start(&s, &a);
	assert_false(schedule_has_ready(&c, 0));
	schedule_ready(&s, &a, false);
	assert_int_equal(s.moving_large, 1);
	/* Once it is sent, it is as any other. */
	schedule_lighten(&s, &b);
	assert_int_equal(s.moving_large, 0);
	assert_int_equal(s.counts[ITEM_MOVING], 2);
	schedule_lighten(&s, &b);
	schedule_remove(&s, &b);
	assert_int_equal(s.moving_large, 0);
	assert_null(schedule_peek(&s, 0, ITEM_LARGE));
	schedule_done(&s, NULL);
}

static bool is_b(const struct item *item)
{
	return streq(item->name, "b");
}

static void test_search(void **state)
{
	struct schedule s;
	struct item a, b;

	(void)state;
	assert_int_equal(schedule_init(&s), 0);
	add_of(&s, &a, 0, "a", ITEM_SMALL);
	assert_null(schedule_search(&s, 0, is_b));
	add_of(&s, &b, 1, "b", ITEM_LARGE);
	assert_ptr_equal(schedule_search(&s, 0, is_b), &b);
	assert_null(schedule_search(&s, 1, is_b));
	schedule_done(&s, NULL);
}

/* ---- a crowd that takes whatever it gets ---- */

struct crowd {
	struct schedule schedule;
	struct item items[SCHEDULE_MAX];
	char names[SCHEDULE_MAX][8];
	size_t count;
};

static struct crowd *crowd_new(size_t owner_count)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));

	assert_non_null(crowd);
	assert_int_equal(schedule_init(&crowd->schedule), 0);
	schedule_share(&crowd->schedule, owner_count);
	return crowd;
}

static void crowd_free(struct crowd *crowd)
{
	schedule_done(&crowd->schedule, NULL);
	free(crowd);
}

/* As many as fit, at most @max. How many there were. */
static size_t crowd_add(struct crowd *crowd, const void *owner, size_t max)
{
	struct schedule *s = &crowd->schedule;
	size_t added = 0;

	while (added < max) {
		size_t i = crowd->count, room = schedule_room_of(s, owner);
		struct item *item = &crowd->items[i];

		snprintf(crowd->names[i], sizeof(crowd->names[i]), "%zu", i);
		*item = (struct item){ .owner = owner, .name = crowd->names[i] };
		if (room == 0) {
			assert_int_equal(schedule_add(s, item), -ENOBUFS);
			break;
		}
		assert_int_equal(schedule_add(s, item), 0);
		schedule_wait(s, item, ITEM_SETTLING, 1);
		assert_true(schedule_room_of(s, owner) < room);
		crowd->count++;
		added++;
	}
	return added;
}

static void test_no_owner_keeps_out_another(void **state)
{
	struct crowd *crowd = crowd_new(OWNERS);
	struct schedule *s = &crowd->schedule;
	size_t own = SCHEDULE_OWN_MAX, first;

	(void)state;
	first = crowd_add(crowd, &owners[0], SIZE_MAX);
	assert_int_equal(first, SCHEDULE_MAX - (OWNERS - 1) * own);
	assert_int_equal(schedule_room(s), 0);
	assert_int_equal(crowd_add(crowd, &owners[1], SIZE_MAX), own);
	assert_int_equal(crowd_add(crowd, &owners[2], SIZE_MAX), own);
	assert_int_equal(s->size, SCHEDULE_MAX);
	/* What one gives up of what is for all is there for any of them. */
	schedule_remove(s, &crowd->items[0]);
	assert_int_equal(schedule_room(s), 1);
	assert_int_equal(schedule_room_of(s, &owners[1]), 1);
	schedule_ready(s, &crowd->items[first], false);
	schedule_start(s, &crowd->items[first]);
	schedule_remove(s, &crowd->items[first]);
	assert_int_equal(schedule_room_of(s, &owners[0]), 1);
	assert_int_equal(schedule_room_of(s, &owners[1]), 2);
	crowd_free(crowd);
}

/* What a start finds unfinished may wait for long: it leaves places to what is new, of
 * its own owner and of the others. */
static void test_unfinished(void **state)
{
	struct crowd *crowd = crowd_new(OWNERS);
	struct schedule *s = &crowd->schedule;
	struct item last = { .owner = &owners[1], .name = "last", .unfinished = true };
	size_t all = SCHEDULE_MAX - (OWNERS - 1) * SCHEDULE_OWN_MAX;

	(void)state;
	assert_int_equal(schedule_room_unfinished(s), SCHEDULE_OLD_MAX);
	while (crowd->count < SCHEDULE_OLD_MAX) {
		struct item *item = &crowd->items[crowd->count];
		char *name = crowd->names[crowd->count];

		snprintf(name, sizeof(crowd->names[0]), "%zu", crowd->count++);
		*item = (struct item){ .owner = &owners[0],
				       .name = name,
				       .unfinished = true };
		assert_int_equal(schedule_add(s, item), 0);
		schedule_wait(s, item, ITEM_SETTLING, 1);
	}
	assert_int_equal(schedule_add(s, &last), -ENOBUFS);
	assert_int_equal(schedule_room_unfinished(s), 0);
	assert_int_equal(schedule_room_of(s, &owners[0]), all - SCHEDULE_OLD_MAX);
	/* What is new may take the rest, and then there is none for what is not. */
	(void)crowd_add(crowd, &owners[0], SIZE_MAX);
	schedule_remove(s, &crowd->items[0]);
	assert_int_equal(schedule_room_unfinished(s), 1);
	assert_int_equal(crowd_add(crowd, &owners[0], 1), 1);
	assert_int_equal(schedule_room_unfinished(s), 0);
	last.owner = &owners[0];
	assert_int_equal(schedule_add(s, &last), -ENOBUFS);
	/* But of another owner's own. */
	last.owner = &owners[1];
	assert_int_equal(schedule_add(s, &last), 0);
	assert_int_equal(s->unfinished, SCHEDULE_OLD_MAX);
	assert_int_equal(schedule_room_of(s, &owners[1]), SCHEDULE_OWN_MAX - 1);
	assert_false(schedule_set_unfinished(s, &crowd->items[crowd->count - 1]));
	assert_true(schedule_set_unfinished(s, &last));
	schedule_remove(s, &last);
	assert_int_equal(s->unfinished, SCHEDULE_OLD_MAX - 1);
	assert_true(schedule_set_unfinished(s, &crowd->items[crowd->count - 1]));
	assert_int_equal(s->unfinished, SCHEDULE_OLD_MAX);
	schedule_remove(s, &crowd->items[crowd->count - 1]);
	assert_int_equal(s->unfinished, SCHEDULE_OLD_MAX - 1);
	crowd_free(crowd);
}

/* Half of its own places must be free, and it must have wanted more. */
static void test_feed(void **state)
{
	struct crowd *crowd = crowd_new(OWNERS);
	struct schedule *s = &crowd->schedule;
	size_t own = SCHEDULE_OWN_MAX, first;

	(void)state;
	assert_false(schedule_feed(s, &owners[0]));
	first = crowd_add(crowd, &owners[0], SIZE_MAX);
	assert_int_equal(crowd_add(crowd, &owners[1], SIZE_MAX), own);
	for (size_t i = 0; i < own; i++) {
		bool half = i == own / 2;

		assert_int_equal(schedule_feed(s, &owners[1]), half);
		assert_false(schedule_feed(s, &owners[1]));
		assert_false(schedule_feed(s, &owners[0]));
		schedule_remove(s, &crowd->items[first + i]);
	}
	crowd_free(crowd);
}

/* Who came later gets what is given up, whoever gives it up. */
static void test_overdrawn(void **state)
{
	struct crowd *crowd = crowd_new(1);
	struct schedule *s = &crowd->schedule;

	(void)state;
	assert_int_equal(crowd_add(crowd, &owners[0], SIZE_MAX), SCHEDULE_MAX);
	assert_false(schedule_is_overdrawn(s));
	schedule_share(s, OWNERS);
	assert_true(schedule_is_overdrawn(s));
	assert_int_equal(schedule_room_of(s, &owners[1]), 0);
	schedule_remove(s, &crowd->items[0]);
	assert_false(schedule_is_overdrawn(s));
	assert_int_equal(schedule_room_of(s, &owners[0]), 0);
	assert_int_equal(schedule_room_of(s, &owners[1]), 1);
	crowd_free(crowd);
}

/* With each count of owners, those that wait keep what they have, and the rest is shared
 * anew. */
static void test_share(void **state)
{
	static const size_t counts[] = { 2, 10, 32, 33, 256, 1024, 2 };
	struct crowd *crowd = crowd_new(1);
	struct schedule *s = &crowd->schedule;

	(void)state;
	assert_int_equal(crowd_add(crowd, &owners[0], SCHEDULE_MAX / 2),
			 SCHEDULE_MAX / 2);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		size_t own = MIN((size_t)SCHEDULE_OWN_MAX, SCHEDULE_MAX / 2 / counts[i]);

		schedule_share(s, counts[i]);
		assert_in_range(schedule_room_of(s, &owners[1]), own, SCHEDULE_MAX / 2);
		assert_int_equal(schedule_room_of(s, &owners[1]), schedule_room(s) + own);
		assert_int_equal(s->common + counts[i] * own, SCHEDULE_MAX);
	}
	/* They come to be another's. */
	schedule_share(s, OWNERS);
	for (size_t i = 0; i < crowd->count; i++)
		assert_int_equal(
			schedule_rename(s, &crowd->items[i], &owners[2], &owners[2]), 0);
	assert_int_equal(schedule_room_of(s, &owners[0]),
			 schedule_room(s) + SCHEDULE_OWN_MAX);
	assert_int_equal(schedule_room_of(s, &owners[2]), schedule_room(s));
	crowd_free(crowd);
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
		cmocka_unit_test(test_owners_take_turns),
		cmocka_unit_test(test_sizes_stand_apart),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_no_owner_keeps_out_another),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_feed),
		cmocka_unit_test(test_overdrawn),
		cmocka_unit_test(test_share),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
