#include <ctype.h>
#include <inttypes.h>

#include "clock.h"
#include "macro.h"

#define DAYS_TO_1970 719624 /* as days_to() counts them */

static usec_t read_clock(clockid_t id)
{
	struct timespec t;

	/* Both clocks exist on every kernel that has inotify; the call can't fail. */
	(void)clock_gettime(id, &t);
	return usec_from_timespec(t);
}

usec_t clock_monotonic(void)
{
	return read_clock(CLOCK_MONO);
}

usec_t clock_realtime(void)
{
	return read_clock(CLOCK_REALTIME);
}

usec_t usec_from_timespec(struct timespec t)
{
	if (t.tv_sec < 0)
		return 0;
	if ((usec_t)t.tv_sec > USEC_INFINITY / USEC_PER_SEC)
		return USEC_INFINITY;
	return usec_add((usec_t)t.tv_sec * USEC_PER_SEC,
			(usec_t)(t.tv_nsec / NSEC_PER_USEC));
}

struct timespec usec_to_timespec(usec_t t)
{
	return (struct timespec){
		.tv_sec = (time_t)(t / USEC_PER_SEC),
		.tv_nsec = (long)(t % USEC_PER_SEC) * NSEC_PER_USEC,
	};
}

/* @value in @width digits; what does not fit is lost. Returns where they end. */
static char *put_digits(char *p, unsigned value, int width)
{
	for (int i = width - 1; i >= 0; i--, value /= 10)
		p[i] = (char)('0' + value % 10);
	return p + width;
}

/* The @value as put_digits() does, and @after. */
static char *put_part(char *p, int value, int width, char after)
{
	p = put_digits(p, (unsigned)value, width);
	*p = after;
	return p + 1;
}

/* "2026-11-23T10:15:00", without a NUL. */
static char *put_calendar(char *p, const struct tm *tm)
{
	p = put_part(p, tm->tm_year + 1900, 4, '-');
	p = put_part(p, tm->tm_mon + 1, 2, '-');
	p = put_part(p, tm->tm_mday, 2, 'T');
	p = put_part(p, tm->tm_hour, 2, ':');
	p = put_part(p, tm->tm_min, 2, ':');
	return put_digits(p, (unsigned)tm->tm_sec, 2);
}

/* By hand, as each receipt has two of them and printf() takes ten times as long. */
const char *clock_format(char buffer[static CLOCK_STRING_MAX], struct timespec t,
			 unsigned digits)
{
	char fraction[9], *p = buffer;
	struct tm tm;

	/* RFC 3339 has four digits for a year; a file's time may be anywhere. */
	if (gmtime_r(&t.tv_sec, &tm) && tm.tm_year >= -1900 && tm.tm_year <= 9999 - 1900)
		p = put_calendar(p, &tm);
	else
		p += sprintf(p, "@%jd", (intmax_t)t.tv_sec);
	digits = MIN(digits, sizeof(fraction));
	if (digits > 0) {
		(void)put_digits(fraction, (unsigned)t.tv_nsec, sizeof(fraction));
		*p++ = '.';
		p = mempcpy(p, fraction, digits);
	}
	*p++ = 'Z';
	*p = '\0';
	return buffer;
}

/* Reads exactly @width digits; NULL where they aren't there. */
static const char *digits(const char *p, int width, int *ret)
{
	int value = 0;

	if (!p)
		return NULL;
	for (; width > 0; width--, p++) {
		if (!isdigit((unsigned char)*p))
			return NULL;
		value = value * 10 + (*p - '0');
	}
	*ret = value;
	return p;
}

static const char *literal(const char *p, const char *any_of)
{
	return p && *p && strchr(any_of, *p) ? p + 1 : NULL;
}

static const char *fraction(const char *p, long *ret)
{
	long scale = 100000000L, nsec = 0;

	if (!p || *p != '.')
		return p;
	if (!isdigit((unsigned char)*++p))
		return NULL;
	for (; isdigit((unsigned char)*p); p++, scale /= 10)
		nsec += (*p - '0') * scale;
	*ret = nsec;
	return p;
}

static const char *offset(const char *p, long *ret)
{
	int sign, hours = 0, minutes = 0;

	if (!p)
		return NULL;
	if (*p == 'Z' || *p == 'z')
		return p + 1;
	if (*p != '+' && *p != '-')
		return NULL;
	sign = *p == '-' ? -1 : 1;
	p = digits(literal(digits(p + 1, 2, &hours), ":"), 2, &minutes);
	if (!p || hours > 23 || minutes > 59)
		return NULL;
	*ret = sign * (hours * 3600L + minutes * 60L);
	return p;
}

