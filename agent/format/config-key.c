#include <ctype.h>
#include <strings.h>

#include "config-key.h"
#include "macro.h"

#define NAME_LENGTH_MAX 32 /* of a name that is worth a guess */
#define PART_MIN	4  /* letters that tell what was meant */

#define IN(section, field) SECTION_##section, .offset = offsetof(struct config, field)
#define OF_SPOOL(field)	   SECTION_SPOOL, .offset = offsetof(struct config_spool, field)

/* clang-format off */
const struct config_key_info config_keys[CONFIG_KEYS] = {
	[KEY_BASE_URL] = { "BaseURL", IN(API, api.base_url),
		.kind = CONFIG_BASE_URL, .required = true },
	[KEY_ACCEPT_LANGUAGE] = { "AcceptLanguage", IN(API, api.accept_language),
		.kind = CONFIG_LANGUAGE, .fallback = "en-US" },
	[KEY_TIMEOUT] = { "Timeout", IN(API, api.timeout),
		.kind = CONFIG_SPAN_POSITIVE, .fallback = "30s" },
	[KEY_CONNECT_TIMEOUT] = { "ConnectTimeout", IN(API, api.connect_timeout),
		.kind = CONFIG_SPAN_POSITIVE, .fallback = "10s" },
	[KEY_REQUEST_RATE] = { "RequestRate", IN(API, api.request_interval),
		.kind = CONFIG_RATE, .fallback = "none" },
	[KEY_REQUEST_BURST] = { "RequestBurst", IN(API, api.request_burst),
		.kind = CONFIG_BURST, .fallback = "10" },
	[KEY_CA_FILE] = { "CAFile", IN(API, api.ca_file), .kind = CONFIG_PATH },
	[KEY_CLIENT_CERTIFICATE] = { "ClientCertificate", IN(API, api.client_certificate),
		.kind = CONFIG_PATH },
	[KEY_CLIENT_KEY] = { "ClientKey", IN(API, api.client_key), .kind = CONFIG_PATH },
	[KEY_PROXY] = { "Proxy", IN(API, api.proxy), .kind = CONFIG_PROXY },
	[KEY_ALLOW_INSECURE] = { "AllowInsecure", IN(API, api.allow_insecure),
		.kind = CONFIG_BOOL, .fallback = "no" },

	[KEY_TOKEN_URL] = { "TokenURL", IN(AUTH, auth.token_url),
		.kind = CONFIG_TOKEN_URL },
	[KEY_CLIENT_ID] = { "ClientID", IN(AUTH, auth.client_id), .kind = CONFIG_TEXT },
	[KEY_CLIENT_SECRET_FILE] = { "ClientSecretFile",
		IN(AUTH, auth.client_secret_file), .kind = CONFIG_PATH },
	[KEY_SCOPE] = { "Scope", IN(AUTH, auth.scope), .kind = CONFIG_TEXT },
	[KEY_TOKEN_FILE] = { "TokenFile", IN(AUTH, auth.token_file),
		.kind = CONFIG_PATH },

	[KEY_METHOD] = { "Method", IN(UPLOAD, upload.method),
		.kind = CONFIG_METHOD, .fallback = "auto" },
	[KEY_CONTENT_TYPE] = { "ContentType", IN(UPLOAD, upload.content_type),
		.kind = CONFIG_CONTENT_TYPE, .fallback = "auto" },
	[KEY_MIME_TYPES] = { "MimeTypes", IN(UPLOAD, upload.mime_types),
		.kind = CONFIG_PATH, .fallback = "/etc/mime.types" },
	[KEY_HEADER] = { "Header", IN(UPLOAD, upload.headers), .kind = CONFIG_HEADERS },
	[KEY_MAX_CONCURRENT] = { "MaxConcurrent", IN(UPLOAD, upload.max_concurrent),
		.kind = CONFIG_CONCURRENT, .fallback = "16" },
	[KEY_BANDWIDTH] = { "Bandwidth", IN(UPLOAD, upload.bandwidth),
		.kind = CONFIG_SIZE, .fallback = "none" },
	[KEY_STALL_TIMEOUT] = { "StallTimeout", IN(UPLOAD, upload.stall_timeout),
		.kind = CONFIG_SPAN_POSITIVE, .fallback = "30s" },
	[KEY_ALLOWED_HOSTS] = { "AllowedHosts", IN(UPLOAD, upload.allowed_hosts),
		.kind = CONFIG_HOSTS },

	[KEY_INITIAL_DELAY] = { "InitialDelay", IN(RETRY, retry.initial_delay),
		.kind = CONFIG_SPAN_POSITIVE, .fallback = "1s" },
	[KEY_MAX_DELAY] = { "MaxDelay", IN(RETRY, retry.max_delay),
		.kind = CONFIG_SPAN_POSITIVE, .fallback = "5min" },
	[KEY_MAX_ATTEMPTS] = { "MaxAttempts", IN(RETRY, retry.max_attempts),
		.kind = CONFIG_TRIES, .fallback = "10" },

	[KEY_DIRECTORY] = { "Directory", IN(STATE, state.directory),
		.kind = CONFIG_PATH, .fallback = "/var/lib/asset-agent",
		.environment = "$STATE_DIRECTORY" },

	[KEY_LOG_LEVEL] = { "LogLevel", IN(REPORT, report.log_level),
		.kind = CONFIG_LOG_LEVEL, .fallback = "info" },
	[KEY_LOG_TARGET] = { "LogTarget", IN(REPORT, report.log_target),
		.kind = CONFIG_LOG_TARGET, .fallback = "auto" },
	[KEY_STATUS_FILE] = { "StatusFile", IN(REPORT, report.status_file),
		.kind = CONFIG_PATH, .fallback = "/run/asset-agent/status.json",
		.environment = "$RUNTIME_DIRECTORY", .below = "status.json" },
	[KEY_METRICS_FILE] = { "MetricsFile", IN(REPORT, report.metrics_file),
		.kind = CONFIG_PATH },

	[KEY_PATH] = { "Path", OF_SPOOL(path), .kind = CONFIG_PATH, .required = true },
	[KEY_CHANNEL_TYPE] = { "ChannelType", OF_SPOOL(channel_type),
		.kind = CONFIG_CHANNEL_TYPE, .required = true },
	[KEY_SENDER_TYPE] = { "SenderType", OF_SPOOL(sender_type),
		.kind = CONFIG_SENDER_TYPE, .required = true },
	[KEY_RECURSIVE] = { "Recursive", OF_SPOOL(recursive),
		.kind = CONFIG_BOOL, .fallback = "no" },
	[KEY_IGNORE] = { "Ignore", OF_SPOOL(ignore),
		.kind = CONFIG_GLOBS,
		.fallback = ".* *~ *.tmp *.part *.partial *.crdownload *.swp" },
	[KEY_SETTLE] = { "Settle", OF_SPOOL(settle),
		.kind = CONFIG_SPAN, .fallback = "200ms" },
	[KEY_WATCH] = { "Watch", OF_SPOOL(watch),
		.kind = CONFIG_WATCH, .fallback = "auto" },
	[KEY_POLL_INTERVAL] = { "PollInterval", OF_SPOOL(poll_interval),
		.kind = CONFIG_SPAN_POSITIVE, .fallback = "10s" },
	[KEY_AFTER_UPLOAD] = { "AfterUpload", OF_SPOOL(after_upload),
		.kind = CONFIG_AFTER_UPLOAD, .fallback = "keep" },
	[KEY_DONE_DIRECTORY] = { "DoneDirectory", OF_SPOOL(done_directory),
		.kind = CONFIG_PATH },
	[KEY_MAX_SIZE] = { "MaxSize", OF_SPOOL(max_size),
		.kind = CONFIG_SIZE, .fallback = "none" },
};
/* clang-format on */

