/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy language: one row a key. Read by parse.c (reading, "did you mean", freeing),
 * schema_json.c (JSON Schema) and manpage.c (purple-policy(5)). Data only.
 *
 * To add a key: a member in policy.h, a row here, and its bad values in policy_parse_test.c.
 */
#include "policy/language.h"

#include <stddef.h>

#define AT(member) .offset = offsetof(struct policy, member)
#define POS(member) .has_pos = true, .pos_offset = offsetof(struct policy, member)
#define SET(member) .set_offset = offsetof(struct policy, member)
#define IN(st, member) .offset = offsetof(struct st, member)
#define ELEMENT(st) \
	.size = sizeof(struct st), .has_pos = true, .pos_offset = offsetof(struct st, pos)

enum { MAX_PIDS = 4194304, MAX_TIMEOUT = 31536000, MAX_LOGS = 1000 };
#define MAX_COUNT (1ull << 53) /* whole in every JSON reader */

#define NAME_PATTERN "^[a-z0-9_-][a-z0-9._-]{0,63}$"
#define PATH_PATTERN "^/(?!(.*/)?\\.\\.(/|$))[^\\u0000-\\u001f\\u007f]*$"
#define DOMAIN_PATTERN "^(\\*\\.)?[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*\\.?$"

static const struct policy_scalar scalar_name = {
	"a name of 1 to 64 lower-case letters, digits, '.', '_' and '-'", value_name,
	NAME_PATTERN
};
static const struct policy_scalar scalar_provider = {
	"a name of 1 to 64 letters, digits, '.', '_' and '-'", value_provider,
	"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"
};
static const struct policy_scalar scalar_text = { "a text", value_text, NULL };
static const struct policy_scalar scalar_path = { "an absolute path", value_path,
						  PATH_PATTERN };
static const struct policy_scalar scalar_env = { "the name of an environment variable",
						 value_env_name,
						 "^[A-Za-z_][A-Za-z0-9_]*$" };
static const struct policy_scalar scalar_scope = {
	"session, policy or team:NAME", value_scope, "^(session|policy|team:[a-z0-9._-]{1,64})$"
};
static const struct policy_scalar scalar_syscall = { "the name of a system call",
						     value_syscall, "^[a-z0-9_]+$" };
static const struct policy_scalar scalar_capability = {
	"a capability, with or without CAP_", value_capability,
	"^(?![Cc]?[Aa]?[Pp]?_?[Aa][Ll][Ll]$)[A-Za-z_]+$"
};
static const struct policy_scalar scalar_capability_or_all = {
	"a capability, with or without CAP_, or ALL", value_capability_or_all, "^[A-Za-z_]+$"
};
static const struct policy_scalar scalar_domain = { "a domain name", value_blocked_domain,
						    DOMAIN_PATTERN };
static const struct policy_scalar scalar_address = {
	"an IP address", value_ip_address,
	"^([0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$"
};
static const struct policy_scalar scalar_endpoint = { "a host name, HOST:PORT or URL",
						      value_endpoint, "^[!-~]+$" };
static const struct policy_scalar scalar_url = {
	"a URL (http:// or https://, without a user)", value_url, "^https?://[!-~]+$"
};
static const struct policy_scalar scalar_model = { "the name of a model", value_model,
						   "^[!-~]{1,128}$" };

static const struct policy_key immutable_keys[] = {
	{ .name = "host_path",
	  .kind = POLICY_KIND_TEXT,
	  IN(policy_path, host_path),
	  .scalar = &scalar_path,
	  .doc = "The path on the host. Absent: the sandbox_path." },
	{ .name = "sandbox_path",
	  .kind = POLICY_KIND_TEXT,
	  IN(policy_path, sandbox_path),
	  .scalar = &scalar_path,
	  .doc = "Where the agent sees it. Absent: the host_path. /proc, /sys, /dev and what is "
		 "below them belong to the sandbox itself and are refused." },
	{ 0 }
};

