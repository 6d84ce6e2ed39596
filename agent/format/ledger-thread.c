#include <fcntl.h>
#include <sys/eventfd.h>

#include "ledger-thread.h"
#include "thread.h"

/* So many serials are spoken for at once: it costs a commit one more page, but seldom. */
#define SERIAL_STEP 1024
/* Filesystems that finished rows may wait for. */
#define DEVICES_MAX 64
/* Where ops come together, a commit follows the last one after so long at the soonest. */
#define GATHER_TIME (4 * USEC_PER_MSEC)
/* Rows whose deletion failed gather no further: the next start finds the others. */
#define SPENT_MAX (2 * (size_t)LEDGER_SYNC_ROWS)

/* A descriptor on each filesystem that is to be synced. */
struct devices {
	struct {
		dev_t id;
		int fd;
	} list[DEVICES_MAX];
	size_t count;
};

/* A row that is of no more use. */
struct spent {
	uint64_t serial;
	dev_t device;
	bool synced;  /* nothing speaks against its deletion */
	bool counted; /* taken out of the counts already */
};

/* All that the thread and its caller share. */
struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct ledger_ops queue;
	size_t hurried, finished; /* in the queue: that are for now, and that can wait */
	size_t spent;		  /* that left it finished, and still wait */
	size_t enough;		  /* hurried ones to wake the thread for */
	bool timed;		  /* it wakes up for the finished ones by itself */
	size_t crowd;		  /* as ledger_thread_expect() was told */
	struct devices devices;	  /* of what is queued */
	struct ledger_ops ended;
	uint64_t counts[4];
	int broken;
	bool stop;
};

struct ledger_thread {
	struct shared shared;
	pthread_t id;
	int event_fd;

	/* The thread's own. */
	struct ledger_db *db;
	uint64_t reserved;
	bool crowded;		/* several came together last */
	usec_t begun;		/* when the last commit did */
	struct devices devices; /* of what is spent */
	struct spent *spent;
	size_t spent_count, spent_room;
};

struct ledger_op *ledger_op_new(enum ledger_op_kind kind, uint64_t serial)
{
	struct ledger_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->kind = kind;
	op->serial = serial;
	return op;
}

void ledger_op_free(struct ledger_op *op)
{
	if (!op)
		return;
	free(op->row);
	free(op);
}

static void lock(struct shared *shared)
{
	(void)pthread_mutex_lock(&shared->mutex);
}

static void unlock(struct shared *shared)
{
	(void)pthread_mutex_unlock(&shared->mutex);
}

static bool has_device(const struct devices *devices, dev_t id)
{
	for (size_t i = 0; i < devices->count; i++)
		if (devices->list[i].id == id)
			return true;
	return false;
}

/* Takes @fd over. */
static void add_device(struct devices *devices, dev_t id, int fd)
{
	if (devices->count == DEVICES_MAX || has_device(devices, id)) {
		close_fd(fd);
		return;
	}
	devices->list[devices->count].id = id;
	devices->list[devices->count++].fd = fd;
}

static void move_devices(struct devices *from, struct devices *to)
{
	for (size_t i = 0; i < from->count; i++)
		add_device(to, from->list[i].id, from->list[i].fd);
	from->count = 0;
}

static void close_devices(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		close_fd(devices->list[i].fd);
	devices->count = 0;
}

static bool make_room(struct ledger_thread *t)
{
	size_t room = MIN(MAX(2 * t->spent_room, (size_t)256), SPENT_MAX);
	struct spent *larger;

	if (t->spent_count < t->spent_room)
		return true;
	if (t->spent_room == SPENT_MAX)
		return false;
	larger = reallocarray(t->spent, room, sizeof(*larger));
	if (!larger)
		return false;
	t->spent = larger;
	t->spent_room = room;
	return true;
}

