#include <poll.h>
#include <sys/socket.h>

#include "internal.h"

#define FIRST_WORDS_MS 1000 /* for a client to say something, at a door that cuts */

/* ---- loops ---- */

static struct MHD_Daemon *start_loop(struct loops *loops, const struct service_tls *tls)
{
	struct service *service = loops->service;
	struct MHD_OptionItem options[8] = { { .option = MHD_OPTION_END } };
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
	size_t n = 0;

#define ADD_OPTION(o, text) \
	options[n++] = (struct MHD_OptionItem) \
	{ \
		.option = (o), .ptr_value = (void *)(text) \
	}
	if (tls) {
		ADD_OPTION(MHD_OPTION_HTTPS_MEM_CERT, tls->certificate);
		ADD_OPTION(MHD_OPTION_HTTPS_MEM_KEY, tls->key);
		if (tls->trust)
			ADD_OPTION(MHD_OPTION_HTTPS_MEM_TRUST, tls->trust);
		if (tls->priorities)
			ADD_OPTION(MHD_OPTION_HTTPS_PRIORITIES, tls->priorities);
	}
	options[n].option = MHD_OPTION_END;
#undef ADD_OPTION
	if (tls)
		flags |= MHD_USE_TLS;
	if (service->no_date)
		flags |= MHD_USE_SUPPRESS_DATE_NO_CLOCK;
	return MHD_start_daemon(flags, 0, NULL, NULL, exchange_request, service,
				MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, service,
				MHD_OPTION_NOTIFY_COMPLETED, exchange_end, service,
				MHD_OPTION_NOTIFY_CONNECTION, porter_connection, loops,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)64 * 1024,
				MHD_OPTION_CONNECTION_LIMIT, SERVICE_CONNECTIONS,
				MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static void loops_free(struct loops *loops)
{
	for (size_t i = 0; i < SERVICE_LOOPS; i++) {
		if (loops->daemons[i])
			MHD_stop_daemon(loops->daemons[i]);
	}
	free(loops);
}

int door_set_tls(struct service *service, const struct service_tls *tls)
{
	struct loops *loops = calloc(1, sizeof(*loops));

	if (!loops)
		return -ENOMEM;
	loops->service = service;
	loops->asks = tls && tls->trust;
	for (size_t i = 0; i < SERVICE_LOOPS; i++) {
		loops->daemons[i] = start_loop(loops, tls);
		if (!loops->daemons[i]) {
			loops_free(loops);
			return -EIO;
		}
	}
	{
		HOLD(service);
		/* The older ones go on for who is in already. */
		loops->older = service->loops;
		service->loops = loops;
	}
	return 0;
}

int service_set_tls(struct service *service, const struct service_tls *tls)
{
	return door_set_tls(service, tls);
}

/* ---- the door ---- */

struct guest {
	int fd;
	struct guest *next;
};

/* Kept until the door is another. */
static void keep_waiting(struct service *service, int fd)
{
	struct guest *guest = malloc(sizeof(*guest));

	if (!guest) {
		(void)close_fd(fd);
		return;
	}
	HOLD(service);
	*guest = (struct guest){ .fd = fd, .next = service->guests };
	service->guests = guest;
}

static void send_away(struct service *service)
{
	struct guest *guest;
	HOLD(service);

	while ((guest = service->guests)) {
		service->guests = guest->next;
		(void)close_fd(guest->fd);
		free(guest);
	}
}

/* Reads what it says first, so that the end is a FIN and no RST. */
static void cut(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	char words[4096];

	(void)poll(&polled, 1, FIRST_WORDS_MS);
	while (recv(fd, words, sizeof(words), MSG_DONTWAIT) > 0)
		;
	(void)close_fd(fd);
}

void door_admit(struct service *service, int fd, const struct sockaddr *address,
		socklen_t length, unsigned turn)
{
	enum service_door door;
	struct loops *loops;

	{
		HOLD(service);
		door = service->door;
		loops = service->loops;
	}
	switch (door) {
	case DOOR_OPEN:
		/* It closes fd when it fails. */
		(void)MHD_add_connection(loops->daemons[turn % SERVICE_LOOPS], fd,
					 address, length);
		break;
	case DOOR_SILENT: keep_waiting(service, fd); break;
	case DOOR_CUT: cut(fd); break;
	}
}

void service_set_door(struct service *service, enum service_door door)
{
	{
		HOLD(service);
		service->door = door;
	}
	send_away(service);
}

void door_done(struct service *service)
{
	struct loops *loops;

	send_away(service);
	while ((loops = service->loops)) {
		service->loops = loops->older;
		loops_free(loops);
	}
}
