#include <string.h>

#include "macro.h"
#include "once.h"

bool once_is_new(struct once *once, uint64_t mark)
{
	uint64_t *row = once->marks[mark >> 32 & (ONCE_ROWS - 1)];
	size_t place = 0;

	mark |= 1; /* 0 stands for none */
	while (place < ONCE_COLUMNS && row[place] != mark)
		place++;
	/* To the front, also where it was known: what comes up often is kept. */
	memmove(row + 1, row, MIN(place, ONCE_COLUMNS - 1U) * sizeof(*row));
	row[0] = mark;
	return place == ONCE_COLUMNS;
}
