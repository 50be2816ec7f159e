/* SPDX-License-Identifier: Apache-2.0 */
/* See alert.h. Runs in purple-monitor, its recorder and purple-alert. */
#include "audit/alert.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "audit/chain.h"
#include "base/json.h"
#include "base/list.h"

/* A line begins with its time, and then its type. */
#define TYPE_WITHIN 64

static const char *const names[ALERT_TYPES] = {
	[ALERT_NETWORK] = "network",
	[ALERT_DNS] = "dns",
	[ALERT_FILE] = "file",
	[ALERT_SYSCALL] = "syscall",
	[ALERT_PROCESS] = "process",
	[ALERT_LLM_DENIED] = "llm_denied",
	[ALERT_LLM_SENSITIVE] = "llm_sensitive",
	[ALERT_LLM_INJECTION] = "llm_injection",
	[ALERT_LIMIT] = "limit",
	[ALERT_STOP] = "stop",
	[ALERT_BUDGET_EXCEEDED] = "budget_exceeded",
	[ALERT_LOG_FAILED] = "log_failed",
	[ALERT_RECORDER_DIED] = "recorder_died",
	[ALERT_MONITOR_DIED] = "monitor_died",
	[ALERT_AUDIT_STOPPED] = "audit_stopped",
	[ALERT_GATEWAY_DIED] = "gateway_died",
};

const char *alert_name(enum alert_type t)
{
	return names[t];
}

int alert_type_of(const char *line, size_t len)
{
	static const char key[] = "\",\"type\":\"";
	const size_t n = sizeof(key) - 1;
	const char *at = memmem(line, len < TYPE_WITHIN ? len : TYPE_WITHIN, key, n);

	for (size_t i = 0; at && i < ARRAY_SIZE(names); i++) {
		size_t size = strlen(names[i]);

		if ((size_t)(line + len - (at + n)) > size &&
		    memcmp(at + n, names[i], size) == 0 && at[n + size] == '"')
			return (int)i;
	}
	return -1;
}

/* --- messages --- */

int alert_send(int fd, const struct alert_message *m, const char *line, size_t len)
{
	_buf_free_ struct buf text = {};

	if (len && line[len - 1] == '\n')
		len--;
	buf_add(&text, (const char *)m, sizeof(*m));
	buf_add(&text, line ? line : "", len);
	if (text.failed)
		return -ENOMEM;
	return send(fd, text.s, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)text.len ?
		       0 :
		       -errno;
}

bool alert_parse(const void *message, size_t size, struct alert_message *ret,
		 const char **ret_line, size_t *ret_len)
{
	struct alert_message m;

	if (size < sizeof(m) || size > ALERT_MESSAGE_MAX)
		return false;
	memcpy(&m, message, sizeof(m));
	*ret_line = (const char *)message + sizeof(m);
	*ret_len = size - sizeof(m);
	if (m.type > ALERT_BYE || (m.type != ALERT_BYE && m.count == 0) ||
	    (*ret_len && !chain_is_line(*ret_line, *ret_len)))
		return false;
	*ret = m;
	return true;
}

/* --- what waits --- */

void alert_queue_init(struct alert_queue *q)
{
	*q = (struct alert_queue){};
	for (size_t i = 0; i < ALERT_TYPES; i++)
		q->of[i].pace = (struct pace){ .burst = ALERT_BURST,
					       .pause = ALERT_PAUSE_NS };
}

void alert_queue_clear(struct alert_queue *q)
{
	for (size_t i = 0; i < ALERT_TYPES; i++)
		buf_free(&q->of[i].line);
	*q = (struct alert_queue){};
}

int alert_queue_add(struct alert_queue *q, const struct alert_message *m,
		    const char *line, size_t len)
{
	struct buf *to = &q->of[m->type].line;
	uint64_t *count = &q->of[m->type].count;

	*count = m->count > UINT64_MAX - *count ? UINT64_MAX : *count + m->count;
	if (!len)
		return 0;
	to->len = 0;
	buf_add(to, line, len);
	if (!to->failed)
		return 0;
	buf_free(to);
	*to = (struct buf){};
	return -ENOMEM;
}

bool alert_queue_is_empty(const struct alert_queue *q)
{
	return alert_queue_due(q) == 0;
}

/* Of one that waits, not 0. */
static uint64_t due(const struct pace *p)
{
	uint64_t ahead = (p->burst - 1) * p->pause;

	return p->next > ahead ? p->next - ahead : 1;
}

uint64_t alert_queue_due(const struct alert_queue *q)
{
	uint64_t first = 0;

	for (size_t i = 0; i < ALERT_TYPES; i++)
		if (q->of[i].count && (!first || due(&q->of[i].pace) < first))
			first = due(&q->of[i].pace);
	return first;
}

int alert_queue_take(struct alert_queue *q, uint64_t now, bool all, uint64_t *ret_count)
{
	for (unsigned int k = 1; k <= ALERT_TYPES; k++) {
		unsigned int i = (q->last + k) % ALERT_TYPES;

		if (!q->of[i].count || (!pace_allows(&q->of[i].pace, now) && !all))
			continue;
		*ret_count = q->of[i].count;
		q->of[i].count = 0;
		q->last = i;
		return (int)i;
	}
	return -1;
}

void alert_print(const char *line, size_t len, const char *policy, uint64_t count,
		 struct buf *out)
{
	buf_add(out, line, len - 1);
	buf_adds(out, ",\"alert\":{\"ruleset\":");
	json_quote(out, policy);
	buf_addf(out, ",\"count\":%" PRIu64 "}}\n", count);
}
