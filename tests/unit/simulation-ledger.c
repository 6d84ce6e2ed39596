#include <sys/queue.h>

#include "simulation.h"

enum op_kind { OP_PUT, OP_DROP, OP_FINISH };

struct row {
	struct ledger_row data; /* its strings are owned */
	bool finished;		/* until the next sync */
	TAILQ_ENTRY(row) link;
};

struct op {
	enum op_kind kind;
	uint64_t serial;
	struct row *row;
	ledger_done_fn done;
	void *userdata;
	int error;
	TAILQ_ENTRY(op) link;
};

TAILQ_HEAD(op_list, op);
TAILQ_HEAD(row_list, row);

struct ledger {
	struct op_list queue, ended;
	struct sim_event *commit, *tell, *sync;
	struct row *found;
	bool closing;
};

struct sim_ledger_options sim_ledger;

static struct row_list rows; /* what is on the disk */
static uint64_t last_serial;
static struct ledger *ledger;

/* ---- rows ---- */

static void row_free(struct row *row)
{
	if (!row)
		return;
	free((char *)row->data.directory);
	free((char *)row->data.name);
	free((char *)row->data.asset_id);
	free((char *)row->data.content_url);
	free((char *)row->data.content_type);
	free(row);
}

static const char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static struct row *row_new(const struct ledger_row *data)
{
	struct row *row = calloc(1, sizeof(*row));

	row->data = *data;
	row->data.directory = copy(data->directory);
	row->data.name = copy(data->name);
	row->data.asset_id = copy(data->asset_id);
	row->data.content_url = copy(data->content_url);
	row->data.content_type = copy(data->content_type);
	return row;
}

static struct row *find(uint64_t serial)
{
	struct row *row;

	TAILQ_FOREACH (row, &rows, link)
		if (row->data.serial == serial)
			return row;
	return NULL;
}

static void drop(uint64_t serial)
{
	struct row *row = find(serial);

	if (!row)
		return;
	TAILQ_REMOVE(&rows, row, link);
	row_free(row);
}

/* In the order of their serials. */
static void insert(struct row *row)
{
	struct sim_asset *asset = sim_asset(row->data.asset_id);
	struct row *before;

	if (asset)
		asset->recorded = true;
	drop(row->data.serial);
	before = TAILQ_LAST(&rows, row_list);
	while (before && before->data.serial > row->data.serial)
		before = TAILQ_PREV(before, row_list, link);
	if (before)
		TAILQ_INSERT_AFTER(&rows, before, row, link);
	else
		TAILQ_INSERT_HEAD(&rows, row, link);
}

bool sim_ledger_has_upload(const struct fs_identity *identity)
{
	const struct row *row;

	TAILQ_FOREACH (row, &rows, link)
		if (row->data.state == LEDGER_UPLOADED &&
		    fs_identity_equal(&row->data.identity, identity))
			return true;
	return false;
}

/* ---- commits ---- */

static void op_free(struct op *op)
{
	row_free(op->row);
	free(op);
}

static void execute(struct op *op)
{
	struct row *row;

	switch (op->kind) {
	case OP_PUT: insert(take_ptr(op->row)); break;
	case OP_DROP: drop(op->serial); break;
	case OP_FINISH:
		row = find(op->serial);
		if (row)
			row->finished = true;
		break;
	}
}

static void forget_finished(void)
{
	struct row *row, *next;

	sim_disk_sync();
	for (row = TAILQ_FIRST(&rows); row; row = next) {
		next = TAILQ_NEXT(row, link);
		if (row->finished)
			drop(row->data.serial);
	}
}

static void on_tell(void *userdata)
{
	struct ledger *l = userdata;

	l->tell = NULL;
	sim_io_ready(SIM_FD_LEDGER, true);
}

static void on_commit(void *userdata);

static void arm_commit(struct ledger *l)
{
	if (!l->commit && !l->closing && !TAILQ_EMPTY(&l->queue))
		l->commit = sim_after(sim_between(100, sim_ledger.latency), on_commit, l);
}

static void on_sync(void *userdata)
{
	struct ledger *l = userdata;

	l->sync = NULL;
	if (sim_ledger.error == 0)
		forget_finished();
	else
		l->sync = sim_after(LEDGER_SYNC_DELAY, on_sync, l);
	arm_commit(l);
}

