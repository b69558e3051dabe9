/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forbids mdwe|execute|low COMMAND...: runs COMMAND under stricter rules of the kernel. mdwe:
 * pages that were writable cannot become executable (PR_SET_MDWE). execute: mprotect() makes
 * nothing executable, like systemd's MemoryDenyWriteExecute. low: the same, but only where
 * position-dependent programs lie, like SELinux for code that was written to.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(at))
#define NUMBER offsetof(struct seccomp_data, nr)
#define ARGUMENT(n) offsetof(struct seccomp_data, args[n]) /* the lower half of argument n */
#define PROGRAM_START 0x400000

static int forbid(int all)
{
	struct sock_filter code[] = {
		LOAD(NUMBER),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 7),
		LOAD(ARGUMENT(2)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 5),
		LOAD(ARGUMENT(0) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint8_t)(all ? 2 : 3)),
		LOAD(ARGUMENT(0)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, all ? 0 : PROGRAM_START, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "mdwe") ? prctl(PR_SET_MDWE, 1, 0, 0, 0)
				     : forbid(!strcmp(argv[1], "execute"))) {
		perror(argv[1]);
		return 77;
	}
	execv(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
