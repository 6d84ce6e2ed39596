#include <signal.h>

#include "check-parts.h"
#include "check.h"
#include "ledger-look.h"

DEFINE_CLEANUP(struct config *, config_freep, config_free)

#define SETTING_WIDTH_MAX 60 /* of those that stand in a column */

struct settings {
	struct screen *screen;
	size_t width;  /* of the widest */
	char *section; /* the last that was printed */
};

static void measure_setting(void *userdata, const char *section, const char *key,
			    const char *value, const char *origin)
{
	struct settings *settings = userdata;
	size_t width = strlen(key) + 1 + strlen(value);

	(void)section;
	(void)origin;
	if (width <= SETTING_WIDTH_MAX)
		settings->width = MAX(settings->width, width);
}

static void show_setting(void *userdata, const char *section, const char *key,
			 const char *value, const char *origin)
{
	struct settings *settings = userdata;

	if (!streq(section, settings->section)) {
		screen_heading(settings->screen, "[%s]", section);
		(void)replace_string(&settings->section, section);
	}
	screen_setting(settings->screen, settings->width, key, value, origin);
}

static int show_settings(struct check *c)
{
	struct settings settings = { .screen = &c->screen };
	int r = config_show(c->config, measure_setting, &settings);

	if (r == 0)
		r = config_show(c->config, show_setting, &settings);
	free(settings.section);
	return r;
}

/* ---- findings ---- */

static void look_around(struct check *c, bool online)
{
	screen_heading(&c->screen, "Directories, tried as %s%s", c->user.name,
		       c->user.other ? ", whom the service runs as" : "");
	check_places(c);
	screen_heading(&c->screen, "Files");
	check_files(c);
	screen_heading(&c->screen, "This machine");
	check_machine(c);
	if (!online)
		return;
	screen_heading(&c->screen, "Servers");
	check_online(c);
}

static void sum_up(struct check *c)
{
	size_t failed = c->screen.counts[SCREEN_FAILED];
	size_t warnings = c->screen.counts[SCREEN_WARNING];

	if (failed + warnings == 0)
		screen_heading(&c->screen, "All is well.");
	else
		screen_heading(&c->screen, "FAILED: %zu, warnings: %zu.", failed,
			       warnings);
}

int check_command(const struct command_line *line)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct check c = {};
	int status = command_load_config_to_look(line->config_file, &config);

	if (status != EXIT_SUCCESS)
		return status;
	/* A peer that closes is an error like others. */
	(void)signal(SIGPIPE, SIG_IGN);
	c.config = config;
	screen_init(&c.screen);
	check_user_find(&c.user);
	c.agent = ledger_holder(config->state.directory);
	if (c.agent > 0)
		check_user_enter(&c.user, c.agent);
	if (show_settings(&c) < 0)
		return EXIT_FAILURE;
	look_around(&c, line->online);
	check_user_done(&c.user);
	sum_up(&c);
	if (fflush(stdout) != 0)
		return EXIT_FAILURE;
	return c.screen.counts[SCREEN_FAILED] > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
