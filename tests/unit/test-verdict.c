#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "verdict.h"

#define STAGES	   (STAGE_UPLOAD + 1)
#define TRANSPORTS (TRANSPORT_LOCAL + 1)
#define VERDICTS   (VERDICT_REJECT + 1)

/* What nobody has named. */
static const enum verdict USUAL[STAGES] = {
	[STAGE_SPOOL] = VERDICT_AGAIN,
	[STAGE_TOKEN] = VERDICT_PAUSE_AUTH,
	[STAGE_CREATE] = VERDICT_PAUSE_API,
	[STAGE_UPLOAD] = VERDICT_PAUSE_STORAGE,
};

struct answer {
	int first, last;
	const char *code;
	enum verdict fresh, resumed;
};

static void check(const struct outcome *o, enum verdict expected)
{
	enum verdict verdict = verdict_for(o);

	if (verdict != expected)
		fail_msg("%s, %s, %d %s%s%s: %s, not %s", stage_name(o->stage),
			 transport_name(o->transport), o->status, o->code ?: "",
			 o->resumed ? " resumed" : "", o->page ? " page" : "",
			 verdict_name(verdict), verdict_name(expected));
}

static void check_answers(enum stage stage, const struct answer *answers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (int status = answers[i].first; status <= answers[i].last; status++) {
			struct outcome o = { stage,  TRANSPORT_ANSWERED,
					     status, answers[i].code,
					     false,  false };

			check(&o, answers[i].fresh);
			o.resumed = true;
			check(&o, answers[i].resumed);
		}
}

#define BOTH(v) VERDICT_##v, VERDICT_##v

static void test_token_answers(void **state)
{
	static const struct answer answers[] = {
		{ 100, 199, NULL, BOTH(PAUSE_AUTH) },
		{ 200, 299, NULL, BOTH(DONE) },
		{ 300, 599, NULL, BOTH(PAUSE_AUTH) },
		{ 400, 400, "invalid_client", BOTH(PAUSE_AUTH) },
	};

	(void)state;
	check_answers(STAGE_TOKEN, answers, ARRAY_SIZE(answers));
}

static void test_create_answers(void **state)
{
	static const struct answer answers[] = {
		{ 100, 199, NULL, BOTH(PAUSE_API) },
		{ 200, 299, NULL, BOTH(DONE) },
		{ 300, 399, NULL, BOTH(PAUSE_API) },
		{ 400, 400, NULL, BOTH(REJECT) },
		{ 400, 400, "400-196", BOTH(REJECT) },
		{ 400, 400, "ExpiredToken", BOTH(REJECT) },
		{ 401, 401, NULL, BOTH(REAUTH) },
		{ 401, 401, "401-104", BOTH(REAUTH) },
		{ 402, 412, NULL, BOTH(PAUSE_API) },
		{ 403, 403, "403-112", BOTH(PAUSE_API) },
		{ 403, 403, "AccessDenied", BOTH(PAUSE_API) },
		{ 413, 413, NULL, BOTH(REJECT) },
		{ 414, 421, NULL, BOTH(PAUSE_API) },
		{ 422, 422, NULL, BOTH(REJECT) },
		{ 423, 599, NULL, BOTH(PAUSE_API) },
		{ 429, 429, "429-001", BOTH(PAUSE_API) },
	};

	(void)state;
	check_answers(STAGE_CREATE, answers, ARRAY_SIZE(answers));
}

