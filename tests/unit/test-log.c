// wrap: journal_send
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "journal.h"
#include "log.h"

/* ---- the journal, seen from below ---- */

enum { CAPTURED_MAX = 32 };

static struct {
	int answer; /* what the journal says */
	unsigned calls;
	size_t count;
	char *fields[CAPTURED_MAX]; /* owned */
	size_t lengths[CAPTURED_MAX];
} journal;

int __wrap_journal_send(const struct iovec *items, int count);

int __wrap_journal_send(const struct iovec *items, int count)
{
	assert_in_range(count, 1, CAPTURED_MAX);
	journal.calls++;
	journal.count = (size_t)count;
	for (size_t i = 0; i < journal.count; i++) {
		free(journal.fields[i]);
		journal.lengths[i] = items[i].iov_len;
		journal.fields[i] = calloc(1, items[i].iov_len + 1);
		assert_non_null(journal.fields[i]);
		memcpy(journal.fields[i], items[i].iov_base, items[i].iov_len);
	}
	return journal.answer;
}

static void journal_forget(void)
{
	for (size_t i = 0; i < CAPTURED_MAX; i++)
		free(journal.fields[i]);
	memset(&journal, 0, sizeof(journal));
}

/* The value of the field @name, or NULL. */
static const char *field(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < journal.count; i++)
		if (startswith(journal.fields[i], name) &&
		    journal.fields[i][length] == '=')
			return journal.fields[i] + length + 1;
	return NULL;
}

/* ---- standard error, kept ---- */

struct capture {
	int saved, memory;
	char text[16384];
};

static void capture_begin(struct capture *c)
{
	*c = (struct capture){ .saved = dup(STDERR_FILENO),
			       .memory = memfd_create("stderr", MFD_CLOEXEC) };
	assert_true(c->saved >= 0 && c->memory >= 0);
	assert_true(dup2(c->memory, STDERR_FILENO) >= 0);
}

static const char *capture_end(struct capture *c)
{
	assert_true(dup2(c->saved, STDERR_FILENO) >= 0);
	assert_true(pread(c->memory, c->text, sizeof(c->text) - 1, 0) >= 0);
	close(c->saved);
	close(c->memory);
	return c->text;
}

static int set_up(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_init(LOG_TO_STDERR, LOG_INFO);
	journal_forget();
	return 0;
}

/* ---- to standard error ---- */

static void test_levels(void **state)
{
	static const int levels[] = { LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO,
				      LOG_DEBUG };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		for (size_t j = 0; j < ARRAY_SIZE(levels); j++) {
			bool written = levels[j] <= levels[i];
			struct capture c;

			log_init(LOG_TO_STDERR, levels[i]);
			assert_int_equal(log_enabled(levels[j]), written);
			capture_begin(&c);
			log_event(levels[j], LOG_STARTED, NULL, "%s %d", "line", 7);
			assert_string_equal(capture_end(&c), written ? "line 7\n" : "");
		}
	assert_int_equal(journal.calls, 0);
}

static void test_the_short_forms(void **state)
{
	struct capture c;

	(void)state;
	log_init(LOG_TO_STDERR, LOG_DEBUG);
	capture_begin(&c);
	log_error(LOG_STARTED, "e%d", 1);
	log_warning(LOG_STARTED, "w%d", 2);
	log_notice(LOG_STARTED, "n%d", 3);
	log_info(LOG_STARTED, "i%d", 4);
	log_debug("d%d", 5);
	assert_string_equal(capture_end(&c), "e1\nw2\nn3\ni4\nd5\n");
}

static const struct {
	const char *name, *raw, *escaped;
} HOSTILE[] = {
	{ "plain", "bird.jpg", "bird.jpg" },
	{ "UTF-8 stays", "V\xC3\xB6gel \xF0\x9F\x90\xA6",
	  "V\xC3\xB6gel \xF0\x9F\x90\xA6" },
	{ "a forged line", "a\nMay 1 root: all is well", "a\\nMay 1 root: all is well" },
	{ "carriage return", "a\rb", "a\\rb" },
	{ "tab", "a\tb", "a\\tb" },
	{ "erases the screen", "\x1B[2J\x1B[H", "\\x1B[2J\\x1B[H" },
	{ "backspace, bell, DEL", "\b\a\x7F", "\\x08\\x07\\x7F" },
	{ "C1: CSI in one character", "\xC2\x9B", "\\xC2\\x9B" },
	{ "not UTF-8", "\xFF\xFE", "\\xFF\\xFE" },
	{ "cut short", "a\xE2\x82", "a\\xE2\\x82" },
	{ "right to left override", "\xE2\x80\xAEgpj", "\\xE2\\x80\\xAEgpj" },
	{ "line separator", "\xE2\x80\xA8", "\\xE2\\x80\\xA8" },
	{ "a backslash is not an escape", "a\\n", "a\\\\n" },
	{ "a conversion is not one", "%s%n", "%s%n" },
	{ "a level of another", "<0>panic", "<0>panic" },
};

