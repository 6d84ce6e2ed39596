// wrap: clock_monotonic clock_realtime random_draw log_event
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>

#include "health.h"
#include "log.h"
#include "macro.h"

#define S USEC_PER_SEC

static const struct backoff BACKOFF = { 1 * S, 64 * S };

/* ---- the world: clocks, the greatest draw, and what is said ---- */

static usec_t now;

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

static struct {
	unsigned count;
	int level;
	enum log_kind kind;
	struct log_fields fields;
	char text[512];
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
	said.fields = fields ? *fields : (struct log_fields){};
	va_start(args, format);
	vsnprintf(said.text, sizeof(said.text), format, args);
	va_end(args);
}

static int set_up(void **state)
{
	(void)state;
	now = 100 * S;
	memset(&said, 0, sizeof(said));
	return 0;
}

static struct health *make(void)
{
	static struct health health;

	health_init(&health, &BACKOFF, 0, 10);
	health_name(&health, HEALTH_AUTH, "auth.example");
	health_name(&health, HEALTH_API, "api.example");
	health_name(&health, HEALTH_DISK, "/var/lib/asset-agent");
	return &health;
}

static const struct health_failure FAILURE = {
	.why = "the service answered 503",
	.http_status = 503,
	.error_code = "503-1",
	.waiting = 7,
};

/* ---- one part ---- */

static const struct {
	unsigned index, need;
	enum log_kind gone, back;
	const char *gone_words, *back_words, *stage;
} PARTS[] = {
	{ HEALTH_AUTH, NEED_AUTH, LOG_SERVICE_AWAY, LOG_SERVICE_BACK,
	  "Authorization fails (auth.example)",
	  "Authorization works again (auth.example)", "token" },
	{ HEALTH_API, NEED_API, LOG_SERVICE_AWAY, LOG_SERVICE_BACK,
	  "The API is away (api.example)", "The API is back (api.example)", "create" },
	{ HEALTH_DISK, NEED_DISK, LOG_DISK_AWAY, LOG_DISK_BACK,
	  "The disk of the state directory can't be written (/var/lib/asset-agent)",
	  "The disk of the state directory can be written again "
	  "(/var/lib/asset-agent)",
	  "spool" },
	{ HEALTH_STORAGE, 1U << (HEALTH_STORAGE + 1), LOG_SERVICE_AWAY, LOG_SERVICE_BACK,
	  "The storage is away (store.example)", "The storage is back (store.example)",
	  "upload" },
};

#define ALL_NEEDS UINT_MAX

static void test_all_is_well(void **state)
{
	struct health *h = make();

	(void)state;
	assert_int_equal(health_next(h, 0, now), 0);
	assert_true(health_next(h, ALL_NEEDS, now) <= now);
	assert_int_equal(health_start(h, ALL_NEEDS, now), 0);
	assert_null(health_away(h));
	assert_int_equal(health_failures(h), 0);
	assert_int_equal(said.count, 0);
}

