#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "world-internal.h"
#include "world-slow.h"

/* So that little is on its way between the two: the agent's kernel takes in what fits
 * into its own buffer, which it makes as large as some segments are. */
#define SEGMENT	    536
#define RECEIVE_MIN 1024

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";

struct slow_store {
	struct slow_speed speed;
	int listener, stop;
	char *base;
	struct sockaddr_in service;
	pthread_t thread;
	bool runs;
};

static struct sockaddr_in local(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

struct slow_store *slow_store_open(const struct slow_speed *speed)
{
	struct slow_store *store = calloc(1, sizeof(*store));
	static const int segment = SEGMENT, room = RECEIVE_MIN;
	struct sockaddr_in address = local(0);
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(store && fd >= 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	store->speed = *speed;
	store->listener = fd;
	store->stop = eventfd(0, EFD_CLOEXEC);
	assert_true(store->stop >= 0);
	store->base = world_print("http://127.0.0.1:%u", ntohs(address.sin_port));
	return store;
}

const char *slow_store_base(const struct slow_store *store)
{
	return store->base;
}

/* Whether @fd can be read from before @timeout; false also when it is to stop. */
static bool wait_for(const struct slow_store *store, int fd, usec_t timeout)
{
	struct pollfd polled[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = store->stop, .events = POLLIN },
	};
	int milliseconds = timeout == USEC_INFINITY ? -1 : (int)(timeout / USEC_PER_MSEC);

	return poll(polled, ARRAY_SIZE(polled), milliseconds) > 0 && !polled[1].revents;
}

static bool is_stopped(const struct slow_store *store)
{
	struct pollfd polled = { .fd = store->stop, .events = POLLIN };

	return poll(&polled, 1, 0) > 0;
}

/* Until somebody comes on another connection. */
static void trickle(const struct slow_store *store, int fd)
{
	static char buffer[64 * 1024];
	const struct slow_speed *speed = &store->speed;

	memset(buffer, ' ', sizeof(buffer));
	if (speed->gives > 0)
		(void)send(fd, head, STRLEN(head), MSG_NOSIGNAL);
	while (!wait_for(store, store->listener, speed->pause) && !is_stopped(store)) {
		(void)recv(fd, buffer, MIN(speed->takes, sizeof(buffer)), MSG_DONTWAIT);
		(void)send(fd, buffer, speed->gives, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static bool pass_on(int from, int to)
{
	char buffer[64 * 1024];
	ssize_t n = recv(from, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	return n > 0 && send(to, buffer, (size_t)n, MSG_NOSIGNAL) == n;
}

static void relay(const struct slow_store *store, int client)
{
	_cleanup_close_ int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (server < 0 || connect(server, (const struct sockaddr *)&store->service,
				  sizeof(store->service)) < 0)
		return;
	while (pass_on(client, server) && pass_on(server, client)) {
		struct pollfd polled[] = {
			{ .fd = client, .events = POLLIN },
			{ .fd = server, .events = POLLIN },
			{ .fd = store->stop, .events = POLLIN },
		};

		(void)poll(polled, ARRAY_SIZE(polled), -1);
		if (polled[2].revents)
			return;
	}
}

static void *serve(void *userdata)
{
	struct slow_store *store = userdata;

	for (bool first = true; wait_for(store, store->listener, USEC_INFINITY);
	     first = false) {
		_cleanup_close_ int fd = accept4(store->listener, NULL, NULL,
						 SOCK_CLOEXEC);

		if (fd >= 0 && first)
			trickle(store, fd);
		else if (fd >= 0)
			relay(store, fd);
	}
	return NULL;
}

void slow_store_serve(struct slow_store *store, uint16_t port)
{
	store->service = local(port);
	assert_int_equal(pthread_create(&store->thread, NULL, serve, store), 0);
	store->runs = true;
}

void slow_store_close(struct slow_store *store)
{
	assert_int_equal(eventfd_write(store->stop, 1), 0);
	if (store->runs)
		assert_int_equal(pthread_join(store->thread, NULL), 0);
	close_fd(store->listener);
	close_fd(store->stop);
	free(store->base);
	free(store);
}
