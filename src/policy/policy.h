/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy as read from its YAML file: data model, reader, and what reads the reader's table.
 * The language is described in purple-policy(5), which is generated from the same table
 * (language.c). Pure: no privileges, no side effects.
 */
#ifndef PURPLE_POLICY_POLICY_H
#define PURPLE_POLICY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

#define POLICY_FILE_MAX ((size_t)8 << 20)

/* Where a value stands in its file, from 1; line 0: the key is absent and the default holds. */
struct policy_pos {
	int line, column;
};

/* `filesystem.immutable_paths[]` and `output_paths[]`. */
struct policy_path {
	struct policy_pos pos;
	char *host_path;    /* absolute, cleaned; NULL: absent */
	char *sandbox_path; /* absolute, cleaned; never NULL (defaults to host_path) */
};

enum policy_op {
	POLICY_OP_EQ,
	POLICY_OP_NEQ,
	POLICY_OP_LT,
	POLICY_OP_LTE,
	POLICY_OP_GT,
	POLICY_OP_GTE,
	POLICY_OP_MASKED_EQ,
	POLICY_OP_MASKED_NEQ,
};

struct policy_condition {
	uint32_t arg; /* 0 to 5: the call's own argument */
	enum policy_op op;
	uint64_t value;
	uint64_t mask; /* of the masked ops: (argument & mask) op value */
};

enum policy_action { POLICY_ALLOW, POLICY_DENY, POLICY_KILL, POLICY_LOG };

/* `syscalls.advanced_rules[]`. All conditions of a rule must hold; none: the rule is plain. */
struct policy_syscall_rule {
	struct policy_pos pos;
	char *syscall;
	enum policy_action action;
	LIST_OF(struct policy_condition) conditions;
};

/* A name in a list, with its place. */
struct policy_name {
	struct policy_pos pos;
	char *name;
};
typedef LIST_OF(struct policy_name) policy_names;

/* `network.allow_outgoing[]`, `blocked_ips[]`: the rule as written, and taken apart. */
struct policy_net_rule {
	struct policy_pos pos;
	char *text;
	bool has_address;    /* address/prefix_len hold */
	int family;	     /* AF_INET or AF_INET6 */
	uint8_t address[16]; /* network byte order, 4 bytes used for AF_INET */
	uint8_t prefix_len;
	char *domain;		   /* lower case, without "*."; NULL: no name */
	bool wildcard;		   /* "*.domain": subdomains only */
	uint16_t port_lo, port_hi; /* 0, 0: any port */
	uint8_t protocol;	   /* 0 any, IPPROTO_TCP, IPPROTO_UDP */
};
typedef LIST_OF(struct policy_net_rule) policy_net_rules;

enum policy_log_failure { POLICY_LOG_STOP, POLICY_LOG_CONTINUE };

enum policy_exceeded {
	POLICY_EXCEEDED_STOP,
	POLICY_EXCEEDED_DENY,
	POLICY_EXCEEDED_FREEZE
};

struct policy_provider {
	struct policy_pos pos;
	char *name;
	struct strv endpoints, models;
	char *format; /* openai anthropic gemini; NULL: absent */
	char *api_key_env, *api_key_file;
	char *prices; /* path of a price overlay; NULL: absent */
};

enum policy_enforcement { POLICY_ENFORCE, POLICY_AUDIT };

struct policy {
	char *file; /* as named in messages */
	char *name;
	char *description;
	enum policy_enforcement enforcement; /* top-level key `enforcement: enforce|audit` */
	struct policy_pos enforcement_pos;
	/* A number for what it says in each section that is there, but for the network: equal when
	 * another version of it says the same. */
	struct strmap sections;

	struct {
		struct policy_pos pos;
		LIST_OF(struct policy_path) immutable_paths, output_paths;
		policy_names scratch_paths; /* absolute, cleaned */
		char *working_dir;	    /* NULL: absent */
		struct policy_pos working_dir_pos;
	} filesystem;

	struct {
		struct policy_pos pos;
		bool default_deny;	  /* default false */
		policy_names allow, deny; /* known system call names */
		bool kill_on_violation; /* `on_violation: kill` (default: deny, EPERM) */
		LIST_OF(struct policy_syscall_rule) advanced_rules;
	} syscalls;

	struct {
		struct policy_pos pos;
		/* 0: absent, no limit from the policy. */
		struct policy_pos cpu_shares_pos, memory_pos, pids_pos, block_io_pos,
			timeout_pos;
		uint64_t cpu_millis;   /* cpu_shares 0.5 is 500 */
		uint64_t memory_bytes; /* memory_limit_bytes */
		uint64_t pids_limit;
		uint64_t block_io_bps;	  /* bytes per second, each way */
		uint64_t timeout_seconds; /* session_timeout_seconds */
	} resources;

