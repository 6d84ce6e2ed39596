#pragma once

/*
 * Sidecar: the text of a file's receipt (NAME.asset.json) and of its error
 * (NAME.asset-error.json), and which names are sidecars.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "asset-api.h"
#include "clock.h"
#include "verdict.h"

#define SIDECAR_DONE_SUFFIX  ".asset.json"
#define SIDECAR_ERROR_SUFFIX ".asset-error.json"
#define SIDECAR_SIZE_MAX     ((size_t)128 * 1024) /* of one that we read */

/* The longest base name, in bytes, that leaves room for either suffix (NAME_MAX is 255).
 */
#define SIDECAR_BASE_MAX (NAME_MAX - (sizeof(SIDECAR_ERROR_SUFFIX) - 1))

enum sidecar_kind { SIDECAR_NONE, SIDECAR_DONE, SIDECAR_ERROR };

/* Which kind of sidecar @name is by its suffix, and in *@ret_base (may be NULL) how many
 * bytes come before it. A bare suffix (".asset.json") is SIDECAR_NONE. */
enum sidecar_kind sidecar_kind_of(const char *name, size_t *ret_base);

/* The name of @base's sidecar. 0 or -ENAMETOOLONG. @kind is not SIDECAR_NONE. */
int sidecar_name(char buffer[static NAME_MAX + 1], const char *base,
		 enum sidecar_kind kind);

struct sidecar {
	const char *id;
	const char *name; /* base name, any bytes; written as UTF-8 */
	uint64_t size;
	const char *content_type;
	struct timespec modified; /* written with nanoseconds */
	usec_t uploaded;	  /* real time, written with milliseconds */
};

/* One JSON object and a newline. The caller frees it. NULL: out of memory. */
char *sidecar_format(const struct sidecar *sidecar);

struct sidecar_error {
	const char *name;
	uint64_t size;
	struct timespec modified;
	usec_t failed; /* real time */
	enum stage stage;
	unsigned attempts;
	int http_status;		 /* 0: none, and the key is absent */
	const struct asset_error *error; /* NULL: none; absent parts are absent keys */
};

char *sidecar_error_format(const struct sidecar_error *error);

/* Whether the sidecar @text (either kind) speaks of a file of @size bytes modified at
 * @modified. 1: it does, 0: it speaks of another, -EBADMSG: it is no sidecar (torn, or
 * somebody else's), -ENOMEM. */
int sidecar_speaks_of(const char *text, size_t length, uint64_t size,
		      struct timespec modified);
