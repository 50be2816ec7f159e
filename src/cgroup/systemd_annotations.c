/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The annotations org.systemd.property.NAME: see systemd.h. Pure.
 *
 * Values are the part of GVariant's text format that runc and crun users write: 'text', true,
 * uint64 5, -1 (an int32), ['a', 'b']. NAMESec becomes NAMEUSec, in microseconds.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "cgroup/systemd.h"

#define PREFIX "org.systemd.property."
#define USEC_PER_SEC 1000000

/*
 * What an annotation may set: how and when the unit ends, its order among units, its text, and
 * narrower limits. Everything else could loosen what the runtime sets (Slice, DeviceAllow,
 * Delegate), take from others (MemoryMin, CPUWeight), or act on the host (OnFailure, Conflicts,
 * SuccessAction).
 */
static const char *const allowed[] = {
	"After",       "Before",	"CollectMode",	   "DefaultDependencies",
	"Description", "Documentation", "FinalKillSignal", "KillMode",
	"KillSignal",  "MemoryHigh",	"OOMPolicy",	   "RuntimeMaxUSec",
	"SendSIGHUP",  "SendSIGKILL",	"TimeoutStopUSec",
};

static bool is_allowed(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (streq(name, allowed[i]))
			return true;
	return false;
}

/* A quoted string; *at ends behind it. */
static int parse_text(const char **at, struct buf *ret)
{
	char quote = **at;

	if (quote != '\'' && quote != '"')
		return -EINVAL;
	buf_adds(ret, "");
	for ((*at)++; **at && **at != quote; (*at)++) {
		if (**at == '\\') {
			(*at)++;
			if (**at != '\\' && **at != '\'' && **at != '"')
				return -EINVAL;
		}
		buf_add(ret, *at, 1);
	}
	if (!**at)
		return -EINVAL;
	(*at)++;
	return ret->failed ? -ENOMEM : 0;
}

static void skip_blanks(const char **at)
{
	*at += strspn(*at, " \t");
}

static int parse_list(const char **at, struct strv *ret)
{
	(*at)++;
	skip_blanks(at);
	if (**at == ']') {
		(*at)++;
		return 0;
	}
	for (;;) {
		_buf_free_ struct buf text = {};
		int r = parse_text(at, &text);

		if (r == 0)
			r = strv_add(ret, text.s);
		if (r < 0)
			return r;
		skip_blanks(at);
		if (**at == ']') {
			(*at)++;
			return 0;
		}
		if (**at != ',')
			return -EINVAL;
		(*at)++;
		skip_blanks(at);
	}
}

static int parse_number(const char *text, struct unit_property *p)
{
	static const struct {
		const char *name;
		enum unit_property_type type;
	} types[] = {
		{ "uint64 ", UNIT_U64 },
		{ "int64 ", UNIT_I64 },
		{ "uint32 ", UNIT_U32 },
		{ "int32 ", UNIT_I32 },
	};
	int64_t number;
	int r;

	p->type = UNIT_I32;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_has_prefix(text, types[i].name)) {
			p->type = types[i].type;
			text += strlen(types[i].name);
			skip_blanks(&text);
			break;
		}
	if (p->type == UNIT_U64)
		return num_u64(text, &p->number);
	r = num_i64(text, &number);
	if (r < 0)
		return r;
	if ((p->type == UNIT_U32 && (number < 0 || number > UINT32_MAX)) ||
	    (p->type == UNIT_I32 && (number < INT32_MIN || number > INT32_MAX)))
		return -ERANGE;
	p->number = (uint64_t)number;
	return 0;
}

static int parse_value(const char *text, struct unit_property *p)
{
	_buf_free_ struct buf string = {};
	const char *at = text;
	int r;

	skip_blanks(&at);
	if (streq(at, "true") || streq(at, "false")) {
		p->type = UNIT_BOOL;
		p->number = *at == 't';
		return 0;
	}
	if (*at == '[') {
		p->type = UNIT_STRINGS;
		r = parse_list(&at, &p->strings);
	} else if (*at == '\'' || *at == '"') {
		p->type = UNIT_STRING;
		r = parse_text(&at, &string);
		if (r == 0) {
			p->text = take_ptr(&string.s);
			string = (struct buf){};
		}
	} else {
		return parse_number(at, p);
	}
	if (r < 0)
		return r;
	skip_blanks(&at);
	return *at ? -EINVAL : 0;
}

/* Seconds to the microseconds that systemd's bus takes. */
static int to_microseconds(struct unit_property *p)
{
	bool is_signed = p->type == UNIT_I32 || p->type == UNIT_I64;

	if ((!is_signed && p->type != UNIT_U32 && p->type != UNIT_U64) ||
	    (is_signed && (int64_t)p->number < 0) ||
	    __builtin_mul_overflow(p->number, USEC_PER_SEC, &p->number))
		return -ERANGE;
	p->type = UNIT_U64;
	return 0;
}

static int add_annotation(const char *key, const char *value, unit_properties *l,
			  struct err *e)
{
	const char *from = key + strlen(PREFIX);
	bool seconds = str_has_suffix(from, "Sec") && !str_has_suffix(from, "USec");
	_free_ char *name = seconds ? str_printf("%.*sUSec", (int)strlen(from) - 3, from) :
				      strdup(from);
	struct unit_property *p;
	int r;

	if (!name)
		return err_oom(e);
	if (!is_allowed(name))
		return err_set(e, ERR_UNSUPPORTED, EPERM,
			       "annotation %s: a container may not set this property of its unit",
			       key);
	p = list_add(l);
	if (!p)
		return err_oom(e);
	p->name = take_ptr(&name);
	r = parse_value(value, p);
	if (r == 0 && seconds)
		r = to_microseconds(p);
	if (r == -ENOMEM)
		return err_oom(e);
	return r < 0 ? err_set(e, ERR_CONFIG, -r,
			       "annotation %s: cannot understand the value '%s' (expected 'text', "
			       "true, uint64 5, or ['a', 'b'])",
			       key, value) :
		       0;
}

int unit_properties_of_annotations(const struct strmap *annotations, unit_properties *ret,
				   struct err *e)
{
	for (size_t i = 0; annotations && i < annotations->n; i++) {
		int r;

		if (!str_has_prefix(annotations->k[i], PREFIX))
			continue;
		r = add_annotation(annotations->k[i], annotations->v[i], ret, e);
		if (r < 0)
			return r;
	}
	return 0;
}