static const struct policy_key output_keys[] = {
	{ .name = "host_path",
	  .kind = POLICY_KIND_TEXT,
	  IN(policy_path, host_path),
	  .scalar = &scalar_path,
	  .required = true,
	  .doc = "The directory on the host that receives the output; not / itself." },
	{ .name = "sandbox_path",
	  .kind = POLICY_KIND_TEXT,
	  IN(policy_path, sandbox_path),
	  .scalar = &scalar_path,
	  .doc = "Where the agent sees it. Absent: the host_path. Not /, and nothing at or below "
		 "/proc, /sys or /dev." },
	{ 0 }
};

static const struct policy_key filesystem_keys[] = {
	{ .name = "immutable_paths",
	  .kind = POLICY_KIND_MAPS,
	  AT(filesystem.immutable_paths),
	  ELEMENT(policy_path),
	  .keys = immutable_keys,
	  .check = policy_check_path_map,
	  .doc = "What the agent may read and not change, with everything that is mounted below "
		 "it. In purple run the path is bound from the host. Under an engine, where the "
		 "image brings the files, a host_path that is absent or equal to sandbox_path makes "
		 "the image's own path read-only, and a different host_path is bound from the host. "
		 "A host path that does not exist is an error when the sandbox starts." },
	{ .name = "scratch_paths",
	  .kind = POLICY_KIND_NAMES,
	  AT(filesystem.scratch_paths),
	  .scalar = &scalar_path,
	  .doc = "Private, empty directories in memory (tmpfs, without devices and set-user-ID "
		 "programs), gone when the sandbox ends. What is in them counts as memory. Not /, "
		 "and nothing at or below /proc, /sys or /dev." },
	{ .name = "output_paths",
	  .kind = POLICY_KIND_MAPS,
	  AT(filesystem.output_paths),
	  ELEMENT(policy_path),
	  .keys = output_keys,
	  .check = policy_check_output_map,
	  .doc = "Directories of the host that the agent may write, without devices, set-user-ID "
		 "programs and execution. A missing one is made with mode 0700 for the caller. "
		 "The host_path must not go through a symbolic link: an agent could have left one." },
	{ .name = "working_dir",
	  .kind = POLICY_KIND_TEXT,
	  AT(filesystem.working_dir),
	  POS(filesystem.working_dir_pos),
	  .scalar = &scalar_path,
	  .preset = "the first of scratch_paths, else /; under an engine, the engine's",
	  .doc = "The directory in which the agent starts." },
	{ 0 }
};

static const char *const violation_words[] = { "deny", "kill", NULL };
static const char *const violation_docs[] = { "the call fails with EPERM",
					      "the process is killed" };
static const char *const action_words[] = { "allow", "deny", "kill", "log", NULL };
static const char *const action_docs[] = { "the call is carried out",
					   "the call fails with EPERM",
					   "the process is killed",
					   "the call is carried out and recorded" };
static const char *const op_words[] = { "eq",  "neq",	    "lt",	  "lte", "gt",
					"gte", "masked_eq", "masked_neq", NULL };
static const char *const op_docs[] = { "equal to value",
				       "not equal to value",
				       "below value",
				       "below value or equal to it",
				       "above value",
				       "above value or equal to it",
				       "(argument & mask) is equal to value",
				       "(argument & mask) is not equal to value" };

static const struct policy_key condition_keys[] = {
	{ .name = "arg",
	  .kind = POLICY_KIND_INTEGER32,
	  IN(policy_condition, arg),
	  .max = 5,
	  .required = true,
	  .doc = "The number of the call's own argument: 0 is the first." },
	{ .name = "op",
	  .kind = POLICY_KIND_ENUM,
	  IN(policy_condition, op),
	  .choices = op_words,
	  .choice_docs = op_docs,
	  .required = true,
	  .doc = "How the argument is compared, as an unsigned number of 64 bits." },
	{ .name = "value",
	  .kind = POLICY_KIND_REGISTER,
	  IN(policy_condition, value),
	  .required = true,
	  .doc = "What it is compared with." },
	{ .name = "mask",
	  .kind = POLICY_KIND_REGISTER,
	  IN(policy_condition, mask),
	  .doc = "The bits that masked_eq and masked_neq look at. Required with these two, an "
		 "error with the others and when 0." },
	{ 0 }
};

