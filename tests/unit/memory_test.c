/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of memory: each reader, and what is made of what was read, runs with its first allocation
 * failing, then its second, and so on, also those of the libraries. Each time there must be an
 * error that says so, no memory may be left behind, and where a failure did no harm the outcome
 * must be the same as without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "budget/prices.h"
#include "cgroup/cgroup.h"
#include "container/state.h"
#include "gateway/answer.h"
#include "gateway/config.h"
#include "linux/mount_options.h"
#include "linux/seccomp.h"
#include "network/rules_json.h"
#include "oci/template.h"
#include "policy/find.h"
#include "policy/merge.h"
#include "policy/network.h"

/* One by one up to here, then in steps: some runs make thousands of allocations. */
#define ONE_BY_ONE 600
#define STEP 37

/* --- the C library's allocator, with a count and a fault --- */

static long live;	    /* allocations that were not freed */
static long countdown = -1; /* at 0 the next fails; -1: none does */
static bool for_good;	    /* all that follow fail too */
static bool failed;

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_FAULTS false
#else
#define HAVE_FAULTS true

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static bool is_to_fail(void)
{
	if (countdown < 0 || (countdown > 0 && countdown--))
		return false;
	if (!for_good)
		countdown = -1;
	failed = true;
	errno = ENOMEM;
	return true;
}

static void *count(void *p)
{
	live += p != NULL;
	return p;
}

void *malloc(size_t size)
{
	return is_to_fail() ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return is_to_fail() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
	if (is_to_fail())
		return NULL;
	return p ? __libc_realloc(p, size) : count(__libc_realloc(p, size));
}

void free(void *p)
{
	live -= p != NULL;
	__libc_free(p);
}
#endif

/* --- what runs --- */

static char root[64];
static char *spec_file, *policy_text, *settings_file;

/* Serialises what came out; no allocation of this fails. */
static int give(const struct json_type *t, const void *obj, struct buf *out)
{
	long was = countdown;
	struct err e;
	int r;

	countdown = -1;
	r = json_write(t, obj, false, out, &e);
	countdown = was;
	return r;
}

static int load_spec(struct buf *out, struct err *e)
{
	_oci_spec_free_ struct oci_spec *s = NULL;
	int r = oci_spec_load(AT_FDCWD, spec_file, &s, e);

	return r < 0 ? r : give(&oci_spec_type, s, out);
}

static int copy_spec(struct buf *out, struct err *e)
{
	_oci_spec_free_ struct oci_spec *s = NULL, *copy = NULL;
	int r = oci_spec_load(AT_FDCWD, spec_file, &s, e);

	if (r < 0)
		return r;
	copy = oci_spec_dup(s, e);
	return copy ? json_write(&oci_spec_type, copy, true, out, e) : -e->code;
}

static int read_policy(struct buf *out, struct err *e)
{
	_strv_free_ struct strv warnings = {};
	_policy_free_ struct policy *p = NULL;
	int r = policy_parse(policy_text, strlen(policy_text), "p", &p, e);

	return r < 0 ? r : policy_lint(p, &warnings, e);
}

static int merge_policy(struct buf *out, struct err *e)
{
	struct oci_throttle disk = { 254, 0, 0 };
	const struct merge_host host = { .block_devices = { &disk, 1 },
					 .block_devices_known = true,
					 .cgroup_v2 = true,
					 .nofile_hard = 4096 };
	_oci_spec_free_ struct oci_spec *s = NULL;
	_policy_free_ struct policy *p = NULL;
	_strv_free_ struct strv why = {};
	int r = oci_spec_load(AT_FDCWD, spec_file, &s, e);

	if (r == 0)
		r = policy_parse(policy_text, strlen(policy_text), "p", &p, e);
	if (r == 0)
		r = policy_merge(s, p, NULL, &host, &why, e);
	return r < 0 ? r : give(&oci_state_spec_type, s, out);
}

static int make_sandbox(struct buf *out, struct err *e)
{
	char *arg = (char *)"sh";
	const struct sandbox_request rq = { .args = { &arg, 1 }, .rootfs = "/r" };
	const struct merge_host host = { .block_devices_known = true, .nofile_hard = 4096 };
	_oci_spec_free_ struct oci_spec *s = NULL;
	_policy_free_ struct policy *p = NULL;
	_strv_free_ struct strv why = {};
	int r = policy_parse("name: p\n", 8, "p", &p, e);

	if (r == 0)
		r = policy_sandbox_spec(p, &rq, &host, &s, &why, e);
	return r < 0 ? r : give(&oci_state_spec_type, s, out);
}

