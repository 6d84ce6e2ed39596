/*
 * Bare loop: the least that uploads a directory, as the measure of the agent.
 *
 *	bare-loop [--http2] [--ca FILE] [--in-flight N] [--receipts] BASE-URL TOKEN
 *DIRECTORY
 *
 * For each file of the directory the same two requests that the agent makes, with the
 * same headers: POST BASE-URL/assets, and PUT to the contentUrl of its answer; N files at
 * a time (16), each with its own handles. Nothing is recorded, checked, retried or
 * written: the first failure ends it with status 1. --http2: for BASE-URL, all questions
 * on one connection; bodies always go over HTTP/1.1. --receipts: a file of the length of
 * the agent's receipt beside each one, whole from the first, and neither synced nor
 * stamped: the least that a directory full of receipts costs.
 */

#include <curl/curl.h>
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sys/stat.h>

#include "macro.h"

#define IN_FLIGHT_MAX 1024
#define ANSWER_MAX    4096

struct slot {
	CURL *ask;  /* POST, then */
	CURL *send; /* PUT */
	int fd;
	char name[NAME_MAX + 1];
	char body[512];
	char answer[ANSWER_MAX];
	size_t length;
};

static const char *base, *ca_file;
static char *directory_path;
static DIR *directory;
static CURLM *multi;
static struct curl_slist *ask_headers, *send_headers;
static bool http2, receipts;
static size_t in_flight = 16, busy, uploaded;
static struct slot *slots;

static size_t on_answer(char *data, size_t size, size_t count, void *userdata)
{
	struct slot *slot = userdata;

	if (slot->length + size * count >= sizeof(slot->answer))
		return 0;
	memcpy(slot->answer + slot->length, data, size * count);
	slot->length += size * count;
	slot->answer[slot->length] = '\0';
	return size * count;
}

static size_t on_nothing(char *data, size_t size, size_t count, void *userdata)
{
	(void)data;
	(void)userdata;
	return size * count;
}

