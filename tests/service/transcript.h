#pragma once

/*
 * Transcript: what the agent asked of the API and of the token server, and what it was
 * told, in the file $ASSET_SERVICE_TRANSCRIPT, if that is set: a JSON object a line, for
 * tests/real/test-scenarios. Any number of services may write one file.
 *
 *	method, path, headers	of a request that came whole
 *	body			its body, if it has one
 *	status, type, answer	what the service itself answered; not there where a fault
 *				of the script struck before
 */

struct request;

/* The request has come whole. Again, or for another's: does nothing. */
void transcript_request(struct request *request);
/* The service's own answer has been made. */
void transcript_answer(struct request *request);
/* The request is over: writes its line. */
void transcript_end(struct request *request);
