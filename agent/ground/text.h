#pragma once

/*
 * Text: file names are bytes; JSON and terminals want text. The two ways across, and what
 * is put together or hidden in texts.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macro.h"

/* A copy of @bytes in valid UTF-8: each maximal part of an ill-formed sequence becomes
 * one U+FFFD (Unicode 15, section 3.9, "best practice for U+FFFD substitution").
 * The caller frees it. NULL: out of memory. */
char *text_to_utf8(const char *bytes, size_t length);

/* Whether @bytes are valid UTF-8, as they are. */
bool text_is_utf8(const char *bytes, size_t length);

/* A copy of @bytes that is safe on a terminal and in a one-line message: control
 * characters (C0, DEL, C1), line and paragraph separators, bidirectional controls and
 * ill-formed bytes are written as \n, \t, \\ (for the backslash itself) or \xHH for each
 * of their bytes. The caller frees it. NULL: out of memory. */
char *text_escape(const char *bytes, size_t length);

/* All of @parts, one after another; NULL is none. The caller frees it. NULL: out of
 * memory. As asprintf() with %s alone, for a tenth of its time. */
#define text_join(...) \
	text_join_parts((const char *const[]){ __VA_ARGS__ }, \
			ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))
char *text_join_parts(const char *const *parts, size_t count);

/* @value in decimal digits, somewhere in @buffer. */
#define TEXT_NUMBER_MAX (sizeof("18446744073709551615"))
const char *text_number(char buffer[static TEXT_NUMBER_MAX], uint64_t value);

/* Writes stars over each @secret in @text, which may get shorter: as it is, or
 * percent-encoded in whole or in part, with spaces as + too. "" is nowhere. */
void text_hide(char *text, const char *secret);

/* How much of what a server said is printed in the midst of a sentence of ours, for
 * "%.*s": without the white space and the full stop at its end. An ellipsis stays. */
int text_clause(const char *text);
