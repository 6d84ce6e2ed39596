#include <ctype.h>
#include <limits.h>
#include <stdint.h>

#include "macro.h"
#include "text.h"

#define STARS 3 /* in the place of a secret */

#define REPLACEMENT "\xEF\xBF\xBD"

/*
 * Reads one scalar value of at most @left bytes (>= 1). Returns its length in bytes, or,
 * where the sequence is ill-formed, minus the length of its maximal part (>= 1).
 */
static int decode(const unsigned char *s, size_t left, uint32_t *ret)
{
	unsigned char low = 0x80, high = 0xBF;
	uint32_t value;
	int length;

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}
	if (s[0] >= 0xC2 && s[0] <= 0xDF)
		length = 2;
	else if (s[0] >= 0xE0 && s[0] <= 0xEF)
		length = 3;
	else if (s[0] >= 0xF0 && s[0] <= 0xF4)
		length = 4;
	else
		return -1;
	/* The second byte rules out overlong forms, surrogates and what is past U+10FFFF.
	 */
	switch (s[0]) {
	case 0xE0: low = 0xA0; break;
	case 0xED: high = 0x9F; break;
	case 0xF0: low = 0x90; break;
	case 0xF4: high = 0x8F; break;
	}
	value = s[0] & (0xFFU >> (length + 1));
	for (int i = 1; i < length; i++) {
		if ((size_t)i >= left || s[i] < low || s[i] > high)
			return -i;
		value = value << 6 | (s[i] & 0x3F);
		low = 0x80;
		high = 0xBF;
	}
	*ret = value;
	return length;
}

bool text_is_utf8(const char *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		uint32_t value;
		int n;

		if ((signed char)bytes[at] >= 0) {
			at++;
			continue;
		}
		n = decode((const unsigned char *)bytes + at, length - at, &value);
		if (n < 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

char *text_to_utf8(const char *bytes, size_t length)
{
	char *text = malloc(length * STRLEN(REPLACEMENT) + 1), *out = text;

	if (!text)
		return NULL;
	for (size_t at = 0; at < length;) {
		uint32_t value;
		int n;

		if ((signed char)bytes[at] > 0) {
			*out++ = bytes[at++];
			continue;
		}
		n = decode((const unsigned char *)bytes + at, length - at, &value);
		out = n > 0 ? mempcpy(out, bytes + at, (size_t)n)
			    : mempcpy(out, REPLACEMENT, STRLEN(REPLACEMENT));
		at += (size_t)abs(n);
	}
	*out = '\0';
	return text;
}

static bool is_hazardous(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E ||
	       c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
	       (c >= 0x2066 && c <= 0x2069);
}

static char *escape_byte(char *out, unsigned char byte)
{
	switch (byte) {
	case '\\': return mempcpy(out, "\\\\", 2);
	case '\n': return mempcpy(out, "\\n", 2);
	case '\r': return mempcpy(out, "\\r", 2);
	case '\t': return mempcpy(out, "\\t", 2);
	}
	return out + sprintf(out, "\\x%02X", byte);
}

/* ASCII that stands for itself: most of what there is. */
static bool is_harmless(char c)
{
	return c >= 0x20 && c < 0x7F && c != '\\';
}

static size_t harmless_run(const char *bytes, size_t length)
{
	size_t run = 0;

	while (run < length && is_harmless(bytes[run]))
		run++;
	return run;
}

char *text_escape(const char *bytes, size_t length)
{
	char *text = malloc(length * STRLEN("\\xHH") + 1), *out = text;

	if (!text)
		return NULL;
	for (size_t at = 0; at < length;) {
		size_t run = harmless_run(bytes + at, length - at), end;
		uint32_t value = 0;
		int n;

		out = mempcpy(out, bytes + at, run);
		at += run;
		if (at == length)
			break;
		n = decode((const unsigned char *)bytes + at, length - at, &value);
		end = at + (size_t)abs(n);
		if (n > 0 && value != '\\' && !is_hazardous(value))
			out = mempcpy(out, bytes + at, (size_t)n);
		else
			for (size_t i = at; i < end; i++)
				out = escape_byte(out, (unsigned char)bytes[i]);
		at = end;
	}
	*out = '\0';
	return text;
}

char *text_join_parts(const char *const *parts, size_t count)
{
	size_t size = 1;
	char *text, *out;

	for (size_t i = 0; i < count; i++)
		size += parts[i] ? strlen(parts[i]) : 0;
	text = out = malloc(size);
	if (!text)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (parts[i])
			out = stpcpy(out, parts[i]);
	*out = '\0';
	return text;
}

const char *text_number(char buffer[static TEXT_NUMBER_MAX], uint64_t value)
{
	size_t at = TEXT_NUMBER_MAX - 1;

	buffer[at] = '\0';
	do {
		buffer[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return &buffer[at];
}

/* What the byte at @text is once percent-decoded, and how many there stand for it. */
static char decoded_at(const char *text, size_t *ret_length)
{
	char digits[3] = { 0 };

	*ret_length = 1;
	if (text[0] == '+')
		return ' ';
	if (text[0] != '%' || !isxdigit((unsigned char)text[1]) ||
	    !isxdigit((unsigned char)text[2]))
		return text[0];
	memcpy(digits, text + 1, 2);
	*ret_length = 3;
	return (char)strtoul(digits, NULL, 16);
}

static size_t encoded_length(const char *text, const char *secret)
{
	const char *p = text;

	for (; *secret; secret++) {
		size_t length;
		char byte = decoded_at(p, &length);

		if (byte != *secret && *p != *secret)
			return 0;
		p += byte == *secret ? length : 1;
	}
	return (size_t)(p - text);
}

/* The length of @secret where it stands at @text, percent-encoded or not; else 0. */
static size_t length_at(const char *text, const char *secret)
{
	size_t length = encoded_length(text, secret);

	if (length == 0 && startswith(text, secret))
		length = strlen(secret);
	return length;
}

void text_hide(char *text, const char *secret)
{
	size_t stars = MIN(strlen(secret), (size_t)STARS);

	for (; *text; text++) {
		size_t length = length_at(text, secret);

		if (length == 0)
			continue;
		memset(text, '*', stars);
		memmove(text + stars, text + length, strlen(text + length) + 1);
		text += stars - 1;
	}
}

static size_t without_blanks(const char *text, size_t length)
{
	while (length > 0 && strchr(" \t\r\n", text[length - 1]))
		length--;
	return length;
}

int text_clause(const char *text)
{
	size_t length = without_blanks(text, strlen(text));

	if (length > 1 && text[length - 1] == '.' && text[length - 2] != '.')
		length = without_blanks(text, length - 1);
	return (int)MIN(length, (size_t)INT_MAX);
}
