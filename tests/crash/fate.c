#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "fate.h"
#include "fs.h"
#include "json.h"
#include "ledger.h"
#include "sidecar.h"
#include "world-internal.h"

enum { SPOOL_DELETED, SPOOL_MOVED };

void fates_start(struct world *w, unsigned at_once)
{
	_cleanup_free_ char *upload = world_print("MaxConcurrent=%u\n", at_once);
	const struct world_options options = {
		.upload = upload,
		.service = { .size_limit = FATE_SIZE_LIMIT },
		.retry = "InitialDelay=1ms\nMaxDelay=20ms\n",
		/* Each line of the log would be one more call to be killed at. */
		.report = "LogLevel=warning\n",
		.spool = "Settle=1ms\n",
		.spools = { [SPOOL_DELETED] = "deleted", [SPOOL_MOVED] = "moved" },
		.spool_of = { [SPOOL_DELETED] = "AfterUpload=delete\n",
			      [SPOOL_MOVED] = "AfterUpload=move\n"
					      "DoneDirectory=@ROOT@/done\n" },
		.recursive = true,
		.no_agent = true,
	};
	_cleanup_free_ char *copies = NULL, *done = NULL;

	world_start(w, &options);
	copies = world_print("%s/copies", w->root);
	done = fate_done_path(w, "");
	world_mkdir(w, copies);
	world_mkdir(w, done);
}

void fates_done(struct fates *fates)
{
	for (size_t i = 0; i < fates->count; i++) {
		free(fates->list[i].dropped);
		free(fates->list[i].place);
		free(fates->list[i].copy);
		free(fates->list[i].asset);
	}
	free(fates->list);
	*fates = (struct fates){ 0 };
}

void findings_print(const struct findings *findings)
{
	print_message("# files: %zu, sidecars: %zu, lost: %zu, with two sidecars: %zu\n",
		      findings->files, findings->sidecars, findings->lost,
		      findings->twice);
	print_message("# assets: %zu, orphans: %zu; temporary files left: %zu\n",
		      findings->assets, findings->orphans, findings->temporaries);
}