/* The words of the STATUS= that INTERFACE shows. */
static void test_is_told_in_brief(void **state)
{
	static const struct {
		unsigned index;
		int status;
		const char *brief;
	} rows[] = {
		{ HEALTH_AUTH, 0, "auth failing" },
		{ HEALTH_AUTH, 401, "auth failing" },
		{ HEALTH_API, 0, "api unreachable" },
		{ HEALTH_API, 503, "api unreachable" },
		{ HEALTH_API, 429, "api unreachable" },
		{ HEALTH_API, 404, "api refusing" },
		{ HEALTH_DISK, 0, "disk of the state directory unwritable" },
		{ HEALTH_STORAGE, 0, "storage unreachable" },
		{ HEALTH_STORAGE, 408, "storage unreachable" },
		{ HEALTH_STORAGE, 405, "storage refusing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct health *h = make();
		struct health_failure failure = FAILURE;
		health_probes none = 0;

		set_up(NULL);
		failure.http_status = rows[i].status;
		(void)health_storage(h, "store.example");
		health_failed(h, rows[i].index, &none, &failure);
		assert_string_equal(health_brief(h, health_away(h)), rows[i].brief);
	}
}

static void test_goes_and_comes_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(PARTS); i++) {
		struct health *h = make();
		health_probes none = 0, probes;
		unsigned index = PARTS[i].index, need = PARTS[i].need;

		set_up(NULL);
		assert_int_equal(health_storage(h, "store.example"), HEALTH_STORAGE);
		health_failed(h, index, &none, &FAILURE);
		/* One warning, which says what, why, how many wait and for how long. */
		assert_int_equal(said.count, 1);
		assert_int_equal(said.level, LOG_WARNING);
		assert_int_equal(said.kind, PARTS[i].gone);
		assert_string_equal(said.fields.stage, PARTS[i].stage);
		assert_int_equal(said.fields.http_status, 503);
		assert_string_equal(said.fields.error_code, "503-1");
		assert_int_equal(said.fields.retry, 1 * S);
		assert_true(startswith(said.text, PARTS[i].gone_words));
		assert_non_null(strstr(said.text, "the service answered 503"));
		assert_non_null(strstr(said.text, "waiting: 7"));
		assert_ptr_equal(health_away(h), &h->services[index]);
		/* The same words, but for the first letter. */
		assert_true(startswith(PARTS[i].gone_words + 1,
				       health_words(h, health_away(h)) + 1));
		assert_int_equal(h->services[index].since, 1000100 * S);
		/* Who does not need it goes on. */
		assert_int_equal(health_next(h, need, now), now + S);
		assert_true(health_next(h, ALL_NEEDS & ~need, now) <= now);
		assert_int_equal(health_start(h, ALL_NEEDS & ~need, now), 0);
		/* One probe, and nobody beside it. */
		now += S;
		assert_int_equal(health_next(h, need, now), now);
		probes = health_start(h, need, now);
		assert_int_equal(probes, 1U << index);
		assert_int_equal(health_next(h, need, now), USEC_INFINITY);
		now += 61 * S;
		health_works(h, index, &probes, 6);
		assert_int_equal(probes, 0);
		assert_int_equal(said.count, 2);
		assert_int_equal(said.level, LOG_NOTICE);
		assert_int_equal(said.kind, PARTS[i].back);
		assert_string_equal(said.fields.stage, PARTS[i].stage);
		assert_true(startswith(said.text, PARTS[i].back_words));
		assert_non_null(strstr(said.text, "1min 2s"));
		assert_non_null(strstr(said.text, "waiting: 6"));
		assert_true(health_next(h, ALL_NEEDS, now) <= now);
		assert_null(health_away(h));
	}
}

/* However many fail, and however often: one line. */
static void test_one_line(void **state)
{
	struct health *h = make();
	health_probes none = 0, probes;

	(void)state;
	for (int i = 0; i < 100; i++)
		health_failed(h, HEALTH_API, &none, &FAILURE);
	assert_int_equal(health_failures(h), 1);
	for (unsigned i = 2; i < 10; i++) {
		now = health_next(h, NEED_API, now);
		probes = health_start(h, NEED_API, now);
		health_failed(h, HEALTH_API, &probes, &FAILURE);
		assert_int_equal(health_failures(h), i);
	}
	assert_int_equal(said.count, 1);
	health_works(h, HEALTH_API, &none, 0); /* of long ago: proves nothing */
	assert_int_equal(said.count, 1);
	assert_ptr_equal(health_away(h), &h->services[HEALTH_API]);
}

static void test_retry_after(void **state)
{
	const struct health_failure patient = { .why = "429", .retry_after = 90 * S };
	struct health *h = make();
	health_probes none = 0;

	(void)state;
	health_failed(h, HEALTH_API, &none, &patient);
	assert_int_equal(health_next(h, NEED_API, now), now + 91 * S);
	assert_int_equal(said.fields.retry, 91 * S);
	assert_non_null(strstr(said.text, "next try in 1min 31s"));
}

