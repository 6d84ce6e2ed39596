#pragma once

/*
 * Uploader-rehome: what becomes of the files of a spool that is taken from the
 * configuration, or replaced by one with other settings, or whose directory is lost.
 *
 *	uploader_unhome() for each such spool, spool_free(), spool_open() for the new
 *	ones, uploader_rehome(); and nothing else in between. For one that is lost both,
 *	and uploader_rehome() again when it is found.
 *
 * A file whose directory is one of a spool that is there now belongs to that from then on
 * and keeps all that it has: its attempts, its grant, its slot, the request under way. Of
 * the others, those that were asked for already go on to their sidecars by the settings
 * of the spool that they were in; the rest is left where it is.
 */

#include "uploader.h"

/* Finds the directory of @path in a spool that is there now, by that path or (@by_place)
 * by wherever that leads: 1 and a reference, or 0. */
typedef int (*uploader_find_fn)(void *userdata, const char *path, bool by_place,
				struct spool_directory **ret);

/* @spool, whose settings are of @config, goes. */
void uploader_unhome(struct uploader *uploader, const struct config *config,
		     const struct spool *spool);
void uploader_rehome(struct uploader *uploader, uploader_find_fn find, void *userdata);
