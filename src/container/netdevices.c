/* SPDX-License-Identifier: Apache-2.0 */
/* See netdevices.h. Runs in the runtime, on the host. */
#include "container/netdevices.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

static const char *name_there(const struct oci_net_device *d)
{
	return d->name && *d->name ? d->name : d->host_name;
}

int netdevices_check(const struct oci_spec *s, struct err *e)
{
	const struct oci_linux *l = s->linux_;

	if (l->net_devices.n && !oci_spec_namespace(s, "network"))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.netDevices: needs a network namespace");
	for (size_t i = 0; i < l->net_devices.n; i++) {
		int r = netdev_check(&l->net_devices.v[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_other_namespace(const struct netdevices *d, struct err *e)
{
	struct stat own, theirs;

	if (fstat(d->own.ns, &own) < 0 || fstat(d->theirs.ns, &theirs) < 0)
		return err_sys(e, "cannot examine the network namespaces");
	if (own.st_dev == theirs.st_dev && own.st_ino == theirs.st_ino)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "the container has no network namespace of its own");
	return 0;
}

static int move_one(const struct oci_net_device *from, struct netdevices *d, struct err *e)
{
	_free_ char *there = NULL;
	struct netdevices_moved *m;
	int r;

	r = netdev_move(&d->own, from->host_name, &d->theirs, name_there(from), &there, e);
	if (r < 0)
		return r;
	m = list_add(&d->moved);
	if (!m)
		return err_oom(e);
	m->name = from->host_name;
	m->name_there = take_ptr(&there);
	return 0;
}

int netdevices_move(const struct oci_spec *s, pid_t pid, struct netdevices *d, struct err *e)
{
	const struct oci_linux *l = s->linux_;
	int r;

	if (l->net_devices.n == 0)
		return 0;
	r = netdev_open(0, &d->own, e);
	if (r == 0)
		r = netdev_open(pid, &d->theirs, e);
	if (r == 0)
		r = check_other_namespace(d, e);
	for (size_t i = 0; r == 0 && i < l->net_devices.n; i++)
		r = move_one(&l->net_devices.v[i], d, e);
	return r < 0 ? err_wrap(e, "linux.netDevices") : 0;
}

void netdevices_move_back(struct netdevices *d)
{
	struct err e;

	while (d->moved.n > 0) {
		struct netdevices_moved *m = &d->moved.v[--d->moved.n];
		_free_ char *name = NULL;

		if (netdev_move(&d->theirs, m->name_there, &d->own, m->name, &name, &e) < 0)
			log_warn("cannot give back: %s", e.msg);
		free(m->name_there);
	}
}

void netdevices_clear(struct netdevices *d)
{
	for (size_t i = 0; i < d->moved.n; i++)
		free(d->moved.v[i].name_there);
	free(d->moved.v);
	netdev_close(&d->own);
	netdev_close(&d->theirs);
	*d = (struct netdevices)NETDEVICES_EMPTY;
}
