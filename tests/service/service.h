#pragma once

/*
 * Service: a stand-in for eGain's Create Asset service, its token endpoint and the object
 * store behind its content URLs, on 127.0.0.1, in threads of the calling process.
 *
 * It is as strict as the real ones are known to be, and stricter where that finds faults
 * of a client: whatever a correct client would never send is refused and also noted as a
 * violation. What it did can be waited for (never sleep), looked at, and changed: a
 * script of faults makes it fail in every way that servers and networks do.
 *
 *	struct service_options options = { .kind = KIND_S3 };
 *	service_start(&options, &service);
 *	service_fault(service, &(struct fault){ .endpoint = ENDPOINT_UPLOAD, .times = 2,
 *						.action = FAULT_ANSWER, .status = 503 });
 *	... a client at service_base_url(service) ...
 *	assert(service_wait_answers(service, ENDPOINT_UPLOAD, 200, 1, 5 * USEC_PER_SEC));
 *	assert(!service_violations(service));
 *	service_stop(service);
 *
 * Every function may be called from any thread, except that service_stop() is the last.
 * Requests, assets and violations are kept until then, so the strings in the structs that
 * are handed out stay valid until then. Times are usec_t on the monotonic clock unless
 * said otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "macro.h"

#define SERVICE_CLIENT_ID     "client-7f3a"
#define SERVICE_CLIENT_SECRET "s3cr3t/0f+7h3 c1i3n7&=%"
#define SERVICE_SCOPE	      "core.conversation core.asset"

struct service;

enum endpoint {
	ENDPOINT_ANY,	 /* in rules, counts and waits: all of those below */
	ENDPOINT_TOKEN,	 /* POST /oauth/token */
	ENDPOINT_CREATE, /* POST /conversation/conversationmgr/v3/assets */
	ENDPOINT_GET,	 /* GET the same + /{id} */
	ENDPOINT_UPLOAD, /* a content URL, whatever the method */
	ENDPOINT_OTHER,	 /* 404 */
	ENDPOINT_COUNT,
};

/* What the content URLs look like, which method they demand and how the store answers. */
enum url_kind {
	KIND_PLAIN,    /* PUT, 200 */
	KIND_JWT_POST, /* eGain's own: the JWT's payload says POST; 201; errors are JSON
			*/
	KIND_S3,       /* PUT, 200; X-Amz-SignedHeaders=content-type;host */
	KIND_AZURE,    /* PUT with x-ms-blob-type: BlockBlob, 201 */
	KIND_GCS,      /* PUT, 200; X-Goog-SignedHeaders=content-type;host */
	KIND_MIXED,    /* each asset the next of the above */
	KIND_COUNT,
};

/* plain, jwt-post, s3, azure, gcs, mixed. */
const char *url_kind_name(enum url_kind kind);
/* 0 or -EINVAL. */
int url_kind_parse(const char *name, enum url_kind *ret);

#define EXPIRES_IN_ABSENT (-1)

struct service_asset;

/* How it speaks TLS. PEM texts, read only while they are handed in. */
struct service_tls {
	const char *certificate, *key;
	const char *trust; /* asks each client for a certificate by this CA; NULL: none */
	const char *priorities; /* of GnuTLS, "NORMAL:..."; NULL: NORMAL */
};

/* What a client meets that connects. */
enum service_door {
	DOOR_OPEN,
	DOOR_SILENT, /* not a byte, for as long as it waits */
	DOOR_CUT,    /* FIN once it has said something: in the midst of a TLS handshake */
};

