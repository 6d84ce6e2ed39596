#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "check-parts.h"
#include "fs.h"
#include "log.h"
#include "mime.h"
#include "oauth.h"
#include "x509.h"

#define FILE_MAX     ((size_t)1024 * 1024) /* bytes of one that we read */
#define WARN_EXPIRES (14 * USEC_PER_DAY)

/* Whether the service's user can read the file @path. */
static bool check_readable(struct check *c, const char *what, const char *path)
{
	int r = check_user_ask(&c->user, check_can_read_file, path);

	if (r == 0)
		return true;
	if (r == -ENOENT)
		screen_mark(&c->screen, SCREEN_FAILED, "%s%s is not there.", what, path);
	else if (r == -EINVAL)
		screen_mark(&c->screen, SCREEN_FAILED, "%s%s is no regular file.", what,
			    path);
	else
		screen_mark(&c->screen, SCREEN_FAILED, "%s%s can't be read by %s: %s.",
			    what, path, c->user.name, log_errno(r));
	return false;
}

static void check_hidden(struct check *c, const char *what, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_mode & S_IROTH)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "%s%s can be read by everybody. Close it: chmod o= %s", what,
			    path, path);
}

/* The text of @path where we ourselves can read it, else NULL. The caller wipes it. */
static char *read_text(const char *path, size_t *ret_length)
{
	char *text = NULL;

	return fs_read_file(AT_FDCWD, path, FILE_MAX, &text, ret_length) == 0 ? text
									      : NULL;
}

static void wipe(char *text, size_t length)
{
	if (text)
		explicit_bzero(text, length);
	free(text);
}

/* ---- secrets ---- */

static bool is_blank(const char *text, size_t length)
{
	return !text || strspn(text, "\r\n") == length;
}

static void check_secret_text(struct check *c, const char *what, const char *path)
{
	size_t length = 0;
	char *text = read_text(path, &length);

	if (text && is_blank(text, length))
		screen_mark(&c->screen, SCREEN_FAILED, "%s%s is empty.", what, path);
	else
		screen_mark(&c->screen, SCREEN_OK, "%s%s is there.", what, path);
	wipe(text, length);
}

/* systemd, which is root, reads it for the service. */
static void check_credential(struct check *c)
{
	static const char what[] = "The credential ";

	if (access(CREDENTIAL, F_OK) == 0) {
		check_secret_text(c, what, CREDENTIAL);
		check_hidden(c, what, CREDENTIAL);
	} else if (errno == EACCES) {
		screen_mark(&c->screen, SCREEN_INFO,
			    "The credential " CREDENTIAL
			    " can't be looked at: only root can.");
	} else {
		screen_mark(&c->screen, SCREEN_FAILED,
			    "There is no client secret: neither ClientSecretFile= nor "
			    "the credential " CREDENTIAL
			    ". Put it there: install -m 600 /dev/stdin " CREDENTIAL);
	}
}

static void check_token_file(struct check *c, const char *path)
{
	struct oauth_token token = {};
	const char *reason = NULL;
	size_t length = 0;
	char *text;

	if (!check_readable(c, "TokenFile=", path))
		return;
	text = read_text(path, &length);
	if (text && oauth_token_file_parse(text, length, &token, &reason) < 0)
		screen_mark(&c->screen, SCREEN_FAILED, "TokenFile=%s holds no token: %s.",
			    path, reason ? reason : "out of memory");
	else
		screen_mark(&c->screen, SCREEN_OK, "TokenFile=%s can be read by %s.",
			    path, c->user.name);
	wipe(text, length);
	oauth_token_done(&token);
	check_hidden(c, "TokenFile=", path);
}

static void check_auth(struct check *c)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	const char *file = c->config->auth.client_secret_file;

	if (c->config->auth.token_file) {
		check_token_file(c, c->config->auth.token_file);
	} else if (file) {
		if (check_readable(c, "ClientSecretFile=", file))
			check_secret_text(c, "ClientSecretFile=", file);
		check_hidden(c, "ClientSecretFile=", file);
	} else if (!credentials) {
		check_credential(c);
	}
}

/* ---- TLS ---- */

static void check_expires(struct check *c, const char *path, usec_t expires)
{
	char until[CLOCK_STRING_MAX];
	usec_t left = usec_sub(expires, clock_realtime());

	screen_instant(until, expires);
	if (left == 0)
		screen_mark(&c->screen, SCREEN_FAILED,
			    "ClientCertificate=%s ended on %s. Have it renewed.", path,
			    until);
	else if (left < WARN_EXPIRES)
		screen_mark(&c->screen, SCREEN_WARNING,
			    "ClientCertificate=%s ends on %s, days left: %" PRIu64
			    ". Have it renewed.",
			    path, until, left / USEC_PER_DAY);
	else
		screen_mark(&c->screen, SCREEN_OK,
			    "ClientCertificate=%s is good until %s.", path, until);
}

/* What of @path could be no certificate is told. */
static void check_certificate(struct check *c, const char *what, const char *path,
			      bool our_own)
{
	usec_t expires = 0;
	size_t length = 0;
	char *text;
	int r;

	if (!check_readable(c, what, path))
		return;
	text = read_text(path, &length);
	r = text ? x509_expires(text, length, &expires) : 0;
	wipe(text, length);
	if (r < 0)
		screen_mark(&c->screen, SCREEN_FAILED, "%s%s %s.", what, path,
			    r == -ENOENT ? "holds no certificate in PEM form"
					 : "holds a certificate that can't be read");
	else if (our_own && expires > 0)
		check_expires(c, path, expires);
	else
		screen_mark(&c->screen, SCREEN_OK, "%s%s can be read by %s.", what, path,
			    c->user.name);
}

static void check_tls(struct check *c)
{
	const char *certificate = c->config->api.client_certificate;
	const char *key = c->config->api.client_key;

	if (c->config->api.ca_file)
		check_certificate(c, "CAFile=", c->config->api.ca_file, false);
	if (!certificate)
		return;
	check_certificate(c, "ClientCertificate=", certificate, true);
	key = key ? key : certificate;
	if (!check_readable(c, "ClientKey=", key))
		return;
	check_hidden(c, "ClientKey=", key);
	check_pair(c);
}

/* ---- types ---- */

static void check_types(struct check *c)
{
	const char *path = c->config->upload.mime_types;
	struct mime *mime = NULL;
	int r;

	if (c->config->upload.content_type)
		return; /* it is told among the settings */
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		screen_mark(&c->screen, SCREEN_INFO,
			    "MimeTypes=%s is not there: the built-in list of types is "
			    "used.",
			    path);
		return;
	}
	if (!check_readable(c, "MimeTypes=", path))
		return;
	r = mime_load(path, &mime);
	if (r < 0)
		screen_mark(&c->screen, SCREEN_FAILED, "MimeTypes=%s can't be used: %s.",
			    path, log_errno(r));
	else
		screen_mark(&c->screen, SCREEN_OK, "MimeTypes=%s can be read by %s.",
			    path, c->user.name);
	mime_free(mime);
}

void check_files(struct check *c)
{
	check_auth(c);
	check_tls(c);
	check_types(c);
}
