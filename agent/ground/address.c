#include <arpa/inet.h>
#include <limits.h>
#include <stdint.h>

#include "address.h"
#include "macro.h"

struct block {
	uint8_t prefix[16];
	unsigned bits;
	unsigned inside; /* the IPv4 address at that byte decides; 0: not public */
};

static const struct block blocks_4[] = {
	{ { 0 }, 8, 0 },	 { { 10 }, 8, 0 },	  { { 100, 64 }, 10, 0 },
	{ { 127 }, 8, 0 },	 { { 169, 254 }, 16, 0 }, { { 172, 16 }, 12, 0 },
	{ { 192, 168 }, 16, 0 }, { { 224 }, 3, 0 },
};

static const struct block blocks_6[] = {
	{ { [15] = 1 }, 128, 0 },			   /* ::1, and not 0.0.0.1 */
	{ { [10] = 0xFF, 0xFF }, 96, 12 },		   /* ::ffff:a.b.c.d */
	{ { 0 }, 96, 12 },				   /* ::a.b.c.d, and :: */
	{ { 0x00, 0x64, 0xFF, 0x9B }, 96, 12 },		   /* NAT64 */
	{ { 0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01 }, 48, 0 }, /* NAT64 within a site */
	{ { 0x20, 0x02 }, 16, 2 },			   /* 6to4 */
	{ { 0xFC }, 7, 0 },
	{ { 0xFE, 0x80 }, 9, 0 }, /* private, link-local */
	{ { 0xFF }, 8, 0 },	  /* multicast */
};

static bool is_in(const uint8_t *address, const struct block *block)
{
	unsigned whole = block->bits / CHAR_BIT, rest = block->bits % CHAR_BIT;

	return memcmp(address, block->prefix, whole) == 0 &&
	       (rest == 0 ||
		(address[whole] ^ block->prefix[whole]) >> (CHAR_BIT - rest) == 0);
}

static bool is_public_4(const uint8_t *address)
{
	for (size_t i = 0; i < ARRAY_SIZE(blocks_4); i++)
		if (is_in(address, &blocks_4[i]))
			return false;
	return true;
}

/* The first block that fits decides. */
static bool is_public_6(const uint8_t *address)
{
	for (size_t i = 0; i < ARRAY_SIZE(blocks_6); i++)
		if (is_in(address, &blocks_6[i]))
			return blocks_6[i].inside > 0 &&
			       is_public_4(address + blocks_6[i].inside);
	return true;
}

bool address_is_public(const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;

	if (address->sa_family == AF_INET)
		return is_public_4((const uint8_t *)&four->sin_addr);
	return address->sa_family == AF_INET6 &&
	       is_public_6((const uint8_t *)&six->sin6_addr);
}

bool address_parse_is_public(const char *text, bool *ret)
{
	uint8_t bytes[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, text, bytes) == 1)
		*ret = is_public_4(bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*ret = is_public_6(bytes);
	else
		return false;
	return true;
}
