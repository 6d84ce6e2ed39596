/* The table of keys, one a line, for test-manual: section, key, "required" or the default
 * or "none", and what a value must be, with tabs in between. */

#include <stdio.h>

#include "config-key.h"

static const char *fallback(const struct config_key_info *key)
{
	if (key->required)
		return "required";
	return key->fallback ? key->fallback : "none";
}

int main(void)
{
	for (int i = 0; i < CONFIG_KEYS; i++)
		printf("%s\t%s\t%s\t%s\n", config_section_name(config_keys[i].section),
		       config_keys[i].name, fallback(&config_keys[i]),
		       config_value_expected(config_keys[i].kind));
	return 0;
}
