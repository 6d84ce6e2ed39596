#include "health.h"
#include "log.h"
#include "macro.h"
#include "random.h"
#include "text.h"

static const struct {
	const char *gone, *back; /* whole phrases */
	const char *within;	 /* that it is gone, within a sentence */
	const char *brief;	 /* the same, in a status */
	const char *refuses;	 /* and where it is there, but won't */
	enum log_kind gone_kind, back_kind;
} parts[] = {
	[HEALTH_AUTH] = { "Authorization fails", "Authorization works again",
			  "authorization fails", "auth failing", "auth failing",
			  LOG_SERVICE_AWAY, LOG_SERVICE_BACK },
	[HEALTH_API] = { "The API is away", "The API is back", "the API is away",
			 "api unreachable", "api refusing", LOG_SERVICE_AWAY,
			 LOG_SERVICE_BACK },
	[HEALTH_DISK] = { "The disk of the state directory can't be written",
			  "The disk of the state directory can be written again",
			  "the disk of the state directory can't be written",
			  "disk of the state directory unwritable",
			  "disk of the state directory unwritable", LOG_DISK_AWAY,
			  LOG_DISK_BACK },
	[HEALTH_STORAGE] = { "The storage is away", "The storage is back",
			     "the storage is away", "storage unreachable",
			     "storage refusing", LOG_SERVICE_AWAY, LOG_SERVICE_BACK },
};

static const char *const stages[] = {
	[HEALTH_AUTH] = "token",
	[HEALTH_API] = "create",
	[HEALTH_DISK] = "spool",
	[HEALTH_STORAGE] = "upload",
};

static enum health_part part_of(unsigned index)
{
	return MIN(index, (unsigned)HEALTH_STORAGE);
}

static health_probes bit(unsigned index)
{
	return (health_probes)1 << index;
}

void health_init(struct health *health, const struct backoff *backoff,
		 usec_t request_interval, uint64_t request_burst)
{
	*health = (struct health){
		.used = HEALTH_STORAGE,
		.requests = { .interval = request_interval, .burst = request_burst },
	};
	for (size_t i = 0; i < ARRAY_SIZE(health->services); i++)
		health->services[i].breaker.backoff = *backoff;
}

void health_configure(struct health *health, const struct backoff *backoff,
		      usec_t request_interval, uint64_t request_burst)
{
	bucket_configure(&health->requests, request_interval, request_burst,
			 clock_monotonic());
	for (size_t i = 0; i < ARRAY_SIZE(health->services); i++)
		health->services[i].breaker.backoff = *backoff;
}

health_probes health_hurry(struct health *health, unsigned renewed)
{
	usec_t now = clock_monotonic();
	health_probes mask = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(health->services); i++) {
		bool is_other = renewed & 1U << part_of(i);

		if (is_other) {
			mask |= bit(i);
			health->services[i].renewed = true;
		}
		breaker_hurry(&health->services[i].breaker, now, is_other);
	}
	return mask;
}

void health_name(struct health *health, enum health_part part, const char *name)
{
	snprintf(health->services[part].name, HEALTH_NAME_MAX, "%s", name);
}

/* The place of a host that is new: a free one, or that of the one least missed. */
static unsigned place_for_host(struct health *health)
{
	unsigned best = ARRAY_SIZE(health->services) - 1;
	uint64_t oldest = UINT64_MAX;

	if (health->used < ARRAY_SIZE(health->services))
		return health->used++;
	for (unsigned i = HEALTH_STORAGE; i < health->used; i++) {
		const struct health_service *host = &health->services[i];

		if (host->breaker.state != BREAKER_CLOSED || host->used >= oldest)
			continue;
		oldest = host->used;
		best = i;
	}
	return best;
}

static unsigned find_host(const struct health *health, const char *host)
{
	unsigned index = HEALTH_STORAGE;

	while (index < health->used && !streq(health->services[index].name, host))
		index++;
	return index;
}

unsigned health_storage(struct health *health, const char *host)
{
	unsigned index = find_host(health, host);

	if (index == health->used) {
		index = place_for_host(health);
		/* One that is away keeps its name: it is the one that was told of. */
		if (health->services[index].breaker.state == BREAKER_CLOSED)
			snprintf(health->services[index].name, HEALTH_NAME_MAX, "%s",
				 host);
	}
	health->services[index].used = ++health->uses;
	return index;
}

unsigned health_need_of(unsigned index)
{
	return 1U << (index + 1);
}

static bool is_needed(unsigned index, unsigned needs)
{
	return needs & (index < HEALTH_STORAGE ? 1U << index : health_need_of(index));
}

/* The host of the latest grants that may be probed first; 0: one works, or none was
 * named.
 */
static unsigned host_to_probe(const struct health *health, usec_t now)
{
	uint64_t known = MIN(health->grant_count, (uint64_t)HEALTH_GRANTS_MAX);
	usec_t soonest = USEC_INFINITY;
	unsigned best = 0;

	for (uint64_t i = 0; i < known; i++) {
		unsigned index = health->grants[i];
		const struct breaker *breaker = &health->services[index].breaker;
		usec_t next = breaker_next(breaker, now);

		if (breaker->state == BREAKER_CLOSED)
			return 0;
		if (best && next >= soonest)
			continue;
		soonest = next;
		best = index;
	}
	return best;
}

/* @needs with a host by its own bit. */
static unsigned name_host(const struct health *health, unsigned needs, usec_t now)
{
	unsigned host = needs & NEED_STORAGE ? host_to_probe(health, now) : 0;

	return host ? needs | health_need_of(host) : needs;
}

