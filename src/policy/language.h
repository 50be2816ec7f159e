/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy language as a table. The reader, its error messages, the JSON Schema and the man
 * page all walk this one table, so they cannot disagree. Private to src/policy.
 */
#ifndef PURPLE_POLICY_LANGUAGE_H
#define PURPLE_POLICY_LANGUAGE_H

#include "base/yaml.h"
#include "network/rules.h"
#include "policy/policy.h"
#include "policy/values.h"

/* A kind of text: how it is read, and how it is described. */
struct policy_scalar {
	const char *what; /* "an absolute path": for messages and the man page */
	int (*read)(const char *s, char **ret, struct fault *f);
	const char *pattern; /* for the JSON Schema (ECMA 262); NULL: any string */
};

enum policy_kind {
	POLICY_KIND_MAP,  /* `keys`; offsets are those of the enclosing struct */
	POLICY_KIND_MAPS, /* LIST_OF(struct of `size` bytes), offsets are the element's */
	POLICY_KIND_BOOL, /* bool */
	POLICY_KIND_ENUM, /* enum: index into `choices` */
	POLICY_KIND_FLAG, /* bool: false and true for the two `choices` */
	POLICY_KIND_WORD, /* char *: one of `choices` */
	POLICY_KIND_TEXT, /* char *: as `scalar` reads it */
	POLICY_KIND_WORDS,	/* policy_names, each one of `choices` */
	POLICY_KIND_NAMES,	/* policy_names, each as `scalar` reads it */
	POLICY_KIND_STRINGS,	/* struct strv, each as `scalar` reads it */
	POLICY_KIND_INTEGER,	/* uint64_t from min to max */
	POLICY_KIND_INTEGER32,	/* uint32_t from min to max */
	POLICY_KIND_INTEGERS32, /* LIST_OF(uint32_t), each from min to max */
	POLICY_KIND_REGISTER,	/* uint64_t: a system call's argument */
	POLICY_KIND_SIZE,	/* uint64_t: bytes */
	POLICY_KIND_RATE,	/* uint64_t: bytes per second */
	POLICY_KIND_CPUS,	/* uint64_t: thousandths of a CPU */
	POLICY_KIND_MONEY,	/* int64_t: picodollars */
	POLICY_KIND_NET_RULES,	/* policy_net_rules */
	POLICY_KIND_NET_BLOCKS, /* policy_net_rules: addresses and prefixes alone */
	POLICY_KIND_PORTS,	/* policy_net_rules: ports alone */
};

/* The place of a value, for the checks that look at a whole map. */
struct policy_reader {
	const char *label; /* "policy FILE" */
	char section[128]; /* dotted name of the map being read; "" at the top */
};

/* Checks one map as a whole after its keys were read; `base` is the struct filled from it. */
typedef int (*policy_map_check)(const struct policy_reader *r,
				const struct yaml_node *map, void *base, struct err *e);

struct policy_key {
	const char *name; /* NULL ends a table */
	enum policy_kind kind;
	size_t offset; /* of the value; unused for POLICY_KIND_MAP */
	size_t pos_offset; /* of the struct policy_pos of the key (of MAPS: inside the element);
			    * has_pos says that there is one */
	size_t set_offset; /* of a bool that says the key is there; 0: none */
	bool has_pos, required;
	const struct policy_key *keys;
	size_t size;
	const struct policy_scalar *scalar;
	const char *const *choices; /* NULL-terminated */
	uint64_t min, max;
	const char *endless; /* of INTEGER: a word that stands for UINT64_MAX; NULL: none */
	size_t list_max;     /* entries of a list; 0: 4096 */
	policy_map_check check;
	const char *preset; /* the default, as it would be written; NULL: nothing */
	const char *doc;    /* a sentence or more; plain text */
	const char *const *choice_docs; /* parallel to choices; may be NULL */
};

/* The whole language: a POLICY_KIND_MAP. */
extern const struct policy_key policy_language;

static inline size_t policy_list_max(const struct policy_key *k)
{
	return k->list_max ? k->list_max : 4096;
}

/* A list of any element type. */
struct policy_any_list {
	void *v;
	size_t n;
};

/* manpage_llm.c: a part of the man page. */
extern const char policy_manpage_llm[];

/* sections.c: policy.sections; -ENOMEM. */
int policy_sections_read(const struct yaml_node *root, struct strmap *ret);

/* check.c: the rules that join several keys. */
int policy_check_path_map(const struct policy_reader *r, const struct yaml_node *map,
			  void *base, struct err *e);
int policy_check_output_map(const struct policy_reader *r, const struct yaml_node *map,
			    void *base, struct err *e);
int policy_check_condition(const struct policy_reader *r, const struct yaml_node *map,
			   void *base, struct err *e);
int policy_check_filesystem(const struct policy_reader *r, const struct yaml_node *map,
			    void *base, struct err *e);
int policy_check_network(const struct policy_reader *r, const struct yaml_node *map,
			 void *base, struct err *e);
int policy_check_audit(const struct policy_reader *r, const struct yaml_node *map,
		       void *base, struct err *e);
int policy_check_alert(const struct policy_reader *r, const struct yaml_node *map,
		       void *base, struct err *e);
int policy_check_budget(const struct policy_reader *r, const struct yaml_node *map,
			void *base, struct err *e);
int policy_check_provider(const struct policy_reader *r, const struct yaml_node *map,
			  void *base, struct err *e);
int policy_check_llm_apis(const struct policy_reader *r, const struct yaml_node *map,
			  void *base, struct err *e);

#endif
