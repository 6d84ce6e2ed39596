#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json.h"
#include "macro.h"
#include "sidecar.h"

#define NAME_255 \
	"0123456789012345678901234567890123456789012345678901234567890123" \
	"0123456789012345678901234567890123456789012345678901234567890123" \
	"0123456789012345678901234567890123456789012345678901234567890123" \
	"012345678901234567890123456789012345678901234567890123456789012"

static const struct {
	const char *name;
	enum sidecar_kind expected;
	size_t base;
} kinds[] = {
	{ "bird.jpg.asset.json", SIDECAR_DONE, 8 },
	{ "bird.jpg.asset-error.json", SIDECAR_ERROR, 8 },
	{ "x.asset.json", SIDECAR_DONE, 1 },
	{ "x.asset.json.asset-error.json", SIDECAR_ERROR, 12 },
	{ "x.asset-error.json.asset.json", SIDECAR_DONE, 18 },
	{ "\xFF\n.asset.json", SIDECAR_DONE, 2 },
	{ ".asset.json", SIDECAR_NONE, 99 },
	{ ".asset-error.json", SIDECAR_NONE, 99 },
	{ "", SIDECAR_NONE, 99 },
	{ "bird.jpg", SIDECAR_NONE, 99 },
	{ "bird.json", SIDECAR_NONE, 99 },
	{ "bird.asset.json.bak", SIDECAR_NONE, 99 },
	{ "bird.ASSET.JSON", SIDECAR_NONE, 99 },
	{ "birdasset.json", SIDECAR_NONE, 99 },
};

static void test_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t base = 99;

		if (sidecar_kind_of(kinds[i].name, &base) != kinds[i].expected)
			fail_msg("row %zu: %s", i, kinds[i].name);
		assert_int_equal(base, kinds[i].base);
		assert_int_equal(sidecar_kind_of(kinds[i].name, NULL), kinds[i].expected);
	}
}

/* For every length a name can have: it has a sidecar that is its own, or none at all. */
static void test_name(void **state)
{
	static const enum sidecar_kind both[] = { SIDECAR_DONE, SIDECAR_ERROR };

	(void)state;
	for (size_t n = 1; n <= NAME_MAX; n++) {
		_cleanup_free_ char *base = strndup(NAME_255, n);

		for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
			char name[NAME_MAX + 1];
			size_t length = 0;

			if (sidecar_name(name, base, both[i]) < 0) {
				assert_true(n > SIDECAR_BASE_MAX);
				continue;
			}
			assert_true(strlen(name) <= NAME_MAX);
			assert_int_equal(sidecar_kind_of(name, &length), both[i]);
			assert_int_equal(length, n);
			assert_memory_equal(name, base, n);
		}
	}
}

static void test_name_bounds(void **state)
{
	_cleanup_free_ char *fits = strndup(NAME_255, SIDECAR_BASE_MAX);
	_cleanup_free_ char *above = strndup(NAME_255, SIDECAR_BASE_MAX + 1);
	char name[NAME_MAX + 1] = "unchanged";

	(void)state;
	assert_int_equal(sidecar_name(name, above, SIDECAR_ERROR), -ENAMETOOLONG);
	assert_int_equal(sidecar_name(name, NAME_255, SIDECAR_DONE), -ENAMETOOLONG);
	assert_string_equal(name, "unchanged");
	assert_int_equal(sidecar_name(name, fits, SIDECAR_ERROR), 0);
	assert_int_equal(strlen(name), NAME_MAX);
	assert_int_equal(sidecar_name(name, "bird.jpg", SIDECAR_DONE), 0);
	assert_string_equal(name, "bird.jpg.asset.json");
}

#define MODIFIED \
	{ \
		.tv_sec = 1795428900, .tv_nsec = 123456789 \
	}
#define DECIDED (UINT64_C(1795428901) * USEC_PER_SEC + 42999)

static const struct sidecar bird = {
	.id = "42",
	.name = "bird.jpg",
	.size = 17245,
	.content_type = "image/jpeg",
	.modified = MODIFIED,
	.uploaded = DECIDED,
};

