/*
 * What becomes of a file that is dropped, as INTERFACE has it: uploaded and receipted,
 * kept, deleted or moved, or given up with a reason, and tried again when asked.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <json-c/json_object.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "macro.h"
#include "world.h"

DEFINE_CLEANUP(struct json_object *, json_freep, json_object_put)
#define _cleanup_json_ _cleanup_(json_freep)

/* ---- each kind of content URL ---- */

static void upload_to(struct world *w, enum url_kind kind)
{
	struct world_options options = { .service.kind = kind };

	world_start(w, &options);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_uploaded(w, "bird.jpg");
	world_assert_uploaded(w, "bird.jpg");
	assert_int_equal(service_count(w->service, ENDPOINT_TOKEN), 1);
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), 1);
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 1);
	world_stop(w);
}

static void a_file_goes_to_a_plain_url(void **state)
{
	upload_to(*state, KIND_PLAIN);
}

static void a_file_goes_to_a_jwt_url_by_post(void **state)
{
	upload_to(*state, KIND_JWT_POST);
}

static void a_file_goes_to_s3(void **state)
{
	upload_to(*state, KIND_S3);
}

static void a_file_goes_to_azure(void **state)
{
	upload_to(*state, KIND_AZURE);
}

static void a_file_goes_to_gcs(void **state)
{
	upload_to(*state, KIND_GCS);
}

static void the_service_learns_of_channel_and_sender(void **state)
{
	struct world_options options = {
		.spool = "ChannelType=custom.teams\nSenderType=egain_bot\n",
	};
	struct world *w = *state;
	struct service_asset asset;

	world_start(w, &options);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_uploaded(w, "bird.jpg");
	assert_true(service_asset_by_name(w->service, "bird.jpg", &asset));
	assert_string_equal(asset.channel_type, "custom.teams");
	assert_string_equal(asset.sender_type, "egain_bot");
	world_stop(w);
}

/* ---- names ---- */

static void any_name_is_uploaded(void **state)
{
	static const struct {
		const char *name, *known_as; /* NULL: the same */
	} table[] = {
		{ "two words.txt", NULL },
		{ " leading and trailing ", NULL },
		{ "it's \"quoted\" & <marked>.pdf", NULL },
		{ "Übergröße.png", NULL },
		{ "🐦.jpg", NULL },
		{ "two\nlines.csv", NULL },
		{ "tab\tand\x1b[31mescape.txt", NULL },
		{ "back\\slash.txt", NULL },
		{ "100%25 #1?a=b;c.json", NULL },
		{ "-rf", NULL },
		{ "no extension", NULL },
		{ "UPPER.JPEG", NULL },
		{ "bird.asset.json.txt", NULL },
		{ "bad\xff\xfe.txt", "bad\xef\xbf\xbd\xef\xbf\xbd.txt" },
		{ "cut\xe2\x82.gif", "cut\xef\xbf\xbd.gif" },
	};
	struct world *w = *state;

	world_start(w, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		world_drop(w, table[i].name, table[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *known = table[i].known_as;

		world_wait_uploaded(w, table[i].name);
		world_assert_uploaded_as(w, table[i].name, known ? known : table[i].name);
	}
	assert_int_equal(service_asset_count(w->service), ARRAY_SIZE(table));
	world_stop(w);
}

static void the_longest_name_that_leaves_room_is_uploaded(void **state)
{
	struct world *w = *state;
	char longest[NAME_MAX - STRLEN(".asset-error.json") + 1];

	(void)memset(longest, 'a', sizeof(longest));
	(void)memcpy(longest + sizeof(longest) - sizeof(".txt"), ".txt", sizeof(".txt"));
	world_start(w, NULL);
	world_drop(w, longest, "long");
	world_wait_uploaded(w, longest);
	world_assert_uploaded(w, longest);
	world_stop(w);
}

/* ---- sizes and numbers ---- */

static void an_empty_file_is_uploaded(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_drop(w, "empty.txt", "");
	world_wait_uploaded(w, "empty.txt");
	world_assert_uploaded(w, "empty.txt");
	world_stop(w);
}

static void a_large_file_is_uploaded(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_drop_random(w, "film.mp4", 20 * 1024 * 1024 + 7, 1);
	world_wait_uploaded(w, "film.mp4");
	world_assert_uploaded(w, "film.mp4");
	world_stop(w);
}

static void many_files_are_each_uploaded_once(void **state)
{
	struct world_options options = { .service.kind = KIND_MIXED };
	struct world *w = *state;
	char name[32];

	world_start(w, &options);
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "many-%03u.bin", i);
		world_drop_random(w, name, i * 37, i);
	}
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "many-%03u.bin", i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
	assert_int_equal(service_asset_count(w->service), 200);
	assert_int_equal(service_received(w->service), 200);
	assert_in_range(service_peak(w->service, ENDPOINT_UPLOAD), 1, 16);
	world_stop(w);
}