static void test_upload_answers(void **state)
{
	static const struct answer answers[] = {
		{ 100, 199, NULL, BOTH(PAUSE_STORAGE) },
		{ 200, 299, NULL, BOTH(DONE) },
		{ 200, 200, "ExpiredToken", BOTH(DONE) },
		{ 300, 399, NULL, BOTH(PAUSE_STORAGE) },
		{ 400, 400, NULL, BOTH(REJECT) },
		{ 400, 400, "EntityTooLarge", BOTH(REJECT) },
		{ 400, 400, "ExpiredToken", BOTH(RESIGN) },
		{ 400, 400, "RequestTimeout", BOTH(PAUSE_STORAGE) },
		{ 400, 400, "IncompleteBody", BOTH(AGAIN) },
		{ 400, 400, "MissingRequiredHeader", BOTH(PAUSE_STORAGE) },
		{ 401, 401, NULL, BOTH(RESIGN) },
		{ 402, 402, NULL, BOTH(PAUSE_STORAGE) },
		{ 403, 404, NULL, BOTH(RESIGN) },
		{ 403, 403, "AccessDenied", BOTH(RESIGN) },
		{ 403, 403, "AuthenticationFailed", BOTH(RESIGN) },
		{ 403, 403, "UnauthorizedBlobOverwrite", VERDICT_RESIGN, VERDICT_DONE },
		{ 403, 403, "SignatureDoesNotMatch", BOTH(RESIGN) },
		{ 405, 408, NULL, BOTH(PAUSE_STORAGE) },
		{ 409, 409, NULL, VERDICT_RESIGN, VERDICT_DONE },
		{ 409, 409, "BlobAlreadyExists", VERDICT_RESIGN, VERDICT_DONE },
		{ 409, 409, "OperationAborted", BOTH(AGAIN) },
		{ 409, 409, "ConditionalRequestConflict", BOTH(AGAIN) },
		{ 410, 410, NULL, BOTH(RESIGN) },
		{ 411, 411, NULL, BOTH(REJECT) },
		{ 412, 412, NULL, VERDICT_RESIGN, VERDICT_DONE },
		{ 412, 412, "PreconditionFailed", VERDICT_RESIGN, VERDICT_DONE },
		{ 413, 413, NULL, BOTH(REJECT) },
		{ 414, 414, NULL, BOTH(PAUSE_STORAGE) },
		{ 415, 415, NULL, BOTH(REJECT) },
		{ 415, 415, "AuthenticationFailed", BOTH(RESIGN) },
		{ 416, 421, NULL, BOTH(PAUSE_STORAGE) },
		{ 422, 422, NULL, BOTH(AGAIN) },
		{ 423, 599, NULL, BOTH(PAUSE_STORAGE) },
		{ 422, 422, "AccessDenied", BOTH(RESIGN) },
		{ 422, 422, "SignatureDoesNotMatch", BOTH(RESIGN) },
		{ 503, 503, "SlowDown", BOTH(PAUSE_STORAGE) },
		{ 503, 503, "ExpiredToken", BOTH(PAUSE_STORAGE) },
	};

	(void)state;
	check_answers(STAGE_UPLOAD, answers, ARRAY_SIZE(answers));
}

/* Of all that a page can come with, it changes what tells that a body has arrived. */
static void test_a_page_is_no_receipt(void **state)
{
	(void)state;
	for (enum stage stage = 0; stage < STAGES; stage++)
		for (int status = 100; status <= 599; status++) {
			struct outcome o = { .stage = stage, .status = status };
			enum verdict fresh = verdict_for(&o);

			o.page = o.resumed = true;
			check(&o, fresh);
		}
}

static enum verdict without_answer(enum stage stage, enum transport transport)
{
	static const struct {
		enum stage stage;
		enum transport transport;
		enum verdict verdict;
	} exceptions[] = {
		{ STAGE_SPOOL, TRANSPORT_SOURCE, VERDICT_REJECT },
		{ STAGE_TOKEN, TRANSPORT_LOCAL, VERDICT_LATER },
		{ STAGE_CREATE, TRANSPORT_SOURCE, VERDICT_AGAIN },
		{ STAGE_CREATE, TRANSPORT_LOCAL, VERDICT_LATER },
		{ STAGE_UPLOAD, TRANSPORT_STALL, VERDICT_AGAIN },
		{ STAGE_UPLOAD, TRANSPORT_RESET, VERDICT_AGAIN },
		{ STAGE_UPLOAD, TRANSPORT_SOURCE, VERDICT_AGAIN },
		{ STAGE_UPLOAD, TRANSPORT_LOCAL, VERDICT_LATER },
		{ STAGE_UPLOAD, TRANSPORT_REFUSED_URL, VERDICT_PAUSE_API },
	};

