#include <limits.h>
#include <sys/queue.h>

#include "config-key.h"
#include "simulation.h"

enum { SPOOLS = 2 };

/* One configuration, as it was read; what is freed is spoiled. */
struct edition {
	struct config config;
	struct config_spool spools[SPOOLS];
	struct config_source sources[KEY_PATH];
	char *file;
	bool freed;
	LIST_ENTRY(edition) link;
};

/* What the files say. */
static struct {
	struct config config;
	struct config_spool spool, other;
	bool has_spool, has_other, bad;
} files;

static LIST_HEAD(, edition) editions;
static bool in_force, disposes; /* the agent has SIM_SPOOL; any edition disposes */

static struct edition *print_edition(void)
{
	struct edition *edition = calloc(1, sizeof(*edition));
	struct config *config = &edition->config;

	static char name[] = "agent.conf";

	edition->config = files.config;
	edition->file = name;
	config->files = (struct strv){ .items = &edition->file, .count = 1 };
	config->sources = edition->sources;
	config->spools = edition->spools;
	config->spool_count = 0;
	if (files.has_spool)
		config->spools[config->spool_count++] = files.spool;
	if (files.has_other)
		config->spools[config->spool_count++] = files.other;
	disposes = disposes || files.spool.after_upload != AFTER_KEEP;
	LIST_INSERT_HEAD(&editions, edition, link);
	return edition;
}

/* What could not be put on record is lost with the spool. */
static void take_effect(void)
{
	in_force = files.has_spool;
	for (size_t i = 0; !in_force && i < sim_asset_count(); i++)
		if (!sim_asset_at(i)->recorded)
			sim_asset_at(i)->excused = true;
}

int __wrap_config_load(const char *file, config_fault_fn fault, void *userdata,
		       struct config **ret);
int __wrap_config_load(const char *file, config_fault_fn fault, void *userdata,
		       struct config **ret)
{
	(void)file;
	sim.reloads++;
	if (files.bad) {
		fault(userdata, "agent.conf:1: unknown key");
		return -EINVAL;
	}
	*ret = &print_edition()->config;
	if (files.config.state.directory == sim.config.state.directory)
		take_effect();
	return 0;
}

void __wrap_config_free(struct config *config);
void __wrap_config_free(struct config *config)
{
	struct edition *edition;

	if (!config || config->references-- > 0)
		return;
	edition = container_of(config, struct edition, config);
	if (edition->freed)
		check_broken(NOTHING_LEAKS, "a configuration is freed twice");
	edition->freed = true;
	memset(config, 0xAA, sizeof(*config));
	memset(edition->spools, 0xAA, sizeof(edition->spools));
}

struct config *sim_config_load(void)
{
	/* Who starts it anew has seen to that. */
	files.config.state.directory = sim.config.state.directory;
	take_effect();
	return &print_edition()->config;
}

bool sim_config_has_spool(void)
{
	return in_force;
}

bool sim_config_disposes(void)
{
	return disposes;
}

/* ---- changes ---- */

static void change_spool(void)
{
	static char channels[][8] = { "sms", "mail" };

	files.spool.settle = sim_span(USEC_PER_MSEC, 500 * USEC_PER_MSEC);
	files.spool.channel_type = channels[sim_between(0, 1)];
	files.spool.after_upload = (enum after_upload)sim_between(AFTER_KEEP, AFTER_MOVE);
}

static void change_services(void)
{
	static char languages[][8] = { "en-US", "de" }, scopes[][8] = { "a", "b" };

	switch (sim_between(0, 3)) {
	case 0: files.config.api.accept_language = languages[sim_between(0, 1)]; break;
	case 1: files.config.auth.scope = scopes[sim_between(0, 1)]; break;
	case 2:
		files.config.api.connect_timeout = sim_between(8, 10) * USEC_PER_SEC;
		break;
	default:
		files.config.upload.stall_timeout = sim_between(20, 30) * USEC_PER_SEC;
		break;
	}
}

static void change_numbers(void)
{
	files.config.upload.max_concurrent = sim_between(
		1, sim.config.upload.max_concurrent);
	files.config.retry.initial_delay = sim_span(100 * USEC_PER_MSEC,
						    10 * USEC_PER_SEC);
}

void sim_config_change(void)
{
	static char elsewhere[] = "/elsewhere";

	files.bad = false;
	files.config.state.directory = sim.config.state.directory;
	switch (sim_between(0, 9)) {
	case 0: files.bad = true; break;
	case 1: files.config.state.directory = elsewhere; break;
	case 2: break;
	case 3: change_spool(); break;
	case 4:
	case 5: change_services(); break;
	case 6: change_numbers(); break;
	case 7: files.has_other = !files.has_other || !files.has_spool; break;
	case 8:
		files.has_spool = false;
		files.has_other = true;
		break;
	default: files.has_spool = true; break;
	}
	sim_trace("the configuration changes%s: %s%s, %ju at once",
		  files.bad ? ", and is bad" : "", files.has_spool ? "spool" : "",
		  files.has_other ? " other" : "",
		  (uintmax_t)files.config.upload.max_concurrent);
	sim_hang_up();
}

static void write_first(void)
{
	static char other[] = SIM_OTHER, name[] = "y";

	files.config = sim.config;
	files.config.references = 0;
	files.spool = files.other = sim.spool;
	files.other.name = name;
	files.other.path = other;
	files.has_spool = true;
	files.has_other = files.bad = false;
}

void sim_config_restore(void)
{
	sim_trace("the configuration is what it was at first");
	write_first();
	sim_hang_up();
}

/* ---- its life ---- */

void sim_config_begin(void)
{
	LIST_INIT(&editions);
	disposes = false;
	write_first();
}

void sim_config_end(void)
{
	struct edition *edition;

	while ((edition = LIST_FIRST(&editions))) {
		if (!edition->freed)
			check_broken(NOTHING_LEAKS, "a configuration is not freed");
		LIST_REMOVE(edition, link);
		free(edition);
	}
}
