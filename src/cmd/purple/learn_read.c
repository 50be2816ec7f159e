/* SPDX-License-Identifier: Apache-2.0 */
/* See learn_read.h. What a line holds was chosen by the agent: only what has the form of a path, an
 * address, a name is taken, and policy_learn_result() keeps it within what was allowed. */
#include "cmd/purple/learn_read.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/num.h"
#include "cmd/purple/event_text.h"

#define REFUSED_MAX 100

void learn_gaps_clear(struct learn_gaps *g)
{
	strv_free(&g->refused);
	*g = (struct learn_gaps){};
}

static uint64_t number_at(const struct json *j, const char *a, const char *b)
{
	uint64_t n = 0;

	return num_u64(event_text_at(j, a, b), &n) == 0 ? n : 0;
}

/* Kept in order: there may be very many. */
static int add_once(struct strv *l, const char *text)
{
	size_t lo = 0, hi = l->n;
	char *last;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int r = strcmp(l->v[mid], text);

		if (r == 0)
			return 0;
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (strv_add(l, text) < 0)
		return -ENOMEM;
	last = l->v[l->n - 1];
	memmove(l->v + lo + 1, l->v + lo, (l->n - 1 - lo) * sizeof(*l->v));
	l->v[lo] = last;
	return 0;
}

/* --- files and calls --- */

/* Paths with control characters are in no policy. */
static bool is_path(const char *text)
{
	if (text[0] != '/' || strstr(text, "/../"))
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static int read_file(const struct json *j, struct policy_seen *seen)
{
	const char *path = event_text_at(j, "file", "path"),
		   *target = event_text_at(j, "file", "target_path"),
		   *action = event_text_at(j, "event", "action");
	bool writes = (!streq(action, "open") && !streq(action, "connect")) ||
		      strstr(event_text_at(j, "file", "access"), "write");
	int r = 0;

	if (!streq(event_text_at(j, "event", "outcome"), "success"))
		return 0;
	if (is_path(path))
		r = add_once(writes ? &seen->written : &seen->read, path);
	/* What a symbolic link says is not touched. */
	if (r == 0 && !streq(action, "symlink") && is_path(target))
		r = add_once(&seen->written, target);
	return r;
}

static int read_calls(const struct json *j, struct policy_seen *seen)
{
	const struct json *calls = json_get(j, "calls");

	for (size_t i = 0; calls && calls->type == JSON_MAP && i < calls->n; i++)
		if (add_once(&seen->calls, calls->keys[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* A program that is executed is read by the kernel. */
static int read_process(const struct json *j, struct policy_seen *seen,
			struct learn_gaps *gaps)
{
	const char *path = event_text_at(j, "process", "executable");

	if (!streq(event_text_at(j, "event", "action"), "exec") || !is_path(path))
		return 0;
	gaps->ran = true;
	return add_once(&seen->read, path);
}

/* --- the network --- */

static bool read_end(const struct json *j, const char *which, struct policy_seen_host *ret)
{
	const char *ip = event_text_at(j, which, "ip");
	uint64_t port = number_at(j, which, "port");

	*ret = (struct policy_seen_host){ .family = AF_INET,
					  .port = (uint16_t)port,
					  .protocol = IPPROTO_TCP };
	if (streq(event_text_at(j, "network", "transport"), "udp"))
		ret->protocol = IPPROTO_UDP;
	if (port == 0 || port > UINT16_MAX)
		return false;
	if (inet_pton(AF_INET, ip, ret->address) == 1)
		return true;
	ret->family = AF_INET6;
	return inet_pton(AF_INET6, ip, ret->address) == 1;
}

static int read_network(const struct json *j, struct policy_seen *seen)
{
	const char *action = event_text_at(j, "event", "action"), *name;
	struct policy_seen_host h;
	_free_ char *copy = NULL;

	if (!streq(event_text_at(j, "verdict", NULL), "allow"))
		return 0;
	if (streq(action, "bind"))
		return read_end(j, "server", &h) ? policy_seen_add_host(seen, &h, true) : 0;
	if ((!streq(action, "connect") && !streq(action, "send")) ||
	    !read_end(j, "destination", &h))
		return 0;
	name = event_text_at(j, "destination", "domain");
	if (*name) {
		copy = strdup(name);
		if (!copy)
			return -ENOMEM;
		h.name = copy;
	}
	return policy_seen_add_host(seen, &h, false);
}

/* --- LLM calls, figures --- */

static int read_model(const struct json *j, struct policy_seen *seen)
{
	const struct json *ai = json_get(j, "gen_ai");
	const char *provider, *model;

	if (!ai || ai->type != JSON_MAP)
		return 0;
	provider = event_text_at(ai, "system", NULL);
	model = event_text_at(ai, "request", "model");
	seen->tokens += number_at(ai, "usage", "input_tokens");
	seen->tokens += number_at(ai, "usage", "output_tokens");
	seen->cost += (int64_t)number_at(j, "cost", NULL);
	return *provider && *model ? policy_seen_add_model(seen, provider, model) : 0;
}

static void at_least(uint64_t *value, uint64_t other)
{
	if (other > *value)
		*value = other;
}

static void read_usage(const struct json *j, struct policy_seen *seen)
{
	at_least(&seen->memory_peak, number_at(j, "usage", "memory_peak"));
	at_least(&seen->pids_peak, number_at(j, "usage", "processes_peak"));
}

static void read_lost(const struct json *j, struct learn_gaps *gaps)
{
	const struct json *lost = json_get(j, "lost");

	for (size_t i = 0; lost && lost->type == JSON_MAP && i < lost->n; i++)
		gaps->lost += number_at(lost, lost->keys[i], NULL);
}

/* What the base protects even while it is learnt, or the kernel. */
static int read_denial(const struct json *j, struct learn_gaps *gaps)
{
	_buf_free_ struct buf text = {};
	const char *line;

	if (!streq(event_text_at(j, "verdict", NULL), "deny") ||
	    gaps->refused.n >= REFUSED_MAX)
		return 0;
	event_write_text(&text, j);
	if (text.failed || !text.len)
		return -ENOMEM;
	/* Without its time. */
	line = strchr(text.s, ' ');
	return line ? add_once(&gaps->refused, line + 1) : 0;
}

int learn_read_line(const struct json *j, struct policy_seen *seen, struct learn_gaps *gaps)
{
	const char *type = event_text_at(j, "type", NULL);
	int r = read_denial(j, gaps);

	if (r < 0)
		return r;
	if (streq(type, "file"))
		return read_file(j, seen);
	if (streq(type, "syscalls"))
		return read_calls(j, seen);
	if (streq(type, "process"))
		return read_process(j, seen, gaps);
	if (streq(type, "network"))
		return read_network(j, seen);
	if (streq(type, "llm_call"))
		return read_model(j, seen);
	if (streq(type, "usage"))
		read_usage(j, seen);
	else if (streq(type, "lost"))
		read_lost(j, gaps);
	return 0;
}
