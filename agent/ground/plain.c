#include <ctype.h>

#include "macro.h"
#include "plain.h"
#include "text.h"

/* The first row that fits decides. */
static const struct {
	const char *opens, *closes;
} elements[] = {
	{ "<!--", "-->" },
	{ "<style", "</style>" },
	{ "<script", "</script>" },
	{ "<", ">" },
};

static const struct {
	const char *reference;
	char means;
} references[] = {
	{ "&amp;", '&' },  { "&lt;", '<' },    { "&gt;", '>' },
	{ "&quot;", '"' }, { "&apos;", '\'' }, { "&#39;", '\'' },
	{ "&#34;", '"' },  { "&nbsp;", ' ' },  { "&#160;", ' ' },
};

/* The end of the markup that begins at @p; @p itself where none does. */
static const char *skip_markup(const char *p)
{
	const char *end;

	/* "size < 5" is text. */
	if (*p != '<' || !p[1] || (!isalpha((unsigned char)p[1]) && !strchr("/!?", p[1])))
		return p;
	for (size_t i = 0; i < ARRAY_SIZE(elements); i++) {
		if (strncasecmp(p, elements[i].opens, strlen(elements[i].opens)) != 0)
			continue;
		end = strcasestr(p, elements[i].closes);
		return end ? end + strlen(elements[i].closes) : p + strlen(p);
	}
	return p;
}

/* Likewise for what counts as white space, the byte order mark included. */
static const char *skip_blank(const char *p)
{
	if ((unsigned char)*p <= ' ' || *p == '\x7F')
		return *p ? p + 1 : p;
	return startswith(p, "\xEF\xBB\xBF") ? p + STRLEN("\xEF\xBB\xBF") : p;
}

/* Reads one byte of text, resolving a reference. */
static const char *read_byte(const char *p, char *ret)
{
	for (size_t i = 0; *p == '&' && i < ARRAY_SIZE(references); i++)
		if (startswith(p, references[i].reference)) {
			*ret = references[i].means;
			return p + strlen(references[i].reference);
		}
	*ret = *p;
	return p + 1;
}

struct piece {
	char *start;	    /* of what stands between two tags; NULL: nothing so far */
	const char *before; /* the last of them; NULL: none */
	size_t length;
};

/* Where to write on. Pages say in their title what they say in their heading. */
static char *end_piece(struct piece *piece, char *out)
{
	const char *start = piece->start;
	size_t length = start ? (size_t)(out - start) : 0;

	piece->start = NULL;
	if (length == 0)
		return out;
	if (piece->before && piece->length == length &&
	    memcmp(piece->before, start, length) == 0)
		return (char *)piece->before + length;
	piece->before = start;
	piece->length = length;
	return out;
}

char *plain_text(const char *text, size_t length, size_t max)
{
	char *plain = length ? text_to_utf8(text, strnlen(text, length)) : strdup("");
	char *out = plain;
	struct piece piece = {};
	bool gap = false;

	/* Written over itself: no step writes more than it has read. */
	for (const char *p = plain; p && *p;) {
		const char *text_begins = skip_markup(p);
		const char *next = skip_blank(text_begins);

		if (text_begins != p)
			out = end_piece(&piece, out);
		if (next != p) {
			gap = true;
			p = next;
			continue;
		}
		if (gap && out != plain)
			*out++ = ' ';
		gap = false;
		if (!piece.start)
			piece.start = out;
		p = read_byte(p, out++);
	}
	if (!plain)
		return NULL;
	*end_piece(&piece, out) = '\0';
	plain_cut(plain, max);
	return plain;
}

bool plain_is_page(const char *text)
{
	static const char *const openings[] = { "<!doctype html", "<html" };
	const char *p = text, *next;

	while ((next = startswith(p, "<!--") ? skip_markup(p) : skip_blank(p)) != p)
		p = next;
	for (size_t i = 0; i < ARRAY_SIZE(openings); i++)
		if (strncasecmp(p, openings[i], strlen(openings[i])) == 0)
			return true;
	return false;
}

void plain_cut(char *text, size_t max)
{
	for (; *text; text++)
		if (((unsigned char)*text & 0xC0) != 0x80 && max-- == 0) {
			*text = '\0';
			return;
		}
}
