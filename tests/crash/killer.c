/*
 * Killer: runs a program and kills it at the entry of its n-th system call that leaves a
 * trace outside of it, before the kernel carries that out.
 *
 *	killer N PROGRAM [ARGUMENT ...]
 *
 * Such calls are those of CALLS, of all threads in one count: what writes, sends,
 * connects, syncs, or changes a directory or an inode. N = 0 only counts. Afterwards one
 * line on standard output says what happened, "killed at call 17: pwrite64" or "ended
 * after 312 calls"; the exit status is that of the program, 128 + the signal where one
 * ended it.
 *
 * A seccomp filter stops the program at these calls alone, so that the others keep their
 * speed. SIGTERM is passed on. Whoever starts this may be killed, and this: the program
 * does not outlive either.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "macro.h"
#include "parse.h"

#define CALL(name) \
	{ \
#name, SYS_##name \
	}
#define FILTER_ROOM(n) (2 * (n) + 8)

static const struct call {
	const char *name;
	unsigned number;
} CALLS[] = {
	CALL(write),
	CALL(pwrite64),
	CALL(writev),
	CALL(pwritev),
	CALL(pwritev2),
	CALL(sendfile),
	CALL(splice),
	CALL(copy_file_range),
	CALL(sendto),
	CALL(sendmsg),
	CALL(sendmmsg),
	CALL(connect),
	CALL(fsync),
	CALL(fdatasync),
	CALL(syncfs),
	CALL(sync_file_range),
	CALL(truncate),
	CALL(ftruncate),
	CALL(fallocate),
	CALL(renameat2),
	CALL(linkat),
	CALL(symlinkat),
	CALL(unlinkat),
	CALL(mkdirat),
	CALL(utimensat),
	CALL(fchmod),
	CALL(fchmodat),
	CALL(fchown),
	CALL(fchownat),
#ifdef SYS_renameat
	CALL(renameat),
#endif
#ifdef SYS_rename /* with these, the older calls that newer architectures lack */
	CALL(rename),
	CALL(link),
	CALL(symlink),
	CALL(unlink),
	CALL(mkdir),
	CALL(rmdir),
	CALL(chmod),
	CALL(chown),
#endif
	/* Only with O_CREAT. */
	CALL(openat),
};

static volatile pid_t program;

/* ---- the program's side ---- */

/* The index in CALLS goes with the stop. The system calls are this program's own, so
 * there is no other architecture to be told apart. */
static void put_filter(struct sock_filter *filter, unsigned short *ret_length)
{
	const unsigned last = ARRAY_SIZE(CALLS) - 1;
	const struct sock_filter is_openat[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALLS[last].number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | last),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter *end = filter;

	*end++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					      offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < last; i++) {
		*end++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						      CALLS[i].number, 0, 1);
		*end++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						      SECCOMP_RET_TRACE | i);
	}
	memcpy(end, is_openat, sizeof(is_openat));
	*ret_length = (unsigned short)(end - filter + ARRAY_SIZE(is_openat));
}

static _Noreturn void become(char **command, int go, pid_t parent)
{
	struct sock_filter filter[FILTER_ROOM(ARRAY_SIZE(CALLS))];
	struct sock_fprog rules = { .filter = filter };
	char byte;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	/* Until it is traced. */
	if (read(go, &byte, 1) != 1)
		_exit(127);
	put_filter(filter, &rules.len);
	/* Without it only root may set a filter. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &rules) < 0) {
		perror("killer: seccomp");
		_exit(127);
	}
	(void)execvp(command[0], command);
	perror(command[0]);
	_exit(127);
}

/* ---- the tracer's side ---- */

static void pass_on(int signal)
{
	(void)kill(program, signal);
}

/* 0 or -1. */
static int launch(char **command)
{
	const struct sigaction passing = { .sa_handler = pass_on };
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	program = fork();
	if (program == 0) {
		(void)close(ends[1]);
		become(command, ends[0], parent);
	}
	if (program < 0 || sigaction(SIGTERM, &passing, NULL) < 0 ||
	    ptrace(PTRACE_SEIZE, program, NULL,
		   PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE |
			   PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK) < 0)
		return -1;
	return write(ends[1], "", 1) == 1 ? 0 : -1;
}

struct count {
	uint64_t calls, deadly;
	const char *killed_at; /* NULL: not yet */
};

static void on_call(struct count *count, pid_t thread)
{
	unsigned long index = 0;

	if (count->killed_at)
		return;
	count->calls++;
	if (count->calls != count->deadly)
		return;
	(void)ptrace(PTRACE_GETEVENTMSG, thread, NULL, &index);
	count->killed_at = CALLS[index].name;
	(void)kill(program, SIGKILL);
}

/* A thread has stopped. Those that are killed by now are beyond being continued. */
static void on_stop(struct count *count, pid_t thread, int status)
{
	int event = status >> 16;
	long signal = event ? 0 : WSTOPSIG(status);

	if (event == PTRACE_EVENT_SECCOMP)
		on_call(count, thread);
	(void)ptrace(PTRACE_CONT, thread, NULL, signal);
}

/* Returns how the program ended, as waitpid() has it, or -1. */
static int trace(struct count *count)
{
	int status;

	for (;;) {
		pid_t thread = waitpid(-1, &status, __WALL);

		if (thread < 0 && errno != EINTR)
			return -1;
		if (thread < 0)
			continue;
		if (WIFSTOPPED(status))
			on_stop(count, thread, status);
		else if (thread == program) /* it ends last of its threads */
			return status;
	}
}

int main(int argc, char **argv)
{
	struct count count = { 0 };
	int status;

	if (argc < 3 || parse_unsigned(argv[1], &count.deadly) < 0) {
		(void)fprintf(stderr, "usage: killer N PROGRAM [ARGUMENT ...]\n");
		return 2;
	}
	if (launch(argv + 2) < 0 || (status = trace(&count)) < 0) {
		perror("killer");
		return 1;
	}
	if (count.killed_at)
		(void)printf("killed at call %" PRIu64 ": %s\n", count.calls,
			     count.killed_at);
	else
		(void)printf("ended after %" PRIu64 " calls\n", count.calls);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
