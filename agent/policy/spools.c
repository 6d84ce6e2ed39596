#include "spools.h"
#include "config-diff.h"
#include "log.h"
#include "macro.h"
#include "place.h"
#include "spool-news.h"
#include "strays.h"
#include "uploader-rehome.h"

#define STRAYS_A_TURN 64	      /* before the loop's other sources get theirs */
#define LOOK_DELAY    USEC_PER_MINUTE /* at a file whose row can't be read */

struct spools {
	sd_event *event;
	struct ledger *ledger;
	struct failures *failures;
	struct report *report;
	struct uploader *uploader; /* of the last spools_apply() */
	struct watch *watch;	   /* NULL: look once */
	const struct config *config;
	struct spool **list;
	size_t count;
	bool away;
	uint64_t unplaced;
	/* Unfinished rows that have no place, or whose spool is not there. */
	struct strays strays;
	uint64_t walked; /* of these, in their order */
	sd_event_source *walk_source;
	bool walking;
};

struct spools_plan {
	const struct config *config;
	struct spool **list; /* one for each of the configuration */
	bool *is_new;	     /* else it is there already */
	size_t count;
};

/* ---- what was unfinished ---- */

static void walk(struct spools *spools, bool on)
{
	spools->walking = on;
	(void)sd_event_source_set_enabled(spools->walk_source,
					  on ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void walk_again(struct spools *spools)
{
	spools->walked = 0;
	walk(spools, strays_count(&spools->strays) > 0);
}

void spools_keep(struct spools *spools, const struct spool_directory *directory,
		 const char *name, uint64_t serial)
{
	/* Without memory for it, the next start restores it. */
	(void)strays_add(&spools->strays, spool_directory_path(directory), name, serial);
}

void spools_take_in(struct spools *spools)
{
	walk(spools, strays_count(&spools->strays) > 0);
}

/* 1: taken over, 0: its spool is not there; -ENOBUFS: it has no place; or, for want of
 * memory or descriptors, another negative errno. */
static int restore_row(struct spools *spools, const struct ledger_row *row)
{
	for (size_t i = 0; i < spools->count; i++) {
		_cleanup_(
			spool_directory_unrefp) struct spool_directory *directory = NULL;
		int r = spool_find_directory(spools->list[i], row->directory, &directory);

		if (r == 0)
			continue;
		if (r > 0)
			r = uploader_restore(spools->uploader, directory, row);
		if (r == 0 || errno_is_shortage(r))
			return r == 0 ? 1 : r;
	}
	return 0;
}

struct restoring {
	struct spools *spools;
	size_t away; /* whose spool is not there */
};

static int on_row(void *userdata, const struct ledger_row *row)
{
	struct restoring *restoring = userdata;
	struct spools *spools = restoring->spools;
	int r = restore_row(spools, row);

	if (r == 1)
		return 0;
	restoring->away += r == 0;
	return strays_add(&spools->strays, row->directory, row->name, row->serial);
}

int spools_restore(struct spools *spools)
{
	struct restoring restoring = { .spools = spools };
	/* Uploads come first: a later grant of the same name must find them finished. */
	int r = ledger_each(spools->ledger, LEDGER_UPLOADED, on_row, &restoring);

	if (r >= 0)
		r = ledger_each(spools->ledger, LEDGER_GRANTED, on_row, &restoring);
	if (r >= 0 && restoring.away > 0)
		log_notice(
			LOG_UNFINISHED_AWAY,
			"Files that were on their way, and lie in no spool that is there now: "
			"%zu. What is known of them is kept until it is.",
			restoring.away);
	return r;
}

/* Takes over the row of @key, or that one if it is of the file @name in @path: 1; 0: its
 * spool is not there, or it is another file's; or a negative errno. */
static int take_in(struct spools *spools, uint64_t key, const char *path,
		   const char *name)
{
	struct ledger_row row;
	int r = ledger_get(spools->ledger, strays_serial(key), &row);

	if (r < 0 ||
	    (r > 0 && name && !(streq(row.name, name) && streq(row.directory, path))))
		return MIN(r, 0);
	if (r > 0)
		r = restore_row(spools, &row);
	else
		r = 1; /* it is of no more use to anybody */
	if (r > 0)
		strays_remove(&spools->strays, key);
	return r;
}

/* Once through all of them, as far as there is room. Those of one file go together, or it
 * would be asked for anew after the end of the first. */
static int on_walk(sd_event_source *source, void *userdata)
{
	struct spools *spools = userdata;

	(void)source;
	for (int i = 0;; i++) {
		uint64_t key = strays_next(&spools->strays, spools->walked);

		if (i >= STRAYS_A_TURN && !strays_is_like(key, spools->walked))
			return 0;
		if (key == 0)
			spools->walked = 0;
		if (key == 0 || take_in(spools, key, NULL, NULL) == -ENOBUFS) {
			walk(spools, false);
			return 0;
		}
		spools->walked = key;
	}
}

/* The rows of the file go before it. False: one of them can't now. */
static bool take_in_of(struct spools *spools, struct spool_directory *directory,
		       const char *name)
{
	const char *path = spool_directory_path(directory);
	uint64_t key = 0;

	while ((key = strays_next_of(&spools->strays, path, name, key))) {
		int r = take_in(spools, key, path, name);

		/* It is walked to when there is room; else nothing would bring it back.
		 */
		if (r < 0 && r != -ENOBUFS) {
			spool_look_at(directory, usec_add(clock_monotonic(), LOOK_DELAY));
			/* Who looks once has ended by then. */
			spools->unplaced += !spools->watch;
		}
		if (r < 0)
			return false;
	}
	return true;
}

/* ---- what goes on in a spool that is there again ---- */

/* The path by which the directory of @inner is reached in the spool at @path, whose place
 * @outer is; NULL: it is not in it. */
static char *path_in(const char *path, const struct place *outer,
		     const struct place *inner)
{
	char *found;

	if (!place_is_same(inner, outer) && !place_is_inside(inner, outer))
		return NULL;
	return asprintf(&found, "%s%s", path, inner->path + strlen(outer->path)) < 0
		       ? NULL
		       : found;
}

static int find_by_place(struct spools *spools, const char *path,
			 struct spool_directory **ret)
{
	struct place inner = {};
	int r = place_find(path, &inner);

	if (r < 0)
		return r;
	r = 0;
	for (size_t i = 0; i < spools->count && r <= 0; i++) {
		const char *root = spool_config(spools->list[i])->path;
		_cleanup_free_ char *known_as = NULL;
		struct place outer = {};

		if (place_find(root, &outer) < 0)
			continue;
		known_as = path_in(root, &outer, &inner);
		place_done(&outer);
		if (known_as)
			r = spool_find_directory(spools->list[i], known_as, ret);
	}
	place_done(&inner);
	return r;
}

static int on_find(void *userdata, const char *path, bool by_place,
		   struct spool_directory **ret)
{
	struct spools *spools = userdata;
	int r = 0;

	for (size_t i = 0; i < spools->count && r <= 0; i++)
		r = spool_find_directory(spools->list[i], path, ret);
	return r <= 0 && by_place ? find_by_place(spools, path, ret) : r;
}

static void take_back(struct spools *spools)
{
	uploader_rehome(spools->uploader, on_find, spools);
	walk_again(spools);
}

/* What is under way goes on, and belongs to the spool again if that is found to be the
 * same; of the rest, what is on record is kept for that day. */
static void let_go(struct spools *spools, const struct spool *spool)
{
	uploader_unhome(spools->uploader, spools->config, spool);
	uploader_rehome(spools->uploader, on_find, spools);
}

/* ---- what they tell ---- */

static bool on_candidate(void *userdata, struct spool_directory *directory,
			 const char *name, usec_t at, const struct stat *st)
{
	struct spools *spools = userdata;

	/* Asked for anew, it would be there twice. */
	if (strays_count(&spools->strays) > 0 && !take_in_of(spools, directory, name))
		return true;
	return uploader_candidate(spools->uploader, directory, name, at, st);
}

static void on_not_a_file(void *userdata, struct spool_directory *directory,
			  const char *name, const char *why, bool file)
{
	struct spools *spools = userdata;

	if (file)
		spools->unplaced++;
	spool_news_tell_not_a_file(spools->failures, directory, name, why);
}

static void on_news(void *userdata, struct spool *spool,
		    struct spool_directory *directory, enum spool_news news, int error)
{
	struct spools *spools = userdata;

	spool_news_tell(spool, directory, news, error);
	report_changed(spools->report);
	switch (news) {
	case SPOOL_AWAY:
	case SPOOL_DIRECTORY_UNWRITABLE:
	case SPOOL_DIRECTORY_UNREADABLE: spools->away = true; break;
	case SPOOL_LOST: let_go(spools, spool); break;
	case SPOOL_FOUND: take_back(spools); break;
	case SPOOL_BACK:
	case SPOOL_POLLING: break;
	}
}

static void on_event(void *userdata, void *owner, enum watch_event event,
		     const char *name)
{
	(void)userdata;
	spool_event(owner, event, name);
}

static void on_overflow(void *userdata)
{
	struct spools *spools = userdata;

	log_debug("The kernel dropped events; looking through all spools again.");
	for (size_t i = 0; i < spools->count; i++)
		spool_look_again(spools->list[i]);
}

static void on_rerouted(void *userdata)
{
	struct spools *spools = userdata;

	for (size_t i = 0; i < spools->count; i++)
		spool_check(spools->list[i]);
}

/* ---- another configuration ---- */

void spools_plan_free(struct spools_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->count; i++)
		if (plan->is_new[i])
			spool_free(plan->list[i]);
	free(plan->list);
	free(plan->is_new);
	free(plan);
}

DEFINE_CLEANUP(struct spools_plan *, spools_plan_freep, spools_plan_free)

/* The one with the same settings, or NULL. */
static struct spool *find_same(const struct spools *spools,
			       const struct config_spool *config)
{
	for (size_t i = 0; i < spools->count; i++)
		if (config_spool_is_same(spool_config(spools->list[i]), config))
			return spools->list[i];
	return NULL;
}

static int plan_next(struct spools *spools, struct spools_plan *plan)
{
	static const struct spool_ops ops = { on_candidate, on_not_a_file, on_news };
	const struct config_spool *config = &plan->config->spools[plan->count];
	struct spool *spool = find_same(spools, config);
	int r;

	plan->is_new[plan->count] = !spool;
	if (!spool) {
		r = spool_new(spools->event, spools->watch, config, &ops, spools, &spool);
		if (r < 0)
			return r;
	}
	plan->list[plan->count++] = spool;
	return 0;
}

int spools_prepare(struct spools *spools, const struct config *config,
		   struct spools_plan **ret)
{
	_cleanup_(spools_plan_freep) struct spools_plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return -ENOMEM;
	plan->config = config;
	plan->list = calloc(config->spool_count, sizeof(struct spool *));
	plan->is_new = calloc(config->spool_count, sizeof(*plan->is_new));
	if (!plan->list || !plan->is_new)
		return -ENOMEM;
	while (plan->count < config->spool_count) {
		int r = plan_next(spools, plan);

		if (r < 0)
			return r;
	}
	*ret = take_ptr(plan);
	return 0;
}

static bool stays(const struct spools_plan *plan, const struct spool *spool)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->list[i] == spool)
			return true;
	return false;
}

