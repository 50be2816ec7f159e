/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policies hold for a container: lookup by name, settings, and the trust order, with every
 * way in which an untrusted image or user could try to pick or loosen a policy. Works in folders
 * of its own. Needs no privileges; one check needs root to make a file of another user.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "policy/find.h"
#include "policy/merge.h"
#include "policy_build.h"

static char top[64], admin_dir[96], system_dir[96], settings_file[96];
static const struct policy_dirs dirs = { settings_file, admin_dir, system_dir };

/* Phrases that engines take for something else (exit codes 126 and 127). */
static void assert_no_engine_phrase(const char *msg)
{
	static const char *const phrases[] = { "not found", "no such file",
					       "permission denied",
					       "operation not permitted" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(phrases); i++)
		if (strcasestr(msg, phrases[i]))
			fail_msg("'%s' contains '%s'", msg, phrases[i]);
}

static void assert_error(const struct err *e, enum err_kind kind, const char *part)
{
	assert_int_equal(e->kind, kind);
	if (!strstr(e->msg, part))
		fail_msg("'%s' lacks '%s'", e->msg, part);
	assert_no_engine_phrase(e->msg);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char *path = build_check(fs_join(dir, name));
	struct err e;

	if (fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, &e) < 0)
		fail_msg("%s", e.msg);
	free(path);
}

static void unlink_file(const char *dir, const char *name)
{
	char *path = build_check(fs_join(dir, name));

	assert_int_equal(unlink(path), 0);
	free(path);
}

static void settings(const char *text)
{
	write_file(top, "purple.yaml", text);
}

static int set_up(void **state)
{
	struct err e;

	snprintf(top, sizeof(top), "/tmp/purple-find-test.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(admin_dir, sizeof(admin_dir), "%s/admin", top);
	snprintf(system_dir, sizeof(system_dir), "%s/system", top);
	snprintf(settings_file, sizeof(settings_file), "%s/purple.yaml", top);
	if (fs_mkdir_p(admin_dir, 0755, &e) < 0 || fs_mkdir_p(system_dir, 0755, &e) < 0)
		return -1;
	write_file(system_dir, "code-analyst.yaml",
		   "name: code-analyst\nresources: {pids_limit: 100}\n");
	write_file(system_dir, "shared.yaml", "name: of-the-system\n");
	write_file(admin_dir, "shared.yaml", "name: of-the-admin\n");
	write_file(admin_dir, "strict.yaml", "name: strict\nresources: {pids_limit: 10}\n");
	write_file(admin_dir, "timed.yaml",
		   "name: timed\nresources: {session_timeout_seconds: 60}\n");
	write_file(admin_dir, "future.yaml",
		   "name: future\nnetwork:\n  allow_outgoing: [\"443\"]\n");
	write_file(admin_dir, "wrong.yaml", "name: wrong\nnetwrk: {}\n");
	write_file(admin_dir, "Upper.yaml", "name: upper\n");
	write_file(admin_dir, "notes.txt", "not a policy\n");
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	return fs_remove_tree(AT_FDCWD, top, &e);
}

static void the_administrators_folder_wins(void **state)
{
	struct policy *p = NULL;
	char *path = NULL;
	struct err e;

	assert_int_equal(policy_find(&dirs, "shared", &path, &e), 0);
	assert_true(str_has_prefix(path, admin_dir));
	assert_int_equal(policy_load_installed(path, &p, &e), 0);
	assert_string_equal(p->name, "of-the-admin");
	policy_free(p);
	free(path);
	assert_int_equal(policy_find(&dirs, "code-analyst", &path, &e), 0);
	assert_true(str_has_prefix(path, system_dir));
	free(path);
}

static void names_are_never_paths(void **state)
{
	static const char *const names[] = {
		"",
		".",
		"..",
		".hidden",
		"../admin/strict",
		"a/b",
		"/etc/passwd",
		"Strict",
		"strict.yaml/",
		"a b",
		"a\nb",
		"\xc3\xa4",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};
	char *path = NULL;
	struct err e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		assert_false(policy_name_is_valid(names[i]));
		assert_true(policy_find(&dirs, names[i], &path, &e) < 0);
		assert_error(&e, ERR_POLICY, "is not valid");
		assert_null(path);
	}
	assert_true(policy_name_is_valid("a.b_c-9"));
}

