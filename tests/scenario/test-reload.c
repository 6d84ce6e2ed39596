/* SIGHUP: another configuration, or none, while all goes on. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "certificate.h"
#include "macro.h"
#include "world.h"

static const struct world_options plain;

static void hold(struct world *w, enum endpoint endpoint, enum fault_phase phase)
{
	service_fault(w->service, &(struct fault){ .endpoint = endpoint,
						   .times = 1,
						   .phase = phase,
						   .action = FAULT_STALL });
}

static void wait_held(struct world *w, size_t n)
{
	assert_true(service_wait_held(w->service, n, world_patience()));
}

static char *in(const char *directory, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
	return path;
}

/* ---- good and bad ---- */

static void nothing_new_is_reloaded_and_told(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_upload(w, "before.txt");
	world_reload(w);
	world_wait_log(w, "Reloaded the configuration: no key changed.");
	world_upload(w, "after.txt");
	world_stop(w);
}

static void what_changed_is_told_by_name_and_never_by_value(void **state)
{
	static const struct world_options other = {
		.api = "Timeout=31s\nProxy=http://somebody:hunter2@127.0.0.1:1\n"
		       "Proxy=\n",
		.upload = "Header=X-Key: of-great-value\nMaxConcurrent=3\n",
		.spool = "Settle=30ms\nMaxSize=10M\n",
		.spools = { "more" },
	};
	struct world *w = *state;

	world_start(w, NULL);
	world_reconfigure(w, &other);
	world_wait_log(w, "Reloaded the configuration: spool more added; "
			  "spool first: Settle, MaxSize changed; [API] Timeout changed; "
			  "[Upload] Header, MaxConcurrent changed.");
	assert_int_equal(world_count_log(w, "great-value"), 0);
	assert_int_equal(world_count_log(w, "hunter2"), 0);
	world_reconfigure(w, &plain);
	world_wait_log(w, "Reloaded the configuration: spool first: Settle, MaxSize "
			  "changed; spool more removed;");
	world_stop(w);
}

static void a_bad_configuration_is_refused_with_each_fault(void **state)
{
	static const struct world_options bad = {
		.api = "Timeout=soon\n",
		.spool = "Settel=1s\nAfterUpload=move\n",
	};
	struct world *w = *state;

	world_start(w, NULL);
	world_reconfigure(w, &bad);
	world_wait_log(w, "agent.conf:3: Timeout= must be");
	world_wait_log(w, "unknown key Settel=");
	world_wait_log(w, "AfterUpload=move, but DoneDirectory= is missing");
	world_wait_log(w, "The configuration was not reloaded, for 3 faults. The old one "
			  "stays in force.");
	assert_int_equal(world_count_log(w, "Reloaded"), 0);
	world_upload(w, "goes-on.txt");
	world_reconfigure(w, &plain);
	world_wait_log(w, "Reloaded the configuration: no key changed.");
	world_stop(w);
}

static void a_configuration_that_is_gone_is_refused(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	world_remove(w, w->config);
	world_reload(w);
	world_wait_log(w, "agent.conf: can't be read: No such file or directory");
	world_wait_log(w, "The configuration was not reloaded, for 1 fault.");
	world_upload(w, "goes-on.txt");
	world_stop(w);
}

static void the_state_directory_cannot_change(void **state)
{
	static const struct world_options other = {
		.spool = "Settle=1s\n[State]\nDirectory=@ROOT@/elsewhere\n",
	};
	struct world *w = *state;

	world_start(w, NULL);
	world_reconfigure(w, &other);
	world_wait_log(w, "[State] Directory= can't change while the agent runs: that "
			  "needs a restart");
	world_wait_log(w, "The configuration was not reloaded, for 1 fault.");
	world_upload(w, "goes-on.txt");
	world_stop(w);
}

/* ---- as the unit asks for it ---- */

static void set(struct world *w, const char *format, ...) _printf_(2, 3);
static void set(struct world *w, const char *format, ...)
{
	_cleanup_free_ char *variable = NULL;
	va_list args;

	va_start(args, format);
	assert_true(vasprintf(&variable, format, args) > 0);
	va_end(args);
	world_set_environment(w, variable);
}

