/* SPDX-License-Identifier: Apache-2.0 */
/* What `tlstall check` reads: ELF files made here byte by byte, the loader's cache, strings, search
 * paths. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/check.h"
#include "check/closure.h"
#include "check/ldcache.h"
#include "check/object.h"
#include "check/textscan.h"

/* ---- an ELF file of one page ------------------------------------------- */

enum { AT_DYNAMIC = 0x200, AT_SYMBOLS = 0x500, AT_STRINGS = 0x700, AT_HASH = 0xd00, SIZE = 0x1000 };

struct elf_file {
	uint8_t bytes[SIZE];
	unsigned phdrs, tags, symbols;
	size_t strings;
};

static Elf64_Ehdr *header(struct elf_file *file)
{
	return (Elf64_Ehdr *)file->bytes;
}

static Elf64_Phdr *phdr(struct elf_file *file, unsigned i)
{
	return (Elf64_Phdr *)(file->bytes + sizeof(Elf64_Ehdr)) + i;
}

static Elf64_Dyn *tag(struct elf_file *file, unsigned i)
{
	return (Elf64_Dyn *)(file->bytes + AT_DYNAMIC) + i;
}

static void add_phdr(struct elf_file *file, unsigned type, size_t offset, size_t size)
{
	*phdr(file, file->phdrs++) = (Elf64_Phdr){.p_type = type,
						  .p_flags = PF_R,
						  .p_offset = offset,
						  .p_vaddr = offset,
						  .p_filesz = size,
						  .p_memsz = size};
	header(file)->e_phnum = (Elf64_Half)file->phdrs;
}

static size_t add_string(struct elf_file *file, const char *text)
{
	size_t at = file->strings;

	assert_true(AT_STRINGS + at + strlen(text) + 1 < AT_HASH);
	strcpy((char *)file->bytes + AT_STRINGS + at, text);
	file->strings += strlen(text) + 1;
	return at;
}

static void add_tag(struct elf_file *file, Elf64_Sxword which, uint64_t value)
{
	*tag(file, file->tags++) = (Elf64_Dyn){.d_tag = which, .d_un.d_val = value};
}

static void add_text_tag(struct elf_file *file, Elf64_Sxword which, const char *text)
{
	add_tag(file, which, add_string(file, text));
}

static void add_symbol(struct elf_file *file, const char *name, bool defined)
{
	Elf64_Sym *symbol = (Elf64_Sym *)(file->bytes + AT_SYMBOLS) + ++file->symbols;
	uint32_t *hash = (uint32_t *)(file->bytes + AT_HASH);

	*symbol = (Elf64_Sym){.st_name = (Elf64_Word)add_string(file, name),
			      .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			      .st_shndx = defined ? 1 : SHN_UNDEF};
	hash[1] = file->symbols + 1;
}

/* Starts one that is like a program of this machine; NULL interpreter: a library. */
static struct elf_file *make(const char *interpreter)
{
	struct elf_file *file = calloc(1, sizeof(*file));
	Elf64_Ehdr *ehdr = header(file);
#ifdef __aarch64__
	int machine = EM_AARCH64;
#else
	int machine = EM_X86_64;
#endif

	memcpy(ehdr->e_ident, ELFMAG, SELFMAG);
	ehdr->e_ident[EI_CLASS] = ELFCLASS64;
	ehdr->e_ident[EI_DATA] = ELFDATA2LSB;
	ehdr->e_ident[EI_VERSION] = EV_CURRENT;
	ehdr->e_type = ET_DYN;
	ehdr->e_machine = (Elf64_Half)machine;
	ehdr->e_version = EV_CURRENT;
	ehdr->e_phoff = ehdr->e_ehsize = sizeof(*ehdr);
	ehdr->e_phentsize = sizeof(Elf64_Phdr);
	file->strings = 1;
	((uint32_t *)(file->bytes + AT_HASH))[0] = 1;
	((uint32_t *)(file->bytes + AT_HASH))[1] = 1;
	add_phdr(file, PT_LOAD, 0, SIZE);
	add_phdr(file, PT_DYNAMIC, AT_DYNAMIC, AT_SYMBOLS - AT_DYNAMIC);
	add_tag(file, DT_STRTAB, AT_STRINGS);
	add_tag(file, DT_STRSZ, AT_HASH - AT_STRINGS);
	add_tag(file, DT_SYMTAB, AT_SYMBOLS);
	add_tag(file, DT_HASH, AT_HASH);
	if (interpreter)
		add_phdr(file, PT_INTERP, AT_STRINGS + add_string(file, interpreter),
			 strlen(interpreter) + 1);
	return file;
}

