#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config-diff.h"
#include "config-key.h"
#include "macro.h"
#include "scratch.h"

#define API   "[API]\nBaseURL=https://api.example.com/v3\n"
#define AUTH  "[Auth]\nTokenURL=https://login.example.com/token\nClientID=me\n"
#define TYPES "ChannelType=sms\nSenderType=customer\n"
#define SPOOL "[Spool:a]\nPath=/srv/a\n" TYPES
#define GOOD  API AUTH SPOOL

#define AUTH_CHANGES	CONFIG_SERVICE_AUTH
#define API_CHANGES	CONFIG_SERVICE_API
#define STORAGE_CHANGES CONFIG_SERVICE_STORAGE
#define ALL_CHANGE	(AUTH_CHANGES | API_CHANGES | STORAGE_CHANGES)

DEFINE_CLEANUP(struct config *, config_freep, config_free)

static char directory[64], file[80];

static int set_up(void **state)
{
	(void)state;
	unsetenv("STATE_DIRECTORY");
	unsetenv("RUNTIME_DIRECTORY");
	strcpy(directory, "/tmp/test-config-diff.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(file, sizeof(file), "%s/agent.conf", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(file) < 0 || rmdir(directory) < 0 ? -1 : 0;
}

static void on_fault(void *userdata, const char *line)
{
	(void)userdata;
	print_message("# %s\n", line);
}

static struct config *load(const char *text)
{
	FILE *stream = fopen(file, "w");
	struct config *config = NULL;

	assert_non_null(stream);
	assert_true(fputs(text, stream) >= 0);
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(config_load(file, on_fault, NULL, &config), 0);
	return config;
}

static const struct {
	const char *from, *to, *words;
	unsigned services;
} CHANGES[] = {
	{ GOOD, GOOD, "", 0 },
	/* As it is written makes no difference. */
	{ GOOD, "# nothing\n" SPOOL AUTH API "Timeout=30000ms\n", "", 0 },
	{ GOOD, API "Timeout=31s\n" AUTH SPOOL, "[API] Timeout changed",
	  AUTH_CHANGES | API_CHANGES },
	{ GOOD, API "Proxy=http://u:p@127.0.0.1:1\n" AUTH SPOOL, "[API] Proxy changed",
	  ALL_CHANGE },
	{ API "RequestRate=1/s\n" AUTH SPOOL, API "RequestRate=2/s\n" AUTH SPOOL,
	  "[API] RequestRate changed", 0 },
	{ GOOD, API AUTH "Scope=x\n" SPOOL, "[Auth] Scope changed",
	  AUTH_CHANGES | API_CHANGES },
	{ GOOD,
	  API AUTH "[Upload]\nMaxConcurrent=3\nHeader=X-A: 1\nHeader=X-B: 2\n" SPOOL,
	  "[Upload] Header, MaxConcurrent changed", STORAGE_CHANGES },
	{ API AUTH "[Upload]\nHeader=X-A: 1\n" SPOOL,
	  API AUTH "[Upload]\nHeader=X-A: 2\n" SPOOL, "[Upload] Header changed",
	  STORAGE_CHANGES },
	{ GOOD, GOOD "[Report]\nLogLevel=err\n[Retry]\nMaxAttempts=3\n",
	  "[Retry] MaxAttempts changed; [Report] LogLevel changed", 0 },
	/* Spools. */
	{ GOOD, GOOD "[Spool:b]\nPath=/srv/b\n" TYPES, "spool b added", 0 },
	{ GOOD "[Spool:b]\nPath=/srv/b\n" TYPES, GOOD, "spool b removed", 0 },
	{ GOOD, GOOD "[Spool]\nPath=/srv/b\n" TYPES, "spool /srv/b added", 0 },
	{ GOOD, GOOD "Settle=1s\nIgnore=*.x\n", "spool a: Ignore, Settle changed", 0 },
	{ GOOD, API AUTH "[Spool:a]\nPath=/srv/z\n" TYPES, "spool a: Path changed", 0 },
	{ GOOD, API AUTH "[Spool:z]\nPath=/srv/a\n" TYPES, "spool a renamed to z", 0 },
	{ GOOD, API AUTH "[Spool:z]\nPath=/srv/z\n" TYPES,
	  "spool z added; spool a removed", 0 },
	/* Two that change places are known by their paths. */
	{ API AUTH "[Spool:a]\nPath=/srv/a\n" TYPES "[Spool:b]\nPath=/srv/b\n" TYPES,
	  API AUTH "[Spool:b]\nPath=/srv/a\n" TYPES "[Spool:a]\nPath=/srv/b\n" TYPES,
	  "spool a renamed to b; spool b renamed to a", 0 },
	{ GOOD "[Spool:b]\nPath=/srv/b\n" TYPES,
	  API AUTH "[Spool:b]\nPath=/srv/a\n" TYPES,
	  "spool a renamed to b; spool b removed", 0 },
};

static void test_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(CHANGES); i++) {
		_cleanup_(config_freep) struct config *from = load(CHANGES[i].from);
		_cleanup_(config_freep) struct config *to = load(CHANGES[i].to);
		struct config_diff diff;

		assert_int_equal(config_diff(from, to, &diff), 0);
		if (!streq(diff.words, CHANGES[i].words) ||
		    diff.services != CHANGES[i].services || diff.frozen)
			fail_msg("change %zu: \"%s\", services %u", i, diff.words,
				 diff.services);
		config_diff_done(&diff);
	}
}

