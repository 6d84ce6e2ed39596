#include <assert.h>

#include "agent.h"
#include "content-url.h"
#include "mime.h"
#include "schedule.h"
#include "simulation.h"

#define FILES_MAX   3000
#define OUTAGES_MAX 16
#define ATTENTION   (5 * USEC_PER_MINUTE) /* for what no configuration bounds */

/* How a writer brings a file. */
enum style { STYLE_RENAME, STYLE_SLOW, STYLES };

struct file {
	char name[32];
	enum style style;
	unsigned left; /* pieces that are still to be written */
	uint64_t size;
};

struct outage {
	unsigned service; /* SIM_SERVICES: the disk */
	struct sim_service what;
	int ledger_error, spool_error;
	bool wrong_secret;
	usec_t lasts;
};

static struct {
	struct file files[FILES_MAX];
	size_t count;
	struct outage outages[OUTAGES_MAX];
	size_t outage_count;
	usec_t span; /* until all faults end */
	usec_t body_max, retry_after_max;
	uint64_t turns_before;
	bool power_cut, stopped, well, done;
	/* When all is due to be done: for the outage's report. */
	usec_t drained;
} play;

/* ---- what the agent links to ---- */

static struct mime *mime;

int __wrap_mime_load(const char *path, struct mime **ret);
int __wrap_mime_load(const char *path, struct mime **ret)
{
	(void)path;
	*ret = mime;
	return 0;
}

void __real_mime_free(struct mime *m);
void __wrap_mime_free(struct mime *m);
void __wrap_mime_free(struct mime *m)
{
	(void)m; /* it is used again */
}

/* ---- the writers ---- */

static void on_piece(void *userdata)
{
	struct file *file = userdata;

	if (play.well || file->left == 0) {
		sim_trace("writer closes %s", file->name);
		sim_file_close(file->name);
		return;
	}
	file->left--;
	sim_trace("writer appends to %s", file->name);
	sim_file_append(file->name, file->size);
	(void)sim_after(sim_span(USEC_PER_MSEC, 10 * USEC_PER_SEC), on_piece, file);
}

static void on_arrival(void *userdata)
{
	struct file *file = userdata;

	sim.files++;
	switch (file->style) {
	case STYLE_RENAME:
		sim_trace("writer puts %s", file->name);
		(void)sim_file_put(file->name, file->size);
		break;
	case STYLE_SLOW:
		sim_trace("writer opens %s", file->name);
		(void)sim_file_open(file->name);
		file->left = (unsigned)sim_between(1, 4);
		on_piece(file);
		break;
	case STYLES: break;
	}
}

static void on_mischief(void *userdata)
{
	struct file *file = userdata;
	char other[48];

	if (play.well || file->left > 0)
		return;
	snprintf(other, sizeof(other), "%.20s.asset-error.json", file->name);
	switch (sim_between(0, 6)) {
	case 0:
		sim_trace("somebody touches %s", file->name);
		(void)sim_file_touch(file->name);
		break;
	case 1:
	case 2:
		sim_trace("somebody replaces %s", file->name);
		(void)sim_file_put(file->name, file->size + sim_between(0, 1));
		break;
	case 3:
		sim_trace("somebody deletes %s", file->name);
		(void)sim_file_delete(file->name);
		break;
	case 4:
		snprintf(other, sizeof(other), "moved-%.20s", file->name);
		sim_trace("somebody renames %s", file->name);
		(void)sim_file_rename(file->name, other);
		break;
	case 5:
		sim_trace("somebody writes to %s once more", file->name);
		(void)sim_file_open(file->name);
		file->left = (unsigned)sim_between(1, 2);
		on_piece(file);
		break;
	default:
		sim_trace("somebody deletes %s", other);
		(void)sim_file_delete(other);
		break;
	}
}

static struct file *add_file(const char *name, enum style style, uint64_t size, usec_t at)
{
	struct file *file = &play.files[play.count++];

	*file = (struct file){ .style = style, .size = size };
	snprintf(file->name, sizeof(file->name), "%s", name);
	(void)sim_after(at, on_arrival, file);
	return file;
}