static void an_unknown_name_is_explained(void **state)
{
	char *path = NULL;
	struct err e;

	assert_true(policy_find(&dirs, "strikt", &path, &e) < 0);
	assert_error(&e, ERR_POLICY, "policy \"strikt\" is unknown (looked in ");
	assert_error(&e, ERR_POLICY,
		     "known: code-analyst, future, shared, strict, timed, wrong); did you mean "
		     "\"strict\"?");
	assert_null(path);
}

static void the_list_is_sorted_and_has_each_once(void **state)
{
	static const char *const want[] = { "code-analyst", "future", "shared",
					    "strict",	    "timed",  "wrong" };
	struct strv names = { 0 }, paths = { 0 };
	struct err e;
	size_t i;

	assert_int_equal(policy_list(&dirs, &names, &paths, &e), 0);
	assert_int_equal(names.n, ARRAY_SIZE(want));
	assert_int_equal(paths.n, names.n);
	for (i = 0; i < names.n; i++)
		assert_string_equal(names.v[i], want[i]);
	assert_true(str_has_prefix(paths.v[2], admin_dir));
	strv_free(&names);
	strv_free(&paths);
}

static void assert_not_loaded(const char *name, const char *part)
{
	struct policy *p = NULL;
	char *path = NULL;
	struct err e;

	assert_int_equal(policy_find(&dirs, name, &path, &e), 0);
	assert_true(policy_load_installed(path, &p, &e) < 0);
	assert_error(&e, ERR_POLICY, part);
	assert_null(p);
	free(path);
}

static void a_file_that_anybody_may_write_is_refused(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/loose.yaml", admin_dir);
	write_file(admin_dir, "loose.yaml", "name: loose\n");
	assert_int_equal(chmod(path, 0666), 0);
	assert_not_loaded("loose", "may be written by everybody");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_not_loaded("loose", "is not a regular file");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/nonexistent/x", path), 0);
	assert_not_loaded("loose", "it is missing");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("strict.yaml", path), 0);
	struct policy *p = NULL;
	struct err e;

	assert_int_equal(policy_load_installed(path, &p, &e), 0);
	policy_free(p);
	assert_int_equal(unlink(path), 0);
}

