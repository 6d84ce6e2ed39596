#pragma once

/*
 * Lock: a mutex held to the end of the block.
 */

#include <pthread.h>

#include "macro.h"

static inline pthread_mutex_t *lock_take(pthread_mutex_t *lock)
{
	(void)pthread_mutex_lock(lock);
	return lock;
}

static inline void lock_givep(pthread_mutex_t **lock)
{
	(void)pthread_mutex_unlock(*lock);
}

#define HOLD(object) \
	_cleanup_(lock_givep) pthread_mutex_t *held_lock \
		__attribute__((__unused__)) = lock_take(&(object)->lock)
