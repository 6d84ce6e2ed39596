/* The command `explain`: every reason that a file can have, told with what is next. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "macro.h"
#include "world.h"

static const struct world_options only_the_world = { .no_agent = true };

/* ---- what it prints ---- */

static int explain(struct world *w, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);

	return world_run(w, "explain", path, NULL);
}

static void assert_told(struct world *w, const char *text)
{
	_cleanup_free_ char *output = world_output(w);

	if (strstr(output, text))
		return;
	(void)fputs(output, stderr);
	fail_msg("it does not say \"%s\"", text);
}

static void assert_not_told(struct world *w, const char *text)
{
	_cleanup_free_ char *output = world_output(w);

	if (!strstr(output, text))
		return;
	(void)fputs(output, stderr);
	fail_msg("it says \"%s\"", text);
}

/* The last line, always. */
static void assert_next(struct world *w, const char *text)
{
	_cleanup_free_ char *output = world_output(w), *line = NULL;
	char *end = output + strlen(output);

	assert_true(end > output && end[-1] == '\n');
	end[-1] = '\0';
	line = strrchr(output, '\n');
	assert_non_null(line);
	line = strdup(line + 1);
	if (startswith(line, "Next: ") && strstr(line, text))
		return;
	fail_msg("it does not end with \"Next: ... %s\", but: %s", text, line);
}

/* The agent tells what it does within a second. */
static void wait_told(struct world *w, const char *name, const char *text)
{
	usec_t deadline = usec_add(clock_monotonic(), world_patience());

	while (clock_monotonic() < deadline) {
		_cleanup_free_ char *output = NULL;

		assert_int_equal(explain(w, name), 0);
		output = world_output(w);
		if (strstr(output, text))
			return;
	}
	assert_told(w, text);
}

/* ---- where it is ---- */

static void a_file_in_a_spool_waits_for_the_agent(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	world_drop(w, "bird.jpg", "tweet");
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, "/spool/bird.jpg\n  It is a file of 5 bytes, modified on ");
	assert_told(w, "It lies in the spool first, ");
	assert_told(w, "The agent does not run.");
	assert_next(w, "nothing, until the agent runs: systemctl start asset-agent");
	world_stop(w);
}

static void a_file_in_no_spool_is_told_which_there_are(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .spools = { "second" } };
	struct world *w = *state;

	world_start(w, &options);
	assert_int_equal(explain(w, w->config), 0);
	assert_told(w, "It lies in no spool. The spools are:");
	assert_told(w, "  - ");
	assert_told(w, "/spool\n");
	assert_told(w, "/second\n");
	assert_next(w, "nothing. Move it into a spool");
	world_stop(w);
}

static void a_file_below_a_spool_needs_recursive(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	world_mkdir(w, "sub");
	world_drop(w, "sub/deep.txt", "deep");
	assert_int_equal(explain(w, "sub/deep.txt"), 0);
	assert_told(w, "in the directory sub; but that spool has Recursive=no");
	assert_next(w, "Set Recursive=yes");
	world_stop(w);
}

static void a_file_below_a_recursive_spool_is_in_it(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .recursive = true };
	struct world *w = *state;

	world_start(w, &options);
	world_mkdir(w, "sub");
	world_mkdir(w, ".hidden");
	world_drop(w, "sub/deep.txt", "deep");
	world_drop(w, ".hidden/dark.txt", "dark");
	assert_int_equal(explain(w, "sub/deep.txt"), 0);
	assert_told(w, "It lies in the spool first");
	assert_next(w, "systemctl start");
	assert_int_equal(explain(w, ".hidden/dark.txt"), 0);
	assert_told(w, "The directory .hidden, in which it lies, is ignored");
	assert_next(w, "nothing. Move the file out of the directory .hidden");
	world_stop(w);
}

static void a_way_through_links_leads_to_the_same(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *link = NULL, *through = NULL;

	world_start(w, &only_the_world);
	world_drop(w, "bird.jpg", "tweet");
	link = world_beside(w, "link");
	assert_int_equal(symlink(w->spool, link), 0);
	assert_true(asprintf(&through, "%s/../link//./bird.jpg", w->state) > 0);
	assert_int_equal(explain(w, through), 0);
	assert_told(w, "/spool/bird.jpg\n");
	assert_told(w, "It lies in the spool first");
	world_stop(w);
}

/* ---- what it is ---- */

