/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the kernel's hooks at groups in use: purple-network-load's part. */
#ifndef PURPLE_NETWORK_KEEP_H
#define PURPLE_NETWORK_KEEP_H

/*
 * Attaches the programs of the folder `pins` to a group that no process is ever in, where they are
 * not yet, and pins the links in its folder "kept". The first program of a kind on the host, and
 * the going of the last one, each have the kernel rewrite its own code on all processors: 0.1 ms
 * for each of the fourteen at the start of a container, and as much at its end. Nothing depends on
 * it but time: what cannot be done is left.
 */
void network_keep(const char *pins);

#endif
