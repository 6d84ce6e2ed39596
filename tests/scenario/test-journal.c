/*
 * The journal as an interface: what a line carries besides its words, to the letter, and
 * how many lines there are.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <json-c/json_object.h>
#include <json-c/linkhash.h>

#include "log.h"
#include "macro.h"
#include "parse.h"
#include "text.h"
#include "world.h"

DEFINE_CLEANUP(struct json_object *, json_freep, json_object_put)
#define _cleanup_json_ _cleanup_(json_freep)

#define INVALID \
	"{\"code\":\"400-196\",\"developerMessage\":\"Invalid value of attribute name\"}"

static const struct world_options to_journal = { .journal = true };

static void start(struct world *w)
{
	world_start(w, &to_journal);
}

static struct json_object *entry_of(struct world *w, enum log_kind kind)
{
	return world_wait_entry(w, "MESSAGE_ID", log_message_id(kind));
}

static uint64_t number(struct json_object *entry, const char *name)
{
	uint64_t n = 0;

	assert_int_equal(parse_unsigned(world_text(entry, name), &n), 0);
	return n;
}

struct field {
	const char *name, *value;
};

/* Those fields, and no other ASSET_*. */
static void assert_fields(struct json_object *entry, const struct field *fields,
			  size_t count, const char *measured)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (!streq(world_text(entry, fields[i].name), fields[i].value))
			fail_msg("%s is %s, not %s", fields[i].name,
				 world_text(entry, fields[i].name), fields[i].value);
	json_object_object_foreach(entry, name, value)
	{
		(void)value;
		n += startswith(name, "ASSET_") && !streq(name, measured);
	}
	assert_int_equal(n, count);
}

#define assert_fields(entry, measured, ...) \
	assert_fields((entry), (const struct field[]){ __VA_ARGS__ }, \
		      sizeof((const struct field[]){ __VA_ARGS__ }) / \
			      sizeof(struct field), \
		      (measured))

/* ---- each field, by kind ---- */

static void an_upload_has_all_its_fields(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *entry = NULL, *sidecar = NULL;
	_cleanup_free_ char *path = NULL, *message = NULL;
	char span[CLOCK_STRING_MAX];
	usec_t before = clock_monotonic(), duration;

	start(w);
	path = world_path(w, "bird.jpg");
	world_upload(w, "bird.jpg");
	entry = entry_of(w, LOG_UPLOADED);
	sidecar = world_sidecar(w, "bird.jpg");
	assert_fields(entry, "ASSET_DURATION_USEC",
		      { "ASSET_ID", world_text(sidecar, "id") }, { "ASSET_FILE", path },
		      { "ASSET_SPOOL", "first" }, { "ASSET_SIZE", "8" },
		      { "ASSET_CONTENT_TYPE", "image/jpeg" }, { "ASSET_STAGE", "upload" },
		      { "ASSET_ATTEMPT", "1" });
	assert_string_equal(world_text(entry, "PRIORITY"), "6");
	duration = number(entry, "ASSET_DURATION_USEC");
	assert_in_range(duration, 1, clock_monotonic() - before);
	assert_true(asprintf(&message,
			     "Uploaded %s as asset %s: 8 bytes, image/jpeg, in %s.", path,
			     world_text(sidecar, "id"),
			     clock_format_span(span, duration)) > 0);
	assert_string_equal(world_text(entry, "MESSAGE"), message);
	world_stop(w);
}

static void an_empty_file_has_a_size(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *entry = NULL;

	start(w);
	world_drop(w, "empty.txt", "");
	entry = entry_of(w, LOG_UPLOADED);
	assert_string_equal(world_text(entry, "ASSET_SIZE"), "0");
	world_stop(w);
}

static void a_file_given_up_has_its_reason(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *entry = NULL;
	_cleanup_free_ char *path = NULL, *message = NULL;

	start(w);
	path = world_path(w, "bad.txt");
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .action = FAULT_ANSWER,
						   .status = 400,
						   .body = INVALID });
	world_drop(w, "bad.txt", "bad");
	entry = entry_of(w, LOG_GIVEN_UP);
	assert_fields(entry, NULL, { "ASSET_FILE", path }, { "ASSET_SPOOL", "first" },
		      { "ASSET_SIZE", "3" }, { "ASSET_STAGE", "create" },
		      { "ASSET_ATTEMPT", "1" }, { "ASSET_HTTP_STATUS", "400" },
		      { "ASSET_ERROR_CODE", "400-196" });
	assert_string_equal(world_text(entry, "PRIORITY"), "3");
	assert_true(
		asprintf(&message,
			 "Gave up %s after 1 try, at stage create: 400-196, Invalid "
			 "value of attribute name. Delete bad.txt.asset-error.json or "
			 "change the file to try again.",
			 path) > 0);
	assert_string_equal(world_text(entry, "MESSAGE"), message);
	world_stop(w);
}

