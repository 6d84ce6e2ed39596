#include <stdint.h>

#include "ini.h"
#include "macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the reading is, and what may still come. */
struct seen {
	unsigned line;
	bool stop;
	char section[64];
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool is_stripped(const char *text)
{
	size_t length = strlen(text);

	return length == 0 ||
	       (!strchr(" \t\r\f\v", text[0]) && !strchr(" \t\r\f\v", text[length - 1]));
}

/* Each line has one call at most, in order. */
static int advance(struct seen *seen, unsigned line)
{
	check(!seen->stop && line > seen->line);
	seen->line = line;
	seen->stop = line % 64 == 0;
	return seen->stop ? -ECANCELED : 0;
}

static int on_section(void *userdata, unsigned line, const char *section)
{
	struct seen *seen = userdata;

	check(*section && is_stripped(section) && !strpbrk(section, "]\n"));
	snprintf(seen->section, sizeof(seen->section), "%s", section);
	return advance(seen, line);
}

static int on_entry(void *userdata, unsigned line, const char *section, const char *key,
		    const char *value)
{
	struct seen *seen = userdata;

	check(strncmp(seen->section, section, sizeof(seen->section) - 1) == 0);
	check(*key && is_stripped(key) && !strpbrk(key, "=\n") && *key != '[');
	check(is_stripped(value) && !strchr(value, '\n'));
	check(strlen(key) + strlen(value) < INI_LINE_MAX);
	return advance(seen, line);
}

static int on_fault(void *userdata, unsigned line, const char *message)
{
	check(*message);
	return advance(userdata, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ini_handler handler = { on_section, on_entry, on_fault };
	struct seen seen = {};
	int r = ini_parse((const char *)data, size, &handler, &seen);

	check(r == (seen.stop ? -ECANCELED : 0));
	return 0;
}
