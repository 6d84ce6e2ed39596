#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fold.h"
#include "macro.h"

#define S     USEC_PER_SEC
#define LIMIT 3

static struct fold fold;

static int set_up(void **state)
{
	(void)state;
	fold = (struct fold){};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fold_done(&fold);
	return 0;
}

#define FIELDS(s, n, c, p) \
	{ \
		.stage = (s), .http_status = (n), .error_code = (c), .spool = (p) \
	}

static const struct log_fields BAD = FIELDS("create", 400, "400-196", "inbox");

static bool add(const struct log_fields *fields, usec_t now)
{
	return fold_add(&fold, LOG_GIVEN_UP, fields, LIMIT, now);
}

/* The first ones of a burst, at once. */
static void fill(const struct log_fields *fields, usec_t now)
{
	for (int i = 0; i < LIMIT; i++)
		assert_false(add(fields, now));
}

static void nothing_is_told_of_nothing(void **state)
{
	(void)state;
	assert_int_equal(fold_next(&fold), USEC_INFINITY);
	assert_null(fold_due(&fold, USEC_INFINITY));
}

static void the_first_are_told_one_by_one(void **state)
{
	(void)state;
	fill(&BAD, S);
	assert_int_equal(fold_next(&fold), USEC_INFINITY);
	assert_null(fold_due(&fold, USEC_INFINITY));
	assert_true(add(&BAD, S));
}

static void a_burst_is_told_of_when_it_is_over(void **state)
{
	const struct fold_burst *burst;
	struct log_fields fields = BAD;

	(void)state;
	fill(&BAD, S);
	fields.file = "/spool/first";
	assert_true(add(&fields, 2 * S));
	fields.file = "/spool/other";
	assert_true(add(&fields, 3 * S));
	fields.file = "/spool/last";
	assert_true(add(&fields, 4 * S));
	assert_int_equal(fold_next(&fold), 4 * S + FOLD_QUIET);
	assert_null(fold_due(&fold, 4 * S + FOLD_QUIET - 1));
	burst = fold_due(&fold, 4 * S + FOLD_QUIET);
	assert_non_null(burst);
	assert_int_equal(burst->kind, LOG_GIVEN_UP);
	assert_int_equal(burst->status, 400);
	assert_string_equal(burst->stage, "create");
	assert_string_equal(burst->code, "400-196");
	assert_string_equal(burst->spool, "inbox");
	assert_int_equal(burst->folded, 3);
	assert_int_equal(burst->since, 2 * S);
	assert_string_equal(burst->first, "/spool/first");
	assert_string_equal(burst->last, "/spool/last");
	fold_told(&fold, burst);
	assert_null(fold_due(&fold, USEC_INFINITY));
	assert_int_equal(fold_next(&fold), USEC_INFINITY);
}

static void one_that_goes_on_is_told_of_each_span(void **state)
{
	uint64_t folded = 0;
	unsigned told = 0;
	usec_t now = S;

	(void)state;
	fill(&BAD, now);
	for (int i = 0; i < 1000; i++, now += S / 2) {
		const struct fold_burst *burst;

		assert_true(add(&BAD, now));
		while ((burst = fold_due(&fold, now))) {
			assert_in_range(now - burst->since, FOLD_SPAN, FOLD_SPAN + S);
			folded += burst->folded;
			told++;
			fold_told(&fold, burst);
		}
	}
	assert_int_equal(told, 8); /* 500 s, and 60.5 s each */
	folded += fold_due(&fold, USEC_INFINITY)->folded;
	assert_int_equal(folded, 1000);
}