static void whoever_asks_for_a_reload_learns_what_came_of_it(void **state)
{
	static const struct world_options bad = { .spool = "Settel=1s\n" };
	static const struct world_options frozen = {
		.spool = "[State]\nDirectory=@ROOT@/elsewhere\n",
	};
	static const struct world_options good = { .spool = "MaxSize=1M\n" };
	struct world *w = *state;

	world_start(w, &(struct world_options){ .no_agent = true });
	set(w, "RUNTIME_DIRECTORY=%s", w->root);
	world_launch(w);
	world_wait_ready(w);
	set(w, "MAINPID=%d", (int)w->pid);
	assert_int_equal(world_run(w, "reload", NULL), 0);
	world_configure(w, &bad);
	assert_int_equal(world_run(w, "reload", NULL), 78);
	world_wait_status(w, "; reload refused at ");
	/* No fault of its own: only with the one in force it does not go together. */
	world_configure(w, &frozen);
	assert_int_equal(world_run(w, "reload", NULL), 78);
	world_wait_log(w, "Directory= can't change");
	world_configure(w, &good);
	assert_int_equal(world_run(w, "reload", NULL), 0);
	world_wait_log(w, "MaxSize changed");
	world_wait_status(w, "failed 0");
	assert_null(strstr(world_status(w), "refused"));
	world_stop(w);
}

/* What it can't say is not taken for good. */
static void a_reload_that_nobody_speaks_of_fails(void **state)
{
	struct world *w = *state;
	pid_t gone;

	world_start(w, &(struct world_options){ .no_agent = true });
	assert_int_equal(world_run(w, "reload", NULL), 1);
	world_wait_log(w, "use: systemctl reload asset-agent");
	set(w, "RUNTIME_DIRECTORY=%s", w->root);
	world_launch(w);
	world_wait_ready(w);
	gone = w->pid;
	world_kill9(w);
	set(w, "MAINPID=%d", (int)gone);
	assert_int_equal(world_run(w, "reload", NULL), 1);
	world_wait_log(w, "could not reload: No such process");
	world_stop(w);
}

static void mime_types_that_cannot_be_read_are_refused(void **state)
{
	static const struct world_options other = {
		.upload = "MimeTypes=@ROOT@/spool\n"
	};
	struct world *w = *state;

	world_start(w, NULL);
	world_reconfigure(w, &other);
	world_wait_log(w, "/spool: ");
	world_wait_log(w, "The configuration was not reloaded: ");
	world_upload(w, "goes-on.txt");
	world_stop(w);
}

/* ---- spools ---- */

static void a_spool_that_is_added_is_watched_at_once(void **state)
{
	static const struct world_options more = { .spools = { "more" } };
	_cleanup_free_ char *early = NULL, *late = NULL;
	struct world *w = *state;

	world_start(w, NULL);
	early = in(w->root, "more/early.txt");
	late = in(w->root, "more/late.txt");
	world_configure(w, &more);
	world_drop(w, early, "was there before");
	world_reload(w);
	world_wait_uploaded(w, early);
	world_upload(w, late);
	world_upload(w, "first.txt");
	world_stop(w);
}

static void a_spool_that_is_removed_is_left_alone(void **state)
{
	static const struct world_options two = { .spools = { "more" } };
	_cleanup_free_ char *kept = NULL, *left = NULL;
	struct world *w = *state;

	world_start(w, &two);
	kept = in(w->root, "more/kept.txt");
	left = in(w->root, "more/left.txt");
	world_upload(w, kept);
	world_reconfigure(w, &plain);
	world_drop(w, left, "nobody looks here");
	world_upload(w, "first.txt");
	world_reload(w);
	assert_false(world_has_sidecar(w, left));
	assert_int_equal(service_asset_count(w->service), 2);
	world_reconfigure(w, &two);
	world_wait_uploaded(w, left);
	world_assert_uploaded(w, left);
	world_stop(w);
}

