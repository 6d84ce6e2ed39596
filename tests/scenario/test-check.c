/* The command `check`: what is in force, and every kind of finding. */

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "certificate.h"
#include "fs.h"
#include "macro.h"
#include "snapshot.h"
#include "world.h"

#define DAY (24 * 3600)

static const struct world_options only_the_world = { .no_agent = true };

static bool is_root; /* before it had namespaces of its own */

/* ---- what it prints ---- */

/* Whether a line begins with @mark and has @text in it. */
static bool has_line(const char *output, const char *mark, const char *text)
{
	for (const char *line = output; *line; line += strcspn(line, "\n") + 1) {
		const char *found = startswith(line, mark) ? strstr(line, text) : NULL;

		if (found && found < line + strcspn(line, "\n"))
			return true;
	}
	return false;
}

static void assert_line(struct world *w, const char *mark, const char *text)
{
	_cleanup_free_ char *output = world_output(w);

	if (has_line(output, mark, text))
		return;
	/* cmocka would cut it. */
	(void)fputs(output, stderr);
	fail_msg("there is no line \"%s ... %s\"", mark, text);
}

static void assert_no_line(struct world *w, const char *mark, const char *text)
{
	_cleanup_free_ char *output = world_output(w);

	if (!has_line(output, mark, text))
		return;
	(void)fputs(output, stderr);
	fail_msg("there is a line \"%s ... %s\"", mark, text);
}

static void find(struct world *w, int status, const char *mark, const char *text)
{
	int is = world_run(w, "check", NULL);

	assert_line(w, mark, text);
	assert_int_equal(is, status);
}

static void find_online(struct world *w, int status, const char *mark, const char *text)
{
	int is = world_run(w, "check", "--online", NULL);

	assert_line(w, mark, text);
	assert_int_equal(is, status);
}

static void set_mode(const char *path, mode_t mode)
{
	assert_int_equal(chmod(path, mode), 0);
}

static void put(struct world *w, const char *name, const char *text)
{
	_cleanup_free_ char *path = world_beside(w, name);

	world_write(w, path, text);
}

/* ---- settings ---- */

static void each_value_is_told_with_its_source(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.api = "ConnectTimeout=7s\nProxy=http://me:hidden@127.0.0.1:1\n",
		.upload = "Header=X-Key: hidden\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *origin = NULL, *output = NULL;

	world_start(w, &options);
	assert_int_equal(world_run(w, "check", NULL), 0);
	assert_true(asprintf(&origin, "# %s:", w->config) > 0);
	assert_line(w, "[Spool:first]", "");
	assert_line(w, "ConnectTimeout=7s ", origin);
	assert_line(w, "Timeout=30s ", "# default");
	assert_line(w, "MaxSize=none ", "# default");
	assert_line(w, "Settle=20ms ", origin);
	assert_line(w, "Proxy=", "127.0.0.1:1");
	output = world_output(w);
	assert_null(strstr(output, "hidden"));
	world_stop(w);
}

static void what_is_well_is_told_so(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	find(w, 0, "ok ", ": the state directory can be written by ");
	assert_line(w, "ok ", ": the directory of StatusFile= can be written by ");
	assert_line(w, "ok ", ": the spool can be read, written and searched by ");
	assert_line(w, "ok ", "/secret is there.");
	assert_line(w, "ok ", "Directories to watch: 1 of the ");
	assert_line(w, "ok ", "MaxConcurrent=16 may need 128 open files");
	assert_line(w, "info ", "asset-agent is not running");
	assert_no_line(w, "FAILED ", "");
	assert_line(w, "FAILED: 0, warnings: ", "");
	world_stop(w);
}

static void faults_of_the_configuration_end_with_78(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.config = "[API]\nTimeout=soon\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *output = NULL;

	world_start(w, &options);
	assert_int_equal(world_run(w, "check", NULL), 78);
	output = world_output(w);
	assert_string_equal(output, "");
	assert_true(world_count_log(w, "agent.conf:2: ") == 1);
	world_stop(w);
}

static void names_are_escaped(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.spool = "AfterUpload=move\nDoneDirectory=@ROOT@/d\xE2\x80\xAEone\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *output = NULL;

	world_start(w, &options);
	find(w, 0, "ok ", "/d\\xE2\\x80\\xAEone: DoneDirectory= is not there yet");
	output = world_output(w);
	assert_null(strstr(output, "\xE2\x80\xAE"));
	world_stop(w);
}