static void test_escapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(HOSTILE); i++) {
		char expected[256];
		struct capture c;

		capture_begin(&c);
		log_event(LOG_INFO, LOG_STARTED, NULL, "Uploaded %s.", HOSTILE[i].raw);
		snprintf(expected, sizeof(expected), "Uploaded %s.\n",
			 HOSTILE[i].escaped);
		if (!streq(capture_end(&c), expected))
			fail_msg("%s: %s", HOSTILE[i].name, c.text);
	}
}

static void test_long_line_is_whole(void **state)
{
	char name[4096], expected[4100];
	struct capture c;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	capture_begin(&c);
	log_event(LOG_INFO, LOG_STARTED, NULL, "%s.", name);
	snprintf(expected, sizeof(expected), "%s.\n", name);
	assert_string_equal(capture_end(&c), expected);
}

static void test_errno_is_kept(void **state)
{
	struct capture c;
	int kept;

	(void)state;
	capture_begin(&c);
	close(STDERR_FILENO); /* the line itself fails */
	errno = ENOTTY;
	log_event(LOG_INFO, LOG_STARTED, NULL, "into the void");
	kept = errno;
	assert_string_equal(capture_end(&c), "");
	assert_int_equal(kept, ENOTTY);
}

#define CLEAR "\r\x1B[K"

static void test_foot(void **state)
{
	struct capture c;

	(void)state;
	capture_begin(&c);
	log_foot(NULL);
	assert_string_equal(capture_end(&c), "");

	capture_begin(&c);
	log_foot("1 of 2");
	log_info(LOG_STARTED, "a line");
	log_foot("2 of 2");
	log_info(LOG_STARTED, "another");
	log_foot(NULL);
	log_info(LOG_STARTED, "the last");
	assert_string_equal(capture_end(&c),
			    CLEAR "1 of 2" CLEAR "a line\n1 of 2" CLEAR "2 of 2" CLEAR
				  "another\n2 of 2" CLEAR "the last\n");
}

static void test_foot_is_copied(void **state)
{
	char line[] = "mine";
	struct capture c;

	(void)state;
	capture_begin(&c);
	log_foot(line);
	memcpy(line, "####", 4);
	log_info(LOG_STARTED, "x");
	log_foot(NULL);
	assert_string_equal(capture_end(&c), CLEAR "mine" CLEAR "x\nmine" CLEAR);
}

/* $JOURNAL_STREAM as systemd would set it for what standard error is now, or beside it.
 */
static void claim_stream(unsigned device_off, unsigned inode_off)
{
	char value[96];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(value, sizeof(value), "%ju:%ju", (uintmax_t)st.st_dev + device_off,
		 (uintmax_t)st.st_ino + inode_off);
	setenv("JOURNAL_STREAM", value, 1);
}

static void test_prefix(void **state)
{
	static const struct {
		unsigned device_off, inode_off;
		bool is;
	} table[] = { { 0, 0, true }, { 1, 0, false }, { 0, 1, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct capture c;
		bool is;

		capture_begin(&c);
		claim_stream(table[i].device_off, table[i].inode_off);
		is = log_stderr_is_journal();
		log_init(LOG_TO_STDERR, LOG_INFO);
		log_info(LOG_STARTED, "one");
		log_error(LOG_STARTED, "two");
		assert_string_equal(capture_end(&c),
				    table[i].is ? "<6>one\n<3>two\n" : "one\ntwo\n");
		assert_int_equal(is, table[i].is);
	}
}

static void test_no_such_stream(void **state)
{
	static const char *const values[] = { "", ":", "1", "1:", ":1", "x:y", "-" };

	(void)state;
	assert_false(log_stderr_is_journal());
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		setenv("JOURNAL_STREAM", values[i], 1);
		assert_false(log_stderr_is_journal());
	}
}

/* ---- to the journal ---- */

