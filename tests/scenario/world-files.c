#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>

#include <json-c/json_tokener.h>
#include <json-c/json_util.h>

#include "fs.h"
#include "world-internal.h"

#define DONE_SUFFIX  ".asset.json"
#define ERROR_SUFFIX ".asset-error.json"
#define READ_MAX     ((size_t)512 * 1024 * 1024)
#define SIDECAR_MAX  ((size_t)1024 * 1024)

DEFINE_CLEANUP(struct json_object *, json_freep, json_object_put)

char *world_print(const char *format, ...)
{
	va_list arguments;
	char *text = NULL;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	assert_true(length >= 0);
	return text;
}

/* ---- files ---- */

char *world_path_of(const struct world *w, const char *name, const char *suffix)
{
	return name[0] == '/' ? world_print("%s%s", name, suffix)
			      : world_print("%s/%s%s", w->spool, name, suffix);
}

char *world_path(const struct world *w, const char *name)
{
	return world_path_of(w, name, "");
}

char *world_beside(const struct world *w, const char *name)
{
	return world_print("%s/%s", w->root, name);
}

static int create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return fd;
}

static void write_all(int fd, const void *bytes, size_t length)
{
	assert_int_equal(write(fd, bytes, length), (ssize_t)length);
}

static char *outside(const struct world *w)
{
	return world_print("%s/outside", w->root);
}

static void move_in(struct world *w, const char *from, const char *name)
{
	_cleanup_free_ char *to = world_path(w, name);

	if (rename(from, to) < 0)
		fail_msg("%s: %s", to, strerror(errno));
}

void world_drop_bytes(struct world *w, const char *name, const void *bytes, size_t length)
{
	_cleanup_free_ char *from = outside(w);
	_cleanup_close_ int fd = create(from);

	write_all(fd, bytes, length);
	fd = close_fd(fd);
	move_in(w, from, name);
}

void world_drop(struct world *w, const char *name, const char *text)
{
	world_drop_bytes(w, name, text, strlen(text));
}

static void number_name(char buffer[static NAME_MAX + 1], int i)
{
	(void)snprintf(buffer, NAME_MAX + 1, "f%d.txt", i);
}

void world_drop_many(struct world *w, int count)
{
	char name[NAME_MAX + 1];

	for (int i = 0; i < count; i++) {
		number_name(name, i);
		world_drop(w, name, name);
	}
}

static uint64_t scramble(uint64_t n)
{
	n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
	return n ^ (n >> 31);
}

void world_drop_random(struct world *w, const char *name, uint64_t size, unsigned seed)
{
	_cleanup_free_ char *from = outside(w);
	_cleanup_close_ int fd = create(from);
	static uint64_t block[8192];

	for (uint64_t offset = 0; offset < size; offset += sizeof(block)) {
		for (size_t i = 0; i < ARRAY_SIZE(block); i++)
			block[i] = scramble(((uint64_t)seed << 40) + offset / 8 + i);
		write_all(fd, block, MIN(size - offset, sizeof(block)));
	}
	fd = close_fd(fd);
	move_in(w, from, name);
}

void world_write(struct world *w, const char *name, const char *text)
{
	_cleanup_free_ char *path = world_path(w, name);
	_cleanup_close_ int fd = create(path);

	write_all(fd, text, strlen(text));
}

void world_touch(struct world *w, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);
	/* As touch(1) does it: watchers see that a writer has closed the file. */
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	struct timespec times[2] = { { .tv_nsec = UTIME_NOW } };

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	/* The clock of file systems is coarse: "now" may be what it was. */
	times[1] = usec_to_timespec(usec_from_timespec(st.st_mtim) + USEC_PER_MSEC);
	assert_int_equal(futimens(fd, times), 0);
}

void world_remove(struct world *w, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);

	assert_int_equal(unlink(path), 0);
}

void world_rename(struct world *w, const char *from, const char *to, unsigned flags)
{
	_cleanup_free_ char *old = world_path(w, from), *new = world_path(w, to);

	if (renameat2(AT_FDCWD, old, AT_FDCWD, new, flags) < 0)
		fail_msg("%s -> %s: %s", old, new, strerror(errno));
}

void world_chmod(struct world *w, const char *name, mode_t mode)
{
	_cleanup_free_ char *path = world_path(w, name);

	assert_int_equal(chmod(path, mode), 0);
}

void world_mkdir(struct world *w, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);

	assert_int_equal(fs_make_directories(path, 0750), 0);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

