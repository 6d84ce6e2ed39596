#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "journal.h"
#include "log.h"
#include "plain.h"
#include "text.h"

#define CLEAR_LINE "\r\x1B[K" /* ECMA-48: erase in line */

static enum log_target target = LOG_TO_STDERR;
static int max_level = LOG_INFO;
static char *foot;
static uint64_t lost;	   /* lines, since the journal took one last */
static bool with_prefix;   /* "<6>": systemd reads the level from standard error */
static int may_stick = -1; /* standard error, where nobody reads it; -1: not known */

/* The catalog speaks of these; a kind keeps its number for ever. */
static const char *const message_ids[LOG_KINDS] = {
	[LOG_STARTED] = "4ce352ccaa9b4d1fac64b4baaf04b493",
	[LOG_STOPPING] = "d3a5df0f8c3d4ab9a7b50c956c01ec3f",
	[LOG_STOPPED] = "6ba2661388f34b038c924bfb9a975d56",
	[LOG_UPLOADED] = "d8c8a48e5a154a3db9b0d7ef890f0aed",
	[LOG_GIVEN_UP] = "6b346827bfae439f91ea39729bf9d1b9",
	[LOG_RETRYING] = "c40747126cd34ac189423701708347a4",
	[LOG_SERVICE_AWAY] = "f02d1fada14340cc862b066d00e13d8e",
	[LOG_SERVICE_BACK] = "ddc042d9f5364ab28ea88d45bf991cbb",
	[LOG_NOT_A_FILE] = "3f2fabd3f6e84e62a7a4edccd95bf206",
	[LOG_SPOOL_AWAY] = "e28236efae71479aae76663a3641b850",
	[LOG_SPOOL_BACK] = "1bcf17795c7b4d0c9fe42e1c0b8682be",
	[LOG_POLLING] = "e5883dc5f9b341eba1978a6f90461533",
	[LOG_DISK_AWAY] = "d29f34203520474fa17970ec7260b0b2",
	[LOG_DISK_BACK] = "a5e1ceaec7cd4bbabdc77cab4321e430",
	[LOG_LEDGER_SET_ASIDE] = "4ab5bc96abde49d7b52eeef83dd2f8d7",
	[LOG_SIDECAR_FAILED] = "b1ab16a17bda4895a257a0071b638718",
	[LOG_SHORTAGE] = "a67a209377544f6bbcfd2abbb763c6fc",
	[LOG_SPOOL_HELD] = "28096757d7434f099ec0480bcd803d9f",
	[LOG_SPOOL_FREE] = "5261bed04f50490db588271d5aa61c8f",
	[LOG_START_FAILED] = "40f4dfb421c34a2b85c0d59480c1ed04",
	[LOG_ALREADY_RUNNING] = "613270f7dcbe4f5a88961a76c56610b5",
	[LOG_LEDGER_LOCKED] = "f26ce2f1cf1343f6abc4050c5b4d6870",
	[LOG_LEDGER_NEWER] = "8478abbd33b74487a33e8e21ec727fb8",
	[LOG_LEDGER_BROKEN] = "913c70a7d1174b209954ca89b040713c",
	[LOG_UNFINISHED_AWAY] = "0dbcafbbe81a43cc9d532f8ec6b0b8ba",
	[LOG_LOOP_BROKE] = "5c76f5ee9d7e47e5aa66ac1020af703f",
	[LOG_PASSED_OVER] = "7da8020473214a79b56a948cc401e6c2",
	[LOG_LINES_LOST] = "2ba53a80595e4ede868d2d1999cc16e2",
	[LOG_DIRECTORY_UNWRITABLE] = "373c74027cbc4b80b284fbeb7ee1fc98",
	[LOG_DIRECTORY_UNREADABLE] = "a172af360214408db9c982d83f437b49",
	[LOG_BURST] = "4e4b25c2f32349e3990803658474c468",
	[LOG_REPORT_FAILED] = "5e35bc440f934b47aa8e5160ceef799e",
	[LOG_REPORT_BACK] = "d333f326a8ab41cf9e93cfc996c6b388",
	[LOG_RELOADED] = "d7fc5e13c24d452890dbdab17b6ceb24",
	[LOG_RELOAD_FAULT] = "e30f8bd831e44e8f87b770c5264a3723",
	[LOG_RELOAD_REFUSED] = "474ff3f08aac4bfb8af436722493e018",
	[LOG_STUCK] = "2563e1bd8b124b6b953d9211d689997f",
	[LOG_DISK_SLOW] = "ddcc7da70ba34a3b85776c781c479b8b",
	[LOG_SPOOL_DISK_AWAY] = "f1cef51f176d40229c31b85497593f4d",
	[LOG_SPOOL_DISK_BACK] = "df5c9c1c9e8945959c240a32c042e2e7",
};

