#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "macro.h"
#include "mime.h"

DEFINE_CLEANUP(struct mime *, mime_freep, mime_free)

struct lookup {
	const char *name;
	const char *type;
};

static void check(const struct mime *mime, const struct lookup *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!streq(mime_type(mime, table[i].name), table[i].type))
			fail_msg("%s is %s, expected %s", table[i].name,
				 mime_type(mime, table[i].name), table[i].type);
}

static struct mime *parse(const char *text, size_t length)
{
	struct mime *mime = NULL;

	assert_int_equal(mime_parse(text, length, &mime), 0);
	assert_non_null(mime);
	return mime;
}

static void test_parse(void **state)
{
	static const char text[] = "# a comment\ttxt\n"
				   "\n"
				   "image/jpeg\tjpeg jpg\tjpe\n"
				   "image/x-late jpg late\n"
				   "text/plain   txt  TEXT # asc\n"
				   "  text/indented ind\r\n"
				   "application/no-extension\n"
				   "notype bad1\n"
				   "/half bad2\n"
				   "half/ bad3\n"
				   "two/many/parts bad4\n"
				   "evil/type\x01 bad5\n"
				   "nul/\0type bad6\n"
				   "nul/type b\0ad7 bad8\n"
				   "application/vnd.x+y-z_1 last";
	static const struct lookup table[] = {
		{ "a.jpg", "image/jpeg" },
		{ "a.JPG", "image/jpeg" },
		{ "a.jpe", "image/jpeg" },
		{ "a.late", "image/x-late" },
		{ "a.txt", "text/plain" },
		{ "a.text", "text/plain" },
		{ "a.TeXt", "text/plain" },
		{ "a.asc", MIME_DEFAULT },
		{ "a.ind", "text/indented" },
		{ "a.last", "application/vnd.x+y-z_1" },
		{ "a.tar.txt", "text/plain" },
		{ "a.txt.unknown", MIME_DEFAULT },
		{ ".profile.txt", "text/plain" },
		{ "a b.txt", "text/plain" },
		{ "\xFF\xFE.txt", "text/plain" },
		{ ".txt", MIME_DEFAULT },
		{ "txt", MIME_DEFAULT },
		{ "a.", MIME_DEFAULT },
		{ "a.tx", MIME_DEFAULT },
		{ "a.txtt", MIME_DEFAULT },
		{ ".", MIME_DEFAULT },
		{ "", MIME_DEFAULT },
		{ "a.bad1", MIME_DEFAULT },
		{ "a.bad2", MIME_DEFAULT },
		{ "a.bad3", MIME_DEFAULT },
		{ "a.bad4", MIME_DEFAULT },
		{ "a.bad5", MIME_DEFAULT },
		{ "a.bad6", MIME_DEFAULT },
		{ "a.bad8", MIME_DEFAULT },
	};
	_cleanup_(mime_freep) struct mime *mime = parse(text, STRLEN(text));

	(void)state;
	check(mime, table, ARRAY_SIZE(table));
}

static void test_empty(void **state)
{
	_cleanup_(mime_freep) struct mime *none = parse(NULL, 0),
					  *comment = parse("# x", 3);

	(void)state;
	assert_string_equal(mime_type(none, "a.txt"), MIME_DEFAULT);
	assert_string_equal(mime_type(comment, "a.x"), MIME_DEFAULT);
	mime_free(NULL);
}

/* The first to name an extension keeps it, however many there are. */
static void test_first_wins(void **state)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_(mime_freep) struct mime *mime = NULL;
	size_t length = 0;
	FILE *file = open_memstream(&text, &length);

	(void)state;
	assert_non_null(file);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 1000; i++)
			fprintf(file, "type/t%d-%d e%d\n", round, i, i * 7919 % 1000);
	fclose(file);
	mime = parse(text, length);
	for (int i = 0; i < 1000; i++) {
		char name[32], expected[32];

		snprintf(name, sizeof(name), "a.e%d", i * 7919 % 1000);
		snprintf(expected, sizeof(expected), "type/t0-%d", i);
		assert_string_equal(mime_type(mime, name), expected);
	}
}

static void test_builtin(void **state)
{
	static const struct lookup table[] = {
		{ "a.jpg", "image/jpeg" },
		{ "a.JPEG", "image/jpeg" },
		{ "a.png", "image/png" },
		{ "a.gif", "image/gif" },
		{ "a.webp", "image/webp" },
		{ "a.heic", "image/heic" },
		{ "a.svg", "image/svg+xml" },
		{ "a.pdf", "application/pdf" },
		{ "a.zip", "application/zip" },
		{ "a.tar.gz", "application/gzip" },
		{ "a.json", "application/json" },
		{ "a.odt", "application/vnd.oasis.opendocument.text" },
		{ "a.xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12" },
		{ "a.txt", "text/plain" },
		{ "a.csv", "text/csv" },
		{ "a.html", "text/html" },
		{ "a.ics", "text/calendar" },
		{ "a.mp3", "audio/mpeg" },
		{ "a.mp4", "video/mp4" },
		{ "a.mov", "video/quicktime" },
		{ "a.eml", "message/rfc822" },
		{ "a.7z", "application/x-7z-compressed" },
		{ "a.unknown", MIME_DEFAULT },
	};
	_cleanup_(mime_freep) struct mime *mime = NULL;

	(void)state;
	assert_int_equal(mime_load("/nonexistent/mime.types", &mime), 0);
	check(mime, table, ARRAY_SIZE(table));
}

static void write_file(const char *path, const char *text, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static void test_load(void **state)
{
	static const char text[] = "text/mine txt\n";
	const char *directory = *state;
	char path[256];
	_cleanup_(mime_freep) struct mime *mime = NULL;

	snprintf(path, sizeof(path), "%s/mime.types", directory);
	write_file(path, text, STRLEN(text));
	assert_int_equal(mime_load(path, &mime), 0);
	assert_string_equal(mime_type(mime, "a.txt"), "text/mine");
	/* A file that is there is the whole truth. */
	assert_string_equal(mime_type(mime, "a.jpg"), MIME_DEFAULT);
	assert_int_equal(truncate(path, (off_t)MIME_FILE_MAX + 1), 0);
	mime_freep(&mime);
	mime = NULL;
	assert_int_equal(mime_load(path, &mime), -EFBIG);
	assert_null(mime);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mime_load(directory, &mime), -EINVAL);
	assert_null(mime);
}

static int setup(void **state)
{
	static char directory[256];
	const char *base = getenv("TMPDIR");

	snprintf(directory, sizeof(directory), "%s/test-mime.XXXXXX",
		 base ? base : "/tmp");
	*state = mkdtemp(directory);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(*state);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	   cmocka_unit_test(test_empty),
		cmocka_unit_test(test_first_wins), cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
