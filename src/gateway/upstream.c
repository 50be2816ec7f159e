/* SPDX-License-Identifier: Apache-2.0 */
/* See upstream.h. Runs in purple-gateway, in its jail. What it reads comes from providers. */
#include "gateway/upstream.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "gateway/trust.h"
#include "gateway/upstream_sockets.h"

#define EASY_KEPT 16
#define CONNECTIONS_KEPT 32
#define HEAD_MAX (64U << 10)
/* A body that libcurl gets as a whole goes out with the head, in one piece: half the cost of sending,
 * and one packet. It does so below 64 KiB. */
#define BODY_WHOLE_MAX (60U << 10)

struct upstream {
	CURLM *multi;
	struct upstream_limits limits;
	char *ca_file;
	bool is_gnutls;	     /* libcurl's TLS: certificates are verified here */
	struct trust *trust; /* of the first call over TLS on */
	int64_t due;	     /* of curl's timer; -1: none */
	int64_t looked;	     /* when times were last looked at */
	struct transfer *first;
	struct upstream_sockets sockets;
	CURL *kept[EASY_KEPT];
	size_t kept_n;
};

struct transfer {
	struct upstream *u;
	struct transfer *next, **link;
	CURL *easy;
	struct curl_slist *headers; /* one array; texts are whose the transfer is */
	char *body;		    /* where it is not asked for piece by piece */
	char *host;		    /* over TLS */
	const struct transfer_ops *ops;
	void *ctx;
	size_t sent; /* of the body */
	size_t head_bytes;
	int64_t touched;
	bool is_connected, is_head_over, is_paused, is_stopped, is_timed_out;
	char why[CURL_ERROR_SIZE];
	char refused[CURL_ERROR_SIZE]; /* what is wrong with the provider's certificate */
};

/* --- what libcurl asks of the loop --- */

static int timer_wanted(CURLM *multi, long ms, void *ctx)
{
	struct upstream *u = ctx;

	u->due = ms < 0 ? -1 : loop_now() + ms;
	return 0;
}

/* --- what libcurl tells of a transfer --- */

static size_t send_more(char *buf, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = t->ops->send(t->ctx, t->sent, buf, size * n);

	t->sent += len;
	t->touched = loop_now();
	return len;
}

/* A connection that was kept turned out to be closed: once more from the beginning. */
static int send_again(void *ctx, curl_off_t at, int from)
{
	struct transfer *t = ctx;

	if (from != SEEK_SET || at < 0 || (size_t)at > t->sent)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (size_t)at;
	return CURL_SEEKFUNC_OK;
}

/* Not libcurl: see trust.h. */
static bool verifies_itself(const struct transfer *t)
{
	return t->host && t->u->trust;
}

static bool is_verified(struct transfer *t)
{
	const struct curl_tlssessioninfo *info = NULL;

	if (curl_easy_getinfo(t->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK ||
	    !info || info->backend != CURLSSLBACKEND_GNUTLS)
		return false;
	return trust_verify(t->u->trust, info->internals, t->host, t->refused,
			    sizeof(t->refused));
}

/* A connection stands, new or kept, and nothing of the request was sent. */
static int connected(void *ctx, char *own_ip, char *ip, int own_port, int port)
{
	struct transfer *t = ctx;

	if (verifies_itself(t) && !is_verified(t))
		return CURL_PREREQFUNC_ABORT;
	t->is_connected = true;
	t->touched = loop_now();
	return CURL_PREREQFUNC_OK;
}

static bool tell_header(struct transfer *t, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len), *at;
	_free_ char *copy = NULL;

	if (!colon)
		return true;
	for (at = colon + 1; at < line + len && (*at == ' ' || *at == '\t'); at++)
		;
	copy = malloc(len + 1);
	if (!copy)
		return false;
	memcpy(copy, line, len);
	copy[len] = copy[colon - line] = '\0';
	return t->ops->header(t->ctx, copy, copy + (at - line));
}

/* Lines of the head, of interim heads (1xx) and of trailers, which go no further. */
static size_t head_line(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	size_t all = size * n, len = all;
	long status = 0;

	t->touched = loop_now();
	if (t->is_head_over)
		return all;
	t->head_bytes += all;
	if (t->head_bytes > HEAD_MAX) {
		snprintf(t->why, sizeof(t->why), "the head of its answer has no end");
		return 0;
	}
	while (len > 0 && (p[len - 1] == '\r' || p[len - 1] == '\n'))
		len--;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return all;
	if (len == 0)
		t->is_head_over = true;
	if (len == 0 ? t->ops->head(t->ctx, (unsigned int)status) : tell_header(t, p, len))
		return all;
	t->is_stopped = true;
	return 0;
}