/* ---- probes ---- */

/* A transfer that needs two things that are away probes both, and answers for each. */
static void test_several_probes(void **state)
{
	struct health *h = make();
	health_probes none = 0, probes;

	(void)state;
	health_failed(h, HEALTH_AUTH, &none, &FAILURE);
	now += S / 2;
	health_failed(h, HEALTH_API, &none, &FAILURE);
	assert_int_equal(health_next(h, NEED_AUTH | NEED_API, now), now + S);
	assert_ptr_equal(health_away(h), &h->services[HEALTH_AUTH]);
	now += S;
	probes = health_start(h, NEED_AUTH | NEED_API, now);
	assert_int_equal(probes, 1U << HEALTH_AUTH | 1U << HEALTH_API);
	health_works(h, HEALTH_AUTH, &probes, 0);
	assert_int_equal(probes, 1U << HEALTH_API);
	assert_true(health_next(h, NEED_AUTH, now) <= now);
	assert_int_equal(health_next(h, NEED_API, now), USEC_INFINITY);
	health_failed(h, HEALTH_API, &probes, &FAILURE);
	assert_int_equal(probes, 0);
	assert_int_equal(health_next(h, NEED_API, now), now + 2 * S);
	assert_int_equal(said.count, 3);
}

/* What it did not get to asking, the next one may ask at once. */
static void test_leave(void **state)
{
	struct health *h = make();
	health_probes none = 0, probes, next;

	(void)state;
	health_failed(h, HEALTH_API, &none, &FAILURE);
	health_failed(h, HEALTH_DISK, &none, &FAILURE);
	now += S;
	probes = health_start(h, NEED_API | NEED_DISK, now);
	health_works(h, HEALTH_DISK, &probes, 0);
	health_leave(h, &probes);
	assert_int_equal(probes, 0);
	assert_true(health_next(h, NEED_API, now) <= now);
	assert_int_equal(health_failures(h), 1);
	next = health_start(h, NEED_API, now);
	assert_int_equal(next, 1U << HEALTH_API);
	health_leave(h, &probes); /* had none left: takes nothing from others */
	assert_int_equal(health_next(h, NEED_API, now), USEC_INFINITY);
	health_leave(h, &next);
	assert_true(health_next(h, NEED_API, now) <= now);
}

/* What went away after a transfer had started is asked by one, that one or another. */
static void test_enter(void **state)
{
	struct health *h = make();
	health_probes none = 0, first, second;

	(void)state;
	first = health_start(h, NEED_API, now);
	second = health_start(h, NEED_API, now);
	assert_true(health_enter(h, HEALTH_API, &first, now));
	assert_int_equal(first, 0);
	health_failed(h, HEALTH_API, &none, &FAILURE);
	assert_false(health_enter(h, HEALTH_API, &first, now));
	now += S;
	assert_true(health_enter(h, HEALTH_API, &first, now));
	assert_int_equal(first, 1U << HEALTH_API);
	assert_true(health_enter(h, HEALTH_API, &first, now));
	assert_false(health_enter(h, HEALTH_API, &second, now));
	/* Not even the probe, where peace is asked for meanwhile. */
	health_failed(h, HEALTH_API, &none,
		      &(struct health_failure){ .why = "", .retry_after = 60 * S });
	assert_false(health_enter(h, HEALTH_API, &first, now));
	health_leave(h, &first);
	assert_false(health_enter(h, HEALTH_API, &second, now));
	now += 61 * S;
	assert_true(health_enter(h, HEALTH_API, &second, now));
	assert_int_equal(second, 1U << HEALTH_API);
}

/* ---- storage hosts ---- */