static void only_regular_files_are_uploaded(void **state)
{
	static const struct {
		const char *name, *told;
	} rows[] = {
		{ "link", "It is a symbolic link, and only regular files" },
		{ "pipe", "It is a named pipe, and only regular files" },
		{ "socket", "It is a socket, and only regular files" },
		{ "directory", "It is a directory, and only regular files" },
	};
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct world *w = *state;
	_cleanup_free_ char *link = NULL, *pipe = NULL;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	world_start(w, &only_the_world);
	link = world_path(w, "link");
	pipe = world_path(w, "pipe");
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", w->spool);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	world_mkdir(w, "directory");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(explain(w, rows[i].name), 0);
		assert_told(w, rows[i].told);
		assert_next(w, "nothing. ");
	}
	assert_int_equal(explain(w, ""), 0);
	assert_told(w, "It is the spool first.");
	world_stop(w);
}

static void ignored_names_are_told_with_their_pattern(void **state)
{
	struct world *w = *state;
	char name[251];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	world_start(w, &only_the_world);
	world_write(w, "half.part", "half");
	assert_int_equal(explain(w, "half.part"), 0);
	assert_told(w, "It is ignored: its name matches the pattern *.part of Ignore=.");
	assert_next(w, "nothing. Rename it");
	world_write(w, ".asset-agent.0123.tmp", "ours");
	assert_int_equal(explain(w, ".asset-agent.0123.tmp"), 0);
	assert_told(w, "It is a temporary file of asset-agent's own.");
	world_write(w, name, "long");
	assert_int_equal(explain(w, name), 0);
	assert_told(w, "Its name has 250 bytes, and with more than 238 there is no room");
	assert_next(w, "nothing. Give it a shorter name.");
	world_stop(w);
}

static void what_is_not_there_fails(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	assert_int_equal(explain(w, "nothing.txt"), 1);
	assert_told(w, "There is no such file now.");
	assert_next(w, "nothing. What is put there by that name is uploaded.");
	assert_int_equal(explain(w, "no/such/directory.txt"), 1);
	assert_told(w, "There is no such file now.");
	assert_int_equal(world_run(w, "explain", NULL), 2);
	assert_int_equal(world_run(w, "explain", "a", "b", NULL), 2);
	world_write(w, w->config, "[API]\nTimeout=soon\n");
	assert_int_equal(explain(w, "nothing.txt"), 78);
	world_stop(w);
}

static void hostile_names_are_escaped(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *output = NULL;

	world_start(w, &only_the_world);
	world_drop(w, "a\nNext: \x1B[31m\xFF\xE2\x80\xAE.txt", "boo");
	assert_int_equal(explain(w, "a\nNext: \x1B[31m\xFF\xE2\x80\xAE.txt"), 0);
	output = world_output(w);
	assert_null(strchr(output, '\x1B'));
	assert_null(strstr(output, "\nNext: \\x1B"));
	assert_non_null(strstr(output, "/a\\nNext: \\x1B[31m\\xFF\\xE2\\x80\\xAE.txt\n"));
	world_stop(w);
}

static void what_may_not_be_read_is_told(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .powerless = true };
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "closed.txt", "closed");
	world_chmod(w, "closed.txt", 0);
	assert_int_equal(explain(w, "closed.txt"), 0);
	assert_told(w, " can't read it: Permission denied");
	assert_next(w, "the agent gives it up, with an error sidecar, unless");
	world_chmod(w, "closed.txt", 0600);
	assert_int_equal(chmod(w->spool, 0500), 0);
	assert_int_equal(explain(w, "closed.txt"), 0);
	assert_told(w, " can make no sidecar in ");
	assert_next(w, "it waits until ");
	assert_int_equal(chmod(w->spool, 0700), 0);
	world_stop(w);
}

static void what_is_hidden_is_not_called_absent(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .powerless = true };
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "bird.jpg", "tweet");
	assert_int_equal(chmod(w->spool, 0), 0);
	assert_int_equal(explain(w, "bird.jpg"), 1);
	assert_told(w, " can't be opened: Permission denied; root would see more.");
	assert_not_told(w, "There is no such file");
	assert_next(w, "as root, more can be told: sudo asset-agent explain ");
	assert_int_equal(chmod(w->spool, 0700), 0);
	world_stop(w);
}

static void what_is_too_large_is_told(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .spool = "MaxSize=10\n" };
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "large.txt", "eleven byte");
	assert_int_equal(explain(w, "large.txt"), 0);
	assert_told(w, "It is larger than MaxSize=, which is 10 bytes.");
	assert_next(w, "the agent gives it up, with an error sidecar");
	assert_int_equal(world_run(w, "drain", NULL), 1);
	assert_int_equal(explain(w, "large.txt"), 0);
	assert_told(w, "The agent gave it up on ");
	assert_told(w, "after 1 try, at stage spool.");
	assert_told(w, "The reason: the file is too large: 11 bytes");
	assert_next(w, "Then delete large.txt.asset-error.json, or change the file");
	world_stop(w);
}

