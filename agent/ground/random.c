#include <sys/random.h>

#include "random.h"

uint64_t random_draw(void)
{
	uint64_t draw;

	return getrandom(&draw, sizeof(draw), 0) == sizeof(draw) ? draw : UINT64_MAX;
}
