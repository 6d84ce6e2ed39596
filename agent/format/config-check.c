#include <stdarg.h>

#include "config-check.h"
#include "config-url.h"
#include "fs.h"
#include "place.h"
#include "text.h"

void config_fault(struct config_reading *reading, const char *file, unsigned line,
		  const char *format, ...)
{
	_cleanup_free_ char *message = NULL, *whole = NULL, *escaped = NULL;
	va_list args;
	int r;

	va_start(args, format);
	r = vasprintf(&message, format, args);
	va_end(args);
	if (r < 0)
		message = NULL;
	if (r >= 0)
		r = line > 0 ? asprintf(&whole, "%s:%u: %s", file, line, message)
			     : asprintf(&whole, "%s: %s", file, message);
	if (r < 0)
		whole = NULL;
	else
		escaped = text_escape(whole, (size_t)r);
	reading->faults++;
	if (!escaped) {
		reading->error = -ENOMEM;
		return;
	}
	reading->fault(reading->userdata, escaped);
}

static bool is_set(const struct config_source *source)
{
	return source->file != NULL;
}

static const struct config_source *source(const struct config_reading *reading,
					  enum config_key key)
{
	return config_key_source(reading->config, NULL, key);
}

/* A key that is missing is the fault of its section, or of the file without that. */
static void missing(struct config_reading *reading, enum config_section section,
		    const char *what)
{
	const struct config_source *begin = &reading->sections[section];

	config_fault(reading, is_set(begin) ? begin->file : reading->file, begin->line,
		     "[%s] %s= is missing", config_section_name(section), what);
}

static void check_required(struct config_reading *reading)
{
	for (enum config_key key = 0; key < KEY_PATH; key++)
		if (config_keys[key].required && !is_set(source(reading, key)))
			missing(reading, config_keys[key].section, config_keys[key].name);
}

static void check_auth(struct config_reading *reading)
{
	static const enum config_key grant[] = { KEY_TOKEN_URL, KEY_CLIENT_ID,
						 KEY_CLIENT_SECRET_FILE, KEY_SCOPE };
	bool url = is_set(source(reading, KEY_TOKEN_URL));
	bool id = is_set(source(reading, KEY_CLIENT_ID));

	if (!is_set(source(reading, KEY_TOKEN_FILE))) {
		if (!url && !id)
			missing(reading, SECTION_AUTH,
				"TokenURL= and ClientID=, or TokenFile");
		else if (!url)
			missing(reading, SECTION_AUTH, "TokenURL");
		else if (!id)
			missing(reading, SECTION_AUTH, "ClientID");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(grant); i++) {
		const struct config_source *other = source(reading, grant[i]);

		if (is_set(other))
			config_fault(reading, other->file, other->line,
				     "%s= and TokenFile= exclude each other",
				     config_keys[grant[i]].name);
	}
}

static void check_certificate(struct config_reading *reading)
{
	const struct config_source *key = source(reading, KEY_CLIENT_KEY);

	if (is_set(key) && !is_set(source(reading, KEY_CLIENT_CERTIFICATE)))
		config_fault(reading, key->file, key->line,
			     "ClientKey= needs ClientCertificate=");
}

/* The API's own pages name the whole path, so that is what many write. */
static void check_path(struct config_reading *reading)
{
	const struct config_source *at = source(reading, KEY_BASE_URL);
	const char *url = reading->config->api.base_url;

	if (url && endswith(url, "/assets"))
		config_fault(reading, at->file, at->line,
			     "BaseURL= must end before /assets, which is appended");
}

static void check_insecure(struct config_reading *reading)
{
	static const enum config_key keys[] = { KEY_BASE_URL, KEY_TOKEN_URL };

	if (reading->config->api.allow_insecure ||
	    source(reading, KEY_ALLOW_INSECURE)->refused)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct config_source *at = source(reading, keys[i]);
		char **url = config_key_field(reading->config, NULL, keys[i]);
		int r = *url ? config_url_is_exposed(*url) : 0;

		if (r < 0)
			reading->error = r;
		if (r > 0)
			config_fault(reading, at->file, at->line,
				     "%s= is plain http to another machine, which needs "
				     "AllowInsecure=yes",
				     config_keys[keys[i]].name);
	}
}

