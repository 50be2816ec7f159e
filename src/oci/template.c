/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The config.json of `spec`: see template.h. The document stands here as JSON; it is read into
 * the data model, changed for an ordinary user where asked, and written. Pure.
 */
#include "oci/template.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "oci/spec.h"
#include "oci/state.h"

/* ' stands for ", to keep the text readable; no value holds either. */
static const char document[] =
	"{'ociVersion': '" OCI_STATE_VERSION "',"
	"'process': {"
	" 'terminal': true,"
	" 'user': {'uid': 0, 'gid': 0},"
	" 'args': ['sh'],"
	" 'env': ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',"
	"  'TERM=xterm'],"
	" 'cwd': '/',"
	" 'capabilities': {"
	"  'bounding': ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'],"
	"  'effective': ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'],"
	"  'permitted': ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE']},"
	" 'rlimits': [{'type': 'RLIMIT_NOFILE', 'soft': 1024, 'hard': 1024}],"
	" 'noNewPrivileges': true},"
	"'root': {'path': 'rootfs', 'readonly': true},"
	"'hostname': 'purple',"
	"'mounts': ["
	" {'destination': '/proc', 'type': 'proc', 'source': 'proc'},"
	" {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs',"
	"  'options': ['nosuid', 'strictatime', 'mode=755', 'size=65536k']},"
	" {'destination': '/dev/pts', 'type': 'devpts', 'source': 'devpts',"
	"  'options': ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']},"
	" {'destination': '/dev/shm', 'type': 'tmpfs', 'source': 'shm',"
	"  'options': ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k']},"
	" {'destination': '/dev/mqueue', 'type': 'mqueue', 'source': 'mqueue',"
	"  'options': ['nosuid', 'noexec', 'nodev']},"
	" {'destination': '/sys', 'type': 'sysfs', 'source': 'sysfs',"
	"  'options': ['nosuid', 'noexec', 'nodev', 'ro']},"
	" {'destination': '/sys/fs/cgroup', 'type': 'cgroup', 'source': 'cgroup',"
	"  'options': ['nosuid', 'noexec', 'nodev', 'relatime', 'ro']}],"
	"'linux': {"
	" 'namespaces': [{'type': 'pid'}, {'type': 'network'}, {'type': 'ipc'}, {'type': 'uts'},"
	"  {'type': 'mount'}, {'type': 'cgroup'}],"
	" 'resources': {'devices': [{'allow': false, 'access': 'rwm'}]},"
	" 'maskedPaths': ['/proc/acpi', '/proc/asound', '/proc/kcore', '/proc/keys',"
	"  '/proc/latency_stats', '/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug',"
	"  '/proc/scsi', '/sys/firmware', '/sys/devices/virtual/powercap'],"
	" 'readonlyPaths': ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys',"
	"  '/proc/sysrq-trigger']}}";

static int template_read(struct oci_spec **ret, struct err *e)
{
	_oci_spec_free_ struct oci_spec *s = NULL;
	_json_free_ struct json *j = NULL;
	_free_ char *text = strdup(document);
	int r;

	s = calloc(1, sizeof(*s));
	if (!s || !text)
		return err_oom(e);
	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	r = json_parse(text, strlen(text), "template", &j, e);
	if (r < 0)
		return r;
	r = json_read(j, &oci_spec_type, "template", s, e);
	if (r < 0)
		return r;
	*ret = take_ptr(&s);
	return 0;
}

static struct oci_mount *find_mount(struct oci_spec *s, const char *destination)
{
	for (size_t i = 0; i < s->mounts.n; i++)
		if (streq(s->mounts.v[i].destination, destination))
			return &s->mounts.v[i];
	return NULL;
}

/* sysfs can be mounted by the owner of the network namespace alone, which stays the host's: the
 * host's /sys is bound instead. devpts cannot give a group that is not mapped. */
static int adapt_mounts(struct oci_spec *s)
{
	struct oci_mount *pts = find_mount(s, "/dev/pts"), *sys = find_mount(s, "/sys");

	for (size_t i = 0; i < pts->options.n; i++) {
		if (streq(pts->options.v[i], "gid=5")) {
			strv_remove(&pts->options, i);
			break;
		}
	}
	free(sys->type);
	free(sys->source);
	sys->type = strdup("none");
	sys->source = strdup("/sys");
	return !sys->type || !sys->source ? -ENOMEM : strv_add(&sys->options, "rbind");
}

/* The entry of the network namespace becomes that of the user namespace. */
static int adapt_namespaces(struct oci_spec *s, uid_t uid, gid_t gid)
{
	struct oci_linux *l = s->linux_;
	struct oci_id_mapping *u, *g;

	for (size_t i = 0; i < l->namespaces.n; i++) {
		struct oci_namespace *ns = &l->namespaces.v[i];

		if (!streq(ns->type, "network"))
			continue;
		free(ns->type);
		ns->type = strdup("user");
		if (!ns->type)
			return -ENOMEM;
	}
	u = list_add(&l->uid_mappings);
	g = list_add(&l->gid_mappings);
	if (!u || !g)
		return -ENOMEM;
	*u = (struct oci_id_mapping){ .container_id = 0, .host_id = uid, .size = 1 };
	*g = (struct oci_id_mapping){ .container_id = 0, .host_id = gid, .size = 1 };
	return 0;
}

int template_write(bool rootless, uid_t uid, gid_t gid, struct buf *out, struct err *e)
{
	_oci_spec_free_ struct oci_spec *s = NULL;
	int r;

	r = template_read(&s, e);
	if (r < 0)
		return r;
	if (rootless) {
		if (adapt_mounts(s) < 0 || adapt_namespaces(s, uid, gid) < 0)
			return err_oom(e);
		json_clear(&oci_resources_type, s->linux_->resources);
		free(s->linux_->resources);
		s->linux_->resources = NULL;
	}
	r = json_write(&oci_spec_type, s, true, out, e);
	if (r < 0)
		return r;
	buf_adds(out, "\n");
	return out->failed ? err_oom(e) : 0;
}