static void a_terminal_gets_colours_and_its_width(void **state)
{
	static const char *const no_colour[] = { "NO_COLOR=1", NULL };
	const struct world_options options = { .no_agent = true,
					       .environment = no_colour };
	struct world *w = *state;
	_cleanup_free_ char *coloured = NULL, *plain = NULL;

	world_start(w, &options);
	assert_int_equal(world_run_on_terminal(w, 60, "check", NULL), 0);
	plain = world_output(w);
	assert_null(strchr(plain, '\x1B'));
	assert_non_null(strstr(plain, "\r\n         ")); /* it is wrapped */
	world_set_environment(w, "NO_COLOR=");
	assert_int_equal(world_run_on_terminal(w, 60, "check", NULL), 0);
	coloured = world_output(w);
	assert_non_null(strstr(coloured, "\x1B[32mok"));
	world_stop(w);
}

/* ---- directories ---- */

static void a_missing_spool_fails(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	assert_int_equal(rmdir(w->spool), 0);
	find(w, 1, "FAILED ", "/spool: the spool is not there. Make it: install -d");
	assert_line(w, "FAILED: 1,", "");
	world_stop(w);
}

static void a_spool_that_is_a_file_fails(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	assert_int_equal(rmdir(w->spool), 0);
	put(w, "spool", "no directory");
	find(w, 1, "FAILED ", "/spool: the spool is no directory");
	world_stop(w);
}

static void a_spool_that_may_not_be_used_fails(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .powerless = true };
	struct world *w = *state;

	world_start(w, &options);
	set_mode(w->spool, 0500);
	find(w, 1, "FAILED ", "/spool: the spool can't be used by ");
	assert_line(w, "FAILED ", "Permission denied. To let it: chgrp ");
	set_mode(w->spool, 0300);
	find(w, 1, "FAILED ", "/spool: the spool can't be used by ");
	set_mode(w->spool, 0600);
	find(w, 1, "FAILED ", "/spool: the spool can't be used by ");
	set_mode(w->spool, 0700);
	find(w, 0, "ok ", "/spool: the spool can be read");
	world_stop(w);
}

static void a_state_directory_that_may_not_be_used_fails(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .powerless = true };
	struct world *w = *state;

	world_start(w, &options);
	set_mode(w->state, 0500);
	find(w, 1, "FAILED ", "/state: the state directory can't be written by ");
	assert_int_equal(rmdir(w->state), 0);
	find(w, 0, "ok ", "/state: the state directory is not there yet, and will be");
	set_mode(w->root, 0500);
	find(w, 1, "FAILED ", "/state: the state directory is not there, and ");
	set_mode(w->root, 0700);
	world_stop(w);
}

static void a_ledger_of_another_user_fails(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .powerless = true };
	struct world *w = *state;
	_cleanup_free_ char *ledger = NULL;

	world_start(w, &options);
	ledger = world_beside(w, "state/ledger.db");
	world_write(w, ledger, "");
	set_mode(ledger, 0);
	find(w, 1, "FAILED ", "/state/ledger.db: the ledger can't be read by ");
	assert_line(w, "FAILED ", "Permission denied. To let it: chown -R ");
	set_mode(ledger, 0600);
	find(w, 0, "ok ", "/state: the state directory can be written");
	world_stop(w);
}

static void the_directories_of_reports_are_tried(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.report = "StatusFile=@ROOT@/secret/status.json\n"
			  "MetricsFile=@ROOT@/metrics/agent.prom\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	find(w, 1, "FAILED ", "/secret: the directory of StatusFile= can't be written");
	assert_line(w, "ok ", "/metrics: the directory of MetricsFile= is not there yet");
	world_stop(w);
}

/* Which is refused what a look from outside is not. */
static void what_the_agent_has_trouble_with_is_told(void **state)
{
	static const struct world_options options = {
		.retry = "InitialDelay=1h\nMaxDelay=1h\n",
	};
	struct world *w = *state;
	usec_t deadline = usec_add(clock_monotonic(), world_patience());
	_cleanup_free_ char *status = NULL, *text = NULL;

	world_start(w, &options);
	service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
						   .action = FAULT_ANSWER,
						   .status = 403,
						   .body = "not you" });
	world_drop(w, "waits.txt", "waits");
	world_wait_log(w, "The API is away");
	status = world_beside(w, "status.json");
	do {
		free(text);
		text = NULL;
		(void)fs_read_file(AT_FDCWD, status, SNAPSHOT_SIZE_MAX, &text, NULL);
	} while (!(text && strstr(text, "not you")) && clock_monotonic() < deadline);
	find(w, 0, "warning ", "asset-agent itself has trouble with api (");
	assert_line(w, "warning ", ": HTTP status 403, not you.");
	world_stop(w);
}

