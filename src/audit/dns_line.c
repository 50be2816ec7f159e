/* SPDX-License-Identifier: Apache-2.0 */
/* See dns_line.h. Runs in purple-monitor, as nobody. */
#include "audit/dns_line.h"

#include <stdio.h>

#include "base/json.h"
#include "base/num.h"
#include "network/dns_config.h"

/* A text of the member; what is missing is "", what is too long or of another kind is an error. */
static bool take_text(const struct json *line, const char *key, char *ret, size_t size)
{
	const struct json *j = json_get(line, key);

	ret[0] = '\0';
	if (!j)
		return true;
	if (j->type != JSON_TEXT || strlen(j->text) >= size)
		return false;
	snprintf(ret, size, "%s", j->text);
	return true;
}

static bool take_number(const struct json *line, const char *key, uint64_t *ret)
{
	const struct json *j = json_get(line, key);

	*ret = 0;
	return !j || (j->type == JSON_NUMBER && num_u64(j->text, ret) == 0);
}

/* A number, or "reserved". */
static bool take_rule(const struct json *line, uint32_t *ret)
{
	const struct json *j = json_get(line, "rule");

	*ret = NETWORK_RULE_NONE;
	if (!j)
		return true;
	if (j->type == JSON_TEXT && streq(j->text, "reserved")) {
		*ret = NETWORK_RULE_RESERVED;
		return true;
	}
	return j->type == JSON_NUMBER && num_u32(j->text, ret) == 0;
}

static bool take_addresses(const struct json *line, const char *key,
			   struct network_address *ret, size_t *ret_n)
{
	const struct json *j = json_get(line, key);

	*ret_n = 0;
	if (!j)
		return true;
	if (j->type != JSON_LIST || j->n > AUDIT_DNS_ADDRESSES_MAX)
		return false;
	for (size_t i = 0; i < j->n; i++)
		if (j->items[i]->type != JSON_TEXT ||
		    dns_address_parse(j->items[i]->text, &ret[i], NULL) < 0)
			return false;
	*ret_n = j->n;
	return true;
}

static bool is_verdict(const char *word)
{
	return streq(word, "allow") || streq(word, "deny") || streq(word, "audit") ||
	       streq(word, "error");
}

bool audit_dns_parse(const char *line, size_t len, struct audit_dns *ret)
{
	_json_free_ struct json *j = NULL;
	struct audit_dns d;
	struct err e;

	if (len > AUDIT_DNS_LINE_MAX || json_parse(line, len, "line", &j, &e) < 0 ||
	    j->type != JSON_MAP)
		return false;
	if (!take_text(j, "name", d.name, sizeof(d.name)) ||
	    !take_text(j, "query", d.query, sizeof(d.query)) ||
	    !take_text(j, "verdict", d.verdict, sizeof(d.verdict)) ||
	    !take_text(j, "rcode", d.rcode, sizeof(d.rcode)) ||
	    !take_text(j, "reason", d.reason, sizeof(d.reason)) || !take_rule(j, &d.rule) ||
	    !take_number(j, "lost", &d.lost) || !take_number(j, "limited", &d.limited) ||
	    !take_addresses(j, "answers", d.answers, &d.answer_count) ||
	    !take_addresses(j, "removed", d.removed, &d.removed_count))
		return false;
	if (!d.query[0] || !d.rcode[0] || !is_verdict(d.verdict))
		return false;
	*ret = d;
	return true;
}
