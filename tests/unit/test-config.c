#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <sys/stat.h>
#include <syslog.h>

#include "config.h"
#include "macro.h"

/* Three sections that make a whole configuration, of 2, 3 and 4 lines. */
#define API   "[API]\nBaseURL=https://api.example.com/v3\n"
#define AUTH  "[Auth]\nTokenURL=https://login.example.com/token\nClientID=me\n"
#define SPOOL "[Spool]\nPath=/srv/a\nChannelType=sms\nSenderType=customer\n"
#define GOOD  API AUTH SPOOL
#define TYPES "ChannelType=sms\nSenderType=customer\n"

DEFINE_CLEANUP(struct config *, config_freep, config_free)

/* A directory of files, and what was said about them. */
struct world {
	char directory[256];
	char file[300];
	char *faults; /* a line each, without the directory */
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *base = getenv("TMPDIR");
	char drop_ins[320];

	if (!w)
		return -1;
	*state = w;
	snprintf(w->directory, sizeof(w->directory), "%s/test-config.XXXXXX",
		 base ? base : "/tmp");
	if (!mkdtemp(w->directory))
		return -1;
	snprintf(w->file, sizeof(w->file), "%s/agent.conf", w->directory);
	snprintf(drop_ins, sizeof(drop_ins), "%s.d", w->file);
	unsetenv("STATE_DIRECTORY");
	unsetenv("RUNTIME_DIRECTORY");
	return mkdir(drop_ins, 0700);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct world *w = *state;
	int r = nftw(w->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);

	free(w->faults);
	free(w);
	return r;
}

static void write_file(struct world *w, const char *name, const char *text)
{
	char path[600];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", w->directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void on_fault(void *userdata, const char *line)
{
	struct world *w = userdata;
	char *faults = NULL, *at;

	assert_null(strchr(line, '\n'));
	assert_true(asprintf(&faults, "%s%s\n", w->faults, line) > 0);
	while ((at = strstr(faults, w->directory))) {
		char *rest = at + strlen(w->directory) + STRLEN("/");

		memmove(at, rest, strlen(rest) + 1);
	}
	free(w->faults);
	w->faults = faults;
}

static int load(struct world *w, struct config **ret)
{
	free(w->faults);
	w->faults = strdup("");
	return config_load(w->file, on_fault, w, ret);
}

static struct config *load_good(struct world *w)
{
	struct config *config = NULL;
	int r = load(w, &config);

	assert_string_equal(w->faults, "");
	assert_int_equal(r, 0);
	return config;
}

static struct config *load_text(struct world *w, const char *text)
{
	write_file(w, "agent.conf", text);
	return load_good(w);
}

static void assert_faults(struct world *w, const char *faults)
{
	struct config *config = NULL;
	int r = load(w, &config);

	assert_string_equal(w->faults, faults);
	assert_int_equal(r, -EINVAL);
	assert_null(config);
}

static void assert_text(const char *text, const char *expected)
{
	if (!streq(text, expected))
		fail_msg("%s, expected %s", text ? text : "NULL",
			 expected ? expected : "NULL");
}

static void assert_list(const struct strv *list, const char *const *items, size_t count)
{
	assert_int_equal(list->count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(list->items[i], items[i]);
}

#define ITEMS(...) \
	(const char *const[]){ __VA_ARGS__ }, \
		ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ }))

static void test_defaults(void **state)
{
	_cleanup_(config_freep) struct config *c = load_text(*state, GOOD);
	const struct config_spool *spool = c->spools;

	assert_text(c->api.base_url, "https://api.example.com/v3");
	assert_text(c->api.accept_language, "en-US");
	assert_int_equal(c->api.timeout, 30 * USEC_PER_SEC);
	assert_int_equal(c->api.connect_timeout, 10 * USEC_PER_SEC);
	assert_int_equal(c->api.request_interval, 0);
	assert_int_equal(c->api.request_burst, 10);
	assert_text(c->api.ca_file, NULL);
	assert_text(c->api.client_certificate, NULL);
	assert_text(c->api.client_key, NULL);
	assert_text(c->api.proxy, NULL);
	assert_false(c->api.allow_insecure);
	assert_text(c->auth.token_url, "https://login.example.com/token");
	assert_text(c->auth.client_id, "me");
	assert_text(c->auth.scope, NULL);
	assert_text(c->auth.client_secret_file, NULL);
	assert_text(c->auth.token_file, NULL);
	assert_int_equal(c->upload.method, UPLOAD_AUTO);
	assert_text(c->upload.content_type, NULL);
	assert_text(c->upload.mime_types, "/etc/mime.types");
	assert_int_equal(c->upload.headers.count, 0);
	assert_int_equal(c->upload.max_concurrent, 16);
	assert_true(c->upload.bandwidth == UINT64_MAX);
	assert_int_equal(c->upload.stall_timeout, 30 * USEC_PER_SEC);
	assert_int_equal(c->upload.allowed_hosts.count, 0);
	assert_int_equal(c->retry.initial_delay, USEC_PER_SEC);
	assert_int_equal(c->retry.max_delay, 5 * USEC_PER_MINUTE);
	assert_int_equal(c->retry.max_attempts, 10);
	assert_text(c->state.directory, "/var/lib/asset-agent");
	assert_int_equal(c->report.log_level, LOG_INFO);
	assert_int_equal(c->report.log_target, LOG_CHOICE_AUTO);
	assert_text(c->report.status_file, "/run/asset-agent/status.json");
	assert_text(c->report.metrics_file, NULL);
	assert_int_equal(c->spool_count, 1);
	assert_text(spool->name, "/srv/a");
	assert_text(spool->path, "/srv/a");
	assert_text(spool->channel_type, "sms");
	assert_text(spool->sender_type, "customer");
	assert_false(spool->recursive);
	assert_list(&spool->ignore, ITEMS(".*", "*~", "*.tmp", "*.part", "*.partial",
					  "*.crdownload", "*.swp"));
	assert_int_equal(spool->settle, 200 * USEC_PER_MSEC);
	assert_int_equal(spool->watch, WATCH_AUTO);
	assert_int_equal(spool->poll_interval, 10 * USEC_PER_SEC);
	assert_int_equal(spool->after_upload, AFTER_KEEP);
	assert_text(spool->done_directory, NULL);
	assert_true(spool->max_size == UINT64_MAX);
	assert_true(endswith(spool->origin, "/agent.conf:6"));
}

