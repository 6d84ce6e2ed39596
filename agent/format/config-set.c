#include "config-set.h"

#define SHOWN_VALUE_MAX 60 /* bytes of a value that a message repeats */

/* Keeps the text as it may be shown. A list that grows is shown whole. */
static int remember(struct config_source *source, enum config_kind kind, const char *text)
{
	_cleanup_free_ char *shown = config_value_shown(kind, text), *joined = NULL;

	if (!shown)
		return -ENOMEM;
	if (kind != CONFIG_HEADERS || !source->text)
		return replace_string(&source->text, shown);
	if (asprintf(&joined, "%s, %s", source->text, shown) < 0) {
		joined = NULL;
		return -ENOMEM;
	}
	free(source->text);
	source->text = take_ptr(joined);
	return 0;
}

static void refuse(struct config_reading *reading, const struct config_key_info *info,
		   const struct config_source *source)
{
	const char *file = source->file, *text = source->text;

	if (config_value_is_secret(info->kind))
		config_fault(reading, file, source->line, "%s= must be %s", info->name,
			     config_value_expected(info->kind));
	else
		config_fault(reading, file, source->line,
			     "%s= must be %s, not \"%.*s%s\"", info->name,
			     config_value_expected(info->kind), SHOWN_VALUE_MAX, text,
			     strlen(text) > SHOWN_VALUE_MAX ? "..." : "");
}

int config_set(struct config_reading *reading, struct config_spool *spool,
	       enum config_key key, const char *file, unsigned line, const char *text)
{
	const struct config_key_info *info = &config_keys[key];
	struct config *config = reading->config;
	struct config_source *source = config_key_source(config, spool, key);
	int r;

	r = remember(source, info->kind, text);
	if (r < 0)
		return r;
	source->file = file;
	source->line = line;
	r = config_value_read(info->kind, text, config_key_field(config, spool, key));
	if (r == -ENOMEM)
		return r;
	source->refused = r < 0;
	if (source->refused)
		refuse(reading, info, source);
	return 0;
}

/* The directory that systemd made for us. Of several, the first counts. */
static int set_from_environment(struct config_reading *reading, enum config_key key,
				const char *directories)
{
	const struct config_key_info *info = &config_keys[key];
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%.*s%s%s", (int)strcspn(directories, ":"), directories,
		     info->below ? "/" : "", info->below ? info->below : "") < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return config_set(reading, NULL, key, info->environment, 0, path);
}

int config_reset(struct config_reading *reading, struct config_spool *spool,
		 enum config_key key)
{
	const struct config_key_info *info = &config_keys[key];
	struct config *config = reading->config;
	struct config_source *source = config_key_source(config, spool, key);
	const char *environment;

	config_value_clear(info->kind, config_key_field(config, spool, key));
	free(source->text);
	*source = (struct config_source){};
	environment = info->environment ? getenv(info->environment + STRLEN("$")) : NULL;
	if (environment && *environment)
		return set_from_environment(reading, key, environment);
	return info->fallback ? config_set(reading, spool, key, NULL, 0, info->fallback)
			      : 0;
}

int config_reset_all(struct config_reading *reading, struct config_spool *spool,
		     enum config_key first, enum config_key end)
{
	for (enum config_key key = first; key < end; key++) {
		int r = config_reset(reading, spool, key);

		if (r < 0)
			return r;
	}
	return 0;
}

void config_clear_all(struct config *config, struct config_spool *spool,
		      enum config_key first, enum config_key end)
{
	for (enum config_key key = first; key < end; key++) {
		config_value_clear(config_keys[key].kind,
				   config_key_field(config, spool, key));
		free(config_key_source(config, spool, key)->text);
	}
}
