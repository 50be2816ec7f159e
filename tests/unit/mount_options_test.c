/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of mount options, and the checks of rootfs and sysctl that need no privileges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "linux/mount_options.h"
#include "linux/rootfs.h"
#include "linux/sysctl.h"

/* runtime-spec 1.2, "Linux mount options", without mand and iversion. */
static const char *const spec_options[] = {
	"async",	"atime",       "bind",		 "defaults",
	"dev",		"diratime",    "dirsync",	 "exec",
	"lazytime",	"loud",	       "noatime",	 "nodev",
	"nodiratime",	"noexec",      "noiversion",	 "nolazytime",
	"nomand",	"norelatime",  "nostrictatime",	 "nosuid",
	"nosymfollow",	"private",     "ratime",	 "rbind",
	"rdev",		"rdiratime",   "relatime",	 "remount",
	"rexec",	"rnoatime",    "rnodev",	 "rnodiratime",
	"rnoexec",	"rnorelatime", "rnostrictatime", "rnosuid",
	"rnosymfollow", "ro",	       "rprivate",	 "rrelatime",
	"rro",		"rrw",	       "rshared",	 "rslave",
	"rstrictatime", "rsuid",       "rsymfollow",	 "runbindable",
	"rw",		"shared",      "silent",	 "slave",
	"strictatime",	"suid",	       "symfollow",	 "sync",
	"tmpcopyup",	"unbindable",  "idmap",		 "ridmap",
};

static int parse(const char *type, const char *list, struct mount_options *ret,
		 struct err *e)
{
	struct oci_mount m = { .destination = (char *)"/m", .type = (char *)type };
	_free_ char *copy = strdup(list);
	char *save = NULL;
	int r;

	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
		assert_int_equal(strv_add(&m.options, s), 0);
	r = mount_options_parse(&m, ret, e);
	strv_free(&m.options);
	return r;
}

static void test_names(void **state)
{
	const char *const *names = mount_option_names();
	size_t n = 0;

	for (; names[n]; n++) {
		bool found = false;

		if (n)
			assert_true(strcmp(names[n - 1], names[n]) < 0);
		for (size_t i = 0; i < ARRAY_SIZE(spec_options); i++)
			found |= streq(names[n], spec_options[i]);
		assert_true(found);
	}
	assert_int_equal(n, ARRAY_SIZE(spec_options));
}

/* Every name is taken, and none falls through to the file system. */
static void test_every_option(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(spec_options); i++) {
		const char *s = spec_options[i];
		struct mount_options o;
		struct err e;
		int r = parse("tmpfs", s, &o, &e);

		if (r < 0)
			fail_msg("%s: %s", s, e.msg);
		assert_int_equal(o.data.n, 0);
		mount_options_free(&o);
	}
}

/* Options of the spec that cannot be had any more are neither listed nor taken. */
static void test_options_that_are_gone(void **state)
{
	struct mount_options o;
	struct err e;

	for (const char *const *name = mount_option_names(); *name; name++)
		assert_true(!streq(*name, "mand") && !streq(*name, "iversion"));
	assert_int_equal(parse("tmpfs", "mand", &o, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "'mand' is not supported: Linux has no"));
	assert_int_equal(parse("tmpfs", "iversion", &o, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "'iversion' is not supported: fsconfig(2)"));
}

