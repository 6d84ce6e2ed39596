#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/queue.h>
#include <unistd.h>

#include "fs.h"
#include "sidecar.h"
#include "simulation.h"
#include "watch.h"

#define FD_BASE	    (1 << 20) /* below are those of the test program itself */
#define FDS_MAX	    (2 * CONFIG_CONCURRENT_MAX)
#define WATCHES	    8
#define DEVICE	    7
#define GROUP	    100
#define LATENCY	    (2 * USEC_PER_MSEC) /* of an inotify event, at the most */
#define FIRST_INODE 1000

struct entry {
	char name[NAME_MAX + 1];
	uint32_t hash;
	struct sim_inode *inode;
	TAILQ_ENTRY(entry) link;
};

struct sim_inode {
	uint64_t number;
	mode_t mode;
	uint64_t size, content;
	struct timespec modified, changed;
	char *text; /* what the agent wrote, or a secret */
	bool unsynced;
	unsigned references; /* names and descriptors */
	unsigned writers;
	TAILQ_HEAD(, entry) entries;
	TAILQ_ENTRY(sim_inode) link;
};

struct sim_disk_options sim_disk;

static struct {
	struct sim_inode *root;
	TAILQ_HEAD(, sim_inode) all;
	uint64_t numbers, contents;
	struct {
		struct sim_inode *inode;
		size_t offset;
		bool writes;
	} fds[FDS_MAX];
	size_t open;
} disk;

/* What was ever in a file: for receipts, which name a size and a time. */
static struct version {
	char name[64];
	uint64_t size, content;
	struct timespec modified;
} * versions;
static size_t version_count, version_room;

static int fail(int error)
{
	errno = error;
	return -1;
}

static struct timespec stamp(void)
{
	return usec_to_timespec(clock_realtime());
}

/* ---- inodes and names ---- */

static struct sim_inode *inode_new(mode_t mode)
{
	struct sim_inode *inode = calloc(1, sizeof(*inode));

	inode->number = FIRST_INODE + disk.numbers++;
	inode->mode = mode;
	inode->modified = inode->changed = stamp();
	TAILQ_INIT(&inode->entries);
	TAILQ_INSERT_TAIL(&disk.all, inode, link);
	return inode;
}

static void inode_unref(struct sim_inode *inode)
{
	if (--inode->references > 0)
		return;
	TAILQ_REMOVE(&disk.all, inode, link);
	free(inode->text);
	free(inode);
}

static uint32_t hash_of(const char *name, size_t length)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619U;
	return hash;
}

static struct entry *lookup(struct sim_inode *directory, const char *name, size_t length)
{
	uint32_t hash = hash_of(name, length);
	struct entry *entry;

	TAILQ_FOREACH (entry, &directory->entries, link)
		if (entry->hash == hash && memcmp(entry->name, name, length) == 0 &&
		    !entry->name[length])
			return entry;
	return NULL;
}

static void add_entry(struct sim_inode *directory, const char *name,
		      struct sim_inode *inode)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	(void)stpncpy(entry->name, name, NAME_MAX);
	entry->hash = hash_of(name, strlen(name));
	entry->inode = inode;
	inode->references++;
	TAILQ_INSERT_TAIL(&directory->entries, entry, link);
}

/* The agent reads one directory at a time. */
static struct stream {
	int fd;
	const struct entry *next;
	struct dirent64 entry;
} * reading;

static void remove_entry(struct sim_inode *directory, struct entry *entry)
{
	if (reading && reading->next == entry)
		reading->next = TAILQ_NEXT(entry, link);
	TAILQ_REMOVE(&directory->entries, entry, link);
	inode_unref(entry->inode);
	free(entry);
}

/* The directory of the last component, which is *@ret_name; NULL: there is none. */
static struct sim_inode *walk(int at, const char *path, const char **ret_name)
{
	struct sim_inode *here = disk.root;

	check_disk_use();
	if (*path != '/')
		here = at >= FD_BASE ? disk.fds[at - FD_BASE].inode : NULL;
	for (;;) {
		const struct entry *entry;
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (!here || !path[length]) {
			*ret_name = path;
			return here;
		}
		entry = lookup(here, path, length);
		here = entry ? entry->inode : NULL;
		path += length;
	}
}

