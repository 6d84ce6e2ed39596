#include "snapshot.h"
#include "json.h"
#include "text.h"

#define INSTANT_DIGITS 3

static const char *const STATES[] = {
	[SNAPSHOT_STARTING] = "starting",
	[SNAPSHOT_RUNNING] = "running",
	[SNAPSHOT_STOPPING] = "stopping",
	[SNAPSHOT_DRAINING] = "draining",
};

static const char *const HEALTHS[] = {
	[SNAPSHOT_OK] = "ok",
	[SNAPSHOT_AWAY] = "away",
};

static const char *const WATCHES[] = {
	[SNAPSHOT_WATCHING] = "watching",
	[SNAPSHOT_POLLING] = "polling",
	[SNAPSHOT_SPOOL_AWAY] = "away",
	[SNAPSHOT_HELD] = "held",
};

static const char *const STEPS[] = {
	[SNAPSHOT_TAKE] = "take",
	[SNAPSHOT_ASK] = "ask",
	[SNAPSHOT_RECORD_GRANT] = "record-grant",
	[SNAPSHOT_SEND] = "send",
	[SNAPSHOT_RECORD_UPLOAD] = "record-upload",
	[SNAPSHOT_DISPOSE] = "dispose",
	[SNAPSHOT_GIVE_UP] = "give-up",
};

static const char *const STAGES[] = {
	[STAGE_SPOOL] = "spool",
	[STAGE_TOKEN] = "token",
	[STAGE_CREATE] = "create",
	[STAGE_UPLOAD] = "upload",
};

const char *snapshot_state_name(enum snapshot_state state)
{
	return STATES[state];
}

const char *snapshot_watch_name(enum snapshot_watch watch)
{
	return WATCHES[watch];
}

const char *snapshot_step_name(enum snapshot_step step)
{
	return STEPS[step];
}

/* ---- the members: one table to write, read and free them ---- */

enum kind {
	TEXT,	 /* char * */
	NUMBER,	 /* uint64_t */
	INSTANT, /* usec_t */
	FLAG,	 /* bool */
	WORD,	 /* an enum, by its name */
};

struct member {
	const char *key;
	enum kind kind;
	bool optional; /* not there where it is NULL or 0 */
	size_t offset;
	const char *const *words;
	unsigned word_count;
};

#define AT(type, field)	  .offset = offsetof(struct type, field)
#define OF(names)	  .words = names, .word_count = ARRAY_SIZE(names)
#define MEMBERS_OF(table) .members = table, .member_count = ARRAY_SIZE(table)

static const struct member SERVICE[] = {
	{ "name", TEXT, AT(snapshot_service, name) },
	{ "target", TEXT, true, AT(snapshot_service, target) },
	{ "state", WORD, AT(snapshot_service, health), OF(HEALTHS) },
	{ "since", INSTANT, true, AT(snapshot_service, since) },
	{ "why", TEXT, true, AT(snapshot_service, why) },
	{ "nextTry", INSTANT, true, AT(snapshot_service, next_try) },
	{ "waiting", NUMBER, true, AT(snapshot_service, waiting) },
};

static const struct member SPOOL[] = {
	{ "name", TEXT, AT(snapshot_spool, name) },
	{ "path", TEXT, AT(snapshot_spool, path) },
	{ "state", WORD, AT(snapshot_spool, watch), OF(WATCHES) },
	{ "why", TEXT, true, AT(snapshot_spool, why) },
	{ "uploaded", NUMBER, AT(snapshot_spool, uploaded) },
	{ "failed", NUMBER, AT(snapshot_spool, failed) },
};

static const struct member TRANSFER[] = {
	{ "file", TEXT, AT(snapshot_transfer, file) },
	{ "spool", TEXT, true, AT(snapshot_transfer, spool) },
	{ "step", WORD, AT(snapshot_transfer, step), OF(STEPS) },
	{ "size", NUMBER, AT(snapshot_transfer, size) },
	{ "sent", NUMBER, AT(snapshot_transfer, sent) },
	{ "started", INSTANT, AT(snapshot_transfer, started) },
	{ "attempt", NUMBER, AT(snapshot_transfer, attempt) },
};

static const struct member RETRY[] = {
	{ "file", TEXT, AT(snapshot_retry, file) },
	{ "spool", TEXT, true, AT(snapshot_retry, spool) },
	{ "attempts", NUMBER, AT(snapshot_retry, attempts) },
	{ "nextTry", INSTANT, AT(snapshot_retry, next_try) },
	{ "stage", WORD, AT(snapshot_retry, stage), OF(STAGES) },
	{ "why", TEXT, true, AT(snapshot_retry, why) },
};

