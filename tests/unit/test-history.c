/*
 * The journal is a made-up one: a list of entries.
 */

// wrap: sd_journal_open sd_journal_close sd_journal_set_data_threshold
// wrap: sd_journal_add_match sd_journal_seek_tail sd_journal_previous
// wrap: sd_journal_get_realtime_usec sd_journal_get_data sd_id128_get_machine access

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <systemd/sd-journal.h>

#include "history.h"
#include "macro.h"

#define FILE_FIELD "ASSET_FILE=/spool/a\nb"

struct made_up {
	usec_t at;
	const char *message, *id;
};

static struct {
	const struct made_up *entries;
	size_t count, at;
	int access; /* errno of the journal's files; 0: they may be read */
	int open, previous, realtime; /* negative errno, or 0 */
	unsigned opened, closed;
	bool file_matched, program_matched;
} journal;

static char handle;

int __wrap_sd_journal_open(sd_journal **ret, int flags);
int __wrap_sd_journal_open(sd_journal **ret, int flags)
{
	assert_int_equal(flags, SD_JOURNAL_LOCAL_ONLY);
	if (journal.open < 0)
		return journal.open;
	journal.opened++;
	*ret = (sd_journal *)(void *)&handle;
	return 0;
}

void __wrap_sd_journal_close(sd_journal *j);
void __wrap_sd_journal_close(sd_journal *j)
{
	assert_ptr_equal(j, &handle);
	journal.closed++;
}

int __wrap_sd_journal_set_data_threshold(sd_journal *j, size_t size);
int __wrap_sd_journal_set_data_threshold(sd_journal *j, size_t size)
{
	(void)j;
	assert_in_range(size, 1024, 65536);
	return 0;
}

int __wrap_sd_journal_add_match(sd_journal *j, const void *data, size_t size);
int __wrap_sd_journal_add_match(sd_journal *j, const void *data, size_t size)
{
	(void)j;
	if (size == 0)
		journal.program_matched = streq(data, "SYSLOG_IDENTIFIER=asset-agent");
	else
		journal.file_matched = size == STRLEN(FILE_FIELD) &&
				       memcmp(data, FILE_FIELD, size) == 0;
	return 0;
}

int __wrap_sd_journal_seek_tail(sd_journal *j);
int __wrap_sd_journal_seek_tail(sd_journal *j)
{
	(void)j;
	journal.at = journal.count;
	return 0;
}

int __wrap_sd_journal_previous(sd_journal *j);
int __wrap_sd_journal_previous(sd_journal *j)
{
	(void)j;
	if (journal.previous < 0)
		return journal.previous;
	if (journal.at == 0)
		return 0;
	journal.at--;
	return 1;
}

int __wrap_sd_journal_get_realtime_usec(sd_journal *j, uint64_t *ret);
int __wrap_sd_journal_get_realtime_usec(sd_journal *j, uint64_t *ret)
{
	(void)j;
	*ret = journal.entries[journal.at].at;
	return journal.realtime;
}

/* A field is "NAME=value", without a NUL after it. */
int __wrap_sd_journal_get_data(sd_journal *j, const char *field, const void **ret,
			       size_t *ret_length);
int __wrap_sd_journal_get_data(sd_journal *j, const char *field, const void **ret,
			       size_t *ret_length)
{
	static char data[512];
	const struct made_up *entry = &journal.entries[journal.at];
	const char *value = streq(field, "MESSAGE") ? entry->message : entry->id;

	(void)j;
	if (!value)
		return -ENOENT;
	*ret_length = (size_t)snprintf(data, sizeof(data), "%s=%s", field, value);
	memset(data + *ret_length, '#', 8);
	*ret = data;
	return 0;
}

int __wrap_sd_id128_get_machine(sd_id128_t *ret);
int __wrap_sd_id128_get_machine(sd_id128_t *ret)
{
	*ret = (sd_id128_t){};
	return 0;
}

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
	if (!strstr(path, "/log/journal/"))
		return __real_access(path, mode);
	errno = journal.access;
	return journal.access ? -1 : 0;
}

static void make_journal(const struct made_up *entries, size_t count)
{
	memset(&journal, 0, sizeof(journal));
	journal.entries = entries;
	journal.count = count;
}

static const struct made_up seven[] = {
	{ 1, "one", NULL },   { 2, "two", NULL },  { 3, "three", "id-3" },
	{ 4, "four", NULL },  { 5, NULL, "id-5" }, { 6, "six", NULL },
	{ 7, "seven", "id" },
};

static void test_the_last_entries_oldest_first(void **state)
{
	struct history history;

	(void)state;
	make_journal(seven, ARRAY_SIZE(seven));
	assert_int_equal(history_read("/spool/a\nb", &history), 0);
	assert_true(journal.file_matched && journal.program_matched);
	assert_int_equal(history.count, HISTORY_MAX);
	assert_int_equal(history.entries[0].at, 3);
	assert_string_equal(history.entries[0].message, "three");
	assert_string_equal(history.entries[0].asset_id, "id-3");
	assert_null(history.entries[1].asset_id);
	assert_null(history.entries[2].message);
	assert_int_equal(history.entries[HISTORY_MAX - 1].at, 7);
	history_done(&history);
	assert_int_equal(history.count, 0);
	assert_int_equal(journal.closed, 1);
}

static void test_fewer_than_fit(void **state)
{
	struct history history;

	(void)state;
	make_journal(seven, 1);
	assert_int_equal(history_read("/spool/a\nb", &history), 0);
	assert_int_equal(history.count, 1);
	history_done(&history);
	make_journal(NULL, 0);
	assert_int_equal(history_read("/spool/a\nb", &history), 0);
	assert_int_equal(history.count, 0);
}

static void test_what_fails(void **state)
{
	struct history history;

	(void)state;
	make_journal(seven, 7);
	journal.access = ENOENT;
	assert_int_equal(history_read("/x", &history), -ENOENT);
	journal.access = EACCES;
	assert_int_equal(history_read("/x", &history), -EACCES);
	assert_int_equal(journal.opened, 0);
	journal.access = 0;
	journal.open = -EMFILE;
	assert_int_equal(history_read("/x", &history), -EMFILE);
	journal.open = 0;
	journal.previous = -EBADMSG;
	assert_int_equal(history_read("/x", &history), -EBADMSG);
	journal.previous = 0;
	journal.realtime = -ESTALE;
	assert_int_equal(history_read("/x", &history), -ESTALE);
	assert_int_equal(journal.opened, journal.closed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_entries_oldest_first),
		cmocka_unit_test(test_fewer_than_fit),
		cmocka_unit_test(test_what_fails),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