/* ---- when a file is there ---- */

static void files_from_before_the_start_are_uploaded(void **state)
{
	struct world_options options = { .no_agent = true };
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "early.txt", "bird");
	world_drop(w, "worm.txt", "caught");
	world_launch(w);
	world_wait_uploaded(w, "early.txt");
	world_wait_uploaded(w, "worm.txt");
	world_assert_uploaded(w, "early.txt");
	world_assert_uploaded(w, "worm.txt");
	world_stop(w);
}

static void a_restart_uploads_nothing_twice(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_drop(w, "old.txt", "old");
	world_wait_uploaded(w, "old.txt");
	world_restart(w);
	world_drop(w, "new.txt", "new");
	world_wait_uploaded(w, "new.txt");
	assert_int_equal(service_asset_count(w->service), 2);
	world_assert_uploaded(w, "old.txt");
	world_stop(w);
}

static void a_file_that_is_being_written_is_left_alone(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;

	world_start(w, NULL);
	path = world_path(w, "slow.txt");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	assert_int_equal(write(fd, "half", 4), 4);
	world_drop(w, "other.txt", "done");
	world_wait_uploaded(w, "other.txt");
	assert_int_equal(service_assets_named(w->service, "slow.txt"), 0);

	assert_int_equal(write(fd, " and half", 9), 9);
	fd = close_fd(fd);
	world_wait_uploaded(w, "slow.txt");
	world_assert_uploaded(w, "slow.txt");
	assert_int_equal(service_assets_named(w->service, "slow.txt"), 1);
	world_stop(w);
}

static void a_link_is_as_good_as_a_rename(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *from = NULL, *to = NULL;

	world_start(w, NULL);
	assert_true(asprintf(&from, "%s/elsewhere.txt", w->root) > 0);
	world_write(w, from, "linked");
	to = world_path(w, "linked.txt");
	assert_int_equal(link(from, to), 0);
	world_wait_uploaded(w, "linked.txt");
	world_assert_uploaded(w, "linked.txt");
	world_stop(w);
}

