#include <fcntl.h>
#include <stdarg.h>

#include "explain-parts.h"
#include "explain.h"
#include "fs.h"
#include "intake.h"
#include "log.h"

DEFINE_CLEANUP(struct config *, config_freep, config_free)

void explain_next(struct explain *e, const char *format, ...)
{
	va_list args;

	if (e->next)
		return;
	va_start(args, format);
	if (vasprintf(&e->next, format, args) < 0)
		e->next = NULL;
	va_end(args);
}

/* ---- which file ---- */

/* Where the directory @path leads, or led, were it there. The caller frees it. */
static char *true_directory(const char *path)
{
	_cleanup_free_ char *here = NULL;
	char *real = realpath(path, NULL);

	if (real || *path == '/')
		return real ? real : strdup(path);
	here = getcwd(NULL, 0);
	if (!here || asprintf(&real, "%s/%s", here, path) < 0)
		return NULL;
	return real;
}

/* Parts @path into its directory, without links on the way, and its name there, which may
 * be that of a link. */
static int part(struct explain *e, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	char *slash;

	while (copy && (slash = strrchr(copy, '/')) && slash > copy && !slash[1])
		*slash = '\0';
	if (!copy)
		return -ENOMEM;
	slash = strrchr(copy, '/');
	e->name = strdup(slash ? slash + 1 : copy);
	if (slash)
		slash[slash == copy] = '\0';
	e->directory = true_directory(slash ? copy : ".");
	return e->name && e->directory ? 0 : -ENOMEM;
}

static bool is_no_name(const char *name)
{
	return !*name || streq(name, ".") || streq(name, "..");
}

static int find_file(struct explain *e, const char *path)
{
	_cleanup_free_ char *real = NULL;
	int r = part(e, path);

	if (r < 0 || !is_no_name(e->name))
		return r;
	/* Another name of some directory, or the root. */
	real = true_directory(path);
	free(e->name);
	free(e->directory);
	e->name = e->directory = NULL;
	return real ? part(e, real) : -ENOMEM;
}

/* Whoever asks about a sidecar asks about its file. */
static void leave_sidecar(struct explain *e)
{
	enum sidecar_kind kind;
	size_t length;

	kind = sidecar_kind_of(e->name, &length);
	if (kind == SIDECAR_NONE)
		return;
	screen_say(&e->screen,
		   "%s is %s, which is never uploaded itself. Its file is this:", e->name,
		   kind == SIDECAR_DONE ? "a receipt" : "an error sidecar");
	e->name[length] = '\0';
	screen_heading(&e->screen, "%s/%s", e->directory, e->name);
}

static void look(struct explain *e)
{
	_cleanup_close_ int fd = fs_open_directory(AT_FDCWD, e->directory);

	if (fd < 0) {
		e->hidden = fd != -ENOENT && fd != -ENOTDIR;
		if (e->hidden)
			screen_say(&e->screen,
				   "Its directory %s can't be opened: %s; root would see "
				   "more.",
				   e->directory, log_errno(fd));
		return;
	}
	e->exists = fstatat(fd, e->name, &e->st, AT_SYMLINK_NOFOLLOW) == 0;
	e->current = e->exists && S_ISREG(e->st.st_mode) &&
		     intake_is_current(fd, e->name, &e->st);
}

/* ---- all of it ---- */

static void tell_next(struct explain *e)
{
	if (e->exists && e->may_be_due && !e->current && e->agent < 0)
		explain_next(e, "it is uploaded, if the agent runs: systemctl status "
				"asset-agent");
	else if (e->exists && e->may_be_due && !e->current)
		explain_next(
			e,
			"the agent uploads it, and its receipt %s" SIDECAR_DONE_SUFFIX
			" comes to be beside it.",
			e->name);
	else if (e->hidden)
		explain_next(e,
			     "as root, more can be told: sudo asset-agent explain %s/%s",
			     e->directory, e->name);
	else if (!e->exists && e->spool)
		explain_next(e, "nothing. What is put there by that name is uploaded.");
	else
		explain_next(e, "nothing.");
	screen_last(&e->screen, "Next", e->next ? e->next : "out of memory");
}

static void explain(struct explain *e)
{
	screen_heading(&e->screen, "%s/%s", e->directory, e->name);
	leave_sidecar(e);
	look(e);
	explain_find_agent(e);
	explain_place(e);
	explain_sidecars(e);
	explain_writers(e);
	explain_ledger(e);
	explain_live(e);
	explain_past(e);
	tell_next(e);
}

static void explain_done(struct explain *e)
{
	if (e->has_live)
		snapshot_done(&e->live);
	check_user_done(&e->user);
	free(e->directory);
	free(e->name);
	free(e->known_as);
	free(e->next);
}

int explain_command(const struct command_line *line)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct explain e = {};
	int status = command_load_config_to_look(line->config_file, &config);
	int r;

	if (status != EXIT_SUCCESS)
		return status;
	e.config = config;
	screen_init(&e.screen);
	check_user_find(&e.user);
	r = find_file(&e, line->arguments[0]);
	if (r == 0)
		explain(&e);
	else
		fprintf(stderr, "asset-agent: %s\n", log_errno(r));
	status = r == 0 && (e.exists || e.known) ? EXIT_SUCCESS : EXIT_FAILURE;
	explain_done(&e);
	return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}