/* A zeroed struct is a service with the defaults. Strings are copied. */
struct service_options {
	const char *address; /* an IPv4 address of this machine; NULL: 127.0.0.1 */
	uint16_t port;	     /* 0: any that is free */
	const struct service_tls *tls; /* NULL: plain http */
	enum url_kind kind;
	const char *store;     /* keeps contents as STORE/{id}; NULL: a temporary one */
	const char *client_id; /* NULL: SERVICE_CLIENT_ID, and so on */
	const char *client_secret; /* sic: it needs every kind of escape in a form */
	const char *scope;
	int expires_in;	     /* of tokens, in seconds; 0: 3600; EXPIRES_IN_ABSENT:
				not said, and they live an hour */
	usec_t url_lifetime; /* 0: an hour */
	uint64_t size_limit; /* 400 for larger assets, which is no breach; 0: none */
	bool no_url_expiry;  /* say nothing of contentUrlExpiry */
	bool no_date;	     /* send no Date header, as some gateways do */
	/* A program that makes the content URLs, for a store elsewhere: called with ID,
	 * NAME, TYPE, SIZE and the lifetime in seconds, it prints the URL. NULL: the URLs
	 * and the store are our own. */
	const char *signer;
	/* A program that knows the tokens, of a token server elsewhere: called with one,
	 * it prints "good", or else what is wrong with it. NULL: good are our own. */
	const char *judge;
	const char
		*content_base; /* in front of content URLs, with @PORT@ for the port;
				  NULL: the same scheme, address and port as the API's */
	bool counts_only;      /* keep no details of requests: for very many */
	bool discard;	       /* keep only size and hash of contents */
	/* Called from a thread of the service once a content has come in whole. */
	void (*received)(void *userdata, const struct service_asset *asset);
	void *userdata;
};

/* 0, or a negative errno: -EADDRINUSE, or what mkdir or socket say. */
int service_start(const struct service_options *options, struct service **ret);
/* Closes every connection, held ones too, and frees. NULL is fine. */
void service_stop(struct service *service);
DEFINE_CLEANUP(struct service *, service_stopp, service_stop)

uint16_t service_port(const struct service *service);
/* For BaseURL= and TokenURL=. Without a slash at the end. */
const char *service_base_url(const struct service *service);
const char *service_token_url(const struct service *service);
const char *service_scope(const struct service *service);

/* ---- while it runs ---- */

void service_set_kind(struct service *service, enum url_kind kind);
/* Its clock is @offset microseconds ahead of the real one: the Date header,
 * contentUrlExpiry, and the judgement of what has expired. */
void service_set_clock_offset(struct service *service, int64_t offset);
/* Of URLs and tokens granted from now on; as in the options. */
void service_set_url_lifetime(struct service *service, usec_t lifetime);
void service_set_expires_in(struct service *service, int seconds);
/* A good token by another way than the token endpoint. The caller frees it. */
char *service_issue_token(struct service *service);
/* No token, no content URL given out so far is good any longer. */
void service_revoke_tokens(struct service *service);
void service_expire_urls(struct service *service);

/* Connections that come from now on are met so; those that stand are not touched. The
 * URLs that it names stay of the scheme they were at the start. 0 or a negative errno. */
int service_set_tls(struct service *service, const struct service_tls *tls);
void service_set_door(struct service *service, enum service_door door);

/* Connections are refused and those that are open are cut, until service_listen() opens
 * the same port again. The port stays ours. */
void service_unlisten(struct service *service);
void service_listen(struct service *service);

/* ---- faults ---- */

/* When the rule strikes. */
enum fault_phase {
	FAULT_AT_ANSWER,   /* the body was read, the request is not carried out */
	FAULT_AT_HEAD,	   /* the head was read, nothing of the body is taken from MHD */
	FAULT_IN_BODY,	   /* after .bytes of the body; only with STALL, RESET, CONTINUE.
			      A shorter body: FAULT_AT_ANSWER */
	FAULT_CARRIED_OUT, /* the token or asset is granted, the content is stored: only
			      the client does not learn of it */
};

enum fault_action {
	FAULT_CONTINUE, /* as always; with .delay: late */
	FAULT_ANSWER,	/* .status, .headers, .body, in which @URL@ and @AUTHORIZATION@
			   become what the request had there */
	FAULT_STALL,	/* silence until service_release(), then as always */
	FAULT_RESET,	/* RST */
	FAULT_CLOSE,	/* FIN without an answer */
	FAULT_TRUNCATE, /* .status and .body, but Content-Length says 1000 more; FIN */
	FAULT_GARBAGE,	/* .body (NULL: bytes that are no HTTP), then FIN */
	FAULT_ENDLESS,	/* .status and a body that goes on until the client hangs up */
	FAULT_DRIP, /* .body raw, then .drip over and over until the client hangs up: a
		       byte each .pace, or (0) as fast as it takes them */
};

/* Of the rules that match a request's endpoint, in the order they came, each that is
 * still to skip some lets this one pass to the next; the first that is not strikes. */
