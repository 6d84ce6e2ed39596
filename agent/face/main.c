#include <getopt.h>
#include <stdio.h>

#include "agent.h"
#include "check.h"
#include "command.h"
#include "config.h"
#include "explain.h"
#include "log.h"
#include "macro.h"
#include "reload-command.h"
#include "status.h"

static const char help[] =
	"Usage: asset-agent [--config FILE] [COMMAND]\n"
	"\n"
	"Uploads each file of its spool directories to eGain's Create Asset API. Beside\n"
	"it appears a receipt, NAME.asset.json, or why not, NAME.asset-error.json.\n"
	"\n"
	"Commands:\n"
	"  run                  the daemon, in the foreground (the default)\n"
	"  drain                upload what is due now, then end\n"
	"  check [--online]     what is in force, and what is in the way of uploads\n"
	"  status               what the running agent is doing; --json, --watch\n"
	"  explain FILE         why it is, or is not, uploaded, and what happens next\n"
	"\n"
	"Options:\n"
	"  -c, --config FILE    read FILE and FILE.d/*.conf instead of\n"
	"                       " CONFIG_FILE "\n"
	"  -h, --help           show this text\n"
	"  -V, --version        show the version\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 78 bad configuration.\n"
	"Manuals: asset-agent(8), agent.conf(5).\n";

static int run_agent(const char *file, enum agent_mode mode)
{
	struct config *config;
	int status, r = agent_block_signals(mode);

	if (r < 0) {
		fprintf(stderr, "asset-agent: could not set up signals: %s\n",
			log_errno(r));
		return EXIT_FAILURE;
	}
	status = command_load_config(file, &config);
	return status == EXIT_SUCCESS ? agent_run(config, file, mode) : status;
}

static int command_run(const struct command_line *line)
{
	return run_agent(line->config_file, AGENT_RUN);
}

static int command_drain(const struct command_line *line)
{
	return run_agent(line->config_file, AGENT_DRAIN);
}

/* What the unit asks before it starts us (ExecCondition=): a service that was installed
 * and not configured yet has not failed. */
static int command_configured(const struct command_line *line)
{
	const char *file = line->config_file ? line->config_file : CONFIG_FILE;

	/* All but a clear answer is for the start itself to tell. */
	if (config_is_blank(file) <= 0)
		return EXIT_SUCCESS;
	fprintf(stderr,
		"Not started: nothing is configured yet. Fill in the empty keys of %s, put "
		"the client secret into " SYSCONFDIR "/asset-agent/client-secret, then: "
		"systemctl start asset-agent\n",
		file);
	return EXIT_FAILURE;
}

static const struct command {
	const char *name;
	command_fn run;
	int arguments;		  /* exactly so many */
	bool online, json, watch; /* the options that it takes */
} commands[] = {
	{ .name = "run", .run = command_run },
	{ .name = "drain", .run = command_drain },
	{ .name = "configured", .run = command_configured }, /* not for people, */
	{ .name = "reload", .run = reload_command },	     /* nor is this */
	{ .name = "check", .run = check_command, .online = true },
	{ .name = "status", .run = status_command, .json = true, .watch = true },
	{ .name = "explain", .run = explain_command, .arguments = 1 },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int dispatch(struct command_line *line, int argc, char *argv[])
{
	const char *name = argc > 0 ? argv[0] : "run";
	const struct command *command = find_command(name);
	int arguments = MAX(argc - 1, 0);

	if (!command)
		return command_usage("unknown command", name);
	if (line->online && !command->online)
		return command_usage("no --online with this command", name);
	if (line->json && !command->json)
		return command_usage("no --json with this command", name);
	if (line->watch && !command->watch)
		return command_usage("no --watch with this command", name);
	if (arguments > command->arguments)
		return command_usage("too many arguments, at",
				     argv[command->arguments + 1]);
	if (arguments < command->arguments)
		return command_usage("a FILE is missing after", name);
	line->arguments = argv + 1;
	return command->run(line);
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "online", no_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "watch", no_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{},
	};
	struct command_line line = {};
	int option;

	while ((option = getopt_long(argc, argv, "c:ojwhV", options, NULL)) >= 0) {
		switch (option) {
		case 'c': line.config_file = optarg; break;
		case 'o': line.online = true; break;
		case 'j': line.json = true; break;
		case 'w': line.watch = true; break;
		case 'h': fputs(help, stdout); return EXIT_SUCCESS;
		case 'V': puts("asset-agent " VERSION); return EXIT_SUCCESS;
		default: return command_usage(NULL, NULL);
		}
	}
	return dispatch(&line, argc - optind, argv + optind);
}