static void ignored_names_stay(void **state)
{
	static const char *const ignored[] = { ".hidden",     "backup~",   "a.tmp",
					       "b.part",      "c.partial", "d.swp",
					       "e.crdownload" };
	struct world *w = *state;

	world_start(w, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		world_drop(w, ignored[i], "no");
	world_drop(w, "last.txt", "yes");
	world_wait_uploaded(w, "last.txt");
	/* The scan of a restart looks at each of them once more. */
	world_restart(w);
	world_drop(w, "after.txt", "yes");
	world_wait_uploaded(w, "after.txt");
	assert_int_equal(service_asset_count(w->service), 2);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		assert_false(world_has_sidecar(w, ignored[i]));
	world_stop(w);
}

static void directories_below_count_when_recursive(void **state)
{
	struct world_options options = { .recursive = true };
	struct world *w = *state;

	world_start(w, &options);
	world_mkdir(w, "a/b");
	world_drop(w, "a/b/deep.txt", "deep");
	world_drop(w, "a/shallow.txt", "shallow");
	world_wait_uploaded(w, "a/b/deep.txt");
	world_wait_uploaded(w, "a/shallow.txt");
	world_assert_uploaded(w, "a/b/deep.txt");
	world_assert_uploaded(w, "a/shallow.txt");
	world_stop(w);
}

static void every_spool_is_served(void **state)
{
	struct world_options options = { .spools = { "second", "third" } };
	struct world *w = *state;
	_cleanup_free_ char *second = NULL, *third = NULL;

	world_start(w, &options);
	assert_true(asprintf(&second, "%s/same.txt", w->spools[0]) > 0);
	assert_true(asprintf(&third, "%s/same.txt", w->spools[1]) > 0);
	world_drop(w, "same.txt", "first");
	world_drop(w, second, "second");
	world_drop(w, third, "third");
	world_wait_uploaded(w, "same.txt");
	world_wait_uploaded(w, second);
	world_wait_uploaded(w, third);
	world_assert_uploaded(w, "same.txt");
	world_assert_uploaded(w, second);
	world_assert_uploaded(w, third);
	world_stop(w);
}

/* ---- after the upload ---- */

static void a_kept_file_stays_as_it_is(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;

	world_start(w, NULL);
	world_drop(w, "keep.txt", "kept");
	world_wait_uploaded(w, "keep.txt");
	text = world_read(w, "keep.txt");
	assert_string_equal(text, "kept");
	world_stop(w);
}

static void a_deleted_file_leaves_its_sidecar(void **state)
{
	struct world_options options = { .spool = "AfterUpload=delete\n" };
	struct world *w = *state;
	_cleanup_json_ struct json_object *sidecar = NULL;
	struct service_asset asset;

	world_start(w, &options);
	world_drop(w, "gone.txt", "going");
	world_wait_gone(w, "gone.txt");
	world_wait_sidecar(w, "gone.txt");
	sidecar = world_sidecar(w, "gone.txt");
	assert_int_equal(world_number(sidecar, "size"), 5);
	assert_true(service_asset_by_id(w->service, world_text(sidecar, "id"), &asset));
	assert_true(asset.complete);
	world_stop(w);
}

static void a_moved_file_takes_its_sidecar_along(void **state)
{
	struct world_options options = {
		.spool = "AfterUpload=move\nDoneDirectory=@ROOT@/done/here\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *moved = NULL;

	world_start(w, &options);
	assert_true(asprintf(&moved, "%s/done/here/bird.jpg", w->root) > 0);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_gone(w, "bird.jpg");
	world_wait_uploaded(w, moved);
	world_assert_uploaded(w, moved);
	assert_false(world_has_sidecar(w, "bird.jpg"));
	world_stop(w);
}

/* The name in @directory of another file than @first that ends with @suffix; the caller
 * frees it. NULL: none. */
static char *another(const char *directory, const char *first, const char *suffix)
{
	struct dirent *entry;
	char *found = NULL;
	DIR *stream = opendir(directory);

	assert_non_null(stream);
	while (!found && (entry = readdir(stream))) {
		if (endswith(entry->d_name, suffix) && !streq(entry->d_name, first) &&
		    !endswith(entry->d_name, ".json"))
			assert_true(asprintf(&found, "%s/%s", directory, entry->d_name) >
				    0);
	}
	(void)closedir(stream);
	return found;
}

static void a_move_never_overwrites(void **state)
{
	struct world_options options = {
		.spool = "AfterUpload=move\nDoneDirectory=@ROOT@/done\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *done = NULL, *moved = NULL, *first = NULL, *second = NULL;
	_cleanup_free_ char *new_text = NULL;

	world_start(w, &options);
	assert_true(asprintf(&done, "%s/done", w->root) > 0);
	assert_true(asprintf(&moved, "%s/done/bird.jpg", w->root) > 0);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_uploaded(w, moved);
	world_drop(w, "bird.jpg", "chirp");
	world_wait_gone(w, "bird.jpg");
	assert_true(service_wait_received(w->service, 2, world_patience()));

	first = world_read(w, moved);
	assert_string_equal(first, "tweet");
	world_assert_uploaded(w, moved);
	second = another(done, "bird.jpg", ".jpg");
	if (!second)
		second = another(done, "bird.jpg", "");
	assert_non_null(second);
	new_text = world_read(w, second);
	assert_string_equal(new_text, "chirp");
	world_wait_sidecar(w, second);
	world_stop(w);
}

/* ---- due again ---- */

static void a_touched_file_is_uploaded_again(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *first = NULL, *second = NULL;

	world_start(w, NULL);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_uploaded(w, "bird.jpg");
	first = world_sidecar(w, "bird.jpg");
	world_touch(w, "bird.jpg");
	world_wait_uploaded(w, "bird.jpg");
	world_assert_uploaded(w, "bird.jpg");
	second = world_sidecar(w, "bird.jpg");
	assert_string_not_equal(world_text(first, "id"), world_text(second, "id"));
	assert_int_equal(service_assets_named(w->service, "bird.jpg"), 2);
	world_stop(w);
}

static void a_changed_file_is_uploaded_again(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_uploaded(w, "bird.jpg");
	world_write(w, "bird.jpg", "tweet tweet");
	world_wait_uploaded(w, "bird.jpg");
	world_assert_uploaded(w, "bird.jpg");
	world_drop(w, "bird.jpg", "and another");
	world_wait_uploaded(w, "bird.jpg");
	world_assert_uploaded(w, "bird.jpg");
	world_stop(w);
}

static void a_removed_sidecar_means_again(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_uploaded(w, "bird.jpg");
	world_remove(w, "bird.jpg.asset.json");
	world_wait_uploaded(w, "bird.jpg");
	world_assert_uploaded(w, "bird.jpg");
	assert_int_equal(service_assets_named(w->service, "bird.jpg"), 2);
	world_stop(w);
}

/* ---- given up ---- */

static const struct fault refusal = {
	.endpoint = ENDPOINT_CREATE,
	.times = 1,
	.action = FAULT_ANSWER,
	.status = 400,
	.body = "{\"code\":\"400-196\",\"developerMessage\":\"Invalid value of attribute\","
		"\"details\":[{\"key\":\"attribute\",\"value\":\"name\"}],"
		"\"userMessage\":\"That name will not do.\"}",
};

static void a_refused_file_gets_an_error_sidecar(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *sidecar = NULL;
	struct json_object *details = NULL;
	struct timespec failed;

	world_start(w, NULL);
	service_fault(w->service, &refusal);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_error_sidecar(w, "bird.jpg");
	sidecar = world_error_sidecar(w, "bird.jpg");
	assert_string_equal(world_text(sidecar, "name"), "bird.jpg");
	assert_int_equal(world_number(sidecar, "size"), 5);
	assert_string_equal(world_text(sidecar, "stage"), "create");
	assert_int_equal(world_number(sidecar, "attempts"), 1);
	assert_int_equal(world_number(sidecar, "httpStatus"), 400);
	assert_string_equal(world_text(sidecar, "code"), "400-196");
	assert_non_null(strstr(world_text(sidecar, "developerMessage"),
			       "Invalid value of attribute"));
	assert_string_equal(world_text(sidecar, "userMessage"), "That name will not do.");
	assert_true(json_object_object_get_ex(sidecar, "details", &details));
	assert_string_equal(json_object_to_json_string_ext(details,
							   JSON_C_TO_STRING_PLAIN),
			    "[{\"key\":\"attribute\",\"value\":\"name\"}]");
	assert_int_equal(clock_parse(world_text(sidecar, "modified"), &failed), 0);
	assert_int_equal(clock_parse(world_text(sidecar, "failed"), &failed), 0);
	assert_false(world_has_sidecar(w, "bird.jpg"));
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), 1);
	world_stop(w);
}

static void deleting_the_error_sidecar_tries_again(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	service_fault(w->service, &refusal);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_error_sidecar(w, "bird.jpg");
	world_remove(w, "bird.jpg.asset-error.json");
	world_wait_uploaded(w, "bird.jpg");
	world_assert_uploaded(w, "bird.jpg");
	world_stop(w);
}

static void changing_a_failed_file_tries_again(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	service_fault(w->service, &refusal);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_error_sidecar(w, "bird.jpg");
	world_write(w, "bird.jpg", "a better tweet");
	world_wait_uploaded(w, "bird.jpg");
	world_wait_gone(w, "bird.jpg.asset-error.json");
	world_assert_uploaded(w, "bird.jpg");
	world_stop(w);
}

static void a_failed_file_is_not_tried_again_by_a_restart(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	service_fault(w->service, &refusal);
	world_drop(w, "bird.jpg", "tweet");
	world_wait_error_sidecar(w, "bird.jpg");
	world_restart(w);
	world_drop(w, "other.jpg", "tweet");
	world_wait_uploaded(w, "other.jpg");
	assert_true(world_has_error_sidecar(w, "bird.jpg"));
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), 2);
	world_stop(w);
}

