/*
 * The journal: the agent runs in namespaces of its own, where journald's socket leads to
 * a thread here. It keeps each entry as it comes: a blank line between them makes the
 * file ROOT/journal systemd's Journal Export Format.
 *
 * Whoever reads it puts a mark behind what was sent so far, and waits until that has
 * come: an agent that has ended may have left its last entries in the socket.
 */

#include <ctype.h>
#include <endian.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "fs.h"
#include "log.h"
#include "parse.h"
#include "text.h"
#include "world-internal.h"

#define CATALOG	  "systemd/asset-agent.catalog"
#define ENTRY_MAX (1 << 20)
#define MARK	  "." /* no entry: that ends with a newline */

struct world_journal {
	struct sockaddr_un address;
	char *path;
	int socket, file;
	pthread_mutex_t whole; /* held: the file ends with an entry */
	pthread_cond_t marked;
	size_t marks; /* that have come */
	pthread_t thread;
};

/* False: it can't be kept. */
static bool keep(struct world_journal *journal, char *entry, ssize_t length)
{
	if (length == STRLEN(MARK) && entry[0] == MARK[0]) {
		journal->marks++;
		(void)pthread_cond_signal(&journal->marked);
		return true;
	}
	entry[length++] = '\n';
	return write(journal->file, entry, (size_t)length) == length;
}

static void *listen_to_it(void *userdata)
{
	struct world_journal *journal = userdata;
	_cleanup_free_ char *entry = malloc(ENTRY_MAX);
	bool kept = true;
	ssize_t n;

	while (entry && kept &&
	       (n = recv(journal->socket, entry, ENTRY_MAX - 1, 0)) > 0) {
		(void)pthread_mutex_lock(&journal->whole);
		kept = keep(journal, entry, n);
		(void)pthread_mutex_unlock(&journal->whole);
	}
	(void)shutdown(journal->socket, SHUT_RD); /* nobody waits for room here */
	return NULL;
}

/* Waits for all that was sent so far, with the lock held. */
static void catch_up(struct world_journal *journal)
{
	struct timespec until;
	size_t wanted = journal->marks + 1;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(world_patience() / USEC_PER_SEC);
	(void)pthread_mutex_unlock(&journal->whole); /* where the queue is full */
	assert_int_equal(sendto(journal->socket, MARK, STRLEN(MARK), 0,
				(struct sockaddr *)&journal->address,
				sizeof(journal->address)),
			 STRLEN(MARK));
	(void)pthread_mutex_lock(&journal->whole);
	while (r == 0 && journal->marks < wanted)
		r = pthread_cond_timedwait(&journal->marked, &journal->whole, &until);
	if (r != 0)
		(void)pthread_mutex_unlock(&journal->whole);
	assert_int_equal(r, 0);
}

void world_open_journal(struct world *w)
{
	struct world_journal *journal = calloc(1, sizeof(*journal));
	struct sockaddr_un *address;

	assert_non_null(journal);
	w->journal = journal;
	address = &journal->address;
	address->sun_family = AF_UNIX;
	(void)pthread_mutex_init(&journal->whole, NULL);
	(void)pthread_cond_init(&journal->marked, NULL);
	journal->path = world_print("%s/journal", w->root);
	journal->file = open(journal->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			     0600);
	journal->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(journal->file >= 0 && journal->socket >= 0);
	assert_true(snprintf(address->sun_path, sizeof(address->sun_path),
			     "%s/journal-socket",
			     w->root) < (int)sizeof(address->sun_path));
	assert_int_equal(
		bind(journal->socket, (struct sockaddr *)address, sizeof(*address)), 0);
	assert_int_equal(pthread_create(&journal->thread, NULL, listen_to_it, journal),
			 0);
}

bool world_enter_journal(const struct world *w)
{
	return world_make_namespace() && mount("none", "/run", "tmpfs", 0, NULL) == 0 &&
	       mkdir("/run/systemd", 0755) == 0 &&
	       mkdir("/run/systemd/journal", 0755) == 0 &&
	       symlink(w->journal->address.sun_path, "/run/systemd/journal/socket") == 0;
}

void world_close_journal(struct world *w)
{
	struct world_journal *journal = w->journal;

	if (!journal)
		return;
	(void)shutdown(journal->socket, SHUT_RD);
	(void)pthread_join(journal->thread, NULL);
	(void)pthread_cond_destroy(&journal->marked);
	(void)pthread_mutex_destroy(&journal->whole);
	(void)close(journal->socket);
	(void)close(journal->file);
	free(journal->path);
	free(journal);
	w->journal = NULL;
}

/* ---- reading ---- */

static void add(struct json_object *entry, const char *name, size_t name_length,
		const char *value, size_t length)
{
	_cleanup_free_ char *key = strndup(name, name_length);

	assert_non_null(key);
	for (const char *p = key; *p; p++)
		assert_true(isupper((unsigned char)*p) || *p == '_');
	assert_false(json_object_object_get_ex(entry, key, NULL)); /* twice */
	json_object_object_add(entry, key,
			       json_object_new_string_len(value, (int)length));
}