static void draw_files(void)
{
	size_t count = sim_between(3, 40);
	bool at_once = sim_chance(300);
	char name[32];

	for (size_t i = 0; i < count; i++) {
		enum style style = sim_chance(700) ? STYLE_RENAME : STYLE_SLOW;
		usec_t at = at_once ? sim_between(0, USEC_PER_SEC)
				    : sim_between(0, play.span);
		struct file *file;
		uint64_t size;

		snprintf(name, sizeof(name), "%s%zu.jpg", sim_chance(60) ? "bad" : "f",
			 i);
		size = sim_span(1, 20000000);
		file = add_file(name, style, size, at);
		for (int again = 0; again < 3 && sim_chance(150); again++)
			(void)sim_after(at + sim_span(USEC_PER_MSEC, play.span),
					on_mischief, file);
	}
}

/* ---- outages ---- */

static void set_disk(int ledger_error, int spool_error)
{
	sim_ledger.error = ledger_error;
	sim_disk.error = spool_error;
}

static void on_outage_ends(void *userdata)
{
	const struct outage *outage = userdata;
	struct sim_service *s = &sim_services.each[outage->service];

	sim_trace("an outage ends");
	if (outage->service == SIM_SERVICES) {
		set_disk(0, 0);
		return;
	}
	if (!s->dead)
		s->fault = FAULT_NONE;
	sim_services.secret = "right";
	if (!s->dead)
		check_outage_ends(outage->service);
}

static void on_outage(void *userdata)
{
	struct outage *outage = userdata;
	struct sim_service *s = &sim_services.each[outage->service];

	if (play.well)
		return;
	if (outage->service == SIM_SERVICES) {
		sim.outages++;
		sim_trace("the disk fails");
		set_disk(outage->ledger_error, outage->spool_error);
	} else {
		const char *host = s->host;

		if (s->fault != FAULT_NONE)
			return;
		*s = outage->what;
		s->host = host;
		if (outage->wrong_secret)
			sim_services.secret = "wrong";
		sim_trace("%s fails: %d, status %d, for %.0f s%s", host, s->fault,
			  s->status, (double)outage->lasts / (double)USEC_PER_SEC,
			  s->dead ? ", for ever" : "");
		check_outage_begins(outage->service);
	}
	outage->lasts = MIN(outage->lasts, play.span - sim.now);
	(void)sim_after(outage->lasts, on_outage_ends, outage);
}

static struct sim_service draw_fault(void)
{
	static const int statuses[] = { 429, 503, 500, 502, 408 };
	struct sim_service s = {
		.fault = (enum sim_fault)sim_between(FAULT_REFUSED, SIM_FAULTS - 1),
	};

	if (s.fault == FAULT_STATUS) {
		s.status = statuses[sim_between(0, ARRAY_SIZE(statuses) - 1)];
		if (sim_chance(500))
			s.retry_after = sim_span(USEC_PER_SEC, 20 * USEC_PER_MINUTE);
		play.retry_after_max = MAX(play.retry_after_max, s.retry_after);
	}
	return s;
}

static struct outage *add_outage(unsigned service, struct sim_service what, usec_t at,
				 usec_t lasts)
{
	struct outage *outage = &play.outages[play.outage_count++];

	*outage = (struct outage){ .service = service, .what = what, .lasts = lasts };
	(void)sim_after(at, on_outage, outage);
	return outage;
}

static void draw_outages(void)
{
	static const int errors[] = { ENOSPC, EROFS, EIO };
	size_t count = sim_between(0, 6);

	for (size_t i = 0; i < count; i++) {
		unsigned service = (unsigned)sim_between(0, SIM_SERVICES);
		struct sim_service what = draw_fault();
		usec_t at = sim_between(0, play.span - 1);
		usec_t lasts = sim_span(USEC_PER_SEC, 2 * USEC_PER_DAY);
		int error = errors[sim_between(0, ARRAY_SIZE(errors) - 1)];
		struct outage *outage = add_outage(service, what, at, lasts);

		outage->ledger_error = sim_chance(700) ? error : 0;
		outage->spool_error = sim_chance(600) ? error : 0;
		if (service == SIM_TOKEN && sim_chance(300)) {
			outage->what.fault = FAULT_NONE;
			outage->wrong_secret = true;
		}
	}
}

static void on_other_host(void *userdata)
{
	(void)userdata;
	/* Nobody might come who finds out that it is back. */
	if (play.well)
		return;
	sim_services.granted = (unsigned)sim_between(SIM_STORAGE, SIM_SERVICES - 2);
	if (sim_services.each[sim_services.granted].dead)
		sim_services.granted = SIM_SERVICES - 1;
	sim_trace("the API grants %s", sim_services.each[sim_services.granted].host);
}

