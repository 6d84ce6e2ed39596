#include "uploader-rehome.h"
#include "macro.h"
#include "spool-entry.h"
#include "uploader-state.h"

struct leaver {
	struct uploader *uploader;
	const struct config *config;
	const struct spool *spool;
};

static void unhome(void *userdata, const struct item *item)
{
	struct file *file = container_of((struct item *)item, struct file, item);
	const struct leaver *leaver = userdata;

	/* By its owner, as its directory may have left the spool before. */
	if (item->owner != leaver->spool || file->adrift)
		return;
	file->adrift = true;
	LIST_INSERT_HEAD(&leaver->uploader->drifting, file, drifting);
	if (item->state == ITEM_MOVING)
		transfer_leave(file->transfer, leaver->config,
			       spool_config(leaver->spool));
}

void uploader_unhome(struct uploader *u, const struct config *config,
		     const struct spool *spool)
{
	struct leaver leaver = { u, config, spool };

	schedule_each(&u->schedule, unhome, &leaver);
}

static bool is_same_directory(struct spool_directory *a, struct spool_directory *b)
{
	int one = spool_directory_fd(a), other = spool_directory_fd(b);
	struct stat st, st_too;

	return one >= 0 && other >= 0 && fstat(one, &st) == 0 &&
	       fstat(other, &st_too) == 0 && st.st_dev == st_too.st_dev &&
	       st.st_ino == st_too.st_ino;
}

static void move_in(struct file *file, struct spool_directory *directory)
{
	struct spool_directory *from = file->directory;

	file->directory = spool_directory_ref(directory);
	spool_directory_unref(from);
	if (file->transfer)
		transfer_move(file->transfer, directory);
	for (struct transfer *next = file->next; next; next = next->next)
		transfer_move(next, directory);
	file->adrift = file->seen = false;
	LIST_REMOVE(file, drifting);
}

/* Whether @file belongs to @directory from now on. */
static bool rehome(struct uploader *u, struct file *file,
		   struct spool_directory *directory)
{
	bool moves = file->item.state == ITEM_MOVING;

	if (spool_entry_is_ignored(spool_config(spool_of(directory)), file->name) ||
	    (moves && !is_same_directory(file->directory, directory)) ||
	    schedule_rename(&u->schedule, &file->item, directory, spool_of(directory)) <
		    0)
		return false;
	move_in(file, directory);
	/* What it waited for may be otherwise now. */
	if (file->item.state == ITEM_SETTLING)
		uploader_wait(u, file, ITEM_SETTLING,
			      MIN(file->item.at,
				  usec_add(clock_monotonic(),
					   spool_directory_rules(directory).quiet)));
	return true;
}

void uploader_rehome(struct uploader *u, uploader_find_fn find, void *userdata)
{
	struct file *file = LIST_FIRST(&u->drifting), *next;

	for (; file; file = next) {
		_cleanup_(
			spool_directory_unrefp) struct spool_directory *directory = NULL;
		bool moves = file->item.state == ITEM_MOVING;
		const char *path = spool_directory_path(file->directory);

		next = LIST_NEXT(file, drifting);
		if (find(userdata, path, moves, &directory) > 0 &&
		    rehome(u, file, directory))
			continue;
		if (!moves)
			uploader_leave_behind(u, file);
	}
	uploader_kick(u);
}
