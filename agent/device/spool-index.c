#include <assert.h>
#include <search.h>

#include "spool-index.h"

void spool_index_init(struct spool_index *index, struct spool *spool)
{
	*index = (struct spool_index){ .spool = spool };
	TAILQ_INIT(&index->all);
}

static int compare_paths(const void *left, const void *right)
{
	const struct spool_directory *a = left, *b = right;

	return strcmp(a->path, b->path);
}

struct spool_directory *spool_index_find(const struct spool_index *index,
					 const struct spool_directory *parent,
					 const char *name)
{
	_cleanup_free_ char *path = NULL;
	struct spool_directory *const *found;
	struct spool_directory key = {};

	if (asprintf(&path, "%s/%s", parent->path, name) < 0)
		return NULL;
	key.path = path;
	found = tfind(&key, (void *const *)&index->by_path, compare_paths);
	return found ? *found : NULL;
}

int spool_index_add(struct spool_index *index, struct spool_directory *parent,
		    const char *name, struct spool_directory **ret)
{
	struct spool_directory *directory, *const *place;
	int r;

	assert(parent || !index->root);

	r = spool_directory_new(index->spool, parent, name, &directory);
	if (r < 0)
		return r;
	place = tsearch(directory, &index->by_path, compare_paths);
	if (!place || *place != directory) {
		spool_directory_unref(directory);
		return place ? -EEXIST : -ENOMEM;
	}
	if (parent)
		LIST_INSERT_HEAD(&parent->children, directory, sibling);
	else
		index->root = spool_directory_ref(
			directory); /* it keeps the descriptor open */
	TAILQ_INSERT_TAIL(&index->all, directory, all);
	*ret = directory;
	return 0;
}

struct spool_directory *spool_index_leaf(struct spool_directory *directory)
{
	while (!LIST_EMPTY(&directory->children))
		directory = LIST_FIRST(&directory->children);
	return directory;
}

void spool_index_remove(struct spool_index *index, struct spool_directory *leaf,
			struct watch *watch)
{
	assert(LIST_EMPTY(&leaf->children));

	TAILQ_REMOVE(&index->all, leaf, all);
	(void)tdelete(leaf, &index->by_path, compare_paths);
	if (leaf != index->root)
		LIST_REMOVE(leaf, sibling);
	spool_directory_leave(leaf, watch);
	if (leaf == index->root)
		spool_directory_unref(take_ptr(index->root));
	spool_directory_unref(leaf);
}
