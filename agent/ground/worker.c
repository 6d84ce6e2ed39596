#include <sys/eventfd.h>

#include "macro.h"
#include "thread.h"
#include "worker.h"

STAILQ_HEAD(jobs, worker_job);

struct worker {
	pthread_t id;
	int event_fd;
	bool settled; /* the caller's alone */

	/* Shared. */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct jobs queue, ended;
	bool stop;
};

static void lock(struct worker *w)
{
	(void)pthread_mutex_lock(&w->mutex);
}

static void unlock(struct worker *w)
{
	(void)pthread_mutex_unlock(&w->mutex);
}

/* ---- the thread ---- */

/* Takes all that is queued. False: there will be nothing more. */
static bool await_jobs(struct worker *w, struct jobs *ret)
{
	lock(w);
	while (STAILQ_EMPTY(&w->queue) && !w->stop)
		(void)pthread_cond_wait(&w->wake, &w->mutex);
	STAILQ_CONCAT(ret, &w->queue);
	unlock(w);
	return !STAILQ_EMPTY(ret);
}

/* Who is told of one that ended looks for all that have. */
static void hand_back(struct worker *w, struct worker_job *job)
{
	bool first;

	lock(w);
	first = STAILQ_EMPTY(&w->ended);
	STAILQ_INSERT_TAIL(&w->ended, job, next);
	unlock(w);
	if (first)
		(void)eventfd_write(w->event_fd, 1);
}

static void *work(void *userdata)
{
	struct jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
	struct worker *w = userdata;
	struct worker_job *job;

	while (await_jobs(w, &jobs)) {
		while ((job = STAILQ_FIRST(&jobs))) {
			STAILQ_REMOVE_HEAD(&jobs, next);
			job->run(job);
			hand_back(w, job);
		}
	}
	return NULL;
}

/* ---- its caller ---- */

void worker_queue(struct worker *w, struct worker_job *job)
{
	bool first;

	if (w->settled) {
		job->run(job);
		job->done(job);
		return;
	}
	lock(w);
	first = STAILQ_EMPTY(&w->queue);
	STAILQ_INSERT_TAIL(&w->queue, job, next);
	unlock(w);
	if (first)
		(void)pthread_cond_signal(&w->wake);
}

int worker_fd(const struct worker *w)
{
	return w->event_fd;
}

void worker_dispatch(struct worker *w)
{
	struct jobs ended = STAILQ_HEAD_INITIALIZER(ended);
	struct worker_job *job;
	eventfd_t ignored;

	/* Before the list is taken: what ends after that rings again. */
	(void)eventfd_read(w->event_fd, &ignored);
	lock(w);
	STAILQ_CONCAT(&ended, &w->ended);
	unlock(w);
	while ((job = STAILQ_FIRST(&ended))) {
		STAILQ_REMOVE_HEAD(&ended, next);
		job->done(job);
	}
}

void worker_settle(struct worker *w)
{
	if (w->settled)
		return;
	lock(w);
	w->stop = true;
	(void)pthread_cond_signal(&w->wake);
	unlock(w);
	(void)pthread_join(w->id, NULL);
	w->settled = true;
	worker_dispatch(w);
}

static void release(struct worker *w)
{
	(void)pthread_cond_destroy(&w->wake);
	(void)pthread_mutex_destroy(&w->mutex);
	close_fd(w->event_fd);
	free(w);
}

DEFINE_CLEANUP(struct worker *, releasep, release)

int worker_new(const char *name, struct worker **ret)
{
	_cleanup_(releasep) struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	STAILQ_INIT(&w->queue);
	STAILQ_INIT(&w->ended);
	/* With glibc neither can fail. */
	(void)pthread_mutex_init(&w->mutex, NULL);
	(void)pthread_cond_init(&w->wake, NULL);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd < 0)
		return -errno;
	r = thread_start(name, work, w, &w->id);
	if (r < 0)
		return r;
	*ret = take_ptr(w);
	return 0;
}

void worker_free(struct worker *w)
{
	if (w)
		release(w);
}
