#pragma once

/*
 * Snapshot: what the running agent says of itself at one moment, and its text,
 * status.json.
 *
 * The agent fills one in and writes it; `asset-agent status`, the metrics and others read
 * it. Strings in it are owned, and names in it are the bytes of the file system; in the
 * text they are UTF-8, as in the sidecars. Instants are of the real-time clock, 0: none;
 * the text has them in milliseconds.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "config.h"
#include "json.h"
#include "macro.h"
#include "verdict.h"

/* Ceilings, of what is written and of what is read. */
#define SNAPSHOT_SIZE_MAX      JSON_SIZE_MAX	      /* bytes of the text */
#define SNAPSHOT_TEXT_MAX      (4 * (size_t)PATH_MAX) /* of each string in it */
#define SNAPSHOT_SERVICES_MAX  64
#define SNAPSHOT_SPOOLS_MAX    CONFIG_SPOOLS_MAX
#define SNAPSHOT_TRANSFERS_MAX 256
#define SNAPSHOT_RETRIES_MAX   100

enum snapshot_state {
	SNAPSHOT_STARTING,
	SNAPSHOT_RUNNING,
	SNAPSHOT_STOPPING,
	SNAPSHOT_DRAINING,
};

enum snapshot_health { SNAPSHOT_OK, SNAPSHOT_AWAY };

/* The token server ("auth"), the API ("api"), the disk ("disk"), a storage host
 * ("storage"). */
struct snapshot_service {
	char *name;
	char *target; /* a URL's host and path, a directory; NULL: not known */
	enum snapshot_health health;
	/* While it is away: */
	usec_t since;
	char *why;	  /* NULL: not known */
	usec_t next_try;  /* 0: it is being tried */
	uint64_t waiting; /* files that wait for it */
};

enum snapshot_watch {
	SNAPSHOT_WATCHING,
	SNAPSHOT_POLLING,
	SNAPSHOT_SPOOL_AWAY, /* its directory can't be opened */
	SNAPSHOT_HELD,	     /* its files can't be brought to DoneDirectory */
};

struct snapshot_spool {
	char *name, *path;
	enum snapshot_watch watch;
	char *why; /* it is away, or held; NULL: not known */
	uint64_t uploaded, failed;
};

/* Where a file on its way stands. */
enum snapshot_step {
	SNAPSHOT_TAKE,
	SNAPSHOT_ASK,
	SNAPSHOT_RECORD_GRANT,
	SNAPSHOT_SEND,
	SNAPSHOT_RECORD_UPLOAD,
	SNAPSHOT_DISPOSE,
	SNAPSHOT_GIVE_UP,
};

struct snapshot_transfer {
	char *file;  /* whole path */
	char *spool; /* NULL: its directory left it */
	enum snapshot_step step;
	uint64_t size, sent; /* bytes */
	usec_t started;
	uint64_t attempt; /* 1: the first */
};

struct snapshot_retry {
	char *file, *spool; /* as above */
	uint64_t attempts;  /* that failed */
	usec_t next_try;
	enum stage stage;
	char *why; /* NULL: not known */
};

struct snapshot {
	char *version;
	uint64_t pid;
	uint64_t process_start; /* as /proc/PID/stat has it; 0: not known */
	usec_t started, updated;
	enum snapshot_state state;
	uint64_t uploading, waiting; /* files */
	bool more; /* others lie in the directories that were not even looked at */
	uint64_t uploaded, bytes, failed; /* since the start */
	uint64_t rate;			  /* bytes per second, over the last seconds */
	usec_t last_upload;
	usec_t oldest_waiting; /* since when the one that waits for longest is known */
	struct snapshot_service *services;
	size_t service_count;
	struct snapshot_spool *spools;
	size_t spool_count;
	struct snapshot_transfer *transfers;
	size_t transfer_count;
	struct snapshot_retry *retries; /* the soonest first */
	size_t retry_count;
};

/* Frees what @snapshot owns, the lists too, which came from calloc(); one of zeros is
 * empty. */
void snapshot_done(struct snapshot *snapshot);

/* One JSON object and a newline. What goes beyond the ceilings is left out. The caller
 * frees it. NULL: out of memory. */
char *snapshot_format(const struct snapshot *snapshot);

/* Reads what snapshot_format() wrote; members it does not know are passed over. 0, and
 * the caller releases *@ret (snapshot_done); -EBADMSG: it is something else, or torn, and
 * *@ret_member (a literal) names the member that is missing or wrong, NULL: it is no JSON
 * object at all; -ENOMEM. @ret_member may be NULL. */
int snapshot_parse(const char *text, size_t length, struct snapshot *ret,
		   const char **ret_member);

const char *snapshot_state_name(enum snapshot_state state);
const char *snapshot_watch_name(enum snapshot_watch watch);
const char *snapshot_step_name(enum snapshot_step step);
