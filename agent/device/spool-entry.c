#include <fcntl.h>
#include <unistd.h>

#include "fs.h"
#include "intake.h"
#include "macro.h"
#include "sidecar.h"
#include "spool-entry.h"

#define STALE_AGE (10 * USEC_PER_MINUTE) /* of a temporary file that a crash left */

bool spool_entry_is_ignored(const struct config_spool *config, const char *name)
{
	return fs_is_temporary(name) || sidecar_kind_of(name, NULL) != SIDECAR_NONE ||
	       strv_match(&config->ignore, name);
}

static void remove_stale(int fd, const char *name)
{
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    st.st_uid == geteuid() && st.st_size <= (off_t)SIDECAR_SIZE_MAX &&
	    intake_age(&st) > STALE_AGE)
		(void)unlinkat(fd, name, 0);
}

/* Where uploaded files go may lie in the spool: what it holds is not due. */
static bool is_done_directory(const struct config_spool *config, const char *directory,
			      const char *name)
{
	_cleanup_free_ char *path = NULL;
	size_t length;

	if (config->after_upload != AFTER_MOVE ||
	    asprintf(&path, "%s/%s", directory, name) < 0)
		return false;
	length = strlen(config->done_directory);
	return strncmp(path, config->done_directory, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0');
}

enum spool_entry spool_entry_look(const struct config_spool *config, const char *path,
				  int fd, const char *name, struct stat *ret)
{
	struct stat st;

	if (fs_is_temporary(name))
		remove_stale(fd, name);
	if (spool_entry_is_ignored(config, name) ||
	    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return SPOOL_ENTRY_NOTHING;
	if (S_ISREG(st.st_mode) && strlen(name) <= SIDECAR_BASE_MAX) {
		if (intake_is_current(fd, name, &st))
			return SPOOL_ENTRY_NOTHING;
		*ret = st;
		return SPOOL_ENTRY_DUE;
	}
	if (is_done_directory(config, path, name))
		return SPOOL_ENTRY_NOTHING;
	*ret = st;
	return S_ISDIR(st.st_mode) && config->recursive ? SPOOL_ENTRY_DIRECTORY
							: SPOOL_ENTRY_ALIEN;
}

const char *spool_entry_why_alien(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return "a file whose name is too long: its sidecar's would have more than "
		       "the 255 bytes that a name can have";
	case S_IFDIR: return "a directory, and Recursive=no";
	case S_IFLNK: return "a symbolic link";
	case S_IFSOCK: return "a socket";
	case S_IFIFO: return "a named pipe";
	default: return "a device";
	}
}
