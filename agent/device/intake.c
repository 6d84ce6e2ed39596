#include <fcntl.h>

#include "intake.h"
#include "macro.h"
#include "sidecar.h"

static bool text_speaks_of(int dirfd, const char *sidecar, const struct stat *st)
{
	_cleanup_free_ char *text = NULL;
	size_t length;

	return fs_read_file(dirfd, sidecar, SIDECAR_SIZE_MAX, &text, &length) == 0 &&
	       sidecar_speaks_of(text, length, (uint64_t)st->st_size, st->st_mtim) == 1;
}

/* We gave the sidecar its file's mtime. Nobody can set a ctime, so a file whose inode has
 * not changed since is the one that it was written for. */
static bool is_stamped_for(const struct stat *side, const struct stat *st)
{
	return side->st_size > 0 && side->st_size <= (off_t)SIDECAR_SIZE_MAX &&
	       fs_same_time(side->st_mtim, st->st_mtim) &&
	       fs_before(st->st_ctim, side->st_ctim);
}

/* Sets @beside where something has the name of a sidecar, and never clears it. */
static bool is_current(int dirfd, const char *name, const struct stat *st, bool *beside)
{
	static const enum sidecar_kind kinds[] = { SIDECAR_DONE, SIDECAR_ERROR };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char sidecar[NAME_MAX + 1];
		struct stat side;

		if (sidecar_name(sidecar, name, kinds[i]) < 0)
			continue;
		if (fstatat(dirfd, sidecar, &side, AT_SYMLINK_NOFOLLOW) < 0) {
			*beside |= errno != ENOENT;
			continue;
		}
		*beside = true;
		if (!S_ISREG(side.st_mode))
			continue;
		if (is_stamped_for(&side, st))
			return true;
		if (text_speaks_of(dirfd, sidecar, st))
			return true;
	}
	return false;
}

bool intake_is_current(int dirfd, const char *name, const struct stat *st)
{
	bool beside = false;

	return is_current(dirfd, name, st, &beside);
}

usec_t intake_age(const struct stat *st)
{
	usec_t changed = MAX(usec_from_timespec(st->st_ctim),
			     usec_from_timespec(st->st_mtim));

	return usec_sub(clock_realtime(), changed);
}

int intake_has_writer(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
		/* At once: a writer that opens the file meanwhile waits for this. */
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
		return 0;
	}
	return errno == EAGAIN ? 1 : -EOPNOTSUPP;
}

static bool looks_as_before(const struct intake_glimpse *glimpse, const struct stat *st)
{
	return glimpse->since > 0 && glimpse->size == (uint64_t)st->st_size &&
	       fs_same_time(glimpse->modified, st->st_mtim) &&
	       fs_same_time(glimpse->changed, st->st_ctim);
}

static bool has_been_quiet(const struct intake_rules *rules,
			   struct intake_glimpse *glimpse, const struct stat *st,
			   usec_t now)
{
	if (!looks_as_before(glimpse, st)) {
		*glimpse = (struct intake_glimpse){
			.size = (uint64_t)st->st_size,
			.modified = st->st_mtim,
			.changed = st->st_ctim,
			.since = now,
		};
		/* A file that was there long before us need not be watched any longer. */
		return !rules->remote && intake_age(st) >= rules->quiet;
	}
	return usec_sub(now, glimpse->since) >= rules->quiet;
}

/* @writer is of intake_has_writer(). */
static enum intake is_whole(int writer, const struct intake_rules *rules,
			    struct intake_glimpse *glimpse, const struct stat *st,
			    usec_t now)
{
	if (writer == 0)
		return INTAKE_TAKEN;
	if (writer == 1)
		return INTAKE_BUSY;
	return has_been_quiet(rules, glimpse, st, now) ? INTAKE_TAKEN : INTAKE_FRESH;
}

/* Files never fail so: when it was opened, the name led to a link, a socket or a device.
 */
static bool was_no_file(int error)
{
	return error == -ELOOP || error == -ENXIO || error == -ENODEV;
}

static enum intake open_failed(int dirfd, const char *name, int error,
			       struct intake_file *ret)
{
	if (error == -ENOENT || error == -ESTALE ||
	    fstatat(dirfd, name, &ret->st, AT_SYMLINK_NOFOLLOW) < 0)
		return INTAKE_GONE;
	if (!S_ISREG(ret->st.st_mode))
		return INTAKE_NOT_A_FILE;
	if (is_current(dirfd, name, &ret->st, &ret->beside))
		return INTAKE_CURRENT;
	if (error == -EAGAIN) /* a write lease: a file server's client has it open */
		return INTAKE_BUSY;
	if (was_no_file(error)) /* and now it is one: what holds, the next look tells */
		return INTAKE_BUSY;
	ret->error = error;
	return INTAKE_UNREADABLE;
}

enum intake intake_take(int dirfd, const char *name, const struct intake_rules *rules,
			struct intake_glimpse *glimpse, usec_t now,
			struct intake_file *ret)
{
	_cleanup_close_ int fd = -1;
	enum intake answer;
	int writer;

	/* O_NONBLOCK: neither a FIFO nor somebody's lease may hold us. */
	fd = openat(dirfd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return open_failed(dirfd, name, -errno, ret);
	/* Before the look at it: a writer may end in between. */
	writer = rules->remote ? -EOPNOTSUPP : intake_has_writer(fd);
	if (fstat(fd, &ret->st) < 0)
		return open_failed(dirfd, name, -errno, ret);
	if (!S_ISREG(ret->st.st_mode))
		return INTAKE_NOT_A_FILE;
	if (is_current(dirfd, name, &ret->st, &ret->beside))
		return INTAKE_CURRENT;
	answer = is_whole(writer, rules, glimpse, &ret->st, now);
	if (answer == INTAKE_TAKEN)
		ret->fd = take_fd(&fd);
	return answer;
}
