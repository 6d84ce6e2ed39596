#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "macro.h"
#include "text.h"
#include "world-internal.h"
#include "world-secrets.h"

/* The parts are found by their hashes: there may be many thousands, and megabytes of
 * text. */
struct part {
	const char *bytes; /* NULL: a free place */
	const char *form;
};

struct secrets {
	char **forms;
	size_t form_count;
	struct part *parts;
	size_t part_count, places; /* a power of 2 */
};

static uint64_t hash_of(const char *bytes)
{
	uint64_t hash = 0;

	for (int i = 0; i < SECRETS_PART; i++)
		hash = hash * 0x100000001B3 + (unsigned char)bytes[i];
	return hash * 0x9E3779B97F4A7C15 >> 20;
}

/* The place of those bytes, or the free one where they belong. */
static struct part *place_of(const struct secrets *secrets, const char *bytes)
{
	size_t i = hash_of(bytes) & (secrets->places - 1);

	while (secrets->parts[i].bytes &&
	       memcmp(secrets->parts[i].bytes, bytes, SECRETS_PART) != 0)
		i = (i + 1) & (secrets->places - 1);
	return &secrets->parts[i];
}

static void make_room(struct secrets *secrets)
{
	struct secrets larger = *secrets;

	if (2 * (secrets->part_count + 1) <= secrets->places)
		return;
	larger.places = secrets->places ? 2 * secrets->places : 1024;
	larger.parts = calloc(larger.places, sizeof(*larger.parts));
	assert_non_null(larger.parts);
	for (size_t i = 0; i < secrets->places; i++)
		if (secrets->parts[i].bytes)
			*place_of(&larger, secrets->parts[i].bytes) = secrets->parts[i];
	free(secrets->parts);
	*secrets = larger;
}

static void add_parts(struct secrets *secrets, const char *form)
{
	size_t length = strlen(form);

	for (size_t at = 0; at + SECRETS_PART <= length; at += SECRETS_PART) {
		struct part *part;

		make_room(secrets);
		part = place_of(secrets, form + at);
		secrets->part_count += !part->bytes;
		*part = (struct part){ form + at, form };
	}
}

/* Takes @form over. */
static void add_form(struct secrets *secrets, char *form)
{
	assert_non_null(form);
	for (size_t i = secrets->form_count; i > 0 && i + 16 > secrets->form_count; i--)
		if (streq(secrets->forms[i - 1], form)) {
			free(form);
			return;
		}
	secrets->forms = reallocarray(secrets->forms, secrets->form_count + 1,
				      sizeof(char *));
	assert_non_null(secrets->forms);
	secrets->forms[secrets->form_count++] = form;
	add_parts(secrets, form);
}

/* ---- forms ---- */

/* Unreserved: RFC 3986. */
static char *percent_encode(const char *text, const char *digits, const char *space)
{
	char *encoded = NULL;
	size_t size;
	FILE *file = open_memstream(&encoded, &size);

	assert_non_null(file);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (isalnum(*p) || strchr("-._~", *p))
			(void)fputc(*p, file);
		else if (*p == ' ')
			(void)fputs(space, file);
		else
			(void)fprintf(file, "%%%c%c", digits[*p >> 4], digits[*p & 15]);
	}
	(void)fclose(file);
	return encoded;
}

static char *percent_decode(const char *text)
{
	char *decoded = strdup(text), *out = decoded;

	assert_non_null(decoded);
	for (const char *p = text; *p; p++, out++) {
		unsigned byte;

		*out = *p;
		if (*p == '%' && isxdigit((unsigned char)p[1]) &&
		    sscanf(p + 1, "%2x", &byte) == 1 && byte != 0) {
			*out = (char)byte;
			p += 2;
		}
	}
	*out = '\0';
	return decoded;
}