static size_t on_read(char *buffer, size_t size, size_t count, void *userdata)
{
	const struct slot *slot = userdata;
	ssize_t n = read(slot->fd, buffer, size * count);

	return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

static CURL *new_handle(struct slot *slot, struct curl_slist *headers, bool h2)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		errx(1, "out of memory");
	curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
	curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "asset-agent/" VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 (long)(h2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, h2 ? 1L : 0L);
	if (ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	return easy;
}

static void open_slot(struct slot *slot, const char *token)
{
	char url[1024];

	(void)snprintf(url, sizeof(url), "%s/assets", base);
	slot->ask = new_handle(slot, ask_headers, http2);
	curl_easy_setopt(slot->ask, CURLOPT_URL, url);
	curl_easy_setopt(slot->ask, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
	curl_easy_setopt(slot->ask, CURLOPT_XOAUTH2_BEARER, token);
	curl_easy_setopt(slot->ask, CURLOPT_POSTFIELDS, slot->body);
	curl_easy_setopt(slot->ask, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(slot->ask, CURLOPT_WRITEDATA, slot);

	slot->send = new_handle(slot, send_headers, false);
	curl_easy_setopt(slot->send, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(slot->send, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(slot->send, CURLOPT_READDATA, slot);
	curl_easy_setopt(slot->send, CURLOPT_WRITEFUNCTION, on_nothing);
}

static bool is_receipt(const char *name)
{
	const char *dot = strstr(name, ".asset.json");

	return dot && streq(dot, ".asset.json");
}

static void write_receipt(const struct slot *slot)
{
	char name[NAME_MAX + 16], text[190];
	int fd = openat(dirfd(directory), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0640);

	memset(text, ' ', sizeof(text));
	(void)snprintf(name, sizeof(name), "%s.asset.json", slot->name);
	if (fd < 0 || write(fd, text, sizeof(text)) != (ssize_t)sizeof(text) ||
	    linkat(fd, "", dirfd(directory), name, AT_EMPTY_PATH) < 0)
		err(1, "%s", name);
	(void)close(fd);
}

/* The next regular file of the directory; false: that was the last. */
static bool ask_next(struct slot *slot)
{
	const struct dirent *entry;
	struct stat st;

	do {
		entry = readdir(directory);
		if (!entry)
			return false;
	} while (entry->d_name[0] == '.' || is_receipt(entry->d_name));
	(void)snprintf(slot->name, sizeof(slot->name), "%s", entry->d_name);
	slot->fd = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
	if (slot->fd < 0 || fstat(slot->fd, &st) < 0)
		err(1, "%s/%s", directory_path, entry->d_name);
	(void)snprintf(
		slot->body, sizeof(slot->body),
		"{\"channel\":{\"type\":\"sms\"},\"sender\":{\"type\":\"customer\"},"
		"\"name\":\"%s\",\"size\":%lld}",
		entry->d_name, (long long)st.st_size);
	slot->length = 0;
	curl_easy_setopt(slot->send, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
	busy++;
	return curl_multi_add_handle(multi, slot->ask) == CURLM_OK;
}

/* The service that is measured against writes no escapes into its URLs. */
static void send_body(struct slot *slot)
{
	static const char key[] = "\"contentUrl\":\"";
	char *from = strstr(slot->answer, key), *to;

	to = from ? strchr(from + STRLEN(key), '"') : NULL;
	if (!to)
		errx(1, "no contentUrl: %s", slot->answer);
	*to = '\0';
	curl_easy_setopt(slot->send, CURLOPT_URL, from + STRLEN(key));
	(void)curl_multi_add_handle(multi, slot->send);
}

static void finish(CURL *easy, CURLcode code)
{
	struct slot *slot = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
	if (code != CURLE_OK)
		errx(1, "%s: %s", easy == slot->ask ? "POST" : "PUT",
		     curl_easy_strerror(code));
	(void)curl_multi_remove_handle(multi, easy);
	if (easy == slot->ask) {
		send_body(slot);
		return;
	}
	(void)close(slot->fd);
	if (receipts)
		write_receipt(slot);
	busy--;
	uploaded++;
	(void)ask_next(slot);
}

static void upload_all(void)
{
	CURLMsg *message;
	int running, left;

	for (size_t i = 0; i < in_flight && ask_next(slots + i); i++)
		;
	while (busy > 0) {
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			errx(1, "curl_multi_perform");
		left = 0;
		while ((message = curl_multi_info_read(multi, &left)))
			if (message->msg == CURLMSG_DONE)
				finish(message->easy_handle, message->data.result);
		if (busy > 0 && curl_multi_poll(multi, NULL, 0, 1000, NULL) != CURLM_OK)
			errx(1, "curl_multi_poll");
	}
}

static void make_headers(void)
{
	static const char *const lines[] = { "Content-Type: application/json",
					     "Accept: application/json",
					     "X-egain-error-message: yes",
					     "Accept-Language: en-US", "Expect:" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		ask_headers = curl_slist_append(ask_headers, lines[i]);
	send_headers = curl_slist_append(send_headers, "Content-Type: text/plain");
	send_headers = curl_slist_append(send_headers, "Expect:");
}

static void set_up(const char *token)
{
	make_headers();
	multi = curl_multi_init();
	slots = calloc(in_flight, sizeof(*slots));
	if (!multi || !slots)
		errx(1, "out of memory");
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)(2 * in_flight));
	for (size_t i = 0; i < in_flight; i++)
		open_slot(slots + i, token);
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = { { "http2", no_argument, NULL, '2' },
						 { "ca", required_argument, NULL, 'c' },
						 { "in-flight", required_argument, NULL,
						   'n' },
						 { "receipts", no_argument, NULL, 'r' },
						 {} };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case '2': http2 = true; break;
		case 'c': ca_file = optarg; break;
		case 'r': receipts = true; break;
		case 'n': in_flight = strtoul(optarg, NULL, 10); break;
		default: exit(2);
		}
	}
	if (argc - optind != 3 || in_flight < 1 || in_flight > IN_FLIGHT_MAX)
		errx(2,
		     "usage: bare-loop [--http2] [--ca FILE] [--in-flight N] [--receipts] "
		     "BASE-URL TOKEN DIRECTORY");
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	base = argv[optind];
	directory_path = argv[optind + 2];
	directory = opendir(directory_path);
	if (!directory)
		err(1, "%s", directory_path);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	set_up(argv[optind + 1]);
	upload_all();
	(void)printf("%zu\n", uploaded);
	return 0;
}
