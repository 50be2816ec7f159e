/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of the network, from a policy's text to tables: each kind of rule, what wins over what,
 * several policies, limits. Needs no privileges; one test makes a network namespace, of its own
 * user namespace if need be.
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "network_build.h"
#include "network_naive.h"
#include "policy_build.h"

/* "HOST PORT[/udp]" */
static struct network_answer decide(const struct network_tables *t, const char *target)
{
	char host[300];
	unsigned int port;
	char protocol[8] = "";
	uint8_t address[16];
	bool v4;

	assert_true(sscanf(target, "%299s %u%7s", host, &port, protocol) >= 2);
	port += streq(protocol, "/udp") ? NETWORK_UDP : NETWORK_TCP;
	if (strspn(host, "0123456789.") != strlen(host) && !strchr(host, ':'))
		return network_decide_name(t, host, port);
	naive_read(host, &v4, address);
	if (v4) {
		memcpy(address + 12, address, 4);
		memcpy(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	}
	return network_decide_address(t, address, port);
}

static const char *rule_name(const struct network_tables *t, uint32_t rule)
{
	return rule == NETWORK_RULE_NONE     ? "-" :
	       rule == NETWORK_RULE_RESERVED ? "reserved" :
	       rule == NETWORK_RULE_NAME     ? "name" :
	       rule < t->rules.n	     ? t->rules.v[rule]->text :
					       "?";
}

/* Lines "HOST PORT VERDICT RULE", separated by ';'. */
static void check(const char *first, const char *second, const char *lines)
{
	static const char *const verdicts[] = { "none", "allow", "deny", "audit" };
	_free_ char *copy = build_text(lines);
	network_policies l = { 0 };
	struct network_tables t = { 0 };
	char *save = NULL, *line;

	add_policy(&l, first);
	if (second)
		add_policy(&l, second);
	compile(&l, &own_namespace, &t);
	for (line = strtok_r(copy, ";", &save); line; line = strtok_r(NULL, ";", &save)) {
		char host[300], port[16], want[16], rule[300];
		_free_ char *target = NULL;
		struct network_answer a;

		assert_int_equal(sscanf(line, " %299s %15s %15s %299s", host, port, want,
					rule),
				 4);
		target = str_printf("%s %s", host, port);
		a = decide(&t, target);
		if (!streq(verdicts[a.verdict], want) || !streq(rule_name(&t, a.rule), rule))
			fail_msg("{%s} {%s}:%s: found %s %s", first, second ? second : "",
				 line, verdicts[a.verdict], rule_name(&t, a.rule));
	}
	network_tables_clear(&t);
	network_policies_clear(&l);
}

static void test_kinds(void **state)
{
	check("allow_outgoing: [443]", NULL,
	      "1.1.1.1 443 allow 443; 1.1.1.1 443/udp allow 443; 1.1.1.1 80 deny -;"
	      "2606::1 443 allow 443; 2606::1 442 deny -; a.example 443 allow 443;"
	      "a.example 444 deny -; 127.0.0.1 99 allow -; ::1 99 allow -");
	check("allow_outgoing: [8000-8010/tcp, 53/udp]", NULL,
	      "1.1.1.1 8000 allow 8000-8010/tcp; 1.1.1.1 8010 allow 8000-8010/tcp;"
	      "1.1.1.1 7999 deny -; 1.1.1.1 8011 deny -; 1.1.1.1 8000/udp deny -;"
	      "1.1.1.1 53/udp allow 53/udp; 1.1.1.1 53 deny -");
	check("allow_outgoing: ['5.0.0.0/8:443', '[2001:db8::/32]:443', 9.9.9.9]", NULL,
	      "5.255.0.1 443 allow 5.0.0.0/8:443; 6.0.0.0 443 deny -;"
	      "4.255.255.255 443 deny -; 2001:db8:ffff::1 443 allow [2001:db8::/32]:443;"
	      "2001:db9:: 443 deny -; 9.9.9.9 1 allow 9.9.9.9;"
	      "9.9.9.9 65535/udp allow 9.9.9.9; 9.9.9.8 1 deny -");
	check("blocked_ips: [5.0.0.0/8, '2001:db8::/32']", NULL,
	      "5.1.1.1 1 deny 5.0.0.0/8; 6.1.1.1 1 allow -; 10.0.0.1 1 allow -;"
	      "2001:db8::1 9/udp deny 2001:db8::/32; 2001:db9::1 9 allow -;"
	      "64:ff9b::501:101 80 deny 5.0.0.0/8; 64:ff9b::601:101 80 allow -");
	check("isolated: false", NULL,
	      "5.1.1.1 1 allow -; 169.254.169.254 80 deny reserved");
}

static void test_nesting(void **state)
{
	check("allow_outgoing: [5.0.0.0/8, '5.5.0.0/16:80', '5.5.5.5:443', '443']", NULL,
	      "5.5.5.5 443 allow 5.5.5.5:443; 5.5.5.5 80 allow 5.5.0.0/16:80;"
	      "5.5.5.5 22 allow 5.0.0.0/8; 5.5.5.6 443 allow 5.0.0.0/8;"
	      "5.5.5.6 80 allow 5.5.0.0/16:80; 6.0.0.1 443 allow 443; 6.0.0.1 22 deny -");
	check("allow_outgoing: ['5.5.5.5:443', 5.5.0.0/16], blocked_ips: [5.0.0.0/8]", NULL,
	      "5.5.5.5 443 deny 5.0.0.0/8; 5.5.0.1 1 deny 5.0.0.0/8; 6.0.0.1 1 deny -");
	check("allow_outgoing: [5.0.0.0/8], blocked_ips: [5.5.0.0/16, 5.5.5.5]", NULL,
	      "5.4.0.1 1 allow 5.0.0.0/8; 5.5.0.1 1 deny 5.5.0.0/16; 5.5.5.5 1 deny 5.5.5.5;"
	      "5.6.0.1 1 allow 5.0.0.0/8");
	check("allow_outgoing: [80-90, 85-100, 85/udp]", NULL,
	      "1.1.1.1 80 allow 80-90; 1.1.1.1 88 allow 80-90; 1.1.1.1 91 allow 85-100;"
	      "1.1.1.1 100/udp allow 85-100; 1.1.1.1 101 deny -");
}

static void test_reserved(void **state)
{
	check("allow_outgoing: ['443', 0.0.0.0/0, '::/0']", NULL,
	      "10.1.2.3 443 deny reserved; 172.31.0.1 443 deny reserved;"
	      "172.32.0.1 443 allow 443; 192.168.1.1 443 deny reserved;"
	      "100.64.0.1 443 deny reserved; 169.254.169.254 80 deny reserved;"
	      "169.254.1.1 443 deny reserved; 224.0.0.251 5353/udp deny reserved;"
	      "255.255.255.255 67/udp deny reserved; 0.0.0.0 443 allow -; 0.0.0.1 443 deny reserved;"
	      "fd00:ec2::254 80 deny reserved; fe80::1 443 deny reserved;"
	      "ff02::fb 5353/udp deny reserved; fd12::1 443 deny reserved;"
	      "64:ff9b::808:808 443 deny reserved; 64:ff9b:1::1 443 deny reserved;"
	      "2002:808:808::1 443 deny reserved; ::8.8.8.8 443 deny reserved;"
	      ":: 443 allow -; 100.100.100.200 80 deny reserved;"
	      "2606::1 9 allow ::/0; 8.8.8.8 9 allow 0.0.0.0/0");
	/* A prefix equal to a reserved range, or inside of it, opens it as far as it goes. */
	check("allow_outgoing: ['10.0.0.0/8:443', 192.168.7.0/24, 172.0.0.0/8]", NULL,
	      "10.9.9.9 443 allow 10.0.0.0/8:443; 10.9.9.9 80 deny reserved;"
	      "192.168.7.9 1 allow 192.168.7.0/24; 192.168.8.1 1 deny reserved;"
	      "172.16.0.1 1 deny reserved; 172.15.0.1 1 allow 172.0.0.0/8");
	/* Link-local as such does not name the metadata service in it. */
	check("allow_outgoing: [169.254.0.0/16]", NULL,
	      "169.254.1.1 1 allow 169.254.0.0/16; 169.254.169.254 80 deny reserved;"
	      "169.254.169.253 80 allow 169.254.0.0/16");
	check("allow_outgoing: ['169.254.169.254:80']", NULL,
	      "169.254.169.254 80 allow 169.254.169.254:80; 169.254.169.254 443 deny reserved;"
	      "169.254.169.253 80 deny reserved");
	/* Nor does a translator's prefix name what IPv4 addresses are reserved. */
	check("allow_outgoing: ['64:ff9b::/96']", NULL,
	      "64:ff9b::808:808 443 allow 64:ff9b::/96; 64:ff9b::a00:1 443 deny reserved;"
	      "64:ff9b::a9fe:a9fe 80 deny reserved");
	check("allow_outgoing: ['64:ff9b::/96'], blocked_ips: [8.0.0.0/8]", NULL,
	      "64:ff9b::808:808 443 deny 8.0.0.0/8; 64:ff9b::909:909 443 allow 64:ff9b::/96");
	/* Without an allow list, what is always reserved. */
	check("blocked_ips: [1.2.3.4]", NULL,
	      "10.1.1.1 80 allow -; 169.254.169.254 80 deny reserved;"
	      "64:ff9b::a9fe:a9fe 80 deny reserved; 64:ff9b::102:304 80 deny 1.2.3.4;"
	      "64:ff9b::a01:101 80 allow -; fd00:ec2::254 80 deny reserved; fd00::1 1 allow -");
}

static void test_names(void **state)
{
	check("allow_outgoing: [api.example.com, '*.example.org:443', '*.b.example.org:22']",
	      NULL,
	      "api.example.com 80 allow api.example.com; API.Example.COM. 80 allow api.example.com;"
	      "x.api.example.com 80 deny -; api.example.com 443 allow api.example.com;"
	      "api.example.com 443/udp deny -; api.example.com 444/udp allow api.example.com;"
	      "a.example.org 443 allow *.example.org:443; example.org 443 deny -;"
	      "a.b.example.org 443 allow *.example.org:443;"
	      "a.b.example.org 22 allow *.b.example.org:22; b.example.org 22 deny -;"
	      "a.example.org 22 deny -; xexample.org 443 deny -; 1.1.1.1 443 deny -");
	check("allow_outgoing: ['a.example:443/udp', 'b.example:400-500']", NULL,
	      "a.example 443/udp allow a.example:443/udp; a.example 443 deny -;"
	      "b.example 443 allow b.example:400-500; b.example 443/udp deny -;"
	      "b.example 442/udp allow b.example:400-500; b.example 444/udp allow b.example:400-500");
	check("allow_outgoing: ['*.example.com'], blocked_domains: [ads.example.com]", NULL,
	      "a.example.com 1 allow *.example.com; ads.example.com 1 deny ads.example.com;"
	      "x.ads.example.com 1 deny ads.example.com; bads.example.com 1 allow *.example.com");
	check("blocked_domains: ['*.bad.example']", NULL,
	      "bad.example 1 deny bad.example; a.bad.example 1 deny bad.example;"
	      "good.example 1 allow -; 5.5.5.5 1 allow -");
}

static void test_two_policies(void **state)
{
	check("allow_outgoing: [443, 80]", "allow_outgoing: [443, 22]",
	      "1.1.1.1 443 allow 443; 1.1.1.1 80 deny -; 1.1.1.1 22 deny -");
	check("allow_outgoing: [5.0.0.0/8]", "blocked_ips: [5.5.0.0/16]",
	      "5.1.1.1 1 allow 5.0.0.0/8; 5.5.1.1 1 deny 5.5.0.0/16; 6.1.1.1 1 deny -");
	check("isolated: false", "allow_outgoing: [443]",
	      "1.1.1.1 443 allow 443; 1.1.1.1 80 deny -; 10.0.0.1 443 deny reserved");
	/* Each policy opens reserved ranges for itself. */
	check("allow_outgoing: ['10.0.0.0/8:443']", "allow_outgoing: ['443']",
	      "10.1.1.1 443 deny reserved");
	check("allow_outgoing: ['443']", "allow_outgoing: ['a.example:443', 'a.example:80']",
	      "a.example 443 allow a.example:443; a.example 80 deny -; b.example 443 deny -;"
	      "1.1.1.1 443 deny -");
	check("allow_outgoing: ['*.example']", "allow_outgoing: ['a.example:443', 'b.test']",
	      "a.example 443 allow *.example; a.example 80 deny -; b.test 443 deny -;"
	      "c.example 443 deny -");
	check("blocked_domains: [a.example]", "allow_outgoing: ['*.example', a.example]",
	      "a.example 1 deny a.example; b.example 1 allow *.example");
	/* An address of the one and a name of the other do not meet: see compile.c. */
	check("allow_outgoing: [5.0.0.0/8]", "allow_outgoing: [a.example]",
	      "5.1.1.1 1 deny -; a.example 1 deny -");
}

static void check_audit(const char *first, const char *second, const char *target,
			enum network_verdict want)
{
	network_policies l = { 0 };
	struct network_tables t = { 0 };
	struct network_answer a;

