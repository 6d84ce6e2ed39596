#pragma once

/*
 * Clock: the unit of time, the two clocks, and the two ways to write an instant.
 *
 * usec_t counts microseconds. Durations and deadlines are on the monotonic clock
 * (CLOCK_BOOTTIME, which goes on while the machine is suspended); instants that leave
 * the process are on the real-time clock, since 1970-01-01 UTC. Only devices and policy
 * read a clock; logic is given `now`.
 */

#include <stdint.h>
#include <time.h>

typedef uint64_t usec_t;

#define USEC_INFINITY	 UINT64_MAX
#define USEC_PER_MSEC	 UINT64_C(1000)
#define USEC_PER_SEC	 UINT64_C(1000000)
#define USEC_PER_MINUTE	 (60 * USEC_PER_SEC)
#define USEC_PER_HOUR	 (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY	 (24 * USEC_PER_HOUR)
#define NSEC_PER_USEC	 1000L
#define CLOCK_MONO	 CLOCK_BOOTTIME
#define CLOCK_STRING_MAX 48

usec_t clock_monotonic(void);
usec_t clock_realtime(void);

/* @a + @b, or USEC_INFINITY where that overflows. */
static inline usec_t usec_add(usec_t a, usec_t b)
{
	return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

/* @a - @b, or 0 where @b is later. */
static inline usec_t usec_sub(usec_t a, usec_t b)
{
	return a > b ? a - b : 0;
}

/* Instants before 1970 become 0, those that usec_t can't count USEC_INFINITY. */
usec_t usec_from_timespec(struct timespec t);
struct timespec usec_to_timespec(usec_t t);

/* Writes @t in UTC as RFC 3339 with @digits (0 to 9) of a second's fraction:
 * 2026-11-23T10:15:00.123456789Z; outside the years 0 to 9999, which that has no way to
 * write, as seconds since 1970: @253402300800.5Z. Returns @buffer. */
const char *clock_format(char buffer[static CLOCK_STRING_MAX], struct timespec t,
			 unsigned digits);

/* Reads RFC 3339 with a fraction of any length (digits past nanoseconds are dropped) and
 * Z or a numeric offset, and the second form of clock_format(). The whole of @text must
 * be the instant. 0, or -EINVAL: not an instant, or one that no calendar has. */
int clock_parse(const char *text, struct timespec *ret);

/* Reads the one form that HTTP's dates have today (RFC 9110, IMF-fixdate): "Mon, 23 Nov
 * 2026 10:15:00 GMT". 0, or -EINVAL: another form, or no instant. */
int clock_parse_http(const char *text, time_t *ret);

/* Writes @span for people: 640us, 13ms, 4.2s, 3min 5s, 2h 10min. Returns @buffer. */
const char *clock_format_span(char buffer[static CLOCK_STRING_MAX], usec_t span);