enum { FIELDS_MAX = 16, NUMBER_MAX = 24, LOST_LINE_MAX = 128 };

#define PATIENCE_MSEC 100 /* a burst may fill a pipe for a moment */

/* The journal's fields of one line. */
struct field_list {
	struct iovec items[FIELDS_MAX];
	size_t count;
};

static struct iovec iovec_of(const char *text)
{
	return (struct iovec){ .iov_base = (char *)text, .iov_len = strlen(text) };
}

static void field_list_done(struct field_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].iov_base);
}

/* A field that can't be had for want of memory is left out; the line itself matters. */
static void add_string(struct field_list *list, const char *name, const char *value)
{
	char *text;

	if (!value || list->count == FIELDS_MAX)
		return;
	text = text_join(name, "=", value);
	if (text)
		list->items[list->count++] = iovec_of(text);
}

static void add_number(struct field_list *list, const char *name, bool applies,
		       uint64_t value)
{
	char number[TEXT_NUMBER_MAX];

	if (applies)
		add_string(list, name, text_number(number, value));
}

static void add_fields(struct field_list *list, const struct log_fields *f)
{
	add_string(list, "ASSET_ID", f->asset_id);
	add_string(list, "ASSET_FILE", f->file);
	add_string(list, "ASSET_SPOOL", f->spool);
	add_number(list, "ASSET_SIZE", f->has_size, f->size);
	add_string(list, "ASSET_CONTENT_TYPE", f->content_type);
	add_string(list, "ASSET_STAGE", f->stage);
	add_number(list, "ASSET_ATTEMPT", f->attempt > 0, f->attempt);
	add_number(list, "ASSET_DURATION_USEC", f->duration > 0, f->duration);
	add_number(list, "ASSET_HTTP_STATUS", f->http_status > 0,
		   (uint64_t)f->http_status);
	add_string(list, "ASSET_ERROR_CODE", f->error_code);
	add_number(list, "ASSET_RETRY_USEC", f->retry > 0, f->retry);
	add_number(list, "ASSET_COUNT", f->count > 0, f->count);
}

/* @message_id and @fields may be NULL. */
static int send_to_journal(int level, const char *message_id,
			   const struct log_fields *fields, const char *message)
{
	_cleanup_(field_list_done) struct field_list list = {};

	add_string(&list, "MESSAGE", message);
	add_number(&list, "PRIORITY", true, (uint64_t)level);
	add_string(&list, "SYSLOG_IDENTIFIER", "asset-agent");
	add_string(&list, "MESSAGE_ID", message_id);
	if (fields)
		add_fields(&list, fields);
	return journal_send(list.items, (int)list.count);
}

/* In one system call, so that the lines of several processes do not mix. Where standard
 * error is gone there is nobody left to tell. */
static void write_parts(const char *before, const char *text, const char *after,
			const char *last)
{
	const struct iovec parts[] = { iovec_of(before), iovec_of(text), iovec_of(after),
				       iovec_of(last) };
	ssize_t n = writev(STDERR_FILENO, parts, ARRAY_SIZE(parts));

	(void)n;
}

