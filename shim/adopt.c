/* SPDX-License-Identifier: Apache-2.0 */
#include "adopt.h"

#include <stdbool.h>
#include <string.h>

#include "clock.h"

static struct tlstall_adopted adopted[TLSTALL_ATTACH_ADOPTED];
static uint32_t adopted_count;
static uint64_t taken_ns; /* CLOCK_MONOTONIC */

void adopt_take(const struct tlstall_attach *wanted)
{
	uint32_t count = wanted->adopted_count;

	if (count > TLSTALL_ATTACH_ADOPTED)
		count = TLSTALL_ATTACH_ADOPTED;
	taken_ns = clock_monotonic_ns();
	memcpy(adopted, wanted->adopted, count * sizeof(*adopted));
	__atomic_store_n(&adopted_count, count, __ATOMIC_RELEASE);
}

void adopt_forget(void)
{
	__atomic_store_n(&adopted_count, 0, __ATOMIC_RELEASE);
}

static void tell(const struct tlstall_adopted *one, struct tlstall_handshake *slot)
{
	slot->begun_ms = (uint32_t)((one->begun_ns + clock_monotonic_ns() - taken_ns) / 1000000);
	if (one->bytes_in == slot->bytes_in && one->bytes_out == slot->bytes_out)
		slot->flags |= TLSTALL_HS_STOOD;
}

/* Each entry is used once: a later object at the same address is not the one that the tool saw. */
void adopt_tell(struct tlstall_handshake *slot)
{
	uint32_t count = __atomic_load_n(&adopted_count, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < count; i++) {
		uint64_t ssl = slot->ssl;

		if (__atomic_compare_exchange_n(&adopted[i].ssl, &ssl, 0, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED)) {
			tell(&adopted[i], slot);
			return;
		}
	}
}
