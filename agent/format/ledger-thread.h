#pragma once

/*
 * Ledger-thread: the thread that writes the ledger, with its queue.
 *
 * It takes all that is queued at once, makes one transaction of it, and hands back every
 * op that has a callback, with how it ended. Where ops come together it waits a moment
 * for more; a row that is finished waits for the next transaction of others. Rows that
 * are finished it gathers, syncs their filesystems and deletes them many at a time. It
 * sleeps unless there is an op, or a finished row to be deleted. All functions but the
 * thread's own are the caller's, who is one thread too.
 */

#include <sys/queue.h>

#include "ledger-db.h"

enum ledger_op_kind { LEDGER_OP_PUT, LEDGER_OP_DROP, LEDGER_OP_FINISH };

struct ledger_op {
	STAILQ_ENTRY(ledger_op) next;
	enum ledger_op_kind kind;
	uint64_t serial;
	dev_t device;		/* LEDGER_OP_FINISH: the filesystem to be synced first */
	struct ledger_row *row; /* LEDGER_OP_PUT: owned, in one piece with its strings */
	ledger_done_fn done;	/* NULL: nobody asks how it ended */
	void *userdata;
	int error; /* how it ended */
};

STAILQ_HEAD(ledger_ops, ledger_op);

/* NULL: out of memory. */
struct ledger_op *ledger_op_new(enum ledger_op_kind kind, uint64_t serial);
/* NULL is nothing. */
void ledger_op_free(struct ledger_op *op);

DEFINE_CLEANUP(struct ledger_op *, ledger_op_freep, ledger_op_free)

struct ledger_thread;

/* Starts the thread, with all signals blocked. It takes @db over, also on failure.
 * 0 or a negative errno. */
int ledger_thread_new(struct ledger_db *db, struct ledger_thread **ret);

/* Does all that is queued, syncs and deletes what is finished, ends the thread. Ops that
 * have ended must have been taken before. NULL is nothing. */
void ledger_thread_free(struct ledger_thread *thread);

/* Queues @op, which is the thread's from then on. For LEDGER_OP_FINISH, @fd is any
 * descriptor on op->device, of which the thread makes its own; else -1.
 * 0, or a negative errno, and then @op is still the caller's. */
int ledger_thread_queue(struct ledger_thread *thread, struct ledger_op *op, int fd);

/* As ledger_expect(), in ops. */
void ledger_thread_expect(struct ledger_thread *thread, size_t ops);

/* Readable when ledger_thread_take() has something to give. */
int ledger_thread_fd(const struct ledger_thread *thread);

/* Moves the ops that have ended, in the order they were queued, to the end of @ret; they
 * are the caller's to free. */
void ledger_thread_take(struct ledger_thread *thread, struct ledger_ops *ret);

/* As ledger_broken(). */
int ledger_thread_broken(struct ledger_thread *thread);

/* Rows of each state, as last committed and not finished. */
void ledger_thread_counts(struct ledger_thread *thread, uint64_t counts[4]);
