/* The command line, and what a configuration does to it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

static const struct world_options only_the_world = { .no_agent = true };

static void help_fits_a_screen_and_names_every_command(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;
	unsigned lines = 0;

	world_start(w, &only_the_world);
	assert_int_equal(world_run(w, "--help", NULL), 0);
	text = world_output(w);
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	assert_true(lines > 10 && lines <= 24);
	assert_non_null(strstr(text, "\n  run "));
	assert_non_null(strstr(text, "\n  drain "));
	world_stop(w);
}

static void the_version_is_told(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;

	world_start(w, &only_the_world);
	assert_int_equal(world_run(w, "--version", NULL), 0);
	text = world_output(w);
	assert_string_equal(text, "asset-agent " VERSION "\n");
	world_stop(w);
}

static void wrong_usage_ends_with_2(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	assert_int_equal(world_run(w, "bogus", NULL), 2);
	world_wait_log(w, "unknown command: bogus");
	assert_int_equal(world_run(w, "run", "drain", NULL), 2);
	assert_int_equal(world_run(w, "--no-such-option", NULL), 2);
	assert_int_equal(world_run(w, "drain", "--json", NULL), 2);
	assert_int_equal(world_run(w, "explain", NULL), 2);
	world_wait_log(w, "a FILE is missing after: explain");
	world_stop(w);
}

/* The answer to the unit's ExecCondition=. */
static void a_blank_configuration_is_told_from_a_faulty_one(void **state)
{
	static const struct world_options blank = { .no_agent = true,
						    .config = "[API]\nBaseURL=\n" };
	struct world *w = *state;

	world_start(w, &blank);
	assert_int_equal(world_run(w, "configured", NULL), 1);
	world_wait_log(w, "nothing is configured yet");
	world_wait_log(w, w->config);
	world_stop(w);
}

static void a_faulty_configuration_is_for_the_start_to_tell(void **state)
{
	static const struct world_options faulty = {
		.no_agent = true, .config = "[API]\nBaseURL=ftp://example.com\n"
	};
	struct world *w = *state;

	world_start(w, &faulty);
	assert_int_equal(world_run(w, "configured", NULL), 0);
	assert_int_equal(world_run(w, "run", NULL), 78);
	world_stop(w);
}

static void every_fault_is_told_with_its_line_and_ends_with_78(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.config = "[API]\n"			/* 1 */
			  "BaseURL=ftp://example.com\n" /* 2 */
			  "Timeout=soon\n"		/* 3 */
			  "Colour=blue\n"		/* 4 */
			  "[Nonsense]\n"		/* 5 */
			  "Key=value\n"			/* 6 */
			  "[Upload]\n"			/* 7 */
			  "MaxConcurrent=100000\n"	/* 8 */
			  "this is no line\n"		/* 9 */
			  "[Spool:x]\n"			/* 10 */
			  "Path=relative\n"		/* 11 */
			  "SenderType=nobody\n",	/* 12 */
	};
	static const unsigned faults[] = { 2, 3, 4, 5, 8, 9, 10, 11, 12 };
	struct world *w = *state;

	world_start(w, &options);
	assert_int_equal(world_run(w, "run", NULL), 78);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		_cleanup_free_ char *place = NULL;

		assert_true(asprintf(&place, "%s:%u: ", w->config, faults[i]) > 0);
		if (world_count_log(w, place) != 1)
			fail_msg("no fault was told of line %u", faults[i]);
	}
	world_stop(w);
}

static void drop_ins_add_to_the_configuration_and_win(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .spools = { "second" } };
	struct world *w = *state;
	struct service_asset asset;
	_cleanup_free_ char *directory = NULL, *first = NULL, *last = NULL, *file = NULL;

	world_start(w, &options);
	assert_true(asprintf(&directory, "%s.d", w->config) > 0);
	assert_true(asprintf(&first, "%s/10.conf", directory) > 0);
	assert_true(asprintf(&last, "%s/20.conf", directory) > 0);
	assert_true(asprintf(&file, "%s/other.txt", w->spools[0]) > 0);
	world_mkdir(w, directory);
	world_write(w, first, "[Spool:second]\nChannelType=loses\n");
	world_write(w, last, "[Spool:second]\nChannelType=custom.second\n");
	world_launch(w);
	world_drop(w, "one.txt", "one");
	world_drop(w, file, "two");
	world_wait_uploaded(w, "one.txt");
	world_wait_uploaded(w, file);
	assert_true(service_asset_by_name(w->service, "other.txt", &asset));
	assert_string_equal(asset.channel_type, "custom.second");
	assert_true(service_asset_by_name(w->service, "one.txt", &asset));
	assert_string_not_equal(asset.channel_type, "custom.second");
	world_stop(w);
}