static void an_upload_from_a_spool_that_is_removed_ends_by_its_settings(void **state)
{
	static const struct world_options two = {
		.spools = { "more" }, .spool_of = { "AfterUpload=delete\n" }
	};
	_cleanup_free_ char *file = NULL, *waits = NULL;
	struct world *w = *state;

	world_start(w, &two);
	file = in(w->root, "more/file.bin");
	waits = in(w->root, "more/waits.bin");
	hold(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER);
	world_drop_random(w, file, 3 << 20, 1);
	wait_held(w, 1);
	world_reconfigure(w, &plain);
	world_drop(w, waits, "not any more");
	service_release(w->service);
	world_wait_sidecar(w, file);
	world_wait_gone(w, file);
	world_upload(w, "first.txt");
	assert_false(world_has_sidecar(w, waits));
	assert_int_equal(service_asset_count(w->service), 2);
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 2);
	world_stop(w);
}

static void an_upload_finds_its_spool_when_that_is_back(void **state)
{
	static const struct world_options two = { .spools = { "more" },
						  .spool = "PollInterval=50ms\n" };
	_cleanup_free_ char *file = NULL, *next = NULL, *elsewhere = NULL;
	struct world *w = *state;

	world_start(w, &two);
	file = in(w->root, "more/file.bin");
	next = in(w->root, "more/next.bin");
	elsewhere = in(w->root, "elsewhere");
	hold(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER);
	world_drop_random(w, file, 3 << 20, 1);
	wait_held(w, 1);
	world_reconfigure(w, &plain);
	world_configure(w, &two);
	world_rename(w, w->spools[0], elsewhere, 0);
	world_reload(w);
	world_wait_log(w, "can't be opened");
	world_rename(w, elsewhere, w->spools[0], 0);
	world_wait_log(w, "is back");
	/* With that it has looked at the other one, too. */
	world_upload(w, next);
	assert_int_equal(service_asset_count(w->service), 2);
	service_release(w->service);
	world_wait_uploaded(w, file);
	world_assert_uploaded(w, file);
	assert_int_equal(service_asset_count(w->service), 2);
	world_stop(w);
}

static void the_settings_of_a_spool_count_from_now_on(void **state)
{
	static const struct world_options other = {
		.spool = "ChannelType=custom.teams\nSenderType=egain_bot\nMaxSize=10\n"
			 "Ignore=*.skip\nRecursive=yes\nAfterUpload=move\n"
			 "DoneDirectory=@ROOT@/done\n",
	};
	struct service_asset asset;
	struct world *w = *state;

	world_start(w, NULL);
	world_mkdir(w, "sub");
	world_drop(w, "sub/deep.txt", "deep");
	world_upload(w, "one.txt");
	world_drop(w, "two.tmp", "temporary");
	world_drop(w, "three.skip", "uploaded");
	world_wait_uploaded(w, "three.skip");
	world_reconfigure(w, &other);
	world_wait_gone(w, "two.tmp");
	world_wait_gone(w, "sub/deep.txt");
	assert_true(service_asset_by_name(w->service, "two.tmp", &asset));
	assert_string_equal(asset.channel_type, "custom.teams");
	assert_string_equal(asset.sender_type, "egain_bot");
	world_drop(w, "four.txt", "more than ten bytes");
	world_wait_error_sidecar(w, "four.txt");
	world_drop(w, "five.skip", "ignored");
	world_drop(w, "six.txt", "taken");
	world_wait_gone(w, "six.txt");
	assert_int_equal(service_assets_named(w->service, "five.skip"), 0);
	assert_int_equal(service_assets_named(w->service, "one.txt"), 1);
	world_stop(w);
}

static void a_spool_that_cannot_be_opened_is_waited_for_as_at_a_start(void **state)
{
	static const struct world_options more = {
		.spools = { "more" },
		.spool = "PollInterval=50ms\n",
	};
	_cleanup_free_ char *directory = NULL, *file = NULL;
	struct world *w = *state;

	world_start(w, NULL);
	directory = in(w->root, "more");
	file = in(w->root, "more/file.txt");
	world_configure(w, &more);
	assert_int_equal(rmdir(directory), 0);
	world_reload(w);
	world_wait_log(w, "more can't be opened: No such file or directory");
	world_upload(w, "first.txt");
	assert_int_equal(mkdir(directory, 0770), 0);
	world_wait_log(w, "more is back");
	world_upload(w, file);
	world_stop(w);
}

