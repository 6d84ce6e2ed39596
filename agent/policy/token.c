#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fs.h"
#include "log.h"
#include "macro.h"
#include "oauth.h"
#include "token.h"

#define SECRET_MAX	((size_t)16 * 1024) /* bytes of a file with a secret or a token */
#define CREDENTIAL_NAME "client-secret"
#define LIFETIME_MIN	USEC_PER_SEC

/* The unit's credential is empty where its file is missing. */
#define EMPTY_CREDENTIAL \
	"it is empty; put the secret into " SYSCONFDIR \
	"/asset-agent/client-secret, then " \
	"restart the service, which reads it at its start"

TAILQ_HEAD(waiter_list, token_waiter);

struct token {
	const struct config *config;
	struct http *http;
	struct http_request *request; /* the one under way */
	char *secret;		      /* that it carries: an error may repeat it */
	struct oauth_token current;   /* access_token NULL: none */
	uint64_t serial;	      /* of current */
	usec_t expires, renew_at;     /* monotonic */
	usec_t not_before;	      /* monotonic: the server asked to be left alone */
	struct fs_identity file;      /* TokenFile as it was read */
	struct waiter_list waiters;
	sd_event_source
		*tell_source; /* tells the waiters from the loop, never from get */
	char *failure;	      /* to tell them; NULL: none */
	int shortage;	      /* why it failed, a negative errno; 0: no shortage */
	struct tally *tally;  /* may be NULL */
	http_done_fn looker;  /* of token_look(), or NULL */
	void *looker_data;
};

static void forget(struct token *token)
{
	oauth_token_done(&token->current);
	token->current = (struct oauth_token){};
}

