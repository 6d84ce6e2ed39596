#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aide.h"
#include "macro.h"

/* The service's own signals are blocked, which would be inherited. */
static int spawn(const char *program, char *const *argv, int output, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	(void)sigemptyset(&none);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	r = -posix_spawn(ret, program, &actions, &attributes, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return r;
}

/* All of it, or NULL. */
static char *read_answer(int fd)
{
	_cleanup_free_ char *text = malloc(AIDE_ANSWER_MAX + 1);
	size_t length = 0;
	ssize_t n;

	if (!text)
		return NULL;
	do {
		n = read(fd, text + length, AIDE_ANSWER_MAX + 1 - length);
		length += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0 || length > AIDE_ANSWER_MAX)
		return NULL;
	if (length > 0 && text[length - 1] == '\n')
		length--;
	text[length] = '\0';
	return length > 0 ? take_ptr(text) : NULL;
}

static bool has_succeeded(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

char *aide_ask(const char *program, const char *const *arguments, size_t count)
{
	_cleanup_free_ const char **argv = calloc(count + 2, sizeof(*argv));
	_cleanup_free_ char *answer = NULL;
	_cleanup_close_ int from = -1, to = -1;
	int ends[2];
	pid_t pid;

	if (!argv || pipe2(ends, O_CLOEXEC) < 0)
		return NULL;
	from = ends[0];
	to = ends[1];
	argv[0] = program;
	memcpy(argv + 1, arguments, count * sizeof(*argv));
	if (spawn(program, (char *const *)argv, to, &pid) < 0)
		return NULL;
	to = close_fd(to);
	answer = read_answer(from);
	/* Who prints on would wait for ever. */
	from = close_fd(from);
	return has_succeeded(pid) ? take_ptr(answer) : NULL;
}