static void a_report_in_the_place_of_a_directory_fails(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.report = "MetricsFile=@ROOT@/spool\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	find(w, 1, "FAILED ", "/spool is a directory. Name a file in it.");
	world_stop(w);
}

static void a_spool_that_is_closed_to_its_group_is_warned_of(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	set_mode(w->root, 0755);
	set_mode(w->spool, 0700);
	find(w, 0, "warning ", "/spool: members of its group can't drop files");
	set_mode(w->spool, 0770);
	find(w, 0, "warning ", "To mend that: chmod g+s ");
	assert_no_line(w, "warning ", "can't drop files");
	set_mode(w->spool, 02770);
	assert_int_equal(world_run(w, "check", NULL), 0);
	assert_no_line(w, "warning ", "/spool: ");
	world_stop(w);
}

/* No mode bit tells that the way there is closed; the kernel does, to whom root asks it
 * to be. */
static void a_spool_behind_a_closed_door_is_warned_of(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	set_mode(w->spool, 02770);
	assert_int_equal(world_run(w, "check", NULL), 0);
	if (is_root)
		assert_line(w, "warning ", "/spool: members of its group can't drop");
	else
		assert_no_line(w, "warning ", "/spool: members of its group can't drop");
	world_stop(w);
}

static void a_done_directory_that_is_a_file_fails(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.spool = "AfterUpload=move\nDoneDirectory=@ROOT@/secret\n",
	};
	struct world *w = *state;

	world_start(w, &options);
	find(w, 1, "FAILED ", "/secret can't be used: Not a directory");
	world_stop(w);
}

static void a_done_directory_on_another_disk_ends_with_78(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.spool = "AfterUpload=move\nDoneDirectory=@ROOT@/done\n",
	};
	struct world *w = *state;
	_cleanup_free_ char *done = NULL;

	world_start(w, &options);
	done = world_beside(w, "done");
	world_mkdir(w, done);
	world_mount(done);
	assert_int_equal(world_run(w, "check", NULL), 78);
	world_wait_log(w, "DoneDirectory= is on another filesystem");
	world_unmount(done);
	world_stop(w);
}

static void an_ignore_that_leaves_nothing_fails(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .spool = "Ignore=*.tmp *\n" };
	struct world *w = *state;

	world_start(w, &options);
	find(w, 1, "FAILED ", "Ignore= leaves out every file, with the pattern *.");
	world_stop(w);
}

static void little_room_is_warned_of_and_none_fails(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *filler = NULL;

	world_start(w, &only_the_world);
	world_mount(w->state);
	find(w, 0, "warning ", "/state: only 1.0 MiB are free on its filesystem");
	assert_true(asprintf(&filler, "%s/filler", w->state) > 0);
	world_fill_disk(filler);
	find(w, 1, "FAILED ", "/state: only 0 bytes are free on its filesystem");
	world_unmount(w->state);
	world_stop(w);
}

static void few_inodes_are_warned_of_and_none_fails(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *one = NULL;

	world_start(w, &only_the_world);
	assert_int_equal(
		mount("none", w->spool, "tmpfs", 0, "size=64M,nr_inodes=3,mode=770"), 0);
	find(w, 0, "warning ", "/spool: only 2 files can still be made");
	one = world_path(w, "one.txt");
	world_write(w, one, "1");
	world_write(w, "two.txt", "2");
	find(w, 1, "FAILED ", "/spool: only 0 files can still be made");
	world_unmount(w->spool);
	world_stop(w);
}

static void a_read_only_disk_fails(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	assert_int_equal(mount("none", w->spool, "tmpfs", MS_RDONLY, "mode=770"), 0);
	find(w, 1, "FAILED ", "make sidecars: Read-only file system");
	world_unmount(w->spool);
	world_stop(w);
}

/* ---- the service's user ---- */

static char accounts[256]; /* a file to be put over /etc/passwd */

static bool know_the_user(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(accounts, "/etc/passwd", NULL, MS_BIND, NULL) == 0;
}

