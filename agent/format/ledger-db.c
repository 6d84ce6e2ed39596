#include <fcntl.h>
#include <sqlite3.h>

#include "ledger-db.h"

/* The log is brought home every so many pages of 4 KiB, which bounds its size. */
#define CHECKPOINT_PAGES "512"
/* Somebody with the sqlite3 shell may hold the lock for a moment. */
#define BUSY_MSEC 1000

/* As COLUMNS names them. */
enum column {
	SERIAL,
	STATE,
	DIRECTORY,
	NAME,
	DEVICE,
	INODE,
	SIZE,
	MODIFIED,
	MODIFIED_NSEC,
	ASSET_ID,
	CONTENT_URL,
	CONTENT_TYPE,
	EXPIRES,
	UPLOADED,
	ATTEMPTS,
	NEXT_TRY,
	COLUMN_COUNT
};

#define COLUMNS "serial, " CONTENT
#define CONTENT \
	"state, directory, name, device, inode, size, modified, modified_nsec," \
	" asset_id, content_url, content_type, expires, uploaded, attempts, next_try"

#define VALUES	       "?1, " CONTENT_VALUES
#define CONTENT_VALUES "?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16"

/* A name is a BLOB: it may be no text in any encoding. */
static const char SCHEMA[] =
	"BEGIN;"
	"CREATE TABLE file ("
	" serial INTEGER PRIMARY KEY,"
	" state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),"
	" directory BLOB NOT NULL, name BLOB NOT NULL,"
	" device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL,"
	" modified INTEGER NOT NULL, modified_nsec INTEGER NOT NULL,"
	" asset_id TEXT, content_url TEXT, content_type TEXT,"
	" expires INTEGER NOT NULL, uploaded INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL, next_try INTEGER NOT NULL);"
	"CREATE INDEX waiting ON file (directory, name) WHERE state = 3;"
	"CREATE TABLE reserved (serial INTEGER NOT NULL);"
	"INSERT INTO reserved VALUES (0);"
	"PRAGMA user_version = 1;"
	"COMMIT";

_Static_assert(LEDGER_SCHEMA == 1 && LEDGER_WAITING == 3, "as the SQL says");

/* secure_delete=FAST: what is deleted is overwritten as far as that costs no writing of
 * its own; the content URLs are secrets, but the directory is closed to others anyway. */
static const char SETTINGS[] = "PRAGMA journal_mode = WAL;"
			       "PRAGMA synchronous = FULL;"
			       "PRAGMA wal_autocheckpoint = " CHECKPOINT_PAGES ";"
			       "PRAGMA journal_size_limit = 4194304;"
			       "PRAGMA cache_size = -256;"
			       "PRAGMA temp_store = MEMORY;"
			       "PRAGMA secure_delete = FAST;"
			       "PRAGMA trusted_schema = OFF";

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	GET_STATE,
	PUT,
	PUT_FIRST,
	PUT_NEXT,
	DELETE,
	GET_RESERVED,
	RESERVE,
	COUNT,
	EACH,
	FIND,
	GET,
	STATEMENT_COUNT
};

static const char *const SQL[] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[GET_STATE] = "SELECT state FROM file WHERE serial = ?1",
	[PUT] = "INSERT OR REPLACE INTO file (" COLUMNS ") VALUES (" VALUES ")",
	[PUT_FIRST] = "INSERT OR IGNORE INTO file (" COLUMNS ") VALUES (" VALUES ")",
	[PUT_NEXT] = "UPDATE file SET (" CONTENT ") = (" CONTENT_VALUES ")"
		     " WHERE serial = ?1 AND state = 1",
	[DELETE] = "DELETE FROM file WHERE serial = ?1",
	[GET_RESERVED] = "SELECT max((SELECT coalesce(max(serial), 0) FROM reserved),"
			 " (SELECT coalesce(max(serial), 0) FROM file))",
	[RESERVE] = "UPDATE reserved SET serial = ?1",
	/* GROUP BY would sort all rows in memory. */
	[COUNT] = "SELECT total(state = 1), total(state = 2), total(state = 3) FROM file",
	[EACH] = "SELECT " COLUMNS " FROM file WHERE state = ?1 ORDER BY serial",
	[FIND] = "SELECT " COLUMNS " FROM file"
		 " WHERE state = 3 AND directory = ?1 AND name = ?2",
	[GET] = "SELECT " COLUMNS " FROM file WHERE serial = ?1",
};

