#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "tally.h"

static const struct {
	enum transport transport;
	int status;
	const char *reason;
} reasons[] = {
	{ TRANSPORT_ANSWERED, 302, "http_3xx" },
	{ TRANSPORT_ANSWERED, 400, "http_4xx" },
	{ TRANSPORT_ANSWERED, 499, "http_4xx" },
	{ TRANSPORT_ANSWERED, 503, "http_5xx" },
	{ TRANSPORT_ANSWERED, 200, "other" },
	{ TRANSPORT_ANSWERED, 999, "other" },
	{ TRANSPORT_RESOLVE, 0, "resolve" },
	{ TRANSPORT_CONNECT, 0, "connect" },
	{ TRANSPORT_TLS, 0, "tls" },
	{ TRANSPORT_TIMEOUT, 0, "timeout" },
	{ TRANSPORT_STALL, 0, "stall" },
	/* a status counts only where there was a whole answer */
	{ TRANSPORT_RESET, 503, "reset" },
	{ TRANSPORT_GARBAGE, 0, "garbage" },
	{ TRANSPORT_BAD_ANSWER, 200, "bad_answer" },
	{ TRANSPORT_SOURCE, 0, "source" },
	{ TRANSPORT_REFUSED_URL, 0, "url" },
	{ TRANSPORT_LOCAL, 0, "local" },
};

static void test_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		assert_string_equal(tally_reason_name(tally_reason_of(
					    reasons[i].transport, reasons[i].status)),
				    reasons[i].reason);
}

/* Labels are words of their own, fit for every consumer. */
static void test_names(void **state)
{
	(void)state;
	for (enum tally_reason a = 0; a < TALLY_REASONS; a++) {
		assert_int_equal(strspn(tally_reason_name(a),
					"abcdefghijklmnopqrstuvwxyz_0123456789"),
				 strlen(tally_reason_name(a)));
		for (enum tally_reason b = 0; b < a; b++)
			assert_string_not_equal(tally_reason_name(a),
						tally_reason_name(b));
	}
}

/* What an answer can mean is possible at the stages that ask somebody. */
static void test_possible(void **state)
{
	(void)state;
	for (enum stage stage = STAGE_TOKEN; stage <= STAGE_UPLOAD; stage++) {
		assert_true(tally_is_possible(stage, TALLY_HTTP_5XX));
		assert_true(tally_is_possible(stage, TALLY_CONNECT));
	}
	assert_true(tally_is_possible(STAGE_SPOOL, TALLY_SOURCE));
	assert_false(tally_is_possible(STAGE_SPOOL, TALLY_HTTP_5XX));
	assert_false(tally_is_possible(STAGE_TOKEN, TALLY_SOURCE));
}

static const struct {
	usec_t duration;
	size_t bucket; /* TALLY_BUCKETS: beyond the last */
} durations[] = {
	{ 0, 0 },
	{ 5 * USEC_PER_MSEC, 0 },
	{ 5 * USEC_PER_MSEC + 1, 1 },
	{ USEC_PER_SEC, 7 },
	{ 10 * USEC_PER_MINUTE, TALLY_BUCKETS - 1 },
	{ 10 * USEC_PER_MINUTE + 1, TALLY_BUCKETS },
	{ USEC_INFINITY, TALLY_BUCKETS },
};

static void test_latency(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		struct tally tally = {};
		uint64_t counted = 0;

		tally_request(&tally, STAGE_CREATE, TRANSPORT_ANSWERED, 200,
			      durations[i].duration);
		for (size_t b = 0; b < TALLY_BUCKETS; b++) {
			assert_int_equal(tally.latency[STAGE_CREATE].counts[b],
					 b == durations[i].bucket);
			counted += tally.latency[STAGE_CREATE].counts[b];
		}
		assert_true(counted <= tally.latency[STAGE_CREATE].total);
		assert_int_equal(tally.latency[STAGE_CREATE].total, 1);
		assert_true(tally.latency[STAGE_CREATE].sum == durations[i].duration);
		assert_int_equal(tally.latency[STAGE_UPLOAD].total, 0);
	}
}

static void test_bounds_rise(void **state)
{
	(void)state;
	for (size_t i = 1; i < TALLY_BUCKETS; i++)
		assert_true(TALLY_BOUNDS[i] > TALLY_BOUNDS[i - 1]);
}

static void test_errors(void **state)
{
	struct tally tally = {};

	(void)state;
	tally_request(&tally, STAGE_UPLOAD, TRANSPORT_ANSWERED, 201, 1);
	tally_request(&tally, STAGE_UPLOAD, TRANSPORT_ANSWERED, 503, 1);
	tally_request(&tally, STAGE_UPLOAD, TRANSPORT_STALL, 0, 1);
	tally_request(&tally, STAGE_UPLOAD, TRANSPORT_STALL, 0, USEC_INFINITY);
	assert_int_equal(tally.errors[STAGE_UPLOAD][TALLY_HTTP_5XX], 1);
	assert_int_equal(tally.errors[STAGE_UPLOAD][TALLY_STALL], 2);
	assert_int_equal(tally.errors[STAGE_UPLOAD][TALLY_OTHER], 0);
	assert_int_equal(tally.latency[STAGE_UPLOAD].total, 4);
	assert_true(tally.latency[STAGE_UPLOAD].sum == USEC_INFINITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reason),	 cmocka_unit_test(test_names),
		cmocka_unit_test(test_possible), cmocka_unit_test(test_latency),
		cmocka_unit_test(test_errors),	 cmocka_unit_test(test_bounds_rise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