static const struct policy_key syscall_rule_keys[] = {
	{ .name = "syscall",
	  .kind = POLICY_KIND_TEXT,
	  IN(policy_syscall_rule, syscall),
	  .scalar = &scalar_syscall,
	  .required = true,
	  .doc = "The call." },
	{ .name = "action",
	  .kind = POLICY_KIND_ENUM,
	  IN(policy_syscall_rule, action),
	  .choices = action_words,
	  .choice_docs = action_docs,
	  .required = true,
	  .doc = "What happens to the call when all conditions hold." },
	{ .name = "conditions",
	  .kind = POLICY_KIND_MAPS,
	  IN(policy_syscall_rule, conditions),
	  .size = sizeof(struct policy_condition),
	  .keys = condition_keys,
	  .check = policy_check_condition,
	  .doc = "All of them must hold. None: the rule is for every call of that name." },
	{ 0 }
};

static const struct policy_key syscalls_keys[] = {
	{ .name = "default_deny",
	  .kind = POLICY_KIND_BOOL,
	  AT(syscalls.default_deny),
	  .preset = "false",
	  .doc = "true: only the calls of allow, and those without which a process cannot end "
		 "(exit, exit_group, rt_sigreturn, restart_syscall). false: Purple's default "
		 "profile, with the calls of allow, minus those of deny." },
	{ .name = "allow",
	  .kind = POLICY_KIND_NAMES,
	  AT(syscalls.allow),
	  .scalar = &scalar_syscall,
	  .doc = "System calls that are allowed. A condition in advanced_rules that denies such a "
		 "call holds nevertheless." },
	{ .name = "deny",
	  .kind = POLICY_KIND_NAMES,
	  AT(syscalls.deny),
	  .scalar = &scalar_syscall,
	  .doc = "System calls that are denied; deny wins over allow. With execve in this list the "
		 "agent itself is started and every later execve is refused." },
	{ .name = "on_violation",
	  .kind = POLICY_KIND_FLAG,
	  AT(syscalls.kill_on_violation),
	  .choices = violation_words,
	  .choice_docs = violation_docs,
	  .preset = "deny",
	  .doc = "What happens to a call that is not allowed." },
	{ .name = "advanced_rules",
	  .kind = POLICY_KIND_MAPS,
	  AT(syscalls.advanced_rules),
	  ELEMENT(policy_syscall_rule),
	  .keys = syscall_rule_keys,
	  .doc = "Rules that look at a call's arguments. A conditional rule is never voided by a "
		 "plain allow of the same call; kill wins over deny, deny over log, log over "
		 "allow. A pointer can be compared, what it points at cannot." },
	{ 0 }
};

static const struct policy_key resources_keys[] = {
	{ .name = "cpu_shares",
	  .kind = POLICY_KIND_CPUS,
	  AT(resources.cpu_millis),
	  POS(resources.cpu_shares_pos),
	  .doc = "CPUs, as a hard quota: 0.5 is half a CPU." },
	{ .name = "memory_limit_bytes",
	  .kind = POLICY_KIND_SIZE,
	  AT(resources.memory_bytes),
	  POS(resources.memory_pos),
	  .doc = "Memory, swap included. A sandbox that needs more is killed as a whole where the "
		 "kernel can do that (cgroup v2)." },
	{ .name = "pids_limit",
	  .kind = POLICY_KIND_INTEGER,
	  AT(resources.pids_limit),
	  POS(resources.pids_pos),
	  .min = 1,
	  .max = MAX_PIDS,
	  .doc = "Processes and threads at one time." },
	{ .name = "block_io_limit",
	  .kind = POLICY_KIND_RATE,
	  AT(resources.block_io_bps),
	  POS(resources.block_io_pos),
	  .doc = "Reading and writing, each, on every block device behind the paths that the agent "
		 "may write." },
	{ .name = "session_timeout_seconds",
	  .kind = POLICY_KIND_INTEGER,
	  AT(resources.timeout_seconds),
	  POS(resources.timeout_pos),
	  .min = 1,
	  .max = MAX_TIMEOUT,
	  .doc = "After that time the sandbox gets SIGTERM, and SIGKILL ten seconds later." },
	{ 0 }
};

