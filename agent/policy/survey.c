#include "survey.h"
#include "macro.h"

/* The two clocks at one moment: what waits does so on the monotonic one. */
struct now {
	usec_t mono, real;
};

/* 0, there is no such instant, stays 0. */
static usec_t to_real(const struct now *now, usec_t mono)
{
	if (mono == 0 || mono == USEC_INFINITY)
		return 0;
	return mono > now->mono ? usec_add(now->real, mono - now->mono)
				: usec_sub(now->real, now->mono - mono);
}

/* ---- files ---- */

uint64_t survey_uploading(const struct uploader_stats *stats)
{
	return stats->moving - stats->recording;
}

uint64_t survey_waiting(const struct uploader_stats *stats)
{
	return stats->waiting + stats->recording;
}

struct tour {
	const struct survey *survey;
	struct now now;
	struct snapshot snapshot;
	size_t room; /* for transfers */
	/* The soonest, with the latest of them last. */
	struct uploader_file retries[SNAPSHOT_RETRIES_MAX];
	size_t retry_count;
	usec_t oldest; /* monotonic */
	size_t needing[HEALTH_STORAGE + HEALTH_HOSTS_MAX];
	size_t needing_any; /* any storage host */
	int error;
};

static char *path_of(const struct uploader_file *file)
{
	char *path;

	return asprintf(&path, "%s/%s", spool_directory_path(file->directory),
			file->name) < 0
		       ? NULL
		       : path;
}

/* 0 or -ENOMEM; the name stays NULL for a directory that left its spool. */
static int name_file(const struct uploader_file *file, char **ret_path, char **ret_spool)
{
	const struct spool *spool = spool_of(file->directory);

	*ret_path = path_of(file);
	if (!*ret_path)
		return -ENOMEM;
	return spool ? replace_string(ret_spool, spool_config(spool)->name) : 0;
}

static void add_transfer(struct tour *tour, const struct uploader_file *file)
{
	static const enum snapshot_step STEPS[] = {
		[STEP_TAKE] = SNAPSHOT_TAKE,
		[STEP_ASK] = SNAPSHOT_ASK,
		[STEP_RECORD_GRANT] = SNAPSHOT_RECORD_GRANT,
		[STEP_SEND] = SNAPSHOT_SEND,
		[STEP_RECORD_UPLOAD] = SNAPSHOT_RECORD_UPLOAD,
		[STEP_DISPOSE] = SNAPSHOT_DISPOSE,
		[STEP_GIVE_UP] = SNAPSHOT_GIVE_UP,
	};
	const struct transfer *t = file->transfer;
	struct snapshot *snapshot = &tour->snapshot;
	struct snapshot_transfer *transfer;

	if (!t || snapshot->transfer_count == tour->room)
		return;
	transfer = &snapshot->transfers[snapshot->transfer_count++];
	transfer->step = STEPS[t->step];
	transfer->size = t->identity.size;
	transfer->sent = transfer_sent(t);
	transfer->started = to_real(&tour->now, t->tried ? t->tried : tour->now.mono);
	transfer->attempt = t->attempts + 1ULL;
	if (name_file(file, &transfer->file, &transfer->spool) < 0)
		tour->error = -ENOMEM;
}

static void note_retry(struct tour *tour, const struct uploader_file *file)
{
	size_t at = tour->retry_count;

	while (at > 0 && tour->retries[at - 1].at > file->at)
		at--;
	if (at == ARRAY_SIZE(tour->retries))
		return;
	if (tour->retry_count < ARRAY_SIZE(tour->retries))
		tour->retry_count++;
	memmove(&tour->retries[at + 1], &tour->retries[at],
		(tour->retry_count - at - 1) * sizeof(*file));
	tour->retries[at] = *file;
}

/* For whom does it wait? */
static void note_needs(struct tour *tour, unsigned needs)
{
	for (unsigned i = 0; i < HEALTH_STORAGE; i++)
		tour->needing[i] += needs >> i & 1;
	for (unsigned i = HEALTH_STORAGE; i < ARRAY_SIZE(tour->needing); i++)
		tour->needing[i] += needs & health_need_of(i) ? 1 : 0;
	tour->needing_any += needs & NEED_STORAGE ? 1 : 0;
}

