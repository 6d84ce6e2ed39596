#include <inttypes.h>
#include <signal.h>

#include "calls.h"
#include "fate.h"
#include "orphans.h"
#include "world-internal.h"

#define CALLS_MAX      5000 /* of one run; it has some hundreds */
#define RECOVERY_CALLS 150  /* among so many is drawn where a recovery is killed */
#define KINDS_MAX      64   /* of calls */
#define CALL_NAME_MAX  32
#define EARLIER_RECEIPT \
	"{\"id\":\"of-an-earlier-content\",\"name\":\"x\",\"size\":7," \
	"\"contentType\":\"text/plain\",\"modified\":\"2020-01-02T03:04:05.000000006Z\"," \
	"\"uploaded\":\"2020-01-02T03:04:06.000Z\"}\n"
#define EARLIER_ERROR \
	"{\"name\":\"x\",\"size\":7,\"modified\":\"2020-01-02T03:04:05.000000006Z\"," \
	"\"failed\":\"2020-01-02T03:04:06.000Z\",\"stage\":\"create\",\"attempts\":1}\n"

struct kind {
	char name[CALL_NAME_MAX];
	size_t kills;
};

static struct {
	char story[512]; /* of the world that is there, for whoever looks for a fault */
	struct kind kinds[KINDS_MAX];
	size_t worlds, kills;
	struct findings findings;
} sum;

/* ---- the files ---- */

/* Dropped in place of another that had the sidecar @text. */
static void drop_again(struct world *w, struct fates *fates, enum fate fate,
		       const char *name, uint64_t size, const char *suffix,
		       const char *text)
{
	const struct fated *file = fates_drop(w, fates, fate, name, size);
	_cleanup_free_ char *sidecar = world_path_of(w, file->dropped, suffix);

	world_write(w, sidecar, text);
}

/* Its name is taken in the done directory. */
static void drop_namesake(struct world *w, struct fates *fates)
{
	_cleanup_free_ char *stranger = fate_done_path(w, "taken.txt");
	struct fated *file = fates_drop(w, fates, FATE_MOVED, "taken.txt", 200);

	world_write(w, stranger, "was there before");
	fates->strangers++;
	free(file->place);
	file->place = fate_done_path(w, "taken.1.txt");
}

static void drop_files(struct world *w, struct fates *fates)
{
	world_mkdir(w, "sub");
	fates_drop(w, fates, FATE_KEPT, "kept.txt", 100);
	fates_drop(w, fates, FATE_KEPT, "empty.txt", 0);
	fates_drop(w, fates, FATE_KEPT, "sub/deep.pdf", 150 * 1000);
	drop_again(w, fates, FATE_KEPT, "replaced.txt", 300, ".asset.json",
		   EARLIER_RECEIPT);
	drop_again(w, fates, FATE_KEPT, "mended.txt", 400, ".asset-error.json",
		   EARLIER_ERROR);
	drop_again(w, fates, FATE_REFUSED, "outgrown.bin", FATE_SIZE_LIMIT + 1,
		   ".asset.json", EARLIER_RECEIPT);
	fates_drop(w, fates, FATE_DELETED, "deleted.txt", 500);
	fates_drop(w, fates, FATE_MOVED, "moved.jpg", 600);
	drop_namesake(w, fates);
}

/* ---- one run ---- */

static bool is_ready(struct world *w, const void *what)
{
	(void)what;
	return w->ready;
}

static void count_kill(const char *name)
{
	size_t i = 0;

	while (i < KINDS_MAX - 1 && sum.kinds[i].kills && !streq(sum.kinds[i].name, name))
		i++;
	(void)snprintf(sum.kinds[i].name, CALL_NAME_MAX, "%s", name);
	sum.kinds[i].kills++;
	sum.kills++;
}