static void test_hosts(void **state)
{
	struct health *h = make();
	health_probes none = 0;
	unsigned a, b;

	(void)state;
	a = health_storage(h, "a.example");
	b = health_storage(h, "b.example");
	assert_int_equal(a, HEALTH_STORAGE);
	assert_int_equal(b, HEALTH_STORAGE + 1);
	assert_int_equal(health_storage(h, "a.example"), a);
	assert_int_equal(health_storage(h, "b.example"), b);
	health_failed(h, b, &none, &FAILURE);
	assert_ptr_equal(health_away(h), &h->services[b]);
	assert_non_null(strstr(said.text, "The storage is away (b.example)"));
	/* Who has a URL needs that one host. */
	assert_int_equal(health_next(h, health_need_of(b), now), now + S);
	assert_true(health_next(h, health_need_of(a), now) <= now);
	/* Who has none does not need one that nobody was granted. */
	assert_true(health_next(h, NEED_STORAGE, now) <= now);
	now += S;
	assert_int_equal(health_start(h, NEED_STORAGE, now), 0);
	assert_int_equal(health_start(h, health_need_of(b), now), 1U << b);
}

/* New files are held back while all that the latest grants named is away. */
static void test_likely_hosts(void **state)
{
	struct health *h = make();
	health_probes none = 0, probes;
	unsigned a, b;

	(void)state;
	a = health_storage(h, "a.example");
	b = health_storage(h, "b.example");
	health_granted(h, a, &none);
	health_failed(h, a, &none, &FAILURE);
	assert_int_equal(health_next(h, NEED_STORAGE, now), now + S);
	now += S;
	probes = health_start(h, NEED_STORAGE, now);
	assert_int_equal(probes, 1U << a);
	assert_int_equal(health_next(h, NEED_STORAGE, now), USEC_INFINITY);
	/* The probe is sent elsewhere: that host needs none, and another may probe this
	 * one. */
	health_granted(h, b, &probes);
	assert_int_equal(probes, 0);
	assert_true(health_next(h, health_need_of(a), now) <= now);
	assert_true(health_next(h, NEED_STORAGE, now) <= now);
	assert_int_equal(health_start(h, NEED_STORAGE, now), 0);
	/* It is away for those who were sent there, until that is long ago. */
	assert_ptr_equal(health_away(h), &h->services[a]);
	for (unsigned i = 0; i < HEALTH_GRANTS_MAX; i++)
		health_granted(h, b, &none);
	assert_null(health_away(h));
	/* The two in turn: the one that is there is reason enough. */
	for (unsigned i = 0; i < HEALTH_GRANTS_MAX; i++)
		health_granted(h, i % 2 ? a : b, &none);
	assert_true(health_next(h, NEED_STORAGE, now) <= now);
	/* Only the one that is away, for so long: it counts again. */
	health_start(h, health_need_of(a), now);
	for (unsigned i = 0; i < HEALTH_GRANTS_MAX; i++)
		health_granted(h, a, &none);
	assert_int_equal(health_next(h, NEED_STORAGE, now), USEC_INFINITY);
}

static unsigned nth_host(struct health *h, unsigned n)
{
	char name[32];

	snprintf(name, sizeof(name), "host-%u.example", n);
	return health_storage(h, name);
}