/* A row that finds no room stays for the next start, which forgets it again. */
static void spend(struct ledger_thread *t, const struct ledger_op *op, bool counted)
{
	if (!make_room(t))
		return;
	t->spent[t->spent_count++] = (struct spent){
		.serial = op->serial,
		.device = op->device,
		.synced = op->kind == LEDGER_OP_DROP,
		.counted = counted,
	};
}

static int execute(struct ledger_thread *t, const struct ledger_op *op,
		   int64_t change[static 4])
{
	int state = 0;

	switch (op->kind) {
	case LEDGER_OP_PUT:
		state = ledger_db_put(t->db, op->row);
		change[op->row->state]++;
		break;
	case LEDGER_OP_DROP: state = ledger_db_delete(t->db, op->serial); break;
	case LEDGER_OP_FINISH: state = LEDGER_UPLOADED; break;
	}
	if (state < 0)
		return state;
	change[state]--;
	return 0;
}

static int commit(struct ledger_thread *t, const struct ledger_ops *ops,
		  int64_t change[static 4])
{
	uint64_t greatest = t->reserved;
	const struct ledger_op *op;
	int r;

	r = ledger_db_begin(t->db);
	for (op = STAILQ_FIRST(ops); op; op = STAILQ_NEXT(op, next)) {
		if (r >= 0)
			r = execute(t, op, change);
		greatest = MAX(greatest, op->serial);
	}
	if (greatest > t->reserved)
		greatest += SERIAL_STEP;
	if (r >= 0 && greatest > t->reserved)
		r = ledger_db_reserve(t->db, greatest);
	r = ledger_db_end(t->db, r);
	if (r >= 0)
		t->reserved = greatest;
	return r;
}

/* Errors that no trying again can mend. */
static bool is_broken(int error)
{
	return error == -ESTALE || error == -EUCLEAN;
}

/* Tells the caller how it ended; @change counts only where it did well. */
static void report(struct ledger_thread *t, struct ledger_ops *ended, int r,
		   const int64_t change[4])
{
	bool any = !STAILQ_EMPTY(ended);

	lock(&t->shared);
	for (size_t i = 1; r >= 0 && i < ARRAY_SIZE(t->shared.counts); i++)
		t->shared.counts[i] += (uint64_t)change[i];
	STAILQ_CONCAT(&t->shared.ended, ended);
	if (is_broken(r))
		t->shared.broken = r;
	unlock(&t->shared);
	if (any || is_broken(r))
		(void)eventfd_write(t->event_fd, 1);
}

static void run_batch(struct ledger_thread *t, struct ledger_ops *ops)
{
	struct ledger_ops ended = STAILQ_HEAD_INITIALIZER(ended);
	int64_t change[4] = {};
	struct ledger_op *op;
	int r;

	r = commit(t, ops, change);
	while ((op = STAILQ_FIRST(ops))) {
		STAILQ_REMOVE_HEAD(ops, next);
		op->error = MIN(r, 0);
		if (op->kind == LEDGER_OP_FINISH || (op->kind == LEDGER_OP_DROP && r < 0))
			spend(t, op, r >= 0);
		if (op->done)
			STAILQ_INSERT_TAIL(&ended, op, next);
		else
			ledger_op_free(op);
	}
	report(t, &ended, r, change);
}

/*
 * What a filesystem failed to write it may report only once and then forget, so there is
 * no trying again: the rows of such a one stay for the next start, which looks at their
 * sidecars.
 */
static void sync_spent(struct ledger_thread *t)
{
	size_t kept = 0;

	for (size_t d = 0; d < t->devices.count; d++) {
		if (syncfs(t->devices.list[d].fd) < 0)
			continue;
		for (size_t i = 0; i < t->spent_count; i++)
			if (t->spent[i].device == t->devices.list[d].id)
				t->spent[i].synced = true;
	}
	close_devices(&t->devices);
	for (size_t i = 0; i < t->spent_count; i++)
		if (t->spent[i].synced)
			t->spent[kept++] = t->spent[i];
	t->spent_count = kept;
}