static int read_state(struct buf *out, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	_oci_spec_free_ struct oci_spec *s = NULL;
	int r = container_open(root, "one", false, &c, e);

	if (r == 0)
		r = container_config_load(&c, &s, e);
	if (r == 0)
		r = container_state_document(&c, CONTAINER_STOPPED, true, out, e);
	if (r == 0)
		r = container_state_save(&c, e);
	return r;
}

static int compile_filter(struct buf *out, struct err *e)
{
	_seccomp_plan_clear_ struct seccomp_plan plan = {};
	_oci_spec_free_ struct oci_spec *s = NULL;
	int r = oci_spec_load(AT_FDCWD, spec_file, &s, e);

	if (r == 0)
		r = seccomp_plan_make(s->linux_->seccomp, NULL, 0, -1, &plan, e);
	return r;
}

static int read_mount(struct buf *out, struct err *e)
{
	char *options[] = { (char *)"ro,mode=755,nosync,sync", (char *)"rprivate",
			    (char *)"context=\"a,b\"", NULL };
	const struct oci_mount m = { .destination = (char *)"/m",
				     .type = (char *)"tmpfs",
				     .options = { options, 3 } };
	struct mount_options o;
	int r = mount_options_parse(&m, &o, e);

	if (r == 0)
		mount_options_free(&o);
	return r;
}

static int read_host(struct buf *out, struct err *e)
{
	_cgroup_host_clear_ struct cgroup_host h = {};
	_free_ char *path = NULL;
	bool own;
	int r = cgroup_host_parse("1 0 0:1 / /sys/fs/cgroup/a rw - cgroup cgroup rw,cpu,cpuacct\n"
				  "2 0 0:2 / /sys/fs/cgroup/u rw - cgroup2 c rw\n",
				  "3:cpu,cpuacct:/x\n0::/y\n", &h, e);

	return r < 0 ? r : cgroup_path_choose("a/b", "id", true, &own, &path, e);
}

static int read_settings(struct buf *out, struct err *e)
{
	struct policy_settings s;
	int r = policy_settings_load(settings_file, &s, e);

	if (r == 0)
		policy_settings_clear(&s);
	return r;
}

static const char network_text[] =
	"name: n\nnetwork:\n  allow_outgoing: [443, '5.0.0.0/8:80', '5.5.5.0/24:22-80', 5.5.5.5,\n"
	"    '[2001:db8::/32]:53/udp', a.example, '*.b.example:443', 80-90/udp, 85-100]\n"
	"  blocked_ips: [5.5.0.0/16, '64:ff9b::/96']\n  blocked_domains: [c.b.example]\n"
	"  allow_incoming: [80, 8000-9000/tcp]\n  dns_servers: [9.9.9.9]\n"
	"syscalls: {allow: [socket]}\n";

/* As numbers. */
static void give_tables(const struct network_tables *t, struct buf *out)
{
	long was = countdown;
	size_t i, k;

	countdown = -1;
	buf_addf(out, "%zu %zu %zu %x;", t->v4.n, t->v6.n, t->ranges.n, t->config.flags);
	for (i = 0; i < t->ranges.n; i++)
		buf_addf(out, "%x-%x %x,", t->ranges.v[i].lo, t->ranges.v[i].hi,
			 t->ranges.v[i].rule);
	for (i = 0; i < t->names.n; i++)
		for (k = 0; k < t->names.v[i].ranges.n; k++)
			buf_addf(out, "%s %x-%x,", t->names.v[i].domain,
				 t->names.v[i].ranges.v[k].lo,
				 t->names.v[i].ranges.v[k].hi);
	countdown = was;
}

/* Two policies, through the state folder's form, to tables. */
static int compile_network(struct buf *out, struct err *e)
{
	struct network_host_address host = { { [10] = 0xff, 0xff, 5, 6, 7, 8 }, 128 };
	const struct network_surroundings around = { .host_addresses = { &host, 1 } };
	network_policies l = {}, back = {};
	struct network_tables t = {};
	_policy_free_ struct policy *p = NULL;
	_buf_free_ struct buf text = {};
	int r = policy_parse(network_text, strlen(network_text), "p", &p, e);

	for (int i = 0; r == 0 && i < 2; i++)
		r = policy_network_add(p, &l, e);
	if (r == 0)
		r = network_policies_write(&l, &text, e);
	if (r == 0)
		r = network_policies_read(text.s, text.len, "n", &back, e);
	if (r == 0)
		r = network_compile(&back, &around, &t, e);
	if (r == 0)
		give_tables(&t, out);
	network_tables_clear(&t);
	network_policies_clear(&l);
	network_policies_clear(&back);
	return r;
}

