#pragma once

/*
 * Transfer-finish: what becomes of a file in the end: uploaded, tried again, given up.
 */

#include "transfer-state.h"

/* Records the upload, then disposes. The body has arrived. */
void transfer_record_upload(struct transfer *transfer);

/* Writes the receipt and keeps, deletes or moves the source. The upload is on record. */
void transfer_dispose(struct transfer *transfer);

/* It failed by its own fault, and is tried again by its own backoff; after the last
 * attempt, given up. */
void transfer_again(struct transfer *transfer);

/* It is refused for good: counts the attempt and gives up. */
void transfer_reject(struct transfer *transfer);

/* Writes the error sidecar. */
void transfer_give_up(struct transfer *transfer);
