#pragma once

/*
 * Once: what was told already, so that it is not told again.
 *
 * It remembers marks, numbers that stand for things, and of those only the latest: a set
 * with a ceiling. So a thing may be told twice where there are very many, but its memory
 * does not grow. Pure. All zero is an empty set.
 */

#include <stdbool.h>
#include <stdint.h>

#define ONCE_ROWS    2048 /* must be a power of 2; what is not used takes no memory */
#define ONCE_COLUMNS 8

struct once {
	uint64_t marks[ONCE_ROWS][ONCE_COLUMNS]; /* the last asked for first; 0: none */
};

/* Whether @mark is new, and remembers it. Its bits must be well mixed. */
bool once_is_new(struct once *once, uint64_t mark);
