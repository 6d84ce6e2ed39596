/*
 * HTTP while a name server keeps silent, which takes longer than any of our timeouts: the
 * program's own getaddrinfo(3) is the one that libcurl's threads call.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netdb.h>
#include <pthread.h>

#include "http.h"
#include "scratch.h"

#define PATIENCE (PATIENCE_SECONDS * USEC_PER_SEC)

/* ---- the silent name server ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool speaks;
	unsigned asked, left; /* how often */
	bool gave_up;	      /* nobody let it speak: the test waits for it */
} names = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

int getaddrinfo(const char *restrict name, const char *restrict service,
		const struct addrinfo *restrict req, struct addrinfo **restrict pai)
{
	struct timespec until;

	(void)name;
	(void)service;
	(void)req;
	(void)pai;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_SECONDS;
	(void)pthread_mutex_lock(&names.lock);
	names.asked++;
	(void)pthread_cond_broadcast(&names.changed);
	while (!names.speaks && !names.gave_up)
		names.gave_up = pthread_cond_timedwait(&names.changed, &names.lock,
						       &until) == ETIMEDOUT;
	names.left++;
	(void)pthread_cond_broadcast(&names.changed);
	(void)pthread_mutex_unlock(&names.lock);
	return EAI_AGAIN;
}

static int fall_silent(void **state)
{
	(void)state;
	names.speaks = names.gave_up = false;
	names.asked = names.left = 0;
	return 0;
}

static bool is_asked(void)
{
	bool asked;

	(void)pthread_mutex_lock(&names.lock);
	asked = names.asked > 0;
	(void)pthread_mutex_unlock(&names.lock);
	return asked;
}

/* Nobody has waited for it; now its threads end, too. */
static void assert_was_not_waited_for(void)
{
	bool waited;

	(void)pthread_mutex_lock(&names.lock);
	waited = names.gave_up || names.left > 0;
	names.speaks = true;
	(void)pthread_cond_broadcast(&names.changed);
	while (names.left < names.asked)
		(void)pthread_cond_wait(&names.changed, &names.lock);
	(void)pthread_mutex_unlock(&names.lock);
	assert_false(waited);
}

/* ---- the client ---- */

static const struct http_call call = {
	.method = "POST",
	.url = "http://silent.test/",
	.body = "",
	.file = -1,
	.timeout = PATIENCE,
	.stall_timeout = USEC_INFINITY,
};

static void make(sd_event **event, struct http **http, usec_t connect_timeout)
{
	const struct http_settings settings = { .connect_timeout = connect_timeout,
						.connections_max = 2 };

	assert_int_equal(sd_event_new(event), 0);
	assert_int_equal(http_new(*event, &settings, http), 0);
}

static void on_done(void *userdata, const struct http_answer *answer)
{
	enum transport *transport = userdata;

	*transport = answer->transport;
}

static void test_a_timeout_does_not_wait_for_it(void **state)
{
	enum transport transport = TRANSPORT_ANSWERED;
	struct http *http;
	sd_event *event;

	(void)state;
	make(&event, &http, 50 * USEC_PER_MSEC);
	assert_int_equal(http_start(http, &call, on_done, &transport, NULL), 0);
	while (transport == TRANSPORT_ANSWERED)
		assert_true(sd_event_run(event, PATIENCE) > 0);
	assert_int_equal(transport, TRANSPORT_TIMEOUT);
	http_free(http);
	assert_was_not_waited_for();
	sd_event_unref(event);
}

static void test_a_cancel_does_not_wait_for_it(void **state)
{
	struct http_request *request = NULL;
	struct http *http;
	sd_event *event;

	(void)state;
	make(&event, &http, PATIENCE);
	assert_int_equal(http_start(http, &call, on_done, NULL, &request), 0);
	while (!is_asked())
		assert_true(sd_event_run(event, USEC_PER_MSEC) >= 0);
	http_cancel(request);
	http_free(http);
	assert_was_not_waited_for();
	sd_event_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_timeout_does_not_wait_for_it, fall_silent),
		cmocka_unit_test_setup(test_a_cancel_does_not_wait_for_it, fall_silent),
	};

	setenv("no_proxy", "*", 1);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("http-names", tests, NULL, NULL);
}
