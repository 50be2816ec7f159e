/* SPDX-License-Identifier: Apache-2.0 */
/* Which providers and models a policy allows. Of meter*.c alone; pure. */
#ifndef PURPLE_GATEWAY_METER_NAMES_H
#define PURPLE_GATEWAY_METER_NAMES_H

#include "gateway/config.h"

/* '*' stands for any characters, also for none; all others for themselves. */
bool meter_pattern_matches(const char *pattern, const char *text);

enum meter_name {
	METER_NAME_OK,
	METER_NAME_PROVIDER, /* the policy does not have it */
	METER_NAME_MODEL,    /* nor this model of it */
};

/* `model` NULL: a call that has none. */
enum meter_name meter_name_check(const struct gateway_policy *p, const char *provider,
				 const char *model);

#endif
