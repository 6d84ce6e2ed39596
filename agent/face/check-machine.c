#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/timex.h>

#include "check-parts.h"
#include "config-url.h"
#include "fs.h"
#include "log.h"
#include "parse.h"
#include "snapshot.h"

#define WATCHES	       "/proc/sys/fs/inotify/max_user_watches"
#define INSTANCES      "/proc/sys/fs/inotify/max_user_instances"
#define LOOKS_MAX      1000000 /* entries of recursive spools that are looked at */
#define DESCRIPTORS    64      /* that the agent needs for itself */
#define EACH_AT_ONCE   4       /* file, directory, two connections */
#define WATCHES_SPARED 1000    /* left to the user's other programs */

/* ---- inotify ---- */

struct census {
	uint64_t directories, looks;
};

static void count_directories(const char *path, struct census *census)
{
	char *roots[] = { (char *)path, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);
	FTSENT *entry;

	while (tree && census->looks < LOOKS_MAX && (entry = fts_read(tree))) {
		census->looks++;
		census->directories += entry->fts_info == FTS_D ||
				       entry->fts_info == FTS_DNR;
	}
	if (tree)
		(void)fts_close(tree);
}

static struct census take_census(const struct config *config)
{
	struct census census = {};

	for (size_t i = 0; i < config->spool_count; i++) {
		const struct config_spool *spool = &config->spools[i];

		if (spool->watch == WATCH_POLL)
			continue;
		if (spool->recursive)
			count_directories(spool->path, &census);
		else
			census.directories++;
	}
	return census;
}

static int read_limit(const char *path, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = fs_read_file(AT_FDCWD, path, 64, &text, NULL);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	return parse_unsigned(text, ret);
}

static void check_watches(struct check *c)
{
	struct census census = take_census(c->config);
	const char *least = census.looks >= LOOKS_MAX ? "at least " : "";
	uint64_t limit;

	if (read_limit(WATCHES, &limit) < 0)
		return;
	if (census.directories + WATCHES_SPARED > limit)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "Directories to watch: %s%" PRIu64
			    ", and the kernel allows %" PRIu64
			    " a user; those beyond are polled. Raise "
			    "fs.inotify.max_user_watches to %" PRIu64 " (sysctl).",
			    least, census.directories, limit,
			    2 * (census.directories + WATCHES_SPARED));
	else
		screen_mark(&c->screen, SCREEN_OK,
			    "Directories to watch: %s%" PRIu64 " of the %" PRIu64
			    " that the kernel allows a user.",
			    least, census.directories, limit);
}

static void check_instances(struct check *c)
{
	uint64_t limit = 0;
	int r = check_user_ask(&c->user, check_can_watch, NULL);

	(void)read_limit(INSTANCES, &limit);
	if (r == -EMFILE)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "All %" PRIu64
			    " inotify instances of %s are in use: spools would be "
			    "polled. Raise fs.inotify.max_user_instances (sysctl).",
			    limit, c->user.name);
	else if (r < 0)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "%s can't use inotify: %s. Spools would be polled.",
			    c->user.name, log_errno(r));
}

/* ---- the agent ---- */

/* Of the running agent where that may be seen, else our own. */
static int find_descriptor_limit(pid_t agent, rlim_t *ret)
{
	struct rlimit limit;

	if (agent > 0 && prlimit(agent, RLIMIT_NOFILE, NULL, &limit) == 0) {
		*ret = limit.rlim_max;
		return 0;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	*ret = limit.rlim_max;
	return 0;
}

static void check_descriptors(struct check *c, pid_t agent)
{
	uint64_t most = c->config->upload.max_concurrent;
	uint64_t need = EACH_AT_ONCE * most + DESCRIPTORS;
	rlim_t limit = 0;

	if (find_descriptor_limit(agent, &limit) < 0)
		return;
	if (limit < need)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "MaxConcurrent=%" PRIu64 " may need %" PRIu64
			    " open files, and %s may have %" PRIu64
			    ". Raise LimitNOFILE= of the unit, or lower MaxConcurrent=.",
			    most, need,
			    agent > 0 ? "the agent" : "a program started here",
			    (uint64_t)limit);
	else
		screen_mark(&c->screen, SCREEN_OK,
			    "MaxConcurrent=%" PRIu64 " may need %" PRIu64
			    " open files, and the limit is %" PRIu64 ".",
			    most, need, (uint64_t)limit);
}

