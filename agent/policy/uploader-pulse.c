#include "uploader-pulse.h"
#include "macro.h"
#include "throttle.h"
#include "uploader-state.h"

/* ---- what moves ---- */

/* It waits for a disk, for as long as that takes. */
static bool is_recording(const struct transfer *t)
{
	return t->step == STEP_RECORD_GRANT || t->step == STEP_RECORD_UPLOAD ||
	       t->step == STEP_DISPOSE;
}

/* Another number at each step, and with each byte: a storage that answers as slowly as it
 * may takes longer than the patience. */
static uint64_t count_of(const struct transfer *t)
{
	return ((uint64_t)t->step << 56) + transfer_moved(t);
}

/* Of those that rest for as long. Disposals wait for one another, perhaps for another
 * disk: the first of them hangs. */
static bool is_before(const struct transfer *t, const struct transfer *other)
{
	return other && t->step == STEP_DISPOSE && other->step == STEP_DISPOSE &&
	       t->disposal < other->disposal;
}

static void look_at_file(struct file *file, usec_t step, struct uploader_sight *sight)
{
	const struct transfer *t = file->transfer;
	usec_t rest = pulse_note(&file->pulse, count_of(t), step);

	if (is_recording(t)) {
		if (rest > sight->pulse.recording ||
		    (rest == sight->pulse.recording && is_before(t, sight->recording))) {
			sight->pulse.recording = rest;
			sight->recording = t;
		}
	} else if (rest > sight->pulse.resting) {
		sight->pulse.resting = rest;
		sight->resting = t;
	}
}

/* ---- what could ---- */

/* A probe that is under way decides; unless there is none. */
static bool may_start(struct uploader *u, unsigned lane, enum item_size size, usec_t now)
{
	usec_t at;

	if (!schedule_peek(&u->schedule, lane, size))
		return false;
	(void)uploader_peek(u, lane, size, now, &at);
	at = MAX(at, health_next(u->services->health, uploader_needs_of_lane(lane), now));
	return at <= now || (at == USEC_INFINITY && u->schedule.counts[ITEM_MOVING] == 0);
}

static bool any_may_start(struct uploader *u, usec_t now)
{
	enum item_size sizes[ITEM_SIZES];
	size_t count = uploader_sizes(u, sizes);

	for (size_t i = 0; i < count; i++)
		for (unsigned lane = 0; lane < LANES; lane++)
			if (may_start(u, lane, sizes[i], now))
				return true;
	return false;
}

static const char *find_due(struct uploader *u, usec_t now)
{
	if (u->services->stopping)
		return NULL;
	if (u->starved && u->schedule.size == 0)
		return "directories wait for room, and there is room";
	if (usec_add(schedule_wake(&u->schedule), PULSE_INTERVAL) <= now)
		return "files whose time has come are not looked at";
	if (u->schedule.counts[ITEM_MOVING] >= u->slots.count)
		return NULL;
	return any_may_start(u, now) ? "files are ready, and none is started" : NULL;
}

void uploader_look(struct uploader *u, usec_t step, struct uploader_sight *ret)
{
	struct file *file;

	*ret = (struct uploader_sight){ .due = find_due(u, clock_monotonic()) };
	ret->pulse.due = ret->due;
	ret->pulse.starts = u->moves;
	LIST_FOREACH (file, &u->moving, moving)
		look_at_file(file, step, ret);
}

/* The turn of a file among all that share the bandwidth. */
static usec_t share_wait(const struct config *config)
{
	uint64_t rate = config->upload.bandwidth;

	if (rate == UINT64_MAX)
		return 0;
	return config->upload.max_concurrent *
	       MAX(THROTTLE_SLICE, THROTTLE_SLICE_MIN * USEC_PER_SEC / MAX(rate, 1U));
}

usec_t uploader_patience(const struct uploader *u)
{
	const struct config *config = u->services->config;
	usec_t once = usec_add(usec_add(config->api.timeout, config->api.connect_timeout),
			       usec_add(config->upload.stall_timeout,
					share_wait(config)));

	/* Twice, as a request may begin anew on another connection. */
	return usec_add(PULSE_PATIENCE, usec_add(once, once));
}