/* The new one of the same path counts on. */
static void bequeath(const struct spools_plan *plan, const struct spool *spool)
{
	const char *path = spool_config(spool)->path;

	for (size_t i = 0; i < plan->count; i++)
		if (plan->is_new[i] && streq(spool_config(plan->list[i])->path, path))
			spool_inherit(plan->list[i], spool);
}

/* All of them, before any is opened: two may not watch the same directory. */
static void close_others(struct spools *spools, const struct spools_plan *plan)
{
	for (size_t i = 0; i < spools->count; i++) {
		struct spool *spool = spools->list[i];

		if (stays(plan, spool))
			continue;
		uploader_unhome(spools->uploader, spools->config, spool);
		bequeath(plan, spool);
		spool_free(spool);
	}
	free(spools->list);
}

void spools_apply(struct spools *spools, struct spools_plan *plan,
		  struct uploader *uploader)
{
	spools->uploader = uploader;
	close_others(spools, plan);
	spools->config = plan->config;
	spools->list = take_ptr(plan->list);
	spools->count = plan->count;
	uploader_share(uploader, MAX(plan->count, (size_t)1));
	for (size_t i = 0; i < plan->count; i++)
		if (!plan->is_new[i])
			spool_set_config(spools->list[i], &plan->config->spools[i]);
	for (size_t i = 0; i < plan->count; i++)
		if (plan->is_new[i])
			spool_open(spools->list[i]);
	plan->count = 0;
	spools_plan_free(plan);
	take_back(spools);
}