static void the_store_says_why_it_refuses(void **state)
{
	struct world *w = *state;
	_cleanup_json_ struct json_object *sidecar = NULL;

	world_start(w, NULL);
	service_fault(w->service,
		      &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
				       .times = 1,
				       .action = FAULT_ANSWER,
				       .status = 415,
				       .headers = "Content-Type: application/xml\n",
				       .body = "<Error><Code>BadType</Code><Message>No "
					       "birds.</Message></Error>" });
	world_drop(w, "bird.jpg", "tweet");
	world_wait_error_sidecar(w, "bird.jpg");
	sidecar = world_error_sidecar(w, "bird.jpg");
	assert_string_equal(world_text(sidecar, "stage"), "upload");
	assert_int_equal(world_number(sidecar, "httpStatus"), 415);
	assert_non_null(strstr(world_text(sidecar, "developerMessage"), "No birds."));
	world_stop(w);
}

static void a_file_that_is_too_large_asks_nothing(void **state)
{
	struct world_options options = { .spool = "MaxSize=10\n" };
	struct world *w = *state;
	_cleanup_json_ struct json_object *sidecar = NULL;

	world_start(w, &options);
	world_drop(w, "large.txt", "eleven char");
	world_wait_error_sidecar(w, "large.txt");
	sidecar = world_error_sidecar(w, "large.txt");
	assert_string_equal(world_text(sidecar, "stage"), "spool");
	assert_int_equal(world_number(sidecar, "size"), 11);
	assert_non_null(world_text(sidecar, "developerMessage"));
	assert_false(json_object_object_get_ex(sidecar, "httpStatus", NULL));
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), 0);

	world_drop(w, "fits.txt", "ten chars!");
	world_wait_uploaded(w, "fits.txt");
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), 1);
	world_stop(w);
}