static void launch_under_killer(struct world *w, unsigned n)
{
	const char *killer = getenv("ASSET_KILLER");
	_cleanup_free_ char *wrapper = world_print(
		"%s %u", killer ? killer : "build/tests/crash/killer", n);

	w->wrapper = wrapper;
	world_launch(w);
	w->wrapper = NULL;
}

/* Starts the agent, to be killed at its @n-th call, and stops it when all is done.
 * Whether it was killed. */
static bool run_until_killed(struct world *w, const struct fates *fates, unsigned n)
{
	_cleanup_free_ char *report = NULL;
	size_t told = strlen(sum.story);
	char name[CALL_NAME_MAX];
	int status;

	launch_under_killer(w, n);
	if (world_until(w, NULL, is_ready, NULL) && fates_wait(w, fates) && w->pid)
		world_signal(w, SIGTERM);
	status = world_wait_exit(w);
	report = world_output(w);
	(void)snprintf(sum.story + told, sizeof(sum.story) - told, "# %s", report);
	if (sscanf(report, "killed at call %*u: %31s", name) == 1) {
		assert_int_equal(status, 128 + SIGKILL);
		count_kill(name);
		return true;
	}
	if (!startswith(report, "ended after") || status != 0)
		fail_msg("the agent or its killer failed with status %d", status);
	return false;
}

/* The last start, with one file more: the agent is as good as new. */
static void check(struct world *w, struct fates *fates, size_t kills, unsigned at_once)
{
	struct service_asset last;

	world_launch(w);
	world_wait_ready(w);
	fates_drop(w, fates, FATE_KEPT, "last.txt", 700);
	assert_true(fates_wait(w, fates));
	world_stop(w);
	fates_check(w, fates, kills, &sum.findings);
	assert_true(service_asset_by_name(w->service, "last.txt", &last));
	orphans_check(w, fates, last.id, at_once, &sum.findings);
}

/* ---- all of them ---- */

/* Kills starts until one gets through. Returns how many it killed. */
static size_t kill_recoveries(struct world *w, const struct fates *fates,
			      unsigned recoveries, uint64_t seed)
{
	size_t kills = 0;

	while (kills < recoveries &&
	       run_until_killed(w, fates, 1 + fate_draw(&seed) % RECOVERY_CALLS))
		kills++;
	return kills;
}

/* A world in which the agent is killed at its @n-th call. Whether it was. */
static bool try_call(void **state, const struct calls_plan *plan, unsigned n)
{
	struct fates fates = { 0 };
	size_t kills;
	struct world *w;

	assert_int_equal(world_setup(state), 0);
	w = *state;
	sum.story[0] = '\0';
	sum.worlds++;
	fates_start(w, plan->at_once);
	drop_files(w, &fates);
	kills = run_until_killed(w, &fates, n);
	if (kills > 0)
		kills += kill_recoveries(w, &fates, plan->recoveries, n);
	check(w, &fates, kills, plan->at_once);
	fates_done(&fates);
	(void)world_teardown(state);
	*state = NULL;
	return kills > 0;
}

/* What a kill leaves is the same on a disk; only each sync takes its time there. */
static void prefer_memory(void)
{
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		assert_int_equal(setenv("TMPDIR", "/dev/shm", 1), 0);
}

void calls_try_each(void **state, const struct calls_plan *plan)
{
	unsigned n = 1;

	prefer_memory();
	while (try_call(state, plan, n))
		assert_in_range(++n, 1, CALLS_MAX);
	print_message("# calls at which the first run was killed: %zu; kills in all: "
		      "%zu\n",
		      sum.worlds - 1, sum.kills);
	for (const struct kind *kind = sum.kinds; kind->kills; kind++)
		print_message("#   at %s: %zu\n", kind->name, kind->kills);
	findings_print(&sum.findings);
}

int calls_teardown(void **state)
{
	if (!*state)
		return 0;
	(void)fprintf(stderr, "# the runs of the last world:\n%s", sum.story);
	return world_teardown(state);
}
