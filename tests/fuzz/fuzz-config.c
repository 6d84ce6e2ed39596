#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

#include "config.h"
#include "macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* A configuration file that lives in memory, and what was said of it. */
struct file {
	int fd;
	char path[STRLEN("/proc/self/fd/") + 12];
	unsigned faults;
};

static void make(struct file *file, const void *data, size_t size)
{
	*file = (struct file){ .fd = memfd_create("agent.conf", MFD_CLOEXEC) };
	check(file->fd >= 0);
	check(write(file->fd, data, size) == (ssize_t)size);
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
}

/* One line each, that names the file and is safe on a terminal. */
static void on_fault(void *userdata, const char *line)
{
	struct file *file = userdata;

	check(startswith(line, file->path) && line[strlen(file->path)] == ':');
	for (; *line; line++)
		check((unsigned char)*line >= ' ');
	file->faults++;
}

/* What is in force, written down as a configuration file that says it all. */
struct written {
	char *text;
	size_t length;
	FILE *stream;
};

static void on_show(void *userdata, const char *section, const char *key,
		    const char *value, const char *origin)
{
	struct written *written = userdata;

	check(*section && *key && *origin);
	/* Shown are all its lines at once, which is no line of a file. */
	if (streq(key, "Header"))
		return;
	if (streq(key, "Path") && startswith(section, "Spool /"))
		fprintf(written->stream, "[Spool]\n");
	else if (streq(key, "Path") || !startswith(section, "Spool"))
		fprintf(written->stream, "[%s]\n", section);
	if (*value)
		fprintf(written->stream, "%s=%s\n", key, value);
}

static void show(const struct config *config, struct written *ret)
{
	*ret = (struct written){};
	ret->stream = open_memstream(&ret->text, &ret->length);
	check(ret->stream);
	check(config_show(config, on_show, ret) == 0);
	check(fclose(ret->stream) == 0);
}

/* What config_show() tells is what is in force: read again, it tells the same. */
static void check_round_trip(const struct config *config)
{
	struct written once, twice;
	struct config *again = NULL;
	struct file file;

	show(config, &once);
	make(&file, once.text, once.length);
	check(config_load(file.path, on_fault, &file, &again) == 0);
	show(again, &twice);
	check(once.length == twice.length &&
	      memcmp(once.text, twice.text, once.length) == 0);
	config_free(again);
	(void)close(file.fd);
	free(once.text);
	free(twice.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = NULL;
	struct file file;
	int r;

	make(&file, data, size);
	r = config_load(file.path, on_fault, &file, &config);
	check((r == 0) == (config != NULL));
	check(r == 0 ? file.faults == 0 : r == -EINVAL && file.faults > 0);
	if (config)
		check_round_trip(config);
	config_free(config);
	(void)close(file.fd);
	return 0;
}
