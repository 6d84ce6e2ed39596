#include "settings.h"
#include "log.h"

struct http_settings settings_for_http(const struct config *config)
{
	return (struct http_settings){
		.ca_file = config->api.ca_file,
		.client_certificate = config->api.client_certificate,
		.client_key = config->api.client_key,
		.proxy = config->api.proxy,
		.connect_timeout = config->api.connect_timeout,
		.connections_max = 2 * config->upload.max_concurrent + 2,
		.bandwidth = config->upload.bandwidth,
	};
}

struct backoff settings_for_breakers(const struct config *config)
{
	return (struct backoff){ config->retry.initial_delay, config->retry.max_delay };
}

void settings_name_services(struct health *health, const struct config *config)
{
	health_name(health, HEALTH_AUTH,
		    config->auth.token_file ? config->auth.token_file
					    : config->auth.token_url);
	health_name(health, HEALTH_API, config->api.base_url);
	health_name(health, HEALTH_DISK, config->state.directory);
}

static enum log_target choose_target(enum log_target_choice choice)
{
	switch (choice) {
	case LOG_CHOICE_JOURNAL: return LOG_TO_JOURNAL;
	case LOG_CHOICE_STDERR: return LOG_TO_STDERR;
	case LOG_CHOICE_AUTO: break;
	}
	return log_stderr_is_journal() ? LOG_TO_JOURNAL : LOG_TO_STDERR;
}

void settings_log(const struct config *config)
{
	log_init(choose_target(config->report.log_target), config->report.log_level);
}