static void test_all_fields(void **state)
{
	static const struct log_fields fields = {
		.asset_id = "12-ab",
		.file = "/spool/a\nPRIORITY=0\x1B\xFF.jpg",
		.spool = "photos",
		.content_type = "image/jpeg",
		.stage = "upload",
		.error_code = "400-196",
		.has_size = true,
		.size = UINT64_MAX,
		.attempt = 3,
		.http_status = 503,
		.duration = 1234567,
		.retry = 7654321,
		.count = 17,
	};
	static const char *const expected[][2] = {
		{ "MESSAGE", "Uploaded /spool/a\\nPRIORITY=0\\x1B\\xFF.jpg." },
		{ "PRIORITY", "6" },
		{ "SYSLOG_IDENTIFIER", "asset-agent" },
		{ "ASSET_ID", "12-ab" },
		{ "ASSET_FILE", "/spool/a\nPRIORITY=0\x1B\xFF.jpg" },
		{ "ASSET_SPOOL", "photos" },
		{ "ASSET_SIZE", "18446744073709551615" },
		{ "ASSET_CONTENT_TYPE", "image/jpeg" },
		{ "ASSET_STAGE", "upload" },
		{ "ASSET_ATTEMPT", "3" },
		{ "ASSET_DURATION_USEC", "1234567" },
		{ "ASSET_HTTP_STATUS", "503" },
		{ "ASSET_ERROR_CODE", "400-196" },
		{ "ASSET_RETRY_USEC", "7654321" },
		{ "ASSET_COUNT", "17" },
	};
	struct capture c;

	(void)state;
	log_init(LOG_TO_JOURNAL, LOG_INFO);
	capture_begin(&c);
	log_event(LOG_INFO, LOG_UPLOADED, &fields, "Uploaded %s.", fields.file);
	assert_string_equal(capture_end(&c), "");
	assert_int_equal(journal.calls, 1);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		if (!streq(field(expected[i][0]), expected[i][1]))
			fail_msg("%s: %s", expected[i][0], field(expected[i][0]));
	assert_non_null(field("MESSAGE_ID"));
	assert_int_equal(journal.count, ARRAY_SIZE(expected) + 1);
	for (size_t i = 0; i < journal.count; i++)
		assert_int_equal(journal.lengths[i], strlen(journal.fields[i]));
}

static void test_absent_fields(void **state)
{
	static const struct log_fields none = {}, empty = { .has_size = true };

	(void)state;
	log_init(LOG_TO_JOURNAL, LOG_INFO);
	log_event(LOG_WARNING, LOG_STARTED, NULL, "w");
	assert_int_equal(journal.count, 4);
	assert_string_equal(field("PRIORITY"), "4");
	log_event(LOG_ERR, LOG_STARTED, &none, "w");
	assert_int_equal(journal.count, 4);
	assert_string_equal(field("PRIORITY"), "3");
	log_event(LOG_ERR, LOG_STARTED, &empty, "an empty file has a size");
	assert_int_equal(journal.count, 5);
	assert_string_equal(field("ASSET_SIZE"), "0");
}

/* It is for those who read the code. */
static void test_only_details_have_no_message_id(void **state)
{
	(void)state;
	log_init(LOG_TO_JOURNAL, LOG_INFO);
	log_debug("too fine");
	log_detail("too fine");
	assert_int_equal(journal.calls, 0);
	log_init(LOG_TO_JOURNAL, LOG_DEBUG);
	log_debug("%s", "fine");
	assert_string_equal(field("MESSAGE"), "fine");
	assert_string_equal(field("PRIORITY"), "7");
	assert_null(field("MESSAGE_ID"));
	assert_int_equal(journal.count, 3);
}

static void test_level_of_the_journal(void **state)
{
	(void)state;
	log_init(LOG_TO_JOURNAL, LOG_WARNING);
	log_event(LOG_NOTICE, LOG_STARTED, NULL, "too fine");
	log_debug("too fine");
	assert_int_equal(journal.calls, 0);
	log_event(LOG_WARNING, LOG_STARTED, NULL, "coarse enough");
	assert_int_equal(journal.calls, 1);
}

static void test_falls_back(void **state)
{
	struct capture c;

	(void)state;
	log_init(LOG_TO_JOURNAL, LOG_INFO);
	journal.answer = -ENOENT;
	capture_begin(&c);
	log_event(LOG_ERR, LOG_GIVEN_UP, NULL, "Gave up %s.", "a\nb");
	assert_string_equal(capture_end(&c), "Gave up a\\nb.\n");
	assert_int_equal(journal.calls, 1);
	journal.answer = 0;
	capture_begin(&c);
	log_event(LOG_ERR, LOG_STARTED, NULL, "The journal is back.");
	assert_string_equal(capture_end(&c), "");
	assert_int_equal(journal.calls, 2);
}

