/* SPDX-License-Identifier: Apache-2.0 */
/* See network_view.h. Runs as root, since the filter's maps are root's; reads only. */
#include "cmd/purple/network_view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "network/rules_json.h"

/* A reload that was killed leaves the state folder ahead of the filter. */
static int check_generation(const struct network_view *v, struct err *e)
{
	const struct container_state *st = &v->c.st;
	uint32_t generation = st->network_generation ? st->network_generation : 1;

	if (generation == v->filter.config.generation &&
	    v->tables.rules.n == v->filter.config.rules)
		return 0;
	return err_set(e, ERR_STATE, EPROTO,
		       "the rules in the state folder (generation %u) are not those of the filter "
		       "(generation %u), which hold: a reload was interrupted (run purple policy "
		       "reload %s)",
		       generation, v->filter.config.generation, st->id);
}

static int open_view(const char *root, const char *id, bool lock,
		     struct network_view *ret, struct err *e)
{
	struct network_surroundings around = {};
	int r = container_open(root, id, lock, &ret->c, e);

	if (r < 0)
		return r;
	if (!ret->c.st.network_filter)
		return err_set(e, ERR_STATE, ENOENT,
			       "container %s has no network filter: no policy of it has a network "
			       "that is not isolated",
			       id);
	r = network_policies_load(ret->c.dirfd, &ret->policies, e);
	if (r == 0)
		r = network_filter_open(ret->c.st.network_filter, &ret->filter, e);
	if (r < 0)
		return r;
	r = network_surroundings_read(ret->filter.config.flags & NETWORK_OWN_LOOPBACK,
				      &around, e);
	if (r == 0)
		r = network_compile(&ret->policies, &around, &ret->tables, e);
	network_surroundings_clear(&around);
	return r < 0 ? r : check_generation(ret, e);
}

/* What does not fit together while a reload is under way does when it has ended: it holds the lock. */
int network_view_open(const char *root, const char *id, struct network_view *ret,
		      struct err *e)
{
	int r = open_view(root, id, false, ret, e);

	if (r == 0)
		return 0;
	network_view_clear(ret);
	*ret = (struct network_view)NETWORK_VIEW_EMPTY;
	return open_view(root, id, true, ret, e);
}

void network_view_clear(struct network_view *v)
{
	container_close(&v->c);
	network_tables_clear(&v->tables);
	network_policies_clear(&v->policies);
	network_filter_clear(&v->filter);
}

const char *network_rule_list(const struct network_rule *rule)
{
	if (rule->kind == NETWORK_ALLOW_OUTGOING)
		return "allow_outgoing";
	if (rule->kind == NETWORK_ALLOW_INCOMING)
		return "allow_incoming";
	return rule->domain ? "blocked_domains" : "blocked_ips";
}

const char *network_address_text(const struct network_address *a, char *ret)
{
	bool v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)a);

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->bytes + 12 : a->bytes, ret,
		  INET6_ADDRSTRLEN);
	return ret;
}
