/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which build of which program made a handshake, and from where in the code, in terms that are the
 * same on all hosts.
 */
#ifndef TOOLS_SYMBOLS_ORIGIN_H
#define TOOLS_SYMBOLS_ORIGIN_H

#include <sys/types.h>

#include "trace/reader.h"

#define ORIGIN_SIZE 64

/*
 * The build id of the program, in hexadecimal, of its trace or of the running process `here`; "":
 * not known. Programs without an identifier have none.
 */
const char *origin_build(struct trace *trace, pid_t here, char text[ORIGIN_SIZE]);
/* The first frame of a stack that is not in OpenSSL: "libcurl.so.4+0x7d368"; "": not known. */
const char *origin_caller(struct trace *trace, uint32_t stack, char text[ORIGIN_SIZE]);

#endif
