#pragma once

/*
 * Faults: each system call below, from the first to the last one that a piece of code
 * makes, fails once, or is the last thing before the process dies.
 *
 * For programs whose first line names every function that is wrapped here. Calls count
 *only between faults_begin() and faults_end().
 *
 *	for (unsigned n = 1;; n++) {
 *		faults_begin((struct faults){ .at = n, .error = EIO });
 *		r = the_code();
 *		if (!faults_end())
 *			break;
 *		... r tells it, and nothing is broken ...
 *	}
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "macro.h"

struct faults {
	unsigned at;	  /* the call that fails, from 1 */
	int error;	  /* errno; 0: the process dies at that call instead */
	bool carry_out;	  /* dies after the call, not before */
	const char *only; /* counts this call alone; NULL: all */
	unsigned calls;	  /* so far */
	bool active, struck;
	/* Instead of all that: somebody does this just before the call. */
	void (*meanwhile)(void);
};

#define FAULT_DEATH 86 /* exit status of a process that died of it */

static struct faults faults;

static inline void faults_begin(struct faults what)
{
	faults = what;
	faults.active = true;
}

/* Whether the fault struck: else there are not so many calls. */
static inline bool faults_end(void)
{
	faults.active = false;
	return faults.struck;
}

static inline bool fault_strikes(const char *call)
{
	if (!faults.active || (faults.only && !streq(faults.only, call)) ||
	    ++faults.calls != faults.at)
		return false;
	faults.struck = true;
	return true;
}

/* @real is evaluated unless the fault keeps it from happening. */
#define FAULTY(call, real) \
	({ \
		__typeof__(real) _r = -1; \
		bool _strikes = fault_strikes(call); \
		if (_strikes && faults.meanwhile) { \
			_strikes = faults.active = false; \
			faults.meanwhile(); \
		} \
		if (_strikes && !faults.error && !faults.carry_out) \
			_exit(FAULT_DEATH); \
		if (!_strikes || !faults.error) \
			_r = (real); \
		if (_strikes && !faults.error) \
			_exit(FAULT_DEATH); \
		if (_strikes) \
			errno = faults.error; \
		_r; \
	})

/* The names are those that the linker sees, with offsets of 64 bits. */
#define WRAP(type, name, symbol, parameters, arguments) \
	type __real_##symbol parameters; \
	type __wrap_##symbol parameters; \
	type __wrap_##symbol parameters \
	{ \
		return FAULTY(name, __real_##symbol arguments); \
	}

WRAP(ssize_t, "read", read, (int fd, void *buffer, size_t size), (fd, buffer, size))
WRAP(ssize_t, "write", write, (int fd, const void *buffer, size_t size),
     (fd, buffer, size))
WRAP(ssize_t, "getrandom", getrandom, (void *buffer, size_t size, unsigned flags),
     (buffer, size, flags))
WRAP(int, "fchmod", fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, "fchown", fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
WRAP(int, "futimens", futimens, (int fd, const struct timespec times[2]), (fd, times))
WRAP(int, "utimensat", utimensat,
     (int at, const char *path, const struct timespec times[2], int flags),
     (at, path, times, flags))
WRAP(int, "fstat", fstat64, (int fd, struct stat *st), (fd, st))
WRAP(int, "fstatat", fstatat64, (int at, const char *path, struct stat *st, int flags),
     (at, path, st, flags))
WRAP(int, "mkdir", mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, "unlinkat", unlinkat, (int at, const char *path, int flags), (at, path, flags))
WRAP(int, "renameat", renameat, (int from, const char *name, int to, const char *target),
     (from, name, to, target))
WRAP(int, "linkat", linkat,
     (int from, const char *name, int to, const char *target, int flags),
     (from, name, to, target, flags))

/* The filesystem knows no flags of renameat2(2), as NFS. */
static bool no_rename_flags;

int __real_renameat2(int from, const char *name, int to, const char *target,
		     unsigned flags);
int __wrap_renameat2(int from, const char *name, int to, const char *target,
		     unsigned flags);
int __wrap_renameat2(int from, const char *name, int to, const char *target,
		     unsigned flags)
{
	if (no_rename_flags && flags) {
		errno = EINVAL;
		return -1;
	}
	return FAULTY("renameat2", __real_renameat2(from, name, to, target, flags));
}

WRAP(int, "openat", __openat64_2, (int at, const char *path, int flags),
     (at, path, flags))

int __real_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, mode_t mode);
int __wrap_openat64(int at, const char *path, int flags, mode_t mode)
{
	return FAULTY("openat", __real_openat64(at, path, flags, mode));
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	bool strikes = faults.active && faults.error && fault_strikes("close");
	int r = __real_close(fd);

	/* A close that fails has closed: the error is of earlier writes. */
	if (strikes)
		errno = faults.error;
	return strikes ? -1 : r;
}