static int forget(struct ledger_thread *t, const struct spent *spent,
		  int64_t change[static 4])
{
	int state;

	if (spent->counted)
		return ledger_db_forget(t->db, spent->serial);
	state = ledger_db_delete(t->db, spent->serial);
	if (state < 0)
		return state;
	change[state]--;
	return 0;
}

static void forget_spent(struct ledger_thread *t)
{
	struct ledger_ops none = STAILQ_HEAD_INITIALIZER(none);
	int64_t change[4] = {};
	int r;

	sync_spent(t);
	if (t->spent_count == 0)
		return;
	r = ledger_db_begin(t->db);
	for (size_t i = 0; r >= 0 && i < t->spent_count; i++)
		r = forget(t, &t->spent[i], change);
	r = ledger_db_end(t->db, r);
	if (r >= 0)
		t->spent_count = 0;
	report(t, &none, r, change);
}

/* ---- what is to be done ---- */

static usec_t now(void)
{
	struct timespec t;

	/* The clock that the condition variable was made for. */
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return usec_from_timespec(t);
}

/* Sleeps until it is woken, or (false) @until has come. */
static bool sleep_until(struct shared *shared, usec_t until)
{
	const struct timespec deadline = usec_to_timespec(until);

	shared->timed = until != USEC_INFINITY;
	if (!shared->timed)
		return pthread_cond_wait(&shared->wake, &shared->mutex) == 0;
	return pthread_cond_timedwait(&shared->wake, &shared->mutex, &deadline) !=
	       ETIMEDOUT;
}

static bool has_enough_finished(const struct shared *shared)
{
	return shared->finished > 0 &&
	       shared->finished + shared->spent >= LEDGER_SYNC_ROWS;
}

/* Until there is something that can't wait. Whether spent rows have waited for long
 * enough. */
static bool await_ops(struct ledger_thread *t)
{
	struct shared *shared = &t->shared;
	usec_t due = USEC_INFINITY;

	shared->spent = t->spent_count;
	while (shared->hurried == 0 && !has_enough_finished(shared) && !shared->stop) {
		if (due == USEC_INFINITY && t->spent_count + shared->finished > 0)
			due = now() + LEDGER_SYNC_DELAY;
		if (!sleep_until(shared, due))
			return true;
	}
	return false;
}

/* Where several come together more do: a commit less is worth more than the moment that
 * the first has to wait for it. Who comes alone does not wait. */
static void await_crowd(struct ledger_thread *t)
{
	struct shared *shared = &t->shared;
	usec_t until = t->begun + GATHER_TIME;

	shared->enough = shared->crowd;
	while (shared->hurried > 0 && shared->hurried < shared->enough && !shared->stop &&
	       sleep_until(shared, until))
		;
	shared->enough = 1;
}

/* Waits for ops, the word to stop, or until spent rows have waited for long enough.
 * Whether these are due. */
static bool gather(struct ledger_thread *t, struct ledger_ops *ops, bool *ret_stop)
{
	struct shared *shared = &t->shared;
	bool idle;

	lock(shared);
	idle = await_ops(t);
	if (t->crowded)
		await_crowd(t);
	t->crowded = shared->hurried > 1;
	shared->hurried = shared->finished = 0;
	STAILQ_CONCAT(ops, &shared->queue);
	move_devices(&shared->devices, &t->devices);
	t->begun = now();
	*ret_stop = shared->stop;
	unlock(shared);
	return idle || *ret_stop;
}

static void *work(void *userdata)
{
	struct ledger_thread *t = userdata;
	bool stop = false;

	while (!stop) {
		struct ledger_ops ops = STAILQ_HEAD_INITIALIZER(ops);
		bool due = gather(t, &ops, &stop);

		if (!STAILQ_EMPTY(&ops))
			run_batch(t, &ops);
		if (due || t->spent_count >= LEDGER_SYNC_ROWS)
			forget_spent(t);
	}
	return NULL;
}