static void to_stderr(int level, const char *message)
{
	char prefix[NUMBER_MAX] = "";

	if (with_prefix)
		snprintf(prefix, sizeof(prefix), "<%d>", level);
	write_parts(foot ? CLEAR_LINE : prefix, message, "\n", foot ? foot : "");
}

/* Where it is the journal's too, or a pipe, it may be that nobody reads it. A file takes
 * all, and whoever stops a terminal wants to read on. */
static bool is_read_by_others(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static bool stderr_takes_more(int patience_msec)
{
	struct pollfd polled = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (may_stick < 0)
		may_stick = is_read_by_others(STDERR_FILENO);
	return !may_stick || (poll(&polled, 1, patience_msec) == 1 &&
			      polled.revents & (POLLOUT | POLLNVAL));
}

static void format_lost(char line[static LOST_LINE_MAX], const char *who)
{
	snprintf(line, LOST_LINE_MAX,
		 "Lines that %s did not take, and nobody will see: %" PRIu64 ".", who,
		 lost);
}

static void to_stderr_at_once(int level, const char *message)
{
	static bool stuck; /* since when nothing is waited for any more */
	char line[LOST_LINE_MAX];

	stuck = !stderr_takes_more(stuck || target == LOG_TO_JOURNAL ? 0 : PATIENCE_MSEC);
	if (stuck) {
		lost++;
		return;
	}
	if (lost > 0 && target == LOG_TO_STDERR) {
		format_lost(line, "standard error");
		to_stderr(LOG_WARNING, line);
		lost = 0;
	}
	to_stderr(level, message);
}

static void to_journal(int level, const char *message_id, const struct log_fields *fields,
		       const char *message)
{
	char line[LOST_LINE_MAX];

	if (send_to_journal(level, message_id, fields, message) < 0) {
		to_stderr_at_once(level, message);
		return;
	}
	if (lost == 0)
		return;
	format_lost(line, "the journal");
	if (send_to_journal(LOG_WARNING, message_ids[LOG_LINES_LOST], NULL, line) == 0)
		lost = 0;
}

/* A line that the terminal wraps could not be erased. */
static void cut_to_terminal(char *line)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		plain_cut(line, size.ws_col - 1U);
}

void log_foot(const char *line)
{
	char *copy = line ? strdup(line) : NULL;

	if (copy)
		cut_to_terminal(copy);
	if (foot || copy)
		write_parts(CLEAR_LINE, copy ? copy : "", "", "");
	free(foot);
	foot = copy;
}

void log_init(enum log_target to, int level)
{
	target = to;
	max_level = level;
	with_prefix = log_stderr_is_journal();
	may_stick = -1;
}

bool log_stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[2 * NUMBER_MAX];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	return streq(stream, ours);
}

bool log_enabled(int level)
{
	return level <= max_level;
}

_printf_(4, 0) static void write_line(int level, const char *message_id,
				      const struct log_fields *fields, const char *format,
				      va_list args)
{
	_cleanup_free_ char *raw = NULL, *message = NULL;
	int saved = errno, length;

	if (!log_enabled(level))
		return;
	length = vasprintf(&raw, format, args);
	if (length < 0) {
		raw = NULL;
		to_stderr_at_once(level, "Out of memory while writing a log line.");
	} else {
		message = text_escape(raw, (size_t)length);
		if (target == LOG_TO_JOURNAL)
			to_journal(level, message_id, fields, message ? message : format);
		else
			to_stderr_at_once(level, message ? message : format);
	}
	errno = saved;
}

void log_event(int level, enum log_kind kind, const struct log_fields *fields,
	       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(level, log_message_id(kind), fields, format, args);
	va_end(args);
}

void log_detail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(LOG_DEBUG, NULL, NULL, format, args);
	va_end(args);
}

const char *log_message_id(enum log_kind kind)
{
	return message_ids[kind];
}

const char *log_errno(int error)
{
	return strerrordesc_np(-error) ? strerrordesc_np(-error) : "unknown error";
}
