/*
 * Out of memory, at any allocation: of the agent, libcurl, json-c, SQLite, OpenSSL, all.
 *
 * The agent runs over and over, and each time another allocation fails
 * (tests/preload/allocation.c). It may end with exit status 1 and a line that says why,
 * or go on; after one more start, without a fault, each file has the one sidecar that it
 * is to have.
 *
 * A first run notes who asks for memory. Then one allocation of each such place fails,
 * in about as many places as ASSET_TEST_MEMORY says; or where that is "all", each single
 * allocation. Several processes share the work, as most of it is to wait for the second
 * after which a shortage is looked at again.
 */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fs.h"
#include "parse.h"
#include "world-internal.h"

#define SHARES	       12
#define PLACES_DEFAULT 240 /* of each mode */
#define PLACES_MAX     50000

/* libcurl asks again by itself where a connection that it used before ends without an
 * answer, so often at the most (CONN_MAX_RETRIES); then the agent does. */
#define CURL_RETRIES 5

static unsigned share; /* of this process */

/* ---- the files of one run ---- */

enum kind { KEPT, DELETED, MOVED, REFUSED, KINDS };

static const struct {
	const char *from, *to; /* directories; a deleted file has its sidecar in `to` */
	const char *name;
	bool stays;
} kinds[KINDS] = {
	[KEPT] = { "spool", "spool", "kept", true },
	[DELETED] = { "deleting", "deleting", "deleted", false },
	[MOVED] = { "moving", "done", "moved", true },
	[REFUSED] = { "spool", "spool", "large", true },
};

static const struct {
	const char *name;
	int files; /* that are to lie there in the end */
} directories[] = { { "spool", 4 }, { "deleting", 1 }, { "moving", 0 }, { "done", 2 } };

static void make_config(struct world *w)
{
	_cleanup_free_ char *path = world_print("%s.d/memory.conf", w->config);
	_cleanup_free_ char *text = world_print(
		"[Spool:moving]\nPath=%s/moving\nChannelType=sms\nSenderType=customer\n"
		"Settle=1ms\nAfterUpload=move\nDoneDirectory=%s/done\n"
		"[Spool:deleting]\nPath=%s/deleting\nChannelType=sms\n"
		"SenderType=customer\nSettle=1ms\nAfterUpload=delete\n",
		w->root, w->root, w->root);
	_cleanup_free_ char *directory = world_print("%s.d", w->config);

	world_mkdir(w, directory);
	world_write(w, path, text);
	for (size_t i = 1; i < ARRAY_SIZE(directories); i++) {
		_cleanup_free_ char *made = world_print("%s/%s", w->root,
							directories[i].name);

		world_mkdir(w, made);
	}
}

static char *path_of(struct world *w, enum kind kind, const char *directory, unsigned run)
{
	return world_print("%s/%s/%s-%u.txt", w->root, directory, kinds[kind].name, run);
}

static void drop_files(struct world *w, unsigned run)
{
	for (enum kind kind = 0; kind < KINDS; kind++) {
		_cleanup_free_ char *path = path_of(w, kind, kinds[kind].from, run);

		if (kind == REFUSED)
			world_drop_random(w, path, 2048, 1); /* above MaxSize= */
		else
			world_drop(w, path, path);
	}
}

static bool is_there(struct world *w, const void *path)
{
	return world_exists(w, path);
}

/* Whether each file got its sidecar while the agent ran. */
static bool got_all_sidecars(struct world *w, unsigned run)
{
	for (enum kind kind = 0; kind < KINDS; kind++) {
		_cleanup_free_ char *end = path_of(w, kind, kinds[kind].to, run);
		_cleanup_free_ char *path = world_print("%s.asset%s.json", end,
							kind == REFUSED ? "-error" : "");

		if (!world_until(w, path, is_there, path)) {
			if (w->pid)
				fail_msg("no %s in time", path);
			return false;
		}
	}
	return true;
}

