#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>

#include "config-set.h"
#include "config.h"
#include "fs.h"
#include "ini.h"

#define DROP_IN_SUFFIX ".d"
#define SPOOL_NAME_MAX 64 /* bytes */
#define NO_SECTION     (-1)

struct loader {
	struct config_reading reading;
	const char *file; /* the one that is read now; of config->files */
	int section;	  /* NO_SECTION: its line was a fault, its keys are passed over */
	size_t spool;	  /* index of the one whose section this is */
};

static struct config_spool *current_spool(struct loader *l)
{
	return l->section == SECTION_SPOOL ? &l->reading.config->spools[l->spool] : NULL;
}

static int add_spool(struct loader *l, unsigned line, const char *name)
{
	struct config *config = l->reading.config;
	struct config_spool *spools, *spool;

	spools = reallocarray(config->spools, config->spool_count + 1, sizeof(*spools));
	if (!spools)
		return -ENOMEM;
	config->spools = spools;
	spool = &spools[config->spool_count];
	*spool = (struct config_spool){};
	/* From here on config_free() takes care of it. */
	l->spool = config->spool_count++;
	spool->sources = calloc(CONFIG_SPOOL_KEYS, sizeof(*spool->sources));
	if (!spool->sources || replace_string(&spool->name, name) < 0)
		return -ENOMEM;
	if (asprintf(&spool->origin, "%s:%u", l->file, line) < 0) {
		spool->origin = NULL;
		return -ENOMEM;
	}
	return config_reset_all(&l->reading, spool, KEY_PATH, CONFIG_KEYS);
}

/* A slash would let a name be mistaken for the path that stands for a missing one. */
static bool is_spool_name(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > SPOOL_NAME_MAX)
		return false;
	for (; *name; name++)
		if (*name == '/' || iscntrl((unsigned char)*name))
			return false;
	return true;
}

/* The section [Spool] (@name is NULL) or [Spool:NAME]. */
static int begin_spool(struct loader *l, unsigned line, const char *name)
{
	struct config *config = l->reading.config;

	if (name && !is_spool_name(name)) {
		config_fault(&l->reading, l->file, line,
			     "the name of a spool must be 1 to %d bytes without a slash",
			     SPOOL_NAME_MAX);
		l->section = NO_SECTION;
		return 0;
	}
	for (l->spool = 0; name && l->spool < config->spool_count; l->spool++)
		if (streq(config->spools[l->spool].name, name))
			return 0;
	if (config->spool_count < CONFIG_SPOOLS_MAX)
		return add_spool(l, line, name);
	config_fault(&l->reading, l->file, line, "there are more than %d spools",
		     CONFIG_SPOOLS_MAX);
	l->section = NO_SECTION;
	return 0;
}

static void unknown_section(struct loader *l, unsigned line, const char *text)
{
	int guess = config_section_guess(text);

	if (guess >= 0)
		config_fault(&l->reading, l->file, line,
			     "unknown section [%s]; is [%s%s] meant?", text,
			     config_section_name((enum config_section)guess),
			     guess == SECTION_SPOOL ? ":NAME" : "");
	else
		config_fault(&l->reading, l->file, line, "unknown section [%s]", text);
}

static int on_section(void *userdata, unsigned line, const char *text)
{
	struct loader *l = userdata;
	const char *name;
	struct config_source *begin;

	l->section = config_section_find(text, &name);
	if (l->section < 0) {
		l->section = NO_SECTION;
		unknown_section(l, line, text);
		return 0;
	}
	begin = &l->reading.sections[l->section];
	if (!begin->file)
		*begin = (struct config_source){ .file = l->file, .line = line };
	return l->section == SECTION_SPOOL ? begin_spool(l, line, name) : 0;
}

static void unknown_key(struct loader *l, unsigned line, const char *section,
			const char *name)
{
	int guess = config_key_guess((enum config_section)l->section, name);

	if (guess >= 0)
		config_fault(&l->reading, l->file, line,
			     "unknown key %s= in [%s]; is %s= of [%s] meant?", name,
			     section, config_keys[guess].name,
			     config_section_name(config_keys[guess].section));
	else
		config_fault(&l->reading, l->file, line, "unknown key %s= in [%s]", name,
			     section);
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if (*text != '\t' && iscntrl((unsigned char)*text))
			return true;
	return false;
}