static void test_format(void **state)
{
	_cleanup_free_ char *text = sidecar_format(&bird);

	(void)state;
	assert_string_equal(text, "{\"id\":\"42\",\"name\":\"bird.jpg\",\"size\":17245,"
				  "\"contentType\":\"image/jpeg\","
				  "\"modified\":\"2026-11-23T10:15:00.123456789Z\","
				  "\"uploaded\":\"2026-11-23T10:15:01.042Z\"}\n");
}

static const struct asset_error refusal = {
	.code = (char *)"400-196",
	.developer_message = (char *)"Invalid value",
	.user_message = (char *)"Sorry",
	.details = (char *)"[{\"key\":\"k\",\"value\":\"v\"}]",
};

static const struct asset_error reason_only = {
	.developer_message = (char *)"too large"
};

#define FILE_PART \
	"{\"name\":\"bird.jpg\",\"size\":17245," \
	"\"modified\":\"2026-11-23T10:15:00.123456789Z\"," \
	"\"failed\":\"2026-11-23T10:15:01.042Z\","

static const struct {
	enum stage stage;
	unsigned attempts;
	int http_status;
	const struct asset_error *error;
	const char *expected;
} failures[] = {
	{ STAGE_CREATE, 1, 400, &refusal,
	  FILE_PART
	  "\"stage\":\"create\",\"attempts\":1,\"httpStatus\":400,"
	  "\"code\":\"400-196\",\"developerMessage\":\"Invalid value\","
	  "\"userMessage\":\"Sorry\",\"details\":[{\"key\":\"k\",\"value\":\"v\"}]"
	  "}\n" },
	{ STAGE_SPOOL, 0, 0, &reason_only,
	  FILE_PART
	  "\"stage\":\"spool\",\"attempts\":0,\"developerMessage\":\"too large\"}\n" },
	{ STAGE_UPLOAD, 10, 403, NULL,
	  FILE_PART "\"stage\":\"upload\",\"attempts\":10,\"httpStatus\":403}\n" },
};

static void test_error_format(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		struct sidecar_error error = {
			.name = "bird.jpg",
			.size = 17245,
			.modified = MODIFIED,
			.failed = DECIDED,
			.stage = failures[i].stage,
			.attempts = failures[i].attempts,
			.http_status = failures[i].http_status,
			.error = failures[i].error,
		};
		_cleanup_free_ char *text = sidecar_error_format(&error);

		assert_string_equal(text, failures[i].expected);
	}
}

/* Names and instants that are hard to write down, and sizes that are hard to hold. */
static const char *const names[] = {
	"bird.jpg", "\xFF\xFE", "\"\\\n\t\x01", "\xC3\xA4\xE2\x82", "a/b", "{\"size\":1}",
};
static const uint64_t sizes[] = {
	0, 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1,
};
static const struct timespec instants[] = {
	{ 0, 0 },
	{ 0, 1 },
	{ 1795428900, 999999999 },
	{ -1, 999999999 },
	{ -62135596801, 0 },	     /* the year 0 */
	{ 253402300799, 999999999 }, /* the last of four digits */
	{ 253402300800, 0 },	     /* the year 10000 */
	{ INT64_MAX, 5 },
	{ INT64_MIN, 0 },
};

static void check_speaks(const char *text, uint64_t size, struct timespec t)
{
	size_t length = strlen(text);

	assert_int_equal(text[length - 1], '\n');
	assert_null(memchr(text, '\n', length - 1));
	assert_int_equal(sidecar_speaks_of(text, length, size, t), 1);
	assert_int_equal(sidecar_speaks_of(text, length, size + 1, t), 0);
	assert_int_equal(sidecar_speaks_of(text, length, size - 1, t), 0);
	assert_int_not_equal(sidecar_speaks_of(text, length, size,
					       (struct timespec){ t.tv_sec,
								  t.tv_nsec ^ 1 }),
			     1);
	assert_int_not_equal(sidecar_speaks_of(text, length, size,
					       (struct timespec){ t.tv_sec ^ 1,
								  t.tv_nsec }),
			     1);
}