	add_policy(&l, first);
	l.v[0].audit = true;
	if (second)
		add_policy(&l, second);
	compile(&l, &own_namespace, &t);
	a = decide(&t, target);
	if (a.verdict != want)
		fail_msg("{%s} {%s} %s: found %d", first, second ? second : "", target,
			 a.verdict);
	network_tables_clear(&t);
	network_policies_clear(&l);
}

static void test_audit(void **state)
{
	check_audit("allow_outgoing: [443]", NULL, "1.1.1.1 443", NETWORK_ALLOW);
	check_audit("allow_outgoing: [443]", NULL, "1.1.1.1 80", NETWORK_AUDIT);
	check_audit("allow_outgoing: [443]", NULL, "10.0.0.1 443", NETWORK_AUDIT);
	/* Credentials are not for learning. */
	check_audit("allow_outgoing: [443]", NULL, "169.254.169.254 443", NETWORK_DENY);
	check_audit("allow_outgoing: [443]", NULL, "64:ff9b::a9fe:a9fe 443", NETWORK_DENY);
	check_audit("allow_outgoing: [443]", NULL, "fd00:ec2::254 443", NETWORK_DENY);
	check_audit("isolated: false", NULL, "169.254.1.1 443", NETWORK_DENY);
	check_audit("blocked_ips: [169.254.0.0/16]", NULL, "169.254.1.1 443", NETWORK_DENY);
	check_audit("allow_outgoing: ['169.254.169.254:443']", NULL,
		    "169.254.169.254 443", NETWORK_ALLOW);
	check_audit("allow_outgoing: [443]", "isolated: false", "169.254.169.254 443",
		    NETWORK_DENY);
	check_audit("allow_outgoing: [a.example]", NULL, "a.example 80", NETWORK_ALLOW);
	check_audit("allow_outgoing: [a.example]", NULL, "b.example 80", NETWORK_AUDIT);
	check_audit("blocked_ips: [5.5.5.5]", NULL, "5.5.5.5 80", NETWORK_AUDIT);
	check_audit("blocked_ips: [5.5.5.5]", NULL, "5.5.5.6 80", NETWORK_ALLOW);
	/* Beside a policy that enforces, it denies nothing and allows nothing. */
	check_audit("allow_outgoing: [443]", "allow_outgoing: [80]", "1.1.1.1 80",
		    NETWORK_AUDIT);
	check_audit("allow_outgoing: [443]", "allow_outgoing: [80]", "1.1.1.1 443",
		    NETWORK_DENY);
	check_audit("allow_outgoing: [443]", "isolated: false", "1.1.1.1 22", NETWORK_AUDIT);
	check_audit("allow_outgoing: [443]", "blocked_ips: [1.1.1.1]", "1.1.1.1 443",
		    NETWORK_DENY);
	check_audit("blocked_ips: [1.1.1.1]", "allow_outgoing: [80]", "1.1.1.1 80",
		    NETWORK_AUDIT);
	check_audit("blocked_ips: [1.1.1.1]", "allow_outgoing: [80]", "1.1.1.1 81",
		    NETWORK_DENY);
	check_audit("allow_outgoing: [a.example]", "allow_outgoing: [80]", "b.example 80",
		    NETWORK_AUDIT);
}

/* As a container of another runtime has it: nothing but the loopback device. */
static void test_isolated(void **state)
{
	network_policies l = { 0 };
	struct network_tables t = { 0 };

	add_policy(&l, "isolated: false");
	l.v[0].isolated = true;
	compile(&l, &own_namespace, &t);
	assert_int_equal(t.config.fallback, NETWORK_DENY);
	assert_int_equal(t.config.incoming_count, 0);
	assert_int_equal(t.config.flags, NETWORK_OWN_LOOPBACK);
	assert_int_equal(decide(&t, "1.1.1.1 443").verdict, NETWORK_DENY);
	assert_int_equal(decide(&t, "10.0.0.1 443").verdict, NETWORK_DENY);
	network_tables_clear(&t);
	network_policies_clear(&l);
}

static void test_flags(void **state)
{
	static const struct {
		const char *text;
		uint32_t flags;
		enum network_verdict fallback;
	} cases[] = {
		{ "isolated: false", 0, NETWORK_ALLOW },
		{ "blocked_ips: [1.2.3.4]", 0, NETWORK_ALLOW },
		{ "allow_outgoing: [1.2.3.4]", 0, NETWORK_DENY },
		{ "allow_outgoing: [443]", NETWORK_REDIRECT_DNS, NETWORK_DENY },
		{ "allow_outgoing: [443, 53/udp]", NETWORK_REDIRECT_DNS, NETWORK_DENY },
		{ "allow_outgoing: [443, '9.9.9.9:53']", 0, NETWORK_DENY },
		{ "allow_outgoing: [a.example]",
		  NETWORK_USES_NAMES | NETWORK_CHECK_TLS | NETWORK_REDIRECT_DNS,
		  NETWORK_DENY },
		{ "allow_outgoing: ['a.example:22', 53/udp]",
		  NETWORK_USES_NAMES | NETWORK_REDIRECT_DNS, NETWORK_DENY },
		{ "allow_outgoing: ['a.example:443/udp']",
		  NETWORK_USES_NAMES | NETWORK_REDIRECT_DNS, NETWORK_DENY },
		{ "blocked_domains: [a.example]",
		  NETWORK_USES_NAMES | NETWORK_BLOCKS_NAMES | NETWORK_REDIRECT_DNS,
		  NETWORK_ALLOW },
		{ "isolated: false, dns_servers: [9.9.9.9]", NETWORK_REDIRECT_DNS,
		  NETWORK_ALLOW },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct network_surroundings hosts = { 0 };
		network_policies l = { 0 };
		struct network_tables t = { 0 };

		add_policy(&l, cases[i].text);
		compile(&l, &hosts, &t);
		if (t.config.flags != cases[i].flags ||
		    t.config.fallback != cases[i].fallback)
			fail_msg("%s: %x %u", cases[i].text, t.config.flags,
				 t.config.fallback);
		network_tables_clear(&t);
		compile(&l, &own_namespace, &t);
		assert_int_equal(t.config.flags, cases[i].flags | NETWORK_OWN_LOOPBACK);
		network_tables_clear(&t);
		network_policies_clear(&l);
	}
}

static void test_surroundings(void **state)
{
	struct network_host_address hosts[] = {
		{ { [10] = 0xff, 0xff, 5, 6, 7, 8 }, 128 },
		{ { 0x20, 0x01, 0x0d, 0xb8, [15] = 9 }, 128 },
		{ { [10] = 0xff, 0xff, 5, 9, 7, 8 }, 112 },
	};
	struct network_surroundings around = { .host_addresses = { hosts,
								   ARRAY_SIZE(hosts) } };
	network_policies l = { 0 };
	struct network_tables t = { 0 };

	add_policy(&l, "allow_outgoing: [443, '[::1]:80']");
	compile(&l, &around, &t);
	assert_int_equal(decide(&t, "5.6.7.8 443").rule, NETWORK_RULE_RESERVED);
	assert_int_equal(decide(&t, "5.6.7.9 443").verdict, NETWORK_ALLOW);
	assert_int_equal(decide(&t, "5.9.255.9 443").rule, NETWORK_RULE_RESERVED);
	assert_int_equal(decide(&t, "2001:db8::9 443").rule, NETWORK_RULE_RESERVED);
	assert_int_equal(decide(&t, "127.0.0.1 443").rule, NETWORK_RULE_RESERVED);
	assert_int_equal(decide(&t, "::1 443").verdict, NETWORK_DENY);
	assert_int_equal(decide(&t, "::1 80").verdict, NETWORK_ALLOW);
	network_tables_clear(&t);
	network_policies_clear(&l);
	add_policy(&l, "blocked_ips: [9.9.9.9]");
	compile(&l, &around, &t);
	assert_int_equal(decide(&t, "5.6.7.8 443").verdict, NETWORK_ALLOW);
	assert_int_equal(decide(&t, "127.0.0.1 443").verdict, NETWORK_ALLOW);
	network_tables_clear(&t);
	network_policies_clear(&l);
}

/* In a network namespace of its own: one address beside the loopback's. Returns an exit status. */
static int child_with_address(void)
{
	static const uint8_t want[16] = { [10] = 0xff, 0xff, 203, 0, 113, 5 };
	struct network_surroundings s = { 0 };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct ifreq ifr = { .ifr_name = "lo:1" };
	struct err e;
	int fd, status = 1;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 77;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "203.0.113.5", &sin.sin_addr);
	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	if (fd < 0 || ioctl(fd, SIOCSIFADDR, &ifr) < 0)
		return 2;
	if (network_surroundings_read(true, &s, &e) < 0)
		return 3;
	if (s.own_namespace && s.host_addresses.n == 1 &&
	    s.host_addresses.v[0].prefix_len == 128 &&
	    memcmp(s.host_addresses.v[0].address, want, sizeof(want)) == 0)
		status = 0;
	network_surroundings_clear(&s);
	close(fd);
	return status;
}

