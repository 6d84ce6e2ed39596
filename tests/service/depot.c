#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "aide.h"
#include "depot.h"
#include "fs.h"
#include "lock.h"
#include "url.h"

#define COMPARE_BLOCK ((size_t)256 * 1024)

static int make_temporary(struct depot *depot)
{
	const char *base = getenv("TMPDIR");

	if (asprintf(&depot->directory, "%s/asset-service.XXXXXX", base ? base : "/tmp") <
	    0) {
		depot->directory = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(depot->directory))
		return -errno;
	depot->temporary = true;
	return 0;
}

int depot_init(struct depot *depot, const char *directory, bool discard)
{
	*depot = (struct depot){ 0 };
	(void)pthread_mutex_init(&depot->lock, NULL);
	if (discard)
		return 0;
	if (!directory)
		return make_temporary(depot);
	depot->directory = strdup(directory);
	return depot->directory ? fs_make_directories(directory, 0700) : -ENOMEM;
}

static void asset_free(struct service_asset *asset)
{
	free((char *)asset->id);
	free((char *)asset->name);
	free((char *)asset->channel_type);
	free((char *)asset->sender_type);
	free((char *)asset->url);
	free((char *)asset->signature);
	free(asset);
}

DEFINE_CLEANUP(struct service_asset *, asset_freep, asset_free)

static char *content_path(const struct depot *depot, const char *id)
{
	char *path = NULL;

	if (depot->directory && asprintf(&path, "%s/%s", depot->directory, id) < 0)
		return NULL;
	return path;
}

void depot_done(struct depot *depot)
{
	for (size_t i = 0; i < depot->count; i++) {
		_cleanup_free_ char *path = content_path(depot, depot->assets[i]->id);

		if (depot->temporary && path && depot->assets[i]->complete)
			(void)unlink(path);
		asset_free(depot->assets[i]);
	}
	free(depot->assets);
	if (depot->temporary)
		(void)rmdir(depot->directory);
	free(depot->directory);
	(void)pthread_mutex_destroy(&depot->lock);
}

/* ---- assets ---- */

static char *random_hex(size_t bytes)
{
	unsigned char random[32];
	char *text = malloc(bytes * 2 + 1);

	if (!text || getrandom(random, bytes, 0) != (ssize_t)bytes)
		return text;
	for (size_t i = 0; i < bytes; i++)
		(void)sprintf(text + i * 2, "%02x", random[i]);
	return text;
}

/* The place in the table leads the id, so that it is found without a search. */
static char *new_id(size_t index)
{
	_cleanup_free_ char *random = random_hex(8);
	char *id = NULL;

	if (!random || asprintf(&id, "%08zx-%s", index, random) < 0)
		return NULL;
	return id;
}

static char *ask_signer(const struct wish *wish, const struct service_asset *asset)
{
	char size[24], lifetime[24];
	const char *const arguments[] = { asset->id, asset->name, asset->content_type,
					  size, lifetime };

	(void)snprintf(size, sizeof(size), "%" PRIu64, asset->size);
	(void)snprintf(lifetime, sizeof(lifetime), "%" PRIu64,
		       wish->lifetime / USEC_PER_SEC);
	return aide_ask(wish->signer, arguments, ARRAY_SIZE(arguments));
}

static struct service_asset *new_asset(const struct wish *wish, size_t index)
{
	_cleanup_(asset_freep) struct service_asset *asset = calloc(1, sizeof(*asset));

	if (!asset)
		return NULL;
	asset->id = new_id(index);
	asset->name = strdup(wish->name);
	asset->channel_type = strdup(wish->channel_type);
	asset->sender_type = strdup(wish->sender_type);
	asset->content_type = service_content_type(wish->name);
	asset->kind = wish->kind;
	asset->size = wish->size;
	asset->expires = usec_add(wish->now, wish->lifetime);
	asset->signature = random_hex(32);
	if (!asset->id || !asset->name || !asset->channel_type || !asset->sender_type ||
	    !asset->signature)
		return NULL;
	asset->url = wish->signer ? ask_signer(wish, asset)
				  : url_format(asset, wish->now, wish->lifetime);
	return asset->url ? take_ptr(asset) : NULL;
}

const struct service_asset *depot_grant(struct depot *depot, const struct wish *wish)
{
	_cleanup_(asset_freep) struct service_asset *asset = NULL;
	struct service_asset **grown = depot->assets;
	HOLD(depot);

	asset = new_asset(wish, depot->count);
	grown = depot->assets;
	if ((depot->count & (depot->count - 1)) == 0)
		grown = reallocarray(grown, MAX(depot->count * 2, 1), sizeof(*grown));
	if (grown)
		depot->assets = grown;
	if (!asset || !grown)
		return NULL;
	depot->assets[depot->count] = take_ptr(asset);
	return depot->assets[depot->count++];
}

const struct service_asset *depot_find(struct depot *depot, const char *id, size_t length)
{
	unsigned long index = strtoul(id, NULL, 16);
	const struct service_asset *asset;
	HOLD(depot);

	if (index >= depot->count)
		return NULL;
	asset = depot->assets[index];
	return strlen(asset->id) == length && memcmp(asset->id, id, length) == 0 ? asset
										 : NULL;
}

size_t depot_count(struct depot *depot)
{
	HOLD(depot);

	return depot->count;
}