static void test_too_many_hosts(void **state)
{
	struct health *h = make();
	health_probes none = 0, probes;
	unsigned last = HEALTH_STORAGE + HEALTH_HOSTS_MAX - 1;

	(void)state;
	for (unsigned i = 0; i < HEALTH_HOSTS_MAX; i++)
		assert_int_equal(nth_host(h, i), HEALTH_STORAGE + i);
	/* The one that was not spoken of for longest makes room, but none that is away.
	 */
	assert_int_equal(nth_host(h, 1), HEALTH_STORAGE + 1);
	health_failed(h, HEALTH_STORAGE, &none, &FAILURE);
	assert_int_equal(nth_host(h, 100), HEALTH_STORAGE + 2);
	assert_int_equal(nth_host(h, 101), HEALTH_STORAGE + 3);
	assert_int_equal(nth_host(h, 0), HEALTH_STORAGE);
	assert_int_equal(nth_host(h, 1), HEALTH_STORAGE + 1);
	assert_int_equal(nth_host(h, 100), HEALTH_STORAGE + 2);
	assert_int_equal(nth_host(h, 2), HEALTH_STORAGE + 4);
	set_up(NULL);
	h = make();
	for (unsigned i = 0; i < HEALTH_HOSTS_MAX; i++)
		(void)nth_host(h, i);
	/* All may be away at once, and each has its probe. */
	for (unsigned i = 0; i <= last; i++)
		health_failed(h, i, &none, &FAILURE);
	assert_int_equal(said.count, last + 1);
	now += S;
	probes = health_start(h, ALL_NEEDS, now);
	assert_int_equal(probes, (1U << (last + 1)) - 1);
	assert_int_equal(health_start(h, 0, now), 0);
	/* One more has to share, and the name that was told of stays. */
	assert_int_equal(nth_host(h, 100), last);
	assert_string_equal(h->services[last].name, "host-15.example");
	for (unsigned i = 0; i <= last; i++)
		health_works(h, i, &probes, 0);
	assert_int_equal(probes, 0);
	assert_null(health_away(h));
	assert_int_equal(said.count, 2 * (last + 1));
}