usec_t health_next(const struct health *health, unsigned needs, usec_t now)
{
	usec_t next = needs & NEED_API ? bucket_next(&health->requests, now) : 0;

	needs = name_host(health, needs, now);
	for (unsigned i = 0; i < health->used; i++)
		if (is_needed(i, needs))
			next = MAX(next, breaker_next(&health->services[i].breaker, now));
	return next;
}

health_probes health_start(struct health *health, unsigned needs, usec_t now)
{
	health_probes probes = 0;

	if (needs & NEED_API)
		bucket_take(&health->requests, now);
	needs = name_host(health, needs, now);
	for (unsigned i = 0; i < health->used; i++)
		if (is_needed(i, needs) && breaker_start(&health->services[i].breaker))
			probes |= bit(i);
	return probes;
}

bool health_enter(struct health *health, unsigned index, health_probes *probes,
		  usec_t now)
{
	struct breaker *breaker = &health->services[index].breaker;

	if (*probes & bit(index))
		return breaker->next_probe <= now;
	if (breaker_next(breaker, now) > now)
		return false;
	if (breaker_start(breaker))
		*probes |= bit(index);
	return true;
}

void health_unasked(struct health *health)
{
	bucket_return(&health->requests);
}

static bool take_probe(health_probes *probes, unsigned index)
{
	bool had = *probes & bit(index);

	*probes &= ~bit(index);
	return had;
}

void health_granted(struct health *health, unsigned index, health_probes *probes)
{
	health->grants[health->grant_count++ % HEALTH_GRANTS_MAX] = index;
	for (unsigned i = HEALTH_STORAGE; i < health->used; i++)
		if (i != index && take_probe(probes, i))
			breaker_abandoned(&health->services[i].breaker, true);
}

static void say_gone(const struct health_service *service, enum health_part part,
		     const struct health_failure *failure, usec_t now)
{
	char span[CLOCK_STRING_MAX];
	usec_t wait = MAX(usec_sub(service->breaker.next_probe, now), 1U);
	const struct log_fields fields = {
		.stage = stages[part],
		.http_status = failure->http_status,
		.error_code = failure->error_code,
		.retry = wait,
	};

	log_event(LOG_WARNING, parts[part].gone_kind, &fields,
		  "%s (%s): %.*s. Files waiting: %zu, none is lost; next try in %s.",
		  parts[part].gone, service->name, text_clause(failure->why),
		  failure->why, failure->waiting, clock_format_span(span, wait));
}

/* An answer that no waiting will change, unlike "too slow" and "too many". */
static bool is_refusal(int http_status)
{
	return http_status >= 400 && http_status < 500 && http_status != 408 &&
	       http_status != 429;
}

void health_failed(struct health *health, unsigned index, health_probes *probes,
		   const struct health_failure *failure)
{
	struct health_service *service = &health->services[index];
	bool probe = take_probe(probes, index);
	usec_t now = clock_monotonic();
	bool opened;

	snprintf(service->why, HEALTH_WHY_MAX, "%s", failure->why);
	service->refuses = is_refusal(failure->http_status);
	opened = breaker_failed(&service->breaker, probe, now, failure->retry_after,
				random_draw()) == BREAKER_OPENED;
	if (opened)
		service->since = clock_realtime();
	if (opened || (probe && service->renewed)) {
		service->renewed = false;
		say_gone(service, part_of(index), failure, now);
	} else {
		log_debug("%s: %s", service->name,
			  probe ? "the probe failed too" : "one more failure");
	}
}

void health_works(struct health *health, unsigned index, health_probes *probes,
		  size_t waiting)
{
	struct health_service *service = &health->services[index];
	enum health_part part = part_of(index);
	const struct log_fields fields = { .stage = stages[part] };
	usec_t since = service->breaker.since;
	char span[CLOCK_STRING_MAX];

	if (breaker_succeeded(&service->breaker, take_probe(probes, index)) !=
	    BREAKER_CLOSED_AGAIN)
		return;
	log_event(LOG_NOTICE, parts[part].back_kind, &fields,
		  "%s (%s) after %s; files waiting: %zu.", parts[part].back,
		  service->name,
		  clock_format_span(span, usec_sub(clock_monotonic(), since)), waiting);
}

void health_leave(struct health *health, health_probes *probes)
{
	for (unsigned i = 0; i < health->used; i++)
		if (take_probe(probes, i))
			breaker_abandoned(&health->services[i].breaker, true);
}

bool health_counts(const struct health *health, unsigned index)
{
	uint64_t known = MIN(health->grant_count, (uint64_t)HEALTH_GRANTS_MAX);

	if (index < HEALTH_STORAGE || known == 0)
		return true;
	for (uint64_t i = 0; i < known; i++)
		if (health->grants[i] == index)
			return true;
	return false;
}

const struct health_service *health_away(const struct health *health)
{
	for (unsigned i = 0; i < health->used; i++)
		if (health->services[i].breaker.state != BREAKER_CLOSED &&
		    health_counts(health, i))
			return &health->services[i];
	return NULL;
}

const char *health_words(const struct health *health,
			 const struct health_service *service)
{
	return parts[part_of((unsigned)(service - health->services))].within;
}

const char *health_brief(const struct health *health,
			 const struct health_service *service)
{
	enum health_part part = part_of((unsigned)(service - health->services));

	return service->refuses ? parts[part].refuses : parts[part].brief;
}

unsigned health_failures(const struct health *health)
{
	unsigned most = 0;

	for (unsigned i = 0; i < health->used; i++)
		if (health->services[i].breaker.state != BREAKER_CLOSED)
			most = MAX(most, health->services[i].breaker.failures);
	return most;
}