static const char *const sections[CONFIG_SECTIONS] = {
	[SECTION_API] = "API",	   [SECTION_AUTH] = "Auth",   [SECTION_UPLOAD] = "Upload",
	[SECTION_RETRY] = "Retry", [SECTION_STATE] = "State", [SECTION_REPORT] = "Report",
	[SECTION_SPOOL] = "Spool",
};

const char *config_section_name(enum config_section section)
{
	return sections[section];
}

int config_section_find(const char *text, const char **ret_name)
{
	if (startswith(text, "Spool:")) {
		*ret_name = text + STRLEN("Spool:");
		return SECTION_SPOOL;
	}
	for (int i = 0; i < CONFIG_SECTIONS; i++)
		if (streq(sections[i], text)) {
			*ret_name = NULL;
			return i;
		}
	return -ENOENT;
}

int config_key_find(enum config_section section, const char *name)
{
	for (int i = 0; i < CONFIG_KEYS; i++)
		if (config_keys[i].section == section && streq(config_keys[i].name, name))
			return i;
	return -ENOENT;
}

/* How many letters must be added, dropped or changed (Levenshtein), whatever their case.
 */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_LENGTH_MAX + 1], length = strlen(b);

	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			int differ = tolower((unsigned char)a[i - 1]) !=
				     tolower((unsigned char)b[j - 1]);
			size_t changed = diagonal + (size_t)differ;

			diagonal = row[j];
			row[j] = MIN(changed, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[length];
}

/* Two letters may be wrong, but not most of a short word. */
static bool is_typo(const char *text, const char *name)
{
	return strlen(text) <= NAME_LENGTH_MAX &&
	       distance(text, name) <= MIN((size_t)2, strlen(name) / 3);
}

/* One is how the other begins. */
static bool is_part(const char *text, const char *name)
{
	size_t length = MIN(strlen(text), strlen(name));

	return length >= PART_MIN && strncasecmp(text, name, length) == 0;
}

int config_key_guess(enum config_section section, const char *name)
{
	for (int i = 0; i < CONFIG_KEYS; i++)
		if (config_keys[i].section == section &&
		    is_typo(name, config_keys[i].name))
			return i;
	for (int i = 0; i < CONFIG_KEYS; i++)
		if (streq(config_keys[i].name, name))
			return i;
	for (int i = 0; i < CONFIG_KEYS; i++)
		if (config_keys[i].section == section &&
		    is_part(name, config_keys[i].name))
			return i;
	return -ENOENT;
}

int config_section_guess(const char *text)
{
	for (int i = 0; i < CONFIG_SECTIONS; i++)
		if (is_typo(text, sections[i]))
			return i;
	/* Such as [spool:x] or [Spool x]. */
	return is_part(text, sections[SECTION_SPOOL]) ? SECTION_SPOOL : -ENOENT;
}

void *config_key_field(struct config *config, struct config_spool *spool,
		       enum config_key key)
{
	char *base = key < KEY_PATH ? (char *)config : (char *)spool;

	return base + config_keys[key].offset;
}

struct config_source *config_key_source(const struct config *config,
					const struct config_spool *spool,
					enum config_key key)
{
	return key < KEY_PATH ? &config->sources[key] : &spool->sources[key - KEY_PATH];
}