/* The same directory by another path, while a file in it is sent. */
static void a_spool_that_gets_another_path_to_its_directory_sends_nothing_twice(
	void **state)
{
	static const struct world_options link = { .spool = "Path=@ROOT@/link\n" };
	_cleanup_free_ char *path = NULL;
	struct world *w = *state;

	world_start(w, NULL);
	path = in(w->root, "link");
	assert_int_equal(symlink(w->spool, path), 0);
	hold(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER);
	world_drop_random(w, "big.bin", 3 << 20, 1);
	wait_held(w, 1);
	world_reconfigure(w, &link);
	world_upload(w, "after.txt");
	service_release(w->service);
	world_wait_uploaded(w, "big.bin");
	world_assert_uploaded(w, "big.bin");
	assert_int_equal(service_assets_named(w->service, "big.bin"), 1);
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 2);
	world_stop(w);
}

/* What was told of a spool is not told again, and is still counted, when it changes. */
static void a_spool_that_changes_knows_what_it_told(void **state)
{
	static const struct world_options other = { .spool = "Settle=1ms\n" };
	_cleanup_free_ char *link = NULL, *status = NULL, *text = NULL;
	struct world *w = *state;

	world_start(w, NULL);
	link = in(w->spool, "link.txt");
	status = in(w->root, "status.json");
	assert_int_equal(symlink("nowhere", link), 0);
	world_wait_log(w, "link.txt: it is a symbolic link");
	world_upload(w, "one.txt");
	world_reconfigure(w, &other);
	world_upload(w, "two.txt");
	world_wait_log(w, "two.txt as asset"); /* it counts from then on */
	world_reload(w);
	world_reload(w);
	text = world_read(w, status);
	assert_non_null(strstr(text, "\"uploaded\":2,\"failed\":0}"));
	assert_int_equal(world_count_log(w, "link.txt: it is a symbolic link"), 1);
	world_stop(w);
}

/* ---- what is under way, and what waits ---- */

static void an_upload_under_way_goes_on_whatever_changes(void **state)
{
	static const struct world_options other = {
		.spool = "Settle=1ms\nPollInterval=3s\nMaxSize=1G\n",
		.api = "Timeout=20s\n",
		.upload = "MaxConcurrent=2\n",
		.retry = "MaxAttempts=3\n",
	};
	struct world *w = *state;

	world_start(w, NULL);
	hold(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER);
	world_drop_random(w, "big.bin", 30 << 20, 1);
	wait_held(w, 1);
	world_reconfigure(w, &other);
	world_reload(w);
	world_upload(w, "meanwhile.txt");
	world_reconfigure(w, &plain);
	assert_false(world_has_sidecar(w, "big.bin"));
	service_release(w->service);
	world_wait_uploaded(w, "big.bin");
	world_assert_uploaded(w, "big.bin");
	assert_int_equal(service_assets_named(w->service, "big.bin"), 1);
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 2);
	world_stop(w);
}

static void a_question_under_way_is_not_asked_twice(void **state)
{
	static const struct world_options other = { .spool = "Settle=1ms\n" };
	struct world *w = *state;

	world_start(w, NULL);
	hold(w, ENDPOINT_CREATE, FAULT_CARRIED_OUT);
	world_drop(w, "asked.txt", "asked once");
	wait_held(w, 1);
	world_reconfigure(w, &other);
	service_release(w->service);
	world_wait_uploaded(w, "asked.txt");
	assert_int_equal(service_assets_named(w->service, "asked.txt"), 1);
	world_stop(w);
}

static void attempts_are_kept(void **state)
{
	static const struct world_options many = { .retry = "MaxAttempts=1000\n" };
	static const struct world_options few = { .retry = "MaxAttempts=4\n",
						  .spool = "MaxSize=1G\n" };
	struct json_object *error;
	struct world *w = *state;

	world_start(w, &many);
	service_fault(w->service,
		      &(struct fault){ .endpoint = ENDPOINT_UPLOAD,
				       .action = FAULT_ANSWER,
				       .status = 400,
				       .headers = "Content-Type: application/xml\n",
				       .body = "<Error><Code>IncompleteBody</Code>"
					       "</Error>" });
	world_drop(w, "slow.txt", "too slow for the store");
	world_wait_log(w, "try 3 of 1000");
	world_reconfigure(w, &few);
	world_wait_error_sidecar(w, "slow.txt");
	error = world_error_sidecar(w, "slow.txt");
	assert_true(world_number(error, "attempts") >= 4);
	assert_int_equal(world_number(error, "attempts"),
			 service_count(w->service, ENDPOINT_UPLOAD));
	json_object_put(error);
	world_stop(w);
}