static struct sim_inode *find(int at, const char *path)
{
	struct sim_inode *directory;
	const struct entry *entry;
	const char *name;

	directory = walk(at, path, &name);
	if (!directory || streq(name, ".") || !*name)
		return directory;
	entry = lookup(directory, name, strlen(name));
	return entry ? entry->inode : NULL;
}

static struct sim_inode *spool(void)
{
	return find(AT_FDCWD, SIM_SPOOL);
}

/* ---- inotify ---- */

struct watch {
	const struct watch_ops *ops;
	void *userdata;
	struct {
		struct sim_inode *inode;
		void *owner;
		uint64_t serial;
	} nodes[WATCHES];
};

struct notice {
	enum watch_event event;
	uint64_t serial; /* of the node; 0: overflow */
	char name[NAME_MAX + 1];
};

static struct watch *watch;
static uint64_t watch_serial;
static usec_t last_notice;
static size_t notices;

static void deliver(void *userdata)
{
	const struct notice *notice = userdata;

	if (notice->serial == 0) {
		watch->ops->overflow(watch->userdata);
		return;
	}
	for (size_t i = 0; i < WATCHES; i++)
		if (watch->nodes[i].serial == notice->serial)
			watch->ops->event(watch->userdata, watch->nodes[i].owner,
					  notice->event, notice->name);
}

static struct notice *notice_list[4096];

static void on_notice(void *userdata)
{
	size_t slot = (size_t)(uintptr_t)userdata;
	_cleanup_free_ struct notice *notice = take_ptr(notice_list[slot]);

	notices--;
	if (watch && !sim.dead)
		sim_turn(deliver, notice);
}

static void send_notice(uint64_t serial, enum watch_event event, const char *name)
{
	struct notice *notice = calloc(1, sizeof(*notice));
	usec_t at = sim.now + sim_between(1, LATENCY);
	size_t slot = 0;

	while (notice_list[slot])
		slot++;
	notice->event = event;
	notice->serial = serial;
	snprintf(notice->name, sizeof(notice->name), "%s", name);
	notice_list[slot] = notice;
	last_notice = MAX(last_notice, at);
	notices++;
	(void)sim_after(last_notice - sim.now, on_notice, (void *)(uintptr_t)slot);
}

static void notify(const struct sim_inode *directory, enum watch_event event,
		   const char *name)
{
	if (!watch || sim.dead)
		return;
	for (size_t i = 0; i < WATCHES; i++) {
		if (watch->nodes[i].inode != directory)
			continue;
		if (sim.sabotage == SABOTAGE_LOST_EVENT && sim_chance(300))
			sim.sabotaged++;
		else if (sim_chance(sim_disk.loss))
			send_notice(0, event, "");
		else
			send_notice(watch->nodes[i].serial, event, name);
	}
}

size_t sim_watch_pending(void)
{
	return notices;
}

int __wrap_watch_new(void *event, const struct watch_ops *ops, void *userdata,
		     struct watch **ret);
int __wrap_watch_new(void *event, const struct watch_ops *ops, void *userdata,
		     struct watch **ret)
{
	(void)event;
	watch = calloc(1, sizeof(*watch));
	watch->ops = ops;
	watch->userdata = userdata;
	*ret = watch;
	return 0;
}

void __wrap_watch_free(struct watch *w);
void __wrap_watch_free(struct watch *w)
{
	free(w);
	watch = NULL;
}

int __wrap_watch_add(struct watch *w, int fd, void *owner);
int __wrap_watch_add(struct watch *w, int fd, void *owner)
{
	for (int i = 0; i < WATCHES; i++)
		if (w->nodes[i].inode == disk.fds[fd - FD_BASE].inode)
			return -EEXIST;
	for (int i = 0; i < WATCHES; i++) {
		if (w->nodes[i].inode)
			continue;
		w->nodes[i].inode = disk.fds[fd - FD_BASE].inode;
		w->nodes[i].owner = owner;
		w->nodes[i].serial = ++watch_serial;
		return i;
	}
	return -ENOSPC;
}