static size_t data_more(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;

	t->touched = loop_now();
	t->is_paused = false;
	switch (t->ops->data(t->ctx, p, size * n)) {
	case TRANSFER_TAKEN:
		return size * n;
	case TRANSFER_PAUSE:
		t->is_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	case TRANSFER_STOP:
		break;
	}
	t->is_stopped = true;
	return 0;
}

/* --- one transfer --- */

static void transfer_free(struct transfer *t)
{
	struct upstream *u = t->u;

	if (!t)
		return;
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	curl_multi_remove_handle(u->multi, t->easy);
	free(t->headers);
	free(t->body);
	free(t->host);
	if (u->kept_n < EASY_KEPT) {
		curl_easy_reset(t->easy);
		u->kept[u->kept_n++] = t->easy;
	} else {
		curl_easy_cleanup(t->easy);
	}
	free(t);
}

static int list_headers(struct transfer *t, const struct strv *lines)
{
	if (lines->n == 0)
		return 0;
	t->headers = calloc(lines->n, sizeof(*t->headers));
	if (!t->headers)
		return -ENOMEM;
	for (size_t i = 0; i < lines->n; i++) {
		t->headers[i].data = lines->v[i];
		t->headers[i].next = i + 1 < lines->n ? &t->headers[i + 1] : NULL;
	}
	return 0;
}

/* The whole of a body, while it is asked for no further. */
static int take_body(struct transfer *t, size_t len)
{
	size_t at = 0, n;

	t->body = malloc(len + 1);
	if (!t->body)
		return -ENOMEM;
	while (at < len && (n = t->ops->send(t->ctx, at, t->body + at, len - at)) > 0)
		at += n;
	return at == len ? 0 : -ENOMEM;
}

static int set_options(struct transfer *t, const struct transfer_ask *ask)
{
	struct upstream *u = t->u;
	CURL *c = t->easy;
	const bool is_ours = verifies_itself(t);
	int r = 0;

#define SET(option, value)                                             \
	do {                                                           \
		if (r == 0 && curl_easy_setopt(c, option, value) != 0) \
			r = -ENOMEM;                                   \
	} while (0)
	SET(CURLOPT_URL, ask->url);
	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_ERRORBUFFER, t->why);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_SSL_VERIFYPEER, is_ours ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, is_ours ? 0L : 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)u->limits.connect_ms);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	if (r == 0 && upstream_sockets_of(&u->sockets, c) < 0)
		r = -ENOMEM;
	SET(CURLOPT_HTTPHEADER, t->headers);
	SET(CURLOPT_HEADERFUNCTION, head_line);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, data_more);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_PREREQFUNCTION, connected);
	SET(CURLOPT_PREREQDATA, t);
	if (is_ours) {
		SET(CURLOPT_CAINFO, NULL);
		SET(CURLOPT_CAPATH, NULL);
		/* A session that is taken up again has no certificates to look at. */
		SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
	} else if (u->ca_file) {
		SET(CURLOPT_CAINFO, u->ca_file);
	}
	if (ask->is_post) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body_len);
	}
	if (t->body) {
		SET(CURLOPT_POSTFIELDS, t->body);
	} else if (ask->is_post) {
		SET(CURLOPT_READFUNCTION, send_more);
		SET(CURLOPT_READDATA, t);
		SET(CURLOPT_SEEKFUNCTION, send_again);
		SET(CURLOPT_SEEKDATA, t);
	}
#undef SET
	return r;
}

/* Of the first call that needs it. */
static int load_trust(struct upstream *u, struct err *e)
{
	return u->trust || !u->is_gnutls ? 0 : trust_make(u->ca_file, &u->trust, e);
}

