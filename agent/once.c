#include <string.h>

#include "macro.h"
#include "once.h"

bool once_is_new(struct once *once, uint64_t mark)
{
	uint64_t *row = once->marks[mark >> 32 & (ONCE_ROWS - 1)];

	mark |= 1; /* 0 stands for none */
	for (size_t i = 0; i < ONCE_COLUMNS; i++)
		if (row[i] == mark)
			return false;
	memmove(row + 1, row, (ONCE_COLUMNS - 1) * sizeof(*row));
	row[0] = mark;
	return true;
}
