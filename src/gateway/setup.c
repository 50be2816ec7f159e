/* SPDX-License-Identifier: Apache-2.0 */
/* See setup.h. */
#include "gateway/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"

#define KEYS_MAX (1U << 20)
#define KEY_MAX 8192
#define PATTERNS_FILE DATADIR "/purple/sensitive_patterns"
#define PATTERNS_MAX (256U << 10)
/* A provider may think for minutes before its first byte: what SDKs wait, too. */
#define IDLE_MS (10 * 60 * 1000)
#define CONNECT_MS 15000

/* --- keys --- */

static bool is_key(const char *s)
{
	size_t n = 0;

	for (; s[n]; n++)
		if ((unsigned char)s[n] <= ' ' || (unsigned char)s[n] >= 0x7f)
			return false;
	return n > 0 && n <= KEY_MAX;
}

static int add_keys(const struct json *j, const char *name, struct strmap *ret,
		    struct err *e)
{
	if (j->type != JSON_MAP)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: not an object of keys", name);
	for (size_t i = 0; i < j->n; i++) {
		if (j->items[i]->type != JSON_TEXT || !is_key(j->items[i]->text))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "%s: the key of '%s' is not one that a header can hold",
				       name, j->keys[i]);
		if (strmap_set(ret, j->keys[i], j->items[i]->text) < 0)
			return err_oom(e);
	}
	return 0;
}

int gateway_read_keys(int fd, const char *name, struct strmap *ret, struct err *e)
{
	_json_free_ struct json *j = NULL;
	_free_ char *text = NULL;
	size_t len;
	int r = fd_read_all(fd, KEYS_MAX, &text, &len, e);

	if (r < 0)
		return err_wrap(e, "%s", name);
	if (len == 0)
		return 0;
	r = json_parse(text, len, name, &j, e);
	if (r == 0)
		r = add_keys(j, name, ret, e);
	explicit_bzero(text, len);
	for (size_t i = 0; j && j->type == JSON_MAP && i < j->n; i++)
		if (j->items[i]->text)
			explicit_bzero(j->items[i]->text, strlen(j->items[i]->text));
	return r;
}

/* --- all of it --- */

static int load_patterns(struct gateway *g, struct err *e)
{
	const char *path = g->config->patterns ? g->config->patterns : PATTERNS_FILE;
	_free_ char *text = NULL;
	bool scans = false;
	size_t len;
	int r;

	for (size_t i = 0; i < g->config->policies.n; i++)
		scans |= g->config->policies.v[i].scan;
	if (!scans)
		return 0;
	r = fs_read_document(AT_FDCWD, path, PATTERNS_MAX, &text, &len, e);
	return r < 0 ? r : scan_rules_parse(text, len, path, &g->scan, e);
}

int gateway_setup(struct gateway *g, const struct gateway_setup *s, struct err *e)
{
	struct upstream_limits limits = { .connect_ms = CONNECT_MS,
					  .idle_ms = s->idle_ms ? s->idle_ms : IDLE_MS };
	int r;

	*g = (struct gateway){ .config = s->config, .loop.epoll = -1 };
	g->keys = *s->keys;
	*s->keys = (struct strmap){};
	r = load_patterns(g, e);
	if (r == 0)
		r = loop_make(&g->loop, e);
	if (r == 0)
		r = upstream_make(&g->loop, &limits, s->ca_file, &g->upstream, e);
	if (r == 0)
		r = server_make(g, &g->server, e);
	return r;
}

void gateway_clear(struct gateway *g)
{
	server_free(g->server);
	upstream_free(g->upstream);
	loop_end(&g->loop);
	scan_rules_free(g->scan);
	strmap_free(&g->keys);
}