/* root could do all that is tried here. Who is not root can't be another, and says so. */
static void all_is_tried_as_the_service_user(void **state)
{
	const struct world_options options = { .no_agent = true,
					       .prepare = know_the_user };
	struct world *w = *state;

	world_start(w, &options);
	set_mode(w->root, 0755);
	snprintf(accounts, sizeof(accounts), "%s/accounts", w->root);
	world_write(w, accounts,
		    "root:x:0:0::/root:/bin/sh\n"
		    "asset-agent:x:61234:61234::/:/bin/false\n");
	find(w, 1, "Directories, tried as asset-agent, whom the service runs as", "");
	assert_line(w, "FAILED ", "/spool: the spool can't be used by asset-agent");
	assert_line(w, "FAILED ",
		    "/state: the state directory can't be written by asset");
	assert_line(w, "FAILED ", "/secret can't be read by asset-agent");
	if (is_root) {
		_cleanup_free_ char *secret = world_beside(w, "secret");

		assert_int_equal(chown(w->spool, 61234, 61234), 0);
		assert_int_equal(chown(w->state, 61234, 61234), 0);
		assert_int_equal(chown(secret, 61234, 61234), 0);
		/* StatusFile= is beside them. */
		assert_int_equal(chown(w->root, 61234, 61234), 0);
		find(w, 0, "ok ", "/spool: the spool can be read, written and searched");
	}
	world_stop(w);
}

/* ---- files ---- */

static void a_secret_that_is_missing_empty_or_open_is_told(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *secret = NULL;

	world_start(w, &only_the_world);
	secret = world_beside(w, "secret");
	set_mode(secret, 0644);
	find(w, 0, "warning ", "/secret can be read by everybody. Close it: chmod o= ");
	set_mode(secret, 0640);
	assert_int_equal(world_run(w, "check", NULL), 0);
	assert_no_line(w, "warning ", "/secret can be read");
	world_write(w, secret, "\n");
	find(w, 1, "FAILED ", "/secret is empty");
	assert_int_equal(unlink(secret), 0);
	find(w, 1, "FAILED ", "/secret is not there");
	world_mkdir(w, secret);
	find(w, 1, "FAILED ", "/secret is no regular file");
	world_stop(w);
}

static void a_secret_that_may_not_be_read_fails(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .powerless = true };
	struct world *w = *state;
	_cleanup_free_ char *secret = NULL;

	world_start(w, &options);
	secret = world_beside(w, "secret");
	set_mode(secret, 0);
	find(w, 1, "FAILED ", "/secret can't be read by ");
	world_stop(w);
}

static void no_secret_at_all_fails(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .auth = "ClientSecretFile=\n" };
	struct world *w = *state;

	world_start(w, &options);
	find(w, 1, "FAILED ", "There is no client secret: neither ClientSecretFile= nor");
	world_stop(w);
}

#define FROM_FILE \
	"TokenURL=\nClientID=\nScope=\nClientSecretFile=\nTokenFile=@ROOT@/token\n"

static void a_token_file_is_looked_into(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .auth = FROM_FILE };
	struct world *w = *state;
	_cleanup_free_ char *token = NULL;

	world_start(w, &options);
	find(w, 1, "FAILED ", "TokenFile=");
	assert_line(w, "FAILED ", "/token is not there");
	token = world_beside(w, "token");
	world_write(w, token, "");
	find(w, 1, "FAILED ", "/token holds no token: ");
	world_write(w, token, "abc\n");
	set_mode(token, 0600);
	find(w, 0, "ok ", "/token can be read by ");
	world_stop(w);
}

static void the_table_of_types_is_looked_into(void **state)
{
	static const struct world_options options = {
		.no_agent = true, .upload = "MimeTypes=@ROOT@/types\n"
	};
	struct world *w = *state;
	_cleanup_free_ char *types = NULL;

	world_start(w, &options);
	types = world_beside(w, "types");
	find(w, 0, "info ", "/types is not there: the built-in list of types is used");
	world_mkdir(w, types);
	find(w, 1, "FAILED ", "/types is no regular file");
	assert_int_equal(rmdir(types), 0);
	world_write(w, types, "text/plain txt\n");
	find(w, 0, "ok ", "/types can be read by ");
	assert_int_equal(truncate(types, 5 << 20), 0);
	find(w, 1, "FAILED ", "/types can't be used: File too large");
	world_stop(w);
}

/* ---- certificates ---- */

static struct {
	struct certificate authority, stranger, good, client, short_lived, over;
} made;

static struct certificate issue(const char *host, int64_t from, int64_t to)
{
	return certificate_make(&(struct certificate_wish){ .issuer = &made.authority,
							    .name = "service",
							    .host = host,
							    .address = host ? "127.0.0.1"
									    : NULL,
							    .from = from,
							    .to = to });
}

