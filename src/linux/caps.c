/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability sets: from names to bits, and from bits to the kernel. Parsing runs in the runtime;
 * the rest in the container's init or the child of exec, and neither allocates nor logs. The raw
 * capget/capset calls: libcap's allocate, and it is asked for names only.
 */
#include "linux/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#define BIT(n) (UINT64_C(1) << (n))

/* Capabilities 0 to this one are the kernel's: looked for from where it was when we were built. */
static int last_cap(void)
{
	int n = CAP_LAST_CAP;

	while (n > 0 && prctl(PR_CAPBSET_READ, n, 0, 0, 0) < 0)
		n--;
	while (n < 63 && prctl(PR_CAPBSET_READ, n + 1, 0, 0, 0) >= 0)
		n++;
	return n;
}

/*
 * The number of a name, or -1. A plain number, which libcap takes too, is no name; neither is
 * "CAP_KILL,", of which libcap reads the beginning: a policy that drops CAP_KILL would not see it.
 */
static int cap_number(const char *name, int last)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	cap_value_t n;

	if (strncasecmp(name, "CAP_", 4) != 0 || name[strspn(name, letters)] ||
	    cap_from_name(name, &n) < 0 || n < 0 || n > last)
		return -1;
	return n;
}

static int parse_set(const struct strv *names, int last, uint64_t *ret, struct strv *unknown)
{
	uint64_t set = 0;

	for (size_t i = 0; i < names->n; i++) {
		int n = cap_number(names->v[i], last);

		if (n >= 0)
			set |= BIT(n);
		else if (unknown && !strv_contains(unknown, names->v[i]) &&
			 strv_add(unknown, names->v[i]) < 0)
			return -ENOMEM;
	}
	*ret = set;
	return 0;
}

static int check_subset(uint64_t set, const char *name, uint64_t of, const char *of_name,
			struct err *e)
{
	_free_ char *names = NULL;

	if (!(set & ~of))
		return 0;
	names = caps_names(set & ~of);
	if (!names)
		return err_oom(e);
	return err_set(e, ERR_CONFIG, EINVAL,
		       "process.capabilities.%s has %s, which process.capabilities.%s lacks",
		       name, names, of_name);
}

/* Takes out the ambient ones that cannot be. */
static int trim_ambient(struct caps *c, struct strv *unknown)
{
	uint64_t bad = c->ambient & ~(c->permitted & c->inheritable);

	c->ambient &= ~bad;
	for (int n = 0; unknown && bad >> n; n++) {
		_free_ char *name = NULL;

		if (!(bad & BIT(n)))
			continue;
		name = caps_names(BIT(n));
		if (!name || strv_addf(unknown, "%s (ambient)", name) < 0)
			return -ENOMEM;
		if (n == 63)
			break;
	}
	return 0;
}

int caps_parse(const struct oci_capabilities *c, struct caps *ret, struct strv *unknown,
	       struct err *e)
{
	int last = last_cap();
	struct caps caps = { 0 };
	int r;

	if (!c) {
		*ret = caps;
		return 0;
	}
	r = parse_set(&c->bounding, last, &caps.bounding, unknown);
	if (!r)
		r = parse_set(&c->effective, last, &caps.effective, unknown);
	if (!r)
		r = parse_set(&c->permitted, last, &caps.permitted, unknown);
	if (!r)
		r = parse_set(&c->inheritable, last, &caps.inheritable, unknown);
	if (!r)
		r = parse_set(&c->ambient, last, &caps.ambient, unknown);
	if (!r)
		r = trim_ambient(&caps, unknown);
	if (r < 0)
		return err_oom(e);
	r = check_subset(caps.effective, "effective", caps.permitted, "permitted", e);
	if (!r)
		r = check_subset(caps.inheritable, "inheritable", caps.bounding,
				 "bounding", e);
	if (!r)
		*ret = caps;
	return r;
}

int caps_get_own(struct caps *ret, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	struct caps caps = { 0 };
	int last = last_cap();

	if (syscall(SYS_capget, &head, data) < 0)
		return err_sys(e, "cannot read capabilities");
	caps.effective = data[0].effective | (uint64_t)data[1].effective << 32;
	caps.permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	caps.inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	for (int n = 0; n <= last; n++) {
		if (prctl(PR_CAPBSET_READ, n, 0, 0, 0) == 1)
			caps.bounding |= BIT(n);
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, n, 0, 0) == 1)
			caps.ambient |= BIT(n);
	}
	*ret = caps;
	return 0;
}

int caps_limit_to_own(struct caps *c, uint64_t *ret_missing, struct err *e)
{
	uint64_t asked = c->bounding | c->permitted | c->inheritable;
	uint64_t inheritable;
	struct caps own;
	int r;

	r = caps_get_own(&own, e);
	if (r < 0)
		return r;
	/* capset(2): only what is permitted or inheritable now, and what is in the bounding set
	 * or inheritable now, can become inheritable. */
	inheritable = own.inheritable | (own.permitted & own.bounding);
	c->bounding &= own.bounding;
	c->permitted &= own.permitted;
	c->effective &= c->permitted;
	c->inheritable &= inheritable;
	c->ambient &= c->permitted & c->inheritable;
	if (ret_missing)
		*ret_missing = asked & ~(c->bounding | c->permitted | c->inheritable);
	return 0;
}

int caps_drop_bounding(const struct caps *c, struct err *e)
{
	int last = last_cap();

	for (int n = 0; n <= last; n++) {
		if (c->bounding & BIT(n) || prctl(PR_CAPBSET_READ, n, 0, 0, 0) != 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, n, 0, 0, 0) < 0)
			return err_sys(e, "cannot drop capability %d from the bounding set",
				       n);
	}
	return 0;
}

int caps_keep_across_setuid(bool on, struct err *e)
{
	if (prctl(PR_SET_KEEPCAPS, on, 0, 0, 0) < 0)
		return err_sys(e, "cannot keep capabilities across a change of user");
	return 0;
}

int caps_apply(const struct caps *c, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ (uint32_t)c->effective, (uint32_t)c->permitted, (uint32_t)c->inheritable },
		{ c->effective >> 32, c->permitted >> 32, c->inheritable >> 32 },
	};
	int last = last_cap();

	if (syscall(SYS_capset, &head, data) < 0)
		return err_sys(e, "cannot set capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(e, "cannot clear the ambient capabilities");
	for (int n = 0; n <= last; n++)
		if (c->ambient & BIT(n) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, n, 0, 0) < 0)
			return err_sys(e, "cannot raise ambient capability %d", n);
	return 0;
}

char *caps_names(uint64_t set)
{
	_buf_free_ struct buf b = { 0 };

	buf_adds(&b, "");
	for (int n = 0; n < 64; n++) {
		char *name;

		if (!(set & BIT(n)))
			continue;
		if (b.len)
			buf_adds(&b, ",");
		name = cap_to_name(n);
		for (size_t i = 0; name && name[i]; i++) {
			char upper = name[i] >= 'a' && name[i] <= 'z' ? name[i] - 32 :
									name[i];

			buf_add(&b, &upper, 1);
		}
		b.failed = b.failed || !name;
		cap_free(name);
	}
	return b.failed ? NULL : take_ptr(&b.s);
}
