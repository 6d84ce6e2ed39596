#pragma once

/*
 * Config: everything that can be set, as INTERFACE and agent.conf(5) have it.
 *
 * One table holds each section, key, default, parser and bound, and where its value goes;
 * defaults go through the same parsers as what the administrator writes. Every fault of
 * every file is reported, not only the first.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "strv.h"

#define CONFIG_FILE	      SYSCONFDIR "/asset-agent/agent.conf"
#define CONFIG_SIZE_MAX	      ((size_t)4 * 1024 * 1024) /* of one file */
#define CONFIG_SPOOLS_MAX     256
#define CONFIG_CONCURRENT_MAX 1024

enum upload_method { UPLOAD_AUTO, UPLOAD_PUT, UPLOAD_POST };
enum log_target_choice { LOG_CHOICE_AUTO, LOG_CHOICE_JOURNAL, LOG_CHOICE_STDERR };
enum watch_choice { WATCH_AUTO, WATCH_INOTIFY, WATCH_POLL };
enum after_upload { AFTER_KEEP, AFTER_DELETE, AFTER_MOVE };

/* How a key was set last; config_show() makes words of it. */
struct config_source {
	const char *file; /* NULL: the default; $NAME: of the environment */
	unsigned line;	  /* 0: none */
	bool refused;	  /* the value was a fault, and the field is not that */
	char *text;	  /* fit to be shown; NULL: not set. Owned. */
};

struct config_spool {
	char *name;	    /* NAME of [Spool:NAME], without a slash; the path for a
			     * bare [Spool]. No two are the same. */
	char *path;	    /* absolute, without . .. // or a slash at the end */
	char *channel_type; /* 1 to 255 characters */
	char *sender_type;  /* one of the five that the API names */
	bool recursive;
	struct strv ignore; /* globs on the base name */
	usec_t settle;
	enum watch_choice watch;
	usec_t poll_interval; /* > 0 */
	enum after_upload after_upload;
	char *done_directory; /* absolute; there exactly with AFTER_MOVE */
	uint64_t max_size;    /* bytes; UINT64_MAX: none */
	/* Where the section began, for messages. Owned. */
	char *origin;		       /* FILE:LINE */
	struct config_source *sources; /* of each key of a spool; config's own business */
};

struct config {
	struct {
		char *base_url; /* http or https, without a slash at the end */
		char *accept_language;
		usec_t timeout;
		usec_t connect_timeout;
		usec_t request_interval; /* of RequestRate; 0: no ceiling */
		uint64_t request_burst;	 /* >= 1 */
		char *ca_file;		 /* NULL: the system's */
		char *client_certificate, *client_key;
		char *proxy; /* NULL: the environment's */
		bool allow_insecure;
	} api;
	struct {
		char *token_url, *client_id, *scope; /* scope may be NULL */
		char *client_secret_file; /* NULL: the credential client-secret */
		char *token_file; /* NULL: client credentials; else the two above are */
	} auth;
	struct {
		enum upload_method method;
		char *content_type; /* NULL: auto */
		char *mime_types;
		struct strv headers;	 /* each a valid "Name: value" */
		uint64_t max_concurrent; /* 1 to CONFIG_CONCURRENT_MAX */
		uint64_t bandwidth;	 /* bytes per second; UINT64_MAX: none */
		usec_t stall_timeout;
		struct strv allowed_hosts; /* globs in lower case; empty: any */
	} upload;
	struct {
		usec_t initial_delay, max_delay; /* 0 < initial <= max */
		uint64_t max_attempts;		 /* >= 1 */
	} retry;
	struct {
		char *directory;
	} state;
	struct {
		int log_level; /* LOG_ERR to LOG_DEBUG of syslog(3) */
		enum log_target_choice log_target;
		char *status_file;
		char *metrics_file; /* NULL: none */
	} report;
	struct config_spool *spools;
	size_t spool_count;	       /* >= 1 */
	unsigned references;	       /* users besides the first one */
	struct strv files;	       /* that were read, in that order */
	struct config_source *sources; /* of each other key; config's own business */
};

/* Called for each fault with one line without a newline: FILE:LINE: message, or
 * FILE: message where no line is to blame. */
typedef void (*config_fault_fn)(void *userdata, const char *line);

/*
 * Reads @file (NULL: CONFIG_FILE), then the *.conf in the directory @file + ".d" in name
 * order, and what the environment says: $STATE_DIRECTORY and $RUNTIME_DIRECTORY are the
 * defaults of [State] Directory and [Report] StatusFile. 0; -EINVAL: at least one fault
 * was reported; -ENOMEM.
 */
int config_load(const char *file, config_fault_fn fault, void *userdata,
		struct config **ret);

/* The same, but with -EINVAL, too, there is a configuration: what was at fault is as its
 * default has it, or NULL where it has none. To look at what may be there all the same,
 * never to be run by. */
int config_load_faulty(const char *file, config_fault_fn fault, void *userdata,
		       struct config **ret);

/* One user more, whose config_free() is owed. */
struct config *config_ref(const struct config *config);

/* One user less; the last one's frees it. NULL is nothing. */
void config_free(struct config *config);

/* Whether @file and its drop-ins, as config_load() has them, are as they were installed:
 * without a fault, but nothing is set yet, except where spools are. 1, 0, or -ENOMEM. */
int config_is_blank(const char *file);

/* One key: @section as it stands between the brackets ("Spool:NAME", or "Spool PATH" for
 * a bare one), @value as it was written ("": none; a secret is cut out of it), @origin is
 * FILE:LINE, $NAME of the environment, or "default". Valid until the call returns. */
typedef void (*config_show_fn)(void *userdata, const char *section, const char *key,
			       const char *value, const char *origin);

/* Calls @show for each key that is in force, section by section. 0 or -ENOMEM. */
int config_show(const struct config *config, config_show_fn show, void *userdata);

/* Whether @host of a URL (no port, IPv6 without brackets) is this machine: localhost and
 * names below it, 127.0.0.0/8, ::1. Plain http needs AllowInsecure= elsewhere. */
bool config_host_is_loopback(const char *host);
