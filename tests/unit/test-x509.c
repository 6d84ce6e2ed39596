#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "macro.h"
#include "x509.h"

/* Until 2029-08-22 04:30:55, which is written as UTCTime. */
static const char utc_time[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBfTCCASOgAwIBAgIUD5ZJoeAfERrDUFCSyoZLk4vsTbkwCgYIKoZIzj0EAwIw\n"
	"FDESMBAGA1UEAwwJdW5pdCB0ZXN0MB4XDTI2MTEyNjA0MzA1NVoXDTI5MDgyMjA0\n"
	"MzA1NVowFDESMBAGA1UEAwwJdW5pdCB0ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"
	"AQcDQgAETwqe1RaZpzCP+cb6Hb2i693dpDD6uoJG9dmVHJG0NuHJleJ8VHzKQGK9\n"
	"uyjKw5ipwT5bau76/UxURS1y/ON2NKNTMFEwHQYDVR0OBBYEFDnmQvq+jr7WIHWn\n"
	"IMdyXoFga2gRMB8GA1UdIwQYMBaAFDnmQvq+jr7WIHWnIMdyXoFga2gRMA8GA1Ud\n"
	"EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAM0i/z7vEXWc17tcfIow67Vd\n"
	"4rdlPLRR+nVeMjqE15siAiAHP6tjA0P4wwlH+6IwBdoc8KLnzeSIcokKQ4GpcPM2\n"
	"2w==\n"
	"-----END CERTIFICATE-----\n";

/* Until 2081-08-29 04:30:55, as GeneralizedTime. */
static const char generalized_time[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBfzCCASWgAwIBAgIUfkcqUg8hH2Rn4W2SvOfNaiU+YDMwCgYIKoZIzj0EAwIw\n"
	"FDESMBAGA1UEAwwJdW5pdCB0ZXN0MCAXDTI2MTEyNjA0MzA1NVoYDzIwODEwODI5\n"
	"MDQzMDU1WjAUMRIwEAYDVQQDDAl1bml0IHRlc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
	"PQMBBwNCAAQQ4/EbOXJJUo6rrbt9AnRwp7SaR+wMYzW0Y/ctTaQoKnai4IZelPsl\n"
	"0aXuQHHWygZxYYEXODjsd5C2e4gU6QKOo1MwUTAdBgNVHQ4EFgQUxoDX1NSxxofx\n"
	"Z6FEjsd4IRK7s9kwHwYDVR0jBBgwFoAUxoDX1NSxxofxZ6FEjsd4IRK7s9kwDwYD\n"
	"VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA4APChySvIziFIblRMoHD\n"
	"xhrI6oyCTZJk+O/4ldlKStcCIGN4FVQryCxp2qQdtr1zp2V804pcJdu0hjX+Dm7D\n"
	"FHOD\n"
	"-----END CERTIFICATE-----\n";

static usec_t instant(const char *text)
{
	struct timespec t;

	assert_int_equal(clock_parse(text, &t), 0);
	return usec_from_timespec(t);
}

static void assert_expires(const char *text, size_t length, const char *at)
{
	usec_t expires = 0;

	assert_int_equal(x509_expires(text, length, &expires), 0);
	assert_int_equal(expires, instant(at));
}

static void test_both_forms_of_time(void **state)
{
	(void)state;
	assert_expires(utc_time, STRLEN(utc_time), "2029-08-22T04:30:55Z");
	assert_expires(generalized_time, STRLEN(generalized_time),
		       "2081-08-29T04:30:55Z");
}

static void test_the_first_of_several_counts(void **state)
{
	_cleanup_free_ char *text = NULL;
	int length = asprintf(&text, "subject=somebody\n%s%s", utc_time,
			      generalized_time);

	(void)state;
	assert_true(length > 0);
	assert_expires(text, (size_t)length, "2029-08-22T04:30:55Z");
}

static void test_what_is_none(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{ "", -ENOENT },
		{ "nothing of the kind", -ENOENT },
		{ "-----BEGIN CERTIFICATE-----", -EBADMSG },
		{ "-----BEGIN CERTIFICATE----------END CERTIFICATE-----", -EBADMSG },
		{ "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----",
		  -EBADMSG },
		{ "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
		  -EBADMSG },
		/* lengths that lie */
		{ "-----BEGIN CERTIFICATE-----\nMIT/////\n-----END CERTIFICATE-----",
		  -EBADMSG },
		{ "-----BEGIN CERTIFICATE-----\nMP//////\n-----END CERTIFICATE-----",
		  -EBADMSG },
		{ "-----BEGIN CERTIFICATE-----\nMIA=\n-----END CERTIFICATE-----",
		  -EBADMSG },
	};
	usec_t expires = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(x509_expires(rows[i].text, strlen(rows[i].text),
					      &expires),
				 rows[i].error);
	assert_int_equal(expires, 42);
}

/* Cut at each byte, and with each letter of the head changed, it is told or refused. */
static void test_damage(void **state)
{
	char text[sizeof(utc_time)];
	usec_t expires;

	(void)state;
	for (size_t i = 0; i < STRLEN(utc_time); i++) {
		int r = x509_expires(utc_time, i, &expires);

		/* The last newline may be missing. */
		assert_true(r < 0 || i == STRLEN(utc_time) - 1);
	}
	for (size_t i = 0; i < STRLEN(utc_time); i++) {
		int r;

		memcpy(text, utc_time, sizeof(text));
		text[i] = 'f';
		r = x509_expires(text, STRLEN(utc_time), &expires);
		assert_true(r == 0 || r == -EBADMSG || r == -ENOENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_forms_of_time),
		cmocka_unit_test(test_the_first_of_several_counts),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
