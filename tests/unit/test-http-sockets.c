// wrap: epoll_ctl
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <sys/socket.h>

#include "http-sockets.h"
#include "macro.h"

static unsigned calls;

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	calls++;
	return __real_epoll_ctl(epfd, op, fd, event);
}

static struct sockets sockets;
static int pair[2]; /* [0] is curl's */

static void make_pair(bool told)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	if (told)
		sockets_opened(&sockets, pair[0]);
}

static int begin(void **state)
{
	(void)state;
	assert_int_equal(sockets_init(&sockets), 0);
	make_pair(true);
	calls = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	sockets_done(&sockets);
	return 0;
}

static void want(uint32_t events)
{
	assert_int_equal(sockets_want(&sockets, pair[0], events), 0);
}

static void stir(void)
{
	assert_int_equal(write(pair[1], "x", 1), 1);
}

/* Of the one that there is: the events that it is ready for. */
static uint32_t ready(void)
{
	struct epoll_event events[4];
	size_t count = sockets_ready(&sockets, events, ARRAY_SIZE(events));

	if (count == 0)
		return 0;
	assert_int_equal(count, 1);
	assert_int_equal(events[0].data.fd, pair[0]);
	return events[0].events;
}

static void test_what_is_wanted_is_told(void **state)
{
	(void)state;
	assert_int_equal(ready(), 0);
	want(EPOLLIN);
	assert_int_equal(ready(), 0);
	stir();
	assert_int_equal(ready(), EPOLLIN);
	want(EPOLLIN | EPOLLOUT);
	assert_int_equal(ready(), EPOLLIN | EPOLLOUT);
	want(EPOLLOUT);
	assert_int_equal(ready(), EPOLLOUT);
}

static void test_the_next_request_costs_no_call(void **state)
{
	(void)state;
	want(EPOLLIN);
	assert_int_equal(calls, 1);
	for (unsigned i = 0; i < 10; i++) {
		want(0);
		want(EPOLLIN);
	}
	assert_int_equal(calls, 1);
	stir();
	assert_int_equal(ready(), EPOLLIN);
}

/* Such as a server that closes an idle connection: else the loop would not sleep. */
static void test_what_stirs_unwanted_is_left(void **state)
{
	(void)state;
	want(EPOLLIN);
	want(0);
	stir();
	assert_int_equal(ready(), 0);
	assert_int_equal(calls, 2);
	assert_int_equal(ready(), 0);
	assert_int_equal(calls, 2);
	want(EPOLLIN);
	assert_int_equal(ready(), EPOLLIN);
}

/* The kernel forgets a socket that is closed, so this must, too. */
static void test_a_number_that_comes_back_is_another(void **state)
{
	int before = pair[0];

	(void)state;
	want(EPOLLIN);
	want(0);
	sockets_closed(&sockets, pair[0]);
	close(pair[0]);
	close(pair[1]);
	make_pair(true);
	assert_int_equal(pair[0], before);
	want(EPOLLIN);
	stir();
	assert_int_equal(ready(), EPOLLIN);
}

/* As where it was closed by somebody who did not say so. */
static void test_an_opened_one_is_new(void **state)
{
	(void)state;
	want(EPOLLIN);
	want(0);
	close(pair[0]);
	close(pair[1]);
	make_pair(true);
	want(EPOLLIN);
	stir();
	assert_int_equal(ready(), EPOLLIN);
}

/* The resolver's are such: nobody says when they are closed. */
static void test_one_whose_end_is_not_told_leaves_at_once(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	sockets_closed(&sockets, pair[0]);
	for (unsigned i = 0; i < 2; i++) {
		make_pair(false);
		calls = 0;
		want(EPOLLIN);
		stir();
		assert_int_equal(ready(), EPOLLIN);
		want(0);
		assert_int_equal(calls, 2);
		if (i == 1)
			continue;
		close(pair[0]);
		close(pair[1]);
	}
}

static void test_high_numbers(void **state)
{
	struct rlimit limit;
	int high;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	high = (int)MIN(limit.rlim_cur, (rlim_t)1024) - 1;
	assert_int_equal(dup2(pair[0], high), high);
	close(pair[0]);
	pair[0] = high;
	want(EPOLLIN);
	stir();
	assert_int_equal(ready(), EPOLLIN);
	sockets_closed(&sockets, 1 << 20); /* of which nothing is known */
}

static void test_what_can_not_be_watched(void **state)
{
	(void)state;
	assert_int_equal(sockets_want(&sockets, 500, EPOLLIN), -EBADF);
	assert_int_equal(sockets_want(&sockets, 500, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_wanted_is_told, begin, end),
		cmocka_unit_test_setup_teardown(test_the_next_request_costs_no_call,
						begin, end),
		cmocka_unit_test_setup_teardown(test_what_stirs_unwanted_is_left, begin,
						end),
		cmocka_unit_test_setup_teardown(test_a_number_that_comes_back_is_another,
						begin, end),
		cmocka_unit_test_setup_teardown(test_an_opened_one_is_new, begin, end),
		cmocka_unit_test_setup_teardown(
			test_one_whose_end_is_not_told_leaves_at_once, begin, end),
		cmocka_unit_test_setup_teardown(test_high_numbers, begin, end),
		cmocka_unit_test_setup_teardown(test_what_can_not_be_watched, begin, end),
	};

	return cmocka_run_group_tests_name("http-sockets", tests, NULL, NULL);
}