static const struct policy_key capabilities_keys[] = {
	{ .name = "default_drop",
	  .kind = POLICY_KIND_BOOL,
	  AT(capabilities.default_drop),
	  .preset = "true",
	  .doc = "true: the agent keeps only the capabilities of add. false: it keeps what the "
		 "engine granted, minus drop." },
	{ .name = "add",
	  .kind = POLICY_KIND_NAMES,
	  AT(capabilities.add),
	  .scalar = &scalar_capability,
	  .doc = "Capabilities that are kept, if the engine granted them; a policy grants none." },
	{ .name = "drop",
	  .kind = POLICY_KIND_NAMES,
	  AT(capabilities.drop),
	  .scalar = &scalar_capability_or_all,
	  .doc = "Capabilities that are taken away; drop wins over add. ALL is every one." },
	{ 0 }
};

static const struct policy_key network_keys[] = {
	{ .name = "isolated",
	  .kind = POLICY_KIND_BOOL,
	  AT(network.isolated),
	  POS(network.isolated_pos),
	  .preset = "true, or false when one of the lists below has a rule",
	  .doc = "true: a network of its own with a loopback device alone, whatever the engine "
		 "gave; allow_outgoing and allow_incoming then contradict it. false: the network "
		 "that the engine gave, as far as the rules below let the agent use it. The agent "
		 "then loses CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_SYS_MODULE, and can neither "
		 "mount nor call bpf or setns, whatever else the policy says." },
	{ .name = "allow_outgoing",
	  .kind = POLICY_KIND_NET_RULES,
	  AT(network.allow_outgoing),
	  .list_max = NETWORK_RULES_MAX,
	  .doc = "Where the agent may connect to; everything else is denied. A rule without an "
		 "address or name is for every address; one without a port is for all TCP and UDP "
		 "ports; a \"*.\" stands for the names below a domain, not for itself. Reserved "
		 "addresses (see NETWORK) must be named as such. Without this list, the agent may "
		 "talk to everyone who is not blocked or reserved." },
	{ .name = "blocked_ips",
	  .kind = POLICY_KIND_NET_BLOCKS,
	  AT(network.blocked_ips),
	  .list_max = NETWORK_RULES_MAX,
	  .doc = "Addresses and prefixes, on all ports. A block beats every allow." },
	{ .name = "blocked_domains",
	  .kind = POLICY_KIND_NAMES,
	  AT(network.blocked_domains),
	  .list_max = NETWORK_RULES_MAX,
	  .scalar = &scalar_domain,
	  .doc = "Names, each with all names below it; a leading \"*.\" changes nothing. A block "
		 "beats every allow." },
	{ .name = "allow_incoming",
	  .kind = POLICY_KIND_PORTS,
	  AT(network.allow_incoming),
	  .doc = "Ports that the agent may open for others. Absent: nobody reaches the agent from "
		 "outside, also not through ports that the engine publishes." },
	{ .name = "dns_servers",
	  .kind = POLICY_KIND_NAMES,
	  AT(network.dns_servers),
	  .scalar = &scalar_address,
	  .doc = "The resolvers that Purple's name filter asks. Absent: those of the host. The "
		 "agent itself reaches none." },
	{ 0 }
};

/* In the order of enum audit_level (audit/config.h). */
static const char *const level_words[] = {
	"resource",  "filesystem",   "syscall",		"network", "exec",
	"api_calls", "budget_usage", "security_events", NULL
};

static const char *const level_docs[] = {
	"limits of memory, processes and CPU that are hit, and what was used at the end",
	"files that are opened, removed, renamed and changed, Unix sockets that are connected and bound",
	"system calls that are denied",
	"connections, listening sockets and names asked for, also those that are allowed",
	"processes that are made, start a program, with its arguments, and end",
	"calls of LLMs",
	"what is spent of budgets",
	"denials of anything, changes of privilege and mounts, what scans of prompts found",
	NULL,
};
static const char *const log_failure_words[] = { "stop", "continue", NULL };
static const char *const log_failure_docs[] = {
	"the sandbox ends: nothing is done that is not recorded",
	"the sandbox goes on, and what is not recorded is counted"
};