static const char everything[] =
	"[API]\nBaseURL = HTTPS://api.example.com:8443/v3//\nAcceptLanguage=de, "
	"en;q=0.5\n"
	"Timeout=1min 30s\nConnectTimeout=2s\nRequestRate=0.5/s\nRequestBurst=3\n"
	"CAFile=/etc/ca.pem\nClientCertificate=/etc/c.pem\nClientKey=/etc/k.pem\n"
	"Proxy=socks5h://user:pass@proxy.example.com:1080\nAllowInsecure=yes\n"
	"[Auth]\nTokenURL=http://login.example.com/token?p=1\nClientID=an id\n"
	"ClientSecretFile=/etc/secret\nScope=a.b c.d\n"
	"[Upload]\nMethod=POST\nContentType=image/jpeg; q=1\nMimeTypes=/etc/types\n"
	"Header=X-One:1\nHeader=X-Two:\t two words \nMaxConcurrent=1024\nBandwidth=10M\n"
	"StallTimeout=1ms\nAllowedHosts=*.Example.com fd00:* s3.local\n"
	"[Retry]\nInitialDelay=5s\nMaxDelay=5s\nMaxAttempts=1\n"
	"[State]\nDirectory=/var/lib/mine\n"
	"[Report]\nLogLevel=debug\nLogTarget=stderr\nStatusFile=/run/mine.json\n"
	"MetricsFile=/var/metrics/asset.prom\n"
	"[Spool:photos]\nPath=/srv//./photos/\nChannelType=custom.\xC3\xA4\n"
	"SenderType=egain_bot\nRecursive=yes\nIgnore=*.bak\tThumbs.db\nSettle=0\n"
	"Watch=poll\nPollInterval=1d\nAfterUpload=move\nDoneDirectory=/srv/photos/done\n"
	"MaxSize=1.5G\n"
	"[Spool]\nPath=/srv/b\nChannelType=x\nSenderType=custom_bot\nWatch=inotify\n"
	"AfterUpload=delete\n";

static void test_everything(void **state)
{
	_cleanup_(config_freep) struct config *c = load_text(*state, everything);
	const struct config_spool *spool = c->spools;

	assert_text(c->api.base_url, "https://api.example.com:8443/v3");
	assert_text(c->api.accept_language, "de, en;q=0.5");
	assert_int_equal(c->api.timeout, 90 * USEC_PER_SEC);
	assert_int_equal(c->api.connect_timeout, 2 * USEC_PER_SEC);
	assert_int_equal(c->api.request_interval, 2 * USEC_PER_SEC);
	assert_int_equal(c->api.request_burst, 3);
	assert_text(c->api.ca_file, "/etc/ca.pem");
	assert_text(c->api.client_certificate, "/etc/c.pem");
	assert_text(c->api.client_key, "/etc/k.pem");
	assert_text(c->api.proxy, "socks5h://user:pass@proxy.example.com:1080");
	assert_true(c->api.allow_insecure);
	assert_text(c->auth.token_url, "http://login.example.com/token?p=1");
	assert_text(c->auth.client_id, "an id");
	assert_text(c->auth.client_secret_file, "/etc/secret");
	assert_text(c->auth.scope, "a.b c.d");
	assert_int_equal(c->upload.method, UPLOAD_POST);
	assert_text(c->upload.content_type, "image/jpeg; q=1");
	assert_text(c->upload.mime_types, "/etc/types");
	assert_list(&c->upload.headers, ITEMS("X-One: 1", "X-Two: two words"));
	assert_int_equal(c->upload.max_concurrent, CONFIG_CONCURRENT_MAX);
	assert_int_equal(c->upload.bandwidth, 10 << 20);
	assert_int_equal(c->upload.stall_timeout, USEC_PER_MSEC);
	assert_list(&c->upload.allowed_hosts,
		    ITEMS("*.example.com", "fd00:*", "s3.local"));
	assert_int_equal(c->retry.initial_delay, 5 * USEC_PER_SEC);
	assert_int_equal(c->retry.max_delay, 5 * USEC_PER_SEC);
	assert_int_equal(c->retry.max_attempts, 1);
	assert_text(c->state.directory, "/var/lib/mine");
	assert_int_equal(c->report.log_level, LOG_DEBUG);
	assert_int_equal(c->report.log_target, LOG_CHOICE_STDERR);
	assert_text(c->report.status_file, "/run/mine.json");
	assert_text(c->report.metrics_file, "/var/metrics/asset.prom");
	assert_int_equal(c->spool_count, 2);
	assert_text(spool->name, "photos");
	assert_text(spool->path, "/srv/photos");
	assert_text(spool->channel_type, "custom.\xC3\xA4");
	assert_text(spool->sender_type, "egain_bot");
	assert_true(spool->recursive);
	assert_list(&spool->ignore, ITEMS("*.bak", "Thumbs.db"));
	assert_int_equal(spool->settle, 0);
	assert_int_equal(spool->watch, WATCH_POLL);
	assert_int_equal(spool->poll_interval, USEC_PER_DAY);
	assert_int_equal(spool->after_upload, AFTER_MOVE);
	assert_text(spool->done_directory, "/srv/photos/done");
	assert_int_equal(spool->max_size, (UINT64_C(3) << 30) / 2);
	assert_text(spool[1].name, "/srv/b");
	assert_text(spool[1].sender_type, "custom_bot");
	assert_int_equal(spool[1].watch, WATCH_INOTIFY);
	assert_int_equal(spool[1].after_upload, AFTER_DELETE);
}

/* Each word that a key may be, as the number it stands for. */
static void test_choices(void **state)
{
#define CHOICE(head, word, field, number) \
	{ \
		head word "\n" GOOD, offsetof(struct config, field), number \
	}
	static const struct {
		const char *text;
		size_t offset;
		int value;
	} table[] = {
		CHOICE("[Upload]\nMethod=", "auto", upload.method, UPLOAD_AUTO),
		CHOICE("[Upload]\nMethod=", "PUT", upload.method, UPLOAD_PUT),
		CHOICE("[Upload]\nMethod=", "POST", upload.method, UPLOAD_POST),
		CHOICE("[Report]\nLogLevel=", "err", report.log_level, LOG_ERR),
		CHOICE("[Report]\nLogLevel=", "warning", report.log_level, LOG_WARNING),
		CHOICE("[Report]\nLogLevel=", "notice", report.log_level, LOG_NOTICE),
		CHOICE("[Report]\nLogLevel=", "info", report.log_level, LOG_INFO),
		CHOICE("[Report]\nLogLevel=", "debug", report.log_level, LOG_DEBUG),
		CHOICE("[Report]\nLogTarget=", "auto", report.log_target,
		       LOG_CHOICE_AUTO),
		CHOICE("[Report]\nLogTarget=", "journal", report.log_target,
		       LOG_CHOICE_JOURNAL),
		CHOICE("[Report]\nLogTarget=", "stderr", report.log_target,
		       LOG_CHOICE_STDERR),
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_(config_freep) struct config *c = load_text(*state,
								     table[i].text);
		int value;

		memcpy(&value, (const char *)c + table[i].offset, sizeof(value));
		assert_int_equal(value, table[i].value);
	}
}

