#include <fcntl.h>
#include <inttypes.h>
#include <sys/statvfs.h>

#include "check-parts.h"
#include "fs.h"
#include "ledger.h"
#include "log.h"
#include "size.h"

#define STATE_ROOM_MIN (UINT64_C(64) << 20) /* bytes: the ledger and its log */
#define SPOOL_ROOM_MIN (UINT64_C(16) << 20) /* bytes: sidecars, and what is dropped */
#define INODES_MIN     UINT64_C(1000)	    /* a sidecar takes one */

#define UNIT_SPOOL "/var/spool/asset-agent" /* ReadWritePaths= of the unit */

#define GROUP_DROPS (S_IWGRP | S_IXGRP)

static int ask(struct check *c, check_question question, const char *path)
{
	return check_user_ask(&c->user, question, path);
}

/* ---- room ---- */

static void check_inodes(struct check *c, const char *path, const struct statvfs *fs)
{
	/* Some filesystems have no such number. */
	if (fs->f_files == 0 || fs->f_favail >= INODES_MIN)
		return;
	screen_mark(&c->screen, fs->f_favail == 0 ? SCREEN_FAILED : SCREEN_WARNING,
		    "%s: only %" PRIu64 " files can still be made on its filesystem, and "
		    "each sidecar is one. Delete what is not needed there.",
		    path, (uint64_t)fs->f_favail);
}

static void check_room(struct check *c, const char *path, uint64_t least)
{
	char size[SIZE_STRING_MAX];
	struct statvfs fs;
	uint64_t room;

	if (statvfs(path, &fs) < 0) {
		screen_mark(&c->screen, SCREEN_WARNING,
			    "%s: its free space can't be told: %s.", path,
			    log_errno(-errno));
		return;
	}
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room < least)
		screen_mark(&c->screen, room == 0 ? SCREEN_FAILED : SCREEN_WARNING,
			    "%s: only %s are free on its filesystem. Make room.", path,
			    size_format(size, room));
	check_inodes(c, path, &fs);
}

/* ---- one directory ---- */

/* Whether not the directory itself is in the way, but the sandbox of the service. */
static bool is_sandboxed(const struct check *c, const char *path, int error)
{
	return c->user.mounts >= 0 && access(path, W_OK) == 0 &&
	       (error == -ENOENT || error == -EROFS);
}

/* It may name the directory, and show another that was in its place at the start. */
static void tell_sandboxed(struct check *c, const char *what, const char *path, int error)
{
	screen_mark(
		&c->screen, SCREEN_FAILED,
		"%s: the sandbox of the service hides %s from it, or lets it write "
		"nothing there: %s. To open it: systemctl edit asset-agent, and there "
		"[Service] ReadWritePaths=%s; where the unit has that already: "
		"systemctl restart asset-agent",
		path, what, log_errno(error), path);
}

/* The nearest directory above @path that is there. The caller frees it. */
static char *nearest(const char *path)
{
	char *above = strdup(path);

	while (above && access(above, F_OK) < 0 && strrchr(above, '/') > above)
		*strrchr(above, '/') = '\0';
	if (above && access(above, F_OK) < 0)
		above[1] = '\0';
	return above;
}

/* What is not there yet is made, if that may be. */
static void check_missing(struct check *c, const char *what, const char *path)
{
	_cleanup_free_ char *above = nearest(path);
	int r = above ? ask(c, check_can_make_files, above) : -ENOMEM;

	if (r == 0)
		screen_mark(&c->screen, SCREEN_OK,
			    "%s: %s is not there yet, and will be made.", path, what);
	else if (above && is_sandboxed(c, above, r))
		tell_sandboxed(c, what, above, r);
	else
		screen_mark(&c->screen, SCREEN_FAILED,
			    "%s: %s is not there, and %s can't make it in %s: %s. Make "
			    "it, for that user.",
			    path, what, c->user.name, above ? above : "/", log_errno(r));
}