static const struct policy_key alert_keys[] = {
	{ .name = "command",
	  .kind = POLICY_KIND_STRINGS,
	  AT(audit.alert.command),
	  .scalar = &scalar_text,
	  .list_max = 64,
	  .doc = "A program of the host, by its absolute path, and its arguments, run as root and "
		 "without a shell. It has the event on its standard input." },
	{ .name = "webhook",
	  .kind = POLICY_KIND_TEXT,
	  AT(audit.alert.webhook),
	  .scalar = &scalar_url,
	  .doc = "Where the event is sent to, as a POST." },
	{ 0 }
};

static const struct policy_key audit_keys[] = {
	{ .name = "enabled",
	  .kind = POLICY_KIND_BOOL,
	  AT(audit.enabled),
	  POS(audit.enabled_pos),
	  .preset = "true",
	  .doc = "Whether events are recorded." },
	{ .name = "log_path",
	  .kind = POLICY_KIND_TEXT,
	  AT(audit.log_path),
	  POS(audit.log_path_pos),
	  .scalar = &scalar_path,
	  .preset = "/var/log/purple/audit/NAME.jsonl, with the policy's name",
	  .doc = "The file on the host that receives the events, one JSON object a line. The "
		 "sandbox cannot see it: a path that it may write to is refused, and one that it "
		 "may read is hidden." },
	{ .name = "detail_level",
	  .kind = POLICY_KIND_WORDS,
	  AT(audit.detail_level),
	  .choices = level_words,
	  .choice_docs = level_docs,
	  .preset = "all of them",
	  .doc = "The kinds of events that are recorded. Nothing is traced that no policy asks "
		 "for." },
	{ .name = "max_log_size",
	  .kind = POLICY_KIND_SIZE,
	  AT(audit.max_log_size),
	  .preset = "100M",
	  .doc = "How large the file becomes before it is renamed to log_path.1 and a new one is "
		 "begun; at least 1M." },
	{ .name = "keep_logs",
	  .kind = POLICY_KIND_INTEGER,
	  AT(audit.keep_logs),
	  .min = 1,
	  .max = MAX_LOGS,
	  .endless = "all",
	  .preset = "10",
	  .doc = "How many renamed files are kept; older ones are removed, which a line of the "
		 "log tells. all: none is ever removed." },
	{ .name = "on_log_failure",
	  .kind = POLICY_KIND_ENUM,
	  AT(audit.on_log_failure),
	  .choices = log_failure_words,
	  .choice_docs = log_failure_docs,
	  .preset = "stop",
	  .doc = "What happens when events cannot be recorded: the disk is full, or who records "
		 "has died." },
	{ .name = "alert",
	  .kind = POLICY_KIND_MAP,
	  POS(audit.alert.pos),
	  .keys = alert_keys,
	  .check = policy_check_alert,
	  .doc = "Who is told of violations at once, whatever detail_level is: denials, sensitive "
		 "data and injections in LLM calls, limits that are hit, a budget that is spent, the "
		 "end of a sandbox by its policy, and the death of who records it." },
	{ 0 }
};

static const char *const exceeded_words[] = { "stop", "deny", "freeze", NULL };
static const char *const exceeded_docs[] = {
	"the sandbox ends", "further LLM calls are refused",
	"the sandbox is frozen until purple budget add raises the limit"
};
static const char *const period_words[] = { "day", "month", NULL };

