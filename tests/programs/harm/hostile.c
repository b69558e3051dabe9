/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs do to themselves that might upset a tracer inside: argv[1] selects the case. It
 * happens before the first handshake if argv[2] is "first", else between two.
 */
#include "../common.h"

#include <openssl/rand.h>

#if defined(__x86_64__)
#include <asm/prctl.h>
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static void shake_hands(const char *where)
{
	struct pair pair = bio_pair(0);

	printf("%s %d, errno %d, queue %lx\n", where, finish(&pair), errno, ERR_peek_error());
	fflush(stdout);
	pair_free(&pair);
	errno = 0;
}

static void limit(int which, rlim_t most)
{
	NEED(!setrlimit((unsigned)which, &(struct rlimit){most, most}));
}

/* ---- resources taken away ---------------------------------------------------------------- */

static void no_descriptors(void)
{
	limit(RLIMIT_NOFILE, 0);
}

static void no_memory_locked(void)
{
	NEED(!mlockall(MCL_CURRENT | MCL_FUTURE));
	limit(RLIMIT_MEMLOCK, 0);
}

static long locked_kb(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	NEED(status);
	while (kb < 0 && fgets(line, sizeof(line), status))
		sscanf(line, "VmLck: %ld", &kb);
	fclose(status);
	return kb;
}

/* All memory mapped from now on is locked, until the limit is reached: OpenSSL needs less than 1 MB. */
static void memory_locked(void)
{
	long before;

	NEED(!mlockall(MCL_FUTURE));
	before = locked_kb();
	shake_hands("locked");
	printf("handshakes locked little memory: %d\n", locked_kb() - before < 1000);
}

static void no_processes(void)
{
	limit(RLIMIT_NPROC, 0);
}

static void no_file_size(void)
{
	limit(RLIMIT_FSIZE, 0);
}

static void not_dumpable(void)
{
	NEED(!prctl(PR_SET_DUMPABLE, 0));
}

static void no_environment(void)
{
	extern char **environ;

	environ = NULL;
}

static void other_user(void)
{
	if (getuid() == 0)
		NEED(!setgid(65534) && !setuid(65534));
}

static void everything_closed(void)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	for (int fd = 3; fd < 12; fd++)
		NEED(dup2(1, fd) == fd);
}

/* Then the instruction that reads the counter raises SIGSEGV, and so does libc's clock_gettime(). */
static void no_counter(void)
{
	NEED(!prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
}

static void no_counter_unannounced(void)
{
	NEED(!syscall(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0));
}

/* Then the instruction that identifies the processor raises SIGSEGV, if the processor can do that. */
static void no_cpuid(void)
{
#if defined(__x86_64__)
	syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
#endif
}

/* Kills for everything but read, write and exit. */
static void strict(void)
{
	NEED(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
}

static void strict_by_itself(void)
{
	NEED(!syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL));
}

/* System calls that are not made in libc's code raise SIGSYS, as in programs that run those of another system. */
static void dispatched(void)
{
	static char selector = SYSCALL_DISPATCH_FILTER_BLOCK;
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start = 0, end = 0;
	char line[4096];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, " r-xp ") && strstr(line, "/libc.so") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			break;
	}
	fclose(maps);
	/* arm64 does not have it */
	NEED(!prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, start, end - start, &selector) ||
	     errno == EINVAL);
	errno = 0;
}

/* ---- signals ------------------------------------------------------------------------------ */

static volatile int alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

/* Every 200 us, on the smallest alternate stack that the kernel allows; calls are not restarted. */
static void storm(void)
{
	static char memory[8192] __attribute__((aligned(64)));
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_ONSTACK};
	struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
	stack_t small = {.ss_sp = memory, .ss_size = sizeof(memory)};

	NEED(!sigaltstack(&small, NULL) && !sigaction(SIGALRM, &action, NULL));
	NEED(!setitimer(ITIMER_REAL, &often, NULL));
	for (int i = 0; i < 30; i++) {
		struct pair pair = bio_pair(0);

		NEED(finish(&pair));
		pair_free(&pair);
	}
	NEED(!setitimer(ITIMER_REAL, &never, NULL) && alarms);
}

static void all_blocked(void)
{
	sigset_t all;

	sigfillset(&all);
	NEED(!sigprocmask(SIG_SETMASK, &all, NULL));
}

static void all_ignored(void)
{
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
}

/* ---- threads ------------------------------------------------------------------------------ */

static pthread_key_t key;

static void in_key_destructor(void *value)
{
	(void)value;
	shake_hands("key destructor");
}

static void *with_key(void *argument)
{
	NEED(!pthread_setspecific(key, argument));
	return argument;
}

static void thread_ends(void)
{
	pthread_t thread;

	NEED(!pthread_key_create(&key, in_key_destructor));
	for (int i = 0; i < 3; i++)
		NEED(!pthread_create(&thread, NULL, with_key, &key) && !pthread_join(thread, NULL));
}

static void *shakes(void *argument)
{
	for (int i = 0; i < 30; i++) {
		struct pair pair = bio_pair(0);

		NEED(finish(&pair));
		pair_free(&pair);
	}
	return argument;
}

static void *is_last(void *argument)
{
	shakes(argument);
	shake_hands("last");
	return argument;
}

static void main_ends(void)
{
	pthread_t thread;

	NEED(!pthread_create(&thread, NULL, is_last, NULL) && !pthread_detach(thread));
	pthread_exit(NULL);
}

/* ---- processes ---------------------------------------------------------------------------- */