static int make_certificates(void **state)
{
	(void)state;
	made.authority = certificate_make(&(struct certificate_wish){
		.name = "our authority", .from = -DAY, .to = DAY, .authority = true });
	made.stranger = certificate_make(&(struct certificate_wish){
		.name = "another", .from = -DAY, .to = DAY, .authority = true });
	made.good = issue("localhost", -DAY, 100 * DAY);
	made.client = issue(NULL, -DAY, 100 * DAY);
	made.short_lived = issue(NULL, -DAY, 3 * DAY + 3600);
	made.over = issue(NULL, -2 * DAY, -DAY);
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

#define TRUSTING   "CAFile=@ROOT@/ca.pem\nConnectTimeout=2s\nTimeout=3s\n"
#define PRESENTING "ClientCertificate=@ROOT@/client.pem\nClientKey=@ROOT@/client.key\n"

static void present(struct world *w, const char *certificate, const char *key)
{
	_cleanup_free_ char *path = world_beside(w, "client.key");

	put(w, "client.pem", certificate);
	put(w, "client.key", key);
	set_mode(path, 0600);
}

static void a_client_certificate_is_read_and_tried(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .api = PRESENTING };
	struct world *w = *state;
	_cleanup_free_ char *key = NULL;

	world_start(w, &options);
	find(w, 1, "FAILED ", "/client.pem is not there");
	present(w, made.client.pem, made.client.key);
	find(w, 0, "ok ", "/client.pem is good until ");
	assert_line(w, "ok ", "/client.key belongs to the certificate");
	present(w, made.short_lived.pem, made.short_lived.key);
	find(w, 0, "warning ", "days left: 3. Have it renewed");
	present(w, made.over.pem, made.over.key);
	find(w, 1, "FAILED ", "/client.pem ended on ");
	present(w, made.client.pem, made.over.key);
	find(w, 1, "FAILED ", "/client.key can't be used with its certificate: ");
	present(w, "nothing", made.client.key);
	find(w, 1, "FAILED ", "/client.pem holds no certificate in PEM form");
	present(w, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "");
	find(w, 1, "FAILED ", "/client.pem holds a certificate that can't be read");
	present(w, made.client.pem, made.client.key);
	key = world_beside(w, "client.key");
	set_mode(key, 0644);
	find(w, 0, "warning ", "/client.key can be read by everybody");
	world_stop(w);
}

static void a_file_of_authorities_is_looked_into(void **state)
{
	static const struct world_options options = { .no_agent = true, .api = TRUSTING };
	struct world *w = *state;

	world_start(w, &options);
	find(w, 1, "FAILED ", "/ca.pem is not there");
	put(w, "ca.pem", "nothing");
	find(w, 1, "FAILED ", "/ca.pem holds no certificate");
	put(w, "ca.pem", made.authority.pem);
	find(w, 0, "ok ", "/ca.pem can be read by ");
	world_stop(w);
}

/* ---- this machine ---- */

static void insecurity_is_warned_of(void **state)
{
	static const struct world_options options = {
		.no_agent = true,
		.api = "BaseURL=http://api.test/v3\nAllowInsecure=yes\n",
	};
	static const struct world_options needless = { .no_agent = true,
						       .api = "AllowInsecure=yes\n" };
	struct world *w = *state, *other = NULL;

	world_start(w, &options);
	find(w, 0, "warning ", "AllowInsecure=yes: what goes to http://api.test/v3");
	assert_no_line(w, "warning ", "AllowInsecure=yes is needed for neither");
	world_stop(w);
	assert_int_equal(world_setup((void **)&other), 0);
	world_start(other, &needless);
	find(other, 0, "warning ", "AllowInsecure=yes is needed for neither");
	world_stop(other);
	assert_int_equal(world_teardown((void **)&other), 0);
}

static void another_agent_is_told_of(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *text = NULL;

	world_start(w, NULL);
	assert_true(asprintf(&text, "is running with this state directory, as process %d",
			     (int)w->pid) > 0);
	find(w, 0, "info ", text);
	world_kill9(w);
	find(w, 0, "info ", "asset-agent is not running");
	world_stop(w);
}