struct ledger_db {
	sqlite3 *sqlite;
	sqlite3_stmt *statements[STATEMENT_COUNT];
};

static int error_of(sqlite3 *sqlite, int rc)
{
	static const int ERRORS[] = {
		[SQLITE_ERROR] = EUCLEAN, /* not our tables */
		[SQLITE_PERM] = EACCES,	   [SQLITE_BUSY] = EAGAIN,
		[SQLITE_LOCKED] = EAGAIN,  [SQLITE_NOMEM] = ENOMEM,
		[SQLITE_READONLY] = EROFS, [SQLITE_CORRUPT] = EUCLEAN,
		[SQLITE_FULL] = ENOSPC,	   [SQLITE_TOOBIG] = E2BIG,
		[SQLITE_NOTADB] = EUCLEAN,
	};
	size_t kind = (size_t)rc & 0xff;
	int system = 0;

	if (rc == SQLITE_IOERR_SHORT_READ) /* the file ends before its time */
		return -EUCLEAN;
	if (kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN)
		system = sqlite3_system_errno(sqlite);
	if (system)
		return -system;
	return kind < ARRAY_SIZE(ERRORS) && ERRORS[kind] ? -ERRORS[kind] : -EIO;
}

/* One step: 1 with a row, 0 at the end; and after anything but a row @s is ready anew. */
static int step(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s), r;

	if (rc == SQLITE_ROW)
		return 1;
	r = rc == SQLITE_DONE ? 0 : error_of(sqlite3_db_handle(s), rc);
	(void)sqlite3_reset(s);
	return r;
}

/* The number that @s, which has one row at the most, gives; 0 without one. */
static int get_number(sqlite3_stmt *s, int64_t *ret)
{
	int r = step(s);

	if (r < 0)
		return r;
	*ret = r > 0 ? sqlite3_column_int64(s, 0) : 0;
	(void)sqlite3_reset(s);
	return 0;
}

static int prepare(struct ledger_db *db, const char *sql, sqlite3_stmt **ret)
{
	int rc = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, ret,
				    NULL);

	return rc == SQLITE_OK ? 0 : error_of(db->sqlite, rc);
}

static int execute(struct ledger_db *db, const char *sql)
{
	int rc = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : error_of(db->sqlite, rc);
}

DEFINE_CLEANUP(sqlite3_stmt *, finalizep, sqlite3_finalize)

static int ask_number(struct ledger_db *db, const char *sql, int64_t *ret)
{
	_cleanup_(finalizep) sqlite3_stmt *s = NULL;
	int r = prepare(db, sql, &s);

	return r < 0 ? r : get_number(s, ret);
}

static int check_pages(struct ledger_db *db)
{
	_cleanup_(finalizep) sqlite3_stmt *s = NULL;
	int r = prepare(db, "PRAGMA quick_check(1)", &s);

	if (r >= 0)
		r = step(s);
	if (r < 0)
		return r;
	if (r == 0 || !streq((const char *)sqlite3_column_text(s, 0), "ok"))
		return -EUCLEAN;
	return 0;
}

static int make_or_check(struct ledger_db *db, bool check)
{
	int64_t version = 0, tables = 0;
	int r;

	r = ask_number(db, "PRAGMA user_version", &version);
	if (r >= 0)
		r = ask_number(db, "SELECT count(*) FROM sqlite_master", &tables);
	if (r < 0)
		return r;
	if (version > LEDGER_SCHEMA)
		return check_pages(db) ?: -EPROTO;
	if (version == 0 && tables == 0)
		r = execute(db, SETTINGS) ?: execute(db, SCHEMA);
	else if (version != LEDGER_SCHEMA)
		r = -EUCLEAN;
	else
		r = (check ? check_pages(db) : 0) ?: execute(db, SETTINGS);
	return r;
}

