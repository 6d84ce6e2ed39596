#pragma once

/*
 * Ledger: what is unfinished, so that nothing is forgotten and little is asked twice.
 *
 * A SQLite database (WAL, synchronous=FULL) in the state directory, written by a thread
 * of its own: all that gathered while the last commit ran goes into the next transaction.
 * The calling thread never waits for a disk; it learns of the end through a descriptor
 * that becomes readable, by ledger_dispatch(). One process at a time: a lock file tells.
 *
 * A row lives from `granted` (before the first byte is sent), over `uploaded` (before the
 * sidecar is written or the source touched), until its sidecar is known to be on the
 * disk. `waiting` rows are files that failed and will be tried again.
 */

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "clock.h"
#include "fs.h"

#define LEDGER_FILE   "ledger.db"
#define LEDGER_LOCK   "lock" /* held by the one process; its id is in it */
#define LEDGER_SCHEMA 1	     /* PRAGMA user_version */

/* Finished rows wait for a syncfs until there are so many, or nothing else came for so
 * long. */
#define LEDGER_SYNC_ROWS  2048
#define LEDGER_SYNC_DELAY (5 * USEC_PER_SEC)

enum ledger_state { LEDGER_GRANTED = 1, LEDGER_UPLOADED = 2, LEDGER_WAITING = 3 };

struct ledger_row {
	uint64_t serial; /* of ledger_serial(); the row's identity */
	enum ledger_state state;
	unsigned attempts;     /* 0 where it doesn't apply */
	const char *directory; /* absolute path, any bytes */
	const char *name;      /* base name, any bytes */
	struct fs_identity identity;
	/* NULL or 0 where they don't apply: */
	const char *asset_id;
	const char *content_url;
	const char *content_type;
	usec_t expires;	 /* real time by our clock; 0: not known */
	usec_t uploaded; /* real time */
	usec_t next_try; /* real time */
};

struct ledger;

/* Called from ledger_dispatch(): 0, the row is on the disk; else a negative errno
 * (-ENOSPC, -EROFS, -EIO, ...), and it is not: the caller may put it again. -EUCLEAN: the
 * ledger is damaged, and no put will work until it is opened anew. */
typedef void (*ledger_done_fn)(void *userdata, int error);

/*
 * Opens or makes the ledger in @directory, which must exist. *@ret_set_aside: NULL, or
 * the path that a file got that was no readable ledger and was set aside for a new one
 * (the caller frees it and says so). 0; -EBUSY: another process holds it; -EPROTO: a
 * newer schema than ours, left alone; -EAGAIN: another program, such as the sqlite3
 * shell, has locked it; or a negative errno.
 */
int ledger_open(const char *directory, struct ledger **ret, char **ret_set_aside);

/* Finishes all that was put, syncs and forgets what is finished, ends the thread.
 * Callbacks that are due are called from here; they may still drop and finish rows, but
 * no longer put. Not to be called from a callback. NULL is nothing. */
void ledger_close(struct ledger *ledger);

/* So many files may be on their way at once. Puts that come together wait for a few
 * milliseconds, or until most of so many have come, to be committed together; one that
 * comes alone does not wait. 1 until this was called: none waits. */
void ledger_expect(struct ledger *ledger, size_t files);

/* A number that no row has or had. */
uint64_t ledger_serial(struct ledger *ledger);

/* Readable when ledger_dispatch() has something to do, or the ledger broke. */
int ledger_fd(const struct ledger *ledger);
void ledger_dispatch(struct ledger *ledger);

/* 0, or why it takes nothing any more, which only opening it anew can mend: -ESTALE, its
 * file was deleted or replaced; -EUCLEAN, it is damaged. */
int ledger_broken(const struct ledger *ledger);

/* Writes @row over the row of the same serial, if any. What it points to is copied.
 * @done may be NULL. 0: @done will be called once; -ENOMEM, or -ESHUTDOWN from a callback
 * of ledger_close(): it won't. */
int ledger_put(struct ledger *ledger, const struct ledger_row *row, ledger_done_fn done,
	       void *userdata);

/* Drops a row with the next commit that works. The serial is not to be used again.
 * 0 or -ENOMEM. */
int ledger_drop(struct ledger *ledger, uint64_t serial);

/* Drops an `uploaded` row once the filesystem @device, of @fd (any descriptor on it but
 * O_PATH, which stays the caller's), has been synced: then its sidecar can't be lost any
 * more. Done many at a time, when LEDGER_SYNC_ROWS wait, LEDGER_SYNC_DELAY after the last
 * commit, or at the close. The serial is not to be used again. 0 or a negative errno, and
 * then the row stays for the next start, as it does where the filesystem could not be
 * synced. */
int ledger_finish(struct ledger *ledger, uint64_t serial, dev_t device, int fd);

/* Reads all rows of @state in the order of their serials; to be called before the first
 * put. A negative return of @row ends it and is returned. */
typedef int (*ledger_row_fn)(void *userdata, const struct ledger_row *row);
int ledger_each(struct ledger *ledger, enum ledger_state state, ledger_row_fn row,
		void *userdata);

/* Looks up the `waiting` row of a file as last committed, on the caller's own connection.
 * 1: found, 0: none, or a negative errno. The strings live until the next call. */
int ledger_find_waiting(struct ledger *ledger, const char *directory, const char *name,
			struct ledger_row *ret);

/* The same for the row @serial, in whatever state it is. */
int ledger_get(struct ledger *ledger, uint64_t serial, struct ledger_row *ret);

/* How many rows of each state there are without the finished ones, as last committed
 * (index: ledger_state). */
void ledger_counts(const struct ledger *ledger, uint64_t counts[4]);