/* Nobody moves what is above the spool. */
int __wrap_watch_path(struct watch *w, const char *path);
int __wrap_watch_path(struct watch *w, const char *path)
{
	(void)w;
	(void)path;
	return 0;
}

void __wrap_watch_remove(struct watch *w, int wd);
void __wrap_watch_remove(struct watch *w, int wd)
{
	memset(&w->nodes[wd], 0, sizeof(w->nodes[wd]));
}

/* ---- descriptors ---- */

static int open_inode(struct sim_inode *inode, bool writes)
{
	int fd = 0;

	while (disk.fds[fd].inode)
		fd++;
	disk.fds[fd].inode = inode;
	disk.fds[fd].offset = 0;
	disk.fds[fd].writes = writes;
	inode->references++;
	disk.open++;
	return FD_BASE + fd;
}

size_t sim_disk_descriptors(void)
{
	return disk.open;
}

struct sim_inode *sim_inode_of(int fd)
{
	return disk.fds[fd - FD_BASE].inode;
}

uint64_t sim_inode_content(const struct sim_inode *inode)
{
	return inode->content;
}

uint64_t sim_inode_size(const struct sim_inode *inode)
{
	return inode->size;
}

/* 0, or why nothing can be changed now; -1: the agent is dead, and it only seems so. */
static int may_change(void)
{
	if (!sim_device())
		return -1;
	return sim_disk.error;
}

static bool is_source(const char *name)
{
	return !fs_is_temporary(name) && sidecar_kind_of(name, NULL) == SIDECAR_NONE;
}

static int open_at(int at, const char *path, int flags)
{
	struct sim_inode *directory, *inode;
	struct entry *entry;
	const char *name;
	int error;

	directory = walk(at, path, &name);
	if (!directory)
		return fail(ENOENT);
	entry = lookup(directory, name, strlen(name));
	if (entry && flags & O_EXCL)
		return fail(EEXIST);
	if (entry)
		return open_inode(entry->inode, false);
	if (!(flags & O_CREAT))
		return fail(ENOENT);
	error = may_change();
	if (error > 0)
		return fail(error);
	inode = inode_new(S_IFREG | 0600);
	if (error == 0) {
		add_entry(directory, name, inode);
		notify(directory, WATCH_FILE, name);
	}
	return open_inode(inode, true);
}

int __wrap_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...)
{
	return open_at(at, path, flags);
}

int __wrap___openat64_2(int at, const char *path, int flags);
int __wrap___openat64_2(int at, const char *path, int flags)
{
	return open_at(at, path, flags);
}

int __wrap_fs_open_directory(int at, const char *path);
int __wrap_fs_open_directory(int at, const char *path)
{
	struct sim_inode *inode = find(at, path);

	if (!inode)
		return -ENOENT;
	return open_inode(inode, false);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	struct sim_inode *inode;

	if (fd < FD_BASE)
		return __real_close(fd);
	if (sim.sabotage == SABOTAGE_LEAK && sim_chance(10)) {
		sim.sabotaged++;
		return 0;
	}
	inode = take_ptr(disk.fds[fd - FD_BASE].inode);
	disk.open--;
	inode_unref(inode);
	return 0;
}

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
	const struct sim_inode *inode;
	size_t *offset, n;

	if (fd < FD_BASE)
		return __real_read(fd, buffer, size);
	inode = sim_inode_of(fd);
	offset = &disk.fds[fd - FD_BASE].offset;
	n = MIN(size, (inode->text ? strlen(inode->text) : 0) - *offset);
	if (n > 0)
		memcpy(buffer, inode->text + *offset, n);
	*offset += n;
	return (ssize_t)n;
}

/* Only small texts are written, and in one piece. */
ssize_t __real_write(int fd, const void *buffer, size_t size);
ssize_t __wrap_write(int fd, const void *buffer, size_t size);
ssize_t __wrap_write(int fd, const void *buffer, size_t size)
{
	struct sim_inode *inode;
	int error;

	if (fd < FD_BASE)
		return __real_write(fd, buffer, size);
	error = may_change();
	if (error > 0)
		return fail(error);
	inode = sim_inode_of(fd);
	free(inode->text);
	inode->text = strndup(buffer, size);
	inode->size = size;
	inode->unsynced = true;
	return (ssize_t)size;
}

