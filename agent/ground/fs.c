#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/random.h>
#include <sys/vfs.h>

#include "fs.h"
#include "macro.h"

#define READ_STEP ((size_t)16 * 1024)

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

bool fs_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool fs_before(struct timespec a, struct timespec b)
{
	return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

struct fs_identity fs_identity_of(const struct stat *st)
{
	return (struct fs_identity){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.modified = st->st_mtim,
	};
}

bool fs_identity_equal(const struct fs_identity *a, const struct fs_identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       fs_same_time(a->modified, b->modified);
}

bool fs_is_temporary(const char *name)
{
	/* The two share no dot. */
	return startswith(name, FS_TEMPORARY_PREFIX) &&
	       endswith(name + STRLEN(FS_TEMPORARY_PREFIX), FS_TEMPORARY_SUFFIX);
}

/* openat2(2) could do it in one call, but seccomp can't look into its arguments, so
 * sandboxes refuse it (RestrictSUIDSGID= of systemd does). */
static int open_component(int at, const char *name, int flags)
{
	int fd = openat(at, name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int error = fd < 0 ? -errno : 0;
	struct stat st;

	if (error == -ENOTDIR && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		return -ELOOP;
	return error < 0 ? error : fd;
}

static int open_beneath(int at, const char *path)
{
	_cleanup_close_ int parent = -1;

	/* What no path can lead to would be lost on all others who get it. */
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	for (;;) {
		size_t length = strcspn(path, "/");
		const char *rest = path + length + strspn(path + length, "/");
		char name[NAME_MAX + 1] = "";
		int fd;

		if (length > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, length);
		if (streq(name, "..") || *path == '/')
			return -EXDEV;
		/* On the way, the right to search a directory will do. */
		fd = open_component(parent < 0 ? at : parent, name,
				    *rest ? O_PATH : O_RDONLY);
		if (fd < 0 || !*rest)
			return fd;
		if (parent >= 0)
			close(parent);
		parent = fd;
		path = rest;
	}
}

int fs_open_directory(int at, const char *path)
{
	int fd;

	if (at != AT_FDCWD)
		return open_beneath(at, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool fs_is_remote(int fd)
{
	static const uint32_t magics[] = {
		NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC,
		SMB2_SUPER_MAGIC, V9FS_MAGIC,	   FUSE_SUPER_MAGIC,
		CEPH_SUPER_MAGIC, AFS_SUPER_MAGIC, CODA_SUPER_MAGIC,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if ((uint32_t)fs.f_type == magics[i])
			return true;
	return false;
}

/* Reads until the end or @max + 1 bytes, so that one too many can be told. */
static int read_all(int fd, size_t max, char **ret, size_t *ret_length)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (room - length < 2) {
			size_t more = room > 0 ? 2 * room : READ_STEP;
			char *larger = realloc(text, more);

			if (!larger)
				return -ENOMEM;
			text = larger;
			room = more;
		}
		n = read(fd, text + length, room - length - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
		if (length > max)
			return -EFBIG;
	}
	text[length] = '\0';
	*ret = take_ptr(text);
	if (ret_length)
		*ret_length = length;
	return 0;
}

int fs_read_file(int at, const char *path, size_t max, char **ret, size_t *ret_length)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	/* O_NONBLOCK: a FIFO of that name must not hold us. */
	fd = openat(at, path,
		    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
			    (at == AT_FDCWD ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	return read_all(fd, max, ret, ret_length);
}

int fs_write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

/* The group comes first, since chown clears mode bits. */
static int set_owner(int fd, const struct fs_write *how)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (how->group != (gid_t)-1 && st.st_gid != how->group) {
		if (fchown(fd, (uid_t)-1, how->group) < 0 && errno != EPERM)
			return -errno;
		st.st_mode = 0;
	}
	if ((st.st_mode & ALLPERMS) == how->mode)
		return 0;
	return fchmod(fd, how->mode) < 0 ? -errno : 0;
}

static int fill(int fd, const char *text, size_t length, const struct fs_write *how)
{
	int r = fs_write_all(fd, text, length);

	return r < 0 ? r : set_owner(fd, how);
}

int fs_set_modified(int dirfd, const char *name, struct timespec modified)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, modified };

	return utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static void print_temporary(char name[static NAME_MAX + 1], uint64_t number)
{
	snprintf(name, NAME_MAX + 1,
		 FS_TEMPORARY_PREFIX "%016" PRIx64 FS_TEMPORARY_SUFFIX, number);
}

uint64_t fs_hash_name(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return hash;
}

/* The first name tried is @target's own, which a start after a crash can tell; where that
 * is taken, by whomever, others are drawn. */
static int make_temporary(int dirfd, const char *target, char name[static NAME_MAX + 1])
{
	uint64_t number = fs_hash_name(target);

	for (int tries = 0; tries < 16; tries++) {
		int fd;

		print_temporary(name, number);
		fd = openat(dirfd, name,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd < 0 ? -errno : fd;
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return -errno;
	}
	return -EEXIST;
}

void fs_clear_temporary(int dirfd, const char *name)
{
	char temporary[NAME_MAX + 1];

	print_temporary(temporary, fs_hash_name(name));
	(void)unlinkat(dirfd, temporary, 0);
}

static int write_and_rename(int dirfd, const char *name, const char *text, size_t length,
			    const struct fs_write *how)
{
	char temporary[NAME_MAX + 1];
	int fd, r;

	fd = make_temporary(dirfd, name, temporary);
	if (fd < 0)
		return fd;
	r = fill(fd, text, length, how);
	/* Some filesystems report a failed write only at the close. */
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && how->modified)
		r = fs_set_modified(dirfd, temporary, *how->modified);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, temporary, 0);
	return r;
}

/* By its descriptor alone, which Linux lets whoever opened the file do since 6.10
 * (before, only with CAP_DAC_READ_SEARCH); else by way of /proc, which is as good but
 * walks a path.
 */
static int link_by_descriptor(int fd, int dirfd, const char *name)
{
	char path[STRLEN("/proc/self/fd/") + 12];

	if (linkat(fd, "", dirfd, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* Without a name until it is whole. Most filesystems that know files without names report
 * a failed write at once; FUSE, if it gathers writes, at the close, which must come after
 * the link. The time comes last: inotify tells of changes to a file without a name, too,
 * by the name "#INODE", which is anybody's. */
static int write_and_link(int dirfd, const char *name, const char *text, size_t length,
			  const struct fs_write *how)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, how->mode);
	if (fd < 0)
		return -errno;
	r = fill(fd, text, length, how);
	if (r < 0)
		return r;
	r = link_by_descriptor(fd, dirfd, name);
	if (r < 0)
		return r;
	if (close(take_fd(&fd)) < 0)
		r = -errno;
	if (r == 0 && how->modified)
		r = fs_set_modified(dirfd, name, *how->modified);
	if (r < 0 && r != -ENOENT)
		(void)unlinkat(dirfd, name, 0);
	/* Whoever took it away already has seen it, and does not want it. */
	return r == -ENOENT ? 0 : r;
}

int fs_write_atomic(int dirfd, const char *name, const char *text, size_t length,
		    const struct fs_write *how)
{
	/* Where that does not do, for whatever reason, the other way does or tells. */
	if (how->fresh && write_and_link(dirfd, name, text, length, how) == 0)
		return 0;
	return write_and_rename(dirfd, name, text, length, how);
}

int fs_make_directories(const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = strdup(path);
	struct stat st;

	if (!copy)
		return -ENOMEM;
	for (char *p = copy; *p; p++) {
		if (*p != '/' || p == copy)
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdir(copy, mode) == 0)
		return 0;
	if (errno != EEXIST || stat(copy, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int stat_mount(const char *path, struct statx *ret)
{
	return statx(AT_FDCWD, path, 0, STATX_TYPE | STATX_MNT_ID, ret) < 0 ? -errno : 0;
}

/* The same of a directory that may be missing; in the place of a link that leads nowhere
 * none can be made. */
static int stat_target(const char *path, struct statx *ret)
{
	int r = stat_mount(path, ret);
	struct stat st;

	return r == -ENOENT && lstat(path, &st) == 0 ? -ENOTDIR : r;
}

int fs_can_rename(const char *from, const char *to)
{
	_cleanup_free_ char *there = strdup(to);
	struct statx a, b;
	int r;

	if (!there)
		return -ENOMEM;
	r = stat_mount(from, &a);
	if (r < 0)
		return r;
	/* What is missing will be made in the nearest that is there. */
	while ((r = stat_target(there, &b)) == -ENOENT && strrchr(there, '/') > there)
		*strrchr(there, '/') = '\0';
	if (r == -ENOENT)
		r = stat_mount("/", &b);
	if (r < 0)
		return r;
	if (!S_ISDIR(b.stx_mode))
		return -ENOTDIR;
	return a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor &&
	       a.stx_mnt_id == b.stx_mnt_id;
}
