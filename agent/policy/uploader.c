#include <fcntl.h>
#include <inttypes.h>

#include "log.h"
#include "macro.h"
#include "uploader-state.h"

#define ROOM_TO_RESUME	(SCHEDULE_MAX / 8)  /* scans go on when that much is free again */
#define ROOM_TO_RESTORE (SCHEDULE_MAX / 16) /* as do rows that had no place */
#define WAITING_MAX	(SCHEDULE_MAX / 2)  /* files that wait for a time, kept in mind */
#define NEW_FIRST	4		    /* one in so many starts */
#define LARGE_SIZE	((uint64_t)1 << 20) /* larger than that is large */
#define MEMORY_DELAY	USEC_PER_SEC	/* after a candidate that there was none for */
#define BUSY_DELAY_MAX	USEC_PER_MINUTE /* between two looks at a file being written */

void uploader_kick(struct uploader *u)
{
	(void)sd_event_source_set_enabled(u->pump_source, SD_EVENT_ONESHOT);
}

static struct file *file_of(struct item *item)
{
	return container_of(item, struct file, item);
}

static size_t waiting(void *userdata)
{
	const struct uploader *u = userdata;

	return u->schedule.size - u->schedule.counts[ITEM_MOVING];
}

/* ---- files come and go ---- */

/* That of its next content, or NULL. */
static struct transfer *take_next(struct file *file)
{
	struct transfer *next = file->next;

	if (next)
		file->next = take_ptr(next->next);
	return next;
}

static void file_free(struct file *file)
{
	if (file->adrift)
		LIST_REMOVE(file, drifting);
	transfer_free(file->transfer);
	while (file->next)
		transfer_free(take_next(file));
	spool_directory_unref(file->directory);
	free(file);
}

static bool has_room_to_tell(const struct uploader *u)
{
	return u->starved && schedule_room(&u->schedule) >= ROOM_TO_RESUME;
}

/* To all there is; else to those whose own place was @lent, or to @owner, as far as its
 * own places go. */
static void tell_room(struct uploader *u, const void *owner, bool lent)
{
	if (has_room_to_tell(u)) {
		u->starved = false;
		u->ops->room(u->userdata, NULL);
	} else if (u->starved && lent) {
		u->ops->room(u->userdata, NULL);
	} else if (owner && schedule_feed(&u->schedule, owner)) {
		u->ops->room(u->userdata, owner);
	}
}

static void tell_vacant(struct uploader *u)
{
	if (!u->crowded || schedule_room_unfinished(&u->schedule) < ROOM_TO_RESTORE)
		return;
	u->crowded = false;
	u->ops->vacant(u->userdata);
}

void uploader_forget(struct uploader *u, struct file *file)
{
	const void *owner = file->item.owner;
	bool lent = schedule_is_overdrawn(&u->schedule);

	schedule_remove(&u->schedule, &file->item);
	file_free(file);
	tell_vacant(u);
	tell_room(u, owner, lent);
}

static void tell_left(struct uploader *u, const struct file *file, struct transfer *t)
{
	if (!t || t->serial == 0)
		return;
	if (t->id)
		u->ops->left(u->userdata, file->directory, file->name, t->serial);
	else
		transfer_put_waiting(t);
	u->recalls = true;
}

void uploader_leave_behind(struct uploader *u, struct file *file)
{
	tell_left(u, file, file->transfer);
	for (struct transfer *next = file->next; next; next = next->next)
		tell_left(u, file, next);
	uploader_forget(u, file);
}

static int add_file(struct uploader *u, struct spool_directory *directory,
		    const char *name, bool unfinished, struct file **ret)
{
	size_t room = strlen(name) + 1;
	struct file *file = calloc(1, sizeof(*file) + room);
	int r;

	if (!file)
		return -ENOMEM;
	memcpy(file->name, name, room);
	file->item.place = directory;
	file->item.name = file->name;
	file->item.owner = spool_of(directory);
	file->item.unfinished = unfinished;
	file->uploader = u;
	file->since = clock_monotonic();
	file->directory = spool_directory_ref(directory);
	r = schedule_add(&u->schedule, &file->item);
	if (r < 0) {
		file_free(file);
		return r;
	}
	*ret = file;
	return 0;
}

/* ---- lanes: who waits for the same things ---- */

