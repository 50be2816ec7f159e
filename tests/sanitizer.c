/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of AddressSanitizer and UBSan, linked into the programs of a --enable-sanitizers build
 * only: engines start the runtime with an environment of their own making. Reports go to the
 * build's folder `reports`, which tests/run reads. Leaks are looked for in the unit tests: the
 * search cannot work in the children that build a container.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0:log_path=" SANITIZER_REPORTS "/asan";
}

const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1:log_path=" SANITIZER_REPORTS "/ubsan";
}
