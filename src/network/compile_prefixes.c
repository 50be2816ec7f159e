// SPDX-License-Identifier: Apache-2.0
/*
 * From rules to tables of prefixes, in which the longest match alone decides. Pure.
 *
 * Every prefix that a rule, a block or a reserved range names becomes an item. Sorted by address
 * and length, a prefix comes after all that it lies in, so one pass with a stack of the prefixes
 * around the present one meets each once. What a policy says at a prefix is what it says at the
 * one around it, with the items of the prefix itself put over it:
 *
 *   reserved   forgets what wider rules allow; from here on what is not allowed is denied
 *   allow      wins over what wider rules say of the same ports
 *   block      denies all, here and below
 *
 * Then the policies are put together, port by port (combine()).
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "network/compile_parts.h"
#include "network/reserved.h"

enum item_kind { ITEM_RESERVED, ITEM_ALLOW, ITEM_BLOCK };

struct item {
	uint8_t address[16];
	uint8_t prefix_len;
	uint8_t kind;
	bool always; /* ITEM_RESERVED: also where a policy only records */
	uint16_t policy;
	uint32_t rule;
};
typedef LIST_OF(struct item) item_list;

/* What one policy says at a prefix. */
struct view {
	bool blocked, reserved, always;
	uint32_t block_rule;
	network_ranges allowed;
};

/* A prefix around the present one, or itself. */
struct frame {
	uint8_t address[16];
	uint8_t prefix_len;
	struct view *views;	 /* one for each policy */
	network_ranges combined; /* what holds there */
};

#define FRAMES_MAX 129 /* lengths of a prefix */

struct walk {
	struct compile *c;
	struct frame frames[FRAMES_MAX];
	size_t depth;
	network_ranges layers; /* kept between uses */
	network_entries *out;
};

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = memcmp(x->address, y->address, sizeof(x->address));

	if (r == 0)
		r = x->prefix_len - y->prefix_len;
	if (r == 0)
		r = x->policy - y->policy;
	if (r == 0)
		r = x->kind - y->kind;
	return r ? r : (x->rule < y->rule ? -1 : x->rule > y->rule);
}

static int add_item(item_list *l, const struct item *item, const uint8_t *address,
		    size_t bytes)
{
	struct item *slot = list_add(l);

	if (!slot)
		return -ENOMEM;
	*slot = *item;
	memset(slot->address, 0, sizeof(slot->address));
	memcpy(slot->address, address, bytes);
	return 0;
}

static int add_rule(const struct compile_policy *p, const struct network_rule *rule,
		    struct item *item, item_list *v4, item_list *v6)
{
	static const uint8_t any[16] = { 0 };
	uint8_t other[16];
	int r;

	item->kind = rule->kind == NETWORK_ALLOW_OUTGOING ? ITEM_ALLOW : ITEM_BLOCK;
	item->prefix_len = rule->has_address ? rule->prefix_len : 0;
	if (!rule->has_address) {
		r = add_item(v4, item, any, 4);
		return r ? r : add_item(v6, item, any, 16);
	}
	if (rule->family == AF_INET6)
		return add_item(v6, item, rule->address, 16);
	r = add_item(v4, item, rule->address, 4);
	if (r < 0 || item->kind != ITEM_BLOCK || !p->translated)
		return r;
	network_translate(rule->address, rule->prefix_len, other, &item->prefix_len);
	return add_item(v6, item, other, 16);
}

static int add_reserved(struct compile *c, size_t policy, item_list *v4, item_list *v6)
{
	struct item item = { .kind = ITEM_RESERVED,
			     .policy = (uint16_t)policy,
			     .rule = NETWORK_RULE_RESERVED };
	network_reserved_list l = { 0 };
	size_t i;
	int r;

	/* A policy that only records has to tell metadata from others by each of its names. */
	r = network_reserved_add(c->around, c->v[policy].listed,
				 c->v[policy].translated || c->v[policy].policy->audit, &l);
	for (i = 0; r == 0 && i < l.n; i++) {
		bool is_v4 = l.v[i].family == AF_INET;

		item.prefix_len = l.v[i].prefix_len;
		item.always = l.v[i].always;
		r = add_item(is_v4 ? v4 : v6, &item, l.v[i].address, is_v4 ? 4 : 16);
	}
	free(l.v);
	return r;
}

static int collect_items(struct compile *c, item_list *v4, item_list *v6)
{
	size_t i, k;
	int r = 0;

	for (i = 0; r == 0 && i < c->n; i++) {
		const struct compile_policy *p = &c->v[i];

		r = add_reserved(c, i, v4, v6);
		for (k = 0; r == 0 && k < p->policy->rules.n; k++) {
			const struct network_rule *rule = &p->policy->rules.v[k];
			struct item item = { .policy = (uint16_t)i,
					     .rule = p->first_rule + (uint32_t)k };

			if (rule->kind != NETWORK_ALLOW_INCOMING && !rule->domain)
				r = add_rule(p, rule, &item, v4, v6);
		}
	}
	return r;
}

/* --- what a policy says at a prefix --- */

