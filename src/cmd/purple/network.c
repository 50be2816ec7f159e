/* SPDX-License-Identifier: Apache-2.0 */
/* purple network: what the network filter of a container holds, has done, and would do. */
#include <errno.h>

#include "cmd/purple/network_view.h"
#include "cmd/purple/purple.h"

struct network_options {
	bool json;
};

static const struct option_row rows[] = {
	OPTION(network_options, json, "json", 0, OPTION_FLAG, NULL, "show: as JSON"),
	{},
};

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const char *root = ((const struct purple_globals *)global)->root;
	const struct network_options *o = opts;

	if (streq(args[0], "show") && n == 2)
		return network_show(root, args[1], o->json, e);
	if (streq(args[0], "test") && n == 3) {
		if (o->json)
			return err_set(e, ERR_USAGE, EINVAL, "--json is for network show");
		return network_test(root, args[1], args[2], ret_status, e);
	}
	return err_set(e, ERR_USAGE, EINVAL,
		       "network: expected show ID or test ID HOST:PORT[/udp]");
}

const struct command purple_network_command = {
	.name = "network",
	.arguments = "show ID | test ID HOST:PORT[/udp]",
	.help = "Show a container's network rules, what they have done and the addresses that "
		"names led to; or try a connection from inside, and say which rule decides.",
	.options = rows,
	.options_size = sizeof(struct network_options),
	.min_args = 2,
	.max_args = 3,
	.run = run,
};