/* ---- looking ---- */

static void fill_stat(const struct sim_inode *inode, struct stat *ret)
{
	*ret = (struct stat){
		.st_dev = DEVICE,
		.st_ino = inode->number,
		.st_mode = inode->mode,
		.st_gid = GROUP,
		.st_size = (off_t)inode->size,
		.st_mtim = inode->modified,
		.st_ctim = inode->changed,
	};
}

int __wrap_fstat64(int fd, struct stat *ret);
int __wrap_fstat64(int fd, struct stat *ret)
{
	check_disk_use();
	fill_stat(sim_inode_of(fd), ret);
	return 0;
}

int __wrap_fstatat64(int at, const char *path, struct stat *ret, int flags);
int __wrap_fstatat64(int at, const char *path, struct stat *ret, int flags)
{
	const struct sim_inode *inode = find(at, path);

	(void)flags;
	if (!inode)
		return fail(ENOENT);
	fill_stat(inode, ret);
	return 0;
}

int __wrap_stat64(const char *path, struct stat *ret);
int __wrap_stat64(const char *path, struct stat *ret)
{
	return __wrap_fstatat64(AT_FDCWD, path, ret, 0);
}

/* Whether anything may be written is found out by writing. */
int __wrap_faccessat(int at, const char *path, int mode, int flags);
int __wrap_faccessat(int at, const char *path, int mode, int flags)
{
	(void)mode;
	(void)flags;
	return find(at, path) ? 0 : fail(ENOENT);
}

bool __wrap_fs_is_remote(int fd);
bool __wrap_fs_is_remote(int fd)
{
	(void)fd;
	return false;
}

int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
	(void)command; /* F_SETLEASE is all that is asked */
	if (!sim_disk.leases)
		return fail(EACCES);
	return sim_inode_of(fd)->writers > 0 ? fail(EAGAIN) : 0;
}

DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	stream->fd = fd;
	stream->next = TAILQ_FIRST(&sim_inode_of(fd)->entries);
	reading = stream;
	return (DIR *)stream;
}

struct dirent64 *__wrap_readdir64(DIR *dir);
struct dirent64 *__wrap_readdir64(DIR *dir)
{
	struct stream *stream = (struct stream *)(void *)dir;
	const struct entry *entry = stream->next;

	sim.events++; /* each entry is a reason to be awake */
	sim.entries++;
	if (!entry)
		return NULL;
	stream->next = TAILQ_NEXT(entry, link);
	(void)stpcpy(stream->entry.d_name, entry->name);
	return &stream->entry;
}

int __wrap_dirfd(DIR *dir);
int __wrap_dirfd(DIR *dir)
{
	return ((struct stream *)(void *)dir)->fd;
}

int __wrap_closedir(DIR *dir);
int __wrap_closedir(DIR *dir)
{
	struct stream *stream = (struct stream *)(void *)dir;

	__wrap_close(stream->fd);
	reading = NULL;
	free(stream);
	return 0;
}

/* ---- changing, by the agent ---- */

static struct fs_identity identity_of(const struct sim_inode *inode)
{
	struct stat st;

	fill_stat(inode, &st);
	return fs_identity_of(&st);
}

static void check_sidecar(const char *name, const char *text)
{
	size_t length = 0;
	char base[NAME_MAX + 1];

	switch (sidecar_kind_of(name, &length)) {
	case SIDECAR_DONE: check_receipt(text); break;
	case SIDECAR_ERROR:
		snprintf(base, sizeof(base), "%.*s", (int)length, name);
		check_error_sidecar(base, text);
		break;
	case SIDECAR_NONE: break;
	}
}

