#include <sys/ioctl.h>

#include "fs.h"
#include "macro.h"
#include "terminal.h"

/* ECMA-48, and what xterm made of it: the alternate screen, no cursor, no wrapping. */
#define ENTER	       "\x1B[?1049h\x1B[?25l\x1B[?7l"
#define LEAVE	       "\x1B[?7h\x1B[?25h\x1B[?1049l"
#define HOME	       "\x1B[H"
#define ERASE_LINE_END "\x1B[K"
#define ERASE_BELOW    "\x1B[J"

#define COLUMNS_ASSUMED 80
#define ROWS_ASSUMED	24
#define END_OF_INPUT	'\x04' /* Ctrl-D */

bool terminal_is_capable(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && !streq(term, "dumb");
}

void terminal_size(size_t *ret_columns, size_t *ret_rows)
{
	struct winsize size = {};

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*ret_columns = size.ws_col > 0 ? size.ws_col : COLUMNS_ASSUMED;
	*ret_rows = size.ws_row > 0 ? size.ws_row : ROWS_ASSUMED;
}

void terminal_enter(struct terminal *terminal)
{
	struct termios raw;

	terminal->entered = true;
	terminal->keys = tcgetattr(STDIN_FILENO, &terminal->saved) == 0;
	if (terminal->keys) {
		raw = terminal->saved;
		/* Ctrl-C stays a signal. */
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	(void)fs_write_all(STDOUT_FILENO, ENTER, STRLEN(ENTER));
}

void terminal_leave(struct terminal *terminal)
{
	if (!terminal->entered)
		return;
	terminal->entered = false;
	(void)fs_write_all(STDOUT_FILENO, LEAVE, STRLEN(LEAVE));
	if (terminal->keys)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->saved);
}

int terminal_draw(const char *text)
{
	_cleanup_free_ char *frame = NULL;
	size_t length;
	FILE *file = open_memstream(&frame, &length);
	int r;

	if (!file)
		return -ENOMEM;
	(void)fputs(HOME, file);
	while (*text) {
		size_t n = strcspn(text, "\n");

		(void)fprintf(file, "%.*s" ERASE_LINE_END, (int)n, text);
		text += n;
		/* Behind the last row the screen would scroll. */
		if (*text == '\n' && *++text)
			(void)fputs("\r\n", file);
	}
	(void)fputs(ERASE_BELOW, file);
	r = ferror(file) ? -ENOMEM : 0;
	if (fclose(file) != 0 || r < 0)
		return -ENOMEM;
	return fs_write_all(STDOUT_FILENO, frame, length);
}

bool terminal_read_end(void)
{
	char keys[32];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	for (ssize_t i = 0; i < n; i++)
		if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == END_OF_INPUT)
			return true;
	/* Nothing to read, though it was said that there is: the terminal is gone. */
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}