/* A host that never comes back, and some time later the API grants another. */
static void draw_dead_host(void)
{
	struct sim_service what = draw_fault();
	usec_t at = sim_between(0, play.span - 1);

	if (!sim_chance(250) || sim_services.url_lifetime == 0)
		return;
	what.dead = true;
	(void)add_outage(SIM_STORAGE, what, at, play.span);
	(void)sim_after(at + sim_span(1, USEC_PER_HOUR), on_other_host, NULL);
}

static void on_revocation(void *userdata)
{
	(void)userdata;
	sim_trace("all tokens are revoked");
	sim_revoke_tokens();
}

/* ---- ends of the agent ---- */

static void on_kill(void *userdata)
{
	play.power_cut = userdata != NULL;
	sim_kill();
}

static void on_kill_soon(void *userdata)
{
	(void)userdata;
	sim_kill_at_call((unsigned)sim_between(1, 60));
}

static void on_stop(void *userdata)
{
	(void)userdata;
	sim_trace("SIGTERM");
	sim_terminate();
}

static void draw_crashes(void)
{
	size_t count = sim_chance(500) ? sim_between(1, 6) : 0;

	for (size_t i = 0; i < count; i++) {
		usec_t at = sim_between(0, play.span - 1);

		switch (sim_between(0, 4)) {
		case 0: (void)sim_after(at, on_stop, NULL); break;
		case 1: (void)sim_after(at, on_kill, NULL); break;
		case 2: (void)sim_after(at, on_kill, &play); break;
		default: (void)sim_after(at, on_kill_soon, NULL); break;
		}
	}
}

/* ---- all is well ---- */

/* By when all is done: the longest waits that the configuration allows for, one after the
 * other, and each file's own time in the fewest slots. */
static usec_t fair_bound(void)
{
	const struct config *c = &sim.config;
	usec_t each = 6 * sim_services.latency + play.body_max +
		      2 * c->api.request_interval + 2 * sim_ledger.latency;
	usec_t life = sim_services.url_lifetime;

	return 3 * c->retry.max_delay + play.retry_after_max + life + ATTENTION +
	       c->api.timeout + c->upload.stall_timeout + c->api.connect_timeout +
	       2 * sim.spool.poll_interval + each * (play.count + 1);
}

/* A file that comes now finds out which services are back. */
static usec_t breaker_bound(void)
{
	const struct config *c = &sim.config;

	return c->retry.max_delay * 2 + play.retry_after_max +
	       2 * c->api.connect_timeout + c->upload.stall_timeout + play.body_max +
	       ATTENTION + c->api.request_interval * (play.count + c->api.request_burst);
}

static void on_end(void *userdata)
{
	(void)userdata;
	if (sim.spool.watch != WATCH_POLL && sim.turns != play.turns_before)
		check_broken(IDLE_MEANS_ASLEEP, "%llu turns in a day",
			     (unsigned long long)(sim.turns - play.turns_before));
	play.done = true;
	sim_terminate();
}

static void on_quiet(void *userdata)
{
	(void)userdata;
	play.turns_before = sim.turns;
	(void)sim_after(sim.spool.watch == WATCH_POLL ? 3 * sim.spool.poll_interval
						      : USEC_PER_DAY,
			on_end, NULL);
}

static void on_bound(void *userdata)
{
	(void)userdata;
	check_all_done(fair_bound());
	check_orphans();
	(void)sim_after(USEC_PER_MINUTE, on_quiet, NULL);
}

static void on_breaker_bound(void *userdata)
{
	(void)userdata;
	check_breakers_closed();
}

static void on_well(void *userdata)
{
	(void)userdata;
	sim_trace("ALL IS WELL from now on");
	play.well = true;
	set_disk(0, 0);
	sim_config_restore();
	for (unsigned i = 0; i < SIM_SERVICES; i++) {
		if (sim_services.each[i].dead)
			continue;
		sim_services.each[i].fault = FAULT_NONE;
		check_outage_ends(i);
	}
	if (sim_services.each[sim_services.granted].dead)
		sim_services.granted = SIM_SERVICES - 1;
	sim_services.secret = "right";
	sim_services.resets = sim_services.stalls = sim_services.losses = 0;
	sim_kill_at_call(0);
	for (size_t i = 0; i < play.count; i++)
		sim_file_close(play.files[i].name);
	(void)add_file("last.jpg", STYLE_RENAME, 1000, 1);
	(void)sim_after(breaker_bound(), on_breaker_bound, NULL);
	(void)sim_after(MAX(fair_bound(), breaker_bound()), on_bound, NULL);
}

/* ---- the world of a seed ---- */

