#include <signal.h>
#include <stdarg.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <systemd/sd-event.h>

#include "random.h"
#include "simulation.h"

#define TURNS_AT_ONCE_MAX 20000 /* without time going on */
#define TURNS_A_SECOND	  2000	/* and for each thing that happened in it: */
#define TURNS_A_EVENT	  100

struct sim sim;

/* ---- chance: splitmix64, one stream for the world and one for the agent ---- */

static uint64_t world_state, agent_state;

static uint64_t draw_from(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

uint64_t sim_draw(void)
{
	return draw_from(&world_state);
}

uint64_t sim_between(uint64_t low, uint64_t high)
{
	return low + sim_draw() % (high - low + 1);
}

bool sim_chance(unsigned permille)
{
	return sim_between(0, 999) < permille;
}

usec_t sim_span(usec_t low, usec_t high)
{
	unsigned doublings = 0;

	while (low << doublings < high)
		doublings++;
	low <<= sim_between(0, doublings);
	low = sim_between(low, 2 * low);
	return MIN(low, high);
}

uint64_t __wrap_random_draw(void);
uint64_t __wrap_random_draw(void)
{
	return draw_from(&agent_state);
}

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags)
{
	uint64_t draw = draw_from(&agent_state);

	(void)flags;
	memcpy(buffer, &draw, MIN(size, sizeof(draw)));
	return (ssize_t)size;
}

/* ---- clocks ---- */

usec_t __wrap_clock_monotonic(void);
usec_t __wrap_clock_monotonic(void)
{
	return 20 * USEC_PER_SEC + sim.now - sim.booted;
}

usec_t __wrap_clock_realtime(void);
usec_t __wrap_clock_realtime(void)
{
	return SIM_EPOCH + sim.now;
}