/* Standard error is a pipe that nobody reads, and full. */
static void test_lost_lines_are_counted(void **state)
{
	int stderr_before = dup(STDERR_FILENO), pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	while (write(pipes[1], "full", 4) == 4)
		;
	assert_int_equal(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
	log_init(LOG_TO_JOURNAL, LOG_INFO);
	journal.answer = -EAGAIN;
	log_event(LOG_INFO, LOG_STARTED, NULL, "One.");
	log_event(LOG_INFO, LOG_STARTED, NULL, "Two.");
	journal.answer = 0;
	log_event(LOG_INFO, LOG_STARTED, NULL, "Three.");
	assert_int_equal(dup2(stderr_before, STDERR_FILENO), STDERR_FILENO);
	assert_string_equal(
		field("MESSAGE"),
		"Lines that the journal did not take, and nobody will see: 2.");
	assert_string_equal(field("MESSAGE_ID"), log_message_id(LOG_LINES_LOST));
	assert_int_equal(journal.calls, 4);
	log_event(LOG_INFO, LOG_STARTED, NULL, "Four.");
	assert_string_equal(field("MESSAGE"), "Four.");
	(void)close(stderr_before);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

/* As where `asset-agent | less` is left alone, or the journal hangs behind it. */
static void test_standard_error_that_nobody_reads_holds_nothing_up(void **state)
{
	int stderr_before = dup(STDERR_FILENO), pipes[2];
	char text[70000];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(fcntl(pipes[1], F_SETFL, O_NONBLOCK), 0);
	while (write(pipes[1], "full", 4) == 4)
		;
	/* Whoever gave it to us does not know of that. */
	assert_int_equal(fcntl(pipes[1], F_SETFL, 0), 0);
	assert_int_equal(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
	log_init(LOG_TO_STDERR, LOG_INFO);
	for (int i = 0; i < 1000; i++)
		log_info(LOG_STARTED, "Line %d.", i);
	assert_true(read(pipes[0], text, sizeof(text)) > 4096);
	log_info(LOG_STARTED, "Read again.");
	log_info(LOG_STARTED, "And on.");
	assert_int_equal(dup2(stderr_before, STDERR_FILENO), STDERR_FILENO);
	n = read(pipes[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text,
			    "Lines that standard error did not take, and nobody will "
			    "see: 1000.\nRead again.\nAnd on.\n");
	(void)close(stderr_before);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

static void test_message_ids(void **state)
{
	char ids[LOG_KINDS][33] = {};

	(void)state;
	log_init(LOG_TO_JOURNAL, LOG_INFO);
	for (enum log_kind kind = 0; kind < LOG_KINDS; kind++) {
		log_event(LOG_INFO, kind, NULL, "x");
		assert_non_null(field("MESSAGE_ID"));
		assert_int_equal(strlen(field("MESSAGE_ID")), 32);
		memcpy(ids[kind], field("MESSAGE_ID"), 32);
		for (const char *p = ids[kind]; *p; p++)
			assert_true(isdigit((unsigned char)*p) ||
				    (*p >= 'a' && *p <= 'f'));
		for (enum log_kind other = 0; other < kind; other++)
			assert_string_not_equal(ids[kind], ids[other]);
	}
}

static void test_words_of_errors(void **state)
{
	(void)state;
	assert_string_equal(log_errno(-ENOENT), "No such file or directory");
	assert_string_equal(log_errno(-ENOSPC), "No space left on device");
	assert_string_equal(log_errno(-99999), "unknown error");
}

static int tear_down(void **state)
{
	(void)state;
	log_foot(NULL);
	journal_forget();
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lost_lines_are_counted),
		TEST(test_standard_error_that_nobody_reads_holds_nothing_up),
		TEST(test_levels),
		TEST(test_the_short_forms),
		TEST(test_escapes),
		TEST(test_long_line_is_whole),
		TEST(test_errno_is_kept),
		TEST(test_foot),
		TEST(test_foot_is_copied),
		TEST(test_prefix),
		TEST(test_no_such_stream),
		TEST(test_all_fields),
		TEST(test_absent_fields),
		TEST(test_only_details_have_no_message_id),
		TEST(test_level_of_the_journal),
		TEST(test_falls_back),
		TEST(test_message_ids),
		TEST(test_words_of_errors),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
