#include <endian.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "journal.h"
#include "macro.h"

#define SOCKET "/run/systemd/journal/socket"

/* A burst may fill the journal's queue for a moment. */
#define PATIENCE_USEC 100000

static int open_socket(void)
{
	const struct timeval patience = { .tv_usec = PATIENCE_USEC };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		fd = close_fd(fd);
	return fd;
}

static char *put(char *end, const void *bytes, size_t length)
{
	return mempcpy(end, bytes, length);
}

/* A value with a newline in it follows its length, in 64 bits. */
static char *put_field(char *end, const struct iovec *field)
{
	const char *text = field->iov_base, *value = memchr(text, '=', field->iov_len);
	size_t name = value ? (size_t)(value - text) : field->iov_len;
	uint64_t length;

	if (!value || !memchr(text, '\n', field->iov_len)) {
		end = put(end, text, field->iov_len);
		return put(end, "\n", 1);
	}
	length = htole64(field->iov_len - name - 1);
	end = put(end, text, name);
	end = put(end, "\n", 1);
	end = put(end, &length, sizeof(length));
	end = put(end, value + 1, field->iov_len - name - 1);
	return put(end, "\n", 1);
}

static int send_entry(int fd, const char *entry, size_t length)
{
	static const struct sockaddr_un address = { .sun_family = AF_UNIX,
						    .sun_path = SOCKET };
	static bool stuck; /* since when nothing is waited for any more */
	int flags = MSG_NOSIGNAL | (stuck ? MSG_DONTWAIT : 0);
	ssize_t n = sendto(fd, entry, length, flags, (const struct sockaddr *)&address,
			   sizeof(address));
	int error = n < 0 ? -errno : 0;

	stuck = error == -EAGAIN;
	return error;
}

int journal_send(const struct iovec *fields, int count)
{
	static int fd = -1;
	_cleanup_free_ char *entry = NULL;
	size_t room = 1;
	char *end;

	if (fd < 0)
		fd = open_socket();
	if (fd < 0)
		return -errno;
	for (int i = 0; i < count; i++)
		room += fields[i].iov_len + sizeof(uint64_t) + 2;
	entry = end = malloc(room);
	if (!entry)
		return -ENOMEM;
	for (int i = 0; i < count; i++)
		end = put_field(end, &fields[i]);
	return send_entry(fd, entry, (size_t)(end - entry));
}
