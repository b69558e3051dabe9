/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much space the traces of one user take in the directory, without reading them and without a
 * lock: the sizes of two files are the numbers of 64 KiB units taken and given back. Taking one
 * appends a byte, which the kernel does atomically. `tlstall clean` recounts.
 */
#ifndef SHIM_ROOM_H
#define SHIM_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* Remaining units of TLSTALL_LIMIT; negative: more were taken. */
int64_t room_left(void);
/* Units of a new trace, or of a note. */
void room_take(uint64_t units);
void room_give_back(uint64_t units);
/* Units for that many bytes. */
uint64_t room_units(uint64_t bytes);

#endif