static void check_delays(struct config_reading *reading)
{
	const struct config_source *initial = source(reading, KEY_INITIAL_DELAY);
	const struct config_source *max = source(reading, KEY_MAX_DELAY);
	const struct config_source *at = is_set(max) ? max : initial;

	if (initial->refused || max->refused ||
	    reading->config->retry.initial_delay <= reading->config->retry.max_delay)
		return;
	config_fault(reading, at->file, at->line,
		     "InitialDelay= must not be longer than MaxDelay=");
}

static bool is_inside(const char *path, const char *directory)
{
	return startswith(path, directory) && path[strlen(directory)] == '/';
}

/* Whether a file in the directory @path is one of @spool's. */
static bool watches(const struct config_spool *spool, const char *path)
{
	return spool->path && (streq(path, spool->path) ||
			       (spool->recursive && is_inside(path, spool->path)));
}

static void missing_in_spool(struct config_reading *reading,
			     const struct config_spool *spool, const char *what)
{
	if (spool->name)
		config_fault(reading, spool->origin, 0, "[Spool:%s] %s= is missing",
			     spool->name, what);
	else
		config_fault(reading, spool->origin, 0, "[Spool] %s= is missing", what);
}

static void check_spool_keys(struct config_reading *reading,
			     const struct config_spool *spool)
{
	const struct config_source *sources = spool->sources;
	const struct config_source *done = &sources[KEY_DONE_DIRECTORY - KEY_PATH];

	for (enum config_key key = KEY_PATH; key < CONFIG_KEYS; key++)
		if (config_keys[key].required && !is_set(&sources[key - KEY_PATH]))
			missing_in_spool(reading, spool, config_keys[key].name);
	if (sources[KEY_AFTER_UPLOAD - KEY_PATH].refused)
		return;
	if (spool->after_upload == AFTER_MOVE && !is_set(done))
		missing_in_spool(reading, spool, "AfterUpload=move, but DoneDirectory");
	if (spool->after_upload != AFTER_MOVE && is_set(done))
		config_fault(reading, done->file, done->line,
			     "DoneDirectory= needs AfterUpload=move");
}

static void check_two_spools(struct config_reading *reading,
			     const struct config_spool *spool,
			     const struct config_spool *other)
{
	const struct config_source *at = config_key_source(reading->config, spool,
							   KEY_PATH);

	/* Of two that are the same, the later one is to blame. */
	if (!spool->path || !watches(other, spool->path) ||
	    (streq(spool->path, other->path) && spool < other))
		return;
	if (streq(spool->path, other->path))
		config_fault(reading, at->file, at->line,
			     "Path= is that of the spool at %s", other->origin);
	else
		config_fault(reading, at->file, at->line,
			     "Path= lies in the Recursive spool at %s", other->origin);
}

static void check_done(struct config_reading *reading, const struct config_spool *spool,
		       const struct config_spool *other)
{
	const struct config_source *at = config_key_source(reading->config, spool,
							   KEY_DONE_DIRECTORY);

	if (!spool->done_directory || !other->path)
		return;
	if (streq(spool->done_directory, other->path))
		config_fault(reading, at->file, at->line,
			     "DoneDirectory= is the Path= of the spool at %s",
			     other->origin);
	else if (spool != other && watches(other, spool->done_directory))
		config_fault(reading, at->file, at->line,
			     "DoneDirectory= lies in the Recursive spool at %s",
			     other->origin);
	else if (spool == other && fs_can_rename(spool->path, spool->done_directory) == 0)
		config_fault(reading, at->file, at->line,
			     "DoneDirectory= is on another filesystem than Path=%s, or "
			     "mounted apart from it: no file can be moved there",
			     spool->path);
}

