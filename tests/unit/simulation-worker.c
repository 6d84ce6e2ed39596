#include <sys/queue.h>

#include "simulation.h"
#include "worker.h"

STAILQ_HEAD(jobs, worker_job);

struct worker {
	struct jobs queue, ended;
	struct sim_event *run, *tell;
	bool settled;
};

usec_t sim_worker_latency;

static struct worker *worker;

void sim_worker_begin(void)
{
	sim_worker_latency = 2 * USEC_PER_MSEC;
}

bool sim_worker_is_busy(void)
{
	return worker && (!STAILQ_EMPTY(&worker->queue) || !STAILQ_EMPTY(&worker->ended));
}

static void on_tell(void *userdata)
{
	struct worker *w = userdata;

	w->tell = NULL;
	sim_io_ready(SIM_FD_WORKER, true);
}

static void on_run(void *userdata);

static void arm_run(struct worker *w)
{
	if (!w->run && !STAILQ_EMPTY(&w->queue))
		w->run = sim_after(sim_span(10, sim_worker_latency), on_run, w);
}

static void on_run(void *userdata)
{
	struct worker *w = userdata;
	struct worker_job *job = STAILQ_FIRST(&w->queue);

	w->run = NULL;
	STAILQ_REMOVE_HEAD(&w->queue, next);
	job->run(job);
	STAILQ_INSERT_TAIL(&w->ended, job, next);
	if (!w->tell)
		w->tell = sim_after(sim_between(1, 2 * USEC_PER_MSEC), on_tell, w);
	arm_run(w);
}

/* ---- what the agent calls ---- */

int __wrap_worker_new(const char *name, struct worker **ret);
int __wrap_worker_new(const char *name, struct worker **ret)
{
	(void)name;
	worker = calloc(1, sizeof(*worker));
	STAILQ_INIT(&worker->queue);
	STAILQ_INIT(&worker->ended);
	*ret = worker;
	return 0;
}

void __wrap_worker_queue(struct worker *w, struct worker_job *job);
void __wrap_worker_queue(struct worker *w, struct worker_job *job)
{
	if (w->settled) {
		job->run(job);
		job->done(job);
		return;
	}
	STAILQ_INSERT_TAIL(&w->queue, job, next);
	arm_run(w);
}

int __wrap_worker_fd(const struct worker *w);
int __wrap_worker_fd(const struct worker *w)
{
	(void)w;
	return SIM_FD_WORKER;
}

static void tell_all(struct worker *w)
{
	struct worker_job *job;

	while ((job = STAILQ_FIRST(&w->ended))) {
		STAILQ_REMOVE_HEAD(&w->ended, next);
		job->done(job);
	}
}

void __wrap_worker_dispatch(struct worker *w);
void __wrap_worker_dispatch(struct worker *w)
{
	sim_io_ready(SIM_FD_WORKER, false);
	tell_all(w);
}

/* One that is dead runs what is left, too, which reaches nobody. */
void __wrap_worker_settle(struct worker *w);
void __wrap_worker_settle(struct worker *w)
{
	struct worker_job *job;

	sim_cancel(w->run);
	sim_cancel(w->tell);
	w->settled = true;
	while ((job = STAILQ_FIRST(&w->queue))) {
		STAILQ_REMOVE_HEAD(&w->queue, next);
		job->run(job);
		STAILQ_INSERT_TAIL(&w->ended, job, next);
	}
	tell_all(w);
}

void __wrap_worker_free(struct worker *w);
void __wrap_worker_free(struct worker *w)
{
	free(w);
	worker = NULL;
}
