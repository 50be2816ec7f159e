/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of events.jsonl, what they are made of, and the file. No privileges. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/client.h"
#include "audit/event.h"
#include "audit/log.h"
#include "audit/names.h"
#include "audit/pace.h"
#include "base/fd.h"
#include "base/json.h"
#include "network/dns_config.h"

static const char document[] =
	"{\"policies\":[{\"name\":\"first\",\"rules\":["
	"{\"kind\":\"allow\",\"text\":\"192.0.2.1:80\",\"place\":\"a.yaml:3:5\",\"prefix\":\"192.0.2.1/32\"},"
	"{\"kind\":\"incoming\",\"text\":\"9001\",\"place\":\"a.yaml:4:5\",\"firstPort\":9001,\"lastPort\":9001}]},"
	"{\"name\":\"second\",\"audit\":true,\"rules\":["
	"{\"kind\":\"block\",\"text\":\"192.0.2.2\",\"place\":\"b.yaml:7:1\",\"prefix\":\"192.0.2.2/32\"}]}]}";

static struct audit_rules read_rules(void)
{
	struct audit_rules r;
	struct err e;

	assert_int_equal(audit_rules_parse(document, strlen(document), 4, &r, &e), 0);
	assert_int_equal(r.generation, 4);
	assert_int_equal(r.rules.n, 3);
	return r;
}

static struct audit_head head(void)
{
	return (struct audit_head){ .time = { .tv_sec = 1767225599, .tv_nsec = 1234567 },
				    .sequence = 7,
				    .container = "c1" };
}

#define HEAD(type, action)                                                 \
	"{\"@timestamp\":\"2025-12-31T23:59:59.001234Z\",\"type\":\"" type \
	"\",\"event\":{\"sequence\":7" action "},\"container\":{\"id\":\"c1\"}"

static void check_line(struct buf *b, const char *expected)
{
	_json_free_ struct json *j = NULL;
	struct err e;

	assert_false(b->failed);
	assert_int_equal(b->s[b->len - 1], '\n');
	assert_null(memchr(b->s, '\n', b->len - 1));
	assert_int_equal(json_parse(b->s, b->len - 1, "line", &j, &e), 0);
	if (expected) {
		b->s[b->len - 1] = '\0';
		assert_string_equal(b->s, expected);
	}
	buf_free(b);
}

static struct network_event event(enum network_hook hook)
{
	struct network_event x = { .pid = 42,
				   .uid = 1000,
				   .comm = "curl",
				   .address = { [10] = 0xff, 0xff, 192, 0, 2, 2 },
				   .port = 443,
				   .family = AF_INET,
				   .protocol = IPPROTO_TCP,
				   .hook = hook,
				   .verdict = NETWORK_DENY,
				   .rule = 2,
				   .count = 3,
				   .generation = 4 };

	return x;
}

#define WHO ",\"process\":{\"pid\":42,\"name\":\"curl\"},\"user\":{\"id\":\"1000\"}"
#define RULE \
	",\"rule\":{\"name\":\"192.0.2.2\",\"reference\":\"b.yaml:7:1\",\"ruleset\":\"second\"}"

