#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <curl/curl.h>
#include <fcntl.h>
#include <json-c/json.h>

#include "footprint.h"
#include "fs.h"
#include "macro.h"

/* A line of /proc/self/status, in kB. */
static unsigned long kilobytes(const char *key)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	size_t length;

	assert_int_equal(
		fs_read_file(AT_FDCWD, "/proc/self/status", 65536, &text, &length), 0);
	line = strstr(text, key);
	assert_non_null(line);
	return strtoul(line + strlen(key), NULL, 10);
}

/* Pointers that the dynamic linker has written to pages that may not be written now. */
static const char *const words[] = { "what", "was", "relocated", "stays" };

static void test_gives_back_what_comes_back(void **state)
{
	const char *version = curl_version();
	_cleanup_free_ char *before = strdup(version);
	struct json_object *object;
	unsigned long held;

	(void)state;
	held = kilobytes("RssFile:");
	footprint_shrink();
	assert_true(kilobytes("RssFile:") < held);
	/* All of it still works: code, constants, data, and what lies in the heap. */
	assert_string_equal(words[2], "relocated");
	assert_string_equal(curl_version(), before);
	object = json_tokener_parse("{\"a\":[1,2,3]}");
	assert_string_equal(json_object_to_json_string(object), "{ \"a\": [ 1, 2, 3 ] }");
	json_object_put(object);
	footprint_shrink();
}

#ifndef __SANITIZE_ADDRESS__ /* it keeps what is free */
static void test_gives_back_what_is_free(void **state)
{
	enum { BLOCKS = 4096, SIZE = 1024 };
	static void *blocks[BLOCKS];
	unsigned long held;
	void *last;

	(void)state;
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(SIZE);
		assert_non_null(blocks[i]);
		memset(blocks[i], 1, SIZE);
	}
	last = malloc(SIZE); /* it keeps the heap from ending sooner */
	assert_non_null(last);
	held = kilobytes("RssAnon:");
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	footprint_shrink();
	assert_true(kilobytes("RssAnon:") + BLOCKS * SIZE / 1024 / 2 < held);
	free(last);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gives_back_what_comes_back),
#ifndef __SANITIZE_ADDRESS__
		cmocka_unit_test(test_gives_back_what_is_free),
#endif
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("footprint", tests, NULL, NULL);
}
