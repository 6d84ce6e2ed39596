#include <fcntl.h>

#include "macro.h"
#include "uploader-state.h"

#define ROOM_TO_RESUME	(SCHEDULE_MAX / 8)  /* scans go on when that much is free again */
#define ROOM_TO_RESTORE (SCHEDULE_MAX / 16) /* as do rows that had no place */
#define WAITING_MAX	(SCHEDULE_MAX / 2)  /* files that wait for a time, kept in mind */
#define LARGE_SIZE	((uint64_t)1 << 20) /* larger than that is large */

/* ---- they come and go ---- */

struct transfer *uploader_take_next(struct file *file)
{
	struct transfer *next = file->next;

	if (next)
		file->next = take_ptr(next->next);
	return next;
}

void uploader_free_file(struct file *file)
{
	if (file->adrift)
		LIST_REMOVE(file, drifting);
	transfer_free(file->transfer);
	while (file->next)
		transfer_free(uploader_take_next(file));
	spool_directory_unref(file->directory);
	free(file);
}

bool uploader_has_room(const struct uploader *u)
{
	return u->starved && schedule_room(&u->schedule) >= ROOM_TO_RESUME;
}

void uploader_tell_room(struct uploader *u, const void *owner, bool lent)
{
	if (uploader_has_room(u)) {
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
	uploader_free_file(file);
	tell_vacant(u);
	uploader_tell_room(u, owner, lent);
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

int uploader_add(struct uploader *u, struct spool_directory *directory, const char *name,
		 bool unfinished, struct file **ret)
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
		uploader_free_file(file);
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

/* ---- when it is their turn ---- */

void uploader_ready_as(struct uploader *u, struct file *file, bool first, uint64_t bytes)
{
	file->item.lane = lane_of(file->transfer);
	file->item.size = size_of(u, bytes);
	schedule_ready(&u->schedule, &file->item, first);
}

void uploader_ready(struct uploader *u, struct file *file, bool first)
{
	uploader_ready_as(u, file, first, bytes_of(file));
}

void uploader_wait(struct uploader *u, struct file *file, enum item_state state,
		   usec_t at)
{
	file->item.lane = lane_of(file->transfer);
	schedule_wait(&u->schedule, &file->item, state, at);
}

int uploader_need_transfer(struct file *file)
{
	struct uploader *u = file->uploader;

	if (file->transfer)
		return 0;
	return transfer_new(u->services, file->directory, file->name, &file->glimpse,
			    file, &file->transfer);
}

int uploader_is_still(const struct file *file, const struct fs_identity *identity)
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

usec_t uploader_held_until(const struct file *file, usec_t now)
{
	return file->uploader->once ? 0 : transfer_held_until(file->directory, now);
}

void uploader_wait_in_mind(struct uploader *u, struct file *file, enum item_state state,
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

void uploader_go_on(struct uploader *u, struct file *file)
{
	const struct transfer *t = file->transfer;

	file->item.attempts = t->attempts;
	if (!t->uploaded && t->again_at > clock_monotonic() && t->attempts > 0)
		uploader_wait(u, file, ITEM_WAITING, t->again_at);
	else
		uploader_ready(u, file, true);
}