#define LOADER "/lib64/ld-linux-x86-64.so.2"

static struct elf_file *make_program(const char *needed)
{
	struct elf_file *file = make(LOADER);

	if (needed)
		add_text_tag(file, DT_NEEDED, needed);
	return file;
}

static struct elf_file *make_library(const char *soname)
{
	struct elf_file *file = make(NULL);

	add_text_tag(file, DT_SONAME, soname);
	return file;
}

/* A directory of such files. */
struct place {
	char directory[64];
};

static char *path_in(const struct place *place, const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *to = path[next++ % 4];

	snprintf(to, sizeof(path[0]), "%s/%s", place->directory, name);
	return to;
}

static const char *save_bytes(const struct place *place, const char *name, const void *bytes,
			      size_t size)
{
	const char *path = path_in(place, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	return path;
}

static const char *save(const struct place *place, const char *name, struct elf_file *file)
{
	const char *path = save_bytes(place, name, file->bytes, SIZE);

	free(file);
	return path;
}

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcpy(place->directory, "/tmp/tlstall-check-XXXXXX");
	*state = place;
	return mkdtemp(place->directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct place *place = *state;
	char command[128];
	int status;

	snprintf(command, sizeof(command), "rm -rf %s", place->directory);
	status = system(command);
	free(place);
	return status;
}

/* ---- reading one file --------------------------------------------------- */

static void test_object(void **state)
{
	struct elf_file *file = make_program("libone.so");
	struct object object;
	(void)state;

	add_text_tag(file, DT_NEEDED, "libtwo.so");
	add_text_tag(file, DT_RUNPATH, "$ORIGIN/lib");
	add_text_tag(file, DT_RPATH, "/old");
	add_symbol(file, "SSL_connect", false);
	add_symbol(file, "SSL_connect_not", false);
	add_symbol(file, "SSL_read", true);
	add_symbol(file, "dlsym", false);
	assert_int_equal(object_read_bytes(file->bytes, SIZE, &object), 0);
	assert_int_equal(object.needed_count, 2);
	assert_string_equal(object.needed[0], "libone.so");
	assert_string_equal(object.needed[1], "libtwo.so");
	assert_string_equal(object.runpath, "$ORIGIN/lib");
	assert_string_equal(object.rpath, "/old");
	assert_string_equal(object.interpreter, LOADER);
	assert_null(object.soname);
	assert_int_equal(object.imports, OBJECT_BIT(SSL_connect) | OBJECT_BIT(dlsym));
	assert_int_equal(object.exports, OBJECT_BIT(SSL_read));
	object_free(&object);
	free(file);
}

static void test_not_elf(void **state)
{
	struct object object;
	(void)state;

	assert_int_equal(object_read_bytes("", 0, &object), -ENOEXEC);
	assert_int_equal(object_read_bytes("hello, world", 12, &object), -ENOEXEC);
	assert_int_equal(object_read_bytes("!<arch>\n", 8, &object), -ENOEXEC);
}

/* Of every length: an error or an answer, and no byte read behind the end. */
static void test_truncated(void **state)
{
	struct elf_file *file = make_program("libone.so");
	struct object object;
	unsigned good = 0;
	(void)state;

	add_symbol(file, "SSL_connect", false);
	for (size_t size = 0; size < SIZE; size++) {
		uint8_t *copy = malloc(size + 1);
		int ret;

		memcpy(copy, file->bytes, size);
		ret = object_read_bytes(copy, size, &object);
		assert_true(ret == 0 || ret == -ENOEXEC || ret == -EBADMSG);
		good += ret == 0;
		if (size < AT_HASH)
			assert_true(ret < 0);
		object_free(&object);
		free(copy);
	}
	assert_true(good > 0);
	free(file);
}

/* Counts, offsets and sizes that lie. */
static void test_hostile(void **state)
{
	static const uint64_t values[] = {
		0,	  1,   0x7fffffff, 0xffffffff, 0x7fffffffffffffff, 0xffffffffffffffff,
		SIZE - 1, SIZE};
	(void)state;

	for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++) {
		for (unsigned what = 0; what < 12; what++) {
			struct elf_file *file = make_program("libone.so");
			uint32_t *hash = (uint32_t *)(file->bytes + AT_HASH);
			struct object object;

			add_symbol(file, "SSL_connect", false);
			if (what < 4)
				tag(file, what)->d_un.d_val = values[v];
			else if (what == 4)
				hash[1] = (uint32_t)values[v];
			else if (what == 5)
				header(file)->e_phnum = (Elf64_Half)values[v];
			else if (what == 6)
				header(file)->e_phoff = values[v];
			else if (what == 7)
				phdr(file, 0)->p_filesz = values[v];
			else if (what == 8)
				phdr(file, 1)->p_filesz = values[v];
			else if (what == 9)
				phdr(file, 2)->p_filesz = values[v];
			else if (what == 10)
				phdr(file, 1)->p_offset = values[v];
			else
				tag(file, 4)->d_un.d_val = values[v];
			if (object_read_bytes(file->bytes, SIZE, &object) == 0)
				assert_true(object.needed_count <= 1);
			object_free(&object);
			free(file);
		}
	}
}

