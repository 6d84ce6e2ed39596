#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "fs.h"
#include "parse.h"
#include "world-internal.h"

#define QUEUE_LIMIT "/proc/sys/fs/inotify/max_queued_events"

/* ---- lost events ---- */

static uint64_t queue_limit(void)
{
	_cleanup_free_ char *text = NULL;
	uint64_t limit;

	assert_int_equal(fs_read_file(AT_FDCWD, QUEUE_LIMIT, 64, &text, NULL), 0);
	text[strcspn(text, "\n")] = '\0';
	assert_int_equal(parse_unsigned(text, &limit), 0);
	return limit;
}

/* Two events that follow each other and do not differ are made one: so two files. */
void world_overflow(struct world *w)
{
	_cleanup_free_ char *even = world_path(w, ".even"), *odd = world_path(w, ".odd");
	uint64_t events = 2 * queue_limit();

	world_write(w, ".even", "");
	world_write(w, ".odd", "");
	for (uint64_t i = 0; i < events; i++)
		assert_int_equal(utimensat(AT_FDCWD, i % 2 ? odd : even, NULL, 0), 0);
}

/* ---- full disks ---- */

static void write_proc(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* In a namespace, so that nothing stays mounted where a test fails; and who is not root
 * may mount nowhere else. */
void world_own_mounts(void)
{
	_cleanup_free_ char *users = world_print("0 %u 1", geteuid());
	_cleanup_free_ char *groups = world_print("0 %u 1", getegid());
	bool root = geteuid() == 0;

	assert_int_equal(unshare(root ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	if (root)
		return;
	write_proc("/proc/self/uid_map", users);
	write_proc("/proc/self/setgroups", "deny");
	write_proc("/proc/self/gid_map", groups);
}

void world_mount(const char *path)
{
	assert_int_equal(mount("none", path, "tmpfs", 0, "size=1M,mode=700"), 0);
}

void world_unmount(const char *path)
{
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

void world_fill_disk(const char *path)
{
	static const char page[4096] = "full";
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				      0600);

	assert_true(fd >= 0);
	while (write(fd, page, sizeof(page)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
}
