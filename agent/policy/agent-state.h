#pragma once

/*
 * Agent-state: all that the agent holds.
 *
 * For the agent's own modules.
 */

#include "agent.h"
#include "failures.h"
#include "health.h"
#include "http.h"
#include "ledger.h"
#include "mime.h"
#include "progress.h"
#include "report.h"
#include "spool-disks.h"
#include "spools.h"
#include "tally.h"
#include "token.h"
#include "uploader.h"
#include "watchdog.h"

struct agent {
	struct config *config;	 /* the one in force; owned */
	const char *config_file; /* NULL: the default */
	const char *opening;	 /* what is, at the start */
	enum agent_mode mode;
	sd_event *event;
	struct ledger *ledger;
	struct worker *disposer;
	struct mime *mime;
	struct http *http;
	struct token *token;
	struct health health;
	struct spool_disks disks;
	struct failures *failures;
	struct transfer_services services;
	struct uploader *uploader;
	struct spools *spools;
	sd_event_source *foot_source, *stop_source, *turn_source;
	bool shows_foot; /* a line of progress, on a terminal */
	bool foot_armed, started, stopping, gave_up, broken;
	usec_t stop_by; /* monotonic: nothing is waited for any longer */
	struct progress progress;
	struct tally tally;
	struct report *report;
	struct watchdog *watchdog;
};
