/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of single values of the policy language: text in, checked value out. They know
 * nothing of files or positions; on -EINVAL the fault says what is wrong with the text, in the
 * form "'TEXT' is not ...". -ENOMEM is the only other error.
 */
#ifndef PURPLE_POLICY_VALUES_H
#define PURPLE_POLICY_VALUES_H

#include <stdint.h>

#include "policy/policy.h"

struct fault {
	char text[400];
};

/* Sets the fault; returns -EINVAL. */
int fault_set(struct fault *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Texts: *ret is a new string in canonical form. */
int value_name(const char *s, char **ret, struct fault *f);
int value_provider(const char *s, char **ret, struct fault *f); /* as a name; any case */
int value_text(const char *s, char **ret, struct fault *f);
int value_path(const char *s, char **ret, struct fault *f);
int value_env_name(const char *s, char **ret, struct fault *f);
int value_scope(const char *s, char **ret, struct fault *f);
int value_syscall(const char *s, char **ret, struct fault *f);
int value_capability(const char *s, char **ret, struct fault *f);
int value_capability_or_all(const char *s, char **ret, struct fault *f);
int value_model(const char *s, char **ret, struct fault *f);
/* values_net.c */
int value_blocked_domain(const char *s, char **ret, struct fault *f);
int value_ip_address(const char *s, char **ret, struct fault *f);
int value_endpoint(const char *s, char **ret, struct fault *f);
int value_url(const char *s, char **ret, struct fault *f);

/* Numbers. */
int value_integer(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct fault *f);
int value_register(const char *s, uint64_t *ret, struct fault *f);
int value_size(const char *s, uint64_t *ret, struct fault *f);
int value_rate(const char *s, uint64_t *ret, struct fault *f);
int value_cpus(const char *s, uint64_t *ret_millis, struct fault *f);
int value_money(const char *s, int64_t *ret_picodollars, struct fault *f);

/* Network rules (values_net.c). *ret is filled but for `pos`; the caller frees text and domain. */
enum value_net_form {
	VALUE_NET_ANY, /* address, prefix or name, with or without ports; or ports alone */
	VALUE_NET_ADDRESSES, /* an address or prefix alone */
	VALUE_NET_PORTS,     /* ports alone */
};
int value_net_rule(const char *s, enum value_net_form form, struct policy_net_rule *ret,
		   struct fault *f);

#endif
