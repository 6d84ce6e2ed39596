#include "reload.h"
#include "agent-state.h"
#include "config-diff.h"
#include "log.h"
#include "macro.h"
#include "settings.h"

#define FAULTS_TOLD_MAX 100

DEFINE_CLEANUP(struct config *, config_freep, config_free)

/* What a configuration needs, made and not in use yet. */
struct plan {
	struct mime *mime;
	struct spools_plan *spools;
};

static void plan_done(struct plan *plan)
{
	mime_free(plan->mime);
	spools_plan_free(plan->spools);
}

/* ---- read ---- */

static void on_fault(void *userdata, const char *line)
{
	size_t *faults = userdata;

	if (++*faults <= FAULTS_TOLD_MAX)
		log_error(LOG_RELOAD_FAULT, "%s", line);
}

static void refuse(size_t faults)
{
	if (faults > FAULTS_TOLD_MAX)
		log_error(LOG_RELOAD_FAULT, "And %zu faults more.",
			  faults - FAULTS_TOLD_MAX);
	log_error(LOG_RELOAD_REFUSED,
		  "The configuration was not reloaded, for %zu %s. The old one stays in "
		  "force.",
		  faults, faults == 1 ? "fault" : "faults");
}

/* For want of memory, most likely. */
static void refuse_for(int error)
{
	log_error(LOG_RELOAD_REFUSED,
		  "The configuration was not reloaded: %s. The old one stays in force.",
		  log_errno(error));
}

/* NULL: it is refused. */
static struct config *read_config(const struct agent *agent)
{
	struct config *config;
	size_t faults = 0;
	int r = config_load(agent->config_file, on_fault, &faults, &config);

	if (r == 0)
		return config;
	if (r == -EINVAL)
		refuse(faults);
	else
		refuse_for(r);
	return NULL;
}

/* False: it is refused. */
static bool compare(const struct agent *agent, const struct config *config,
		    struct config_diff *ret)
{
	struct config_diff diff;
	int r = config_diff(agent->config, config, &diff);

	if (r < 0) {
		refuse_for(r);
		return false;
	}
	if (diff.frozen) {
		log_error(LOG_RELOAD_FAULT, "%s", diff.frozen);
		refuse(1);
		config_diff_done(&diff);
		return false;
	}
	*ret = diff;
	return true;
}

/* ---- prepare ---- */

/* The last that can fail is the only one that changes something. */
static int prepare(struct agent *agent, const struct config *config, struct plan *ret)
{
	const struct http_settings settings = settings_for_http(config);
	_cleanup_(plan_done) struct plan plan = {};
	int r;

	r = mime_load(config->upload.mime_types, &plan.mime);
	if (r < 0) {
		log_error(LOG_RELOAD_FAULT, "Could not read %s: %s.",
			  config->upload.mime_types, log_errno(r));
		return r;
	}
	r = spools_prepare(agent->spools, config, &plan.spools);
	if (r == 0)
		r = http_renew(agent->http, &settings);
	if (r < 0)
		return r;
	*ret = plan;
	plan = (struct plan){};
	return 0;
}

/* ---- apply ---- */

static unsigned needs_of(unsigned services)
{
	return (services & CONFIG_SERVICE_AUTH ? NEED_AUTH : 0) |
	       (services & CONFIG_SERVICE_API ? NEED_API : 0) |
	       (services & CONFIG_SERVICE_STORAGE ? NEED_STORAGE : 0);
}

static void apply_to_services(struct agent *agent, const struct config *config,
			      unsigned services)
{
	const struct backoff backoff = settings_for_breakers(config);
	health_probes renewed = health_hurry(&agent->health, needs_of(services));

	health_configure(&agent->health, &backoff, config->api.request_interval,
			 config->api.request_burst);
	settings_name_services(&agent->health, config);
	/* In this order: who waits for a token leaves first. */
	uploader_configure(agent->uploader, renewed);
	token_configure(agent->token, config, services & CONFIG_SERVICE_AUTH);
}

/* Nothing of the old configuration is referred to afterwards. */
static void apply(struct agent *agent, struct config *config, struct plan *plan,
		  unsigned services)
{
	const struct backoff backoff = settings_for_breakers(config);
	struct config *old = agent->config;

	settings_log(config);
	agent->config = config;
	agent->services.config = config;
	agent->services.settings++;
	mime_free(agent->mime);
	agent->mime = plan->mime;
	agent->services.mime = plan->mime;
	apply_to_services(agent, config, services);
	report_configure(agent->report, config);
	spools_apply(agent->spools, plan->spools, agent->uploader);
	spool_disks_configure(&agent->disks, &backoff, config);
	config_free(old);
}

bool reload(struct agent *agent)
{
	_cleanup_(config_freep) struct config *config = read_config(agent);
	struct config_diff diff;
	struct plan plan;
	int r;

	if (!config || !compare(agent, config, &diff))
		return false;
	r = prepare(agent, config, &plan);
	if (r < 0) {
		refuse_for(r);
	} else {
		apply(agent, take_ptr(config), &plan, diff.services);
		log_notice(LOG_RELOADED, "Reloaded the configuration: %s.",
			   *diff.words ? diff.words : "no key changed");
	}
	config_diff_done(&diff);
	return r >= 0;
}