/* SQLite would take an empty file for a new database, and make the best of what it may
 * not write or is none. */
static int look_at(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return -EUCLEAN;
	return access(path, R_OK | W_OK) < 0 ? -errno : 0;
}

/* SQLite would make it as the umask says. One that is there must not be touched: to close
 * any descriptor on it drops the locks that our other connection holds. */
static int make_private(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST || errno == EISDIR ? look_at(path) : -errno;
	(void)close(fd);
	return 0;
}

/* What is damaged, or of a newer schema, is to stay as it is found. */
static void keep_log_at_close(struct ledger_db *db, bool yes)
{
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)yes,
				NULL);
}

int ledger_db_open(const char *path, bool check, struct ledger_db **ret)
{
	_cleanup_(ledger_db_closep) struct ledger_db *db = NULL;
	int r, rc;

	r = make_private(path);
	if (r < 0)
		return r;
	db = calloc(1, sizeof(*db));
	if (!db)
		return -ENOMEM;
	rc = sqlite3_open_v2(path, &db->sqlite,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return error_of(db->sqlite, rc);
	(void)sqlite3_busy_timeout(db->sqlite, BUSY_MSEC);
	keep_log_at_close(db, true);
	r = make_or_check(db, check);
	for (size_t i = 0; r >= 0 && i < STATEMENT_COUNT; i++)
		r = prepare(db, SQL[i], &db->statements[i]);
	if (r < 0)
		return r;
	keep_log_at_close(db, false);
	*ret = take_ptr(db);
	return 0;
}

void ledger_db_close(struct ledger_db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(db->statements[i]);
	(void)sqlite3_close(db->sqlite);
	free(db);
}

static int rename_with(const char *path, const char *aside, const char *suffix)
{
	_cleanup_free_ char *from = NULL, *to = NULL;

	if (asprintf(&from, "%s%s", path, suffix) < 0)
		return -ENOMEM;
	if (asprintf(&to, "%s%s", aside, suffix) < 0)
		return -ENOMEM;
	return rename(from, to) < 0 && errno != ENOENT ? -errno : 0;
}

/* A name for @path that tells @now and is nobody's, or NULL: out of memory. */
static char *name_aside(const char *path, usec_t now)
{
	time_t seconds = (time_t)(now / USEC_PER_SEC);
	char stamp[32] = "", *aside = NULL;
	unsigned number = 0;
	struct stat st;
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	do {
		free(aside);
		if (asprintf(&aside, "%s.damaged-%s%s%.0u", path, stamp,
			     number > 0 ? "." : "", number) < 0)
			return NULL;
		number++;
	} while (lstat(aside, &st) == 0);
	return aside;
}

int ledger_db_set_aside(const char *path, usec_t now, char **ret)
{
	/* The database last: until it is gone, the next start begins here again. */
	static const char *const SUFFIXES[] = { "-wal", "-shm", "" };
	_cleanup_free_ char *aside = name_aside(path, now);
	int r = 0;

	if (!aside)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(SUFFIXES); i++)
		r = rename_with(path, aside, SUFFIXES[i]);
	if (r < 0)
		return r;
	*ret = take_ptr(aside);
	return 0;
}

static bool has_moved(struct ledger_db *db)
{
	int moved = 0;

	return sqlite3_file_control(db->sqlite, NULL, SQLITE_FCNTL_HAS_MOVED, &moved) ==
		       SQLITE_OK &&
	       moved;
}

/* What SQLite keeps in memory would hide that until it reads a page anew. */
static bool was_emptied(struct ledger_db *db)
{
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;

	return sqlite3_file_control(db->sqlite, NULL, SQLITE_FCNTL_FILE_POINTER, &file) ==
		       SQLITE_OK &&
	       file->pMethods && file->pMethods->xFileSize(file, &size) == SQLITE_OK &&
	       size == 0;
}

int ledger_db_begin(struct ledger_db *db)
{
	if (has_moved(db))
		return -ESTALE;
	if (was_emptied(db))
		return -EUCLEAN;
	return step(db->statements[BEGIN]);
}

