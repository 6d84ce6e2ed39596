/*
 * asset-service: the stand-in of service.h as a program, for demonstrations and
 * benchmarks.
 */

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include "fs.h"
#include "parse.h"
#include "service.h"
#include "text.h"

static const char usage[] =
	"asset-service [OPTION]...\n"
	"Stands in for eGain's Create Asset service, its token endpoint and its store.\n"
	"\n"
	"  --port N             listen on 127.0.0.1:N (default: any free port)\n"
	"  --port-file FILE     write the port there once it listens\n"
	"  --content-base URL   what content URLs begin with (default: where it listens)\n"
	"  --kind KIND          of content URLs: plain, jwt-post, s3, azure, gcs, mixed\n"
	"  --store DIR          keep each content as DIR/ID\n"
	"  --signer PROGRAM     makes the content URLs, of a store elsewhere: called\n"
	"                       with ID NAME TYPE SIZE SECONDS, prints the URL\n"
	"  --judge PROGRAM      knows the tokens, of a server elsewhere: called with\n"
	"                       one, prints \"good\"\n"
	"  --size-limit BYTES   refuse larger assets\n"
	"  --discard            keep no contents\n"
	"  --client-id ID       what it takes for credentials (default: " SERVICE_CLIENT_ID
	")\n"
	"  --client-secret S    (default: " SERVICE_CLIENT_SECRET ")\n"
	"  --scope SCOPE        (default: " SERVICE_SCOPE ")\n"
	"  --expires-in S       lifetime of tokens in seconds\n"
	"  --url-lifetime S     of content URLs, in seconds\n"
	"  --latency MS         before each answer\n"
	"  --quiet              no line for each asset that has come\n"
	"  --help\n"
	"\n"
	"Stops on SIGTERM or SIGINT; 1 if a client broke the contract meanwhile.\n";

struct settings {
	struct service_options service;
	const char *port_file;
	uint64_t latency;
	bool quiet;
};

static void print_received(void *userdata, const struct service_asset *asset)
{
	_cleanup_free_ char *name = text_escape(asset->name, strlen(asset->name));

	(void)userdata;
	(void)printf("%s %" PRIu64 " %s %016" PRIx64 " %s\n", asset->id, asset->size,
		     asset->content_type, asset->hash, name ? name : "?");
	(void)fflush(stdout);
}

static bool number(const char *text, uint64_t max, uint64_t *ret)
{
	return parse_unsigned(text, ret) == 0 && *ret <= max;
}

/* False: a bad value. */
static bool set(struct settings *settings, int option, const char *value)
{
	struct service_options *service = &settings->service;
	uint64_t n = 0;

	switch (option) {
	case 'p':
		if (!number(value, UINT16_MAX, &n))
			return false;
		service->port = (uint16_t)n;
		return true;
	case 'e':
		if (!number(value, INT_MAX, &n))
			return false;
		service->expires_in = (int)n;
		return true;
	case 'u':
		if (!number(value, INT_MAX, &n))
			return false;
		service->url_lifetime = n * USEC_PER_SEC;
		return true;
	case 'l': return number(value, 3600000, &settings->latency);
	case 'b': service->content_base = value; return true;
	case 'k': return url_kind_parse(value, &service->kind) == 0;
	case 'f': settings->port_file = value; return true;
	case 's': service->store = value; return true;
	case 'm': return number(value, UINT64_MAX, &service->size_limit);
	case 'g': service->signer = value; return true;
	case 'j': service->judge = value; return true;
	case 'd': service->discard = true; return true;
	case 'i': service->client_id = value; return true;
	case 'c': service->client_secret = value; return true;
	case 'o': service->scope = value; return true;
	case 'q': settings->quiet = true; return true;
	default: return false;
	}
}

/* Does not return when there is nothing to serve. */
static void read_arguments(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "port-file", required_argument, NULL, 'f' },
		{ "content-base", required_argument, NULL, 'b' },
		{ "kind", required_argument, NULL, 'k' },
		{ "store", required_argument, NULL, 's' },
		{ "size-limit", required_argument, NULL, 'm' },
		{ "signer", required_argument, NULL, 'g' },
		{ "judge", required_argument, NULL, 'j' },
		{ "url-lifetime", required_argument, NULL, 'u' },
		{ "discard", no_argument, NULL, 'd' },
		{ "client-id", required_argument, NULL, 'i' },
		{ "client-secret", required_argument, NULL, 'c' },
		{ "scope", required_argument, NULL, 'o' },
		{ "expires-in", required_argument, NULL, 'e' },
		{ "latency", required_argument, NULL, 'l' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			exit(0);
		}
		if (!set(settings, option, optarg)) {
			(void)fprintf(stderr, "See asset-service --help.\n");
			exit(2);
		}
	}
	if (optind != argc) {
		(void)fprintf(stderr,
			      "There are no arguments; see asset-service --help.\n");
		exit(2);
	}
}

static int write_port(const char *path, uint16_t port)
{
	struct fs_write how = { .mode = 0644, .group = (gid_t)-1 };
	_cleanup_close_ int directory = -1;
	_cleanup_free_ char *parent = strdup(path);
	char text[16], *slash = parent ? strrchr(parent, '/') : NULL;

	if (slash)
		*slash = '\0';
	directory = open(!slash		   ? "."
			 : slash == parent ? "/"
					   : parent,
			 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	(void)snprintf(text, sizeof(text), "%u\n", port);
	return fs_write_atomic(directory, slash ? slash + 1 : path, text, strlen(text),
			       &how);
}

/* Thousands of connections at once need more than a shell's usual 1024 descriptors. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int serve(const struct settings *settings, const sigset_t *signals)
{
	_cleanup_(service_stopp) struct service *service = NULL;
	_cleanup_free_ char *violations = NULL;
	int r = service_start(&settings->service, &service), signal;

	if (r == 0 && settings->port_file)
		r = write_port(settings->port_file, service_port(service));
	if (r < 0) {
		(void)fprintf(stderr, "asset-service: %s\n", strerror(-r));
		return 1;
	}
	if (settings->latency)
		service_fault(service, &(struct fault){ .phase = FAULT_CARRIED_OUT,
							.delay = settings->latency *
								 USEC_PER_MSEC });
	(void)printf("BaseURL=%s TokenURL=%s\n", service_base_url(service),
		     service_token_url(service));
	(void)fflush(stdout);

	(void)sigwait(signals, &signal);
	violations = service_violations(service);
	if (violations)
		(void)fputs(violations, stderr);
	return violations ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct settings settings = { .service = { .counts_only = true } };
	sigset_t signals;

	read_arguments(argc, argv, &settings);
	if (!settings.quiet)
		settings.service.received = print_received;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	/* Before there are threads, which inherit this. */
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	raise_limit();
	return serve(&settings, &signals);
}
