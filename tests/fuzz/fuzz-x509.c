#include <assert.h>
#include <stdint.h>

#include "macro.h"
#include "x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END   "\n-----END CERTIFICATE-----\n"

static void try_text(const char *text, size_t length)
{
	usec_t expires = USEC_INFINITY - 1;
	int r = x509_expires(text, length, &expires);

	assert(r == 0 || r == -ENOENT || r == -EBADMSG);
	assert(r == 0 || expires == USEC_INFINITY - 1);
}

/* The input is a file, and what stands between the lines of one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(STRLEN(BEGIN) + size + STRLEN(END)), *end;

	if (!text)
		return 0;
	try_text((const char *)data, size);
	end = mempcpy(mempcpy(text, BEGIN, STRLEN(BEGIN)), data, size);
	end = mempcpy(end, END, STRLEN(END));
	try_text(text, (size_t)(end - text));
	free(text);
	return 0;
}
