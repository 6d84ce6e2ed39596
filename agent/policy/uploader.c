#include <inttypes.h>

#include "log.h"
#include "macro.h"
#include "uploader-state.h"

static size_t waiting(void *userdata)
{
	const struct uploader *u = userdata;

	return u->schedule.size - u->schedule.counts[ITEM_MOVING];
}

void uploader_share(struct uploader *u, size_t spools)
{
	schedule_share(&u->schedule, spools);
}

static void set_concurrency(struct uploader *u)
{
	size_t files = u->services->config->upload.max_concurrent;

	slots_configure(&u->slots, files);
	ledger_expect(u->services->ledger, files);
}

void uploader_configure(struct uploader *u, health_probes renewed)
{
	struct file *file = LIST_FIRST(&u->moving), *next;

	set_concurrency(u);
	for (; file; file = next) {
		next = LIST_NEXT(file, moving);
		transfer_disown(file->transfer, renewed);
	}
	uploader_kick(u);
}

void uploader_stop(struct uploader *u)
{
	u->services->stopping = true;
}

static void tell_cut(const struct file *file, usec_t left)
{
	_cleanup_free_ char *path = transfer_path(file->transfer);
	const struct log_fields fields = { .file = path };
	char span[CLOCK_STRING_MAX];

	if (left == USEC_INFINITY || file->farewell.sent == 0)
		return;
	if (left == 0) {
		log_event(LOG_INFO, LOG_STOPPING, &fields,
			  "Not waiting for %s: it is sent, but the storage does not say "
			  "that it has it. It is sent again at the next start.",
			  path ? path : file->name);
		return;
	}
	log_event(
		LOG_INFO, LOG_STOPPING, &fields,
		"Not waiting for %s: %" PRIu64 " of its %" PRIu64
		" bytes are sent, and it would take %s more. It is sent again at the next "
		"start.",
		path ? path : file->name, file->farewell.sent, file->farewell.size,
		clock_format_span(span, left));
}

static void look_at_end(struct uploader *u, struct file *file, bool first, bool away,
			usec_t deadline)
{
	const struct transfer *t = file->transfer;
	struct farewell *f = &file->farewell;
	uint64_t sent = transfer_sent(t);
	usec_t now = clock_monotonic();

	if (first)
		farewell_begin(f, t->identity.size, sent,
			       sent > 0 ? t->sending_since : now, now);
	else
		farewell_note(f, sent, now);
	if (farewell_waits(f, u->stopped, deadline, now) && (!away || sent > 0))
		return;
	tell_cut(file, farewell_left(f, u->stopped, now));
	transfer_cancel(file->transfer);
}

void uploader_farewell(struct uploader *u, bool first, bool away, usec_t deadline)
{
	struct file *file = LIST_FIRST(&u->moving), *next;

	if (first)
		u->stopped = clock_monotonic();
	for (; file; file = next) {
		next = LIST_NEXT(file, moving);
		look_at_end(u, file, first, away, deadline);
	}
}

void uploader_cancel(struct uploader *u)
{
	struct file *file = LIST_FIRST(&u->moving);

	while (file) {
		struct file *next = LIST_NEXT(file, moving);

		transfer_cancel(file->transfer);
		file = next;
	}
}

bool uploader_is_idle(const struct uploader *u, bool all)
{
	return all ? u->schedule.size == 0 : u->schedule.counts[ITEM_MOVING] == 0;
}

struct uploader_stats uploader_stats(const struct uploader *u)
{
	struct uploader_stats stats = u->stats;
	const struct file *file;

	stats.moving = u->schedule.counts[ITEM_MOVING];
	stats.recording = u->services->recording;
	stats.waiting = u->schedule.size - stats.moving;
	stats.more = u->starved || u->crowded;
	stats.sent = 0;
	LIST_FOREACH (file, &u->moving, moving)
		stats.sent += transfer_sent(file->transfer);
	return stats;
}

struct visit {
	void (*each)(void *userdata, const struct uploader_file *file);
	void *userdata;
};

static void visit_item(void *userdata, const struct item *item)
{
	const struct file *file = container_of(item, const struct file, item);
	const struct visit *visit = userdata;

	visit->each(visit->userdata, &(struct uploader_file){
					     .state = item->state,
					     .directory = file->directory,
					     .name = file->name,
					     .transfer = file->transfer,
					     .attempts = item->attempts,
					     .needs = uploader_needs_of_lane(item->lane),
					     .at = item->at,
					     .since = file->since,
				     });
}

void uploader_each(const struct uploader *u,
		   void (*each)(void *userdata, const struct uploader_file *file),
		   void *userdata)
{
	struct visit visit = { .each = each, .userdata = userdata };

	schedule_each(&u->schedule, visit_item, &visit);
}

static int add_sources(struct uploader *u)
{
	int r = sd_event_add_defer(u->event, &u->pump_source, uploader_on_pump, u);

	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(u->pump_source, SD_EVENT_OFF);
	return sd_event_add_time(u->event, &u->wake_source, CLOCK_MONO, USEC_INFINITY,
				 USEC_PER_MSEC, uploader_on_wake, u);
}

int uploader_new(sd_event *event, struct transfer_services *services, bool once,
		 const struct uploader_ops *ops, void *userdata, struct uploader **ret)
{
	struct uploader *u = calloc(1, sizeof(*u));
	uint64_t counts[4];
	int r;

	if (!u)
		return -ENOMEM;
	u->event = event;
	u->services = services;
	u->once = once;
	set_concurrency(u);
	u->ops = ops;
	u->userdata = userdata;
	LIST_INIT(&u->moving);
	STAILQ_INIT(&u->starting);
	LIST_INIT(&u->drifting);
	ledger_counts(services->ledger, counts);
	u->recalls = counts[LEDGER_WAITING] > 0;
	services->waiting = waiting;
	services->left = uploader_on_left;
	services->ended = uploader_on_ended;
	services->userdata = u;
	r = schedule_init(&u->schedule);
	if (r == 0)
		r = add_sources(u);
	if (r < 0) {
		uploader_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

static void release(struct item *item)
{
	uploader_free_file(file_of(item));
}

void uploader_free(struct uploader *u)
{
	if (!u)
		return;
	schedule_done(&u->schedule, release);
	sd_event_source_disable_unref(u->pump_source);
	sd_event_source_disable_unref(u->wake_source);
	free(u);
}
