#include <fcntl.h>

#include "fs.h"
#include "log.h"
#include "once.h"
#include "sidecar.h"
#include "spool-entry.h"
#include "spool-tree.h"
#include "spool.h"

/* After a look for what was due then, the next one waits for so long for each entry that
 * was looked at, up to a ceiling: however many files fail, and however soon each is to be
 * tried again, most of the time goes to others. */
#define LOOK_REST     USEC_PER_MSEC
#define LOOK_REST_MAX (5 * USEC_PER_MINUTE)

struct spool {
	struct watch *watch; /* NULL: look once */
	const struct config_spool *config;
	const struct spool_ops *ops;
	void *userdata;
	struct spool_tree tree;
	struct once warned;
	bool away, remote, polling;
	bool told_away, told_polling;
	bool missed; /* SPOOL_FOUND is to be told */
	int error;   /* why it is away */
	uint64_t uploaded, failed;
	bool routed;		      /* the way to it is watched, too */
	sd_event_source *poll_source; /* finds the root, makes sure of it, polls */
	sd_event_source *look_source; /* for spool_look_at() */
	usec_t look_at;
	usec_t looked_at;	 /* by the last one of those */
	uint64_t looked_entries; /* that had been looked at before it */
};

const struct config_spool *spool_config(const struct spool *spool)
{
	return spool->config;
}

struct intake_rules spool_directory_rules(const struct spool_directory *directory)
{
	const struct spool *spool = directory->spool;

	if (!spool)
		return (struct intake_rules){ .quiet = USEC_PER_SEC };
	return (struct intake_rules){
		.quiet = spool->polling ? MAX(spool->config->settle,
					      spool->config->poll_interval)
					: spool->config->settle,
		.remote = spool->remote,
	};
}

/* ---- what is told of it ---- */

void spool_inherit(struct spool *spool, const struct spool *from)
{
	spool->uploaded += from->uploaded;
	spool->failed += from->failed;
	spool->warned = from->warned;
}

void spool_count(struct spool *spool, bool uploaded)
{
	if (uploaded)
		spool->uploaded++;
	else
		spool->failed++;
}

/* What keeps files of @root back, or NULL. */
static const char *why_held(const struct spool_directory *root)
{
	if (root->failed)
		return "its directory can't be read";
	if (root->closed)
		return "no sidecar can be written in its directory";
	if (root->aparts > 0)
		return "its files can't be moved to DoneDirectory";
	return NULL;
}

struct spool_stats spool_stats(const struct spool *spool)
{
	const struct spool_directory *root = spool->tree.index.root;
	struct spool_stats stats = {
		.state = spool->polling ? SPOOL_IS_POLLED : SPOOL_IS_WATCHED,
		.uploaded = spool->uploaded,
		.failed = spool->failed,
	};

	if (spool->away) {
		stats.state = SPOOL_IS_AWAY;
		stats.why = log_errno(spool->error);
	} else if (root && why_held(root)) {
		stats.state = SPOOL_IS_HELD;
		stats.why = why_held(root);
	}
	return stats;
}

/* ---- when to look without an event ---- */