static int on_entry(void *userdata, unsigned line, const char *section, const char *name,
		    const char *value)
{
	struct loader *l = userdata;
	struct config_spool *spool;
	int key;

	if (!*section) {
		config_fault(&l->reading, l->file, line,
			     "%s= stands before any [Section]", name);
		return 0;
	}
	if (l->section == NO_SECTION)
		return 0;
	key = config_key_find((enum config_section)l->section, name);
	if (key < 0) {
		unknown_key(l, line, section, name);
		return 0;
	}
	spool = current_spool(l);
	if (!*value)
		return config_reset(&l->reading, spool, (enum config_key)key);
	if (!has_control(value))
		return config_set(&l->reading, spool, (enum config_key)key, l->file, line,
				  value);
	config_fault(&l->reading, l->file, line, "%s= holds a control character", name);
	return 0;
}

static int on_fault(void *userdata, unsigned line, const char *message)
{
	struct loader *l = userdata;

	config_fault(&l->reading, l->file, line, "%s", message);
	return 0;
}

static void unreadable(struct loader *l, const char *file, int error)
{
	const char *why = error == -EINVAL  ? "it is not a regular file"
			  : error == -EFBIG ? "it is too large"
					    : strerrordesc_np(-error);

	config_fault(&l->reading, file, 0, "can't be read: %s", why);
}

/* 0, also where it can't be read, which is a fault; or -ENOMEM. */
static int read_one(struct loader *l, const char *file)
{
	static const struct ini_handler handler = {
		.section = on_section,
		.entry = on_entry,
		.fault = on_fault,
	};
	struct strv *files = &l->reading.config->files;
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r;

	r = fs_read_file(AT_FDCWD, file, CONFIG_SIZE_MAX, &text, &length);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		unreadable(l, file, r);
		return 0;
	}
	r = strv_push(files, file);
	if (r < 0)
		return r;
	l->file = files->items[files->count - 1];
	l->section = NO_SECTION;
	return ini_parse(text, length, &handler, l);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

DEFINE_CLEANUP(DIR *, closedirp, closedir)