static bool have_few_descriptors(void)
{
	const struct rlimit limit = { .rlim_cur = 100, .rlim_max = 100 };

	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void too_few_descriptors_are_warned_of(void **state)
{
	const struct world_options options = { .no_agent = true,
					       .prepare = have_few_descriptors };
	struct world *w = *state;

	world_start(w, &options);
	find(w, 0, "warning ", "MaxConcurrent=16 may need 128 open files, and ");
	assert_line(w, "warning ", "may have 100. Raise LimitNOFILE=");
	world_stop(w);
}

static char few_watches[256]; /* a file to be put over the kernel's */

static bool have_few_watches(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(few_watches, "/proc/sys/fs/inotify/max_user_watches", NULL, MS_BIND,
		     NULL) == 0;
}

static void directories_are_counted_against_the_kernels_limit(void **state)
{
	const struct world_options options = { .no_agent = true,
					       .recursive = true,
					       .prepare = have_few_watches };
	struct world *w = *state;

	world_start(w, &options);
	snprintf(few_watches, sizeof(few_watches), "%s/watches", w->root);
	world_write(w, few_watches, "1004\n");
	world_mkdir(w, "a");
	world_mkdir(w, "a/b");
	world_drop(w, "a/b/file.txt", "is none");
	find(w, 0, "ok ", "Directories to watch: 3 of the 1004 ");
	world_mkdir(w, "c");
	world_mkdir(w, "d");
	find(w, 0, "warning ", "Directories to watch: 5, and the kernel allows 1004");
	assert_line(w, "warning ", "Raise fs.inotify.max_user_watches to 2010");
	world_stop(w);
}

static bool have_no_instances(void)
{
	static const char path[] = "/proc/sys/user/max_inotify_instances";
	int fd;

	if (!world_make_namespace())
		return false;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, "0", 1) == 1 && close(fd) == 0;
}

static void a_lack_of_inotify_instances_is_warned_of(void **state)
{
	const struct world_options options = { .no_agent = true,
					       .prepare = have_no_instances };
	struct world *w = *state;

	world_start(w, &options);
	find(w, 0, "warning ", "Raise fs.inotify.max_user_instances");
	world_stop(w);
}

static void the_clock_is_looked_at(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *output = NULL;

	world_start(w, &only_the_world);
	assert_int_equal(world_run(w, "check", NULL), 0);
	output = world_output(w);
	assert_true(has_line(output, "ok ", "The clock is synchronized") ||
		    has_line(output, "warning ", "The clock is not synchronized"));
	world_stop(w);
}

/* ---- servers ---- */

static void a_service_that_is_well_is_told_so(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	find_online(w, 0, "ok ", "The token server (");
	assert_line(w, "ok ", "and serves for 59min 5");
	assert_line(w, "ok ", "The API (");
	assert_line(w, "ok ", "connected to 127.0.0.1 port ");
	assert_line(w, "ok ", "The clock here agrees with that of the API");
	assert_line(w, "ok ", "The API answers as it should, and takes the token");
	assert_int_equal(service_asset_count(w->service), 0);
	assert_int_equal(service_asset_count(w->service), 0);
	/* Offline nobody is asked at all. */
	assert_int_equal(world_run(w, "check", NULL), 0);
	assert_int_equal(service_count(w->service, ENDPOINT_ANY), 2);
	world_stop(w);
}

static void certificates_of_servers_are_told(void **state)
{
	const struct service_tls tls = { .certificate = made.good.pem,
					 .key = made.good.key };
	const struct world_options options = { .service = { .tls = &tls },
					       .no_agent = true,
					       .api = TRUSTING };
	struct world *w = *state;

	world_start(w, &options);
	put(w, "ca.pem", made.authority.pem);
	find_online(w, 0, "ok ", "The API: its certificate is good until ");
	assert_line(w, "ok ", "The token server: its certificate is good until ");
	assert_line(w, "ok ", "our authority");
	assert_line(w, "ok ", ", TLS in ");
	put(w, "ca.pem", made.stranger.pem);
	find_online(w, 1, "FAILED ", "The API (");
	assert_line(w, "FAILED ", "unable to get local issuer");
	assert_line(w, "FAILED ", "Look at the clock, CAFile= and ClientCertificate=");
	world_stop(w);
}

static void a_certificate_that_ends_soon_is_warned_of(void **state)
{
	struct certificate soon = issue("localhost", -DAY, 5 * DAY + 3600);
	const struct service_tls tls = { .certificate = soon.pem, .key = soon.key };
	const struct world_options options = { .service = { .tls = &tls },
					       .no_agent = true,
					       .api = TRUSTING };
	struct world *w = *state;

	world_start(w, &options);
	put(w, "ca.pem", made.authority.pem);
	find_online(w, 0, "warning ", "The API: its certificate ends on ");
	assert_line(w, "warning ", "days left: 5; issued by ");
	world_stop(w);
	certificate_done(&soon);
}

