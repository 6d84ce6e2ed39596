#pragma once

/*
 * A slow store: a relay that content URLs can lead through, which keeps its first
 * connection on a trickle until the agent comes on another, and passes that on to the
 * service.
 *
 *	slow = slow_store_open(&speed);
 *	options.service.content_base = slow_store_base(slow);
 *	world_start(w, &options);
 *	slow_store_serve(slow, service_port(w->service));
 *	...
 *	slow_store_close(slow);
 *
 * Functions fail the test by cmocka.
 */

#include <stddef.h>
#include <stdint.h>

#include "clock.h"

/* What moves on the first connection, each time that `pause` has passed. */
struct slow_speed {
	usec_t pause;
	size_t takes; /* bytes of the request, at the most */
	size_t gives; /* bytes of an endless answer */
};

struct slow_store;

struct slow_store *slow_store_open(const struct slow_speed *speed);
/* http://127.0.0.1:PORT. */
const char *slow_store_base(const struct slow_store *store);
/* Starts its thread, which connects to @port of this machine. */
void slow_store_serve(struct slow_store *store, uint16_t port);
void slow_store_close(struct slow_store *store);