/* Values that are as good as any. */
static void test_accepted(void **state)
{
	static const char *const table[] = {
		"[API]\nRequestRate=none\n",
		"[API]\nProxy=proxy.example.com:3128\n",
		"[API]\nProxy=http://[::1]:3128\n",
		"[API]\nBaseURL=http://localhost:8080/v3\n[Auth]\n"
		"TokenURL=http://[::1]/t\n",
		"[API]\nBaseURL=http://127.0.0.1\n",
		"[Upload]\nBandwidth=none\nContentType=auto\n",
		"[Upload]\nContentType=application/vnd.a+b;charset=\"utf-8\"\n",
		"[Upload]\nHeader=X-Tab: a\tb\nHeader=Hostess: x\n"
		"Header=!#$%&'*+-.^_`|~9: x\n",
		"[Retry]\nInitialDelay=5min\n",
		"[Retry]\nInitialDelay=365d\nMaxDelay=365d\n",
		"[API]\nRequestBurst=1000000\n[Retry]\nMaxAttempts=1000000\n",
		"[Upload]\nMaxConcurrent=1\n",
		"[State]\nDirectory=/srv/state/a..b/..c\n",
		"[Spool:a]\nPath=/srv/ab\n" TYPES,
		"[Spool:a]\nPath=/srv/a/below\n" TYPES,
		"[Spool:a]\nPath=/srv\nRecursive=no\n" TYPES,
		"[Spool:a]\nPath=/srv/c\nAfterUpload=move\n"
		"DoneDirectory=/srv/c/d\n" TYPES,
		"[Spool:a]\nPath=/srv/c\nAfterUpload=move\n"
		"DoneDirectory=/srv/a/d\n" TYPES,
		"[Spool:a]\nPath=/srv/c\nRecursive=yes\nAfterUpload=move\n"
		"DoneDirectory=/srv/c/d\n" TYPES,
		"[State]\nDirectory=/srv/a/state\n[Report]\n"
		"StatusFile=/srv/a/run/status\n",
		"# nothing\n[Upload]\n[Upload]\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_(config_freep) struct config *c = NULL;

		/* First the case, so that it need not be whole; then what is not in it.
		 */
		assert_true(asprintf(&text, "%s%s%s", table[i],
				     strstr(table[i], "BaseURL") ? "" : API,
				     strstr(table[i], "TokenURL")
					     ? "[Auth]\nClientID=me\n" SPOOL
					     : AUTH SPOOL) > 0);
		c = load_text(*state, text);
		assert_non_null(c);
	}
}

#define SPAN	 "a time span above 0, from 1ms to 365d, such as 500ms, 30s, 5min or 2h"
#define ABSOLUTE "an absolute path other than /, without .."
#define BASE	 "BaseURL= must be an http or https URL without user, query or fragment\n"
#define TOKEN	 "TokenURL= must be an http or https URL without user or fragment\n"
#define PROXY \
	"Proxy= must be a proxy such as http://host:3128 or " \
	"socks5h://host:1080\n"
#define HEADER \
	"Header= must be of the form Name: value, in ASCII, 256 at most, and none of " \
	"Authorization, Content-Length, Host and Transfer-Encoding\n"
#define HOSTS	"at most 256 patterns of hosts, without scheme, port and path"
#define EXPOSED " is plain http to another machine, which needs AllowInsecure=yes\n"

