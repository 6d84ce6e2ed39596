#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json.h"

static const struct {
	const char *text;
	enum json_type type;
	int expected;
} parses[] = {
	{ "{}", json_type_object, 0 },
	{ " \t\r\n{} \t\r\n", json_type_object, 0 },
	{ "[]", json_type_array, 0 },
	{ "{\"a\":{\"b\":[1,2.5,true,null,\"x\"]}}", json_type_object, 0 },
	{ "{\"a\":1,\"a\":2}", json_type_object, 0 },
	{ "{\"a\":\"\xC3\xA4 \xF0\x9F\x90\xA6\"}", json_type_object, 0 },
	{ "{\"a\":18446744073709551615}", json_type_object, 0 },
	{ "{\"a\":-9223372036854775808}", json_type_object, 0 },
	/* another type */
	{ "[]", json_type_object, -EBADMSG },
	{ "{}", json_type_array, -EBADMSG },
	{ "\"text\"", json_type_object, -EBADMSG },
	{ "null", json_type_object, -EBADMSG },
	{ "12", json_type_array, -EBADMSG },
	/* nothing, or not all of it */
	{ "", json_type_object, -EBADMSG },
	{ "  ", json_type_object, -EBADMSG },
	{ "{", json_type_object, -EBADMSG },
	{ "{\"a\":", json_type_object, -EBADMSG },
	{ "{\"a\":\"", json_type_object, -EBADMSG },
	{ "{\"a\":\"\\u00", json_type_object, -EBADMSG },
	/* too much */
	{ "{}{}", json_type_object, -EBADMSG },
	{ "{} x", json_type_object, -EBADMSG },
	{ "{},", json_type_object, -EBADMSG },
	{ "{}\v", json_type_object, -EBADMSG },
	{ "[1] 2", json_type_array, -EBADMSG },
	/* what only looks like JSON */
	{ "{\"a\":'x'}", json_type_object, -EBADMSG },
	{ "{a:1}", json_type_object, -EBADMSG },
	{ "{\"a\":1,}", json_type_object, -EBADMSG },
	{ "[1,]", json_type_array, -EBADMSG },
	{ "/* c */{}", json_type_object, -EBADMSG },
	{ "{}//", json_type_object, -EBADMSG },
	{ "{\"a\":01}", json_type_object, -EBADMSG },
	{ "{\"a\":TRUE}", json_type_object, -EBADMSG },
	/* ill-formed UTF-8: a lone byte, overlong, a surrogate, past the end */
	{ "{\"a\":\"\xFF\"}", json_type_object, -EBADMSG },
	{ "{\"a\":\"\xC0\xAF\"}", json_type_object, -EBADMSG },
	{ "{\"a\":\"\xED\xA0\x80\"}", json_type_object, -EBADMSG },
	{ "{\"a\":\"\xF4\x90\x80\x80\"}", json_type_object, -EBADMSG },
	{ "{}\xFF", json_type_object, -EBADMSG },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parses); i++) {
		struct json_object *object = NULL;
		int r = json_parse(parses[i].text, strlen(parses[i].text), parses[i].type,
				   &object);

		if (r != parses[i].expected)
			fail_msg("row %zu: %s: %d", i, parses[i].text, r);
		assert_int_equal(r == 0, object != NULL);
		json_object_put(object);
	}
}

static void test_prefixes(void **state)
{
	static const char text[] =
		"{\"a\":{\"b\":[1,-2.5e3,true,null,\"\\u00e4\xC3\xA4\"]}}";
	struct json_object *object;

	(void)state;
	for (size_t n = 0; n < STRLEN(text); n++) {
		/* In a block of its own, where a read past the end is seen. */
		_cleanup_free_ char *copy = malloc(n + 1);

		memcpy(copy, text, n);
		copy = realloc(copy, n ? n : 1);
		assert_int_equal(json_parse(copy, n, json_type_object, &object),
				 -EBADMSG);
	}
	assert_int_equal(json_parse(text, STRLEN(text), json_type_object, &object), 0);
	json_object_put(object);
}

static void test_nul(void **state)
{
	static const char inside[] = "{\"a\":\"x\0y\"}", after[] = "{}\0";
	struct json_object *object;

	(void)state;
	assert_int_equal(json_parse(inside, STRLEN(inside), json_type_object, &object),
			 -EBADMSG);
	assert_int_equal(json_parse(after, STRLEN(after), json_type_object, &object),
			 -EBADMSG);
}

static int parse_nested(size_t depth)
{
	_cleanup_(json_putp) struct json_object *object = NULL;
	_cleanup_free_ char *text = malloc(2 * depth);

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return json_parse(text, 2 * depth, json_type_array, &object);
}

static void test_depth(void **state)
{
	(void)state;
	assert_int_equal(parse_nested(1), 0);
	assert_int_equal(parse_nested(JSON_DEPTH_MAX - 1), 0);
	assert_int_equal(parse_nested(JSON_DEPTH_MAX + 1), -EBADMSG);
	assert_int_equal(parse_nested(1000000), -EBADMSG);
}