int __wrap_unlinkat(int at, const char *path, int flags);
int __wrap_unlinkat(int at, const char *path, int flags)
{
	struct sim_inode *directory;
	struct entry *entry;
	const char *name;
	int error;

	(void)flags;
	directory = walk(at, path, &name);
	entry = directory ? lookup(directory, name, strlen(name)) : NULL;
	if (!entry)
		return fail(ENOENT);
	error = may_change();
	if (error != 0)
		return error > 0 && error != ENOSPC ? fail(error) : 0;
	if (entry->inode->content) {
		struct fs_identity identity = identity_of(entry->inode);

		check_source_disposed(name, &identity);
	}
	sim_trace("agent deletes %s", name);
	remove_entry(directory, entry);
	notify(directory, WATCH_VANISHED, name);
	return 0;
}

static int rename_at(int fromat, const char *from, int toat, const char *to, bool replace)
{
	struct sim_inode *fromdir, *todir, *inode;
	struct entry *old, *target;
	const char *name, *other;
	int error;

	fromdir = walk(fromat, from, &name);
	todir = walk(toat, to, &other);
	old = fromdir ? lookup(fromdir, name, strlen(name)) : NULL;
	if (!old || !todir)
		return fail(ENOENT);
	target = lookup(todir, other, strlen(other));
	if (target && !replace)
		return fail(EEXIST);
	error = may_change();
	if (error != 0)
		return error > 0 ? fail(error) : 0;
	inode = old->inode;
	if (inode->content && is_source(name)) {
		struct fs_identity identity = identity_of(inode);

		check_source_disposed(name, &identity);
	}
	sim_trace("agent renames %s to %s", name, other);
	inode->references++;
	inode->changed = stamp();
	if (target)
		remove_entry(todir, target);
	remove_entry(fromdir, old);
	add_entry(todir, other, inode);
	inode_unref(inode);
	notify(fromdir, WATCH_VANISHED, name);
	notify(todir, WATCH_FILE, other);
	if (inode->text)
		check_sidecar(other, inode->text);
	return 0;
}

int __wrap_renameat(int fromat, const char *from, int toat, const char *to);
int __wrap_renameat(int fromat, const char *from, int toat, const char *to)
{
	return rename_at(fromat, from, toat, to, true);
}

int __wrap_renameat2(int fromat, const char *from, int toat, const char *to,
		     unsigned flags);
int __wrap_renameat2(int fromat, const char *from, int toat, const char *to,
		     unsigned flags)
{
	return rename_at(fromat, from, toat, to, !(flags & RENAME_NOREPLACE));
}

static int change_times(struct sim_inode *inode, const struct timespec times[2])
{
	int error = may_change();

	if (error != 0)
		return error > 0 && error != ENOSPC ? fail(error) : 0;
	inode->modified = times ? times[1] : stamp();
	inode->changed = stamp();
	return 0;
}

int __wrap_futimens(int fd, const struct timespec times[2]);
int __wrap_futimens(int fd, const struct timespec times[2])
{
	return change_times(sim_inode_of(fd), times);
}

int __wrap_utimensat(int at, const char *path, const struct timespec times[2], int flags);
int __wrap_utimensat(int at, const char *path, const struct timespec times[2], int flags)
{
	struct sim_inode *inode = find(at, path);

	(void)flags;
	return inode ? change_times(inode, times) : fail(ENOENT);
}

int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode)
{
	(void)fd;
	(void)mode;
	return 0;
}

static void make_directory(const char *path)
{
	struct sim_inode *directory, *inode;
	const char *name;

	if (find(AT_FDCWD, path))
		return;
	directory = walk(AT_FDCWD, path, &name);
	inode = inode_new(S_IFDIR | 0770);
	add_entry(directory, name, inode);
}

int __wrap_fs_can_rename(const char *from, const char *to);
int __wrap_fs_can_rename(const char *from, const char *to)
{
	(void)from;
	(void)to;
	sim.questions++;
	return !sim_disk.apart;
}

int __wrap_fs_make_directories(const char *path, mode_t mode);
int __wrap_fs_make_directories(const char *path, mode_t mode)
{
	(void)mode;
	if (!find(AT_FDCWD, path) && sim_disk.error)
		return -sim_disk.error;
	make_directory(path);
	return 0;
}

/* ---- changing, by the writers ---- */