static void on_file(void *userdata, const struct uploader_file *file)
{
	struct tour *tour = userdata;

	switch (file->state) {
	case ITEM_MOVING: add_transfer(tour, file); return;
	case ITEM_WAITING: note_retry(tour, file); break;
	case ITEM_READY: note_needs(tour, file->needs); break;
	case ITEM_SETTLING:
	case ITEM_NEW:
	case ITEM_GONE:
	case ITEM_STATES: break;
	}
	tour->oldest = MIN(tour->oldest, file->since);
}

/* What was not told since the start is not known any more. */
static enum stage stage_of(const struct transfer *t)
{
	if (t->sidecar_failures > 0)
		return STAGE_SPOOL;
	if (t->error.developer_message)
		return t->stage;
	return t->id ? STAGE_UPLOAD : STAGE_CREATE;
}

static int add_retry(struct tour *tour, const struct uploader_file *file)
{
	struct snapshot *snapshot = &tour->snapshot;
	struct snapshot_retry *retry = &snapshot->retries[snapshot->retry_count++];
	const struct transfer *t = file->transfer;

	retry->attempts = file->attempts;
	retry->next_try = to_real(&tour->now, file->at);
	if (name_file(file, &retry->file, &retry->spool) < 0)
		return -ENOMEM;
	if (!t)
		return 0;
	retry->stage = stage_of(t);
	if (t->sidecar_failures > 0)
		return replace_string(&retry->why, "its sidecar can't be written");
	return replace_string(&retry->why, t->error.developer_message);
}

static int survey_files(struct tour *tour)
{
	struct snapshot *snapshot = &tour->snapshot;
	struct uploader_stats stats = uploader_stats(tour->survey->uploader);

	snapshot->uploading = survey_uploading(&stats);
	snapshot->waiting = survey_waiting(&stats);
	snapshot->more = stats.more;
	snapshot->uploaded = stats.uploaded;
	snapshot->bytes = stats.bytes;
	snapshot->failed = stats.failed;
	tour->room = MIN(stats.moving, (size_t)SNAPSHOT_TRANSFERS_MAX);
	snapshot->transfers = calloc(MAX(tour->room, 1U), sizeof(*snapshot->transfers));
	if (!snapshot->transfers)
		return -ENOMEM;
	uploader_each(tour->survey->uploader, on_file, tour);
	if (tour->oldest != USEC_INFINITY)
		snapshot->oldest_waiting = to_real(&tour->now, tour->oldest);
	snapshot->retries = calloc(MAX(tour->retry_count, 1U),
				   sizeof(*snapshot->retries));
	if (!snapshot->retries)
		return -ENOMEM;
	for (size_t i = 0; i < tour->retry_count && tour->error == 0; i++)
		tour->error = add_retry(tour, &tour->retries[i]);
	return tour->error;
}

/* ---- services ---- */

static bool is_away(const struct health *health, unsigned index)
{
	return health->services[index].breaker.state != BREAKER_CLOSED;
}

static bool any_storage_works(const struct health *health)
{
	for (unsigned i = HEALTH_STORAGE; i < health->used; i++)
		if (!is_away(health, i) && health_counts(health, i))
			return true;
	return false;
}

static size_t waiting_for(const struct tour *tour, unsigned index)
{
	size_t waiting = tour->needing[index];

	/* A host that is not granted yet may be any. */
	if (index >= HEALTH_STORAGE && !any_storage_works(tour->survey->health))
		waiting += tour->needing_any;
	return waiting;
}

static const char *const NAMES[] = {
	[HEALTH_AUTH] = "auth",
	[HEALTH_API] = "api",
	[HEALTH_DISK] = "disk",
	[HEALTH_STORAGE] = "storage",
};

static int add_service(struct tour *tour, unsigned index)
{
	const struct health_service *from = &tour->survey->health->services[index];
	struct snapshot *snapshot = &tour->snapshot;
	struct snapshot_service *to = &snapshot->services[snapshot->service_count++];

	if (replace_string(&to->name, NAMES[MIN(index, (unsigned)HEALTH_STORAGE)]) < 0 ||
	    replace_string(&to->target, from->name) < 0)
		return -ENOMEM;
	if (!is_away(tour->survey->health, index))
		return 0;
	to->health = SNAPSHOT_AWAY;
	to->since = from->since;
	to->waiting = waiting_for(tour, index);
	if (from->breaker.state == BREAKER_OPEN)
		to->next_try = to_real(&tour->now, from->breaker.next_probe);
	return replace_string(&to->why, from->why);
}

