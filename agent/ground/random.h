#pragma once

/*
 * Random: draws for logic, which takes them as a parameter.
 */

#include <stdint.h>

/* Uniform over all of uint64_t. Where the kernel has none to give, the greatest: of waits
 * that are drawn, the longest is the safe one. */
uint64_t random_draw(void);