bool world_exists(const struct world *w, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);

	return exists(path);
}

static char *read_path(const char *path)
{
	char *text = NULL;
	int r = fs_read_file(AT_FDCWD, path, READ_MAX, &text, NULL);

	if (r < 0)
		fail_msg("%s: %s", path, strerror(-r));
	return text;
}

char *world_read(const struct world *w, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);

	return read_path(path);
}

char *world_output(struct world *w)
{
	return read_path(w->output);
}

/* ---- sidecars ---- */

static bool path_exists(struct world *w, const void *path)
{
	(void)w;
	return exists(path);
}

static bool path_is_gone(struct world *w, const void *path)
{
	return !path_exists(w, path);
}

static const char *why(const struct world *w)
{
	return w->pid ? "did not come about in time" : "and the agent does not run";
}

static void wait_for_suffix(struct world *w, const char *name, const char *suffix)
{
	_cleanup_free_ char *path = world_path_of(w, name, suffix);

	if (!world_until(w, path, path_exists, path))
		fail_msg("%s %s", path, why(w));
}

void world_wait_sidecar(struct world *w, const char *name)
{
	wait_for_suffix(w, name, DONE_SUFFIX);
}

void world_wait_error_sidecar(struct world *w, const char *name)
{
	wait_for_suffix(w, name, ERROR_SUFFIX);
}

struct wanted {
	const char *path, *text;
};

static bool has_text(struct world *w, const void *what)
{
	const struct wanted *wanted = what;
	_cleanup_free_ char *text = NULL;

	(void)w;
	return fs_read_file(AT_FDCWD, wanted->path, SIZE_MAX, &text, NULL) == 0 &&
	       strstr(text, wanted->text);
}

void world_wait_text(struct world *w, const char *name, const char *text)
{
	_cleanup_free_ char *path = world_path(w, name);
	const struct wanted wanted = { path, text };

	if (!world_until(w, path, has_text, &wanted))
		fail_msg("%s does not hold \"%s\": %s", path, text, why(w));
}

void world_wait_gone(struct world *w, const char *name)
{
	_cleanup_free_ char *path = world_path(w, name);

	if (!world_until(w, path, path_is_gone, path))
		fail_msg("%s is still there: %s", path, why(w));
}

static bool has_suffix(const struct world *w, const char *name, const char *suffix)
{
	_cleanup_free_ char *path = world_path_of(w, name, suffix);

	return exists(path);
}

bool world_has_sidecar(const struct world *w, const char *name)
{
	return has_suffix(w, name, DONE_SUFFIX);
}

bool world_has_error_sidecar(const struct world *w, const char *name)
{
	return has_suffix(w, name, ERROR_SUFFIX);
}

/* NULL: not JSON, the whole of it. */
static struct json_object *parse(const char *text)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, -1);
	json_tokener_free(tokener);
	return object;
}

static struct json_object *read_sidecar(struct world *w, const char *name,
					const char *suffix)
{
	_cleanup_free_ char *path = world_path_of(w, name, suffix),
			    *text = read_path(path);
	size_t length = strlen(text);
	struct json_object *object;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (length < 2 || strchr(text, '\n') != text + length - 1)
		fail_msg("%s is not one line", path);
	text[length - 1] = '\0';
	object = parse(text);
	if (!json_object_is_type(object, json_type_object))
		fail_msg("%s is not a JSON object: %s", path, text);
	return object;
}

struct json_object *world_sidecar(struct world *w, const char *name)
{
	return read_sidecar(w, name, DONE_SUFFIX);
}

struct json_object *world_error_sidecar(struct world *w, const char *name)
{
	return read_sidecar(w, name, ERROR_SUFFIX);
}

static struct json_object *member(struct json_object *object, const char *key,
				  enum json_type type)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, type))
		fail_msg("no %s %s in %s", json_type_to_name(type), key,
			 json_object_to_json_string(object));
	return value;
}

const char *world_text(struct json_object *object, const char *key)
{
	return json_object_get_string(member(object, key, json_type_string));
}

int64_t world_number(struct json_object *object, const char *key)
{
	return json_object_get_int64(member(object, key, json_type_int));
}

/* ---- uploaded ---- */

struct expected {
	const char *file, *sidecar;
};

