// wrap: clock_monotonic clock_realtime random_draw log_event strdup
/* The disks of spools: each is its spool's own matter, and only its probe may speak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log.h"
#include "macro.h"
#include "spool-disks.h"

#define S USEC_PER_SEC

static const struct backoff BACKOFF = { 1 * S, 64 * S };

/* ---- the world: clocks, the greatest draw, what is said, and no memory ---- */

static usec_t now;
static bool no_memory;

usec_t __wrap_clock_monotonic(void);
usec_t __wrap_clock_monotonic(void)
{
	return now;
}

usec_t __wrap_clock_realtime(void);
usec_t __wrap_clock_realtime(void)
{
	return 1000000 * S + now;
}

uint64_t __wrap_random_draw(void);
uint64_t __wrap_random_draw(void)
{
	return UINT64_MAX; /* waits for the whole ceiling */
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
	return no_memory ? NULL : __real_strdup(text);
}

static struct {
	unsigned count;
	int level;
	enum log_kind kind;
	char spool[32], text[512];
} said;

void __wrap_log_event(int level, enum log_kind kind, const struct log_fields *fields,
		      const char *format, ...) _printf_(4, 5);
void __wrap_log_event(int level, enum log_kind kind, const struct log_fields *fields,
		      const char *format, ...)
{
	va_list args;

	said.count++;
	said.level = level;
	said.kind = kind;
	snprintf(said.spool, sizeof(said.spool), "%s", fields->spool);
	va_start(args, format);
	vsnprintf(said.text, sizeof(said.text), format, args);
	va_end(args);
}

static struct spool_disks disks;

static int set_up(void **state)
{
	(void)state;
	now = 100 * S;
	no_memory = false;
	memset(&said, 0, sizeof(said));
	spool_disks_init(&disks, &BACKOFF);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	spool_disks_done(&disks);
	return 0;
}

static char in_path[] = "/srv/in", in_name[] = "in", out_path[] = "/srv/out",
	    out_name[] = "out";
static struct config_spool IN = { .name = in_name, .path = in_path },
			   OUT = { .name = out_name, .path = out_path };

static void fails(const struct config_spool *spool)
{
	uint64_t none = 0;

	assert_int_equal(spool_disks_failed(&disks, spool, &none, "no room"), 0);
}

/* ---- one ---- */

static void test_all_is_well(void **state)
{
	uint64_t none = 0;

	(void)state;
	assert_null(LIST_FIRST(&disks.away));
	assert_null(spool_disks_find(&disks, "/srv/in"));
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), now);
	assert_int_equal(spool_disks_next(&disks, NULL, now), now);
	assert_int_equal(spool_disks_start(&disks, "/srv/in"), 0);
	assert_int_equal(spool_disks_start(&disks, NULL), 0);
	assert_int_equal(spool_disks_failures(&disks), 0);
	spool_disks_works(&disks, &none);
	spool_disks_leave(&disks, &none);
	assert_int_equal(said.count, 0);
}

static void test_goes_and_comes_back(void **state)
{
	uint64_t ticket;

	(void)state;
	fails(&IN);
	assert_int_equal(said.count, 1);
	assert_int_equal(said.level, LOG_WARNING);
	assert_int_equal(said.kind, LOG_SPOOL_DISK_AWAY);
	assert_string_equal(said.spool, "in");
	assert_string_equal(said.text,
			    "The disk of the spool in can't be written (/srv/in): no "
			    "room. Files of this spool wait, and none is lost; next try "
			    "in 1.0s.");
	assert_string_equal(spool_disks_find(&disks, "/srv/in")->why, "no room");
	assert_int_equal(spool_disks_find(&disks, "/srv/in")->since, 1000100 * S);
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), now + S);
	now += S;
	ticket = spool_disks_start(&disks, "/srv/in");
	assert_int_not_equal(ticket, 0);
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), USEC_INFINITY);
	assert_int_equal(spool_disks_failed(&disks, &IN, &ticket, "still none"), 0);
	assert_int_equal(ticket, 0);
	assert_int_equal(spool_disks_failures(&disks), 2);
	assert_string_equal(spool_disks_find(&disks, "/srv/in")->why, "still none");
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), now + 2 * S);
	assert_int_equal(said.count, 1);
	now += 2 * S;
	ticket = spool_disks_start(&disks, "/srv/in");
	spool_disks_works(&disks, &ticket);
	assert_int_equal(said.count, 2);
	assert_int_equal(said.level, LOG_NOTICE);
	assert_int_equal(said.kind, LOG_SPOOL_DISK_BACK);
	assert_string_equal(said.text, "The disk of the spool in can be written again "
				       "(/srv/in) after 3.0s.");
	assert_null(LIST_FIRST(&disks.away));
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), now);
}

