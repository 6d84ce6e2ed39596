#include "macro.h"
#include "uploader-state.h"

#define NEW_FIRST    4		  /* one in so many starts */
#define MEMORY_DELAY USEC_PER_SEC /* after a candidate that there was none for */

void uploader_kick(struct uploader *u)
{
	(void)sd_event_source_set_enabled(u->pump_source, SD_EVENT_ONESHOT);
}

/* What is sent and waits for its record makes room for as many others, or the service
 * would wait for the disk. */
static bool has_slot(struct uploader *u, usec_t now)
{
	size_t slots = slots_at(&u->slots, now);

	return u->schedule.counts[ITEM_MOVING] - MIN(u->services->recording, slots) <
	       slots;
}

static void move(struct uploader *u, struct file *file)
{
	u->moves++;
	file->pulse = (struct pulse_mark){};
	schedule_start(&u->schedule, &file->item);
	LIST_INSERT_HEAD(&u->moving, file, moving);
	STAILQ_INSERT_TAIL(&u->starting, file, starting);
	u->ops->changed(u->userdata);
}

/* NULL: it belongs to no spool. */
static const char *spool_path(const struct file *file)
{
	const struct spool *spool = spool_of(file->directory);

	return spool ? spool_config(spool)->path : NULL;
}

/* What is uploaded tells at once whether a disk that is away takes sidecars again. All
 * others would keep the files of their spool waiting until they are sent. */
static bool stands_back(const struct uploader *u, const struct item *item, unsigned lane)
{
	const struct file *file = container_of(item, const struct file, item);

	return lane != LANE_DISPOSE && schedule_has_ready(item, LANE_DISPOSE) &&
	       spool_disks_find(u->services->disks, spool_path(file));
}

/* The files of one spool wait for its disk together: one speaks for all. */
struct item *uploader_peek(struct uploader *u, unsigned lane, enum item_size size,
			   usec_t now, usec_t *ret_at)
{
	struct item *item = schedule_peek(&u->schedule, lane, size);
	usec_t soonest = USEC_INFINITY;

	for (; item; item = schedule_peek_after(item)) {
		usec_t at = spool_disks_next(u->services->disks,
					     spool_path(file_of(item)), now);

		soonest = MIN(soonest, at);
		if (at <= now && !stands_back(u, item, lane))
			break;
	}
	*ret_at = soonest;
	return item;
}

/* Starts the next file of @lane and @size. Returns when it may be tried, 0: it was
 * started, USEC_INFINITY: there is none, or an event will tell. */
static usec_t start_next_of(struct uploader *u, unsigned lane, enum item_size size,
			    usec_t now)
{
	usec_t at;
	struct item *item = uploader_peek(u, lane, size, now, &at);
	struct file *file;

	if (!item)
		return at;
	file = file_of(item);
	if (uploader_need_transfer(file) < 0)
		return usec_add(now, USEC_PER_SEC);
	at = health_next(u->services->health, transfer_needs(file->transfer), now);
	if (at > now)
		return at;
	u->starts++;
	slots_started(&u->slots, size == ITEM_LARGE);
	move(u, file);
	transfer_start(file->transfer);
	return 0;
}

static bool is_unseen(const struct item *item)
{
	const struct file *file = container_of(item, const struct file, item);

	return !file->seen && (!file->transfer || file->transfer->step == STEP_TAKE) &&
	       !spool_disks_find(file->uploader->services->disks, spool_path(file));
}

/* While a service is away, each file that comes is still looked at, once: that it can't
 * be uploaded at all is to be told at once. False: there is none left. */
static bool look_at_next(struct uploader *u, usec_t now)
{
	struct item *item;
	struct file *file;

	if (health_next(u->services->health, NEED_DISK, now) > now)
		return false;
	item = schedule_search(&u->schedule, LANE_NEW, is_unseen);
	file = item ? file_of(item) : NULL;
	if (!file || uploader_need_transfer(file) < 0)
		return false;
	file->seen = true;
	move(u, file);
	transfer_look(file->transfer);
	return true;
}

/* The same, of all lanes. First what has something to lose; but from time to time a new
 * one, or those that probe a host which is gone for good would keep us from learning that
 * the API grants another by now. */
static usec_t start_next_sized(struct uploader *u, enum item_size size, usec_t now)
{
	unsigned begin = u->starts % NEW_FIRST == 0 ? LANE_NEW : 0;
	usec_t soonest = USEC_INFINITY;

	for (unsigned i = 0; i < LANES && soonest > 0; i++) {
		usec_t at = start_next_of(u, (begin + i) % LANES, size, now);

		soonest = MIN(soonest, at);
	}
	return soonest;
}

size_t uploader_sizes(const struct uploader *u, enum item_size ret[ITEM_SIZES])
{
	switch (slots_turn(&u->slots, u->schedule.moving_large)) {
	case SLOTS_SMALL_ONLY: ret[0] = ITEM_SMALL; return 1;
	case SLOTS_SMALL_FIRST: break;
	case SLOTS_LARGE_FIRST:
		ret[0] = ITEM_LARGE;
		ret[1] = ITEM_SMALL;
		return 2;
	}
	ret[0] = ITEM_SMALL;
	ret[1] = ITEM_LARGE;
	return 2;
}

/* The same, of all. */
static usec_t start_next(struct uploader *u, usec_t now)
{
	enum item_size sizes[ITEM_SIZES];
	usec_t soonest = USEC_INFINITY;
	size_t count;

	if (!has_slot(u, now) || u->services->stopping)
		return USEC_INFINITY;
	count = uploader_sizes(u, sizes);
	for (size_t i = 0; i < count && soonest > 0; i++) {
		usec_t at = start_next_sized(u, sizes[i], now);

		soonest = MIN(soonest, at);
	}
	return soonest > now && look_at_next(u, now) ? 0 : soonest;
}

/* What was to wait until now. Of the files of a directory that are held only one gets a
 * slot, to look whether they still are. */
static void advance(struct uploader *u, usec_t now)
{
	struct item *item;

	while ((item = schedule_due(&u->schedule, now))) {
		struct file *file = file_of(item);
		usec_t until = uploader_held_until(file, now);

		if (until > 0)
			uploader_wait(u, file, item->state, until);
		else
			uploader_ready(u, file, false);
	}
}

/* All in one turn of the loop, but none before the last one is chosen: one that comes to
 * its end at once changes what there is to choose from, and gives up its slot for the
 * next turn. */
static void go_on_with_started(struct uploader *u)
{
	struct file *file;

	while ((file = STAILQ_FIRST(&u->starting))) {
		STAILQ_REMOVE_HEAD(&u->starting, starting);
		transfer_go_on(file->transfer);
	}
}

int uploader_on_pump(sd_event_source *source, void *userdata)
{
	struct uploader *u = userdata;
	usec_t now = clock_monotonic(), at;

	(void)source;
	advance(u, now);
	while ((at = start_next(u, now)) == 0)
		;
	go_on_with_started(u);
	at = MIN(at, schedule_wake(&u->schedule));
	/* It was memory that there was none of, and there is no event for that. */
	if (uploader_has_room(u))
		at = MIN(at, usec_add(now, MEMORY_DELAY));
	(void)sd_event_source_set_time(u->wake_source, at);
	(void)sd_event_source_set_enabled(u->wake_source, at == USEC_INFINITY
								  ? SD_EVENT_OFF
								  : SD_EVENT_ONESHOT);
	return 0;
}

int uploader_on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	uploader_tell_room(userdata, NULL, false);
	uploader_kick(userdata);
	return 0;
}
