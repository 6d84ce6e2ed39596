#pragma once

/*
 * Simulation: the whole agent, from agent_run() on, in a world of its own.
 *
 * The devices below the agent are replaced at link time (`// wrap:` in
 *test-simulation.c): clocks, randomness, the event loop, the files, inotify, the ledger
 *and HTTP. What runs above them is the agent's own code, line for line. One seed makes
 *one world: its configuration, its writers, its outages, its crashes; weeks of it pass in
 *milliseconds, and the same seed makes the same world again.
 *
 *	simulation-loop	    time, chance, and the event loop
 *	simulation-disk	    a disk of inodes and names, its faults, and inotify
 *	simulation-ledger   rows that survive, acknowledged late
 *	simulation-service  a token server, the API and storage hosts
 *	simulation-check    the invariants
 *	simulation-config   the configuration files, which change
 *	simulation-play	    what happens in the world of one seed
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "breaker.h"
#include "clock.h"
#include "config.h"
#include "ledger.h"
#include "macro.h"

#define SIM_EPOCH	(UINT64_C(1800000000) * USEC_PER_SEC) /* when a world begins */
#define SIM_SPOOL	"/spool"
#define SIM_OTHER	"/other" /* a spool that comes and goes, and is empty */
#define SIM_DONE	"/done"
#define SIM_SECRET_FILE "/etc/secret"
#define SIM_STATUS	"/run/status.json"
#define SIM_METRICS	"/run/metrics.prom"

/* ---- the invariants, and what breaks each of them (simulation-check.c) ---- */

enum invariant {
	ORDER_OF_DISPOSAL,
	RECEIPT_IS_TRUE,
	ERROR_HAS_A_CAUSE,
	ATTEMPTS_ARE_OWN_FAULTS,
	ATTEMPTS_END,
	ONE_PROBE_AT_A_TIME,
	PROBES_WAIT,
	RETRY_AFTER_IS_KEPT,
	OUTAGE_IS_QUIET,
	ORPHANS_ARE_ACCOUNTED,
	REQUEST_RATE_IS_KEPT,
	SLOTS_ARE_KEPT,
	LARGE_LEAVE_ROOM,
	URL_IS_FRESH,
	URL_IS_NOT_RETRIED_FOR_EVER,
	BREAKER_CLOSES_AGAIN,
	NO_FILE_IS_FORGOTTEN,
	ALL_IS_DONE_IN_TIME,
	NOTHING_IS_STUCK,
	LOOP_DOES_NOT_SPIN,
	IDLE_MEANS_ASLEEP,
	NOTHING_LEAKS,
	REPORTS_LEAVE_SPOOLS_ALONE,
	INVARIANTS
};

enum sabotage {
	SABOTAGE_NONE,
	SABOTAGE_EARLY_ACK,	 /* the ledger acknowledges what it has not stored */
	SABOTAGE_TORN_OBJECT,	 /* the storage says 200 and keeps half */
	SABOTAGE_LOST_PAPERS,	 /* a rejection that nobody pronounced */
	SABOTAGE_COSTLY_OUTAGE,	 /* a service's fault is taken for the file's */
	SABOTAGE_NO_RECEIPT,	 /* the error sidecar is not written */
	SABOTAGE_PROBE_TWICE,	 /* a breaker lets everybody in */
	SABOTAGE_EARLY_PROBE,	 /* a breaker lets its probe in before its time */
	SABOTAGE_NO_PATIENCE,	 /* Retry-After does not reach the breaker */
	SABOTAGE_NO_BACKOFF,	 /* every wait is 0 */
	SABOTAGE_FORGOTTEN_ROW,	 /* a restart finds no grants */
	SABOTAGE_LENDING_BUCKET, /* RequestRate is not asked */
	SABOTAGE_MORE_SLOTS,	 /* MaxConcurrent is taken for more than it is */
	SABOTAGE_NO_ROOM,	 /* large files get every slot */
	SABOTAGE_WRONG_DATE,	 /* the service's clock reads other than it goes */
	SABOTAGE_ENDLESS_RETRY,	 /* attempts are not counted */
	SABOTAGE_STUCK_BREAKER,	 /* no success closes a breaker */
	SABOTAGE_LOST_EVENT,	 /* inotify loses events and does not say so */
	SABOTAGE_LOST_ANSWER,	 /* a request is never answered, nor times out */
	SABOTAGE_SLOTH,		 /* a file that failed waits for a month */
	SABOTAGE_SPIN,		 /* a source can't be switched off */
	SABOTAGE_INSOMNIA,	 /* a timer comes back and back */
	SABOTAGE_LEAK,		 /* a descriptor is not closed */
	SABOTAGE_CURIOSITY,	 /* a report looks at a spool's filesystem */
	SABOTAGES
};

