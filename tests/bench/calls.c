/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LLM calls for tests/bench/gateway: a provider that costs next to nothing, and who calls it.
 *
 *   calls serve PORT                  answers chat completions on 127.0.0.1, for ever; one whose
 *                                     prompt is "pace EVENTS MILLISECONDS" with a stream of so many
 *                                     pieces, one in so many milliseconds
 *   calls ask PORT PREFIX KEY         calls http://127.0.0.1:PORT/PREFIX/v1/chat/completions, as
 *                                     lines of its input say; a line of figures answers each:
 *     call CONNECTIONS N              N calls, over so many connections one after the other:
 *                                     median and 99th percentile, in ns
 *     stream STREAMS EVENTS MS        paced streams side by side: how long after the provider wrote
 *                                     a piece it was there, median and 99th percentile, in ns
 *
 * A piece of a stream holds the time at which it was written, so that what stands between is what is
 * measured: both ends read one clock.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define SAMPLES_MAX (1 << 20)
#define INPUT_MAX (64 << 10)
#define LINE_MAX_ 1024
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define ANSWER_MS 30000

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in here(const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)atoi(port)),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0)
			fail("send");
		text += n;
		len -= (size_t)n;
	}
}

static void watch(int epoll, int fd, void *what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll");
}

/* --- the provider --------------------------------------------------------------------------------- */

struct client {
	int fd; /* -1: free */
	char input[INPUT_MAX + 1];
	size_t len;
	unsigned int events; /* of its stream that are still to come; 0: it has none */
	unsigned int sent;
	int64_t gap, due; /* ns */
	bool wants_usage;
};

static struct client clients[CONNECTIONS_MAX];

static const char answer[] =
	"{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1790000000,"
	"\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
	"\"content\":\"A small answer, as a model gives it to a small question.\","
	"\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
	"\"usage\":{\"prompt_tokens\":22,\"completion_tokens\":13,\"total_tokens\":35,"
	"\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
	"\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"
	"\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},"
	"\"service_tier\":\"default\"}";

#define EVENT_START                                                              \
	"data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\"," \
	"\"created\":1790000000,\"model\":\"bench-model\",\"choices\":["

__attribute__((format(printf, 2, 3))) static void send_chunk(struct client *c,
							     const char *format, ...)
{
	char text[LINE_MAX_], chunk[LINE_MAX_ + 16];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	n = snprintf(chunk, sizeof(chunk), "%x\r\n%s\r\n", (unsigned int)n, text);
	send_all(c->fd, chunk, (size_t)n);
}

static void send_event(struct client *c)
{
	const char *usage = c->wants_usage ? ",\"usage\":null" : "";

	send_chunk(c,
		   EVENT_START "{\"index\":0,\"delta\":{\"content\":\"%019" PRId64
			       " \"},\"logprobs\":null,\"finish_reason\":null}]%s}\n\n",
		   now_ns(), usage);
	c->sent++;
	c->due += c->gap;
	if (--c->events > 0)
		return;
	send_chunk(c,
		   EVENT_START "{\"index\":0,\"delta\":{},\"logprobs\":null,"
			       "\"finish_reason\":\"stop\"}]%s}\n\n",
		   usage);
	if (c->wants_usage)
		send_chunk(c,
			   EVENT_START
			   "],\"usage\":{\"prompt_tokens\":22,\"completion_tokens\":%u,"
			   "\"total_tokens\":%u}}\n\n",
			   c->sent, c->sent + 22);
	send_chunk(c, "data: [DONE]\n\n");
	send_all(c->fd, "0\r\n\r\n", 5);
}

static void answer_request(struct client *c, const char *body)
{
	static const char head[] =
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
	const char *pace = strstr(body, "pace ");
	char text[sizeof(answer) + 256];
	unsigned int events, ms;
	int n;

	if (pace && sscanf(pace, "pace %u %u", &events, &ms) == 2 && events > 0) {
		c->events = events;
		c->sent = 0;
		c->gap = ms * NS_PER_MS;
		/* Streams begin at different moments of a gap, as they do in life. */
		c->due = now_ns() + c->gap * (c - clients) / CONNECTIONS_MAX;
		c->wants_usage = strstr(body, "include_usage") != NULL;
		send_all(c->fd, head, sizeof(head) - 1);
		return;
	}
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		     "Content-Length: %zu\r\n\r\n%s",
		     sizeof(answer) - 1, answer);
	send_all(c->fd, text, (size_t)n);
}

static void client_close(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	c->events = 0;
}

