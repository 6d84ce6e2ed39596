#pragma once

/*
 * Aide: a program that knows what the service itself does not, like how another store
 * signs its URLs.
 */

#include <stddef.h>

#define AIDE_ANSWER_MAX ((size_t)64 * 1024)

/* Runs @program with these @count arguments and waits for its end. What it printed,
 * without the newline; the caller frees it. NULL: it can't be run, exited other than 0,
 * or printed nothing or more than AIDE_ANSWER_MAX. Any number may run at once. */
char *aide_ask(const char *program, const char *const *arguments, size_t count);