static void set_config(void)
{
	sim.spool = (struct config_spool){
		.name = (char *)"x",
		.path = (char *)SIM_SPOOL,
		.channel_type = (char *)"sms",
		.sender_type = (char *)"customer",
		.settle = 200 * USEC_PER_MSEC,
		.watch = WATCH_AUTO,
		.poll_interval = 10 * USEC_PER_SEC,
		.after_upload = AFTER_KEEP,
		.done_directory = (char *)SIM_DONE,
		.max_size = UINT64_MAX,
	};
	sim.config = (struct config){
		.api = { .base_url = (char *)"https://api.example",
			 .accept_language = (char *)"en-US",
			 .timeout = 30 * USEC_PER_SEC,
			 .connect_timeout = 10 * USEC_PER_SEC,
			 .request_burst = 10 },
		.auth = { .token_url = (char *)"https://token.example/",
			  .client_id = (char *)"me",
			  .client_secret_file = (char *)SIM_SECRET_FILE },
		.upload = { .mime_types = (char *)"",
			    .max_concurrent = 16,
			    .bandwidth = UINT64_MAX,
			    .stall_timeout = 30 * USEC_PER_SEC },
		.retry = { .initial_delay = USEC_PER_SEC,
			   .max_delay = 5 * USEC_PER_MINUTE,
			   .max_attempts = 10 },
		.state = { .directory = (char *)"/state" },
		.spools = &sim.spool,
		.spool_count = 1,
	};
}

/* In some worlds: to write them each second is most of the work in the others. */
static void set_report(void)
{
	if (sim.seed % 16 != 0)
		return;
	sim.config.report.status_file = (char *)SIM_STATUS;
	sim.config.report.metrics_file = (char *)SIM_METRICS;
}

static void draw_config(void)
{
	set_report();
	if (sim_chance(500))
		return;
	sim.config.upload.max_concurrent = sim_between(1, 16);
	sim.config.retry.initial_delay = sim_span(100 * USEC_PER_MSEC, 10 * USEC_PER_SEC);
	sim.config.retry.max_delay = sim_span(USEC_PER_MINUTE, USEC_PER_HOUR);
	sim.config.retry.max_attempts = sim_between(2, 10);
	if (sim_chance(400)) {
		sim.config.api.request_interval = sim_span(10 * USEC_PER_MSEC,
							   20 * USEC_PER_SEC);
		sim.config.api.request_burst = sim_between(1, 10);
	}
	if (sim_chance(200)) {
		sim.spool.watch = WATCH_POLL;
		/* So many looks are enough, however long it lasts. */
		sim.spool.poll_interval = MAX(sim.spool.poll_interval, play.span / 500);
	}
	sim.spool.after_upload = (enum after_upload)sim_between(AFTER_KEEP, AFTER_MOVE);
}

static void on_reload(void *userdata)
{
	(void)userdata;
	if (play.well)
		return;
	/* Some administrators are in a hurry. */
	do
		sim_config_change();
	while (sim_chance(200));
}

static void draw_reloads(void)
{
	size_t count = sim_chance(600) ? sim_between(1, 12) : 0;

	for (size_t i = 0; i < count; i++)
		(void)sim_after(sim_between(0, play.span - 1), on_reload, NULL);
}

static void draw_services(void)
{
	static const int seconds[] = { 200, 409, 412 };

	sim_services.latency = sim_span(USEC_PER_MSEC, 5 * USEC_PER_SEC);
	sim_services.rate = sim_span(500000, 100000000);
	sim_services.second_put = seconds[sim_between(0, 2)];
	sim_services.token_lifetime = sim_chance(100)
					      ? 0
					      : sim_span(USEC_PER_MINUTE, USEC_PER_DAY);
	sim_services.url_lifetime = sim_chance(100)
					    ? 0
					    : sim_span(USEC_PER_MINUTE, USEC_PER_HOUR);
	if (sim_chance(400))
		sim_services.skew = (int64_t)sim_between(0, 20 * USEC_PER_HOUR) -
				    (int64_t)(10 * USEC_PER_HOUR);
	else
		sim_services.dates = sim_chance(500);
	if (sim_chance(500)) {
		sim_services.resets = (unsigned)sim_between(0, 300);
		sim_services.stalls = (unsigned)sim_between(0, 100);
		sim_services.losses = (unsigned)sim_between(0, 100);
	}
	sim_disk.leases = sim_chance(700);
	sim_disk.loss = sim_chance(200) ? 100 : 0;
	sim_ledger.latency = sim_span(USEC_PER_MSEC, 2 * USEC_PER_SEC);
	sim_worker_latency = sim_span(USEC_PER_MSEC, USEC_PER_SEC);
	play.body_max = 100000000 * USEC_PER_SEC / sim_services.rate;
}