int ledger_db_end(struct ledger_db *db, int result)
{
	if (result >= 0)
		result = step(db->statements[COMMIT]);
	/* SQLite may have rolled back by itself, or never have begun. */
	if (result < 0 && !sqlite3_get_autocommit(db->sqlite))
		(void)step(db->statements[ROLLBACK]);
	return result;
}

static int with_serial(struct ledger_db *db, enum statement which, uint64_t serial)
{
	sqlite3_stmt *s = db->statements[which];

	(void)sqlite3_bind_int64(s, 1, (int64_t)serial);
	return step(s);
}

/* That the row has, 0 if there is none, or a negative errno. */
static int state_of(struct ledger_db *db, uint64_t serial)
{
	sqlite3_stmt *s = db->statements[GET_STATE];
	int64_t state;
	int r;

	(void)sqlite3_bind_int64(s, 1, (int64_t)serial);
	r = get_number(s, &state);
	/* No other bits are in a sound table; the caller counts by it. */
	return r < 0 ? r : (int)(state & 3);
}

int ledger_db_delete(struct ledger_db *db, uint64_t serial)
{
	int state = state_of(db, serial);
	int r = state > 0 ? with_serial(db, DELETE, serial) : 0;

	return r < 0 ? r : state;
}

int ledger_db_forget(struct ledger_db *db, uint64_t serial)
{
	return with_serial(db, DELETE, serial);
}

