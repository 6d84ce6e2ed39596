#pragma once

/*
 * Spool-disks: the spools whose disk does not take a sidecar: full, over a quota,
 * broken. That is such a spool's own matter: its files wait, those of the others go on,
 * and what is said of it names the spool.
 *
 * A spool is in here only while its disk is away, by its path, so that it is the same one
 * after a reload. Each has a breaker. While it is open, a file of that spool may start
 * only as its probe, one at a time. Such a probe is known by its ticket, which counts as
 * long as the disk knows of it: whoever has an old one says nothing by it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "breaker.h"
#include "clock.h"
#include "config.h"

struct spool_disk {
	char *path, *spool; /* the directory and the name of the spool */
	char *why;	    /* its last failure, for people; NULL: not known */
	struct breaker breaker;
	usec_t since;	 /* real time: when it went away */
	uint64_t ticket; /* of the probe that is under way; 0: none */
	LIST_ENTRY(spool_disk) link;
};

struct spool_disks {
	LIST_HEAD(, spool_disk) away; /* the latest first */
	struct backoff backoff;
	uint64_t tickets; /* that were given out */
};

void spool_disks_init(struct spool_disks *disks, const struct backoff *backoff);
void spool_disks_done(struct spool_disks *disks);

/* The same of one in use, and its spools are those of @config now: what was known of the
 * others is forgotten, and what is away may be probed at once. */
void spool_disks_configure(struct spool_disks *disks, const struct backoff *backoff,
			   const struct config *config);

/* In all of these @path is that of the spool; NULL: of none, whose disk is not known. */

/* Of its disk, while it is away; else NULL. */
const struct spool_disk *spool_disks_find(const struct spool_disks *disks,
					  const char *path);

/* When a file of the spool may start: @now or earlier: at once; USEC_INFINITY: when the
 * probe that is under way has ended. */
usec_t spool_disks_next(const struct spool_disks *disks, const char *path, usec_t now);

/* It starts. Returns the ticket if it is the probe, else 0. */
uint64_t spool_disks_start(struct spool_disks *disks, const char *path);

/* The disk did not take what is said in @why. *@ticket is 0 then. 0; or -ENOMEM, and
 * nothing is known of it. */
int spool_disks_failed(struct spool_disks *disks, const struct config_spool *spool,
		       uint64_t *ticket, const char *why);

/* It took a sidecar. *@ticket is 0 then. */
void spool_disks_works(struct spool_disks *disks, uint64_t *ticket);

/* The file ends; what it did not get to, another may try. *@ticket is 0 then. */
void spool_disks_leave(struct spool_disks *disks, uint64_t *ticket);

/* The most probes in a row that any of them has left unanswered. */
unsigned spool_disks_failures(const struct spool_disks *disks);