/* A GNU hash table that exports nothing says nothing of the imports. */
static void test_gnu_hash(void **state)
{
	struct elf_file *file = make_program(NULL);
	uint32_t *hash = (uint32_t *)(file->bytes + AT_HASH);
	struct object object;
	(void)state;

	add_symbol(file, "SSL_do_handshake", false);
	add_symbol(file, "SSL_accept", true);
	tag(file, 3)->d_tag = DT_GNU_HASH;
	memcpy(hash, (uint32_t[]){1, 2, 1, 0, 0, 0, 2, 1}, 32);
	assert_int_equal(object_read_bytes(file->bytes, SIZE, &object), 0);
	assert_int_equal(object.imports, OBJECT_BIT(SSL_do_handshake));
	assert_int_equal(object.exports, OBJECT_BIT(SSL_accept));
	object_free(&object);
	memcpy(hash, (uint32_t[]){1, 1, 1, 0, 0, 0, 0, 0}, 32);
	assert_int_equal(object_read_bytes(file->bytes, SIZE, &object), 0);
	assert_int_equal(object.imports, OBJECT_BIT(SSL_do_handshake));
	object_free(&object);
	free(file);
}

/* ---- the loader's cache ------------------------------------------------- */

struct cache_entry {
	int32_t flags;
	uint32_t key, value, version;
	uint64_t hwcap;
};

static size_t make_cache(uint8_t *bytes, size_t base)
{
	static const char strings[] = "libx.so\0/a/libx.so\0/b/libx.so";
	uint32_t at = (uint32_t)(48 + 2 * sizeof(struct cache_entry));
	struct cache_entry entries[2] = {{3, at, at + 8, 0, 1ull << 62}, {3, at, at + 19, 0, 0}};
	uint32_t counts[2] = {2, sizeof(strings)};

	memcpy(bytes + base, "glibc-ld.so.cache1.1", 20);
	memcpy(bytes + base + 20, counts, 8);
	memcpy(bytes + base + 48, entries, sizeof(entries));
	memcpy(bytes + base + at, strings, sizeof(strings));
	return base + at + sizeof(strings);
}

