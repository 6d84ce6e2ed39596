#pragma once

/*
 * Metrics: the text for node_exporter's textfile collector, in Prometheus' text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4).
 *
 * Label values are of bounded sets: the names of spools and services, and what tally.h
 * names. Instants, not ages, are written, so that a file that is not written again stays
 * true.
 */

#include <stdbool.h>

#include "snapshot.h"
#include "tally.h"

/* @up: the agent goes on. The caller frees it. NULL: out of memory. */
char *metrics_format(const struct snapshot *snapshot, const struct tally *tally, bool up);