/* ---- sidecars ---- */

static void an_uploaded_file_is_told_with_its_id(void **state)
{
	struct world *w = *state;
	struct service_asset asset;
	_cleanup_free_ char *text = NULL;

	world_start(w, NULL);
	world_upload(w, "bird.jpg");
	assert_true(service_asset_by_name(w->service, "bird.jpg", &asset));
	assert_true(asprintf(&text, "It was uploaded as asset %s on 20", asset.id) > 0);
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, text);
	assert_not_told(w, "It has changed");
	assert_next(w, "nothing: it is done. To have it uploaded again, change it, or "
		       "delete bird.jpg.asset.json");
	/* Of the sidecar the same is told. */
	assert_int_equal(explain(w, "bird.jpg.asset.json"), 0);
	assert_told(w, "bird.jpg.asset.json is a receipt, which is never uploaded");
	assert_told(w, text);
	world_stop(w);
}

static void what_changed_since_is_told(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	world_drop(w, "bird.jpg", "tweet");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	world_write(w, "bird.jpg", "tweet tweet");
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, "It has changed since: it had 5 bytes then, and has 11 now.");
	assert_next(w, "systemctl start");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	world_touch(w, "bird.jpg");
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, "It has changed since: it was modified on 20");
	world_stop(w);
}

static void a_deleted_source_is_told_of_by_its_receipt(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .spool = "AfterUpload=delete\n" };
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "bird.jpg", "tweet");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	assert_false(world_exists(w, "bird.jpg"));
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, "There is no such file now.");
	assert_told(w, "and was deleted then (AfterUpload=delete). The receipt is ");
	assert_next(w, "nothing: it is done.");
	world_stop(w);
}

static void a_moved_source_is_told_of_in_both_places(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.recursive = true,
		.spool = "AfterUpload=move\nDoneDirectory=@ROOT@/done\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *moved = NULL;

	world_start(w, &options);
	world_mkdir(w, "sub");
	world_drop(w, "sub/bird.jpg", "tweet");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	assert_int_equal(explain(w, "sub/bird.jpg"), 0);
	assert_told(w, "and was moved to DoneDirectory= then (AfterUpload=move)");
	assert_told(w, "/done/sub/bird.jpg.asset.json.");
	assert_next(w, "nothing: it is done.");
	moved = world_beside(w, "done/sub/bird.jpg");
	assert_int_equal(explain(w, moved), 0);
	assert_told(w, "It lies in DoneDirectory=");
	assert_next(w, "nothing. To have it uploaded again, move it into the spool");
	world_stop(w);
}

static void an_error_is_told_with_all_that_the_service_said(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	service_fault(w->service,
		      &(struct fault){
			      .endpoint = ENDPOINT_CREATE,
			      .action = FAULT_ANSWER,
			      .status = 400,
			      .body = "{\"code\":\"400-196\",\"developerMessage\":"
				      "\"Invalid value\",\"userMessage\":\"No "
				      "birds\",\"details\":[{\"key\":\"name\","
				      "\"value\":\"bird.jpg\"}]}" });
	world_drop(w, "bird.jpg", "tweet");
	assert_int_equal(world_run(w, "drain", NULL), 1);
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, "after 1 try, at stage create. The error sidecar is ");
	assert_told(w, "The service answered with HTTP status 400.");
	assert_told(w, "The code of the error: 400-196");
	assert_told(w, "The reason: Invalid value");
	assert_told(w, "The service's words for people: No birds");
	assert_told(w, "Details: [{\"key\":\"name\",\"value\":\"bird.jpg\"}]");
	assert_next(w, "nothing, until somebody acts. Look whether its name");
	world_write(w, "bird.jpg", "tweet!");
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, "It has changed since: it had 5 bytes then");
	assert_next(w, "systemctl start");
	world_stop(w);
}

static void a_torn_sidecar_does_not_count(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	world_drop(w, "bird.jpg", "tweet");
	world_write(w, "bird.jpg.asset.json", "{\"id\":");
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, "but it is no sidecar, or torn, and does not count");
	assert_next(w, "systemctl start");
	world_stop(w);
}

static void a_sidecar_without_a_place_is_told(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	world_drop(w, "bird.jpg", "tweet");
	world_mkdir(w, "bird.jpg.asset.json");
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, "Its sidecar has no place: ");
	assert_next(w, "nothing, until bird.jpg.asset.json is moved away");
	world_stop(w);
}