static void test_cache(void **state)
{
	uint8_t bytes[256] = {0};
	struct ldcache cache;
	(void)state;

	assert_int_equal(ldcache_parse(bytes, make_cache(bytes, 0), &cache), 0);
	assert_string_equal(ldcache_find(&cache, "libx.so", 0), "/b/libx.so");
	assert_string_equal(ldcache_find(&cache, "libx.so", 1), "/a/libx.so");
	assert_null(ldcache_find(&cache, "libx.so", 2));
	assert_null(ldcache_find(&cache, "liby.so", 0));
	ldcache_free(&cache);
}

static void test_cache_behind_an_old_one(void **state)
{
	uint8_t bytes[256] = "ld.so-1.7.0";
	struct ldcache cache;
	uint32_t count = 1;
	(void)state;

	memcpy(bytes + 12, &count, 4);
	assert_int_equal(ldcache_parse(bytes, make_cache(bytes, 32), &cache), 0);
	assert_string_equal(ldcache_find(&cache, "libx.so", 0), "/b/libx.so");
	ldcache_free(&cache);
}

static void test_damaged_cache(void **state)
{
	uint8_t bytes[256] = {0};
	size_t full = make_cache(bytes, 0);
	struct ldcache cache;
	uint32_t huge = 0xffffffff;
	(void)state;

	for (size_t size = 0; size < full; size++) {
		if (ldcache_parse(bytes, size, &cache) == 0)
			ldcache_find(&cache, "libx.so", 5);
		else
			assert_true(size < 96);
		ldcache_free(&cache);
	}
	memcpy(bytes + 48 + 4, &huge, 4);
	assert_int_equal(ldcache_parse(bytes, full, &cache), 0);
	assert_null(ldcache_find(&cache, "libx.so", 1));
	ldcache_free(&cache);
	memcpy(bytes + 20, &huge, 4);
	assert_int_equal(ldcache_parse(bytes, full, &cache), -EBADMSG);
}

/* The cache of this machine, against what the loader itself would say. */
static void test_cache_of_this_machine(void **state)
{
	int fd = open("/etc/ld.so.cache", O_RDONLY);
	struct ldcache cache;
	(void)state;

	if (fd < 0)
		skip();
	assert_int_equal(ldcache_read(fd, &cache), 0);
	close(fd);
	assert_non_null(ldcache_find(&cache, "libc.so.6", 0));
	assert_int_equal(access(ldcache_find(&cache, "libc.so.6", 0), R_OK), 0);
	ldcache_free(&cache);
}

/* ---- strings ------------------------------------------------------------ */

static uint32_t found_in(const char *text, size_t size, char version[48])
{
	struct textscan scan = {.bytes_left = size};

	textscan_bytes(text, size, &scan);
	if (version)
		strcpy(version, scan.openssl);
	return scan.found;
}

#define FOUND(text) found_in(text, sizeof(text), NULL)

static void test_strings(void **state)
{
	char version[48];
	(void)state;

	assert_int_equal(FOUND("nothing of the kind in here"), 0);
	assert_int_equal(FOUND("\0SSL_connect"), TEXT_BIT(SSL_CONNECT));
	assert_int_equal(FOUND("SSL_connect failed"), 0);
	assert_int_equal(FOUND("wolfSSL_connect"), 0);
	assert_int_equal(FOUND("../ssl/statem/statem.c"), TEXT_BIT(LIBSSL_SOURCE));
	assert_int_equal(FOUND("x\0crypto/tls.(*Conn).Read"), TEXT_BIT(GO_TLS));
	assert_int_equal(FOUND("OpenSSL is great"), 0);
	assert_int_equal(FOUND("OpenSSL 3.0"), 0);
	found_in("OpenSSL 3.0.15+quic 3 Sep 2024", 31, version);
	assert_string_equal(version, "OpenSSL 3.0.15+quic 3 Sep 2024");
}

