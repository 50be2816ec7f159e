/* SPDX-License-Identifier: Apache-2.0 */
/* The network filter in the real kernel: what is denied and what is not. See network_host.h. */
#include "network_host.h"

static void without_its_rules_written_all_is_denied(void **state)
{
	struct network_config nothing = {};
	_close_ int storage = -1;
	_free_ char *path = NULL;
	int fd;

	needs_root();
	add_rule(&env.tables, "0.0.0.0", 0, TCP(0), UDP(65535), NETWORK_ALLOW, 0);
	attach(0);
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	assert_int_equal(send_to(fd, OUT4, 2000), 0);
	path = str_printf("%s/storage", network_pins_own());
	storage = kbpf_get(path);
	assert_true(storage >= 0);
	assert_int_equal(kbpf_map_update(storage, &env.filter.cgroup, &nothing, BPF_EXIST),
			 0);
	assert_int_equal(send_to(fd, OUT4, 2000), -EPERM);
	assert_int_equal(send_to(fd, "127.0.0.1", 2000), -EPERM);
	assert_int_equal(socket_in(env.dir, AF_INET, SOCK_DGRAM, 0), -EPERM);
	assert_int_equal(socket_in(env.dir, AF_INET6, SOCK_STREAM, 0), -EPERM);
	close(fd);
}

static void addresses_and_ports_decide(void **state)
{
	_close_ int tcp4 = -1, tcp6 = -1, other4 = -1;

	needs_root();
	add_rule(&env.tables, OUT4, 32, TCP(80), TCP(443), NETWORK_ALLOW, 0);
	add_rule(&env.tables, "10.9.1.0", 24, TCP(443), TCP(443), NETWORK_ALLOW, 1);
	add_rule(&env.tables, OTHER4, 32, TCP(0), UDP(65535), NETWORK_DENY, 2);
	add_rule(&env.tables, OUT6, 128, TCP(443), TCP(443), NETWORK_ALLOW, 3);
	attach(0);
	tcp4 = outside_socket(SOCK_STREAM, OUT4, 443);
	tcp6 = outside_socket(SOCK_STREAM, OUT6, 443);
	other4 = outside_socket(SOCK_STREAM, OTHER4, 443);
	assert_int_equal(try_connect(AF_INET, OUT4, 443), 0);
	assert_int_equal(try_connect(AF_INET6, OUT6, 443), 0);
	assert_int_equal(try_connect(AF_INET, OUT4, 444), -EPERM);
	assert_int_equal(try_connect(AF_INET, OUT4, 80), -ECONNREFUSED);
	assert_int_equal(try_connect(AF_INET, OUT4, 79), -EPERM);
	assert_int_equal(try_connect(AF_INET, OTHER4, 443), -EPERM);
	assert_int_equal(try_connect(AF_INET, "10.9.1.2", 444), -EPERM);
	assert_int_equal(try_connect(AF_INET6, OTHER6, 443), -EPERM);
	/* An address of IPv4, however it is written. */
	assert_int_equal(try_connect(AF_INET6, "::ffff:" OUT4, 443), 0);
	assert_int_equal(try_connect(AF_INET6, "::ffff:" OTHER4, 443), -EPERM);
	/* TCP is not UDP. */
	assert_int_equal(try_send(AF_INET, OUT4, 443), -EPERM);
	assert_int_equal(try_send(AF_INET6, OUT6, 443), -EPERM);
	assert_int_equal(try_send(AF_INET6, "::ffff:" OUT4, 443), -EPERM);
}

static void the_self_test_finds_out_whether_it_denies(void **state)
{
	struct err e;

	needs_root();
	add_rule(&env.tables, "0.0.0.0", 0, TCP(0), UDP(65535), NETWORK_ALLOW, 0);
	assert_true(network_filter_self_test(env.cgroup, &e) < 0);
	attach(0);
	assert_ok(network_filter_self_test(env.cgroup, &e));
	assert_ok(network_filter_detach("test.1", &e));
	assert_true(network_filter_self_test(env.cgroup, &e) < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_container, remove_container)
	const struct CMUnitTest tests[] = {
		TEST(without_its_rules_written_all_is_denied),
		TEST(addresses_and_ports_decide),
		TEST(the_self_test_finds_out_whether_it_denies),
	};

	return cmocka_run_group_tests(tests, set_up_host, tear_down_host);
}
