#pragma once

/*
 * Check-parts: what `check` looks at, a file a part. Each prints what it finds, one line
 * a finding, which says what to do where something is to be done.
 */

#include "check-user.h"
#include "config.h"
#include "screen.h"

#define CREDENTIAL SYSCONFDIR "/asset-agent/client-secret" /* LoadCredential= */

struct check {
	const struct config *config;
	struct screen screen;
	struct check_user user; /* who the service runs as */
	pid_t agent;		/* 0: none runs; negative: that can't be seen */
};

/* State, runtime, spools and where uploaded files go: are they there, may they be used,
 * is there room? */
void check_places(struct check *check);

/* Secrets, certificates, MimeTypes: are they there, fit, and hidden from others? */
void check_files(struct check *check);

/* Does the client's key belong to its certificate, and can the TLS library use them? */
void check_pair(struct check *check);

/* The kernel's limits, the clock, another agent. */
void check_machine(struct check *check);

/* The token server and the API: name, connection, TLS, answer, clock. Creates nothing. */
void check_online(struct check *check);