/* What a sabotage needs to come to light. */
static void help(enum sabotage sabotage)
{
	switch (sabotage) {
	case SABOTAGE_EARLY_ACK: sim.spool.after_upload = AFTER_DELETE; break;
	case SABOTAGE_MORE_SLOTS: sim.config.upload.max_concurrent = 1; break;
	case SABOTAGE_NO_ROOM: sim.config.upload.max_concurrent = 2; break;
	case SABOTAGE_WRONG_DATE:
		sim_services.dates = true;
		sim_services.url_lifetime = USEC_PER_MINUTE;
		break;
	case SABOTAGE_ENDLESS_RETRY:
		sim.config.retry.max_attempts = 2;
		sim_services.resets = 900;
		break;
	case SABOTAGE_INSOMNIA: sim.spool.watch = WATCH_AUTO; break;
	default: break; /* the worlds are full of trouble anyway */
	}
}

static void begin(uint64_t seed, enum sabotage sabotage)
{
	static const char types[] = "image/jpeg jpg\n";

	sim_begin(seed);
	sim.sabotage = sabotage;
	memset(&play, 0, sizeof(play));
	if (!mime)
		(void)mime_parse(types, sizeof(types) - 1, &mime);
	sim_disk_begin();
	sim_ledger_begin();
	sim_worker_begin();
	sim_services_begin();
	sim_text_put(SIM_SECRET_FILE, "right");
	set_config();
}

static void end(void)
{
	sim_config_end();
	sim_end();
	sim_services_end();
	sim_ledger_end();
	sim_disk_end();
	__real_mime_free(take_ptr(mime));
}

/* When all is well, the agent is there too. */
static void sleep_at_most(usec_t duration)
{
	sim_sleep(MIN(duration, usec_sub(play.span, sim.now + 1)));
}

static void restart(void)
{
	sim.dead = false;
	if (play.power_cut) {
		sim_trace("the machine lost power");
		sim_disk_power_cut();
		play.power_cut = false;
		sleep_at_most(sim_span(10 * USEC_PER_SEC, USEC_PER_HOUR));
		sim.booted = sim.now;
	} else {
		sleep_at_most(sim_span(100 * USEC_PER_MSEC, USEC_PER_MINUTE));
	}
}

static void live(void)
{
	while (!sim.over) {
		sim_trace("the agent starts");
		(void)agent_run(sim_config_load(), NULL, AGENT_RUN);
		check_life_ends();
		if (play.done)
			return;
		restart();
	}
}

bool sim_play(uint64_t seed, enum sabotage sabotage)
{
	begin(seed, sabotage);
	play.span = sim_span(USEC_PER_MINUTE, 14 * USEC_PER_DAY);
	draw_config();
	draw_services();
	help(sabotage);
	check_begin();
	sim_config_begin();
	draw_files();
	draw_outages();
	draw_dead_host();
	draw_crashes();
	draw_reloads();
	if (sim_chance(300))
		(void)sim_after(sim_between(0, play.span - 1), on_revocation, NULL);
	if (sim_chance(300))
		(void)sim_after(sim_between(0, play.span - 1), on_other_host, NULL);
	(void)sim_after(play.span, on_well, NULL);
	live();
	end();
	return check_broken_count() == 0;
}

/* ---- worlds with one trouble only, all else at its default ---- */

#define CROWD 1000 /* files */
#define EARLY 50
#define MANY  (SCHEDULE_MAX / 2 + 200) /* more than are kept in mind while they wait */
#define LARGE ((uint64_t)1 << 20)      /* bytes */

static struct {
	struct sim_outage_report report;
	uint64_t requests_before;
	unsigned slow_disks, misnamed;
	usec_t since;
} single;

static void add_crowd(const char *kind, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s%u.jpg", kind, i);
		(void)add_file(name, STYLE_RENAME, 20000, 1);
	}
}

/* Ends when none of the crowd is due any more. */
static void on_drained(void *userdata)
{
	if (sim_due_file("crowd")) {
		(void)sim_after(100 * USEC_PER_MSEC, on_drained, userdata);
		return;
	}
	single.report.drained = sim.now - single.since;
	play.done = true;
	sim_terminate();
}

