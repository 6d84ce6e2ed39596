/* TLS: good certificates, and all that can be wrong with a server's or our own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certificate.h"
#include "macro.h"
#include "world.h"

#define DAY	  (24 * 3600)
#define ELSEWHERE "203.0.113.1" /* of this machine, and neither loopback nor private */

static struct {
	struct certificate authority, stranger; /* the one that we trust, another */
	struct certificate good, expired, early, elsewhere, unknown, lonely, client;
} made;

static struct certificate issue(const struct certificate *issuer, const char *host,
				const char *address, int64_t from, int64_t to)
{
	return certificate_make(&(struct certificate_wish){ .issuer = issuer,
							    .name = "service",
							    .host = host,
							    .address = address,
							    .from = from,
							    .to = to });
}

static struct certificate found_authority(const char *name)
{
	return certificate_make(&(struct certificate_wish){
		.name = name, .from = -DAY, .to = DAY, .authority = true });
}

static int make_certificates(void **state)
{
	const char *host = "localhost", *address = "127.0.0.1";

	(void)state;
	made.authority = found_authority("our authority");
	made.stranger = found_authority("another authority");
	made.good = issue(&made.authority, host, address, -DAY, DAY);
	made.expired = issue(&made.authority, host, address, -2 * DAY, -DAY);
	made.early = issue(&made.authority, host, address, DAY, 2 * DAY);
	made.elsewhere = issue(&made.authority, "elsewhere.test", ELSEWHERE, -DAY, DAY);
	made.unknown = issue(&made.stranger, host, address, -DAY, DAY);
	made.lonely = issue(NULL, host, address, -DAY, DAY);
	made.client = issue(&made.authority, NULL, NULL, -DAY, DAY);
	return 0;
}

static int drop_certificates(void **state)
{
	struct certificate *all = (struct certificate *)&made;

	(void)state;
	for (size_t i = 0; i < sizeof(made) / sizeof(*all); i++)
		certificate_done(&all[i]);
	return 0;
}

/* ---- a world behind TLS ---- */

static struct service_tls tls_of(const struct certificate *certificate)
{
	return (struct service_tls){ .certificate = certificate->pem,
				     .key = certificate->key };
}

static void put_in_world(struct world *w, const char *name, const char *text)
{
	_cleanup_free_ char *path = world_beside(w, name);

	world_write(w, path, text);
}

#define TRUSTING "CAFile=@ROOT@/ca.pem\nConnectTimeout=1s\n"
#define PRESENTING \
	TRUSTING "ClientCertificate=@ROOT@/client.pem\nClientKey=@ROOT@/client.key\n"

/* The storage goes by another name, so that it has connections of its own. One attempt is
 * all that a file has: whatever costs one ends in an error sidecar. */
static void start_behind(struct world *w, const struct service_tls *tls, const char *api,
			 const char *upload)
{
	const struct world_options options = {
		.service = { .tls = tls, .content_base = "https://localhost:@PORT@" },
		.api = api,
		.upload = upload,
		.retry = "InitialDelay=10ms\nMaxDelay=50ms\nMaxAttempts=1\n",
		.no_agent = true,
	};

	world_start(w, &options);
	put_in_world(w, "ca.pem", made.authority.pem);
	put_in_world(w, "client.pem", made.client.pem);
	put_in_world(w, "client.key", made.client.key);
}

static void cut_connections(struct world *w)
{
	service_unlisten(w->service);
	service_listen(w->service);
}

/* ---- good ---- */

static void token_api_and_upload_all_go_over_tls(void **state)
{
	const struct service_tls tls = tls_of(&made.good);
	struct world *w = *state;

	start_behind(w, &tls, TRUSTING, NULL);
	world_launch(w);
	world_drop(w, "small.txt", "in private");
	world_drop_random(w, "large.bin", 8 << 20, 1);
	world_wait_uploaded(w, "small.txt");
	world_wait_uploaded(w, "large.bin");
	world_assert_uploaded(w, "small.txt");
	world_assert_uploaded(w, "large.bin");
	world_stop(w);
}

static void a_client_certificate_is_presented_to_all_three(void **state)
{
	struct service_tls tls = tls_of(&made.good);
	struct world *w = *state;

	tls.trust = made.authority.pem;
	start_behind(w, &tls, PRESENTING, NULL);
	world_launch(w);
	world_drop(w, "known.txt", "from a known client");
	world_wait_uploaded(w, "known.txt");
	world_assert_uploaded(w, "known.txt");
	world_stop(w);
}

/* ---- bad: each endpoint in turn meets it, and is good again ---- */

struct trouble {
	struct service_tls tls;
	bool plain; /* no TLS at all */
	enum service_door door;
	const char *told;
};

