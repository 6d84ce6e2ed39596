#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "log.h"

int command_usage(const char *complaint, const char *argument)
{
	if (complaint)
		fprintf(stderr, "asset-agent: %s: %s\n", complaint, argument);
	fprintf(stderr, "Try 'asset-agent --help'.\n");
	return EXIT_USAGE;
}

static void print_fault(void *userdata, const char *line)
{
	(void)userdata;
	fprintf(stderr, "%s\n", line);
}

int command_load_config(const char *file, struct config **ret)
{
	int r = config_load(file, print_fault, NULL, ret);

	if (r == 0)
		return EXIT_SUCCESS;
	if (r == -EINVAL)
		return EXIT_CONFIG;
	fprintf(stderr, "asset-agent: could not read the configuration: %s\n",
		log_errno(r));
	return EXIT_FAILURE;
}
