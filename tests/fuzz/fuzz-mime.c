#include <stdint.h>

#include "macro.h"
#include "mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A type is fit for a header, whatever stood in the file. */
static void check_type(const char *type)
{
	const char *slash = strchr(type, '/');

	if (!slash || slash == type || !slash[1] || strchr(slash + 1, '/'))
		abort();
	for (; *type; type++)
		if (*type <= ' ' || *type > '~' || strchr("()<>@,;:\\\"[]?=", *type))
			abort();
}

/* The input is the file; its words are the names that are looked up in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *copy = strndup((const char *)data, size);
	struct mime *mime = NULL;
	char *rest = copy, *word;

	if (!copy || mime_parse((const char *)data, size, &mime) < 0)
		return 0;
	while ((word = strsep(&rest, " \t\r\n"))) {
		_cleanup_free_ char *name = NULL;

		check_type(mime_type(mime, word));
		if (asprintf(&name, "name.%s", word) < 0)
			abort();
		check_type(mime_type(mime, name));
	}
	mime_free(mime);
	return 0;
}
