#pragma once

/*
 * World: all that a scenario needs, so that it reads like a sentence.
 *
 *	static void a_dropped_file_is_uploaded(void **state)
 *	{
 *		struct world *w = *state;
 *
 *		world_start(w, NULL);
 *		world_drop(w, "bird.jpg", "tweet");
 *		world_wait_uploaded(w, "bird.jpg");
 *		world_assert_uploaded(w, "bird.jpg");
 *		world_stop(w);
 *	}
 *
 *	cmocka_unit_test_setup_teardown(..., world_setup, world_teardown)
 *
 * A world is a temporary directory with spool, state directory, configuration and log,
 * the service in this process, and the real program ($ASSET_AGENT, else
 * build/asset-agent) as a child that dies with this process.
 *
 * Functions that wait or assert fail the test by cmocka. Each wait ends at a deadline of
 * WORLD_PATIENCE, times $ASSET_TEST_PATIENCE where that is set, and at once when the
 * agent has died; none sleeps. A world that did not get through world_stop() keeps its
 * directory, and world_teardown() prints where it is and the end of the log.
 *
 * A file's `name` is relative to the first spool and may hold slashes; an absolute path
 * is taken as it is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <json-c/json_object.h>

#include "clock.h"
#include "service.h"
#include "strv.h"

#define WORLD_PATIENCE	 (20 * USEC_PER_SEC)
#define WORLD_SPOOLS_MAX 4

/* All may be zero. Lines are "Key=value\n", put behind the fixture's own, so they win;
 * @ROOT@ in them is the world's directory. */
struct world_options {
	struct service_options service;
	const char *api, *auth, *upload, *retry, *report; /* lines of these sections */
	const char *spool;			/* lines of each spool's section */
	const char *spools[WORLD_SPOOLS_MAX];	/* names of more spools */
	const char *spool_of[WORLD_SPOOLS_MAX]; /* lines of each of those alone */
	const char *config; /* this text instead of the fixture's whole configuration */
	const char *const *environment; /* "NAME=value" ..., NULL */
	/* Called by each process that will be the program, just before it is: limits,
	 * namespaces. Only what is safe in a signal handler; false: it can't be. */
	bool (*prepare)(void);
	bool recursive;
	bool journal;	/* that is what it logs to: world_wait_entry() */
	bool powerless; /* forbidden what others are, even where root runs the tests */
	bool no_agent;	/* only make the world: world_run() or world_launch() follow */
	bool no_ready;	/* do not wait for READY=1 */
};

struct world {
	char *root;
	char *spool;			/* ROOT/spool */
	char *spools[WORLD_SPOOLS_MAX]; /* ROOT/NAME of those more */
	char *state;			/* ROOT/state */
	char *config;			/* ROOT/agent.conf */
	char *log;			/* ROOT/log: standard error of all runs */
	char *output;			/* ROOT/output: standard output of the last */
	char **environment;
	bool powerless;
	const char *wrapper; /* words before the program; NULL: $ASSET_AGENT_WRAPPER */
	bool (*prepare)(void);
	struct service *service;
	struct world_journal *journal; /* or NULL */
	pid_t pid;		       /* of the agent; 0: does not run */
	int pidfd, notify;	       /* or -1 */
	bool died;		       /* when nobody waited for its end */
	int status;		       /* as waitpid() has it, of the last that ended */
	bool ready, stopping;	       /* what the agent has notified */
	size_t reloads;		       /* how often it has sent RELOADING=1 */
	size_t extensions;	       /* how often it has asked for time to stop */
	char *status_text;	       /* its last STATUS= or NULL */
	size_t watchdogs;	       /* how often it has sent WATCHDOG=1 */
	size_t log_mark;	       /* the log before this byte is not looked at */
	struct strv secrets, secret_files; /* of world_secret() */
	bool passed;
};

/* For cmocka: make and unmake *@state. */
int world_setup(void **state);
int world_teardown(void **state);

/* Makes everything, starts the agent and waits until it is ready. @options may be NULL.
 */
void world_start(struct world *w, const struct world_options *options);

/* Ends the agent by SIGTERM and asserts that it exits 0 within seconds, that the service
 * saw no violation, and that nothing in the world's directory holds a secret of the
 * service, in any form, but what is to: configuration, secret, ledger; where there is a
 * journal, that each entry has the form that it must. */
void world_stop(struct world *w);

/* One more secret that must not be found then, beside those that the service knows. */
void world_secret(struct world *w, const char *secret);
/* What begins with @path may hold secrets. */
void world_secret_file(struct world *w, const char *path);

/* Gives this process, and all that it starts, a network of its own: loopback, these IPv4
 * addresses on it, and @hosts for /etc/hosts. Before anything else, in main(): there must
 * be one thread yet. Needs no rights. */
void world_own_network(const char *const *addresses, const char *hosts);

/* ---- the agent ---- */

/* Starts the agent that does not run, and does not wait. */
void world_launch(struct world *w);
void world_wait_ready(struct world *w);
/* After SIGSTOP it has stopped. */
void world_signal(struct world *w, int signal);
void world_kill9(struct world *w);
/* Writes the configuration anew; of @options, only what is in that counts, and
 * directories of spools are made where they are missing. */
void world_configure(struct world *w, const struct world_options *options);
/* Sends SIGHUP and waits until it has read its configuration again, or refused to. */
void world_reload(struct world *w);
/* Both. */
void world_reconfigure(struct world *w, const struct world_options *options);
/* Waits for its end. Returns the exit status, or 128 + the signal that killed it. */
int world_wait_exit(struct world *w);
/* Ends it by SIGTERM if it runs, asserting status 0, starts it and waits for ready. */
void world_restart(struct world *w);
/* Runs the program with a command and its arguments (NULL at the end) beside or without
 * the agent, until it ends. Returns the exit status as above. Its standard output is
 * world_output(). */
