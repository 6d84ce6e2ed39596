#pragma once

#include <pthread.h>

/* Runs @run(@userdata) on a thread of its own, with all signals blocked: they are for the
 * loop's. @name (at most 15 bytes) is what ps(1) shows. 0 or a negative errno; the caller
 * joins it. */
int thread_start(const char *name, void *(*run)(void *userdata), void *userdata,
		 pthread_t *ret);
