/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions about the layout of a trace, in C and C++. */
#ifndef TLSTALL_ASSERT_H
#define TLSTALL_ASSERT_H

#include <stddef.h>

#ifdef __cplusplus
#define TLSTALL_ASSERT(c) static_assert(c, #c)
#define TLSTALL_ALIGNED(n) alignas(n)
#else
#define TLSTALL_ALIGNED(n) _Alignas(n)
#define TLSTALL_ASSERT(c) _Static_assert(c, #c)
#endif

#define TLSTALL_AT(type, field, offset) TLSTALL_ASSERT(offsetof(struct type, field) == (offset))

#endif
