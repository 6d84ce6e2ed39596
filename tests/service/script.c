#include <assert.h>

#include "script.h"

static void rule_free(struct rule *rule)
{
	free((char *)rule->fault.body);
	free((char *)rule->fault.headers);
	free((char *)rule->fault.drip);
	free(rule);
}

DEFINE_CLEANUP(struct rule *, rule_freep, rule_free)

static const char *copy_string(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* A rule that can't work would only make its scenario pass for the wrong reason. */
static void check(const struct fault *fault)
{
	assert(fault->endpoint < ENDPOINT_COUNT);
	assert(fault->phase != FAULT_IN_BODY || fault->action == FAULT_STALL ||
	       fault->action == FAULT_RESET || fault->action == FAULT_CONTINUE);
	assert((fault->action == FAULT_DRIP) ==
	       (fault->body && fault->drip && fault->drip[0]));
	assert(fault->status == 0 || (fault->status >= 200 && fault->status <= 599));
}

int script_add(struct script *script, const struct fault *fault)
{
	_cleanup_(rule_freep) struct rule *rule = calloc(1, sizeof(*rule));
	struct rule **rules;

	check(fault);
	if (!rule)
		return -ENOMEM;
	rule->fault = *fault;
	rule->fault.body = copy_string(fault->body);
	rule->fault.headers = copy_string(fault->headers);
	rule->fault.drip = copy_string(fault->drip);
	if (!rule->fault.body != !fault->body ||
	    !rule->fault.headers != !fault->headers || !rule->fault.drip != !fault->drip)
		return -ENOMEM;

	rules = reallocarray(script->rules, script->count + 1, sizeof(struct rule *));
	if (!rules)
		return -ENOMEM;
	script->rules = rules;
	script->rules[script->count++] = take_ptr(rule);
	return 0;
}

void script_clear(struct script *script)
{
	for (size_t i = 0; i < script->count; i++)
		script->rules[i]->cleared = true;
}

void script_done(struct script *script)
{
	for (size_t i = 0; i < script->count; i++)
		rule_free(script->rules[i]);
	free(script->rules);
	*script = (struct script){ 0 };
}

static bool strikes(struct rule *rule, enum endpoint endpoint)
{
	const struct fault *fault = &rule->fault;

	if (rule->cleared || (fault->times && rule->struck == fault->times))
		return false;
	if (fault->endpoint != ENDPOINT_ANY && fault->endpoint != endpoint)
		return false;
	if (rule->passed < fault->skip) {
		rule->passed++;
		return false;
	}
	rule->struck++;
	return true;
}

const struct fault *script_strike(struct script *script, enum endpoint endpoint)
{
	for (size_t i = 0; i < script->count; i++) {
		if (strikes(script->rules[i], endpoint))
			return &script->rules[i]->fault;
	}
	return NULL;
}