static void a_retry_tells_when(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *entry = NULL, *uploaded = NULL;
	_cleanup_free_ char *path = NULL;
	char span[CLOCK_STRING_MAX + 2];

	start(w);
	path = world_path(w, "a.txt");
	service_fault(w->service,
		      &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
				       .times = 1,
				       .action = FAULT_ANSWER,
				       .status = 409,
				       .headers = "Content-Type: application/xml\n",
				       .body = "<Error><Code>OperationAborted</Code>"
					       "<Message>Again</Message></Error>" });
	world_drop(w, "a.txt", "hello");
	entry = entry_of(w, LOG_RETRYING);
	assert_fields(entry, "ASSET_RETRY_USEC", { "ASSET_FILE", path },
		      { "ASSET_SPOOL", "first" }, { "ASSET_STAGE", "upload" },
		      { "ASSET_ATTEMPT", "1" }, { "ASSET_HTTP_STATUS", "409" },
		      { "ASSET_ERROR_CODE", "OperationAborted" });
	assert_string_equal(world_text(entry, "PRIORITY"), "6");
	/* InitialDelay= of the fixture is 20 ms. */
	assert_in_range(number(entry, "ASSET_RETRY_USEC"), 1, 20 * USEC_PER_MSEC);
	clock_format_span(span, number(entry, "ASSET_RETRY_USEC"));
	assert_non_null(strstr(world_text(entry, "MESSAGE"), span));
	uploaded = entry_of(w, LOG_UPLOADED);
	assert_string_equal(world_text(uploaded, "ASSET_ATTEMPT"), "2");
	world_stop(w);
}

static void a_service_goes_and_comes_back(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *gone = NULL, *back = NULL;

	start(w);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 503,
						   .body = "{\"code\":\"503-7\"}" });
	world_upload(w, "a.txt");
	gone = entry_of(w, LOG_SERVICE_AWAY);
	assert_fields(gone, "ASSET_RETRY_USEC", { "ASSET_STAGE", "create" },
		      { "ASSET_HTTP_STATUS", "503" }, { "ASSET_ERROR_CODE", "503-7" });
	assert_string_equal(world_text(gone, "PRIORITY"), "4");
	assert_in_range(number(gone, "ASSET_RETRY_USEC"), 1, 20 * USEC_PER_MSEC);
	back = entry_of(w, LOG_SERVICE_BACK);
	assert_fields(back, NULL, { "ASSET_STAGE", "create" });
	assert_string_equal(world_text(back, "PRIORITY"), "5");
	world_stop(w);
}

static void what_is_no_file_names_its_spool(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *entry = NULL;
	_cleanup_free_ char *path = NULL;

	start(w);
	path = world_path(w, "link.txt");
	assert_int_equal(symlink("/etc/passwd", path), 0);
	entry = entry_of(w, LOG_NOT_A_FILE);
	assert_fields(entry, NULL, { "ASSET_FILE", path }, { "ASSET_SPOOL", "first" },
		      { "ASSET_STAGE", "spool" });
	assert_string_equal(world_text(entry, "PRIORITY"), "4");
	world_stop(w);
}

static void start_and_stop_are_told(void **state)
{
	static const enum log_kind kinds[] = { LOG_STARTED, LOG_STOPPING, LOG_STOPPED };
	struct world *w = *state;

	start(w);
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_json_ struct json_object *entry = entry_of(w, kinds[i]);

		assert_string_equal(world_text(entry, "PRIORITY"), "6");
	}
	world_stop(w);
}

static void a_second_agent_says_why_it_does_not_start(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *entry = NULL;

	start(w);
	assert_int_equal(world_run(w, "run", NULL), 1);
	entry = entry_of(w, LOG_ALREADY_RUNNING);
	assert_string_equal(world_text(entry, "PRIORITY"), "3");
	world_stop(w);
}

/* ---- names ---- */

/* Names that together hold every byte that one can: 16 of them each. */
static void name_bytes(char name[static 32], unsigned first)
{
	size_t length = 0;

	name[length++] = 'x';
	for (unsigned byte = first; byte < first + 16; byte++)
		if (byte != '\0' && byte != '/')
			name[length++] = (char)byte;
	memcpy(name + length, "x.txt", sizeof("x.txt"));
}

