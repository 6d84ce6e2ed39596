#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <sys/inotify.h>

#include "macro.h"
#include "watch.h"

/* CREATE besides CLOSE_WRITE, since link() and linkat() of an unnamed file give no other;
 * ATTRIB, since touch(1) and chmod(1) can make a file due. */
#define MASK \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_MOVED_FROM | \
	 IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

#define BUFFER_SIZE  ((size_t)64 * 1024)
#define READS_A_TURN 4 /* then the loop's other sources get theirs */

struct node {
	int wd;
	void *owner;  /* NULL: nobody wants to know what happens in it */
	bool on_path; /* paths lead through it: a directory, or a link */
};

struct watch {
	int fd; /* or -EMFILE: there is none to be had */
	sd_event_source *source;
	int mounts; /* the table of mounts, or -1 */
	sd_event_source *mounts_source;
	const struct watch_ops *ops;
	void *userdata;
	void *nodes; /* tsearch(3), by wd */
	char buffer[BUFFER_SIZE]
		__attribute__((aligned(__alignof__(struct inotify_event))));
};

static int compare(const void *left, const void *right)
{
	const struct node *a = left, *b = right;

	return (a->wd > b->wd) - (a->wd < b->wd);
}

static struct node *find(const struct watch *watch, int wd)
{
	const struct node key = { .wd = wd };
	struct node *const *found = tfind(&key, (void *const *)&watch->nodes, compare);

	return found ? *found : NULL;
}

static void forget(struct watch *watch, struct node *node)
{
	(void)tdelete(node, &watch->nodes, compare);
	free(node);
}

static const struct {
	uint32_t mask;
	bool directory;
	enum watch_event event;
} meanings[] = {
	{ IN_CREATE | IN_MOVED_TO | IN_ATTRIB, true, WATCH_DIRECTORY },
	{ IN_DELETE | IN_MOVED_FROM, true, WATCH_DIRECTORY_VANISHED },
	{ IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB, false, WATCH_FILE },
	{ IN_DELETE | IN_MOVED_FROM, false, WATCH_VANISHED },
};

static void dispatch_named(struct watch *watch, void *owner,
			   const struct inotify_event *e)
{
	bool directory = e->mask & IN_ISDIR;

	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (meanings[i].directory == directory && (e->mask & meanings[i].mask)) {
			watch->ops->event(watch->userdata, owner, meanings[i].event,
					  e->name);
			return;
		}
}

static void dispatch_vanished(struct watch *watch, struct node *node,
			      const struct inotify_event *e)
{
	bool on_path = node->on_path;
	void *owner = node->owner;

	if (e->mask & IN_IGNORED)
		forget(watch, node);
	if (owner)
		watch->ops->event(watch->userdata, owner, WATCH_SELF_VANISHED, NULL);
	if (on_path)
		watch->ops->rerouted(watch->userdata);
}

static void dispatch_within(struct watch *watch, const struct node *node,
			    const struct inotify_event *e)
{
	const uint32_t deleted = IN_DELETE | IN_ISDIR;
	bool on_path = node->on_path;

	if (node->owner)
		dispatch_named(watch, node->owner, e);
	if (on_path && (e->mask & deleted) == deleted)
		watch->ops->rerouted(watch->userdata);
}

static void dispatch(struct watch *watch, const struct inotify_event *e)
{
	struct node *node;

	if (e->mask & IN_Q_OVERFLOW) {
		watch->ops->overflow(watch->userdata);
		return;
	}
	node = find(watch, e->wd);
	if (!node)
		return;
	if (e->len > 0) {
		dispatch_within(watch, node, e);
	} else if (e->mask & IN_ATTRIB) {
		if (node->owner)
			watch->ops->event(watch->userdata, node->owner,
					  WATCH_SELF_CHANGED, NULL);
	} else if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
		dispatch_vanished(watch, node, e);
	}
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct watch *watch = userdata;

	(void)source;
	(void)revents;
	for (int turn = 0; turn < READS_A_TURN; turn++) {
		ssize_t n = read(fd, watch->buffer, sizeof(watch->buffer));

		if (n <= 0)
			return n < 0 && errno != EAGAIN && errno != EINTR ? -errno : 0;
		for (char *p = watch->buffer; p < watch->buffer + n;) {
			const struct inotify_event *e = (const void *)p;

			p += sizeof(*e) + e->len;
			dispatch(watch, e);
		}
	}
	return 0;
}

