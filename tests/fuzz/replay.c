/* Runs a fuzzer's function over its kept corpus: a find of the past must not come back.
 * Each file is one test of the Test Anything Protocol. */

#include <dirent.h>
#include <fcntl.h>

#include "fs.h"
#include "macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

DEFINE_CLEANUP(DIR *, closedirp, closedir)

static int replay(int dirfd, const char *name)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ uint8_t *exact = NULL;
	size_t length;
	int r;

	r = fs_read_file(dirfd, name, (size_t)1 << 20, &text, &length);
	if (r < 0)
		return r;
	/* No byte more than the input has, so that a read past its end is seen. */
	exact = malloc(MAX(length, (size_t)1));
	if (!exact)
		return -ENOMEM;
	memcpy(exact, text, length);
	return LLVMFuzzerTestOneInput(exact, length);
}

int main(int argc, char *argv[])
{
	const char *fuzzer = strrchr(argv[0], '/'), *base = "replay-";
	_cleanup_(closedirp) DIR *corpus = NULL;
	_cleanup_free_ char *path = NULL;
	const struct dirent *entry;
	unsigned count = 0, failed = 0;

	(void)argc;
	fuzzer = (fuzzer ? fuzzer + 1 : argv[0]) + strlen(base);
	if (asprintf(&path, "tests/fuzz/corpus/%s", fuzzer) < 0)
		return EXIT_FAILURE;
	corpus = opendir(path);
	if (!corpus) {
		printf("Bail out! no corpus %s\n", path);
		return EXIT_FAILURE;
	}
	while ((entry = readdir(corpus))) {
		bool good;

		if (entry->d_name[0] == '.')
			continue;
		good = replay(dirfd(corpus), entry->d_name) == 0;
		failed += !good;
		printf("%sok %u - %s %s\n", good ? "" : "not ", ++count, fuzzer,
		       entry->d_name);
	}
	printf("1..%u\n", count);
	return count == 0 || failed > 0;
}
