// SPDX-License-Identifier: Apache-2.0
/* See learn_paths.h. */
#include "policy/learn_paths.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "policy/learn.h"
#include "policy/merge_parts.h"

#define SIBLINGS_MAX 3 /* more entries of one directory than this are the directory */
#define PATHS_MAX 8

/* How much of `path` is its ancestor just below the directory, which is `len` long. */
static size_t child_length(const char *path, size_t len)
{
	return len + 1 + strcspn(path + len + 1, "/");
}

/* Of v[0..n), all below the directory of this length and sorted; whether the directory was opened. */
static size_t count_children(char *const *v, size_t n, size_t len, bool *ret_itself)
{
	size_t children = 0, last = 0;

	*ret_itself = false;
	for (size_t i = 0; i < n; i++) {
		size_t child;

		if (v[i][len] == '\0') {
			*ret_itself = true;
			continue;
		}
		child = child_length(v[i], len);
		if (!children || child != child_length(v[last], len) ||
		    strncmp(v[i], v[last], child) != 0)
			children++;
		last = i;
	}
	return children;
}

static int add_part(struct strv *ret, const char *path, size_t len)
{
	_free_ char *part = strndup(path, len);

	return part && strv_add(ret, part) == 0 ? 0 : -ENOMEM;
}

/* `len`: of the directory, without a slash at its end. */
static int generalize(char *const *v, size_t n, size_t len, struct strv *ret)
{
	size_t from = 0;
	bool itself;
	int r = 0;

	if (count_children(v, n, len, &itself) > SIBLINGS_MAX || itself)
		return len ? add_part(ret, v[0], len) : strv_add(ret, "/");
	while (r == 0 && from < n) {
		size_t child = child_length(v[from], len), to = from;

		while (to < n && strncmp(v[to], v[from], child) == 0 &&
		       (v[to][child] == '\0' || v[to][child] == '/'))
			to++;
		r = to - from == 1 ? strv_add(ret, v[from]) :
				     generalize(v + from, to - from, child, ret);
		from = to;
	}
	return r;
}

int paths_generalize(const char *dir, const struct strv *opened, struct strv *ret)
{
	_strv_free_ struct strv own = {}, found = {};
	int r = 0;

	for (size_t i = 0; i < opened->n; i++)
		if (path_is_within(opened->v[i], dir) && strv_add(&own, opened->v[i]) < 0)
			return -ENOMEM;
	if (own.n == 0)
		return 0;
	strv_sort(&own);
	r = generalize(own.v, own.n, streq(dir, "/") ? 0 : strlen(dir), &found);
	if (r < 0)
		return r;
	if (found.n > PATHS_MAX)
		return strv_add(ret, dir);
	for (size_t i = 0; r == 0 && i < found.n; i++)
		r = strv_add(ret, found.v[i]);
	return r;
}

/* --- secrets --- */

/* Names of files and directories, of any of them on the way. */
static const struct {
	const char *pattern, *why;
} kinds[] = {
	{ ".ssh", "keys of SSH" },
	{ "id_rsa*", "a key of SSH" },
	{ "id_ed25519*", "a key of SSH" },
	{ "id_ecdsa*", "a key of SSH" },
	{ ".gnupg", "keys of GnuPG" },
	{ ".aws", "credentials of AWS" },
	{ ".azure", "credentials of Azure" },
	{ "gcloud", "credentials of Google Cloud" },
	{ ".kube", "credentials of Kubernetes" },
	{ ".docker", "credentials of registries" },
	{ ".netrc", "passwords" },
	{ ".git-credentials", "passwords" },
	{ ".npmrc", "may hold a token" },
	{ ".pypirc", "may hold a password" },
	{ ".env", "may hold keys" },
	{ ".env.*", "may hold keys" },
	{ "*credential*", "credentials" },
	{ "*secret*", "secrets" },
	{ "token", "may hold a token" },
	{ "*.token", "may hold a token" },
	{ "*_token", "may hold a token" },
	{ "token.json", "may hold a token" },
	{ "*.pem", "may hold a private key" },
	{ "*.key", "may hold a private key" },
	{ "*.p12", "may hold a private key" },
	{ "*.kdbx", "passwords" },
	{ "shadow", "password hashes" },
	{ ".password-store", "passwords" },
	{ ".mozilla", "a browser's profile" },
	{ "google-chrome", "a browser's profile" },
	{ "*_history", "a shell's history" },
	{ ".*_history", "a shell's history" },
};

const char *policy_path_is_sensitive(const char *path)
{
	_free_ char *copy = strdup(path);
	char *save = NULL, *part;

	/* Without memory everything is. */
	if (!copy)
		return "unknown";
	for (part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save))
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			if (fnmatch(kinds[i].pattern, part, 0) == 0)
				return kinds[i].why;
	return NULL;
}