/* Wherever it lies, at the ends of the blocks that are read included. */
static void test_strings_in_a_file(void **state)
{
	struct object object = {.constant_count = 1, .constants[0] = {0, 600 << 10}};
	char *text = calloc(1, 600 << 10);
	static const size_t middles[] = {20, 256 << 10, (256 << 10) + 64, 512 << 10,
					 (600 << 10) - 40};

	for (size_t m = 0; m < sizeof(middles) / sizeof(*middles); m++) {
		for (size_t at = middles[m] - 20; at < middles[m] + 20; at++) {
			struct textscan scan = {.bytes_left = 1 << 20};
			int fd;

			memset(text, 0, 600 << 10);
			strcpy(text + at, "SSL_accept");
			fd = open(save_bytes(*state, "text", text, 600 << 10), O_RDONLY);
			textscan_file(fd, &object, &scan);
			close(fd);
			assert_int_equal(scan.found, TEXT_BIT(SSL_ACCEPT));
		}
	}
	free(text);
}

/* ---- what a program needs ------------------------------------------------ */

static void load(struct closure *closure, const char *path, const char *library_path)
{
	int fd = open(path, O_RDONLY);

	*closure = (struct closure){.root = ROOT_OURS, .library_path = library_path};
	assert_int_equal(closure_add(closure, fd, path), 0);
	close(fd);
}

/* Where `name` was found, below the place; NULL: not found. */
static const char *where(const struct closure *closure, const struct place *place, const char *name)
{
	for (size_t i = 0; i < closure->count; i++)
		if (!strcmp(closure->list[i].name, name) && closure->list[i].path)
			return closure->list[i].path + strlen(place->directory) + 1;
	return NULL;
}

static void make_directories(const struct place *place)
{
	mkdir(path_in(place, "one"), 0755);
	mkdir(path_in(place, "two"), 0755);
	save(place, "one/libtlstalltest.so", make_library("libtlstalltest.so"));
	save(place, "two/libtlstalltest.so", make_library("libtlstalltest.so"));
}

static void test_search_order(void **state)
{
	struct elf_file *file;
	struct closure closure;

	make_directories(*state);
	load(&closure, save(*state, "plain", make_program("libtlstalltest.so")), NULL);
	assert_null(where(&closure, *state, "libtlstalltest.so"));
	assert_int_equal(closure.count, 2);
	closure_free(&closure);

	file = make_program("libtlstalltest.so");
	add_text_tag(file, DT_RUNPATH, "/nonexistent:${ORIGIN}/one");
	load(&closure, save(*state, "runpath", file), NULL);
	assert_string_equal(where(&closure, *state, "libtlstalltest.so"), "one/libtlstalltest.so");
	closure_free(&closure);
	load(&closure, path_in(*state, "runpath"), path_in(*state, "two"));
	assert_string_equal(where(&closure, *state, "libtlstalltest.so"), "two/libtlstalltest.so");
	closure_free(&closure);

	file = make_program("libtlstalltest.so");
	add_text_tag(file, DT_RPATH, "$ORIGIN/one");
	load(&closure, save(*state, "rpath", file), path_in(*state, "two"));
	assert_string_equal(where(&closure, *state, "libtlstalltest.so"), "one/libtlstalltest.so");
	closure_free(&closure);
}

/* A library of another machine is passed over, as the loader does. */
static void test_other_machines_library(void **state)
{
	struct elf_file *file = make_library("libtlstalltest.so");
	struct closure closure;
	char list[256];

	make_directories(*state);
	header(file)->e_machine = EM_MIPS;
	save(*state, "one/libtlstalltest.so", file);
	snprintf(list, sizeof(list), "%s:%s", path_in(*state, "one"), path_in(*state, "two"));
	load(&closure, save(*state, "program", make_program("libtlstalltest.so")), list);
	assert_string_equal(where(&closure, *state, "libtlstalltest.so"), "two/libtlstalltest.so");
	closure_free(&closure);
}

