#include <assert.h>
#include <search.h>

#include "macro.h"
#include "schedule.h"

#define NO_INDEX SIZE_MAX

static int compare(const void *left, const void *right)
{
	const struct item *a = left, *b = right;

	if (a->place != b->place)
		return (uintptr_t)a->place < (uintptr_t)b->place ? -1 : 1;
	return strcmp(a->name, b->name);
}

int schedule_init(struct schedule *schedule)
{
	*schedule = (struct schedule){ .heap = calloc(SCHEDULE_MAX,
						      sizeof(struct item *)) };
	for (size_t i = 0; i < SCHEDULE_LANES; i++)
		TAILQ_INIT(&schedule->ready[i]);
	return schedule->heap ? 0 : -ENOMEM;
}

void schedule_done(struct schedule *schedule, void (*release)(struct item *item))
{
	while (schedule->index) {
		struct item *item = *(struct item **)schedule->index;

		(void)tdelete(item, &schedule->index, compare);
		if (release)
			release(item);
	}
	free(schedule->heap);
	*schedule = (struct schedule){};
}

struct item *schedule_find(const struct schedule *schedule, const void *place,
			   const char *name)
{
	const struct item key = { .place = place, .name = name };
	struct item *const *found = tfind(&key, (void *const *)&schedule->index, compare);

	return found ? *found : NULL;
}

size_t schedule_room(const struct schedule *schedule)
{
	return SCHEDULE_MAX - schedule->size;
}

int schedule_add(struct schedule *schedule, struct item *item)
{
	struct item **slot;

	assert(item->state == ITEM_NEW);
	if (schedule->size == SCHEDULE_MAX)
		return -ENOBUFS;
	slot = tsearch(item, &schedule->index, compare);
	if (!slot)
		return -ENOMEM;
	assert(*slot == item);
	item->heap_index = NO_INDEX;
	schedule->size++;
	schedule->counts[ITEM_NEW]++;
	return 0;
}

static void place_at(struct schedule *schedule, size_t index, struct item *item)
{
	schedule->heap[index] = item;
	item->heap_index = index;
}

static void sift_up(struct schedule *schedule, size_t index, struct item *item)
{
	for (; index > 0; index = (index - 1) / 2) {
		struct item *parent = schedule->heap[(index - 1) / 2];

		if (parent->at <= item->at)
			break;
		place_at(schedule, index, parent);
	}
	place_at(schedule, index, item);
}

static void sift_down(struct schedule *schedule, size_t index, struct item *item)
{
	for (;;) {
		size_t child = 2 * index + 1;

		if (child >= schedule->heap_size)
			break;
		if (child + 1 < schedule->heap_size &&
		    schedule->heap[child + 1]->at < schedule->heap[child]->at)
			child++;
		if (schedule->heap[child]->at >= item->at)
			break;
		place_at(schedule, index, schedule->heap[child]);
		index = child;
	}
	place_at(schedule, index, item);
}

static void heap_remove(struct schedule *schedule, struct item *item)
{
	size_t index = item->heap_index;
	struct item *last = schedule->heap[--schedule->heap_size];

	item->heap_index = NO_INDEX;
	if (last == item)
		return;
	if (last->at < item->at)
		sift_up(schedule, index, last);
	else
		sift_down(schedule, index, last);
}

/* Takes @item out of the container of its state and gives it the next state. */
static void change(struct schedule *schedule, struct item *item, enum item_state state)
{
	if (item->heap_index != NO_INDEX)
		heap_remove(schedule, item);
	else if (item->state == ITEM_READY)
		TAILQ_REMOVE(&schedule->ready[item->lane], item, ready);
	schedule->counts[item->state]--;
	if (item->state != state)
		item_move(item, state);
	schedule->counts[state]++;
}

void schedule_wait(struct schedule *schedule, struct item *item, enum item_state state,
		   usec_t at)
{
	assert(state == ITEM_SETTLING || state == ITEM_WAITING);
	change(schedule, item, state);
	item->at = at;
	sift_up(schedule, schedule->heap_size++, item);
}

void schedule_ready(struct schedule *schedule, struct item *item, bool first)
{
	struct item_queue *ready = &schedule->ready[item->lane];

	assert(item->lane < SCHEDULE_LANES);
	change(schedule, item, ITEM_READY);
	if (first)
		TAILQ_INSERT_HEAD(ready, item, ready);
	else
		TAILQ_INSERT_TAIL(ready, item, ready);
}

struct item *schedule_peek(struct schedule *schedule, unsigned lane)
{
	return TAILQ_FIRST(&schedule->ready[lane]);
}

void schedule_start(struct schedule *schedule, struct item *item)
{
	assert(item->state == ITEM_READY);
	change(schedule, item, ITEM_MOVING);
}

void schedule_remove(struct schedule *schedule, struct item *item)
{
	change(schedule, item, ITEM_GONE);
	schedule->counts[ITEM_GONE]--;
	schedule->size--;
	(void)tdelete(item, &schedule->index, compare);
}

int schedule_rename(struct schedule *schedule, struct item *item, const void *place)
{
	if (schedule_find(schedule, place, item->name))
		return -EEXIST;
	(void)tdelete(item, &schedule->index, compare);
	item->place = place;
	return tsearch(item, &schedule->index, compare) ? 0 : -ENOMEM;
}

size_t schedule_advance(struct schedule *schedule, usec_t now)
{
	size_t moved = 0;

	for (; schedule->heap_size > 0 && schedule->heap[0]->at <= now; moved++)
		schedule_ready(schedule, schedule->heap[0], false);
	return moved;
}

usec_t schedule_wake(const struct schedule *schedule)
{
	return schedule->heap_size > 0 ? schedule->heap[0]->at : USEC_INFINITY;
}

struct visit {
	void (*each)(void *userdata, const struct item *item);
	void *userdata;
};

static void visit_node(const void *node, VISIT order, void *closure)
{
	const struct visit *visit = closure;

	if (order == postorder || order == leaf)
		visit->each(visit->userdata, *(struct item *const *)node);
}

void schedule_each(const struct schedule *schedule,
		   void (*each)(void *userdata, const struct item *item), void *userdata)
{
	struct visit visit = { .each = each, .userdata = userdata };

	twalk_r(schedule->index, visit_node, &visit);
}
