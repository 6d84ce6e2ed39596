#include "spool-disks.h"
#include "log.h"
#include "macro.h"
#include "random.h"
#include "text.h"

#define STAGE "spool"

/* ---- its life ---- */

static void disk_free(struct spool_disk *disk)
{
	if (!disk)
		return;
	free(disk->path);
	free(disk->spool);
	free(disk->why);
	free(disk);
}

static void forget(struct spool_disk *disk)
{
	LIST_REMOVE(disk, link);
	disk_free(disk);
}

static struct spool_disk *add(struct spool_disks *disks, const struct config_spool *spool)
{
	struct spool_disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		return NULL;
	disk->breaker.backoff = disks->backoff;
	disk->path = strdup(spool->path);
	disk->spool = strdup(spool->name);
	if (!disk->path || !disk->spool) {
		disk_free(disk);
		return NULL;
	}
	LIST_INSERT_HEAD(&disks->away, disk, link);
	return disk;
}

void spool_disks_init(struct spool_disks *disks, const struct backoff *backoff)
{
	*disks = (struct spool_disks){ .backoff = *backoff };
	LIST_INIT(&disks->away);
}

void spool_disks_done(struct spool_disks *disks)
{
	while (!LIST_EMPTY(&disks->away))
		forget(LIST_FIRST(&disks->away));
}

static const struct config_spool *find_spool(const struct config *config,
					     const char *path)
{
	for (size_t i = 0; i < config->spool_count; i++)
		if (streq(config->spools[i].path, path))
			return &config->spools[i];
	return NULL;
}

void spool_disks_configure(struct spool_disks *disks, const struct backoff *backoff,
			   const struct config *config)
{
	struct spool_disk *disk = LIST_FIRST(&disks->away), *next;
	usec_t now = clock_monotonic();

	disks->backoff = *backoff;
	for (; disk; disk = next) {
		const struct config_spool *spool = find_spool(config, disk->path);

		next = LIST_NEXT(disk, link);
		if (!spool) {
			forget(disk);
			continue;
		}
		disk->breaker.backoff = *backoff;
		breaker_hurry(&disk->breaker, now, false);
		/* Without memory for it, it is called as it was. */
		(void)replace_string(&disk->spool, spool->name);
	}
}

/* ---- which ---- */

static struct spool_disk *find(const struct spool_disks *disks, const char *path)
{
	struct spool_disk *disk;

	if (!path)
		return NULL;
	LIST_FOREACH (disk, &disks->away, link)
		if (streq(disk->path, path))
			return disk;
	return NULL;
}

const struct spool_disk *spool_disks_find(const struct spool_disks *disks,
					  const char *path)
{
	return find(disks, path);
}

/* That which the one with *@ticket probes, and is told by it once; NULL: none. */
static struct spool_disk *take_probe(struct spool_disks *disks, uint64_t *ticket)
{
	uint64_t mine = *ticket;
	struct spool_disk *disk;

	*ticket = 0;
	if (mine == 0)
		return NULL;
	LIST_FOREACH (disk, &disks->away, link)
		if (disk->ticket == mine) {
			disk->ticket = 0;
			return disk;
		}
	return NULL;
}

/* ---- when ---- */

usec_t spool_disks_next(const struct spool_disks *disks, const char *path, usec_t now)
{
	const struct spool_disk *disk = find(disks, path);

	return disk ? breaker_next(&disk->breaker, now) : now;
}

uint64_t spool_disks_start(struct spool_disks *disks, const char *path)
{
	struct spool_disk *disk = find(disks, path);

	if (!disk || !breaker_start(&disk->breaker))
		return 0;
	disk->ticket = ++disks->tickets;
	return disk->ticket;
}

/* ---- what came of it ---- */

static void say_gone(const struct spool_disk *disk, usec_t now)
{
	char span[CLOCK_STRING_MAX];
	usec_t wait = MAX(usec_sub(disk->breaker.next_probe, now), 1U);
	const char *why = disk->why ? disk->why : "no reason is known";
	const struct log_fields fields = { .spool = disk->spool,
					   .stage = STAGE,
					   .retry = wait };

	log_event(LOG_WARNING, LOG_SPOOL_DISK_AWAY, &fields,
		  "The disk of the spool %s can't be written (%s): %.*s. Files of this "
		  "spool wait, and none is lost; next try in %s.",
		  disk->spool, disk->path, text_clause(why), why,
		  clock_format_span(span, wait));
}

int spool_disks_failed(struct spool_disks *disks, const struct config_spool *spool,
		       uint64_t *ticket, const char *why)
{
	struct spool_disk *disk = take_probe(disks, ticket);
	bool probe = disk;
	usec_t now = clock_monotonic();

	if (!disk)
		disk = find(disks, spool->path);
	if (!disk)
		disk = add(disks, spool);
	if (!disk)
		return -ENOMEM;
	(void)replace_string(&disk->why, why);
	if (breaker_failed(&disk->breaker, probe, now, 0, random_draw()) ==
	    BREAKER_OPENED) {
		disk->since = clock_realtime();
		say_gone(disk, now);
	} else {
		log_debug("%s: %s", disk->path,
			  probe ? "the probe failed too" : "one more failure");
	}
	return 0;
}

void spool_disks_works(struct spool_disks *disks, uint64_t *ticket)
{
	struct spool_disk *disk = take_probe(disks, ticket);
	struct log_fields fields = { .stage = STAGE };
	char span[CLOCK_STRING_MAX];

	if (!disk || breaker_succeeded(&disk->breaker, true) != BREAKER_CLOSED_AGAIN)
		return;
	fields.spool = disk->spool;
	log_event(LOG_NOTICE, LOG_SPOOL_DISK_BACK, &fields,
		  "The disk of the spool %s can be written again (%s) after %s.",
		  disk->spool, disk->path,
		  clock_format_span(span,
				    usec_sub(clock_monotonic(), disk->breaker.since)));
	forget(disk);
}

void spool_disks_leave(struct spool_disks *disks, uint64_t *ticket)
{
	struct spool_disk *disk = take_probe(disks, ticket);

	if (disk)
		breaker_abandoned(&disk->breaker, true);
}

unsigned spool_disks_failures(const struct spool_disks *disks)
{
	const struct spool_disk *disk;
	unsigned most = 0;

	LIST_FOREACH (disk, &disks->away, link)
		most = MAX(most, disk->breaker.failures);
	return most;
}
