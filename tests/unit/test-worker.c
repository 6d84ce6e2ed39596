#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "macro.h"
#include "worker.h"

#define JOBS 1000

struct task {
	struct worker_job job;
	unsigned number;
	pthread_t ran_by;
	sigset_t blocked;
};

static struct task tasks[JOBS];
static unsigned run_order[JOBS], done_order[JOBS], runs, dones;
static pthread_t caller;
static sem_t gate;

static void on_run(struct worker_job *job)
{
	struct task *task = container_of(job, struct task, job);

	task->ran_by = pthread_self();
	(void)pthread_sigmask(SIG_BLOCK, NULL, &task->blocked);
	run_order[runs++] = task->number;
}

static void on_run_at_gate(struct worker_job *job)
{
	while (sem_wait(&gate) < 0)
		;
	on_run(job);
}

static void on_done(struct worker_job *job)
{
	assert_true(pthread_equal(pthread_self(), caller));
	done_order[dones++] = container_of(job, struct task, job)->number;
}

static int begin(void **state)
{
	(void)state;
	memset(tasks, 0, sizeof(tasks));
	for (unsigned i = 0; i < JOBS; i++) {
		tasks[i].number = i;
		tasks[i].job.run = on_run;
		tasks[i].job.done = on_done;
	}
	runs = dones = 0;
	caller = pthread_self();
	return sem_init(&gate, 0, 0);
}

static struct worker *make(void)
{
	struct worker *worker;

	assert_int_equal(worker_new("test", &worker), 0);
	return worker;
}

static bool is_readable(const struct worker *worker, int timeout)
{
	struct pollfd p = { .fd = worker_fd(worker), .events = POLLIN };

	return poll(&p, 1, timeout) == 1;
}

static void await(struct worker *worker, unsigned count)
{
	while (dones < count) {
		assert_true(is_readable(worker, 10000));
		worker_dispatch(worker);
	}
}

static void assert_in_order(const unsigned order[], unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(order[i], i);
}

static void test_jobs_run_elsewhere_in_order(void **state)
{
	struct worker *worker = make();

	(void)state;
	for (unsigned i = 0; i < JOBS; i++)
		worker_queue(worker, &tasks[i].job);
	await(worker, JOBS);
	assert_int_equal(runs, JOBS);
	assert_in_order(run_order, JOBS);
	assert_in_order(done_order, JOBS);
	for (unsigned i = 0; i < JOBS; i++)
		assert_false(pthread_equal(tasks[i].ran_by, caller));
	assert_false(is_readable(worker, 0));
	worker_settle(worker);
	worker_free(worker);
}

static void test_no_signal_interrupts_it(void **state)
{
	struct worker *worker = make();

	(void)state;
	worker_queue(worker, &tasks[0].job);
	await(worker, 1);
	assert_true(sigismember(&tasks[0].blocked, SIGTERM));
	assert_true(sigismember(&tasks[0].blocked, SIGIO));
	worker_settle(worker);
	worker_free(worker);
}

static void test_caller_does_not_wait(void **state)
{
	struct worker *worker = make();

	(void)state;
	tasks[0].job.run = on_run_at_gate;
	worker_queue(worker, &tasks[0].job);
	worker_queue(worker, &tasks[1].job);
	/* It stands at the gate, and we are here. */
	assert_false(is_readable(worker, 0));
	worker_dispatch(worker);
	assert_int_equal(dones, 0);
	assert_int_equal(sem_post(&gate), 0);
	await(worker, 2);
	assert_in_order(done_order, 2);
	worker_settle(worker);
	worker_free(worker);
}

static void test_settle_does_all_that_is_queued(void **state)
{
	struct worker *worker = make();

	(void)state;
	tasks[0].job.run = on_run_at_gate;
	for (unsigned i = 0; i < 100; i++)
		worker_queue(worker, &tasks[i].job);
	assert_int_equal(sem_post(&gate), 0);
	worker_settle(worker);
	assert_int_equal(dones, 100);
	assert_in_order(run_order, 100);
	assert_in_order(done_order, 100);
	worker_settle(worker);
	worker_free(worker);
}

static void test_settled_it_does_at_once(void **state)
{
	struct worker *worker = make();

	(void)state;
	worker_settle(worker);
	worker_queue(worker, &tasks[0].job);
	assert_int_equal(dones, 1);
	assert_true(pthread_equal(tasks[0].ran_by, caller));
	worker_free(worker);
}

static struct worker *chained;

static void on_done_queue_next(struct worker_job *job)
{
	on_done(job);
	if (dones < 10)
		worker_queue(chained, &tasks[dones].job);
}

/* Also those that are queued while it settles. */
static void test_an_end_queues_the_next(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		tasks[i].job.done = on_done_queue_next;
	chained = make();
	worker_queue(chained, &tasks[0].job);
	await(chained, 5);
	worker_settle(chained);
	assert_int_equal(dones, 10);
	assert_in_order(run_order, 10);
	worker_free(chained);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_jobs_run_elsewhere_in_order, begin),
		cmocka_unit_test_setup(test_no_signal_interrupts_it, begin),
		cmocka_unit_test_setup(test_caller_does_not_wait, begin),
		cmocka_unit_test_setup(test_settle_does_all_that_is_queued, begin),
		cmocka_unit_test_setup(test_settled_it_does_at_once, begin),
		cmocka_unit_test_setup(test_an_end_queues_the_next, begin),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