static void read_request(struct client *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	ssize_t n = recv(c->fd, c->input + c->len, INPUT_MAX - c->len, 0);
	const char *body, *length;
	size_t whole;

	if (n <= 0) {
		client_close(c);
		return;
	}
	c->len += (size_t)n;
	c->input[c->len] = 0;
	body = strstr(c->input, "\r\n\r\n");
	if (!body)
		return;
	body += 4;
	length = strcasestr(c->input, "\r\nContent-Length:");
	if (!length || length > body) {
		fprintf(stderr, "calls: a request without Content-Length\n");
		exit(1);
	}
	whole = (size_t)(body - c->input) + strtoul(length + 17, NULL, 10);
	if (whole > INPUT_MAX) {
		fprintf(stderr, "calls: a request of %zu bytes\n", whole);
		exit(1);
	}
	if (c->len == (size_t)(body - c->input) && strcasestr(c->input, "\r\nExpect:"))
		send_all(c->fd, go_on, sizeof(go_on) - 1);
	if (c->len < whole)
		return;
	c->len = 0;
	answer_request(c, body);
}

static void accept_client(int epoll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (struct client *c = clients; c < clients + CONNECTIONS_MAX; c++) {
		if (c->fd >= 0)
			continue;
		c->fd = fd;
		c->len = 0;
		watch(epoll, fd, c);
		return;
	}
	close(fd);
}

/* What is due is sent; how long until something is, in ns (-1: nothing is under way). */
static int64_t send_due(void)
{
	int64_t next = INT64_MAX, now = now_ns();

	for (struct client *c = clients; c < clients + CONNECTIONS_MAX; c++) {
		if (c->events > 0 && c->due <= now)
			send_event(c);
		if (c->events > 0 && c->due < next)
			next = c->due;
	}
	if (next == INT64_MAX)
		return -1;
	now = now_ns();
	return next > now ? next - now : 0;
}

static int serve(const char *port)
{
	struct sockaddr_in at = here(port);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int epoll = epoll_create1(EPOLL_CLOEXEC), one = 1;

	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		clients[i].fd = -1;
	if (listener < 0 || epoll < 0)
		fail("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(listener, CONNECTIONS_MAX) < 0)
		fail("listen");
	watch(epoll, listener, NULL);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int64_t wait = send_due();
		struct timespec until = { wait / NS_PER_S, wait % NS_PER_S };
		struct epoll_event events[64];
		int n = epoll_pwait2(epoll, events, 64, wait < 0 ? NULL : &until, NULL);

		if (n < 0 && errno != EINTR)
			fail("epoll_pwait2");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				read_request(events[i].data.ptr);
			else
				accept_client(epoll, listener);
		}
	}
}

/* --- who calls ------------------------------------------------------------------------------------ */

enum part { PART_HEAD, PART_BODY, PART_SIZE, PART_CHUNK, PART_CHUNK_END, PART_TRAILER };

/* One connection, and how far its answer has come. */
struct call {
	int fd;
	enum part part;
	bool chunked;
	size_t left;		  /* of the body or the chunk */
	char line[LINE_MAX_ + 1]; /* of the head, of chunk sizes */
	size_t line_len;
	char event[LINE_MAX_ + 1]; /* a line of the body, as far as it fits */
	size_t event_len;
	int64_t start;
};

static struct sockaddr_in target;
static char request_head[512];
static int64_t samples[SAMPLES_MAX];
static size_t samples_n;

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void sample(int64_t ns)
{
	if (samples_n < SAMPLES_MAX)
		samples[samples_n++] = ns;
}

/* A piece of a stream: its text is when it was written. */
static void read_event(struct call *c)
{
	const char *text;

	c->event[c->event_len] = 0;
	c->event_len = 0;
	text = strstr(c->event, "\"content\":\"");
	if (text)
		sample(now_ns() - strtoll(text + 11, NULL, 10));
}

static void read_body(struct call *c, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n')
			read_event(c);
		else if (c->event_len < LINE_MAX_)
			c->event[c->event_len++] = data[i];
	}
}

static void refuse(const struct call *c, const char *what)
{
	fprintf(stderr, "calls: port %u: %s: %s\n", ntohs(target.sin_port), what, c->line);
	exit(1);
}

/* A line of the head; true when it was the last. */
static bool read_head(struct call *c)
{
	if (strncmp(c->line, "HTTP/", 5) == 0 && !strstr(c->line, " 200 "))
		refuse(c, "an error");
	if (strncasecmp(c->line, "Content-Length:", 15) == 0)
		c->left = strtoul(c->line + 15, NULL, 10);
	if (strncasecmp(c->line, "Transfer-Encoding:", 18) == 0)
		c->chunked = true;
	return c->line[0] == 0;
}

/* A whole line of HTTP's own; true when the answer is over. */
static bool read_line(struct call *c)
{
	if (c->line_len > 0 && c->line[c->line_len - 1] == '\r')
		c->line_len--;
	c->line[c->line_len] = 0;
	c->line_len = 0;
	switch (c->part) {
	case PART_HEAD:
		if (!read_head(c))
			return false;
		c->part = c->chunked ? PART_SIZE : PART_BODY;
		return !c->chunked && c->left == 0;
	case PART_SIZE:
		c->left = strtoul(c->line, NULL, 16);
		c->part = c->left > 0 ? PART_CHUNK : PART_TRAILER;
		return false;
	case PART_CHUNK_END:
		c->part = PART_SIZE;
		return false;
	default:
		return c->line[0] == 0;
	}
}