static void assert_receipt(struct world *w, enum kind kind, unsigned run)
{
	_cleanup_free_ char *path = path_of(w, kind, kinds[kind].to, run);
	const char *name = strrchr(path, '/') + 1;
	struct json_object *sidecar;
	struct service_asset asset;

	if (kinds[kind].stays)
		world_assert_uploaded(w, path);
	sidecar = world_sidecar(w, path);
	assert_true(service_asset_by_id(w->service, world_text(sidecar, "id"), &asset));
	assert_true(asset.complete);
	assert_string_equal(asset.name, name);
	assert_string_equal(world_text(sidecar, "contentType"), "text/plain");
	assert_true(service_assets_named(w->service, name) <= 1 + CURL_RETRIES + 1);
	json_object_put(sidecar);
}

static void assert_error(struct world *w, unsigned run)
{
	_cleanup_free_ char *path = path_of(w, REFUSED, kinds[REFUSED].to, run);
	struct json_object *error = world_error_sidecar(w, path);

	assert_string_equal(world_text(error, "stage"), "spool");
	assert_int_equal(world_number(error, "attempts"), 1);
	assert_int_equal(service_assets_named(w->service, strrchr(path, '/') + 1), 0);
	json_object_put(error);
}

static int is_visible(const struct dirent *entry)
{
	return !streq(entry->d_name, ".") && !streq(entry->d_name, "..");
}

/* Nothing lies there but what is to; then nothing at all. */
static void assert_and_clean(struct world *w, const char *name, int files)
{
	_cleanup_free_ char *path = world_print("%s/%s", w->root, name);
	struct dirent **entries = NULL;
	int found = scandir(path, &entries, is_visible, alphasort);

	for (int i = 0; i < found; i++) {
		_cleanup_free_ char *file = world_print("%s/%s", path,
							entries[i]->d_name);

		if (found == files)
			world_remove(w, file);
		free(entries[i]);
	}
	free(entries);
	if (found != files)
		fail_msg("%s holds %d files, not %d", path, found, files);
}

static void assert_well(struct world *w, unsigned run)
{
	assert_receipt(w, KEPT, run);
	assert_receipt(w, DELETED, run);
	assert_receipt(w, MOVED, run);
	assert_error(w, run);
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		assert_and_clean(w, directories[i].name, directories[i].files);
}

/* ---- one run ---- */

/* No crash: it ends as it should, or with a line that says why not. */
static void assert_ended_well(struct world *w, int status)
{
	if (status != 0 && status != 1)
		fail_msg("exit status %d", status);
	if (status == 1 && world_count_log(w, "\n") == 0)
		fail_msg("exit status 1 without a word");
}

static void run_daemon(struct world *w, unsigned run)
{
	world_launch(w);
	if (got_all_sidecars(w, run))
		world_signal(w, SIGTERM);
	assert_ended_well(w, world_wait_exit(w));
}

static void run_drain(struct world *w, unsigned run)
{
	(void)run;
	assert_ended_well(w, world_run(w, "drain", NULL));
}

typedef void (*run_fn)(struct world *w, unsigned run);

static void run_with(struct world *w, run_fn how, unsigned run, const char *fault)
{
	world_mark_log(w);
	world_set_environment(w, fault);
	drop_files(w, run);
	how(w, run);
	world_set_environment(w, "ALLOCATION_FAIL=");
	world_set_environment(w, "ALLOCATION_STACK=");
	world_set_environment(w, "ALLOCATION_LOG=");
	/* 1, where it is the one that gives up the file that is too large. */
	assert_in_range(world_run(w, "drain", NULL), 0, 1);
	(void)world_status(w); /* what it notified would fill the queue */
	assert_well(w, run);
}

/* ---- which allocations ---- */

struct places {
	uint64_t stacks[PLACES_MAX]; /* each once */
	size_t count;
	unsigned long allocations;
};

static void add_place(struct places *places, uint64_t stack)
{
	for (size_t i = 0; i < places->count; i++)
		if (places->stacks[i] == stack)
			return;
	assert_in_range(places->count, 0, PLACES_MAX - 1);
	places->stacks[places->count++] = stack;
}

static void find_places(struct world *w, run_fn how, struct places *places)
{
	_cleanup_free_ char *log = world_print("%s/allocations", w->root), *text = NULL;
	_cleanup_free_ char *variable = world_print("ALLOCATION_LOG=%s", log);
	char *rest;

	run_with(w, how, 0, variable);
	rest = text = world_read(w, log);
	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		add_place(places, strtoull(strchr(line, ' '), NULL, 16));
		places->allocations++;
	}
	world_remove(w, log);
}

