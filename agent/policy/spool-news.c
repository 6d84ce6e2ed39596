#include "spool-news.h"
#include "log.h"
#include "macro.h"

void spool_news_tell_not_a_file(struct failures *failures,
				struct spool_directory *directory, const char *name,
				const char *why)
{
	const struct spool *spool = spool_of(directory);
	_cleanup_free_ char *path = NULL;
	struct log_fields fields = { .stage = "spool" };

	if (asprintf(&path, "%s/%s", spool_directory_path(directory), name) < 0)
		path = NULL;
	fields.file = path;
	fields.spool = spool ? spool_config(spool)->name : NULL;
	log_event(failures_level(failures, LOG_NOT_A_FILE, &fields), LOG_NOT_A_FILE,
		  &fields, "Not uploading %s: it is %s.", path ? path : name, why);
}

static void tell_polling(const struct config_spool *config, int error)
{
	const struct log_fields fields = { .spool = config->name };
	char span[CLOCK_STRING_MAX];

	clock_format_span(span, config->poll_interval);
	if (error == -ENOSPC)
		log_event(
			LOG_WARNING, LOG_POLLING, &fields,
			"Polling %s every %s: the kernel's limit of watched directories is "
			"reached. Raise fs.inotify.max_user_watches (sysctl).",
			config->path, span);
	else if (error == -EMFILE)
		log_event(
			LOG_WARNING, LOG_POLLING, &fields,
			"Polling %s every %s: the kernel's limit of inotify instances is "
			"reached. Raise fs.inotify.max_user_instances (sysctl), then restart.",
			config->path, span);
	else if (error < 0)
		log_event(LOG_WARNING, LOG_POLLING, &fields,
			  "Polling %s every %s: watching it failed: %s.", config->path,
			  span, log_errno(error));
	else
		log_event(
			LOG_NOTICE, LOG_POLLING, &fields,
			"Polling %s every %s: on a network filesystem the kernel does not "
			"see what other machines write.",
			config->path, span);
}

void spool_news_tell(struct spool *spool, struct spool_directory *directory,
		     enum spool_news news, int error)
{
	const struct config_spool *config = spool_config(spool);
	const struct log_fields fields = { .spool = config->name };
	char span[CLOCK_STRING_MAX];

	switch (news) {
	case SPOOL_AWAY:
		log_event(
			LOG_WARNING, LOG_SPOOL_AWAY, &fields,
			"The spool directory %s can't be opened: %s. Looking again every %s.",
			config->path, log_errno(error),
			clock_format_span(span, config->poll_interval));
		break;
	case SPOOL_BACK:
		log_event(LOG_NOTICE, LOG_SPOOL_BACK, &fields,
			  "The spool directory %s is back.", config->path);
		break;
	case SPOOL_LOST: /* may be found at once: no news for people */
	case SPOOL_FOUND: break;
	case SPOOL_POLLING: tell_polling(config, error); break;
	case SPOOL_DIRECTORY_UNWRITABLE:
		log_event(
			LOG_WARNING, LOG_DIRECTORY_UNWRITABLE, &fields,
			"No sidecar can be written in the directory %s: %s. Its files wait "
			"until one can.",
			spool_directory_path(directory), log_errno(error));
		break;
	case SPOOL_DIRECTORY_UNREADABLE:
		log_event(
			LOG_WARNING, LOG_DIRECTORY_UNREADABLE, &fields,
			"The directory %s can't be read: %s. Its files wait until it can.",
			spool_directory_path(directory), log_errno(error));
		break;
	}
}