static unsigned lane_of(const struct transfer *t)
{
	if (!t || transfer_needs(t) & NEED_API)
		return LANE_NEW;
	if (transfer_needs(t) == 0)
		return LANE_DISPOSE;
	if (transfer_needs(t) == NEED_DISK)
		return LANE_RECORD;
	return LANE_HOST + transfer_storage(t) - HEALTH_STORAGE;
}

unsigned uploader_needs_of_lane(unsigned lane)
{
	if (lane == LANE_NEW)
		return NEED_DISK | NEED_STORAGE | NEED_AUTH | NEED_API;
	if (lane == LANE_DISPOSE)
		return 0;
	if (lane == LANE_RECORD)
		return NEED_DISK;
	return NEED_DISK | health_need_of(lane - LANE_HOST + HEALTH_STORAGE);
}

/* ---- sizes: whose body is on its way for long ---- */

static enum item_size size_of(const struct uploader *u, uint64_t bytes)
{
	/* On a narrow line that is sooner so: what takes it for longer than a second. */
	uint64_t bound = MIN(LARGE_SIZE, u->services->config->upload.bandwidth);

	return bytes > bound ? ITEM_LARGE : ITEM_SMALL;
}

/* That it may be another by the time it is sent does no harm. */
static uint64_t bytes_of(const struct file *file)
{
	const struct transfer *t = file->transfer;
	struct stat st;
	int fd;

	if (t && t->step >= STEP_RECORD_UPLOAD)
		return 0; /* it has been sent */
	if (t && t->id)
		return t->identity.size;
	fd = spool_directory_fd(file->directory);
	return fd >= 0 && fstatat(fd, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0
		       ? (uint64_t)st.st_size
		       : 0;
}

static void ready_as(struct uploader *u, struct file *file, bool first, uint64_t bytes)
{
	file->item.lane = lane_of(file->transfer);
	file->item.size = size_of(u, bytes);
	schedule_ready(&u->schedule, &file->item, first);
}

static void ready(struct uploader *u, struct file *file, bool first)
{
	ready_as(u, file, first, bytes_of(file));
}

void uploader_wait(struct uploader *u, struct file *file, enum item_state state,
		   usec_t at)
{
	file->item.lane = lane_of(file->transfer);
	schedule_wait(&u->schedule, &file->item, state, at);
}

static int need_transfer(struct file *file)
{
	struct uploader *u = file->uploader;

	if (file->transfer)
		return 0;
	return transfer_new(u->services, file->directory, file->name, &file->glimpse,
			    file, &file->transfer);
}

/* ---- candidates ---- */

/* 1: the file is still the one of that @identity, 0: it is another now, or a negative
 * errno. */
static int is_still(const struct file *file, const struct fs_identity *identity)
{
	struct fs_identity now;
	struct stat st;
	int fd = spool_directory_fd(file->directory);

	if (fd < 0)
		return fd;
	if (fstatat(fd, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	now = fs_identity_of(&st);
	return fs_identity_equal(&now, identity);
}

/* A file that failed before and is not kept in mind comes back with its attempts. Returns
 * when it may be tried again, 0: at once. */
static usec_t recall(struct uploader *u, struct file *file)
{
	struct ledger_row row;

	if (!u->recalls || ledger_find_waiting(u->services->ledger,
					       spool_directory_path(file->directory),
					       file->name, &row) != 1)
		return 0;
	if (is_still(file, &row.identity) != 1) {
		(void)ledger_drop(u->services->ledger, row.serial);
		return 0;
	}
	if (need_transfer(file) < 0 || transfer_restore(file->transfer, &row) < 0)
		return 0;
	file->item.attempts = row.attempts;
	return file->transfer->again_at;
}

/* Until when it need not even be looked at; 0: it has to be. Who drains passes it over.
 */
static usec_t held_until(const struct file *file, usec_t now)
{
	return file->uploader->once ? 0 : transfer_held_until(file->directory, now);
}

/* It waits until @at, in mind while there is room for that, else in its directory: then
 * no crowd of files that fail, or are being written, keeps out the others. */
static void wait_in_mind(struct uploader *u, struct file *file, enum item_state state,
			 usec_t at)
{
	const struct transfer *t = file->transfer;
	size_t waiting = u->schedule.counts[ITEM_SETTLING] +
			 u->schedule.counts[ITEM_WAITING];

	if (waiting < WAITING_MAX || u->once || (t && t->id)) {
		uploader_wait(u, file, state, at);
		return;
	}
	u->recalls = true;
	spool_look_at(file->directory, at);
	uploader_forget(u, file);
}

/* Something happened to a file that is known already. */
static void stir(struct uploader *u, struct file *file, usec_t at)
{
	switch (file->item.state) {
	case ITEM_MOVING: file->item.stirred = true; break;
	case ITEM_WAITING:
		/* A touch of what did not change is no reason to hurry a retry. */
		if (!file->transfer || is_still(file, &file->transfer->identity) != 1) {
			file->item.attempts = 0;
			if (file->transfer)
				file->transfer->attempts = 0;
			uploader_wait(u, file, ITEM_SETTLING, at);
		}
		break;
	case ITEM_SETTLING:
		file->busy = 0;
		uploader_wait(u, file, ITEM_SETTLING, at);
		break;
	case ITEM_READY:
	case ITEM_NEW:
	case ITEM_GONE:
	case ITEM_STATES: break;
	}
}

void uploader_share(struct uploader *u, size_t spools)
{
	schedule_share(&u->schedule, spools);
}

bool uploader_candidate(struct uploader *u, struct spool_directory *directory,
			const char *name, usec_t at, const struct stat *st)
{
	struct item *known = schedule_find(&u->schedule, directory, name);
	struct file *file;
	usec_t again_at, until;

	if (known) {
		if (!st)
			stir(u, file_of(known), at);
		uploader_kick(u);
		return true;
	}
	if (add_file(u, directory, name, false, &file) < 0) {
		u->starved = true;
		uploader_kick(u);
		return false;
	}
	again_at = recall(u, file);
	until = held_until(file, clock_monotonic());
	if (again_at > at)
		wait_in_mind(u, file, ITEM_WAITING, again_at);
	else if (until > at)
		wait_in_mind(u, file, ITEM_SETTLING, until);
	else if (at > clock_monotonic())
		uploader_wait(u, file, ITEM_SETTLING, at);
	else if (st)
		ready_as(u, file, false, (uint64_t)st->st_size);
	else
		ready(u, file, false);
	uploader_kick(u);
	u->ops->changed(u->userdata);
	return true;
}

/* The row of the file's last content, whose end may be lost with the power, and one of
 * its new content; or of several, as it was replaced again and again. */
static int restore_next(struct uploader *u, struct file *file,
			const struct ledger_row *row)
{
	struct transfer *t, **last = &file->next;
	int r = transfer_new(u->services, file->directory, file->name, &file->glimpse,
			     file, &t);

	if (r < 0)
		return r;
	r = transfer_restore(t, row);
	if (r < 0) {
		transfer_free(t);
		return r;
	}
	while (*last)
		last = &(*last)->next;
	*last = t;
	return 0;
}

/* It goes on from where its transfer stood. */
static void go_on(struct uploader *u, struct file *file)
{
	const struct transfer *t = file->transfer;

	file->item.attempts = t->attempts;
	if (!t->uploaded && t->again_at > clock_monotonic() && t->attempts > 0)
		uploader_wait(u, file, ITEM_WAITING, t->again_at);
	else
		ready(u, file, true);
}

int uploader_restore(struct uploader *u, struct spool_directory *directory,
		     const struct ledger_row *row)
{
	struct item *known = schedule_find(&u->schedule, directory, row->name);
	struct file *file;
	int r;

	if (known)
		return restore_next(u, file_of(known), row);
	r = add_file(u, directory, row->name, true, &file);
	u->crowded |= r == -ENOBUFS;
	if (r < 0)
		return r;
	r = need_transfer(file);
	if (r == 0)
		r = transfer_restore(file->transfer, row);
	if (r < 0) {
		uploader_forget(u, file);
		return r;
	}
	go_on(u, file);
	uploader_kick(u);
	return 0;
}

/* ---- ends ---- */

/* Looked at again after longer and longer: its CLOSE_WRITE will tell anyway. */
static usec_t busy_until(struct file *file, usec_t at)
{
	usec_t now = clock_monotonic();
	usec_t delay = usec_sub(at, now) << MIN(file->busy, 16U);

	file->busy++;
	return usec_add(now, MIN(delay, BUSY_DELAY_MAX));
}

static void tell_passed_over(const struct file *file)
{
	_cleanup_free_ char *path = transfer_path(file->transfer);
	const struct config_spool *spool = transfer_spool(file->transfer);
	const struct log_fields fields = { .file = path,
					   .spool = spool ? spool->name : NULL,
					   .stage = "spool" };

	log_event(
		LOG_WARNING, LOG_PASSED_OVER, &fields,
		"Passed over %s: it is still being written. It stays, to be uploaded once "
		"its writer has closed it.",
		path ? path : file->name);
}

static void on_later(struct uploader *u, struct file *file)
{
	usec_t at = busy_until(file, file->transfer->again_at);

	if (u->once && file->busy > 1) {
		tell_passed_over(file);
		u->stats.skipped++;
		uploader_forget(u, file);
		return;
	}
	/* What has a row in the ledger must keep its number, or the row would stay. */
	if (!file->transfer->id && file->transfer->serial == 0) {
		transfer_free(file->transfer);
		file->transfer = NULL;
	}
	wait_in_mind(u, file, ITEM_SETTLING, at);
}

/* This machine has no memory or descriptors for so many: it goes on with fewer. */
static void on_short(struct uploader *u, struct file *file)
{
	const struct log_fields fields = { .stage = "spool" };
	const struct transfer *t = file->transfer;

	/* This one is among those that move. */
	if (slots_shrink(&u->slots, u->schedule.counts[ITEM_MOVING],
			 u->services->recording, clock_monotonic()))
		log_event(LOG_WARNING, LOG_SHORTAGE, &fields,
			  "Files on their way at once: %zu instead of %" PRIu64
			  ", until there is room for more: %s. None is lost.",
			  u->slots.count, u->services->config->upload.max_concurrent,
			  log_errno(t->shortage));
	wait_in_mind(u, file, ITEM_SETTLING, t->again_at);
}

/* Who asked for what is due now does not wait for it. */
static void on_held(struct uploader *u, struct file *file)
{
	if (u->once) {
		u->stats.skipped++;
		uploader_forget(u, file);
		return;
	}
	wait_in_mind(u, file, ITEM_SETTLING, file->transfer->again_at);
}

/* Whether nothing of this content is left to do. */
static bool is_over(enum transfer_end how)
{
	return how == TRANSFER_DONE || how == TRANSFER_WAS_DONE ||
	       how == TRANSFER_GAVE_UP || how == TRANSFER_IDLE;
}

/* Whether it has to be looked at again now that it came to an end. Besides events that
 * came meanwhile, what is there has the last word: a file may have changed while it
 * waited for its sidecar, and truncate(2) gives no event that we wait for. */
static bool is_to_look_at(const struct file *file, enum transfer_end how)
{
	if (file->item.stirred)
		return true;
	return !file->adrift && how != TRANSFER_IDLE && is_over(how) &&
	       !file->transfer->intact && is_still(file, &file->transfer->identity) == 0;
}

static void count_end(struct uploader *u, struct file *file, bool uploaded)
{
	struct spool *spool = spool_of(file->directory);

	if (uploaded)
		u->stats.bytes += file->transfer->identity.size;
	u->stats.uploaded += uploaded;
	u->stats.failed += !uploaded;
	if (spool)
		spool_count(spool, uploaded);
}

static void on_left(void *userdata, struct transfer *t)
{
	struct uploader *u = userdata;
	struct file *file = t->owner;

	schedule_lighten(&u->schedule, &file->item);
	uploader_kick(u);
}

/* What is granted and has to wait may do so for days, until its storage is back: there
 * are not so many of those that none is left for others. Of the rest, their rows are
 * enough. */
static bool put_aside(struct uploader *u, struct file *file)
{
	const struct transfer *t = file->transfer;

	if (!t->id || !t->recorded || t->step >= STEP_RECORD_UPLOAD || file->next ||
	    schedule_set_unfinished(&u->schedule, &file->item))
		return false;
	u->crowded = true;
	u->ops->left(u->userdata, file->directory, file->name, t->serial);
	uploader_forget(u, file);
	return true;
}

static void on_ended(void *userdata, struct transfer *t, enum transfer_end how)
{
	struct uploader *u = userdata;
	struct file *file = t->owner;
	bool again = is_to_look_at(file, how);

	LIST_REMOVE(file, moving);
	file->item.stirred = false;
	file->item.attempts = t->attempts;
	uploader_kick(u);
	u->ops->changed(u->userdata);
	if (file->adrift && !is_over(how)) {
		uploader_leave_behind(u, file);
		return;
	}
	if ((how == TRANSFER_PAUSED || how == TRANSFER_FAILED) && put_aside(u, file))
		return;
	switch (how) {
	case TRANSFER_DONE:
	case TRANSFER_GAVE_UP: count_end(u, file, how == TRANSFER_DONE); break;
	case TRANSFER_WAS_DONE:
	case TRANSFER_IDLE: break;
	case TRANSFER_LATER: on_later(u, file); return;
	case TRANSFER_SHORT: on_short(u, file); return;
	case TRANSFER_HELD: on_held(u, file); return;
	case TRANSFER_PAUSED:
		/* First in line where it has something to lose; else behind the others,
		 * so that one file that an answer always chokes on can't hold them all.
		 */
		ready(u, file, t->id || t->resigned || t->first);
		if (t->first) /* it had its turn, and has it still */
			u->starts = 0;
		return;
	case TRANSFER_FAILED: wait_in_mind(u, file, ITEM_WAITING, t->again_at); return;
	}
	if (file->adrift) {
		uploader_leave_behind(u, file);
		return;
	}
	if (file->next) {
		transfer_free(file->transfer);
		file->transfer = take_next(file);
		go_on(u, file);
		return;
	}
	if (!again) {
		uploader_forget(u, file);
		return;
	}
	transfer_free(file->transfer);
	file->transfer = NULL;
	file->glimpse = (struct intake_glimpse){};
	file->item.attempts = 0;
	uploader_wait(u, file, ITEM_SETTLING,
		      usec_add(clock_monotonic(),
			       spool_directory_rules(file->directory).quiet));
}

/* ---- the pump ---- */

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
	if (need_transfer(file) < 0)
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
	if (!file || need_transfer(file) < 0)
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
		usec_t until = held_until(file, now);

		if (until > 0)
			uploader_wait(u, file, item->state, until);
		else
			ready(u, file, false);
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

static int on_pump(sd_event_source *source, void *userdata)
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
	if (has_room_to_tell(u))
		at = MIN(at, usec_add(now, MEMORY_DELAY));
	(void)sd_event_source_set_time(u->wake_source, at);
	(void)sd_event_source_set_enabled(u->wake_source, at == USEC_INFINITY
								  ? SD_EVENT_OFF
								  : SD_EVENT_ONESHOT);
	return 0;
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	tell_room(userdata, NULL, false);
	uploader_kick(userdata);
	return 0;
}

/* ---- from outside ---- */

static void set_concurrency(struct uploader *u)
{
	size_t files = u->services->config->upload.max_concurrent;

	slots_configure(&u->slots, files);
	ledger_expect(u->services->ledger, files);
}

void uploader_configure(struct uploader *u, health_probes renewed)
{
	struct file *file = LIST_FIRST(&u->moving), *next;

	set_concurrency(u);
	for (; file; file = next) {
		next = LIST_NEXT(file, moving);
		transfer_disown(file->transfer, renewed);
	}
	uploader_kick(u);
}

void uploader_stop(struct uploader *u)
{
	u->services->stopping = true;
}

static void tell_cut(const struct file *file, usec_t left)
{
	_cleanup_free_ char *path = transfer_path(file->transfer);
	const struct log_fields fields = { .file = path };
	char span[CLOCK_STRING_MAX];

	if (left == USEC_INFINITY || file->farewell.sent == 0)
		return;
	if (left == 0) {
		log_event(LOG_INFO, LOG_STOPPING, &fields,
			  "Not waiting for %s: it is sent, but the storage does not say "
			  "that it has it. It is sent again at the next start.",
			  path ? path : file->name);
		return;
	}
	log_event(
		LOG_INFO, LOG_STOPPING, &fields,
		"Not waiting for %s: %" PRIu64 " of its %" PRIu64
		" bytes are sent, and it would take %s more. It is sent again at the next "
		"start.",
		path ? path : file->name, file->farewell.sent, file->farewell.size,
		clock_format_span(span, left));
}

static void look_at_end(struct uploader *u, struct file *file, bool first, bool away,
			usec_t deadline)
{
	const struct transfer *t = file->transfer;
	struct farewell *f = &file->farewell;
	uint64_t sent = transfer_sent(t);
	usec_t now = clock_monotonic();

	if (first)
		farewell_begin(f, t->identity.size, sent,
			       sent > 0 ? t->sending_since : now, now);
	else
		farewell_note(f, sent, now);
	if (farewell_waits(f, u->stopped, deadline, now) && (!away || sent > 0))
		return;
	tell_cut(file, farewell_left(f, u->stopped, now));
	transfer_cancel(file->transfer);
}

void uploader_farewell(struct uploader *u, bool first, bool away, usec_t deadline)
{
	struct file *file = LIST_FIRST(&u->moving), *next;

	if (first)
		u->stopped = clock_monotonic();
	for (; file; file = next) {
		next = LIST_NEXT(file, moving);
		look_at_end(u, file, first, away, deadline);
	}
}

void uploader_cancel(struct uploader *u)
{
	struct file *file = LIST_FIRST(&u->moving);

	while (file) {
		struct file *next = LIST_NEXT(file, moving);

		transfer_cancel(file->transfer);
		file = next;
	}
}

bool uploader_is_idle(const struct uploader *u, bool all)
{
	return all ? u->schedule.size == 0 : u->schedule.counts[ITEM_MOVING] == 0;
}

struct uploader_stats uploader_stats(const struct uploader *u)
{
	struct uploader_stats stats = u->stats;
	const struct file *file;

	stats.moving = u->schedule.counts[ITEM_MOVING];
	stats.recording = u->services->recording;
	stats.waiting = u->schedule.size - stats.moving;
	stats.more = u->starved || u->crowded;
	stats.sent = 0;
	LIST_FOREACH (file, &u->moving, moving)
		stats.sent += transfer_sent(file->transfer);
	return stats;
}

struct visit {
	void (*each)(void *userdata, const struct uploader_file *file);
	void *userdata;
};

static void visit_item(void *userdata, const struct item *item)
{
	const struct file *file = container_of(item, const struct file, item);
	const struct visit *visit = userdata;

	visit->each(visit->userdata, &(struct uploader_file){
					     .state = item->state,
					     .directory = file->directory,
					     .name = file->name,
					     .transfer = file->transfer,
					     .attempts = item->attempts,
					     .needs = uploader_needs_of_lane(item->lane),
					     .at = item->at,
					     .since = file->since,
				     });
}

void uploader_each(const struct uploader *u,
		   void (*each)(void *userdata, const struct uploader_file *file),
		   void *userdata)
{
	struct visit visit = { .each = each, .userdata = userdata };

	schedule_each(&u->schedule, visit_item, &visit);
}

static int add_sources(struct uploader *u)
{
	int r = sd_event_add_defer(u->event, &u->pump_source, on_pump, u);

	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(u->pump_source, SD_EVENT_OFF);
	return sd_event_add_time(u->event, &u->wake_source, CLOCK_MONO, USEC_INFINITY,
				 USEC_PER_MSEC, on_wake, u);
}

int uploader_new(sd_event *event, struct transfer_services *services, bool once,
		 const struct uploader_ops *ops, void *userdata, struct uploader **ret)
{
	struct uploader *u = calloc(1, sizeof(*u));
	uint64_t counts[4];
	int r;

	if (!u)
		return -ENOMEM;
	u->event = event;
	u->services = services;
	u->once = once;
	set_concurrency(u);
	u->ops = ops;
	u->userdata = userdata;
	LIST_INIT(&u->moving);
	STAILQ_INIT(&u->starting);
	LIST_INIT(&u->drifting);
	ledger_counts(services->ledger, counts);
	u->recalls = counts[LEDGER_WAITING] > 0;
	services->waiting = waiting;
	services->left = on_left;
	services->ended = on_ended;
	services->userdata = u;
	r = schedule_init(&u->schedule);
	if (r == 0)
		r = add_sources(u);
	if (r < 0) {
		uploader_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

static void release(struct item *item)
{
	file_free(file_of(item));
}

void uploader_free(struct uploader *u)
{
	if (!u)
		return;
	schedule_done(&u->schedule, release);
	sd_event_source_disable_unref(u->pump_source);
	sd_event_source_disable_unref(u->wake_source);
	free(u);
}