static int ranges_copy(network_ranges *to, const network_ranges *from)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < from->n; i++)
		r = network_ranges_append(to, &from->v[i]);
	return r;
}

/* The items of one policy at one prefix, in the order of compare_items(). */
static int view_fill(struct walk *w, const struct view *around, const struct item *items,
		     size_t n, struct view *ret)
{
	const struct network_tables *t = w->c->t;
	size_t i = 0;
	int r = 0;

	ret->blocked = around && around->blocked;
	ret->block_rule = around ? around->block_rule : 0;
	ret->reserved = around && around->reserved;
	ret->always = around && around->always;
	ret->allowed.n = 0;
	w->layers.n = 0;
	if (n && items[0].kind == ITEM_RESERVED) {
		ret->reserved = true;
		around = NULL;
		for (; i < n && items[i].kind == ITEM_RESERVED; i++)
			ret->always |= items[i].always;
	}
	for (; r == 0 && i < n && items[i].kind == ITEM_ALLOW; i++)
		r = network_ranges_add_rule(t->rules.v[items[i].rule], items[i].rule,
					    false, &w->layers);
	if (i < n) {
		ret->blocked = true;
		ret->block_rule = items[i].rule;
	}
	if (r == 0 && around && !w->layers.n)
		return ranges_copy(&ret->allowed, &around->allowed);
	for (i = 0; r == 0 && around && i < around->allowed.n; i++) {
		struct network_range *slot = list_add(&w->layers);

		if (!slot)
			return -ENOMEM;
		*slot = around->allowed.v[i];
	}
	return r ? r : network_ranges_flatten(&w->layers, &ret->allowed);
}

/* --- all policies together --- */

/* A walk over a view's ports. */
struct cursor {
	const struct view *view;
	size_t at; /* in view->allowed */
};

/* The verdict of a policy for `port`, which no earlier call passed; it holds up to *ret_hi. */
static enum network_verdict cursor_look(struct cursor *x, uint32_t port,
					uint32_t *ret_rule, uint32_t *ret_hi)
{
	const network_ranges *l = &x->view->allowed;

	*ret_hi = NETWORK_PORTS_END - 1;
	if (x->view->blocked) {
		*ret_rule = x->view->block_rule;
		return NETWORK_DENY;
	}
	while (x->at < l->n && l->v[x->at].hi < port)
		x->at++;
	if (x->at < l->n && l->v[x->at].lo <= port) {
		*ret_hi = l->v[x->at].hi;
		*ret_rule = l->v[x->at].rule;
		return NETWORK_ALLOW;
	}
	if (x->at < l->n)
		*ret_hi = l->v[x->at].lo - 1;
	*ret_rule = NETWORK_RULE_RESERVED;
	return x->view->reserved ? NETWORK_DENY : NETWORK_NONE;
}

/* What is known of a port after some of the policies were asked. */
struct tally {
	struct network_range deny, record,
		allow;	  /* the first of each; verdict NONE: none yet */
	bool need_name;	  /* an enforcing policy allows it by name, or not at all */
	bool record_else; /* a recording policy does */
};

static void tally_first(struct network_range *x, enum network_verdict verdict, uint32_t rule)
{
	if (x->verdict == NETWORK_NONE) {
		x->verdict = verdict;
		x->rule = rule;
	}
}

/* What is always reserved stays denied where a policy only records: metadata gives credentials. */
static void tally_add(struct tally *y, const struct compile_policy *p,
		      const struct view *view, enum network_verdict verdict, uint32_t rule)
{
	bool audit = p->policy->audit && !(view->always && verdict == NETWORK_DENY);

	if (verdict == NETWORK_ALLOW)
		tally_first(&y->allow, NETWORK_ALLOW, rule);
	else if (verdict == NETWORK_DENY && audit)
		tally_first(&y->record, NETWORK_AUDIT, rule);
	else if (verdict == NETWORK_DENY)
		tally_first(&y->deny, NETWORK_DENY, rule);
	else if (p->listed && audit)
		y->record_else = true;
	else if (p->listed)
		y->need_name = true;
}

/*
 * Deny wins. Where an enforcing policy leaves it to names, so does the whole: a name that all
 * policies allow may lead there, and what they would record of it is not told. After that nothing
 * can deny any more, and a policy that only records may say that it would. If it would let a name
 * lead there, that cannot be told from here on, and it is recorded where the fallback denies.
 */
static struct network_range tally_result(const struct compile *c, const struct tally *y)
{
	struct network_range none = { .verdict = NETWORK_NONE, .rule = NETWORK_RULE_NONE };

	if (y->deny.verdict != NETWORK_NONE)
		return y->deny;
	if (y->need_name)
		return none;
	if (y->record.verdict != NETWORK_NONE)
		return y->record;
	if (y->record_else && c->enforcing_listed) {
		none.verdict = NETWORK_AUDIT;
		return none;
	}
	return y->record_else ? none : (y->allow.verdict != NETWORK_NONE ? y->allow : none);
}