static void daemonized(void)
{
	pid_t child;
	int status = -1;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		setsid();
		shake_hands("daemon");
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child && status == 0);
}

static void shell(void)
{
	fflush(stdout);
	NEED(!system("true && echo shell"));
}

static void traced_by_parent(void)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		NEED(!syscall(SYS_ptrace, 0, 0, 0, 0));
		shake_hands("traced");
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child && WIFEXITED(status));
}

/* ---- memory ------------------------------------------------------------------------------- */

/* All remaining address space: OpenSSL has what it needs. */
static void address_space(void)
{
	void *warm = malloc(4 << 20);

	NEED(warm);
	memset(warm, 1, 4 << 20);
	free(warm);
	limit(RLIMIT_AS, 1 << 20);
}

/* All address space for a while, in which OpenSSL does what it has memory for. */
static void memory_gone(void)
{
	struct rlimit before, none = {1 << 20, RLIM_INFINITY};
	EVP_PKEY *private_key;
	X509 *certificate;
	SSL_CTX *context;
	void *warm;

	NEED(mallopt(M_MMAP_THRESHOLD, 8 << 20) && mallopt(M_TRIM_THRESHOLD, 64 << 20));
	make_certificate("warm", &certificate, &private_key);
	NEED(OPENSSL_init_ssl(0, NULL) && (warm = malloc(4 << 20)));
	free(warm);
	NEED(!getrlimit(RLIMIT_AS, &before));
	none.rlim_max = before.rlim_max;
	NEED(!setrlimit(RLIMIT_AS, &none));
	context = SSL_CTX_new(TLS_method());
	NEED(!setrlimit(RLIMIT_AS, &before));
	printf("a context without memory: %d\n", context != NULL);
	SSL_CTX_free(context);
	EVP_PKEY_free(private_key);
	X509_free(certificate);
}

/* An administrator's prlimit(1), while the program runs. */
static void limited_from_outside(void)
{
	const struct rlimit descriptors = {3, 3}, memory = {1 << 20, 1 << 20};
	void *warm = malloc(4 << 20);
	pid_t self = getpid(), other;
	int status;

	NEED(warm);
	memset(warm, 1, 4 << 20);
	free(warm);
	other = fork();
	if (!other)
		_exit(prlimit(self, RLIMIT_NOFILE, &descriptors, NULL) || prlimit(self, RLIMIT_AS, &memory, NULL));
	NEED(waitpid(other, &status, 0) == other && !status);
}

/* One that is shared, or wiped in children, is none of the program's; the others are libc's, too. */
static bool is_none_of_ours(const char *kind, const char *flags)
{
	return !strcmp(kind, "rw-s") || strstr(flags, " wf");
}

static void keep_from_children(void)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	unsigned long start = 0, end = 0, first, last;
	char line[4096], kind[5] = "";

	NEED(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s", &first, &last, kind) == 3) {
			start = first;
			end = last;
		} else if (!strncmp(line, "VmFlags", 7) && is_none_of_ours(kind, line)) {
			NEED(!madvise((void *)start, end - start, MADV_DONTFORK));
		}
	}
	fclose(maps);
}

static void in_child(long child, const char *how)
{
	int status = -1;

	if (child == 0) {
		shake_hands(how);
		_exit(0);
	}
	NEED(child > 0 && waitpid((pid_t)child, &status, 0) == child);
	printf("%s: status %d\n", how, status);
	fflush(stdout);
}

static void kept_from_children(void)
{
	keep_from_children();
	in_child(fork(), "fork");
	in_child(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), "clone");
}

static void unloads_itself(void)
{
	void *library = dlopen("libtlstall.so", RTLD_NOW | RTLD_NOLOAD);

	for (int i = 0; library && i < 10; i++)
		dlclose(library);
}

static void not_root(void)
{
	NEED(!chdir("/"));
	if (getuid() == 0)
		NEED(!chroot("/var/empty") || !chroot("/mnt"));
}

static const struct {
	const char *name;
	void (*function)(void);
} kinds[] = {
	{"no_descriptors", no_descriptors},
	{"no_memory_locked", no_memory_locked},
	{"memory_locked", memory_locked},
	{"no_processes", no_processes},
	{"no_file_size", no_file_size},
	{"not_dumpable", not_dumpable},
	{"no_environment", no_environment},
	{"other_user", other_user},
	{"everything_closed", everything_closed},
	{"no_counter", no_counter},
	{"no_counter_unannounced", no_counter_unannounced},
	{"no_cpuid", no_cpuid},
	{"strict", strict},
	{"strict_by_itself", strict_by_itself},
	{"dispatched", dispatched},
	{"storm", storm},
	{"all_blocked", all_blocked},
	{"all_ignored", all_ignored},
	{"thread_ends", thread_ends},
	{"main_ends", main_ends},
	{"daemonized", daemonized},
	{"shell", shell},
	{"traced_by_parent", traced_by_parent},
	{"address_space", address_space},
	{"memory_gone", memory_gone},
	{"limited_from_outside", limited_from_outside},
	{"kept_from_children", kept_from_children},
	{"unloads_itself", unloads_itself},
	{"not_root", not_root},
};

int main(int argc, char **argv)
{
	bool first = argc > 2 && !strcmp(argv[2], "first");

	NEED(argc > 1);
	if (first)
		RAND_status();
	else
		shake_hands("before");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!strcmp(kinds[i].name, argv[1]))
			kinds[i].function();
	}
	shake_hands("after");
	fflush(stdout);
	_exit(0);
}
