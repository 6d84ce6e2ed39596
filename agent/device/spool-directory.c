#include <fcntl.h>

#include "fs.h"
#include "spool-directory.h"

/* ---- what it is ---- */

struct spool *spool_of(const struct spool_directory *directory)
{
	return directory->spool;
}

const char *spool_directory_path(const struct spool_directory *directory)
{
	return directory->path;
}

const char *spool_directory_relative(const struct spool_directory *directory)
{
	return directory->path + directory->relative;
}

const char *spool_directory_name(const struct spool_directory *directory)
{
	const char *slash = strrchr(directory->path, '/');

	return slash ? slash + 1 : directory->path;
}

/* It came to be apart, or is no longer. */
static void count_apart(struct spool_directory *directory)
{
	struct spool_directory *root = directory->root;

	if (root)
		root->aparts += directory->apart ? 1U : -1U;
}

bool spool_directory_set_apart(struct spool_directory *directory, bool apart,
			       usec_t until)
{
	directory->apart_until = until;
	if (directory->apart == apart)
		return false;
	directory->apart = apart;
	count_apart(directory);
	return true;
}

usec_t spool_directory_apart_until(const struct spool_directory *directory)
{
	return directory->apart ? directory->apart_until : 0;
}

/* Only what is held can't be deleted and its inode number given to another. */
static bool is_held(const struct spool_directory *directory)
{
	return directory->fd >= 0 || directory->wd >= 0;
}

bool spool_directory_is_other(const struct spool_directory *directory,
			      const struct stat *st)
{
	return is_held(directory) &&
	       (st->st_dev != directory->device || st->st_ino != directory->inode);
}

/* ---- its life ---- */

int spool_directory_new(struct spool *spool, struct spool_directory *parent,
			const char *name, struct spool_directory **ret)
{
	struct spool_directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return -ENOMEM;
	if (asprintf(&directory->path, "%s%s%s", parent ? parent->path : "",
		     parent ? "/" : "", name) < 0) {
		free(directory);
		return -ENOMEM;
	}
	directory->spool = spool;
	directory->parent = parent;
	directory->root = parent ? parent->root : directory;
	directory->relative = parent ? parent->root->relative + 1 : strlen(name);
	directory->references = 1;
	directory->fd = -1;
	directory->wd = -1;
	LIST_INIT(&directory->children);
	*ret = directory;
	return 0;
}

struct spool_directory *spool_directory_ref(struct spool_directory *directory)
{
	directory->references++;
	return directory;
}

void spool_directory_unref(struct spool_directory *directory)
{
	if (--directory->references > 0) {
		/* Only the spool's own is left. */
		if (directory->references == 1 && directory->spool)
			directory->fd = close_fd(directory->fd);
		return;
	}
	close_fd(directory->fd);
	free(directory->path);
	free(directory);
}

void spool_directory_leave(struct spool_directory *directory, struct watch *watch)
{
	if (directory->wd >= 0)
		watch_remove(watch, directory->wd);
	directory->wd = -1;
	(void)spool_directory_set_apart(directory, false, 0);
	directory->spool = NULL;
	directory->root = NULL;
	directory->parent = NULL;
}

/* ---- the descriptor and the watch ---- */

static int open_path(const struct spool_directory *directory)
{
	/* Only the root may be reached through links. */
	if (!directory->parent)
		return fs_open_directory(AT_FDCWD, directory->path);
	if (directory->root->fd < 0)
		return -ESTALE;
	return fs_open_directory(directory->root->fd,
				 spool_directory_relative(directory));
}

int spool_directory_open(struct spool_directory *directory)
{
	_cleanup_close_ int fd = open_path(directory);
	struct stat st;

	if (fd < 0)
		return fd;
	/* By name, as this fails where names may be listed and nothing be looked at. */
	if (fstatat(fd, ".", &st, 0) < 0)
		return -errno;
	if (spool_directory_is_other(directory, &st))
		return -ESTALE;
	directory->device = st.st_dev;
	directory->inode = st.st_ino;
	return take_fd(&fd);
}

int spool_directory_fd(struct spool_directory *directory)
{
	int fd;

	if (directory->fd >= 0)
		return directory->fd;
	if (!directory->spool)
		return -ESTALE;
	fd = spool_directory_open(directory);
	if (fd >= 0)
		directory->fd = fd;
	return fd;
}

int spool_directory_watch(struct spool_directory *directory, struct watch *watch, int fd)
{
	int wd;

	if (directory->wd >= 0)
		return 0;
	wd = watch_add(watch, fd, directory);
	if (wd < 0)
		return wd;
	directory->wd = wd;
	return 0;
}
