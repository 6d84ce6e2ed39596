#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "fs.h"
#include "world-internal.h"
#include "world-secrets.h"

#define TAIL_LINES 40

/* ---- making ---- */

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->pidfd = w->notify = -1;
	*state = w;
	return 0;
}

static void make_directory(const char *path, mode_t mode)
{
	assert_int_equal(mkdir(path, mode), 0);
	/* Whatever the umask. */
	assert_int_equal(chmod(path, mode), 0);
}

static void make_spools(struct world *w, const struct world_options *options)
{
	for (size_t i = 0; i < WORLD_SPOOLS_MAX; i++) {
		free(take_ptr(w->spools[i]));
		if (!options->spools[i])
			continue;
		w->spools[i] = world_print("%s/%s", w->root, options->spools[i]);
		if (access(w->spools[i], F_OK) < 0)
			make_directory(w->spools[i], 0770);
	}
}

static void make_places(struct world *w, const struct world_options *options)
{
	const char *base = getenv("TMPDIR");

	w->root = world_print("%s/asset-world.XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(w->root));
	w->spool = world_print("%s/spool", w->root);
	w->state = world_print("%s/state", w->root);
	w->config = world_print("%s/agent.conf", w->root);
	w->log = world_print("%s/log", w->root);
	w->output = world_print("%s/output", w->root);
	make_directory(w->spool, 0770);
	make_directory(w->state, 0700);
	make_spools(w, options);
}

static void make_socket(struct world *w)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	assert_true(snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify",
			     w->root) < (int)sizeof(address.sun_path));
	w->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(w->notify >= 0);
	assert_int_equal(bind(w->notify, (struct sockaddr *)&address, sizeof(address)),
			 0);
}

static void put(const char *path, const char *text, mode_t mode)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				      mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static const char *lines(const char *text)
{
	return text ? text : "";
}

static void print_spool(FILE *file, const char *name, const char *path,
			const struct world_options *options, const char *own)
{
	(void)fprintf(file,
		      "[Spool:%s]\nPath=%s\nChannelType=sms\nSenderType=customer\n"
		      "Settle=20ms\nRecursive=%s\n%s%s\n",
		      name, path, options->recursive ? "yes" : "no",
		      lines(options->spool), lines(own));
}

static void print_config(FILE *file, struct world *w, const struct world_options *options)
{
	(void)fprintf(file, "[API]\nBaseURL=%s\n%s\n", service_base_url(w->service),
		      lines(options->api));
	(void)fprintf(file,
		      "[Auth]\nTokenURL=%s\nClientID=%s\nClientSecretFile=%s/secret\n"
		      "Scope=%s\n%s\n",
		      service_token_url(w->service),
		      options->service.client_id ? options->service.client_id
						 : SERVICE_CLIENT_ID,
		      w->root, service_scope(w->service), lines(options->auth));
	(void)fprintf(file, "[Upload]\n%s\n", lines(options->upload));
	(void)fprintf(file, "[Retry]\nInitialDelay=20ms\nMaxDelay=200ms\n%s\n",
		      lines(options->retry));
	(void)fprintf(file, "[State]\nDirectory=%s\n", w->state);
	(void)fprintf(file,
		      "[Report]\nLogLevel=debug\nLogTarget=%s\n"
		      "StatusFile=%s/status.json\n%s\n",
		      w->journal ? "journal" : "stderr", w->root, lines(options->report));
	print_spool(file, "first", w->spool, options, NULL);
	for (size_t i = 0; i < WORLD_SPOOLS_MAX && w->spools[i]; i++)
		print_spool(file, options->spools[i], w->spools[i], options,
			    options->spool_of[i]);
}

/* The text with each @ROOT@ replaced; the caller frees it. */
static char *expand(const struct world *w, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *expanded = NULL, *at, *rest = copy;
	size_t length;
	FILE *file = open_memstream(&expanded, &length);

	assert_true(copy && file);
	while ((at = strstr(rest, "@ROOT@"))) {
		*at = '\0';
		(void)fprintf(file, "%s%s", rest, w->root);
		rest = at + STRLEN("@ROOT@");
	}
	(void)fputs(rest, file);
	(void)fclose(file);
	return expanded;
}

/* The whole configuration; the caller frees it. */
static char *config_text(struct world *w, const struct world_options *options)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	assert_non_null(file);
	print_config(file, w, options);
	(void)fclose(file);
	return expand(w, options->config ? options->config : text);
}

static void make_config(struct world *w, const struct world_options *options)
{
	const char *secret = options->service.client_secret;
	_cleanup_free_ char *path = world_print("%s/secret", w->root);
	_cleanup_free_ char *text = config_text(w, options);

	put(w->config, text, 0644);
	put(path, secret ? secret : SERVICE_CLIENT_SECRET, 0600);
	world_secret_file(w, path);
	world_secret_file(w, w->config);
	world_secret_file(w, w->state);
}

void world_configure(struct world *w, const struct world_options *options)
{
	_cleanup_free_ char *text = NULL;

	make_spools(w, options);
	text = config_text(w, options);
	world_drop(w, w->config, text);
}

