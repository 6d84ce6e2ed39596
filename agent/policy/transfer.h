#pragma once

/*
 * Transfer: one file's way from the spool to its sidecar.
 *
 *	take ─> ask ─> record the grant ─> send ─> record the upload ─> dispose
 *	                                                   give up ─> (error sidecar)
 *
 * A transfer that is paused or failed is kept with what it has (the grant, above all) and
 * started again from where that leads. The descriptor of the file is open only while it
 * moves. Whatever happens, `ended` is called once for each start.
 */

#include "transfer-state.h"

/* Keeps a reference to @directory, copies @name. 0 or a negative errno. */
int transfer_new(struct transfer_services *services, struct spool_directory *directory,
		 const char *name, struct intake_glimpse *glimpse, void *owner,
		 struct transfer **ret);

/* Only while it does not move. */
void transfer_free(struct transfer *transfer);

/* Takes over what a row of the ledger says: a grant, or an upload that lacks its end.
 * 0 or a negative errno. */
int transfer_restore(struct transfer *transfer, const struct ledger_row *row);

/* Bits of enum health_need, for where it stands; besides these it needs the disk of its
 * spool. */
unsigned transfer_needs(const struct transfer *transfer);

/* It has its turn; health allows it. What that needs is taken, and nothing done yet:
 * transfer_go_on() has to follow. */
void transfer_start(struct transfer *transfer);

/* The same, but it only takes the file, which needs nobody but the disk: what can't be
 * uploaded is given up; the rest is paused. It must stand at that step. */
void transfer_look(struct transfer *transfer);

/* Goes on from where it stands, once for each start. It may come to its end at once. */
void transfer_go_on(struct transfer *transfer);

/* The spool of its directory, whose settings @spool of @config are, goes. What it has not
 * asked for yet it does not ask for any more. */
void transfer_leave(struct transfer *transfer, const struct config *config,
		    const struct config_spool *spool);

/* It is not kept in mind any more, and has no grant: nor has its row in the ledger, which
 * goes unless there are attempts to remember. */
void transfer_put_waiting(struct transfer *transfer);

/* Its file is that of the same name in @directory, to which it keeps a reference. */
void transfer_move(struct transfer *transfer, struct spool_directory *directory);

/* The services @which are others than those that it may be asking: how these answer says
 * nothing of them. What waits for a token asks again. */
void transfer_disown(struct transfer *transfer, health_probes which);

/* Ends what can be ended at once: a request under way, a wait for a token; it is paused
 * then. A record under way is not cut short. */
void transfer_cancel(struct transfer *transfer);

/* Bytes of the body that went out until now; 0 when not sending. */
uint64_t transfer_sent(const struct transfer *transfer);

/* The same, and those of the storage's answer that came. */
uint64_t transfer_moved(const struct transfer *transfer);
