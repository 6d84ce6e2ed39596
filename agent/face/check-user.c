#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check-user.h"
#include "fs.h"
#include "macro.h"

#define NOBODY ((uid_t)65534) /* the kernel's overflow user, who owns nothing */

/* An exit status has a byte. The first half are answers, the second negative errnos. */
#define ERRNO_MAX 127
#define FAILURE	  128

static void take_identity(struct check_user *user, const struct passwd *entry)
{
	int count = CHECK_GROUPS_MAX;

	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
	if (getgrouplist(entry->pw_name, entry->pw_gid, user->groups, &count) < 0)
		count = CHECK_GROUPS_MAX;
	user->group_count = (size_t)count;
}

void check_user_find(struct check_user *ret)
{
	const struct passwd *entry = geteuid() == 0 ? getpwnam(CHECK_USER_NAME) : NULL;

	*ret = (struct check_user){ .uid = geteuid(), .gid = getegid(), .mounts = -1 };
	ret->other = entry && entry->pw_uid != geteuid();
	if (!entry)
		entry = getpwuid(geteuid());
	if (entry)
		take_identity(ret, entry);
	else
		snprintf(ret->name, sizeof(ret->name), "user %u", ret->uid);
}

void check_user_member(struct check_user *ret, gid_t group)
{
	*ret = (struct check_user){
		.name = "a member of its group",
		.uid = NOBODY,
		.gid = NOBODY,
		.groups = { group },
		.group_count = 1,
		.other = true,
		.mounts = -1,
	};
}

/* Of all that root had, only what the unit gives is left. */
static int keep_lease(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = 1U << CAP_LEASE, .permitted = 1U << CAP_LEASE },
	};

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int become(const struct check_user *user)
{
	if (user->mounts >= 0 && setns(user->mounts, CLONE_NEWNS) < 0)
		return -EPERM;
	if (!user->other)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 ||
	    setgroups(user->group_count, user->groups) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return -EPERM;
	/* Root in a sandbox may not have it to give. */
	(void)keep_lease();
	return 0;
}

static int to_status(int answer)
{
	if (answer >= 0)
		return MIN(answer, ERRNO_MAX);
	return FAILURE + MIN(-answer, ERRNO_MAX);
}

int check_user_ask(const struct check_user *user, check_question question,
		   const void *data)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int r = become(user);

		_exit(to_status(r < 0 ? r : question(data)));
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status))
		return -EPROTO;
	status = WEXITSTATUS(status);
	return status >= FAILURE ? -(status - FAILURE) : status;
}

static int nothing_to_ask(const void *nothing)
{
	(void)nothing;
	return 0;
}

void check_user_enter(struct check_user *user, pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	user->mounts = open(path, O_RDONLY | O_CLOEXEC);
	if (user->mounts >= 0 && check_user_ask(user, nothing_to_ask, NULL) < 0)
		check_user_done(user);
}

void check_user_done(struct check_user *user)
{
	user->mounts = close_fd(user->mounts);
}

int check_can_read_directory(const void *path)
{
	_cleanup_close_ int fd = fs_open_directory(AT_FDCWD, path);

	if (fd < 0)
		return fd;
	/* To look at what is in it takes more than to list it. */
	return faccessat(fd, ".", X_OK, 0) < 0 ? -errno : 0;
}

int check_can_make_files(const void *path)
{
	_cleanup_close_ int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0)
		return 0;
	/* Not every filesystem has files without a name. */
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
		return -errno;
	return access(path, W_OK | X_OK) < 0 ? -errno : 0;
}

int check_can_read_file(const void *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	char byte;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return read(fd, &byte, 1) < 0 ? -errno : 0;
}

int check_can_watch(const void *nothing)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC);

	(void)nothing;
	return fd < 0 ? -errno : 0;
}
