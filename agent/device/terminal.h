#pragma once

/*
 * Terminal: standard output as a screen of its own, that is drawn anew and left as it was
 * found. Keys are read from standard input as they are pressed, where that is a terminal.
 */

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct terminal {
	bool entered, keys; /* keys: `saved` is what standard input was set to */
	struct termios saved;
};

/* Whether standard output is a terminal that can be drawn on. */
bool terminal_is_capable(void);

/* Its size now; 80 by 24 where it does not say. */
void terminal_size(size_t *ret_columns, size_t *ret_rows);

/* The alternate screen, without a cursor; and back. Leaving twice is nothing. */
void terminal_enter(struct terminal *terminal);
void terminal_leave(struct terminal *terminal);

/* Puts @text, lines no wider than the screen and no more than its rows, in the place of
 * what was there, in one write and without clearing it first. 0 or a negative errno. */
int terminal_draw(const char *text);

/* Reads what was pressed. Whether that was q, or the end of the input. */
bool terminal_read_end(void);
