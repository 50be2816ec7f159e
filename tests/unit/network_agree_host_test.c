/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random policies, compiled and attached to a group: what the kernel's connect() does is what
 * network_decide_address() says, on which `purple policy why` rests: at first, when the kernel has to
 * look, and once more, when it may remember. As root, with cgroup2.
 */
#include "network_host.h"
#include "network_random.h"
#include "policy_build.h"

#define POLICIES 25
#define TARGETS 60

/* 0 or -EPERM: whether the filter let it pass, whatever came then. */
static int try_target(const struct naive_target *to, const char *address)
{
	int family = to->v4 ? AF_INET : AF_INET6, r;
	int fd = inside_socket(family, (to->port >= NETWORK_UDP ? SOCK_DGRAM : SOCK_STREAM) |
					       SOCK_NONBLOCK);
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of(address, (uint16_t)to->port, &a);

	r = connect(fd, (struct sockaddr *)&a, len) < 0 && errno == EPERM ? -EPERM : 0;
	close(fd);
	return r;
}

static void check_target(const struct naive_target *to, unsigned int number)
{
	uint8_t address[16] = { [10] = 0xff, 0xff };
	struct network_answer a;
	char shown[INET6_ADDRSTRLEN];

	memcpy(address + (to->v4 ? 12 : 0), to->address, to->v4 ? 4 : 16);
	inet_ntop(to->v4 ? AF_INET : AF_INET6, to->address, shown, sizeof(shown));
	a = network_decide_address(&env.tables, address, to->port);
	if (try_target(to, shown) != (a.verdict == NETWORK_DENY ? -EPERM : 0))
		fail_msg("policy %u: %s port %x: the kernel does not %s it", number,
			 shown, to->port, a.verdict == NETWORK_DENY ? "deny" : "allow");
}

/* Other rules than addresses' decide there: the forwarder's ports, and what is no port. */
static bool is_plain(const struct naive_target *to)
{
	uint16_t port = (uint16_t)to->port;

	return port && port != 53 && port != 853 && port != 5353 &&
	       !(!to->v4 && memcmp(to->address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0);
}

static void the_kernel_decides_as_the_tables_say(void **state)
{
	const struct network_surroundings around = { .own_namespace = true };
	struct naive_target to[TARGETS];
	unsigned int i, k;

	needs_root();
	random_state = UINT64_C(771122);
	for (i = 0; i < POLICIES; i++) {
		network_policies l = {};
		struct err e;

		random_policies(&l, false);
		assert_ok(network_compile(&l, &around, &env.tables, &e));
		assert_ok(network_filter_make(&env.tables, "test.1", &env.filter, &e));
		assert_ok(network_filter_attach(&env.filter, env.cgroup, 0, &e));
		/* Half of them were asked under the rules before; all are asked twice. */
		for (k = 0; k < TARGETS; k++)
			if (i == 0 || k % 2)
				random_target(&to[k]);
		for (k = 0; k < 2 * TARGETS; k++)
			if (is_plain(&to[k % TARGETS]))
				check_target(&to[k % TARGETS], i);
		network_filter_clear(&env.filter);
		assert_ok(network_filter_detach("test.1", &e));
		assert_ok(network_load(&e));
		network_tables_clear(&env.tables);
		network_policies_clear(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_kernel_decides_as_the_tables_say,
						make_container, remove_container),
	};

	return cmocka_run_group_tests(tests, set_up_host, tear_down_host);
}