/* Bytes of an answer; true when it is over. */
static bool read_answer(struct call *c, const char *data, size_t len)
{
	while (len > 0) {
		if (c->part == PART_BODY || c->part == PART_CHUNK) {
			size_t n = len < c->left ? len : c->left;

			read_body(c, data, n);
			data += n;
			len -= n;
			c->left -= n;
			if (c->left == 0 && c->part == PART_BODY)
				return true;
			if (c->left == 0)
				c->part = PART_CHUNK_END;
			continue;
		}
		if (*data == '\n') {
			if (read_line(c))
				return true;
		} else if (c->line_len < LINE_MAX_) {
			c->line[c->line_len++] = *data;
		}
		data++;
		len--;
	}
	return false;
}

static void send_request(struct call *c, const char *prompt, bool stream)
{
	char body[512], text[1024];
	int n = snprintf(body, sizeof(body),
			 "{\"model\":\"bench-model\",\"messages\":[{\"role\":\"system\",\"content\":"
			 "\"You answer shortly.\"},{\"role\":\"user\",\"content\":\"%s\"}],"
			 "\"temperature\":0.2,\"max_completion_tokens\":1000%s}",
			 prompt, stream ? ",\"stream\":true" : "");

	n = snprintf(text, sizeof(text), "%sContent-Length: %d\r\n\r\n%s", request_head,
		     n, body);
	c->part = PART_HEAD;
	c->chunked = false;
	c->left = c->line_len = c->event_len = 0;
	c->start = now_ns();
	send_all(c->fd, text, (size_t)n);
}

/* `total` calls over so many connections; each connection makes its next call when one is over. */
static void make_calls(unsigned int connections, unsigned int total, const char *prompt,
		       bool stream)
{
	static struct call calls[CONNECTIONS_MAX];
	static char input[INPUT_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	unsigned int begun = 0, ended = 0;

	if (epoll < 0)
		fail("epoll");
	for (struct call *c = calls; c < calls + connections; c++) {
		c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c->fd < 0 ||
		    connect(c->fd, (const struct sockaddr *)&target, sizeof(target)) < 0)
			fail("connect");
		watch(epoll, c->fd, c);
	}
	for (; begun < connections && begun < total; begun++)
		send_request(&calls[begun], prompt, stream);
	while (ended < total) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, ANSWER_MS);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ETIMEDOUT;
		if (n <= 0)
			fail("no answer");
		for (int i = 0; i < n; i++) {
			struct call *c = events[i].data.ptr;
			ssize_t got = recv(c->fd, input, sizeof(input), 0);

			if (got <= 0)
				fail("an answer broke off");
			if (!read_answer(c, input, (size_t)got))
				continue;
			if (!stream)
				sample(now_ns() - c->start);
			ended++;
			if (begun < total) {
				begun++;
				send_request(c, prompt, stream);
			}
		}
	}
	for (struct call *c = calls; c < calls + connections; c++)
		close(c->fd);
	close(epoll);
}

static int ask(const char *port, const char *prefix, const char *key)
{
	char line[128];

	target = here(port);
	snprintf(request_head, sizeof(request_head),
		 "POST %s/v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n"
		 "Accept: application/json\r\nUser-Agent: purple-bench\r\n"
		 "Authorization: Bearer %s\r\nContent-Type: application/json\r\n",
		 prefix, port, key);
	while (fgets(line, sizeof(line), stdin)) {
		unsigned int connections, n, ms;
		size_t expected;

		samples_n = 0;
		if (sscanf(line, "call %u %u", &connections, &n) == 2 &&
		    connections > 0 && connections <= CONNECTIONS_MAX && n > 0) {
			expected = n;
			make_calls(connections, n, "What is small?", false);
		} else if (sscanf(line, "stream %u %u %u", &connections, &n, &ms) == 3 &&
			   connections > 0 && connections <= CONNECTIONS_MAX && n > 0) {
			char prompt[64];

			expected = (size_t)connections * n;
			snprintf(prompt, sizeof(prompt), "pace %u %u", n, ms);
			make_calls(connections, connections, prompt, true);
		} else {
			return 2;
		}
		if (samples_n != (expected < SAMPLES_MAX ? expected : SAMPLES_MAX)) {
			fprintf(stderr, "calls: %zu answers or pieces, not %zu\n",
				samples_n, expected);
			return 1;
		}
		qsort(samples, samples_n, sizeof(*samples), by_size);
		printf("%" PRId64 " %" PRId64 "\n", samples[samples_n / 2],
		       samples[samples_n * 99 / 100]);
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc == 5 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], argv[3], argv[4]);
	fprintf(stderr, "usage: calls serve PORT | ask PORT PREFIX KEY\n");
	return 2;
}
