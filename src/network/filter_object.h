/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/network_filter.bpf.o, as it was built, in the memory of purple-network-load. */
#ifndef PURPLE_NETWORK_FILTER_OBJECT_H
#define PURPLE_NETWORK_FILTER_OBJECT_H

extern const char network_filter_object[], network_filter_object_end[];

#endif