/* ---- services ---- */

static void a_changed_base_url_is_tried_at_once(void **state)
{
	static const struct world_options away = {
		.api = "BaseURL=http://127.0.0.1:1/\n",
		.retry = "InitialDelay=1h\nMaxDelay=1h\n",
	};
	static const struct world_options back = {
		.retry = "InitialDelay=1h\nMaxDelay=1h\n",
	};
	struct world *w = *state;

	world_start(w, &away);
	world_drop(w, "waits.txt", "for an API");
	world_wait_log(w, "The API is away (http://127.0.0.1:1");
	world_reconfigure(w, &back);
	world_wait_uploaded(w, "waits.txt");
	world_wait_log(w, "The API is back");
	world_stop(w);
}

static void peace_that_was_asked_for_is_kept_unless_the_service_is_another(void **state)
{
	static const struct world_options same = { .spool = "Settle=1ms\n" };
	static const struct world_options other = { .api = "AcceptLanguage=de\n" };
	struct world *w = *state;

	world_start(w, NULL);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .times = 1,
						   .action = FAULT_ANSWER,
						   .status = 503,
						   .headers = "Retry-After: 3000\n" });
	world_drop(w, "waits.txt", "for an hour");
	world_wait_log(w, "The API is away");
	world_reconfigure(w, &same);
	world_reload(w);
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), 1);
	world_reconfigure(w, &other);
	world_wait_uploaded(w, "waits.txt");
	assert_int_equal(service_count(w->service, ENDPOINT_CREATE), 2);
	world_stop(w);
}

static void a_mended_secret_counts_at_once(void **state)
{
	static const struct world_options patient = {
		.retry = "InitialDelay=1h\nMaxDelay=1h\n",
	};
	_cleanup_free_ char *secret = NULL;
	struct world *w = *state;

	world_start(w, &patient);
	secret = in(w->root, "secret");
	world_drop(w, secret, "wrong");
	world_drop(w, "waits.txt", "for a token");
	world_wait_log(w, "Authorization fails");
	world_drop(w, secret, SERVICE_CLIENT_SECRET);
	world_reload(w);
	world_wait_uploaded(w, "waits.txt");
	world_wait_log(w, "Authorization works again");
	world_stop(w);
}

static void a_new_secret_is_used_at_once(void **state)
{
	_cleanup_free_ char *secret = NULL;
	struct world *w = *state;

	world_start(w, NULL);
	secret = in(w->root, "secret");
	world_upload(w, "before.txt");
	world_drop(w, secret, "wrong");
	world_reload(w);
	world_drop(w, "after.txt", "the old token would do");
	world_wait_log(w, "Authorization fails");
	world_drop(w, secret, SERVICE_CLIENT_SECRET);
	world_reload(w);
	world_wait_uploaded(w, "after.txt");
	assert_int_equal(service_answers(w->service, ENDPOINT_TOKEN, 200), 2);
	world_stop(w);
}

static void a_token_under_way_to_another_server_holds_nobody_up(void **state)
{
	static const struct world_options other = {
		.auth = "TokenFile=@ROOT@/token\n"
			"TokenURL=\nClientID=\n"
			"ClientSecretFile=\nScope=\n"
	};
	_cleanup_free_ char *path = NULL, *token = NULL;
	struct world *w = *state;

	world_start(w, NULL);
	path = in(w->root, "token");
	world_secret_file(w, path);
	token = service_issue_token(w->service);
	world_drop(w, path, token);
	hold(w, ENDPOINT_TOKEN, FAULT_AT_ANSWER);
	world_drop(w, "waits.txt", "for a token");
	wait_held(w, 1);
	world_reconfigure(w, &other);
	world_wait_uploaded(w, "waits.txt");
	assert_int_equal(world_count_log(w, "Authorization fails"), 0);
	world_stop(w);
}

