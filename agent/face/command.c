#include <grp.h>
#include <sys/stat.h>

#include "command.h"
#include "fs.h"
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

static int not_loaded(int error)
{
	fprintf(stderr, "asset-agent: could not read the configuration: %s\n",
		log_errno(error));
	return EXIT_FAILURE;
}

int command_load_config(const char *file, struct config **ret)
{
	int r = config_load(file, print_fault, NULL, ret);

	if (r == 0)
		return EXIT_SUCCESS;
	return r == -EINVAL ? EXIT_CONFIG : not_loaded(r);
}

/* Whose members may read @path, or get to it, where that is what keeps us out. NULL: no
 * group's, or it can't be told. */
static const struct group *group_of(const char *path)
{
	_cleanup_free_ char *directory = strdup(path);
	struct stat st;

	if (!directory)
		return NULL;
	*strrchr(directory, '/') = '\0';
	if (stat(path, &st) < 0 && stat(directory, &st) < 0)
		return NULL;
	if (!(st.st_mode & S_IRGRP))
		return NULL;
	return getgrgid(st.st_gid);
}

void command_say_forbidden(const char *path, FILE *out)
{
	const struct group *group = group_of(path);

	if (group)
		fprintf(out,
			"You may not read %s. Use sudo, or join the group %s: sudo usermod "
			"-aG %s $USER, then log in again.\n",
			path, group->gr_name, group->gr_name);
	else
		fprintf(out, "You may not read %s. Use sudo.\n", path);
}

/* Whether @file (NULL: the default) is there and may not be read, which is told. */
static bool is_forbidden(const char *file)
{
	const char *path = file ? file : CONFIG_FILE;

	if (access(path, R_OK) == 0 || errno != EACCES)
		return false;
	command_say_forbidden(path, stderr);
	return true;
}

int command_load_config_to_look(const char *file, struct config **ret)
{
	int status = command_load_config(file, ret);

	if (status == EXIT_CONFIG)
		(void)is_forbidden(file);
	return status;
}

int command_load_config_faulty(const char *file, struct config **ret)
{
	int r = config_load_faulty(file, print_fault, NULL, ret);

	if (r < 0 && r != -EINVAL)
		return not_loaded(r);
	if (r < 0 && is_forbidden(file))
		return EXIT_CONFIG;
	if (r < 0)
		fprintf(stderr,
			"A running agent goes on with what it has read before.\n");
	return EXIT_SUCCESS;
}
