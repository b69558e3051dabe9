/* SPDX-License-Identifier: Apache-2.0 */
#include "look/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "look/stub.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the audit number of this architecture is not known"
#endif

#define FIELD(name) offsetof(struct seccomp_data, name)
/* Both architectures are little endian. */
#define LOW(n) (FIELD(args) + 8 * (n))
#define HIGH(n) (LOW(n) + 4)

#define PROTECTION (PROT_READ | PROT_WRITE | PROT_EXEC)
#define FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE)

struct writer {
	struct sock_filter *out;
	unsigned count;
};

static void put(struct writer *writer, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	writer->out[writer->count++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct writer *writer, size_t offset)
{
	put(writer, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct writer *writer, uint32_t what)
{
	put(writer, BPF_RET | BPF_K, what, 0, 0);
}

/* Allows one call if these words of its arguments have these values. */
static void allow(struct writer *writer, long number, const struct stub_range *words,
		  unsigned count)
{
	unsigned length = 3 * count + 1;

	load(writer, FIELD(nr));
	put(writer, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, (uint8_t)length);
	for (unsigned i = 0; i < count; i++) {
		load(writer, words[i].start);
		put(writer, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)words[i].size, 1, 0);
		answer(writer, SECCOMP_RET_TRAP);
	}
	answer(writer, SECCOMP_RET_ALLOW);
}

unsigned filter_make(struct sock_filter *out, uint64_t page)
{
	const struct stub_range channel[] = {{LOW(0), 0}};
	const struct stub_range one_page[] = {
		{LOW(1), page}, {HIGH(1), 0},	 {LOW(2), PROTECTION},
		{HIGH(2), 0},	{LOW(3), FLAGS}, {HIGH(3), 0},
	};
	struct writer writer = {.out = out};

	load(&writer, FIELD(arch));
	put(&writer, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	answer(&writer, SECCOMP_RET_KILL_PROCESS);
	allow(&writer, SYS_read, channel, 1);
	allow(&writer, SYS_write, channel, 1);
	allow(&writer, SYS_mmap, one_page, 6);
	allow(&writer, SYS_rt_sigreturn, NULL, 0);
	allow(&writer, SYS_exit_group, NULL, 0);
	/*
	 * the kernel does not run the call; the stub breaks the function off and reports the number
	 */
	answer(&writer, SECCOMP_RET_TRAP);
	return writer.count;
}
