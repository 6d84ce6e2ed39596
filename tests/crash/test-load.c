/*
 * The agent killed a thousand times ($ASSET_TEST_KILLS) while files keep coming.
 *
 * Each moment is drawn: some microseconds after so many requests have come to the
 * service, or after so many changes in the spools, or after the start itself. The draws
 * follow from a seed that is printed ($ASSET_TEST_SEED), though not the very moments.
 *
 * As in calls.h, a sync that was forgotten goes unnoticed.
 */

#include <inttypes.h>
#include <poll.h>
#include <sys/inotify.h>

#include "fate.h"
#include "orphans.h"
#include "parse.h"
#include "random.h"
#include "sidecar.h"
#include "world-internal.h"

#define KILLS_DEFAULT	1000
#define AT_ONCE		16
#define DROPS_MAX	5 /* before a start, and after it */
#define SIZE_MAX_DRAWN	8000
#define PATIENCE	USEC_PER_SEC /* for what need not come */
#define EVENTS_MAX	12U	     /* of one kind, to wait for */
#define AFTER_EVENT_MAX 500	     /* usec; a file's whole way takes some 1000 */
#define AFTER_START_MAX (15 * USEC_PER_MSEC)

enum moment {
	MOMENT_START,
	MOMENT_REQUEST,
	MOMENT_CHANGE,
	MOMENT_COUNT,
};

struct load {
	struct world *w;
	struct fates fates;
	uint64_t seed;
	int inotify;
	size_t moments[MOMENT_COUNT];
	size_t in_vain; /* the event did not come in time */
};

static uint64_t draw_below(struct load *load, uint64_t limit)
{
	return fate_draw(&load->seed) % limit;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);
	uint64_t number;

	return text && parse_unsigned(text, &number) == 0 ? number : otherwise;
}

/* ---- files ---- */

static void drop_one(struct load *load)
{
	static const enum fate fates[] = { FATE_KEPT, FATE_DELETED, FATE_MOVED };
	char name[32];

	(void)snprintf(name, sizeof(name), "f%zu.txt", load->fates.count);
	fates_drop(load->w, &load->fates, fates[draw_below(load, ARRAY_SIZE(fates))],
		   name, draw_below(load, SIZE_MAX_DRAWN));
}

static void drop_some(struct load *load)
{
	uint64_t n = draw_below(load, DROPS_MAX);

	for (uint64_t i = 0; i < n; i++)
		drop_one(load);
}

/* ---- moments ---- */

/* Not a wait for anything: this is the draw of the moment. */
static void spin(usec_t span)
{
	usec_t end = usec_add(clock_monotonic(), span);

	while (clock_monotonic() < end)
		;
}

static void watch_spools(struct load *load)
{
	_cleanup_free_ char *done = fate_done_path(load->w, "");
	const char *const places[] = { load->w->spool, load->w->spools[0],
				       load->w->spools[1], done };

	load->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(load->inotify >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		assert_true(inotify_add_watch(load->inotify, places[i],
					      IN_CREATE | IN_MOVE | IN_DELETE) >= 0);
}

/* Reads what is there; counts sidecars and temporary files, not what was dropped. */
static size_t read_changes(struct load *load)
{
	_Alignas(struct inotify_event) char events[16 * 1024];
	size_t changes = 0;
	ssize_t length;

	while ((length = read(load->inotify, events, sizeof(events))) > 0) {
		for (char *at = events; at < events + length;) {
			const struct inotify_event *event = (void *)at;

			changes += event->len && !endswith(event->name, ".txt");
			at += sizeof(*event) + event->len;
		}
	}
	return changes;
}

static bool wait_changes(struct load *load, size_t n)
{
	usec_t deadline = usec_add(clock_monotonic(), PATIENCE);
	struct pollfd polled = { .fd = load->inotify, .events = POLLIN };
	size_t changes = 0;

	(void)read_changes(load);
	while (changes < n && clock_monotonic() < deadline) {
		(void)poll(&polled, 1, (int)(PATIENCE / USEC_PER_MSEC));
		changes += read_changes(load);
	}
	return changes >= n;
}

static bool wait_requests(struct load *load, size_t n)
{
	size_t now = service_count(load->w->service, ENDPOINT_ANY);

	return service_wait_count(load->w->service, ENDPOINT_ANY, now + n, PATIENCE);
}

/* Files that will make for requests and changes; one at the least. */
static size_t unfinished(struct load *load)
{
	size_t received = service_received(load->w->service);

	if (received >= load->fates.count)
		drop_one(load);
	return load->fates.count - received;
}

/* Until the moment at which the agent, just started, is killed. */
static void wait_moment(struct load *load)
{
	enum moment moment = (enum moment)draw_below(load, MOMENT_COUNT);
	size_t n = 1 + draw_below(load, MIN(unfinished(load), EVENTS_MAX));
	bool came = true;

	load->moments[moment]++;
	switch (moment) {
	case MOMENT_START: spin(draw_below(load, AFTER_START_MAX)); return;
	case MOMENT_REQUEST: came = wait_requests(load, n); break;
	case MOMENT_CHANGE: came = wait_changes(load, n); break;
	case MOMENT_COUNT: break;
	}
	load->in_vain += !came;
	spin(draw_below(load, AFTER_EVENT_MAX));
}

/* ---- all of it ---- */

static void print_load(const struct load *load, size_t kills,
		       const struct findings *findings)
{
	print_message("# kills: %zu, of these after the start: %zu, after requests: %zu, "
		      "after changes: %zu (in vain: %zu)\n",
		      kills, load->moments[MOMENT_START], load->moments[MOMENT_REQUEST],
		      load->moments[MOMENT_CHANGE], load->in_vain);
	findings_print(findings);
}

static void finish(struct load *load, size_t kills)
{
	struct findings findings = { 0 };
	struct world *w = load->w;
	struct service_asset last;

	world_launch(w);
	world_wait_ready(w);
	fates_drop(w, &load->fates, FATE_KEPT, "last.txt", 700);
	assert_true(fates_wait(w, &load->fates));
	world_stop(w);
	fates_check(w, &load->fates, kills, &findings);
	assert_true(service_asset_by_name(w->service, "last.txt", &last));
	orphans_check(w, &load->fates, last.id, AT_ONCE, &findings);
	print_load(load, kills, &findings);
}

static void kills_at_any_moment_under_load_lose_nothing(void **state)
{
	size_t kills = number_from("ASSET_TEST_KILLS", KILLS_DEFAULT);
	struct load load = { .w = *state,
			     .seed = number_from("ASSET_TEST_SEED",
						 random_draw() % 1000000) };

	print_message("# ASSET_TEST_SEED=%" PRIu64 "\n", load.seed);
	fates_start(load.w, AT_ONCE);
	watch_spools(&load);
	for (size_t i = 0; i < kills; i++) {
		drop_some(&load);
		world_launch(load.w);
		drop_some(&load);
		wait_moment(&load);
		world_kill9(load.w);
	}
	finish(&load, kills);
	fates_done(&load.fates);
	(void)close(load.inotify);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			kills_at_any_moment_under_load_lose_nothing, world_setup,
			world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
