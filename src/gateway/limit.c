/* SPDX-License-Identifier: Apache-2.0 */
/* See limit.h. Written in purple-gateway without privileges, read in `purple`. */
#include "gateway/limit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "budget/money.h"

#define LIMIT_MAX 65536

static const struct json_field limit_fields[] = {
	JSON_FR(gateway_limit, policy, "policy", JSON_STR),
	JSON_FR(gateway_limit, file, "file", JSON_STR),
	JSON_F(gateway_limit, line, "line", JSON_U32),
	JSON_FR(gateway_limit, budget, "budget", JSON_STR),
	JSON_FR(gateway_limit, action, "action", JSON_STR),
	JSON_FR(gateway_limit, since, "since", JSON_STR),
	JSON_F(gateway_limit, tokens, "tokens", JSON_OPT_I64),
	JSON_F(gateway_limit, tokens_limit, "tokensLimit", JSON_OPT_I64),
	JSON_F(gateway_limit, cost, "cost", JSON_OPT_I64),
	JSON_F(gateway_limit, cost_limit, "costLimit", JSON_OPT_I64),
	JSON_F(gateway_limit, failed, "failed", JSON_STR),
	{},
};
static const struct json_type limit_type = { .size = sizeof(struct gateway_limit),
					     .fields = limit_fields };

void gateway_limit_clear(struct gateway_limit *l)
{
	json_clear(&limit_type, l);
}

int gateway_limit_write(int fd, const struct gateway_limit *l, struct err *e)
{
	_buf_free_ struct buf text = {};
	int r = l ? json_write(&limit_type, l, false, &text, e) : 0;

	if (r < 0)
		return r;
	/* In one write, so that who reads meanwhile finds the old or the new one, or its beginning. */
	if (ftruncate(fd, 0) < 0 ||
	    (text.len && pwrite(fd, text.s, text.len, 0) != (ssize_t)text.len))
		return err_sys(e, "cannot write '" GATEWAY_LIMIT_FILE "'");
	return 0;
}

int gateway_limit_load(int dirfd, struct gateway_limit *ret, bool *ret_met, struct err *e)
{
	_json_free_ struct json *doc = NULL;
	_free_ char *text = NULL;
	_close_ int fd = openat(dirfd, GATEWAY_LIMIT_FILE,
				O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t len;
	int r;

	*ret_met = false;
	if (fd < 0)
		return errno == ENOENT ?
			       0 :
			       err_sys(e, "cannot open '" GATEWAY_LIMIT_FILE "'");
	r = fd_read_all(fd, LIMIT_MAX, &text, &len, e);
	if (r < 0 || len == 0)
		return r;
	r = json_parse(text, len, GATEWAY_LIMIT_FILE, &doc, e);
	if (r == 0)
		r = json_read(doc, &limit_type, GATEWAY_LIMIT_FILE, ret, e);
	*ret_met = r == 0;
	return r;
}

void gateway_limit_text(const struct gateway_limit *l, struct buf *out)
{
	const char *comma = ": ";

	buf_addf(out, "the budget of policy %s is spent", l->policy);
	if (l->cost_limit.set) {
		buf_addf(out, "%s%s of %s", comma, money_text(l->cost.value).s,
			 money_text(l->cost_limit.value).s);
		comma = ", ";
	}
	if (l->tokens_limit.set)
		buf_addf(out, "%s%" PRId64 " of %" PRId64 " tokens", comma,
			 l->tokens.value, l->tokens_limit.value);
	buf_adds(out, " (ai_policy.budget");
	if (l->line)
		buf_addf(out, ", %s:%" PRIu32, l->file, l->line);
	buf_adds(out, ")");
}
