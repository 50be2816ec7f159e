/* SPDX-License-Identifier: Apache-2.0 */
/* The forwarder itself: questions in, verdicts, questions to the upstream servers, answers out. */
#ifndef PURPLE_NETWORK_DNS_SERVER_H
#define PURPLE_NETWORK_DNS_SERVER_H

#include "network/dns_config.h"

/* Questions of a container: as many at once, and so many in each second. */
#define DNS_BURST 100
#define DNS_PER_SECOND 50

struct dns_server;

/* `names_fd` is the container's map; sockets and the rest are those of enum dns_fd. The
 * configuration must outlive the server. */
int dns_server_make(const struct dns_config *c, struct dns_server **ret, struct err *e);
void dns_server_free(struct dns_server *s);

/* Where the addresses of the upstream servers are, for the jail: see dns_jail.h. */
size_t dns_server_upstreams(const struct dns_server *s, const void **ret, size_t max);

/* Until the container's init is gone or, unless it is detached, the control connection ends. */
int dns_server_run(struct dns_server *s, struct err *e);

#endif