/* Whether @path is a directory in which the service's user can make files. */
static bool check_writable(struct check *c, const char *what, const char *path)
{
	int r = ask(c, check_can_make_files, path);

	if (r < 0 && is_sandboxed(c, path, r))
		tell_sandboxed(c, what, path, r);
	else if (r == -ENOENT)
		check_missing(c, what, path);
	else if (r < 0)
		screen_mark(&c->screen, SCREEN_FAILED,
			    "%s: %s can't be written by %s: %s. Give it to that user.",
			    path, what, c->user.name, log_errno(r));
	else
		screen_mark(&c->screen, SCREEN_OK, "%s: %s can be written by %s.", path,
			    what, c->user.name);
	return r >= 0;
}

/* Of those two that systemd makes for the service. */
static bool is_made_by_systemd(const char *path, const char *standard)
{
	return streq(path, standard) && access(path, F_OK) < 0;
}

/* One that was made by another user, such as root who tried the program by hand. */
static void check_ledger(struct check *c, const char *directory)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (asprintf(&path, "%s/" LEDGER_FILE, directory) < 0) {
		path = NULL;
		return;
	}
	r = ask(c, check_can_read_file, path);
	if (r == -EACCES)
		screen_mark(&c->screen, SCREEN_FAILED,
			    "%s: the ledger can't be read by %s: %s. To let it: chown -R "
			    "%s: %s",
			    path, c->user.name, log_errno(r), c->user.name, directory);
}

static void check_state(struct check *c)
{
	const char *path = c->config->state.directory;

	if (is_made_by_systemd(path, "/var/lib/asset-agent"))
		screen_mark(&c->screen, SCREEN_INFO,
			    "%s: the state directory is not there yet; systemd makes it "
			    "when the service starts.",
			    path);
	else if (check_writable(c, "the state directory", path)) {
		check_ledger(c, path);
		check_room(c, path, STATE_ROOM_MIN);
	}
}

/* The file @path, which the agent writes as @key. */
static void check_file_to_write(struct check *c, const char *key, const char *path)
{
	_cleanup_free_ char *directory = strdup(path), *what = NULL;
	struct stat st;

	if (!directory || asprintf(&what, "the directory of %s", key) < 0)
		return;
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		screen_mark(&c->screen, SCREEN_FAILED,
			    "%s%s is a directory. Name a file in it.", key, path);
		return;
	}
	if (strrchr(directory, '/') == directory)
		directory[1] = '\0';
	else
		*strrchr(directory, '/') = '\0';
	if (is_made_by_systemd(directory, "/run/asset-agent"))
		screen_mark(&c->screen, SCREEN_INFO,
			    "%s: %s is not there yet; systemd makes it when the service "
			    "starts.",
			    directory, what);
	else
		(void)check_writable(c, what, directory);
}

/* ---- spools ---- */

static void check_filesystem(struct check *c, const struct config_spool *spool)
{
	_cleanup_close_ int fd = fs_open_directory(AT_FDCWD, spool->path);
	char span[CLOCK_STRING_MAX];

	if (fd < 0 || !fs_is_remote(fd) || spool->watch == WATCH_POLL)
		return;
	clock_format_span(span, spool->poll_interval);
	if (spool->watch == WATCH_AUTO)
		screen_mark(&c->screen, SCREEN_INFO,
			    "%s is on a network filesystem: it is polled every %s.",
			    spool->path, span);
	else
		screen_mark(
			&c->screen, SCREEN_WARNING,
			"%s is on a network filesystem, where inotify sees nothing of "
			"what other machines write. Set Watch=auto.",
			spool->path);
}

static void check_drops(struct check *c, const struct config_spool *spool,
			const struct stat *st)
{
	struct check_user member;
	int r;

	check_user_member(&member, st->st_gid);
	r = check_user_ask(&member, check_can_make_files, spool->path);
	/* Only root can try to be somebody else; the mode is the next best witness. */
	if (r == -EPERM)
		r = (st->st_mode & GROUP_DROPS) == GROUP_DROPS ? 0 : -EACCES;
	if (r < 0)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "%s: members of its group can't drop files: %s. To let them: "
			    "chmod 2770 %s",
			    spool->path, log_errno(r), spool->path);
	else if (!(st->st_mode & S_ISGID))
		screen_mark(&c->screen, SCREEN_WARNING,
			    "%s: files do not get its group, and the agent may be unable "
			    "to read them. To mend that: chmod g+s %s",
			    spool->path, spool->path);
}

