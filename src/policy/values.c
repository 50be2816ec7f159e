/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and numbers of the policy language: see values.h. Pure; the input is foreign. */
#include "policy/values.h"

#include <errno.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/num.h"
#include "base/str.h"
#include "base/yaml.h"
#include "budget/money.h"

static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char digits[] = "0123456789";

int fault_set(struct fault *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int give_copy(const char *s, char **ret)
{
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

/* Characters that no name or path of a policy has: control characters, DEL. */
static bool has_control(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

static bool is_made_of(const char *s, const char *a, const char *b, const char *c)
{
	for (; *s; s++) {
		if (!strchr(a, *s) && !strchr(b, *s) && !strchr(c, *s))
			return false;
	}
	return true;
}

int value_name(const char *s, char **ret, struct fault *f)
{
	if (!*s)
		return fault_set(f, "a name is empty");
	if (strlen(s) > 64)
		return fault_set(f, "'%s' is longer than 64 characters", yaml_show(s).s);
	if (!is_made_of(s, lower, digits, "._-"))
		return fault_set(f,
				 "'%s' is not a name (lower-case letters, digits, '.', '_' and "
				 "'-' only)",
				 yaml_show(s).s);
	if (*s == '.')
		return fault_set(f, "'%s' begins with a dot", s);
	return give_copy(s, ret);
}

int value_provider(const char *s, char **ret, struct fault *f)
{
	_free_ char *name = strdup(s);
	char *p;

	if (!name)
		return -ENOMEM;
	for (p = name; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	}
	return value_name(name, ret, f);
}

int value_text(const char *s, char **ret, struct fault *f)
{
	return give_copy(s, ret);
}

static bool has_dotdot(const char *s)
{
	const char *p = s;

	while ((p = strstr(p, ".."))) {
		if ((p == s || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
		p += 2;
	}
	return false;
}

int value_path(const char *s, char **ret, struct fault *f)
{
	if (!*s)
		return fault_set(f, "a path is empty");
	if (*s == '~')
		return fault_set(f,
				 "'%s' is not an absolute path ('~' is not expanded: write the "
				 "path out)",
				 yaml_show(s).s);
	if (*s == '$')
		return fault_set(f,
				 "'%s' is not an absolute path (variables are not expanded: "
				 "write the path out)",
				 yaml_show(s).s);
	if (*s != '/')
		return fault_set(f, "'%s' is not an absolute path", yaml_show(s).s);
	if (has_control(s))
		return fault_set(f, "'%s' contains a control character", yaml_show(s).s);
	if (strlen(s) >= 4096)
		return fault_set(f, "'%s' is longer than 4095 bytes", yaml_show(s).s);
	if (has_dotdot(s))
		return fault_set(f, "'%s' contains a '..' component", yaml_show(s).s);
	*ret = fs_clean_path(s);
	return *ret ? 0 : -ENOMEM;
}

int value_env_name(const char *s, char **ret, struct fault *f)
{
	if (!*s || strchr(digits, *s) || !is_made_of(s, lower, upper, "0123456789_"))
		return fault_set(f, "'%s' is not the name of an environment variable",
				 yaml_show(s).s);
	return give_copy(s, ret);
}

int value_scope(const char *s, char **ret, struct fault *f)
{
	const char *team = str_has_prefix(s, "team:") ? s + strlen("team:") : NULL;

	if (team && *team && strlen(team) <= 64 && is_made_of(team, lower, digits, "._-"))
		return give_copy(s, ret);
	if (team)
		return fault_set(f,
				 "'%s' does not name a team (lower-case letters, digits, '.', "
				 "'_' and '-' only)",
				 yaml_show(s).s);
	if (streq(s, "session") || streq(s, "policy"))
		return give_copy(s, ret);
	return fault_set(f, "'%s' is not one of session, policy, team:NAME", yaml_show(s).s);
}

int value_model(const char *s, char **ret, struct fault *f)
{
	const char *p;

	if (!*s)
		return fault_set(f, "the name of a model is empty");
	if (strlen(s) > 128)
		return fault_set(f, "'%s' is longer than 128 characters", yaml_show(s).s);
	for (p = s; *p; p++) {
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return fault_set(f, "'%s' is not the name of a model",
					 yaml_show(s).s);
	}
	return give_copy(s, ret);
}

/*
 * System call names. libseccomp knows the calls of all architectures; those that this machine
 * does not have resolve to a negative number and are accepted: one policy, many machines.
 */
enum { SYSCALL_NUMBERS = 600 };

struct syscall_names {
	char *names[SYSCALL_NUMBERS + 1];
};

static const char *next_syscall(const void *arg, size_t i)
{
	const struct syscall_names *l = arg;

	return l->names[i];
}

static int fault_syscall(const char *s, struct fault *f)
{
	struct syscall_names l = { 0 };
	const char *near;
	size_t n = 0;
	int i;

	for (i = 0; i < SYSCALL_NUMBERS; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);

		if (name)
			l.names[n++] = name;
	}
	near = str_suggest(s, next_syscall, &l);
	if (near)
		fault_set(f, "'%s' is not a system call (did you mean '%s'?)",
			  yaml_show(s).s, near);
	else
		fault_set(f, "'%s' is not a system call", yaml_show(s).s);
	while (n > 0)
		free(l.names[--n]);
	return -EINVAL;
}

int value_syscall(const char *s, char **ret, struct fault *f)
{
	if (!*s)
		return fault_set(f, "the name of a system call is empty");
	if (seccomp_syscall_resolve_name(s) == __NR_SCMP_ERROR)
		return fault_syscall(s, f);
	return give_copy(s, ret);
}

/* The canonical "CAP_..." of a capability's number. */
static int capability_name(cap_value_t cap, char *ret, size_t size)
{
	char *name = cap_to_name(cap), *p;

	if (!name)
		return -ENOMEM;
	snprintf(ret, size, "%s", name);
	cap_free(name);
	for (p = ret; *p; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	}
	return 0;
}

struct capability_names {
	char names[CAP_LAST_CAP + 1][40];
};

static const char *next_capability(const void *arg, size_t i)
{
	const struct capability_names *l = arg;

	return i <= CAP_LAST_CAP ? l->names[i] : NULL;
}

/* `s` as written, `name` in canonical form. */
static int fault_capability(const char *s, const char *name, struct fault *f)
{
	struct capability_names l;
	const char *near;
	cap_value_t cap;

	for (cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (capability_name(cap, l.names[cap], sizeof(l.names[cap])) < 0)
			return -ENOMEM;
	}
	near = str_suggest(name, next_capability, &l);
	if (near)
		return fault_set(f, "'%s' is not a capability (did you mean '%s'?)",
				 yaml_show(s).s, near);
	return fault_set(f, "'%s' is not a capability", yaml_show(s).s);
}

static int read_capability(const char *s, bool all, char **ret, struct fault *f)
{
	char name[40];
	cap_value_t cap;
	size_t i;

	/* cap_from_name() takes numbers too, and a policy does not. */
	if (!*s || strlen(s) > sizeof(name) - 5 || !is_made_of(s, lower, upper, "_"))
		return fault_set(f, "'%s' is not a capability", yaml_show(s).s);
	snprintf(name, sizeof(name), "%s%s", strncasecmp(s, "cap_", 4) == 0 ? "" : "CAP_",
		 s);
	for (i = 0; name[i]; i++) {
		if (name[i] >= 'a' && name[i] <= 'z')
			name[i] = (char)(name[i] - 'a' + 'A');
	}
	if (streq(name, "CAP_ALL")) {
		if (all)
			return give_copy("ALL", ret);
		return fault_set(f, "'%s' is not accepted here: name each capability",
				 yaml_show(s).s);
	}
	if (cap_from_name(name, &cap) < 0)
		return fault_capability(s, name, f);
	return give_copy(name, ret);
}

int value_capability(const char *s, char **ret, struct fault *f)
{
	return read_capability(s, false, ret, f);
}

int value_capability_or_all(const char *s, char **ret, struct fault *f)
{
	return read_capability(s, true, ret, f);
}

int value_integer(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct fault *f)
{
	uint64_t v;
	int r;

	if (*s == '-' && s[1] && s[1 + strspn(s + 1, digits)] == '\0')
		return fault_set(f, "'%s' is negative", yaml_show(s).s);
	if (*s == '0' && s[1])
		r = -EINVAL; /* 010 is 8 in YAML 1.1 and 10 in YAML 1.2 */
	else
		r = num_u64(s, &v);
	if (r == -EINVAL)
		return fault_set(f, "'%s' is not a whole number", yaml_show(s).s);
	if (r < 0 || v < min || v > max)
		return fault_set(f, "'%s' is out of range (%ju to %ju)", yaml_show(s).s,
				 (uintmax_t)min, (uintmax_t)max);
	*ret = v;
	return 0;
}

int value_register(const char *s, uint64_t *ret, struct fault *f)
{
	uint64_t v;
	int r = num_u64_any_base(s, &v);

	if (r == -ERANGE)
		return fault_set(f, "'%s' does not fit into 64 bits", yaml_show(s).s);
	if (*s == '-' && s[1] && s[1 + strspn(s + 1, digits)] == '\0')
		return fault_set(f,
				 "'%s' is negative: write the 64-bit value in hexadecimal",
				 yaml_show(s).s);
	if (r < 0)
		return fault_set(f, "'%s' is not a number (decimal, 0x... or 0o...)",
				 yaml_show(s).s);
	*ret = v;
	return 0;
}

/* The power of 1024 of a unit letter at *s, which is skipped with an 'i' after it. */
static unsigned int read_unit(const char **s)
{
	static const char letters[] = "kmgtKMGT";
	const char *at = **s ? strchr(letters, **s) : NULL;

	if (!at)
		return 0;
	(*s)++;
	if (**s == 'i')
		(*s)++;
	return 10 * ((unsigned int)(at - letters) % 4 + 1);
}

/* "1.5G": a number with up to 6 decimals and a unit; `rest` gets what follows. 0, -EINVAL, -ERANGE. */
static int read_scaled(const char *s, const char **ret_rest, uint64_t *ret)
{
	unsigned __int128 v;
	uint64_t millionths;
	int r;

	r = num_decimal(&s, 6, &millionths);
	if (r < 0)
		return r;
	v = (unsigned __int128)millionths << read_unit(&s);
	if (v % 1000000)
		return -EINVAL;
	v /= 1000000;
	if (v > UINT64_MAX)
		return -ERANGE;
	*ret_rest = s;
	*ret = (uint64_t)v;
	return 0;
}

static bool is_negative_number(const char *s)
{
	return *s == '-' && s[1] && strchr("0123456789.", s[1]);
}

int value_size(const char *s, uint64_t *ret, struct fault *f)
{
	const uint64_t min = 1 << 20, max = 1ull << 62;
	const char *rest = "";
	uint64_t v = 0;
	int r;

	if (is_negative_number(s))
		return fault_set(f, "'%s' is negative", yaml_show(s).s);
	r = num_u64(s, &v);
	if (r == -EINVAL)
		r = read_scaled(s, &rest, &v);
	if (r == -EINVAL || (*rest && !streq(rest, "B")))
		return fault_set(f,
				 "'%s' is not a size (write bytes, or a number with K, M, G or "
				 "T: \"512M\")",
				 yaml_show(s).s);
	if (r < 0 || v < min || v > max)
		return fault_set(f, "'%s' is out of range (1M to 4194304T)", yaml_show(s).s);
	*ret = v;
	return 0;
}

int value_rate(const char *s, uint64_t *ret, struct fault *f)
{
	const uint64_t min = 1 << 10, max = 1ull << 50;
	const char *rest = "";
	uint64_t v = 0;
	int r;

	if (is_negative_number(s))
		return fault_set(f, "'%s' is negative", yaml_show(s).s);
	r = num_u64(s, &v);
	if (r == -EINVAL) {
		r = read_scaled(s, &rest, &v);
		if (r == 0 && !streq(rest, "Bps") && !streq(rest, "B/s"))
			r = -EINVAL;
	}
	if (r == -EINVAL)
		return fault_set(f,
				 "'%s' is not a rate (write bytes per second, or a number with "
				 "KBps, MBps or GBps: \"50MBps\")",
				 yaml_show(s).s);
	if (r < 0 || v < min || v > max)
		return fault_set(f, "'%s' is out of range (1KBps to 1024TBps)",
				 yaml_show(s).s);
	*ret = v;
	return 0;
}

int value_cpus(const char *s, uint64_t *ret_millis, struct fault *f)
{
	const char *p = s;
	uint64_t v = 0;
	int r;

	if (is_negative_number(s))
		return fault_set(f, "'%s' is negative", yaml_show(s).s);
	r = num_decimal(&p, 3, &v);
	if (r == -EINVAL || *p)
		return fault_set(f, "'%s' is not a number of CPUs (at most 3 decimals: 0.5)",
				 yaml_show(s).s);
	if (r < 0 || v < 10 || v > 1024 * 1000)
		return fault_set(f, "'%s' is out of range (0.01 to 1024)", yaml_show(s).s);
	*ret_millis = v;
	return 0;
}

int value_money(const char *s, int64_t *ret_picodollars, struct fault *f)
{
	const char *p = *s == '$' ? s + 1 : s;
	int r;

	if (is_negative_number(p) || (*s == '-' && s[1] == '$'))
		return fault_set(f, "'%s' is negative", yaml_show(s).s);
	r = money_parse(s, ret_picodollars);
	if (r == -EINVAL)
		return fault_set(f,
				 "'%s' is not a sum of US dollars (at most 12 decimals: "
				 "\"$5.00\")",
				 yaml_show(s).s);
	if (r < 0)
		return fault_set(f, "'%s' is out of range (at most $9223372)",
				 yaml_show(s).s);
	return 0;
}