static const struct member WHOLE[] = {
	{ "version", TEXT, AT(snapshot, version) },
	{ "pid", NUMBER, AT(snapshot, pid) },
	{ "processStart", NUMBER, true, AT(snapshot, process_start) },
	{ "started", INSTANT, AT(snapshot, started) },
	{ "updated", INSTANT, AT(snapshot, updated) },
	{ "state", WORD, AT(snapshot, state), OF(STATES) },
	{ "uploading", NUMBER, AT(snapshot, uploading) },
	{ "waiting", NUMBER, AT(snapshot, waiting) },
	{ "more", FLAG, AT(snapshot, more) },
	{ "uploaded", NUMBER, AT(snapshot, uploaded) },
	{ "bytes", NUMBER, AT(snapshot, bytes) },
	{ "failed", NUMBER, AT(snapshot, failed) },
	{ "rate", NUMBER, AT(snapshot, rate) },
	{ "lastUpload", INSTANT, true, AT(snapshot, last_upload) },
	{ "oldestWaiting", INSTANT, true, AT(snapshot, oldest_waiting) },
};

static const struct list {
	const char *key;
	size_t items, count; /* offsets in the snapshot */
	size_t size;	     /* of one item */
	size_t max;
	const struct member *members;
	size_t member_count;
} LISTS[] = {
	{ "services", offsetof(struct snapshot, services),
	  offsetof(struct snapshot, service_count), sizeof(struct snapshot_service),
	  SNAPSHOT_SERVICES_MAX, MEMBERS_OF(SERVICE) },
	{ "spools", offsetof(struct snapshot, spools),
	  offsetof(struct snapshot, spool_count), sizeof(struct snapshot_spool),
	  SNAPSHOT_SPOOLS_MAX, MEMBERS_OF(SPOOL) },
	{ "transfers", offsetof(struct snapshot, transfers),
	  offsetof(struct snapshot, transfer_count), sizeof(struct snapshot_transfer),
	  SNAPSHOT_TRANSFERS_MAX, MEMBERS_OF(TRANSFER) },
	{ "retries", offsetof(struct snapshot, retries),
	  offsetof(struct snapshot, retry_count), sizeof(struct snapshot_retry),
	  SNAPSHOT_RETRIES_MAX, MEMBERS_OF(RETRY) },
};

/* Where a member lies in @base; its type is what the table says. */
static const void *look_at(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

static void *at(void *base, size_t offset)
{
	return (char *)base + offset;
}

/* By memcpy(), as the pointers are of different types. */
static char *items_of(const struct snapshot *snapshot, const struct list *list)
{
	char *items;

	memcpy(&items, look_at(snapshot, list->items), sizeof(items));
	return items;
}

static void set_items(struct snapshot *snapshot, const struct list *list, char *items,
		      size_t count)
{
	memcpy(at(snapshot, list->items), &items, sizeof(items));
	memcpy(at(snapshot, list->count), &count, sizeof(count));
}

static size_t count_of(const struct snapshot *snapshot, const struct list *list)
{
	return *(const size_t *)look_at(snapshot, list->count);
}

/* ---- its life ---- */

static void release(const struct member *members, size_t count, void *base)
{
	for (size_t i = 0; i < count; i++)
		if (members[i].kind == TEXT)
			freep(at(base, members[i].offset));
}

void snapshot_done(struct snapshot *snapshot)
{
	for (size_t i = 0; i < ARRAY_SIZE(LISTS); i++) {
		const struct list *list = &LISTS[i];
		char *items = items_of(snapshot, list);

		for (size_t n = 0; n < count_of(snapshot, list); n++)
			release(list->members, list->member_count,
				items + n * list->size);
		free(items);
	}
	release(WHOLE, ARRAY_SIZE(WHOLE), snapshot);
	*snapshot = (struct snapshot){};
}

/* ---- writing ---- */

static int add_text(struct json_object *object, const char *key, const char *bytes)
{
	_cleanup_free_ char *cut = NULL;

	/* Each byte may take three in UTF-8. */
	cut = strndup(bytes, SNAPSHOT_TEXT_MAX / 3);
	return cut ? json_add_string(object, key, cut) : -ENOMEM;
}

static int add_instant(struct json_object *object, const char *key, usec_t t)
{
	char text[CLOCK_STRING_MAX];

	return json_add_string(object, key,
			       clock_format(text, usec_to_timespec(t), INSTANT_DIGITS));
}

static int add_member(struct json_object *object, const struct member *member,
		      const void *value)
{
	const char *text;
	uint64_t number;

	switch (member->kind) {
	case TEXT:
		text = *(char *const *)value;
		if (!text && member->optional)
			return 0;
		return add_text(object, member->key, text ? text : "");
	case NUMBER:
		number = *(const uint64_t *)value;
		if (number == 0 && member->optional)
			return 0;
		return json_add_unsigned(object, member->key, number);
	case INSTANT:
		number = *(const usec_t *)value;
		if (number == 0 && member->optional)
			return 0;
		return add_instant(object, member->key, number);
	case FLAG:
		return json_add(object, member->key,
				json_object_new_boolean(*(const bool *)value));
	case WORD: break;
	}
	return json_add_string(object, member->key,
			       member->words[*(const unsigned *)value]);
}

static int add_members(struct json_object *object, const struct member *members,
		       size_t count, const void *base)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = add_member(object, &members[i], look_at(base, members[i].offset));
	return r;
}