void sim_trace(const char *format, ...)
{
	va_list args;

	if (!sim.trace)
		return;
	printf("# %14.6f  ", (double)sim.now / (double)USEC_PER_SEC);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* ---- what will happen ---- */

struct sim_event {
	usec_t at;
	uint64_t order;
	sim_fn run;
	void *userdata;
	size_t index;
};

static struct {
	struct sim_event **heap;
	size_t count, room;
	uint64_t order;
} queue;

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void place(size_t index, struct sim_event *event)
{
	queue.heap[index] = event;
	event->index = index;
}

static void sift(size_t index, struct sim_event *event)
{
	size_t child;

	for (; index > 0 && is_before(event, queue.heap[(index - 1) / 2]);
	     index = (index - 1) / 2)
		place(index, queue.heap[(index - 1) / 2]);
	for (; (child = 2 * index + 1) < queue.count; index = child) {
		if (child + 1 < queue.count &&
		    is_before(queue.heap[child + 1], queue.heap[child]))
			child++;
		if (!is_before(queue.heap[child], event))
			break;
		place(index, queue.heap[child]);
	}
	place(index, event);
}

struct sim_event *sim_after(usec_t delay, sim_fn run, void *userdata)
{
	struct sim_event *event = calloc(1, sizeof(*event));

	*event = (struct sim_event){ .at = usec_add(sim.now, delay),
				     .order = queue.order++,
				     .run = run,
				     .userdata = userdata };
	if (queue.count == queue.room) {
		queue.room = 2 * queue.room + 64;
		queue.heap = reallocarray(queue.heap, queue.room, sizeof(*queue.heap));
	}
	sift(queue.count++, event);
	return event;
}

static void take_out(struct sim_event *event)
{
	struct sim_event *last = queue.heap[--queue.count];

	if (last != event)
		sift(event->index, last);
}

void sim_cancel(struct sim_event *event)
{
	if (!event)
		return;
	take_out(event);
	free(event);
}

/* ---- the loop: as sd-event's, one source a turn ---- */

enum source_kind { SOURCE_DEFER, SOURCE_TIME, SOURCE_IO, SOURCE_SIGNAL, SOURCE_POST };

struct sd_event_source {
	sd_event *event;
	enum source_kind kind;
	int enabled;
	int64_t priority;
	usec_t at;
	int number;   /* SOURCE_SIGNAL, SOURCE_IO */
	bool pending; /* SOURCE_SIGNAL */
	unsigned references;
	union {
		sd_event_handler_t plain;
		sd_event_time_handler_t time;
		sd_event_io_handler_t io;
		sd_event_signal_handler_t signal;
	} call;
	void *userdata;
	TAILQ_ENTRY(sd_event_source) link; /* of all, or of those enabled */
	LIST_ENTRY(sd_event_source) all;
};

struct sd_event {
	TAILQ_HEAD(, sd_event_source) enabled;
	LIST_HEAD(, sd_event_source) all;
	bool exit;
};

static sd_event *loop;
static bool io_ready[SIM_FDS];
static struct {
	uint64_t at_once, this_second, events_before;
	usec_t second;
} turns;
static unsigned kill_at;

static void unref(struct sd_event_source *source)
{
	if (--source->references == 0)
		free(source);
}

int __wrap_sd_event_source_set_enabled(sd_event_source *source, int enabled);
int __wrap_sd_event_source_set_enabled(sd_event_source *source, int enabled)
{
	if (!source || source->enabled == enabled)
		return source ? 0 : -EINVAL;
	if (sim.sabotage == SABOTAGE_SPIN && source->kind == SOURCE_DEFER &&
	    source->priority > 0 && enabled == SD_EVENT_OFF &&
	    sim.now > USEC_PER_MINUTE) {
		sim.sabotaged++;
		return 0;
	}
	if (source->enabled == SD_EVENT_OFF)
		TAILQ_INSERT_TAIL(&source->event->enabled, source, link);
	else if (enabled == SD_EVENT_OFF)
		TAILQ_REMOVE(&source->event->enabled, source, link);
	source->enabled = enabled;
	return 0;
}

static struct sd_event_source *add(sd_event *event, enum source_kind kind, void *userdata)
{
	struct sd_event_source *source = calloc(1, sizeof(*source));

	*source = (struct sd_event_source){ .event = event,
					    .kind = kind,
					    .at = USEC_INFINITY,
					    .references = 1,
					    .userdata = userdata };
	LIST_INSERT_HEAD(&event->all, source, all);
	__wrap_sd_event_source_set_enabled(source,
					   kind == SOURCE_DEFER || kind == SOURCE_TIME
						   ? SD_EVENT_ONESHOT
						   : SD_EVENT_ON);
	return source;
}

int __wrap_sd_event_add_defer(sd_event *event, sd_event_source **ret,
			      sd_event_handler_t callback, void *userdata);
int __wrap_sd_event_add_defer(sd_event *event, sd_event_source **ret,
			      sd_event_handler_t callback, void *userdata)
{
	*ret = add(event, SOURCE_DEFER, userdata);
	(*ret)->call.plain = callback;
	return 0;
}

int __wrap_sd_event_add_post(sd_event *event, sd_event_source **ret,
			     sd_event_handler_t callback, void *userdata);
int __wrap_sd_event_add_post(sd_event *event, sd_event_source **ret,
			     sd_event_handler_t callback, void *userdata)
{
	*ret = add(event, SOURCE_POST, userdata);
	(*ret)->call.plain = callback;
	return 0;
}

int __wrap_sd_event_add_time(sd_event *event, sd_event_source **ret, clockid_t clock,
			     uint64_t usec, uint64_t accuracy,
			     sd_event_time_handler_t callback, void *userdata);
int __wrap_sd_event_add_time(sd_event *event, sd_event_source **ret, clockid_t clock,
			     uint64_t usec, uint64_t accuracy,
			     sd_event_time_handler_t callback, void *userdata)
{
	(void)clock;
	(void)accuracy;
	*ret = add(event, SOURCE_TIME, userdata);
	(*ret)->at = usec;
	(*ret)->call.time = callback;
	return 0;
}

int __wrap_sd_event_add_io(sd_event *event, sd_event_source **ret, int fd,
			   uint32_t events, sd_event_io_handler_t callback,
			   void *userdata);
int __wrap_sd_event_add_io(sd_event *event, sd_event_source **ret, int fd,
			   uint32_t events, sd_event_io_handler_t callback,
			   void *userdata)
{
	struct sd_event_source *source = add(event, SOURCE_IO, userdata);

	(void)ret;
	(void)events;
	source->number = fd;
	source->call.io = callback;
	return 0;
}

int __wrap_sd_event_add_signal(sd_event *event, sd_event_source **ret, int number,
			       sd_event_signal_handler_t callback, void *userdata);
int __wrap_sd_event_add_signal(sd_event *event, sd_event_source **ret, int number,
			       sd_event_signal_handler_t callback, void *userdata)
{
	struct sd_event_source *source;

	(void)ret;
	if (number != SIGTERM && number != SIGHUP)
		return 0;
	source = add(event, SOURCE_SIGNAL, userdata);
	source->call.signal = callback;
	source->number = number;
	return 0;
}

int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec);
int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec)
{
	source->at = usec;
	return 0;
}