static void test_last_one_wins(void **state)
{
	struct mount_options o;
	struct err e;

	assert_int_equal(parse("bind", "ro rw nosuid suid dev nodev", &o, &e), 0);
	assert_true(o.is_bind && !o.recursive);
	assert_int_equal(o.top.set, MOUNT_ATTR_NODEV);
	assert_int_equal(o.top.clr, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
	mount_options_free(&o);

	/* The tree, then the plain form for the top. */
	assert_int_equal(parse("none", "rbind ro rrw", &o, &e), 0);
	assert_true(o.is_bind && o.recursive);
	assert_int_equal(o.rec.clr, MOUNT_ATTR_RDONLY);
	assert_int_equal(o.top.set | o.top.clr, 0);
	mount_options_free(&o);
	assert_int_equal(parse("none", "rbind rro rw", &o, &e), 0);
	assert_int_equal(o.rec.set, MOUNT_ATTR_RDONLY);
	assert_int_equal(o.top.clr, MOUNT_ATTR_RDONLY);
	mount_options_free(&o);

	assert_int_equal(parse("bind", "noatime norelatime", &o, &e), 0);
	assert_int_equal(o.top.set, MOUNT_ATTR_NOATIME);
	assert_int_equal(o.top.clr, MOUNT_ATTR__ATIME);
	mount_options_free(&o);
	assert_int_equal(parse("bind", "noatime strictatime nostrictatime", &o, &e), 0);
	assert_int_equal(o.top.set, MOUNT_ATTR_RELATIME);
	mount_options_free(&o);
	assert_int_equal(parse("tmpfs", "sync dirsync lazytime async nolazytime", &o, &e),
			 0);
	assert_int_equal(o.sb_flags.n, 1);
	assert_string_equal(o.sb_flags.v[0], "dirsync");
	mount_options_free(&o);
}

static void test_data(void **state)
{
	struct mount_options o;
	struct err e;

	assert_int_equal(parse("tmpfs",
			       "mode=755,size=1m,nosuid nr_inodes=4 "
			       "context=\"a:b:c:s0:c1,c2\"",
			       &o, &e),
			 0);
	assert_int_equal(o.top.set, MOUNT_ATTR_NOSUID);
	assert_int_equal(o.data.n, 4);
	assert_string_equal(o.data.v[0], "mode=755");
	assert_string_equal(o.data.v[1], "size=1m");
	assert_string_equal(o.data.v[2], "nr_inodes=4");
	assert_string_equal(o.data.v[3], "context=a:b:c:s0:c1,c2");
	mount_options_free(&o);
	assert_int_equal(parse("overlay", "lowerdir=/a\\,b:/c upperdir=/u", &o, &e), 0);
	assert_string_equal(o.data.v[0], "lowerdir=/a\\,b:/c");
	mount_options_free(&o);
}

static void test_refused(void **state)
{
	static const struct {
		const char *type, *list, *text;
	} cases[] = {
		{ "bind", "rosuid",
		  "mount at '/m': unknown option 'rosuid' of a bind mount" },
		{ "bind", "nosiud", "did you mean 'nosuid'?" },
		{ "bind", "sync", "option 'sync' belongs to the file system" },
		{ "bind", "lazytime", "option 'lazytime' belongs to the file system" },
		{ "bind", "tmpcopyup", "only a mount of type tmpfs can copy up" },
		{ "proc", "tmpcopyup", "only a mount of type tmpfs can copy up" },
		{ "bind", "copy-symlink", "option 'copy-symlink' is not supported" },
		{ "tmpfs", "remount idmap", "option 'remount' excludes 'idmap'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mount_options o;
		struct err e;

		assert_true(parse(cases[i].type, cases[i].list, &o, &e) < 0);
		if (!strstr(e.msg, cases[i].text))
			fail_msg("'%s' in '%s'", cases[i].text, e.msg);
	}
}

static void test_propagation(void **state)
{
	struct mount_propagation p;
	struct mount_options o;
	struct err e;

	assert_int_equal(mount_propagation_parse("rslave", &p), 0);
	assert_true(p.type == MS_SLAVE && p.recursive);
	assert_int_equal(mount_propagation_parse("unbindable", &p), 0);
	assert_true(p.type == MS_UNBINDABLE && !p.recursive);
	assert_int_equal(mount_propagation_parse("ro", &p), -EINVAL);
	assert_int_equal(mount_propagation_parse("", &p), -EINVAL);
	assert_int_equal(parse("bind", "rslave shared", &o, &e), 0);
	assert_int_equal(o.propagation.n, 2);
	assert_true(o.propagation.v[1].type == MS_SHARED && !o.propagation.v[1].recursive);
	mount_options_free(&o);
}

static struct oci_spec *read_spec(const char *linux_members)
{
	_json_free_ struct json *j = NULL;
	struct oci_spec *s = calloc(1, sizeof(*s));
	char *text = str_printf("{'ociVersion':'1.2.0','root':{'path':'r'},'hostname':'h',"
				"'linux':{%s}}",
				linux_members);
	struct err e;

	assert_true(s && text);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	assert_int_equal(json_parse(text, strlen(text), "test", &j, &e), 0);
	assert_int_equal(json_read(j, &oci_spec_type, "test", s, &e), 0);
	free(text);
	return s;
}

#define NS \
	"'namespaces':[{'type':'mount'},{'type':'ipc'},{'type':'network'},{'type':'uts'}]"
#define NS_NONE "'namespaces':[{'type':'mount'}]"
#define NS_HOST \
	"'namespaces':[{'type':'mount'},{'type':'network','path':'/proc/self/ns/net'}]"

static void test_sysctl_check(void **state)
{
	static const struct {
		const char *ns, *key, *error; /* NULL: fine */
	} cases[] = {
		{ NS, "kernel.msgmax", NULL },
		{ NS, "kernel/msgmax", NULL },
		{ NS, "kernel.shm_rmid_forced", NULL },
		{ NS, "fs.mqueue.msg_max", NULL },
		{ NS, "net.ipv4.ip_forward", NULL },
		{ NS, "net.ipv4.conf.eth0/100.forwarding", NULL },
		{ NS, "kernel.domainname", NULL },
		{ NS, "kernel.hostname", "'kernel.hostname' and hostname set the same" },
		{ NS, "kernel.core_pattern", "'kernel.core_pattern' is not in a separate" },
		{ NS, "vm.swappiness", "would change the host" },
		{ NS, "kernel.msgmaxx", "is not in a separate" },
		{ NS, "kernel.sem.x", "is not in a separate" },
		{ NS, "net", "is not in a separate" },
		{ NS, "network.x", "is not in a separate" },
		{ NS, "net/../kernel/core_pattern", "is not in a separate" },
		{ NS, "net/./../kernel/core_pattern", "is not in a separate" },
		{ NS, "net.//.kernel.core_pattern", "is not in a separate" },
		{ NS, "net//x", "is not in a separate" },
		{ NS, "/net/x", "is not in a separate" },
		{ NS, "", "is not in a separate" },
		{ NS_NONE, "kernel.msgmax", "no ipc namespace of its own" },
		{ NS_NONE, "net.ipv4.ip_forward", "no network namespace of its own" },
		{ NS_NONE, "kernel.domainname", "no uts namespace of its own" },
		{ NS_HOST, "net.ipv4.ip_forward", "no network namespace of its own" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_free_ char *l = str_printf("%s,'sysctl':{'%s':'1'}", cases[i].ns,
					    cases[i].key);
		_oci_spec_free_ struct oci_spec *s = read_spec(l);
		struct err e = { 0 };
		int r = sysctl_check(s, &e);

		if (cases[i].error ? r == 0 || !strstr(e.msg, cases[i].error) : r < 0)
			fail_msg("sysctl '%s': %d '%s'", cases[i].key, r, e.msg);
	}
}

static void test_rootfs_check(void **state)
{
	static const struct {
		const char *members, *error; /* NULL: fine */
	} cases[] = {
		{ NS, NULL },
		{ "'namespaces':[]", "without a mount namespace" },
		{ NS ",'maskedPaths':['proc/kcore']", "linux.maskedPaths: 'proc/kcore'" },
		{ NS ",'readonlyPaths':['/x/..']", "linux.readonlyPaths: '/x/..'" },
		{ NS ",'rootfsPropagation':'ro'", "unknown linux.rootfsPropagation 'ro'" },
		{ NS ",'devices':[{'path':'dev/x','type':'c','major':1,'minor':1}]",
		  "device 'dev/x': the path must be absolute" },
		{ NS ",'devices':[{'path':'/dev/x','type':'c'}]",
		  "major and minor must be given" },
		{ NS ",'devices':[{'path':'/dev/x','type':'b','major':-1,'minor':1}]",
		  "major and minor must be given" },
		{ NS ",'devices':[{'path':'/dev/x','type':'p'}]", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_oci_spec_free_ struct oci_spec *s = read_spec(cases[i].members);
		struct err e = { 0 };
		int r = rootfs_check(s, &e);

		if (cases[i].error ? r == 0 || !strstr(e.msg, cases[i].error) : r < 0)
			fail_msg("%s: %d '%s'", cases[i].members, r, e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_options_that_are_gone),
		cmocka_unit_test(test_last_one_wins),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_propagation),
		cmocka_unit_test(test_sysctl_check),
		cmocka_unit_test(test_rootfs_check),
	};

	return cmocka_run_group_tests_name("mount options", tests, NULL, NULL);
}
