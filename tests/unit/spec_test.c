/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json: the tables against themselves and against the runtime-spec's schema, every rule of
 * the check, and the documents that Purple writes. Needs no privileges; data is tests/data, found
 * through $srcdir.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "oci/features.h"
#include "oci/spec.h"
#include "oci/state.h"
#include "oci/template.h"

#define SCHEMA "tests/data/oci-schema"

static char dir[] = "/tmp/purple-spec-test.XXXXXX";
static int dir_fd = -1;

static int set_up(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct err e;

	fd_close(&dir_fd);
	return fs_remove_tree(AT_FDCWD, dir, &e);
}

static char *data_path(const char *name)
{
	const char *src = getenv("srcdir");

	return str_printf("%s/%s", src ? src : ".", name);
}

/* Test documents are written with ' for ". */
static char *quoted(const char *text)
{
	char *s = strdup(text);

	assert_non_null(s);
	for (char *p = s; *p; p++)
		if (*p == '\'')
			*p = '"';
	return s;
}

static int load_text(const char *text, struct oci_spec **ret, struct err *e)
{
	_free_ char *s = quoted(text);

	memset(e, 0, sizeof(*e));
	assert_int_equal(fs_write_atomic(dir_fd, "config.json", s, strlen(s), 0600, e), 0);
	return oci_spec_load(dir_fd, "config.json", ret, e);
}

static struct json *parse_file(const char *path)
{
	struct err e = {};
	_free_ char *text = NULL;
	struct json *j = NULL;
	size_t len;

	if (fs_read(AT_FDCWD, path, 1 << 20, &text, &len, &e) < 0 ||
	    json_parse(text, len, path, &j, &e) < 0)
		fail_msg("%s", e.msg);
	return j;
}

/* ---- the tables against themselves ---- */

/* A document with a value for every row, each number and string another, as json_write() puts it. */
static void sample_struct(const struct json_type *t, unsigned int *n, struct buf *out);

static void sample_value(const struct json_field *f, unsigned int *n, struct buf *out)
{
	++*n;
	switch (f->kind) {
	case JSON_STR:
		buf_addf(out, "\"s%u\"", *n);
		break;
	case JSON_BOOL:
	case JSON_OPT_BOOL:
		buf_adds(out, "true");
		break;
	case JSON_STRV:
		buf_addf(out, "[\"a%u\",\"b%u\"]", *n, *n);
		break;
	case JSON_STRMAP:
		buf_addf(out, "{\"k%u\":\"v%u\"}", *n, *n);
		break;
	case JSON_U32V:
		buf_addf(out, "[%u,4294967295]", *n);
		break;
	case JSON_STRUCT:
		sample_struct(f->type, n, out);
		break;
	case JSON_STRUCTS:
		buf_adds(out, "[");
		sample_struct(f->type, n, out);
		buf_adds(out, ",");
		sample_struct(f->type, n, out);
		buf_adds(out, "]");
		break;
	case JSON_STRUCT_MAP:
		buf_addf(out, "{\"m%u\":", *n);
		sample_struct(f->type, n, out);
		buf_adds(out, "}");
		break;
	case JSON_I32:
	case JSON_OPT_I32:
		buf_addf(out, "-%u", 2147480000u + *n);
		break;
	case JSON_I64:
	case JSON_OPT_I64:
		buf_addf(out, "-922337203685477%04u", *n);
		break;
	case JSON_U64:
	case JSON_OPT_U64:
		buf_addf(out, "1844674407370955%04u", *n);
		break;
	default:
		buf_addf(out, "%u", 4294960000u + *n);
		break;
	}
}

static void sample_struct(const struct json_type *t, unsigned int *n, struct buf *out)
{
	bool first = true;

	buf_adds(out, "{");
	for (const struct json_field *f = t->fields; f->name; f++) {
		if (f->kind == JSON_REFUSED)
			continue;
		buf_addf(out, "%s\"%s\":", first ? "" : ",", f->name);
		sample_value(f, n, out);
		first = false;
	}
	buf_adds(out, "}");
}