static void on_api_back(void *userdata)
{
	on_outage_ends(userdata);
	single.report.requests = sim.requests - single.requests_before;
	single.since = sim.now;
	on_drained(NULL);
}

static void on_api_away(void *userdata)
{
	struct sim_service *s = &sim_services.each[SIM_API];

	single.requests_before = sim.requests;
	s->fault = FAULT_REFUSED;
	check_outage_begins(SIM_API);
	add_crowd("crowd", CROWD);
	(void)sim_after(10 * USEC_PER_MINUTE, on_api_back, userdata);
}

static void begin_single(uint64_t seed)
{
	begin(seed, SABOTAGE_NONE);
	memset(&single, 0, sizeof(single));
	play.span = USEC_PER_DAY;
	/* 50 ms an answer, whichever way. */
	sim_services.latency = 50 * USEC_PER_MSEC;
	check_begin();
	sim_config_begin();
}

static struct sim_outage_report end_single(void)
{
	live();
	single.report.broken = check_broken_count();
	single.report.attempts = check_attempts_seen();
	single.slow_disks = check_slow_disks_seen();
	single.misnamed = check_slow_disks_misnamed();
	end();
	return single.report;
}

struct sim_outage_report sim_play_outage(uint64_t seed)
{
	static struct outage api = { .service = SIM_API };

	begin_single(seed);
	(void)sim_after(USEC_PER_SEC, on_api_away, &api);
	return end_single();
}

static void on_storage_dies(void *userdata)
{
	(void)userdata;
	sim_services.each[SIM_STORAGE].fault = FAULT_BLACKHOLE;
	sim_services.each[SIM_STORAGE].dead = true;
	check_outage_begins(SIM_STORAGE);
	single.requests_before = sim.requests;
	add_crowd("early", EARLY);
}

static void on_other_storage(void *userdata)
{
	(void)userdata;
	single.report.requests = sim.requests - single.requests_before;
	sim_services.granted = SIM_STORAGE + 1;
}

static void on_late_crowd(void *userdata)
{
	single.since = sim.now;
	add_crowd("crowd", CROWD);
	(void)sim_after(USEC_PER_SEC, on_drained, userdata);
}

struct sim_outage_report sim_play_dead_host(uint64_t seed)
{
	begin_single(seed);
	/* What was granted for it is of use for as long as this takes; a token never is.
	 */
	sim_services.url_lifetime = 2 * USEC_PER_HOUR;
	sim_services.token_lifetime = USEC_PER_MINUTE;
	(void)add_file("before.jpg", STYLE_RENAME, 20000, 1);
	(void)sim_after(USEC_PER_MINUTE, on_storage_dies, NULL);
	(void)sim_after(11 * USEC_PER_MINUTE, on_other_storage, NULL);
	(void)sim_after(USEC_PER_HOUR, on_late_crowd, NULL);
	return end_single();
}

static void on_disk_answers(void *userdata)
{
	sim_ledger.latency = sim_worker_latency = USEC_PER_MSEC;
	on_drained(userdata);
}

struct sim_disk_report sim_play_slow_disk(uint64_t seed)
{
	struct sim_disk_report report = {};

	begin_single(seed);
	sim_ledger.latency = USEC_PER_HOUR;
	/* Longer than that takes, so that no URL runs out. */
	sim_services.url_lifetime = USEC_PER_DAY;
	add_crowd("crowd", EARLY);
	(void)sim_after(3 * USEC_PER_HOUR, on_disk_answers, NULL);
	report.broken = end_single().broken;
	report.told = single.slow_disks;
	return report;
}

struct sim_disk_report sim_play_slow_spool(uint64_t seed)
{
	struct sim_disk_report report = {};

	begin_single(seed);
	sim_worker_latency = USEC_PER_HOUR;
	add_crowd("crowd", EARLY);
	(void)sim_after(3 * USEC_PER_HOUR, on_disk_answers, NULL);
	report.broken = end_single().broken;
	report.told = single.slow_disks;
	report.misnamed = single.misnamed;
	return report;
}

static struct {
	bool second_is_asked;
} large;

static void on_disk_slow_for_long(void *userdata)
{
	(void)userdata;
	large.second_is_asked = sim_asset_count() == 2;
	sim_ledger.latency = USEC_PER_MSEC;
	play.done = true;
	sim_terminate();
}

static void on_large_sending(void *userdata)
{
	if (sim_asset_count() == 0 || !sim_asset_at(0)->recorded ||
	    sim_large_in_flight(LARGE) == 0) {
		(void)sim_after(10 * USEC_PER_MSEC, on_large_sending, userdata);
		return;
	}
	sim_ledger.latency = 100 * USEC_PER_DAY;
	(void)sim_after(5 * USEC_PER_MINUTE, on_disk_slow_for_long, NULL);
}