static void begin(struct world *w, const struct trouble *trouble)
{
	assert_int_equal(
		service_set_tls(w->service, trouble->plain ? NULL : &trouble->tls), 0);
	service_set_door(w->service, trouble->door);
	world_mark_log(w);
}

static void end(struct world *w)
{
	const struct service_tls good = tls_of(&made.good);

	assert_int_equal(service_set_tls(w->service, &good), 0);
	service_set_door(w->service, DOOR_OPEN);
}

/* It is told once, with the host and the reason, however many probes fail, and @name
 * arrives once the trouble is over. */
static void ride_out(struct world *w, const char *name, const char *gone,
		     const char *back, const struct trouble *trouble)
{
	world_wait_log(w, gone);
	world_wait_log(w, "the probe failed too");
	end(w);
	world_wait_uploaded(w, name);
	world_assert_uploaded(w, name);
	if (world_count_log(w, trouble->told) == 0)
		fail_msg("nothing was told of \"%s\"", trouble->told);
	assert_int_equal(world_count_log(w, gone), 1);
	assert_int_equal(world_count_log(w, back), 1);
	assert_int_equal(world_count_log(w, "WARNING"), 0);
	assert_int_equal(world_count_log(w, "try 2 of"), 0);
}

static void strike_token(struct world *w, const struct trouble *trouble)
{
	_cleanup_free_ char *gone = NULL;

	assert_true(asprintf(&gone, "Authorization fails (%s): ",
			     service_token_url(w->service)) > 0);
	begin(w, trouble);
	world_drop(w, "token.txt", "waits for a token");
	world_launch(w);
	ride_out(w, "token.txt", gone, "Authorization works again", trouble);
}

static void strike_api(struct world *w, const struct trouble *trouble)
{
	_cleanup_free_ char *gone = NULL;

	assert_true(asprintf(&gone,
			     "The API is away (%s): ", service_base_url(w->service)) > 0);
	begin(w, trouble);
	cut_connections(w);
	world_drop(w, "api.txt", "waits for the API");
	ride_out(w, "api.txt", gone, "The API is back", trouble);
}

/* The API's connection stands all the while: only those to the storage are new. */
static void strike_storage(struct world *w, const struct trouble *trouble)
{
	_cleanup_free_ char *gone = NULL;

	assert_true(asprintf(&gone, "The storage is away (localhost:%u): ",
			     service_port(w->service)) > 0);
	cut_connections(w);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 422 });
	world_drop(w, "unwelcome.txt", "only opens the connection");
	world_wait_error_sidecar(w, "unwelcome.txt");
	begin(w, trouble);
	world_drop(w, "storage.txt", "waits for the storage");
	ride_out(w, "storage.txt", gone, "The storage is back", trouble);
	assert_int_equal(service_assets_named(w->service, "storage.txt"), 1);
}

static void meet(struct world *w, const struct trouble *trouble)
{
	const struct service_tls good = tls_of(&made.good);

	start_behind(w, &good, TRUSTING, NULL);
	strike_token(w, trouble);
	strike_api(w, trouble);
	strike_storage(w, trouble);
	world_stop(w);
}

static void an_expired_certificate_is_waited_out(void **state)
{
	meet(*state, &(struct trouble){ .tls = tls_of(&made.expired),
					.told = "certificate has expired" });
}

static void a_certificate_of_tomorrow_is_waited_out(void **state)
{
	meet(*state, &(struct trouble){ .tls = tls_of(&made.early),
					.told = "certificate is not yet valid" });
}

static void a_certificate_for_another_host_is_waited_out(void **state)
{
	meet(*state, &(struct trouble){ .tls = tls_of(&made.elsewhere),
					.told = "no alternative certificate subject name "
						"matches target host name" });
}

static void a_certificate_by_a_stranger_is_waited_out(void **state)
{
	meet(*state, &(struct trouble){ .tls = tls_of(&made.unknown),
					.told = "unable to get local issuer" });
}

static void a_self_signed_certificate_is_waited_out(void **state)
{
	meet(*state, &(struct trouble){ .tls = tls_of(&made.lonely),
					.told = "self-signed certificate" });
}

static void a_server_that_speaks_only_old_tls_is_waited_out(void **state)
{
	struct trouble trouble = { .tls = tls_of(&made.good), .told = "protocol" };

	trouble.tls.priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0";
	meet(*state, &trouble);
}

static void plain_http_in_place_of_tls_is_waited_out(void **state)
{
	meet(*state, &(struct trouble){ .plain = true, .told = "SSL" });
}

static void a_handshake_that_stalls_is_waited_out(void **state)
{
	meet(*state, &(struct trouble){ .tls = tls_of(&made.good),
					.door = DOOR_SILENT,
					.told = "timeout" });
}