static void check_agent(struct check *c, pid_t agent)
{
	if (agent > 0)
		screen_mark(&c->screen, SCREEN_INFO,
			    "asset-agent is running with this state directory, as "
			    "process %d.",
			    (int)agent);
	else if (agent == 0)
		screen_mark(&c->screen, SCREEN_INFO,
			    "asset-agent is not running with this state directory.");
	else
		screen_mark(&c->screen, SCREEN_INFO,
			    "Whether asset-agent is running can't be seen: %s.",
			    log_errno(agent));
}

/* It knows what a look from outside may miss: what it is refused, and with what. */
static void check_live(struct check *c, const struct snapshot *live)
{
	struct stat secret;
	char since[CLOCK_STRING_MAX];

	for (size_t i = 0; i < live->service_count; i++) {
		const struct snapshot_service *s = &live->services[i];

		if (s->health == SNAPSHOT_AWAY)
			screen_mark(&c->screen, SCREEN_WARNING,
				    "asset-agent itself has trouble with %s (%s) since "
				    "%s: %s.",
				    s->name, s->target ? s->target : "?",
				    screen_instant(since, s->since),
				    s->why ? s->why : "no reason is known");
	}
	if (!c->config->auth.token_file && !c->config->auth.client_secret_file &&
	    stat(CREDENTIAL, &secret) == 0 &&
	    usec_from_timespec(secret.st_mtim) > live->started)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "The credential " CREDENTIAL
			    " is newer than the running service, which got the old one "
			    "at its start. To use it: systemctl restart asset-agent");
}

static void check_status_file(struct check *c, pid_t agent)
{
	_cleanup_free_ char *text = NULL;
	struct snapshot live = {};
	size_t length;

	if (agent <= 0 ||
	    fs_read_file(AT_FDCWD, c->config->report.status_file, SNAPSHOT_SIZE_MAX,
			 &text, &length) < 0 ||
	    snapshot_parse(text, length, &live, NULL) < 0)
		return;
	/* Not what one that was killed has left. */
	if (live.pid == (uint64_t)agent)
		check_live(c, &live);
	snapshot_done(&live);
}

/* ---- plain http, and the clock ---- */

static void check_insecure(struct check *c)
{
	const struct config *config = c->config;
	const char *urls[] = { config->api.base_url, config->auth.token_url };
	bool exposed = false;

	if (!config->api.allow_insecure)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		if (!urls[i] || config_url_is_exposed(urls[i]) <= 0)
			continue;
		exposed = true;
		screen_mark(&c->screen, SCREEN_WARNING,
			    "AllowInsecure=yes: what goes to %s, secrets too, can be "
			    "read on its way. Use https.",
			    urls[i]);
	}
	if (!exposed)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "AllowInsecure=yes is needed for neither BaseURL= nor "
			    "TokenURL=. Unless content URLs need it, take it out.");
}

static void check_clock(struct check *c)
{
	struct timex state = {};

	if (adjtimex(&state) < 0) {
		screen_mark(&c->screen, SCREEN_INFO,
			    "Whether the clock is synchronized can't be told: %s.",
			    log_errno(-errno));
		return;
	}
	if (state.status & STA_UNSYNC)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "The clock is not synchronized; certificates and expiries "
			    "are judged by it. See timedatectl.");
	else
		screen_mark(&c->screen, SCREEN_OK, "The clock is synchronized.");
}

void check_machine(struct check *c)
{
	check_watches(c);
	check_instances(c);
	check_descriptors(c, c->agent);
	check_insecure(c);
	check_clock(c);
	check_agent(c, c->agent);
	check_status_file(c, c->agent);
}
