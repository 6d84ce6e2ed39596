#include <inttypes.h>

#include "log.h"
#include "macro.h"
#include "uploader-state.h"

#define BUSY_DELAY_MAX USEC_PER_MINUTE /* between two looks at a file being written */

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
	uploader_wait_in_mind(u, file, ITEM_SETTLING, at);
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
	uploader_wait_in_mind(u, file, ITEM_SETTLING, t->again_at);
}

/* Who asked for what is due now does not wait for it. */
static void on_held(struct uploader *u, struct file *file)
{
	if (u->once) {
		u->stats.skipped++;
		uploader_forget(u, file);
		return;
	}
	uploader_wait_in_mind(u, file, ITEM_SETTLING, file->transfer->again_at);
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
	       !file->transfer->intact &&
	       uploader_is_still(file, &file->transfer->identity) == 0;
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

void uploader_on_left(void *userdata, struct transfer *t)
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

void uploader_on_ended(void *userdata, struct transfer *t, enum transfer_end how)
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
		uploader_ready(u, file, t->id || t->resigned || t->first);
		if (t->first) /* it had its turn, and has it still */
			u->starts = 0;
		return;
	case TRANSFER_FAILED:
		uploader_wait_in_mind(u, file, ITEM_WAITING, t->again_at);
		return;
	}
	if (file->adrift) {
		uploader_leave_behind(u, file);
		return;
	}
	if (file->next) {
		transfer_free(file->transfer);
		file->transfer = uploader_take_next(file);
		uploader_go_on(u, file);
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