static void test_size(void **state)
{
	_cleanup_free_ char *text = malloc(JSON_SIZE_MAX + 1);
	struct json_object *object = NULL;

	(void)state;
	memset(text, ' ', JSON_SIZE_MAX + 1);
	text[0] = '{';
	text[1] = '}';
	assert_int_equal(json_parse(text, JSON_SIZE_MAX, json_type_object, &object), 0);
	json_object_put(object);
	assert_int_equal(json_parse(text, JSON_SIZE_MAX + 1, json_type_object, &object),
			 -EBADMSG);
}

static const struct {
	const char *text;
	int string, number; /* what the two functions say of "k" */
	const char *string_value;
	uint64_t number_value;
} gets[] = {
	{ "{}", 0, 0, NULL, 0 },
	{ "{\"K\":1}", 0, 0, NULL, 0 },
	{ "{\"k\":null}", 0, 0, NULL, 0 },
	{ "{\"k\":\"\"}", 1, -EBADMSG, "", 0 },
	{ "{\"k\":\"text\"}", 1, -EBADMSG, "text", 0 },
	{ "{\"k\":\"\\u00e4\"}", 1, -EBADMSG, "\xC3\xA4", 0 },
	{ "{\"k\":\"a\\u0000b\"}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":\"\\u0000\"}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":\"12\"}", 1, -EBADMSG, "12", 0 },
	{ "{\"k\":0}", -EBADMSG, 1, NULL, 0 },
	{ "{\"k\":-0}", -EBADMSG, 1, NULL, 0 },
	{ "{\"k\":17245}", -EBADMSG, 1, NULL, 17245 },
	{ "{\"k\":9223372036854775808}", -EBADMSG, 1, NULL, UINT64_C(1) << 63 },
	{ "{\"k\":18446744073709551614}", -EBADMSG, 1, NULL, UINT64_MAX - 1 },
	{ "{\"k\":18446744073709551615}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":18446744073709551616}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":99999999999999999999999999}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":-9223372036854775809}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":-1}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":-9223372036854775808}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":1.0}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":1e3}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":true}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":[1]}", -EBADMSG, -EBADMSG, NULL, 0 },
	{ "{\"k\":{\"k\":1}}", -EBADMSG, -EBADMSG, NULL, 0 },
};

static void test_get(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(gets); i++) {
		_cleanup_(json_putp) struct json_object *object = NULL;
		const char *string = NULL;
		uint64_t number = 0;

		assert_int_equal(json_parse(gets[i].text, strlen(gets[i].text),
					    json_type_object, &object),
				 0);
		if (json_get_string(object, "k", &string) != gets[i].string ||
		    !streq(string, gets[i].string_value))
			fail_msg("row %zu: %s as a string", i, gets[i].text);
		if (json_get_unsigned(object, "k", &number) != gets[i].number ||
		    number != gets[i].number_value)
			fail_msg("row %zu: %s as a number", i, gets[i].text);
	}
}

static void test_format(void **state)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_int_equal(json_add_string(object, "z", "a/b \"q\" \\ \n\x01"), 0);
	assert_int_equal(json_add_string(object, "absent", NULL), 0);
	assert_int_equal(json_add_string(object, "bytes", "\xC3\xA4\xFF\xE2\x82"), 0);
	assert_int_equal(json_add_unsigned(object, "n", UINT64_MAX), 0);
	assert_int_equal(json_add(object, "array", json_object_new_array()), 0);
	assert_int_equal(json_add(object, "failed", NULL), -ENOMEM);
	text = json_format(object, "\n");
	assert_string_equal(text, "{\"z\":\"a/b \\\"q\\\" \\\\ \\n\\u0001\","
				  "\"bytes\":\"\xC3\xA4\xEF\xBF\xBD\xEF\xBF\xBD\","
				  "\"n\":18446744073709551615,\"array\":[]}\n");
}

/* As json-c's objects come out, without one. */
static void test_write(void **state)
{
	struct json_writer writer = {};
	_cleanup_free_ char *text = NULL;

	(void)state;
	json_write_open(&writer, NULL);
	json_write_open(&writer, "empty");
	json_write_close(&writer);
	json_write_string(&writer, "z", "a/b \"q\" \\ \n\x01");
	json_write_string(&writer, "absent", NULL);
	json_write_open(&writer, "in");
	json_write_string(&writer, "bytes", "\xC3\xA4\xFF\xE2\x82");
	json_write_unsigned(&writer, "zero", 0);
	json_write_close(&writer);
	json_write_unsigned(&writer, "n", UINT64_MAX);
	json_write_close(&writer);
	text = json_write_end(&writer, "\n");
	assert_string_equal(text,
			    "{\"empty\":{},\"z\":\"a/b \\\"q\\\" \\\\ \\n\\u0001\","
			    "\"in\":{\"bytes\":\"\xC3\xA4\xEF\xBF\xBD\xEF\xBF\xBD\","
			    "\"zero\":0},\"n\":18446744073709551615}\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),  cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_nul),    cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size),   cmocka_unit_test(test_get),
		cmocka_unit_test(test_format), cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
