#include <fnmatch.h>

#include "macro.h"
#include "strv.h"

static int push(struct strv *list, const char *item, size_t length)
{
	_cleanup_free_ char *copy = strndup(item, length);
	char **items;

	if (!copy)
		return -ENOMEM;
	items = reallocarray(list->items, list->count + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	list->items[list->count++] = take_ptr(copy);
	return 0;
}

int strv_push(struct strv *list, const char *item)
{
	return push(list, item, strlen(item));
}

int strv_push_words(struct strv *list, const char *words)
{
	static const char blank[] = " \t\r\n\f\v";
	int r;

	for (words += strspn(words, blank); *words; words += strspn(words, blank)) {
		size_t length = strcspn(words, blank);

		r = push(list, words, length);
		if (r < 0)
			return r;
		words += length;
	}
	return 0;
}

void strv_done(struct strv *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct strv){};
}

static bool is_literal(const char *glob)
{
	for (; *glob; glob++)
		if (*glob == '*' || *glob == '?' || *glob == '[' || *glob == '\\')
			return false;
	return true;
}

/* Nearly all globs are endings, which fnmatch() takes several times as long for. */
static bool is_match(const char *glob, const char *name)
{
	if (*glob == '*' && is_literal(glob + 1))
		return endswith(name, glob + 1);
	return fnmatch(glob, name, 0) == 0;
}

const char *strv_match(const struct strv *globs, const char *name)
{
	for (size_t i = 0; i < globs->count; i++)
		if (is_match(globs->items[i], name))
			return globs->items[i];
	return NULL;
}
