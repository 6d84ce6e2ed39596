#pragma once

/*
 * Macro: the few language helpers that every module uses.
 *
 * Memory and descriptors are released by the cleanup attribute and handed over by
 * take_ptr() and take_fd(). A module that owns a type defines its cleanup function
 * beside its free function with DEFINE_CLEANUP(), and users write
 *
 *	_cleanup_(ledger_freep) struct ledger *ledger = NULL;
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h> /* MIN, MAX */
#include <unistd.h>

#define _cleanup_(f)	__attribute__((__cleanup__(f)))
#define _printf_(a, b)	__attribute__((__format__(__printf__, a, b)))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define STRLEN(literal) (sizeof(literal) - 1)
#define container_of(p, type, member) \
	((type *)(void *)((char *)(p)-offsetof(type, member)))

/* Defines @name(T *p), which calls @release(*p) unless *p is NULL. */
#define DEFINE_CLEANUP(T, name, release) \
	static inline void name(T *p) \
	{ \
		if (*p) \
			release(*p); \
	}

/* The value of the pointer variable @p, which becomes NULL. */
#define take_ptr(p) \
	({ \
		__typeof__(p) *_slot = &(p); \
		__typeof__(p) _taken = *_slot; \
		*_slot = NULL; \
		_taken; \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Closes a descriptor and keeps errno; -1 is nothing. Returns -1, to assign back. */
static inline int close_fd(int fd)
{
	int saved = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return -1;
}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	*fd = close_fd(*fd);
}

DEFINE_CLEANUP(FILE *, fclosep, fclose)

#define _cleanup_free_	 _cleanup_(freep)
#define _cleanup_close_	 _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

/* NULL equals only NULL. */
static inline bool streq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static inline bool startswith(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static inline bool endswith(const char *s, const char *suffix)
{
	size_t length = strlen(s), tail = strlen(suffix);

	return length >= tail && memcmp(s + length - tail, suffix, tail) == 0;
}

/* Whether a negative errno tells of a lack of memory or descriptors here. */
static inline bool errno_is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM ||
	       error == -ENOBUFS;
}

/* Replaces the string that *@slot owns by a copy of @value (NULL: none).
 * 0 or -ENOMEM, and then *@slot is as it was. */
static inline int replace_string(char **slot, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}
