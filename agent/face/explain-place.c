#include <fcntl.h>
#include <inttypes.h>

#include "explain-parts.h"
#include "fs.h"
#include "log.h"
#include "size.h"
#include "spool-entry.h"

/* What @path is below @directory, without a slash; "" for that itself; NULL: neither. */
static const char *below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (strncmp(path, directory, length) != 0)
		return NULL;
	if (path[length] == '\0')
		return path + length;
	return path[length] == '/' ? path + length + 1 : NULL;
}

/* Where @path leads, or itself where that is nowhere. The caller frees it. */
static char *true_path(const char *path)
{
	char *real = realpath(path, NULL);

	return real ? real : strdup(path);
}

/* ---- in which spool ---- */

/* Whether uploaded files are moved to where it is. */
static bool is_done_with(struct explain *e, const struct config_spool *spool)
{
	_cleanup_free_ char *done = NULL;

	if (spool->after_upload != AFTER_MOVE)
		return false;
	done = true_path(spool->done_directory);
	if (!done || !below(e->directory, done))
		return false;
	screen_say(
		&e->screen,
		"It lies in DoneDirectory=%s, where the uploaded files of the spool %s "
		"are moved to.",
		spool->done_directory, spool->path);
	explain_next(e, "nothing. To have it uploaded again, move it into the spool %s.",
		     spool->path);
	e->known = true;
	return true;
}

/* A directory on the way to it that is ignored hides all that is in it. The caller frees
 * it. */
static char *find_ignored(const struct config_spool *spool, const char *relative)
{
	_cleanup_free_ char *copy = strdup(relative);
	char *rest = copy, *word;

	while (rest && (word = strsep(&rest, "/")))
		if (*word && spool_entry_is_ignored(spool, word))
			return strdup(word);
	return NULL;
}

static void take_spool(struct explain *e, const struct config_spool *spool,
		       const char *relative)
{
	_cleanup_free_ char *ignored = find_ignored(spool, relative);

	e->spool = spool;
	e->may_be_due = !ignored && e->exists && S_ISREG(e->st.st_mode);
	if (asprintf(&e->known_as, "%s%s%s/%s", spool->path, *relative ? "/" : "",
		     relative, e->name) < 0)
		e->known_as = NULL;
	screen_say(&e->screen, "It lies in the spool %s%s%s.", spool->name,
		   streq(spool->name, spool->path) ? "" : ", ",
		   streq(spool->name, spool->path) ? "" : spool->path);
	if (!ignored)
		return;
	screen_say(&e->screen,
		   "The directory %s, in which it lies, is ignored: its name matches "
		   "Ignore=.",
		   ignored);
	explain_next(e, "nothing. Move the file out of the directory %s.", ignored);
}

/* Whether it is one of @spool's, or would be. */
static bool is_of_spool(struct explain *e, const struct config_spool *spool)
{
	_cleanup_free_ char *path = true_path(spool->path);
	const char *relative = path ? below(e->directory, path) : NULL;

	if (!relative)
		return false;
	if (*relative && !spool->recursive) {
		screen_say(&e->screen,
			   "It lies below the spool %s, in the directory %s; but that "
			   "spool has Recursive=no.",
			   spool->path, relative);
		explain_next(e,
			     "nothing. Set Recursive=yes for the spool %s, or move the "
			     "file up into it.",
			     spool->path);
		return true;
	}
	take_spool(e, spool, relative);
	return true;
}

/* The directory of a spool is not in one. */
static bool is_a_spool(struct explain *e)
{
	_cleanup_free_ char *own = NULL;

	if (asprintf(&own, "%s/%s", e->directory, e->name) < 0) {
		own = NULL;
		return false;
	}
	for (size_t i = 0; i < e->config->spool_count; i++) {
		_cleanup_free_ char *path = true_path(e->config->spools[i].path);

		if (!path || !streq(path, own))
			continue;
		screen_say(&e->screen, "It is the spool %s.", e->config->spools[i].name);
		return true;
	}
	return false;
}

static void tell_spools(struct explain *e)
{
	screen_say(&e->screen, "It lies in no spool. The spools are:");
	for (size_t i = 0; i < e->config->spool_count; i++)
		screen_say(&e->screen, "- %s%s", e->config->spools[i].path,
			   e->config->spools[i].recursive ? ", and all below it" : "");
	explain_next(e, "nothing. Move it into a spool, or make its directory one.");
}