bool sim_play_large_on_slow_disk(uint64_t seed)
{
	begin_single(seed);
	sim.config.upload.max_concurrent = 1;
	sim_services.rate = LARGE; /* it takes some seconds */
	check_begin();
	sim_config_begin();
	(void)add_file("large1.jpg", STYLE_RENAME, 3 * LARGE, 1);
	(void)add_file("large2.jpg", STYLE_RENAME, 3 * LARGE, 1);
	on_large_sending(NULL);
	return end_single().broken == 0 && large.second_is_asked;
}

static void on_failed_for_long(void *userdata)
{
	(void)userdata;
	play.done = true;
	sim_terminate();
}

uint64_t sim_play_crowd_that_fails(uint64_t seed)
{
	begin_single(seed);
	sim.config.retry.max_attempts = 1000;
	sim.config.retry.initial_delay = sim.config.retry.max_delay = USEC_PER_MINUTE;
	sim_services.refuses = true;
	check_begin();
	sim_config_begin();
	add_crowd("crowd", MANY);
	(void)sim_after(USEC_PER_MINUTE, on_failed_for_long, NULL);
	(void)end_single();
	return sim.entries;
}

static struct {
	bool fit, others_done, all_done;
} storages;

static void on_all_judged(void *userdata)
{
	/* Now and then one that nobody takes is granted anew. */
	storages.all_done = !sim_due_file("crowd") &&
			    sim_asset_count() <= play.count + 10;
	on_failed_for_long(userdata);
}

static void on_storages_back(void *userdata)
{
	storages.fit = sim.waiting <= SCHEDULE_OLD_MAX;
	storages.others_done = sim_due_count() <= 2 * CONFIG_CONCURRENT_MAX &&
			       !sim_due_file("last");
	for (unsigned i = SIM_STORAGE; i < SIM_STORAGE + 2; i++) {
		sim_services.each[i].fault = FAULT_NONE;
		check_outage_ends(i);
	}
	(void)sim_after(20 * USEC_PER_MINUTE, on_all_judged, userdata);
}

static void on_third_storage(void *userdata)
{
	(void)userdata;
	sim_services.granted = SIM_STORAGE + 2;
	(void)add_file("last.jpg", STYLE_RENAME, 1000, 1);
}

static void on_second_storage(void *userdata)
{
	(void)userdata;
	sim_services.granted = SIM_STORAGE + 1;
}

bool sim_play_two_storages(uint64_t seed)
{
	begin_single(seed);
	sim.config.upload.max_concurrent = CONFIG_CONCURRENT_MAX;
	sim_services.url_lifetime = USEC_PER_DAY;
	check_begin();
	sim_config_begin();
	for (unsigned i = SIM_STORAGE; i < SIM_STORAGE + 2; i++)
		sim_services.each[i].fault = FAULT_REFUSED;
	add_crowd("crowd", MANY);
	(void)sim_after(USEC_PER_MINUTE, on_second_storage, NULL);
	(void)sim_after(20 * USEC_PER_MINUTE, on_third_storage, NULL);
	(void)sim_after(40 * USEC_PER_MINUTE, on_storages_back, NULL);
	return end_single().broken == 0 && storages.fit && storages.others_done &&
	       storages.all_done;
}

static struct {
	uint64_t questions;
	bool done;
} held;

static void on_held_judged(void *userdata)
{
	held.done = !sim_due_file("crowd");
	on_failed_for_long(userdata);
}

static void on_mended(void *userdata)
{
	held.questions = sim.questions;
	sim_disk.apart = false;
	(void)sim_after(5 * USEC_PER_MINUTE, on_held_judged, userdata);
}

uint64_t sim_play_held(uint64_t seed, bool *ret_done)
{
	begin_single(seed);
	sim.spool.after_upload = AFTER_MOVE;
	check_begin();
	sim_config_begin();
	sim_disk.apart = true;
	add_crowd("crowd", MANY);
	(void)sim_after(10 * USEC_PER_MINUTE, on_mended, NULL);
	*ret_done = end_single().broken == 0 && held.done;
	return held.questions;
}

static struct {
	bool heard; /* there is a service manager */
	usec_t stopped, extended;
} manager;

bool __wrap_notify_is_heard(void);
bool __wrap_notify_is_heard(void)
{
	return manager.heard;
}

