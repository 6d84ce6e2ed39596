#include <inttypes.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "notify.h"

/* sd_notify() waits where the manager's queue is full; this does not. */
static int send_at_once(const char *message, size_t length)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	_cleanup_close_ int fd = -1;
	socklen_t size;

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return 0;
	memcpy(address.sun_path, path, strlen(path));
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (address.sun_path[0] == '@') /* an abstract socket */
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -EAGAIN;
	if (sendto(fd, message, length, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&address, size) < 0)
		return errno == EAGAIN ? -EAGAIN : 0;
	return 0;
}

int notify_ready(void)
{
	static const char message[] = "READY=1";

	return send_at_once(message, STRLEN(message));
}

/* The instant tells the manager of which reload that is; the clock is the protocol's. */
void notify_reloading(void)
{
	struct timespec now = {};
	char message[96];
	int length;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	length = snprintf(message, sizeof(message),
			  "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
			  usec_from_timespec(now));
	(void)send_at_once(message, (size_t)length);
}

bool notify_is_heard(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

void notify_extend(usec_t more)
{
	char message[64];
	int length = snprintf(message, sizeof(message), "EXTEND_TIMEOUT_USEC=%" PRIu64,
			      more);

	(void)send_at_once(message, (size_t)length);
}

void notify_stopping(void)
{
	static const char message[] = "STOPPING=1";

	(void)send_at_once(message, STRLEN(message));
}

int notify_status(const char *format, ...)
{
	_cleanup_free_ char *text = NULL, *message = NULL;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0) {
		text = NULL;
		return -EAGAIN;
	}
	length = asprintf(&message, "STATUS=%s", text);
	if (length < 0) {
		message = NULL;
		return -EAGAIN;
	}
	return send_at_once(message, (size_t)length);
}
