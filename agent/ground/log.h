#pragma once

/*
 * Log: one line an event, to the journal with its fields, else to standard error in the
 * same words.
 *
 * Each kind of event has a fixed MESSAGE_ID, and an entry in systemd/asset-agent.catalog
 * that says what to do: no line above debug can be written without its kind. Only policy
 * logs above debug, and one failure is logged once, by whoever decides what happens next.
 * Messages are escaped here; what goes in as a field reaches the journal unchanged.
 */

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h> /* LOG_ERR to LOG_DEBUG */

#include "clock.h"
#include "macro.h"

enum log_kind {
	LOG_STARTED,
	LOG_STOPPING,
	LOG_STOPPED,
	LOG_UPLOADED,
	LOG_GIVEN_UP,
	LOG_RETRYING,
	LOG_SERVICE_AWAY,
	LOG_SERVICE_BACK,
	LOG_NOT_A_FILE,
	LOG_SPOOL_AWAY,
	LOG_SPOOL_BACK,
	LOG_POLLING,
	LOG_DISK_AWAY,
	LOG_DISK_BACK,
	LOG_LEDGER_SET_ASIDE,
	LOG_SIDECAR_FAILED,
	LOG_SHORTAGE,
	LOG_SPOOL_HELD,
	LOG_SPOOL_FREE,
	LOG_START_FAILED,
	LOG_ALREADY_RUNNING,
	LOG_LEDGER_LOCKED,
	LOG_LEDGER_NEWER,
	LOG_LEDGER_BROKEN,
	LOG_UNFINISHED_AWAY,
	LOG_LOOP_BROKE,
	LOG_PASSED_OVER,
	LOG_LINES_LOST,
	LOG_DIRECTORY_UNWRITABLE,
	LOG_DIRECTORY_UNREADABLE,
	LOG_BURST,
	LOG_REPORT_FAILED,
	LOG_REPORT_BACK,
	LOG_RELOADED,
	LOG_RELOAD_FAULT,
	LOG_RELOAD_REFUSED,
	LOG_STUCK,
	LOG_DISK_SLOW,
	LOG_SPOOL_DISK_AWAY,
	LOG_SPOOL_DISK_BACK,
	LOG_KINDS
};

/* What belongs to a line besides its words; zero means: does not apply. */
struct log_fields {
	const char *asset_id;
	const char *file; /* whole path, any bytes */
	const char *spool;
	const char *content_type;
	const char *stage;
	const char *error_code;
	bool has_size;
	uint64_t size; /* counts with has_size */
	unsigned attempt;
	int http_status;
	usec_t duration;
	usec_t retry;	/* until the next try */
	uint64_t count; /* of like ones that this line tells of */
};

enum log_target { LOG_TO_STDERR, LOG_TO_JOURNAL };

/* Until this is called, lines of LOG_INFO and above go to standard error. What that
 * is, is looked at with the first line after this, which is to be called again where it
 * becomes another. */
void log_init(enum log_target to, int level);

/* Whether standard error is the journal's own stream, that is, whether systemd started us
 * with it there ($JOURNAL_STREAM, systemd.exec(5)). */
bool log_stderr_is_journal(void);

/* Whether a line of @level would be written at all. */
bool log_enabled(int level);

/* Writes one line of @level; @fields may be NULL. Control characters of the finished
 * message are escaped. Never fails visibly, nor waits but for a tenth of a second, once:
 * a line that can't go to the journal goes to standard error, and where that is full too
 * (and no terminal), is counted, and the number told when there is room again. errno is
 * kept. */
void log_event(int level, enum log_kind kind, const struct log_fields *fields,
	       const char *format, ...) _printf_(4, 5);

/* The same for those who read the code: without a kind, at LOG_DEBUG only. */
void log_detail(const char *format, ...) _printf_(1, 2);

#define log_error(kind, ...)   log_event(LOG_ERR, kind, NULL, __VA_ARGS__)
#define log_warning(kind, ...) log_event(LOG_WARNING, kind, NULL, __VA_ARGS__)
#define log_notice(kind, ...)  log_event(LOG_NOTICE, kind, NULL, __VA_ARGS__)
#define log_info(kind, ...)    log_event(LOG_INFO, kind, NULL, __VA_ARGS__)
#define log_debug(...) \
	do { \
		if (log_enabled(LOG_DEBUG)) \
			log_detail(__VA_ARGS__); \
	} while (0)

/* The kind's MESSAGE_ID. */
const char *log_message_id(enum log_kind kind);

/* Shows @line at the foot of the terminal that standard error is, below all further log
 * lines, in place of what was shown before, cut to its width; NULL: nothing any more. It
 * is copied, and valid UTF-8 without control characters. */
void log_foot(const char *line);

/* The words for -@error (a negative errno). */
const char *log_errno(int error);