static void test_host_addresses(void **state)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child_with_address());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no network namespace can be made here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* "LO-HI" of each port range that is open to others. */
static void check_incoming(const char *first, const char *second, const char *want)
{
	network_policies l = { 0 };
	struct network_tables t = { 0 };
	_buf_free_ struct buf text = { 0 };
	size_t i;

	add_policy(&l, first);
	if (second)
		add_policy(&l, second);
	compile(&l, &own_namespace, &t);
	buf_adds(&text, "");
	for (i = 0; i < t.config.incoming_count; i++) {
		const struct network_range *x = &t.ranges.v[t.config.incoming + i];

		assert_int_equal(x->verdict, NETWORK_ALLOW);
		assert_int_equal(t.rules.v[x->rule]->kind, NETWORK_ALLOW_INCOMING);
		buf_addf(&text, "%s%x-%x", i ? " " : "", x->lo, x->hi);
	}
	assert_string_equal(text.s ? text.s : "", want);
	assert_int_equal(t.config.flags & NETWORK_ANY_INCOMING, 0);
	network_tables_clear(&t);
	network_policies_clear(&l);
}

static void test_incoming(void **state)
{
	check_incoming("allow_outgoing: [443]", NULL, "");
	check_incoming("isolated: false", NULL, "");
	check_incoming("allow_incoming: [80]", NULL, "50-50 10050-10050");
	check_incoming("allow_incoming: [80/tcp, 16-32/tcp]", NULL, "10-20 50-50");
	check_incoming("allow_incoming: [16-32/tcp]", "allow_incoming: [32-64/tcp]",
		       "20-20");
	check_incoming("allow_incoming: [80/tcp]", "isolated: false", "");
}

