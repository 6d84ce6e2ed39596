#pragma once

/*
 * Strv: a growing list of strings that it owns.
 */

#include <stdbool.h>
#include <stddef.h>

struct strv {
	char **items;
	size_t count;
};

/* Appends a copy. 0 or -ENOMEM, and then nothing has changed. */
int strv_push(struct strv *list, const char *item);

/* Appends a copy of each word of @words, which white space separates. 0 or -ENOMEM;
 * the words before the one that failed stay. */
int strv_push_words(struct strv *list, const char *words);

/* Frees the strings and leaves an empty list, ready for use. */
void strv_done(struct strv *list);

/* Whether a shell glob of @globs matches the whole of @name (fnmatch, no flags: a
 * leading dot is an ordinary character). Returns the first such glob, or NULL. */
const char *strv_match(const struct strv *globs, const char *name);