static char *base64(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/";
	size_t length = strlen(text);
	char *encoded = calloc(1, length / 3 * 4 + 5), *out = encoded;

	assert_non_null(encoded);
	/* Without what is padded: that differs by what follows. */
	for (size_t i = 0; i + 3 <= length; i += 3) {
		uint32_t group = (uint32_t)(unsigned char)text[i] << 16 |
				 (uint32_t)(unsigned char)text[i + 1] << 8 |
				 (unsigned char)text[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = digits[group >> shift & 63];
	}
	return encoded;
}

static char *json_escape(const char *text)
{
	struct json_object *string = json_object_new_string(text);
	const char *quoted = json_object_to_json_string_ext(string,
							    JSON_C_TO_STRING_PLAIN);
	char *escaped = strndup(quoted + 1, strlen(quoted) - 2);

	json_object_put(string);
	return escaped;
}

static void add_forms(struct secrets *secrets, const char *text)
{
	add_form(secrets, strdup(text));
	add_form(secrets, percent_encode(text, "0123456789ABCDEF", "%20"));
	add_form(secrets, percent_encode(text, "0123456789abcdef", "%20"));
	add_form(secrets, percent_encode(text, "0123456789ABCDEF", "+"));
	add_form(secrets, json_escape(text));
	add_form(secrets, text_escape(text, strlen(text)));
	if (strlen(text) >= 3)
		add_form(secrets, base64(text));
}

void secrets_add(struct secrets *secrets, const char *secret)
{
	_cleanup_free_ char *decoded = percent_decode(secret);

	if (!*secret)
		return;
	add_forms(secrets, secret);
	if (!streq(decoded, secret))
		add_forms(secrets, decoded);
}

struct secrets *secrets_new(void)
{
	struct secrets *secrets = calloc(1, sizeof(*secrets));

	assert_non_null(secrets);
	make_room(secrets);
	return secrets;
}

void secrets_free(struct secrets *secrets)
{
	if (!secrets)
		return;
	for (size_t i = 0; i < secrets->form_count; i++)
		free(secrets->forms[i]);
	free(secrets->forms);
	free(secrets->parts);
	free(secrets);
}

/* ---- looking ---- */

const char *secrets_find(const struct secrets *secrets, const char *text, size_t length)
{
	for (size_t i = 0; i < secrets->form_count; i++) {
		const char *form = secrets->forms[i];
		size_t size = strlen(form);

		if (size < SECRETS_PART && memmem(text, length, form, size))
			return form;
	}
	for (size_t at = 0; at + SECRETS_PART <= length; at++) {
		const struct part *part = place_of(secrets, text + at);

		if (part->bytes)
			return part->form;
	}
	return NULL;
}

/* Mapped, as a log may be large. */
static const char *find_in_file(const struct secrets *secrets, int fd)
{
	const char *found;
	struct stat st;
	void *text;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return NULL;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(text != MAP_FAILED);
	found = secrets_find(secrets, text, (size_t)st.st_size);
	(void)munmap(text, (size_t)st.st_size);
	return found;
}

char *secrets_find_below(const struct secrets *secrets, const char *path,
			 bool (*is_left)(const char *path, void *userdata),
			 void *userdata)
{
	DIR *stream = opendir(path);
	char *found = NULL;
	struct dirent *entry;

	while (stream && !found && (entry = readdir(stream))) {
		_cleanup_free_ char *below = world_print("%s/%s", path, entry->d_name);
		_cleanup_close_ int fd = -1;
		const char *form;

		if (streq(entry->d_name, ".") || streq(entry->d_name, "..") ||
		    (is_left && is_left(below, userdata)))
			continue;
		if (entry->d_type == DT_DIR) {
			found = secrets_find_below(secrets, below, is_left, userdata);
			continue;
		}
		fd = open(below, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		form = fd >= 0 ? find_in_file(secrets, fd) : NULL;
		if (form)
			found = world_print("%s holds %s", below, form);
	}
	if (stream)
		(void)closedir(stream);
	return found;
}
