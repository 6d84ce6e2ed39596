#pragma once

/*
 * Certificate: keys and certificates for tests of TLS, made on the spot, so that none of
 * them ever gets old.
 */

#include <stdint.h>

#include "macro.h"

struct certificate {
	char *pem, *key; /* PEM texts, owned */
};

struct certificate_wish {
	const struct certificate *issuer; /* NULL: signs itself */
	const char *name;		  /* its common name */
	const char *host;		  /* a DNS name that it is good for; NULL: none */
	const char *address;		  /* an IPv4 address; NULL: none */
	int64_t from, to;		  /* seconds from now */
	bool authority;			  /* may issue others */
};

/* Aborts when it can't be made. */
struct certificate certificate_make(const struct certificate_wish *wish);
void certificate_done(struct certificate *certificate);