static void test_dns_servers(void **state)
{
	network_policies l = { 0 };
	struct network_tables t = { 0 };
	uint32_t rule;

	add_policy(&l, "isolated: false");
	add_policy(&l, "isolated: false, dns_servers: [9.9.9.9, '2620:fe::fe']");
	add_policy(&l, "allow_outgoing: [a.example], dns_servers: [1.1.1.1]");
	compile(&l, &own_namespace, &t);
	assert_int_equal(t.dns_servers.n, 2);
	assert_string_equal(t.dns_servers.v[0], "9.9.9.9");
	assert_true(network_name_may_resolve(&t, "A.example.", &rule));
	assert_string_equal(t.rules.v[rule]->text, "a.example");
	assert_string_equal(t.rules.v[rule]->place, "f.yaml:2:28");
	assert_false(network_name_may_resolve(&t, "b.example", &rule));
	assert_int_equal(rule, NETWORK_RULE_NONE);
	assert_false(network_name_may_resolve(&t, "", &rule));
	assert_false(network_name_may_resolve(&t, ".", &rule));
	network_tables_clear(&t);
	network_policies_clear(&l);
	add_policy(&l,
		   "allow_outgoing: ['a.example:80', '443'], blocked_domains: [b.example]");
	compile(&l, &own_namespace, &t);
	assert_true(network_name_may_resolve(&t, "anything.test", &rule));
	assert_false(network_name_may_resolve(&t, "x.b.example", &rule));
	assert_string_equal(t.rules.v[rule]->text, "b.example");
	network_tables_clear(&t);
	network_policies_clear(&l);
}

