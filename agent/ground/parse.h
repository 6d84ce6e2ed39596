#pragma once

/*
 * Parse: the small value formats of the configuration. Each reads the whole of @text
 * (white space around it is the caller's to strip), writes @ret only on success and
 * returns 0, -EINVAL (not of that form) or -ERANGE (of that form, but too large).
 */

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

/* 1 yes true on / 0 no false off, in any case. */
int parse_bool(const char *text, bool *ret);

/* Decimal digits only. */
int parse_unsigned(const char *text, uint64_t *ret);

/* A number, which may have a fraction, and a unit, repeated and added up, as systemd.time
 * has it: us, ms, s (sec second seconds; also where none is given), min (m minute
 * minutes), h (hr hour hours), d (day days), w (week weeks). "infinity" is USEC_INFINITY.
 */
int parse_timespan(const char *text, usec_t *ret);

/* Bytes; a number, which may have a fraction, and K, M, G, T or none, to the base 1024.
 * An added B is allowed. */
int parse_size(const char *text, uint64_t *ret);

/* N/s, N/min, N/h or N/d, where N may have a fraction and is above 0: the time from one
 * to the next, in microseconds, >= 1. */
int parse_rate(const char *text, usec_t *ret_interval);
