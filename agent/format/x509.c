#include <ctype.h>
#include <stdint.h>

#include "macro.h"
#include "x509.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END   "-----END CERTIFICATE-----"

/* ITU-T X.690: the tags that lie on the way. */
enum {
	TAG_INTEGER = 0x02,
	TAG_UTC_TIME = 0x17,
	TAG_GENERALIZED_TIME = 0x18,
	TAG_SEQUENCE = 0x30,
	TAG_VERSION = 0xA0,
};

struct der {
	const unsigned char *at, *end;
};

/* ---- PEM ---- */

static int digit_of(unsigned char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = memchr(digits, c, STRLEN(digits));

	return at ? (int)(at - digits) : -1;
}

/* Base64 with white space in it. */
static int decode(const char *text, size_t length, unsigned char **ret, size_t *ret_size)
{
	_cleanup_free_ unsigned char *bytes = malloc(length + 1);
	uint32_t bits = 0;
	size_t size = 0;
	unsigned held = 0;

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < length && text[i] != '='; i++) {
		int digit = digit_of((unsigned char)text[i]);

		if (isspace((unsigned char)text[i]))
			continue;
		if (digit < 0)
			return -EBADMSG;
		bits = (bits << 6 | (uint32_t)digit) & 0xFFFF;
		held += 6;
		if (held >= 8) {
			held -= 8;
			bytes[size++] = (unsigned char)(bits >> held);
		}
	}
	*ret = take_ptr(bytes);
	*ret_size = size;
	return 0;
}

/* ---- DER ---- */

/* Takes the next element, which must have @tag, out of @der. */
static bool take(struct der *der, unsigned tag, struct der *ret)
{
	size_t length, bytes;

	if (der->end - der->at < 2 || der->at[0] != tag)
		return false;
	length = der->at[1];
	der->at += 2;
	if (length & 0x80) {
		bytes = length & 0x7F;
		if (bytes == 0 || bytes > 4 || (size_t)(der->end - der->at) < bytes)
			return false;
		for (length = 0; bytes > 0; bytes--)
			length = length << 8 | *der->at++;
	}
	if ((size_t)(der->end - der->at) < length)
		return false;
	*ret = (struct der){ der->at, der->at + length };
	der->at += length;
	return true;
}

static bool skip(struct der *der, unsigned tag)
{
	struct der skipped;

	return take(der, tag, &skipped);
}

static bool take_number(struct der *der, unsigned digits, int *ret)
{
	int number = 0;

	for (; digits > 0; digits--) {
		if (der->at == der->end || !isdigit(*der->at))
			return false;
		number = 10 * number + (*der->at++ - '0');
	}
	*ret = number;
	return true;
}

/* YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ, as RFC 5280 has them, sections 4.1.2.5.1 and 2. */
static bool read_time(struct der der, bool full_year, usec_t *ret)
{
	struct tm tm = {};
	char text[CLOCK_STRING_MAX];
	struct timespec t;

	if (!take_number(&der, full_year ? 4 : 2, &tm.tm_year) ||
	    !take_number(&der, 2, &tm.tm_mon) || !take_number(&der, 2, &tm.tm_mday) ||
	    !take_number(&der, 2, &tm.tm_hour) || !take_number(&der, 2, &tm.tm_min) ||
	    !take_number(&der, 2, &tm.tm_sec))
		return false;
	if (der.end - der.at != 1 || *der.at != 'Z')
		return false;
	if (!full_year)
		tm.tm_year += tm.tm_year < 50 ? 2000 : 1900;
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year,
		 tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (clock_parse(text, &t) < 0)
		return false;
	*ret = usec_from_timespec(t);
	return true;
}

static bool take_time(struct der *der, usec_t *ret)
{
	struct der time;

	if (take(der, TAG_UTC_TIME, &time))
		return read_time(time, false, ret);
	return take(der, TAG_GENERALIZED_TIME, &time) && read_time(time, true, ret);
}

/* Certificate, TBSCertificate and what stands in it before the end of the validity. */
static bool read_end(struct der der, usec_t *ret)
{
	struct der certificate, body, validity;
	usec_t begin;

	if (!take(&der, TAG_SEQUENCE, &certificate) ||
	    !take(&certificate, TAG_SEQUENCE, &body))
		return false;
	(void)skip(&body, TAG_VERSION); /* the first version has none */
	return skip(&body, TAG_INTEGER) && skip(&body, TAG_SEQUENCE) &&
	       skip(&body, TAG_SEQUENCE) && take(&body, TAG_SEQUENCE, &validity) &&
	       take_time(&validity, &begin) && take_time(&validity, ret);
}

int x509_expires(const char *text, size_t length, usec_t *ret)
{
	_cleanup_free_ unsigned char *bytes = NULL;
	const char *begin = memmem(text, length, BEGIN, STRLEN(BEGIN)), *end;
	size_t size;
	int r;

	if (!begin)
		return -ENOENT;
	begin += STRLEN(BEGIN);
	length -= (size_t)(begin - text);
	end = memmem(begin, length, END, STRLEN(END));
	if (!end)
		return -EBADMSG;
	r = decode(begin, (size_t)(end - begin), &bytes, &size);
	if (r < 0)
		return r;
	return read_end((struct der){ bytes, bytes + size }, ret) ? 0 : -EBADMSG;
}
