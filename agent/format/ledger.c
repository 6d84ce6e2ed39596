#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

#include "ledger-thread.h"
#include "ledger.h"

struct ledger {
	int lock_fd;
	struct ledger_thread *thread;
	struct ledger_db *reader;
	struct ledger_row *found;
	uint64_t last_serial;
	size_t pending; /* callbacks that are owed */
	bool closing;
};

static size_t room_for(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *append(char **end, const char *text)
{
	char *start = *end;

	if (!text)
		return NULL;
	*end = stpcpy(start, text) + 1;
	return start;
}

/* A copy with all that it points to, in one piece. */
static struct ledger_row *copy_row(const struct ledger_row *row)
{
	struct ledger_row *copy;
	char *end;

	copy = malloc(sizeof(*copy) + room_for(row->directory) + room_for(row->name) +
		      room_for(row->asset_id) + room_for(row->content_url) +
		      room_for(row->content_type));
	if (!copy)
		return NULL;
	end = (char *)(copy + 1);
	*copy = *row;
	copy->directory = append(&end, row->directory);
	copy->name = append(&end, row->name);
	copy->asset_id = append(&end, row->asset_id);
	copy->content_url = append(&end, row->content_url);
	copy->content_type = append(&end, row->content_type);
	return copy;
}

int ledger_put(struct ledger *ledger, const struct ledger_row *row, ledger_done_fn done,
	       void *userdata)
{
	_cleanup_(ledger_op_freep) struct ledger_op *op = NULL;

	assert(row->state >= LEDGER_GRANTED && row->state <= LEDGER_WAITING);
	assert(row->directory && row->name);

	if (ledger->closing)
		return -ESHUTDOWN;
	op = ledger_op_new(LEDGER_OP_PUT, row->serial);
	if (!op)
		return -ENOMEM;
	op->row = copy_row(row);
	if (!op->row)
		return -ENOMEM;
	op->done = done;
	op->userdata = userdata;
	if (done)
		ledger->pending++;
	return ledger_thread_queue(ledger->thread, take_ptr(op), -1);
}

int ledger_drop(struct ledger *ledger, uint64_t serial)
{
	struct ledger_op *op = ledger_op_new(LEDGER_OP_DROP, serial);

	return op ? ledger_thread_queue(ledger->thread, op, -1) : -ENOMEM;
}

int ledger_finish(struct ledger *ledger, uint64_t serial, dev_t device, int fd)
{
	_cleanup_(ledger_op_freep) struct ledger_op *op = NULL;
	int r;

	op = ledger_op_new(LEDGER_OP_FINISH, serial);
	if (!op)
		return -ENOMEM;
	op->device = device;
	r = ledger_thread_queue(ledger->thread, op, fd);
	if (r < 0)
		return r;
	(void)take_ptr(op);
	return 0;
}

void ledger_expect(struct ledger *ledger, size_t files)
{
	/* Some are between two records at any time. */
	ledger_thread_expect(ledger->thread, files - files / 4);
}

uint64_t ledger_serial(struct ledger *ledger)
{
	return ++ledger->last_serial;
}

int ledger_fd(const struct ledger *ledger)
{
	return ledger_thread_fd(ledger->thread);
}

void ledger_dispatch(struct ledger *ledger)
{
	struct ledger_ops ended = STAILQ_HEAD_INITIALIZER(ended);
	struct ledger_op *op;

	ledger_thread_take(ledger->thread, &ended);
	while ((op = STAILQ_FIRST(&ended))) {
		STAILQ_REMOVE_HEAD(&ended, next);
		ledger->pending--;
		op->done(op->userdata, op->error);
		ledger_op_free(op);
	}
}

int ledger_broken(const struct ledger *ledger)
{
	return ledger_thread_broken(ledger->thread);
}

void ledger_counts(const struct ledger *ledger, uint64_t counts[4])
{
	ledger_thread_counts(ledger->thread, counts);
}

int ledger_each(struct ledger *ledger, enum ledger_state state, ledger_row_fn row,
		void *userdata)
{
	return ledger_db_each(ledger->reader, state, row, userdata);
}

static int keep_found(void *userdata, const struct ledger_row *row)
{
	struct ledger *l = userdata;

	free(l->found);
	l->found = copy_row(row);
	return l->found ? 0 : -ENOMEM;
}

int ledger_find_waiting(struct ledger *ledger, const char *directory, const char *name,
			struct ledger_row *ret)
{
	uint64_t counts[4];
	int r;

	ledger_counts(ledger, counts);
	if (counts[LEDGER_WAITING] == 0)
		return 0;
	r = ledger_db_find_waiting(ledger->reader, directory, name, keep_found, ledger);
	if (r > 0)
		*ret = *ledger->found;
	return r;
}

int ledger_get(struct ledger *ledger, uint64_t serial, struct ledger_row *ret)
{
	int r = ledger_db_get(ledger->reader, serial, keep_found, ledger);

	if (r > 0)
		*ret = *ledger->found;
	return r;
}

static int take_lock(const char *directory, int *ret)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/" LEDGER_LOCK, directory) < 0)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	/* Only for people to read; a full disk is no reason to stay away. */
	if (ftruncate(fd, 0) == 0)
		(void)dprintf(fd, "%d\n", (int)getpid());
	*ret = take_fd(&fd);
	return 0;
}

/* Opens what is there, or in place of what can't be read a new one. */
static int open_writer(const char *path, struct ledger_thread **ret, char **ret_set_aside)
{
	_cleanup_free_ char *aside = NULL;
	struct ledger_db *db = NULL;
	int r;

	r = ledger_db_open(path, true, &db);
	if (r == -EUCLEAN) {
		r = ledger_db_set_aside(path, clock_realtime(), &aside);
		if (r >= 0)
			r = ledger_db_open(path, true, &db);
	}
	if (r >= 0)
		r = ledger_thread_new(db, ret);
	if (r < 0)
		return r;
	*ret_set_aside = take_ptr(aside);
	return 0;
}

static void ledger_free(struct ledger *l)
{
	/* The thread last: whoever closes last tidies the files, and the lock stands. */
	ledger_db_close(l->reader);
	ledger_thread_free(l->thread);
	free(l->found);
	close_fd(l->lock_fd);
	free(l);
}

DEFINE_CLEANUP(struct ledger *, ledger_freep, ledger_free)

int ledger_open(const char *directory, struct ledger **ret, char **ret_set_aside)
{
	_cleanup_(ledger_freep) struct ledger *l = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *aside = NULL;
	_cleanup_close_ int lock_fd = -1;
	int r;

	if (asprintf(&path, "%s/" LEDGER_FILE, directory) < 0)
		return -ENOMEM;
	r = take_lock(directory, &lock_fd);
	if (r < 0)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->lock_fd = take_fd(&lock_fd);
	r = open_writer(path, &l->thread, &aside);
	if (r >= 0)
		r = ledger_db_open(path, false, &l->reader);
	if (r >= 0)
		r = ledger_db_reserved(l->reader, &l->last_serial);
	if (r < 0)
		return r;
	*ret_set_aside = take_ptr(aside);
	*ret = take_ptr(l);
	return 0;
}

void ledger_close(struct ledger *ledger)
{
	if (!ledger)
		return;
	/* No new puts from the callbacks, so this ends. */
	ledger->closing = true;
	while (ledger->pending > 0) {
		struct pollfd p = { .fd = ledger_fd(ledger), .events = POLLIN };

		(void)poll(&p, 1, -1);
		ledger_dispatch(ledger);
	}
	ledger_free(ledger);
}