static void find_spool(struct explain *e)
{
	if (is_a_spool(e))
		return;
	for (size_t i = 0; i < e->config->spool_count; i++)
		if (is_done_with(e, &e->config->spools[i]))
			return;
	for (size_t i = 0; i < e->config->spool_count; i++)
		if (is_of_spool(e, &e->config->spools[i]))
			return;
	tell_spools(e);
}

/* ---- what it is ---- */

static void tell_kind(struct explain *e)
{
	char size[SIZE_STRING_MAX], modified[CLOCK_STRING_MAX];

	if (e->hidden)
		return;
	if (!e->exists) {
		screen_say(&e->screen, "There is no such file now.");
		return;
	}
	e->known = true;
	if (S_ISREG(e->st.st_mode)) {
		screen_say(&e->screen, "It is a file of %s, modified on %s.",
			   size_format(size, (uint64_t)e->st.st_size),
			   screen_instant(modified, usec_from_timespec(e->st.st_mtim)));
		return;
	}
	screen_say(&e->screen, "It is %s, and only regular files are uploaded.",
		   S_ISDIR(e->st.st_mode) ? "a directory"
					  : spool_entry_why_alien(&e->st));
	if (S_ISDIR(e->st.st_mode))
		explain_next(e, "nothing. Ask about a file in it.");
	else
		explain_next(e, "nothing. Put the file itself there.");
}

static void tell_name(struct explain *e)
{
	const char *glob = strv_match(&e->spool->ignore, e->name);

	if (fs_is_temporary(e->name)) {
		screen_say(&e->screen, "It is a temporary file of asset-agent's own.");
		explain_next(e, "it goes away by itself.");
	} else if (glob) {
		screen_say(&e->screen,
			   "It is ignored: its name matches the pattern %s of Ignore=.",
			   glob);
		explain_next(e,
			     "nothing. Rename it, or take the pattern out of Ignore=.");
	} else if (strlen(e->name) > SIDECAR_BASE_MAX) {
		screen_say(&e->screen,
			   "Its name has %zu bytes, and with more than %zu there is no "
			   "room for its sidecar's.",
			   strlen(e->name), (size_t)SIDECAR_BASE_MAX);
		explain_next(e, "nothing. Give it a shorter name.");
	} else {
		return;
	}
	e->may_be_due = false;
}

/* ---- may it be read, and is it small enough? ---- */

static int ask(struct explain *e, check_question question, const char *path)
{
	return check_user_ask(&e->user, question, path);
}

static void tell_access(struct explain *e)
{
	_cleanup_free_ char *path = NULL;
	int r = ask(e, check_can_make_files, e->directory);

	if (r < 0 && r != -EPERM) {
		screen_say(&e->screen, "%s can make no sidecar in %s: %s.", e->user.name,
			   e->directory, log_errno(r));
		explain_next(e,
			     "it waits until %s may write to that directory; see "
			     "asset-agent check.",
			     e->user.name);
	}
	if (asprintf(&path, "%s/%s", e->directory, e->name) < 0) {
		path = NULL;
		return;
	}
	r = ask(e, check_can_read_file, path);
	if (r >= 0 || r == -EPERM)
		return;
	screen_say(&e->screen, "%s can't read it: %s.", e->user.name, log_errno(r));
	if (!e->current)
		explain_next(
			e, "the agent gives it up, with an error sidecar, unless it may "
			   "read it then: chmod g+r, or chgrp.");
}

static void tell_size(struct explain *e)
{
	char size[SIZE_STRING_MAX];

	if ((uint64_t)e->st.st_size <= e->spool->max_size)
		return;
	screen_say(&e->screen, "It is larger than MaxSize=, which is %s.",
		   size_format(size, e->spool->max_size));
	if (!e->current)
		explain_next(e,
			     "the agent gives it up, with an error sidecar, and asks "
			     "the service nothing. Raise MaxSize= to have it uploaded.");
}

void explain_place(struct explain *e)
{
	tell_kind(e);
	find_spool(e);
	if (!e->spool)
		return;
	tell_name(e);
	if (!e->exists || !e->may_be_due)
		return;
	tell_size(e);
	tell_access(e);
}
