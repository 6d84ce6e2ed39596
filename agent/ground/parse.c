#include <ctype.h>
#include <strings.h>

#include "macro.h"
#include "parse.h"

#define FRACTION_SCALE \
	UINT64_C(1000000000000000000) /* digits past these 18 are dropped */

/* Wide enough that nothing below can overflow: -ERANGE is decided at the end, when the
 * form is known to be right. */
typedef unsigned __int128 wide;

struct number {
	wide whole;	   /* stops growing soon after UINT64_MAX */
	uint64_t fraction; /* of FRACTION_SCALE */
};

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit spans[] = { { "us", 1 },
				     { "usec", 1 },
				     { "ms", USEC_PER_MSEC },
				     { "msec", USEC_PER_MSEC },
				     { "", USEC_PER_SEC },
				     { "s", USEC_PER_SEC },
				     { "sec", USEC_PER_SEC },
				     { "second", USEC_PER_SEC },
				     { "seconds", USEC_PER_SEC },
				     { "m", USEC_PER_MINUTE },
				     { "min", USEC_PER_MINUTE },
				     { "minute", USEC_PER_MINUTE },
				     { "minutes", USEC_PER_MINUTE },
				     { "h", USEC_PER_HOUR },
				     { "hr", USEC_PER_HOUR },
				     { "hour", USEC_PER_HOUR },
				     { "hours", USEC_PER_HOUR },
				     { "d", USEC_PER_DAY },
				     { "day", USEC_PER_DAY },
				     { "days", USEC_PER_DAY },
				     { "w", 7 * USEC_PER_DAY },
				     { "week", 7 * USEC_PER_DAY },
				     { "weeks", 7 * USEC_PER_DAY },
				     {} };

static const struct unit sizes[] = { { "", 1 },
				     { "B", 1 },
				     { "K", UINT64_C(1) << 10 },
				     { "KB", UINT64_C(1) << 10 },
				     { "M", UINT64_C(1) << 20 },
				     { "MB", UINT64_C(1) << 20 },
				     { "G", UINT64_C(1) << 30 },
				     { "GB", UINT64_C(1) << 30 },
				     { "T", UINT64_C(1) << 40 },
				     { "TB", UINT64_C(1) << 40 },
				     {} };

static const struct unit periods[] = { { "s", USEC_PER_SEC },
				       { "min", USEC_PER_MINUTE },
				       { "h", USEC_PER_HOUR },
				       { "d", USEC_PER_DAY },
				       {} };

static const char *skip_blank(const char *p)
{
	return p + strspn(p, " \t");
}

/* What follows the digits at @p, or NULL where there are none. */
static const char *read_whole(const char *p, wide *ret)
{
	wide value = 0;

	if (!isdigit((unsigned char)*p))
		return NULL;
	for (; isdigit((unsigned char)*p); p++)
		if (value <= UINT64_MAX)
			value = value * 10 + (unsigned)(*p - '0');
	*ret = value;
	return p;
}

static const char *read_number(const char *p, struct number *ret)
{
	struct number number = {};
	uint64_t scale = FRACTION_SCALE / 10;

	p = read_whole(p, &number.whole);
	if (!p)
		return NULL;
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return NULL;
		for (; isdigit((unsigned char)*p); p++, scale /= 10)
			number.fraction += (uint64_t)(*p - '0') * scale;
	}
	*ret = number;
	return p;
}

/* What follows the unit at @p, a word of @units, or NULL where it is none. */
static const char *read_unit(const char *p, const struct unit *units, uint64_t *ret)
{
	size_t length = strcspn(p, " \t.0123456789");

	for (; units->name; units++)
		if (strlen(units->name) == length &&
		    memcmp(units->name, p, length) == 0) {
			*ret = units->factor;
			return p + length;
		}
	return NULL;
}

/* A number and its unit, and the blanks after either. */
static const char *read_amount(const char *p, const struct unit *units, wide *ret)
{
	struct number number;
	uint64_t factor;

	p = read_number(p, &number);
	if (!p)
		return NULL;
	p = read_unit(skip_blank(p), units, &factor);
	if (!p)
		return NULL;
	*ret = number.whole * factor + (wide)number.fraction * factor / FRACTION_SCALE;
	return skip_blank(p);
}

int parse_bool(const char *text, bool *ret)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{ "1", true },	{ "yes", true }, { "true", true },   { "on", true },
		{ "0", false }, { "no", false }, { "false", false }, { "off", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(text, words[i].word) == 0) {
			*ret = words[i].value;
			return 0;
		}
	return -EINVAL;
}

int parse_unsigned(const char *text, uint64_t *ret)
{
	wide value = 0;
	const char *end = read_whole(text, &value);

	if (!end || *end)
		return -EINVAL;
	if (value > UINT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)value;
	return 0;
}

int parse_timespan(const char *text, usec_t *ret)
{
	wide total = 0, amount = 0;

	if (streq(text, "infinity")) {
		*ret = USEC_INFINITY;
		return 0;
	}
	do {
		text = read_amount(text, spans, &amount);
		if (!text)
			return -EINVAL;
		total = MIN(total + amount, (wide)USEC_INFINITY);
	} while (*text);
	/* Only the word stands for infinity. */
	if (total >= USEC_INFINITY)
		return -ERANGE;
	*ret = (usec_t)total;
	return 0;
}

int parse_size(const char *text, uint64_t *ret)
{
	wide size = 0;
	const char *end = read_amount(text, sizes, &size);

	if (!end || *end)
		return -EINVAL;
	if (size > UINT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)size;
	return 0;
}

int parse_rate(const char *text, usec_t *ret_interval)
{
	struct number number;
	uint64_t period;
	wide count, interval;
	const char *p = read_number(text, &number);

	if (!p || *p != '/')
		return -EINVAL;
	p = read_unit(p + 1, periods, &period);
	if (!p || *p)
		return -EINVAL;
	count = number.whole * FRACTION_SCALE + number.fraction;
	if (count == 0)
		return -EINVAL;
	/* Rounded up: a rate is a ceiling. */
	interval = ((wide)period * FRACTION_SCALE + count - 1) / count;
	if (interval > UINT64_MAX)
		return -ERANGE;
	*ret_interval = (usec_t)interval;
	return 0;
}
