#pragma once

/*
 * Plain: what a body that nobody promised (a gateway's page, a store's XML) says, in
 * words for one line of a message.
 */

#include <stdbool.h>
#include <stddef.h>

/* The text without markup (tags, comments, scripts and style sheets), its character
 * references resolved, each run of white space and control characters one space; what
 * stands between tags and only repeats what stood there before (a page's heading, after
 * its title) left out; cut to @max characters, in valid UTF-8. A NUL ends it. @text may
 * be NULL where @length is 0. The caller frees it. NULL: out of memory. */
char *plain_text(const char *text, size_t length, size_t max);

/* Whether that is an HTML page: its first tag, after white space and comments, says so.
 */
bool plain_is_page(const char *text);

/* Cuts valid UTF-8 in place to @max characters. */
void plain_cut(char *text, size_t max);
