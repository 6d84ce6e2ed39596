// wrap: read
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "clock.h"
#include "macro.h"
#include "watch.h"

static int read_error; /* 0: it works */

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
	if (read_error == 0)
		return __real_read(fd, buffer, size);
	errno = read_error;
	return -1;
}

/* ---- one directory, watched ---- */

struct place {
	char path[64];
	sd_event *loop;
	struct watch *watch;
	unsigned events, rerouted;
};

static void on_event(void *userdata, void *owner, enum watch_event event,
		     const char *name)
{
	struct place *place = userdata;

	assert_ptr_equal(owner, place);
	if (event == WATCH_FILE && streq(name, "file"))
		place->events++;
}

static void on_overflow(void *userdata)
{
	(void)userdata;
	fail();
}

/* Also by what others mount on this machine. */
static void on_rerouted(void *userdata)
{
	struct place *place = userdata;

	place->rerouted++;
}

static int set_up(void **state)
{
	static const struct watch_ops ops = { on_event, on_overflow, on_rerouted };
	static struct place place;
	int fd;

	read_error = 0;
	place = (struct place){ .path = "/tmp/asset-watch.XXXXXX" };
	*state = &place;
	assert_non_null(mkdtemp(place.path));
	assert_true(sd_event_new(&place.loop) >= 0);
	assert_int_equal(watch_new(place.loop, &ops, &place, &place.watch), 0);
	fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(watch_add(place.watch, fd, &place) >= 0);
	close_fd(fd);
	return 0;
}

static void file_path(const struct place *place, char path[static 80])
{
	snprintf(path, 80, "%s/file", place->path);
}

static int tear_down(void **state)
{
	struct place *place = *state;
	char path[80];

	watch_free(place->watch);
	sd_event_unref(place->loop);
	file_path(place, path);
	return unlink(path) < 0 || rmdir(place->path) < 0 ? -1 : 0;
}

static void make_file(const struct place *place)
{
	char path[80];
	int fd;

	file_path(place, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close_fd(fd);
}

/* ---- tests ---- */

static void what_happens_in_a_watched_directory_is_told(void **state)
{
	struct place *place = *state;

	make_file(place);
	while (place->events == 0)
		assert_true(sd_event_run(place->loop, 10 * USEC_PER_SEC) > 0);
}

static void an_interrupted_read_is_made_up_for(void **state)
{
	static const int errors[] = { EINTR, EAGAIN };
	struct place *place = *state;

	make_file(place);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		read_error = errors[i];
		assert_true(sd_event_run(place->loop, 10 * USEC_PER_SEC) > 0);
	}
	read_error = 0;
	while (place->events == 0)
		assert_true(sd_event_run(place->loop, 10 * USEC_PER_SEC) > 0);
}

/* mc#2971: what it watched went silent; it ran on, and nobody could tell. */
static void a_watch_that_fails_ends_the_loop(void **state)
{
	struct place *place = *state;

	make_file(place);
	read_error = EIO;
	assert_int_equal(sd_event_loop(place->loop), -EIO);
}

static void run_until_rerouted(struct place *place, unsigned times)
{
	while (place->rerouted < times)
		assert_true(sd_event_run(place->loop, 10 * USEC_PER_SEC) > 0);
}

/* "PLACE/a/link/c", where the link leads to "PLACE/b". */
static void a_path_that_leads_elsewhere_is_told(void **state)
{
	_cleanup_free_ char *path = NULL, *a = NULL, *moved = NULL, *b = NULL,
			    *link = NULL, *c = NULL;
	struct place *place = *state;

	assert_true(asprintf(&a, "%s/a", place->path) > 0);
	assert_true(asprintf(&moved, "%s/moved", place->path) > 0);
	assert_true(asprintf(&b, "%s/b", place->path) > 0);
	assert_true(asprintf(&c, "%s/b/c", place->path) > 0);
	assert_true(asprintf(&link, "%s/a/link", place->path) > 0);
	assert_true(asprintf(&path, "%s/a/link/c", place->path) > 0);
	make_file(place);
	assert_int_equal(mkdir(a, 0700) + mkdir(b, 0700) + mkdir(c, 0700), 0);
	assert_int_equal(symlink("../b", link), 0);
	assert_int_equal(watch_path(place->watch, path), 0);
	/* The place itself stays its owner's. */
	assert_int_equal(watch_path(place->watch, place->path), 0);
	assert_int_equal(rename(b, moved), 0);
	run_until_rerouted(place, 1);
	assert_int_equal(rename(moved, b), 0);
	run_until_rerouted(place, 2);
	assert_int_equal(unlink(link), 0);
	run_until_rerouted(place, 3);
	assert_true(place->events > 0);
	assert_int_equal(watch_path(place->watch, path), -ENOENT);
	assert_int_equal(rmdir(c) + rmdir(b) + rmdir(a), 0);
	run_until_rerouted(place, 6);
}

/* As a spool's directory is by the agent itself. */
static void a_directory_that_is_deleted_while_it_is_open_is_told(void **state)
{
	struct place *place = *state;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;

	make_file(place);
	assert_true(asprintf(&path, "%s/open", place->path) > 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(watch_path(place->watch, path), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(rmdir(path), 0);
	run_until_rerouted(place, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_happens_in_a_watched_directory_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_interrupted_read_is_made_up_for,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_watch_that_fails_ends_the_loop, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_path_that_leads_elsewhere_is_told,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_directory_that_is_deleted_while_it_is_open_is_told, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
