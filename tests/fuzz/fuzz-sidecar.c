#include <assert.h>

#include "macro.h"
#include "sidecar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_text(const char *text, size_t length)
{
	static const struct timespec modified = { .tv_sec = 1795428900, .tv_nsec = 5 };
	int same = sidecar_speaks_of(text, length, 17245, modified);
	int other = sidecar_speaks_of(text, length, 17246, modified);

	assert(same == 1 || same == 0 || same == -EBADMSG);
	assert(other == 1 || other == 0 || other == -EBADMSG);
	/* It can't speak of both, and what is no sidecar is none of any file. */
	assert(same != 1 || other == 0);
	assert((same == -EBADMSG) == (other == -EBADMSG));
}

/* Any bytes are a name, any number is an instant. */
static void try_format(const char *text, size_t length)
{
	struct sidecar sidecar = { .id = "1",
				   .content_type = "text/plain",
				   .size = length };
	_cleanup_free_ char *name = strndup(text, MIN(length, (size_t)NAME_MAX));
	_cleanup_free_ char *formatted = NULL;
	uint64_t number = 0;

	memcpy(&number, text, MIN(length, sizeof(number)));
	sidecar.name = name;
	sidecar.modified = (struct timespec){ (time_t)number,
					      (long)(number % 1000000000) };
	formatted = sidecar_format(&sidecar);
	assert(formatted);
	assert(sidecar_speaks_of(formatted, strlen(formatted), length,
				 sidecar.modified) == 1);
}

static void try_name(const char *text, size_t length)
{
	_cleanup_free_ char *base = strndup(text, length);
	char name[NAME_MAX + 1];
	size_t n = 0;

	if (!*base || sidecar_name(name, base, SIDECAR_ERROR) < 0)
		return;
	assert(sidecar_kind_of(name, &n) == SIDECAR_ERROR && n == strlen(base));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_text((const char *)data, size);
	try_format((const char *)data, size);
	try_name((const char *)data, size);
	return 0;
}
