/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_REACH_INSIDE_H
#define SHIM_REACH_INSIDE_H

#include "patch.h"
#include "tlstall/attach.h"

/*
 * In a running program that has OpenSSL inside: prepares what its functions are to jump to, and
 * notes the jumps for the tool. Changes nothing in the program. PATCH_DONE without jumps: it has
 * none inside.
 */
enum patch_result reach_inside_attach(struct tlstall_attachment *to);

#endif