static void test_network_lines(void **state)
{
	struct audit_rules rules = read_rules();
	struct network_event x = event(NETWORK_HOOK_CONNECT);
	struct audit_head h = head();
	struct buf b = {};

	audit_event_network(&h, &x, &rules, "api.example", &b);
	check_line(&b,
		   HEAD("network",
			",\"action\":\"connect\"") ",\"verdict\":\"deny\",\"network\":{\"type\":\"ipv4\",\"transport\":\"tcp\"}"
						   ",\"destination\":{\"ip\":\"192.0.2.2\",\"port\":443,\"domain\":\"api.example\"}" WHO
							   RULE ",\"count\":3}");
	/* Whose end address and port are of. */
	x = event(NETWORK_HOOK_IN);
	x.pid = 0;
	x.rule = NETWORK_RULE_INCOMING;
	x.verdict = NETWORK_AUDIT;
	audit_event_network(&h, &x, &rules, NULL, &b);
	check_line(&b,
		   HEAD("network",
			",\"action\":\"packet-in\"") ",\"verdict\":\"audit\",\"network\":{\"type\":\"ipv4\",\"transport\":\"tcp\"}"
						     ",\"source\":{\"ip\":\"192.0.2.2\"},\"destination\":{\"port\":443}"
						     ",\"rule\":{\"name\":\"ports that are not open\",\"ruleset\":\"first,second\"},\"count\":3}");
	x = event(NETWORK_HOOK_OUT);
	x.local_port = 5555;
	audit_event_network(&h, &x, &rules, NULL, &b);
	check_line(&b,
		   HEAD("network",
			",\"action\":\"packet-out\"") ",\"verdict\":\"deny\",\"network\":{\"type\":\"ipv4\",\"transport\":\"tcp\"}"
						      ",\"destination\":{\"ip\":\"192.0.2.2\",\"port\":443},\"source\":{\"port\":5555}" WHO
							      RULE ",\"count\":3}");
	x = event(NETWORK_HOOK_BIND);
	audit_event_network(&h, &x, &rules, "not.shown", &b);
	check_line(&b,
		   HEAD("network",
			",\"action\":\"bind\"") ",\"verdict\":\"deny\",\"network\":{\"type\":\"ipv4\",\"transport\":\"tcp\"}"
						",\"server\":{\"ip\":\"192.0.2.2\",\"port\":443}" WHO RULE
						",\"count\":3}");
	x = event(NETWORK_HOOK_SOCKET);
	x.protocol = 132;
	x.rule = NETWORK_RULE_PROTOCOL;
	audit_event_network(&h, &x, &rules, NULL, &b);
	check_line(&b,
		   HEAD("network",
			",\"action\":\"socket\"") ",\"verdict\":\"deny\",\"network\":{\"type\":\"ipv4\",\"iana_number\":\"132\"}" WHO
						  ",\"rule\":{\"name\":\"other protocols, raw sockets, DNS elsewhere\",\"ruleset\":\"first,second\"}"
						  ",\"count\":3}");
	audit_rules_clear(&rules);
}

static void test_odd_events(void **state)
{
	struct audit_rules rules = read_rules();
	struct network_event x = event(NETWORK_HOOK_WIRE);
	struct audit_head h = head();
	struct buf b = {};

	/* Rules that are not known, and names that somebody chose. */
	audit_event_network(&h, &x, NULL, NULL, &b);
	assert_non_null(strstr(b.s, "\"rule\":{\"name\":\"unknown\"}"));
	check_line(&b, NULL);
	x.rule = 3;
	audit_event_network(&h, &x, &rules, NULL, &b);
	assert_non_null(
		strstr(b.s, "\"rule\":{\"name\":\"unknown\",\"ruleset\":\"first,second\"}"));
	check_line(&b, NULL);
	memcpy(x.comm, "\"\n\\\x80\xff\x1b]0;evil!!", sizeof(x.comm));
	audit_event_network(&h, &x, &rules, "a\"b\\c\nd\xc3", &b);
	check_line(&b, NULL);
	memset(&x, 0xff, sizeof(x));
	audit_event_network(&h, &x, &rules, NULL, &b);
	check_line(&b, NULL);
	for (unsigned int hook = 0; hook < 256; hook++)
		assert_true((audit_hook_name(hook) != NULL) == (hook <= NETWORK_HOOK_WIRE));
	audit_rules_clear(&rules);
}

