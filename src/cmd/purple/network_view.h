/* SPDX-License-Identifier: Apache-2.0 */
/* A container's network filter, opened for who looks at it: network show and network test. */
#ifndef PURPLE_CMD_PURPLE_NETWORK_VIEW_H
#define PURPLE_CMD_PURPLE_NETWORK_VIEW_H

#include "base/err.h"
#include "container/state.h"
#include "network/filter.h"
#include "network/rules.h"

struct network_view {
	struct container c;
	network_policies policies;
	struct network_tables tables; /* with the filter's numbers of rules */
	struct network_filter filter;
};
#define NETWORK_VIEW_EMPTY                                            \
	{                                                             \
		.c = CONTAINER_EMPTY, .filter = NETWORK_FILTER_EMPTY, \
	}

/* -ENOENT (ERR_STATE): the container has no filter. */
int network_view_open(const char *root, const char *id, struct network_view *ret,
		      struct err *e);
void network_view_clear(struct network_view *v);
#define _network_view_clear_ __attribute__((cleanup(network_view_clear)))

/* "allow_outgoing": the list in which a rule stands. */
const char *network_rule_list(const struct network_rule *rule);

/* An address of the maps as text; at least INET6_ADDRSTRLEN bytes. */
const char *network_address_text(const struct network_address *a, char *ret);

/* `purple network show` (network_show.c) and `test` (network_test.c). */
int network_show_text(const char *root, const char *id, bool json, struct buf *out,
		      struct err *e);
int network_show(const char *root, const char *id, bool json, struct err *e);
int network_test(const char *root, const char *id, const char *target, int *ret_status,
		 struct err *e);

#endif
