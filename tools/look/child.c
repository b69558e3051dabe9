/* SPDX-License-Identifier: Apache-2.0 */
#include "look/child.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "look/credentials.h"
#include "look/seccomp.h"
#include "look/stub.h"

/* Only before anything worth reporting has happened. */
static void leave(void)
{
	for (;;)
		syscall(SYS_exit_group, 1);
}

/* ---- a place ---------------------------------------------------------------------- */

static bool overlaps(const struct regions *regions, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < regions->count; i++) {
		if (start < regions->list[i].end && end > regions->list[i].start)
			return true;
	}
	return false;
}

/* The end of the address space in use: above everything that either process has mapped. */
static uint64_t find_top(const struct regions *ours, const struct regions *theirs)
{
	uint64_t highest = 0, top = 1ull << 32;

	for (unsigned i = 0; i < ours->count + theirs->count; i++) {
		const struct region *region = i < ours->count ? &ours->list[i]
							      : &theirs->list[i - ours->count];

		if (region->end > highest && region->end <= INT64_MAX)
			highest = region->end;
	}
	while (top < highest)
		top <<= 1;
	return top;
}

#define TRIES 64

/* Finds a block in the lower half of the address space where neither process has anything. */
static struct stub *find_place(const struct regions *ours, const struct regions *theirs)
{
	uint64_t top = find_top(ours, theirs), where;

	for (int i = 0; i < TRIES; i++) {
		if (getrandom(&where, sizeof(where), 0) != sizeof(where))
			return NULL;
		where = where % (top / 2) / STUB_SIZE * STUB_SIZE;
		if (where < (1ull << 28) || overlaps(theirs, where, where + STUB_SIZE) ||
		    overlaps(ours, where, where + STUB_SIZE))
			continue;
		if (mmap((void *)where, STUB_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			 0) == (void *)where) {
			((struct stub *)where)->top = top;
			return (struct stub *)where;
		}
	}
	return NULL;
}

/* ---- what it is given -------------------------------------------------------------- */

static bool add_range(struct stub *stub, uint64_t start, uint64_t end)
{
	if (stub->range_count == STUB_RANGES)
		return false;
	if (start < end)
		stub->ranges[stub->range_count++] = (struct stub_range){start, end - start};
	return true;
}

/*
 * Everything below the block and above it, so that mappings made since `ours` was read go, too.
 * Then one by one, since some kernels seal a few. What lies beyond is the kernel's.
 */
static bool list_ranges(const struct regions *ours, struct stub *stub)
{
	uint64_t block = (uint64_t)(uintptr_t)stub, end = block + STUB_SIZE;
	bool fits = true;

	for (unsigned i = 0; i < ours->count; i++) {
		if (ours->list[i].end <= INT64_MAX && ours->list[i].end > end)
			end = ours->list[i].end;
	}
	fits = add_range(stub, 0, block) && add_range(stub, block + STUB_SIZE, end);
	for (unsigned i = 0; i < ours->count && fits; i++) {
		if (ours->list[i].end <= INT64_MAX)
			fits = add_range(stub, ours->list[i].start, ours->list[i].end);
	}
	return fits;
}

static struct stub *build(const struct regions *ours, const struct regions *theirs)
{
	size_t code = (size_t)(__stop_look_stub - __start_look_stub);
	struct stub *stub = find_place(ours, theirs);

	if (!stub || code > STUB_SIGNALS - STUB_CODE || !list_ranges(ours, stub))
		return NULL;
	stub->page = (uint64_t)sysconf(_SC_PAGESIZE);
	stub->filter_count = filter_make(stub->filter, stub->page);
	memcpy((char *)stub + STUB_CODE, __start_look_stub, code);
	return stub;
}

/* ---- what is taken from it ------------------------------------------------------------ */

