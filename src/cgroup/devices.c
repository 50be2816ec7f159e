/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices a group may use. Runs in the runtime process; needs root of the host.
 *
 * The spec's list is ordered: the last rule that matches decides, and what none names is denied.
 * v1 knows only a default and exceptions from it, without order: the list is brought to that
 * form first. A list that has none, such as all but one device of a wildcard, goes to the BPF
 * program, which follows the list itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

#define FIELD "linux.resources.devices"

static int read_access(const char *text, unsigned int *ret, size_t i, struct err *e)
{
	unsigned int access = 0;

	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == 'r')
			access |= CGROUP_DEV_READ;
		else if (*p == 'w')
			access |= CGROUP_DEV_WRITE;
		else if (*p == 'm')
			access |= CGROUP_DEV_MKNOD;
		else
			return err_set(e, ERR_CONFIG, EINVAL,
				       FIELD "[%zu].access: '%s' is not made of r, w and m",
				       i, text);
	}
	*ret = access ? access : CGROUP_DEV_ALL;
	return 0;
}

static int read_number(struct opt_i64 v, const char *name, size_t i, int64_t *ret,
		       struct err *e)
{
	if (v.set && (v.value < -1 || v.value > UINT32_MAX))
		return err_set(e, ERR_CONFIG, ERANGE,
			       FIELD "[%zu].%s: %" PRId64 " is out of range", i, name,
			       v.value);
	*ret = v.set ? v.value : -1;
	return 0;
}

int cgroup_device_rules_read(const struct oci_device_cgroup *rules, size_t n,
			     cgroup_device_rules *ret, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const char *type = rules[i].type && *rules[i].type ? rules[i].type : "a";
		struct cgroup_device_rule *rule;
		int r;

		if (type[1] || !strchr("abcu", type[0]))
			return err_set(e, ERR_CONFIG, EINVAL,
				       FIELD "[%zu].type: '%s' is none of a, b and c", i,
				       type);
		rule = list_add(ret);
		if (!rule)
			return err_oom(e);
		rule->allow = rules[i].allow;
		rule->type = type[0] == 'u' ? 'c' : type[0];
		r = read_number(rules[i].major, "major", i, &rule->major, e);
		if (r == 0)
			r = read_number(rules[i].minor, "minor", i, &rule->minor, e);
		if (r == 0)
			r = read_access(rules[i].access, &rule->access, i, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool covers(const struct cgroup_device_rule *a, const struct cgroup_device_rule *b)
{
	return a->type == b->type && (a->major == -1 || a->major == b->major) &&
	       (a->minor == -1 || a->minor == b->minor);
}

static bool overlaps(const struct cgroup_device_rule *a, const struct cgroup_device_rule *b)
{
	return a->type == b->type &&
	       (a->major == -1 || b->major == -1 || a->major == b->major) &&
	       (a->minor == -1 || b->minor == -1 || a->minor == b->minor);
}

/* A rule other than the default: one more exception. */
static int add_exception(cgroup_device_rules *l, const struct cgroup_device_rule *rule)
{
	struct cgroup_device_rule *new;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].type == rule->type && l->v[i].major == rule->major &&
		    l->v[i].minor == rule->minor) {
			l->v[i].access |= rule->access;
			return 0;
		}
	new = list_add(l);
	if (!new)
		return -ENOMEM;
	*new = *rule;
	return 0;
}

/* A rule that restores the default: takes exceptions away, which v1 can do in whole only. */
static int take_exceptions(cgroup_device_rules *l, const struct cgroup_device_rule *rule)
{
	for (size_t i = 0; i < l->n; i++) {
		struct cgroup_device_rule *x = &l->v[i];

		if (covers(rule, x))
			x->access &= ~rule->access;
		else if (overlaps(rule, x) && (x->access & rule->access))
			return -ENOTSUP;
	}
	return 0;
}

static int fold_rule(cgroup_device_rules *l, bool default_allow,
		     const struct cgroup_device_rule *rule)
{
	return rule->allow == default_allow ? take_exceptions(l, rule) :
					      add_exception(l, rule);
}