static void clocks_that_differ_are_told(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	service_set_clock_offset(w->service, 10 * (int64_t)USEC_PER_MINUTE);
	find_online(w, 0, "warning ", " behind that of the API. Set it right");
	service_set_clock_offset(w->service, -10 * (int64_t)USEC_PER_MINUTE);
	find_online(w, 0, "warning ", " ahead of that of the API. Set it right");
	world_stop(w);
}

static void a_server_without_a_clock_is_no_fault(void **state)
{
	static const struct world_options options = { .service = { .no_date = true },
						      .no_agent = true };
	struct world *w = *state;

	world_start(w, &options);
	find_online(w, 0, "info ", "The API did not tell its time");
	world_stop(w);
}

static void a_service_that_is_away_fails(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	service_unlisten(w->service);
	find_online(w, 1, "FAILED ", "The API (");
	assert_line(w, "FAILED ", "The token server (");
	assert_line(w, "FAILED ", "Look at firewall, port and proxy");
	world_stop(w);
}

static void a_name_that_nobody_knows_fails(void **state)
{
	static const struct world_options options = {
		.no_agent = true, .api = "BaseURL=https://no-such-host.invalid/v3\n"
	};
	struct world *w = *state;

	world_start(w, &options);
	find_online(w, 1, "FAILED ", "The API (https://no-such-host.invalid/v3)");
	assert_line(w, "FAILED ", "resolvectl query");
	world_stop(w);
}

static void a_server_that_says_nothing_is_not_waited_for(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .api = "Timeout=300ms\n" };
	struct world *w = *state;

	world_start(w, &options);
	service_fault(w->service, &(struct fault){ .action = FAULT_STALL });
	find_online(w, 1, "FAILED ", "The token server (");
	assert_line(w, "FAILED ", "The API (");
	service_release(w->service);
	world_stop(w);
}

static void a_refused_client_fails_and_the_api_is_looked_at_all_the_same(void **state)
{
	struct world *w = *state;

	world_start(w, &only_the_world);
	service_fault(w->service,
		      &(struct fault){ .endpoint = ENDPOINT_TOKEN,
				       .action = FAULT_ANSWER,
				       .status = 401,
				       .body = "{\"error\":\"invalid_client\"}" });
	find_online(w, 1, "FAILED ", "No token: invalid_client");
	assert_line(w, "ok ", "The token server (");
	assert_line(w, "info ", "The API answers, and asks for the token");
	world_stop(w);
}

static void a_missing_secret_is_told_and_the_api_is_looked_at_all_the_same(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *secret = NULL;

	world_start(w, &only_the_world);
	secret = world_beside(w, "secret");
	assert_int_equal(unlink(secret), 0);
	find_online(w, 1, "FAILED ", "No token: the client secret ");
	assert_line(w, "info ", "The API answers, and asks for the token");
	world_stop(w);
}

static void a_token_of_a_file_is_tried(void **state)
{
	static const struct world_options options = { .no_agent = true,
						      .auth = FROM_FILE };
	struct world *w = *state;
	_cleanup_free_ char *path = NULL, *token = NULL, *output = NULL;

	world_start(w, &options);
	path = world_beside(w, "token");
	token = service_issue_token(w->service);
	world_secret_file(w, path);
	world_write(w, path, token);
	find_online(w, 0, "ok ", "/token; for how long it serves is not said");
	assert_line(w, "ok ", "The API answers as it should, and takes the token");
	output = world_output(w);
	assert_null(strstr(output, token));
	world_stop(w);
}

