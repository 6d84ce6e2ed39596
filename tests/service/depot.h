#pragma once

/*
 * Depot: the assets that were granted and the contents that came. Locks itself.
 *
 * Assets stay until depot_done(). A content goes to a file of its own while it comes and
 * takes its asset's name only when it is whole, so any number of tries may run at once.
 */

#include <pthread.h>

#include "service.h"

struct depot {
	pthread_mutex_t lock;
	struct service_asset **assets; /* strings owned */
	size_t count;
	char *directory; /* NULL: contents are discarded */
	bool temporary;
	unsigned parts;
};

/* @directory NULL: a temporary one. 0 or a negative errno. */
int depot_init(struct depot *depot, const char *directory, bool discard);
void depot_done(struct depot *depot);

/* What an asset is made of. */
struct wish {
	const char *name, *channel_type, *sender_type;
	uint64_t size;
	enum url_kind kind;   /* not KIND_MIXED */
	usec_t now, lifetime; /* by the service's real-time clock */
	const char *signer;   /* the program that makes the URL; NULL: url_format() */
};

/* Grants an asset, which is only changed by this module. NULL: out of memory, or
 * there is no URL. */
const struct service_asset *depot_grant(struct depot *depot, const struct wish *wish);

/* By id, of @length bytes; NULL: none. */
const struct service_asset *depot_find(struct depot *depot, const char *id,
				       size_t length);
size_t depot_count(struct depot *depot);
size_t depot_named(struct depot *depot, const char *name);
bool depot_at(struct depot *depot, size_t index, struct service_asset *ret);
bool depot_by_name(struct depot *depot, const char *name, struct service_asset *ret);
void depot_expire_all(struct depot *depot);
bool depot_expired(struct depot *depot, const struct service_asset *asset, usec_t now);
bool depot_complete(struct depot *depot, const struct service_asset *asset);
void depot_each(struct depot *depot,
		void (*each)(void *userdata, const struct service_asset *asset),
		void *userdata);

/* A content on its way. All zero: none. */
struct content {
	const struct service_asset *asset;
	int fd;
	char *path;
	uint64_t size, hash, word; /* bytes come; hash of the whole words; the rest */
};

/* 0 or a negative errno. */
int content_open(struct content *content, struct depot *depot,
		 const struct service_asset *asset);
int content_write(struct content *content, const void *bytes, size_t length);
/* Makes it the asset's. 0; -EEXIST: it has one already; or a negative errno. */
int content_commit(struct content *content, struct depot *depot);
/* Forgets what was not committed. */
void content_drop(struct content *content);

/* See service_same_content(). */
int depot_same(struct depot *depot, const char *id, const char *path);
