#pragma once

/*
 * Mime: the content type that an extension stands for.
 *
 * The service is told no type when it signs a URL, so it can only derive one from the
 * name's extension; what is sent must agree. Hence the type is never sniffed from the
 * bytes. The table is /etc/mime.types (package media-types) or, where that is missing, a
 * built-in list of the types that people send to each other.
 */

#include <stddef.h>

#define MIME_DEFAULT  "application/octet-stream"
#define MIME_FILE_MAX ((size_t)4 * 1024 * 1024)

struct mime;

/* Reads the format of mime.types: a type and its extensions a line, # comments. The first
 * type that names an extension keeps it. Lines that are not of that form are passed over.
 * 0 or -ENOMEM. */
int mime_parse(const char *text, size_t length, struct mime **ret);

/* Reads the file @path; where it does not exist, the built-in list is taken. 0, or a
 * negative errno: it exists but can't be read (-EFBIG: more than MIME_FILE_MAX). */
int mime_load(const char *path, struct mime **ret);

void mime_free(struct mime *mime);

/* The type for the last extension of the base name @name, in any case; MIME_DEFAULT where
 * there is none or it is unknown. A leading dot starts no extension (".profile"). Lives
 * as long as @mime. */
const char *mime_type(const struct mime *mime, const char *name);
