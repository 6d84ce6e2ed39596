#pragma once

/*
 * Screen: how the commands print to standard output: coloured on a terminal, unless
 * $NO_COLOR is set or it is a dumb one, and wrapped to its width; plain, and each item on
 * a line of its own, where something else reads it.
 *
 * What is printed is escaped here (text_escape()), so any bytes may be in it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "clock.h"
#include "macro.h"

#define SCREEN_WIDTH_MAX 100 /* longer lines are hard to read */

enum screen_mark {
	SCREEN_OK,
	SCREEN_INFO,	/* neither good nor bad */
	SCREEN_WARNING, /* it works, but is not as it should be */
	SCREEN_FAILED,
	SCREEN_MARKS
};

struct screen {
	bool colour;
	size_t width; /* of the terminal; 0: it is none */
	bool begun;   /* a heading was printed */
	size_t counts[SCREEN_MARKS];
};

void screen_init(struct screen *screen);

/* A heading on a line of its own, below an empty one where it is not the first. */
void screen_heading(struct screen *screen, const char *format, ...) _printf_(2, 3);

/* "KEY=VALUE   # ORIGIN", the origins at the column @width where there is room for that;
 * not wrapped, so that it can be copied. */
void screen_setting(const struct screen *screen, size_t width, const char *key,
		    const char *value, const char *origin);

/* A sentence behind its mark, which is counted. */
void screen_mark(struct screen *screen, enum screen_mark mark, const char *format, ...)
	_printf_(3, 4);

/* A sentence, indented under a heading. */
void screen_say(const struct screen *screen, const char *format, ...) _printf_(2, 3);

/* "WORD: sentence", the word in bold. */
void screen_last(const struct screen *screen, const char *word, const char *sentence);

/* Writes the instant @real for people in local time, with its zone. Returns @buffer. */
const char *screen_instant(char buffer[static CLOCK_STRING_MAX], usec_t real);
