#pragma once

/*
 * Transfer-send: the content goes to the URL that was granted for it.
 */

#include "transfer-state.h"

/* Its URL is of no use any more. */
bool transfer_url_is_over(const struct transfer *transfer);

/* Sends it; its grant is on record, its file open. */
void transfer_send(struct transfer *transfer);
