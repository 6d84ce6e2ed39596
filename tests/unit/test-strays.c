#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "macro.h"
#include "strays.h"

#define HERE  "/var/spool/asset-agent"
#define THERE "/srv/outbox"

static void add(struct strays *s, const char *directory, const char *name,
		uint64_t serial)
{
	assert_int_equal(strays_add(s, directory, name, serial), 0);
}

/* Whether the row is among those that may be of that file. */
static uint64_t find(struct strays *s, const char *directory, const char *name,
		     uint64_t serial)
{
	uint64_t key = 0;

	while ((key = strays_next_of(s, directory, name, key)))
		if (strays_serial(key) == serial)
			break;
	return key;
}

static void test_none(void **state)
{
	struct strays s = {};

	(void)state;
	assert_int_equal(strays_count(&s), 0);
	assert_int_equal(strays_next(&s, 0), 0);
	assert_int_equal(strays_next_of(&s, HERE, "a", 0), 0);
	strays_done(&s);
}

static void test_finds_by_directory_and_name(void **state)
{
	struct strays s = {};

	(void)state;
	add(&s, HERE, "a", 7);
	add(&s, THERE, "a", 8);
	add(&s, HERE, "b", 9);
	assert_int_equal(strays_count(&s), 3);
	assert_int_not_equal(find(&s, HERE, "a", 7), 0);
	assert_int_not_equal(find(&s, THERE, "a", 8), 0);
	assert_int_not_equal(find(&s, HERE, "b", 9), 0);
	/* Where one part ends and the next begins is not all the same. */
	assert_int_equal(find(&s, HERE "a", "", 7), 0);
	strays_remove(&s, find(&s, HERE, "a", 7));
	assert_int_equal(find(&s, HERE, "a", 7), 0);
	assert_int_equal(strays_count(&s), 2);
	strays_done(&s);
}

/* An upload that lacks its end, and the grant of what was put in its place. */
static void test_the_oldest_of_a_file_comes_first(void **state)
{
	struct strays s = {};
	uint64_t key;

	(void)state;
	add(&s, HERE, "a", 12);
	add(&s, HERE, "a", 3);
	key = strays_next_of(&s, HERE, "a", 0);
	assert_int_equal(strays_serial(key), 3);
	key = strays_next_of(&s, HERE, "a", key);
	assert_int_equal(strays_serial(key), 12);
	assert_int_equal(strays_next_of(&s, HERE, "a", key), 0);
	strays_done(&s);
}

static void test_greatest(void **state)
{
	uint64_t greatest = (UINT64_C(1) << 39) - 1;
	struct strays s = {};

	(void)state;
	add(&s, HERE, "a", greatest);
	assert_int_equal(strays_serial(strays_next(&s, 0)), greatest);
	assert_int_equal(strays_add(&s, HERE, "a", greatest + 1), -ERANGE);
	assert_int_equal(strays_count(&s), 1);
	strays_done(&s);
}

/* A walk that takes out all that it meets, or some, meets each once. */
static void test_walk(void **state)
{
	enum { COUNT = 1000 };
	bool met[COUNT + 1] = {};
	struct strays s = {};
	uint64_t key = 0;

	(void)state;
	for (unsigned i = 1; i <= COUNT; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		add(&s, HERE, name, i);
	}
	while ((key = strays_next(&s, key))) {
		uint64_t serial = strays_serial(key);

		assert_false(met[serial]);
		met[serial] = true;
		if (serial % 10 != 0)
			strays_remove(&s, key);
	}
	for (unsigned i = 1; i <= COUNT; i++)
		assert_true(met[i]);
	assert_int_equal(strays_count(&s), COUNT / 10);
	while ((key = strays_next(&s, 0)))
		strays_remove(&s, key);
	assert_int_equal(strays_count(&s), 0);
	assert_null(s.keys);
}

/* What a million costs, and how many others are met with one. */
static void test_a_million(void **state)
{
	enum { COUNT = 1000000, LOOKS = 10000 };
	struct strays s = {};
	size_t others = 0;

	(void)state;
	for (unsigned i = 1; i <= COUNT; i++) {
		char name[32];

		snprintf(name, sizeof(name), "file-%u.jpg", i);
		add(&s, HERE, name, i);
	}
	for (unsigned i = 1; i <= LOOKS; i++) {
		unsigned serial = i * (COUNT / LOOKS);
		uint64_t key = 0;
		bool met = false;
		char name[32];

		snprintf(name, sizeof(name), "file-%u.jpg", serial);
		while ((key = strays_next_of(&s, HERE, name, key))) {
			met |= strays_serial(key) == serial;
			others += strays_serial(key) != serial;
		}
		assert_true(met);
	}
	assert_in_range(s.count * sizeof(*s.keys), 0, 8000000);
	assert_in_range(others, 0, LOOKS / 10);
	strays_done(&s);
}

/* Added, found and removed in any order, it knows what a list knows. */
static void test_against_the_model(void **state)
{
	enum { SERIALS = 200, STEPS = 20000 };
	bool there[SERIALS + 1] = {};
	struct strays s = {};
	size_t count = 0;

	(void)state;
	srandom(1);
	for (int i = 0; i < STEPS; i++) {
		uint64_t serial = 1 + (uint64_t)random() % SERIALS, key;
		char name[16];

		snprintf(name, sizeof(name), "%llu", (unsigned long long)serial / 3);
		key = find(&s, HERE, name, serial);
		assert_int_equal(key != 0, there[serial]);
		if (key)
			strays_remove(&s, key);
		else
			add(&s, HERE, name, serial);
		there[serial] = !there[serial];
		count += there[serial] ? 1 : -1UL;
		assert_int_equal(strays_count(&s), count);
	}
	strays_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_finds_by_directory_and_name),
		cmocka_unit_test(test_the_oldest_of_a_file_comes_first),
		cmocka_unit_test(test_greatest),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_a_million),
		cmocka_unit_test(test_against_the_model),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("strays", tests, NULL, NULL);
}
