#include <stdarg.h>

#include "config-diff.h"
#include "config-key.h"
#include "macro.h"

#define PHRASES_MAX 24 /* the rest is counted */

#define AUTH	CONFIG_SERVICE_AUTH
#define API	CONFIG_SERVICE_API
#define STORAGE CONFIG_SERVICE_STORAGE
#define ALL	(AUTH | API | STORAGE)

/* Whose answers may be others than they were when the key changes. */
static const unsigned services[KEY_PATH] = {
	[KEY_BASE_URL] = API,
	[KEY_ACCEPT_LANGUAGE] = API,
	[KEY_TIMEOUT] = AUTH | API,
	[KEY_CONNECT_TIMEOUT] = ALL,
	[KEY_CA_FILE] = ALL,
	[KEY_CLIENT_CERTIFICATE] = ALL,
	[KEY_CLIENT_KEY] = ALL,
	[KEY_PROXY] = ALL,
	[KEY_ALLOW_INSECURE] = API | STORAGE,
	[KEY_TOKEN_URL] = AUTH | API,
	[KEY_CLIENT_ID] = AUTH | API,
	[KEY_CLIENT_SECRET_FILE] = AUTH | API,
	[KEY_SCOPE] = AUTH | API,
	[KEY_TOKEN_FILE] = AUTH | API,
	[KEY_METHOD] = STORAGE,
	[KEY_HEADER] = STORAGE,
	[KEY_STALL_TIMEOUT] = STORAGE,
	[KEY_ALLOWED_HOSTS] = API | STORAGE, /* what the API grants is refused by it */
};

/* ---- words ---- */

struct phrases {
	char *words;
	size_t count;
	int error;
};

static void say(struct phrases *p, const char *format, ...) _printf_(2, 3);
static void say(struct phrases *p, const char *format, ...)
{
	_cleanup_free_ char *phrase = NULL;
	char *joined;
	va_list args;
	int r;

	if (p->error < 0 || p->count++ >= PHRASES_MAX)
		return;
	va_start(args, format);
	r = vasprintf(&phrase, format, args);
	va_end(args);
	if (r < 0) {
		phrase = NULL;
		p->error = -ENOMEM;
		return;
	}
	if (asprintf(&joined, "%s%s%s", p->words ? p->words : "", p->words ? "; " : "",
		     phrase) < 0) {
		p->error = -ENOMEM;
		return;
	}
	free(p->words);
	p->words = joined;
}

/* The same, as the last one. */
static void say_rest(struct phrases *p)
{
	size_t rest = p->count - MIN(p->count, (size_t)PHRASES_MAX);

	if (rest == 0)
		return;
	p->count = 0;
	say(p, "and %zu more", rest);
}

/* ---- keys ---- */

static bool is_same(const struct config *from, const struct config_spool *from_spool,
		    const struct config *to, const struct config_spool *to_spool,
		    enum config_key key)
{
	return config_value_is_same(
		config_keys[key].kind,
		config_key_field((struct config *)from, (struct config_spool *)from_spool,
				 key),
		config_key_field((struct config *)to, (struct config_spool *)to_spool,
				 key));
}

static bool is_same_in_spools(const struct config_spool *a, const struct config_spool *b,
			      enum config_key key)
{
	return is_same(NULL, a, NULL, b, key);
}

static int add_name(char **names, const char *name)
{
	char *joined;

	if (asprintf(&joined, "%s%s%s", *names ? *names : "", *names ? ", " : "", name) <
	    0)
		return -ENOMEM;
	free(*names);
	*names = joined;
	return 0;
}

static void compare_section(const struct config *from, const struct config *to,
			    enum config_section section, struct config_diff *diff,
			    struct phrases *p)
{
	_cleanup_free_ char *names = NULL;

	for (enum config_key key = 0; key < KEY_PATH; key++) {
		if (config_keys[key].section != section ||
		    is_same(from, NULL, to, NULL, key))
			continue;
		diff->services |= services[key];
		if (add_name(&names, config_keys[key].name) < 0)
			p->error = -ENOMEM;
	}
	if (names)
		say(p, "[%s] %s changed", config_section_name(section), names);
}

