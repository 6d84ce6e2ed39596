#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>

#include "log.h"
#include "macro.h"
#include "sidecar.h"
#include "transfer-ask.h"
#include "transfer-finish.h"
#include "transfer-send.h"
#include "transfer.h"

/* ---- take ---- */

/* A directory that is gone, one that takes no file, or another directory in the place of
 * the sidecar: whatever it is, there is an event when that changes, or the next look. */
static bool will_be_told(int error)
{
	return error == -ENOENT || error == -ESTALE || error == -EACCES ||
	       error == -EROFS || error == -EISDIR || error == -ENOTDIR ||
	       error == -ELOOP;
}

static void no_directory(struct transfer *t, int error, const char *what)
{
	if (will_be_told(error))
		transfer_idle(t);
	else if (errno_is_shortage(error))
		transfer_short(t, error);
	else
		transfer_disk_failed(t, error, what);
}

/* What could not get its sidecar in the end is not begun with. False: @t has ended. */
static bool has_place(struct transfer *t, int fd, enum sidecar_kind kind,
		      const struct intake_file *file)
{
	int r = spool_directory_may_write(t->directory, fd);
	char sidecar[NAME_MAX + 1];
	struct stat st;

	if (r == 0 && file->beside && sidecar_name(sidecar, t->name, kind) == 0 &&
	    fstatat(fd, sidecar, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
		spool_warn_no_place(t->directory, t->name, &st);
		r = -EISDIR;
	}
	if (r < 0)
		no_directory(t, r, "writing the sidecar");
	return r == 0;
}

static void unreadable(struct transfer *t, const struct intake_file *file)
{
	_cleanup_free_ char *why = NULL;
	int error = file->error;

	if (errno_is_shortage(error)) {
		transfer_short(t, error);
		return;
	}
	t->identity = fs_identity_of(&file->st);
	if (asprintf(&why, "the file can't be read: %s", log_errno(error)) < 0)
		why = NULL;
	transfer_set_error(t, STAGE_SPOOL, why ? why : log_errno(error));
	transfer_drop_grant(t);
	if (verdict_for(&(struct outcome){ .stage = STAGE_SPOOL,
					   .transport = TRANSPORT_SOURCE }) ==
	    VERDICT_REJECT)
		transfer_reject(t);
	else
		transfer_again(t);
}

static void too_large(struct transfer *t, uint64_t limit)
{
	_cleanup_free_ char *why = NULL;

	if (asprintf(&why,
		     "the file is too large: %" PRIu64 " bytes, and MaxSize= is %" PRIu64,
		     t->identity.size, limit) < 0)
		why = NULL;
	transfer_set_error(t, STAGE_SPOOL,
			   why ? why : "the file is larger than MaxSize=");
	transfer_reject(t);
}

/* A copy, as it is told of after the settings that it comes from may be gone. */
static int set_type(struct transfer *t)
{
	const char *type = t->services->config->upload.content_type;

	return replace_string(&t->content_type,
			      type ? type : mime_type(t->services->mime, t->name));
}

/* A URL of a row, or read under other settings than there are now. What can't be used any
 * more is dropped. 0 or -ENOMEM: that says nothing of the grant, which stays. */
static int read_url_again(struct transfer *t)
{
	_cleanup_free_ char *reason = NULL;
	int r;

	if (!t->id || t->url_settings == t->services->settings)
		return 0;
	r = transfer_read_url(t, &reason);
	if (r < 0 && r != -ENOMEM)
		transfer_drop_grant(t);
	return r == -ENOMEM ? r : 0;
}

/* With the file in hand: to whom next? */
static void taken(struct transfer *t, const struct config_spool *spool)
{
	if (t->identity.size > spool->max_size) {
		too_large(t, spool->max_size);
		return;
	}
	if (t->looking) {
		transfer_pause(t);
		return;
	}
	if (set_type(t) < 0 || read_url_again(t) < 0) {
		transfer_short(t, -ENOMEM);
		return;
	}
	if (!t->id && !t->counted) {
		transfer_restart(t); /* now it needs more than it did */
	} else if (!t->id) {
		transfer_set_step(t, STEP_ASK);
		transfer_ask(t);
	} else if (!t->recorded) {
		transfer_set_step(t, STEP_RECORD_GRANT);
		transfer_record_grant(t);
	} else {
		transfer_set_step(t, STEP_SEND);
		transfer_send(t);
	}
}

/* Nothing is asked for a file that could not be moved afterwards. */
static bool is_held(struct transfer *t, const struct config_spool *spool)
{
	int r;

	if (spool->after_upload != AFTER_MOVE)
		return false;
	if (transfer_stay_held(t))
		return true;
	r = fs_can_rename(spool_directory_path(t->directory), spool->done_directory);
	if (r == 0 || r == -ENOTDIR) {
		transfer_hold(t, r < 0 ? r : -EXDEV);
		return true;
	}
	transfer_release(t);
	return false;
}

static void take(struct transfer *t)
{
	const struct config_spool *spool = transfer_spool(t);
	const struct intake_rules rules = spool_directory_rules(t->directory);
	struct intake_file file = { .fd = -1 };
	struct fs_identity identity;
	bool had_grant = t->id;
	int fd = spool_directory_fd(t->directory);

	if (!spool) {
		transfer_idle(t);
		return;
	}
	if (t->left) {
		transfer_pause(t);
		return;
	}
	if (fd < 0) {
		no_directory(t, fd, "opening its directory");
		return;
	}
	if (is_held(t, spool))
		return;
	switch (intake_take(fd, t->name, &rules, t->glimpse, clock_monotonic(), &file)) {
	case INTAKE_TAKEN: break;
	case INTAKE_NOT_A_FILE:
		spool_warn(t->directory, t->name, &file.st); /* fall through */
	case INTAKE_GONE:
	case INTAKE_CURRENT: transfer_idle(t); return;
	case INTAKE_BUSY:
	case INTAKE_FRESH: transfer_later(t, MAX(rules.quiet, USEC_PER_MSEC)); return;
	case INTAKE_UNREADABLE:
		if (has_place(t, fd, SIDECAR_ERROR, &file))
			unreadable(t, &file);
		return;
	}
	t->fd = file.fd;
	t->alone = !file.beside;
	if (!has_place(t, fd, SIDECAR_DONE, &file))
		return;
	identity = fs_identity_of(&file.st);
	if (had_grant && !fs_identity_equal(&identity, &t->identity)) {
		transfer_drop_grant(t); /* it was for another content */
		t->identity = identity;
		transfer_restart(t);
		return;
	}
	t->identity = identity;
	/* It waited for too long, by no fault of its own. */
	if (had_grant && transfer_url_is_over(t))
		transfer_drop_grant(t);
	taken(t, spool);
}

/* ---- from outside ---- */

unsigned transfer_needs(const struct transfer *t)
{
	if (t->step > STEP_RECORD_UPLOAD)
		return 0; /* its spool's disk alone */
	if (t->step == STEP_RECORD_UPLOAD)
		return NEED_DISK;
	if (!t->id)
		return NEED_DISK | NEED_STORAGE | NEED_AUTH | NEED_API;
	/* What was restored has not been read yet, and leads to a host that is not known.
	 */
	return t->url.host ? NEED_DISK | health_need_of(transfer_storage(t)) : NEED_DISK;
}

void transfer_go_on(struct transfer *t)
{
	if (t->services->stopping && t->step == STEP_TAKE) {
		transfer_pause(t);
		return;
	}
	switch (t->step) {
	case STEP_TAKE: take(t); break;
	case STEP_RECORD_UPLOAD: transfer_record_upload(t); break;
	case STEP_DISPOSE: transfer_dispose(t); break;
	case STEP_GIVE_UP: transfer_give_up(t); break;
	case STEP_ASK:
	case STEP_RECORD_GRANT:
	case STEP_SEND: assert(!"a transfer starts from these only by way of another");
	}
}

void transfer_start(struct transfer *t)
{
	usec_t now = clock_monotonic();

	if (t->started == 0)
		t->started = t->tried = now;
	if (!t->first) { /* else it goes on with what it had begun */
		t->reauthed = false;
		t->tried = now;
	}
	t->first = false;
	t->disowned = 0;
	t->counted = transfer_needs(t) & NEED_API;
	t->probes = health_start(t->services->health, transfer_needs(t), now);
	t->ticket = spool_disks_start(t->services->disks, transfer_spool_path(t));
}

void transfer_look(struct transfer *t)
{
	assert(t->step == STEP_TAKE);
	t->looking = true;
}

void transfer_cancel(struct transfer *t)
{
	if (t->request)
		http_cancel(take_ptr(t->request));
	else if (t->waits_for_token)
		token_leave(t->services->token, &t->waiter);
	else
		return;
	t->waits_for_token = false;
	/* A body may have gone out. */
	t->resumed = t->resumed || t->step == STEP_SEND;
	transfer_pause(t);
}

void transfer_leave(struct transfer *t, const struct config *config,
		    const struct config_spool *spool)
{
	config_free(t->left_config);
	t->left_config = config_ref(config);
	t->left = spool;
}

void transfer_put_waiting(struct transfer *t)
{
	struct ledger_row row = transfer_row(t, LEDGER_WAITING);

	if (t->attempts == 0)
		transfer_drop_row(t);
	else
		(void)ledger_put(t->services->ledger, &row, NULL, NULL);
}

static void come_back(struct transfer *t)
{
	config_free(take_ptr(t->left_config));
	t->left = NULL;
}

void transfer_move(struct transfer *t, struct spool_directory *directory)
{
	struct spool_directory *from = t->directory;

	t->directory = spool_directory_ref(directory);
	spool_directory_unref(from);
	come_back(t);
}

void transfer_disown(struct transfer *t, health_probes which)
{
	t->probes &= ~which;
	if (t->request)
		t->disowned |= which;
	if (t->waits_for_token && which & 1U << HEALTH_AUTH)
		transfer_cancel(t);
}

uint64_t transfer_sent(const struct transfer *t)
{
	return t->step == STEP_SEND && t->request ? http_sent(t->request) : 0;
}

uint64_t transfer_moved(const struct transfer *t)
{
	return t->step == STEP_SEND && t->request ? http_moved(t->request) : 0;
}

int transfer_new(struct transfer_services *services, struct spool_directory *directory,
		 const char *name, struct intake_glimpse *glimpse, void *owner,
		 struct transfer **ret)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->services = services;
	t->owner = owner;
	t->directory = spool_directory_ref(directory);
	t->glimpse = glimpse;
	t->fd = -1;
	t->name = strdup(name);
	if (!t->name) {
		transfer_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void transfer_free(struct transfer *t)
{
	if (!t)
		return;
	assert(!t->request && !t->waits_for_token);
	close_fd(t->fd);
	transfer_drop_grant(t);
	transfer_clear_error(t);
	spool_directory_unref(t->directory);
	config_free(t->left_config);
	(void)transfer_set_bearer(t, NULL);
	free(t->content_type);
	free(t->name);
	free(t);
}

/* A deadline of the real-time clock on the monotonic one; 0 is none. */
static usec_t to_monotonic(usec_t real)
{
	if (real == 0)
		return USEC_INFINITY;
	return usec_add(clock_monotonic(), usec_sub(real, clock_realtime()));
}

int transfer_restore(struct transfer *t, const struct ledger_row *row)
{
	t->serial = row->serial;
	t->identity = row->identity;
	t->attempts = row->attempts;
	t->again_at = to_monotonic(row->next_try);
	if (row->state == LEDGER_WAITING)
		return 0;
	if (replace_string(&t->id, row->asset_id) < 0 ||
	    replace_string(&t->raw_url, row->content_url) < 0 ||
	    replace_string(&t->content_type,
			   row->content_type ? row->content_type : MIME_DEFAULT) < 0)
		return -ENOMEM;
	t->expires = to_monotonic(row->expires);
	t->recorded = t->resumed = t->restored = true;
	t->uploaded = row->uploaded;
	if (row->state == LEDGER_UPLOADED)
		transfer_set_step(t, STEP_DISPOSE);
	return 0;
}