/* ---- writers ---- */

static void a_writer_is_told_by_its_process(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL, *text = NULL;
	int fd;

	world_start(w, NULL);
	path = world_path(w, "open.txt");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "part", 4), 4);
	assert_true(
		asprintf(&text,
			 "It is being written: it is open by process %d (test-explain)",
			 (int)getpid()) > 0);
	assert_int_equal(explain(w, "open.txt"), 0);
	assert_told(w, text);
	assert_next(w, "the agent waits until it is closed, and uploads it then");
	(void)close(fd);
	world_wait_uploaded(w, "open.txt");
	world_stop(w);
}

static void a_mapping_is_told_by_its_process(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = NULL, *text = NULL;
	void *memory;
	int fd;

	world_start(w, &only_the_world);
	world_drop(w, "mapped.txt", "mapped");
	path = world_path(w, "mapped.txt");
	fd = open(path, O_RDWR | O_CLOEXEC);
	memory = mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(memory != MAP_FAILED);
	(void)close(fd);
	assert_true(asprintf(&text,
			     "It is mapped into memory, to be written, by process %d",
			     (int)getpid()) > 0);
	assert_int_equal(explain(w, "mapped.txt"), 0);
	assert_told(w, text);
	(void)munmap(memory, 6);
	assert_int_equal(explain(w, "mapped.txt"), 0);
	assert_not_told(w, "mapped into memory");
	world_stop(w);
}

static void what_has_just_changed_is_left_alone_for_a_while(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .spool = "Settle=1h\n" };
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "fresh.txt", "fresh");
	assert_int_equal(explain(w, "fresh.txt"), 0);
	assert_told(w, "must be left alone for Settle=1h 0min first");
	world_stop(w);
}

/* ---- the agent ---- */

static void a_file_on_its_way_is_told_with_its_progress(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .phase = FAULT_IN_BODY,
						   .bytes = 1 << 20,
						   .action = FAULT_STALL });
	world_drop_random(w, "large.bin", 64 << 20, 1);
	wait_told(w, "large.bin", "It is on its way now: being sent, since 20");
	wait_told(w, "large.bin", "Of its 64.0 MiB, ");
	assert_next(w, "its receipt large.bin.asset.json comes to be beside it");
	assert_told(w, "The ledger has a URL for it, as asset ");
	service_release(w->service);
	world_wait_uploaded(w, "large.bin");
	world_stop(w);
}

static void a_file_that_failed_is_told_with_its_next_try(void **state)
{
	static const struct world_options options = {
		.retry = "InitialDelay=1h\nMaxDelay=1h\nMaxAttempts=5\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .phase = FAULT_IN_BODY,
						   .bytes = 10,
						   .action = FAULT_RESET });
	world_drop_random(w, "unlucky.bin", 1 << 20, 1);
	wait_told(w, "unlucky.bin", "Try 1 of 5 failed at stage upload: ");
	assert_next(w, "it is tried again on 20");
	assert_told(w, "tries that failed: 1.");
	world_stop(w);
}

static void an_outage_is_told_with_its_reason(void **state)
{
	static const struct world_options options = {
		.retry = "InitialDelay=1h\nMaxDelay=1h\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .action = FAULT_ANSWER,
						   .status = 503,
						   .body = "in repair" });
	world_drop(w, "waits.txt", "waits");
	wait_told(w, "waits.txt", "The API is away (");
	assert_told(w, "), since 20");
	assert_told(w, ": HTTP status 503, in repair. Files");
	assert_told(w, "Files that wait for it: 1; none is lost.");
	assert_next(w, "the API is asked again on 20");
	world_stop(w);
}