/* A line in a section, which is made whole by what follows it. */
static void test_value_faults(void **state)
{
	static const struct {
		const char *section, *line;
		const char *message; /* what follows "agent.conf:2: " */
	} table[] = {
		{ "API", "BaseURL=api.example.com", BASE },
		{ "API", "BaseURL=ftp://api.example.com", BASE },
		{ "API", "BaseURL=https://", BASE },
		{ "API", "BaseURL=https://a b/", BASE },
		{ "API", "BaseURL=https://me:secret@example.com/", BASE },
		{ "API", "BaseURL=https://me@example.com/", BASE },
		{ "API", "BaseURL=https://:secret@example.com/", BASE },
		{ "API", "BaseURL=https://example.com/v3?x=1", BASE },
		{ "API", "BaseURL=https://example.com/v3#x", BASE },
		{ "API", "BaseURL=https://example.com:99999/", BASE },
		{ "API", "AcceptLanguage=en_US",
		  "AcceptLanguage= must be language tags such as en-US or de, en;q=0.5, "
		  "not \"en_US\"\n" },
		{ "API", "Timeout=0", "Timeout= must be " SPAN ", not \"0\"\n" },
		{ "API", "Timeout=999us", "Timeout= must be " SPAN ", not \"999us\"\n" },
		{ "API", "Timeout=soon", "Timeout= must be " SPAN ", not \"soon\"\n" },
		{ "API", "Timeout=infinity",
		  "Timeout= must be " SPAN ", not \"infinity\"\n" },
		{ "API", "ConnectTimeout=366d",
		  "ConnectTimeout= must be " SPAN ", not \"366d\"\n" },
		{ "API", "RequestRate=0/s",
		  "RequestRate= must be a rate above 0 such as 0.5/s, 30/min or 100/h, "
		  "or none, "
		  "not \"0/s\"\n" },
		{ "API", "RequestBurst=0",
		  "RequestBurst= must be a number from 1 to 1000000, not \"0\"\n" },
		{ "API", "CAFile=ca.pem",
		  "CAFile= must be " ABSOLUTE ", not \"ca.pem\"\n" },
		{ "API", "ClientCertificate=/a/../b",
		  "ClientCertificate= must be " ABSOLUTE ", not \"/a/../b\"\n" },
		{ "API", "ClientKey=/etc/key", "ClientKey= needs ClientCertificate=\n" },
		{ "API", "Proxy=gopher://secret@host", PROXY },
		{ "API", "Proxy=a b", PROXY },
		{ "API", "AllowInsecure=perhaps",
		  "AllowInsecure= must be yes or no, not \"perhaps\"\n" },
		{ "Auth", "TokenURL=login", TOKEN },
		{ "Auth", "TokenURL=https://me@example.com/", TOKEN },
		{ "Auth", "TokenURL=https://example.com/#x", TOKEN },
		{ "Auth", "ClientID=\xFF",
		  "ClientID= must be 1 to 4096 characters of UTF-8, not \"\\xFF\"\n" },
		{ "Auth", "ClientSecretFile=secret",
		  "ClientSecretFile= must be " ABSOLUTE ", not \"secret\"\n" },
		{ "Auth", "Scope=\xE2\x82",
		  "Scope= must be 1 to 4096 characters of UTF-8, not \"\\xE2\\x82\"\n" },
		{ "Upload", "Method=put",
		  "Method= must be auto, PUT or POST, not \"put\"\n" },
		{ "Upload", "ContentType=jpeg",
		  "ContentType= must be auto or a type such as image/jpeg, not "
		  "\"jpeg\"\n" },
		{ "Upload", "ContentType=image/",
		  "ContentType= must be auto or a type such as image/jpeg, not "
		  "\"image/\"\n" },
		{ "Upload", "ContentType=image/jpeg png",
		  "ContentType= must be auto or a type such as image/jpeg, not "
		  "\"image/jpeg png\"\n" },
		{ "Upload", "MimeTypes=x",
		  "MimeTypes= must be " ABSOLUTE ", not \"x\"\n" },
		{ "Upload", "Header=X-Secret", HEADER },
		{ "Upload", "Header=X-Secret:", HEADER },
		{ "Upload", "Header=: x", HEADER },
		{ "Upload", "Header=X Secret: x", HEADER },
		{ "Upload", "Header=X-Secret : x", HEADER },
		{ "Upload", "Header=X-Secret: \xC3\xA4", HEADER },
		{ "Upload", "Header=authorization: Bearer secret", HEADER },
		{ "Upload", "Header=Content-Length: 1", HEADER },
		{ "Upload", "Header=HOST: x", HEADER },
		{ "Upload", "Header=Transfer-Encoding: chunked", HEADER },
		{ "Upload", "Header=X-Secret: a\rHost: b",
		  "Header= holds a control character\n" },
		{ "Upload", "MaxConcurrent=0",
		  "MaxConcurrent= must be a number from 1 to 1024, not \"0\"\n" },
		{ "Upload", "MaxConcurrent=1025",
		  "MaxConcurrent= must be a number from 1 to 1024, not \"1025\"\n" },
		{ "Upload", "MaxConcurrent=many",
		  "MaxConcurrent= must be a number from 1 to 1024, not \"many\"\n" },
		{ "Upload", "Bandwidth=0",
		  "Bandwidth= must be a size above 0 such as 64K, 10M or 2G, or none, "
		  "not "
		  "\"0\"\n" },
		{ "Upload", "AllowedHosts=*.a.org https://b.org",
		  "AllowedHosts= must be " HOSTS ", not \"*.a.org https://b.org\"\n" },
		{ "Upload", "AllowedHosts=b.org:443",
		  "AllowedHosts= must be " HOSTS ", not \"b.org:443\"\n" },
		{ "Upload", "StallTimeout=-1",
		  "StallTimeout= must be " SPAN ", not \"-1\"\n" },
		{ "Retry", "InitialDelay=0s",
		  "InitialDelay= must be " SPAN ", not \"0s\"\n" },
		{ "Retry", "InitialDelay=6min",
		  "InitialDelay= must not be longer than MaxDelay=\n" },
		{ "Retry", "MaxDelay=999ms",
		  "InitialDelay= must not be longer than MaxDelay=\n" },
		{ "Retry", "MaxDelay=x", "MaxDelay= must be " SPAN ", not \"x\"\n" },
		{ "Retry", "MaxAttempts=0",
		  "MaxAttempts= must be a number from 1 to 1000000, not \"0\"\n" },
		{ "State", "Directory=/",
		  "Directory= must be " ABSOLUTE ", not \"/\"\n" },
		{ "State", "Directory=/srv/a",
		  "Directory= lies in the spool at agent.conf:8\n" },
		{ "Report", "LogLevel=INFO",
		  "LogLevel= must be err, warning, notice, info or debug, not "
		  "\"INFO\"\n" },
		{ "Report", "LogTarget=syslog",
		  "LogTarget= must be auto, journal or stderr, not \"syslog\"\n" },
		{ "Report", "StatusFile=run",
		  "StatusFile= must be " ABSOLUTE ", not \"run\"\n" },
		{ "Report", "StatusFile=/srv/a/status.json",
		  "StatusFile= lies in the spool at agent.conf:8\n" },
		{ "Report", "MetricsFile=/srv/a/x.prom",
		  "MetricsFile= lies in the spool at agent.conf:8\n" },
		/* What a message repeats is one line, without tricks, and not too long.
		 */
		{ "Report", "LogTarget=\xE2\x80\xA8\xFF\\",
		  "LogTarget= must be auto, journal or stderr, not "
		  "\"\\xE2\\x80\\xA8\\xFF\\\\\"\n" },
		{ "Report",
		  "LogTarget="
		  "1234567890123456789012345678901234567890123456789012345678901",
		  "LogTarget= must be auto, journal or stderr, not "
		  "\"123456789012345678901234567890"
		  "123456789012345678901234567890...\"\n" },
		{ "API", "Timeout=\x1B[31m", "Timeout= holds a control character\n" },
		/* What is not known. */
		{ "API", "BaseUrl=x",
		  "unknown key BaseUrl= in [API]; is BaseURL= of [API] "
		  "meant?\n" },
		{ "API", "Timout=30s",
		  "unknown key Timout= in [API]; is Timeout= of [API] "
		  "meant?\n" },
		{ "API", "MaxConcurrent=3",
		  "unknown key MaxConcurrent= in [API]; is "
		  "MaxConcurrent= of [Upload] meant?\n" },
		{ "Auth", "ClientSecret=x",
		  "unknown key ClientSecret= in [Auth]; is ClientSecretFile= of [Auth] "
		  "meant?\n" },
		{ "API", "proxyURL=x",
		  "unknown key proxyURL= in [API]; is Proxy= of [API] meant?\n" },
		{ "API", "Frobnicate=yes", "unknown key Frobnicate= in [API]\n" },
		{ "API", "AKeyThatIsFarTooLongToBeAnythingThatWeEverHeardOf=",
		  "unknown key AKeyThatIsFarTooLongToBeAnythingThatWeEverHeardOf= in "
		  "[API]\n" },
		{ "API", "Timeout 30s",
		  "neither [Section], nor Key=value, nor a comment\n" },
		{ "API", "=30s", "a key is missing before the =\n" },
		{ "API", "[Retry", "a section needs a ] at its end\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *text = NULL, *faults = NULL;

		assert_true(asprintf(&text, "[%s]\n%s\n" API AUTH SPOOL, table[i].section,
				     table[i].line) > 0);
		assert_true(asprintf(&faults, "agent.conf:2: %s", table[i].message) > 0);
		write_file(*state, "agent.conf", text);
		assert_faults(*state, faults);
	}
}

/* The same for a line of a spool, which is otherwise whole. */
static void test_spool_value_faults(void **state)
{
	static const struct {
		const char *line, *message;
	} table[] = {
		{ "Path=relative", "Path= must be " ABSOLUTE ", not \"relative\"\n" },
		{ "Path=/srv/..", "Path= must be " ABSOLUTE ", not \"/srv/..\"\n" },
		{ "SenderType=agent",
		  "SenderType= must be custom_bot, customer, egain_agent, egain_bot or "
		  "custom_agent, not \"agent\"\n" },
		{ "ChannelType=\xFF",
		  "ChannelType= must be 1 to 255 characters of UTF-8, not \"\\xFF\"\n" },
		{ "Recursive=2", "Recursive= must be yes or no, not \"2\"\n" },
		{ "Settle=366d",
		  "Settle= must be a time span of at most 365d, such as 500ms, 30s, "
		  "5min or 2h, "
		  "not \"366d\"\n" },
		{ "Watch=fanotify",
		  "Watch= must be auto, inotify or poll, not \"fanotify\"\n" },
		{ "PollInterval=0", "PollInterval= must be " SPAN ", not \"0\"\n" },
		{ "AfterUpload=burn",
		  "AfterUpload= must be keep, delete or move, not \"burn\"\n" },
		{ "DoneDirectory=/srv/done", "DoneDirectory= needs AfterUpload=move\n" },
		{ "MaxSize=0",
		  "MaxSize= must be a size above 0 such as 64K, 10M or 2G, or none, not "
		  "\"0\"\n" },
		{ "MaxSize=10m",
		  "MaxSize= must be a size above 0 such as 64K, 10M or 2G, or none, not "
		  "\"10m\"\n" },
		{ "Paht=/srv", "unknown key Paht= in [Spool:x]\n" },
		{ "Setle=1s",
		  "unknown key Setle= in [Spool:x]; is Settle= of [Spool] meant?\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *text = NULL, *faults = NULL;

		assert_true(asprintf(&text, "[Spool:x]\n%s\nPath=/srv/x\n" TYPES API AUTH,
				     table[i].line) > 0);
		assert_true(asprintf(&faults, "agent.conf:2: %s", table[i].message) > 0);
		write_file(*state, "agent.conf", text);
		assert_faults(*state, faults);
	}
}

/* Whole files, and all that is wrong with them. */
static void test_faults_between_keys(void **state)
{
	static const struct {
		const char *text, *faults;
	} table[] = {
		{ "",
		  "agent.conf: [API] BaseURL= is missing\n"
		  "agent.conf: [Auth] TokenURL= and ClientID=, or TokenFile= is missing\n"
		  "agent.conf: a [Spool] section is missing\n" },
		{ "[Auth]\n\n[API]\n[Spool]\n[Spool:x]\n",
		  "agent.conf:3: [API] BaseURL= is missing\n"
		  "agent.conf:1: [Auth] TokenURL= and ClientID=, or TokenFile= is "
		  "missing\n"
		  "agent.conf:4: [Spool] Path= is missing\n"
		  "agent.conf:4: [Spool] ChannelType= is missing\n"
		  "agent.conf:4: [Spool] SenderType= is missing\n"
		  "agent.conf:5: [Spool:x] Path= is missing\n"
		  "agent.conf:5: [Spool:x] ChannelType= is missing\n"
		  "agent.conf:5: [Spool:x] SenderType= is missing\n" },
		{ API SPOOL "[Auth]\nTokenURL=https://example.com/\n",
		  "agent.conf:7: [Auth] ClientID= is missing\n" },
		{ API SPOOL "[Auth]\nClientID=me\n",
		  "agent.conf:7: [Auth] TokenURL= is missing\n" },
		{ API SPOOL
		  "[Auth]\nTokenFile=/run/token\nTokenURL=https://example.com/\n"
		  "ClientID=me\nClientSecretFile=/etc/s\nScope=a\n",
		  "agent.conf:9: TokenURL= and TokenFile= exclude each other\n"
		  "agent.conf:10: ClientID= and TokenFile= exclude each other\n"
		  "agent.conf:11: ClientSecretFile= and TokenFile= exclude each other\n"
		  "agent.conf:12: Scope= and TokenFile= exclude each other\n" },
		/* An empty value is as good as none. */
		{ GOOD "[API]\nBaseURL=\n", "agent.conf:1: [API] BaseURL= is missing\n" },
		/* A value that is refused is not missing as well, */
		{ "[API]\nBaseURL=x\n[Auth]\nTokenFile=y\n[Spool]\nPath=z\n" TYPES,
		  "agent.conf:2: " BASE "agent.conf:4: TokenFile= must be " ABSOLUTE
		  ", not \"y\"\n"
		  "agent.conf:6: Path= must be " ABSOLUTE ", not \"z\"\n" },
		/* nor compared with others, */
		{ GOOD "[Retry]\nInitialDelay=10min\nMaxDelay=0\n",
		  "agent.conf:12: MaxDelay= must be " SPAN ", not \"0\"\n" },
		{ GOOD "AfterUpload=mov\nDoneDirectory=/srv/done\n",
		  "agent.conf:10: AfterUpload= must be keep, delete or move, not "
		  "\"mov\"\n" },
		{ "[API]\nBaseURL=http://example.com/\nAllowInsecure=ja\n" AUTH SPOOL,
		  "agent.conf:3: AllowInsecure= must be yes or no, not \"ja\"\n" },
		/* nor excused by a better one later on. */
		{ "[API]\nTimeout=0\nTimeout=1s\n" GOOD,
		  "agent.conf:2: Timeout= must be " SPAN ", not \"0\"\n" },
		{ "[API]\nBaseURL=http://example.com/\n[Auth]\n"
		  "TokenURL=HTTP://10.0.0.1/t\n"
		  "ClientID=me\n" SPOOL,
		  "agent.conf:2: BaseURL=" EXPOSED "agent.conf:4: TokenURL=" EXPOSED },
		{ "[API]\nBaseURL=https://example.com/v3/assets/\n" AUTH SPOOL,
		  "agent.conf:2: BaseURL= must end before /assets, which is appended\n" },
		{ GOOD "AfterUpload=move\n",
		  "agent.conf:6: [Spool] AfterUpload=move, but DoneDirectory= is "
		  "missing\n" },
		{ GOOD "AfterUpload=delete\nDoneDirectory=/srv/done\n",
		  "agent.conf:11: DoneDirectory= needs AfterUpload=move\n" },
		{ GOOD "AfterUpload=move\nDoneDirectory=/srv/a/\n",
		  "agent.conf:11: DoneDirectory= is the Path= of the spool at "
		  "agent.conf:6\n" },
		{ GOOD "AfterUpload=move\nDoneDirectory=/srv/b\n"
		       "[Spool:b]\nPath=/srv/b\n" TYPES,
		  "agent.conf:11: DoneDirectory= is the Path= of the spool at "
		  "agent.conf:12\n" },
		{ GOOD "AfterUpload=move\nDoneDirectory=/srv/b/c/d\n"
		       "[Spool:b]\nPath=/srv/b\nRecursive=yes\n" TYPES,
		  "agent.conf:11: DoneDirectory= lies in the Recursive spool at "
		  "agent.conf:12\n" },
		{ GOOD "[Spool:b]\nPath=/srv//a/.\n" TYPES,
		  "agent.conf:11: Path= is that of the spool at agent.conf:6\n" },
		{ GOOD "[Spool:b]\nPath=/srv\nRecursive=yes\n" TYPES,
		  "agent.conf:7: Path= lies in the Recursive spool at agent.conf:10\n" },
		{ GOOD "[Spool:b]\nPath=/srv/a\nRecursive=yes\n" TYPES,
		  "agent.conf:11: Path= is that of the spool at agent.conf:6\n" },
		{ GOOD "[Spool:b]\nPath=/var/lib\nRecursive=yes\n" TYPES
		       "[Spool:c]\nPath=/run/asset-agent\n" TYPES,
		  "agent.conf:10: Directory= lies in the spool at agent.conf:10\n"
		  "agent.conf:15: StatusFile= lies in the spool at agent.conf:15\n" },
		{ "Path=/srv/b\n\n" GOOD,
		  "agent.conf:1: Path= stands before any [Section]\n" },
		/* The keys of a section that is not known can't be judged. */
		{ "[Retrys]\nInitialDelay=x\nX=y\n[api]\n[Frob]\n[Spool :x]\n" GOOD,
		  "agent.conf:1: unknown section [Retrys]; is [Retry] meant?\n"
		  "agent.conf:4: unknown section [api]; is [API] meant?\n"
		  "agent.conf:5: unknown section [Frob]\n"
		  "agent.conf:6: unknown section [Spool :x]; is [Spool:NAME] meant?\n" },
		{ GOOD "[Spool:]\nPath=x\n[Spool:a/b]\n[Spool:a\tb]\n",
		  "agent.conf:10: the name of a spool must be 1 to 64 bytes without a "
		  "slash\n"
		  "agent.conf:12: the name of a spool must be 1 to 64 bytes without a "
		  "slash\n"
		  "agent.conf:13: the name of a spool must be 1 to 64 bytes without a "
		  "slash\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		write_file(*state, "agent.conf", table[i].text);
		assert_faults(*state, table[i].faults);
	}
}

static void test_channel_type_length(void **state)
{
	char letters[256 * 2 + 1] = "";
	_cleanup_free_ char *good = NULL, *bad = NULL;
	_cleanup_(config_freep) struct config *c = NULL;

	/* Characters count, not bytes. */
	for (size_t i = 0; i < 255; i++)
		memcpy(letters + 2 * i, "\xC3\xA4", 2);
	assert_true(asprintf(&good, GOOD "ChannelType=%s\n", letters) > 0);
	assert_true(asprintf(&bad, GOOD "ChannelType=%sx\n", letters) > 0);
	c = load_text(*state, good);
	assert_text(c->spools->channel_type, letters);
	write_file(*state, "agent.conf", bad);
	assert_int_equal(load(*state, &c), -EINVAL);
	assert_true(
		startswith(((struct world *)*state)->faults,
			   "agent.conf:10: ChannelType= must be 1 to 255 characters"));
}

/* @before and @count times @again, each with its number in place of a #. */
static char *repeat(const char *before, const char *again, int count)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	assert_non_null(file);
	fputs(before, file);
	for (int i = 0; i < count; i++)
		for (const char *p = again; *p; p++)
			fprintf(file, *p == '#' ? "%d" : "%c", *p == '#' ? i : *p);
	fclose(file);
	return take_ptr(text);
}

static void test_ceilings(void **state)
{
	static const struct {
		const char *before, *again;
		int most;
		const char *faults;
	} table[] = {
		{ API AUTH, "[Spool:#]\nPath=/srv/#\n" TYPES, CONFIG_SPOOLS_MAX,
		  "agent.conf:1030: there are more than 256 spools\n" },
		{ GOOD "[Upload]\n", "Header=X-#: x\n", 256, "agent.conf:267: " HEADER },
		{ GOOD "[Upload]\nAllowedHosts=", "host# ", 256,
		  "agent.conf:11: AllowedHosts= must be " HOSTS ", not "
		  "\"host0 host1 host2 host3 host4 host5 host6 host7 host8 host9 "
		  "...\"\n" },
		{ GOOD "Ignore=", "*# ", 256,
		  "agent.conf:10: Ignore= must be at most 256 patterns, not "
		  "\"*0 *1 *2 *3 *4 *5 *6 *7 *8 *9 *10 *11 *12 *13 *14 *15 *16 "
		  "*1...\"\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *good = repeat(table[i].before, table[i].again,
						   table[i].most);
		_cleanup_free_ char *bad = repeat(table[i].before, table[i].again,
						  table[i].most + 1);
		_cleanup_(config_freep) struct config *c = load_text(*state, good);

		assert_non_null(c);
		write_file(*state, "agent.conf", bad);
		assert_faults(*state, table[i].faults);
	}
}

static void test_empty_resets(void **state)
{
	_cleanup_(config_freep) struct config *c = load_text(
		*state,
		"[API]\nTimeout=5s\nTimeout=\nProxy=http://p:1\nProxy=\n"
		"AllowInsecure=yes\n"
		"AllowInsecure=\n[Upload]\nBandwidth=1M\nBandwidth=\nContentType=a/b\n"
		"ContentType=\nAllowedHosts=x\nAllowedHosts=\nHeader=X-A: a\nHeader=\n"
		"Header=X-B: b\nHeader=X-C: c\n" GOOD
		"Ignore=*.x\nIgnore=\nRecursive=yes\nRecursive=\nMaxSize=1K\nMaxSize=\n"
		"AfterUpload=move\nAfterUpload=\nDoneDirectory=/srv/x\nDoneDirectory=\n");

	assert_int_equal(c->api.timeout, 30 * USEC_PER_SEC);
	assert_text(c->api.proxy, NULL);
	assert_false(c->api.allow_insecure);
	assert_true(c->upload.bandwidth == UINT64_MAX);
	assert_text(c->upload.content_type, NULL);
	assert_int_equal(c->upload.allowed_hosts.count, 0);
	assert_list(&c->upload.headers, ITEMS("X-B: b", "X-C: c"));
	assert_int_equal(c->spools->ignore.count, 7);
	assert_false(c->spools->recursive);
	assert_true(c->spools->max_size == UINT64_MAX);
	assert_int_equal(c->spools->after_upload, AFTER_KEEP);
	assert_text(c->spools->done_directory, NULL);
}

static void test_later_wins(void **state)
{
	_cleanup_(config_freep) struct config *c = load_text(
		*state, "[Upload]\nAllowedHosts=a b\nAllowedHosts=c\n" GOOD
			"Ignore=*.a *.b\nIgnore=*.c\nChannelType=fax\n");

	assert_list(&c->upload.allowed_hosts, ITEMS("c"));
	assert_list(&c->spools->ignore, ITEMS("*.c"));
	assert_text(c->spools->channel_type, "fax");
}

static void test_drop_ins(void **state)
{
	static const struct {
		const char *name, *text;
	} files[] = {
		{ "agent.conf", GOOD "[Spool:b]\nPath=/srv/b\n" TYPES },
		{ "agent.conf.d/20-b.conf", "[Upload]\nHeader=X-B: b\n[API]\nTimeout=2s\n"
					    "[Spool:b]\nSettle=2s\n" },
		{ "agent.conf.d/10-a.conf",
		  "[Upload]\nHeader=X-A: a\n[API]\nTimeout=1s\n"
		  "ConnectTimeout=1s\n[Spool]\nPath=/srv/c\n" TYPES
		  "[Spool:b]\nSettle=1s\nRecursive=yes\n" },
		/* As bytes: upper case comes first, whatever the locale. */
		{ "agent.conf.d/Z.conf", "[Upload]\nHeader=X-Z: z\n" },
		{ "agent.conf.d/a.conf", "[Upload]\nHeader=X-a: a\n" },
		{ "agent.conf.d/.hidden.conf", "[Upload]\nHeader=X-Hidden: x\n" },
		{ "agent.conf.d/99.conf~", "[Upload]\nHeader=X-Backup: x\n" },
		{ "agent.conf.d/README", "not a configuration\n" },
	};
	_cleanup_(config_freep) struct config *c = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		write_file(*state, files[i].name, files[i].text);
	c = load_good(*state);
	assert_list(&c->upload.headers, ITEMS("X-A: a", "X-B: b", "X-Z: z", "X-a: a"));
	assert_int_equal(c->api.timeout, 2 * USEC_PER_SEC);
	assert_int_equal(c->api.connect_timeout, USEC_PER_SEC);
	assert_int_equal(c->spool_count, 3);
	assert_text(c->spools[1].name, "b");
	assert_int_equal(c->spools[1].settle, 2 * USEC_PER_SEC);
	assert_true(c->spools[1].recursive);
	assert_true(endswith(c->spools[1].origin, "/agent.conf:10"));
	assert_text(c->spools[2].path, "/srv/c");
	assert_true(endswith(c->spools[2].origin, "/agent.conf.d/10-a.conf:6"));
	assert_int_equal(c->files.count, 5);
	assert_true(endswith(c->files.items[0], "/agent.conf"));
	assert_true(endswith(c->files.items[4], "/agent.conf.d/a.conf"));
}

/* A drop-in may bring what the main file lacks; and each fault names its file. */
static void test_drop_in_faults(void **state)
{
	_cleanup_(config_freep) struct config *c = NULL;

	write_file(*state, "agent.conf", "[API]\nTimeout=x\n[Spool:a]\nPath=/srv/a\n");
	write_file(*state, "agent.conf.d/1.conf", "Key=1\n[API]\nBaseURL=y\n");
	write_file(*state, "agent.conf.d/2.conf", "[Spool:a]\nChannelType=sms\n" AUTH);
	assert_faults(*state, "agent.conf:2: Timeout= must be " SPAN ", not \"x\"\n"
			      "agent.conf.d/1.conf:1: Key= stands before any [Section]\n"
			      "agent.conf.d/1.conf:3: " BASE
			      "agent.conf:3: [Spool:a] SenderType= is missing\n");
	write_file(*state, "agent.conf", "");
	write_file(*state, "agent.conf.d/1.conf", GOOD);
	write_file(*state, "agent.conf.d/2.conf", "");
	c = load_good(*state);
	assert_true(endswith(c->spools->origin, "/agent.conf.d/1.conf:6"));
}

static void test_unreadable(void **state)
{
	struct world *w = *state;
	char path[600];

	assert_faults(w, "agent.conf: can't be read: No such file or directory\n");
	assert_int_equal(mkdir(w->file, 0700), 0);
	assert_faults(w, "agent.conf: can't be read: it is not a regular file\n");
	assert_int_equal(rmdir(w->file), 0);
	write_file(w, "agent.conf", GOOD);
	assert_int_equal(truncate(w->file, (off_t)CONFIG_SIZE_MAX + 1), 0);
	assert_faults(w, "agent.conf: can't be read: it is too large\n");

	/* The others are read all the same. */
	write_file(w, "agent.conf", GOOD);
	snprintf(path, sizeof(path), "%s.d/1.conf", w->file);
	assert_int_equal(symlink("nowhere", path), 0);
	snprintf(path, sizeof(path), "%s.d/2.conf", w->file);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(w, "agent.conf.d/3.conf", "[X]\n");
	assert_faults(w, "agent.conf.d/1.conf: can't be read: No such file or directory\n"
			 "agent.conf.d/2.conf: can't be read: it is not a regular file\n"
			 "agent.conf.d/3.conf:1: unknown section [X]\n");
}

static void test_directory_of_drop_ins(void **state)
{
	struct world *w = *state;
	_cleanup_(config_freep) struct config *c = NULL;
	char path[600];

	snprintf(path, sizeof(path), "%s.d", w->file);
	assert_int_equal(rmdir(path), 0);
	c = load_text(w, GOOD);
	assert_int_equal(c->files.count, 1);
	write_file(w, "agent.conf.d", "");
	assert_faults(w, "agent.conf.d: can't be read: Not a directory\n");
}

static void test_environment(void **state)
{
	_cleanup_(config_freep) struct config *c = NULL, *set = NULL;

	setenv("STATE_DIRECTORY", "/var/lib/private/x:/var/lib/y", 1);
	setenv("RUNTIME_DIRECTORY", "/run/x/", 1);
	c = load_text(*state, GOOD);
	assert_text(c->state.directory, "/var/lib/private/x");
	assert_text(c->report.status_file, "/run/x/status.json");
	set = load_text(*state,
			GOOD "[State]\nDirectory=/mine\n[Report]\nStatusFile=/s\n");
	assert_text(set->state.directory, "/mine");
	assert_text(set->report.status_file, "/s");
	setenv("STATE_DIRECTORY", "x", 1);
	setenv("RUNTIME_DIRECTORY", "", 1);
	write_file(*state, "agent.conf", GOOD);
	assert_faults(*state,
		      "$STATE_DIRECTORY: Directory= must be " ABSOLUTE ", not \"x\"\n");
}

struct shown {
	char *text; /* "section key=value origin", a line each */
	size_t keys;
};

static void test_blank(void **state)
{
	static const struct {
		const char *text, *drop_in;
		int blank;
	} cases[] = {
		{ "", NULL, 1 },
		{ "[API]\nBaseURL=\n[Auth]\nTokenURL=\nClientID=\n", NULL, 1 },
		{ "[Spool]\nPath=/srv/a\nChannelType=\n", NULL, 1 },
		{ "", "# nothing\n", 1 },
		{ GOOD, NULL, 0 },
		/* Begun, however little. */
		{ API, NULL, 0 },
		{ "[Report]\nLogLevel=debug\n", NULL, 0 },
		{ "[Spool]\nPath=/srv/a\nChannelType=sms\n", NULL, 0 },
		{ "[Spool]\nPath=/srv/a\n[Spool:b]\nPath=/srv/b\nMaxSize=1M\n", NULL, 0 },
		{ "", "[Auth]\nClientID=me\n", 0 },
		/* With a fault somebody meant something by it. */
		{ "[API]\nBaseURL=ftp://example.com\n", NULL, 0 },
		{ "[API]\nColour=\n", NULL, 0 },
		{ "[Nonsense]\n", NULL, 0 },
		{ "no line\n", NULL, 0 },
		{ "", "no line\n", 0 },
	};
	struct world *w = *state;

	assert_int_equal(config_is_blank(w->file), 0); /* not there */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_file(w, "agent.conf", cases[i].text);
		write_file(w, "agent.conf.d/a.conf",
			   cases[i].drop_in ? cases[i].drop_in : "");
		if (config_is_blank(w->file) != cases[i].blank)
			fail_msg("%s + %s", cases[i].text,
				 cases[i].drop_in ? cases[i].drop_in : "none");
	}
}

static void test_sample_is_blank(void **state)
{
	(void)state;
	assert_int_equal(config_is_blank("conf/agent.conf"), 1);
}

/* What systemd sets in the environment is not somebody's setting. */
static void test_environment_is_blank(void **state)
{
	struct world *w = *state;

	write_file(w, "agent.conf", "");
	assert_int_equal(setenv("STATE_DIRECTORY", "/var/lib/asset-agent", 1), 0);
	assert_int_equal(config_is_blank(w->file), 1);
	assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

static void on_show(void *userdata, const char *section, const char *key,
		    const char *value, const char *origin)
{
	struct shown *shown = userdata;
	const char *slash = strrchr(origin, '/');
	char *text = NULL;

	assert_true(asprintf(&text, "%s%s %s=%s %s\n", shown->text ? shown->text : "",
			     section, key, value, slash ? slash + 1 : origin) > 0);
	free(shown->text);
	shown->text = text;
	shown->keys++;
}

static void test_show(void **state)
{
	static const char *const lines[] = {
		"API BaseURL=https://api.example.com/v3 agent.conf:2\n",
		"API Timeout=30s default\n",
		"API ConnectTimeout=10s default\n",
		"API RequestRate=none default\n",
		"API Proxy=host:1 x.conf:2\n",
		"API CAFile= default\n",
		"Auth ClientID=me agent.conf:5\n",
		"Upload Header=X-A, X-B x.conf:5\n",
		"State Directory=/var/lib/x $STATE_DIRECTORY\n",
		"Report LogLevel=info default\n",
		"Spool /srv/a Path=/srv/a agent.conf:7\n",
		"Spool /srv/a Settle=200ms default\n",
		"Spool:b Path=/srv/b/ x.conf:9\n",
		"Spool:b MaxSize=none default\n",
	};
	_cleanup_(config_freep) struct config *c = NULL;
	_cleanup_free_ char *text = NULL;
	struct shown shown = {};

	setenv("STATE_DIRECTORY", "/var/lib/x", 1);
	write_file(*state, "agent.conf", GOOD);
	write_file(
		*state, "agent.conf.d/x.conf",
		"[API]\nProxy=http://me:secret@host:1\n[Upload]\nHeader=X-A: secret\n"
		"Header=X-B: secret\n[API]\nTimeout=1s\n[Spool:b]\nPath=/srv/b/\n" TYPES
		"[API]\nTimeout=\n");
	c = load_good(*state);
	assert_int_equal(config_show(c, on_show, &shown), 0);
	text = shown.text;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("%s is not in\n%s", lines[i], text);
	assert_null(strstr(text, "secret@"));
	assert_null(strstr(text, ": secret"));
	/* Each key of INTERFACE and MimeTypes: 32, and 11 of each spool. */
	assert_int_equal(shown.keys, 32 + 2 * 11);
}

/* What is shown, written into a file, is the same configuration again. */
static void on_show_ini(void *userdata, const char *section, const char *key,
			const char *value, const char *origin)
{
	FILE *file = userdata;

	(void)origin;
	fprintf(file, "[%s]\n%s=%s\n", section, key, value);
}

static void test_show_round_trip(void **state)
{
	_cleanup_(config_freep) struct config *c = NULL, *again = NULL;
	_cleanup_free_ char *first = NULL, *second = NULL;
	size_t length;
	FILE *file;

	c = load_text(*state, "[Upload]\nAllowedHosts=a b\n" API AUTH
			      "[Spool:a]\nPath=/srv/a\nMaxSize=7K\n" TYPES);
	file = open_memstream(&first, &length);
	assert_int_equal(config_show(c, on_show_ini, file), 0);
	fclose(file);
	again = load_text(*state, first);
	file = open_memstream(&second, &length);
	assert_int_equal(config_show(again, on_show_ini, file), 0);
	fclose(file);
	assert_string_equal(first, second);
	assert_int_equal(again->spools->max_size, 7 << 10);
}

static void test_loopback(void **state)
{
	static const struct {
		const char *host;
		bool loopback;
	} table[] = {
		{ "localhost", true },
		{ "LocalHost", true },
		{ "localhost.", true },
		{ "a.localhost", true },
		{ "a.b.localhost.", true },
		{ "127.0.0.1", true },
		{ "127.255.255.254", true },
		{ "::1", true },
		{ "0:0:0:0:0:0:0:1", true },
		{ "", false },
		{ ".", false },
		{ "notlocalhost", false },
		{ "localhost.example.com", false },
		{ "127.0.0.1.example.com", false },
		{ "128.0.0.1", false },
		{ "126.255.255.255", false },
		{ "0.0.0.0", false },
		{ "::", false },
		{ "::2", false },
		{ "[::1]", false },
		{ "ocalhost", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (config_host_is_loopback(table[i].host) != table[i].loopback)
			fail_msg("%s", table[i].host);
}

/* The file that is installed lacks just what only its reader can know. */
static void test_sample(void **state)
{
	struct world *w = *state;
	struct config *config = NULL;

	w->faults = strdup("");
	assert_int_equal(config_load("conf/agent.conf", on_fault, w, &config), -EINVAL);
	assert_string_equal(
		w->faults,
		"conf/agent.conf:8: [API] BaseURL= is missing\n"
		"conf/agent.conf:12: [Auth] TokenURL= and ClientID=, or TokenFile= is "
		"missing\n"
		"conf/agent.conf:20: [Spool] ChannelType= is missing\n"
		"conf/agent.conf:20: [Spool] SenderType= is missing\n");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_everything),
		TEST(test_choices),
		TEST(test_accepted),
		TEST(test_value_faults),
		TEST(test_spool_value_faults),
		TEST(test_faults_between_keys),
		TEST(test_channel_type_length),
		TEST(test_ceilings),
		TEST(test_empty_resets),
		TEST(test_later_wins),
		TEST(test_drop_ins),
		TEST(test_drop_in_faults),
		TEST(test_unreadable),
		TEST(test_directory_of_drop_ins),
		TEST(test_environment),
		TEST(test_show),
		TEST(test_show_round_trip),
		TEST(test_loopback),
		TEST(test_sample),
		TEST(test_blank),
		TEST(test_sample_is_blank),
		TEST(test_environment_is_blank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