struct queue {
	const struct spool_disk *disk;
	size_t waiting; /* files */
};

static void count_waiting(void *userdata, const struct uploader_file *file)
{
	const struct spool *spool = spool_of(file->directory);
	struct queue *queue = userdata;

	queue->waiting += file->state == ITEM_READY && spool &&
			  streq(spool_config(spool)->path, queue->disk->path);
}

/* The disk of a spool, which is away. Called as that of the state is, by its path. */
static int add_disk(struct tour *tour, const struct spool_disk *disk)
{
	struct snapshot *snapshot = &tour->snapshot;
	struct snapshot_service *to = &snapshot->services[snapshot->service_count++];
	struct queue queue = { .disk = disk };

	uploader_each(tour->survey->uploader, count_waiting, &queue);
	to->health = SNAPSHOT_AWAY;
	to->since = disk->since;
	to->waiting = queue.waiting;
	if (disk->breaker.state == BREAKER_OPEN)
		to->next_try = to_real(&tour->now, disk->breaker.next_probe);
	if (replace_string(&to->name, NAMES[HEALTH_DISK]) < 0 ||
	    replace_string(&to->target, disk->path) < 0)
		return -ENOMEM;
	return replace_string(&to->why, disk->why);
}

static size_t count_disks(const struct spool_disks *disks)
{
	const struct spool_disk *disk;
	size_t count = 0;

	LIST_FOREACH (disk, &disks->away, link)
		count++;
	return count;
}

static int survey_services(struct tour *tour)
{
	const struct health *health = tour->survey->health;
	const struct spool_disks *disks = tour->survey->disks;
	const struct spool_disk *disk;
	int r = 0;

	tour->snapshot.services = calloc(health->used + count_disks(disks),
					 sizeof(struct snapshot_service));
	if (!tour->snapshot.services)
		return -ENOMEM;
	for (unsigned i = 0; i < health->used && r == 0; i++)
		if (!is_away(health, i) || health_counts(health, i) ||
		    tour->needing[i] > 0)
			r = add_service(tour, i);
	LIST_FOREACH (disk, &disks->away, link)
		r = r < 0 ? r : add_disk(tour, disk);
	return r;
}

/* ---- spools ---- */

static int add_spool(struct snapshot_spool *to, const struct spool *spool)
{
	static const enum snapshot_watch WATCHES[] = {
		[SPOOL_IS_WATCHED] = SNAPSHOT_WATCHING,
		[SPOOL_IS_POLLED] = SNAPSHOT_POLLING,
		[SPOOL_IS_AWAY] = SNAPSHOT_SPOOL_AWAY,
		[SPOOL_IS_HELD] = SNAPSHOT_HELD,
	};
	const struct spool_stats stats = spool_stats(spool);
	const struct config_spool *config = spool_config(spool);

	to->watch = WATCHES[stats.state];
	to->uploaded = stats.uploaded;
	to->failed = stats.failed;
	if (replace_string(&to->name, config->name) < 0 ||
	    replace_string(&to->path, config->path) < 0)
		return -ENOMEM;
	return replace_string(&to->why, stats.why);
}

static int survey_spools(struct tour *tour)
{
	const struct survey *survey = tour->survey;
	struct snapshot *snapshot = &tour->snapshot;
	int r = 0;

	snapshot->spools = calloc(MAX(survey->spool_count, 1U),
				  sizeof(*snapshot->spools));
	if (!snapshot->spools)
		return -ENOMEM;
	for (size_t i = 0; i < survey->spool_count && r == 0; i++)
		r = add_spool(&snapshot->spools[snapshot->spool_count++],
			      survey->spools[i]);
	return r;
}

int survey_take(const struct survey *survey, struct snapshot *ret)
{
	struct tour tour = {
		.survey = survey,
		.now = { clock_monotonic(), clock_realtime() },
		.snapshot = { .state = survey->state },
		.oldest = USEC_INFINITY,
	};
	int r = survey_files(&tour);

	if (r == 0)
		r = survey_services(&tour);
	if (r == 0)
		r = survey_spools(&tour);
	if (r < 0) {
		snapshot_done(&tour.snapshot);
		return r;
	}
	*ret = tour.snapshot;
	return 0;
}
