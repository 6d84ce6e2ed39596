#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "address.h"
#include "macro.h"

/* Each block from its first to its last address, and what lies beside it. */
static const char *const PRIVATE[] = {
	"0.0.0.0",
	"0.255.255.255",
	"10.0.0.0",
	"10.255.255.255",
	"100.64.0.0",
	"100.100.100.200",
	"100.127.255.255",
	"127.0.0.0",
	"127.0.0.1",
	"127.255.255.255",
	"169.254.0.0",
	"169.254.169.254",
	"169.254.255.255",
	"172.16.0.0",
	"172.31.255.255",
	"192.168.0.0",
	"192.168.255.255",
	"224.0.0.0",
	"240.0.0.1",
	"255.255.255.255",

	"::",
	"::1",
	"::2",
	"::10.1.2.3",
	"::127.0.0.1",
	"::ffff:0.0.0.0",
	"::ffff:10.1.2.3",
	"::ffff:7f00:1",
	"::ffff:169.254.169.254",
	"64:ff9b::192.168.1.1",
	"64:ff9b:1::1",
	"2002:7f00:1::",
	"2002:a01:203::1",
	"fc00::",
	"fd00:ec2::254",
	"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"fe80::1",
	"fe80::ffff",
	"fec0::1",
	"feff::1",
	"ff02::1",
};

static const char *const PUBLIC[] = {
	"1.0.0.0",	  "9.255.255.255",   "11.0.0.0",	 "100.63.255.255",
	"100.128.0.0",	  "126.255.255.255", "128.0.0.0",	 "169.253.255.255",
	"169.255.0.0",	  "172.15.255.255",  "172.32.0.0",	 "192.167.255.255",
	"192.169.0.0",	  "203.0.113.1",     "223.255.255.255",

	"::ffff:8.8.8.8", "::8.8.8.8",	     "64:ff9b::8.8.8.8", "2002:808:808::1",
	"2001:db8::1",	  "2606:4700::1111", "fbff::1",		 "fe00::1",
	"fe7f::1",
};

/* By text, and as the kernel has it. */
static void check(const char *text, bool expected)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	bool by_text = !expected, by_socket;

	assert_true(address_parse_is_public(text, &by_text));
	if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
		by_socket = address_is_public((struct sockaddr *)&four);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
		by_socket = address_is_public((struct sockaddr *)&six);
	}
	if (by_text != expected || by_socket != expected)
		fail_msg("%s: %d by text, %d by socket", text, by_text, by_socket);
}

static void test_private(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(PRIVATE); i++)
		check(PRIVATE[i], false);
}

static void test_public(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(PUBLIC); i++)
		check(PUBLIC[i], true);
}

static void test_no_address(void **state)
{
	static const char *const texts[] = { "",	 "localhost",  "127.1",
					     "10",	 "[::1]",      "1.2.3.4.5",
					     "1.2.3.4 ", "0x7f000001", "fe80::1%lo" };
	struct sockaddr unix_socket = { .sa_family = AF_UNIX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		bool untouched = true;

		assert_false(address_parse_is_public(texts[i], &untouched));
		assert_true(untouched);
	}
	assert_false(address_is_public(&unix_socket));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_no_address),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
