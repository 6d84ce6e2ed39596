#pragma once

/*
 * X.509: the little that is read of a certificate in PEM form: when it ends.
 *
 * Whether a key belongs to it, and all else, is left to the TLS library.
 */

#include <stddef.h>

#include "clock.h"

/* The end of the validity of the first certificate in @text, which may hold anything.
 * 0; -ENOENT: there is no certificate in it; -EBADMSG: there is, but it can't be read;
 * -ENOMEM. */
int x509_expires(const char *text, size_t length, usec_t *ret);