/* What answers, and what that tells. */
static void answers_of_the_api_are_judged(void **state)
{
	static const struct {
		int status;
		const char *body;
		const char *mark, *text;
	} rows[] = {
		{ 401, "{\"code\":\"401-104\"}", "FAILED ", "The API refuses the token" },
		{ 403, "{\"code\":\"403-197\"}", "FAILED ",
		  "The API does not let this client create assets: HTTP status 403, "
		  "403-197. Look at Scope= and at the rights of the client." },
		{ 403, "<h1>Go away</h1>", "FAILED ",
		  "or the path of BaseURL= is wrong. Else look at Scope=" },
		/* Of the path, not of an asset, as none was asked for. */
		{ 404, "{\"code\":\"404-101\"}", "FAILED ",
		  "There is no Create Asset at BaseURL=: HTTP status 404, 404-101, in "
		  "the words of the API." },
		{ 405, "{\"code\":\"405-101\"}", "FAILED ",
		  "There is no Create Asset at BaseURL=" },
		{ 404, "<h1>Not here</h1>", "FAILED ", "does not look like the API" },
		{ 404, "{\"message\":\"no Route matched\"}", "FAILED ",
		  "does not look like the API" },
		{ 404, "", "FAILED ", "does not look like the API" },
		{ 400, "{\"code\":\"400-112\"}", "ok ", "The API answers as it should" },
		{ 422, "{\"title\":\"Unprocessable Entity\"}", "ok ",
		  "The API answers as it should" },
		{ 400, "<h1>Bad Request</h1>", "FAILED ", "does not look like the API" },
		{ 406, "{\"code\":\"406-100\"}", "FAILED ",
		  "The API refuses what the agent asks it: HTTP status 406, 406-100." },
		{ 200, "<h1>Welcome</h1>", "FAILED ",
		  "HTTP status 200 to whatever is asked. Look at BaseURL=" },
		{ 200, "{\"id\":\"7\",\"contentUrl\":\"https://store.example/7\"}",
		  "warning ", "The API made an asset, 7, of a request that lacked all" },
		{ 302, "", "FAILED ", "does not look like the API" },
		{ 503, "", "FAILED ", "The API answers, but is not well" },
		{ 429, "", "FAILED ", "The API answers, but is not well" },
	};
	struct world *w = *state;

	world_start(w, &only_the_world);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		service_clear_faults(w->service);
		service_fault(w->service, &(struct fault){ .endpoint = ENDPOINT_CREATE,
							   .action = FAULT_ANSWER,
							   .status = rows[i].status,
							   .body = rows[i].body });
		find_online(w, streq(rows[i].mark, "FAILED "), rows[i].mark,
			    rows[i].text);
	}
	world_stop(w);
}

#define scenario(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scenario(each_value_is_told_with_its_source),
		scenario(what_is_well_is_told_so),
		scenario(faults_of_the_configuration_end_with_78),
		scenario(names_are_escaped),
		scenario(a_terminal_gets_colours_and_its_width),
		scenario(a_missing_spool_fails),
		scenario(a_spool_that_is_a_file_fails),
		scenario(a_spool_that_may_not_be_used_fails),
		scenario(a_state_directory_that_may_not_be_used_fails),
		scenario(a_ledger_of_another_user_fails),
		scenario(the_directories_of_reports_are_tried),
		scenario(a_report_in_the_place_of_a_directory_fails),
		scenario(what_the_agent_has_trouble_with_is_told),
		scenario(a_spool_that_is_closed_to_its_group_is_warned_of),
		scenario(a_spool_behind_a_closed_door_is_warned_of),
		scenario(a_done_directory_that_is_a_file_fails),
		scenario(a_done_directory_on_another_disk_ends_with_78),
		scenario(an_ignore_that_leaves_nothing_fails),
		scenario(little_room_is_warned_of_and_none_fails),
		scenario(few_inodes_are_warned_of_and_none_fails),
		scenario(a_read_only_disk_fails),
		scenario(all_is_tried_as_the_service_user),
		scenario(a_secret_that_is_missing_empty_or_open_is_told),
		scenario(a_secret_that_may_not_be_read_fails),
		scenario(no_secret_at_all_fails),
		scenario(a_token_file_is_looked_into),
		scenario(the_table_of_types_is_looked_into),
		scenario(a_client_certificate_is_read_and_tried),
		scenario(a_file_of_authorities_is_looked_into),
		scenario(insecurity_is_warned_of),
		scenario(another_agent_is_told_of),
		scenario(too_few_descriptors_are_warned_of),
		scenario(directories_are_counted_against_the_kernels_limit),
		scenario(a_lack_of_inotify_instances_is_warned_of),
		scenario(the_clock_is_looked_at),
		scenario(a_service_that_is_well_is_told_so),
		scenario(certificates_of_servers_are_told),
		scenario(a_certificate_that_ends_soon_is_warned_of),
		scenario(clocks_that_differ_are_told),
		scenario(a_server_without_a_clock_is_no_fault),
		scenario(a_service_that_is_away_fails),
		scenario(a_name_that_nobody_knows_fails),
		scenario(a_server_that_says_nothing_is_not_waited_for),
		scenario(a_refused_client_fails_and_the_api_is_looked_at_all_the_same),
		scenario(a_missing_secret_is_told_and_the_api_is_looked_at_all_the_same),
		scenario(a_token_of_a_file_is_tried),
		scenario(answers_of_the_api_are_judged),
	};

	is_root = geteuid() == 0;
	world_own_mounts();
	cmocka_set_test_filter(getenv("ASSET_TEST_FILTER"));
	return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
