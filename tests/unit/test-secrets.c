/* That the scenarios' search for secrets would find one: whatever leaks, in whatever
 * form, wherever it lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scratch.h"
#include "world-secrets.h"

DEFINE_CLEANUP(struct secrets *, secrets_freep, secrets_free)
#define _cleanup_secrets_ _cleanup_(secrets_freep)

#define TOKEN	  "tGzv3JOkF0XG5Qx2TlKWIA.bQ_7-9~0123"
#define CLIENT	  "s3cr3t/0f+7h3 c1i3n7&=%"
#define SIGNATURE "Kx8%2BvB2%2FqJm0aZ7Tn4wE%3D"
#define PROXY	  "alice:pa55\"w\nrd"
#define SHORT	  "hunter2"

static const char *const SECRETS[] = { TOKEN, CLIENT, SIGNATURE, PROXY, SHORT };

static const struct {
	const char *name, *text;
	bool holds;
} TEXTS[] = {
	{ "nothing", "", false },
	{ "a harmless line", "Uploaded /spool/bird.jpg as asset 7f3a: 5 bytes.", false },
	{ "stars", "Authorization: Bearer ***", false },
	{ "a token", "sent Bearer " TOKEN ".", true },
	{ "alone", TOKEN, true },
	{ "its first half", "Bearer tGzv3JOkF0XG5Qx...", true },
	{ "its end", "...XG5Qx2TlKWIA.bQ_7-9~0123", true },
	{ "less than can be told from chance", "tGzv3JOkF", false },
	{ "a client secret", "client_secret=" CLIENT, true },
	{ "in a form", "client_secret=s3cr3t%2F0f%2B7h3+c1i3n7%26%3D%25", true },
	{ "in a URL", "s3cr3t%2F0f%2B7h3%20c1i3n7%26%3D%25", true },
	{ "in small digits", "s3cr3t%2f0f%2b7h3%20c1i3n7%26%3d%25", true },
	{ "in JSON", "{\"text\":\"s3cr3t\\/0f+7h3 c1i3n7&=%\"}", true },
	{ "in base64", "Basic czNjcjN0LzBmKzdoMyBjMWkzbjcmPSU=", true },
	{ "a signature", "?signature=" SIGNATURE, true },
	{ "decoded", "Kx8+vB2/qJm0aZ7Tn4wE=", true },
	{ "decoded, in base64", "S3g4K3ZCMi9xSm0wYVo3VG40d0U9", true },
	{ "a password", "http://" PROXY "@proxy:3128", true },
	{ "escaped by us", "alice:pa55\"w\\nrd", true },
	{ "a proxy's Authorization", "Proxy-Authorization: Basic YWxpY2U6cGE1NSJ3CnJk",
	  true },
	{ "a short one", "by hunter2!", true },
	{ "half a short one", "by hunter", false },
};

static struct secrets *make(void)
{
	struct secrets *secrets = secrets_new();

	secrets_add(secrets, "");
	for (size_t i = 0; i < ARRAY_SIZE(SECRETS); i++)
		secrets_add(secrets, SECRETS[i]);
	return secrets;
}

static void each_form_is_found(void **state)
{
	_cleanup_secrets_ struct secrets *secrets = make();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(TEXTS); i++) {
		const char *form = secrets_find(secrets, TEXTS[i].text,
						strlen(TEXTS[i].text));

		if (!form == TEXTS[i].holds)
			fail_msg("%s: %s", TEXTS[i].name, form ? form : "not found");
	}
}

static void no_secrets_are_nowhere(void **state)
{
	_cleanup_secrets_ struct secrets *secrets = secrets_new();

	(void)state;
	assert_null(secrets_find(secrets, TOKEN, strlen(TOKEN)));
}

static void behind_a_nul_it_is_found_too(void **state)
{
	static const char text[] = "binary\0" TOKEN;
	_cleanup_secrets_ struct secrets *secrets = make();

	(void)state;
	assert_non_null(secrets_find(secrets, text, sizeof(text)));
}

static void each_of_very_many_is_found(void **state)
{
	_cleanup_secrets_ struct secrets *secrets = secrets_new();
	char text[64];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "%08x-signature-%08x", i * 2654435761U, i);
		secrets_add(secrets, text);
	}
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "%08x-signature-%08x", i * 2654435761U, i);
		assert_non_null(secrets_find(secrets, text, strlen(text)));
	}
	assert_null(secrets_find(secrets, "0123456789abcdef", 16));
}

/* ---- in files ---- */

static bool is_configuration(const char *path, void *userdata)
{
	(void)userdata;
	return strstr(path, "/agent.conf") != NULL;
}

static void a_leak_in_any_file_is_found(void **state)
{
	static const char *const names[] = { "log", "status.json", "a.asset.json",
					     "metrics.prom", "core" };
	_cleanup_secrets_ struct secrets *secrets = make();

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(names); i++) {
		_cleanup_scratch_ struct scratch scratch = scratch_make();
		_cleanup_free_ char *clean = NULL, *found = NULL;
		const char *name = names[i / 2];
		int fd;

		put_file(scratch.fd, "agent.conf", "ClientSecret " CLIENT);
		put_file(scratch.fd, "harmless", "all is well");
		assert_int_equal(symlinkat("agent.conf", scratch.fd, "link"), 0);
		assert_int_equal(mkfifoat(scratch.fd, "pipe", 0600), 0);
		assert_int_equal(mkdirat(scratch.fd, "below", 0700), 0);
		clean = secrets_find_below(secrets, scratch.path, is_configuration, NULL);
		assert_null(clean);
		fd = i % 2 ? openat(scratch.fd, "below", O_DIRECTORY | O_CLOEXEC)
			   : dup(scratch.fd);
		put_file(fd, name, "line\n" TOKEN "\n");
		found = secrets_find_below(secrets, scratch.path, is_configuration, NULL);
		close_fd(fd);
		assert_non_null(found);
		assert_non_null(strstr(found, name));
		assert_non_null(strstr(found, TOKEN));
	}
}

static void only_what_is_named_is_left_out(void **state)
{
	_cleanup_secrets_ struct secrets *secrets = make();
	_cleanup_scratch_ struct scratch scratch = scratch_make();
	_cleanup_free_ char *found = NULL;

	(void)state;
	put_file(scratch.fd, "agent.conf", "ClientSecret " CLIENT);
	found = secrets_find_below(secrets, scratch.path, NULL, NULL);
	assert_non_null(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_found),
		cmocka_unit_test(no_secrets_are_nowhere),
		cmocka_unit_test(behind_a_nul_it_is_found_too),
		cmocka_unit_test(each_of_very_many_is_found),
		cmocka_unit_test(a_leak_in_any_file_is_found),
		cmocka_unit_test(only_what_is_named_is_left_out),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("secrets", tests, NULL, NULL);
}
