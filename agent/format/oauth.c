#include <ctype.h>

#include "json.h"
#include "macro.h"
#include "oauth.h"
#include "parse.h"
#include "plain.h"
#include "text.h"

#define ERROR_MAX	 1024 /* characters of "error: error_description" */
#define STRANGE_TEXT_MAX 200  /* characters of any other text */
#define TOKEN_LIKE_MIN	 20   /* bytes of a mixed word that may be a token */
#define WORD_MAX	 40   /* bytes above which any word may be one */
#define STARS		 3

static char *append_escaped(char *out, const char *value)
{
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == ' ')
			*out++ = '+';
		else if (isalnum(c) || strchr("-._*", c))
			*out++ = (char)c;
		else
			out += sprintf(out, "%%%02X", c);
	}
	return out;
}

char *oauth_request_format(const char *client_id, const char *client_secret,
			   const char *scope)
{
	const struct {
		const char *name, *value;
	} fields[] = {
		{ "grant_type=", "client_credentials" },
		{ "&client_id=", client_id },
		{ "&client_secret=", client_secret },
		{ "&scope=", scope },
	};
	size_t size = 1;
	char *text, *out;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].value)
			size += strlen(fields[i].name) +
				STRLEN("%XX") * strlen(fields[i].value);
	/* One block of the whole size: growing it would leave the secret behind. */
	text = out = malloc(size);
	if (!text)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].value)
			out = append_escaped(stpcpy(out, fields[i].name),
					     fields[i].value);
	*out = '\0';
	return text;
}

static int refuse(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return -EBADMSG;
}

static bool is_visible(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] < '!' || text[i] > '~')
			return false;
	return true;
}

static int make_token(const char *text, size_t length, usec_t lifetime,
		      struct oauth_token *ret, const char **ret_reason)
{
	char *copy;

	if (length == 0)
		return refuse(ret_reason, "the token is empty");
	if (length > OAUTH_TOKEN_MAX)
		return refuse(ret_reason, "the token is too long");
	if (!is_visible(text, length))
		return refuse(ret_reason,
			      "the token has characters that no header may carry");
	copy = strndup(text, length);
	if (!copy)
		return -ENOMEM;
	*ret = (struct oauth_token){ .access_token = copy, .lifetime = lifetime };
	return 0;
}

static bool from_seconds(uint64_t seconds, usec_t *ret)
{
	if (seconds >= USEC_INFINITY / USEC_PER_SEC)
		return false;
	*ret = seconds * USEC_PER_SEC;
	return true;
}

/* Whole seconds; a fraction is dropped. */
static bool from_double(double seconds, usec_t *ret)
{
	/* No comparison with NaN is true. */
	if (!(seconds >= 0 && seconds < (double)(USEC_INFINITY / USEC_PER_SEC)))
		return false;
	return from_seconds((uint64_t)seconds, ret);
}

static bool read_lifetime(const struct json_object *object, usec_t *ret)
{
	struct json_object *number;
	uint64_t seconds;
	const char *text;

	if (!json_object_object_get_ex(object, "expires_in", &number) || !number) {
		*ret = USEC_INFINITY;
		return true;
	}
	if (json_get_unsigned(object, "expires_in", &seconds) > 0)
		return from_seconds(seconds, ret);
	if (json_object_is_type(number, json_type_double))
		return from_double(json_object_get_double(number), ret);
	return json_get_string(object, "expires_in", &text) > 0 &&
	       parse_unsigned(text, &seconds) == 0 && from_seconds(seconds, ret);
}

int oauth_token_parse(const char *text, size_t length, struct oauth_token *ret,
		      const char **ret_reason)
{
	_cleanup_(json_putp) struct json_object *object = NULL;
	const char *token, *type;
	usec_t lifetime;
	int r;

	r = json_parse(text, length, json_type_object, &object);
	if (r == -EBADMSG)
		return refuse(ret_reason, "the answer is not a JSON object");
	if (r < 0)
		return r;
	if (json_get_string(object, "access_token", &token) <= 0)
		return refuse(ret_reason, "the answer has no access_token");
	if (json_get_string(object, "token_type", &type) <= 0 ||
	    strcasecmp(type, "Bearer") != 0)
		return refuse(ret_reason, "the answer's token_type is not Bearer");
	if (!read_lifetime(object, &lifetime))
		return refuse(ret_reason,
			      "the answer's expires_in is not a number of seconds");
	return make_token(token, strlen(token), lifetime, ret, ret_reason);
}

