#include <stdarg.h>

#include "bucket.h"
#include "disposal.h"
#include "health.h"
#include "json.h"
#include "log.h"
#include "simulation.h"
#include "slots.h"
#include "survey.h"
#include "transfer-state.h"

#define STAMPS		 64 /* questions that the rate is checked over */
#define OUTAGE_REQUESTS	 30 /* besides one for each slot, and: */
#define OUTAGE_PER_DELAY 6  /* in each MaxDelay */
#define LARGE		 ((uint64_t)1 << 20)

static const char *const names[INVARIANTS] = {
	[ORDER_OF_DISPOSAL] = "a source goes only when its upload is on record",
	[RECEIPT_IS_TRUE] = "a receipt speaks of what the storage has, whole",
	[ERROR_HAS_A_CAUSE] = "a file is given up for a cause",
	[ATTEMPTS_ARE_OWN_FAULTS] = "an outage costs no file an attempt",
	[ATTEMPTS_END] = "MaxAttempts ends in an error sidecar",
	[ONE_PROBE_AT_A_TIME] = "what is away is asked by one request at a time",
	[PROBES_WAIT] = "no probe goes before its time",
	[RETRY_AFTER_IS_KEPT] = "Retry-After is kept",
	[OUTAGE_IS_QUIET] = "few requests go into an outage",
	[ORPHANS_ARE_ACCOUNTED] = "each orphaned asset has its cause",
	[REQUEST_RATE_IS_KEPT] = "RequestRate is kept over every window",
	[SLOTS_ARE_KEPT] = "at most MaxConcurrent move",
	[LARGE_LEAVE_ROOM] = "large files leave slots to small ones",
	[URL_IS_FRESH] = "no URL is used after its expiry",
	[URL_IS_NOT_RETRIED_FOR_EVER] = "no URL is tried for ever",
	[BREAKER_CLOSES_AGAIN] = "what is back is noticed in time",
	[NO_FILE_IS_FORGOTTEN] = "nobody sleeps while a file is due",
	[ALL_IS_DONE_IN_TIME] = "once all is well, all is done in time",
	[NOTHING_IS_STUCK] = "who has work to do does not stand still",
	[LOOP_DOES_NOT_SPIN] = "the loop does not spin",
	[IDLE_MEANS_ASLEEP] = "who has nothing to do sleeps",
	[NOTHING_LEAKS] = "nothing is left behind by an agent that ends",
	[REPORTS_LEAVE_SPOOLS_ALONE] =
		"a report needs no filesystem of a spool to answer",
};

struct watched { /* a service, as its breaker has it */
	bool open;
	uint64_t opened_after; /* the last request before it opened */
	/* The last one before it was given other settings: those until then say nothing
	 * of it any more. */
	uint64_t renewed_after;
	usec_t next_probe, not_before;
	unsigned probes;
	/* An outage. */
	bool away;
	usec_t since;
	unsigned requests, hurried;
};

static struct {
	bool broken[INVARIANTS];
	unsigned count;
	uint64_t slots;
	const struct health *health;
	const struct spool_disks *disks;
	struct watched services[SIM_SERVICES];
	bool disk_open;
	bool surveying;
	uint64_t last_request, attempts;
	unsigned slow_disks, misnamed;
	char slow[NAME_MAX + 1]; /* the file that one was told by last; "": none since */
	usec_t stamps[STAMPS];
	uint64_t asked;
} check;

/* ---- verdicts ---- */

const char *check_name(enum invariant which)
{
	return names[which];
}

bool check_is_broken(enum invariant which)
{
	return check.broken[which];
}

unsigned check_broken_count(void)
{
	return check.count;
}

uint64_t check_attempts_seen(void)
{
	return check.attempts;
}

unsigned check_slow_disks_seen(void)
{
	return check.slow_disks;
}

unsigned check_slow_disks_misnamed(void)
{
	return check.misnamed;
}

/* What was told to hang is what goes on first. */
static void check_slow_one(const char *name)
{
	check.misnamed += check.slow[0] && !streq(name, check.slow);
	check.slow[0] = '\0';
}