/* The answer to a question asked with the token that was forgotten meanwhile. */
static void a_token_that_is_echoed_after_a_reload_is_hidden(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	service_fault(w->service,
		      &(struct fault){
			      .endpoint = ENDPOINT_CREATE,
			      .times = 1,
			      .delay = USEC_PER_HOUR,
			      .action = FAULT_ANSWER,
			      .status = 400,
			      .body = "{\"code\":\"400-1\","
				      "\"developerMessage\":\"@AUTHORIZATION@\"}" });
	world_drop(w, "echoed.txt", "by a gateway");
	wait_held(w, 1);
	world_reload(w);
	service_release(w->service);
	world_wait_error_sidecar(w, "echoed.txt");
	world_stop(w);
}

#define DAY (24 * 3600)

static struct certificate issue(const struct certificate *issuer)
{
	return certificate_make(&(struct certificate_wish){ .issuer = issuer,
							    .name = "service",
							    .host = "localhost",
							    .address = "127.0.0.1",
							    .from = -DAY,
							    .to = DAY });
}

static struct certificate found_authority(const char *name)
{
	return certificate_make(&(struct certificate_wish){
		.name = name, .from = -DAY, .to = DAY, .authority = true });
}

static struct service_tls tls_of(const struct certificate *certificate)
{
	return (struct service_tls){ .certificate = certificate->pem,
				     .key = certificate->key };
}

/* No key changes, only what the file holds. */
static void a_ca_file_with_other_content_counts_at_once(void **state)
{
	struct certificate ours = found_authority("ours"),
			   theirs = found_authority("theirs");
	struct certificate old = issue(&ours), new = issue(&theirs);
	struct service_tls tls = tls_of(&old), tls_too = tls_of(&new);
	const struct world_options options = { .service = { .tls = &tls },
					       .api = "CAFile=@ROOT@/ca.pem\n",
					       .retry = "InitialDelay=1h\nMaxDelay=1h\n",
					       .no_agent = true };
	_cleanup_free_ char *file = NULL;
	struct world *w = *state;

	world_start(w, &options);
	file = in(w->root, "ca.pem");
	world_drop(w, file, ours.pem);
	world_launch(w);
	world_wait_ready(w);
	world_upload(w, "before.txt");
	assert_int_equal(service_set_tls(w->service, &tls_too), 0);
	service_unlisten(w->service);
	service_listen(w->service);
	world_drop(w, "waits.txt", "for another authority");
	world_wait_log(w, " away (");
	world_drop(w, file, theirs.pem);
	world_reload(w);
	world_wait_uploaded(w, "waits.txt");
	/* And what is trusted no longer is no longer trusted, connections or not. */
	world_drop(w, file, ours.pem);
	world_reload(w);
	world_mark_log(w);
	world_drop(w, "waits-too.txt", "for trust");
	world_wait_log(w, "unable to get local issuer");
	world_drop(w, file, theirs.pem);
	world_reload(w);
	world_wait_uploaded(w, "waits-too.txt");
	world_stop(w);
	certificate_done(&ours);
	certificate_done(&theirs);
	certificate_done(&old);
	certificate_done(&new);
}

static void request_rate_and_slots_count_at_once(void **state)
{
	static const struct world_options slow = { .api = "RequestRate=1/h\n"
							  "RequestBurst=1\n",
						   .upload = "MaxConcurrent=1\n" };
	struct world *w = *state;

	world_start(w, &slow);
	world_upload(w, "first.txt");
	world_drop_many(w, 5);
	world_wait_status(w, "waiting 5");
	world_reconfigure(w, &plain);
	world_assert_many_uploaded(w, 5);
	world_stop(w);
}

/* Also for what is under way, which would take some hours. */
static void bandwidth_counts_at_once(void **state)
{
	static const struct world_options slow = { .upload = "Bandwidth=1K\n" };
	struct world *w = *state;

	world_start(w, &slow);
	world_drop_random(w, "large.bin", 10 << 20, 1);
	assert_true(service_wait_count(w->service, ENDPOINT_UPLOAD, 1, world_patience()));
	world_reconfigure(w, &plain);
	world_wait_uploaded(w, "large.bin");
	world_assert_uploaded(w, "large.bin");
	assert_int_equal(service_count(w->service, ENDPOINT_UPLOAD), 1);
	world_stop(w);
}