/* What the agent itself writes over and over must not be taken for somebody's file. */
static void check_own_files(struct config_reading *reading,
			    const struct config_spool *spool)
{
	static const struct {
		enum config_key key;
		bool is_file;
	} own[] = {
		{ KEY_DIRECTORY, false },
		{ KEY_STATUS_FILE, true },
		{ KEY_METRICS_FILE, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		const struct config_source *at = source(reading, own[i].key);
		char **path = config_key_field(reading->config, NULL, own[i].key);
		_cleanup_free_ char *directory = NULL;

		if (!*path)
			continue;
		directory = strdup(*path);
		if (!directory) {
			reading->error = -ENOMEM;
			return;
		}
		if (own[i].is_file)
			*strrchr(directory, '/') = '\0';
		if (watches(spool, directory))
			config_fault(reading, at->line ? at->file : spool->origin,
				     at->line, "%s= lies in the spool at %s",
				     config_keys[own[i].key].name, spool->origin);
	}
}

/* Whether the two need no look at the disk to be told apart or not. */
static bool is_told_by_name(const struct config_spool *a, const struct config_spool *b)
{
	return !a->path || !b->path || watches(a, b->path) || watches(b, a->path);
}

static void check_two_places(struct config_reading *reading, size_t later, size_t sooner,
			     const struct place *places)
{
	const struct config_spool *spools = reading->config->spools;
	const struct config_source *at = config_key_source(reading->config,
							   &spools[later], KEY_PATH);
	const struct place *one = &places[later], *other = &places[sooner];

	if (is_told_by_name(&spools[later], &spools[sooner]))
		return;
	if (place_is_same(one, other))
		config_fault(reading, at->file, at->line,
			     "Path= leads to the same directory as that of the spool at "
			     "%s",
			     spools[sooner].origin);
	else if (spools[sooner].recursive && place_is_inside(one, other))
		config_fault(reading, at->file, at->line,
			     "Path= leads into the Recursive spool at %s",
			     spools[sooner].origin);
	else if (spools[later].recursive && place_is_inside(other, one))
		config_fault(reading, at->file, at->line,
			     "Path= leads to a directory around the spool at %s, and "
			     "Recursive=yes",
			     spools[sooner].origin);
}

/* Links and bind mounts may lead two paths to one place. What is not there yet, or may
 * not be looked at, is taken for another. */
static void check_places(struct config_reading *reading)
{
	const struct config *config = reading->config;
	struct place *places = calloc(config->spool_count + 1, sizeof(*places));

	if (!places) {
		reading->error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < config->spool_count; i++) {
		if (config->spools[i].path)
			(void)place_find(config->spools[i].path, &places[i]);
		for (size_t j = 0; j < i; j++)
			check_two_places(reading, i, j, places);
	}
	for (size_t i = 0; i < config->spool_count; i++)
		place_done(&places[i]);
	free(places);
}

static void check_spools(struct config_reading *reading)
{
	const struct config *config = reading->config;

	if (config->spool_count == 0)
		config_fault(reading, reading->file, 0, "a [Spool] section is missing");
	for (size_t i = 0; i < config->spool_count; i++) {
		check_spool_keys(reading, &config->spools[i]);
		check_own_files(reading, &config->spools[i]);
		for (size_t j = 0; j < config->spool_count; j++) {
			if (i != j)
				check_two_spools(reading, &config->spools[i],
						 &config->spools[j]);
			check_done(reading, &config->spools[i], &config->spools[j]);
		}
	}
}

void config_check(struct config_reading *reading)
{
	check_required(reading);
	check_auth(reading);
	check_certificate(reading);
	check_path(reading);
	check_insecure(reading);
	check_delays(reading);
	check_spools(reading);
	check_places(reading);
}
