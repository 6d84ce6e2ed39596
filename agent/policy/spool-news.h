#pragma once

/*
 * Spool-news: what is told of the spools themselves: one that goes away or comes back, is
 * polled, or holds what can't be uploaded.
 */

#include "failures.h"
#include "spool.h"

void spool_news_tell(struct spool *spool, struct spool_directory *directory,
		     enum spool_news news, int error);

/* Bursts of such are folded by @failures. */
void spool_news_tell_not_a_file(struct failures *failures,
				struct spool_directory *directory, const char *name,
				const char *why);