/* ---- from outside ---- */

void spools_resume(struct spools *spools, const struct spool *spool)
{
	for (size_t i = 0; i < spools->count; i++)
		if (!spool || spools->list[i] == spool)
			spool_resume(spools->list[i]);
}

bool spools_are_quiet(const struct spools *spools)
{
	if (spools->walking)
		return false;
	for (size_t i = 0; i < spools->count; i++)
		if (!spool_is_quiet(spools->list[i]))
			return false;
	return true;
}

struct spool *const *spools_list(const struct spools *spools, size_t *ret_count)
{
	*ret_count = spools->count;
	return spools->list;
}

uint64_t spools_unplaced(const struct spools *spools)
{
	return spools->unplaced;
}

bool spools_were_away(const struct spools *spools)
{
	return spools->away;
}

void spools_free(struct spools *spools)
{
	if (!spools)
		return;
	for (size_t i = 0; i < spools->count; i++)
		spool_free(spools->list[i]);
	free(spools->list);
	strays_done(&spools->strays);
	sd_event_source_disable_unref(spools->walk_source);
	watch_free(spools->watch);
	free(spools);
}

/* Behind what is under way, as a scan is. */
static int add_walk(struct spools *spools)
{
	int r = sd_event_add_defer(spools->event, &spools->walk_source, on_walk, spools);

	if (r < 0)
		return r;
	walk(spools, false);
	return sd_event_source_set_priority(spools->walk_source, SD_EVENT_PRIORITY_IDLE);
}

int spools_new(sd_event *event, struct ledger *ledger, struct failures *failures,
	       struct report *report, bool once, struct spools **ret)
{
	static const struct watch_ops ops = { on_event, on_overflow, on_rerouted };
	struct spools *spools = calloc(1, sizeof(*spools));
	int r = 0;

	if (!spools)
		return -ENOMEM;
	spools->event = event;
	spools->ledger = ledger;
	spools->failures = failures;
	spools->report = report;
	if (!once)
		r = watch_new(event, &ops, spools, &spools->watch);
	if (r >= 0)
		r = add_walk(spools);
	if (r < 0) {
		spools_free(spools);
		return r;
	}
	*ret = spools;
	return 0;
}