int oauth_token_file_parse(const char *text, size_t length, struct oauth_token *ret,
			   const char **ret_reason)
{
	const char *newline = length ? memchr(text, '\n', length) : NULL;

	if (newline)
		length = (size_t)(newline - text);
	for (; length && isspace((unsigned char)*text); length--)
		text++;
	while (length && isspace((unsigned char)text[length - 1]))
		length--;
	return make_token(text, length, USEC_INFINITY, ret, ret_reason);
}

void oauth_token_done(struct oauth_token *token)
{
	if (token->access_token)
		explicit_bzero(token->access_token, strlen(token->access_token));
	free(token->access_token);
	*token = (struct oauth_token){};
}

/* The length of the word at @p, of the characters of which tokens are made. */
static size_t word_length(const char *p)
{
	size_t length = 0;

	while (isalnum((unsigned char)p[length]) ||
	       (p[length] && strchr("-._~+/=%", p[length])))
		length++;
	return length;
}

/* Error codes and prose keep to one kind of letter, and are short. */
static bool is_token_like(const char *word, size_t length)
{
	bool lower = false, upper = false, digit = false;

	for (size_t i = 0; i < length; i++) {
		lower |= islower((unsigned char)word[i]) != 0;
		upper |= isupper((unsigned char)word[i]) != 0;
		digit |= isdigit((unsigned char)word[i]) != 0;
	}
	return length > WORD_MAX ||
	       (length >= TOKEN_LIKE_MIN && lower + upper + digit >= 2);
}

/* Where @p names a secret that a separator follows ("access_token": ), the length of
 * both; else 0. */
static size_t label_length(const char *p)
{
	static const char *const names[] = {
		"access_token",	 "refresh_token",    "id_token",
		"client_secret", "client_assertion", "password",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t name = strlen(names[i]), separator;

		if (strncasecmp(p, names[i], name) != 0)
			continue;
		separator = strspn(p + name, " \\\"':=");
		if (memchr(p + name, ':', separator) || memchr(p + name, '=', separator))
			return name + separator;
	}
	return 0;
}

static char *append_stars(char *out, size_t hidden)
{
	size_t n = MIN(hidden, (size_t)STARS);

	return (char *)memset(out, '*', n) + n;
}

/* Stars out, in place, what is a token or secret by its label or by its looks. */
static void hide_tokens(char *text)
{
	char *out = text;

	for (const char *p = text; *p;) {
		size_t label = label_length(p), word;

		if (label) {
			word = strcspn(p + label, " \"'\\,&;}");
			memmove(out, p, label);
			out = append_stars(out + label, word);
			p += label + word;
			continue;
		}
		word = word_length(p);
		if (is_token_like(p, word)) {
			out = append_stars(out, word);
			p += word;
			continue;
		}
		*out++ = *p++;
	}
	*out = '\0';
}

/* Hidden before it is cut: a token's first half looks like none. */
static char *format_text(const char *text, size_t length, const char *secret, size_t max)
{
	char *plain = plain_text(text, length, SIZE_MAX);

	if (plain) {
		if (secret)
			text_hide(plain, secret);
		hide_tokens(plain);
		plain_cut(plain, max);
	}
	return plain;
}

char *oauth_error_format(const char *text, size_t length, const char *secret)
{
	_cleanup_(json_putp) struct json_object *object = NULL;
	const char *error = NULL, *description = NULL;
	_cleanup_free_ char *line = NULL;
	int r;

	r = json_parse(text, length, json_type_object, &object);
	if (r == -ENOMEM)
		return NULL;
	if (r < 0 || json_get_string(object, "error", &error) <= 0)
		return format_text(text, length, secret, STRANGE_TEXT_MAX);
	if (json_get_string(object, "error_description", &description) <= 0)
		return format_text(error, strlen(error), secret, ERROR_MAX);
	if (asprintf(&line, "%s: %s", error, description) < 0) {
		line = NULL;
		return NULL;
	}
	return format_text(line, strlen(line), secret, ERROR_MAX);
}
