#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>

#include "internal.h"

void porter_wake(struct service *service)
{
	(void)!write(service->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* ---- requests that wait ---- */

/* Most delays are alike, so the place is near the end. True: it is the first. */
static bool insert_held(struct service *service, struct request *request)
{
	struct request *before;

	TAILQ_FOREACH_REVERSE(before, &service->held, held, entry)
	{
		if (before->due <= request->due)
			break;
	}
	if (before)
		TAILQ_INSERT_AFTER(&service->held, before, request, entry);
	else
		TAILQ_INSERT_HEAD(&service->held, request, entry);
	return !before;
}

void porter_hold(struct request *request, usec_t due)
{
	struct service *service = request->service;
	bool first = false, dropped;

	/* Before anybody could resume it, for that would be lost. */
	MHD_suspend_connection(request->connection);
	{
		HOLD(service);
		request->due = due;
		dropped = request->dropped = service->stopping;
		if (!dropped) {
			first = insert_held(service, request);
			/* Told last: whoever waits for it may release it at once. */
			record_held(&service->record, 1);
		}
	}
	/* What is held is the porter's by now. */
	if (dropped)
		MHD_resume_connection(request->connection);
	if (first)
		porter_wake(service);
}

/* Gives it a little more of its drip. False: it is to go on, since its client is gone. */
static bool drip_on(struct service *service, struct request *request)
{
	usec_t pace = MAX(request->drip->pace, USEC_PER_MSEC);
	bool lives = answer_drip(request);
	HOLD(service);

	request->dropped = !lives || service->stopping;
	if (request->dropped)
		return false;
	request->due = usec_add(clock_monotonic(), pace);
	(void)insert_held(service, request);
	return true;
}

static struct request *take_due(struct service *service, usec_t now, usec_t *ret_next)
{
	struct request *request;
	HOLD(service);

	request = TAILQ_FIRST(&service->held);
	*ret_next = request ? request->due : USEC_INFINITY;
	if (!request || (request->due > now && !service->stopping))
		return NULL;
	TAILQ_REMOVE(&service->held, request, entry);
	request->dropped = service->stopping;
	return request;
}

usec_t porter_resume(struct service *service, usec_t now)
{
	struct request *request;
	usec_t next;

	while ((request = take_due(service, now, &next))) {
		if (request->drip && !request->dropped && drip_on(service, request))
			continue;
		record_held(&service->record, -1);
		/* Not under the lock, for MHD has its own. */
		MHD_resume_connection(request->connection);
	}
	return next;
}

void service_release(struct service *service)
{
	struct request *request;

	{
		HOLD(service);
		TAILQ_FOREACH (request, &service->held, entry)
			request->due = 0;
	}
	porter_wake(service);
}

/* ---- connections ---- */

/* As servers do it that know their trade: the client is told why, and has read it
 * before its connection is gone. */
static int verify_client(gnutls_session_t session)
{
	struct pollfd polled = { .fd = gnutls_transport_get_int(session),
				 .events = POLLRDHUP };
	unsigned status = 0, count = 0;

	if (gnutls_certificate_get_peers(session, &count) &&
	    gnutls_certificate_verify_peers2(session, &status) == 0 && status == 0)
		return 0;
	(void)gnutls_alert_send(session, GNUTLS_AL_FATAL,
				count > 0 ? GNUTLS_A_UNKNOWN_CA
					  : GNUTLS_A_CERTIFICATE_REQUIRED);
	(void)poll(&polled, 1, 1000);
	return -1;
}

/* MHD only asks for a certificate, and takes whatever comes. */
static void demand_certificate(struct MHD_Connection *connection)
{
	gnutls_session_t session = MHD_get_connection_info(
					   connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)
					   ->tls_session;

	gnutls_session_set_verify_function(session, verify_client);
}

void porter_connection(void *userdata, struct MHD_Connection *connection, void **context,
		       enum MHD_ConnectionNotificationCode code)
{
	struct loops *loops = userdata;
	struct service *service = loops->service;
	struct peer *peer = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		if (loops->asks)
			demand_certificate(connection);
		peer = calloc(1, sizeof(*peer));
		if (!peer)
			return;
		peer->fd = MHD_get_connection_info(connection,
						   MHD_CONNECTION_INFO_CONNECTION_FD)
				   ->connect_fd;
		*context = peer;
	}
	if (!peer)
		return;

	HOLD(service);
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		LIST_INSERT_HEAD(&service->peers, peer, entry);
		/* It came in while the door was being shut. */
		if (!service->listening)
			(void)shutdown(peer->fd, SHUT_RDWR);
	} else {
		LIST_REMOVE(peer, entry);
		free(peer);
	}
}

static void accept_all(struct service *service, unsigned *turn)
{
	for (;;) {
		struct sockaddr_storage address;
		socklen_t length = sizeof(address);
		int fd = accept4(service->listener, (struct sockaddr *)&address, &length,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		door_admit(service, fd, (struct sockaddr *)&address, length, (*turn)++);
	}
}

static bool look(struct service *service, bool *ret_listening)
{
	HOLD(service);

	*ret_listening = service->listening;
	return !service->stopping;
}

void *porter_run(void *userdata)
{
	struct service *service = userdata;
	unsigned turn = 0;
	bool listening;

	for (;;) {
		usec_t now = clock_monotonic(), due = porter_resume(service, now);
		struct timespec timeout = usec_to_timespec(usec_sub(due, now));
		struct pollfd polled[] = {
			{ .fd = service->wake, .events = POLLIN },
			{ .fd = service->listener, .events = POLLIN },
		};

		if (!look(service, &listening))
			return NULL;
		(void)ppoll(polled, listening ? 2 : 1,
			    due == USEC_INFINITY ? NULL : &timeout, NULL);
		if (polled[0].revents)
			(void)!read(service->wake, &(uint64_t){ 0 }, sizeof(uint64_t));
		if (listening && polled[1].revents)
			accept_all(service, &turn);
	}
}

void service_unlisten(struct service *service)
{
	struct peer *peer;
	HOLD(service);

	if (!service->listening)
		return;
	service->listening = false;
	/* On Linux this ends only the listening: the socket stays bound to its port. */
	(void)shutdown(service->listener, SHUT_RDWR);
	LIST_FOREACH (peer, &service->peers, entry)
		(void)shutdown(peer->fd, SHUT_RDWR);
}

void service_listen(struct service *service)
{
	{
		HOLD(service);
		if (service->listening)
			return;
		(void)listen(service->listener, LISTEN_BACKLOG);
		service->listening = true;
	}
	porter_wake(service);
}
