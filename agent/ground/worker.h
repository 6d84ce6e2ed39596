#pragma once

/*
 * Worker: a thread that does jobs one after the other, for a caller that must not wait.
 *
 * The caller is one thread. It learns of the end of jobs through a descriptor that
 * becomes readable, by worker_dispatch(). A job is the caller's memory, which it embeds
 * in a structure of its own (container_of()), and which must live until its `done` is
 * called.
 */

#include <sys/queue.h>

struct worker_job {
	STAILQ_ENTRY(worker_job) next;
	/* By the thread: no other job runs meanwhile, but the caller does. */
	void (*run)(struct worker_job *job);
	/* By the caller's thread, from worker_dispatch(), in the order of the queue. */
	void (*done)(struct worker_job *job);
};

struct worker;

/* Starts the thread, with all signals blocked; @name (at most 15 bytes) is what ps(1)
 * shows. 0 or a negative errno. */
int worker_new(const char *name, struct worker **ret);

void worker_queue(struct worker *worker, struct worker_job *job);

/* Readable when worker_dispatch() has something to do. */
int worker_fd(const struct worker *worker);
void worker_dispatch(struct worker *worker);

/* Waits until all that is queued is done, and ends the thread. What is queued from then
 * on, by a `done` or later, is run and done at once, within worker_queue(). */
void worker_settle(struct worker *worker);

/* After worker_settle(). NULL is nothing. */
void worker_free(struct worker *worker);
