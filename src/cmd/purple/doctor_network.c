/* SPDX-License-Identifier: Apache-2.0 */
/* purple doctor: whether rules for the network can be enforced. Runs in `purple`. */
#include <unistd.h>

#include "cmd/purple/doctor.h"
#include "network/loader.h"

#define FORWARDER PKGLIBEXECDIR "/purple-dns"

/* By loading the programs, as the first container with such a policy does. */
static void check_filter(struct doctor *d)
{
	const struct doctor_subject s = { "network filter",
					  "rules of network but isolated", false };
	struct err e;

	if (d->ordinary)
		doctor_bad(d, &s, DOCTOR_MISSING, "run as root",
			   "an ordinary user cannot load it");
	else if (network_loader_ensure(&e) < 0)
		doctor_bad(d, &s, DOCTOR_MISSING, NULL, "%s", e.msg);
	else
		doctor_ok(d, &s, "its programs are loaded");
}

static void check_names(struct doctor *d)
{
	const struct doctor_subject s = { "network names", "names in rules of network",
					  false };

	if (access(FORWARDER, X_OK) == 0)
		doctor_ok(d, &s, "%s", FORWARDER);
	else
		doctor_bad(d, &s, DOCTOR_MISSING, "build Purple with libldns",
			   "'%s' is not there", FORWARDER);
}

void doctor_check_network(struct doctor *d)
{
	check_filter(d);
	check_names(d);
}