static int merge_network(struct buf *out, struct err *e)
{
	const struct merge_host host = { .block_devices_known = true, .nofile_hard = 4096 };
	_oci_spec_free_ struct oci_spec *s = NULL;
	_policy_free_ struct policy *p = NULL;
	_strv_free_ struct strv why = {};
	int r = oci_spec_load(AT_FDCWD, spec_file, &s, e);

	if (r == 0)
		r = policy_parse(network_text, strlen(network_text), "p", &p, e);
	if (r == 0)
		r = policy_merge(s, p, NULL, &host, &why, e);
	return r < 0 ? r : give(&oci_state_spec_type, s, out);
}

static int write_template(struct buf *out, struct err *e)
{
	return template_write(true, 5, 6, out, e);
}

static int read_prices(struct buf *out, struct err *e)
{
	static const char text[] =
		"{\"schema\":1,\"unit\":\"pUSD\",\"models\":["
		"{\"id\":\"m\",\"provider\":\"p\",\"price\":{\"input\":1,\"output\":2}},"
		"{\"id\":\"n\",\"provider\":\"p\",\"price\":{\"input\":3,\"output\":4}}]}";
	_prices_free_ struct prices *p = NULL;
	int r = prices_add(&p, text, strlen(text), "prices", e);

	/* Again, in the place of the first. */
	if (r == 0)
		r = prices_add(&p, text, strlen(text), "prices", e);
	if (r == 0)
		buf_addf(out, "%zu", prices_count(p));
	return r == 0 && out->failed ? err_oom(e) : r;
}

static int read_gateway(struct buf *out, struct err *e)
{
	static const char text[] =
		"{\"container\":\"c\",\"session\":\"c@1\",\"ledger\":\"/l.db\",\"placeholder\":"
		"\"purple-0123456789abcdef0123456789abcdef\",\"policies\":[{\"name\":\"p\","
		"\"file\":\"p.yaml\",\"blockUnknown\":true,\"onExceeded\":\"deny\",\"scope\":"
		"\"session\",\"period\":\"always\",\"providers\":[{\"name\":\"openai\",\"format\":"
		"\"openai\",\"endpoints\":[\"https://api.openai.com/v1\"],\"hasKey\":true}]}]}";
	_gateway_config_clear_ struct gateway_config c = {};
	int r = gateway_config_read(text, strlen(text), "gateway.json", &c, e);

	if (r == 0) {
		r = gateway_config_merge(&c);
		if (r < 0)
			return err_oom(e);
	}
	return r == 0 ? gateway_config_write(&c, false, out, e) : r;
}

static int read_stream(const struct llm_format *f, const char *text, struct buf *out,
		       struct err *e)
{
	_llm_reader_free_ struct llm_reader *reader = NULL;
	size_t len = strlen(text), half = len / 2;
	int r = llm_reader_new(f, LLM_EVENTS, true, &reader, e);

	if (r == 0)
		r = llm_reader_feed(reader, text, half, out, e);
	if (r == 0)
		r = llm_reader_feed(reader, text + half, len - half, out, e);
	if (r == 0)
		r = llm_reader_end(reader, true, out, e);
	if (r == 0)
		buf_addf(out, " %d", (int)llm_reader_answer(reader)->usage.out);
	return r == 0 && out->failed ? err_oom(e) : r;
}

static int read_chat_stream(struct buf *out, struct err *e)
{
	return read_stream(&llm_format_chat,
			   "data: {\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":"
			   "{\"content\":\"Hello\"}}]}\n\n"
			   "data: {\"id\":\"1\",\"model\":\"m\",\"choices\":[],\"usage\":"
			   "{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n",
			   out, e);
}

static int read_messages_stream(struct buf *out, struct err *e)
{
	return read_stream(&llm_format_messages,
			   "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"
			   "{\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n"
			   "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":"
			   "{\"output_tokens\":4}}\n\n"
			   "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
			   out, e);
}

/* --- the test --- */

struct job {
	int (*run)(struct buf *out, struct err *e);
};