/* ---- time and chance (simulation-loop.c) ---- */

extern struct sim {
	uint64_t seed;
	usec_t now;    /* since the world began */
	usec_t booted; /* when the machine started last */
	bool dead;     /* the agent was killed: what it still does reaches nobody */
	bool over;     /* the world ends: enough is seen */
	bool trace;
	enum sabotage sabotage;
	struct config config;
	struct config_spool spool;
	uint64_t waiting; /* files, as the agent told last */
	/* What was seen, for the report. */
	uint64_t events, turns, entries, questions, files, requests, crashes, outages,
		reloads, sabotaged;
} sim;

typedef void (*sim_fn)(void *userdata);
struct sim_event;

/* Begins a new world. */
void sim_begin(uint64_t seed);
void sim_end(void);

/* @run is called after @delay, once, unless it is cancelled before. */
struct sim_event *sim_after(usec_t delay, sim_fn run, void *userdata);
void sim_cancel(struct sim_event *event);

uint64_t sim_draw(void);
bool sim_chance(unsigned permille);
/* Evenly from @low to @high; every order of magnitude alike. */
uint64_t sim_between(uint64_t low, uint64_t high);
usec_t sim_span(usec_t low, usec_t high);

/* Runs @run as a turn of the agent's loop. */
void sim_turn(sim_fn run, void *userdata);
/* Sends the agent SIGTERM, SIGHUP. */
void sim_terminate(void);
void sim_hang_up(void);
/* Who has something to tell. */
enum sim_fd { SIM_FD_LEDGER, SIM_FD_WORKER, SIM_FDS };
void sim_io_ready(enum sim_fd fd, bool ready);
/* When the agent will do something by itself; USEC_INFINITY: never. */
usec_t sim_wakes_at(void);
/* Kills the agent: now, or at its @nth call of a device from now. */
void sim_kill(void);
void sim_kill_at_call(unsigned nth);
/* While no agent runs. */
void sim_sleep(usec_t duration);
/* Each device says so when it is about to change the world. Whether it may. */
bool sim_device(void);

void sim_trace(const char *format, ...) _printf_(1, 2);

/* ---- the configuration (simulation-config.c) ---- */

/* The files say what sim.config and sim.spool do, with one spool. */
void sim_config_begin(void);
/* Each configuration that an agent had must be freed by now. */
void sim_config_end(void);

/* The first one of an agent that starts, by what the files say. */
struct config *sim_config_load(void);
/* They say something else from now on, and the agent is told to reload. */
void sim_config_change(void);
/* They say what they said at first, and the same. */
void sim_config_restore(void);
/* Whether SIM_SPOOL is in the configuration, as the agent has it. */
bool sim_config_has_spool(void);
/* Whether any of them said to delete or move sources. */
bool sim_config_disposes(void);

/* ---- the disk (simulation-disk.c) ---- */

struct sim_inode;

void sim_disk_begin(void);
void sim_disk_end(void);

struct sim_disk_options {
	int error;     /* of every change; 0: none */
	bool leases;   /* the kernel can tell whether a file is being written */
	unsigned loss; /* permille of events that overflow */
	bool apart;    /* nothing can be moved from the spool to DoneDirectory */
};
extern struct sim_disk_options sim_disk;

/* What the writers do in the spool. Whether it could be done. */
bool sim_file_open(const char *name); /* to write: made if missing, else truncated */
void sim_file_append(const char *name, uint64_t bytes);
void sim_file_close(const char *name);
bool sim_file_put(const char *name, uint64_t size); /* whole, by a rename */
bool sim_file_rename(const char *from, const char *to);
bool sim_file_delete(const char *name);
bool sim_file_touch(const char *name);
bool sim_file_is_there(const char *name);
void sim_text_put(const char *path, const char *text);

/* The machine loses power: what was not synced may be lost. */
void sim_disk_power_cut(void);
void sim_disk_sync(void);
/* Descriptors that the agent has open. */
size_t sim_disk_descriptors(void);
/* Events that are on their way to the agent. */
size_t sim_watch_pending(void);

