/* SPDX-License-Identifier: Apache-2.0 */
/* See config.h. Runs in the runtime, and in purple-monitor before it gives its privileges up. */
#include "audit/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"

static const struct json_field log_fields[] = {
	JSON_FR(audit_log_config, policy, "policy", JSON_STR),
	JSON_F(audit_log_config, place, "place", JSON_STR),
	JSON_FR(audit_log_config, path, "path", JSON_STR),
	JSON_FR(audit_log_config, levels, "levels", JSON_U32),
	JSON_FR(audit_log_config, max_size, "maxSize", JSON_U64),
	JSON_FR(audit_log_config, keep, "keep", JSON_U32),
	JSON_F(audit_log_config, go_on, "continue", JSON_BOOL),
	{},
};
static const struct json_type log_type = { sizeof(struct audit_log_config), log_fields };

static const struct json_field alert_fields[] = {
	JSON_FR(audit_alert_config, policy, "policy", JSON_STR),
	JSON_F(audit_alert_config, command, "command", JSON_STRV),
	JSON_F(audit_alert_config, webhook, "webhook", JSON_STR),
	{},
};
static const struct json_type alert_type = { sizeof(struct audit_alert_config),
					     alert_fields };

static const struct json_field config_fields[] = {
	JSON_FR(audit_config, container, "container", JSON_STR),
	JSON_FT(audit_config, logs, "logs", JSON_STRUCTS, &log_type),
	JSON_FT(audit_config, alerts, "alerts", JSON_STRUCTS, &alert_type),
	{},
};
static const struct json_type config_type = { sizeof(struct audit_config), config_fields };

uint32_t audit_config_levels(const struct audit_config *c)
{
	uint32_t levels = c->alerts.n ? AUDIT_SECURITY_EVENTS | AUDIT_RESOURCE : 0;

	for (size_t i = 0; i < c->logs.n; i++)
		levels |= c->logs.v[i].levels;
	return levels;
}

bool audit_config_stops(const struct audit_config *c)
{
	for (size_t i = 0; i < c->logs.n; i++)
		if (!c->logs.v[i].go_on)
			return true;
	return false;
}

/* The stricter of both: neither loses what it would have kept, or grows beyond what it may. */
static int merge_log(struct audit_log_config *to, const struct audit_log_config *x)
{
	char *both = str_printf("%s,%s", to->policy, x->policy);

	if (!both)
		return -ENOMEM;
	free(to->policy);
	to->policy = both;
	to->levels |= x->levels;
	to->max_size = x->max_size < to->max_size ? x->max_size : to->max_size;
	to->keep = x->keep > to->keep ? x->keep : to->keep;
	to->go_on = to->go_on && x->go_on;
	return 0;
}

int audit_config_add(struct audit_config *c, struct audit_log_config *x)
{
	struct audit_log_config *slot;
	int r;

	for (size_t i = 0; i < c->logs.n; i++) {
		if (!streq(c->logs.v[i].path, x->path))
			continue;
		r = merge_log(&c->logs.v[i], x);
		if (r == 0)
			audit_log_config_clear(x);
		return r;
	}
	slot = list_add(&c->logs);
	if (!slot)
		return -ENOMEM;
	*slot = *x;
	*x = (struct audit_log_config){};
	return 0;
}

int audit_config_save(int dirfd, const struct audit_config *c, struct err *e)
{
	_buf_free_ struct buf out = {};
	int r = json_write(&config_type, c, false, &out, e);

	return r < 0 ? r :
		       fs_write_atomic(dirfd, AUDIT_CONFIG_FILE, out.s, out.len, 0600, e);
}

int audit_config_parse(const char *text, size_t len, struct audit_config *ret, struct err *e)
{
	_json_free_ struct json *j = NULL;
	int r = json_parse(text, len, AUDIT_CONFIG_FILE, &j, e);

	return r < 0 ? r : json_read(j, &config_type, AUDIT_CONFIG_FILE, ret, e);
}

int audit_config_load(int dirfd, struct audit_config *ret, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r = fs_read(dirfd, AUDIT_CONFIG_FILE, AUDIT_CONFIG_MAX, &text, &len, e);

	return r < 0 ? r : audit_config_parse(text, len, ret, e);
}

void audit_log_config_clear(struct audit_log_config *x)
{
	json_clear(&log_type, x);
}

void audit_config_clear(struct audit_config *c)
{
	json_clear(&config_type, c);
}
