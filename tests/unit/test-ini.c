#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ini.h"
#include "macro.h"

#define STOP (-ECANCELED)

/* Each call of a handler leaves a line: "1 [API]", "2 API|Key|value", "3 ! message". */
struct record {
	char text[4096];
	size_t length;
	unsigned stop_at; /* the line at which a handler says to stop; 0: never */
};

static int add(struct record *r, unsigned line, const char *text)
{
	r->length += (size_t)snprintf(r->text + r->length, sizeof(r->text) - r->length,
				      "%u %s\n", line, text);
	assert_true(r->length < sizeof(r->text));
	return line == r->stop_at ? STOP : 0;
}

static int on_section(void *userdata, unsigned line, const char *section)
{
	char text[256];

	snprintf(text, sizeof(text), "[%s]", section);
	return add(userdata, line, text);
}

static int on_entry(void *userdata, unsigned line, const char *section, const char *key,
		    const char *value)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s|%s|%.600s", section, key, value);
	return add(userdata, line, text);
}

static int on_fault(void *userdata, unsigned line, const char *message)
{
	char text[256];

	snprintf(text, sizeof(text), "! %s", message);
	return add(userdata, line, text);
}

static const struct ini_handler handler = { on_section, on_entry, on_fault };

#define BAD_LINE      "! neither [Section], nor Key=value, nor a comment\n"
#define NO_KEY	      "! a key is missing before the =\n"
#define NO_BRACKET    "! a section needs a ] at its end\n"
#define TRAILING      "! nothing may follow the ] of a section\n"
#define NO_NAME	      "! a section needs a name\n"
#define NUL_BYTE      "! the line holds a NUL byte\n"
#define LINE_TOO_LONG "! the line is too long\n"

static void test_table(void **state)
{
#define CASE(input, output) \
	{ \
		(input), sizeof(input) - 1, (output) \
	}
	static const struct {
		const char *input;
		size_t length;
		const char *output;
	} table[] = {
		CASE("", ""),
		CASE("\n\n", ""),
		CASE("\n[API]\n\nKey=value\n", "2 [API]\n4 API|Key|value\n"),
		CASE("[API]\nKey=value", "1 [API]\n2 API|Key|value\n"),
		CASE("# comment\n; comment\n  # another\n[API]\n", "4 [API]\n"),
		CASE("[A]\n \tKey \t= \t a value \t \n", "1 [A]\n2 A|Key|a value\n"),
		CASE("  [ A b ]  \n", "1 [A b]\n"),
		CASE("[Spool:my photos]\nPath=/x\n",
		     "1 [Spool:my photos]\n2 Spool:my photos|Path|/x\n"),
		CASE("[A]\nKey=\nKey=  \n", "1 [A]\n2 A|Key|\n3 A|Key|\n"),
		CASE("[A]\nKey=a=b\nKey==\n", "1 [A]\n2 A|Key|a=b\n3 A|Key|=\n"),
		CASE("[A]\nKey=\"quoted\" \\\n", "1 [A]\n2 A|Key|\"quoted\" \\\n"),
		CASE("[A]\nKey=value # no comment ; either\n",
		     "1 [A]\n2 A|Key|value # no comment ; either\n"),
		CASE("[A]\nKey=[x]\n", "1 [A]\n2 A|Key|[x]\n"),
		CASE("Key=value\n", "1 |Key|value\n"),
		CASE("[A]\r\nKey=value\r\n\r\n", "1 [A]\n2 A|Key|value\n"),
		CASE("\xEF\xBB\xBF[A]\n", "1 [A]\n"),
		CASE("\xEF\xBB\xBF", ""),
		CASE("\xEF\xBB", "1 " BAD_LINE),
		CASE("[A]\n\xEF\xBB\xBF[B]\n", "1 [A]\n2 " BAD_LINE),
		CASE("[A]\nword\nKey=value\n", "1 [A]\n2 " BAD_LINE "3 A|Key|value\n"),
		CASE("[A]\n=value\n = \n", "1 [A]\n2 " NO_KEY "3 " NO_KEY),
		/* What follows a broken section line belongs to no section. */
		CASE("[A]\n[B\nKey=value\n=\n[C]\nKey=value\n",
		     "1 [A]\n2 " NO_BRACKET "4 " NO_KEY "5 [C]\n6 C|Key|value\n"),
		CASE("[A] # comment\nKey=value\n", "1 " TRAILING),
		CASE("[A]]\n", "1 " TRAILING),
		CASE("[]\n[ ]\n[\n", "1 " NO_NAME "2 " NO_NAME "3 " NO_BRACKET),
		CASE("[A]\nKey=a\0b\n\0\nKey=c\n",
		     "1 [A]\n2 " NUL_BYTE "3 " NUL_BYTE "4 A|Key|c\n"),
		CASE("\xFF\xFE[\0A\0]\0", "1 " NUL_BYTE),
		CASE("[A]\nKey=\x1B[31m\xFF\n", "1 [A]\n2 A|Key|\x1B[31m\xFF\n"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct record r = {};

		assert_int_equal(ini_parse(table[i].input, table[i].length, &handler, &r),
				 0);
		assert_string_equal(r.text, table[i].output);
	}
}

/* Nothing behind @length counts, not even a NUL that ends the text. */
static void test_length(void **state)
{
	static const char text[] = { '[', 'A', ']', '\n', 'K', '=', 'v', 'w' };
	struct record r = {};

	(void)state;
	assert_int_equal(ini_parse(text, sizeof(text) - 1, &handler, &r), 0);
	assert_string_equal(r.text, "1 [A]\n2 A|K|v\n");
	r = (struct record){};
	assert_int_equal(ini_parse(NULL, 0, &handler, &r), 0);
	assert_string_equal(r.text, "");
}

static void test_long_line(void **state)
{
	static char text[2 * (INI_LINE_MAX + 16)];
	struct record r = {};
	char *p = text;

	(void)state;
	p = mempcpy(p, "K=", 2);
	memset(p, 'x', INI_LINE_MAX - 2);
	p += INI_LINE_MAX - 2;
	p = mempcpy(p, "\nK=", 3);
	memset(p, 'x', INI_LINE_MAX - 1);
	p += INI_LINE_MAX - 1;
	p = mempcpy(p, "\nK=v\n", 5);
	assert_int_equal(ini_parse(text, (size_t)(p - text), &handler, &r), 0);
	assert_memory_equal(r.text, "1 |K|xxxx", STRLEN("1 |K|xxxx"));
	assert_string_equal(strchr(r.text, '\n') + 1, "2 " LINE_TOO_LONG "3 |K|v\n");
}

/* Whatever a handler of whichever kind returns below zero ends the reading. */
static void test_stop(void **state)
{
	static const struct {
		unsigned stop_at;
		const char *output;
	} table[] = {
		{ 1, "1 [A]\n" },
		{ 2, "1 [A]\n2 A|K|v\n" },
		{ 3, "1 [A]\n2 A|K|v\n3 " BAD_LINE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		static const char text[] = "[A]\nK=v\nbad\n[B]\n";
		struct record r = { .stop_at = table[i].stop_at };

		assert_int_equal(ini_parse(text, STRLEN(text), &handler, &r), STOP);
		assert_string_equal(r.text, table[i].output);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