static void a_file_of_another_user_is_refused(void **state)
{
	char path[128];

	if (geteuid() != 0) {
		print_message("needs root: makes a file of another user\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/foreign.yaml", admin_dir);
	write_file(admin_dir, "foreign.yaml", "name: foreign\n");
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_not_loaded("foreign", "belongs to user 12345");
	assert_int_equal(unlink(path), 0);
}

static void settings_are_read_strictly(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "default_polcy: x\n", ":1:1: unknown key 'default_polcy' (did you mean "
					"'default_policy'?)" },
		{ "default_policy: ../x\n",
		  ":1:17: default_policy: '../x' is not a policy name" },
		{ "default_policy: 7\n",
		  ":1:17: default_policy: expected the name of a policy" },
		{ "default_policy: [a]\n", ":1:17: default_policy: expected the name" },
		{ "selectable: some\n", ":1:13: selectable: expected 'all' or a list" },
		{ "selectable: {}\n", ":1:13: selectable: expected 'all' or a list" },
		{ "kubernetes: false\nselectable: [a, B]\n",
		  ":2:17: selectable: 'B' is not" },
		{ "selectable: [a, a]\n", ":1:17: selectable: 'a' is given twice" },
		{ "kubernetes: yes\n", ":1:13: kubernetes: expected true or false" },
		{ "kubernetes: true\nkubernetes: true\n", ":2:1: " },
		{ "- a\n", ":1:1: expected a map" },
		{ "alerts: [a]\n", ":1:9: alerts: expected a map" },
		{ "alerts: { comand: [/a] }\n",
		  ":1:11: unknown key 'comand' (did you mean 'command'?)" },
		{ "alerts: { command: /a }\n", ":1:20: alerts.command: expected a list" },
		{ "alerts: { command: [] }\n", ":1:20: alerts.command: expected a list" },
		{ "alerts: { command: [mail] }\n",
		  ":1:21: alerts.command: 'mail' is not an absolute path" },
		{ "alerts: { command: [/a, {}] }\n",
		  ":1:25: alerts.command: expected a string" },
		{ "alerts: { webhook: ftp://a.example }\n",
		  ":1:20: alerts.webhook: expected a URL" },
		{ "alerts: { webhook: \"https://u:p@a.example/\" }\n",
		  ":1:20: alerts.webhook: expected a URL" },
		{ "alerts: { webhook: \"https://a.example/b c\" }\n",
		  ":1:20: alerts.webhook: expected a URL" },
		{ "kubernetes: true\n---\na: b\n", ":2:1: " },
	};
	struct policy_settings s;
	struct err e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		settings(rows[i].text);
		assert_true(policy_settings_load(settings_file, &s, &e) < 0);
		assert_error(&e, ERR_POLICY, rows[i].part);
		assert_true(str_has_prefix(e.msg, "settings /tmp/"));
	}
	settings("alerts:\n  command: [/usr/bin/alert, 7, \"a b\"]\n"
		 "  webhook: https://Hooks.example:8443/services/T0?sig=x%2F\n");
	assert_int_equal(policy_settings_load(settings_file, &s, &e), 0);
	assert_int_equal(s.alert_command.n, 3);
	assert_string_equal(s.alert_command.v[1], "7");
	assert_string_equal(s.alert_webhook,
			    "https://Hooks.example:8443/services/T0?sig=x%2F");
	policy_settings_clear(&s);
	settings("default_policy: strict\nselectable: [code-analyst]\nkubernetes: true\n");
	assert_int_equal(policy_settings_load(settings_file, &s, &e), 0);
	assert_string_equal(s.default_policy, "strict");
	assert_false(s.selectable_all);
	assert_int_equal(s.selectable.n, 1);
	assert_true(s.kubernetes);
	policy_settings_clear(&s);

	assert_int_equal(chmod(settings_file, 0666), 0);
	assert_true(policy_settings_load(settings_file, &s, &e) < 0);
	assert_error(&e, ERR_POLICY, "may be written by everybody");
	assert_int_equal(unlink(settings_file), 0);
	assert_int_equal(symlink("/nonexistent", settings_file), 0);
	assert_true(policy_settings_load(settings_file, &s, &e) < 0);
	assert_error(&e, ERR_POLICY, "it is missing");
	assert_int_equal(unlink(settings_file), 0);
	assert_int_equal(policy_settings_load(settings_file, &s, &e), 0);
	assert_null(s.default_policy);
	assert_true(s.selectable_all);
	assert_false(s.kubernetes);
	policy_settings_clear(&s);
}

/* The trust order. */

struct plan_case {
	const char *settings;	/* NULL: no file */
	const char *admin;	/* --policy */
	const char *annotation; /* NULL: none */
	const char *type;	/* of io.kubernetes.cri.container-type */
	const char *want;	/* "NAME by WHOM, ..." or what the error says */
	bool fails;
};

static struct oci_spec *spec_of(const struct plan_case *c)
{
	struct oci_spec *s = build_check(calloc(1, sizeof(*s)));

	s->oci_version = build_text("1.2.0");
	s->root = build_check(calloc(1, sizeof(*s->root)));
	s->root->path = build_text("rootfs");
	s->linux_ = build_check(calloc(1, sizeof(*s->linux_)));
	if ((c->annotation &&
	     strmap_set(&s->annotations, "io.purple.policy", c->annotation) < 0) ||
	    (c->type &&
	     strmap_set(&s->annotations, "io.kubernetes.cri.container-type", c->type) < 0))
		abort();
	return s;
}