struct fault {
	enum endpoint endpoint;
	unsigned skip;	/* let so many requests pass first */
	unsigned times; /* strike so often; 0: until cleared */
	enum fault_phase phase;
	usec_t delay; /* wait so long before the action */
	enum fault_action action;
	uint64_t bytes;	     /* of FAULT_IN_BODY */
	int status;	     /* 0: 500 */
	const char *body;    /* NULL: none */
	const char *headers; /* lines "Name: value\n"; NULL: none. Without a Content-Type
				it is application/json */
	const char *drip;    /* of FAULT_DRIP, not empty */
	usec_t pace;
};

/* Adds a rule; its strings are copied. Aborts when out of memory. */
void service_fault(struct service *service, const struct fault *fault);
/* No rule strikes any longer; whom one has struck stays struck. */
void service_clear_faults(struct service *service);
/* Lets all requests go on that a FAULT_STALL or a delay holds. */
void service_release(struct service *service);

/* ---- what happened ---- */

/* Requests that have come (their head was read), and the most of them at one time. */
size_t service_count(struct service *service, enum endpoint endpoint);
size_t service_peak(struct service *service, enum endpoint endpoint);
/* Requests to which @status was answered; 0: those cut off without an answer. Counted
 * just before the answer leaves. */
size_t service_answers(struct service *service, enum endpoint endpoint, int status);
/* Requests held right now by a stall, a delay or a drip. */
size_t service_held(struct service *service);
/* Contents that came whole. */
size_t service_received(struct service *service);
uint64_t service_received_bytes(struct service *service);

/* Waits until the number is at least @n (exactly @n: see held). False: @timeout passed.
 */
bool service_wait_count(struct service *service, enum endpoint endpoint, size_t n,
			usec_t timeout);
bool service_wait_answers(struct service *service, enum endpoint endpoint, int status,
			  size_t n, usec_t timeout);
bool service_wait_received(struct service *service, size_t n, usec_t timeout);
/* Exactly @n. */
bool service_wait_held(struct service *service, size_t n, usec_t timeout);

/* The breaches of contract so far, one a line, or NULL: none. The caller frees it. */
char *service_violations(struct service *service);

/* Calls @each with every secret that no log may hold: the client's secret, the tokens
 * given out, the signatures of the content URLs. Must not call back into the service. */
void service_each_secret(struct service *service,
			 void (*each)(void *userdata, const char *secret),
			 void *userdata);

struct service_request {
	size_t sequence; /* from 0 in order of arrival */
	enum endpoint endpoint;
	const char *method;
	const char *url;	  /* path and query as sent */
	const char *headers;	  /* lines "Name: value\n" */
	const char *asset;	  /* id of the asset granted or uploaded to; NULL: none */
	uint64_t body;		  /* bytes of the body that were read */
	int status;		  /* answered; 0: not (yet) */
	usec_t arrived, answered; /* 0: not (yet) */
};

/* Copies what is known of a request. False: there is no such one (or counts_only). The
 * @index is the place among those of @endpoint, from 0. */
bool service_request_at(struct service *service, enum endpoint endpoint, size_t index,
			struct service_request *ret);
/* The value of a header, in any case. The caller frees it. NULL: not there. */
char *service_request_header(const struct service_request *request, const char *name);

struct service_asset {
	const char *id;
	const char *name;
	const char *channel_type, *sender_type;
	const char *content_type; /* derived from the name's extension */
	const char *url;	  /* path and query of the content URL */
	const char *signature;	  /* the secret in it */
	enum url_kind kind;
	uint64_t size;
	bool complete;	/* its content has come whole */
	uint64_t hash;	/* of the content, to tell contents apart */
	usec_t expires; /* of the URL, by the service's real-time clock */
};

size_t service_asset_count(struct service *service);
bool service_asset_at(struct service *service, size_t index, struct service_asset *ret);
bool service_asset_by_id(struct service *service, const char *id,
			 struct service_asset *ret);
/* The newest of that name that is complete, else the newest. False: there is none. */
bool service_asset_by_name(struct service *service, const char *name,
			   struct service_asset *ret);
/* How many were granted under @name. */
size_t service_assets_named(struct service *service, const char *name);

/* Compares the content of the asset @id with the file @path, every byte. 1: the same; 0:
 * another; -ENOENT: there is no such content (or .discard); or a negative errno. */
int service_same_content(struct service *service, const char *id, const char *path);

/* The type that the service derives from a name. Never NULL. */
const char *service_content_type(const char *name);