	struct {
		struct policy_pos pos;
		bool default_drop;	/* default true */
		policy_names add, drop; /* "CAP_..." in upper case */
	} capabilities;

	struct {
		struct policy_pos pos; /* absent: isolated */
		bool isolated; /* default: true without a network section, or when the key is absent
				* and no rule below is given */
		struct policy_pos isolated_pos;
		policy_net_rules allow_outgoing, blocked_ips, allow_incoming;
		policy_names blocked_domains; /* lower case */
		policy_names dns_servers;     /* addresses */
	} network;

	struct {
		struct policy_pos pos;
		bool enabled; /* default: false without the section, true with it */
		struct policy_pos enabled_pos;
		char *log_path; /* NULL: the default place */
		struct policy_pos log_path_pos;
		policy_names detail_level; /* empty: all */
		uint64_t max_log_size;	   /* bytes */
		uint64_t keep_logs;	   /* UINT64_MAX: all */
		enum policy_log_failure on_log_failure;
		struct {
			struct policy_pos pos; /* absent: nobody is alerted */
			struct strv command;   /* argv; empty: none */
			char *webhook;	       /* URL; NULL: none */
		} alert;
	} audit;

	struct {
		struct policy_pos pos; /* absent: no LLM access */
		struct {
			struct policy_pos pos;
			bool has_max_tokens, has_max_cost;
			uint64_t max_tokens;
			int64_t max_cost_picodollars; /* "$5.00" is 5 * 10^12 */
			enum policy_exceeded on_exceeded;
			char *scope;  /* session (default), policy, team:NAME */
			char *period; /* day, month; NULL: absent */
			LIST_OF(uint32_t) alert_at; /* percent, 1 to 100 */
		} budget;
		struct {
			struct policy_pos pos;
			uint64_t requests_per_minute, tokens_per_minute; /* 0: absent */
		} rate_limits;
		struct {
			struct policy_pos pos;
			LIST_OF(struct policy_provider) providers;
			bool block_unknown; /* default true */
		} llm_apis;
		struct {
			struct policy_pos pos;
			bool log_prompts, log_responses, log_tokens, log_costs;
		} monitoring;
		struct {
			struct policy_pos pos;
			bool sensitive_data_scanning, prompt_injection_detection;
		} security;
	} ai_policy;

	struct {
		struct policy_pos pos;
		bool enabled; /* default: false without the section, true with it */
		struct policy_pos enabled_pos;
		bool trace_syscalls, trace_files, trace_network;
	} ebpf_monitoring;
};

/*
 * Reads one policy from text. `file` is the name for messages, which have the form
 * "policy FILE:LINE:COLUMN: what (did you mean ...?)". ERR_POLICY on any fault: syntax, a second
 * document, an alias or anchor, an unknown or duplicate key, a wrong type, a value out of range.
 */
int policy_parse(const char *text, size_t len, const char *file, struct policy **ret,
		 struct err *e);
/* As above, from a file. */
int policy_load(const char *path, struct policy **ret, struct err *e);
void policy_free(struct policy *p);

static inline void policy_freep(struct policy **p)
{
	policy_free(*p);
}
#define _policy_free_ __attribute__((cleanup(policy_freep)))

/*
 * The first thing the policy asks for that this build cannot enforce: an ERR_UNSUPPORTED that
 * names file, line and key; 0 when there is none. `has`: what the caller carries out.
 */
#define POLICY_HAS_FILTER 1u  /* rules for the network */
#define POLICY_HAS_GATEWAY 2u /* what ai_policy says */
#define POLICY_HAS_AUDIT 4u   /* audit and ebpf_monitoring */
#define POLICY_HAS_ALL (POLICY_HAS_FILTER | POLICY_HAS_GATEWAY | POLICY_HAS_AUDIT)
int policy_check_enforceable(const struct policy *p, unsigned int has, struct err *e);

/* Things that are valid and probably not meant, one "policy FILE:L:C: ..." line each. */
int policy_lint(const struct policy *p, struct strv *ret_warnings, struct err *e);

/* What is said of a value behind it, as a comment. */
struct policy_note {
	const char *key;   /* "network.allow_outgoing" */
	const char *value; /* of a list's entry, or NULL */
	const char *text;  /* one line */
};
typedef LIST_OF(struct policy_note) policy_notes;

/* Adds the policy as YAML, without what is as preset: read again it means the same. `notes` may be
 * NULL. -ENOMEM. */
int policy_write(const struct policy *p, const policy_notes *notes, struct buf *out);

/* From the language's table: the JSON Schema (draft 2020-12), and the man page's KEYS section. */
int policy_write_json_schema(struct buf *out);
int policy_write_man_page(struct buf *out);

#endif
