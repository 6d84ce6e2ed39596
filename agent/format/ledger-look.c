#include <fcntl.h>
#include <inttypes.h>

#include "fs.h"
#include "ledger-db.h"
#include "ledger-look.h"

#define LOCKS	 "/proc/locks"
#define PID_SIZE 32 /* bytes of the lock file */

/* "1: FLOCK  ADVISORY  WRITE 708 08:01:1234 0 EOF": whose lock of @inode that is; 0: it
 * is no such line. */
static pid_t read_lock(char *line, uint64_t inode)
{
	enum { NUMBER, KIND, MODE, ACCESS, PID, PLACE, WORDS };
	char *words[WORDS], *rest = NULL;

	for (int i = 0; i < WORDS; i++) {
		words[i] = strtok_r(i == 0 ? line : NULL, " \t\n", &rest);
		if (!words[i])
			return 0;
	}
	if (!streq(words[KIND], "FLOCK") || !strrchr(words[PLACE], ':') ||
	    strtoull(strrchr(words[PLACE], ':') + 1, NULL, 10) != inode)
		return 0;
	return (pid_t)strtol(words[PID], NULL, 10);
}

/* The device stands there too, but of btrfs and overlayfs another than stat() tells: the
 * process that the lock file names must be the one. */
pid_t ledger_holder(const char *directory)
{
	_cleanup_free_ char *path = NULL, *text = NULL, *line = NULL;
	_cleanup_fclose_ FILE *locks = NULL;
	size_t room = 0;
	struct stat st = {};
	int r;

	if (asprintf(&path, "%s/" LEDGER_LOCK, directory) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = fs_read_file(AT_FDCWD, path, PID_SIZE, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (stat(path, &st) < 0)
		return -errno;
	locks = fopen(LOCKS, "re");
	if (!locks)
		return -errno;
	while (getline(&line, &room, locks) >= 0) {
		pid_t pid = read_lock(line, st.st_ino);

		if (pid > 0 && pid == (pid_t)strtol(text, NULL, 10))
			return pid;
	}
	return 0;
}

int ledger_look(const char *directory, const char *path, const char *name,
		ledger_row_fn row, void *userdata)
{
	_cleanup_free_ char *file = NULL;

	if (asprintf(&file, "%s/" LEDGER_FILE, directory) < 0) {
		file = NULL;
		return -ENOMEM;
	}
	return ledger_db_look(file, path, name, row, userdata);
}

int ledger_look_counts(const char *directory, uint64_t counts[static 4])
{
	_cleanup_free_ char *file = NULL;

	if (asprintf(&file, "%s/" LEDGER_FILE, directory) < 0) {
		file = NULL;
		return -ENOMEM;
	}
	return ledger_db_look_counts(file, counts);
}
