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
		for (size_t j = 0; j < ITEM_SIZES; j++)
			TAILQ_INIT(&schedule->turns[i][j]);
	LIST_INIT(&schedule->groups);
	schedule_share(schedule, 1);
	return schedule->heap ? 0 : -ENOMEM;
}

/* ---- groups: the items of one owner ---- */

static struct schedule_group *find_group(const struct schedule *schedule,
					 const void *owner)
{
	struct schedule_group *group;

	LIST_FOREACH (group, &schedule->groups, link)
		if (group->owner == owner)
			return group;
	return NULL;
}

/* NULL: no memory. One that is there only for this is to be dropped. */
static struct schedule_group *need_group(struct schedule *schedule, const void *owner)
{
	struct schedule_group *group = find_group(schedule, owner);

	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->owner = owner;
	for (size_t i = 0; i < SCHEDULE_LANES; i++)
		for (size_t j = 0; j < ITEM_SIZES; j++)
			TAILQ_INIT(&group->queues[i][j].items);
	LIST_INSERT_HEAD(&schedule->groups, group, link);
	return group;
}

static void drop_group(struct schedule_group *group)
{
	if (group->size > 0)
		return;
	LIST_REMOVE(group, link);
	free(group);
}

/* What @size items of one owner take of what is for all. */
static size_t shared_by(const struct schedule *schedule, size_t size)
{
	return size - MIN(size, schedule->own);
}

static void resize_group(struct schedule *schedule, struct schedule_group *group,
			 size_t size)
{
	schedule->shared -= shared_by(schedule, group->size);
	group->size = size;
	schedule->shared += shared_by(schedule, group->size);
}

void schedule_share(struct schedule *schedule, size_t owners)
{
	const struct schedule_group *group;

	schedule->own = MIN((size_t)SCHEDULE_OWN_MAX, SCHEDULE_MAX / 2 / owners);
	schedule->common = SCHEDULE_MAX - owners * schedule->own;
	schedule->shared = 0;
	LIST_FOREACH (group, &schedule->groups, link)
		schedule->shared += shared_by(schedule, group->size);
}

/* There may be more than this where there were other owners, or fewer, before. */
static size_t common_room(const struct schedule *schedule)
{
	return schedule->common - MIN(schedule->common, schedule->shared);
}

size_t schedule_room(const struct schedule *schedule)
{
	return MIN(common_room(schedule), SCHEDULE_MAX - schedule->size);
}

size_t schedule_room_of(const struct schedule *schedule, const void *owner)
{
	const struct schedule_group *group = find_group(schedule, owner);
	size_t size = group ? group->size : 0;
	size_t own = schedule->own - MIN(schedule->own, size);

	return MIN(own + common_room(schedule), SCHEDULE_MAX - schedule->size);
}

bool schedule_feed(struct schedule *schedule, const void *owner)
{
	struct schedule_group *group = find_group(schedule, owner);

	if (!group || !group->starved || group->size > schedule->own / 2)
		return false;
	group->starved = false;
	return true;
}

bool schedule_is_overdrawn(const struct schedule *schedule)
{
	return schedule->size == SCHEDULE_MAX && schedule->shared > schedule->common;
}

/* ---- items come and go ---- */