	for (size_t i = 0; i < ARRAY_SIZE(exceptions); i++)
		if (exceptions[i].stage == stage && exceptions[i].transport == transport)
			return exceptions[i].verdict;
	return USUAL[stage];
}

/* Then no status, code or earlier body may count. */
static void test_without_answer(void **state)
{
	static const int statuses[] = { 0, 200, 400, 401, 409, 503 };

	(void)state;
	for (unsigned stage = 0; stage < STAGES; stage++)
		for (unsigned t = TRANSPORT_ANSWERED + 1; t < TRANSPORTS; t++)
			for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
				struct outcome o = { stage,	     t,	   statuses[i],
						     "ExpiredToken", true, false };

				check(&o, without_answer(stage, t));
			}
}

/* Nothing opens another's breaker, and only the API's answers ask for a new token. */
static void test_total(void **state)
{
#define V(v) (1U << VERDICT_##v)
	static const unsigned allowed[STAGES] = {
		[STAGE_SPOOL] = V(AGAIN) | V(REJECT),
		[STAGE_TOKEN] = V(DONE) | V(LATER) | V(PAUSE_AUTH),
		[STAGE_CREATE] = V(DONE) | V(AGAIN) | V(REAUTH) | V(LATER) |
				 V(PAUSE_API) | V(REJECT),
		[STAGE_UPLOAD] = V(DONE) | V(AGAIN) | V(RESIGN) | V(LATER) |
				 V(PAUSE_API) | V(PAUSE_STORAGE) | V(REJECT),
	};
	static const char *const codes[] = { NULL, "", "400-196", "ExpiredToken",
					     "AccessDenied" };
	unsigned seen[STAGES] = {};

	(void)state;
	for (unsigned stage = 0; stage < STAGES; stage++)
		for (unsigned t = 0; t < TRANSPORTS; t++)
			for (int status = 100; status <= 599; status++)
				for (size_t i = 0; i < 2 * ARRAY_SIZE(codes); i++) {
					struct outcome o = { stage,	 t,
							     status,	 codes[i / 2],
							     i % 2 == 1, false };

					seen[stage] |= 1U << verdict_for(&o);
				}
	/* None that is not allowed, and none of those that never comes. */
	for (unsigned stage = 0; stage < STAGES; stage++)
		assert_int_equal(seen[stage], allowed[stage]);
}

/* curl gives 0 where no status line came. */
static void test_no_status_is_no_success(void **state)
{
	static const int statuses[] = { -1, 0, 99, 600, 999 };

	(void)state;
	for (unsigned stage = 0; stage < STAGES; stage++)
		for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
			check(&(struct outcome){ .stage = stage, .status = statuses[i] },
			      USUAL[stage]);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(stage_name(STAGE_SPOOL), "spool");
	assert_string_equal(stage_name(STAGE_TOKEN), "token");
	assert_string_equal(stage_name(STAGE_CREATE), "create");
	assert_string_equal(stage_name(STAGE_UPLOAD), "upload");
	for (unsigned i = 0; i < TRANSPORTS; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(transport_name(i), transport_name(j));
	for (unsigned i = 0; i < VERDICTS; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(verdict_name(i), verdict_name(j));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token_answers),
		cmocka_unit_test(test_create_answers),
		cmocka_unit_test(test_upload_answers),
		cmocka_unit_test(test_a_page_is_no_receipt),
		cmocka_unit_test(test_without_answer),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_no_status_is_no_success),
		cmocka_unit_test(test_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