size_t depot_named(struct depot *depot, const char *name)
{
	size_t n = 0;
	HOLD(depot);

	for (size_t i = 0; i < depot->count; i++)
		n += streq(depot->assets[i]->name, name);
	return n;
}

bool depot_at(struct depot *depot, size_t index, struct service_asset *ret)
{
	HOLD(depot);

	if (index >= depot->count)
		return false;
	*ret = *depot->assets[index];
	return true;
}

bool depot_by_name(struct depot *depot, const char *name, struct service_asset *ret)
{
	const struct service_asset *found = NULL;
	HOLD(depot);

	for (size_t i = depot->count; i-- > 0 && !(found && found->complete);) {
		const struct service_asset *asset = depot->assets[i];

		if (streq(asset->name, name) && (!found || asset->complete))
			found = asset;
	}
	if (!found)
		return false;
	*ret = *found;
	return true;
}

void depot_expire_all(struct depot *depot)
{
	HOLD(depot);

	for (size_t i = 0; i < depot->count; i++)
		depot->assets[i]->expires = 0;
}

bool depot_expired(struct depot *depot, const struct service_asset *asset, usec_t now)
{
	HOLD(depot);

	return asset->expires <= now;
}

bool depot_complete(struct depot *depot, const struct service_asset *asset)
{
	HOLD(depot);

	return asset->complete;
}

void depot_each(struct depot *depot,
		void (*each)(void *userdata, const struct service_asset *asset),
		void *userdata)
{
	HOLD(depot);

	for (size_t i = 0; i < depot->count; i++)
		each(userdata, depot->assets[i]);
}

/* ---- contents ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ (hash >> 29);
}

/* By words, for a hash by bytes would take longer than all else that the service does. */
static void hash_update(struct content *content, const unsigned char *bytes,
			size_t length)
{
	unsigned fill = content->size % 8;

	while (length > 0 && (fill > 0 || length < 8)) {
		content->word |= (uint64_t)*bytes++ << (8 * fill);
		length--;
		if (++fill == 8) {
			content->hash = mix(content->hash, content->word);
			content->word = 0;
			fill = 0;
		}
	}
	for (; length >= 8; bytes += 8, length -= 8) {
		uint64_t word;

		memcpy(&word, bytes, 8);
		content->hash = mix(content->hash, word);
	}
	if (length > 0)
		memcpy(&content->word, bytes, length);
}

int content_open(struct content *content, struct depot *depot,
		 const struct service_asset *asset)
{
	_cleanup_free_ char *path = NULL;
	int fd = -1;
	unsigned part;

	{
		HOLD(depot);
		part = depot->parts++;
	}
	if (depot->directory) {
		if (asprintf(&path, "%s/%s.%u.part", depot->directory, asset->id, part) <
		    0) {
			path = NULL;
			return -ENOMEM;
		}
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
	}
	*content = (struct content){ .asset = asset, .fd = fd, .path = take_ptr(path) };
	return 0;
}

int content_write(struct content *content, const void *bytes, size_t length)
{
	const char *at = bytes;

	hash_update(content, bytes, length);
	content->size += length;
	while (content->fd >= 0 && length > 0) {
		ssize_t n = write(content->fd, at, length);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += MAX(n, 0);
		length -= (size_t)MAX(n, 0);
	}
	return 0;
}

int content_commit(struct content *content, struct depot *depot)
{
	struct service_asset *asset = (struct service_asset *)content->asset;
	_cleanup_free_ char *path = content_path(depot, asset->id);
	HOLD(depot);

	if (asset->complete)
		return -EEXIST;
	if (content->path && rename(content->path, path) < 0)
		return -errno;
	asset->complete = true;
	asset->hash = mix(mix(content->hash, content->word), content->size);
	freep(&content->path);
	content->path = NULL;
	content->fd = close_fd(content->fd);
	content->asset = NULL;
	return 0;
}

void content_drop(struct content *content)
{
	if (!content->asset)
		return;
	(void)close_fd(content->fd);
	if (content->path)
		(void)unlink(content->path);
	free(content->path);
	*content = (struct content){ .fd = -1 };
}

/* Reads as much of a block as there is. The bytes, or a negative errno. */
static ssize_t read_block(int fd, char *block)
{
	size_t have = 0;

	while (have < COMPARE_BLOCK) {
		ssize_t n = read(fd, block + have, COMPARE_BLOCK - have);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static int same_bytes(int a, int b)
{
	_cleanup_free_ char *left = malloc(COMPARE_BLOCK), *right = malloc(COMPARE_BLOCK);

	if (!left || !right)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read_block(a, left), m = read_block(b, right);

		if (n < 0 || m < 0)
			return (int)MIN(n, m);
		if (n != m || memcmp(left, right, (size_t)n) != 0)
			return 0;
		if (n == 0)
			return 1;
	}
}

int depot_same(struct depot *depot, const char *id, const char *path)
{
	_cleanup_free_ char *stored = content_path(depot, id);
	_cleanup_close_ int a = stored ? open(stored, O_RDONLY | O_CLOEXEC) : -1;
	_cleanup_close_ int b = -1;

	if (a < 0)
		return -ENOENT;
	b = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (b < 0)
		return -errno;
	return same_bytes(a, b);
}
