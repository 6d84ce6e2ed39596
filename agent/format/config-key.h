#pragma once

/*
 * Config key: the one table of what can be set.
 *
 * Only config's own files include this.
 */

#include "config-value.h"
#include "config.h"

enum config_section {
	SECTION_API,
	SECTION_AUTH,
	SECTION_UPLOAD,
	SECTION_RETRY,
	SECTION_STATE,
	SECTION_REPORT,
	SECTION_SPOOL,
	CONFIG_SECTIONS
};

enum config_key {
	KEY_BASE_URL,
	KEY_ACCEPT_LANGUAGE,
	KEY_TIMEOUT,
	KEY_CONNECT_TIMEOUT,
	KEY_REQUEST_RATE,
	KEY_REQUEST_BURST,
	KEY_CA_FILE,
	KEY_CLIENT_CERTIFICATE,
	KEY_CLIENT_KEY,
	KEY_PROXY,
	KEY_ALLOW_INSECURE,
	KEY_TOKEN_URL,
	KEY_CLIENT_ID,
	KEY_CLIENT_SECRET_FILE,
	KEY_SCOPE,
	KEY_TOKEN_FILE,
	KEY_METHOD,
	KEY_CONTENT_TYPE,
	KEY_MIME_TYPES,
	KEY_HEADER,
	KEY_MAX_CONCURRENT,
	KEY_BANDWIDTH,
	KEY_STALL_TIMEOUT,
	KEY_ALLOWED_HOSTS,
	KEY_INITIAL_DELAY,
	KEY_MAX_DELAY,
	KEY_MAX_ATTEMPTS,
	KEY_DIRECTORY,
	KEY_LOG_LEVEL,
	KEY_LOG_TARGET,
	KEY_STATUS_FILE,
	KEY_METRICS_FILE,
	KEY_PATH, /* from here on: of a spool */
	KEY_CHANNEL_TYPE,
	KEY_SENDER_TYPE,
	KEY_RECURSIVE,
	KEY_IGNORE,
	KEY_SETTLE,
	KEY_WATCH,
	KEY_POLL_INTERVAL,
	KEY_AFTER_UPLOAD,
	KEY_DONE_DIRECTORY,
	KEY_MAX_SIZE,
	CONFIG_KEYS
};

#define CONFIG_SPOOL_KEYS (CONFIG_KEYS - KEY_PATH)

struct config_key_info {
	const char *name;
	enum config_section section;
	enum config_kind kind;
	size_t offset;	      /* in struct config, or in struct config_spool */
	const char *fallback; /* NULL: none, and the field stays empty */
	const char *
		environment; /* $NAME: the fallback where that names a directory: it... */
	const char *below;   /* ...or, if not NULL, the file of this name in it */
	bool required;
};

extern const struct config_key_info config_keys[CONFIG_KEYS];

const char *config_section_name(enum config_section section);

/* The section, or -ENOENT. "Spool:NAME" is SECTION_SPOOL and then *@ret_name is NAME,
 * which may be empty, else NULL. */
int config_section_find(const char *text, const char **ret_name);

/* The key of that section, or -ENOENT. */
int config_key_find(enum config_section section, const char *name);

/* The key that @name is most likely meant to be: one of nearly that name in @section, of
 * that very name in another section, or one that begins alike; -ENOENT: none comes to
 * mind. */
int config_key_guess(enum config_section section, const char *name);

/* The section whose name is nearly @text, or begins alike, or -ENOENT. */
int config_section_guess(const char *text);

/* The field and the source of @key, which is one of @spool's (ignored for other keys). */
void *config_key_field(struct config *config, struct config_spool *spool,
		       enum config_key key);
struct config_source *config_key_source(const struct config *config,
					const struct config_spool *spool,
					enum config_key key);
