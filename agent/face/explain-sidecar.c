#include <fcntl.h>
#include <inttypes.h>

#include "explain-parts.h"
#include "fs.h"
#include "json.h"
#include "log.h"

/* Where a sidecar of the file is, or may be. */
struct place {
	const char *directory;
	enum sidecar_kind kind;
	char name[NAME_MAX + 1];
	struct json_object *object; /* its content */
	bool speaks;		    /* of the file as it is now */
};

static const char *text_of(const struct place *side, const char *key)
{
	const char *text;

	return json_get_string(side->object, key, &text) > 0 ? text : NULL;
}

static uint64_t number_of(const struct place *side, const char *key)
{
	uint64_t number;

	return json_get_unsigned(side->object, key, &number) > 0 ? number : 0;
}

/* The instant of @key for people. Returns @buffer. */
static const char *instant_of(const struct place *side, const char *key,
			      char buffer[static CLOCK_STRING_MAX])
{
	const char *text = text_of(side, key);
	struct timespec t;

	if (!text || clock_parse(text, &t) < 0)
		return "an unknown time";
	return screen_instant(buffer, usec_from_timespec(t));
}

/* ---- what has changed since ---- */

static void tell_change(struct explain *e, const struct place *side)
{
	char then[CLOCK_STRING_MAX], now[CLOCK_STRING_MAX];
	uint64_t size = number_of(side, "size");

	if (size != (uint64_t)e->st.st_size)
		screen_say(&e->screen,
			   "It has changed since: it had %" PRIu64
			   " bytes then, and has %" PRIu64 " now.",
			   size, (uint64_t)e->st.st_size);
	else
		screen_say(&e->screen,
			   "It has changed since: it was modified on %s then, and on %s "
			   "now.",
			   instant_of(side, "modified", then),
			   screen_instant(now, usec_from_timespec(e->st.st_mtim)));
}

/* ---- receipts ---- */

static const char *what_became(const struct explain *e)
{
	switch (e->spool->after_upload) {
	case AFTER_KEEP: break;
	case AFTER_DELETE: return ", and was deleted then (AfterUpload=delete)";
	case AFTER_MOVE:
		return ", and was moved to DoneDirectory= then (AfterUpload=move)";
	}
	return ", and is gone by now";
}

static void tell_receipt(struct explain *e, const struct place *side)
{
	char uploaded[CLOCK_STRING_MAX];
	const char *id = text_of(side, "id");

	screen_say(&e->screen,
		   "It was uploaded as asset %s on %s%s. The receipt is %s/%s.",
		   id ? id : "?", instant_of(side, "uploaded", uploaded),
		   e->exists ? "" : what_became(e), side->directory, side->name);
	if (!e->exists) {
		explain_next(e, "nothing: it is done.");
	} else if (side->speaks) {
		explain_next(e,
			     "nothing: it is done. To have it uploaded again, change it, "
			     "or delete %s.",
			     side->name);
	} else {
		tell_change(e, side);
	}
}

/* ---- errors ---- */

static const char *what_to_do(const char *stage)
{
	if (streq(stage, "spool"))
		return "Mend the file, or what the messages name";
	if (streq(stage, "create"))
		return "Look whether its name, its size and the spool's ChannelType= and "
		       "SenderType= are what the service takes";
	return "Look whether the service takes files of this type and size";
}

static void tell_messages(struct explain *e, const struct place *side)
{
	static const struct {
		const char *key, *words;
	} messages[] = {
		{ "code", "The code of the error" },
		{ "developerMessage", "The reason" },
		{ "userMessage", "The service's words for people" },
	};
	struct json_object *details = NULL;
	uint64_t status = number_of(side, "httpStatus");

	if (status > 0)
		screen_say(&e->screen,
			   "The service answered with HTTP status %" PRIu64 ".", status);
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		const char *text = text_of(side, messages[i].key);

		if (text)
			screen_say(&e->screen, "%s: %s", messages[i].words, text);
	}
	if (json_get(side->object, "details", json_type_array, &details) > 0)
		screen_say(&e->screen, "Details: %s",
			   json_object_to_json_string_ext(details,
							  JSON_C_TO_STRING_PLAIN));
}

