#pragma once

/*
 * Transfer-send: the content goes to the URL that was granted for it.
 */

#include "transfer-state.h"

/* Sends it; its grant is on record, its file open. */
void transfer_send(struct transfer *transfer);
