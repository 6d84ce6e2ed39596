#pragma once

/*
 * Ledger-db: the ledger's files and its SQL. One connection with its prepared statements,
 * for one thread at a time; which thread that is, and what makes up a transaction, is
 * ledger.c's to decide.
 */

#include <stdint.h>

#include "ledger.h"
#include "macro.h"

struct ledger_db;

/* Opens or makes the database @path (0600). @check reads all of it first, which takes
 * about a second a million rows. 0; -EUCLEAN: no readable ledger; -EPROTO: a newer schema
 * than ours, not touched; -EAGAIN: another program has locked it; or a negative errno. */
int ledger_db_open(const char *path, bool check, struct ledger_db **ret);

/* The last connection to close brings the log (-wal) home and removes it. */
void ledger_db_close(struct ledger_db *db);

DEFINE_CLEANUP(struct ledger_db *, ledger_db_closep, ledger_db_close)

/* Gives the database @path, which nobody has open, and what belongs to it a new name that
 * tells the time @now (real time). The caller frees *@ret. 0 or a negative errno. */
int ledger_db_set_aside(const char *path, usec_t now, char **ret);

/* A transaction. The end commits where @result, what has been made of it so far, is not
 * negative, and else rolls back. Returns @result, or the commit's own negative errno. No
 * transaction begins where the path leads to the database no more (-ESTALE) or the file
 * was emptied (-EUCLEAN): what was written then, nobody would find. */
int ledger_db_begin(struct ledger_db *db);
int ledger_db_end(struct ledger_db *db, int result);

/* Each returns the state that the row had before, 0 if there was none, or a negative
 * errno. */
int ledger_db_put(struct ledger_db *db, const struct ledger_row *row);
int ledger_db_delete(struct ledger_db *db, uint64_t serial);

/* The same, for those who know the state: 0 or a negative errno. */
int ledger_db_forget(struct ledger_db *db, uint64_t serial);

/* The serials up to this one are spoken for, whether or not a row has them. */
int ledger_db_reserved(struct ledger_db *db, uint64_t *ret);
int ledger_db_reserve(struct ledger_db *db, uint64_t serial);

/* Rows of each state. */
int ledger_db_count(struct ledger_db *db, uint64_t counts[static 4]);

/* Call @row for each row of @state, by serial, for the `waiting` row of a file, or for
 * the row @serial. What a row points to lives as long as that call. ledger_db_each(): 0,
 * or what a negative @row returned, which ends it; the others: 1 found, 0 none, or the
 * same. Or a negative errno. */
int ledger_db_each(struct ledger_db *db, enum ledger_state state, ledger_row_fn row,
		   void *userdata);
int ledger_db_find_waiting(struct ledger_db *db, const char *directory, const char *name,
			   ledger_row_fn row, void *userdata);
int ledger_db_get(struct ledger_db *db, uint64_t serial, ledger_row_fn row,
		  void *userdata);

/* The same for each row of a file, by a connection of its own that writes nothing, beside
 * whoever has the database open. 0, what a negative @row returned, -EPROTO: it is of
 * another schema; or a negative errno. */
int ledger_db_look(const char *path, const char *directory, const char *name,
		   ledger_row_fn row, void *userdata);

/* As ledger_db_count(), by such a connection. */
int ledger_db_look_counts(const char *path, uint64_t counts[static 4]);