static void check_done(struct check *c, const struct config_spool *spool)
{
	int r;

	if (spool->after_upload != AFTER_MOVE)
		return;
	/* That it is on another filesystem is a fault of the configuration. */
	r = fs_can_rename(spool->path, spool->done_directory);
	if (r < 0)
		screen_mark(&c->screen, SCREEN_FAILED,
			    "DoneDirectory=%s can't be used: %s. Nothing of %s is "
			    "uploaded until it can.",
			    spool->done_directory, log_errno(r), spool->path);
	else
		(void)check_writable(c, "DoneDirectory=", spool->done_directory);
}

/* Names as people give them; what leaves out all of these leaves out everything. */
static bool ignores_everything(const struct config_spool *spool)
{
	static const char *const names[] = { "bird.jpg", "Report 2026.pdf",  "a", "7",
					     "README",	 "data_set-1.tar.gz" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strv_match(&spool->ignore, names[i]))
			return false;
	return true;
}

static bool is_at_or_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 &&
	       (path[length] == '\0' || path[length] == '/');
}

/* What the unit's sandbox leaves writable is tried only where there is one. */
static void check_sandbox(struct check *c, const struct config_spool *spool)
{
	if (c->user.other && c->agent == 0 && !is_at_or_below(spool->path, UNIT_SPOOL))
		screen_mark(&c->screen, SCREEN_INFO,
			    "%s: the service's sandbox, which is tried only while it "
			    "runs, must leave the spool writable: systemctl edit "
			    "asset-agent, and there [Service] ReadWritePaths=%s",
			    spool->path, spool->path);
}

static void tell_unusable(struct check *c, const struct config_spool *spool, int error)
{
	if (error == -ENOENT && access(spool->path, F_OK) < 0)
		screen_mark(
			&c->screen, SCREEN_FAILED,
			"%s: the spool is not there. Make it: install -d -m 2770 -o %s "
			"-g %s %s",
			spool->path, c->user.name, c->user.name, spool->path);
	else if (error == -ENOTDIR)
		screen_mark(&c->screen, SCREEN_FAILED,
			    "%s: the spool is no directory. Set another Path=.",
			    spool->path);
	else if (is_sandboxed(c, spool->path, error))
		tell_sandboxed(c, "the spool", spool->path, error);
	else if (error == -EACCES)
		screen_mark(
			&c->screen, SCREEN_FAILED,
			"%s: the spool can't be used by %s, who must list it, read its "
			"files and make sidecars: %s. To let it: chgrp %s %s; chmod 2770 "
			"%s",
			spool->path, c->user.name, log_errno(error), c->user.name,
			spool->path, spool->path);
	else
		screen_mark(
			&c->screen, SCREEN_FAILED,
			"%s: the spool can't be used by %s, who must list it, read its "
			"files and make sidecars: %s.",
			spool->path, c->user.name, log_errno(error));
}

static void check_spool(struct check *c, const struct config_spool *spool)
{
	struct stat st;
	int r = ask(c, check_can_read_directory, spool->path);

	if (ignores_everything(spool))
		screen_mark(&c->screen, SCREEN_FAILED,
			    "%s: the spool's Ignore= leaves out every file, with the "
			    "pattern %s. Take that out.",
			    spool->path, strv_match(&spool->ignore, "bird.jpg"));
	if (r == 0)
		r = ask(c, check_can_make_files, spool->path);
	if (r < 0)
		tell_unusable(c, spool, r);
	else
		screen_mark(&c->screen, SCREEN_OK,
			    "%s: the spool can be read, written and searched by %s.",
			    spool->path, c->user.name);
	if (stat(spool->path, &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	check_sandbox(c, spool);
	check_drops(c, spool, &st);
	check_room(c, spool->path, SPOOL_ROOM_MIN);
	check_filesystem(c, spool);
	check_done(c, spool);
}

void check_places(struct check *c)
{
	check_state(c);
	check_file_to_write(c, "StatusFile=", c->config->report.status_file);
	if (c->config->report.metrics_file)
		check_file_to_write(c, "MetricsFile=", c->config->report.metrics_file);
	for (size_t i = 0; i < c->config->spool_count; i++)
		check_spool(c, &c->config->spools[i]);
}