static void check_plan_case(const struct plan_case *c)
{
	struct policy_request rq = { .admin_policy = c->admin, .dirs = &dirs, .bundle = "/b" };
	struct oci_spec *s = spec_of(c);
	struct policy_plan plan = { 0 };
	struct buf b = { 0 };
	struct err e;
	size_t i;
	int r;

	unlink(settings_file);
	if (c->settings)
		settings(c->settings);
	r = policy_plan_make(s, &rq, &plan, &e);
	if (c->fails) {
		assert_true(r < 0);
		if (!strstr(e.msg, c->want))
			fail_msg("'%s' lacks '%s'", e.msg, c->want);
		assert_true(e.kind == ERR_POLICY || e.kind == ERR_UNSUPPORTED);
		assert_no_engine_phrase(e.msg);
		assert_null(plan.spec);
	} else {
		if (r < 0)
			fail_msg("%s", e.msg);
		buf_adds(&b, "");
		for (i = 0; i < plan.sources.n; i++)
			buf_addf(&b, "%s%s by %s", i ? ", " : "", plan.sources.v[i].name,
				 plan.sources.v[i].chosen_by);
		assert_string_equal(b.s ? b.s : "", c->want);
		assert_int_equal(plan.spec->linux_->policy_seccomp.n, plan.sources.n);
		assert_true(plan.spec->root->readonly == (plan.sources.n > 0));
		/* The engine's own configuration is not touched. */
		assert_false(s->root->readonly);
		buf_free(&b);
	}
	policy_plan_clear(&plan);
	oci_spec_free(s);
}