/* A sidecar of either kind speaks of its own file and of no other. */
static void check_both(const char *name, uint64_t size, struct timespec t)
{
	struct sidecar sidecar = { .id = "1",
				   .name = name,
				   .size = size,
				   .content_type = "text/plain",
				   .modified = t,
				   .uploaded = DECIDED };
	struct sidecar_error error = { .name = name,
				       .size = size,
				       .modified = t,
				       .failed = DECIDED,
				       .stage = STAGE_UPLOAD,
				       .error = &refusal };
	_cleanup_free_ char *done = sidecar_format(&sidecar);
	_cleanup_free_ char *failed = sidecar_error_format(&error);

	check_speaks(done, size, t);
	check_speaks(failed, size, t);
}

static void test_speaks_of_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++)
			for (size_t k = 0; k < ARRAY_SIZE(instants); k++)
				check_both(names[i], sizes[j], instants[k]);
}

#define SPEAKS(members) "{\"id\":\"1\",\"name\":\"n\"," members "}"
#define AT(instant)	SPEAKS("\"size\":5,\"modified\":\"" instant "\"")

/* Of a file of 5 bytes, modified at 1970-01-01T00:00:01.5Z. */
static const struct {
	const char *text;
	int expected;
} spoken[] = {
	{ AT("1970-01-01T00:00:01.500000000Z"), 1 },
	{ AT("1970-01-01T00:00:01.5Z"), 1 },
	{ AT("1970-01-01T01:00:01.5+01:00"), 1 },
	{ AT("1970-01-01T00:00:01.5Z") "\n", 1 },
	{ " " AT("1970-01-01T00:00:01.5Z") "\r\n\t ", 1 },
	{ AT("1970-01-01T00:00:01.500000001Z"), 0 },
	{ AT("1970-01-01T00:00:01Z"), 0 },
	{ AT("1970-01-01T00:00:02.5Z"), 0 },
	{ SPEAKS("\"size\":6,\"modified\":\"1970-01-01T00:00:01.5Z\""), 0 },
	{ SPEAKS("\"size\":18446744073709551614,\"modified\":\"1970-01-01T00:00:01.5Z\""),
	  0 },
	{ "{\"stage\":\"spool\",\"name\":\"n\",\"size\":5,"
	  "\"modified\":\"1970-01-01T00:00:01.5Z\"}",
	  1 },
	/* torn, or somebody else's */
	{ "", -EBADMSG },
	{ "\n", -EBADMSG },
	{ "{}", -EBADMSG },
	{ "[]", -EBADMSG },
	{ "null", -EBADMSG },
	{ AT("1970-01-01T00:00:01.5Z") "x", -EBADMSG },
	{ AT("1970-01-01T00:00:01.5Z") "{}", -EBADMSG },
	{ AT(""), -EBADMSG },
	{ AT("yesterday"), -EBADMSG },
	{ AT("1970-01-01T00:00:01.5Z\\u0000"), -EBADMSG },
	{ AT("1970-01-01"), -EBADMSG },
	{ SPEAKS("\"size\":5"), -EBADMSG },
	{ SPEAKS("\"size\":5,\"modified\":1.5"), -EBADMSG },
	{ SPEAKS("\"size\":5,\"modified\":null"), -EBADMSG },
	{ SPEAKS("\"modified\":\"1970-01-01T00:00:01.5Z\""), -EBADMSG },
	{ SPEAKS("\"size\":\"5\",\"modified\":\"1970-01-01T00:00:01.5Z\""), -EBADMSG },
	{ SPEAKS("\"size\":5.0,\"modified\":\"1970-01-01T00:00:01.5Z\""), -EBADMSG },
	{ SPEAKS("\"size\":-5,\"modified\":\"1970-01-01T00:00:01.5Z\""), -EBADMSG },
	{ SPEAKS("\"size\":18446744073709551621,\"modified\":\"1970-01-01T00:00:01.5Z\""),
	  -EBADMSG },
	{ "{\"id\":\"1\",\"size\":5,\"modified\":\"1970-01-01T00:00:01.5Z\"}", -EBADMSG },
	{ "{\"name\":\"n\",\"size\":5,\"modified\":\"1970-01-01T00:00:01.5Z\"}",
	  -EBADMSG },
	{ "{\"id\":1,\"name\":\"n\",\"size\":5,\"modified\":\"1970-01-01T00:00:01.5Z\"}",
	  -EBADMSG },
	{ "{\"id\":\"1\",\"name\":\"\xFF\",\"size\":5,"
	  "\"modified\":\"1970-01-01T00:00:01.5Z\"}",
	  -EBADMSG },
};