/* Reads a field of the export format, and returns what follows it. */
static const char *read_field(const char *p, const char *end, struct json_object *entry)
{
	const char *line = memchr(p, '\n', (size_t)(end - p)), *value;
	uint64_t length;

	assert_non_null(line);
	value = memchr(p, '=', (size_t)(line - p));
	if (value) {
		add(entry, p, (size_t)(value - p), value + 1, (size_t)(line - value - 1));
		return line + 1;
	}
	assert_true((size_t)(end - line) > sizeof(length) + 1);
	memcpy(&length, line + 1, sizeof(length));
	length = le64toh(length);
	value = line + 1 + sizeof(length);
	assert_true(length < (uint64_t)(end - value) && value[length] == '\n');
	add(entry, p, (size_t)(line - p), value, length);
	return value + length + 1;
}

static bool fits(struct json_object *entry, const char *name, const char *value)
{
	struct json_object *field;

	return json_object_object_get_ex(entry, name, &field) &&
	       (!value || streq(json_object_get_string(field), value));
}

struct json_object *world_entries(struct world *w, const char *name, const char *value)
{
	struct json_object *entries = json_object_new_array();
	_cleanup_free_ char *text = NULL;
	const char *p, *end;
	size_t length;
	int r;

	(void)pthread_mutex_lock(&w->journal->whole);
	catch_up(w->journal);
	r = fs_read_file(AT_FDCWD, w->journal->path, SIZE_MAX / 2, &text, &length);
	(void)pthread_mutex_unlock(&w->journal->whole);
	assert_int_equal(r, 0);
	for (p = text, end = text + length; p < end; p++) {
		struct json_object *entry = json_object_new_object();

		while (p < end && *p != '\n')
			p = read_field(p, end, entry);
		if (fits(entry, name, value))
			json_object_array_add(entries, entry);
		else
			json_object_put(entry);
	}
	return entries;
}

struct wanted {
	const char *name, *value;
	size_t count;
};

static bool has_entries(struct world *w, const void *what)
{
	const struct wanted *wanted = what;
	struct json_object *entries = world_entries(w, wanted->name, wanted->value);
	bool enough = json_object_array_length(entries) >= wanted->count;

	json_object_put(entries);
	return enough;
}

struct json_object *world_wait_entries(struct world *w, const char *name,
				       const char *value, size_t count)
{
	const struct wanted wanted = { name, value, count };

	if (!world_until(w, w->journal->path, has_entries, &wanted))
		fail_msg("the journal has not %zu entries with %s=%s", count, name,
			 value ? value : "");
	return world_entries(w, name, value);
}

struct json_object *world_wait_entry(struct world *w, const char *name, const char *value)
{
	struct json_object *entries = world_wait_entries(w, name, value, 1), *entry;

	entry = json_object_get(json_object_array_get_idx(entries, 0));
	json_object_put(entries);
	return entry;
}

/* ---- what each entry must be ---- */

/* In the catalog, whose entry speaks only of fields that are there. */
static void assert_explained(struct json_object *entry, const char *catalog)
{
	_cleanup_free_ char *head = world_print("\n-- %s\n",
						world_text(entry, "MESSAGE_ID"));
	const char *p = strstr(catalog, head), *end;

	if (!p)
		fail_msg("not in the catalog: %s", world_text(entry, "MESSAGE"));
	p += strlen(head);
	end = strstr(p, "\n-- ");
	end = end ? end : strchr(p, '\0');
	while ((p = memchr(p, '@', (size_t)(end - p)))) {
		_cleanup_free_ char *field = world_print("%.*s", (int)strcspn(p + 1, "@"),
							 p + 1);

		if (!fits(entry, field, NULL))
			fail_msg("no %s, as the catalog has it: %s", field,
				 world_text(entry, "MESSAGE"));
		p += strlen(field) + 2;
	}
}

static void assert_in_order(struct json_object *entry, const char *catalog)
{
	const char *message = world_text(entry, "MESSAGE");
	_cleanup_free_ char *text = text_to_utf8(message, strlen(message));
	uint64_t priority;

	assert_string_equal(world_text(entry, "SYSLOG_IDENTIFIER"), "asset-agent");
	assert_int_equal(parse_unsigned(world_text(entry, "PRIORITY"), &priority), 0);
	assert_in_range(priority, LOG_ERR, LOG_DEBUG);
	if (fits(entry, "MESSAGE_ID", NULL))
		assert_explained(entry, catalog);
	else if (priority < LOG_DEBUG)
		fail_msg("without a MESSAGE_ID: %s", message);
	assert_string_equal(message, text);
	for (const char *p = message; *p; p++)
		assert_true((unsigned char)*p >= ' ' && *p != '\x7F');
}

void world_assert_journal(struct world *w)
{
	_cleanup_free_ char *catalog = NULL;
	struct json_object *entries;

	if (!w->journal)
		return;
	assert_int_equal(fs_read_file(AT_FDCWD, CATALOG, ENTRY_MAX, &catalog, NULL), 0);
	entries = world_entries(w, "MESSAGE", NULL);
	for (size_t i = 0; i < json_object_array_length(entries); i++)
		assert_in_order(json_object_array_get_idx(entries, i), catalog);
	json_object_put(entries);
}