static void test_other_lines(void **state)
{
	struct audit_rules rules = read_rules();
	struct audit_lost lost = { 1, 2, 3, 4, 0, 0, {} }, all = {
		1, 2, 3, 4, 5, 6, { [TRACE_EXIT] = 3, [TRACE_TYPES] = 2 }
	};
	struct audit_exit unknown = {}, code = { true, 3, 0 }, signal = { true, 0, 9 };
	struct audit_log_config log = { .policy = "p", .path = "/l" };
	struct audit_config none = {}, audited = { .logs = { .v = &log, .n = 1 } };
	struct audit_head h = head();
	struct buf b = {};

	audit_event_start(&h, &rules, &none, &b);
	check_line(&b, HEAD("start",
			    "") ",\"rules\":{\"generation\":4,\"policies\":[{\"name\":\"first\",\"enforcement\":\"enforce\"},"
				"{\"name\":\"second\",\"enforcement\":\"audit\"}]}}");
	audit_event_rules(&h, &rules, &b);
	check_line(&b, NULL);
	audit_event_start(&h, NULL, &audited, &b);
	check_line(&b, HEAD("start", "") ",\"logs\":[{\"path\":\"/l\",\"ruleset\":\"p\"}]}");
	audit_event_failure(&h, "log_failed", "/l", "no \"room\"", &b);
	check_line(&b, HEAD("log_failed",
			    "") ",\"log\":{\"file\":{\"path\":\"/l\"}},\"error\":{\"message\":"
				"\"no \\\"room\\\"\"}}");
	audit_event_failure(&h, "recorder_died", NULL, "it died", &b);
	check_line(&b, NULL);
	audit_event_lost(&h, &lost, &b);
	check_line(&b, HEAD("lost",
			    "") ",\"lost\":{\"full\":1,\"limited\":2,\"dns\":3,\"log\":4}}");
	audit_event_lost(&h, &all, &b);
	check_line(&b,
		   HEAD("lost",
			"") ",\"lost\":{\"full\":1,\"limited\":2,\"dns\":3,\"log\":4,"
			    "\"trace\":5,\"record\":6},\"lost_events\":{\"exit\":3,\"counts\":2}}");
	audit_event_end(&h, 9, &code, &lost, &b);
	check_line(&b, HEAD("end", "") ",\"denied\":9,\"exit_code\":3,\"lost\":{\"full\":1,"
				       "\"limited\":2,\"dns\":3,\"log\":4}}");
	audit_event_end(&h, 9, &signal, &lost, &b);
	check_line(&b, HEAD("end", "") ",\"denied\":9,\"signal\":9,\"lost\":{\"full\":1,"
				       "\"limited\":2,\"dns\":3,\"log\":4}}");
	audit_event_end(&h, 9, &unknown, &lost, &b);
	check_line(&b,
		   HEAD("end",
			"") ",\"denied\":9,\"lost\":{\"full\":1,\"limited\":2,\"dns\":3,\"log\":4}}");
	audit_rules_clear(&rules);
}

/* --- the forwarder's lines --- */

static bool parse(const char *line, struct audit_dns *ret)
{
	return audit_dns_parse(line, strlen(line), ret);
}

static void test_lookups(void **state)
{
	struct audit_rules rules = read_rules();
	struct audit_head h = head();
	struct audit_dns x;
	struct buf b = {};

	assert_true(parse("{\"type\":\"dns\",\"time\":\"x\",\"name\":\"api.example\",\"query\":\"A\",\"verdict\":\"allow\","
			  "\"rule\":0,\"rcode\":\"NOERROR\",\"aliases\":[\"a\"],\"answers\":[\"192.0.2.1\",\"::1\"],\"ttl\":60,"
			  "\"removed\":[\"169.254.169.254\"],\"limited\":3,\"lost\":5}\n",
			  &x));
	assert_int_equal(x.lost, 5);
	assert_int_equal(x.limited, 3);
	assert_int_equal(x.answer_count, 2);
	assert_int_equal(x.removed_count, 1);
	audit_event_dns(&h, &x, &rules, &b);
	check_line(&b,
		   HEAD("dns",
			",\"action\":\"lookup\"") ",\"verdict\":\"allow\",\"dns\":{\"question\":{\"name\":\"api.example\",\"type\":\"A\"},\"response_code\":\"NOERROR\","
						  "\"resolved_ip\":[\"192.0.2.1\",\"::1\"],\"removed_ip\":[\"169.254.169.254\"]},"
						  "\"rule\":{\"name\":\"192.0.2.1:80\",\"reference\":\"a.yaml:3:5\",\"ruleset\":\"first\"}}");
	assert_true(parse("{\"name\":\"\",\"query\":\"PTR\",\"verdict\":\"deny\",\"rcode\":\"NXDOMAIN\",\"reason\":\"not listed\"}",
			  &x));
	audit_event_dns(&h, &x, &rules, &b);
	check_line(&b,
		   HEAD("dns",
			",\"action\":\"lookup\"") ",\"verdict\":\"deny\",\"dns\":{\"question\":{\"name\":\"\",\"type\":\"PTR\"},\"response_code\":\"NXDOMAIN\"},"
						  "\"reason\":\"not listed\",\"rule\":{\"name\":\"no rule\",\"ruleset\":\"first,second\"}}");
	assert_true(parse("{\"name\":\"a\",\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NXDOMAIN\",\"rule\":\"reserved\"}",
			  &x));
	assert_int_equal(x.rule, NETWORK_RULE_RESERVED);
	audit_rules_clear(&rules);
}

