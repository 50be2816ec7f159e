/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what the engine asked and what the administrator and the annotation say, to the one
 * configuration that is carried out. The only header of policy/ that container/ includes.
 */
#ifndef PURPLE_POLICY_PLAN_H
#define PURPLE_POLICY_PLAN_H

#include "audit/config.h"
#include "gateway/config.h"
#include "network/rules.h"
#include "oci/spec.h"

/* Where policies and settings are looked up; tests use their own. */
struct policy_dirs {
	const char *settings;	/* default /etc/purple/purple.yaml */
	const char *admin_dir;	/* default /etc/purple/policies: wins over system_dir */
	const char *system_dir; /* default /usr/share/purple/policies */
};
/* The built-in places (SYSCONFDIR and DATADIR of the build). */
extern const struct policy_dirs policy_default_dirs;

#define POLICY_ANNOTATION "io.purple.policy"

struct policy_request {
	const char *admin_policy; /* --policy NAME, or from the program's name; NULL: none */
	const char *admin_chosen_by; /* "--policy", "program name"; NULL: "--policy" */
	const struct policy_dirs *dirs;
	const char *bundle; /* absolute: what relative mount sources are relative to */
	/* policy_plan.network is carried out before the container's program runs: by the caller, or,
	 * with `plain`, by purple-network-hook, which is among the configuration's hooks. */
	bool network_filter;
	bool gateway; /* policy_plan.gateway is carried out */
	bool timeout; /* policy_plan.timeout_seconds is kept */
	bool audit;   /* policy_plan.audit is carried out */
	bool plain; /* for another runtime: policy_make_plain() of plain.h, at the end */
};

/* One policy that holds for the container, and who chose it. */
struct policy_source {
	char *name;
	char *path; /* the file it was read from */
	char *chosen_by; /* "--policy", "program name", "default_policy", "annotation", "--profile" */
	struct strmap sections; /* policy.sections of policy.h */
};
#define POLICY_BY_DEFAULT "default_policy"
#define POLICY_BY_ANNOTATION "annotation"
#define POLICY_BY_PROFILE "--profile"
#define POLICY_BY_RELOAD "policy reload" /* since the container runs */

/* Where a provider's API key is to be had: one of both. */
struct policy_llm_key {
	char *provider;	  /* its name */
	char *env, *file; /* variable of the caller's, or path */
	char *place;	  /* "FILE:LINE:COLUMN" */
};
typedef LIST_OF(struct policy_llm_key) policy_llm_keys;

/* Whether one of Purple's hooks for other runtimes is among the createRuntime hooks. (Podman runs those
 * of poststop itself, and has them not in the configuration.) */
bool policy_has_network_hook(const struct oci_spec *s);
bool policy_has_budget_hook(const struct oci_spec *s);
/* Whether others are there, or of prestart: they may plug a network into the container. */
bool policy_has_other_hooks(const struct oci_spec *s);

struct policy_plan {
	struct oci_spec *spec;		       /* the effective configuration; owned */
	LIST_OF(struct policy_source) sources; /* empty: no policy */
	struct strv explanations; /* a line for each thing that a policy changed */
	/* Host directories to make (mode 0700, with parents) before anything is mounted, where
	 * they are missing. */
	struct strv output_dirs;
	/* The rules for its network, the administrator's policy first; empty: it is isolated, or
	 * no policy holds, or the caller has no filter. */
	network_policies network;
	/*
	 * What its LLM gateway is to do, the administrator's policy first, and where the keys are; no
	 * policies in it: there is none. Who carries it out fills in what is not of the policies.
	 */
	struct gateway_config gateway;
	policy_llm_keys llm_keys;
	/* What is recorded, the administrator's policy first; no logs: nothing. */
	struct audit_config audit;
	struct oci_resources *limits; /* of the policies alone: what an update may not exceed */
	/* 0: none. Whoever runs the plan must keep it. */
	uint64_t timeout_seconds;
	/* "FILE:LINE" of the limits that may end it, of the policy that limits most; NULL: none. */
	char *timeout_place, *memory_place;
	bool user_network; /* `purple run`: the new network namespace gets a way out, by pasta */
};

/*
 * Finds the policies for a container, reads them, and merges them into a copy of `spec`. The
 * trust order: the administrator's (rq->admin_policy, else `default_policy` of the settings),
 * then the annotation io.purple.policy, which may name selectable policies only. Both apply; one
 * that is named twice applies once. Kubernetes sandboxes get none where the settings say
 * `kubernetes: true` (find.h says why only there).
 *
 * ERR_POLICY or ERR_UNSUPPORTED when a policy is unknown, wrong, not selectable or not
 * enforceable: also for session_timeout_seconds where the caller does not keep it.
 */
int policy_plan_make(const struct oci_spec *spec, const struct policy_request *rq,
		     struct policy_plan *ret, struct err *e);

/*
 * Whether any policy is to hold for a container with these annotations. Reads the settings; the
 * policies themselves are found, or not, by policy_plan_make().
 */
int policy_plan_applies(const struct strmap *annotations, const struct policy_request *rq,
			bool *ret, struct err *e);

struct sandbox_request; /* merge.h */
/*
 * As above, for `purple run --profile PROFILE`: the configuration comes from the policy alone
 * (policy_sandbox_spec()). `profile` is the name of an installed policy, or the path of a file
 * (with a slash, or ending in .yaml). The administrator's default_policy holds besides, first.
 */
int policy_plan_sandbox(const struct sandbox_request *sandbox, const char *profile,
			const struct policy_dirs *dirs, struct policy_plan *ret,
			struct err *e);

void policy_plan_clear(struct policy_plan *p);
void policy_source_clear(struct policy_source *s);

/*
 * For a container that runs: reads the file of a policy again, and adds its rules for the network.
 * *ret is the policy as it is now. ERR_POLICY also where it isolates the network. On failure *ret
 * is only good for policy_source_clear().
 */
int policy_reload(const struct policy_source *from, network_policies *rules,
		  struct policy_source *ret, struct err *e);
/* The policy of a name or a file (with a slash, or ending in .yaml), for policy_reload(). */
int policy_reload_find(const struct policy_dirs *dirs, const char *policy,
		       struct policy_source *ret, struct err *e);
/* Adds a line for each thing that the rules change. */
int policy_network_explain(const network_policies *policies, struct strv *explanations,
			   struct err *e);
/* Adds the names of the sections in which two versions differ. -ENOMEM. */
int policy_sections_compare(const struct strmap *before, const struct strmap *now,
			    struct strv *ret);

/*
 * What the container's policies demand of a further process (exec): capabilities as far as the
 * container's own program has them, no_new_privs, the limit of open files on which exec_once
 * rests, and no scheduling that the CPU's limit does not hold for. `effective` is the plan's spec, or the same read back from the state folder; without
 * policy filters in it nothing is changed. The filters are the caller's to load.
 */
int policy_limit_process(const struct oci_spec *effective, struct oci_process *process,
			 struct err *e);

#endif
