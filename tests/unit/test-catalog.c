/* The catalog explains each kind of event, and journalctl can read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs.h"
#include "log.h"
#include "scratch.h"

#define CATALOG "systemd/asset-agent.catalog"
enum { ID_LENGTH = 32, COLUMNS_MAX = 77, CATALOG_MAX = 1 << 20 };

/* What each line of a kind carries, whatever happened: an entry may speak of no other
 * field, since journalctl would write its bare name. */
static const struct {
	enum log_kind kind;
	const char *fields;
} CARRIES[] = {
	{ LOG_UPLOADED, "ASSET_SIZE ASSET_SPOOL ASSET_STAGE ASSET_ATTEMPT" },
	{ LOG_GIVEN_UP, "ASSET_SIZE ASSET_STAGE ASSET_ATTEMPT" },
	{ LOG_RETRYING, "ASSET_STAGE ASSET_ATTEMPT ASSET_RETRY_USEC" },
	{ LOG_SERVICE_AWAY, "ASSET_STAGE ASSET_RETRY_USEC" },
	{ LOG_SERVICE_BACK, "ASSET_STAGE" },
	{ LOG_DISK_AWAY, "ASSET_STAGE ASSET_RETRY_USEC" },
	{ LOG_SPOOL_DISK_AWAY, "ASSET_SPOOL ASSET_STAGE ASSET_RETRY_USEC" },
	{ LOG_SPOOL_DISK_BACK, "ASSET_SPOOL ASSET_STAGE" },
	{ LOG_SPOOL_AWAY, "ASSET_SPOOL" },
	{ LOG_SPOOL_BACK, "ASSET_SPOOL" },
	{ LOG_POLLING, "ASSET_SPOOL" },
	{ LOG_SPOOL_HELD, "ASSET_SPOOL" },
	{ LOG_SPOOL_FREE, "ASSET_SPOOL" },
	{ LOG_DIRECTORY_UNWRITABLE, "ASSET_SPOOL" },
	{ LOG_DIRECTORY_UNREADABLE, "ASSET_SPOOL" },
	{ LOG_BURST, "ASSET_COUNT ASSET_STAGE" },
};

static char *catalog;

static int set_up(void **state)
{
	(void)state;
	return fs_read_file(AT_FDCWD, CATALOG, CATALOG_MAX, &catalog, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	free(catalog);
	return 0;
}

/* The entry of a kind up to the next, which the caller frees; NULL: there is none. */
static char *entry_of(enum log_kind kind)
{
	_cleanup_free_ char *head = NULL;
	const char *entry, *end;

	assert_true(asprintf(&head, "\n-- %s\n", log_message_id(kind)) > 0);
	entry = strstr(catalog, head);
	if (!entry)
		return NULL;
	assert_null(strstr(entry + 1, head)); /* twice */
	entry += strlen(head);
	end = strstr(entry, "\n-- ");
	return end ? strndup(entry, (size_t)(end - entry) + 1) : strdup(entry);
}

static void test_each_kind_has_its_entry(void **state)
{
	static const char *const headers[] = {
		"Subject: ",
		"Defined-By: asset-agent\n",
		"Support: ",
		"Documentation: man:asset-agent(8)\n",
	};

	(void)state;
	for (enum log_kind kind = 0; kind < LOG_KINDS; kind++) {
		_cleanup_free_ char *entry = entry_of(kind);
		const char *line = entry;

		if (!entry)
			fail_msg(CATALOG " does not explain %s (kind %d of log.h)",
				 log_message_id(kind), (int)kind);
		for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
			if (!startswith(line, headers[i]))
				fail_msg("%s lacks %s", log_message_id(kind), headers[i]);
			line = strchr(line, '\n') + 1;
		}
		assert_true(*line == '\n' && line[1] != '\n' && line[1] != '\0');
	}
}

static bool is_kinds(const char *id)
{
	for (enum log_kind kind = 0; kind < LOG_KINDS; kind++)
		if (startswith(id, log_message_id(kind)) && id[ID_LENGTH] == '\n')
			return true;
	return false;
}

static void test_each_entry_has_its_kind(void **state)
{
	size_t entries = 0;

	(void)state;
	for (const char *p = catalog; (p = strstr(p, "\n-- ")); p++, entries++)
		if (!is_kinds(p + STRLEN("\n-- ")))
			fail_msg(CATALOG ": nothing is logged with %.32s", p + 4);
	assert_int_equal(entries, LOG_KINDS);
}

/* journalctl indents them by three. */
static void test_lines_are_short(void **state)
{
	(void)state;
	for (const char *p = catalog; *p; p = strchr(p, '\n') + 1)
		if (strcspn(p, "\n") > COLUMNS_MAX)
			fail_msg("%.*s", (int)strcspn(p, "\n"), p);
}

static bool carries(enum log_kind kind, const char *field, size_t length)
{
	const char *at = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(CARRIES); i++)
		if (CARRIES[i].kind == kind)
			at = CARRIES[i].fields;
	while (at) {
		if (strcspn(at, " ") == length && strncmp(at, field, length) == 0)
			return true;
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return false;
}

/* Nor of what strangers name: journalctl writes it as it is, whatever a terminal makes of
 * it. */
static void test_fields_are_there(void **state)
{
	(void)state;
	for (enum log_kind kind = 0; kind < LOG_KINDS; kind++) {
		_cleanup_free_ char *entry = entry_of(kind);

		assert_non_null(entry);
		for (char *p = entry; (p = strchr(p, '@'));) {
			size_t length = strcspn(++p, "@");

			assert_int_equal(p[length], '@');
			if (!carries(kind, p, length))
				fail_msg("%s speaks of %.*s", log_message_id(kind),
					 (int)length, p);
			p += length + 1;
		}
	}
}

/* ---- what journalctl says ---- */

/* What @command prints, both ways; it must succeed. The caller frees it. */
static char *output_of(const char *command)
{
	FILE *pipe = popen(command, "re"); /* NOLINT(cert-env33-c) */
	char *text = NULL;
	size_t size = 0;

	assert_non_null(pipe);
	if (getdelim(&text, &size, '\0', pipe) < 0) {
		free(text);
		text = strdup("");
	}
	if (pclose(pipe) != 0)
		fail_msg("%s: %s", command, text);
	return text;
}

static void test_journalctl_takes_it(void **state)
{
	_cleanup_scratch_ struct scratch scratch = scratch_make();
	_cleanup_free_ char *make = NULL, *said = NULL, *show = NULL, *list = NULL;

	(void)state;
	assert_true(asprintf(&make,
			     "install -d '%s/var/lib/systemd/catalog' &&"
			     "install -D -t '%s/usr/lib/systemd/catalog' " CATALOG " &&"
			     "journalctl --root='%s' --update-catalog 2>&1",
			     scratch.path, scratch.path, scratch.path) > 0);
	said = output_of(make);
	assert_string_equal(said, "");
	assert_true(asprintf(&show, "journalctl --root='%s' --list-catalog 2>&1",
			     scratch.path) > 0);
	list = output_of(show);
	for (enum log_kind kind = 0; kind < LOG_KINDS; kind++)
		if (!strstr(list, log_message_id(kind)))
			fail_msg("not listed: %s", log_message_id(kind));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_has_its_entry),
		cmocka_unit_test(test_each_entry_has_its_kind),
		cmocka_unit_test(test_lines_are_short),
		cmocka_unit_test(test_fields_are_there),
		cmocka_unit_test(test_journalctl_takes_it),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("catalog", tests, set_up, tear_down);
}