/* Takes @item in either case. */
static int append(struct json_object *array, struct json_object *item)
{
	if (!item)
		return -ENOMEM;
	if (json_object_array_add(array, item) == 0)
		return 0;
	json_object_put(item);
	return -ENOMEM;
}

static int add_list(struct json_object *object, const struct snapshot *snapshot,
		    const struct list *list)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();
	size_t count = MIN(count_of(snapshot, list), list->max);

	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct json_object *item = json_object_new_object();

		if (append(array, item) < 0 ||
		    add_members(item, list->members, list->member_count,
				items_of(snapshot, list) + i * list->size) < 0)
			return -ENOMEM;
	}
	return json_add(object, list->key, take_ptr(array));
}

char *snapshot_format(const struct snapshot *snapshot)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();

	if (!object || add_members(object, WHOLE, ARRAY_SIZE(WHOLE), snapshot) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(LISTS); i++)
		if (add_list(object, snapshot, &LISTS[i]) < 0)
			return NULL;
	return json_format(object, "\n");
}

/* ---- reading ---- */

/* These return as json_get() does; 0 leaves the member as it is. */

static int get_text(const struct json_object *object, const char *key, char **ret)
{
	const char *text;
	int r = json_get_string(object, key, &text);

	if (r <= 0)
		return r;
	if (strlen(text) > SNAPSHOT_TEXT_MAX)
		return -EBADMSG;
	*ret = strdup(text);
	return *ret ? 1 : -ENOMEM;
}

static int get_instant(const struct json_object *object, const char *key, usec_t *ret)
{
	struct timespec t;
	const char *text;
	int r = json_get_string(object, key, &text);

	if (r <= 0)
		return r;
	if (clock_parse(text, &t) < 0)
		return -EBADMSG;
	*ret = usec_from_timespec(t);
	return 1;
}

static int get_flag(const struct json_object *object, const char *key, bool *ret)
{
	struct json_object *value;
	int r = json_get(object, key, json_type_boolean, &value);

	if (r > 0)
		*ret = json_object_get_boolean(value);
	return r;
}

static int get_word(const struct json_object *object, const struct member *member,
		    unsigned *ret)
{
	const char *text;
	int r = json_get_string(object, member->key, &text);

	if (r <= 0)
		return r;
	for (unsigned i = 0; i < member->word_count; i++) {
		if (!streq(text, member->words[i]))
			continue;
		*ret = i;
		return 1;
	}
	return -EBADMSG;
}

static int get_member(const struct json_object *object, const struct member *member,
		      void *value)
{
	switch (member->kind) {
	case TEXT: return get_text(object, member->key, value);
	case NUMBER: return json_get_unsigned(object, member->key, value);
	case INSTANT: return get_instant(object, member->key, value);
	case FLAG: return get_flag(object, member->key, value);
	case WORD: break;
	}
	return get_word(object, member, value);
}

/* 0; -EBADMSG, with the key that is to blame in *@ret_member; -ENOMEM. */
static int get_members(const struct json_object *object, const struct member *members,
		       size_t count, void *base, const char **ret_member)
{
	for (size_t i = 0; i < count; i++) {
		int r = get_member(object, &members[i], at(base, members[i].offset));

		if (r > 0 || (r == 0 && members[i].optional))
			continue;
		*ret_member = members[i].key;
		return r == -ENOMEM ? r : -EBADMSG;
	}
	return 0;
}

static int get_list(const struct json_object *object, const struct list *list,
		    struct snapshot *snapshot, const char **ret_member)
{
	struct json_object *array;
	size_t length;
	char *items;

	*ret_member = list->key;
	if (json_get(object, list->key, json_type_array, &array) <= 0)
		return -EBADMSG;
	length = json_object_array_length(array);
	if (length > list->max)
		return -EBADMSG;
	items = calloc(MAX(length, 1U), list->size);
	if (!items)
		return -ENOMEM;
	set_items(snapshot, list, items, length);
	for (size_t i = 0; i < length; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		int r = json_object_is_type(item, json_type_object)
				? get_members(item, list->members, list->member_count,
					      items + i * list->size, ret_member)
				: -EBADMSG;

		if (r < 0)
			return r;
	}
	return 0;
}

int snapshot_parse(const char *text, size_t length, struct snapshot *ret,
		   const char **ret_member)
{
	_cleanup_(snapshot_done) struct snapshot snapshot = {};
	_cleanup_(json_putp) struct json_object *object = NULL;
	const char *member = NULL;
	int r;

	r = json_parse(text, length, json_type_object, &object);
	if (r == 0)
		r = get_members(object, WHOLE, ARRAY_SIZE(WHOLE), &snapshot, &member);
	for (size_t i = 0; i < ARRAY_SIZE(LISTS) && r == 0; i++)
		r = get_list(object, &LISTS[i], &snapshot, &member);
	if (ret_member && r == -EBADMSG)
		*ret_member = member;
	if (r < 0)
		return r;
	*ret = snapshot;
	snapshot = (struct snapshot){};
	return 0;
}
