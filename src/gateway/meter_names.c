/* SPDX-License-Identifier: Apache-2.0 */
/* Which providers and models a policy allows: see meter_names.h. Pure; runs in purple-gateway. */
#include "gateway/meter_names.h"

#include "gateway/endpoint.h"

bool meter_pattern_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	/* Going back to the last '*' is enough: what came before it has matched. */
	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			from = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* Where no policy names it. */
static bool is_known(const char *provider)
{
	const struct gateway_known *k = gateway_known_find(provider);

	return k && !k->is_local;
}

enum meter_name meter_name_check(const struct gateway_policy *p, const char *provider,
				 const char *model)
{
	const struct gateway_provider *own = gateway_provider_find(&p->providers, provider);

	if (p->any_provider)
		return METER_NAME_OK;
	if (!own && (p->block_unknown || !is_known(provider)))
		return METER_NAME_PROVIDER;
	if (!own || !model || own->models.n == 0)
		return METER_NAME_OK;
	for (size_t i = 0; i < own->models.n; i++)
		if (meter_pattern_matches(own->models.v[i], model))
			return METER_NAME_OK;
	return METER_NAME_MODEL;
}