/* What clock_format() writes where the calendar ends: "@-62135596801.5Z". */
static int parse_seconds(const char *text, struct timespec *ret)
{
	const char *p = text + 1;
	long nsec = 0;
	char *end;
	long long seconds;

	if (!isdigit((unsigned char)p[*p == '-']))
		return -EINVAL;
	errno = 0;
	seconds = strtoll(p, &end, 10);
	if (errno)
		return -EINVAL;
	p = fraction(end, &nsec);
	if (!streq(p, "Z"))
		return -EINVAL;
	*ret = (struct timespec){ .tv_sec = (time_t)seconds, .tv_nsec = nsec };
	return 0;
}

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970 to the first one of @year, which is not negative. */
static int64_t days_to(int year)
{
	/* The calendar repeats after 400 years, and so nothing here is below zero. */
	int before = year + 400 - 1;

	return 365 * (int64_t)year + before / 4 - before / 100 + before / 400 -
	       DAYS_TO_1970;
}

/* The instant of @tm, whose month is 1 to 12 and whose year is whole. By hand, as each
 * answer has a date, and timegm() takes ten times as long. 0 or -EINVAL. */
static int from_calendar(const struct tm *tm, time_t *ret)
{
	static const int starts[] = { 0,   31,	59,  90,  120, 151, 181,
				      212, 243, 273, 304, 334, 365 };
	int leap = is_leap(tm->tm_year), month = tm->tm_mon, length;
	int64_t days;

	if (month < 1 || month > 12)
		return -EINVAL;
	length = starts[month] - starts[month - 1] + (month == 2 ? leap : 0);
	/* A second more is a leap second. */
	if (tm->tm_mday < 1 || tm->tm_mday > length || tm->tm_hour > 23 ||
	    tm->tm_min > 59 || tm->tm_sec > 60)
		return -EINVAL;
	days = days_to(tm->tm_year) + starts[month - 1] + (month > 2 ? leap : 0) +
	       tm->tm_mday - 1;
	*ret = (time_t)(((days * 24 + tm->tm_hour) * 60 + tm->tm_min) * 60 + tm->tm_sec);
	return 0;
}

int clock_parse(const char *text, struct timespec *ret)
{
	long nsec = 0, away = 0;
	const char *p = text;
	struct tm tm = {};
	time_t seconds;

	if (*text == '@')
		return parse_seconds(text, ret);
	p = literal(digits(p, 4, &tm.tm_year), "-");
	p = literal(digits(p, 2, &tm.tm_mon), "-");
	p = literal(digits(p, 2, &tm.tm_mday), "Tt ");
	p = literal(digits(p, 2, &tm.tm_hour), ":");
	p = literal(digits(p, 2, &tm.tm_min), ":");
	p = offset(fraction(digits(p, 2, &tm.tm_sec), &nsec), &away);
	if (!p || *p || from_calendar(&tm, &seconds) < 0)
		return -EINVAL;
	*ret = (struct timespec){ .tv_sec = seconds - away, .tv_nsec = nsec };
	return 0;
}

/* "Nov", and a number from 1 for it. */
static const char *month(const char *p, int *ret)
{
	static const char names[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

	for (size_t i = 0; p && i < ARRAY_SIZE(names); i++) {
		if (strncmp(p, names[i], STRLEN("Nov")) != 0)
			continue;
		*ret = (int)i + 1;
		return p + STRLEN("Nov");
	}
	return NULL;
}

int clock_parse_http(const char *text, time_t *ret)
{
	const char *p = strchr(text, ',');
	struct tm tm = {};

	/* The day of the week says nothing new. */
	p = literal(literal(p, ","), " ");
	p = literal(digits(p, 2, &tm.tm_mday), " ");
	p = literal(month(p, &tm.tm_mon), " ");
	p = literal(digits(p, 4, &tm.tm_year), " ");
	p = literal(digits(p, 2, &tm.tm_hour), ":");
	p = literal(digits(p, 2, &tm.tm_min), ":");
	p = digits(p, 2, &tm.tm_sec);
	if (!p || !streq(p, " GMT"))
		return -EINVAL;
	return from_calendar(&tm, ret);
}

const char *clock_format_span(char buffer[static CLOCK_STRING_MAX], usec_t span)
{
	uint64_t s = span / USEC_PER_SEC;

	if (span == USEC_INFINITY)
		snprintf(buffer, CLOCK_STRING_MAX, "ever");
	else if (span < USEC_PER_MSEC)
		snprintf(buffer, CLOCK_STRING_MAX, "%" PRIu64 "us", span);
	else if (span < USEC_PER_SEC)
		snprintf(buffer, CLOCK_STRING_MAX, "%" PRIu64 "ms", span / USEC_PER_MSEC);
	else if (span < USEC_PER_MINUTE)
		snprintf(buffer, CLOCK_STRING_MAX, "%" PRIu64 ".%" PRIu64 "s", s,
			 span % USEC_PER_SEC / (USEC_PER_SEC / 10));
	else if (span < USEC_PER_HOUR)
		snprintf(buffer, CLOCK_STRING_MAX, "%" PRIu64 "min %" PRIu64 "s", s / 60,
			 s % 60);
	else
		snprintf(buffer, CLOCK_STRING_MAX, "%" PRIu64 "h %" PRIu64 "min",
			 s / 3600, s / 60 % 60);
	return buffer;
}