/* Libraries that need one another, and themselves. */
static void test_circle(void **state)
{
	struct elf_file *file = make_library("libone.so");
	struct closure closure;

	add_text_tag(file, DT_NEEDED, "libone.so");
	add_text_tag(file, DT_NEEDED, "libtwo.so");
	save(*state, "libone.so", file);
	file = make_library("libtwo.so");
	add_text_tag(file, DT_NEEDED, "libone.so");
	save(*state, "libtwo.so", file);
	load(&closure, save(*state, "program", make_program("libone.so")), path_in(*state, ""));
	assert_int_equal(closure.count, 3);
	closure_free(&closure);
}

static bool has_path(const struct closure *closure, const char *path)
{
	struct stat one, other;

	for (size_t i = 1; i < closure->count; i++)
		if (closure->list[i].path && stat(closure->list[i].path, &one) == 0 &&
		    stat(path, &other) == 0 && one.st_ino == other.st_ino)
			return true;
	return false;
}

/* The loader's own list of what a program needs; returns how many libraries it names. */
static size_t compare_with_loader(const char *program)
{
	struct closure closure;
	char line[512], path[512];
	size_t named = 0;
	FILE *loader;

	load(&closure, program, NULL);
	snprintf(line, sizeof(line), "LD_TRACE_LOADED_OBJECTS=1 exec %s", program);
	loader = popen(line, "r");
	while (loader && fgets(line, sizeof(line), loader)) {
		if (sscanf(line, "%*s => %511s", path) != 1)
			continue;
		named++;
		if (!has_path(&closure, path))
			fail_msg("%s: the loader loads %s", program, path);
	}
	assert_int_equal(pclose(loader), 0);
	for (size_t i = 1; i < closure.count; i++) {
		assert_non_null(closure.list[i].path);
		named -= !!strncmp(library_name(&closure.list[i]), "ld-linux", 8);
	}
	closure_free(&closure);
	return named;
}

static void test_as_the_loader_does(void **state)
{
	static const char *const programs[] = {"/usr/bin/curl", "/usr/sbin/nginx",
					       "/usr/bin/gdb",	"/usr/bin/ruby",
					       "/usr/bin/php",	"/usr/bin/openssl"};
	unsigned compared = 0;
	(void)state;

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		if (access(programs[i], X_OK) != 0)
			continue;
		/* Neither more nor fewer. */
		assert_int_equal(compare_with_loader(programs[i]), 0);
		compared++;
	}
	assert_true(compared > 0);
}

/* ---- answers ------------------------------------------------------------- */

static bool has(const struct check_findings *findings, int kind)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->list[i].kind == kind)
			return true;
	return false;
}

static struct check_result ask(const struct place *place, const char *program, int expected)
{
	struct check_options options = {.library_path = place->directory, .path = place->directory};
	struct check_result result;

	assert_int_equal(check_program(program, &options, &result), expected);
	assert_true(expected ? result.error != NULL : result.error == NULL);
	return result;
}

static void save_libssl(const struct place *place, const char *soname)
{
	struct elf_file *file = make_library(soname);

	add_symbol(file, "SSL_connect", true);
	save(place, soname, file);
}

static void test_direct(void **state)
{
	struct elf_file *file = make_program("libssl.so.3");
	struct check_result result;
	char line[256], *libssl;

	save_libssl(*state, "libssl.so.3");
	add_symbol(file, "SSL_connect", false);
	save(*state, "program", file);
	result = ask(*state, "program", 0);
	libssl = path_in(*state, "libssl.so.3");
	assert_true(result.seen);
	assert_true(has(&result.ways, CHECK_WAY_DIRECT));
	assert_string_equal(result.libssl, libssl);
	assert_string_equal(check_summary(&result, line, sizeof(line)),
			    "program: seen: calls SSL_connect of libssl.so.3");
	check_result_free(&result);
}

