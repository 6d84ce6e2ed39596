#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "macro.h"
#include "strays.h"

/* From the lowest bit on: it left, its serial, its hash. */
#define GONE	    UINT64_C(1)
#define SERIAL_BITS 39
#define SERIAL_MAX  ((UINT64_C(1) << SERIAL_BITS) - 1)
#define HASH_SHIFT  (SERIAL_BITS + 1)

#define ROOM_MIN 64 /* of keys */

/* FNV-1a, with the zero at its end. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	while (*text++);
	return hash;
}

static uint64_t key_of(const char *directory, const char *name, uint64_t serial)
{
	uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), directory);

	hash = hash_text(hash, name);
	hash ^= hash >> 32;
	return hash << HASH_SHIFT | serial << 1;
}

uint64_t strays_serial(uint64_t key)
{
	return key >> 1 & SERIAL_MAX;
}

bool strays_is_like(uint64_t key, uint64_t other)
{
	return key >> HASH_SHIFT == other >> HASH_SHIFT;
}

size_t strays_count(const struct strays *strays)
{
	return strays->count - strays->gone;
}

void strays_done(struct strays *strays)
{
	free(strays->keys);
	*strays = (struct strays){};
}

static int make_room(struct strays *strays)
{
	size_t room = MAX(2 * strays->room, (size_t)ROOM_MIN);
	uint64_t *keys;

	if (strays->count < strays->room)
		return 0;
	keys = reallocarray(strays->keys, room, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	strays->keys = keys;
	strays->room = room;
	return 0;
}

/* Shell's way, with the gaps of Gonnet and Baeza-Yates: qsort(3) would take as much
 * memory again. */
static void sort(uint64_t *keys, size_t count)
{
	for (size_t gap = count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
		for (size_t i = gap; i < count; i++) {
			uint64_t key = keys[i];
			size_t at = i;

			for (; at >= gap && keys[at - gap] > key; at -= gap)
				keys[at] = keys[at - gap];
			keys[at] = key;
		}
}

/* The place of the first that is not below @key. */
static size_t find(struct strays *strays, uint64_t key)
{
	size_t low = 0, high = strays->count;

	if (strays->mixed)
		sort(strays->keys, strays->count);
	strays->mixed = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strays->keys[middle] < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first ones come all together, and are sorted together. */
static void append_or_insert(struct strays *strays, uint64_t key)
{
	size_t at = strays->count;

	if (at == 0)
		strays->mixed = true;
	else if (!strays->mixed)
		at = find(strays, key);
	memmove(&strays->keys[at + 1], &strays->keys[at],
		(strays->count - at) * sizeof(key));
	strays->keys[at] = key;
	strays->count++;
}

int strays_add(struct strays *strays, const char *directory, const char *name,
	       uint64_t serial)
{
	int r = serial > SERIAL_MAX ? -ERANGE : make_room(strays);

	if (r < 0)
		return r;
	append_or_insert(strays, key_of(directory, name, serial));
	return 0;
}

uint64_t strays_next(struct strays *strays, uint64_t after)
{
	for (size_t i = find(strays, after + 1); i < strays->count; i++)
		if (!(strays->keys[i] & GONE))
			return strays->keys[i];
	return 0;
}

uint64_t strays_next_of(struct strays *strays, const char *directory, const char *name,
			uint64_t after)
{
	uint64_t first = key_of(directory, name, 0);
	uint64_t key = strays_next(strays, MAX(first, after));

	return strays_is_like(key, first) ? key : 0;
}

/* Once most have left. */
static void pack(struct strays *strays)
{
	size_t kept = 0;

	for (size_t i = 0; i < strays->count; i++)
		if (!(strays->keys[i] & GONE))
			strays->keys[kept++] = strays->keys[i];
	strays->count = kept;
	strays->gone = 0;
	if (kept == 0)
		strays_done(strays);
}

void strays_remove(struct strays *strays, uint64_t key)
{
	size_t at = find(strays, key);

	assert(at < strays->count && strays->keys[at] == key);
	strays->keys[at] |= GONE;
	if (++strays->gone > strays->count / 2)
		pack(strays);
}
