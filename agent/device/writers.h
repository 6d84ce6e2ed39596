#pragma once

/*
 * Writers: who has a file open for writing, as far as /proc shows it to us.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define WRITERS_MAX 8 /* that are told apart; there is seldom a second one */

struct writer {
	pid_t pid;
	char command[64], user[64]; /* any bytes */
	bool mapped;		    /* by a mapping of its memory only */
	bool locked;		    /* it holds a lock to write; more is not shown */
};

struct writers {
	struct writer list[WRITERS_MAX];
	size_t count;
	bool partial; /* there are processes that we may not look at */
};

/* Finds the writers of the file that @st describes, but for ourselves. 0 or a negative
 * errno: /proc can't be read at all. */
int writers_find(const struct stat *st, struct writers *ret);