static void round_trip(const struct json_type *t)
{
	_buf_free_ struct buf sample = {}, written = {}, again = {};
	_json_free_ struct json *j = NULL;
	_free_ char *obj = calloc(1, t->size), *copy = calloc(1, t->size);
	struct err e = {};
	unsigned int n = 0;

	sample_struct(t, &n, &sample);
	assert_int_equal(json_parse(sample.s, sample.len, "sample", &j, &e), 0);
	if (json_read(j, t, "sample", obj, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(json_write(t, obj, false, &written, &e), 0);
	assert_string_equal(sample.s, written.s);
	assert_int_equal(json_copy(t, obj, copy, &e), 0);
	json_clear(t, obj);
	assert_int_equal(json_write(t, copy, false, &again, &e), 0);
	assert_string_equal(sample.s, again.s);
	json_clear(t, copy);
}

static void every_row_survives_reading_writing_and_copying(void **state)
{
	round_trip(&oci_spec_type);
	round_trip(&oci_state_spec_type);
	round_trip(&oci_process_type);
	round_trip(&oci_resources_type);
	round_trip(&oci_seccomp_type);
}

static void a_copy_has_every_member(void **state)
{
	_buf_free_ struct buf sample = {}, written = {};
	_oci_spec_free_ struct oci_spec *s = calloc(1, sizeof(*s)), *copy = NULL;
	_json_free_ struct json *j = NULL;
	struct err e = {};
	unsigned int n = 0;

	sample_struct(&oci_state_spec_type, &n, &sample);
	assert_int_equal(json_parse(sample.s, sample.len, "sample", &j, &e), 0);
	assert_int_equal(json_read(j, &oci_state_spec_type, "sample", s, &e), 0);
	assert_true(s->linux_->isolate_network);
	assert_int_equal(s->linux_->policy_seccomp.n, 2);
	assert_true(s->linux_->policy_seccomp.v[1].exec_once);
	copy = oci_spec_dup(s, &e);
	assert_non_null(copy);
	assert_int_equal(json_write(&oci_state_spec_type, copy, false, &written, &e), 0);
	assert_string_equal(sample.s, written.s);
}

/* Each refused row of a table, in a document that holds nothing but the way to it. */
static unsigned int refuse_rows(const struct json_type *root, const struct json_type *t,
				const char *before, const char *after, const char *path)
{
	unsigned int found = 0;

	for (const struct json_field *f = t->fields; f->name; f++) {
		_free_ char *member = str_printf("%s%s%s", path, *path ? "." : "", f->name);
		_free_ char *deeper = str_printf("%s\"%s\":%s{", before, f->name,
						 f->kind == JSON_STRUCTS ? "[" : "");
		_free_ char *deeper_after =
			str_printf("}%s%s", f->kind == JSON_STRUCTS ? "]" : "", after);
		_free_ char *text = str_printf("%s\"%s\":{}%s", before, f->name, after);
		_free_ char *want = str_printf("c: %s is not supported: ", member);
		_free_ char *obj = calloc(1, root->size);
		_json_free_ struct json *j = NULL;
		struct err e = {};

		if (f->kind == JSON_STRUCT)
			found += refuse_rows(root, f->type, deeper, deeper_after, member);
		if (f->kind != JSON_REFUSED)
			continue;
		found++;
		assert_int_equal(json_parse(text, strlen(text), "c", &j, &e), 0);
		if (json_read(j, root, "c", obj, &e) == 0)
			fail_msg("%s was accepted", member);
		if (!str_has_prefix(e.msg, want))
			fail_msg("%s: '%s'", member, e.msg);
		assert_int_equal(e.kind, ERR_UNSUPPORTED);
		assert_int_equal(e.code, ENOTSUP);
	}
	return found;
}

/* As `t`, with nothing required: so a document can hold the refused member alone. */
static const struct json_type *relaxed(const struct json_type *t)
{
	struct json_type *copy = calloc(1, sizeof(*copy));
	struct json_field *rows;
	size_t n = 0;

	while (t->fields[n].name)
		n++;
	rows = calloc(n + 1, sizeof(*rows));
	assert_true(copy && rows);
	for (size_t i = 0; i < n; i++) {
		rows[i] = t->fields[i];
		rows[i].required = false;
		if (rows[i].type)
			rows[i].type = relaxed(rows[i].type);
	}
	*copy = (struct json_type){ .size = t->size, .fields = rows };
	return copy;
}

static void relaxed_free(const struct json_type *t)
{
	for (const struct json_field *f = t->fields; f->name; f++)
		if (f->type)
			relaxed_free(f->type);
	free((void *)t->fields);
	free((void *)t);
}

static void what_is_not_built_is_refused_by_name(void **state)
{
	const struct json_type *bundle = relaxed(&oci_spec_type);
	const struct json_type *kept = relaxed(&oci_state_spec_type);

	/* process: 1, root: 5; and Purple's own: 3. */
	assert_int_equal(refuse_rows(kept, kept, "{", "}", ""), 6);
	assert_int_equal(refuse_rows(bundle, bundle, "{", "}", ""), 9);
	relaxed_free(bundle);
	relaxed_free(kept);
}

/* ---- the tables against the schema ---- */

/* Follows "$ref": "file.json#/a/b" (or "#/a/b" in `file`); documents stay loaded in `cache`. */
struct schemas {
	char *name[16];
	struct json *doc[16];
	size_t n;
};

static const struct json *schema_file(struct schemas *c, const char *name)
{
	_free_ char *relative = str_printf(SCHEMA "/%s", name);
	_free_ char *path = data_path(relative);

	for (size_t i = 0; i < c->n; i++)
		if (streq(c->name[i], name))
			return c->doc[i];
	assert_true(c->n < ARRAY_SIZE(c->doc));
	c->name[c->n] = strdup(name);
	c->doc[c->n] = parse_file(path);
	return c->doc[c->n++];
}

static const struct json *resolve(struct schemas *c, const struct json *node, char file[64])
{
	const struct json *ref;

	while ((ref = json_get(node, "$ref"))) {
		_free_ char *text = strdup(ref->text);
		char *at = strchr(text, '#'), *save = NULL;

		assert_non_null(at);
		*at = '\0';
		if (text[0])
			snprintf(file, 64, "%s", text);
		node = schema_file(c, file);
		for (char *p = strtok_r(at + 1, "/", &save); p;
		     p = strtok_r(NULL, "/", &save)) {
			node = json_get(node, p);
			assert_non_null(node);
		}
	}
	return node;
}

static const struct json_field *find_row(const struct json_type *t, const char *name)
{
	for (const struct json_field *f = t->fields; f->name; f++)
		if (streq(f->name, name))
			return f;
	return NULL;
}

static unsigned int compare(struct schemas *c, const struct json *node, const char *in_file,
			    const struct json_type *t, const char *path);

static unsigned int compare_property(struct schemas *c, const struct json *node,
				     const char *in_file, const struct json_field *row,
				     const char *path)
{
	char file[64];
	const struct json *items;

	snprintf(file, sizeof(file), "%s", in_file);
	node = resolve(c, node, file);
	if (row->kind == JSON_STRUCT)
		return compare(c, node, file, row->type, path);
	if (row->kind == JSON_STRUCTS) {
		items = json_get(node, "items");
		assert_non_null(items);
		if (json_get(items, "anyOf"))
			items = json_get(items, "anyOf")->items[0];
		return compare(c, items, file, row->type, path);
	}
	if (row->kind == JSON_STRUCT_MAP && json_get(node, "additionalProperties"))
		return compare(c, json_get(node, "additionalProperties"), file, row->type,
			       path);
	return 0;
}

/* Every property of the schema has a row. Returns how many there are. */
static unsigned int compare(struct schemas *c, const struct json *node, const char *in_file,
			    const struct json_type *t, const char *path)
{
	const struct json *properties, *all;
	unsigned int seen = 0;
	char file[64];

	snprintf(file, sizeof(file), "%s", in_file);
	node = resolve(c, node, file);
	all = json_get(node, "allOf");
	for (size_t i = 0; all && i < all->n; i++)
		seen += compare(c, all->items[i], file, t, path);
	properties = json_get(node, "properties");
	for (size_t i = 0; properties && i < properties->n; i++) {
		const char *name = properties->keys[i];
		_free_ char *member = str_printf("%s.%s", path, name);
		const struct json_field *row = find_row(t, name);

		if (!row)
			fail_msg("%s has no row", member);
		seen += 1 + compare_property(c, properties->items[i], file, row, member);
	}
	return seen;
}

static void every_property_of_the_schema_has_a_row(void **state)
{
	struct schemas c = {};
	const struct json *root = schema_file(&c, "config-schema.json");
	unsigned int seen = compare(&c, root, "config-schema.json", &oci_spec_type, "");

	/* The walk went down to the leaves: there are this many, and more with later specs. */
	assert_true(seen > 150);
	for (size_t i = 0; i < c.n; i++) {
		free(c.name[i]);
		json_free(c.doc[i]);
	}
}

static void load_file(const char *name, const char *want)
{
	_free_ char *relative = str_printf(SCHEMA "/test/config/%s", name);
	_free_ char *path = data_path(relative);
	_oci_spec_free_ struct oci_spec *s = NULL;
	struct err e = {};
	int r = oci_spec_load(AT_FDCWD, path, &s, &e);

	if (!want) {
		if (r < 0)
			fail_msg("%s", e.msg);
		assert_non_null(s->linux_);
		return;
	}
	assert_true(r < 0);
	assert_null(s);
	if (!strstr(e.msg, want))
		fail_msg("%s: '%s'", name, e.msg);
}

static void the_documents_of_the_spec_are_read(void **state)
{
	load_file("good/minimal.json", NULL);
	load_file("good/minimal-for-start.json", NULL);
	load_file("good/linux-rdma.json", NULL);
	load_file("good/linux-netdevice.json", NULL);
	load_file("good/spec-example.json", "ociVersion: '0.5.0-dev' is not supported");
	load_file("good/freebsd-example.json", "freebsd is not supported");
	load_file("good/freebsd-minimal.json", "freebsd is not supported");
	load_file("good/zos-minimal.json", "zos is not supported");
	load_file("good/zos-example.json", "zos is not supported");
	load_file("bad/invalid-json.json", "line 1");
	load_file("bad/linux-hugepage.json", "linux.resources.hugepageLimits[0].pageSize");
	load_file("bad/linux-rdma.json",
		  "linux.resources.rdma.mlx5_1.hcaHandles: expected an integer");
	load_file("bad/linux-netdevice.json",
		  "linux.netDevices.eth0.name: expected a string");
	load_file("bad/freebsd-vnet-disable.json", "freebsd is not supported");
}

/* The spec's example is of every member. */
static void the_example_of_the_spec_is_read(void **state)
{
	_free_ char *path = data_path(SCHEMA "/test/config/good/spec-example.json");
	_oci_spec_free_ struct oci_spec *s = NULL;
	_free_ char *text = NULL;
	struct err e = {};
	size_t len;

	assert_int_equal(fs_read(AT_FDCWD, path, 1 << 20, &text, &len, &e), 0);
	memcpy(strstr(text, "0.5.0-dev"), "1.2.0-dev", strlen("1.2.0-dev"));
	if (load_text(text, &s, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(s->linux_->resources->hugepage_limits.v[0].limit,
			 9223372036854772000ull);
	assert_int_equal(s->linux_->time_offsets.n, 2);
	assert_string_equal(s->linux_->time_offsets.v[1].clock, "boottime");
	assert_int_equal(s->hooks->poststart.v[0].timeout.value, 5);
	assert_string_equal(s->domainname, "foobarbaz.test");
	assert_string_equal(s->process->apparmor_profile, "acme_secure_profile");
	assert_non_null(strstr(s->linux_->mount_label, "svirt_sandbox_file_t"));
	assert_string_equal(oci_spec_namespace(s, "uts")->type, "uts");
	assert_null(oci_spec_namespace(s, "utsx"));
}

/* ---- the check ---- */

#define HEAD "{'ociVersion':'1.2.0','root':{'path':'r'}"
#define PROCESS(rest) HEAD ",'process':{'cwd':'/','args':['x']" rest "}}"
#define LINUX(rest) HEAD ",'linux':{" rest "}}"
#define RESOURCES(rest) LINUX("'resources':{" rest "}")
#define USERNS "'namespaces':[{'type':'user'}],"
#define MAP(c, h, n) "{'containerID':" c ",'hostID':" h ",'size':" n "}"
#define ONE_MAP "[" MAP("0", "0", "1") "]"
#define HOOK(stage, rest) HEAD ",'hooks':{'" stage "':[{" rest "}]}}"
#define SECCOMP(rest) LINUX("'seccomp':{'defaultAction':'SCMP_ACT_ALLOW'," rest "}")

static const struct {
	const char *text, *want;
} refused[] = {
	{ "[]", "config.json: expected an object" },
	{ "{'ociVersion':'1.0.0','ociVersion':'1.0.0'}", "duplicate key" },
	{ HEAD ",'hostname':'\\ude00'}", "a string holds half a surrogate pair" },
	{ HEAD ",'annotations':{'\\ude00':''}}", "a key holds half a surrogate pair" },
	{ HEAD ",'hostname':'a\\u0000b'}", "a string holds a NUL byte" },
	{ "{'root':{'path':'r'}}", "config.json: ociVersion: is required" },
	{ "{'ociVersion':'1.0.0'}", "config.json: root: is required" },
	{ "{'ociVersion':'1.0.0','root':null}", "config.json: root: is required" },
	{ "{'ociVersion':'1.0.0','root':{}}", "config.json: root.path: is required" },
	{ "{'ociVersion':'1.0.0','root':{'path':''}}", "root.path: must not be empty" },
	{ "{'ociVersion':'2.0.0','root':{'path':'r'}}",
	  "ociVersion: '2.0.0' is not supported" },
	{ "{'ociVersion':'0.9.0','root':{'path':'r'}}",
	  "ociVersion: '0.9.0' is not supported" },
	{ "{'ociVersion':'1.0','root':{'path':'r'}}", "ociVersion: '1.0' is no semantic" },
	{ "{'ociVersion':'','root':{'path':'r'}}", "ociVersion: '' is no semantic" },
	{ "{'ociVersion':'1.0.0-','root':{'path':'r'}}", "is no semantic" },
	{ "{'ociVersion':'1.0.0 ','root':{'path':'r'}}", "is no semantic" },
	{ "{'ociVersion':'01.0.0','root':{'path':'r'}}", "is no semantic" },
	{ "{'ociVersion':'1.0.0-a_b','root':{'path':'r'}}", "is no semantic" },
	{ "{'ociVersion':'1.99999999999.0','root':{'path':'r'}}", "is no semantic" },
	{ "{'ociVersion':1,'root':{'path':'r'}}", "ociVersion: expected a string" },

	{ HEAD ",'process':{'args':['x']}}", "process.cwd: is required" },
	{ HEAD ",'process':{'cwd':'tmp','args':['x']}}",
	  "process.cwd: must be an absolute path" },
	{ HEAD ",'process':{'cwd':'/'}}", "process.args: must not be empty" },
	{ HEAD ",'process':{'cwd':'/','args':[]}}", "process.args: must not be empty" },
	{ HEAD ",'process':{'cwd':'/','args':['a',1]}}",
	  "process.args[1]: expected a string" },
	{ PROCESS(",'consoleSize':{'height':65536,'width':1}"),
	  "process.consoleSize: must not" },
	{ PROCESS(",'user':{'umask':512}"), "process.user.umask" },
	{ PROCESS(",'user':{'uid':4294967295}"), "process.user.uid" },
	{ PROCESS(",'user':{'uid':4294967296}"),
	  "process.user.uid: the number is out of range" },
	{ PROCESS(",'user':{'uid':-1}"), "process.user.uid: must not be negative" },
	{ PROCESS(",'user':{'gid':4294967295}"), "process.user.gid" },
	{ PROCESS(",'user':{'additionalGids':[0,4294967295]}"),
	  "process.user.additionalGids[1]" },
	{ PROCESS(",'oomScoreAdj':1001"), "process.oomScoreAdj" },
	{ PROCESS(",'oomScoreAdj':-1001"), "process.oomScoreAdj" },
	{ PROCESS(",'oomScoreAdj':1.5"), "process.oomScoreAdj: expected an integer" },
	{ PROCESS(",'rlimits':[{'type':'RLIMIT_X','soft':1,'hard':1}]"),
	  "process.rlimits[0].type: 'RLIMIT_X' is unknown" },
	{ PROCESS(",'rlimits':[{'type':'RLIMIT_AS','soft':2,'hard':1}]"),
	  "soft is above hard" },
	{ PROCESS(",'rlimits':[{'type':'RLIMIT_AS','soft':1,'hard':1},"
		  "{'type':'RLIMIT_AS','soft':1,'hard':1}]"),
	  "process.rlimits[1].type: RLIMIT_AS is given twice" },
	{ PROCESS(",'rlimits':[{'type':'RLIMIT_AS','soft':1}]"),
	  "rlimits[0].hard: is required" },
	{ PROCESS(",'apparmorProfile':1"), "process.apparmorProfile: expected a string" },
	{ PROCESS(",'selinuxLabel':['p']"), "process.selinuxLabel: expected a string" },
	{ PROCESS(",'scheduler':{'nice':1}"), "process.scheduler.policy: is required" },
	{ PROCESS(",'scheduler':{'policy':'SCHED_OTHER','nice':1.5}"),
	  "process.scheduler.nice: expected an integer" },
	{ PROCESS(",'ioPriority':{'priority':1}"), "process.ioPriority.class: is required" },
	{ PROCESS(",'execCPUAffinity':{'initial':0}"),
	  "process.execCPUAffinity.initial: expected a string" },
	{ PROCESS(",'commandLine':'x'"), "process.commandLine is not supported" },

	{ HEAD ",'hostname':'h'}", "hostname: cannot be set without a uts namespace" },
	{ HEAD ",'domainname':'h'}", "domainname: cannot be set without a uts namespace" },
	{ HEAD ",'hostname':"
	       "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}",
	  "hostname: is longer than 64" },
	{ HEAD ",'annotations':{'':'x'}}", "annotations: a key must not be empty" },
	{ HEAD ",'annotations':{'a':1}}", "annotations.a: expected a string" },
	{ HEAD ",'vm':{}}", "vm is not supported" },
	{ HEAD ",'windows':{}}", "windows is not supported" },
	{ HEAD ",'solaris':{}}", "solaris is not supported" },

	{ HEAD ",'mounts':[{'type':'tmpfs'}]}", "mounts[0].destination: is required" },
	{ HEAD ",'mounts':[{'destination':''}]}",
	  "mounts[0].destination: must not be empty" },
	{ HEAD ",'mounts':[{'destination':'/a','type':'bind'}]}",
	  "mounts[0].source: is required" },
	{ HEAD ",'mounts':[{'destination':'/a','options':['rbind']}]}",
	  "mounts[0].source: is" },
	{ HEAD ",'mounts':[{'destination':'/a','source':'/','uidMappings':" ONE_MAP "}]}",
	  "mounts[0]: uidMappings and gidMappings need each other" },
	{ HEAD ",'mounts':[{'destination':'/a','source':'/','uidMappings':" ONE_MAP
	       ",'gidMappings':[" MAP("0", "0", "0") "]}]}",
	  "mounts[0].gidMappings[0].size: must be above 0" },

	{ HOOK("prestart", "'path':'x'"),
	  "hooks.prestart[0].path: must be absolute, not 'x'" },
	{ HOOK("createRuntime", "'path':''"),
	  "hooks.createRuntime[0].path: must be absolute" },
	{ HOOK("createContainer", "'path':'/x','timeout':0"),
	  "hooks.createContainer[0].timeout: must be above 0" },
	{ HOOK("startContainer", "'path':'/x','timeout':-1"),
	  "hooks.startContainer[0].timeout" },
	{ HOOK("poststart", "'args':['x']"), "hooks.poststart[0].path: is required" },
	{ HOOK("poststop", "'path':'./x'"), "hooks.poststop[0].path: must be absolute" },

	{ LINUX("'namespaces':[{'type':'x'}]"), "linux.namespaces[0].type: 'x' is unknown" },
	{ LINUX("'namespaces':[{'type':'pid'},{'type':'pid'}]"), "'pid' is given twice" },
	{ LINUX("'namespaces':[{'type':'pid','path':'x'}]"),
	  "namespaces[0].path: must be abs" },
	{ LINUX("'namespaces':[{'type':'pid','path':''}]"),
	  "namespaces[0].path: must be abs" },
	{ LINUX("'uidMappings':" ONE_MAP), "linux.uidMappings: needs a user namespace" },
	{ LINUX("'gidMappings':" ONE_MAP), "linux.gidMappings: needs a user namespace" },
	{ LINUX(USERNS "'uidMappings':" ONE_MAP),
	  "linux.gidMappings: is required beside linux.uidMappings for a new" },
	{ LINUX(USERNS "'gidMappings':" ONE_MAP),
	  "linux.uidMappings: is required beside linux.gidMappings for a new" },
	{ LINUX(USERNS "'gidMappings':" ONE_MAP
		       ",'uidMappings':[" MAP("0", "0", "2") "," MAP("1", "5", "1") "]"),
	  "linux.uidMappings[1]: overlaps with [0]" },
	{ LINUX(USERNS "'gidMappings':" ONE_MAP
		       ",'uidMappings':[" MAP("0", "0", "2") "," MAP("5", "1", "1") "]"),
	  "linux.uidMappings[1]: overlaps with [0]" },
	{ LINUX(USERNS "'gidMappings':" ONE_MAP
		       ",'uidMappings':[" MAP("1", "0", "4294967295") "]"),
	  "linux.uidMappings[0]: reaches beyond the last id" },
	{ LINUX("'timeOffsets':{'monotonic':{'secs':1}}"),
	  "linux.timeOffsets: needs a new time" },
	{ LINUX("'namespaces':[{'type':'time','path':'/x'}],'timeOffsets':{'monotonic':{}}"),
	  "linux.timeOffsets: needs a new time" },
	{ LINUX("'namespaces':[{'type':'time'}],'timeOffsets':{'realtime':{}}"),
	  "the clock 'realtime' is unknown" },
	{ LINUX("'namespaces':[{'type':'time'}],'timeOffsets':{'boottime':{'nanosecs':1000000000}}"),
	  "linux.timeOffsets.boottime.nanosecs: must be below" },
	{ LINUX("'devices':[{'type':'x','path':'/d','major':1,'minor':1}]"),
	  "devices[0].type" },
	{ LINUX("'devices':[{'type':'','path':'/d','major':1,'minor':1}]"),
	  "devices[0].type" },
	{ LINUX("'devices':[{'type':'c','path':'d','major':1,'minor':1}]"),
	  "devices[0].path" },
	{ LINUX("'devices':[{'type':'c','path':'/d','minor':1}]"),
	  "major: is required (/d)" },
	{ LINUX("'devices':[{'type':'u','path':'/d','major':1}]"),
	  "minor: is required (/d)" },
	{ LINUX("'devices':[{'type':'b','path':'/d','major':-1,'minor':1}]"),
	  "out of range" },
	{ LINUX("'devices':[{'type':'b','path':'/d','major':1,'minor':1048576}]"),
	  "out of range" },
	{ LINUX("'devices':[{'type':'p','path':'/d','fileMode':65536}]"), "fileMode" },
	{ LINUX("'rootfsPropagation':'public'"),
	  "linux.rootfsPropagation: 'public' is unknown" },
	{ LINUX("'mountLabel':{}"), "linux.mountLabel: expected a string" },
	{ LINUX("'sysctl':{'':'1'}"), "linux.sysctl: a key must not be empty" },
	{ LINUX("'namespaces':[{'type':'mount'}],'maskedPaths':['/a','b']"),
	  "linux.maskedPaths[1]: must be absolute, not 'b'" },
	{ LINUX("'namespaces':[{'type':'mount'}],'readonlyPaths':['']"), "readonlyPaths[0]" },
	{ LINUX("'maskedPaths':['/a']"), "linux.maskedPaths: needs a mount namespace" },
	{ LINUX("'readonlyPaths':['/a']"), "linux.readonlyPaths: needs a mount namespace" },
	{ LINUX("'intelRdt':{'schemata':'L3:0=f'}"), "linux.intelRdt.schemata: expected" },
	{ LINUX("'intelRdt':{'enableMonitoring':1}"),
	  "linux.intelRdt.enableMonitoring: exp" },
	{ LINUX("'netDevices':['eth0']"), "linux.netDevices: expected an object" },
	{ LINUX("'personality':{}"), "linux.personality.domain: is required" },
	{ LINUX("'memoryPolicy':{}"), "linux.memoryPolicy.mode: is required" },
	{ LINUX("'purplePolicySeccomp':[]"), "linux.purplePolicySeccomp is not supported" },
	{ LINUX("'purpleIsolateNetwork':false"),
	  "linux.purpleIsolateNetwork is not supported" },
	{ SECCOMP("'purpleExecOnce':false"),
	  "linux.seccomp.purpleExecOnce is not supported" },

	{ RESOURCES("'pids':{'limit':'1'}"),
	  "config.json: linux.resources.pids.limit: expected an integer" },
	{ RESOURCES("'pids':{'limit':1e3}"),
	  "linux.resources.pids.limit: expected an integer" },
	{ RESOURCES("'devices':[{'access':'rwm'}]"),
	  "resources.devices[0].allow: is required" },
	{ RESOURCES("'devices':[{'allow':true,'type':'d'}]"), "resources.devices[0].type" },
	{ RESOURCES("'devices':[{'allow':true,'access':'rx'}]"),
	  "resources.devices[0].access" },
	{ RESOURCES("'devices':[{'allow':true,'access':''}]"),
	  "resources.devices[0].access" },
	{ RESOURCES("'devices':[{'allow':true,'minor':-2}]"),
	  "resources.devices[0]: a device" },
	{ RESOURCES("'memory':{'limit':-2}"),
	  "linux.resources.memory.limit: must not be below" },
	{ RESOURCES("'memory':{'kernelTCP':-2}"), "linux.resources.memory.kernelTCP" },
	{ RESOURCES("'memory':{'swappiness':101}"), "linux.resources.memory.swappiness" },
	{ RESOURCES("'memory':{'limit':2,'swap':1}"), "linux.resources.memory.swap" },
	{ RESOURCES("'cpu':{'quota':-2}"), "linux.resources.cpu.quota" },
	{ RESOURCES("'cpu':{'idle':2}"), "linux.resources.cpu.idle" },
	{ RESOURCES("'cpu':{'shares':-1}"),
	  "linux.resources.cpu.shares: must not be negative" },
	{ RESOURCES("'blockIO':{'weight':9}"), "linux.resources.blockIO: a weight" },
	{ RESOURCES("'blockIO':{'leafWeight':1001}"), "linux.resources.blockIO: a weight" },
	{ RESOURCES("'blockIO':{'weightDevice':[{'major':1,'minor':1,'weight':1}]}"),
	  "[0]: a weight" },
	{ RESOURCES("'blockIO':{'weightDevice':[{'major':1,'minor':1}]}"),
	  "needs weight or" },
	{ RESOURCES("'blockIO':{'weightDevice':[{'major':-1,'minor':1,'weight':10}]}"),
	  "negative" },
	{ RESOURCES("'blockIO':{'throttleReadBpsDevice':[{'major':-1,'minor':1,'rate':1}]}"),
	  "throttleReadBpsDevice[0]: a device number is negative" },
	{ RESOURCES("'blockIO':{'throttleWriteBpsDevice':[{'major':1,'minor':-1,'rate':1}]}"),
	  "throttleWriteBpsDevice[0]: a device number is negative" },
	{ RESOURCES("'blockIO':{'throttleReadIOPSDevice':[{'major':1,'minor':1}]}"),
	  "throttleReadIOPSDevice[0].rate: is required" },
	{ RESOURCES("'blockIO':{'throttleWriteIOPSDevice':[{'major':-1,'minor':1,'rate':1}]}"),
	  "throttleWriteIOPSDevice[0]: a device number is negative" },
	{ RESOURCES("'hugepageLimits':[{'pageSize':'0MB','limit':1}]"),
	  "hugepageLimits[0].page" },
	{ RESOURCES("'hugepageLimits':[{'pageSize':'2MBx','limit':1}]"),
	  "hugepageLimits[0].page" },
	{ RESOURCES("'hugepageLimits':[{'pageSize':'2','limit':1}]"),
	  "hugepageLimits[0].page" },
	{ RESOURCES("'rdma':{'mlx':{}}"), "linux.resources.rdma.mlx: needs" },
	{ RESOURCES("'network':{'priorities':[{'name':'','priority':1}]}"),
	  "priorities[0].name" },
	{ RESOURCES("'unified':{'../x':'1'}"), "linux.resources.unified: '../x' is no name" },
	{ RESOURCES("'unified':{'':'1'}"), "linux.resources.unified: '' is no name" },

	{ LINUX("'seccomp':{}"), "linux.seccomp.defaultAction: is required" },
	{ SECCOMP("'listenerPath':'x'"), "linux.seccomp.listenerPath: must be absolute" },
	{ SECCOMP("'listenerMetadata':'x'"), "linux.seccomp.listenerMetadata: needs" },
	{ SECCOMP("'syscalls':[{'names':[],'action':'a'}]"),
	  "syscalls[0].names: must not be" },
	{ SECCOMP("'syscalls':[{'names':['a',''],'action':'a'}]"), "syscalls[0].names[1]" },
	{ SECCOMP("'syscalls':[{'names':['a']}]"), "syscalls[0].action: is required" },
	{ SECCOMP("'syscalls':[{'names':['a'],'action':'a','args':"
		  "[{'index':6,'value':0,'op':'x'}]}]"),
	  "linux.seccomp.syscalls[0].args[0].index" },
	{ SECCOMP("'syscalls':[{'names':['a'],'action':'a','args':[{'index':1,'op':'x'}]}]"),
	  "linux.seccomp.syscalls[0].args[0].value: is required" },
};

static void what_the_spec_forbids_is_refused_by_path(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct oci_spec *s = NULL;
		struct err e;

		if (load_text(refused[i].text, &s, &e) == 0)
			fail_msg("accepted: %s", refused[i].text);
		assert_null(s);
		if (!str_has_prefix(e.msg, "config.json: ") ||
		    !strstr(e.msg, refused[i].want))
			fail_msg("%s\n gave '%s'\n not '%s'", refused[i].text, e.msg,
				 refused[i].want);
		assert_true(e.kind == ERR_CONFIG || e.kind == ERR_UNSUPPORTED);
	}
}

static const char *const accepted[] = {
	HEAD "}",
	HEAD ",'process':null,'linux':null,'x':{'y':1}}",
	"{'ociVersion':'1.0.2-dev','root':{'path':'/abs'}}",
	"{'ociVersion':'1.3.99-rc.1+build.7','root':{'path':'r'}}",
	PROCESS(",'env':['A=b','NOEQUALS'],'apparmorProfile':'','selinuxLabel':'',"
		"'capabilities':{'bounding':['CAP_UNHEARD_OF']}"),
	PROCESS(",'user':{'umask':511,'uid':4294967294},'oomScoreAdj':-1000"),
	PROCESS(",'consoleSize':{'height':65535,'width':0}"),
	PROCESS(",'rlimits':[{'type':'RLIMIT_NOFILE','soft':18446744073709551615,"
		"'hard':18446744073709551615},{'type':'RLIMIT_CORE','soft':0,'hard':0}]"),
	HEAD ",'mounts':[{'destination':'relative','type':'tmpfs'}]}",
	HEAD ",'hostname':'','domainname':''}",
	HEAD
	",'hostname':'h','linux':{'namespaces':[{'type':'uts','path':'/proc/1/ns/uts'}]}}",
	LINUX("'namespaces':[{'type':'user','path':'/x'}]"),
	LINUX("'namespaces':[{'type':'user','path':'/x'}],'uidMappings':" ONE_MAP
	      ",'gidMappings':" ONE_MAP),
	LINUX(USERNS
	      "'uidMappings':[" MAP("0", "0", "4294967295") "],'gidMappings':" ONE_MAP),
	LINUX(USERNS "'gidMappings':" ONE_MAP
		     ",'uidMappings':[" MAP("0", "1", "1") "," MAP("1", "0", "1") "]"),
	LINUX("'devices':[{'type':'p','path':'/d'},{'type':'c','path':'/e','major':4095,"
	      "'minor':1048575,'fileMode':8630}]"),
	LINUX("'rootfsPropagation':'rslave','mountLabel':''"),
	RESOURCES("'devices':[{'allow':false},{'allow':true,'type':'c','major':-1,'minor':-1,"
		  "'access':'mrw'}]"),
	RESOURCES("'memory':{'limit':-1,'swap':0},'pids':{'limit':0},'cpu':{'quota':-1},"
		  "'blockIO':{'weight':0}"),
	SECCOMP("'listenerPath':'','listenerMetadata':'','syscalls':[{'names':['a'],"
		"'action':'SCMP_ACT_ERRNO','errnoRet':null,'args':[]}]"),
};

static void what_the_spec_allows_is_read(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
		_oci_spec_free_ struct oci_spec *s = NULL;
		struct err e;

		if (load_text(accepted[i], &s, &e) < 0)
			fail_msg("%s\n gave '%s'", accepted[i], e.msg);
		assert_non_null(s->linux_);
	}
}

static void too_many_id_mappings_are_refused(void **state)
{
	_buf_free_ struct buf b = {};
	struct oci_spec *s = NULL;
	struct err e;

	buf_adds(&b, HEAD ",'linux':{" USERNS "'gidMappings':" ONE_MAP ",'uidMappings':[");
	for (unsigned int i = 0; i < 341; i++)
		buf_addf(&b, "%s{'containerID':%u,'hostID':%u,'size':1}", i ? "," : "", i,
			 i);
	buf_adds(&b, "]}}");
	assert_true(load_text(b.s, &s, &e) < 0);
	assert_string_equal(e.msg, "config.json: linux.uidMappings: more than 340 entries");
}

static void a_missing_file_is_an_error_that_names_it(void **state)
{
	struct oci_spec *s = NULL;
	struct err e = {};

	assert_int_equal(oci_spec_load(dir_fd, "absent.json", &s, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "absent.json"));
}

/* ---- what Purple writes ---- */

static void validate(const char *schema, const struct buf *document)
{
	_free_ char *script = data_path("tests/unit/validate_schema.py");
	_free_ char *schema_path = data_path(schema);
	_free_ char *file = str_printf("%s/document.json", dir);
	_free_ char *command = str_printf("python3 -W ignore '%s' '%s' '%s'", script,
					  schema_path, file);
	struct err e = {};

	assert_int_equal(fs_write_atomic(dir_fd, "document.json", document->s,
					 document->len, 0600, &e),
			 0);
	assert_int_equal(system(command), 0);
}

static void the_state_is_what_the_spec_says(void **state)
{
	char *keys[] = { "a" }, *values[] = { "b\"c" };
	const struct oci_state s = {
		.id = "c1",
		.status = "running",
		.pid = 42,
		.bundle = "/b",
		.rootfs = "/b/rootfs",
		.created = "2026-01-01T00:00:00Z",
		.owner = "root",
		.annotations = { .k = keys, .v = values, .n = 1 },
	};
	_buf_free_ struct buf full = {}, hook = {}, stopped = {}, stopped_hook = {};
	struct oci_state gone = s;
	struct err e;

	assert_int_equal(oci_state_write(&s, false, &full, &e), 0);
	assert_string_equal(full.s, "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"pid\":42,"
				    "\"status\":\"running\",\"bundle\":\"/b\","
				    "\"rootfs\":\"/b/rootfs\","
				    "\"created\":\"2026-01-01T00:00:00Z\",\"owner\":\"root\","
				    "\"annotations\":{\"a\":\"b\\\"c\"}}");
	validate(SCHEMA "/state-schema.json", &full);
	assert_int_equal(oci_state_write_hook(&s, &hook, &e), 0);
	assert_string_equal(hook.s, "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"pid\":42,"
				    "\"status\":\"running\",\"bundle\":\"/b\","
				    "\"annotations\":{\"a\":\"b\\\"c\"}}");
	validate(SCHEMA "/state-schema.json", &hook);
	gone.pid = 0;
	gone.status = "stopped";
	gone.oci_version = "1.0.2";
	assert_int_equal(oci_state_write(&gone, true, &stopped, &e), 0);
	assert_non_null(strstr(stopped.s, "\"pid\": 0"));
	assert_non_null(strstr(stopped.s, "\"ociVersion\": \"1.0.2\""));
	assert_int_equal(oci_state_write_hook(&gone, &stopped_hook, &e), 0);
	assert_null(strstr(stopped_hook.s, "pid"));
	validate(SCHEMA "/state-schema.json", &stopped_hook);
}

static void the_features_are_what_the_spec_says(void **state)
{
	static const char *const options[] = { "ro", "rro", NULL };
	static const char *const caps[] = { "CAP_CHOWN", NULL };
	static const char *const actions[] = { "SCMP_ACT_ALLOW", NULL };
	static const char *const modes[] = { "MPOL_BIND", NULL };
	char *keys[] = { "io.purple.version" }, *values[] = { "1" };
	const struct features_input in = {
		.mount_options = options,
		.capabilities = caps,
		.cgroup_v1 = true,
		.seccomp_actions = actions,
		.memory_policy_modes = modes,
		.annotations = { .k = keys, .v = values, .n = 1 },
	};
	_json_free_ struct json *j = NULL;
	_buf_free_ struct buf out = {};
	const struct json *l;
	struct err e = {};

	assert_int_equal(features_write(&in, &out, &e), 0);
	validate(SCHEMA "/features-schema.json", &out);
	assert_int_equal(json_parse(out.s, out.len, "features", &j, &e), 0);
	assert_string_equal(json_get(j, "ociVersionMin")->text, "1.0.0");
	assert_string_equal(json_get(j, "ociVersionMax")->text, "1.3.0");
	assert_int_equal(json_get(j, "hooks")->n, 6);
	assert_string_equal(json_get(j, "mountOptions")->items[1]->text, "rro");
	assert_string_equal(json_get(j, "potentiallyUnsafeConfigAnnotations")->items[0]->text,
			    "io.purple.");
	l = json_get(j, "linux");
	assert_int_equal(json_get(l, "namespaces")->n, 8);
	assert_int_equal(json_get(json_get(l, "cgroup"), "v1")->type, JSON_TRUE);
	assert_int_equal(json_get(json_get(l, "cgroup"), "v2")->type, JSON_FALSE);
	assert_int_equal(json_get(json_get(l, "cgroup"), "systemd")->type, JSON_FALSE);
	assert_int_equal(json_get(json_get(l, "cgroup"), "systemdUser")->type, JSON_FALSE);
	assert_int_equal(json_get(json_get(json_get(l, "mountExtensions"), "idmap"), "enabled")
				 ->type,
			 JSON_TRUE);
	/* A list that the caller does not have is there and empty. */
	assert_int_equal(json_get(json_get(l, "seccomp"), "knownFlags")->n, 0);
	assert_int_equal(json_get(json_get(l, "apparmor"), "enabled")->type, JSON_TRUE);
	assert_int_equal(json_get(json_get(l, "intelRdt"), "monitoring")->type, JSON_TRUE);
	assert_string_equal(json_get(json_get(l, "memoryPolicy"), "modes")->items[0]->text,
			    "MPOL_BIND");
	assert_int_equal(json_get(json_get(l, "memoryPolicy"), "flags")->n, 0);
}

static struct oci_spec *template_load(bool rootless, uid_t uid, gid_t gid)
{
	_buf_free_ struct buf out = {};
	struct oci_spec *s = NULL;
	struct err e = {};

	assert_int_equal(template_write(rootless, uid, gid, &out, &e), 0);
	validate(SCHEMA "/config-schema.json", &out);
	assert_int_equal(fs_write_atomic(dir_fd, "config.json", out.s, out.len, 0600, &e),
			 0);
	if (oci_spec_load(dir_fd, "config.json", &s, &e) < 0)
		fail_msg("%s", e.msg);
	return s;
}

static void the_template_is_a_valid_configuration(void **state)
{
	_oci_spec_free_ struct oci_spec *s = template_load(false, 7, 8);

	assert_true(s->process->terminal);
	assert_string_equal(s->process->args.v[0], "sh");
	assert_true(s->process->no_new_privileges);
	assert_true(s->root->readonly);
	assert_int_equal(s->process->rlimits.v[0].hard, 1024);
	assert_non_null(oci_spec_namespace(s, "network"));
	assert_null(oci_spec_namespace(s, "user"));
	assert_int_equal(s->linux_->uid_mappings.n, 0);
	assert_false(s->linux_->resources->devices.v[0].allow);
	assert_string_equal(s->linux_->resources->devices.v[0].access, "rwm");
}

static void the_rootless_template_maps_the_caller(void **state)
{
	_oci_spec_free_ struct oci_spec *s = template_load(true, 1000, 1001);

	assert_null(oci_spec_namespace(s, "network"));
	assert_non_null(oci_spec_namespace(s, "user"));
	assert_int_equal(s->linux_->uid_mappings.v[0].host_id, 1000);
	assert_int_equal(s->linux_->gid_mappings.v[0].host_id, 1001);
	assert_int_equal(s->linux_->gid_mappings.v[0].size, 1);
	assert_null(s->linux_->resources);
	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct oci_mount *m = &s->mounts.v[i];

		assert_false(strv_contains(&m->options, "gid=5"));
		if (streq(m->destination, "/sys")) {
			assert_string_equal(m->source, "/sys");
			assert_true(strv_contains(&m->options, "rbind"));
			assert_true(strv_contains(&m->options, "ro"));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_survives_reading_writing_and_copying),
		cmocka_unit_test(a_copy_has_every_member),
		cmocka_unit_test(what_is_not_built_is_refused_by_name),
		cmocka_unit_test(every_property_of_the_schema_has_a_row),
		cmocka_unit_test(the_documents_of_the_spec_are_read),
		cmocka_unit_test(the_example_of_the_spec_is_read),
		cmocka_unit_test(what_the_spec_forbids_is_refused_by_path),
		cmocka_unit_test(what_the_spec_allows_is_read),
		cmocka_unit_test(too_many_id_mappings_are_refused),
		cmocka_unit_test(a_missing_file_is_an_error_that_names_it),
		cmocka_unit_test(the_state_is_what_the_spec_says),
		cmocka_unit_test(the_features_are_what_the_spec_says),
		cmocka_unit_test(the_template_is_a_valid_configuration),
		cmocka_unit_test(the_rootless_template_maps_the_caller),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
