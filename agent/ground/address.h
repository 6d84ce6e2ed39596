#pragma once

/*
 * Address: whether an IP address is one of the public network, or leads to this machine,
 * its neighbours, or nowhere.
 *
 * Not public are the blocks that IANA's special-purpose registries name for loopback,
 * private and shared use, link-local (clouds serve their metadata there), multicast and
 * "this network"; and whatever carries such an IPv4 address inside of an IPv6 one. Blocks
 * for documentation count as public: nothing of ours is there either.
 */

#include <stdbool.h>
#include <sys/socket.h>

/* False also for an address of another family. */
bool address_is_public(const struct sockaddr *address);

/* The same of an address as text, without brackets; @ret is written only for one.
 * Returns whether @text is an address at all. */
bool address_parse_is_public(const char *text, bool *ret);
