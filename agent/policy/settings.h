#pragma once

/*
 * Settings: what the parts of the agent are told of a configuration, the first one and
 * each that comes later.
 */

#include "config.h"
#include "health.h"
#include "http.h"

/* Borrows from @config. */
struct http_settings settings_for_http(const struct config *config);
struct backoff settings_for_breakers(const struct config *config);

void settings_name_services(struct health *health, const struct config *config);

/* From now on lines go where, and are as many as, @config says. */
void settings_log(const struct config *config);
