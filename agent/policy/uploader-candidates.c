#include "macro.h"
#include "uploader-state.h"

/* A file that failed before and is not kept in mind comes back with its attempts. Returns
 * when it may be tried again, 0: at once. */
static usec_t recall(struct uploader *u, struct file *file)
{
	struct ledger_row row;

	if (!u->recalls || ledger_find_waiting(u->services->ledger,
					       spool_directory_path(file->directory),
					       file->name, &row) != 1)
		return 0;
	if (uploader_is_still(file, &row.identity) != 1) {
		(void)ledger_drop(u->services->ledger, row.serial);
		return 0;
	}
	if (uploader_need_transfer(file) < 0 ||
	    transfer_restore(file->transfer, &row) < 0)
		return 0;
	file->item.attempts = row.attempts;
	return file->transfer->again_at;
}

/* Something happened to a file that is known already. */
static void stir(struct uploader *u, struct file *file, usec_t at)
{
	switch (file->item.state) {
	case ITEM_MOVING: file->item.stirred = true; break;
	case ITEM_WAITING:
		/* A touch of what did not change is no reason to hurry a retry. */
		if (!file->transfer ||
		    uploader_is_still(file, &file->transfer->identity) != 1) {
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
	if (uploader_add(u, directory, name, false, &file) < 0) {
		u->starved = true;
		uploader_kick(u);
		return false;
	}
	again_at = recall(u, file);
	until = uploader_held_until(file, clock_monotonic());
	if (again_at > at)
		uploader_wait_in_mind(u, file, ITEM_WAITING, again_at);
	else if (until > at)
		uploader_wait_in_mind(u, file, ITEM_SETTLING, until);
	else if (at > clock_monotonic())
		uploader_wait(u, file, ITEM_SETTLING, at);
	else if (st)
		uploader_ready_as(u, file, false, (uint64_t)st->st_size);
	else
		uploader_ready(u, file, false);
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

int uploader_restore(struct uploader *u, struct spool_directory *directory,
		     const struct ledger_row *row)
{
	struct item *known = schedule_find(&u->schedule, directory, row->name);
	struct file *file;
	int r;

	if (known)
		return restore_next(u, file_of(known), row);
	r = uploader_add(u, directory, row->name, true, &file);
	u->crowded |= r == -ENOBUFS;
	if (r < 0)
		return r;
	r = uploader_need_transfer(file);
	if (r == 0)
		r = transfer_restore(file->transfer, row);
	if (r < 0) {
		uploader_forget(u, file);
		return r;
	}
	uploader_go_on(u, file);
	uploader_kick(u);
	return 0;
}
