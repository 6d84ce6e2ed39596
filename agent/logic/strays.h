#pragma once

/*
 * Strays: which rows of the ledger have no place in the schedule, and which of them may
 * be a given file's.
 *
 * Eight bytes each, as there may be a million: a key holds the row's serial, and above
 * that some bits of a hash of its file's directory and name. Those of one file thus stand
 * together, the oldest first. A few of other files stand among them: the row itself tells
 * whose it is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strays {
	uint64_t *keys; /* ascending, unless they are mixed: at first */
	size_t count, room, gone;
	bool mixed;
};

void strays_done(struct strays *strays);

/* 0; -ENOMEM; -ERANGE: its serial is beyond all that will ever be. */
int strays_add(struct strays *strays, const char *directory, const char *name,
	       uint64_t serial);

/* How many there are. */
size_t strays_count(const struct strays *strays);

/* The next key of all, or of those that may be the file's, after that one (0: the first);
 * 0: there is none. What was added meanwhile may be passed over. */
uint64_t strays_next(struct strays *strays, uint64_t after);
uint64_t strays_next_of(struct strays *strays, const char *directory, const char *name,
			uint64_t after);

/* Of which row it is; whether both may be of the same file. */
uint64_t strays_serial(uint64_t key);
bool strays_is_like(uint64_t key, uint64_t other);

/* @key, which is there, leaves. */
void strays_remove(struct strays *strays, uint64_t key);