/* ---- the log ---- */

static void log_level_counts_at_once(void **state)
{
	static const struct world_options quiet = { .report = "LogLevel=notice\n" };
	struct world *w = *state;

	world_start(w, NULL);
	world_upload(w, "told.txt");
	world_wait_log(w, "told.txt as asset");
	world_reconfigure(w, &quiet);
	world_wait_log(w, "Reloaded the configuration: [Report] LogLevel changed.");
	world_upload(w, "untold.txt");
	world_reconfigure(w, &plain);
	world_upload(w, "told-again.txt");
	world_wait_log(w, "told-again.txt as asset");
	assert_int_equal(world_count_log(w, "untold.txt"), 0);
	world_stop(w);
}

static void the_status_and_metrics_files_get_other_names(void **state)
{
	static const struct world_options other = {
		.report = "StatusFile=@ROOT@/other.json\nMetricsFile=@ROOT@/agent.prom\n"
	};
	_cleanup_free_ char *status = NULL, *status_too = NULL, *metrics = NULL;
	struct world *w = *state;

	world_start(w, NULL);
	status = in(w->root, "status.json");
	status_too = in(w->root, "other.json");
	metrics = in(w->root, "agent.prom");
	world_upload(w, "before.txt");
	assert_true(world_exists(w, status));
	/* They are written when READY=1 is sent: by the second they are there. */
	world_reconfigure(w, &other);
	world_reload(w);
	assert_false(world_exists(w, status));
	assert_true(world_exists(w, status_too));
	assert_true(world_exists(w, metrics));
	world_reconfigure(w, &plain);
	world_reload(w);
	assert_true(world_exists(w, status));
	assert_false(world_exists(w, status_too));
	assert_false(world_exists(w, metrics));
	world_stop(w);
}

/* ---- when ---- */

static void many_hangups_in_a_row_lose_nothing(void **state)
{
	static const struct world_options other = { .spool = "Settle=5ms\n",
						    .spools = { "more" } };
	struct world *w = *state;

	world_start(w, NULL);
	world_drop_many(w, 60);
	for (int i = 0; i < 30; i++) {
		world_configure(w, i % 2 ? &plain : &other);
		world_signal(w, SIGHUP);
		if (i % 5 == 4)
			world_reload(w);
	}
	world_reload(w);
	world_assert_many_uploaded(w, 60);
	assert_int_equal(service_asset_count(w->service), 60);
	assert_int_equal(service_received(w->service), 60);
	world_stop(w);
}

/* Sent before the program has done anything, it waits. */
static void a_hangup_during_the_start_is_obeyed_after_it(void **state)
{
	static const struct world_options options = { .no_agent = true };
	_cleanup_free_ char *script = NULL, *wrapper = NULL;
	struct world *w = *state;

	world_start(w, &options);
	script = in(w->root, "hang-up");
	world_drop(w, script, "kill -HUP $$\nexec \"$@\"\n");
	assert_true(asprintf(&wrapper, "env --block-signal=HUP sh %s", script) > 0);
	w->wrapper = wrapper;
	world_launch(w);
	world_wait_log(w, "Reloaded the configuration: no key changed.");
	world_wait_ready(w);
	world_upload(w, "after.txt");
	world_stop(w);
}

static void a_drain_ignores_hangups(void **state)
{
	static const struct world_options options = { .no_agent = true };
	_cleanup_free_ char *script = NULL, *wrapper = NULL;
	struct world *w = *state;

	world_start(w, &options);
	script = in(w->root, "hang-up");
	world_drop(w, script, "kill -HUP $$\nexec \"$@\"\n");
	assert_true(asprintf(&wrapper, "env --block-signal=HUP sh %s", script) > 0);
	w->wrapper = wrapper;
	world_drop(w, "due.txt", "due");
	assert_int_equal(world_run(w, "drain", NULL), 0);
	world_assert_uploaded(w, "due.txt");
	assert_int_equal(world_count_log(w, "Reloaded"), 0);
	world_stop(w);
}