static void a_full_house_is_told(void **state)
{
	static const struct world_options options = {
		.upload = "MaxConcurrent=1\n",
		.api = "RequestRate=1000/s\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .action = FAULT_STALL });
	world_drop(w, "first.txt", "first");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_drop(w, "second.txt", "second");
	wait_told(w, "second.txt",
		  "It waits for its turn. Files on their way: 1, as many");
	assert_told(w, "RequestRate= lets one file a 1ms go");
	assert_next(w, "the agent uploads it, and its receipt second.txt.asset.json");
	service_release(w->service);
	world_wait_uploaded(w, "second.txt");
	world_stop(w);
}

static void a_held_spool_is_told(void **state)
{
	static const struct world_options options = {
		.spool = "AfterUpload=move\nDoneDirectory=@ROOT@/secret/done\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "held.txt", "held");
	wait_told(w, "held.txt", "The files of this spool are held back");
	assert_next(w, "it goes when that is mended");
	world_stop(w);
}

/* ---- after the agent ---- */

static void the_ledger_of_a_killed_agent_is_read(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;
	struct service_asset asset;

	world_start(w, NULL);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
						   .times = 1,
						   .action = FAULT_STALL });
	world_drop(w, "torn.txt", "torn from its way");
	assert_true(service_wait_held(w->service, 1, world_patience()));
	world_kill9(w);
	assert_true(service_asset_by_name(w->service, "torn.txt", &asset));
	assert_true(asprintf(&text,
			     "The ledger has a URL for it, as asset %s, good until 20",
			     asset.id) > 0);
	assert_int_equal(explain(w, "torn.txt"), 0);
	assert_told(w, text);
	assert_told(w, "The agent does not run.");
	/* Also where the file is gone by now. */
	world_remove(w, "torn.txt");
	assert_int_equal(explain(w, "torn.txt"), 0);
	assert_told(w, text);
	service_release(w->service);
	world_stop(w);
}

static void a_ledger_that_may_not_be_read_is_told(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .powerless = true };
	struct world *w = *state;

	world_start(w, &options);
	world_drop(w, "bird.jpg", "tweet");
	assert_int_equal(chmod(w->state, 0), 0);
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w,
		    "The ledger can't be read: Permission denied; root would see more");
	assert_told(w, "Whether the agent runs can't be seen");
	assert_next(w, "it is uploaded, if the agent runs: systemctl status");
	assert_int_equal(chmod(w->state, 0700), 0);
	world_stop(w);
}

static void a_ledger_that_is_damaged_is_told(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *ledger = NULL;

	world_start(w, &only_the_world);
	world_drop(w, "bird.jpg", "tweet");
	ledger = world_beside(w, "state/ledger.db");
	world_write(w, ledger, "this is no database, but it is long enough to be one");
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_told(w, "The ledger can't be read now: ");
	world_stop(w);
}

/* What looks disturbs nobody: the state directory is as it was. */
static void looking_leaves_nothing_behind(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *shm = NULL, *wal = NULL, *ledger = NULL;
	struct stat before, after;

	world_start(w, &only_the_world);
	world_drop(w, "bird.jpg", "tweet");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	ledger = world_beside(w, "state/ledger.db");
	shm = world_beside(w, "state/ledger.db-shm");
	wal = world_beside(w, "state/ledger.db-wal");
	assert_int_equal(stat(ledger, &before), 0);
	assert_int_equal(explain(w, "bird.jpg"), 0);
	assert_int_equal(stat(ledger, &after), 0);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(access(shm, F_OK), -1);
	assert_int_equal(access(wal, F_OK), -1);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(a_file_in_a_spool_waits_for_the_agent),
		scenario(a_file_in_no_spool_is_told_which_there_are),
		scenario(a_file_below_a_spool_needs_recursive),
		scenario(a_file_below_a_recursive_spool_is_in_it),
		scenario(a_way_through_links_leads_to_the_same),
		scenario(only_regular_files_are_uploaded),
		scenario(ignored_names_are_told_with_their_pattern),
		scenario(what_is_not_there_fails),
		scenario(hostile_names_are_escaped),
		scenario(what_may_not_be_read_is_told),
		scenario(what_is_hidden_is_not_called_absent),
		scenario(what_is_too_large_is_told),
		scenario(an_uploaded_file_is_told_with_its_id),
		scenario(what_changed_since_is_told),
		scenario(a_deleted_source_is_told_of_by_its_receipt),
		scenario(a_moved_source_is_told_of_in_both_places),
		scenario(an_error_is_told_with_all_that_the_service_said),
		scenario(a_torn_sidecar_does_not_count),
		scenario(a_sidecar_without_a_place_is_told),
		scenario(a_writer_is_told_by_its_process),
		scenario(a_mapping_is_told_by_its_process),
		scenario(what_has_just_changed_is_left_alone_for_a_while),
		scenario(a_file_on_its_way_is_told_with_its_progress),
		scenario(a_file_that_failed_is_told_with_its_next_try),
		scenario(an_outage_is_told_with_its_reason),
		scenario(a_full_house_is_told),
		scenario(a_held_spool_is_told),
		scenario(the_ledger_of_a_killed_agent_is_read),
		scenario(a_ledger_that_may_not_be_read_is_told),
		scenario(a_ledger_that_is_damaged_is_told),
		scenario(looking_leaves_nothing_behind),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