static void test_frozen(void **state)
{
	static const struct {
		const char *from, *to;
		int line; /* 0: none is to blame */
	} changes[] = {
		{ GOOD, "[State]\nDirectory=/x\n" GOOD, 2 },
		{ "[State]\nDirectory=/x\n" GOOD, "[State]\n\nDirectory=/y\n" GOOD, 3 },
		{ "[State]\nDirectory=/x\n" GOOD, GOOD, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		_cleanup_(config_freep) struct config *from = load(changes[i].from);
		_cleanup_(config_freep) struct config *to = load(changes[i].to);
		_cleanup_free_ char *expected = NULL;
		char line[16] = "";
		struct config_diff diff;

		if (changes[i].line > 0)
			snprintf(line, sizeof(line), "%d:", changes[i].line);
		assert_true(asprintf(&expected,
				     "%s:%s%s[State] Directory= can't change while the "
				     "agent runs: that needs a restart",
				     file, line, " ") > 0);
		assert_int_equal(config_diff(from, to, &diff), 0);
		assert_non_null(diff.frozen);
		assert_string_equal(diff.frozen, expected);
		config_diff_done(&diff);
	}
}

/* However many spools change, the line has an end. */
static void test_many(void **state)
{
	_cleanup_(config_freep) struct config *from = load(GOOD), *to = NULL;
	_cleanup_free_ char *text = NULL;
	struct config_diff diff;
	size_t length;
	FILE *stream = open_memstream(&text, &length);

	(void)state;
	fputs(GOOD, stream);
	for (int i = 0; i < 100; i++)
		fprintf(stream, "[Spool:s%d]\nPath=/srv/s/%d\n" TYPES, i, i);
	fclose(stream);
	to = load(text);
	assert_int_equal(config_diff(from, to, &diff), 0);
	assert_non_null(strstr(diff.words, "spool s0 added; spool s1 added; "));
	assert_non_null(strstr(diff.words, "spool s23 added; and 76 more"));
	assert_null(strstr(diff.words, "s24"));
	config_diff_done(&diff);
}

/* No key is forgotten: each has a value that can differ. */
static void test_each_key(void **state)
{
	_cleanup_(config_freep) struct config *one = load(GOOD), *other = load(GOOD);

	(void)state;
	for (enum config_key key = 0; key < CONFIG_KEYS; key++) {
		void *field = config_key_field(other, &other->spools[0], key);
		char saved[sizeof(struct strv)], *item = directory;
		bool is_list = config_keys[key].kind >= CONFIG_GLOBS;
		struct config_diff diff;

		memcpy(saved, field, is_list ? sizeof(struct strv) : sizeof(char *));
		if (is_list)
			*(struct strv *)field = (struct strv){ .items = &item,
							       .count = 1 };
		else if (config_keys[key].kind >= CONFIG_SENDER_TYPE)
			*(char **)field = item;
		else
			*(char *)field = (char)!*(char *)field;
		assert_int_equal(config_diff(one, other, &diff), 0);
		if (key != KEY_DIRECTORY && key != KEY_PATH &&
		    !strstr(diff.words, config_keys[key].name))
			fail_msg("%s= can change unseen", config_keys[key].name);
		assert_int_equal(key == KEY_DIRECTORY, diff.frozen != NULL);
		assert_int_equal(config_spool_is_same(&one->spools[0], &other->spools[0]),
				 key < KEY_PATH);
		config_diff_done(&diff);
		memcpy(field, saved, is_list ? sizeof(struct strv) : sizeof(char *));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_each_key),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("config-diff", tests, set_up, tear_down);
}
