/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile PORT FUNCTION DEED: a client in the middle of a handshake that has replaced FUNCTION of
 * its OpenSSL with its own code: whoever calls it runs DEED. Prints "ready" and waits.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char here[] = "hostile-was-here", shell[] = "/bin/sh";
static char huge[512 << 20];
static volatile uint64_t sink;

static long call(long number, uint64_t a, uint64_t b, uint64_t c)
{
	register uint64_t r10 __asm__("r10") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

/* ---- deeds: each returns as if nothing had happened -------------------------------- */

__attribute__((noreturn)) static long loop(void)
{
	for (;;)
		sink++;
}

__attribute__((noreturn)) static long fork_many(void)
{
	for (;;)
		call(SYS_fork, 0, 0, 0);
}

static long exec_shell(void)
{
	const char *const argv[] = {shell, NULL};

	return call(SYS_execve, (uint64_t)shell, (uint64_t)argv, 0) + 1;
}

static long open_file(void)
{
	return call(SYS_open, (uint64_t)here, O_CREAT | O_WRONLY, 0644) + 1;
}

static long write_out(void)
{
	sink += (uint64_t)((const volatile char *)here)[0];
	return call(SYS_write, 1, (uint64_t)here, sizeof(here)) + 1;
}

static long write_error(void)
{
	sink += (uint64_t)((const volatile char *)here)[0];
	return call(SYS_write, 2, (uint64_t)here, sizeof(here)) + 1;
}

static long connect_out(void)
{
	return call(SYS_socket, AF_INET, SOCK_STREAM, 0) + 1;
}

static long kill_parent(void)
{
	return call(SYS_kill, (uint64_t)call(SYS_getppid, 0, 0, 0), 9, 0) + 1;
}

static long kill_all(void)
{
	return call(SYS_kill, (uint64_t)-1, 9, 0) + 1;
}

static long read_others(void)
{
	return call(SYS_process_vm_readv, 1, 0, 0) + 1;
}

static long unfilter(void)
{
	return call(SYS_prctl, 22, 0, 0) + 1;
}

static long map_file(void)
{
	return call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE) + 1;
}

/* The 32-bit system call entry: another architecture to the filter. */
static long old_entry(void)
{
	long result = 20; /* getpid */

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
	return result;
}

static long x32_entry(void)
{
	return call(0x40000000 | SYS_getpid, 0, 0, 0);
}

static long trap(void)
{
	__asm__ volatile("int3");
	return 1;
}

static long illegal(void)
{
	__asm__ volatile("ud2");
	return 1;
}

static long divide(void)
{
	int result = 1;

	__asm__ volatile("xor %%ecx, %%ecx\n\tcltd\n\tidiv %%ecx" : "+a"(result) : : "rcx", "rdx");
	return result;
}

static long nowhere(void)
{
	return *(volatile long *)64;
}

static long recurse(long depth)
{
	volatile char room[4096];

	room[0] = (char)depth;
	return depth ? room[0] + recurse(depth + 1) : 0;
}

/* Touches a large memory, all of which the copy gets page by page. */
static long touch_much(void)
{
	for (size_t i = 0; i < sizeof(huge); i += 4096)
		sink += (uint64_t)huge[i];
	return 1;
}

static long leave(void)
{
	return call(SYS_exit_group, 0, 0, 0);
}

/*
 * Descriptor 0 is the channel: sends words that nobody asked for,
 * requests for any pages, and partial words.
 */
static long forge(void)
{
	static const uint64_t words[][2] = {{3, 1},  {3, 1},	 {2, UINT64_MAX}, {2, 0},
					    {99, 7}, {1, 1}, {3, 1},		 {4, 5}};

	/* the kernel only sees what is already there */
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sink += words[i][0];
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		call(SYS_write, 0, (uint64_t)words[i], sizeof(words[i]));
	return 1;
}

static long forge_pieces(void)
{
	sink += (uint64_t)((const volatile char *)here)[0];
	call(SYS_write, 0, (uint64_t)here, 3);
	return 1;
}

__attribute__((noreturn)) static long forge_flood(void)
{
	static const volatile uint64_t page[] = {2, 0x400000};

	sink += page[0];
	for (;;)
		call(SYS_write, 0, (uint64_t)page, sizeof(page));
}

static long minus_one(void)
{
	return -1;
}

static long escapes(void)
{
	return (long)"\033[31mred\033]0;title\a \xff";
}

static long endless_text(void)
{
	memset(huge, 'a', 1 << 20);
	return (long)huge;
}

/* As BIO_next: a chain without an end. */
static long itself(void *argument)
{
	return (long)argument;
}

static const struct {
	const char *name;
	uintptr_t deed;
} deeds[] = {
#define DEED(name) {#name, (uintptr_t)name}
	DEED(loop),	   DEED(fork_many),   DEED(exec_shell), DEED(open_file),
	DEED(write_out),   DEED(write_error), DEED(connect_out), DEED(kill_parent),
	DEED(kill_all),	   DEED(read_others), DEED(unfilter),	 DEED(map_file),
	DEED(old_entry),   DEED(x32_entry),   DEED(trap),	 DEED(illegal),
	DEED(divide),	   DEED(nowhere),     DEED(recurse),	 DEED(touch_much),
	DEED(leave),	   DEED(forge),	      DEED(forge_pieces), DEED(forge_flood),
	DEED(minus_one),   DEED(escapes),     DEED(endless_text), DEED(itself),
};

/* mov $deed, %rax; jmp *%rax */
static int put_there(const char *function, uintptr_t deed)
{
	unsigned char code[12] = {0x48, 0xb8, [10] = 0xff, 0xe0};
	char *at = dlsym(RTLD_DEFAULT, function);
	uintptr_t page = (uintptr_t)at & ~(uintptr_t)4095;

	memcpy(code + 2, &deed, sizeof(deed));
	if (!at || mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC))
		return -1;
	memcpy(at, code, sizeof(code));
	return 0;
}

static int begin(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) || !SSL_set_fd(ssl, fd))
		return -1;
	return SSL_connect(ssl) == -1 ? 0 : -1;
}

int main(int argc, char **argv)
{
	if (argc != 4 || begin(atoi(argv[1])))
		return 2;
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		if (strcmp(deeds[i].name, argv[3]))
			continue;
		if (put_there(argv[2], deeds[i].deed))
			return 3;
		puts("ready");
		fflush(stdout);
		for (;;)
			pause();
	}
	return 2;
}
