/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL linked statically into the program or a library: no import table holds its functions. If
 * their names can be found, jumps at their entries lead to us, set once, before the program
 * begins. Either all functions of a copy are reached, or the copy is left alone. In a running
 * program the shim only prepares the jumps: the tool writes them while all threads are stopped.
 */
#include "reach_inside.h"

#include <string.h>

#include "directory.h"
#include "elf.h"
#include "libssl.h"
#include "members.h"
#include "patch.h"
#include "settings.h"
#include "state_names.h"
#include "symtab.h"
#include "tlstall/inside.h"
#include "wrappers.h"

TLSTALL_ASSERT(MEMBERS <= SYMTAB_NAMES);
TLSTALL_ASSERT((int)FN_INTERNAL <= PATCH_MAX);
TLSTALL_ASSERT(PATCH_MAX == TLSTALL_ATTACH_JUMPS);

/* ---- finding the functions ---------------------------------------------------------- */

struct embedded {
	const struct elf_object *object;
	struct symtab_function found[MEMBERS];
	uintptr_t code, code_end;
};

static const char *name_of(size_t i)
{
	return members[i].name;
}

/* The largest segment that is executable and readable, but not writable. */
static bool find_code(struct embedded *in)
{
	for (unsigned i = 0; i < in->object->phdr_count; i++) {
		const ElfW(Phdr) *phdr = &in->object->phdr[i];

		if (phdr->p_type != PT_LOAD || (phdr->p_flags & (PF_R | PF_W | PF_X)) != (PF_R | PF_X) ||
		    phdr->p_memsz <= in->code_end - in->code)
			continue;
		in->code = in->object->bias + phdr->p_vaddr;
		in->code_end = in->code + phdr->p_memsz;
	}
	return in->code_end - in->code >= TLSTALL_INSIDE_CODE;
}

static bool is_exported(const struct elf_object *object)
{
	return elf_entry(object, "SSL_connect") && elf_entry(object, TLSTALL_INSIDE_CRYPTO);
}

static void find_exported(struct embedded *in)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		const ElfW(Sym) *symbol = elf_entry(in->object, members[i].name);

		if (symbol)
			in->found[i] = (struct symtab_function){
				in->object->bias + symbol->st_value, symbol->st_size};
	}
}

/* libcrypto has the sign as well. */
static bool may_have_names(const struct elf_object *object)
{
	return !elf_entry(object, TLSTALL_INSIDE_CRYPTO) &&
	       elf_imports(object, TLSTALL_INSIDE_SIGN) && !elf_imports(object, "SSL_connect") &&
	       !elf_imports(object, "SSL_do_handshake");
}

static bool find_named(struct embedded *in)
{
	const char *path = *in->object->path ? in->object->path : "/proc/self/exe";

	return symtab_find(in->object, path, name_of, MEMBERS, in->found) &&
	       in->found[MEMBER_SSL_connect].address;
}

/* ---- functions that the linker left out because nothing calls them ------------------- */

static const char *presumed_version(int what)
{
	(void)what;
	return "OpenSSL (which version, the program does not say)";
}

static unsigned long presumed_number(void)
{
	return 0x30000000ul;
}

static unsigned long presumed_older(void)
{
	return 0x10101000ul;
}

static void fill_in(void *addresses[MEMBERS], size_t member, void *address)
{
	if (!addresses[member])
		addresses[member] = address;
}

/* Functions that only OpenSSL has, and no fork of it, then prove that this is OpenSSL. */
static void fill_gaps(void *addresses[MEMBERS])
{
	bool newer = addresses[MEMBER_SSL_CTX_new_ex];

	fill_in(addresses, MEMBER_SSL_state_string_long, (void *)state_names_of);
	if (!addresses[MEMBER_SSL_stateless] || !addresses[MEMBER_CRYPTO_get_mem_functions])
		return;
	fill_in(addresses, MEMBER_OpenSSL_version, (void *)presumed_version);
	fill_in(addresses, MEMBER_OpenSSL_version_num,
		newer ? (void *)presumed_number : (void *)presumed_older);
}

/* ---- redirecting the functions ------------------------------------------------------- */

/* Linkers fold identical functions: an address shared by two names is not redirected. */
static bool is_sound(const struct embedded *in, size_t i)
{
	uintptr_t address = in->found[i].address, size = in->found[i].size;

	if (address < in->code || size > in->code_end - in->code || !size ||
	    address > in->code_end - size)
		return false;
	for (size_t other = 0; other < MEMBERS; other++) {
		if (other != i && in->found[other].address == address)
			return false;
	}
	return true;
}

