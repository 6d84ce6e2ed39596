#include <fcntl.h>

#include "spool-entry.h"
#include "spool-tree.h"

/* ---- directories come and go ---- */

/* Drops @directory and all below it. */
static void drop(struct spool_tree *tree, struct spool_directory *directory)
{
	bool last;

	do {
		struct spool_directory *leaf = spool_index_leaf(directory);

		last = leaf == directory;
		spool_scan_forget(&tree->scan, leaf);
		spool_index_remove(&tree->index, leaf, tree->watch);
	} while (!last);
}

/* It is opened, watched and looked through when its turn comes. */
static int add(struct spool_tree *tree, struct spool_directory *parent, const char *name,
	       struct spool_directory **ret)
{
	int r = spool_index_add(&tree->index, parent, name, ret);

	if (r == 0)
		spool_scan_queue(&tree->scan, *ret);
	return r;
}

/* @name in @parent is a directory now, as @st describes. */
static void enter(struct spool_tree *tree, struct spool_directory *parent,
		  const char *name, const struct stat *st)
{
	struct spool_directory *directory = spool_index_find(&tree->index, parent, name);
	int r;

	if (directory && spool_directory_is_other(directory, st)) {
		drop(tree, directory);
		directory = NULL;
	}
	if (!directory) {
		r = add(tree, parent, name, &directory);
		if (r < 0)
			tree->ops->failed(tree->userdata, parent, r);
	} else if (directory->failed) {
		spool_scan_queue(&tree->scan, directory);
	}
}

static void lose(struct spool_tree *tree, int error)
{
	drop(tree, tree->index.root);
	tree->watch = NULL;
	tree->ops->lost(tree->userdata, error);
}

static void watch_directory(struct spool_tree *tree, struct spool_directory *directory,
			    int fd)
{
	int r;

	if (!tree->watch)
		return;
	r = spool_directory_watch(directory, tree->watch, fd);
	/* -EEXIST: it is, by the path that it had before events were lost. That path is
	 * found to be wrong by its scan, and the next scan of this one watches it. */
	if (r < 0 && r != -EEXIST)
		tree->ops->unwatched(tree->userdata, r);
}

/* ---- scans ---- */

static int on_open(void *userdata, struct spool_directory *directory)
{
	struct spool_tree *tree = userdata;
	int fd = spool_directory_open(directory);

	if (fd >= 0)
		watch_directory(tree, directory, fd);
	return fd;
}

static bool on_entry(void *userdata, struct spool_directory *directory, int fd,
		     const char *name)
{
	struct spool_tree *tree = userdata;
	struct stat st;

	switch (spool_entry_look(tree->config, directory->path, fd, name, &st)) {
	case SPOOL_ENTRY_NOTHING: break;
	case SPOOL_ENTRY_DUE:
		return tree->ops->file(tree->userdata, directory, name, &st);
	case SPOOL_ENTRY_DIRECTORY: enter(tree, directory, name, &st); break;
	case SPOOL_ENTRY_ALIEN:
		tree->ops->alien(tree->userdata, directory, name, &st);
		break;
	}
	return true;
}

/* Its path leads nowhere, or to something else than it did. */
static bool is_gone(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ELOOP ||
	       error == -ESTALE;
}

static void on_ended(void *userdata, struct spool_directory *directory, int error)
{
	struct spool_tree *tree = userdata;
	struct spool_directory *parent = directory->parent;

	if (error == 0) {
		directory->failed = false;
	} else if (!parent && (is_gone(error) || error == -EACCES)) {
		lose(tree, error == -ESTALE ? -ENOENT : error);
	} else if (is_gone(error)) {
		drop(tree, directory);
		if (error == -ESTALE) /* there is another one */
			spool_scan_queue(&tree->scan, parent);
	} else {
		tree->ops->failed(tree->userdata, directory, error);
		directory->failed = true;
	}
}

/* ---- events ---- */

static bool is_there(const struct spool_directory *directory, int parent)
{
	const char *name = spool_directory_name(directory);
	struct stat st;

	return fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode) && !spool_directory_is_other(directory, &st);
}

void spool_tree_stirred(struct spool_tree *tree, struct spool_directory *parent,
			const char *name)
{
	struct spool_directory *known = spool_index_find(&tree->index, parent, name);
	int fd = spool_directory_fd(spool_directory_ref(parent));

	if (fd < 0) {
		/* The scan deals with whatever is wrong. */
		spool_scan_queue(&tree->scan, parent);
	} else {
		if (known && !is_there(known, fd))
			drop(tree, known);
		if (!on_entry(tree, parent, fd, name))
			spool_scan_overflow(&tree->scan, parent);
	}
	spool_directory_unref(parent);
}