static const struct policy_key budget_keys[] = {
	{ .name = "max_tokens",
	  .kind = POLICY_KIND_INTEGER,
	  AT(ai_policy.budget.max_tokens),
	  SET(ai_policy.budget.has_max_tokens),
	  .min = 1,
	  .max = MAX_COUNT,
	  .doc = "Tokens, of prompts and answers together, those of reasoning and of caches "
		 "included." },
	{ .name = "max_cost",
	  .kind = POLICY_KIND_MONEY,
	  AT(ai_policy.budget.max_cost_picodollars),
	  SET(ai_policy.budget.has_max_cost),
	  .doc = "Money. Kept exactly, in units of 10^-12 dollars. Models without a price cannot be "
		 "called then." },
	{ .name = "on_exceeded",
	  .kind = POLICY_KIND_ENUM,
	  AT(ai_policy.budget.on_exceeded),
	  .choices = exceeded_words,
	  .choice_docs = exceeded_docs,
	  .preset = "stop",
	  .doc = "What happens when a call would pass the limit." },
	{ .name = "scope",
	  .kind = POLICY_KIND_TEXT,
	  AT(ai_policy.budget.scope),
	  .scalar = &scalar_scope,
	  .preset = "session",
	  .doc = "Who shares the budget: one sandbox, all sandboxes of this policy, or all "
		 "sandboxes of a team; on this host." },
	{ .name = "period",
	  .kind = POLICY_KIND_WORD,
	  AT(ai_policy.budget.period),
	  .choices = period_words,
	  .doc = "When the budget starts anew, in UTC. Absent: never." },
	{ .name = "alert_at",
	  .kind = POLICY_KIND_INTEGERS32,
	  AT(ai_policy.budget.alert_at),
	  .min = 1,
	  .max = 100,
	  .doc = "Percentages of the budget at which an event is recorded, and the alerts of "
		 "purple.yaml are given: purple-runtime(8)." },
	{ 0 }
};

static const struct policy_key rate_keys[] = {
	{ .name = "requests_per_minute",
	  .kind = POLICY_KIND_INTEGER,
	  AT(ai_policy.rate_limits.requests_per_minute),
	  .min = 1,
	  .max = 1000000000,
	  .doc = "LLM calls within a minute, of one sandbox. Further ones are told when to come again." },
	{ .name = "tokens_per_minute",
	  .kind = POLICY_KIND_INTEGER,
	  AT(ai_policy.rate_limits.tokens_per_minute),
	  .min = 1,
	  .max = MAX_COUNT,
	  .doc = "Tokens within a minute, likewise." },
	{ 0 }
};

static const char *const format_words[] = { "openai", "anthropic", "gemini", NULL };

static const struct policy_key provider_keys[] = {
	{ .name = "name",
	  .kind = POLICY_KIND_TEXT,
	  IN(policy_provider, name),
	  .scalar = &scalar_provider,
	  .required = true,
	  .doc = "The provider, as in openai; the case does not matter. The part of the base URL that "
		 "leads to it, and the name in events and in the ledger." },
	{ .name = "endpoints",
	  .kind = POLICY_KIND_STRINGS,
	  IN(policy_provider, endpoints),
	  .scalar = &scalar_endpoint,
	  .doc = "Where its API is: a URL with the version of the API, or a host, which is asked "
		 "over HTTPS. Absent: where the provider of that name is, if it is a known one." },
	{ .name = "models",
	  .kind = POLICY_KIND_STRINGS,
	  IN(policy_provider, models),
	  .scalar = &scalar_model,
	  .doc = "The models that may be called; a '*' stands for any characters. Absent: all "
		 "that have a price." },
	{ .name = "format",
	  .kind = POLICY_KIND_WORD,
	  IN(policy_provider, format),
	  .choices = format_words,
	  .doc = "The wire format of its API. Absent: from the name." },
	{ .name = "api_key_env",
	  .kind = POLICY_KIND_TEXT,
	  IN(policy_provider, api_key_env),
	  .scalar = &scalar_env,
	  .doc = "The variable of the caller's environment that holds the API key. The agent never "
		 "sees the key. An engine may start the runtime with another environment than "
		 "yours: api_key_file is the safer one there." },
	{ .name = "api_key_file",
	  .kind = POLICY_KIND_TEXT,
	  IN(policy_provider, api_key_file),
	  .scalar = &scalar_path,
	  .doc = "The file on the host that holds the API key; instead of api_key_env." },
	{ .name = "prices",
	  .kind = POLICY_KIND_TEXT,
	  IN(policy_provider, prices),
	  .scalar = &scalar_path,
	  .doc = "A file of prices that wins over the shipped ones: see LLM CALLS." },
	{ 0 }
};