/* It became "ready" by a change, and is so no longer once that was told. */
static int on_mounts(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct watch *watch = userdata;

	(void)source;
	(void)fd;
	(void)revents;
	watch->ops->rerouted(watch->userdata);
	return 0;
}

/* Without /proc we do without. */
static int watch_mounts(struct watch *watch, sd_event *event)
{
	watch->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (watch->mounts < 0)
		return 0;
	return sd_event_add_io(event, &watch->mounts_source, watch->mounts, EPOLLPRI,
			       on_mounts, watch);
}

/* 0 or a negative errno; that there is no instance to be had is told by watch_add(). */
static int watch_events(struct watch *watch, sd_event *event)
{
	int r;

	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0)
		watch->fd = -errno;
	if (watch->fd < 0)
		return watch->fd == -EMFILE ? 0 : watch->fd;
	r = sd_event_add_io(event, &watch->source, watch->fd, EPOLLIN, on_readable,
			    watch);
	return r < 0 ? r : sd_event_source_set_exit_on_failure(watch->source, true);
}

int watch_new(sd_event *event, const struct watch_ops *ops, void *userdata,
	      struct watch **ret)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->ops = ops;
	watch->userdata = userdata;
	watch->mounts = -1;
	r = watch_events(watch, event);
	if (r >= 0)
		r = watch_mounts(watch, event);
	if (r < 0) {
		watch_free(watch);
		return r;
	}
	*ret = watch;
	return 0;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	sd_event_source_disable_unref(watch->source);
	sd_event_source_disable_unref(watch->mounts_source);
	close_fd(watch->fd);
	close_fd(watch->mounts);
	tdestroy(watch->nodes, free);
	free(watch);
}

/* The node of @wd, made where there is none; NULL: out of memory. */
static struct node *node_of(struct watch *watch, int wd)
{
	struct node *node = find(watch, wd);

	if (node)
		return node;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->wd = wd;
	if (tsearch(node, &watch->nodes, compare))
		return node;
	free(node);
	return NULL;
}

int watch_add(struct watch *watch, int fd, void *owner)
{
	char path[STRLEN("/proc/self/fd/") + 12];
	struct node *node;
	int wd;

	if (watch->fd < 0)
		return watch->fd;
	/* By descriptor, so that it is the very directory that the caller has open. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	wd = inotify_add_watch(watch->fd, path, MASK);
	if (wd < 0)
		return -errno;
	node = node_of(watch, wd);
	if (!node) {
		(void)inotify_rm_watch(watch->fd, wd);
		return -ENOMEM;
	}
	/* The kernel gives one inode one watch: it may be somebody's already. */
	if (node->owner)
		return -EEXIST;
	node->owner = owner;
	return wd;
}

void watch_remove(struct watch *watch, int wd)
{
	struct node *node = find(watch, wd);

	if (!node)
		return;
	node->owner = NULL;
	if (node->on_path)
		return;
	forget(watch, node);
	(void)inotify_rm_watch(watch->fd, wd);
}

static int watch_step(struct watch *watch, const char *path, uint32_t mask)
{
	int wd = inotify_add_watch(watch->fd, path, mask | IN_DONT_FOLLOW | IN_MASK_ADD);
	struct node *node = wd < 0 ? NULL : node_of(watch, wd);

	if (!node)
		return wd < 0 ? -errno : -ENOMEM;
	node->on_path = true;
	return 0;
}

/* Each of "/a", "/a/b", "/a/b/c" of that path. */
static int watch_steps(struct watch *watch, const char *path)
{
	_cleanup_free_ char *step = strdup(path);
	int r = 0;

	for (char *slash = step; slash && r == 0;) {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		r = watch_step(watch, step, IN_MOVE_SELF | IN_DELETE_SELF);
		if (slash)
			*slash = '/';
	}
	return step ? r : -ENOMEM;
}

/* Its own deletion is told only once nobody has it open any more; its parent's event
 * comes at once. */
static int watch_parent(struct watch *watch, const char *path)
{
	_cleanup_free_ char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (!slash)
		return -ENOMEM;
	slash[slash == parent] = '\0'; /* of "/a" it is "/" */
	return watch_step(watch, parent, IN_DELETE);
}

int watch_path(struct watch *watch, const char *path)
{
	_cleanup_free_ char *real = NULL;
	int r;

	if (watch->fd < 0)
		return watch->fd;
	real = realpath(path, NULL);
	if (!real)
		return -errno;
	r = watch_steps(watch, real);
	if (r == 0)
		r = watch_parent(watch, real);
	return r < 0 || streq(path, real) ? r : watch_steps(watch, path);
}