static int combine(struct walk *w, const struct view *views, network_ranges *ret)
{
	_free_ struct cursor *cursors = calloc(w->c->n, sizeof(*cursors));
	uint32_t port = 0;
	size_t i;
	int r = 0;

	if (!cursors)
		return -ENOMEM;
	for (i = 0; i < w->c->n; i++)
		cursors[i].view = &views[i];
	ret->n = 0;
	while (r == 0 && port < NETWORK_PORTS_END) {
		struct tally y = { 0 };
		struct network_range piece;
		uint32_t hi = NETWORK_PORTS_END - 1;

		for (i = 0; i < w->c->n; i++) {
			uint32_t rule = NETWORK_RULE_NONE, end;
			enum network_verdict v = cursor_look(&cursors[i], port, &rule, &end);

			tally_add(&y, &w->c->v[i], &views[i], v, rule);
			hi = end < hi ? end : hi;
		}
		piece = tally_result(w->c, &y);
		piece.lo = port;
		piece.hi = hi;
		if (piece.verdict != NETWORK_NONE)
			r = network_ranges_append(ret, &piece);
		port = hi + 1;
	}
	return r;
}

/* --- the walk --- */

static bool ranges_are_equal(const network_ranges *a, const network_ranges *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0);
}

static int emit(struct walk *w, const struct frame *f, const struct item *item)
{
	struct network_tables *t = w->c->t;
	struct network_table_entry *x = list_add(w->out);
	size_t i;

	if (!x)
		return -ENOMEM;
	memcpy(x->address, f->address, sizeof(x->address));
	x->prefix_len = f->prefix_len;
	x->entry.first = (struct network_range){ .lo = 1, .hi = 0 };
	if (f->combined.n)
		x->entry.first = f->combined.v[0];
	if (f->combined.n <= 1)
		return 0;
	x->entry.more = (uint32_t)t->ranges.n;
	x->entry.more_count = (uint32_t)(f->combined.n - 1);
	if (t->ranges.n + x->entry.more_count > NETWORK_RANGES_MAX)
		return compile_fail_ranges(w->c, item->rule);
	for (i = 1; i < f->combined.n; i++) {
		struct network_range *slot = list_add(&t->ranges);

		if (!slot)
			return -ENOMEM;
		*slot = f->combined.v[i];
	}
	return 0;
}

/* The frame of a prefix, on top of those around it; its views are made when first needed. */
static struct frame *push_frame(struct walk *w, const struct item *item)
{
	struct frame *f;

	while (w->depth) {
		f = &w->frames[w->depth - 1];
		if (network_has_prefix(item->address, f->address, f->prefix_len))
			break;
		w->depth--;
	}
	f = &w->frames[w->depth];
	if (!f->views)
		f->views = calloc(w->c->n, sizeof(*f->views));
	if (!f->views)
		return NULL;
	w->depth++;
	memcpy(f->address, item->address, sizeof(f->address));
	f->prefix_len = item->prefix_len;
	return f;
}

/* All items at one prefix. */
static int visit(struct walk *w, const struct item *items, size_t n)
{
	struct frame *f = push_frame(w, items), *around;
	size_t i, from = 0;
	int r = 0;

	if (!f)
		return -ENOMEM;
	around = w->depth > 1 ? f - 1 : NULL;
	for (i = 0; r == 0 && i < w->c->n; i++) {
		size_t to = from;

		while (to < n && items[to].policy == i)
			to++;
		r = view_fill(w, around ? &around->views[i] : NULL, items + from,
			      to - from, &f->views[i]);
		from = to;
	}
	if (r == 0)
		r = combine(w, f->views, &f->combined);
	if (r < 0)
		return r;
	if (around ? ranges_are_equal(&around->combined, &f->combined) : f->combined.n == 0)
		return 0;
	return emit(w, f, &items[n - 1]);
}

static void walk_clear(struct walk *w)
{
	size_t i, k;

	for (i = 0; i < FRAMES_MAX; i++) {
		for (k = 0; w->frames[i].views && k < w->c->n; k++)
			free(w->frames[i].views[k].allowed.v);
		free(w->frames[i].views);
		free(w->frames[i].combined.v);
	}
	free(w->layers.v);
}

static int walk_items(struct compile *c, item_list *l, network_entries *out)
{
	struct walk w = { .c = c, .out = out };
	size_t i, end;
	int r = 0;

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), compare_items);
	for (i = 0; r == 0 && i < l->n; i = end) {
		for (end = i + 1; end < l->n && l->v[end].prefix_len == l->v[i].prefix_len &&
				  memcmp(l->v[end].address, l->v[i].address, 16) == 0;)
			end++;
		r = visit(&w, l->v + i, end - i);
	}
	walk_clear(&w);
	return r;
}

int compile_prefixes(struct compile *c)
{
	item_list v4 = { 0 }, v6 = { 0 };
	int r = collect_items(c, &v4, &v6);

	if (r == 0)
		r = walk_items(c, &v4, &c->t->v4);
	if (r == 0)
		r = walk_items(c, &v6, &c->t->v6);
	free(v4.v);
	free(v6.v);
	return r;
}