/* ---- never ---- */

static void make_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void what_is_no_file_is_warned_of_once(void **state)
{
	static const char *const names[] = { "a-link.txt", "a-pipe.txt", "a-socket.txt",
					     "a-directory.txt" };
	struct world *w = *state;
	_cleanup_free_ char *link = NULL, *pipe = NULL, *unix_socket = NULL;

	world_start(w, NULL);
	link = world_path(w, names[0]);
	pipe = world_path(w, names[1]);
	unix_socket = world_path(w, names[2]);
	assert_int_equal(symlink("/etc/hostname", link), 0);
	assert_int_equal(mkfifo(pipe, 0640), 0);
	make_socket(unix_socket);
	world_mkdir(w, names[3]);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *warning = NULL;

		assert_true(asprintf(&warning, "%s: it is ", names[i]) > 0);
		world_wait_log(w, warning);
	}
	/* Whatever makes the agent look again. */
	assert_int_equal(chmod(pipe, 0600), 0);
	world_drop(w, "a-file.txt", "file");
	world_wait_uploaded(w, "a-file.txt");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *warning = NULL;

		assert_true(asprintf(&warning, "%s: it is ", names[i]) > 0);
		assert_int_equal(world_count_log(w, warning), 1);
		assert_false(world_has_sidecar(w, names[i]));
		assert_false(world_has_error_sidecar(w, names[i]));
	}
	assert_int_equal(service_asset_count(w->service), 1);
	world_stop(w);
}

