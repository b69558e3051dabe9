/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaches to a running program and detaches again. A thread made by the tool calls
 * the two functions while the program's threads keep running. Nothing is left behind
 * that leads to us: import tables are restored, SIGBUS is the program's again, the
 * trace file is unmapped. The library itself stays loaded, because a thread may be
 * inside it for as long as its peer is silent. Jumps into OpenSSL inside the program are
 * written by the tool after the first call, and removed before the second.
 */
#include "tlstall/attach.h"

#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "adopt.h"
#include "directory.h"
#include "elf.h"
#include "guard.h"
#include "hook.h"
#include "libssl.h"
#include "mapping.h"
#include "masks.h"
#include "reach_got.h"
#include "reach_inside.h"
#include "reach_undo.h"
#include "settings.h"
#include "stack.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT uint64_t tlstall_attach(const struct tlstall_attach *wanted);
EXPORT uint64_t tlstall_detach(const struct tlstall_attach *wanted);
EXPORT struct tlstall_attachment tlstall_attachment = {.version = TLSTALL_ATTACH_VERSION};

/*
 * Functions other than OpenSSL's that the shim interposes: dlsym leads to plugins that are loaded
 * later, and the signal functions hide our SIGBUS handler.
 */
#define SIGNAL_FUNCTION(name, result, arguments) result name arguments;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include "signals.def"

static struct reach_other others[] = {
	{"dlsym", NULL, (void *)dlsym},
	{"dlvsym", NULL, (void *)dlvsym},
	{"prctl", NULL, (void *)prctl},
	{"madvise", NULL, (void *)madvise},
#define SIGNAL_FUNCTION(name, result, arguments) {#name, NULL, (void *)name},
#include "signals.def"
#define MASK_FUNCTION(name, result, arguments) {#name, NULL, (void *)mask_##name},
#include "masks.def"
	{NULL, NULL, NULL},
};
#pragma GCC diagnostic pop

static void find_others(void)
{
	for (struct reach_other *other = others; other->name; other++)
		other->real = elf_find(other->name);
}

static void step_back(void)
{
	reach_detach();
	adopt_forget();
	mapping_let_go();
	signals_give_back();
	hook_let_go(true);
	tlstall_attachment.slots = 0;
}

/* First the one inside, which would be taken for a shared one if it exports its functions. */
static enum tlstall_attach_result find_copies(void)
{
	enum patch_result result = reach_inside_attach(&tlstall_attachment);

	if (!libssl_any())
		return TLSTALL_ATTACH_NO_LIBSSL;
	if (result == PATCH_DONE || __atomic_load_n(&libssl_copies[1], __ATOMIC_ACQUIRE))
		return TLSTALL_ATTACH_DONE;
	return result == PATCH_CODE ? TLSTALL_ATTACH_CODE : TLSTALL_ATTACH_PROTECTED;
}

static enum tlstall_attach_result come_in(const struct tlstall_attach *wanted)
{
	enum tlstall_attach_result result = find_copies();

	if (result != TLSTALL_ATTACH_DONE)
		return result;
	directory_forget();
	if (!mapping_attach(wanted->mode))
		return TLSTALL_ATTACH_NO_TRACE;
	hook_let_go(false);
	stack_prepare();
	find_others();
	adopt_take(wanted);
	if (reach_attach(others))
		return TLSTALL_ATTACH_DONE;
	step_back();
	return TLSTALL_ATTACH_BUSY;
}

uint64_t tlstall_attach(const struct tlstall_attach *wanted)
{
	enum tlstall_attach_result result;

	if (wanted->version != TLSTALL_ATTACH_VERSION)
		return TLSTALL_ATTACH_VERSION_DIFFERS;
	if (tlstall_attachment.state == TLSTALL_ATTACHED)
		return TLSTALL_ATTACH_ALREADY;
	/* a preloaded shim is already in the import tables */
	if (tlstall_attachment.state == TLSTALL_PRELOADED && elf_came_first())
		return TLSTALL_ATTACH_PRELOADED;
	settings_read();
	settings.directory_is_default = false;
	settings.private_directory = wanted->is_private;
	memcpy(settings.directory, wanted->directory, sizeof(wanted->directory));
	settings.directory[sizeof(wanted->directory) - 1] = '\0';
	memcpy(tlstall_attachment.directory, settings.directory,
	       sizeof(tlstall_attachment.directory));
	result = come_in(wanted);
	tlstall_attachment.slots = undo_count();
	tlstall_attachment.state =
		result == TLSTALL_ATTACH_DONE ? TLSTALL_ATTACHED : TLSTALL_DETACHED;
	return result;
}

uint64_t tlstall_detach(const struct tlstall_attach *wanted)
{
	if (wanted->version != TLSTALL_ATTACH_VERSION)
		return TLSTALL_ATTACH_VERSION_DIFFERS;
	if (tlstall_attachment.state != TLSTALL_ATTACHED)
		return TLSTALL_ATTACH_NOT_ATTACHED;
	step_back();
	tlstall_attachment.state = TLSTALL_DETACHED;
	return TLSTALL_ATTACH_DONE;
}