static void a_hangup_during_the_stop_is_ignored(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	hold(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER);
	world_drop(w, "underway.txt", "nearly there");
	wait_held(w, 1);
	world_signal(w, SIGTERM);
	world_wait_log(w, "Stopping");
	world_signal(w, SIGHUP);
	service_release(w->service);
	assert_int_equal(world_wait_exit(w), 0);
	world_assert_uploaded(w, "underway.txt");
	assert_int_equal(world_count_log(w, "Reloaded"), 0);
	world_stop(w);
}

static void a_reload_while_the_transfers_of_the_last_still_run(void **state)
{
	static const struct world_options others[] = {
		{ .spool = "Settle=1ms\n" },
		{ .spool = "Settle=2ms\n", .api = "Timeout=20s\n" },
		{ .spool = "MaxSize=1G\n", .upload = "MaxConcurrent=20\n" },
	};
	struct world *w = *state;

	world_start(w, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		char name[32];

		snprintf(name, sizeof(name), "big%zu.bin", i);
		hold(w, ENDPOINT_UPLOAD, FAULT_AT_ANSWER);
		world_drop_random(w, name, 2 << 20, (unsigned)i);
		wait_held(w, i + 1);
		world_reconfigure(w, &others[i]);
	}
	service_release(w->service);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		char name[32];

		snprintf(name, sizeof(name), "big%zu.bin", i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
		assert_int_equal(service_assets_named(w->service, name), 1);
	}
	world_stop(w);
}

static void a_reload_while_all_is_away(void **state)
{
	static const struct world_options other = { .spool = "Settle=1ms\n",
						    .spools = { "more" } };
	struct world *w = *state;

	world_start(w, NULL);
	service_unlisten(w->service);
	world_drop_many(w, 30);
	world_wait_log(w, "Authorization fails");
	world_reconfigure(w, &other);
	world_reconfigure(w, &plain);
	service_listen(w->service);
	world_assert_many_uploaded(w, 30);
	assert_int_equal(world_count_log(w, "Authorization works again"), 1);
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(nothing_new_is_reloaded_and_told),
		scenario(what_changed_is_told_by_name_and_never_by_value),
		scenario(a_bad_configuration_is_refused_with_each_fault),
		scenario(a_configuration_that_is_gone_is_refused),
		scenario(the_state_directory_cannot_change),
		scenario(whoever_asks_for_a_reload_learns_what_came_of_it),
		scenario(a_reload_that_nobody_speaks_of_fails),
		scenario(mime_types_that_cannot_be_read_are_refused),
		scenario(a_spool_that_is_added_is_watched_at_once),
		scenario(a_spool_that_is_removed_is_left_alone),
		scenario(an_upload_from_a_spool_that_is_removed_ends_by_its_settings),
		scenario(an_upload_finds_its_spool_when_that_is_back),
		scenario(the_settings_of_a_spool_count_from_now_on),
		scenario(a_spool_that_cannot_be_opened_is_waited_for_as_at_a_start),
		scenario(
			a_spool_that_gets_another_path_to_its_directory_sends_nothing_twice),
		scenario(a_spool_that_changes_knows_what_it_told),
		scenario(an_upload_under_way_goes_on_whatever_changes),
		scenario(a_question_under_way_is_not_asked_twice),
		scenario(attempts_are_kept),
		scenario(a_changed_base_url_is_tried_at_once),
		scenario(peace_that_was_asked_for_is_kept_unless_the_service_is_another),
		scenario(a_mended_secret_counts_at_once),
		scenario(a_new_secret_is_used_at_once),
		scenario(a_token_under_way_to_another_server_holds_nobody_up),
		scenario(a_token_that_is_echoed_after_a_reload_is_hidden),
		scenario(a_ca_file_with_other_content_counts_at_once),
		scenario(request_rate_and_slots_count_at_once),
		scenario(bandwidth_counts_at_once),
		scenario(log_level_counts_at_once),
		scenario(the_status_and_metrics_files_get_other_names),
		scenario(many_hangups_in_a_row_lose_nothing),
		scenario(a_hangup_during_the_start_is_obeyed_after_it),
		scenario(a_hangup_during_the_stop_is_ignored),
		scenario(a_drain_ignores_hangups),
		scenario(a_reload_while_the_transfers_of_the_last_still_run),
		scenario(a_reload_while_all_is_away),
	};

	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
