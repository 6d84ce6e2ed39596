#include "http-sockets.h"
#include "macro.h"

#define ROOM_MIN 64

struct socket_watch {
	uint32_t events; /* that the set has it for; 0: it is not in there */
	uint32_t wanted;
	bool told; /* its end will be */
};

static bool has(const struct sockets *sockets, int fd)
{
	return (size_t)fd < sockets->count;
}

static int make_room(struct sockets *sockets, int fd)
{
	size_t count = MAX(2 * (size_t)fd, (size_t)ROOM_MIN);
	struct socket_watch *larger;

	if (has(sockets, fd))
		return 0;
	larger = reallocarray(sockets->list, count, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	memset(larger + sockets->count, 0, (count - sockets->count) * sizeof(*larger));
	sockets->list = larger;
	sockets->count = count;
	return 0;
}

/* As it is new, nothing that is known of its number is true. */
void sockets_opened(struct sockets *sockets, int fd)
{
	if (make_room(sockets, fd) == 0)
		sockets->list[fd] = (struct socket_watch){ .told = true };
}

/* The close itself takes it out of the set. */
void sockets_closed(struct sockets *sockets, int fd)
{
	if (has(sockets, fd))
		sockets->list[fd] = (struct socket_watch){};
}

static void take_out(struct sockets *sockets, int fd)
{
	if (sockets->list[fd].events)
		(void)epoll_ctl(sockets->fd, EPOLL_CTL_DEL, fd, NULL);
	sockets->list[fd].events = 0;
}

static int put_in(struct sockets *sockets, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int op = sockets->list[fd].events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (epoll_ctl(sockets->fd, op, fd, &event) < 0)
		return -errno;
	sockets->list[fd].events = events;
	return 0;
}

int sockets_want(struct sockets *sockets, int fd, uint32_t events)
{
	int r = make_room(sockets, fd);
	struct socket_watch *watch;

	if (r < 0)
		return r;
	watch = &sockets->list[fd];
	watch->wanted = events;
	if (events && events != watch->events)
		return put_in(sockets, fd, events);
	if (!events && !watch->told)
		take_out(sockets, fd);
	return 0;
}

size_t sockets_ready(struct sockets *sockets, struct epoll_event *events, size_t max)
{
	int count = epoll_wait(sockets->fd, events, (int)max, 0);
	size_t wanted = 0;

	for (int i = 0; i < count; i++)
		if (sockets->list[events[i].data.fd].wanted)
			events[wanted++] = events[i];
		else
			take_out(sockets, events[i].data.fd);
	return wanted;
}

int sockets_init(struct sockets *sockets)
{
	*sockets = (struct sockets){ .fd = epoll_create1(EPOLL_CLOEXEC) };
	return sockets->fd < 0 ? -errno : 0;
}

void sockets_done(struct sockets *sockets)
{
	close_fd(sockets->fd);
	free(sockets->list);
}