static void note_version(const char *name, const struct sim_inode *inode)
{
	struct version *v;

	if (version_count == version_room) {
		version_room = 2 * version_room + 64;
		versions = reallocarray(versions, version_room, sizeof(*versions));
	}
	v = &versions[version_count++];
	*v = (struct version){ .size = inode->size,
			       .content = inode->content,
			       .modified = inode->modified };
	snprintf(v->name, sizeof(v->name), "%s", name);
}

static void change_content(const char *name, struct sim_inode *inode, uint64_t size)
{
	inode->size = size;
	inode->content = ++disk.contents;
	inode->modified = inode->changed = stamp();
	note_version(name, inode);
}

static struct entry *source(const char *name)
{
	return lookup(spool(), name, strlen(name));
}

bool sim_file_is_there(const char *name)
{
	return source(name) != NULL;
}

bool sim_file_open(const char *name)
{
	struct entry *entry = source(name);
	struct sim_inode *inode = entry ? entry->inode : inode_new(S_IFREG | 0644);

	if (!entry) {
		add_entry(spool(), name, inode);
		notify(spool(), WATCH_FILE, name);
	}
	change_content(name, inode, 0);
	inode->writers++;
	inode->references++;
	return true;
}

/* The writer's own file, by whatever name: one that is being written has one writer. */
static struct sim_inode *being_written(const char *name)
{
	const struct entry *entry = source(name);

	return entry && entry->inode->writers > 0 ? entry->inode : NULL;
}

void sim_file_append(const char *name, uint64_t bytes)
{
	struct sim_inode *inode = being_written(name);

	if (inode)
		change_content(name, inode, inode->size + bytes);
}

void sim_file_close(const char *name)
{
	struct sim_inode *inode = being_written(name);

	if (!inode)
		return;
	inode->writers--;
	notify(spool(), WATCH_FILE, name);
	inode_unref(inode);
}

bool sim_file_put(const char *name, uint64_t size)
{
	struct entry *entry = source(name);
	struct sim_inode *inode;

	if (entry && entry->inode->writers > 0)
		return false;
	inode = inode_new(S_IFREG | 0644);
	change_content(name, inode, size);
	if (entry)
		remove_entry(spool(), entry);
	add_entry(spool(), name, inode);
	notify(spool(), WATCH_FILE, name);
	return true;
}

bool sim_file_delete(const char *name)
{
	struct entry *entry = source(name);

	if (!entry || entry->inode->writers > 0)
		return false;
	note_version(name, entry->inode);
	remove_entry(spool(), entry);
	notify(spool(), WATCH_VANISHED, name);
	return true;
}

bool sim_file_rename(const char *from, const char *to)
{
	struct entry *entry = source(from);
	struct sim_inode *inode;

	if (!entry || entry->inode->writers > 0 || source(to))
		return false;
	inode = entry->inode;
	inode->references++;
	inode->changed = stamp();
	remove_entry(spool(), entry);
	add_entry(spool(), to, inode);
	inode_unref(inode);
	note_version(from, inode);
	note_version(to, inode);
	notify(spool(), WATCH_VANISHED, from);
	notify(spool(), WATCH_FILE, to);
	return true;
}

bool sim_file_touch(const char *name)
{
	struct entry *entry = source(name);

	if (!entry || entry->inode->writers > 0)
		return false;
	entry->inode->modified = entry->inode->changed = stamp();
	note_version(name, entry->inode);
	notify(spool(), WATCH_FILE, name);
	return true;
}

void sim_text_put(const char *path, const char *text)
{
	struct sim_inode *directory, *inode;
	struct entry *entry;
	const char *name;

	directory = walk(AT_FDCWD, path, &name);
	entry = lookup(directory, name, strlen(name));
	if (entry)
		remove_entry(directory, entry);
	inode = inode_new(S_IFREG | 0600);
	inode->text = strdup(text);
	inode->size = strlen(text);
	add_entry(directory, name, inode);
}

/* ---- what was lost, what is there ---- */

void sim_disk_sync(void)
{
	struct sim_inode *inode;

	TAILQ_FOREACH (inode, &disk.all, link)
		inode->unsynced = false;
}

/* A receipt that was not synced may be missing or torn; a report of an error is missing.
 */
