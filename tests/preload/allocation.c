/*
 * A library to preload: makes allocations of the program fail, wherever they come from.
 *
 *	ALLOCATION_FAIL=7	the 7th since main() began gets ENOMEM
 *	ALLOCATION_FAIL=7-9	from the 7th to the 9th
 *	ALLOCATION_STACK=5eed	the first that is asked for by those callers
 *	ALLOCATION_LOG=FILE	appends a line for each: number, hash of its callers
 *
 * To see one: gdb -ex 'set environment LD_PRELOAD=...' -ex 'break allocation_fails'.
 *
 * The hash is of the callers' addresses in their files, so that it is the same in each
 * run. All functions that allocate are here, or some would go by.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#define CALLERS_MAX	24 /* that tell one place in the program from another */
#define KNOWN_DEPTH_MAX 2

/* The C library's own, which nobody has interposed. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

typedef int main_fn(int argc, char **argv, char **environment);
int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);

static struct {
	unsigned long first, last; /* that fail; 0: none */
	uint64_t stack;
	atomic_ulong count;
	atomic_bool struck;
	bool active;
	int log;
	void *own;
	main_fn *main;
} state = { .log = -1 };

static _Thread_local bool inside; /* finding out the callers may allocate itself */

struct trace {
	void *own; /* this library, which does not count */
	unsigned depth;
	uint64_t hash;
};

static _Unwind_Reason_Code add_caller(struct _Unwind_Context *context, void *userdata)
{
	struct trace *trace = userdata;
	uintptr_t address = _Unwind_GetIP(context);
	struct dl_find_object file = { 0 };

	if (_dl_find_object((void *)address, &file) == 0)
		address -= (uintptr_t)file.dlfo_map_start;
	if (file.dlfo_map_start == trace->own)
		return _URC_NO_REASON;
	if (!address || trace->depth++ == CALLERS_MAX)
		return _URC_END_OF_STACK;
	trace->hash = (trace->hash ^ address) * UINT64_C(0x9E3779B97F4A7C15);
	trace->hash ^= trace->hash >> 29;
	return _URC_NO_REASON;
}

static uint64_t hash_callers(void)
{
	struct trace trace = { .own = state.own };

	inside = true;
	(void)_Unwind_Backtrace(add_caller, &trace);
	inside = false;
	return trace.hash;
}

static void note(unsigned long number, uint64_t hash)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "%lu %llx\n", number,
			      (unsigned long long)hash);

	if (write(state.log, line, (size_t)length) != length)
		_exit(127);
}

/* Where libraries are known to go wrong without memory, whatever their caller does. */
static const struct {
	const char *library, *function;
	unsigned depth; /* of its frame, where the library's first one is 1 */
} known[] = {
	/* 0.16: strdup() of a key is not looked at, and the key's hash is taken. */
	{ "libjson-c.so.5", "json_tokener_parse_ex", 1 },
	/* 7.88.1, lib/url.c: whether the query was copied is not looked at, and the
	 * request goes without it. */
	{ "libcurl.so.4", "curl_url_get", 2 },
};

struct asker {
	void *own, *libc; /* frames of these don't count */
	unsigned depth;
	bool excused;
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && strcmp(text + length - tail, end) == 0;
}

static _Unwind_Reason_Code look_at_caller(struct _Unwind_Context *context, void *userdata)
{
	struct asker *asker = userdata;
	void *address = (void *)_Unwind_GetIP(context);
	Dl_info info;

	if (!address || !dladdr(address, &info))
		return _URC_END_OF_STACK;
	if (info.dli_fbase == asker->own || info.dli_fbase == asker->libc)
		return _URC_NO_REASON;
	asker->depth++;
	for (size_t i = 0; info.dli_sname && i < sizeof(known) / sizeof(known[0]); i++)
		if (asker->depth == known[i].depth &&
		    strcmp(info.dli_sname, known[i].function) == 0 &&
		    ends_with(info.dli_fname, known[i].library))
			asker->excused = true;
	return asker->depth < KNOWN_DEPTH_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* Whether it is a library's known fault. */
static bool is_excused(void)
{
	struct asker asker = { .own = state.own };
	Dl_info info;

	inside = true;
	if (dladdr((void *)getenv, &info))
		asker.libc = info.dli_fbase;
	(void)_Unwind_Backtrace(look_at_caller, &asker);
	inside = false;
	return asker.excused;
}

/* Whether this allocation is one to fail. */
static bool strikes(void)
{
	unsigned long number;
	uint64_t hash;

	if (!state.active || inside)
		return false;
	number = atomic_fetch_add(&state.count, 1) + 1;
	if (number >= state.first && number <= state.last)
		return !is_excused();
	if (!state.stack && state.log < 0)
		return false;
	hash = hash_callers();
	if (state.log >= 0)
		note(number, hash);
	return state.stack && hash == state.stack &&
	       !atomic_exchange(&state.struck, true) && !is_excused();
}

/* For a debugger to stop at. */
void allocation_fails(void);
__attribute__((noinline)) void allocation_fails(void)
{
	errno = ENOMEM;
}

static bool fails(void)
{
	int saved = errno;
	bool yes = strikes();

	errno = saved;
	if (yes)
		allocation_fails();
	return yes;
}

/* ---- what it stands before ---- */

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
	return fails() ? NULL : __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
	return fails() ? NULL : __libc_realloc(ptr, size);
}

void *reallocarray(void *ptr, size_t nmemb, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(nmemb, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(ptr, bytes);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **memptr, size_t alignment, size_t size)
{
	void *memory = fails() ? NULL : __libc_memalign(alignment, size);

	if (!memory)
		return ENOMEM;
	*memptr = memory;
	return 0;
}

/* ---- it begins with the program ---- */

static void read_settings(void)
{
	const char *fail = getenv("ALLOCATION_FAIL"), *stack = getenv("ALLOCATION_STACK");
	const char *log = getenv("ALLOCATION_LOG");
	char *end;

	if (fail) {
		state.first = state.last = strtoul(fail, &end, 10);
		if (*end == '-')
			state.last = strtoul(end + 1, NULL, 10);
	}
	if (stack)
		state.stack = strtoull(stack, NULL, 16);
	if (log)
		state.log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int begin(int argc, char **argv, char **environment)
{
	struct dl_find_object file;

	read_settings();
	if (_dl_find_object((void *)hash_callers, &file) < 0)
		_exit(127);
	state.own = file.dlfo_map_start;
	(void)hash_callers(); /* what unwinding sets up, it sets up now */
	state.active = true;
	return state.main(argc, argv, environment);
}

int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	__typeof__(&__libc_start_main) real = NULL;

	*(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
	state.main = main;
	return real(begin, argc, argv, init, fini, rtld_fini, stack_end);
}
