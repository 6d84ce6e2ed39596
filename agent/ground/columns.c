#include <stdint.h>

#include "columns.h"
#include "macro.h"

#define GAP "..."

struct range {
	uint32_t first, last;
};

/* What stands over or joins other characters. */
static const struct range NARROW[] = {
	{ 0x0300, 0x036F }, { 0x0483, 0x0489 },	  { 0x0591, 0x05BD }, { 0x0610, 0x061A },
	{ 0x064B, 0x065F }, { 0x06D6, 0x06DC },	  { 0x0900, 0x0902 }, { 0x093C, 0x093C },
	{ 0x0941, 0x0948 }, { 0x0E31, 0x0E31 },	  { 0x0E34, 0x0E3A }, { 0x0E47, 0x0E4E },
	{ 0x1AB0, 0x1AFF }, { 0x1DC0, 0x1DFF },	  { 0x200B, 0x200F }, { 0x20D0, 0x20FF },
	{ 0x302A, 0x302D }, { 0x3099, 0x309A },	  { 0xFE00, 0xFE0F }, { 0xFE20, 0xFE2F },
	{ 0xFEFF, 0xFEFF }, { 0xE0100, 0xE01EF },
};

/* Unicode's East_Asian_Width W and F, in blocks. */
static const struct range WIDE[] = {
	{ 0x1100, 0x115F },   { 0x2E80, 0x303E },   { 0x3041, 0x33FF },
	{ 0x3400, 0x4DBF },   { 0x4E00, 0x9FFF },   { 0xA000, 0xA4CF },
	{ 0xA960, 0xA97F },   { 0xAC00, 0xD7A3 },   { 0xF900, 0xFAFF },
	{ 0xFE30, 0xFE6F },   { 0xFF00, 0xFF60 },   { 0xFFE0, 0xFFE6 },
	{ 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF }, { 0x1F900, 0x1F9FF },
	{ 0x20000, 0x3FFFD },
};

static bool is_in(const struct range *ranges, size_t count, uint32_t c)
{
	for (size_t i = 0; i < count; i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static bool continues(char byte)
{
	return ((unsigned char)byte & 0xC0) == 0x80;
}

/* The width of the character at @p, and behind it. */
static size_t width_of(const char *p, const char **ret_next)
{
	static const unsigned char BITS[] = { 0x7F, 0x1F, 0x0F, 0x07 };
	const char *next = p + 1;
	uint32_t c;

	while (continues(*next) && next < p + ARRAY_SIZE(BITS))
		next++;
	c = (unsigned char)*p & BITS[next - p - 1];
	for (const char *q = p + 1; q < next; q++)
		c = c << 6 | ((unsigned char)*q & 0x3FU);
	*ret_next = next;
	if (is_in(NARROW, ARRAY_SIZE(NARROW), c))
		return 0;
	return is_in(WIDE, ARRAY_SIZE(WIDE), c) ? 2 : 1;
}

size_t columns_width(const char *text)
{
	size_t width = 0;

	while (*text)
		width += width_of(text, &text);
	return width;
}

/* The longest start of @text in @max columns, with all that combines with its last
 * character. */
static size_t fitting(const char *text, size_t max)
{
	const char *p = text, *next;

	while (*p) {
		size_t width = width_of(p, &next);

		if (width > max)
			break;
		max -= width;
		p = next;
	}
	return (size_t)(p - text);
}

/* Where the longest end of @text in @max columns begins. */
static const char *tail_of(const char *text, size_t max)
{
	size_t width = columns_width(text);

	while (*text && width > max)
		width -= width_of(text, &text);
	/* What combines with a character that is gone goes, too. */
	for (const char *next; *text && width_of(text, &next) == 0;)
		text = next;
	return text;
}

/* @head columns of the start of @text, the gap, and @tail columns of its end. */
static char *with_gap(const char *text, size_t head, size_t gap, size_t tail)
{
	char *shortened;

	if (asprintf(&shortened, "%.*s%.*s%s", (int)fitting(text, head), text, (int)gap,
		     GAP, tail_of(text, tail)) < 0)
		return NULL;
	return shortened;
}

char *columns_shorten(const char *text, size_t max)
{
	size_t gap = MIN(STRLEN(GAP), max), head = (max - gap) / 2;

	if (columns_width(text) <= max)
		return strdup(text);
	/* Where there is one column more it goes to the end: its extension, its number.
	 */
	return with_gap(text, head, gap, max - gap - head);
}

char *columns_cut(const char *text, size_t max)
{
	size_t gap = MIN(STRLEN(GAP), max);

	if (columns_width(text) <= max)
		return strdup(text);
	return with_gap(text, max - gap, gap, 0);
}