static int bind_texts(sqlite3_stmt *s, const struct ledger_row *row)
{
	const struct {
		enum column column;
		const char *text;
	} texts[] = {
		{ ASSET_ID, row->asset_id },
		{ CONTENT_URL, row->content_url },
		{ CONTENT_TYPE, row->content_type },
	};
	int rc;

	rc = sqlite3_bind_blob(s, DIRECTORY + 1, row->directory,
			       (int)strlen(row->directory), SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_blob(s, NAME + 1, row->name, (int)strlen(row->name),
				       SQLITE_STATIC);
	for (size_t i = 0; rc == SQLITE_OK && i < ARRAY_SIZE(texts); i++)
		rc = sqlite3_bind_text(s, (int)texts[i].column + 1, texts[i].text, -1,
				       SQLITE_STATIC);
	return rc;
}

static int bind_row(sqlite3_stmt *s, const struct ledger_row *row)
{
	/* Zero where a text comes over it. */
	const int64_t numbers[COLUMN_COUNT] = {
		[SERIAL] = (int64_t)row->serial,
		[STATE] = row->state,
		[DEVICE] = (int64_t)row->identity.device,
		[INODE] = (int64_t)row->identity.inode,
		[SIZE] = (int64_t)row->identity.size,
		[MODIFIED] = row->identity.modified.tv_sec,
		[MODIFIED_NSEC] = row->identity.modified.tv_nsec,
		[EXPIRES] = (int64_t)row->expires,
		[UPLOADED] = (int64_t)row->uploaded,
		[ATTEMPTS] = row->attempts,
		[NEXT_TRY] = (int64_t)row->next_try,
	};

	for (int i = 0; i < COLUMN_COUNT; i++)
		(void)sqlite3_bind_int64(s, i + 1, numbers[i]);
	return bind_texts(s, row);
}

/* 1: a row was written, 0: none, or a negative errno. */
static int write_row(struct ledger_db *db, enum statement which,
		     const struct ledger_row *row)
{
	sqlite3_stmt *s = db->statements[which];
	int rc = bind_row(s, row);
	int r = rc == SQLITE_OK ? step(s) : error_of(db->sqlite, rc);

	/* The row is the caller's and soon gone. */
	(void)sqlite3_clear_bindings(s);
	return r < 0 ? r : sqlite3_changes(db->sqlite) > 0;
}

/* As nearly all rows go: to say which state they had, they need not be read. 1: so it
 * was, 0: it must be done otherwise, or a negative errno. */
static int put_as_usual(struct ledger_db *db, const struct ledger_row *row,
			int *ret_state)
{
	switch (row->state) {
	case LEDGER_GRANTED: *ret_state = 0; return write_row(db, PUT_FIRST, row);
	case LEDGER_UPLOADED:
		*ret_state = LEDGER_GRANTED;
		return write_row(db, PUT_NEXT, row);
	case LEDGER_WAITING: break;
	}
	return 0;
}

int ledger_db_put(struct ledger_db *db, const struct ledger_row *row)
{
	int state, r;

	r = put_as_usual(db, row, &state);
	if (r != 0)
		return r < 0 ? r : state;
	state = state_of(db, row->serial);
	if (state < 0)
		return state;
	r = write_row(db, PUT, row);
	return r < 0 ? r : state;
}

int ledger_db_reserved(struct ledger_db *db, uint64_t *ret)
{
	int64_t serial;
	int r = get_number(db->statements[GET_RESERVED], &serial);

	if (r < 0)
		return r;
	*ret = (uint64_t)serial;
	return 0;
}

int ledger_db_reserve(struct ledger_db *db, uint64_t serial)
{
	return with_serial(db, RESERVE, serial);
}

static int get_counts(sqlite3_stmt *s, uint64_t counts[static 4])
{
	int r = step(s);

	if (r < 0)
		return r;
	for (int i = LEDGER_GRANTED; i <= LEDGER_WAITING; i++)
		counts[i] = (uint64_t)sqlite3_column_int64(s, i - LEDGER_GRANTED);
	(void)sqlite3_reset(s);
	return 0;
}

int ledger_db_count(struct ledger_db *db, uint64_t counts[static 4])
{
	return get_counts(db->statements[COUNT], counts);
}

static const char *text_of(sqlite3_stmt *s, enum column column)
{
	return (const char *)sqlite3_column_text(s, (int)column);
}

static uint64_t number_of(sqlite3_stmt *s, enum column column)
{
	return (uint64_t)sqlite3_column_int64(s, (int)column);
}

static struct ledger_row row_of(sqlite3_stmt *s)
{
	return (struct ledger_row){
		.serial = number_of(s, SERIAL),
		.state = (enum ledger_state)number_of(s, STATE),
		.directory = text_of(s, DIRECTORY),
		.name = text_of(s, NAME),
		.identity = {
			.device = number_of(s, DEVICE),
			.inode = number_of(s, INODE),
			.size = number_of(s, SIZE),
			.modified = {
				.tv_sec = (time_t)number_of(s, MODIFIED),
				.tv_nsec = (long)number_of(s, MODIFIED_NSEC),
			},
		},
		.asset_id = text_of(s, ASSET_ID),
		.content_url = text_of(s, CONTENT_URL),
		.content_type = text_of(s, CONTENT_TYPE),
		.expires = number_of(s, EXPIRES),
		.uploaded = number_of(s, UPLOADED),
		.attempts = (unsigned)number_of(s, ATTEMPTS),
		.next_try = number_of(s, NEXT_TRY),
	};
}

static int give_row(sqlite3_stmt *s, ledger_row_fn give, void *userdata)
{
	struct ledger_row row = row_of(s);

	/* They are never NULL in the table. */
	if (!row.directory || !row.name)
		return -ENOMEM;
	return give(userdata, &row);
}

int ledger_db_each(struct ledger_db *db, enum ledger_state state, ledger_row_fn row,
		   void *userdata)
{
	sqlite3_stmt *s = db->statements[EACH];
	int r;

	(void)sqlite3_bind_int64(s, 1, state);
	while ((r = step(s)) > 0) {
		r = give_row(s, row, userdata);
		if (r < 0)
			break;
	}
	(void)sqlite3_reset(s);
	return r;
}

/* The one row of @s, which is bound. */
static int give_one(sqlite3_stmt *s, ledger_row_fn row, void *userdata)
{
	int r = step(s);

	if (r > 0)
		r = MIN(give_row(s, row, userdata), 0) ?: 1;
	/* A statement left standing holds an old snapshot, and the log could not end. */
	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);
	return r;
}