static void commit(struct ledger *l)
{
	struct op *op;

	while ((op = TAILQ_FIRST(&l->queue))) {
		TAILQ_REMOVE(&l->queue, op, link);
		op->error = -sim_ledger.error;
		if (sim_ledger.error == 0)
			execute(op);
		else if (op->row && sim_asset(op->row->data.asset_id))
			sim_asset(op->row->data.asset_id)->unrecordable = true;
		if (op->done)
			TAILQ_INSERT_TAIL(&l->ended, op, link);
		else
			op_free(op);
	}
}

static void on_commit(void *userdata)
{
	struct ledger *l = userdata;
	struct op_list later = TAILQ_HEAD_INITIALIZER(later);
	struct op *op, *next;

	l->commit = NULL;
	/* What was to be dropped or finished is kept for a commit that works. */
	for (op = TAILQ_FIRST(&l->queue); op && sim_ledger.error; op = next) {
		next = TAILQ_NEXT(op, link);
		if (op->kind == OP_PUT)
			continue;
		TAILQ_REMOVE(&l->queue, op, link);
		TAILQ_INSERT_TAIL(&later, op, link);
	}
	commit(l);
	TAILQ_CONCAT(&l->queue, &later, link);
	if (!l->tell && !TAILQ_EMPTY(&l->ended))
		l->tell = sim_after(sim_between(1, 2 * USEC_PER_MSEC), on_tell, l);
	if (!l->sync)
		l->sync = sim_after(LEDGER_SYNC_DELAY, on_sync, l);
}

static struct op *queue_op(struct ledger *l, enum op_kind kind, uint64_t serial)
{
	struct op *op = calloc(1, sizeof(*op));

	op->kind = kind;
	op->serial = serial;
	TAILQ_INSERT_TAIL(&l->queue, op, link);
	arm_commit(l);
	return op;
}

bool sim_ledger_is_busy(void)
{
	return ledger && (ledger->tell || !TAILQ_EMPTY(&ledger->ended) ||
			  !TAILQ_EMPTY(&ledger->queue));
}

/* ---- what the agent calls ---- */

int __wrap_ledger_open(const char *directory, struct ledger **ret, char **ret_aside);
int __wrap_ledger_open(const char *directory, struct ledger **ret, char **ret_aside)
{
	struct row *row;

	(void)directory;
	/* That is kept in memory alone. */
	TAILQ_FOREACH (row, &rows, link)
		row->finished = false;
	ledger = calloc(1, sizeof(*ledger));
	TAILQ_INIT(&ledger->queue);
	TAILQ_INIT(&ledger->ended);
	*ret_aside = NULL;
	*ret = ledger;
	return 0;
}

void __wrap_ledger_expect(struct ledger *l, size_t files);
void __wrap_ledger_expect(struct ledger *l, size_t files)
{
	(void)l;
	(void)files;
}

uint64_t __wrap_ledger_serial(struct ledger *l);
uint64_t __wrap_ledger_serial(struct ledger *l)
{
	(void)l;
	return ++last_serial;
}

int __wrap_ledger_fd(const struct ledger *l);
int __wrap_ledger_fd(const struct ledger *l)
{
	(void)l;
	return SIM_FD_LEDGER;
}

static void tell_all(struct ledger *l)
{
	struct op *op;

	while ((op = TAILQ_FIRST(&l->ended))) {
		TAILQ_REMOVE(&l->ended, op, link);
		op->done(op->userdata, op->error);
		op_free(op);
	}
}

void __wrap_ledger_dispatch(struct ledger *l);
void __wrap_ledger_dispatch(struct ledger *l)
{
	sim_io_ready(SIM_FD_LEDGER, false);
	tell_all(l);
}

int __wrap_ledger_put(struct ledger *l, const struct ledger_row *row, ledger_done_fn done,
		      void *userdata);
int __wrap_ledger_put(struct ledger *l, const struct ledger_row *row, ledger_done_fn done,
		      void *userdata)
{
	struct op *op;

	if (l->closing)
		return -ESHUTDOWN;
	if (!sim_device())
		return 0;
	if (sim.sabotage == SABOTAGE_EARLY_ACK && row->state == LEDGER_UPLOADED && done) {
		sim.sabotaged++;
		op = calloc(1, sizeof(*op));
		TAILQ_INSERT_TAIL(&l->ended, op, link);
		sim_io_ready(SIM_FD_LEDGER, true);
	} else {
		op = queue_op(l, OP_PUT, row->serial);
		op->row = row_new(row);
	}
	op->done = done;
	op->userdata = userdata;
	return 0;
}