/* What @fd is open for; its content now (0: none), and its size. */
struct sim_inode *sim_inode_of(int fd);
uint64_t sim_inode_content(const struct sim_inode *inode);
uint64_t sim_inode_size(const struct sim_inode *inode);
/* The content that a file of that size and mtime has, or had: whether it is @content. */
bool sim_content_was(uint64_t size, struct timespec modified, uint64_t content);
/* Any file of the spool or the done directory has that content. */
bool sim_content_lives(const char *name, uint64_t content);
/* How often a file of that name was changed by anybody. */
unsigned sim_changes(const char *name);

/* A file of the spool, its name beginning with @prefix, that is due and that nobody is
 * writing; NULL: none. And how many there are. */
const char *sim_due_file(const char *prefix);
size_t sim_due_count(void);
bool sim_has_error_sidecar(const char *name);

/* ---- the ledger (simulation-ledger.c) ---- */

extern struct sim_ledger_options {
	int error; /* of every commit; 0: none */
	usec_t latency;
} sim_ledger;

void sim_ledger_begin(void);
void sim_ledger_end(void);
/* A kill: what was under way is committed or not. */
void sim_ledger_crash(void);
/* A row on the disk for an upload of @identity. */
bool sim_ledger_has_upload(const struct fs_identity *identity);
bool sim_ledger_is_busy(void);

/* ---- the thread that disposes (simulation-worker.c) ---- */

extern usec_t sim_worker_latency; /* of a job, which may be killed in its midst */

void sim_worker_begin(void);
bool sim_worker_is_busy(void);

/* ---- the services (simulation-service.c) ---- */

#define SIM_HOSTS 4
enum { SIM_TOKEN, SIM_API, SIM_STORAGE, SIM_SERVICES = SIM_STORAGE + SIM_HOSTS };

enum sim_fault {
	FAULT_NONE,
	FAULT_REFUSED,
	FAULT_RESOLVE,
	FAULT_TLS,
	FAULT_BLACKHOLE, /* nobody answers, not even with a refusal */
	FAULT_STATUS,	 /* answers `status`, with `retry_after` if that is set */
	FAULT_GARBAGE,
	FAULT_BAD_ANSWER,
	SIM_FAULTS
};

struct sim_service {
	const char *host;
	enum sim_fault fault;
	int status;
	usec_t retry_after;
	bool dead; /* for ever */
};

extern struct sim_services {
	struct sim_service each[SIM_SERVICES];
	unsigned granted; /* the storage host that URLs are granted for */
	int64_t skew;	  /* of the services' clock, in usec */
	bool dates;	  /* answers carry a Date */
	const char *secret;
	usec_t token_lifetime; /* 0: not said */
	usec_t url_lifetime;   /* 0: not said */
	usec_t latency;
	unsigned resets, stalls,
		losses; /* permille of uploads (and questions) that fail */
	bool refuses;	/* the storages refuse each URL */
	int second_put; /* what a second PUT to a URL gets */
	uint64_t rate;	/* bytes per second of one upload */
} sim_services;

struct sim_asset {
	char id[24];
	char name[64];
	uint64_t size;
	unsigned host;
	usec_t expires;	     /* by sim.now; USEC_INFINITY: never */
	usec_t leave;	     /* from when on it may be left for another */
	uint64_t content;    /* that the storage has whole; 0: none */
	unsigned changes;    /* of its file, until it was made */
	bool recorded;	     /* its row was on the disk */
	bool unrecordable;   /* it could not be put there at first */
	bool excused;	     /* something happened for which it may have been dropped */
	bool named;	     /* by a receipt */
	unsigned unreached;  /* puts in a row that did not reach its host */
	unsigned own_faults; /* puts that failed by what counts as an attempt */
};

void sim_services_begin(void);
void sim_services_end(void);
void sim_services_crash(void);
/* The agent ends by itself: what it could not record is lost. */
void sim_services_stop(void);
void sim_revoke_tokens(void);
struct sim_asset *sim_asset(const char *id);
size_t sim_asset_count(void);
struct sim_asset *sim_asset_at(size_t index);
/* Requests under way to the API and the storages; whether there are any at all. */
unsigned sim_in_flight(void);
/* Uploads under way of files of more than @size that have been what they are from the
 * first. */
