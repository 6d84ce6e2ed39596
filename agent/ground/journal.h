#pragma once

/*
 * Journal: one entry to systemd's journal by its native protocol, without ever waiting
 * for long: sd_journal_sendv() waits for as long as the journal does not read.
 */

#include <sys/uio.h>

/* Sends "NAME=value" fields, whose values may hold any bytes, as one entry. 0; -EAGAIN:
 * the journal does not keep up, and the entry is lost; -ENOENT, -ECONNREFUSED: it is not
 * there; or another negative errno. */
int journal_send(const struct iovec *fields, int count);