static void test_transitive(void **state)
{
	struct elf_file *file = make_library("libmiddle.so");
	struct check_result result;

	save_libssl(*state, "libssl.so.1.1");
	add_text_tag(file, DT_NEEDED, "libssl.so.1.1");
	add_symbol(file, "SSL_do_handshake", false);
	save(*state, "libmiddle.so", file);
	save(*state, "program", make_program("libmiddle.so"));
	result = ask(*state, "program", 0);
	assert_true(result.seen);
	assert_true(has(&result.ways, CHECK_WAY_TRANSITIVE));
	assert_false(has(&result.ways, CHECK_WAY_DIRECT));
	check_result_free(&result);
}

/* One row: what the program needs, calls, says, and the answer. */
static void test_not_seen(void **state)
{
	static const struct {
		const char *needed, *soname, *import, *text;
		enum check_reason reason;
	} rows[] = {
		{NULL, NULL, NULL, "", CHECK_REASON_NO_TLS},
		{"libssl.so.1.0.2", "libssl.so.1.0.2", "SSL_connect", "", CHECK_REASON_OTHER_TLS},
		{"libssl.so.52", "libssl.so.52", "SSL_connect", "", CHECK_REASON_OTHER_TLS},
		{"libgnutls-openssl.so.27", "libgnutls-openssl.so.27", "SSL_connect", "",
		 CHECK_REASON_OTHER_TLS},
		{"libgnutls.so.30", "libgnutls.so.30", NULL, "", CHECK_REASON_OTHER_TLS},
		{NULL, NULL, NULL, "ssl/statem/statem.c", CHECK_REASON_STATIC_OPENSSL},
		{NULL, NULL, NULL, "boringssl/src/ssl", CHECK_REASON_OTHER_TLS},
		{NULL, NULL, NULL, "/rustls/src/conn.rs", CHECK_REASON_OTHER_TLS},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct elf_file *file = make_program(rows[i].needed);
		struct check_result result;

		if (rows[i].soname)
			save_libssl(*state, rows[i].soname);
		if (rows[i].import)
			add_symbol(file, rows[i].import, false);
		strcpy((char *)file->bytes + AT_HASH + 64, rows[i].text);
		save(*state, "program", file);
		result = ask(*state, "program", 0);
		assert_false(result.seen);
		assert_true(has(&result.reasons, (int)rows[i].reason));
		assert_int_equal(result.reasons.count, 1);
		check_result_free(&result);
	}
}

static void test_dlsym(void **state)
{
	struct elf_file *file = make_program(NULL);
	struct check_result result;

	strcpy((char *)file->bytes + AT_HASH + 64, "SSL_connect");
	save(*state, "program", file);
	result = ask(*state, "program", 0);
	assert_true(has(&result.reasons, CHECK_REASON_NO_TLS));
	check_result_free(&result);

	file = make_program(NULL);
	strcpy((char *)file->bytes + AT_HASH + 64, "SSL_connect");
	add_symbol(file, "dlsym", false);
	save(*state, "program", file);
	result = ask(*state, "program", 0);
	assert_true(result.seen);
	assert_true(has(&result.ways, CHECK_WAY_DLSYM));
	check_result_free(&result);
}

/* Whatever the program does, these keep the shim out. */
static void test_obstacles(void **state)
{
	static const enum check_reason reasons[] = {CHECK_REASON_MUSL, CHECK_REASON_OTHER_LIBC,
						    CHECK_REASON_ARCHITECTURE};

	save_libssl(*state, "libssl.so.3");
	for (size_t i = 0; i < 3; i++) {
		struct elf_file *file = make(i == 0   ? "/lib/ld-musl-x86_64.so.1"
					     : i == 1 ? "/system/bin/linker64"
						      : LOADER);
		struct check_result result;

		add_text_tag(file, DT_NEEDED, "libssl.so.3");
		add_symbol(file, "SSL_connect", false);
		if (i == 2)
			header(file)->e_machine = EM_RISCV;
		save(*state, "program", file);
		result = ask(*state, "program", 0);
		assert_false(result.seen);
		assert_true(has(&result.reasons, (int)reasons[i]));
		check_result_free(&result);
	}
}