/* One run with allocation `n` (from 0) failing. False when there is no such allocation. */
static bool run_with_fault(const struct job *job, long n, const char *want)
{
	struct buf out = {};
	struct err e = {};
	long before = live, left;
	int r;

	failed = false;
	countdown = n;
	r = job->run(&out, &e);
	countdown = -1;
	if (r == 0 && want && (!out.s || strcmp(out.s, want) != 0))
		fail_msg("allocation %ld: another outcome without an error", n);
	if (r < 0 && (e.kind == ERR_NONE || !e.msg[0] || r != -e.code))
		fail_msg("allocation %ld: an error that is not whole: '%s'", n, e.msg);
	if (r < 0 && !failed)
		fail_msg("fails by itself: %s", e.msg);
	if (r < 0 && e.code != ENOMEM)
		fail_msg("allocation %ld: '%s' does not say that memory is short", n, e.msg);
	buf_free(&out);
	left = live - before;
	if (left != 0)
		fail_msg("allocation %ld: %ld are left behind", n, left);
	return failed;
}

static void survives(void **state)
{
	const struct job *job = *state;
	struct buf want = {};
	struct err e = {};
	long n, tried = 0;

	if (!HAVE_FAULTS) {
		print_message("skipped: needs a build without sanitizers\n");
		skip();
	}
	/* Twice: what libraries keep after their first use is no leak. */
	for (int i = 0; i < 2; i++) {
		buf_free(&want);
		if (job->run(&want, &e) < 0)
			fail_msg("%s", e.msg);
	}
	for (int mode = 0; mode < 2; mode++) {
		for_good = mode;
		for (n = 0; run_with_fault(job, n, want.s); tried++)
			n += n < ONE_BY_ONE ? 1 : STEP;
	}
	buf_free(&want);
	assert_true(tried > 5);
	print_message("%ld faults\n", tried);
}

#define PUT(file, text) fs_write_atomic(AT_FDCWD, file, text, strlen(text), 0600, &e)

static int set_up(void **state)
{
	const char *srcdir = getenv("srcdir");
	_free_ char *config = str_printf("%s/tests/fuzz/corpus/spec/engine",
					 srcdir ? srcdir : "."),
		    *policy = str_printf("%s/policies/secure-agent.yaml",
					 srcdir ? srcdir : "."),
		    *text = NULL, *dir = NULL, *file = NULL;
	struct err e = {};
	int r;

	snprintf(root, sizeof(root), "/tmp/purple-memory-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	spec_file = fs_join(root, "spec.json");
	settings_file = fs_join(root, "purple.yaml");
	dir = fs_join(root, "one");
	r = fs_read(AT_FDCWD, config, 1 << 20, &text, NULL, &e);
	if (r == 0)
		r = fs_read(AT_FDCWD, policy, 1 << 20, &policy_text, NULL, &e);
	if (r == 0)
		r = PUT(spec_file, text);
	if (r == 0)
		r = PUT(settings_file, "default_policy: a\nselectable: [b, c]\n");
	if (r == 0)
		r = fs_mkdir_p(dir, 0700, &e);
	file = fs_join(dir, "config.json");
	if (r == 0)
		r = PUT(file, text);
	free(file);
	file = fs_join(dir, "state.json");
	if (r == 0)
		r = PUT(file,
			"{\"id\":\"one\",\"pid\":0,\"pidStart\":0,\"supervisor\":0,"
			"\"supervisorStart\":0,\"bundle\":\"/b\",\"annotations\":{\"a\":\"b\"},"
			"\"cgroup\":{\"mode\":2,\"path\":\"/a\",\"v1\":{\"pids\":\"/p/a\"}}}");
	if (r < 0)
		print_error("%s\n", e.msg);
	return r;
}

static int tear_down(void **state)
{
	struct err e;

	free(spec_file);
	free(settings_file);
	free(policy_text);
	return fs_remove_tree(AT_FDCWD, root, &e);
}

#define MEMORY_TEST(function)                                                   \
	{                                                                       \
		.name = "memory_runs_out_in_" #function, .test_func = survives, \
		.initial_state = &(struct job)                                  \
		{                                                               \
			function                                                \
		}                                                               \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY_TEST(load_spec),
		MEMORY_TEST(copy_spec),
		MEMORY_TEST(read_policy),
		MEMORY_TEST(merge_policy),
		MEMORY_TEST(make_sandbox),
		MEMORY_TEST(read_state),
		MEMORY_TEST(compile_filter),
		MEMORY_TEST(read_mount),
		MEMORY_TEST(read_host),
		MEMORY_TEST(read_settings),
		MEMORY_TEST(write_template),
		MEMORY_TEST(compile_network),
		MEMORY_TEST(merge_network),
		MEMORY_TEST(read_prices),
		MEMORY_TEST(read_gateway),
		MEMORY_TEST(read_chat_stream),
		MEMORY_TEST(read_messages_stream),
	};

	countdown = -1;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