int __wrap_ledger_drop(struct ledger *l, uint64_t serial);
int __wrap_ledger_drop(struct ledger *l, uint64_t serial)
{
	if (sim_device())
		queue_op(l, OP_DROP, serial);
	return 0;
}

/* It fails for a while, but is never broken: that ends the agent. */
int __wrap_ledger_broken(struct ledger *l);
int __wrap_ledger_broken(struct ledger *l)
{
	(void)l;
	return 0;
}

int __wrap_ledger_finish(struct ledger *l, uint64_t serial, dev_t device, int fd);
int __wrap_ledger_finish(struct ledger *l, uint64_t serial, dev_t device, int fd)
{
	(void)device;
	(void)fd;
	if (sim_device())
		queue_op(l, OP_FINISH, serial);
	return 0;
}

int __wrap_ledger_each(struct ledger *l, enum ledger_state state, ledger_row_fn call,
		       void *userdata);
int __wrap_ledger_each(struct ledger *l, enum ledger_state state, ledger_row_fn call,
		       void *userdata)
{
	const struct row *row;
	int r = 0;

	(void)l;
	if (sim.sabotage == SABOTAGE_FORGOTTEN_ROW && state == LEDGER_GRANTED) {
		sim.sabotaged++;
		return 0;
	}
	TAILQ_FOREACH (row, &rows, link) {
		if (r < 0 || row->data.state != state)
			continue;
		sim_trace("row %llu: %s, state %d, %s",
			  (unsigned long long)row->data.serial, row->data.name, state,
			  row->data.asset_id);
		r = call(userdata, &row->data);
	}
	return MIN(r, 0);
}

int __wrap_ledger_find_waiting(struct ledger *l, const char *directory, const char *name,
			       struct ledger_row *ret);
int __wrap_ledger_find_waiting(struct ledger *l, const char *directory, const char *name,
			       struct ledger_row *ret)
{
	const struct row *row;

	TAILQ_FOREACH (row, &rows, link)
		if (row->data.state == LEDGER_WAITING &&
		    streq(row->data.directory, directory) && streq(row->data.name, name))
			break;
	if (!row)
		return 0;
	row_free(l->found);
	l->found = row_new(&row->data);
	*ret = l->found->data;
	return 1;
}

int __wrap_ledger_get(struct ledger *l, uint64_t serial, struct ledger_row *ret);
int __wrap_ledger_get(struct ledger *l, uint64_t serial, struct ledger_row *ret)
{
	const struct row *row = find(serial);

	if (!row)
		return 0;
	row_free(l->found);
	l->found = row_new(&row->data);
	*ret = l->found->data;
	return 1;
}

void __wrap_ledger_counts(const struct ledger *l, uint64_t counts[4]);
void __wrap_ledger_counts(const struct ledger *l, uint64_t counts[4])
{
	const struct row *row;

	(void)l;
	memset(counts, 0, 4 * sizeof(*counts));
	TAILQ_FOREACH (row, &rows, link)
		counts[row->data.state] += !row->finished;
}

void __wrap_ledger_close(struct ledger *l);
void __wrap_ledger_close(struct ledger *l)
{
	struct op *op;

	if (!l)
		return;
	ledger = NULL;
	l->closing = true;
	sim_cancel(l->commit);
	sim_cancel(l->tell);
	sim_cancel(l->sync);
	if (!sim.dead) {
		commit(l);
		tell_all(l);
		commit(l);
		forget_finished();
	}
	while ((op = TAILQ_FIRST(&l->queue)) || (op = TAILQ_FIRST(&l->ended))) {
		TAILQ_REMOVE(TAILQ_FIRST(&l->queue) == op ? &l->queue : &l->ended, op,
			     link);
		op_free(op);
	}
	row_free(l->found);
	free(l);
}

/* ---- its life ---- */

void sim_ledger_crash(void)
{
	struct op *op;

	if (!ledger || sim_ledger.error || sim_chance(500))
		return;
	/* The transaction was through, and nobody heard of it. */
	TAILQ_FOREACH (op, &ledger->queue, link)
		execute(op);
}

void sim_ledger_begin(void)
{
	TAILQ_INIT(&rows);
	last_serial = 0;
	sim_ledger = (struct sim_ledger_options){ .latency = 2 * USEC_PER_MSEC };
}

void sim_ledger_end(void)
{
	struct row *row;

	while ((row = TAILQ_FIRST(&rows))) {
		TAILQ_REMOVE(&rows, row, link);
		row_free(row);
	}
}
