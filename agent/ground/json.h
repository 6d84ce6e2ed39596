#pragma once

/*
 * Json: strict reading and plain writing of JSON on top of json-c, which by itself takes
 * trailing junk, clamps numbers and hides NULs in strings.
 *
 * Values that a json_get_*() returns belong to the object they were asked of.
 */

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

#include "macro.h"

#define JSON_DEPTH_MAX 32
#define JSON_SIZE_MAX  ((size_t)16 * 1024 * 1024)

DEFINE_CLEANUP(struct json_object *, json_putp, json_object_put)

/* Reads one object or array, as @type says, with nothing but white space around it.
 * The caller releases it (json_putp). 0; -EBADMSG: something else, cut short, deeper than
 * JSON_DEPTH_MAX, longer than JSON_SIZE_MAX, ill-formed UTF-8; -ENOMEM. */
int json_parse(const char *text, size_t length, enum json_type type,
	       struct json_object **ret);

/* The value of @key. 1; 0: there is none, or it is null; -EBADMSG: of another type. */
int json_get(const struct json_object *object, const char *key, enum json_type type,
	     struct json_object **ret);

/* As json_get(); a string that holds a NUL is -EBADMSG too. */
int json_get_string(const struct json_object *object, const char *key, const char **ret);

/* As json_get(); what is not an integer from 0 to UINT64_MAX - 1 is -EBADMSG. */
int json_get_unsigned(const struct json_object *object, const char *key, uint64_t *ret);

/* Append a member; the order of the calls is the order of the text. 0 or -ENOMEM.
 * json_add() takes @value in either case, and NULL for one that could not be made.
 * json_add_string() writes any bytes as UTF-8, and nothing at all where @bytes is NULL.
 */
int json_add(struct json_object *object, const char *key, struct json_object *value);
int json_add_string(struct json_object *object, const char *key, const char *bytes);
int json_add_unsigned(struct json_object *object, const char *key, uint64_t value);

/* The value as one line with @end after it. The caller frees it. NULL: out of memory. */
char *json_format(struct json_object *value, const char *end);

/*
 * For what is written for each file, an object as text at once, without one of json-c
 * before it. A writer is zero at first; each call appends, so the order of the calls is
 * the order of the text. Where there is no memory, json_write_end() tells.
 */
struct json_writer {
	char *text;
	size_t length, room;
	bool failed;
	bool inside; /* an object that has a member already */
};

/* Begins an object, as the member @key of the one that is open or, NULL, by itself. */
void json_write_open(struct json_writer *writer, const char *key);
void json_write_close(struct json_writer *writer);

/* Members, as json_add_string() and json_add_unsigned() add them. */
void json_write_string(struct json_writer *writer, const char *key, const char *bytes);
void json_write_unsigned(struct json_writer *writer, const char *key, uint64_t value);

/* The text, with @end after it. The caller frees it. NULL: out of memory. Ends the
 * writer's life in either case. */
char *json_write_end(struct json_writer *writer, const char *end);
