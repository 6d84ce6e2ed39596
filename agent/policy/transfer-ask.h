#pragma once

/*
 * Transfer-ask: a token, Create Asset, and the grant on record before the first byte
 * goes.
 */

#include "transfer-state.h"

/* Asks for an asset and a URL, then goes on to record and send. */
void transfer_ask(struct transfer *transfer);

/* Records the grant, then sends. */
void transfer_record_grant(struct transfer *transfer);

/* Reads what the granted URL asks of us. 0; or as content_url_parse(), and *@ret_reason
 * is the caller's to free. */
int transfer_read_url(struct transfer *transfer, char **ret_reason);
