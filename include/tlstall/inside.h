/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the shim looks for OpenSSL inside a program or a library that was loaded when the
 * program started. `tlstall check` predicts it by the same rules.
 *
 * Exported functions (.dynsym) are looked up in memory. Names that only the file has
 * (.symtab) are read only if all of this holds, so that programs without OpenSSL pay nothing.
 */
#ifndef TLSTALL_INSIDE_H
#define TLSTALL_INSIDE_H

/* Bytes of code: libssl and libcrypto alone have more. */
#define TLSTALL_INSIDE_CODE (512u << 10)

/* Functions of libc that libcrypto needs and few other programs do. */
#define TLSTALL_INSIDE_SIGN "secure_getenv"

/* In the name of a libcrypto, which meets all of this but contains no libssl. */
#define TLSTALL_INSIDE_CRYPTO "CRYPTO_get_ex_new_index"

#endif
