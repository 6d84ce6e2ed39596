#include <assert.h>

#include "macro.h"
#include "snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and that is read as the same. */
static void try_again(const struct snapshot *snapshot)
{
	_cleanup_(snapshot_done) struct snapshot back = {};
	_cleanup_free_ char *text = snapshot_format(snapshot), *again = NULL;

	assert(text);
	assert(snapshot_parse(text, strlen(text), &back, NULL) == 0);
	again = snapshot_format(&back);
	assert(again && streq(text, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(snapshot_done) struct snapshot snapshot = {};
	int r = snapshot_parse((const char *)data, size, &snapshot, NULL);

	assert(r == 0 || r == -EBADMSG);
	if (r == 0)
		try_again(&snapshot);
	return 0;
}