static void shared_init(struct shared *shared)
{
	pthread_condattr_t attributes;

	STAILQ_INIT(&shared->queue);
	STAILQ_INIT(&shared->ended);
	shared->enough = 1;
	/* With glibc none of these can fail. */
	(void)pthread_mutex_init(&shared->mutex, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&shared->wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
}

static void release(struct ledger_thread *t)
{
	ledger_db_close(t->db);
	close_devices(&t->devices);
	free(t->spent);
	(void)pthread_cond_destroy(&t->shared.wake);
	(void)pthread_mutex_destroy(&t->shared.mutex);
	close_fd(t->event_fd);
	free(t);
}

DEFINE_CLEANUP(struct ledger_thread *, releasep, release)

int ledger_thread_new(struct ledger_db *db, struct ledger_thread **ret)
{
	_cleanup_(releasep) struct ledger_thread *t = NULL;
	int r;

	t = calloc(1, sizeof(*t));
	if (!t) {
		ledger_db_close(db);
		return -ENOMEM;
	}
	shared_init(&t->shared);
	t->db = db;
	t->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->event_fd < 0)
		return -errno;
	r = ledger_db_count(t->db, t->shared.counts);
	if (r >= 0)
		r = ledger_db_reserved(t->db, &t->reserved);
	if (r >= 0)
		r = thread_start("ledger", work, t, &t->id);
	if (r < 0)
		return r;
	*ret = take_ptr(t);
	return 0;
}

void ledger_thread_free(struct ledger_thread *thread)
{
	if (!thread)
		return;
	lock(&thread->shared);
	thread->shared.stop = true;
	(void)pthread_cond_signal(&thread->shared.wake);
	unlock(&thread->shared);
	(void)pthread_join(thread->id, NULL);
	release(thread);
}

/* A copy of @fd, unless what is queued brings one for its filesystem already. */
static int bring_device(struct devices *devices, dev_t id, int fd)
{
	int copy;

	if (has_device(devices, id))
		return 0;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -errno;
	add_device(devices, id, copy);
	return 0;
}

/* Whether the thread is to be woken for it, should it sleep. */
static bool count_in(struct shared *shared, const struct ledger_op *op)
{
	if (op->kind != LEDGER_OP_FINISH)
		return ++shared->hurried >= shared->enough;
	shared->finished++;
	return has_enough_finished(shared) || !shared->timed;
}

int ledger_thread_queue(struct ledger_thread *thread, struct ledger_op *op, int fd)
{
	struct shared *shared = &thread->shared;
	int r = 0;

	/* Row and descriptor in one step, or a sync could come too early for the row. */
	lock(shared);
	if (op->kind == LEDGER_OP_FINISH)
		r = bring_device(&shared->devices, op->device, fd);
	if (r >= 0) {
		STAILQ_INSERT_TAIL(&shared->queue, op, next);
		if (count_in(shared, op))
			(void)pthread_cond_signal(&shared->wake);
	}
	unlock(shared);
	return r;
}

void ledger_thread_expect(struct ledger_thread *thread, size_t ops)
{
	lock(&thread->shared);
	thread->shared.crowd = ops;
	unlock(&thread->shared);
}

int ledger_thread_fd(const struct ledger_thread *thread)
{
	return thread->event_fd;
}

void ledger_thread_take(struct ledger_thread *thread, struct ledger_ops *ret)
{
	eventfd_t ignored;

	/* Before the list is taken: what ends after that rings again. */
	(void)eventfd_read(thread->event_fd, &ignored);
	lock(&thread->shared);
	STAILQ_CONCAT(ret, &thread->shared.ended);
	unlock(&thread->shared);
}

int ledger_thread_broken(struct ledger_thread *thread)
{
	int broken;

	lock(&thread->shared);
	broken = thread->shared.broken;
	unlock(&thread->shared);
	return broken;
}

void ledger_thread_counts(struct ledger_thread *thread, uint64_t counts[4])
{
	lock(&thread->shared);
	memcpy(counts, thread->shared.counts, sizeof(thread->shared.counts));
	unlock(&thread->shared);
}