static void tell_error(struct explain *e, const struct place *side)
{
	uint64_t attempts = number_of(side, "attempts");
	const char *stage = text_of(side, "stage");
	char failed[CLOCK_STRING_MAX];

	screen_say(&e->screen,
		   "The agent gave it up on %s, after %" PRIu64
		   " %s, at stage %s. The error sidecar is %s/%s.",
		   instant_of(side, "failed", failed), attempts,
		   attempts == 1 ? "try" : "tries", stage ? stage : "?", side->directory,
		   side->name);
	tell_messages(e, side);
	if (!e->exists)
		explain_next(e, "nothing. Delete %s, too, if it is of no more use.",
			     side->name);
	else if (side->speaks)
		explain_next(
			e,
			"nothing, until somebody acts. %s. Then delete %s, or change "
			"the file, and it is tried again.",
			what_to_do(stage), side->name);
	else
		tell_change(e, side);
}

/* ---- finding them ---- */

static void tell_no_place(struct explain *e, const struct place *side)
{
	screen_say(&e->screen, "Its sidecar has no place: %s/%s is no regular file.",
		   side->directory, side->name);
	if (!e->exists)
		return;
	e->may_be_due = false;
	explain_next(e, "nothing, until %s is moved away.", side->name);
}

static void tell_unusable(struct explain *e, const struct place *side, int error)
{
	if (error == -EBADMSG)
		screen_say(&e->screen,
			   "There is a file %s/%s, but it is no sidecar, or torn, and "
			   "does not count.",
			   side->directory, side->name);
	else
		screen_say(&e->screen, "%s/%s can't be read: %s.", side->directory,
			   side->name, log_errno(error));
}

/* 0; -ENOENT: there is none; -EINVAL: it is no file; or another negative errno. */
static int read_sidecar(const struct explain *e, struct place *side)
{
	_cleanup_close_ int fd = fs_open_directory(AT_FDCWD, side->directory);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t length;
	int r;

	if (fd < 0)
		return fd;
	if (sidecar_name(side->name, e->name, side->kind) < 0 ||
	    fstatat(fd, side->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	r = fs_read_file(fd, side->name, SIDECAR_SIZE_MAX, &text, &length);
	if (r < 0)
		return r == -ELOOP ? -EINVAL : r;
	r = sidecar_speaks_of(text, length, (uint64_t)e->st.st_size, e->st.st_mtim);
	if (r < 0)
		return r;
	side->speaks = e->exists && r > 0;
	return json_parse(text, length, json_type_object, &side->object);
}

static void tell_sidecar(struct explain *e, const char *directory, enum sidecar_kind kind)
{
	struct place side = { .directory = directory, .kind = kind };
	int r = read_sidecar(e, &side);

	if (r == -ENOENT || r == -ENOTDIR)
		return;
	e->known = true;
	if (r == -EINVAL)
		tell_no_place(e, &side);
	else if (r < 0)
		tell_unusable(e, &side, r);
	else if (kind == SIDECAR_DONE)
		tell_receipt(e, &side);
	else
		tell_error(e, &side);
	json_object_put(side.object);
}

/* A file that was moved has its receipt beside it. */
static void tell_moved(struct explain *e)
{
	_cleanup_free_ char *directory = NULL, *parent = strdup(e->known_as);

	if (!parent)
		return;
	*strrchr(parent, '/') = '\0';
	if (asprintf(&directory, "%s%s", e->spool->done_directory,
		     parent + strlen(e->spool->path)) < 0) {
		directory = NULL;
		return;
	}
	tell_sidecar(e, directory, SIDECAR_DONE);
}

void explain_sidecars(struct explain *e)
{
	if (!e->spool || e->hidden)
		return;
	tell_sidecar(e, e->directory, SIDECAR_DONE);
	tell_sidecar(e, e->directory, SIDECAR_ERROR);
	if (!e->exists && e->spool->after_upload == AFTER_MOVE && e->known_as)
		tell_moved(e);
}
