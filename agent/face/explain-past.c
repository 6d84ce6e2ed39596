#include "explain-parts.h"
#include "history.h"
#include "log.h"

static void tell_entries(struct explain *e, const struct history *history)
{
	char at[CLOCK_STRING_MAX];

	e->known |= history->count > 0;
	if (history->count > 0)
		screen_say(&e->screen, "The journal's last words on it:");
	for (size_t i = 0; i < history->count; i++)
		screen_say(&e->screen, "- %s: %s",
			   screen_instant(at, history->entries[i].at),
			   history->entries[i].message ? history->entries[i].message
						       : "");
}

void explain_past(struct explain *e)
{
	_cleanup_free_ char *path = NULL;
	struct history history = {};
	int r;

	if (!e->known_as && asprintf(&path, "%s/%s", e->directory, e->name) < 0) {
		path = NULL;
		return;
	}
	r = history_read(e->known_as ? e->known_as : path, &history);
	if (r == -ENOENT)
		screen_say(&e->screen,
			   "There is no journal on this machine to look it up in.");
	else if (r == -EACCES || r == -EPERM)
		screen_say(&e->screen,
			   "The journal can't be read: %s; root would see more.",
			   log_errno(r));
	else if (r < 0)
		screen_say(&e->screen, "The journal can't be read: %s.", log_errno(r));
	else
		tell_entries(e, &history);
	history_done(&history);
}