int ledger_db_find_waiting(struct ledger_db *db, const char *directory, const char *name,
			   ledger_row_fn row, void *userdata)
{
	sqlite3_stmt *s = db->statements[FIND];

	(void)sqlite3_bind_blob(s, 1, directory, (int)strlen(directory), SQLITE_STATIC);
	(void)sqlite3_bind_blob(s, 2, name, (int)strlen(name), SQLITE_STATIC);
	return give_one(s, row, userdata);
}

int ledger_db_get(struct ledger_db *db, uint64_t serial, ledger_row_fn row,
		  void *userdata)
{
	sqlite3_stmt *s = db->statements[GET];

	(void)sqlite3_bind_int64(s, 1, (int64_t)serial);
	return give_one(s, row, userdata);
}

/* ---- from beside ---- */

#define LOOK \
	"SELECT " COLUMNS " FROM file WHERE directory = ?1 AND name = ?2 ORDER BY serial"

static void put_escaped(FILE *out, const char *path)
{
	for (; *path; path++)
		if (strchr("%?#", *path))
			fprintf(out, "%%%02X", (unsigned char)*path);
		else
			fputc(*path, out);
}

/* Where there is no log, nobody has it open, and it is read as it lies: then not even the
 * files that connections share come to be. The caller frees it. */
static char *look_uri(const char *path)
{
	_cleanup_free_ char *log = NULL;
	char *uri = NULL;
	size_t length;
	FILE *out;

	if (asprintf(&log, "%s-wal", path) < 0) {
		log = NULL;
		return NULL;
	}
	out = open_memstream(&uri, &length);
	if (!out)
		return NULL;
	fputs("file:", out);
	put_escaped(out, path);
	if (access(log, F_OK) < 0)
		fputs("?immutable=1", out);
	if (fclose(out) == 0)
		return uri;
	free(uri);
	return NULL;
}

static int open_to_look(struct ledger_db *db, const char *path)
{
	_cleanup_free_ char *uri = look_uri(path);
	int64_t version = 0;
	int rc, r;

	if (!uri)
		return -ENOMEM;
	rc = sqlite3_open_v2(uri, &db->sqlite,
			     SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
			     NULL);
	if (rc != SQLITE_OK)
		return error_of(db->sqlite, rc);
	(void)sqlite3_busy_timeout(db->sqlite, BUSY_MSEC);
	keep_log_at_close(db, true);
	r = ask_number(db, "PRAGMA user_version", &version);
	if (r < 0)
		return r;
	return version == LEDGER_SCHEMA ? 0 : -EPROTO;
}

static int prepare_to_look(struct ledger_db *db, const char *path, const char *sql,
			   sqlite3_stmt **ret)
{
	int r;

	if (!db)
		return -ENOMEM;
	/* What SQLite says of these two is less clear. */
	if (access(path, R_OK) < 0)
		return -errno;
	r = open_to_look(db, path);
	return r < 0 ? r : prepare(db, sql, ret);
}

int ledger_db_look_counts(const char *path, uint64_t counts[static 4])
{
	_cleanup_(ledger_db_closep) struct ledger_db *db = calloc(1, sizeof(*db));
	_cleanup_(finalizep) sqlite3_stmt *s = NULL;
	int r = prepare_to_look(db, path, SQL[COUNT], &s);

	return r < 0 ? r : get_counts(s, counts);
}

int ledger_db_look(const char *path, const char *directory, const char *name,
		   ledger_row_fn row, void *userdata)
{
	_cleanup_(ledger_db_closep) struct ledger_db *db = calloc(1, sizeof(*db));
	_cleanup_(finalizep) sqlite3_stmt *s = NULL;
	int r = prepare_to_look(db, path, LOOK, &s);

	if (r < 0)
		return r;
	(void)sqlite3_bind_blob(s, 1, directory, (int)strlen(directory), SQLITE_STATIC);
	(void)sqlite3_bind_blob(s, 2, name, (int)strlen(name), SQLITE_STATIC);
	while ((r = step(s)) > 0) {
		r = give_row(s, row, userdata);
		if (r < 0)
			return r;
	}
	return r;
}