static bool list_functions(const struct embedded *in, struct patch *list, size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < MEMBERS; i++) {
		if (!members[i].interposed || !in->found[i].address)
			continue;
		if (!is_sound(in, i))
			return false;
		list[(*count)++] = (struct patch){
			.function = (uint8_t *)in->found[i].address,
			.size = in->found[i].size,
			.wrapper = wrapper_of(members[i].name, NULL),
		};
	}
	return true;
}

static void call_trampolines(const struct patch *list, size_t count, void *addresses[MEMBERS])
{
	for (size_t i = 0; i < MEMBERS; i++) {
		for (size_t j = 0; members[i].interposed && j < count; j++) {
			if (addresses[i] == list[j].function)
				addresses[i] = (void *)list[j].trampoline;
		}
	}
}

static void say(enum patch_result result)
{
	static const int reasons[] = {
		[PATCH_DONE] = REASON_NONE,
		[PATCH_NOT_HERE] = REASON_ARCHITECTURE,
		[PATCH_CODE] = REASON_CODE,
		[PATCH_PROTECTED] = REASON_PROTECTED,
		[PATCH_THREADS] = REASON_THREADS,
	};
	struct self self;
	bool shared;

	if (result == PATCH_DONE || directory_prepare(&shared))
		return;
	self_read(&self);
	directory_note(&self, reasons[result]);
}

/* Each is written in one stroke: it must not lie on two pages. */
static bool note_jumps(const struct entry *entries, size_t count, struct tlstall_attachment *to)
{
	for (size_t i = 0; i < count; i++) {
		struct tlstall_jump *jump = &to->jumps[i];
		uintptr_t at = (uintptr_t)entries[i].at, end = at + entries[i].jump_size - 1;

		if ((at ^ end) & ~(uintptr_t)4095)
			return false;
		*jump = (struct tlstall_jump){.address = at, .size = (uint32_t)entries[i].jump_size};
		memcpy(jump->original, entries[i].at, entries[i].jump_size);
		memcpy(jump->jump, entries[i].jump, entries[i].jump_size);
	}
	to->jump_count = (uint32_t)count;
	return true;
}

/* `to`: where jumps are noted for the tool; NULL: they are written here. */
static enum patch_result patch_copy(struct patch *list, size_t count,
				    const struct elf_object *object, struct tlstall_attachment *to)
{
	struct entry entries[PATCH_MAX];
	enum patch_result result;

	if (!to)
		return patch_functions(list, count, object->start, object->end);
	result = patch_prepare(list, count, object->start, object->end, entries);
	return result == PATCH_DONE && !note_jumps(entries, count, to) ? PATCH_CODE : result;
}

static enum patch_result reach(const struct embedded *in, struct tlstall_attachment *to)
{
	enum patch_result result = PATCH_CODE;
	struct patch list[PATCH_MAX];
	void *addresses[MEMBERS];
	size_t count;

	for (size_t i = 0; i < MEMBERS; i++)
		addresses[i] = (void *)in->found[i].address;
	fill_gaps(addresses);
	/* first: a call to a wrapper without a known copy would have nowhere to go */
	if (!libssl_learn_inside(in->object, addresses))
		return PATCH_DONE;
	if (list_functions(in, list, &count))
		result = patch_copy(list, count, in->object, to);
	if (result != PATCH_DONE)
		return result;
	call_trampolines(list, count, addresses);
	libssl_go_through(in->object, addresses);
	return result;
}

static bool find_functions(const struct elf_object *object, struct embedded *in)
{
	in->object = object;
	if (elf_is_own(object->start) || !find_code(in))
		return false;
	if (!is_exported(object))
		return may_have_names(object) && find_named(in);
	find_exported(in);
	return true;
}

static bool visit(const struct elf_object *object, void *context)
{
	struct embedded in = {0};

	(void)context;
	if (find_functions(object, &in))
		say(reach(&in, NULL));
	return false;
}

__attribute__((constructor)) static void reach_inside(void)
{
	settings_read();
	if ((settings.reach & REACH_INSIDE) && settings.directory[0] && elf_came_first())
		elf_each(visit, NULL);
}

struct attaching {
	struct tlstall_attachment *to;
	enum patch_result result;
};

/* The program itself: a library may be unloaded while it is patched. */
static bool visit_program(const struct elf_object *object, void *context)
{
	struct attaching *attaching = context;
	struct embedded in = {0};

	if (*object->path)
		return false;
	if (find_functions(object, &in))
		attaching->result = reach(&in, attaching->to);
	return true;
}

enum patch_result reach_inside_attach(struct tlstall_attachment *to)
{
	static struct attaching attaching;

	/* what the first time made, or failed to make, stays */
	if (!attaching.to) {
		attaching.to = to;
		elf_each(visit_program, &attaching);
	}
	return attaching.result;
}