static void test_errors(void **state)
{
	struct check_result result;
	char loop[256];

	result = ask(*state, "nosuch", -ENOENT);
	assert_non_null(strstr(result.error, "nosuch"));
	check_result_free(&result);
	result = ask(*state, "", -ENOENT);
	check_result_free(&result);
	result = ask(*state, "/", -EISDIR);
	check_result_free(&result);
	result = ask(*state, "/dev/null", -EINVAL);
	check_result_free(&result);
	save_bytes(*state, "empty", "", 0);
	result = ask(*state, "empty", -ENOEXEC);
	assert_non_null(strstr(result.error, "empty"));
	check_result_free(&result);
	save_bytes(*state, "text", "hello\n", 6);
	result = ask(*state, "text", -ENOEXEC);
	check_result_free(&result);
	save_bytes(*state, "cut", "\177ELF\2\1\1", 7);
	result = ask(*state, "cut", -EBADMSG);
	check_result_free(&result);
	save(*state, "libx.so", make_library("libx.so"));
	result = ask(*state, "libx.so", -ENOEXEC);
	assert_non_null(strstr(result.error, "shared library"));
	check_result_free(&result);
	snprintf(loop, sizeof(loop), "#!%s\n", path_in(*state, "loop"));
	save_bytes(*state, "loop", loop, strlen(loop));
	result = ask(*state, "loop", -ELOOP);
	check_result_free(&result);
}

/* A name in a file cannot play with the terminal that it is printed on. */
static void test_names_are_tamed(void **state)
{
	struct check_result result;

	save(*state, "program", make_program("lib\033[2Jx.so"));
	result = ask(*state, "program", 0);
	assert_int_equal(result.notes.count, 1);
	assert_null(strchr(result.notes.list[0].text, '\033'));
	assert_non_null(strstr(result.notes.list[0].text, "lib?[2Jx.so"));
	check_result_free(&result);
}

static void test_scripts(void **state)
{
	static const char *const lines[] = {"#!/usr/bin/env program\n",
					    "#! /usr/bin/env -S program -x\n",
					    "#!/usr/bin/env A=b program", "#!program"};
	struct check_result result;
	char *program;

	save(*state, "program", make_program(NULL));
	for (size_t i = 0; i < 4; i++) {
		save_bytes(*state, "script", lines[i], strlen(lines[i]));
		result = ask(*state, "script", 0);
		program = path_in(*state, "program");
		assert_string_equal(result.program, program);
		assert_string_equal(result.target, "script");
		check_result_free(&result);
	}
	save_bytes(*state, "script", "#!\n", 3);
	result = ask(*state, "script", -ENOEXEC);
	check_result_free(&result);
	save_bytes(*state, "script", "#!/usr/bin/env nosuch\n", 22);
	result = ask(*state, "script", -ENOENT);
	check_result_free(&result);
}

static void test_this_process(void **state)
{
	struct check_result result;
	(void)state;

	assert_int_equal(check_pid(getpid(), NULL, &result), 0);
	assert_int_equal(result.pid, getpid());
	assert_false(result.seen);
	assert_non_null(strstr(result.program, "test_check"));
	assert_true(has(&result.reasons, CHECK_REASON_NOT_PRELOADED));
	check_result_free(&result);
	assert_int_equal(check_pid(0, NULL, &result), -ESRCH);
	check_result_free(&result);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_object),
		TEST(test_not_elf),
		TEST(test_truncated),
		TEST(test_hostile),
		TEST(test_gnu_hash),
		TEST(test_cache),
		TEST(test_cache_behind_an_old_one),
		TEST(test_damaged_cache),
		TEST(test_cache_of_this_machine),
		TEST(test_strings),
		TEST(test_strings_in_a_file),
		TEST(test_search_order),
		TEST(test_other_machines_library),
		TEST(test_circle),
		TEST(test_as_the_loader_does),
		TEST(test_direct),
		TEST(test_transitive),
		TEST(test_not_seen),
		TEST(test_dlsym),
		TEST(test_obstacles),
		TEST(test_errors),
		TEST(test_names_are_tamed),
		TEST(test_scripts),
		TEST(test_this_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