static void test_speaks_of(void **state)
{
	static const struct timespec t = { .tv_sec = 1, .tv_nsec = 500000000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spoken); i++) {
		int r = sidecar_speaks_of(spoken[i].text, strlen(spoken[i].text), 5, t);

		if (r != spoken[i].expected)
			fail_msg("row %zu: %s: %d", i, spoken[i].text, r);
	}
}

/* Only the newline may be missing: all else that is cut short is torn. */
static void test_prefixes(void **state)
{
	_cleanup_free_ char *done = sidecar_format(&bird);
	const char *const texts[] = { done, failures[0].expected };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t length = strlen(texts[i]);

		for (size_t n = 0; n < length - 1; n++) {
			_cleanup_free_ char *torn = strndup(texts[i], n);

			assert_int_equal(sidecar_speaks_of(torn, n, bird.size,
							   bird.modified),
					 -EBADMSG);
		}
		assert_int_equal(sidecar_speaks_of(texts[i], length - 1, bird.size,
						   bird.modified),
				 1);
	}
}

/* A crash may leave a file's size without its data: zeros. */
static void test_zeros(void **state)
{
	_cleanup_free_ char *text = sidecar_format(&bird);
	size_t length = strlen(text);

	(void)state;
	for (size_t n = length; n > 0; n--) {
		text[n - 1] = '\0';
		assert_int_equal(sidecar_speaks_of(text, length, bird.size,
						   bird.modified),
				 -EBADMSG);
	}
}

static char *filled(const char *unit, size_t count)
{
	char *text = malloc(count * strlen(unit) + 1), *out = text;

	while (count--)
		out = stpcpy(out, unit);
	*out = '\0';
	return text;
}

/* The longest error that the API's bounds allow is still one that we read. */
static void test_largest(void **state)
{
	_cleanup_free_ char *name = filled("\x01", SIDECAR_BASE_MAX);
	_cleanup_free_ char *developer = filled("\x01", ASSET_DEVELOPER_MESSAGE_MAX);
	_cleanup_free_ char *user = filled("\x01", ASSET_USER_MESSAGE_MAX);
	_cleanup_free_ char *word = filled("\\u0001", ASSET_DETAIL_MAX);
	_cleanup_free_ char *item = NULL, *items = NULL, *details = NULL, *text = NULL;
	struct asset_error body = { (char *)"400-196", developer, user, NULL };
	struct sidecar_error error = { .name = name,
				       .size = UINT64_MAX - 1,
				       .modified = bird.modified,
				       .failed = DECIDED,
				       .stage = STAGE_CREATE,
				       .attempts = UINT32_MAX,
				       .http_status = 400,
				       .error = &body };

	(void)state;
	assert_true(asprintf(&item, "{\"key\":\"%s\",\"value\":\"%s\"},", word, word) >
		    0);
	items = filled(item, ASSET_DETAILS_MAX);
	items[strlen(items) - 1] = '\0';
	assert_true(asprintf(&details, "[%s]", items) > 0);
	body.details = details;
	text = sidecar_error_format(&error);
	assert_true(strlen(text) <= SIDECAR_SIZE_MAX);
	assert_non_null(strstr(text, "\"details\":[{\"key\":\"\\u0001"));
	assert_int_equal(
		sidecar_speaks_of(text, strlen(text), UINT64_MAX - 1, bird.modified), 1);
}

static void test_too_large(void **state)
{
	_cleanup_free_ char *text = sidecar_format(&bird), *padded = NULL;

	(void)state;
	assert_true(asprintf(&padded, "%-*s", (int)SIDECAR_SIZE_MAX + 1, text) > 0);
	assert_int_equal(
		sidecar_speaks_of(padded, SIDECAR_SIZE_MAX, bird.size, bird.modified), 1);
	assert_int_equal(sidecar_speaks_of(padded, SIDECAR_SIZE_MAX + 1, bird.size,
					   bird.modified),
			 -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kind),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_name_bounds),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_error_format),
		cmocka_unit_test(test_speaks_of_its_own),
		cmocka_unit_test(test_speaks_of),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