/* --- limits --- */

static void add_many(struct network_policy *p, size_t n, uint32_t stride, bool ports)
{
	size_t i;

	if (!p->name)
		p->name = build_text("many");
	for (i = 0; i < n; i++) {
		struct network_rule *x = build_check(list_add(&p->rules));
		uint32_t address = htonl(0x20000000u + (uint32_t)i * stride);

		x->kind = NETWORK_ALLOW_OUTGOING;
		x->text = build_text("many");
		x->place = str_printf("f.yaml:%zu:1", i + 1);
		x->has_address = !ports;
		x->family = AF_INET;
		memcpy(x->address, &address, 4);
		x->prefix_len = 32;
		x->port_lo = x->port_hi = (uint16_t)(ports ? 1 + 2 * i : 443);
	}
}

static void test_many(void **state)
{
	network_policies l = { 0 };
	struct network_tables t = { 0 };
	struct err e = { 0 };

	add_many(build_check(list_add(&l)), NETWORK_RULES_MAX, 3, false);
	compile(&l, &own_namespace, &t);
	assert_true(t.v4.n >= NETWORK_RULES_MAX);
	assert_int_equal(decide(&t, "32.0.0.0 443").rule, 0);
	assert_int_equal(decide(&t, "32.4.147.221 443").rule, 99999);
	assert_int_equal(decide(&t, "32.4.147.222 443").verdict, NETWORK_DENY);
	network_tables_clear(&t);
	add_many(build_check(list_add(&l)), 1, 1, false);
	assert_int_equal(network_compile(&l, &own_namespace, &t, &e), -E2BIG);
	assert_int_equal(e.kind, ERR_POLICY);
	assert_non_null(
		strstr(e.msg, "policy f.yaml:1:1: many: a container can have 100000 rules"));
	network_policies_clear(&l);
	/* Ports of everywhere that have to stand beside each address again. */
	add_many(build_check(list_add(&l)), 400, 0, true);
	add_many(&l.v[0], 3000, 3, false);
	assert_int_equal(network_compile(&l, &own_namespace, &t, &e), -E2BIG);
	assert_int_equal(e.kind, ERR_POLICY);
	assert_non_null(strstr(e.msg, "too many ports for too many addresses"));
	network_policies_clear(&l);
}