void __wrap_notify_extend(usec_t more);
void __wrap_notify_extend(usec_t more)
{
	(void)more;
	manager.extended = sim.now;
}

/* This process is not the agent's alone. */
void __wrap_footprint_shrink(void);
void __wrap_footprint_shrink(void)
{
}

static void on_stop_for_good(void *userdata)
{
	(void)userdata;
	manager.stopped = manager.extended = sim.now;
	play.done = true;
	sim_terminate();
}

usec_t sim_play_stop_on_slow_disk(uint64_t seed)
{
	begin_single(seed);
	manager.heard = true;
	sim_ledger.latency = USEC_PER_HOUR;
	sim_services.url_lifetime = USEC_PER_DAY;
	add_crowd("crowd", EARLY);
	(void)sim_after(10 * USEC_PER_MINUTE, on_stop_for_good, NULL);
	(void)end_single();
	manager.heard = false;
	return manager.extended - manager.stopped;
}

static struct {
	bool is_short, is_short_for_urls, is_short_for_rows, done;
	size_t assets; /* that were made by then */
} memory;

int __real_schedule_add(struct schedule *schedule, struct item *item);
int __wrap_schedule_add(struct schedule *schedule, struct item *item);
int __wrap_schedule_add(struct schedule *schedule, struct item *item)
{
	if (memory.is_short || (memory.is_short_for_rows && item->unfinished))
		return -ENOMEM;
	return __real_schedule_add(schedule, item);
}

static void on_memory_judged(void *userdata)
{
	memory.done = !sim_due_file("crowd");
	memory.assets = sim_asset_count();
	on_stop_for_good(userdata);
}

static void on_memory(void *userdata)
{
	memory.is_short = false;
	(void)sim_after(USEC_PER_MINUTE, on_memory_judged, userdata);
}

static void on_no_memory(void *userdata)
{
	memory.is_short = true;
	add_crowd("crowd", 1);
	(void)sim_after(10 * USEC_PER_MINUTE, on_memory, userdata);
}

int __real_content_url_parse(const char *text, const struct content_url_policy *policy,
			     struct content_url *ret, char **ret_reason);
int __wrap_content_url_parse(const char *text, const struct content_url_policy *policy,
			     struct content_url *ret, char **ret_reason);
int __wrap_content_url_parse(const char *text, const struct content_url_policy *policy,
			     struct content_url *ret, char **ret_reason)
{
	if (!memory.is_short_for_urls)
		return __real_content_url_parse(text, policy, ret, ret_reason);
	*ret = (struct content_url){};
	*ret_reason = NULL;
	return -ENOMEM;
}

static void on_memory_for_urls(void *userdata)
{
	memory.is_short_for_urls = false;
	(void)sim_after(USEC_PER_MINUTE, on_memory_judged, userdata);
}

size_t sim_play_no_memory_for_urls(uint64_t seed)
{
	begin_single(seed);
	memory.is_short_for_urls = true;
	sim_services.url_lifetime = USEC_PER_DAY;
	add_crowd("crowd", 1);
	(void)sim_after(10 * USEC_PER_MINUTE, on_memory_for_urls, NULL);
	(void)end_single();
	return memory.done ? memory.assets : 0;
}

static void on_memory_for_rows(void *userdata)
{
	memory.is_short_for_rows = false;
	sim_services.each[SIM_STORAGE].fault = FAULT_NONE;
	check_outage_ends(SIM_STORAGE);
	(void)sim_after(10 * USEC_PER_MINUTE, on_memory_judged, userdata);
}

static void on_restart_without_memory(void *userdata)
{
	memory.is_short_for_rows = true;
	(void)sim_after(10 * USEC_PER_MINUTE, on_memory_for_rows, userdata);
	sim_terminate();
}

size_t sim_play_no_memory_for_rows(uint64_t seed)
{
	begin_single(seed);
	sim_services.url_lifetime = USEC_PER_DAY;
	sim_services.each[SIM_STORAGE].fault = FAULT_REFUSED;
	check_outage_begins(SIM_STORAGE);
	add_crowd("crowd", 1);
	(void)sim_after(USEC_PER_MINUTE, on_restart_without_memory, NULL);
	(void)end_single();
	return memory.done ? memory.assets : 0;
}

bool sim_play_no_memory(uint64_t seed)
{
	begin_single(seed);
	(void)sim_after(USEC_PER_SEC, on_no_memory, NULL);
	(void)end_single();
	return memory.done;
}