static void close_all_but(int channel)
{
	struct rlimit limit = {.rlim_cur = 1024};

	if (dup2(channel, STDIN_FILENO) != STDIN_FILENO)
		leave();
#ifdef SYS_close_range
	if (!syscall(SYS_close_range, STDIN_FILENO + 1, ~0u, 0))
		return;
#endif
	getrlimit(RLIMIT_NOFILE, &limit);
	for (rlim_t fd = STDIN_FILENO + 1; fd < limit.rlim_cur; fd++)
		close((int)fd);
}

static void limit_all(void)
{
	static const struct {
		int resource;
		rlim_t most;
	} limits[] = {
		{RLIMIT_AS, CHILD_MEMORY}, {RLIMIT_DATA, CHILD_MEMORY}, {RLIMIT_CPU, CHILD_CPU_S},
		{RLIMIT_CORE, 0},	   {RLIMIT_FSIZE, 0},		{RLIMIT_NPROC, 0},
		{RLIMIT_NOFILE, 1},	   {RLIMIT_MEMLOCK, 0},		{RLIMIT_MSGQUEUE, 0},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit now = {limits[i].most, limits[i].most}, was;

		if (!getrlimit(limits[i].resource, &was) && was.rlim_max < now.rlim_max)
			now.rlim_cur = now.rlim_max = was.rlim_max;
		if (setrlimit(limits[i].resource, &now))
			leave();
	}
}

static void reset_signals(void)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &usual, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * The kernel writes to the area of a restartable sequence whenever the thread returns to a CPU, and
 * libc's area is about to be unmapped. libcs differ in how they report its length.
 */
static void leave_rseq(void)
{
#if defined(SYS_rseq) && defined(__x86_64__)
	const ptrdiff_t *offset = dlsym(RTLD_DEFAULT, "__rseq_offset");
	const unsigned *size = dlsym(RTLD_DEFAULT, "__rseq_size");
	const unsigned signature = 0x53053053;
	char *thread;

	if (!offset || !size || !*size)
		return;
	__asm__("mov %%fs:0, %0" : "=r"(thread));
	for (unsigned length = 32; length <= 1024; length += 4) {
		if (!syscall(SYS_rseq, thread + *offset, length, 1 /* unregister */, signature))
			return;
	}
	leave();
#endif
}

static void make_harmless(const struct credentials *credentials, pid_t parent)
{
	if (credentials_become(credentials) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) ||
	    getppid() != parent)
		leave();
	limit_all();
}

/* ---- the child -------------------------------------------------------------------------- */

#if STUB_EXISTS
static void enter(struct stub *stub)
{
	char *code = (char *)stub + STUB_CODE +
		     ((const char *)(uintptr_t)stub_main - __start_look_stub);

	/* aligned as after a call */
	__asm__ volatile("mov %0, %%rsp\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "call *%1\n\t"
			 :
			 : "r"((char *)stub + STUB_STACK), "r"(code), "D"(stub)
			 : "memory");
}
#else
static void enter(struct stub *stub)
{
	(void)stub;
}
#endif

static void become_stub(const struct credentials *credentials, const struct regions *ours,
			const struct regions *theirs, int channel, pid_t parent)
{
	struct stub *stub = build(ours, theirs);

	if (!stub)
		leave();
	reset_signals();
	leave_rseq();
	close_all_but(channel);
	make_harmless(credentials, parent);
	enter(stub);
	leave();
}

pid_t stub_start(pid_t pid, const struct regions *regions, int *channel)
{
	struct credentials credentials;
	pid_t parent = getpid(), child;
	struct regions ours;
	int ends[2], error;

	if (!STUB_EXISTS) {
		errno = ENOTSUP;
		return -1;
	}
	/* read here, since the child cannot say that it has no memory for it */
	if (credentials_read(pid, &credentials) || regions_read(parent, &ours))
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		error = errno;
		regions_free(&ours);
		errno = error;
		return -1;
	}
	child = fork();
	if (!child)
		become_stub(&credentials, &ours, regions, ends[1], parent);
	error = errno;
	regions_free(&ours);
	errno = error;
	close(ends[1]);
	*channel = ends[0];
	if (child < 0)
		close(ends[0]);
	return child;
}