static bool speaks_of(struct json_object *sidecar, const struct stat *st)
{
	struct json_object *size = NULL, *modified = NULL;
	struct timespec when;

	return json_object_object_get_ex(sidecar, "size", &size) &&
	       json_object_object_get_ex(sidecar, "modified", &modified) &&
	       json_object_get_int64(size) == st->st_size &&
	       clock_parse(json_object_get_string(modified), &when) == 0 &&
	       fs_same_time(when, st->st_mtim);
}

static bool is_uploaded(struct world *w, const void *what)
{
	const struct expected *expected = what;
	_cleanup_(json_freep) struct json_object *sidecar = NULL;
	_cleanup_free_ char *text = NULL;
	struct stat st;

	(void)w;
	if (fs_read_file(AT_FDCWD, expected->sidecar, SIDECAR_MAX, &text, NULL) < 0 ||
	    stat(expected->file, &st) < 0)
		return false;
	sidecar = parse(text);
	return sidecar && speaks_of(sidecar, &st);
}

void world_wait_uploaded(struct world *w, const char *name)
{
	_cleanup_free_ char *file = world_path(w, name);
	_cleanup_free_ char *sidecar = world_path_of(w, name, DONE_SUFFIX);
	struct expected expected = { .file = file, .sidecar = sidecar };

	if (!world_until(w, sidecar, is_uploaded, &expected))
		fail_msg("a sidecar that speaks of %s %s", file, why(w));
}

static void assert_recent(const char *instant)
{
	struct timespec when;

	assert_int_equal(clock_parse(instant, &when), 0);
	assert_in_range(when.tv_sec, time(NULL) - 3600, time(NULL) + 1);
}

void world_assert_uploaded_as(struct world *w, const char *name, const char *known_as)
{
	_cleanup_(json_freep) struct json_object *sidecar = world_sidecar(w, name);
	_cleanup_free_ char *path = world_path(w, name);
	_cleanup_free_ char *error = world_path_of(w, name, ERROR_SUFFIX);
	struct service_asset asset;
	struct stat st;

	/* One that there was goes once there is a receipt. */
	world_wait_gone(w, error);
	assert_int_equal(lstat(path, &st), 0);
	if (!speaks_of(sidecar, &st))
		fail_msg("the sidecar speaks of another %s: %s", path,
			 json_object_to_json_string(sidecar));
	assert_recent(world_text(sidecar, "uploaded"));
	assert_string_equal(world_text(sidecar, "name"), known_as);

	if (!service_asset_by_id(w->service, world_text(sidecar, "id"), &asset))
		fail_msg("the service knows no asset %s", world_text(sidecar, "id"));
	assert_true(asset.complete);
	assert_string_equal(asset.name, known_as);
	assert_int_equal(asset.size, st.st_size);
	assert_string_equal(world_text(sidecar, "contentType"), asset.content_type);
	assert_int_equal(service_same_content(w->service, asset.id, path), 1);
}

void world_assert_uploaded(struct world *w, const char *name)
{
	const char *slash = strrchr(name, '/');

	world_assert_uploaded_as(w, name, slash ? slash + 1 : name);
}

void world_upload(struct world *w, const char *name)
{
	world_write(w, name, name);
	world_wait_uploaded(w, name);
	world_assert_uploaded(w, name);
}

void world_assert_many_uploaded(struct world *w, int count)
{
	char name[NAME_MAX + 1];

	for (int i = 0; i < count; i++) {
		number_name(name, i);
		world_wait_uploaded(w, name);
		world_assert_uploaded(w, name);
	}
}

/* ---- the log ---- */

static size_t count_log(struct world *w, const char *text)
{
	_cleanup_free_ char *log = NULL;
	size_t n = 0;

	/* Before the first start there is none. */
	if (fs_read_file(AT_FDCWD, w->log, READ_MAX, &log, NULL) < 0)
		return 0;
	for (const char *at = log + w->log_mark; (at = strstr(at, text));
	     at += strlen(text))
		n++;
	return n;
}

static bool log_holds(struct world *w, const void *text)
{
	return count_log(w, text) > 0;
}

void world_wait_log(struct world *w, const char *text)
{
	if (!world_until(w, w->log, log_holds, text))
		fail_msg("the log has no \"%s\", %s", text, why(w));
}

size_t world_count_log(struct world *w, const char *text)
{
	return count_log(w, text);
}

void world_mark_log(struct world *w)
{
	struct stat st;

	if (stat(w->log, &st) == 0)
		w->log_mark = (size_t)st.st_size;
}