int transfer_start(struct upstream *u, const struct transfer_ask *ask,
		   const struct transfer_ops *ops, void *ctx, struct transfer **ret,
		   struct err *e)
{
	struct transfer *t;
	int r = ask->host ? load_trust(u, e) : 0;

	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_oom(e);
	t->easy = u->kept_n > 0 ? u->kept[--u->kept_n] : curl_easy_init();
	if (!t->easy) {
		free(t);
		return err_oom(e);
	}
	t->u = u;
	t->ops = ops;
	t->ctx = ctx;
	t->touched = loop_now();
	t->link = &u->first;
	t->next = u->first;
	if (t->next)
		t->next->link = &t->next;
	u->first = t;
	if (ask->host) {
		t->host = strdup(ask->host);
		r = t->host ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = list_headers(t, ask->headers);
	if (r == 0 && ask->is_post && ask->body_len <= BODY_WHOLE_MAX)
		r = take_body(t, ask->body_len);
	if (r == 0)
		r = set_options(t, ask);
	if (r == 0 && curl_multi_add_handle(u->multi, t->easy) != CURLM_OK)
		r = -ENOMEM;
	if (r < 0) {
		transfer_free(t);
		return err_oom(e);
	}
	*ret = t;
	return 0;
}

void transfer_go_on(struct transfer *t)
{
	if (!t->is_paused)
		return;
	t->is_paused = false;
	t->touched = loop_now();
	curl_easy_pause(t->easy, CURLPAUSE_CONT);
}

void transfer_stop(struct transfer *t)
{
	if (t)
		transfer_free(t);
}

static enum transfer_end how_it_ended(const struct transfer *t, CURLcode code)
{
	if (t->is_timed_out)
		return TRANSFER_TIMED_OUT;
	if (t->is_stopped)
		return TRANSFER_STOPPED;
	if (code == CURLE_OK)
		return TRANSFER_WHOLE;
	if (!t->is_connected)
		return TRANSFER_UNREACHED;
	return code == CURLE_OPERATION_TIMEDOUT ? TRANSFER_TIMED_OUT : TRANSFER_BROKEN;
}

static void transfer_ended(struct transfer *t, CURLcode code)
{
	const struct transfer_ops *ops = t->ops;
	enum transfer_end end = how_it_ended(t, code);
	void *ctx = t->ctx;
	char why[CURL_ERROR_SIZE];

	snprintf(why, sizeof(why), "%s",
		 *t->refused ? t->refused :
		 *t->why     ? t->why :
			       curl_easy_strerror(code));
	transfer_free(t);
	ops->end(ctx, end, why);
}

/* --- all of them --- */

static bool is_gnutls(void)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	return v->ssl_version && str_has_prefix(v->ssl_version, "GnuTLS/");
}

int upstream_make(struct loop *loop, const struct upstream_limits *limits,
		  const char *ca_file, struct upstream **ret, struct err *e)
{
	struct upstream *u = calloc(1, sizeof(*u));

	if (!u || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		free(u);
		return err_oom(e);
	}
	u->limits = *limits;
	u->due = -1;
	u->ca_file = ca_file ? strdup(ca_file) : NULL;
	u->is_gnutls = is_gnutls();
	u->multi = curl_multi_init();
	if (!u->multi || (ca_file && !u->ca_file)) {
		upstream_free(u);
		return err_oom(e);
	}
	upstream_sockets_begin(&u->sockets, loop, u->multi);
	curl_multi_setopt(u->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(u->multi, CURLMOPT_TIMERDATA, u);
	curl_multi_setopt(u->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
	*ret = u;
	return 0;
}

void upstream_free(struct upstream *u)
{
	if (!u)
		return;
	while (u->first)
		transfer_free(u->first);
	for (size_t i = 0; i < u->kept_n; i++)
		curl_easy_cleanup(u->kept[i]);
	if (u->multi)
		curl_multi_cleanup(u->multi);
	upstream_sockets_end(&u->sockets);
	free(u->ca_file);
	trust_free(u->trust);
	free(u);
	curl_global_cleanup();
}

int upstream_wait_ms(const struct upstream *u)
{
	int64_t left = u->due < 0 ? -1 : u->due - loop_now();

	if (u->due >= 0 && left <= 0)
		return 0;
	if (u->first && (left < 0 || left > 1000))
		return 1000;
	return (int)(left > INT_MAX ? INT_MAX : left);
}

/* Those that give no sign of life. One that waits for the agent to read is not among them. */
static void look_at_times(struct upstream *u)
{
	int64_t now = loop_now();

	if (now - u->looked < 500)
		return;
	u->looked = now;
	for (struct transfer *t = u->first, *next; t; t = next) {
		next = t->next;
		if (t->is_paused || now - t->touched < u->limits.idle_ms)
			continue;
		t->is_timed_out = true;
		transfer_ended(t, CURLE_OPERATION_TIMEDOUT);
		/* Its end may have ended others: begin anew. */
		next = u->first;
	}
}

void upstream_turn(struct upstream *u)
{
	int running, left;
	CURLMsg *m;

	if (u->due >= 0 && loop_now() >= u->due) {
		u->due = -1;
		curl_multi_socket_action(u->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	while ((m = curl_multi_info_read(u->multi, &left))) {
		CURLcode code = m->data.result;
		struct transfer *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		transfer_ended(t, code);
	}
	look_at_times(u);
}