/* What is seldom enough is read one by one. */
static void a_pause_ends_the_burst(void **state)
{
	static const struct {
		usec_t pause;
		bool folded;
	} table[] = {
		{ 0, true },
		{ FOLD_QUIET - 1, true },
		{ FOLD_QUIET, false },
		{ USEC_PER_DAY, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		fold_done(&fold);
		fill(&BAD, S);
		assert_int_equal(add(&BAD, S + table[i].pause), table[i].folded);
	}
}

/* While what was folded is not told yet, since the loop is late, the burst goes on. */
static void none_is_lost_where_nobody_asks(void **state)
{
	(void)state;
	fill(&BAD, S);
	assert_true(add(&BAD, S));
	assert_true(add(&BAD, USEC_PER_DAY));
	assert_int_equal(fold_due(&fold, USEC_INFINITY)->folded, 2);
}

static void only_like_ones_are_folded_together(void **state)
{
	static const struct {
		const char *name;
		enum log_kind kind;
		struct log_fields fields;
		bool alike;
	} table[] = {
		{ "the same", LOG_GIVEN_UP, FIELDS("create", 400, "400-196", "inbox"),
		  true },
		{ "kind", LOG_RETRYING, FIELDS("create", 400, "400-196", "inbox"),
		  false },
		{ "stage", LOG_GIVEN_UP, FIELDS("upload", 400, "400-196", "inbox"),
		  false },
		{ "status", LOG_GIVEN_UP, FIELDS("create", 413, "400-196", "inbox"),
		  false },
		{ "code", LOG_GIVEN_UP, FIELDS("create", 400, "400-112", "inbox"),
		  false },
		{ "no code", LOG_GIVEN_UP, FIELDS("create", 400, NULL, "inbox"), false },
		{ "spool", LOG_GIVEN_UP, FIELDS("create", 400, "400-196", "outbox"),
		  false },
		{ "no spool", LOG_GIVEN_UP, FIELDS("create", 400, "400-196", NULL),
		  false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		fold_done(&fold);
		fill(&BAD, S);
		if (fold_add(&fold, table[i].kind, &table[i].fields, LIMIT, S) !=
		    table[i].alike)
			fail_msg("%s", table[i].name);
	}
}

/* The codes of a service may be many: memory does not grow with them. */
static void more_kinds_than_there_is_room_for_are_not_folded(void **state)
{
	char code[32];
	struct log_fields fields = BAD;
	unsigned folded = 0;

	(void)state;
	fields.error_code = code;
	for (unsigned i = 0; i < 3 * FOLD_BURSTS; i++) {
		snprintf(code, sizeof(code), "400-%u", i);
		fill(&fields, S);
		folded += add(&fields, S);
	}
	assert_int_equal(folded, FOLD_BURSTS);
	/* Once those are told of, others get their places. */
	for (const struct fold_burst *b; (b = fold_due(&fold, USEC_INFINITY));)
		fold_told(&fold, b);
	fill(&fields, S + FOLD_QUIET);
	assert_true(add(&fields, S + FOLD_QUIET));
}

static void what_was_copied_outlives_its_source(void **state)
{
	char code[] = "400-1", spool[] = "s", file[] = "/f";
	const struct log_fields fields = { .error_code = code,
					   .spool = spool,
					   .file = file };
	const struct fold_burst *burst;

	(void)state;
	fill(&fields, S);
	assert_true(add(&fields, S));
	code[0] = spool[0] = file[0] = '#';
	burst = fold_due(&fold, USEC_INFINITY);
	assert_string_equal(burst->code, "400-1");
	assert_string_equal(burst->spool, "s");
	assert_string_equal(burst->first, "/f");
	assert_string_equal(burst->last, "/f");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_told_of_nothing),
		TEST(the_first_are_told_one_by_one),
		TEST(a_burst_is_told_of_when_it_is_over),
		TEST(one_that_goes_on_is_told_of_each_span),
		TEST(a_pause_ends_the_burst),
		TEST(none_is_lost_where_nobody_asks),
		TEST(only_like_ones_are_folded_together),
		TEST(more_kinds_than_there_is_room_for_are_not_folded),
		TEST(what_was_copied_outlives_its_source),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
