#pragma once

/*
 * Columns: how wide text is on a terminal, and how it is made to fit.
 *
 * All text is valid UTF-8 without control characters, as text_escape() makes it. Wide are
 * the characters of East Asia and pictographs; combining ones have no width.
 */

#include <stddef.h>

/* The columns that @text takes. */
size_t columns_width(const char *text);

/* A copy of @text that takes at most @max columns: what is too long loses its middle
 * (names tell most at both ends), or its end (sentences), for which "..." stands. The
 * caller frees it. NULL: out of memory. */
char *columns_shorten(const char *text, size_t max);
char *columns_cut(const char *text, size_t max);