/* The paths of what may be drop-ins. 0 or a negative errno; no directory is none. */
static int list_drop_ins(const char *directory, struct strv *ret)
{
	_cleanup_(closedirp) DIR *dir = opendir(directory);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((errno = 0, entry = readdir(dir))) {
		_cleanup_free_ char *path = NULL;
		int r;

		if (entry->d_name[0] == '.' || !endswith(entry->d_name, ".conf"))
			continue;
		if (asprintf(&path, "%s/%s", directory, entry->d_name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = strv_push(ret, path);
		if (r < 0)
			return r;
	}
	return -errno;
}

static int read_drop_ins(struct loader *l)
{
	_cleanup_(strv_done) struct strv paths = {};
	_cleanup_free_ char *directory = NULL;
	int r;

	if (asprintf(&directory, "%s" DROP_IN_SUFFIX, l->reading.file) < 0) {
		directory = NULL;
		return -ENOMEM;
	}
	r = list_drop_ins(directory, &paths);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		unreadable(l, directory, r);
	/* All are in one directory, so their paths sort as their names do. */
	if (paths.count > 0)
		qsort(paths.items, paths.count, sizeof(*paths.items), compare_strings);
	for (size_t i = 0; i < paths.count; i++) {
		r = read_one(l, paths.items[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_defaults(struct loader *l)
{
	struct config *config = l->reading.config;

	config->sources = calloc(KEY_PATH, sizeof(*config->sources));
	if (!config->sources)
		return -ENOMEM;
	return config_reset_all(&l->reading, NULL, 0, KEY_PATH);
}

static int name_spools(struct config *config)
{
	for (size_t i = 0; i < config->spool_count; i++) {
		struct config_spool *spool = &config->spools[i];

		if (!spool->name && replace_string(&spool->name, spool->path) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* 1; 0: without its main file, and that is a fault; or -ENOMEM. */
static int read_all(struct loader *l)
{
	int r;

	r = set_defaults(l);
	if (r < 0)
		return r;
	r = read_one(l, l->reading.file);
	if (r < 0 || l->reading.config->files.count == 0)
		return r;
	r = read_drop_ins(l);
	return r < 0 ? r : 1;
}

static int load(struct loader *l)
{
	int r = read_all(l);

	/* Without its main file, all else would be called missing. */
	if (r <= 0)
		return r;
	config_check(&l->reading);
	return name_spools(l->reading.config);
}

DEFINE_CLEANUP(struct config *, config_freep, config_free)

int config_load_faulty(const char *file, config_fault_fn fault, void *userdata,
		       struct config **ret)
{
	_cleanup_(config_freep) struct config *config = calloc(1, sizeof(*config));
	struct loader l = {
		.reading = {
			.config = config,
			.file = file ? file : CONFIG_FILE,
			.fault = fault,
			.userdata = userdata,
		},
		.section = NO_SECTION,
	};
	int r;

	if (!config)
		return -ENOMEM;
	r = load(&l);
	if (r < 0)
		return r;
	if (l.reading.error < 0)
		return l.reading.error;
	*ret = take_ptr(config);
	return l.reading.faults > 0 ? -EINVAL : 0;
}

int config_load(const char *file, config_fault_fn fault, void *userdata,
		struct config **ret)
{
	_cleanup_(config_freep) struct config *config = NULL;
	int r = config_load_faulty(file, fault, userdata, &config);

	if (r == 0)
		*ret = take_ptr(config);
	return r;
}

static bool any_is_set(const struct config *config, const struct config_spool *spool,
		       enum config_key first, enum config_key end)
{
	for (enum config_key key = first; key < end; key++)
		if (config_key_source(config, spool, key)->line > 0)
			return true;
	return false;
}

static void ignore_fault(void *userdata, const char *line)
{
	(void)userdata;
	(void)line;
}

int config_is_blank(const char *file)
{
	_cleanup_(config_freep) struct config *config = calloc(1, sizeof(*config));
	struct loader l = {
		.reading = {
			.config = config,
			.file = file ? file : CONFIG_FILE,
			.fault = ignore_fault,
		},
		.section = NO_SECTION,
	};
	int r;

	if (!config)
		return -ENOMEM;
	r = read_all(&l);
	if (r < 0)
		return r;
	if (l.reading.faults > 0 || any_is_set(config, NULL, 0, KEY_PATH))
		return 0;
	for (size_t i = 0; i < config->spool_count; i++)
		if (any_is_set(config, &config->spools[i], KEY_PATH + 1, CONFIG_KEYS))
			return 0;
	return 1;
}

static void spool_done(struct config *config, struct config_spool *spool)
{
	if (spool->sources)
		config_clear_all(config, spool, KEY_PATH, CONFIG_KEYS);
	free(spool->sources);
	free(spool->name);
	free(spool->origin);
}

struct config *config_ref(const struct config *config)
{
	struct config *counted = (struct config *)config;

	counted->references++;
	return counted;
}

void config_free(struct config *config)
{
	if (!config || config->references-- > 0)
		return;
	for (size_t i = 0; i < config->spool_count; i++)
		spool_done(config, &config->spools[i]);
	free(config->spools);
	if (config->sources)
		config_clear_all(config, NULL, 0, KEY_PATH);
	free(config->sources);
	strv_done(&config->files);
	free(config);
}

/* As between the brackets; a bare spool is told by its path, which is its name. */
static char *section_words(enum config_key key, const struct config_spool *spool)
{
	char *words = NULL;
	int r;

	if (key < KEY_PATH)
		return strdup(config_section_name(config_keys[key].section));
	r = asprintf(&words, "Spool%c%s", *spool->name == '/' ? ' ' : ':', spool->name);
	return r < 0 ? NULL : words;
}

static char *origin_words(const struct config_source *source)
{
	char *words = NULL;

	if (!source->file || source->line == 0)
		return strdup(source->file ? source->file : "default");
	return asprintf(&words, "%s:%u", source->file, source->line) < 0 ? NULL : words;
}

static int show_keys(const struct config *config, const struct config_spool *spool,
		     enum config_key first, enum config_key end, config_show_fn show,
		     void *userdata)
{
	for (enum config_key key = first; key < end; key++) {
		const struct config_source *source = config_key_source(config, spool,
								       key);
		_cleanup_free_ char *section = section_words(key, spool);
		_cleanup_free_ char *origin = origin_words(source);

		if (!section || !origin)
			return -ENOMEM;
		show(userdata, section, config_keys[key].name,
		     source->text ? source->text : "", origin);
	}
	return 0;
}

int config_show(const struct config *config, config_show_fn show, void *userdata)
{
	int r = show_keys(config, NULL, 0, KEY_PATH, show, userdata);

	for (size_t i = 0; r == 0 && i < config->spool_count; i++)
		r = show_keys(config, &config->spools[i], KEY_PATH, CONFIG_KEYS, show,
			      userdata);
	return r;
}
