#include <netinet/in.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "check-parts.h"
#include "http.h"
#include "log.h"

#define PATIENCE (10 * USEC_PER_SEC)

/* libcurl reads certificate and key before it says its first word, whichever TLS library
 * it has. So it is made to speak to us: that it speaks is the proof. */
struct pair {
	sd_event *event;
	int listener, peer;
	bool spoke;
	char problem[256];
};

static int on_word(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct pair *pair = userdata;
	char byte;

	(void)revents;
	pair->spoke |= recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	pair->peer = close_fd(pair->peer); /* which ends the request */
	return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents,
			 void *userdata)
{
	struct pair *pair = userdata;

	(void)source;
	(void)revents;
	if (pair->peer >= 0)
		return 0;
	pair->peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (pair->peer < 0)
		return 0;
	return sd_event_add_io(pair->event, NULL, pair->peer, EPOLLIN, on_word, pair);
}

static void on_done(void *userdata, const struct http_answer *answer)
{
	struct pair *pair = userdata;

	snprintf(pair->problem, sizeof(pair->problem), "%s", answer->problem);
	(void)sd_event_exit(pair->event, 0);
}

static int listen_here(int *ret, uint16_t *ret_port)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 ||
	    listen(fd, 1) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	*ret_port = ntohs(address.sin_port);
	*ret = take_fd(&fd);
	return 0;
}

static int speak(struct pair *pair, struct http *http)
{
	char url[64];
	const struct http_call call = {
		.method = "GET",
		.url = url,
		.file = -1,
		.timeout = PATIENCE,
		.stall_timeout = USEC_INFINITY,
	};
	uint16_t port = 0;
	int r;

	r = listen_here(&pair->listener, &port);
	if (r >= 0)
		r = sd_event_add_io(pair->event, NULL, pair->listener, EPOLLIN,
				    on_connection, pair);
	if (r < 0)
		return r;
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", port);
	r = http_start(http, &call, on_done, pair, NULL);
	return r < 0 ? r : sd_event_loop(pair->event);
}

/* 0 or a negative errno: it could not be tried. */
static int try_pair(struct check *c, struct pair *pair)
{
	const struct http_settings settings = {
		.client_certificate = c->config->api.client_certificate,
		.client_key = c->config->api.client_key,
		.proxy = "", /* none */
		.connect_timeout = PATIENCE,
		.connections_max = 1,
	};
	struct http *http = NULL;
	int r;

	r = sd_event_new(&pair->event);
	if (r >= 0)
		r = http_new(pair->event, &settings, &http);
	if (r >= 0)
		r = speak(pair, http);
	http_free(http);
	close_fd(pair->peer);
	close_fd(pair->listener);
	sd_event_unref(pair->event);
	return r;
}

void check_pair(struct check *c)
{
	const char *key = c->config->api.client_key;
	struct pair pair = { .listener = -1, .peer = -1 };
	int r;

	key = key ? key : c->config->api.client_certificate;
	/* What only the service's user can read, we can't try. */
	if (access(key, R_OK) < 0)
		return;
	r = try_pair(c, &pair);
	if (r < 0)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "Whether ClientKey=%s belongs to the certificate could not "
			    "be tried: %s.",
			    key, log_errno(r));
	else if (pair.spoke)
		screen_mark(&c->screen, SCREEN_OK,
			    "ClientKey=%s belongs to the certificate.", key);
	else
		screen_mark(&c->screen, SCREEN_FAILED,
			    "ClientKey=%s can't be used with its certificate: %s.", key,
			    pair.problem);
}