static void the_trust_order_holds(void **state)
{
	static const struct plan_case rows[] = {
		{ .want = "" },
		{ .admin = "strict", .want = "strict by --policy" },
		{ .settings = "default_policy: strict\n",
		  .want = "strict by default_policy" },
		/* The administrator's word closest to the container. */
		{ .settings = "default_policy: strict\n",
		  .admin = "shared",
		  .want = "shared by --policy" },
		{ .annotation = "code-analyst", .want = "code-analyst by annotation" },
		/* Both hold; one named twice holds once. */
		{ .admin = "strict",
		  .annotation = "code-analyst",
		  .want = "strict by --policy, code-analyst by annotation" },
		{ .settings = "default_policy: strict\n",
		  .annotation = "shared",
		  .want = "strict by default_policy, shared by annotation" },
		{ .admin = "strict", .annotation = "strict", .want = "strict by --policy" },
		{ .settings = "selectable: []\n",
		  .admin = "strict",
		  .annotation = "strict",
		  .want = "strict by --policy" },
		{ .settings = "selectable: [code-analyst]\n",
		  .annotation = "code-analyst",
		  .want = "code-analyst by annotation" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check_plan_case(&rows[i]);
}

static void an_annotation_cannot_pick_what_it_may_not(void **state)
{
	static const struct plan_case rows[] = {
		{ .settings = "selectable: [shared]\n",
		  .annotation = "code-analyst",
		  .want = "policy \"code-analyst\" is not selectable",
		  .fails = true },
		{ .settings = "selectable: []\n",
		  .admin = "strict",
		  .annotation = "shared",
		  .want = "policy \"shared\" is not selectable",
		  .fails = true },
		{ .annotation = "../admin/strict", .want = "is not valid", .fails = true },
		{ .annotation = "/etc/purple/policies/strict.yaml",
		  .want = "is not valid",
		  .fails = true },
		{ .annotation = "", .want = "is not valid", .fails = true },
		{ .annotation = "STRICT", .want = "is not valid", .fails = true },
		{ .annotation = "none", .want = "policy \"none\" is unknown", .fails = true },
		{ .admin = "strict",
		  .annotation = "wrong",
		  .want = ":2:1: unknown key 'netwrk'",
		  .fails = true },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check_plan_case(&rows[i]);
}

static void what_cannot_hold_stops_the_container(void **state)
{
	static const struct plan_case rows[] = {
		{ .admin = "future", .want = ":3:", .fails = true },
		{ .admin = "timed", .want = ":2:", .fails = true },
		{ .admin = "missing",
		  .want = "--policy: policy \"missing\" is unknown",
		  .fails = true },
		{ .settings = "default_policy: missing\n",
		  .want = "default_policy: policy \"missing\" is unknown",
		  .fails = true },
		{ .settings = "default_polcy: strict\n", .want = "unknown key", .fails = true },
		/* Also with a policy from elsewhere: settings that are wrong are not skipped. */
		{ .settings = "default_polcy: strict\n",
		  .admin = "strict",
		  .want = "unknown key",
		  .fails = true },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check_plan_case(&rows[i]);
}

static void a_kubernetes_sandbox_is_believed_where_the_settings_say_so(void **state)
{
	static const struct plan_case rows[] = {
		{ .settings = "kubernetes: true\n",
		  .admin = "strict",
		  .type = "sandbox",
		  .want = "" },
		{ .settings = "kubernetes: true\n",
		  .admin = "strict",
		  .type = "container",
		  .want = "strict by --policy" },
		{ .admin = "strict", .type = "sandbox", .want = "strict by --policy" },
		{ .settings = "default_policy: strict\n",
		  .type = "sandbox",
		  .want = "strict by default_policy" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check_plan_case(&rows[i]);
}

static void two_policies_give_the_stricter_of_each(void **state)
{
	static const struct plan_case c = { .admin = "strict",
					    .annotation = "code-analyst" };
	struct policy_request rq = { .admin_policy = "code-analyst",
				     .dirs = &dirs,
				     .admin_chosen_by = "program name" };
	struct oci_spec *s;
	struct policy_plan plan = { 0 };
	struct err e;

	unlink(settings_file);
	s = spec_of(&(struct plan_case){ .annotation = "strict" });
	assert_int_equal(policy_plan_make(s, &rq, &plan, &e), 0);
	assert_int_equal(plan.spec->linux_->resources->pids->limit.value, 10);
	assert_string_equal(plan.sources.v[0].chosen_by, "program name");
	policy_plan_clear(&plan);
	oci_spec_free(s);
	rq.admin_policy = c.admin;
	s = spec_of(&c);
	assert_int_equal(policy_plan_make(s, &rq, &plan, &e), 0);
	assert_int_equal(plan.spec->linux_->resources->pids->limit.value, 10);
	policy_plan_clear(&plan);
	oci_spec_free(s);
}

static void the_shorter_time_out_holds_where_it_is_kept(void **state)
{
	struct policy_request rq = { .admin_policy = "timed", .dirs = &dirs, .timeout = true };
	struct oci_spec *s = spec_of(&(struct plan_case){ .annotation = "short" });
	struct policy_plan plan = { 0 };
	char place[160];
	struct err e;

	write_file(admin_dir, "short.yaml",
		   "name: short\nresources:\n  memory_limit_bytes: 64M\n"
		   "  session_timeout_seconds: 5\n");
	settings("selectable: [short]\n");
	assert_int_equal(policy_plan_make(s, &rq, &plan, &e), 0);
	assert_int_equal(plan.timeout_seconds, 5);
	snprintf(place, sizeof(place), "%s/short.yaml:4", admin_dir);
	assert_string_equal(plan.timeout_place, place);
	snprintf(place, sizeof(place), "%s/short.yaml:3", admin_dir);
	assert_string_equal(plan.memory_place, place);
	policy_plan_clear(&plan);
	/* Nobody is there to keep it. */
	rq.timeout = false;
	assert_int_equal(policy_plan_make(s, &rq, &plan, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "timed.yaml:2:13: resources.session_timeout_seconds"));
	oci_spec_free(s);
	snprintf(place, sizeof(place), "%s/short.yaml", admin_dir);
	unlink(place);
}

static void a_sandbox_is_planned_from_a_name_or_a_file(void **state)
{
	struct sandbox_request rq = { .rootfs = "/var/empty" };
	struct policy_plan plan = { 0 };
	char path[128];
	struct err e;

	if (strv_add(&rq.args, "agent") < 0)
		abort();
	unlink(settings_file);
	assert_int_equal(policy_plan_sandbox(&rq, "timed", &dirs, &plan, &e), 0);
	assert_int_equal(plan.sources.n, 1);
	assert_string_equal(plan.sources.v[0].chosen_by, "--profile");
	assert_int_equal(plan.timeout_seconds, 60);
	policy_plan_clear(&plan);

	write_file(top, "mine.yaml",
		   "name: mine\nfilesystem:\n  output_paths: [{host_path: /srv/out}]\n");
	snprintf(path, sizeof(path), "%s/mine.yaml", top);
	assert_int_equal(policy_plan_sandbox(&rq, path, &dirs, &plan, &e), 0);
	assert_int_equal(plan.sources.n, 1);
	assert_string_equal(plan.sources.v[0].path, path);
	assert_string_equal(plan.sources.v[0].name, "mine");
	assert_int_equal(plan.output_dirs.n, 1);
	assert_string_equal(plan.output_dirs.v[0], "/srv/out");
	policy_plan_clear(&plan);

	/* The administrator's default holds here too, and does not let that path be written. */
	settings("default_policy: strict\n");
	assert_int_equal(policy_plan_sandbox(&rq, path, &dirs, &plan, &e), 0);
	assert_int_equal(plan.sources.n, 2);
	assert_int_equal(plan.output_dirs.n, 0);
	assert_int_equal(plan.spec->linux_->resources->pids->limit.value, 10);
	assert_true(strv_contains(&plan.spec->mounts.v[plan.spec->mounts.n - 1].options,
				  "ro"));
	policy_plan_clear(&plan);

	assert_int_equal(policy_plan_sandbox(&rq, "strict", &dirs, &plan, &e), 0);
	assert_int_equal(plan.sources.n, 1);
	policy_plan_clear(&plan);

	assert_true(policy_plan_sandbox(&rq, "unknown-one", &dirs, &plan, &e) < 0);
	assert_error(&e, ERR_POLICY, "--profile: policy \"unknown-one\" is unknown");
	assert_null(plan.spec);
	strv_free(&rq.args);
}

/* For who carries them out; for all others the policy is refused. */
static void network_rules_come_with_the_plan(void **state)
{
	static const struct plan_case both = { .admin = "future", .annotation = "open" },
				      shut = { .admin = "future", .annotation = "strict" };
	struct policy_request rq = { .admin_policy = "future", .dirs = &dirs };
	struct oci_spec *s = spec_of(&both);
	struct policy_plan plan = { 0 };
	struct err e;

	unlink(settings_file);
	write_file(admin_dir, "open.yaml",
		   "name: open\nnetwork:\n  blocked_domains: [a.example]\n  blocked_ips: [1.2.3.4]\n"
		   "  allow_incoming: [80]\n  dns_servers: [9.9.9.9]\n");
	assert_true(policy_plan_make(s, &rq, &plan, &e) < 0);
	assert_error(&e, ERR_UNSUPPORTED, "future.yaml:3:20: network.allow_outgoing needs");
	/* Another runtime has the filter by a hook, where there is one. */
	rq.plain = true;
	assert_true(policy_plan_make(s, &rq, &plan, &e) < 0);
	assert_error(&e, ERR_UNSUPPORTED, "future.yaml:3:20: network.allow_outgoing needs");
	rq.plain = false;
	rq.network_filter = true;
	assert_int_equal(policy_plan_make(s, &rq, &plan, &e), 0);
	assert_int_equal(plan.network.n, 2);
	assert_string_equal(plan.network.v[0].name, "future");
	assert_int_equal(plan.network.v[1].rules.n, 3);
	/* In the order of the file. */
	assert_string_equal(plan.network.v[1].rules.v[0].text, "a.example");
	assert_string_equal(plan.network.v[1].rules.v[1].text, "1.2.3.4");
	assert_true(str_has_suffix(plan.network.v[1].rules.v[1].place, "open.yaml:4:17"));
	assert_int_equal(plan.network.v[1].rules.v[2].kind, NETWORK_ALLOW_INCOMING);
	assert_string_equal(plan.network.v[1].dns_servers.v[0], "9.9.9.9");
	assert_true(strv_contains(&plan.explanations,
				  "network: open blocks 2 addresses and names, and always cloud "
				  "metadata, link-local and multicast addresses"));
	assert_true(strv_contains(&plan.explanations,
				  "network: future opens no port to others"));
	policy_plan_clear(&plan);
	oci_spec_free(s);
	/* One of them isolates the container: there is nothing to filter. */
	s = spec_of(&shut);
	assert_int_equal(policy_plan_make(s, &rq, &plan, &e), 0);
	assert_true(plan.spec->linux_->isolate_network);
	assert_int_equal(plan.network.n, 0);
	policy_plan_clear(&plan);
	oci_spec_free(s);
	unlink_file(admin_dir, "open.yaml");
}

/* Each audited policy has its log; of those that share a file there is one. */
static void audited_policies_have_logs(void **state)
{
	static const struct plan_case both = { .admin = "audited", .annotation = "also" };
	struct policy_request rq = { .admin_policy = "audited", .dirs = &dirs };
	struct oci_spec *s = spec_of(&both);
	struct policy_plan plan = { 0 };
	struct err e;

	unlink(settings_file);
	write_file(admin_dir, "audited.yaml",
		   "name: audited\naudit:\n  detail_level: [exec, network]\n  max_log_size: 2M\n"
		   "  on_log_failure: continue\n");
	write_file(admin_dir, "also.yaml",
		   "name: also\naudit: {detail_level: [resource]}\n"
		   "ebpf_monitoring: {trace_files: true, trace_syscalls: true}\n");
	assert_true(policy_plan_make(s, &rq, &plan, &e) < 0);
	assert_error(&e, ERR_UNSUPPORTED, "audited.yaml:2:1: audit needs purple-monitor");
	rq.audit = true;
	assert_int_equal(policy_plan_make(s, &rq, &plan, &e), 0);
	assert_int_equal(plan.audit.logs.n, 2);
	assert_string_equal(plan.audit.logs.v[0].policy, "audited");
	assert_true(str_has_suffix(plan.audit.logs.v[0].place, "/audited.yaml:2"));
	assert_string_equal(plan.audit.logs.v[0].path,
			    "/var/log/purple/audit/audited.jsonl");
	assert_int_equal(plan.audit.logs.v[0].levels, AUDIT_EXEC | AUDIT_NETWORK);
	assert_int_equal(plan.audit.logs.v[0].max_size, 2 << 20);
	assert_int_equal(plan.audit.logs.v[0].keep, 10);
	assert_true(plan.audit.logs.v[0].go_on);
	assert_int_equal(plan.audit.logs.v[1].levels,
			 AUDIT_RESOURCE | AUDIT_FILESYSTEM | AUDIT_COUNTS);
	assert_false(plan.audit.logs.v[1].go_on);
	assert_true(strv_contains(&plan.explanations,
				  "audit: network, exec goes to /var/log/purple/audit/audited.jsonl; "
				  "when that cannot be written, the sandbox goes on"));
	policy_plan_clear(&plan);
	write_file(admin_dir, "also.yaml",
		   "name: also\naudit: {detail_level: [resource], "
		   "log_path: /var/log/purple/audit/audited.jsonl}\n");
	assert_int_equal(policy_plan_make(s, &rq, &plan, &e), 0);
	assert_int_equal(plan.audit.logs.n, 1);
	assert_string_equal(plan.audit.logs.v[0].policy, "audited,also");
	assert_int_equal(plan.audit.logs.v[0].levels,
			 AUDIT_EXEC | AUDIT_NETWORK | AUDIT_RESOURCE);
	assert_int_equal(plan.audit.logs.v[0].max_size, 2 << 20);
	assert_false(plan.audit.logs.v[0].go_on);
	policy_plan_clear(&plan);
	oci_spec_free(s);
	unlink_file(admin_dir, "audited.yaml");
	unlink_file(admin_dir, "also.yaml");
}

static void a_sandbox_has_a_network_from_its_caller_alone(void **state)
{
	struct sandbox_request rq = { .rootfs = "/var/empty" };
	struct policy_plan plan = { 0 };
	struct err e;

	if (strv_add(&rq.args, "agent") < 0)
		abort();
	unlink(settings_file);
	assert_true(policy_plan_sandbox(&rq, "future", &dirs, &plan, &e) < 0);
	assert_error(&e, ERR_UNSUPPORTED, "future.yaml:3:20: network.allow_outgoing needs");
	rq.network = true;
	assert_int_equal(policy_plan_sandbox(&rq, "future", &dirs, &plan, &e), 0);
	assert_int_equal(plan.network.n, 1);
	assert_false(plan.spec->linux_->isolate_network);
	policy_plan_clear(&plan);
	settings("default_policy: strict\n");
	assert_int_equal(policy_plan_sandbox(&rq, "future", &dirs, &plan, &e), 0);
	assert_int_equal(plan.network.n, 0);
	assert_true(plan.spec->linux_->isolate_network);
	policy_plan_clear(&plan);
	strv_free(&rq.args);
}

/* What the merge has to know of the host. */
static void block_devices_behind_output_paths_are_found(void **state)
{
	struct policy *p = build_policy("p");
	struct merge_host h = { 0 };
	struct err e;

	p->resources.block_io_bps = 1000000;
	build_output(p, "/dev/shm/purple/not/there/yet", "/out");
	assert_int_equal(merge_host_detect(NULL, p, NULL, &h, &e), 0);
	assert_true(h.block_devices_known);
	assert_int_equal(h.block_devices.n, 0); /* memory */
	assert_true(h.nofile_hard > 0);
	merge_host_clear(&h);
	build_output(p, "/proc/self", "/out2");
	assert_int_equal(merge_host_detect(NULL, p, NULL, &h, &e), 0);
	assert_false(h.block_devices_known);
	assert_non_null(
		strstr(h.block_devices_why, "'/proc/self' is on a file system (proc)"));
	merge_host_clear(&h);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_administrators_folder_wins),
		cmocka_unit_test(names_are_never_paths),
		cmocka_unit_test(an_unknown_name_is_explained),
		cmocka_unit_test(the_list_is_sorted_and_has_each_once),
		cmocka_unit_test(a_file_that_anybody_may_write_is_refused),
		cmocka_unit_test(a_file_of_another_user_is_refused),
		cmocka_unit_test(settings_are_read_strictly),
		cmocka_unit_test(the_trust_order_holds),
		cmocka_unit_test(an_annotation_cannot_pick_what_it_may_not),
		cmocka_unit_test(what_cannot_hold_stops_the_container),
		cmocka_unit_test(a_kubernetes_sandbox_is_believed_where_the_settings_say_so),
		cmocka_unit_test(two_policies_give_the_stricter_of_each),
		cmocka_unit_test(the_shorter_time_out_holds_where_it_is_kept),
		cmocka_unit_test(a_sandbox_is_planned_from_a_name_or_a_file),
		cmocka_unit_test(network_rules_come_with_the_plan),
		cmocka_unit_test(audited_policies_have_logs),
		cmocka_unit_test(a_sandbox_has_a_network_from_its_caller_alone),
		cmocka_unit_test(block_devices_behind_output_paths_are_found),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