static void drain_passes_over_what_is_being_written_and_says_so(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *writer = NULL;

	world_start(w, &only_the_world);
	path = world_path(w, "open.txt");
	writer = fopen(path, "we");
	assert_non_null(writer);
	world_drop(w, "closed.txt", "closed");
	assert_int_equal(world_run(w, "drain", NULL), 1);
	world_assert_uploaded(w, "closed.txt");
	assert_false(world_has_sidecar(w, "open.txt"));
	assert_int_equal(world_count_log(w, "open.txt: it is still being written"), 1);
	world_stop(w);
}

static void drain_ends_though_the_service_is_away(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.retry = "InitialDelay=10ms\nMaxDelay=20ms\nMaxAttempts=3\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	service_unlisten(w->service);
	world_drop(w, "waits.txt", "waits");
	assert_int_equal(world_run(w, "drain", NULL), 1);
	world_wait_log(w, "Gave up waiting for the service");
	assert_false(world_has_error_sidecar(w, "waits.txt"));
	service_listen(w->service);
	assert_int_equal(world_run(w, "drain", NULL), 0);
	world_assert_uploaded(w, "waits.txt");
	world_stop(w);
}

static void drain_fails_for_a_file_whose_sidecar_has_no_place(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	world_drop(w, "homeless.txt", "its sidecar has no place");
	world_mkdir(w, "homeless.txt.asset.json");
	world_drop(w, "other.txt", "has one");
	assert_int_equal(world_run(w, "drain", NULL), 1);
	world_assert_uploaded(w, "other.txt");
	assert_int_equal(world_count_log(w, "homeless.txt: it is a file whose sidecar"),
			 1);
	assert_int_equal(world_count_log(w, "Uploaded 1 file, 7 bytes in "), 1);
	assert_int_equal(world_count_log(w, "; passed over 1; none is left waiting."), 1);
	world_stop(w);
}

static void drain_fails_for_a_file_whose_name_is_too_long(void **state)
{
	struct world *w = *state;
	char name[251];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	world_start(w, &only_the_world);
	world_drop(w, name, "no sidecar can have its name");
	assert_int_equal(world_run(w, "drain", NULL), 1);
	assert_int_equal(world_count_log(w, "; passed over 1; none is left waiting."), 1);
	world_stop(w);
}

static void drain_passes_by_what_is_no_file(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;

	world_start(w, &only_the_world);
	path = world_path(w, "link.txt");
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(world_run(w, "drain", NULL), 0);
	assert_int_equal(world_count_log(w, "link.txt: it is a symbolic link"), 1);
	world_stop(w);
}

static void drain_sums_up_what_became_of_all(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 422 });
	world_drop_many(w, 4);
	assert_int_equal(world_run(w, "drain", NULL), 1);
	assert_int_equal(world_count_log(w, "Done. Uploaded 3 files, "), 1);
	assert_int_equal(world_count_log(w, "/s; given up 1; none is left waiting."), 1);
	world_stop(w);
}

/* Whether the terminal showed @text at its foot: on a line begun anew. */
static bool showed_at_foot(const char *screen, const char *text)
{
	const char *at = screen;

	while ((at = strstr(at, "\r\x1B[K"))) {
		size_t length = strcspn(at += STRLEN("\r\x1B[K"), "\r\n");
		const char *found = strstr(at, text);

		if (found && found < at + length)
			return true;
	}
	return false;
}

