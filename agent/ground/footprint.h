#pragma once

/*
 * Footprint: how much memory the process holds.
 */

/* Gives back to the kernel what is free of the heap, and what of the program and its
 * libraries is only a copy of their files: most of that is needed when the process starts
 * and not again. What is needed comes back by itself; what does not is a debugger's
 * breakpoint. For a process that goes to sleep. */
void footprint_shrink(void);