static void arm(sd_event_source *source, usec_t at)
{
	(void)sd_event_source_set_time(source, at);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static usec_t next_poll(const struct spool *spool)
{
	return usec_add(clock_monotonic(), spool->config->poll_interval);
}

void spool_look_again(struct spool *spool)
{
	spool_tree_look(&spool->tree);
}

static usec_t rested_at(const struct spool *spool)
{
	uint64_t entries = spool_tree_entries(&spool->tree) - spool->looked_entries;
	uint64_t rests = MIN(entries, LOOK_REST_MAX / LOOK_REST);

	return usec_add(spool->looked_at, rests * LOOK_REST);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct spool *spool = userdata;
	usec_t now = clock_monotonic(), rested = rested_at(spool);

	(void)source;
	(void)usec;
	if (rested > now) {
		arm(spool->look_source, rested);
		return 0;
	}
	spool->look_at = USEC_INFINITY;
	spool->looked_at = now;
	spool->looked_entries = spool_tree_entries(&spool->tree);
	spool_look_again(spool);
	return 0;
}

void spool_look_at(struct spool_directory *directory, usec_t at)
{
	struct spool *spool = directory->spool;

	if (!spool || at >= spool->look_at)
		return;
	spool->look_at = at;
	arm(spool->look_source, at);
}

static void arm_poll(struct spool *spool)
{
	if (spool->watch)
		arm(spool->poll_source, next_poll(spool));
}

static void start_polling(struct spool *spool, int error)
{
	if (spool->polling)
		return;
	spool->polling = true;
	arm_poll(spool);
	/* A single look is no polling, and what was asked for is no news. */
	if (spool->told_polling || !spool->watch || spool->config->watch == WATCH_POLL)
		return;
	spool->told_polling = true;
	spool->ops->news(spool->userdata, spool, NULL, SPOOL_POLLING, error);
}

void spool_resume(struct spool *spool)
{
	spool_tree_resume(&spool->tree);
}

bool spool_is_quiet(const struct spool *spool)
{
	return spool_tree_is_idle(&spool->tree);
}

int spool_find_directory(struct spool *spool, const char *path,
			 struct spool_directory **ret)
{
	return spool_tree_find(&spool->tree, path, ret);
}

/* ---- what can't be uploaded ---- */

static uint64_t fingerprint(const struct stat *st)
{
	uint64_t hash = st->st_dev * UINT64_C(0x9E3779B97F4A7C15) ^ st->st_ino;

	return (hash ^ (uint64_t)(st->st_mode & S_IFMT)) * UINT64_C(0xD6E8FEB86659FD93);
}

/* Once for the thing that @st describes. */
static void warn(struct spool *spool, struct spool_directory *directory, const char *name,
		 const struct stat *st, const char *why, bool file)
{
	if (once_is_new(&spool->warned, fingerprint(st)))
		spool->ops->not_a_file(spool->userdata, directory, name, why, file);
}

static void on_alien(void *userdata, struct spool_directory *directory, const char *name,
		     const struct stat *st)
{
	warn(userdata, directory, name, st, spool_entry_why_alien(st),
	     S_ISREG(st->st_mode));
}

static void warn_of_long_name(struct spool_directory *directory, const char *name)
{
	int fd = spool_directory_fd(spool_directory_ref(directory));
	struct stat st;

	if (fd >= 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		on_alien(directory->spool, directory, name, &st);
	spool_directory_unref(directory);
}

void spool_warn(struct spool_directory *directory, const char *name,
		const struct stat *st)
{
	if (directory->spool)
		on_alien(directory->spool, directory, name, st);
}

void spool_warn_no_place(struct spool_directory *directory, const char *name,
			 const struct stat *st)
{
	if (directory->spool)
		warn(directory->spool, directory, name, st,
		     "a file whose sidecar has no place: a directory has its name", true);
}

int spool_directory_may_write(struct spool_directory *directory, int fd)
{
	struct spool *spool = directory->spool;
	int error = faccessat(fd, ".", W_OK, AT_EACCESS) < 0 ? -errno : 0;
	bool closed = error == -EACCES || error == -EROFS;

	if (closed && spool && !directory->closed)
		spool->ops->news(spool->userdata, spool, directory,
				 SPOOL_DIRECTORY_UNWRITABLE, error);
	directory->closed = closed;
	/* No event tells that a filesystem was mounted otherwise. */
	if (error == -EROFS && spool)
		spool_look_at(directory, next_poll(spool));
	return error;
}

/* ---- what the scans find ---- */

static bool on_found(void *userdata, struct spool_directory *directory, const char *name,
		     const struct stat *st)
{
	struct spool *spool = userdata;
	usec_t wait = usec_sub(spool->config->settle, intake_age(st));

	return spool->ops->candidate(spool->userdata, directory, name,
				     usec_add(clock_monotonic(), wait), st);
}

/* Only an event, or the next poll, can tell when that has changed. */
static bool is_lasting(int error)
{
	return error == -EACCES || error == -EPERM || error == -ENAMETOOLONG;
}

static void on_failed(void *userdata, struct spool_directory *directory, int error)
{
	struct spool *spool = userdata;

	if (!directory->failed)
		spool->ops->news(spool->userdata, spool, directory,
				 SPOOL_DIRECTORY_UNREADABLE, error);
	if (!is_lasting(error))
		spool_look_at(directory, next_poll(spool));
}

static void on_unwatched(void *userdata, int error)
{
	start_polling(userdata, error);
}

/* ---- the root ---- */

static void tell_away(struct spool *spool, int error)
{
	spool->error = error;
	spool->missed = true;
	if (!spool->told_away)
		spool->ops->news(spool->userdata, spool, NULL, SPOOL_AWAY, error);
	spool->told_away = true;
	arm_poll(spool);
}

static void on_lost(void *userdata, int error)
{
	struct spool *spool = userdata;

	spool->away = true;
	spool->error = error;
	spool->polling = false;
	spool->missed = true;
	spool->ops->news(spool->userdata, spool, NULL, SPOOL_LOST, error);
	/* Another may be in its place already: not from here, in the midst of the old. */
	if (spool->watch)
		arm(spool->poll_source, 0);
	else
		tell_away(spool, error);
}

/* Whether the kernel tells of all that happens here, or we were told to believe that. */
static bool can_watch(const struct spool *spool)
{
	switch (spool->config->watch) {
	case WATCH_AUTO: return !spool->remote;
	case WATCH_INOTIFY: return true;
	case WATCH_POLL: break;
	}
	return false;
}

/* The root is looked after by a timer only where no event would tell. */
static void watch_route(struct spool *spool)
{
	spool->routed = spool->watch &&
			watch_path(spool->watch, spool->config->path) == 0;
}

static void find_root(struct spool *spool)
{
	int fd;

	/* First, so that what changes from now on is told. */
	watch_route(spool);
	fd = spool_tree_open(&spool->tree);
	spool->away = fd < 0;
	if (fd < 0) {
		tell_away(spool, fd);
		return;
	}
	spool->remote = fs_is_remote(fd);
	if (!can_watch(spool))
		start_polling(spool, 0);
	else if (spool->watch)
		spool_tree_watch(&spool->tree, spool->watch);
	if (spool->missed)
		spool->ops->news(spool->userdata, spool, NULL, SPOOL_FOUND, 0);
	if (spool->told_away)
		spool->ops->news(spool->userdata, spool, NULL, SPOOL_BACK, 0);
	spool->missed = spool->told_away = false;
	if (!spool->routed)
		arm_poll(spool);
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct spool *spool = userdata;

	(void)source;
	(void)usec;
	if (spool->away) {
		find_root(spool);
		return 0;
	}
	if (spool->polling)
		spool_look_again(spool);
	else
		spool_tree_check_root(&spool->tree);
	if (spool->polling || !spool->routed)
		arm_poll(spool);
	return 0;
}

void spool_check(struct spool *spool)
{
	if (spool->away) {
		arm(spool->poll_source, 0);
		return;
	}
	watch_route(spool);
	spool_tree_check(&spool->tree);
}

/* ---- events ---- */

static void on_file(struct spool_directory *directory, const char *name)
{
	struct spool *spool = directory->spool;
	usec_t at = usec_add(clock_monotonic(), spool->config->settle);

	if (spool_entry_is_ignored(spool->config, name))
		return;
	if (strlen(name) > SIDECAR_BASE_MAX)
		warn_of_long_name(directory, name);
	else if (!spool->ops->candidate(spool->userdata, directory, name, at, NULL))
		spool_tree_overflow(&spool->tree, directory);
}

/* A receipt or an error that was taken away makes its file due, as does what was in the
 * place of one. */
static void on_vanished(struct spool_directory *directory, const char *name)
{
	char base[NAME_MAX + 1];
	size_t length;

	if (sidecar_kind_of(name, &length) == SIDECAR_NONE)
		return;
	memcpy(base, name, length);
	base[length] = '\0';
	on_file(directory, base);
}

void spool_event(void *owner, enum watch_event event, const char *name)
{
	struct spool_directory *directory = owner;
	struct spool *spool = directory->spool;

	if (!spool)
		return;
	switch (event) {
	case WATCH_FILE: on_file(directory, name); break;
	case WATCH_VANISHED: on_vanished(directory, name); break;
	case WATCH_DIRECTORY_VANISHED: on_vanished(directory, name); /* fall through */
	case WATCH_DIRECTORY: spool_tree_stirred(&spool->tree, directory, name); break;
	case WATCH_SELF_CHANGED: spool_tree_changed(&spool->tree, directory); break;
	case WATCH_SELF_VANISHED: spool_tree_vanished(&spool->tree, directory); break;
	}
}

/* ---- its life ---- */

static int add_sources(struct spool *spool, sd_event *event)
{
	static const struct spool_tree_ops ops = {
		.file = on_found,
		.alien = on_alien,
		.failed = on_failed,
		.unwatched = on_unwatched,
		.lost = on_lost,
	};
	int r;

	r = spool_tree_init(&spool->tree, event, spool, spool->config, &ops, spool);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &spool->poll_source, CLOCK_MONO, USEC_INFINITY,
			      USEC_PER_MSEC, on_poll, spool);
	if (r < 0)
		return r;
	return sd_event_add_time(event, &spool->look_source, CLOCK_MONO, USEC_INFINITY,
				 USEC_PER_MSEC, on_look, spool);
}

int spool_new(sd_event *event, struct watch *watch, const struct config_spool *config,
	      const struct spool_ops *ops, void *userdata, struct spool **ret)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	int r;

	if (!spool)
		return -ENOMEM;
	spool->watch = watch;
	spool->config = config;
	spool->ops = ops;
	spool->userdata = userdata;
	spool->look_at = USEC_INFINITY;
	r = add_sources(spool, event);
	if (r < 0) {
		spool_free(spool);
		return r;
	}
	*ret = spool;
	return 0;
}

void spool_open(struct spool *spool)
{
	find_root(spool);
}

void spool_set_config(struct spool *spool, const struct config_spool *config)
{
	spool->config = config;
	spool->tree.config = config;
}

void spool_free(struct spool *spool)
{
	if (!spool)
		return;
	spool_tree_done(&spool->tree);
	sd_event_source_disable_unref(spool->poll_source);
	sd_event_source_disable_unref(spool->look_source);
	free(spool);
}
