/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program may keep memory from its children (MADV_DONTFORK), all that it has of some kind, and so
 * memory that it does not know: ours must be there in the child, too.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "ask.h"
#include "elf.h"
#include "mapping.h"
#include "pool.h"
#include "recorder.h"
#include "system.h"

/*
 * Allocators call this with their locks held: it is looked up without a lock of the loader, for which
 * another thread might wait with that one.
 */
static __typeof__(&madvise) real(void)
{
	static __typeof__(&madvise) known;
	__typeof__(&madvise) found = __atomic_load_n(&known, __ATOMIC_ACQUIRE);

	if (!found) {
		found = (__typeof__(&madvise))elf_find_early("madvise");
		__atomic_store_n(&known, found, __ATOMIC_RELEASE);
	}
	return found;
}

static void stay(void)
{
	if (!mapping_process || !ask_may())
		return;
	system_madvise(mapping_process, 4096, MADV_DOFORK);
	if (mapping.header)
		system_madvise(mapping.header, mapping.size, MADV_DOFORK);
	pool_stay();
	recorder_stay();
}

__attribute__((visibility("default"))) int madvise(void *start, size_t size, int advice)
{
	__typeof__(&madvise) next = real();
	int result = next ? next(start, size, advice) : system_madvise(start, size, advice), saved = errno;

	if (advice == MADV_DONTFORK)
		stay();
	errno = saved;
	return result;
}