static bool is_everything(const struct cgroup_device_rule *r)
{
	return r->type == 'a' && r->major == -1 && r->minor == -1 &&
	       r->access == CGROUP_DEV_ALL;
}

int cgroup_device_rules_to_v1(const cgroup_device_rules *rules, bool *ret_default_allow,
			      cgroup_device_rules *ret)
{
	bool default_allow = false;
	size_t kept = 0;

	for (size_t i = 0; i < rules->n; i++) {
		struct cgroup_device_rule rule = rules->v[i];
		int r;

		if (is_everything(&rule)) {
			default_allow = rule.allow;
			ret->n = 0;
			continue;
		}
		if (rule.type == 'a') {
			rule.type = 'b';
			r = fold_rule(ret, default_allow, &rule);
			if (r < 0)
				return r;
			rule.type = 'c';
		}
		r = fold_rule(ret, default_allow, &rule);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ret->n; i++)
		if (ret->v[i].access)
			ret->v[kept++] = ret->v[i];
	ret->n = kept;
	*ret_default_allow = default_allow;
	return 0;
}

static void format_number(char *out, size_t size, int64_t number)
{
	if (number < 0)
		snprintf(out, size, "*");
	else
		snprintf(out, size, "%" PRId64, number);
}

/* "c 1:3 rwm" */
static void format_rule(char *out, size_t size, const struct cgroup_device_rule *r)
{
	char major[24], minor[24];

	format_number(major, sizeof(major), r->major);
	format_number(minor, sizeof(minor), r->minor);
	snprintf(out, size, "%c %s:%s %s%s%s", r->type, major, minor,
		 r->access & CGROUP_DEV_READ ? "r" : "",
		 r->access & CGROUP_DEV_WRITE ? "w" : "",
		 r->access & CGROUP_DEV_MKNOD ? "m" : "");
}

static int write_v1(const char *dir, bool default_allow,
		    const cgroup_device_rules *exceptions, struct err *e)
{
	const char *file = default_allow ? "devices.deny" : "devices.allow";
	_free_ char *path = fs_join(dir, file);
	_close_ int fd = -1;
	char text[64];
	int r;

	if (!path)
		return err_oom(e);
	/* Sets the default and drops all exceptions. */
	r = cgroup_set(FIELD, dir, default_allow ? "devices.allow" : "devices.deny", "a", e);
	if (r < 0 || exceptions->n == 0)
		return r;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return cgroup_set_failed(FIELD, dir, file, "", -errno, e);
	/* One rule a write. */
	for (size_t i = 0; i < exceptions->n; i++) {
		format_rule(text, sizeof(text), &exceptions->v[i]);
		if (write(fd, text, strlen(text)) < 0)
			return cgroup_set_failed(FIELD, dir, file, text, -errno, e);
	}
	return 0;
}

int cgroup_apply_devices(const struct cgroup *cg, const struct oci_device_cgroup *rules,
			 size_t n, struct err *e)
{
	/* systemd's reload would write to v1's file that all is allowed. */
	const char *v1 = cg->devices_by_bpf ? NULL : strmap_get(&cg->v1, "devices");
	cgroup_device_rules list = {}, exceptions = {};
	bool default_allow = false;
	int r;

	r = cgroup_device_rules_read(rules, n, &list, e);
	if (r == 0 && v1) {
		r = cgroup_device_rules_to_v1(&list, &default_allow, &exceptions);
		if (r == -ENOMEM)
			err_oom(e);
		else if (r == 0)
			r = write_v1(v1, default_allow, &exceptions, e);
		else if (cg->unified)
			r = cgroup_device_bpf_attach(cg->unified, &list, e);
		else
			err_set(e, ERR_UNSUPPORTED, ENOTSUP,
				"cannot set " FIELD
				": cgroup v1 cannot express a rule that takes a part "
				"out of an earlier wildcard, and this host has no cgroup2 mount");
	} else if (r == 0 && cg->unified) {
		r = cgroup_device_bpf_attach(cg->unified, &list, e);
	} else if (r == 0) {
		r = err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			    "cannot set " FIELD
			    ": the container has no group in a devices hierarchy "
			    "or a cgroup2 mount");
	}
	free(list.v);
	free(exceptions.v);
	return r;
}
