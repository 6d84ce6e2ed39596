#include <stdarg.h>

#include "lock.h"
#include "record.h"

int record_init(struct record *record, bool counts_only)
{
	pthread_condattr_t attributes;
	int r;

	*record = (struct record){ .counts_only = counts_only };
	r = -pthread_condattr_init(&attributes);
	if (r < 0)
		return r;
	/* A condition can't wait on CLOCK_BOOTTIME. */
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	r = -pthread_cond_init(&record->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	if (r < 0)
		return r;
	return -pthread_mutex_init(&record->lock, NULL);
}

void record_done(struct record *record)
{
	for (size_t i = 0; i < record->count; i++) {
		free((char *)record->requests[i]->url);
		free((char *)record->requests[i]->headers);
		free(record->requests[i]);
	}
	free(record->requests);
	strv_done(&record->violations);
	(void)pthread_mutex_destroy(&record->lock);
	(void)pthread_cond_destroy(&record->changed);
}

static struct service_request *keep(struct record *record,
				    struct service_request *request)
{
	_cleanup_free_ struct service_request *detail = malloc(sizeof(*detail));
	struct service_request **grown = record->requests;

	/* Grows at each power of two. */
	if ((record->count & (record->count - 1)) == 0)
		grown = reallocarray(grown, MAX(record->count * 2, 1), sizeof(*grown));
	if (grown)
		record->requests = grown;
	if (!detail || !grown)
		return NULL;

	*detail = *request;
	detail->sequence = record->count;
	request->url = request->headers = NULL;
	record->requests[record->count++] = detail;
	return take_ptr(detail);
}

static void come(struct tally *tally)
{
	tally->come++;
	tally->now++;
	tally->peak = MAX(tally->peak, tally->now);
}

static void answered(struct tally *tally, int status)
{
	tally->now--;
	tally->answers[status]++;
}

struct service_request *record_come(struct record *record,
				    struct service_request *request)
{
	HOLD(record);

	come(&record->tallies[request->endpoint]);
	come(&record->tallies[ENDPOINT_ANY]);
	(void)pthread_cond_broadcast(&record->changed);
	return record->counts_only ? NULL : keep(record, request);
}

void record_answer(struct record *record, struct service_request *detail,
		   enum endpoint endpoint, int status)
{
	usec_t now = clock_monotonic();
	HOLD(record);

	answered(&record->tallies[endpoint], status);
	answered(&record->tallies[ENDPOINT_ANY], status);
	if (detail) {
		detail->status = status;
		detail->answered = now;
	}
	(void)pthread_cond_broadcast(&record->changed);
}

void record_asset(struct record *record, struct service_request *detail, const char *id)
{
	HOLD(record);

	if (detail)
		detail->asset = id;
}

void record_body(struct record *record, struct service_request *detail, uint64_t bytes)
{
	HOLD(record);

	if (detail)
		detail->body += bytes;
}

void record_held(struct record *record, int change)
{
	HOLD(record);

	record->held += (size_t)change;
	(void)pthread_cond_broadcast(&record->changed);
}

void record_received(struct record *record, uint64_t bytes)
{
	HOLD(record);

	record->received++;
	record->received_bytes += bytes;
	(void)pthread_cond_broadcast(&record->changed);
}

void record_violation(struct record *record, const char *format, ...)
{
	_cleanup_free_ char *line = NULL;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&line, format, arguments);
	va_end(arguments);
	if (length < 0) {
		line = NULL;
		return;
	}

	HOLD(record);
	if (record->violations.count < RECORD_VIOLATIONS_MAX)
		(void)strv_push(&record->violations, line);
}

bool record_at(struct record *record, enum endpoint endpoint, size_t index,
	       struct service_request *ret)
{
	HOLD(record);

	for (size_t i = 0; i < record->count; i++) {
		const struct service_request *request = record->requests[i];

		if (endpoint != ENDPOINT_ANY && request->endpoint != endpoint)
			continue;
		if (index-- == 0) {
			*ret = *request;
			return true;
		}
	}
	return false;
}

char *record_violations(struct record *record)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_fclose_ FILE *stream = NULL;
	size_t length;
	HOLD(record);

	if (record->violations.count == 0)
		return NULL;
	stream = open_memstream(&text, &length);
	if (!stream)
		return NULL;
	for (size_t i = 0; i < record->violations.count; i++)
		(void)fprintf(stream, "%s\n", record->violations.items[i]);
	(void)fclose(take_ptr(stream));
	return take_ptr(text);
}

static size_t number(const struct record *record, struct record_query query)
{
	const struct tally *tally = &record->tallies[query.endpoint];

	switch (query.what) {
	case QUERY_COME: return tally->come;
	case QUERY_PEAK: return tally->peak;
	case QUERY_ANSWERS: return tally->answers[query.status];
	case QUERY_HELD: return record->held;
	case QUERY_RECEIVED: return record->received;
	case QUERY_BYTES: return record->received_bytes;
	}
	return 0;
}

size_t record_number(struct record *record, struct record_query query)
{
	HOLD(record);

	return number(record, query);
}

static struct timespec deadline_after(usec_t timeout)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return usec_to_timespec(usec_add(usec_from_timespec(now), timeout));
}

bool record_wait(struct record *record, struct record_query query, size_t n, bool exactly,
		 usec_t timeout)
{
	struct timespec deadline = deadline_after(timeout);
	int r = 0;
	HOLD(record);

	for (;;) {
		size_t have = number(record, query);

		if (exactly ? have == n : have >= n)
			return true;
		if (r != 0)
			return false;
		r = pthread_cond_timedwait(&record->changed, &record->lock, &deadline);
	}
}