int __wrap_sd_event_source_set_priority(sd_event_source *source, int64_t priority);
int __wrap_sd_event_source_set_priority(sd_event_source *source, int64_t priority)
{
	source->priority = priority;
	return 0;
}

sd_event_source *__wrap_sd_event_source_disable_unref(sd_event_source *source);
sd_event_source *__wrap_sd_event_source_disable_unref(sd_event_source *source)
{
	if (!source)
		return NULL;
	if (source->enabled != SD_EVENT_OFF)
		TAILQ_REMOVE(&source->event->enabled, source, link);
	source->enabled = SD_EVENT_OFF;
	LIST_REMOVE(source, all);
	unref(source);
	return NULL;
}

int __wrap_sd_event_new(sd_event **ret);
int __wrap_sd_event_new(sd_event **ret)
{
	loop = calloc(1, sizeof(*loop));
	TAILQ_INIT(&loop->enabled);
	LIST_INIT(&loop->all);
	memset(io_ready, 0, sizeof(io_ready));
	*ret = loop;
	return 0;
}

sd_event *__wrap_sd_event_unref(sd_event *event);
sd_event *__wrap_sd_event_unref(sd_event *event)
{
	struct sd_event_source *source;

	if (!event)
		return NULL;
	while ((source = LIST_FIRST(&event->all))) {
		/* Only those that nobody holds may be left. */
		if (source->kind == SOURCE_DEFER || source->kind == SOURCE_TIME)
			check_broken(NOTHING_LEAKS, "an event source outlives the loop");
		__wrap_sd_event_source_disable_unref(source);
	}
	free(event);
	loop = NULL;
	return NULL;
}

int __wrap_sd_event_set_watchdog(sd_event *event, int on);
int __wrap_sd_event_set_watchdog(sd_event *event, int on)
{
	(void)event;
	(void)on;
	return 0;
}

int __wrap_sd_event_exit(sd_event *event, int code);
int __wrap_sd_event_exit(sd_event *event, int code)
{
	(void)code;
	event->exit = true;
	return 0;
}

int __wrap_sigaction(int number, const void *new, void *old);
int __wrap_sigaction(int number, const void *new, void *old)
{
	(void)number;
	(void)new;
	(void)old;
	return 0;
}

int __wrap_sigprocmask(int how, const void *set, void *old);
int __wrap_sigprocmask(int how, const void *set, void *old)
{
	(void)how;
	(void)set;
	(void)old;
	return 0;
}

/* ---- turns ---- */

static bool is_pending(const struct sd_event_source *source)
{
	switch (source->kind) {
	case SOURCE_DEFER: return true;
	case SOURCE_TIME: return source->at <= clock_monotonic();
	case SOURCE_IO: return io_ready[source->number];
	case SOURCE_SIGNAL: return source->pending;
	case SOURCE_POST: break;
	}
	return false;
}

static struct sd_event_source *next_source(void)
{
	struct sd_event_source *source, *best = NULL;

	TAILQ_FOREACH (source, &loop->enabled, link)
		if (is_pending(source) && (!best || source->priority < best->priority))
			best = source;
	return best;
}

usec_t sim_wakes_at(void)
{
	usec_t mono = clock_monotonic(), at = USEC_INFINITY;
	const struct sd_event_source *source;

	TAILQ_FOREACH (source, &loop->enabled, link)
		if (is_pending(source))
			return sim.now;
		else if (source->kind == SOURCE_TIME && source->at != USEC_INFINITY)
			at = MIN(at, sim.now + usec_sub(source->at, mono));
	return at;
}

static void call(struct sd_event_source *source)
{
	struct signalfd_siginfo info = { .ssi_signo = (uint32_t)source->number };

	switch (source->kind) {
	case SOURCE_DEFER:
	case SOURCE_POST: source->call.plain(source, source->userdata); break;
	case SOURCE_TIME: source->call.time(source, source->at, source->userdata); break;
	case SOURCE_IO: source->call.io(source, 0, 0, source->userdata); break;
	case SOURCE_SIGNAL:
		source->pending = false;
		source->call.signal(source, &info, source->userdata);
		break;
	}
}

static void call_posts(void)
{
	struct sd_event_source *source;

	LIST_FOREACH (source, &loop->all, all)
		if (source->kind == SOURCE_POST) {
			call(source);
			break;
		}
}