unsigned sim_large_in_flight(uint64_t size);
bool sim_services_are_busy(void);
/* The assets of that name may have been dropped, but for the one that is named. */
void sim_excuse(const char *name);
bool sim_is_rejected(const char *name);
/* What the services did to a file that counts as an attempt, at the most. */
unsigned sim_charges(const char *name);

/* ---- the checks (simulation-check.c) ---- */

struct sim_request {
	unsigned service;
	uint64_t number; /* they count up */
	usec_t started;
	struct sim_asset *asset; /* of an upload */
	usec_t retry_after;	 /* what the answer asks for */
};

/* For a world whose configuration is made. */
void check_begin(void);
/* Something is not as it must be. */
void check_broken(enum invariant which, const char *format, ...) _printf_(2, 3);
bool check_is_broken(enum invariant which);
unsigned check_broken_count(void);
/* Attempts that files were told to have failed. */
uint64_t check_attempts_seen(void);
/* And how often that the disk does not answer. */
unsigned check_slow_disks_seen(void);
/* By another file than the one whose sidecar was then written first. */
unsigned check_slow_disks_misnamed(void);
const char *check_name(enum invariant which);

void check_started(const struct sim_request *request);
void check_answered(const struct sim_request *request);
void check_gone(const struct sim_request *request);
/* The filesystem of the spools is asked something. */
void check_disk_use(void);
void check_source_disposed(const char *name, const struct fs_identity *identity);
void check_receipt(const char *text);
void check_error_sidecar(const char *name, const char *text);
void check_outage_begins(unsigned service);
void check_outage_ends(unsigned service);
void check_life_ends(void);
void check_idle(void);
void check_breakers_closed(void);
void check_all_done(usec_t bound);
void check_orphans(void);

/* ---- what happens (simulation-play.c) ---- */

/* Lives through the world of @seed. Whether all invariants held. */
bool sim_play(uint64_t seed, enum sabotage sabotage);

struct sim_outage_report {
	uint64_t requests; /* during it */
	uint64_t attempts; /* that it cost */
	usec_t drained;	   /* until all were done */
	unsigned broken;
};

/* 1000 files wait through ten minutes without an API, all else at its default; all are
 * done that long after it is back. */
struct sim_outage_report sim_play_outage(uint64_t seed);

/* A storage host dies while 50 files come, ten minutes later the API grants another, and
 * within the hour there come 1000 more; all are done that long after these came. */
struct sim_outage_report sim_play_dead_host(uint64_t seed);

struct sim_disk_report {
	unsigned told;	   /* how often the agent said that the disk does not answer */
	unsigned broken;   /* it is not stuck for that, nor is anything lost */
	unsigned misnamed; /* how often by a file that only waited for another */
};

/* For three hours each commit takes an hour, while 50 files come. */
struct sim_disk_report sim_play_slow_disk(uint64_t seed);
/* The same of a spool's disk and its sidecars. */
struct sim_disk_report sim_play_slow_spool(uint64_t seed);

/* With one slot, a large file is sent to its end and its record takes days. Whether
 * another large one is asked for within minutes, and no more than one told of. */
bool sim_play_large_on_slow_disk(uint64_t seed);

/* For a minute a storage refuses each upload, of more files than are kept in mind while
 * they wait. How many entries of the directory are read in that. */
uint64_t sim_play_crowd_that_fails(uint64_t seed);

/* Two storages go away one after the other, each with as many files granted for it as may
 * be on their way at once: together more than have places while they wait. Whether all
 * others are done before the two are back, and all are after, with one asset each. */
bool sim_play_two_storages(uint64_t seed);

/* For ten minutes more files than are kept in mind can't be moved to DoneDirectory.
 * @ret_done: whether all are done within minutes after. How often it is looked whether
 * they can. */
uint64_t sim_play_held(uint64_t seed, bool *ret_done);

/* For ten minutes there is no memory to take a file in, while one comes. Whether it is
 * done a minute after. */
bool sim_play_no_memory(uint64_t seed);

/* For ten minutes there is no memory to read a URL that was granted, while a file comes.
 * How many assets were made until it was uploaded; 0: it was not. */
size_t sim_play_no_memory_for_urls(uint64_t seed);
/* The same of ten minutes after a restart, without memory for a row that is unfinished;
 * there is some for a new file. */
size_t sim_play_no_memory_for_rows(uint64_t seed);

/* The slow disk, and SIGTERM after ten minutes: for how long after that the agent asked
 * the service manager for more time. */
usec_t sim_play_stop_on_slow_disk(uint64_t seed);