uint64_t fate_draw(uint64_t *seed)
{
	/* splitmix64 */
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* ---- dropping ---- */

char *fate_path(const struct world *w, enum fate fate, const char *name)
{
	const char *const spools[] = {
		[FATE_KEPT] = w->spool,
		[FATE_REFUSED] = w->spool,
		[FATE_DELETED] = w->spools[SPOOL_DELETED],
		[FATE_MOVED] = w->spools[SPOOL_MOVED],
	};

	return world_print("%s/%s", spools[fate], name);
}

char *fate_done_path(const struct world *w, const char *name)
{
	return world_print("%s/done/%s", w->root, name);
}

struct fated *fates_drop(struct world *w, struct fates *fates, enum fate fate,
			 const char *name, uint64_t size)
{
	_cleanup_free_ char *staged = world_print("%s/staged", w->root);
	unsigned seed = (unsigned)fates->count;
	struct fated *file;
	struct stat st;

	/* Grows at each power of two. */
	if ((fates->count & (fates->count - 1)) == 0)
		fates->list = reallocarray(fates->list, MAX(2 * fates->count, 1U),
					   sizeof(*fates->list));
	assert_non_null(fates->list);
	file = &fates->list[fates->count++];
	*file = (struct fated){
		.fate = fate,
		.dropped = fate_path(w, fate, name),
		.place = fate == FATE_MOVED ? fate_done_path(w, name)
					    : fate_path(w, fate, name),
		.copy = world_print("%s/copies/%u", w->root, seed),
		.size = size,
	};
	world_drop_random(w, file->copy, size, seed);
	/* Once it is in the spool it may soon be gone. */
	world_drop_random(w, staged, size, seed);
	assert_int_equal(stat(staged, &st), 0);
	file->modified = st.st_mtim;
	assert_int_equal(rename(staged, file->dropped), 0);
	return file;
}

/* ---- waiting ---- */

static const char *suffix_of(const struct fated *file)
{
	return file->fate == FATE_REFUSED ? SIDECAR_ERROR_SUFFIX : SIDECAR_DONE_SUFFIX;
}

static bool leaves_its_place(const struct fated *file)
{
	return file->fate == FATE_DELETED || file->fate == FATE_MOVED;
}

static bool has_come_to_its_end(struct world *w, const void *what)
{
	const struct fated *file = what;
	_cleanup_free_ char *sidecar = world_path_of(w, file->place, suffix_of(file));
	_cleanup_free_ char *text = NULL;
	size_t length;

	if (leaves_its_place(file) && world_exists(w, file->dropped))
		return false;
	return fs_read_file(AT_FDCWD, sidecar, SIDECAR_SIZE_MAX, &text, &length) == 0 &&
	       sidecar_speaks_of(text, length, file->size, file->modified) == 1;
}

bool fates_wait(struct world *w, const struct fates *fates)
{
	for (size_t i = 0; i < fates->count; i++) {
		const struct fated *file = &fates->list[i];

		if (world_until(w, file->place, has_come_to_its_end, file))
			continue;
		if (w->pid == 0)
			return false;
		fail_msg("%s did not come to its end in time", file->dropped);
	}
	return true;
}

/* ---- one file ---- */

static const char *base_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

static void assert_speaks_of(struct json_object *sidecar, const struct fated *file)
{
	struct timespec modified;

	assert_string_equal(world_text(sidecar, "name"), base_of(file->dropped));
	assert_int_equal(world_number(sidecar, "size"), file->size);
	assert_int_equal(clock_parse(world_text(sidecar, "modified"), &modified), 0);
	assert_true(fs_same_time(modified, file->modified));
}

static void check_refused(struct world *w, const struct fated *file)
{
	_cleanup_(json_putp) struct json_object *sidecar = world_error_sidecar(
		w, file->place);

	assert_speaks_of(sidecar, file);
	assert_string_equal(world_text(sidecar, "stage"), "create");
	assert_int_equal(world_number(sidecar, "httpStatus"), 400);
	assert_true(world_exists(w, file->place));
}

static void check_uploaded(struct world *w, struct fated *file)
{
	_cleanup_(json_putp) struct json_object *sidecar = world_sidecar(w, file->place);
	struct service_asset asset;

	assert_speaks_of(sidecar, file);
	if (!service_asset_by_id(w->service, world_text(sidecar, "id"), &asset))
		fail_msg("the service knows no asset %s", world_text(sidecar, "id"));
	if (service_same_content(w->service, asset.id, file->copy) != 1)
		fail_msg("asset %s does not hold what %s did", asset.id, file->dropped);
	if (file->fate == FATE_DELETED)
		assert_false(world_exists(w, file->place));
	else
		world_assert_uploaded_as(w, file->place, base_of(file->dropped));
	assert_int_equal(replace_string(&file->asset, asset.id), 0);
}

static void count_sidecars(struct world *w, const struct fated *file,
			   struct findings *findings)
{
	bool elsewhere = !streq(file->place, file->dropped);
	size_t n = 0;

	n += world_has_sidecar(w, file->place) + world_has_error_sidecar(w, file->place);
	if (elsewhere)
		n += world_has_sidecar(w, file->dropped) +
		     world_has_error_sidecar(w, file->dropped);
	if (n == 0)
		print_message("# lost: %s\n", file->dropped);
	if (n > 1)
		print_message("# two sidecars: %s\n", file->dropped);
	findings->files++;
	findings->sidecars += n;
	findings->lost += n == 0;
	findings->twice += n > 1;
}

static void check_file(struct world *w, struct fated *file)
{
	if (file->fate == FATE_REFUSED)
		check_refused(w, file);
	else
		check_uploaded(w, file);
	if (leaves_its_place(file))
		assert_false(world_exists(w, file->dropped));
}

/* ---- everything else ---- */

/* Such as fs_write_atomic() makes. What a kill leaves of an error sidecar, of which there
 * is no record, is removed by the first scan of its spool that finds it old. */
static bool may_be_left(const struct world *w, const FTSENT *entry)
{
	const char *digits = entry->fts_name + STRLEN(FS_TEMPORARY_PREFIX);

	return strspn(digits, "0123456789abcdef") == 16 &&
	       streq(digits + 16, FS_TEMPORARY_SUFFIX) &&
	       startswith(entry->fts_path, w->spool);
}

static size_t count_files(struct world *w, size_t *ret_temporaries)
{
	_cleanup_free_ char *done = fate_done_path(w, "");
	char *const places[] = { w->spool, w->spools[SPOOL_DELETED],
				 w->spools[SPOOL_MOVED], done, NULL };
	FTS *walk = fts_open(places, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	size_t files = 0, temporaries = 0;
	const FTSENT *entry;

	assert_non_null(walk);
	while ((entry = fts_read(walk))) {
		if (entry->fts_info == FTS_D || entry->fts_info == FTS_DP)
			continue;
		assert_int_equal(entry->fts_info, FTS_F);
		if (!fs_is_temporary(entry->fts_name))
			files++;
		else if (may_be_left(w, entry))
			temporaries++;
		else
			fail_msg("%s was left", entry->fts_path);
	}
	(void)fts_close(walk);
	*ret_temporaries = temporaries;
	return files;
}

static size_t count_fate(const struct fates *fates, enum fate fate)
{
	size_t n = 0;

	for (size_t i = 0; i < fates->count; i++)
		n += fates->list[i].fate == fate;
	return n;
}

static void assert_nothing_remembered(struct world *w)
{
	struct ledger *ledger = NULL;
	char *aside = NULL;
	uint64_t rows[4] = { 0 };

	assert_int_equal(ledger_open(w->state, &ledger, &aside), 0);
	assert_null(aside);
	ledger_counts(ledger, rows);
	ledger_close(ledger);
	assert_int_equal(rows[LEDGER_GRANTED], 0);
	assert_int_equal(rows[LEDGER_UPLOADED], 0);
	assert_int_equal(rows[LEDGER_WAITING], 0);
}

void fates_check(struct world *w, struct fates *fates, size_t kills,
		 struct findings *findings)
{
	size_t temporaries;

	for (size_t i = 0; i < fates->count; i++)
		count_sidecars(w, &fates->list[i], findings);
	assert_int_equal(findings->lost, 0);
	assert_int_equal(findings->twice, 0);
	for (size_t i = 0; i < fates->count; i++)
		check_file(w, &fates->list[i]);
	assert_int_equal(count_files(w, &temporaries),
			 2 * fates->count - count_fate(fates, FATE_DELETED) +
				 fates->strangers);
	assert_in_range(temporaries, 0, kills * count_fate(fates, FATE_REFUSED));
	findings->temporaries += temporaries;
	assert_nothing_remembered(w);
}
