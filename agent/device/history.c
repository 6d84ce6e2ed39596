#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include "history.h"
#include "macro.h"

#define MESSAGE_MAX ((size_t)4096) /* bytes of a field that are read */

DEFINE_CLEANUP(sd_journal *, journal_closep, sd_journal_close)

/* sd_journal_open() finds just nothing where it may not look, and does not tell. */
static int may_read(void)
{
	static const char *const places[] = { "/var/log/journal", "/run/log/journal" };
	char machine[SD_ID128_STRING_MAX];
	sd_id128_t id;
	int r = sd_id128_get_machine(&id), error = -ENOENT;

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s/system.journal", places[i],
			     sd_id128_to_string(id, machine)) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (access(path, R_OK) == 0)
			return 0;
		if (errno != ENOENT && errno != ENOTDIR)
			error = -errno;
	}
	return error;
}

static int match(sd_journal *journal, const char *file)
{
	_cleanup_free_ char *field = NULL;
	int length = asprintf(&field, "ASSET_FILE=%s", file), r;

	if (length < 0) {
		field = NULL;
		return -ENOMEM;
	}
	r = sd_journal_add_match(journal, "SYSLOG_IDENTIFIER=asset-agent", 0);
	if (r >= 0)
		r = sd_journal_add_match(journal, field, (size_t)length);
	return r;
}

/* The value of a field, or NULL. */
static char *get(sd_journal *journal, const char *name)
{
	const void *data;
	size_t length, skip = strlen(name) + 1;

	if (sd_journal_get_data(journal, name, &data, &length) < 0 || length < skip)
		return NULL;
	return strndup((const char *)data + skip, length - skip);
}

static int read_entries(sd_journal *journal, struct history *history)
{
	struct history_entry *first = history->entries;
	int r = sd_journal_seek_tail(journal);

	while (r >= 0 && history->count < HISTORY_MAX &&
	       (r = sd_journal_previous(journal)) > 0) {
		struct history_entry entry = { 0 };

		r = sd_journal_get_realtime_usec(journal, &entry.at);
		if (r < 0)
			break;
		entry.message = get(journal, "MESSAGE");
		entry.asset_id = get(journal, "ASSET_ID");
		memmove(first + 1, first, history->count * sizeof(*first));
		*first = entry;
		history->count++;
	}
	return r;
}

int history_read(const char *file, struct history *ret)
{
	_cleanup_(journal_closep) sd_journal *journal = NULL;
	struct history history = {};
	int r;

	r = may_read();
	if (r >= 0)
		r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
	if (r >= 0)
		r = sd_journal_set_data_threshold(journal, MESSAGE_MAX);
	if (r >= 0)
		r = match(journal, file);
	if (r >= 0)
		r = read_entries(journal, &history);
	if (r < 0) {
		history_done(&history);
		return r;
	}
	*ret = history;
	return 0;
}

void history_done(struct history *history)
{
	for (size_t i = 0; i < history->count; i++) {
		free(history->entries[i].message);
		free(history->entries[i].asset_id);
	}
	*history = (struct history){};
}