/* ---- spools ---- */

bool config_spool_is_same(const struct config_spool *a, const struct config_spool *b)
{
	if (!streq(a->name, b->name))
		return false;
	for (enum config_key key = KEY_PATH; key < CONFIG_KEYS; key++)
		if (!is_same_in_spools(a, b, key))
			return false;
	return true;
}

static const struct config_spool *find_path(const struct config *config, const char *path)
{
	for (size_t i = 0; i < config->spool_count; i++)
		if (streq(config->spools[i].path, path))
			return &config->spools[i];
	return NULL;
}

static const struct config_spool *find_name(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->spool_count; i++)
		if (streq(config->spools[i].name, name))
			return &config->spools[i];
	return NULL;
}

/* What @spool of @mine is in @theirs: the one of its path, else the one of its name whose
 * own path is not in @mine; or NULL. The same both ways. */
static const struct config_spool *counterpart(const struct config *mine,
					      const struct config_spool *spool,
					      const struct config *theirs)
{
	const struct config_spool *other = find_path(theirs, spool->path);

	if (other)
		return other;
	other = find_name(theirs, spool->name);
	return other && !find_path(mine, other->path) ? other : NULL;
}

static void compare_spool(const struct config_spool *from, const struct config_spool *to,
			  struct phrases *p)
{
	_cleanup_free_ char *names = NULL;

	if (!streq(from->name, to->name))
		say(p, "spool %s renamed to %s", from->name, to->name);
	for (enum config_key key = KEY_PATH; key < CONFIG_KEYS; key++)
		if (!is_same_in_spools(from, to, key) &&
		    add_name(&names, config_keys[key].name) < 0)
			p->error = -ENOMEM;
	if (names)
		say(p, "spool %s: %s changed", to->name, names);
}

static void compare_spools(const struct config *from, const struct config *to,
			   struct phrases *p)
{
	for (size_t i = 0; i < to->spool_count; i++)
		if (!counterpart(to, &to->spools[i], from))
			say(p, "spool %s added", to->spools[i].name);
	for (size_t i = 0; i < from->spool_count; i++) {
		const struct config_spool *spool = &from->spools[i];
		const struct config_spool *now = counterpart(from, spool, to);

		if (now)
			compare_spool(spool, now, p);
		else
			say(p, "spool %s removed", spool->name);
	}
}

/* ---- both ---- */

/* Where it is not set any more there is no line to blame. */
static void check_frozen(const struct config *from, const struct config *to,
			 struct config_diff *diff, struct phrases *p)
{
	static const char why[] = "[State] Directory= can't change while the agent runs: "
				  "that needs a restart";
	const struct config_source *source = config_key_source(to, NULL, KEY_DIRECTORY);
	const char *file = source->file ? source->file : to->files.items[0];
	int r;

	if (is_same(from, NULL, to, NULL, KEY_DIRECTORY))
		return;
	r = source->line > 0
		    ? asprintf(&diff->frozen, "%s:%u: %s", file, source->line, why)
		    : asprintf(&diff->frozen, "%s: %s", file, why);
	if (r < 0) {
		diff->frozen = NULL;
		p->error = -ENOMEM;
	}
}

void config_diff_done(struct config_diff *diff)
{
	free(diff->words);
	free(diff->frozen);
}

int config_diff(const struct config *from, const struct config *to,
		struct config_diff *ret)
{
	struct config_diff diff = {};
	struct phrases p = {};

	compare_spools(from, to, &p);
	for (enum config_section section = 0; section < SECTION_SPOOL; section++)
		compare_section(from, to, section, &diff, &p);
	say_rest(&p);
	check_frozen(from, to, &diff, &p);
	diff.words = p.words ? p.words : strdup("");
	if (p.error < 0 || !diff.words) {
		config_diff_done(&diff);
		return -ENOMEM;
	}
	*ret = diff;
	return 0;
}