void spool_tree_vanished(struct spool_tree *tree, struct spool_directory *directory)
{
	_cleanup_(spool_directory_unrefp) struct spool_directory *kept = NULL;
	struct spool_directory *parent = directory->parent;

	if (!parent) {
		lose(tree, -ENOENT);
		return;
	}
	/* Its watch is of no use any more, even if its path leads to it again. */
	kept = spool_directory_ref(directory);
	drop(tree, directory);
	spool_tree_stirred(tree, parent, spool_directory_name(kept));
}

void spool_tree_changed(struct spool_tree *tree, struct spool_directory *directory)
{
	spool_scan_queue(&tree->scan, directory);
}

/* ---- without events ---- */

void spool_tree_check_root(struct spool_tree *tree)
{
	struct stat st;

	if (stat(tree->config->path, &st) < 0)
		lose(tree, -errno);
	else if (spool_directory_is_other(tree->index.root, &st))
		lose(tree, -ENOENT);
}

void spool_tree_check(struct spool_tree *tree)
{
	struct spool_directory *directory;
	struct stat st;

	spool_tree_check_root(tree);
	TAILQ_FOREACH (directory, &tree->index.all, all)
		if (directory->parent &&
		    fstatat(tree->index.root->fd, spool_directory_relative(directory),
			    &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    spool_directory_is_other(directory, &st))
			spool_scan_queue(&tree->scan, directory->parent);
}

/* ---- from outside ---- */

int spool_tree_open(struct spool_tree *tree)
{
	struct spool_directory *root;
	int r, fd;

	r = add(tree, NULL, tree->config->path, &root);
	if (r < 0)
		return r;
	fd = spool_directory_fd(root);
	if (fd < 0)
		drop(tree, root);
	return fd;
}

void spool_tree_watch(struct spool_tree *tree, struct watch *watch)
{
	struct spool_directory *root = tree->index.root;

	tree->watch = watch;
	watch_directory(tree, root, root->fd);
}

void spool_tree_look(struct spool_tree *tree)
{
	struct spool_directory *directory;

	TAILQ_FOREACH (directory, &tree->index.all, all)
		spool_scan_queue(&tree->scan, directory);
}

void spool_tree_overflow(struct spool_tree *tree, struct spool_directory *directory)
{
	spool_scan_overflow(&tree->scan, directory);
}

void spool_tree_resume(struct spool_tree *tree)
{
	spool_scan_resume(&tree->scan);
}

bool spool_tree_is_idle(const struct spool_tree *tree)
{
	return spool_scan_is_idle(&tree->scan);
}

uint64_t spool_tree_entries(const struct spool_tree *tree)
{
	return tree->scan.entries;
}

/* The part of @path below @directory, or NULL: it is not there. */
static const char *path_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (strncmp(path, directory, length) != 0 ||
	    (path[length] != '/' && path[length] != '\0'))
		return NULL;
	return path + length + strspn(path + length, "/");
}

/* The first component of @relative, which moves on to the next. The caller frees it. */
static char *take_component(const char **relative)
{
	size_t length = strcspn(*relative, "/");
	char *name = strndup(*relative, length);

	*relative += length;
	*relative += strspn(*relative, "/");
	return name;
}

/* Finds or adds them all, down to @relative. NULL: no memory. */
static struct spool_directory *walk(struct spool_tree *tree, const char *relative)
{
	struct spool_directory *directory = tree->index.root;

	while (*relative) {
		_cleanup_free_ char *name = take_component(&relative);
		struct spool_directory *parent = directory;

		if (!name)
			return NULL;
		directory = spool_index_find(&tree->index, parent, name);
		if (!directory && add(tree, parent, name, &directory) < 0)
			return NULL;
	}
	return directory;
}

int spool_tree_find(struct spool_tree *tree, const char *path,
		    struct spool_directory **ret)
{
	_cleanup_(spool_directory_unrefp) struct spool_directory *directory = NULL;
	const char *relative = path_below(path, tree->config->path);
	int fd;

	if (!tree->index.root || !relative || (*relative && !tree->config->recursive))
		return 0;
	directory = walk(tree, relative);
	if (!directory)
		return -ENOMEM;
	fd = spool_directory_fd(spool_directory_ref(directory));
	if (fd < 0) /* its scan will find out why */
		return fd;
	*ret = take_ptr(directory);
	return 1;
}

int spool_tree_init(struct spool_tree *tree, sd_event *event, struct spool *spool,
		    const struct config_spool *config, const struct spool_tree_ops *ops,
		    void *userdata)
{
	static const struct spool_scan_ops scan_ops = { on_open, on_entry, on_ended };

	*tree = (struct spool_tree){ .config = config, .ops = ops, .userdata = userdata };
	spool_index_init(&tree->index, spool);
	return spool_scan_init(&tree->scan, event, &scan_ops, tree);
}

void spool_tree_done(struct spool_tree *tree)
{
	if (tree->index.root)
		drop(tree, tree->index.root);
	spool_scan_done(&tree->scan);
}