static void test_lines_that_are_none(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"[]",
		"{}",
		"null",
		"{\"name\":\"a\"}",
		"{\"name\":\"a\",\"query\":\"A\",\"verdict\":\"yes\",\"rcode\":\"NOERROR\"}",
		"{\"name\":5,\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\"}",
		"{\"name\":\"a\",\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\"}{}",
		"{\"name\":\"a\",\"query\":\"AAAAAAAAAAAAAAAAA\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\"}",
		"{\"name\":\"a\",\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\",\"rule\":-1}",
		"{\"name\":\"a\",\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\",\"rule\":\"other\"}",
		"{\"name\":\"a\",\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\",\"lost\":\"5\"}",
		"{\"name\":\"a\",\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\",\"answers\":[\"x\"]}",
		"{\"name\":\"a\",\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\",\"answers\":[5]}",
		"{\"name\":\"a\",\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\",\"answers\":{}}",
	};
	struct audit_dns x;
	struct buf b = {};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(parse(bad[i], &x));
	/* Too long a name, and too many addresses. */
	buf_adds(&b,
		 "{\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\",\"name\":\"");
	for (size_t i = 0; i <= AUDIT_DNS_NAME_MAX; i++)
		buf_adds(&b, "a");
	buf_adds(&b, "\"}");
	assert_false(parse(b.s, &x));
	b.len = 0;
	buf_adds(&b,
		 "{\"query\":\"A\",\"verdict\":\"deny\",\"rcode\":\"NOERROR\",\"answers\":[\"::1\"");
	for (size_t i = 0; i < AUDIT_DNS_ADDRESSES_MAX; i++)
		buf_adds(&b, ",\"::1\"");
	buf_adds(&b, "]}");
	assert_false(parse(b.s, &x));
	buf_free(&b);
}

/* --- names --- */

static struct network_address number(uint32_t n)
{
	struct network_address a = { { [10] = 0xff, 0xff } };

	n = htonl(n);
	memcpy(a.bytes + 12, &n, 4);
	return a;
}

static void test_names(void **state)
{
	struct audit_names *names = audit_names_make();
	struct network_address a = number(1);
	size_t found = 0;
	char text[32];

	assert_non_null(names);
	assert_null(audit_names_find(names, &a));
	audit_names_add(names, &a, "first.example");
	assert_string_equal(audit_names_find(names, &a), "first.example");
	audit_names_add(names, &a, "second.example");
	assert_string_equal(audit_names_find(names, &a), "second.example");
	/* More than there is room for: what is found is right, and the latest are there. */
	for (uint32_t i = 0; i < 3 * AUDIT_NAMES_MAX; i++) {
		a = number(i);
		snprintf(text, sizeof(text), "n%u.example", i);
		audit_names_add(names, &a, text);
		assert_string_equal(audit_names_find(names, &a), text);
	}
	for (uint32_t i = 0; i < 3 * AUDIT_NAMES_MAX; i++) {
		const char *name;

		a = number(i);
		name = audit_names_find(names, &a);
		if (!name)
			continue;
		snprintf(text, sizeof(text), "n%u.example", i);
		assert_string_equal(name, text);
		found++;
	}
	assert_true(found > AUDIT_NAMES_MAX / 2 && found <= AUDIT_NAMES_MAX);
	audit_names_free(names);
	audit_names_free(NULL);
}