void check_broken(enum invariant which, const char *format, ...)
{
	va_list args;

	if (sim.dead || sim.over)
		return;
	check.broken[which] = true;
	check.count++;
	sim.over = true;
	if (sim.sabotage != SABOTAGE_NONE && !sim.trace)
		return;
	printf("# BROKEN, at %.6f s: %s: ", (double)sim.now / (double)USEC_PER_SEC,
	       names[which]);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void check_begin(void)
{
	memset(&check, 0, sizeof(check));
	check.slots = sim.config.upload.max_concurrent;
	if (sim.sabotage == SABOTAGE_MORE_SLOTS) {
		sim.config.upload.max_concurrent += 3;
		sim.sabotaged++;
	}
}

/* ---- receipts, errors, sources ---- */

void check_receipt(const char *text)
{
	_cleanup_(json_putp) struct json_object *object = NULL;
	const char *id = NULL, *modified = NULL, *name = NULL;
	struct sim_asset *asset = NULL;
	struct timespec instant;
	uint64_t size;

	if (json_parse(text, strlen(text), json_type_object, &object) == 0 &&
	    json_get_string(object, "id", &id) > 0 &&
	    json_get_string(object, "modified", &modified) > 0 &&
	    json_get_unsigned(object, "size", &size) > 0 &&
	    clock_parse(modified, &instant) == 0)
		asset = sim_asset(id);
	if (!asset || !asset->content || asset->size != size ||
	    !sim_content_was(size, instant, asset->content))
		check_broken(RECEIPT_IS_TRUE, "%s", text);
	else
		asset->named = true;
	if (object && json_get_string(object, "name", &name) > 0)
		check_slow_one(name);
}

static uint64_t attempts_in(const char *text)
{
	_cleanup_(json_putp) struct json_object *object = NULL;
	uint64_t attempts = 0;

	if (json_parse(text, strlen(text), json_type_object, &object) == 0)
		(void)json_get_unsigned(object, "attempts", &attempts);
	return attempts;
}

void check_error_sidecar(const char *name, const char *text)
{
	uint64_t attempts = attempts_in(text);

	sim_excuse(name);
	if (!sim_is_rejected(name) && attempts < sim.config.retry.max_attempts)
		check_broken(ERROR_HAS_A_CAUSE, "%s: %s", name, text);
}

void check_source_disposed(const char *name, const struct fs_identity *identity)
{
	if (!sim_config_disposes() || !sim_ledger_has_upload(identity))
		check_broken(ORDER_OF_DISPOSAL, "%s", name);
}

/* ---- what the agent says ---- */

static void check_attempts(const char *name, unsigned attempts)
{
	unsigned most = sim_charges(name) + sim_changes(name) - 1 + sim_is_rejected(name);

	if (attempts > most)
		check_broken(ATTEMPTS_ARE_OWN_FAULTS, "%s: %u, where %u are its own",
			     name, attempts, most);
}

void __wrap_log_event(int level, enum log_kind kind, const struct log_fields *fields,
		      const char *format, ...) _printf_(4, 5);
void __wrap_log_event(int level, enum log_kind kind, const struct log_fields *fields,
		      const char *format, ...)
{
	const char *name = fields && fields->file ? strrchr(fields->file, '/') : NULL;
	char text[1024];
	va_list args;

	(void)level;
	if (sim.trace) {
		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
		sim_trace("%sagent says: %s", sim.dead ? "(dead) " : "", text);
	}
	if (kind == LOG_STUCK)
		check_broken(NOTHING_IS_STUCK, "as the agent says");
	check.slow_disks += kind == LOG_DISK_SLOW && !sim.dead;
	if (!name || sim.dead)
		return;
	name++;
	if (kind == LOG_DISK_SLOW)
		snprintf(check.slow, sizeof(check.slow), "%s", name);
	if (kind == LOG_RETRYING || kind == LOG_GIVEN_UP) {
		check.attempts++;
		check_attempts(name, fields->attempt);
	}
	if (kind == LOG_RETRYING && fields->attempt >= sim.config.retry.max_attempts)
		check_broken(ATTEMPTS_END, "%s: %u", name, fields->attempt);
	if (kind == LOG_GIVEN_UP && !sim_has_error_sidecar(name))
		check_broken(ATTEMPTS_END, "%s has no error sidecar", name);
}

/* ---- breakers ---- */

/* NULL: a disk's, or that of a host that is not known here. */
static struct watched *watched_of(const struct breaker *breaker)
{
	for (unsigned i = 0; i < check.health->used; i++) {
		if (&check.health->services[i].breaker != breaker)
			continue;
		if (i == HEALTH_AUTH)
			return &check.services[SIM_TOKEN];
		if (i == HEALTH_API)
			return &check.services[SIM_API];
		for (unsigned host = SIM_STORAGE; host < SIM_SERVICES; host++)
			if (streq(check.health->services[i].name,
				  sim_services.each[host].host))
				return &check.services[host];
	}
	return NULL;
}

static bool is_ledgers(const struct breaker *breaker)
{
	return breaker == &check.health->services[HEALTH_DISK].breaker;
}

void __real_spool_disks_init(struct spool_disks *disks, const struct backoff *backoff);
void __wrap_spool_disks_init(struct spool_disks *disks, const struct backoff *backoff);
void __wrap_spool_disks_init(struct spool_disks *disks, const struct backoff *backoff)
{
	__real_spool_disks_init(disks, backoff);
	check.disks = disks;
}

void __real_health_init(struct health *health, const struct backoff *backoff,
			usec_t interval, uint64_t burst);
void __wrap_health_init(struct health *health, const struct backoff *backoff,
			usec_t interval, uint64_t burst);
void __wrap_health_init(struct health *health, const struct backoff *backoff,
			usec_t interval, uint64_t burst)
{
	__real_health_init(health, backoff, interval, burst);
	check.health = health;
	/* A new life: what the last one knew of outages and of its rate is not kept. */
	for (unsigned i = 0; i < SIM_SERVICES; i++)
		check.services[i] = (struct watched){
			.away = check.services[i].away,
			.since = sim.now,
		};
	check.disk_open = false;
	check.asked = 0;
}

enum breaker_change __real_breaker_failed(struct breaker *b, bool probe, usec_t now,
					  usec_t at_least, uint64_t draw);
enum breaker_change __wrap_breaker_failed(struct breaker *b, bool probe, usec_t now,
					  usec_t at_least, uint64_t draw);
enum breaker_change __wrap_breaker_failed(struct breaker *b, bool probe, usec_t now,
					  usec_t at_least, uint64_t draw)
{
	struct watched *w = watched_of(b);
	enum breaker_change change;

	if (sim.sabotage == SABOTAGE_NO_PATIENCE && at_least > 0) {
		at_least = 0;
		sim.sabotaged++;
	}
	change = __real_breaker_failed(b, probe, now, at_least, draw);
	if (is_ledgers(b))
		check.disk_open = true;
	if (!w)
		return change;
	if (!w->open)
		w->opened_after = check.last_request;
	w->open = true;
	w->next_probe = sim.now + usec_sub(b->next_probe, now);
	if (sim.sabotage == SABOTAGE_EARLY_PROBE) {
		b->next_probe = now;
		sim.sabotaged++;
	}
	return change;
}

void __real_breaker_hurry(struct breaker *b, usec_t now, bool renewed);
void __wrap_breaker_hurry(struct breaker *b, usec_t now, bool renewed);
void __wrap_breaker_hurry(struct breaker *b, usec_t now, bool renewed)
{
	struct watched *w = watched_of(b);

	__real_breaker_hurry(b, now, renewed);
	if (!w)
		return;
	w->next_probe = sim.now + usec_sub(b->next_probe, now);
	w->hurried++;
	if (!renewed)
		return;
	w->renewed_after = w->opened_after = check.last_request;
	w->probes = 0;
	w->not_before = 0;
}

enum breaker_change __real_breaker_succeeded(struct breaker *b, bool probe);
enum breaker_change __wrap_breaker_succeeded(struct breaker *b, bool probe);
enum breaker_change __wrap_breaker_succeeded(struct breaker *b, bool probe)
{
	struct watched *w = watched_of(b);
	enum breaker_change change;

	if (sim.sabotage == SABOTAGE_STUCK_BREAKER && probe) {
		sim.sabotaged++;
		breaker_abandoned(b, true);
		return BREAKER_SAME;
	}
	change = __real_breaker_succeeded(b, probe);
	if (change == BREAKER_CLOSED_AGAIN && w) {
		w->open = false;
		w->probes = 0;
	} else if (change == BREAKER_CLOSED_AGAIN && is_ledgers(b)) {
		check.disk_open = false;
	}
	return change;
}

usec_t __real_breaker_next(const struct breaker *b, usec_t now);
usec_t __wrap_breaker_next(const struct breaker *b, usec_t now);
usec_t __wrap_breaker_next(const struct breaker *b, usec_t now)
{
	if (sim.sabotage == SABOTAGE_PROBE_TWICE && b->state == BREAKER_PROBING &&
	    watched_of(b)) {
		sim.sabotaged++;
		return now;
	}
	return __real_breaker_next(b, now);
}

bool __real_breaker_start(struct breaker *b);
bool __wrap_breaker_start(struct breaker *b);
bool __wrap_breaker_start(struct breaker *b)
{
	if (sim.sabotage == SABOTAGE_PROBE_TWICE && b->state == BREAKER_PROBING)
		return false;
	return __real_breaker_start(b);
}

static bool is_breakers(const struct backoff *b)
{
	for (unsigned i = 0; i < check.health->used; i++)
		if (b == &check.health->services[i].breaker.backoff)
			return true;
	return false;
}

usec_t __real_backoff_delay(const struct backoff *b, unsigned failures, uint64_t draw);
usec_t __wrap_backoff_delay(const struct backoff *b, unsigned failures, uint64_t draw);
usec_t __wrap_backoff_delay(const struct backoff *b, unsigned failures, uint64_t draw)
{
	/* The disk's fails at once: without a wait, the loop would spin before. */
	if (sim.sabotage == SABOTAGE_NO_BACKOFF &&
	    watched_of(container_of(b, struct breaker, backoff))) {
		sim.sabotaged++;
		return 0;
	}
	if (sim.sabotage == SABOTAGE_SLOTH && !is_breakers(b)) {
		sim.sabotaged++;
		return 30 * USEC_PER_DAY;
	}
	return __real_backoff_delay(b, failures, draw);
}

usec_t __real_bucket_next(const struct bucket *b, usec_t now);
usec_t __wrap_bucket_next(const struct bucket *b, usec_t now);
usec_t __wrap_bucket_next(const struct bucket *b, usec_t now)
{
	if (sim.sabotage == SABOTAGE_LENDING_BUCKET) {
		sim.sabotaged++;
		return now;
	}
	return __real_bucket_next(b, now);
}

/* ---- what is told of it ---- */

void check_disk_use(void)
{
	if (check.surveying)
		check_broken(REPORTS_LEAVE_SPOOLS_ALONE, "it is asked something");
}

/* ---- other faults that show what a check is worth ---- */

enum slots_turn __real_slots_turn(const struct slots *slots, size_t large);
enum slots_turn __wrap_slots_turn(const struct slots *slots, size_t large);
enum slots_turn __wrap_slots_turn(const struct slots *slots, size_t large)
{
	if (sim.sabotage == SABOTAGE_NO_ROOM) {
		sim.sabotaged++;
		return SLOTS_SMALL_FIRST;
	}
	return __real_slots_turn(slots, large);
}

enum verdict __real_verdict_for(const struct outcome *outcome);
enum verdict __wrap_verdict_for(const struct outcome *outcome);
enum verdict __wrap_verdict_for(const struct outcome *outcome)
{
	enum verdict verdict = __real_verdict_for(outcome);

	if (sim.sabotage == SABOTAGE_LOST_PAPERS && verdict == VERDICT_AGAIN) {
		sim.sabotaged++;
		return VERDICT_REJECT;
	}
	if (sim.sabotage == SABOTAGE_COSTLY_OUTAGE &&
	    (verdict == VERDICT_PAUSE_API || verdict == VERDICT_PAUSE_STORAGE)) {
		sim.sabotaged++;
		return VERDICT_AGAIN;
	}
	return verdict;
}

int __real_disposal_give_up(int dirfd, const char *name,
			    const struct sidecar_error *error);
int __wrap_disposal_give_up(int dirfd, const char *name,
			    const struct sidecar_error *error);
int __wrap_disposal_give_up(int dirfd, const char *name,
			    const struct sidecar_error *error)
{
	if (sim.sabotage == SABOTAGE_NO_RECEIPT) {
		sim.sabotaged++;
		return 0;
	}
	return __real_disposal_give_up(dirfd, name, error);
}

enum verdict __real_transfer_judge(const struct transfer *t, enum transport transport);
enum verdict __wrap_transfer_judge(const struct transfer *t, enum transport transport);
enum verdict __wrap_transfer_judge(const struct transfer *t, enum transport transport)
{
	if (sim.sabotage == SABOTAGE_ENDLESS_RETRY) {
		((struct transfer *)t)->attempts = 0;
		sim.sabotaged++;
	}
	return __real_transfer_judge(t, transport);
}

/* ---- requests ---- */

static void check_breaker(const struct sim_request *r, struct watched *w)
{
	const char *host = sim_services.each[r->service].host;

	if (sim.now < w->not_before)
		check_broken(RETRY_AFTER_IS_KEPT, "%s, %.6f s too early", host,
			     (double)(w->not_before - sim.now) / (double)USEC_PER_SEC);
	if (!w->open)
		return;
	if (w->probes > 0)
		check_broken(ONE_PROBE_AT_A_TIME, "%s", host);
	if (sim.now < w->next_probe)
		check_broken(PROBES_WAIT, "%s, %.6f s too early", host,
			     (double)(w->next_probe - sim.now) / (double)USEC_PER_SEC);
	w->probes++;
}

static void check_outage(const struct sim_request *r, struct watched *w)
{
	usec_t lasted = sim.now - w->since;
	uint64_t bound = check.slots * (w->hurried + 1) + OUTAGE_REQUESTS +
			 OUTAGE_PER_DELAY * lasted / sim.config.retry.max_delay;

	if (w->away && ++w->requests > bound)
		check_broken(OUTAGE_IS_QUIET, "%u requests to %s in %.0f s", w->requests,
			     sim_services.each[r->service].host,
			     (double)lasted / (double)USEC_PER_SEC);
}

/* Of the last questions, any two and those between them. */
static void check_rate(void)
{
	usec_t interval = sim.config.api.request_interval;

	check.stamps[check.asked++ % STAMPS] = sim.now;
	for (uint64_t n = 2; n <= MIN(check.asked, (uint64_t)STAMPS); n++) {
		usec_t first = check.stamps[(check.asked - n) % STAMPS];

		if (n > sim.config.api.request_burst &&
		    (n - sim.config.api.request_burst) * interval > sim.now - first)
			check_broken(REQUEST_RATE_IS_KEPT, "%u in %.6f s", (unsigned)n,
				     (double)(sim.now - first) / (double)USEC_PER_SEC);
	}
}

static void check_url(const struct sim_asset *asset)
{
	if (sim.now >= asset->expires)
		check_broken(URL_IS_FRESH, "that of %s", asset->id);
	/* A crash may lose the count of the last one. */
	if (asset->own_faults >= sim.config.retry.max_attempts + sim.crashes)
		check_broken(URL_IS_NOT_RETRIED_FOR_EVER, "%s", asset->id);
}

static void check_large(void)
{
	unsigned large = sim_large_in_flight(LARGE);

	if (check.slots > 1 && large > check.slots - MAX(check.slots / 4, UINT64_C(1)))
		check_broken(LARGE_LEAVE_ROOM, "%u of %u slots", large,
			     (unsigned)check.slots);
}

void check_started(const struct sim_request *r)
{
	struct watched *w = &check.services[r->service];

	check.last_request = r->number;
	check_breaker(r, w);
	check_outage(r, w);
	if (sim_in_flight() > check.slots)
		check_broken(SLOTS_ARE_KEPT, "%u requests at once", sim_in_flight());
	if (r->service == SIM_API)
		check_rate();
	if (r->asset) {
		check_url(r->asset);
		check_large();
	}
}

int __real_survey_take(const struct survey *survey, struct snapshot *ret);
int __wrap_survey_take(const struct survey *survey, struct snapshot *ret);
int __wrap_survey_take(const struct survey *survey, struct snapshot *ret)
{
	struct stat st;
	int r;

	check.surveying = true;
	if (sim.sabotage == SABOTAGE_CURIOSITY && survey->spool_count > 0) {
		(void)stat(spool_config(survey->spools[0])->path, &st);
		sim.sabotaged++;
	}
	r = __real_survey_take(survey, ret);
	check.surveying = false;
	if (r == 0)
		sim.waiting = ret->waiting;
	if (r == 0 && ret->uploading > check.slots)
		check_broken(SLOTS_ARE_KEPT, "%llu are told to be uploaded",
			     (unsigned long long)ret->uploading);
	return r;
}

void check_gone(const struct sim_request *r)
{
	struct watched *w = &check.services[r->service];

	if (w->open && r->number > w->opened_after && w->probes > 0)
		w->probes--;
}

void check_answered(const struct sim_request *r)
{
	struct watched *w = &check.services[r->service];

	check_gone(r);
	/* What is said to a probe that is under way counts more. */
	if (r->retry_after > 0 && w->probes == 0 && r->number > w->renewed_after)
		w->not_before = MAX(w->not_before, sim.now + r->retry_after);
}

void check_outage_begins(unsigned service)
{
	struct watched *w = &check.services[service];

	sim.outages++;
	w->away = true;
	w->since = sim.now;
	w->requests = 0;
}

void check_outage_ends(unsigned service)
{
	check.services[service].away = false;
}

/* ---- ends ---- */

void check_idle(void)
{
	const char *name;

	if (sim_wakes_at() != USEC_INFINITY || !sim_config_has_spool() ||
	    sim_services_are_busy() || sim_watch_pending() > 0 || sim_ledger_is_busy() ||
	    sim_worker_is_busy())
		return;
	name = sim_due_file("");
	if (name)
		check_broken(NO_FILE_IS_FORGOTTEN, "%s", name);
}

void check_life_ends(void)
{
	sim_services_stop();
	if (sim_disk_descriptors() > 0)
		check_broken(NOTHING_LEAKS, "%zu descriptors", sim_disk_descriptors());
}

void check_breakers_closed(void)
{
	static const unsigned needed[] = { SIM_TOKEN, SIM_API };

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (check.services[needed[i]].open)
			check_broken(BREAKER_CLOSES_AGAIN, "%s",
				     sim_services.each[needed[i]].host);
	if (check.services[sim_services.granted].open)
		check_broken(BREAKER_CLOSES_AGAIN, "%s",
			     sim_services.each[sim_services.granted].host);
	if (check.disk_open)
		check_broken(BREAKER_CLOSES_AGAIN, "the disk of the ledger");
	if (check.disks && !LIST_EMPTY(&check.disks->away))
		check_broken(BREAKER_CLOSES_AGAIN, "the disk of a spool");
}

void check_all_done(usec_t bound)
{
	const char *name = sim_due_file("");

	if (name)
		check_broken(ALL_IS_DONE_IN_TIME, "%zu files, such as %s, in %.0f s",
			     sim_due_count(), name, (double)bound / (double)USEC_PER_SEC);
}

void check_orphans(void)
{
	for (size_t i = 0; i < sim_asset_count(); i++) {
		const struct sim_asset *asset = sim_asset_at(i);

		if (!asset->named && !asset->excused &&
		    asset->changes == sim_changes(asset->name))
			check_broken(ORPHANS_ARE_ACCOUNTED, "%s of %s", asset->id,
				     asset->name);
	}
}
