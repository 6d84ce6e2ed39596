#pragma once

/*
 * Secrets: whether a text holds any of a set of secrets, whole or in part, in whatever
 * form they may have been written.
 *
 * A secret is looked for as it is, without and with percent-encoding (either case of the
 * digits, a space as %20 or +), in base64, and with the escapes of JSON and of our log.
 * Of each form any SECRETS_PART * 2 - 1 bytes in a row are found, and its first
 * SECRETS_PART: nobody is to cut a token in two and write its halves. A form that is
 * shorter than that is found whole.
 */

#include <stdbool.h>
#include <stddef.h>

enum { SECRETS_PART = 10 };

struct secrets;

struct secrets *secrets_new(void);
void secrets_free(struct secrets *secrets);

/* @secret is copied; "" is none. */
void secrets_add(struct secrets *secrets, const char *secret);

/* The form of a secret that @text holds, of which it is enough to tell people; NULL:
 * none. */
const char *secrets_find(const struct secrets *secrets, const char *text, size_t length);

/* The same for all regular files below the directory @path, but those of which @is_left
 * (NULL: none) says so; no link is followed. The caller frees what is returned: "FILE
 * holds FORM". NULL: no file holds any. */
char *secrets_find_below(const struct secrets *secrets, const char *path,
			 bool (*is_left)(const char *path, void *userdata),
			 void *userdata);
