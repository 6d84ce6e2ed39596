#include <arpa/inet.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "internal.h"

usec_t service_now(struct service *service)
{
	HOLD(service);

	return clock_realtime() + (usec_t)service->clock_offset;
}

const char *request_header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static int bind_port(const char *host, uint16_t port, int *ret)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	_cleanup_close_ int fd = socket(AF_INET,
					SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return -EINVAL;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret = take_fd(&fd);
	return 0;
}

static int port_of(int fd, uint16_t *ret)
{
	struct sockaddr_in address = {};
	socklen_t length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	*ret = ntohs(address.sin_port);
	return 0;
}

static const char *or_else(const char *value, const char *otherwise)
{
	return value ? value : otherwise;
}

static const char *address_of(const struct service_options *options)
{
	return or_else(options->address, "127.0.0.1");
}

static int open_listener(struct service *service, const struct service_options *options)
{
	uint16_t port = options->port;
	_cleanup_close_ int any = -1;
	int r;

	if (port == 0) {
		r = bind_port(address_of(options), 0, &any);
		if (r == 0)
			r = port_of(any, &port);
		if (r < 0)
			return r;
	}
	/* A port that the kernel chose is given back when the listening ends; one that
	 * was asked for is not. */
	r = bind_port(address_of(options), port, &service->listener);
	if (r < 0)
		return r;
	service->port = port;
	return 0;
}

/* With @PORT@ filled in. */
static char *format_base(const struct service *service, const char *base)
{
	const char *at = strstr(base, "@PORT@");
	char *text;

	if (!at)
		return strdup(base);
	return asprintf(&text, "%.*s%u%s", (int)(at - base), base, service->port,
			at + STRLEN("@PORT@")) < 0
		       ? NULL
		       : text;
}

static int make_names(struct service *service, const struct service_options *options)
{
	char host[64];

	(void)snprintf(host, sizeof(host), "%s://%s:%u", options->tls ? "https" : "http",
		       address_of(options), service->port);
	service->content_base = format_base(service,
					    or_else(options->content_base, host));
	service->client_id = strdup(or_else(options->client_id, SERVICE_CLIENT_ID));
	service->client_secret = strdup(or_else(options->client_secret,
						SERVICE_CLIENT_SECRET));
	service->scope = strdup(or_else(options->scope, SERVICE_SCOPE));
	service->signer = options->signer ? strdup(options->signer) : NULL;
	service->judge = options->judge ? strdup(options->judge) : NULL;
	if (asprintf(&service->base_url, "%s" SERVICE_BASE_PATH, host) < 0)
		service->base_url = NULL;
	if (asprintf(&service->token_url, "%s" SERVICE_TOKEN_PATH, host) < 0)
		service->token_url = NULL;
	return service->content_base && service->client_id && service->client_secret &&
			       service->scope && service->base_url &&
			       service->token_url &&
			       !service->signer == !options->signer &&
			       !service->judge == !options->judge
		       ? 0
		       : -ENOMEM;
}

static int start_porter(struct service *service)
{
	int r = -pthread_create(&service->porter, NULL, porter_run, service);

	service->porter_runs = r == 0;
	return r;
}

static struct service *service_new(const struct service_options *options)
{
	struct service *service = calloc(1, sizeof(*service));

	if (!service)
		return NULL;
	TAILQ_INIT(&service->held);
	LIST_INIT(&service->peers);
	(void)pthread_mutex_init(&service->lock, NULL);
	service->listener = -1;
	service->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	service->kind = options->kind;
	service->expires_in = options->expires_in ? options->expires_in : 3600;
	service->url_lifetime = options->url_lifetime ? options->url_lifetime
						      : USEC_PER_HOUR;
	service->size_limit = options->size_limit ? options->size_limit : UINT64_MAX;
	service->no_url_expiry = options->no_url_expiry;
	service->no_date = options->no_date;
	service->counts_only = options->counts_only;
	service->received = options->received;
	service->userdata = options->userdata;
	return service;
}

int service_start(const struct service_options *options, struct service **ret)
{
	_cleanup_(service_stopp) struct service *service = service_new(options);
	int r;

	if (!service)
		return -ENOMEM;
	r = record_init(&service->record, options->counts_only);
	if (r == 0)
		r = depot_init(&service->depot, options->store, options->discard);
	if (r == 0)
		r = open_listener(service, options);
	if (r == 0)
		r = make_names(service, options);
	if (r == 0)
		r = door_set_tls(service, options->tls);
	if (r == 0)
		r = start_porter(service);
	if (r < 0)
		return r;
	service_listen(service);
	*ret = take_ptr(service);
	return 0;
}

static void free_tokens(struct token *token)
{
	while (token) {
		struct token *next = token->next;

		free(token->text);
		free(token);
		token = next;
	}
}

/* Every connection must have gone on before its loop may end. */
static void stop_threads(struct service *service)
{
	service_unlisten(service);
	{
		HOLD(service);
		service->stopping = true;
	}
	if (service->porter_runs) {
		porter_wake(service);
		(void)pthread_join(service->porter, NULL);
	}
	(void)porter_resume(service, 0);
	door_done(service);
}

void service_stop(struct service *service)
{
	if (!service)
		return;
	stop_threads(service);
	service->listener = close_fd(service->listener);
	service->wake = close_fd(service->wake);
	script_done(&service->script);
	depot_done(&service->depot);
	record_done(&service->record);
	free_tokens(service->tokens);
	free(service->base_url);
	free(service->token_url);
	free(service->content_base);
	free(service->client_id);
	free(service->client_secret);
	free(service->scope);
	free(service->signer);
	free(service->judge);
	(void)pthread_mutex_destroy(&service->lock);
	free(service);
}