void schedule_done(struct schedule *schedule, void (*release)(struct item *item))
{
	struct schedule_group *group;

	while (schedule->index) {
		struct item *item = *(struct item **)schedule->index;

		(void)tdelete(item, &schedule->index, compare);
		if (release)
			release(item);
	}
	while ((group = LIST_FIRST(&schedule->groups))) {
		LIST_REMOVE(group, link);
		free(group);
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

size_t schedule_room_unfinished(const struct schedule *schedule)
{
	size_t left = SCHEDULE_OLD_MAX - schedule->unfinished;

	return MIN(left, schedule_room(schedule));
}

/* 0, or why there is no room for @item, one more of @group's. */
static int make_room(struct schedule *schedule, struct schedule_group *group,
		     const struct item *item)
{
	bool has_room = schedule_room_of(schedule, group->owner) > 0;

	if (item->unfinished)
		return has_room && schedule->unfinished < SCHEDULE_OLD_MAX ? 0 : -ENOBUFS;
	group->starved |= !has_room;
	return has_room ? 0 : -ENOBUFS;
}

int schedule_add(struct schedule *schedule, struct item *item)
{
	struct schedule_group *group = need_group(schedule, item->owner);
	struct item **slot;
	int r;

	assert(item->state == ITEM_NEW);
	if (!group)
		return -ENOMEM;
	r = make_room(schedule, group, item);
	slot = r < 0 ? NULL : tsearch(item, &schedule->index, compare);
	if (!slot) {
		drop_group(group);
		return r < 0 ? r : -ENOMEM;
	}
	assert(*slot == item);
	item->group = group;
	item->heap_index = NO_INDEX;
	resize_group(schedule, group, group->size + 1);
	schedule->size++;
	schedule->unfinished += item->unfinished;
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

static struct schedule_queue *queue_of(const struct item *item)
{
	return &item->group->queues[item->lane][item->size];
}

static struct schedule_turns *turns_of(struct schedule *schedule, const struct item *item)
{
	return &schedule->turns[item->lane][item->size];
}

static void enqueue(struct schedule *schedule, struct item *item, bool first)
{
	struct schedule_turns *turns = turns_of(schedule, item);
	struct schedule_queue *queue = queue_of(item);
	bool stands = !TAILQ_EMPTY(&queue->items);

	if (first)
		TAILQ_INSERT_HEAD(&queue->items, item, ready);
	else
		TAILQ_INSERT_TAIL(&queue->items, item, ready);
	if (stands && first)
		TAILQ_REMOVE(turns, queue, turn);
	if (first)
		TAILQ_INSERT_HEAD(turns, queue, turn);
	else if (!stands)
		TAILQ_INSERT_TAIL(turns, queue, turn);
}

static void dequeue(struct schedule *schedule, struct item *item)
{
	struct schedule_queue *queue = queue_of(item);

	TAILQ_REMOVE(&queue->items, item, ready);
	if (TAILQ_EMPTY(&queue->items))
		TAILQ_REMOVE(turns_of(schedule, item), queue, turn);
}

void schedule_lighten(struct schedule *schedule, struct item *item)
{
	schedule->moving_large -= item->moves_large;
	item->moves_large = false;
}

/* Takes @item out of the container of its state and gives it the next state. */
static void change(struct schedule *schedule, struct item *item, enum item_state state)
{
	if (item->heap_index != NO_INDEX)
		heap_remove(schedule, item);
	else if (item->state == ITEM_READY)
		dequeue(schedule, item);
	schedule_lighten(schedule, item);
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
	assert(item->lane < SCHEDULE_LANES && item->size < ITEM_SIZES);
	change(schedule, item, ITEM_READY);
	enqueue(schedule, item, first);
}

struct item *schedule_peek(struct schedule *schedule, unsigned lane, enum item_size size)
{
	struct schedule_queue *queue = TAILQ_FIRST(&schedule->turns[lane][size]);

	return queue ? TAILQ_FIRST(&queue->items) : NULL;
}

struct item *schedule_peek_after(const struct item *item)
{
	struct schedule_queue *queue = TAILQ_NEXT(queue_of(item), turn);

	return queue ? TAILQ_FIRST(&queue->items) : NULL;
}

bool schedule_has_ready(const struct item *item, unsigned lane)
{
	for (enum item_size size = 0; size < ITEM_SIZES; size++)
		if (!TAILQ_EMPTY(&item->group->queues[lane][size].items))
			return true;
	return false;
}

struct item *schedule_search(struct schedule *schedule, unsigned lane,
			     bool (*suits)(const struct item *item))
{
	for (enum item_size size = 0; size < ITEM_SIZES; size++) {
		struct schedule_queue *queue;

		TAILQ_FOREACH (queue, &schedule->turns[lane][size], turn) {
			struct item *item;

			TAILQ_FOREACH (item, &queue->items, ready)
				if (suits(item))
					return item;
		}
	}
	return NULL;
}

void schedule_start(struct schedule *schedule, struct item *item)
{
	struct schedule_turns *turns = turns_of(schedule, item);
	struct schedule_queue *queue = queue_of(item);

	assert(item->state == ITEM_READY);
	change(schedule, item, ITEM_MOVING);
	item->moves_large = item->size == ITEM_LARGE;
	schedule->moving_large += item->moves_large;
	if (TAILQ_EMPTY(&queue->items))
		return;
	TAILQ_REMOVE(turns, queue, turn);
	TAILQ_INSERT_TAIL(turns, queue, turn);
}

bool schedule_set_unfinished(struct schedule *schedule, struct item *item)
{
	if (item->unfinished)
		return true;
	if (schedule->unfinished == SCHEDULE_OLD_MAX)
		return false;
	item->unfinished = true;
	schedule->unfinished++;
	return true;
}

static void leave_group(struct schedule *schedule, struct item *item)
{
	struct schedule_group *group = take_ptr(item->group);

	resize_group(schedule, group, group->size - 1);
	drop_group(group);
}

void schedule_remove(struct schedule *schedule, struct item *item)
{
	change(schedule, item, ITEM_GONE);
	schedule->counts[ITEM_GONE]--;
	schedule->size--;
	schedule->unfinished -= item->unfinished;
	leave_group(schedule, item);
	(void)tdelete(item, &schedule->index, compare);
}

static void change_owner(struct schedule *schedule, struct item *item,
			 struct schedule_group *group)
{
	bool is_ready = item->state == ITEM_READY;

	if (is_ready)
		dequeue(schedule, item);
	resize_group(schedule, group, group->size + 1);
	leave_group(schedule, item);
	item->owner = group->owner;
	item->group = group;
	if (is_ready)
		enqueue(schedule, item, false);
}

int schedule_rename(struct schedule *schedule, struct item *item, const void *place,
		    const void *owner)
{
	struct schedule_group *group;

	if (schedule_find(schedule, place, item->name))
		return -EEXIST;
	group = need_group(schedule, owner);
	if (!group)
		return -ENOMEM;
	change_owner(schedule, item, group);
	(void)tdelete(item, &schedule->index, compare);
	item->place = place;
	return tsearch(item, &schedule->index, compare) ? 0 : -ENOMEM;
}

usec_t schedule_wake(const struct schedule *schedule)
{
	return schedule->heap_size > 0 ? schedule->heap[0]->at : USEC_INFINITY;
}

struct item *schedule_due(struct schedule *schedule, usec_t now)
{
	return schedule_wake(schedule) <= now ? schedule->heap[0] : NULL;
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
