#include "ini.h"
#include "macro.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

static const char blank[] = " \t\r\f\v";

struct reading {
	const struct ini_handler *handler;
	void *userdata;
	unsigned line;
	const char *section; /* NULL: its own line could not be read */
};

/* Cuts the white space off both ends of @text, in place. */
static char *strip(char *text)
{
	size_t length;

	text += strspn(text, blank);
	length = strlen(text);
	while (length > 0 && strchr(blank, text[length - 1]))
		length--;
	text[length] = '\0';
	return text;
}

static int fault(struct reading *r, const char *message)
{
	return r->handler->fault(r->userdata, r->line, message);
}

static int read_section(struct reading *r, char *text)
{
	char *end = strchr(text, ']');

	/* What follows must not be taken for the section before. */
	r->section = NULL;
	if (!end)
		return fault(r, "a section needs a ] at its end");
	if (end[1])
		return fault(r, "nothing may follow the ] of a section");
	*end = '\0';
	text = strip(text + 1);
	if (!*text)
		return fault(r, "a section needs a name");
	r->section = text;
	return r->handler->section(r->userdata, r->line, text);
}

static int read_entry(struct reading *r, char *text)
{
	char *equals = strchr(text, '='), *key;

	if (!equals)
		return fault(r, "neither [Section], nor Key=value, nor a comment");
	*equals = '\0';
	key = strip(text);
	if (!*key)
		return fault(r, "a key is missing before the =");
	if (!r->section)
		return 0;
	return r->handler->entry(r->userdata, r->line, r->section, key,
				 strip(equals + 1));
}

static int read_line(struct reading *r, char *text, size_t length)
{
	if (length > INI_LINE_MAX)
		return fault(r, "the line is too long");
	if (memchr(text, '\0', length))
		return fault(r, "the line holds a NUL byte");
	text = strip(text);
	switch (*text) {
	case '\0':
	case '#':
	case ';': return 0;
	case '[': return read_section(r, text);
	}
	return read_entry(r, text);
}

int ini_parse(const char *text, size_t length, const struct ini_handler *handler,
	      void *userdata)
{
	struct reading r = { .handler = handler, .userdata = userdata, .section = "" };
	_cleanup_free_ char *copy = malloc(length + 1);
	char *p = copy, *end;

	if (!copy)
		return -ENOMEM;
	end = length > 0 ? mempcpy(copy, text, length) : copy;
	*end = '\n';
	if (length >= STRLEN(BYTE_ORDER_MARK) &&
	    memcmp(p, BYTE_ORDER_MARK, STRLEN(BYTE_ORDER_MARK)) == 0)
		p += STRLEN(BYTE_ORDER_MARK);
	while (p < end) {
		char *newline = rawmemchr(p, '\n');
		int ret;

		*newline = '\0';
		r.line++;
		ret = read_line(&r, p, (size_t)(newline - p));
		if (ret < 0)
			return ret;
		p = newline + 1;
	}
	return 0;
}