void world_start(struct world *w, const struct world_options *options)
{
	static const struct world_options none = { 0 };

	options = options ? options : &none;
	make_places(w, options);
	make_socket(w);
	if (options->journal)
		world_open_journal(w);
	assert_int_equal(service_start(&options->service, &w->service), 0);
	make_config(w, options);
	world_make_environment(w, options->environment);
	w->powerless = options->powerless;
	w->prepare = options->prepare;
	if (options->no_agent)
		return;
	world_launch(w);
	if (!options->no_ready)
		world_wait_ready(w);
}

/* ---- the end ---- */

/* Only notes it: the service holds its locks meanwhile. */
static void note_secret(void *userdata, const char *secret)
{
	secrets_add(userdata, secret);
}

/* How the query of a signed URL begins. */
static void note_query(struct secrets *secrets, const struct service_asset *asset)
{
	_cleanup_free_ char *begin = strndup(strchrnul(asset->url, '?'), SECRETS_PART);

	assert_non_null(begin);
	if (strlen(begin) == SECRETS_PART)
		secrets_add(secrets, begin);
}

static struct secrets *all_secrets(struct world *w)
{
	static const char *const parameters[] = { "signature=", "Signature=", "&sig=",
						  "?sig=" };
	struct secrets *secrets = secrets_new();
	struct service_asset asset;

	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
		secrets_add(secrets, parameters[i]);
	for (size_t i = 0; i < w->secrets.count; i++)
		secrets_add(secrets, w->secrets.items[i]);
	service_each_secret(w->service, note_secret, secrets);
	for (size_t i = 0; service_asset_at(w->service, i, &asset); i++)
		note_query(secrets, &asset);
	return secrets;
}

static bool is_in_a_spool(const struct world *w, const char *path)
{
	if (startswith(path, w->spool))
		return true;
	for (size_t i = 0; i < WORLD_SPOOLS_MAX && w->spools[i]; i++)
		if (startswith(path, w->spools[i]))
			return true;
	return false;
}

/* What is to hold secrets: the configuration, and the ledger, which holds the URLs that
 * are still to be used. And of the spools what others have put there. */
static bool may_hold_secrets(const char *path, void *userdata)
{
	const struct world *w = userdata;
	struct stat st;

	for (size_t i = 0; i < w->secret_files.count; i++)
		if (startswith(path, w->secret_files.items[i]))
			return true;
	return is_in_a_spool(w, path) && !strstr(path, ".asset") &&
	       lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

void world_assert_no_secrets(struct world *w)
{
	struct secrets *secrets = all_secrets(w);
	_cleanup_free_ char *found = secrets_find_below(secrets, w->root,
							may_hold_secrets, w);

	secrets_free(secrets);
	if (found)
		fail_msg("%s", found);
}

void world_secret(struct world *w, const char *secret)
{
	assert_int_equal(strv_push(&w->secrets, secret), 0);
}

void world_secret_file(struct world *w, const char *path)
{
	assert_int_equal(strv_push(&w->secret_files, path), 0);
}

void world_stop(struct world *w)
{
	_cleanup_free_ char *violations = NULL;

	if (w->died)
		fail_msg("the agent ended by itself: wait status %d", w->status);
	if (w->pid) {
		world_signal(w, SIGTERM);
		assert_int_equal(world_wait_exit(w), 0);
	}
	violations = service_violations(w->service);
	if (violations)
		fail_msg("breaches of the service's contract:\n%s", violations);
	world_assert_no_secrets(w);
	world_assert_journal(w);
	w->passed = true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void print_tail(const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t length, lines_left = TAIL_LINES;
	char *line, *rest;

	if (fs_read_file(AT_FDCWD, path, SIZE_MAX / 2, &text, &length) < 0)
		return;
	rest = text + length;
	while (rest > text &&
	       (rest[-1] != '\n' || rest == text + length || lines_left-- > 1))
		rest--;
	while ((line = strsep(&rest, "\n"))) {
		if (*line || rest)
			(void)fprintf(stderr, "#   %s\n", line);
	}
}

static void tell(const struct world *w)
{
	_cleanup_free_ char *violations = w->service ? service_violations(w->service)
						     : NULL;

	(void)fprintf(stderr, "# the world is kept in %s; its log ends:\n", w->root);
	print_tail(w->log);
	if (violations)
		(void)fprintf(stderr, "# breaches of the service's contract:\n%s",
			      violations);
}

static void free_strings(struct world *w)
{
	char *strings[] = { w->root, w->spool,	w->state,      w->config,
			    w->log,  w->output, w->status_text };

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < WORLD_SPOOLS_MAX; i++)
		free(w->spools[i]);
	for (char **variable = w->environment; variable && *variable; variable++)
		free(*variable);
	free(w->environment);
	strv_done(&w->secrets);
	strv_done(&w->secret_files);
}

int world_teardown(void **state)
{
	struct world *w = *state;

	world_kill_if_runs(w);
	if (w->root && !w->passed)
		tell(w);
	if (w->service && !w->passed)
		world_assert_no_secrets(w);
	service_stop(w->service);
	(void)close_fd(w->notify);
	world_close_journal(w);
	if (w->root && w->passed)
		(void)nftw(w->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free_strings(w);
	free(w);
	return 0;
}