static void dispatch(struct sd_event_source *source)
{
	source->references++;
	if (source->enabled == SD_EVENT_ONESHOT) {
		__wrap_sd_event_source_set_enabled(source, SD_EVENT_OFF);
	} else {
		TAILQ_REMOVE(&loop->enabled, source, link);
		TAILQ_INSERT_TAIL(&loop->enabled, source, link);
	}
	call(source);
	if (source->enabled == SD_EVENT_OFF && sim.sabotage == SABOTAGE_INSOMNIA &&
	    source->kind == SOURCE_TIME && source->references > 1) {
		sim.sabotaged++;
		source->at = clock_monotonic() + USEC_PER_HOUR;
		__wrap_sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	unref(source);
}

static void count_turn(void)
{
	usec_t second = sim.now / USEC_PER_SEC;

	sim.turns++;
	if (second != turns.second) {
		turns.second = second;
		turns.this_second = 0;
		turns.events_before = sim.events;
	}
	turns.this_second++;
	if (++turns.at_once < TURNS_AT_ONCE_MAX &&
	    turns.this_second <
		    TURNS_A_SECOND + TURNS_A_EVENT * (sim.events - turns.events_before))
		return;
	check_broken(LOOP_DOES_NOT_SPIN, "%llu turns at once, %llu in a second",
		     (unsigned long long)turns.at_once,
		     (unsigned long long)turns.this_second);
	sim.over = true;
}

void sim_turn(sim_fn run, void *userdata)
{
	count_turn();
	run(userdata);
	if (loop && !sim.dead)
		call_posts();
}

static void run_event(void)
{
	struct sim_event *event = queue.heap[0];

	if (event->at > sim.now) {
		sim.now = event->at;
		turns.at_once = 0;
	}
	take_out(event);
	sim.events++;
	event->run(event->userdata);
	free(event);
}

static void sleep_until(usec_t at)
{
	if (at > sim.now)
		turns.at_once = 0;
	sim.now = MAX(sim.now, at);
}

static usec_t next_event(void)
{
	return queue.count > 0 ? queue.heap[0]->at : USEC_INFINITY;
}

static void turn(struct sd_event_source *source)
{
	count_turn();
	dispatch(source);
	if (!sim.dead)
		call_posts();
}

int __wrap_sd_event_loop(sd_event *event);
int __wrap_sd_event_loop(sd_event *event)
{
	while (!event->exit && !sim.dead && !sim.over) {
		struct sd_event_source *source;
		usec_t wake;

		if (next_event() <= sim.now) {
			run_event();
			continue;
		}
		source = next_source();
		if (source) {
			turn(source);
			continue;
		}
		check_idle();
		wake = sim_wakes_at();
		if (next_event() <= wake)
			run_event();
		else
			sleep_until(wake);
	}
	return 0;
}

/* ---- from the world ---- */

static void send_signal(int number)
{
	struct sd_event_source *source;

	if (!loop)
		return;
	LIST_FOREACH (source, &loop->all, all)
		if (source->kind == SOURCE_SIGNAL && source->number == number)
			source->pending = true;
}

void sim_terminate(void)
{
	send_signal(SIGTERM);
}

void sim_hang_up(void)
{
	send_signal(SIGHUP);
}

void sim_io_ready(enum sim_fd fd, bool ready)
{
	io_ready[fd] = ready;
}

void sim_kill_at_call(unsigned nth)
{
	kill_at = nth;
}

bool sim_device(void)
{
	if (!sim.dead && kill_at > 0 && --kill_at == 0)
		sim_kill();
	return !sim.dead;
}

void sim_kill(void)
{
	if (sim.dead || !loop)
		return;
	sim_trace("KILLED");
	sim.crashes++;
	kill_at = 0;
	/* In this order: the services ask the ledger what it has. */
	sim_ledger_crash();
	sim_services_crash();
	sim.dead = true;
}

void sim_sleep(usec_t duration)
{
	usec_t until = sim.now + duration;

	while (next_event() <= until && !sim.over)
		run_event();
	sleep_until(until);
}

void sim_begin(uint64_t seed)
{
	bool trace = sim.trace;

	sim = (struct sim){ .seed = seed, .trace = trace };
	world_state = seed * UINT64_C(0xD1342543DE82EF95) + 1;
	agent_state = seed * UINT64_C(0xAF251AF3B0F025B5) + 2;
	memset(&turns, 0, sizeof(turns));
	kill_at = 0;
}

void sim_end(void)
{
	while (queue.count > 0)
		free(queue.heap[--queue.count]);
	free(take_ptr(queue.heap));
	queue.room = 0;
}