static void a_handshake_that_is_cut_is_waited_out(void **state)
{
	meet(*state, &(struct trouble){ .tls = tls_of(&made.good),
					.door = DOOR_CUT,
					.told = "SSL_connect" });
}

static void a_missing_client_certificate_is_waited_out(void **state)
{
	struct trouble trouble = { .tls = tls_of(&made.good),
				   .told = "certificate required" };

	trouble.tls.trust = made.authority.pem;
	meet(*state, &trouble);
}

/* Before TLS 1.3 the handshake itself fails. */
static void a_missing_client_certificate_under_tls_1_2_is_waited_out(void **state)
{
	struct trouble trouble = { .tls = tls_of(&made.good), .told = "alert" };

	trouble.tls.trust = made.authority.pem;
	trouble.tls.priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
	meet(*state, &trouble);
}

/* Where StallTimeout= is up before ConnectTimeout= is: nothing that a file can help. */
static void a_storage_that_lets_nobody_in_costs_no_attempt(void **state)
{
	const struct service_tls good = tls_of(&made.good);
	const struct trouble silent = { .tls = good,
					.door = DOOR_SILENT,
					.told = "no connection for 1.0s" };
	struct world *w = *state;

	start_behind(w, &good, TRUSTING "ConnectTimeout=1h\n", "StallTimeout=1s\n");
	world_launch(w);
	strike_storage(w, &silent);
	world_stop(w);
}

/* ---- plain http beyond this machine ---- */

static void plain_http_to_elsewhere_needs_a_word_of_the_administrator(void **state)
{
	static const struct world_options options = {
		.service = { .address = ELSEWHERE },
		.no_agent = true,
	};
	struct world *w = *state;
	_cleanup_free_ char *directory = NULL, *drop_in = NULL;

	world_start(w, &options);
	world_drop(w, "secret.txt", "not for all to read");
	assert_int_equal(world_run(w, "drain", NULL), 78);
	assert_int_equal(world_count_log(w, "BaseURL= is plain http"), 1);
	assert_int_equal(world_count_log(w, "TokenURL= is plain http"), 1);
	assert_int_equal(service_count(w->service, ENDPOINT_ANY), 0);

	assert_true(asprintf(&directory, "%s.d", w->config) > 0);
	assert_true(asprintf(&drop_in, "%s/word.conf", directory) > 0);
	world_mkdir(w, directory);
	world_write(w, drop_in, "[API]\nAllowInsecure=yes\n");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	world_assert_uploaded(w, "secret.txt");
	world_stop(w);
}

static void a_content_url_of_plain_http_to_elsewhere_is_refused(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *body = NULL;

	start_behind(w,
		     &(struct service_tls){ .certificate = made.good.pem,
					    .key = made.good.key },
		     TRUSTING, NULL);
	assert_true(asprintf(&body,
			     "{\"id\":\"a\",\"contentUrl\":\"http://" ELSEWHERE
			     ":%u/upload?signature=s3cr3t\"}",
			     service_port(w->service)) > 0);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .times = 3,
						   .action = FAULT_ANSWER,
						   .status = 200,
						   .body = body });
	world_drop(w, "secret.txt", "not for all to read");
	world_launch(w);
	world_wait_uploaded(w, "secret.txt");
	world_assert_uploaded(w, "secret.txt");
	assert_int_equal(world_count_log(w, "The API is away"), 1);
	assert_int_equal(
		world_count_log(w, "plain http to " ELSEWHERE " needs AllowInsecure"), 1);
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 1);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	static const char *const addresses[] = { ELSEWHERE, NULL };
	const struct CMUnitTest tests[] = {
		scenario(token_api_and_upload_all_go_over_tls),
		scenario(a_client_certificate_is_presented_to_all_three),
		scenario(an_expired_certificate_is_waited_out),
		scenario(a_certificate_of_tomorrow_is_waited_out),
		scenario(a_certificate_for_another_host_is_waited_out),
		scenario(a_certificate_by_a_stranger_is_waited_out),
		scenario(a_self_signed_certificate_is_waited_out),
		scenario(a_server_that_speaks_only_old_tls_is_waited_out),
		scenario(plain_http_in_place_of_tls_is_waited_out),
		scenario(a_handshake_that_stalls_is_waited_out),
		scenario(a_handshake_that_is_cut_is_waited_out),
		scenario(a_missing_client_certificate_is_waited_out),
		scenario(a_missing_client_certificate_under_tls_1_2_is_waited_out),
		scenario(a_storage_that_lets_nobody_in_costs_no_attempt),
		scenario(plain_http_to_elsewhere_needs_a_word_of_the_administrator),
		scenario(a_content_url_of_plain_http_to_elsewhere_is_refused),
	};

	world_own_network(addresses, "127.0.0.1 localhost\n");
	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