/* What started before it went away changes nothing, however it ends. */
static void test_others_do_not_speak_for_it(void **state)
{
	uint64_t none = 0;

	(void)state;
	fails(&IN);
	fails(&IN);
	spool_disks_works(&disks, &none);
	spool_disks_leave(&disks, &none);
	assert_int_equal(said.count, 1);
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), now + S);
}

static void test_a_probe_that_leaves_makes_room_for_another(void **state)
{
	uint64_t ticket;

	(void)state;
	fails(&IN);
	now += S;
	ticket = spool_disks_start(&disks, "/srv/in");
	spool_disks_leave(&disks, &ticket);
	assert_int_equal(ticket, 0);
	assert_true(spool_disks_next(&disks, "/srv/in", now) <= now);
	assert_int_not_equal(spool_disks_start(&disks, "/srv/in"), 0);
}

/* ---- several ---- */

static void test_each_for_itself(void **state)
{
	uint64_t in, out;

	(void)state;
	fails(&IN);
	assert_int_equal(spool_disks_next(&disks, "/srv/out", now), now);
	assert_int_equal(spool_disks_start(&disks, "/srv/out"), 0);
	now += S / 2;
	fails(&OUT);
	assert_int_equal(said.count, 2);
	assert_string_equal(said.spool, "out");
	now += S;
	in = spool_disks_start(&disks, "/srv/in");
	out = spool_disks_start(&disks, "/srv/out");
	assert_int_not_equal(in, out);
	spool_disks_works(&disks, &out);
	assert_string_equal(said.spool, "out");
	assert_null(spool_disks_find(&disks, "/srv/out"));
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), USEC_INFINITY);
	spool_disks_leave(&disks, &in);
}

/* ---- another configuration ---- */

static void test_stays_away_under_another_name_and_is_probed_at_once(void **state)
{
	static char name[] = "inbox";
	struct config_spool spools[] = { { .name = name, .path = in_path } };
	const struct config config = { .spools = spools, .spool_count = 1 };
	uint64_t ticket;

	(void)state;
	fails(&IN);
	spool_disks_configure(&disks, &(struct backoff){ 10 * S, 10 * S }, &config);
	assert_true(spool_disks_next(&disks, "/srv/in", now) <= now);
	ticket = spool_disks_start(&disks, "/srv/in");
	/* Again, with a probe under way: that still counts. */
	spool_disks_configure(&disks, &(struct backoff){ 10 * S, 10 * S }, &config);
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), USEC_INFINITY);
	assert_int_equal(spool_disks_failed(&disks, &IN, &ticket, "no room"), 0);
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), now + 10 * S);
	now += 10 * S;
	ticket = spool_disks_start(&disks, "/srv/in");
	spool_disks_works(&disks, &ticket);
	assert_string_equal(said.spool, "inbox");
}

/* A ticket of a spool that went says nothing of it when it comes back, and fails. */
static void test_a_spool_that_is_gone_is_forgotten(void **state)
{
	struct config_spool spools[] = { OUT };
	const struct config config = { .spools = spools, .spool_count = 1 };
	uint64_t old;

	(void)state;
	fails(&IN);
	now += S;
	old = spool_disks_start(&disks, "/srv/in");
	spool_disks_configure(&disks, &BACKOFF, &config);
	assert_null(LIST_FIRST(&disks.away));
	fails(&IN);
	now += S;
	assert_int_not_equal(spool_disks_start(&disks, "/srv/in"), old);
	spool_disks_works(&disks, &old);
	assert_int_equal(old, 0);
	assert_non_null(spool_disks_find(&disks, "/srv/in"));
	assert_int_equal(spool_disks_next(&disks, "/srv/in", now), USEC_INFINITY);
}

static void test_no_memory(void **state)
{
	uint64_t none = 0;

	(void)state;
	no_memory = true;
	assert_int_equal(spool_disks_failed(&disks, &IN, &none, "no room"), -ENOMEM);
	assert_int_equal(said.count, 0);
	assert_null(LIST_FIRST(&disks.away));
	no_memory = false;
	fails(&IN);
	no_memory = true;
	assert_int_equal(spool_disks_failed(&disks, &IN, &none, "another"), 0);
	assert_string_equal(spool_disks_find(&disks, "/srv/in")->why, "no room");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_is_well),
		TEST(test_goes_and_comes_back),
		TEST(test_others_do_not_speak_for_it),
		TEST(test_a_probe_that_leaves_makes_room_for_another),
		TEST(test_each_for_itself),
		TEST(test_stays_away_under_another_name_and_is_probed_at_once),
		TEST(test_a_spool_that_is_gone_is_forgotten),
		TEST(test_no_memory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("spool-disks", tests, NULL, NULL);
}
