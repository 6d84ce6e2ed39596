#pragma once

/*
 * Internal: what the parts of the service share: the service, a request on its way, and
 * the answer that is made for it.
 *
 * A request is only touched by the one thread that its connection belongs to, except for
 * the fields of the held list, which are under the service's lock.
 */

#include <pthread.h>
#include <sys/queue.h>

#include <json-c/json_object.h>
#include <microhttpd.h>

#include "depot.h"
#include "lock.h"
#include "record.h"
#include "script.h"
#include "service.h"

#define SERVICE_BASE_PATH   "/conversation/conversationmgr/v3"
#define SERVICE_TOKEN_PATH  "/oauth/token"
#define SERVICE_ASSETS_PATH SERVICE_BASE_PATH "/assets"
#define SERVICE_BODY_MAX    ((size_t)64 * 1024) /* of a token or create request */
#define SERVICE_LOOPS	    2
#define SERVICE_CONNECTIONS 4000u /* of each loop */

struct answer {
	int status; /* 0: none yet */
	char *body; /* owned */
	size_t length;
	const char *content_type; /* NULL: none */
	char *headers;		  /* owned; lines "Name: value\n", or NULL */
};

enum step { STEP_COME, STEP_HEAD, STEP_BODY, STEP_END, STEP_CARRIED_OUT };

struct request {
	struct service *service;
	struct MHD_Connection *connection;
	char *url;	  /* owned until the record takes it */
	const char *path; /* url, wherever that is kept */
	const char *method;
	enum endpoint endpoint;
	struct service_request *detail; /* NULL: counts only */
	enum step step;

	const struct fault *fault; /* NULL: none, or done with */
	bool delayed, stalled;
	const struct fault *drip; /* that it gets from now on; or NULL */
	size_t dripped;
	TAILQ_ENTRY(request) entry; /* while held */
	usec_t due;
	bool dropped; /* the service stops */

	uint64_t received; /* of the body, from the network */
	char *body;	   /* of it, up to SERVICE_BODY_MAX; NUL-terminated */
	size_t body_length;
	const struct service_asset *asset; /* of an upload */
	struct content content;
	int write_error; /* negative errno */

	struct answer answer;
	bool answered;
	struct json_object *told; /* for the transcript; or NULL */
};

TAILQ_HEAD(held, request);

struct peer {
	int fd;
	LIST_ENTRY(peer) entry;
};

LIST_HEAD(peers, peer);

/* The threads that serve connections of one kind. */
struct loops {
	struct service *service;
	struct MHD_Daemon *daemons[SERVICE_LOOPS];
	bool asks; /* for a client's certificate */
	struct loops *older;
};

struct token {
	char *text;
	usec_t expires;
	struct token *next;
};

struct service {
	struct record record;
	struct depot depot;
	char *base_url, *token_url, *content_base;
	char *client_id, *client_secret, *scope;
	char *signer, *judge; /* or NULL */
	uint64_t size_limit;
	bool no_url_expiry, no_date, counts_only;
	void (*received)(void *userdata, const struct service_asset *asset);
	void *userdata;
	uint16_t port;

	pthread_t porter;
	bool porter_runs;
	int wake, listener;

	pthread_mutex_t lock; /* all below */
	enum url_kind kind;
	int64_t clock_offset;
	usec_t url_lifetime;
	int expires_in;
	struct token *tokens; /* newest first */
	struct script script;
	struct held held; /* by .due */
	struct peers peers;
	bool listening, stopping;
	struct loops *loops; /* the first serves who comes now */
	enum service_door door;
	struct guest *guests; /* whom a closed door keeps waiting */
};

/* Real time by the service's clock. */
usec_t service_now(struct service *service);
#define service_violate(request, format, ...) \
	record_violation(&(request)->service->record, "%s %s: " format, \
			 (request)->method, (request)->path, ##__VA_ARGS__)

const char *request_header(const struct request *request, const char *name);

/* ---- answer.c: all of them replace what was there ---- */

void answer_done(struct answer *answer);
/* Takes @body (malloc), which may be NULL. */
void answer_set(struct answer *answer, int status, const char *content_type, char *body);
void answer_header(struct answer *answer, const char *line);
/* Puts @object. */
void answer_json(struct answer *answer, int status, struct json_object *object);
/* The API's error; the code is "STATUS-REASON", @key may be NULL. */
void answer_api_error(struct request *request, int status, int reason,
		      const char *message, const char *key, const char *value);
void answer_xml_error(struct answer *answer, int status, const char *code,
		      const char *message);
/* Queues it for sending. */
enum MHD_Result answer_send(struct request *request);
/* What a fault does in place of an answer; the last three write on the socket. */
enum MHD_Result answer_send_fault(struct request *request, const struct fault *fault);
void answer_truncated(struct request *request, const struct fault *fault);
void answer_garbage(struct request *request, const struct fault *fault);
void answer_reset(struct request *request);
/* Sends .body, and holds the request, which gets its drip from now on. */
void answer_drip_first(struct request *request, const struct fault *fault);
/* The next bytes of its drip. False: the client has hung up. */
bool answer_drip(struct request *request);

/* ---- endpoint.c and upload.c: the answers to a whole request ---- */

void token_carry_out(struct request *request);
void create_carry_out(struct request *request);
void get_carry_out(struct request *request);
void other_carry_out(struct request *request);
void upload_carry_out(struct request *request);

/* The head of an upload: refuses (and then there is an answer) or opens the content. */
void upload_begin(struct request *request);
void upload_body(struct request *request, const char *bytes, size_t length);

/* ---- exchange.c: one request, step by step; called by MHD ---- */

void *exchange_begin(void *userdata, const char *url, struct MHD_Connection *connection);
enum MHD_Result exchange_request(void *userdata, struct MHD_Connection *connection,
				 const char *decoded, const char *method,
				 const char *version, const char *bytes, size_t *left,
				 void **context);
void exchange_end(void *userdata, struct MHD_Connection *connection, void **context,
		  enum MHD_RequestTerminationCode code);

/* ---- door.c: how connections are met ---- */

/* 0 or a negative errno. */
int door_set_tls(struct service *service, const struct service_tls *tls);
/* Takes @fd, which is non-blocking; @turn spreads connections over the loops. */
void door_admit(struct service *service, int fd, const struct sockaddr *address,
		socklen_t length, unsigned turn);
/* Ends all loops. Every connection must have gone on before. */
void door_done(struct service *service);

/* ---- porter.c: a thread that lets connections in and wakes requests that wait ---- */

#define LISTEN_BACKLOG 1024

void *porter_run(void *userdata);
void porter_wake(struct service *service);
/* Suspends the request's connection until @due; MHD calls again then. */
void porter_hold(struct request *request, usec_t due);
/* Resumes those that are due, or all when the service stops. Returns when the next is. */
usec_t porter_resume(struct service *service, usec_t now);
/* Called by MHD for connections that come and go; @userdata is their loops. */
void porter_connection(void *userdata, struct MHD_Connection *connection, void **context,
		       enum MHD_ConnectionNotificationCode code);