static void drain_shows_its_progress_on_a_terminal(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *screen = NULL;

	world_start(w, &only_the_world);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .action = FAULT_CONTINUE,
						   .delay = 300 * USEC_PER_MSEC });
	world_drop_many(w, 40);
	assert_int_equal(world_run_on_terminal(w, 100, "drain", NULL), 0);
	screen = world_output(w);
	assert_true(showed_at_foot(screen, " of 40 files, "));
	assert_true(showed_at_foot(screen, "/s"));
	/* The last word stands alone. */
	assert_non_null(strstr(screen, "\r\x1B[KDone. Uploaded 40 files, "));
	assert_non_null(strstr(screen, "; none is left waiting.\r\n"));
	world_stop(w);
}

static void the_foot_of_a_drain_names_what_is_away_and_fits(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.retry = "InitialDelay=200ms\nMaxDelay=200ms\nMaxAttempts=5\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *screen = NULL;

	world_start(w, &options);
	service_unlisten(w->service);
	world_drop(w, "waits.txt", "waits");
	assert_int_equal(world_run_on_terminal(w, 120, "drain", NULL), 1);
	screen = world_output(w);
	assert_true(showed_at_foot(screen, "0 of 1 files, 0 bytes"));
	assert_true(showed_at_foot(screen, "authorization fails ("));
	free(screen);
	assert_int_equal(world_run_on_terminal(w, 16, "drain", NULL), 1);
	screen = world_output(w);
	assert_true(showed_at_foot(screen, "0 of 1 files, 0"));
	assert_false(showed_at_foot(screen, "0 of 1 files, 0 "));
	world_stop(w);
}

static void drain_of_an_empty_spool_is_done_at_once(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	assert_int_equal(world_run(w, "drain", NULL), 0);
	assert_int_equal(service_count(w->service, ENDPOINT_ANY), 0);
	world_stop(w);
}

static void a_configured_type_method_and_header_are_sent(void **state)
{
	static const struct world_options options = {
		.upload = "Method=PUT\nHeader=X-Origin: spool one\n",
	};
	struct world *w = *state;
	struct service_request request;
	_cleanup_free_ char *value = NULL;

	world_start(w, &options);
	world_drop(w, "with.txt", "a header of its own");
	world_wait_uploaded(w, "with.txt");
	assert_true(service_request_at(w->service, ENDPOINT_UPLOAD, 0, &request));
	value = service_request_header(&request, "X-Origin");
	assert_string_equal(value, "spool one");
	assert_string_equal(request.method, "PUT");
	world_stop(w);
}

static void no_more_than_max_concurrent_are_on_their_way(void **state)
{
	static const struct world_options options = { .upload = "MaxConcurrent=3\n" };
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .action = FAULT_STALL });
	world_drop_many(w, 12);
	assert_true(service_wait_held(w->service, 3, world_patience()));
	assert_false(service_wait_count(w->service, ENDPOINT_UPLOAD, 4,
					50 * USEC_PER_MSEC));
	service_clear_faults(w->service);
	service_release(w->service);
	world_assert_many_uploaded(w, 12);
	assert_int_equal(service_peak(w->service, ENDPOINT_UPLOAD), 3);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(help_fits_a_screen_and_names_every_command),
		scenario(the_version_is_told),
		scenario(wrong_usage_ends_with_2),
		scenario(a_blank_configuration_is_told_from_a_faulty_one),
		scenario(a_faulty_configuration_is_for_the_start_to_tell),
		scenario(every_fault_is_told_with_its_line_and_ends_with_78),
		scenario(drop_ins_add_to_the_configuration_and_win),
		scenario(drain_passes_over_what_is_being_written_and_says_so),
		scenario(drain_ends_though_the_service_is_away),
		scenario(drain_fails_for_a_file_whose_sidecar_has_no_place),
		scenario(drain_fails_for_a_file_whose_name_is_too_long),
		scenario(drain_passes_by_what_is_no_file),
		scenario(drain_sums_up_what_became_of_all),
		scenario(drain_shows_its_progress_on_a_terminal),
		scenario(the_foot_of_a_drain_names_what_is_away_and_fits),
		scenario(drain_of_an_empty_spool_is_done_at_once),
		scenario(a_configured_type_method_and_header_are_sent),
		scenario(no_more_than_max_concurrent_are_on_their_way),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