int world_run(struct world *w, const char *command, ...) __attribute__((__sentinel__));
/* The same on a terminal of so many columns, which is its output and its log; both are
 * world_output(). */
int world_run_on_terminal(struct world *w, unsigned short columns, const char *command,
			  ...) __attribute__((__sentinel__));
/* Standard output of the last world_run(). The caller frees it. */
char *world_output(struct world *w);
/* The most memory that the agent has held so far, in bytes (VmHWM). */
uint64_t world_rss_peak(struct world *w);
/* Waits until it has sent WATCHDOG=1 @n times since it was launched. False: @timeout
 * passed, or it ended. */
bool world_wait_watchdog(struct world *w, size_t n, usec_t timeout);
/* Its last STATUS=, or NULL. Valid until the next wait. */
const char *world_status(struct world *w);
void world_wait_status(struct world *w, const char *text);

/* "NAME=value" for the runs from now on, in place of the NAME that there may be. */
void world_set_environment(struct world *w, const char *variable);
/* Gives the calling process, which has but one thread, namespaces of its own for users
 * and for mounts, with all rights in them, whoever runs it. Files look as they did, to
 * their owner as root's. Safe in a signal handler. False: it can't be. */
bool world_make_namespace(void);

/* ---- files ---- */

/* The path of a file; the caller frees it. */
char *world_path(const struct world *w, const char *name);
/* The same of one beside the spools. */
char *world_beside(const struct world *w, const char *name);
/* A file with that text, written elsewhere and renamed into the spool. */
void world_drop(struct world *w, const char *name, const char *text);
void world_drop_bytes(struct world *w, const char *name, const void *bytes,
		      size_t length);
/* The same, of @size bytes that depend on @seed and on their offset. */
void world_drop_random(struct world *w, const char *name, uint64_t size, unsigned seed);
/* Opened, written and closed in place; what was there is cut off first. */
void world_write(struct world *w, const char *name, const char *text);
/* Files f0.txt, f1.txt, ... up to @count, dropped, each with its name as its text. */
void world_drop_many(struct world *w, int count);
/* A new mtime, same bytes. */
void world_touch(struct world *w, const char *name);
void world_remove(struct world *w, const char *name);
/* @flags are those of renameat2(2). */
void world_rename(struct world *w, const char *from, const char *to, unsigned flags);
void world_chmod(struct world *w, const char *name, mode_t mode);
void world_mkdir(struct world *w, const char *name);
bool world_exists(const struct world *w, const char *name);
/* Until the file is there and holds @text. */
void world_wait_text(struct world *w, const char *name, const char *text);
/* The whole file, NUL-terminated. The caller frees it. */
char *world_read(const struct world *w, const char *name);

/* ---- sidecars ---- */

/* Until there is a sidecar of @name, whatever it says. */
void world_wait_sidecar(struct world *w, const char *name);
void world_wait_error_sidecar(struct world *w, const char *name);
/* Until there is a sidecar of @name that speaks of the file as it is now. */
void world_wait_uploaded(struct world *w, const char *name);
/* Until the file, or sidecar by its whole name, is gone. */
void world_wait_gone(struct world *w, const char *name);

/* The parsed sidecar, whose form is checked: one line, mode 0640. The caller puts it. */
struct json_object *world_sidecar(struct world *w, const char *name);
struct json_object *world_error_sidecar(struct world *w, const char *name);
bool world_has_sidecar(const struct world *w, const char *name);
bool world_has_error_sidecar(const struct world *w, const char *name);

/* The member's text or number; fails the test where it is not there. */
const char *world_text(struct json_object *object, const char *key);
int64_t world_number(struct json_object *object, const char *key);

/* Sidecar, file and what the service holds agree: id, name, size, contentType, modified,
 * and each byte. There is no error sidecar. */
void world_assert_uploaded(struct world *w, const char *name);
/* Writes a file of that name and content, waits until it is uploaded, asserts that. */
void world_upload(struct world *w, const char *name);
/* Waits for the files of world_drop_many() and asserts the same of each. */
void world_assert_many_uploaded(struct world *w, int count);
/* The same, where the service is to know the file by another name. */
void world_assert_uploaded_as(struct world *w, const char *name, const char *known_as);

/* ---- the log ---- */

void world_wait_log(struct world *w, const char *text);
size_t world_count_log(struct world *w, const char *text);
/* From now on the two above look only at what comes. */
void world_mark_log(struct world *w);

/* ---- the journal ---- */

/* All entries of the journal so far in which the field @name is @value (NULL: whatever
 * it is): an array of objects, whose strings hold the bytes of the fields. The caller
 * puts it. For worlds with `journal`. */
struct json_object *world_entries(struct world *w, const char *name, const char *value);
/* The same, once there are @count of them. */
struct json_object *world_wait_entries(struct world *w, const char *name,
				       const char *value, size_t count);
/* The first of them. */
struct json_object *world_wait_entry(struct world *w, const char *name,
				     const char *value);

/* ---- trouble ---- */

/* More events in the spool than fit into the kernel's queue. For an agent that is stopped
 * by SIGSTOP. */
void world_overflow(struct world *w);
/* From now on this process may mount file systems, where nobody else sees them. Before
 * world_start(): it must have but one thread. */
void world_own_mounts(void);
/* The directory @path becomes a disk of 1 MiB of its own, until world_unmount(). */
void world_mount(const char *path);
void world_unmount(const char *path);
/* Takes all room of the disk that @path, which must not be there, is to be on. */
void world_fill_disk(const char *path);

/* How long one wait may take. For the waits of service.h. */
usec_t world_patience(void);
