#pragma once

/*
 * Config value: the kinds of values that keys have, how each is read into its field, and
 * the words for what it must be.
 */

#include <stdbool.h>
#include <stddef.h>

#include "clock.h"

#define CONFIG_SPAN_MIN	 USEC_PER_MSEC /* of a time span that must be above 0 */
#define CONFIG_SPAN_MAX	 (365 * USEC_PER_DAY)
#define CONFIG_LIST_MAX	 256  /* items of a list */
#define CONFIG_TEXT_MAX	 4096 /* characters */
#define CONFIG_NAME_MAX	 255  /* characters of a channel's type */
#define CONFIG_BURST_MAX 1000000
#define CONFIG_TRIES_MAX 1000000

enum config_kind {
	CONFIG_BOOL,	   /* bool */
	CONFIG_CONCURRENT, /* uint64_t, and the two below */
	CONFIG_BURST,
	CONFIG_TRIES,
	CONFIG_SPAN, /* usec_t, and the two below */
	CONFIG_SPAN_POSITIVE,
	CONFIG_RATE,   /* "none" is 0 */
	CONFIG_SIZE,   /* uint64_t; "none" is UINT64_MAX */
	CONFIG_METHOD, /* an enum or int, and those below */
	CONFIG_LOG_LEVEL,
	CONFIG_LOG_TARGET,
	CONFIG_WATCH,
	CONFIG_AFTER_UPLOAD,
	CONFIG_SENDER_TYPE, /* char *, and those below */
	CONFIG_CHANNEL_TYPE,
	CONFIG_TEXT,
	CONFIG_LANGUAGE,
	CONFIG_CONTENT_TYPE, /* "auto" is NULL */
	CONFIG_PATH,
	CONFIG_BASE_URL,
	CONFIG_TOKEN_URL,
	CONFIG_PROXY,
	CONFIG_GLOBS, /* struct strv, and those below; a later line replaces it */
	CONFIG_HOSTS,
	CONFIG_HEADERS, /* a later line is appended */
	CONFIG_KINDS
};

/* Reads @text, which is not empty and without control characters but tabs, into *@field,
 * whose former content it frees. 0; -EINVAL or -ERANGE: it is no such value; -ENOMEM.
 * After a failure the field is as it was. */
int config_value_read(enum config_kind kind, const char *text, void *field);

/* Frees what *@field owns, if anything, and leaves it NULL or empty. */
void config_value_clear(enum config_kind kind, void *field);

/* Whether two fields of this kind hold the same value. */
bool config_value_is_same(enum config_kind kind, const void *a, const void *b);

/* What a value of this kind must be: "yes or no". Fixed text. */
const char *config_value_expected(enum config_kind kind);

/* Whether its text may hold a secret and must not be repeated in messages. */
bool config_value_is_secret(enum config_kind kind);

/* A copy of @text that is fit to be shown: of a header only its name, of a proxy not its
 * user. The caller frees it. NULL: out of memory. */
char *config_value_shown(enum config_kind kind, const char *text);
