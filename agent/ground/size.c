#include <inttypes.h>

#include "macro.h"
#include "size.h"

#define SHORT_MAX UINT64_C(99999) /* bytes that are told to the last one */

const char *size_format(char buffer[static SIZE_STRING_MAX], uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t unit = 0;

	if (bytes <= SHORT_MAX) {
		snprintf(buffer, SIZE_STRING_MAX, "%" PRIu64 " %s", bytes,
			 bytes == 1 ? "byte" : "bytes");
		return buffer;
	}
	for (; bytes >= UINT64_C(1024) * 1024; bytes /= 1024)
		unit++;
	snprintf(buffer, SIZE_STRING_MAX, "%" PRIu64 ".%" PRIu64 " %s", bytes / 1024,
		 bytes % 1024 * 10 / 1024, units[unit]);
	return buffer;
}
