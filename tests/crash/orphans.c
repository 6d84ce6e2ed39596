#include "orphans.h"
#include "world-internal.h"

struct note {
	struct service_asset asset;
	char *run;  /* the token by which it was asked for */
	bool sent;  /* a body, or the head of one, has come */
	bool named; /* by a receipt */
};

struct notes {
	struct note *list; /* by id */
	size_t count;
};

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct note *)a)->asset.id,
		      ((const struct note *)b)->asset.id);
}

static int by_run_and_name(const void *a, const void *b)
{
	const struct note *x = a, *y = b;
	int runs = strcmp(x->run, y->run);

	return runs ? runs : strcmp(x->asset.name, y->asset.name);
}

static struct note *find(const struct notes *notes, const char *id)
{
	const struct note wanted = { .asset.id = id };
	struct note *found = bsearch(&wanted, notes->list, notes->count,
				     sizeof(*notes->list), by_id);

	assert_non_null(found);
	return found;
}

/* ---- what the service has seen ---- */

static void note_request(const struct notes *notes, const struct service_request *request)
{
	struct note *note;

	if (!request->asset)
		return;
	note = find(notes, request->asset);
	if (request->endpoint == ENDPOINT_CREATE)
		note->run = service_request_header(request, "Authorization");
	else
		note->sent = true;
}

static struct notes take_notes(struct world *w)
{
	struct notes notes = { .count = service_asset_count(w->service) };
	struct service_request request;

	notes.list = calloc(notes.count, sizeof(*notes.list));
	assert_non_null(notes.list);
	for (size_t i = 0; i < notes.count; i++)
		assert_true(service_asset_at(w->service, i, &notes.list[i].asset));
	qsort(notes.list, notes.count, sizeof(*notes.list), by_id);
	for (size_t i = 0; service_request_at(w->service, ENDPOINT_ANY, i, &request); i++)
		note_request(&notes, &request);
	for (size_t i = 0; i < notes.count; i++)
		assert_non_null(notes.list[i].run);
	return notes;
}

static void drop_notes(struct notes *notes)
{
	for (size_t i = 0; i < notes->count; i++)
		free(notes->list[i].run);
	free(notes->list);
}

/* ---- what may be ---- */

static void read_receipts(const struct notes *notes, const struct fates *fates)
{
	for (size_t i = 0; i < fates->count; i++) {
		const struct fated *file = &fates->list[i];
		struct note *note;

		if (!file->asset)
			continue;
		note = find(notes, file->asset);
		if (note->named)
			fail_msg("two receipts speak of asset %s, one is of %s",
				 file->asset, file->dropped);
		note->named = true;
	}
}

/* Keeps those that no receipt speaks of. */
static void keep_orphans(struct notes *notes)
{
	size_t kept = 0;

	for (size_t i = 0; i < notes->count; i++) {
		if (notes->list[i].named)
			free(notes->list[i].run);
		else
			notes->list[kept++] = notes->list[i];
	}
	notes->count = kept;
}

static void check_orphan(const struct note *orphan, const char *last_run)
{
	const struct service_asset *asset = &orphan->asset;

	if (orphan->sent)
		fail_msg("asset %s of %s had been sent to, and was forgotten", asset->id,
			 asset->name);
	if (streq(orphan->run, last_run))
		fail_msg("asset %s of %s was forgotten by a run that was not killed",
			 asset->id, asset->name);
}

static void check_crowd(struct notes *orphans, size_t in_flight_max)
{
	size_t of_run = 0;

	qsort(orphans->list, orphans->count, sizeof(*orphans->list), by_run_and_name);
	for (size_t i = 0; i < orphans->count; i++) {
		const struct note *here = &orphans->list[i], *before = here - 1;

		if (i > 0 && by_run_and_name(before, here) == 0)
			fail_msg("one run left two orphans of %s", here->asset.name);
		of_run = i > 0 && streq(before->run, here->run) ? of_run + 1 : 1;
		assert_in_range(of_run, 1, in_flight_max);
	}
}

void orphans_check(struct world *w, const struct fates *fates, const char *last_asked,
		   size_t in_flight_max, struct findings *findings)
{
	struct notes notes = take_notes(w);
	_cleanup_free_ char *last_run = strdup(find(&notes, last_asked)->run);

	findings->assets += notes.count;
	read_receipts(&notes, fates);
	keep_orphans(&notes);
	for (size_t i = 0; i < notes.count; i++)
		check_orphan(&notes.list[i], last_run);
	check_crowd(&notes, in_flight_max);
	findings->orphans += notes.count;
	drop_notes(&notes);
}