static void test_long_names(void **state)
{
	struct health *h = make();
	char name[HEALTH_NAME_MAX];
	health_probes none = 0;

	(void)state;
	memset(name, 'h', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(health_storage(h, name), HEALTH_STORAGE);
	assert_int_equal(health_storage(h, name), HEALTH_STORAGE);
	health_name(h, HEALTH_API, name);
	health_failed(h, HEALTH_API, &none, &FAILURE);
	assert_non_null(strstr(said.text, name));
}

/* ---- RequestRate ---- */

static void test_request_rate(void **state)
{
	static struct health h;

	(void)state;
	health_init(&h, &BACKOFF, 2 * S, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(health_next(&h, NEED_API, now) <= now);
		assert_int_equal(health_start(&h, NEED_API, now), 0);
	}
	assert_int_equal(health_next(&h, NEED_API, now), now + 2 * S);
	/* What asks nothing of the API is not held up, and takes nothing away. */
	assert_true(health_next(&h, NEED_AUTH | NEED_DISK | NEED_STORAGE, now) <= now);
	health_start(&h, NEED_AUTH | NEED_DISK | NEED_STORAGE, now);
	assert_int_equal(health_next(&h, NEED_API, now), now + 2 * S);
	now += 2 * S;
	assert_true(health_next(&h, NEED_API, now) <= now);
	health_start(&h, NEED_API, now);
	assert_int_equal(health_next(&h, NEED_API, now), now + 2 * S);
	/* Unless it did not come to asking. */
	health_unasked(&h);
	assert_true(health_next(&h, NEED_API, now) <= now);
	health_start(&h, NEED_API, now);
	assert_int_equal(health_next(&h, NEED_API, now), now + 2 * S);
}

/* The later of the two counts: the rate, or the outage. */
static void test_rate_and_outage(void **state)
{
	static struct health h;
	health_probes none = 0, probes;

	(void)state;
	health_init(&h, &BACKOFF, 10 * S, 1);
	health_start(&h, NEED_API, now);
	health_failed(&h, HEALTH_API, &none, &FAILURE);
	assert_int_equal(health_next(&h, NEED_API, now), now + 10 * S);
	now += 10 * S;
	probes = health_start(&h, NEED_API, now);
	health_failed(&h, HEALTH_API, &probes,
		      &(struct health_failure){ .why = "", .retry_after = 60 * S });
	assert_int_equal(health_next(&h, NEED_API, now), now + 62 * S);
}

/* What is away may be asked at once; what became another is asked whatever the old one
 * asked for, and who carries the old one's probe has no more to say. */
static void test_hurry(void **state)
{
	static struct health h;
	health_probes probes = 0, none = 0, lost;

	(void)state;
	health_init(&h, &BACKOFF, 0, 1);
	health_failed(&h, HEALTH_AUTH, &none, &FAILURE);
	health_failed(&h, HEALTH_API, &none,
		      &(struct health_failure){ .why = "", .retry_after = 60 * S });
	assert_true(health_next(&h, NEED_AUTH, now) > now);
	assert_int_equal(health_hurry(&h, 0), 0);
	assert_true(health_next(&h, NEED_AUTH, now) <= now);
	assert_int_equal(health_next(&h, NEED_API, now), now + 60 * S);
	probes = health_start(&h, NEED_AUTH, now);
	assert_int_equal(health_next(&h, NEED_AUTH, now), USEC_INFINITY);
	lost = health_hurry(&h, NEED_AUTH | NEED_API);
	assert_int_equal(lost, 1 << HEALTH_AUTH | 1 << HEALTH_API);
	assert_int_equal(probes & lost, 1 << HEALTH_AUTH);
	assert_true(health_next(&h, NEED_AUTH | NEED_API, now) <= now);
	lost = health_hurry(&h, NEED_STORAGE);
	assert_true(lost & 1U << health_storage(&h, "a.example"));
	assert_false(lost & 1U << HEALTH_DISK);
}

/* Who has mended the settings in vain is told so, once; a probe that was sent by the old
 * ones, or is not due to them, says nothing. */
static void test_what_became_another_and_is_away_too_is_told_anew(void **state)
{
	static struct health h;
	health_probes probes = 0, none = 0;

	(void)state;
	health_init(&h, &BACKOFF, 0, 1);
	health_failed(&h, HEALTH_API, &none, &FAILURE);
	assert_int_equal(said.count, 1);
	(void)health_hurry(&h, NEED_AUTH);
	probes = health_start(&h, NEED_API, now);
	health_failed(&h, HEALTH_API, &probes, &FAILURE);
	assert_int_equal(said.count, 1);
	(void)health_hurry(&h, NEED_API);
	health_failed(&h, HEALTH_API, &none, &FAILURE);
	assert_int_equal(said.count, 1);
	probes = health_start(&h, NEED_API, now);
	health_failed(&h, HEALTH_API, &probes, &FAILURE);
	assert_int_equal(said.count, 2);
	assert_true(startswith(said.text, "The API is away"));
	now += 64 * S;
	probes = health_start(&h, NEED_API, now);
	health_failed(&h, HEALTH_API, &probes, &FAILURE);
	assert_int_equal(said.count, 2);
}

static void test_other_settings(void **state)
{
	static const struct backoff slow = { 100 * S, 100 * S };
	static struct health h;
	health_probes none = 0;

	(void)state;
	health_init(&h, &BACKOFF, 10 * S, 1);
	health_start(&h, NEED_API, now);
	assert_int_equal(health_next(&h, NEED_API, now), now + 10 * S);
	health_configure(&h, &slow, 3 * S, 1);
	assert_int_equal(health_next(&h, NEED_API, now), now + 3 * S);
	health_failed(&h, HEALTH_DISK, &none, &FAILURE);
	assert_int_equal(health_next(&h, NEED_DISK, now), now + 100 * S);
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_is_well),
		TEST(test_is_told_in_brief),
		TEST(test_goes_and_comes_back),
		TEST(test_one_line),
		TEST(test_retry_after),
		TEST(test_several_probes),
		TEST(test_leave),
		TEST(test_enter),
		TEST(test_hosts),
		TEST(test_likely_hosts),
		TEST(test_too_many_hosts),
		TEST(test_long_names),
		TEST(test_request_rate),
		TEST(test_rate_and_outage),
		TEST(test_hurry),
		TEST(test_what_became_another_and_is_away_too_is_told_anew),
		TEST(test_other_settings),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