static const struct policy_key llm_keys[] = {
	{ .name = "providers",
	  .kind = POLICY_KIND_MAPS,
	  AT(ai_policy.llm_apis.providers),
	  ELEMENT(policy_provider),
	  .keys = provider_keys,
	  .check = policy_check_provider,
	  .doc = "The LLM providers that may be called." },
	{ .name = "block_unknown",
	  .kind = POLICY_KIND_BOOL,
	  AT(ai_policy.llm_apis.block_unknown),
	  .preset = "true",
	  .doc = "Whether calls to providers that are not listed are refused. false: those that Purple "
		 "knows by name may be called too, metered alike, with a key of the agent's own." },
	{ 0 }
};

static const struct policy_key monitoring_keys[] = {
	{ .name = "log_prompts",
	  .kind = POLICY_KIND_BOOL,
	  AT(ai_policy.monitoring.log_prompts),
	  .preset = "false",
	  .doc = "Whether prompts are stored. false: no byte of them is." },
	{ .name = "log_responses",
	  .kind = POLICY_KIND_BOOL,
	  AT(ai_policy.monitoring.log_responses),
	  .preset = "false",
	  .doc = "Whether answers are stored. false: no byte of them is." },
	{ .name = "log_tokens",
	  .kind = POLICY_KIND_BOOL,
	  AT(ai_policy.monitoring.log_tokens),
	  .preset = "false",
	  .doc = "Whether each call's tokens are recorded as an event." },
	{ .name = "log_costs",
	  .kind = POLICY_KIND_BOOL,
	  AT(ai_policy.monitoring.log_costs),
	  .preset = "false",
	  .doc = "Whether each call's cost is recorded as an event." },
	{ 0 }
};

static const struct policy_key security_keys[] = {
	{ .name = "sensitive_data_scanning",
	  .kind = POLICY_KIND_BOOL,
	  AT(ai_policy.security.sensitive_data_scanning),
	  .preset = "false",
	  .doc = "Whether keys, card numbers and the like in prompts are refused or removed before "
		 "they leave, by their form." },
	{ .name = "prompt_injection_detection",
	  .kind = POLICY_KIND_BOOL,
	  AT(ai_policy.security.prompt_injection_detection),
	  .preset = "false",
	  .doc = "Whether suspected prompt injection is recorded as an event." },
	{ 0 }
};

static const struct policy_key ai_keys[] = {
	{ .name = "budget",
	  .kind = POLICY_KIND_MAP,
	  POS(ai_policy.budget.pos),
	  .keys = budget_keys,
	  .check = policy_check_budget,
	  .doc = "What LLM calls may use. At least one of max_tokens and max_cost is needed." },
	{ .name = "rate_limits",
	  .kind = POLICY_KIND_MAP,
	  POS(ai_policy.rate_limits.pos),
	  .keys = rate_keys,
	  .doc = "How fast LLM calls may come." },
	{ .name = "llm_apis",
	  .kind = POLICY_KIND_MAP,
	  POS(ai_policy.llm_apis.pos),
	  .keys = llm_keys,
	  .check = policy_check_llm_apis,
	  .doc = "Which LLM providers and models may be called." },
	{ .name = "monitoring",
	  .kind = POLICY_KIND_MAP,
	  POS(ai_policy.monitoring.pos),
	  .keys = monitoring_keys,
	  .doc = "What is kept of LLM calls." },
	{ .name = "security",
	  .kind = POLICY_KIND_MAP,
	  POS(ai_policy.security.pos),
	  .keys = security_keys,
	  .doc = "What is looked for in LLM calls." },
	{ 0 }
};

static const struct policy_key ebpf_keys[] = {
	{ .name = "enabled",
	  .kind = POLICY_KIND_BOOL,
	  AT(ebpf_monitoring.enabled),
	  POS(ebpf_monitoring.enabled_pos),
	  .preset = "true",
	  .doc = "Whether the kernel is traced." },
	{ .name = "trace_syscalls",
	  .kind = POLICY_KIND_BOOL,
	  AT(ebpf_monitoring.trace_syscalls),
	  .preset = "false",
	  .doc = "Count all system calls of each process, and record the counts when they change." },
	{ .name = "trace_files",
	  .kind = POLICY_KIND_BOOL,
	  AT(ebpf_monitoring.trace_files),
	  .preset = "false",
	  .doc = "Record what is done with files, as detail_level filesystem does." },
	{ .name = "trace_network",
	  .kind = POLICY_KIND_BOOL,
	  AT(ebpf_monitoring.trace_network),
	  .preset = "false",
	  .doc = "Record connections, as detail_level network does." },
	{ 0 }
};