static void wipe(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

#define _cleanup_wipe_ _cleanup_(wipe)

static void adopt(struct token *token, struct oauth_token *fresh)
{
	usec_t now = clock_monotonic();

	/* Whoever gives a token means it to be used. */
	fresh->lifetime = MAX(fresh->lifetime, LIFETIME_MIN);
	forget(token);
	token->current = *fresh;
	token->serial++;
	token->expires = usec_add(now, fresh->lifetime);
	/* A fifth ahead, at most a minute: time for a slow answer and a retry or two. */
	token->renew_at = fresh->lifetime == USEC_INFINITY
				  ? USEC_INFINITY
				  : token->expires -
					    MIN(fresh->lifetime / 5, USEC_PER_MINUTE);
	*fresh = (struct oauth_token){};
}

static void tell(struct token *token, const struct token_failure *failure)
{
	struct waiter_list told = TAILQ_HEAD_INITIALIZER(told);
	struct token_waiter *waiter;

	/* Who asks again from here waits for the next round. */
	TAILQ_CONCAT(&told, &token->waiters, link);
	while ((waiter = TAILQ_FIRST(&told))) {
		TAILQ_REMOVE(&told, waiter, link);
		waiter->done(waiter->userdata, failure);
	}
}

static int on_tell(sd_event_source *source, void *userdata)
{
	struct token *token = userdata;
	_cleanup_free_ char *why = take_ptr(token->failure);
	const struct token_failure failure = {
		.answer = { .transport = token->shortage < 0 ? TRANSPORT_LOCAL
							     : TRANSPORT_SOURCE,
			    .error = token->shortage,
			    .body = "",
			    .problem = "",
			    .retry_after = usec_sub(token->not_before,
						    clock_monotonic()) },
		.why = why,
	};

	(void)source;
	tell(token, why ? &failure : NULL);
	return 0;
}

/* @error is a negative errno, or 0 where @why is none's. */
static void fail_later(struct token *token, int error, const char *what,
		       const char *which, const char *why)
{
	token->shortage = errno_is_shortage(error) ? error : 0;
	free(token->failure);
	if (asprintf(&token->failure, "%s%s: %s", what, which, why) < 0)
		token->failure = strdup("out of memory");
	(void)sd_event_source_set_enabled(token->tell_source, SD_EVENT_ONESHOT);
}

/* ---- from a file ---- */

static bool file_is_as_read(const struct token *token)
{
	struct fs_identity now;
	struct stat st;

	if (stat(token->config->auth.token_file, &st) < 0)
		return false;
	now = fs_identity_of(&st);
	return fs_identity_equal(&now, &token->file);
}

static int read_file(struct token *token, const char **ret_why)
{
	const char *path = token->config->auth.token_file;
	_cleanup_(oauth_token_done) struct oauth_token fresh = {};
	_cleanup_free_ char *text = NULL;
	struct stat st = {};
	size_t length;
	int r;

	(void)stat(path, &st);
	r = fs_read_file(AT_FDCWD, path, SECRET_MAX, &text, &length);
	if (r < 0) {
		*ret_why = log_errno(r);
		return r;
	}
	r = oauth_token_file_parse(text, length, &fresh, ret_why);
	explicit_bzero(text, length);
	if (r < 0) {
		if (r == -ENOMEM)
			*ret_why = log_errno(r);
		return r;
	}
	token->file = fs_identity_of(&st);
	adopt(token, &fresh);
	return 0;
}

static void renew_from_file(struct token *token)
{
	const char *why = NULL;
	int r;

	if (token->current.access_token && file_is_as_read(token))
		return;
	r = read_file(token, &why);
	if (r == 0)
		return;
	/* The old one goes on to serve while the new one is being written. */
	if (!token->current.access_token)
		fail_later(token, r, "the token file ", token->config->auth.token_file,
			   why);
}

/* ---- from a token server ---- */

static void count(const struct token *token, const struct http_answer *answer,
		  enum transport transport)
{
	if (token->tally)
		tally_request(token->tally, STAGE_TOKEN, transport, answer->status,
			      answer->duration);
}

static void on_answer(void *userdata, const struct http_answer *answer)
{
	struct token *token = userdata;
	_cleanup_(oauth_token_done) struct oauth_token fresh = {};
	_cleanup_wipe_ char *secret = take_ptr(token->secret);
	_cleanup_free_ char *said = NULL;
	struct token_failure failure = { .answer = *answer, .why = answer->problem };
	const char *reason = NULL;
	usec_t now = clock_monotonic();
	int r;

	token->request = NULL;
	if (token->looker)
		token->looker(token->looker_data, answer);
	if (answer->transport == TRANSPORT_ANSWERED && answer->status / 100 == 2) {
		r = oauth_token_parse(answer->body, answer->length, &fresh, &reason);
		if (r == 0) {
			count(token, answer, TRANSPORT_ANSWERED);
			adopt(token, &fresh);
			tell(token, NULL);
			return;
		}
		failure.answer.transport = r == -ENOMEM ? TRANSPORT_LOCAL
							: TRANSPORT_BAD_ANSWER;
		failure.answer.error = r == -ENOMEM ? r : 0;
		failure.why = reason ? reason : log_errno(r);
	} else if (answer->transport == TRANSPORT_ANSWERED) {
		if (!answer->location)
			said = oauth_error_format(answer->body, answer->length, secret);
		if (!said || !*said) {
			free(said);
			said = http_describe_status(answer);
		}
		failure.why = said ? said : "";
	}
	count(token, answer, failure.answer.transport);
	token->not_before = usec_add(now, answer->retry_after);
	/* While the old one serves, a renewal that failed is tried again in good time. */
	if (token->current.access_token)
		token->renew_at = usec_add(now, MAX(usec_sub(token->expires, now) / 2,
						    USEC_PER_SEC));
	tell(token, &failure);
}

static const char *why_no_secret(const struct token *token, int error)
{
	if (error != -ENODATA)
		return log_errno(error);
	return token->config->auth.client_secret_file ? "the file is empty"
						      : EMPTY_CREDENTIAL;
}

/* The client secret, without the line's end that editors put behind it. */
static int read_secret(const struct token *token, char **ret, char **ret_path)
{
	const char *configured = token->config->auth.client_secret_file;
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	_cleanup_free_ char *path = NULL, *secret = NULL;
	size_t length;
	int r;

	if (configured)
		path = strdup(configured);
	else if (!credentials)
		path = strdup(
			"(neither ClientSecretFile= nor a credential " CREDENTIAL_NAME
			")");
	else if (asprintf(&path, "%s/%s", credentials, CREDENTIAL_NAME) < 0)
		path = NULL;
	if (!path)
		return -ENOMEM;
	r = configured || credentials
		    ? fs_read_file(AT_FDCWD, path, SECRET_MAX, &secret, &length)
		    : -ENOENT;
	*ret_path = take_ptr(path);
	if (r < 0)
		return r;
	while (length > 0 && strchr("\r\n", secret[length - 1]))
		secret[--length] = '\0';
	*ret = take_ptr(secret);
	return length > 0 ? 0 : -ENODATA;
}

static int send_request(struct token *token, const char *form)
{
	static char content_type[] = "Content-Type: application/x-www-form-urlencoded";
	static char accept[] = "Accept: application/json";
	char *lines[] = { content_type, accept };
	const struct strv headers = { .items = lines, .count = ARRAY_SIZE(lines) };
	const struct http_call call = {
		.method = "POST",
		.url = token->config->auth.token_url,
		.headers = &headers,
		.body = form,
		.body_length = strlen(form),
		.file = -1,
		.timeout = token->config->api.timeout,
		.stall_timeout = USEC_INFINITY,
		.look = token->looker != NULL,
	};

	return http_start(token->http, &call, on_answer, token, &token->request);
}

static void renew_from_server(struct token *token)
{
	_cleanup_wipe_ char *secret = NULL, *form = NULL;
	_cleanup_free_ char *path = NULL;
	int r;

	if (token->request)
		return;
	if (clock_monotonic() < token->not_before) {
		if (!token->current.access_token)
			fail_later(token, 0, "", token->config->auth.token_url,
				   "it asked to be left alone for a while");
		return;
	}
	r = read_secret(token, &secret, &path);
	if (r < 0) {
		fail_later(token, r, "the client secret ", path ? path : "",
			   why_no_secret(token, r));
	} else {
		form = oauth_request_format(token->config->auth.client_id, secret,
					    token->config->auth.scope);
		r = form ? send_request(token, form) : -ENOMEM;
		if (r < 0)
			fail_later(token, r, "", token->config->auth.token_url,
				   log_errno(r));
		else
			token->secret = take_ptr(secret);
	}
}

static void renew(struct token *token)
{
	if (token->config->auth.token_file)
		renew_from_file(token);
	else
		renew_from_server(token);
}

const char *token_get(struct token *token, struct token_waiter *waiter,
		      uint64_t *ret_serial)
{
	usec_t now = clock_monotonic();

	if (token->current.access_token && now >= token->expires)
		forget(token);
	if (token->config->auth.token_file || !token->current.access_token ||
	    now >= token->renew_at)
		renew(token);
	if (!token->current.access_token) {
		TAILQ_INSERT_TAIL(&token->waiters, waiter, link);
		return NULL;
	}
	*ret_serial = token->serial;
	return token->current.access_token;
}

void token_leave(struct token *token, struct token_waiter *waiter)
{
	TAILQ_REMOVE(&token->waiters, waiter, link);
}

void token_refused(struct token *token, uint64_t serial)
{
	if (token->serial == serial)
		forget(token);
}

void token_look(struct token *token, http_done_fn answered, void *userdata)
{
	token->looker = answered;
	token->looker_data = userdata;
}

usec_t token_lifetime(const struct token *token)
{
	if (!token->current.access_token)
		return 0;
	return token->expires == USEC_INFINITY
		       ? USEC_INFINITY
		       : usec_sub(token->expires, clock_monotonic());
}

const char *token_source(const struct token *token)
{
	return token->config->auth.token_file ? token->config->auth.token_file
					      : token->config->auth.token_url;
}

void token_configure(struct token *token, const struct config *config, bool renewed)
{
	token->config = config;
	forget(token);
	if (!renewed)
		return;
	assert(TAILQ_EMPTY(&token->waiters));
	http_cancel(take_ptr(token->request));
	wipe(&token->secret);
	free(take_ptr(token->failure));
	(void)sd_event_source_set_enabled(token->tell_source, SD_EVENT_OFF);
	token->not_before = 0;
}

int token_new(sd_event *event, struct http *http, const struct config *config,
	      struct token **ret)
{
	struct token *token = calloc(1, sizeof(*token));
	int r;

	if (!token)
		return -ENOMEM;
	token->http = http;
	token->config = config;
	TAILQ_INIT(&token->waiters);
	r = sd_event_add_defer(event, &token->tell_source, on_tell, token);
	if (r < 0) {
		free(token);
		return r;
	}
	(void)sd_event_source_set_enabled(token->tell_source, SD_EVENT_OFF);
	*ret = token;
	return 0;
}

void token_count_in(struct token *token, struct tally *tally)
{
	token->tally = tally;
}

void token_free(struct token *token)
{
	if (!token)
		return;
	http_cancel(token->request);
	wipe(&token->secret);
	sd_event_source_disable_unref(token->tell_source);
	forget(token);
	free(token->failure);
	free(token);
}