/* ---- drain ---- */

static void drain_uploads_what_is_due_and_ends(void **state)
{
	struct world_options options = { .no_agent = true };
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "one.txt", "1");
	world_drop(w, "two.txt", "2");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	world_assert_uploaded(w, "one.txt");
	world_assert_uploaded(w, "two.txt");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	assert_int_equal(service_asset_count(w->service), 2);
	world_stop(w);
}

static void drain_fails_when_a_file_does(void **state)
{
	struct world_options options = { .no_agent = true };
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &refusal);
	world_drop(w, "one.txt", "1");
	assert_int_equal(world_run(w, "drain", NULL), 1);
	assert_true(world_has_error_sidecar(w, "one.txt"));
	world_stop(w);
}

#define scenario(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* All together get no more than that; some slices of the start are free. */
static void bandwidth_is_kept(void **state)
{
	enum { FILES = 4, SIZE = 200 * 1024, RATE = 1024 * 1024 };
	static const struct world_options options = { .upload = "Bandwidth=1M\n" };
	struct world *w = *state;
	usec_t begun;

	world_start(w, &options);
	begun = clock_monotonic();
	for (int i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.bin", i);
		world_drop_random(w, name, SIZE, (unsigned)i);
	}
	for (int i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d.bin", i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
	assert_true(usec_sub(clock_monotonic(), begun) >=
		    (usec_t)FILES * SIZE * USEC_PER_SEC / RATE - USEC_PER_SEC / 4);
	world_stop(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(a_file_goes_to_a_plain_url),
		scenario(a_file_goes_to_a_jwt_url_by_post),
		scenario(a_file_goes_to_s3),
		scenario(a_file_goes_to_azure),
		scenario(a_file_goes_to_gcs),
		scenario(the_service_learns_of_channel_and_sender),
		scenario(any_name_is_uploaded),
		scenario(the_longest_name_that_leaves_room_is_uploaded),
		scenario(an_empty_file_is_uploaded),
		scenario(a_large_file_is_uploaded),
		scenario(many_files_are_each_uploaded_once),
		scenario(files_from_before_the_start_are_uploaded),
		scenario(a_restart_uploads_nothing_twice),
		scenario(a_file_that_is_being_written_is_left_alone),
		scenario(a_link_is_as_good_as_a_rename),
		scenario(ignored_names_stay),
		scenario(directories_below_count_when_recursive),
		scenario(every_spool_is_served),
		scenario(a_kept_file_stays_as_it_is),
		scenario(a_deleted_file_leaves_its_sidecar),
		scenario(a_moved_file_takes_its_sidecar_along),
		scenario(a_move_never_overwrites),
		scenario(a_touched_file_is_uploaded_again),
		scenario(a_changed_file_is_uploaded_again),
		scenario(a_removed_sidecar_means_again),
		scenario(a_refused_file_gets_an_error_sidecar),
		scenario(deleting_the_error_sidecar_tries_again),
		scenario(changing_a_failed_file_tries_again),
		scenario(a_failed_file_is_not_tried_again_by_a_restart),
		scenario(the_store_says_why_it_refuses),
		scenario(a_file_that_is_too_large_asks_nothing),
		scenario(what_is_no_file_is_warned_of_once),
		scenario(drain_uploads_what_is_due_and_ends),
		scenario(drain_fails_when_a_file_does),
		scenario(bandwidth_is_kept),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