static const char *const enforcement_words[] = { "enforce", "audit", NULL };
static const char *const enforcement_docs[] = {
	"what the policy denies is denied",
	"what rules of network and ai_policy deny is recorded and let pass, to learn what an agent "
	"needs; all else of the policy holds",
};

static const struct policy_key root_keys[] = {
	{ .name = "name",
	  .kind = POLICY_KIND_TEXT,
	  AT(name),
	  .scalar = &scalar_name,
	  .required = true,
	  .doc = "The policy's name: what --policy, --profile and the annotation io.purple.policy "
		 "give. It should be the name of the file without .yaml." },
	{ .name = "description",
	  .kind = POLICY_KIND_TEXT,
	  AT(description),
	  .scalar = &scalar_text,
	  .doc = "What the policy is for, for people." },
	{ .name = "enforcement",
	  .kind = POLICY_KIND_ENUM,
	  AT(enforcement),
	  POS(enforcement_pos),
	  .choices = enforcement_words,
	  .choice_docs = enforcement_docs,
	  .preset = "enforce",
	  .doc = "Whether the policy's denials hold." },
	{ .name = "filesystem",
	  .kind = POLICY_KIND_MAP,
	  POS(filesystem.pos),
	  .keys = filesystem_keys,
	  .check = policy_check_filesystem,
	  .doc = "What the agent may read and write. Whatever is not named here is read-only under "
		 "an engine, and absent in purple run. Where paths lie inside each other, the "
		 "longer one holds." },
	{ .name = "syscalls",
	  .kind = POLICY_KIND_MAP,
	  POS(syscalls.pos),
	  .keys = syscalls_keys,
	  .doc = "Which system calls the agent may make. Absent: Purple's default profile." },
	{ .name = "resources",
	  .kind = POLICY_KIND_MAP,
	  POS(resources.pos),
	  .keys = resources_keys,
	  .doc = "How much the agent may use. A limit that is absent is not set by the policy; the "
		 "engine's own limits hold, and of two limits the smaller one." },
	{ .name = "capabilities",
	  .kind = POLICY_KIND_MAP,
	  POS(capabilities.pos),
	  .keys = capabilities_keys,
	  .doc = "Which Linux capabilities the agent keeps. Absent: none. Programs never gain "
		 "privileges by being started (no_new_privs)." },
	{ .name = "network",
	  .kind = POLICY_KIND_MAP,
	  POS(network.pos),
	  .keys = network_keys,
	  .check = policy_check_network,
	  .doc = "Whom the agent may talk to. Absent: nobody (isolated: true)." },
	{ .name = "audit",
	  .kind = POLICY_KIND_MAP,
	  POS(audit.pos),
	  .keys = audit_keys,
	  .check = policy_check_audit,
	  .doc = "Which events are recorded, and where. Absent: none." },
	{ .name = "ai_policy",
	  .kind = POLICY_KIND_MAP,
	  POS(ai_policy.pos),
	  .keys = ai_keys,
	  .doc = "Which LLMs the agent may call through Purple's gateway, and what that may cost. "
		 "Absent: none." },
	{ .name = "ebpf_monitoring",
	  .kind = POLICY_KIND_MAP,
	  POS(ebpf_monitoring.pos),
	  .keys = ebpf_keys,
	  .doc = "What is traced in the kernel besides what audit asks for. It is written to the "
		 "log of audit, which must be on. Absent: nothing." },
	{ 0 }
};

const struct policy_key policy_language = {
	.name = "",
	.kind = POLICY_KIND_MAP,
	.keys = root_keys,
	.doc = "A Purple policy: what an AI agent may do in its sandbox.",
};