static void test_pace(void **state)
{
	struct pace p = { .burst = 5, .pause = 100 };
	int n = 0;

	for (int i = 0; i < 20; i++)
		n += pace_allows(&p, 1000);
	assert_int_equal(n, 5);
	assert_false(pace_allows(&p, 1099));
	assert_true(pace_allows(&p, 1100));
	assert_false(pace_allows(&p, 1100));
	/* After a long silence no more than the burst. */
	for (n = 0; pace_allows(&p, 1000000); n++)
		assert_true(n < 5);
	assert_int_equal(n, 5);
}

/* --- the file --- */

static int make_file(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void test_log_is_bounded(void **state)
{
	_close_ int fd = make_file();
	struct audit_log l = { .fd = fd, .max = 1000 };
	struct buf line = {};
	size_t written = 0;

	for (size_t i = 0; i < 99; i++)
		buf_adds(&line, "x");
	buf_adds(&line, "\n");
	for (size_t i = 0; i < 20; i++)
		written += audit_log_write(&l, &line, false);
	assert_int_equal(written, 9);
	assert_int_equal(l.lost, 11);
	assert_true(audit_log_write(&l, &line, true));
	assert_int_equal(lseek(fd, 0, SEEK_END), 1000);
	for (size_t i = 0; i < 100; i++)
		audit_log_write(&l, &line, true);
	assert_true(lseek(fd, 0, SEEK_END) <= 1000 + AUDIT_LOG_RESERVE);
	buf_free(&line);
}

/* A disk that is full in the midst of a line. */
static void test_a_torn_line_is_ended(void **state)
{
	struct rlimit old, limit;
	_close_ int fd = -1;
	char path[] = "/tmp/audit-test-XXXXXX", text[100] = "";
	struct audit_log l = { .max = 1000 };
	struct buf a = {}, b = {};

	fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	l.fd = fd;
	buf_adds(&a, "{\"a\":\"aaaaaaaaaaaaaaaaaaaa\"}\n");
	buf_adds(&b, "{\"b\":1}\n");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){ 10, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_false(audit_log_write(&l, &a, false));
	assert_false(audit_log_write(&l, &b, false));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(l.lost, 2);
	assert_true(audit_log_write(&l, &b, false));
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "{\"a\":\"aaaa\n{\"b\":1}\n");
	buf_free(&a);
	buf_free(&b);
}

/* A monitor that takes nobody, and whose queue is full. */
static void test_a_monitor_that_hangs(void **state)
{
	const struct monitor_request request = { .type = MONITOR_DNS };
	char dir[] = "/tmp/purple-audit-XXXXXX";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int waiting[8], n = 0, dirfd, fd;
	struct err e = {};

	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 0), 0);
	for (; n < 8; n++) {
		waiting[n] = socket(AF_UNIX,
				    SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(waiting[n], (struct sockaddr *)&addr, sizeof(addr)) < 0)
			break;
	}
	assert_in_range(n, 1, 7);
	alarm(120);
	assert_int_equal(audit_client_ask(dirfd, "s", &request, &fd, 1, &e), -EAGAIN);
	alarm(0);
	assert_non_null(strstr(e.msg, "cannot reach the container's monitor"));
	for (; n >= 0; n--)
		close(waiting[n]);
	close(fd);
	close(dirfd);
	unlink(addr.sun_path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network_lines),
		cmocka_unit_test(test_odd_events),
		cmocka_unit_test(test_other_lines),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_lines_that_are_none),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_log_is_bounded),
		cmocka_unit_test(test_a_torn_line_is_ended),
		cmocka_unit_test(test_a_monitor_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