void sim_disk_power_cut(void)
{
	static const char *const places[] = { SIM_SPOOL, SIM_DONE };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct sim_inode *directory = find(AT_FDCWD, places[i]);
		struct entry *entry, *next;

		if (!directory)
			continue;
		for (entry = TAILQ_FIRST(&directory->entries); entry; entry = next) {
			next = TAILQ_NEXT(entry, link);
			if (!entry->inode->unsynced || sim_chance(400))
				continue;
			if (endswith(entry->name, SIDECAR_DONE_SUFFIX) &&
			    sim_chance(500)) {
				entry->inode->size = 0;
				free(take_ptr(entry->inode->text));
			} else {
				remove_entry(directory, entry);
			}
		}
	}
	sim_disk_sync();
}

bool sim_content_was(uint64_t size, struct timespec modified, uint64_t content)
{
	for (size_t i = version_count; i-- > 0;)
		if (versions[i].content == content && versions[i].size == size &&
		    fs_same_time(versions[i].modified, modified))
			return true;
	return false;
}

unsigned sim_changes(const char *name)
{
	unsigned changes = 0;

	for (size_t i = 0; i < version_count; i++)
		changes += streq(versions[i].name, name);
	return changes;
}

bool sim_content_lives(const char *name, uint64_t content)
{
	const struct entry *entry = source(name);

	return entry && entry->inode->content == content;
}

static const struct sim_inode *sidecar_of(const char *name, enum sidecar_kind kind)
{
	char sidecar[NAME_MAX + 1];
	const struct entry *entry;

	if (sidecar_name(sidecar, name, kind) < 0)
		return NULL;
	entry = source(sidecar);
	return entry ? entry->inode : NULL;
}

bool sim_has_error_sidecar(const char *name)
{
	return sidecar_of(name, SIDECAR_ERROR) != NULL;
}

static bool speaks_of(const struct sim_inode *sidecar, const struct sim_inode *inode)
{
	return sidecar && sidecar->text &&
	       sidecar_speaks_of(sidecar->text, strlen(sidecar->text), inode->size,
				 inode->modified) == 1;
}

static bool is_due(const struct entry *entry)
{
	const struct sim_inode *inode = entry->inode;

	return is_source(entry->name) && S_ISREG(inode->mode) && inode->writers == 0 &&
	       !speaks_of(sidecar_of(entry->name, SIDECAR_DONE), inode) &&
	       !speaks_of(sidecar_of(entry->name, SIDECAR_ERROR), inode);
}

const char *sim_due_file(const char *prefix)
{
	const struct entry *entry;

	TAILQ_FOREACH (entry, &spool()->entries, link)
		if (startswith(entry->name, prefix) && is_due(entry))
			return entry->name;
	return NULL;
}

size_t sim_due_count(void)
{
	const struct entry *entry;
	size_t count = 0;

	TAILQ_FOREACH (entry, &spool()->entries, link)
		count += is_due(entry);
	return count;
}

/* ---- its life ---- */

void sim_disk_begin(void)
{
	sim_disk = (struct sim_disk_options){ .leases = true };
	TAILQ_INIT(&disk.all);
	disk.numbers = disk.contents = 0;
	version_count = 0;
	last_notice = 0;
	notices = 0;
	disk.root = inode_new(S_IFDIR | 0755);
	disk.root->references = 1;
	make_directory("/etc");
	make_directory("/run");
	make_directory(SIM_SPOOL);
	make_directory(SIM_OTHER);
}

void sim_disk_end(void)
{
	struct sim_inode *inode;

	while ((inode = TAILQ_FIRST(&disk.all))) {
		struct entry *entry;

		while ((entry = TAILQ_FIRST(&inode->entries))) {
			TAILQ_REMOVE(&inode->entries, entry, link);
			free(entry);
		}
		inode->references = 1;
		inode_unref(inode);
	}
	for (size_t i = 0; i < ARRAY_SIZE(notice_list); i++)
		free(take_ptr(notice_list[i]));
	memset(disk.fds, 0, sizeof(disk.fds));
	disk.open = 0;
	free(take_ptr(versions));
	version_room = 0;
}
