#include <getopt.h>

#include "agent.h"
#include "config.h"
#include "log.h"
#include "macro.h"

#define EXIT_USAGE  2
#define EXIT_CONFIG 78 /* sysexits.h: EX_CONFIG */

DEFINE_CLEANUP(struct config *, config_freep, config_free)

static const char help[] =
	"Usage: asset-agent [--config FILE] [COMMAND]\n"
	"\n"
	"Uploads each file of its spool directories to eGain's Create Asset API and writes\n"
	"a receipt (NAME.asset.json) or the reason why not (NAME.asset-error.json) beside it.\n"
	"\n"
	"Commands:\n"
	"  run                  the daemon, in the foreground (the default)\n"
	"  drain                upload what is due now, then end\n"
	"\n"
	"Options:\n"
	"  -c, --config FILE    read FILE and FILE.d/*.conf instead of\n"
	"                       " CONFIG_FILE "\n"
	"  -h, --help           show this text\n"
	"  -V, --version        show the version\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 78 bad configuration.\n";

static const struct {
	const char *name;
	enum agent_mode mode;
} commands[] = {
	{ "run", AGENT_RUN },
	{ "drain", AGENT_DRAIN },
};

static void print_fault(void *userdata, const char *line)
{
	(void)userdata;
	fprintf(stderr, "%s\n", line);
}

static enum log_target choose_target(enum log_target_choice choice)
{
	switch (choice) {
	case LOG_CHOICE_JOURNAL: return LOG_TO_JOURNAL;
	case LOG_CHOICE_STDERR: return LOG_TO_STDERR;
	case LOG_CHOICE_AUTO: break;
	}
	return log_stderr_is_journal() ? LOG_TO_JOURNAL : LOG_TO_STDERR;
}

static int run_command(const char *file, enum agent_mode mode)
{
	_cleanup_(config_freep) struct config *config = NULL;
	int r;

	r = config_load(file, print_fault, NULL, &config);
	if (r == -EINVAL)
		return EXIT_CONFIG;
	if (r < 0) {
		fprintf(stderr, "asset-agent: could not read the configuration: %s\n",
			log_errno(r));
		return EXIT_FAILURE;
	}
	log_init(choose_target(config->report.log_target), config->report.log_level);
	return agent_run(config, mode);
}

static int usage(const char *complaint, const char *argument)
{
	if (complaint)
		fprintf(stderr, "asset-agent: %s: %s\n", complaint, argument);
	fprintf(stderr, "Try 'asset-agent --help'.\n");
	return EXIT_USAGE;
}

static int dispatch(const char *file, int count, char *const arguments[])
{
	if (count > 1)
		return usage("one command only", arguments[1]);
	if (count == 0)
		return run_command(file, AGENT_RUN);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(commands[i].name, arguments[0]))
			return run_command(file, commands[i].mode);
	return usage("unknown command", arguments[0]);
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{},
	};
	const char *file = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) >= 0) {
		switch (option) {
		case 'c': file = optarg; break;
		case 'h': fputs(help, stdout); return EXIT_SUCCESS;
		case 'V': puts("asset-agent " VERSION); return EXIT_SUCCESS;
		default: return usage(NULL, NULL);
		}
	}
	return dispatch(file, argc - optind, argv + optind);
}