static void every_byte_of_a_name_arrives_unchanged(void **state)
{
	struct world *w = *state;

	start(w);
	for (unsigned first = 0; first < 256; first += 16) {
		_cleanup_free_ char *path = NULL, *escaped = NULL;
		_cleanup_json_ struct json_object *entry = NULL;
		char name[32];

		name_bytes(name, first);
		path = world_path(w, name);
		world_drop(w, name, "hello");
		entry = world_wait_entry(w, "ASSET_FILE", path);
		assert_string_equal(world_text(entry, "MESSAGE_ID"),
				    log_message_id(LOG_UPLOADED));
		escaped = text_escape(path, strlen(path));
		assert_non_null(strstr(world_text(entry, "MESSAGE"), escaped));
	}
	world_stop(w); /* asserts that each message is one line of plain text */
}

/* ---- bursts ---- */

#define MANY 300

static size_t count(struct json_object *entries, const char *name, const char *value)
{
	size_t n = 0;

	for (size_t i = 0; i < json_object_array_length(entries); i++)
		n += streq(world_text(json_object_array_get_idx(entries, i), name),
			   value);
	return n;
}

/* The number that they tell, each in the form that it must have. */
static uint64_t sum_of_bursts(struct json_object *bursts)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < json_object_array_length(bursts); i++) {
		struct json_object *entry = json_object_array_get_idx(bursts, i);

		assert_fields(entry, "ASSET_COUNT", { "ASSET_SPOOL", "first" },
			      { "ASSET_STAGE", "create" }, { "ASSET_HTTP_STATUS", "400" },
			      { "ASSET_ERROR_CODE", "400-196" });
		assert_string_equal(world_text(entry, "PRIORITY"), "3");
		sum += number(entry, "ASSET_COUNT");
	}
	return sum;
}

static void a_burst_of_bad_files_can_be_read(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *bursts = NULL, *lines = NULL;
	size_t errors, folded;

	start(w);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .action = FAULT_ANSWER,
						   .status = 400,
						   .body = INVALID });
	world_drop_many(w, MANY);
	lines = world_wait_entries(w, "MESSAGE_ID", log_message_id(LOG_GIVEN_UP), MANY);
	world_signal(w, SIGTERM);
	assert_int_equal(world_wait_exit(w), 0);
	for (int i = 0; i < MANY; i++) {
		_cleanup_free_ char *path = NULL;

		assert_true(asprintf(&path, "%s/f%d.txt", w->spool, i) > 0);
		assert_int_equal(count(lines, "ASSET_FILE", path), 1);
	}
	/* Wherever a machine under load may have torn the burst. */
	errors = count(lines, "PRIORITY", "3");
	folded = count(lines, "PRIORITY", "6");
	assert_true(errors >= 50 && folded > 0);
	assert_int_equal(errors + folded, MANY);
	bursts = world_entries(w, "MESSAGE_ID", log_message_id(LOG_BURST));
	assert_int_equal(sum_of_bursts(bursts), folded);
	world_stop(w);
}

static void a_burst_is_told_of_without_a_stop(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *entry = NULL;

	start(w);
	for (int i = 0; i < 20; i++) {
		_cleanup_free_ char *path = NULL;

		assert_true(asprintf(&path, "%s/link%d", w->spool, i) > 0);
		assert_int_equal(symlink("/etc/passwd", path), 0);
	}
	entry = entry_of(w, LOG_BURST);
	assert_string_equal(world_text(entry, "PRIORITY"), "4");
	world_stop(w);
}

static void uploads_are_never_folded(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *lines = NULL;

	start(w);
	world_drop_many(w, MANY);
	world_assert_many_uploaded(w, MANY);
	lines = world_wait_entries(w, "MESSAGE_ID", log_message_id(LOG_UPLOADED), MANY);
	assert_int_equal(count(lines, "PRIORITY", "6"), MANY);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(an_upload_has_all_its_fields),
		scenario(an_empty_file_has_a_size),
		scenario(a_file_given_up_has_its_reason),
		scenario(a_retry_tells_when),
		scenario(a_service_goes_and_comes_back),
		scenario(what_is_no_file_names_its_spool),
		scenario(start_and_stop_are_told),
		scenario(a_second_agent_says_why_it_does_not_start),
		scenario(every_byte_of_a_name_arrives_unchanged),
		scenario(a_burst_of_bad_files_can_be_read),
		scenario(a_burst_is_told_of_without_a_stop),
		scenario(uploads_are_never_folded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
