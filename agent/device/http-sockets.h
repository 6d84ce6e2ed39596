#pragma once

/*
 * HTTP-sockets: which of curl's sockets an epoll instance waits for, at few system calls.
 *
 * Between two requests curl takes its hands off a connection, and then waits for the same
 * again. So a socket stays in the set until it is closed, something else is waited for,
 * or it stirs while nobody waits for it. Only http's own modules include this.
 */

#include <stddef.h>
#include <stdint.h>

#include <sys/epoll.h>

struct sockets {
	int fd; /* the epoll instance: readable when sockets_ready() has something */
	struct socket_watch *list; /* by descriptor */
	size_t count;
};

/* 0 or a negative errno. done() takes what init() did not get to, too. */
int sockets_init(struct sockets *sockets);
void sockets_done(struct sockets *sockets);

/* @fd was opened for curl, and sockets_closed() will tell of its end: without that it
 * could not be told from the next one of its number. */
void sockets_opened(struct sockets *sockets, int fd);
void sockets_closed(struct sockets *sockets, int fd);

/* Waits for @events (of epoll_ctl(2), 0: none) of @fd. 0 or a negative errno. */
int sockets_want(struct sockets *sockets, int fd, uint32_t events);

/* Up to @max of those that are ready now (data.fd). Returns how many. */
size_t sockets_ready(struct sockets *sockets, struct epoll_event *events, size_t max);
