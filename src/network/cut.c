/* SPDX-License-Identifier: Apache-2.0 */
/* See cut.h: the sockets with the event's addresses and ports are looked for, and ended. */
#include "network/cut.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "network/sockets.h"

static int end_sockets(int sock, const network_sockets *l, const struct network_event *event)
{
	int n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct network_socket *s = &l->v[i];
		int r;

		if (s->local_port != event->local_port || s->remote_port != event->port ||
		    memcmp(s->remote, event->address, sizeof(s->remote)) != 0)
			continue;
		r = network_sockets_end(sock, s);
		if (r < 0)
			return r;
		n += r;
	}
	return n;
}

int network_cut_open(int ns, struct err *e)
{
	return network_sockets_open(ns, e);
}

int network_cut(int sock, const struct network_event *event, struct err *e)
{
	network_sockets l = {};
	int r;

	if (event->hook != NETWORK_HOOK_OUT || event->protocol != IPPROTO_TCP ||
	    event->verdict != NETWORK_DENY || !event->local_port || !event->port)
		return 0;
	r = network_sockets_find(sock, AF_INET6, event->local_port, event->port, &l);
	/* Sockets of IPv6 talk to addresses of IPv4, too. */
	if (r == 0 && event->family == AF_INET)
		r = network_sockets_find(sock, AF_INET, event->local_port, event->port, &l);
	if (r == 0)
		r = end_sockets(sock, &l, event);
	free(l.v);
	return r < 0 ? err_errno(e, r, "cannot end a connection that is denied") : r;
}