/* Within each other as deep as prefixes go. */
static void test_deep(void **state)
{
	network_policies l = { 0 };
	struct network_tables t = { 0 };
	struct network_policy *p = build_check(list_add(&l));
	uint8_t address[16] = { 0x26 };
	unsigned int i;

	p->name = build_text("deep");
	for (i = 0; i <= 128; i++) {
		struct network_rule *x = build_check(list_add(&p->rules));

		x->kind = NETWORK_ALLOW_OUTGOING;
		x->text = str_printf("/%u", i);
		x->place = build_text("f.yaml:1:1");
		x->has_address = true;
		x->family = AF_INET6;
		if (i >= 8)
			x->address[0] = 0x26;
		else
			x->address[0] = (uint8_t)(0x26 & (0xff00 >> i));
		x->prefix_len = (uint8_t)i;
		x->port_lo = x->port_hi = (uint16_t)(i + 1);
	}
	compile(&l, &own_namespace, &t);
	for (i = 0; i <= 128; i++)
		assert_int_equal(network_decide_address(&t, address, i + 1).rule, i);
	address[15] = 1;
	assert_int_equal(network_decide_address(&t, address, 129).verdict, NETWORK_DENY);
	assert_int_equal(network_decide_address(&t, address, 128).rule, 127);
	network_tables_clear(&t);
	network_policies_clear(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_two_policies),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_isolated),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_surroundings),
		cmocka_unit_test(test_host_addresses),
		cmocka_unit_test(test_incoming),
		cmocka_unit_test(test_dns_servers),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
