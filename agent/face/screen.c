#include <stdarg.h>
#include <sys/ioctl.h>

#include "screen.h"
#include "text.h"

#define BOLD   "\x1B[1m" /* ECMA-48: select graphic rendition */
#define DIM    "\x1B[2m"
#define RED    "\x1B[1;31m"
#define GREEN  "\x1B[32m"
#define YELLOW "\x1B[33m"
#define BLUE   "\x1B[34m"
#define PLAIN  "\x1B[0m"

#define INDENT	   2
#define MARK_WIDTH 9  /* the longest mark and two blanks */
#define WIDTH_MIN  40 /* a narrower terminal wraps by itself */

static const struct {
	const char *word, *colour;
} marks[SCREEN_MARKS] = {
	[SCREEN_OK] = { "ok", GREEN },
	[SCREEN_INFO] = { "info", BLUE },
	[SCREEN_WARNING] = { "warning", YELLOW },
	[SCREEN_FAILED] = { "FAILED", RED },
};

void screen_init(struct screen *screen)
{
	const char *no_colour = getenv("NO_COLOR");
	struct winsize size;

	*screen = (struct screen){};
	if (!isatty(STDOUT_FILENO))
		return;
	screen->colour = (!no_colour || !*no_colour) && !streq(getenv("TERM"), "dumb");
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= WIDTH_MIN)
		screen->width = MIN((size_t)size.ws_col, (size_t)SCREEN_WIDTH_MAX);
}

static const char *colour(const struct screen *screen, const char *code)
{
	return screen->colour ? code : "";
}

_printf_(1, 0) static char *format_escaped(const char *format, va_list args)
{
	_cleanup_free_ char *raw = NULL;
	int length = vasprintf(&raw, format, args);

	if (length < 0) {
		raw = NULL;
		return NULL;
	}
	return text_escape(raw, (size_t)length);
}

/* How many columns UTF-8 takes, where each character takes one. */
static size_t columns(const char *text, size_t length)
{
	size_t n = 0;

	for (size_t i = 0; i < length; i++)
		n += ((unsigned char)text[i] & 0xC0) != 0x80;
	return n;
}

/* Prints @text, which begins at column @at, and goes on at @indent where it is wrapped.
 */
static void print_wrapped(const struct screen *screen, const char *text, size_t at,
			  size_t indent)
{
	bool first = true;

	while (screen->width > 0 && *text) {
		size_t length = strcspn(text, " "), room = columns(text, length);

		if (!first && at + 1 + room > screen->width) {
			printf("\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			putchar(' ');
			at++;
		}
		printf("%.*s", (int)length, text);
		at += room;
		text += length;
		text += *text == ' ';
		first = false;
	}
	puts(text);
}

void screen_heading(struct screen *screen, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	text = format_escaped(format, args);
	va_end(args);
	if (!text)
		return;
	if (screen->begun)
		putchar('\n');
	screen->begun = true;
	printf("%s%s%s\n", colour(screen, BOLD), text, colour(screen, PLAIN));
}

void screen_setting(const struct screen *screen, size_t width, const char *key,
		    const char *value, const char *origin)
{
	_cleanup_free_ char *shown = text_escape(value, strlen(value));
	_cleanup_free_ char *from = text_escape(origin, strlen(origin));
	size_t room;

	if (!shown || !from)
		return;
	room = strlen(key) + 1 + columns(shown, strlen(shown));
	printf("%s=%s%*s  %s# %s%s\n", key, shown, (int)(width - MIN(room, width)), "",
	       colour(screen, DIM), from, colour(screen, PLAIN));
}

void screen_mark(struct screen *screen, enum screen_mark mark, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	screen->counts[mark]++;
	va_start(args, format);
	text = format_escaped(format, args);
	va_end(args);
	printf("%s%-*s%s", colour(screen, marks[mark].colour), MARK_WIDTH,
	       marks[mark].word, colour(screen, PLAIN));
	print_wrapped(screen, text ? text : "out of memory", MARK_WIDTH, MARK_WIDTH);
}

void screen_say(const struct screen *screen, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	text = format_escaped(format, args);
	va_end(args);
	printf("%*s", INDENT, "");
	print_wrapped(screen, text ? text : "out of memory", INDENT, INDENT);
}

void screen_last(const struct screen *screen, const char *word, const char *sentence)
{
	_cleanup_free_ char *text = text_escape(sentence, strlen(sentence));
	size_t at = strlen(word) + 2;

	printf("%s%s:%s ", colour(screen, BOLD), word, colour(screen, PLAIN));
	print_wrapped(screen, text ? text : "out of memory", at, at);
}

const char *screen_instant(char buffer[static CLOCK_STRING_MAX], usec_t real)
{
	time_t seconds = (time_t)(real / USEC_PER_SEC);
	struct tm tm;

	if (!localtime_r(&seconds, &tm) ||
	    !strftime(buffer, CLOCK_STRING_MAX, "%Y-%m-%d %H:%M:%S %Z", &tm))
		(void)clock_format(buffer, usec_to_timespec(real), 0);
	return buffer;
}