static void fail_places(struct world *w, run_fn how, const struct places *places,
			uint64_t wanted)
{
	uint64_t stride = (places->count + wanted - 1) / wanted;

	for (size_t i = 0; i < places->count; i++) {
		char fault[64];

		/* By the hash itself, as each share finds the places in its own order. */
		if (places->stacks[i] % SHARES != share ||
		    places->stacks[i] / SHARES % stride != 0)
			continue;
		snprintf(fault, sizeof(fault), "ALLOCATION_STACK=%llx",
			 (unsigned long long)places->stacks[i]);
		print_message("# run %zu: %s\n", i + 1, fault);
		run_with(w, how, (unsigned)i + 1, fault);
	}
}

static void fail_all(struct world *w, run_fn how, const struct places *places)
{
	for (unsigned n = share + 1; n <= places->allocations; n += SHARES) {
		char fault[64];

		snprintf(fault, sizeof(fault), "ALLOCATION_FAIL=%u", n);
		print_message("# run %u: %s\n", n, fault);
		run_with(w, how, n, fault);
	}
}

static void fail_share(struct world *w, run_fn how)
{
	static const struct world_options options = {
		.spool = "MaxSize=1K\nSettle=1ms\n",
		.retry = "InitialDelay=1ms\nMaxDelay=20ms\n",
		.no_agent = true,
	};
	_cleanup_free_ char *preload = world_print("LD_PRELOAD=%s",
						   getenv("ASSET_PRELOAD"));
	const char *setting = getenv("ASSET_TEST_MEMORY");
	struct places *places = calloc(1, sizeof(*places));
	uint64_t wanted = PLACES_DEFAULT;

	assert_non_null(places);
	world_start(w, &options);
	make_config(w);
	world_set_environment(w, preload);
	find_places(w, how, places);
	print_message("# %lu allocations, from %zu places\n", places->allocations,
		      places->count);
	if (setting && streq(setting, "all"))
		fail_all(w, how, places);
	else if (!setting || parse_unsigned(setting, &wanted) == 0)
		fail_places(w, how, places, MAX(wanted, 1U));
	free(places);
	world_stop(w);
}

static void the_daemon_bears_a_failed_allocation(void **state)
{
	fail_share(*state, run_daemon);
}

static void a_drain_bears_a_failed_allocation(void **state)
{
	fail_share(*state, run_drain);
}

/* ---- shares ---- */

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

static _Noreturn void do_share(int output)
{
	const struct CMUnitTest tests[] = {
		scenario(the_daemon_bears_a_failed_allocation),
		scenario(a_drain_bears_a_failed_allocation),
	};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(output, STDOUT_FILENO);
	(void)dup2(output, STDERR_FILENO);
	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	exit(cmocka_run_group_tests(tests, NULL, NULL) != 0);
}

static void print_output(int fd)
{
	_cleanup_fclose_ FILE *file = fdopen(fd, "r");
	char line[4096];

	rewind(file);
	while (fgets(line, sizeof(line), file))
		printf("# %s", line);
}

int main(void)
{
	int outputs[SHARES], status, failed = 0;
	pid_t pids[SHARES];

	printf("1..%d\n", SHARES);
	(void)fflush(stdout);
	for (share = 0; share < SHARES; share++) {
		outputs[share] = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		pids[share] = outputs[share] < 0 ? -1 : fork();
		if (pids[share] == 0)
			do_share(outputs[share]);
	}
	for (int i = 0; i < SHARES; i++) {
		bool ok = pids[i] > 0 && waitpid(pids[i], &status, 0) == pids[i] &&
			  status == 0;

		failed += !ok;
		/* The first one's tells how many there are. */
		if ((!ok || i == 0) && outputs[i] >= 0)
			print_output(outputs[i]);
		printf("%s %d - share %d of the allocations that fail\n",
		       ok ? "ok" : "not ok", i + 1, i + 1);
		(void)fflush(stdout);
	}
	return failed > 0;
}
