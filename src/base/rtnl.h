/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the kernel by netlink: links, addresses, traffic control, sockets. */
#ifndef PURPLE_BASE_RTNL_H
#define PURPLE_BASE_RTNL_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct rtnl_request {
	struct nlmsghdr h;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct tcmsg tc;
		struct rtgenmsg gen;
		struct inet_diag_req_v2 diag;
	};
	char attributes[512];
};

/*
 * A socket of the namespace `ns` for a protocol of netlink(7), or for NETLINK_ROUTE; `ns` -1: the
 * caller's own. Runs in: a single-threaded process.
 */
int rtnl_open_for(int ns, int protocol, struct err *e);
int rtnl_open(int ns, struct err *e);

void rtnl_begin(struct rtnl_request *q, uint16_t type, uint16_t flags, size_t head);
void rtnl_add(struct rtnl_request *q, uint16_t type, const void *data, size_t len);
/* An attribute of attributes: what is added until rtnl_nest_end() stands in it. */
struct rtattr *rtnl_nest(struct rtnl_request *q, uint16_t type);
void rtnl_nest_end(struct rtnl_request *q, struct rtattr *nest);

/*
 * Sends, and gives every message of the answer to `each` (may be NULL) until the kernel says that
 * it is done. 0 or -errno, which may be the kernel's.
 */
int rtnl_talk(int sock, const struct rtnl_request *q,
	      int (*each)(const struct nlmsghdr *h, void *arg), void *arg);

#endif
