#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sys/sysmacros.h>

#include "fs.h"
#include "macro.h"
#include "writers.h"

#define PROC	    "/proc"
#define FDINFO_SIZE 4096 /* bytes, the flags are on the second line */

DEFINE_CLEANUP(DIR *, closedirp, closedir)

/* ---- who it is ---- */

static void name_user(const char *pid, char *ret, size_t size)
{
	_cleanup_free_ char *path = NULL;
	const struct passwd *user;
	struct stat st;

	if (asprintf(&path, PROC "/%s", pid) < 0) {
		path = NULL;
		return;
	}
	if (stat(path, &st) < 0)
		return;
	user = getpwuid(st.st_uid);
	if (user)
		snprintf(ret, size, "%s", user->pw_name);
	else
		snprintf(ret, size, "user %u", st.st_uid);
}

static void name_command(const char *pid, char *ret, size_t size)
{
	_cleanup_free_ char *path = NULL, *text = NULL;

	if (asprintf(&path, PROC "/%s/comm", pid) < 0) {
		path = NULL;
		return;
	}
	if (fs_read_file(AT_FDCWD, path, FDINFO_SIZE, &text, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	snprintf(ret, size, "%s", text);
}

/* The one of @pid, made where it is new; NULL: there are enough. */
static struct writer *add(struct writers *w, const char *pid)
{
	pid_t number = (pid_t)strtol(pid, NULL, 10);
	struct writer *writer;

	for (size_t i = 0; i < w->count; i++)
		if (w->list[i].pid == number)
			return NULL;
	if (w->count == WRITERS_MAX)
		return NULL;
	writer = &w->list[w->count++];
	*writer = (struct writer){ .pid = number };
	name_command(pid, writer->command, sizeof(writer->command));
	name_user(pid, writer->user, sizeof(writer->user));
	return writer;
}

/* ---- open files ---- */

/* A file server that hangs is not asked. */
static bool is_the_file(int dirfd, const char *name, const struct stat *st)
{
	struct statx now;

	return statx(dirfd, name, AT_STATX_DONT_SYNC, STATX_INO, &now) == 0 &&
	       now.stx_ino == st->st_ino &&
	       makedev(now.stx_dev_major, now.stx_dev_minor) == st->st_dev;
}

static bool is_to_write(const char *pid, const char *fd)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	const char *flags;

	if (asprintf(&path, PROC "/%s/fdinfo/%s", pid, fd) < 0) {
		path = NULL;
		return false;
	}
	if (fs_read_file(AT_FDCWD, path, FDINFO_SIZE, &text, NULL) < 0)
		return false;
	flags = strstr(text, "flags:");
	return flags &&
	       (strtoul(flags + STRLEN("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static void look_at_descriptors(struct writers *w, const char *pid, const struct stat *st)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_(closedirp) DIR *stream = NULL;
	struct dirent *entry;

	if (asprintf(&path, PROC "/%s/fd", pid) < 0) {
		path = NULL;
		return;
	}
	stream = opendir(path);
	if (!stream) {
		w->partial |= errno == EACCES || errno == EPERM;
		return;
	}
	while ((entry = readdir(stream)))
		if (entry->d_name[0] != '.' &&
		    is_the_file(dirfd(stream), entry->d_name, st) &&
		    is_to_write(pid, entry->d_name))
			(void)add(w, pid);
}

/* ---- mappings ---- */

/* Takes @line to pieces at its blanks. Whether it has so many words. */
static bool split(char *line, char **words, size_t count)
{
	char *rest = NULL;

	for (size_t i = 0; i < count; i++) {
		words[i] = strtok_r(i == 0 ? line : NULL, " \t\n", &rest);
		if (!words[i])
			return false;
	}
	return true;
}

/* "MAJOR:MINOR", both in hexadecimal. */
static dev_t read_device(const char *text)
{
	char *rest;
	unsigned long number = strtoul(text, &rest, 16);

	return makedev(number, *rest == ':' ? strtoul(rest + 1, NULL, 16) : 0);
}

/* "START-END rw-s OFFSET MAJOR:MINOR INODE PATH": shared, and may be written. */
static bool is_written_mapping(char *line, const struct stat *st)
{
	enum { RANGE, MODE, OFFSET, DEVICE, INODE, WORDS };
	char *words[WORDS];

	return split(line, words, WORDS) && strlen(words[MODE]) == 4 &&
	       words[MODE][1] == 'w' && words[MODE][3] == 's' &&
	       strtoull(words[INODE], NULL, 10) == st->st_ino &&
	       read_device(words[DEVICE]) == st->st_dev;
}

static void look_at_mappings(struct writers *w, const char *pid, const struct stat *st)
{
	_cleanup_free_ char *path = NULL, *line = NULL;
	_cleanup_fclose_ FILE *maps = NULL;
	struct writer *writer;
	size_t room = 0;

	if (asprintf(&path, PROC "/%s/maps", pid) < 0) {
		path = NULL;
		return;
	}
	maps = fopen(path, "re");
	while (maps && getline(&line, &room, maps) >= 0) {
		if (!is_written_mapping(line, st))
			continue;
		writer = add(w, pid);
		if (writer)
			writer->mapped = true;
		return;
	}
}

/* ---- locks ---- */

/* "1: POSIX  ADVISORY  WRITE 708 08:01:1234 0 EOF". That of a process whose descriptors
 * are hidden from us is shown all the same. */
static void look_at_lock(struct writers *w, char *line, const struct stat *st)
{
	enum { NUMBER, KIND, MODE, ACCESS, PID, PLACE, WORDS };
	char *words[WORDS];
	struct writer *writer;
	const char *inode;

	if (!split(line, words, WORDS) || !streq(words[ACCESS], "WRITE") ||
	    strtol(words[PID], NULL, 10) <= 0)
		return;
	inode = strrchr(words[PLACE], ':');
	if (!inode || strtoull(inode + 1, NULL, 10) != st->st_ino ||
	    read_device(words[PLACE]) != st->st_dev)
		return;
	writer = add(w, words[PID]);
	if (writer)
		writer->locked = true;
}

static void look_at_locks(struct writers *w, const struct stat *st)
{
	_cleanup_fclose_ FILE *locks = fopen(PROC "/locks", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (locks && getline(&line, &room, locks) >= 0)
		look_at_lock(w, line, st);
}

int writers_find(const struct stat *st, struct writers *ret)
{
	_cleanup_(closedirp) DIR *stream = opendir(PROC);
	struct writers w = {};
	struct dirent *entry;

	if (!stream)
		return -errno;
	while ((entry = readdir(stream))) {
		if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name) ||
		    strtol(entry->d_name, NULL, 10) == getpid())
			continue;
		look_at_descriptors(&w, entry->d_name, st);
		look_at_mappings(&w, entry->d_name, st);
	}
	look_at_locks(&w, st);
	*ret = w;
	return 0;
}
