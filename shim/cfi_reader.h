/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the bytes of .eh_frame: numbers, encoded pointers, blocks. */
#ifndef SHIM_CFI_READER_H
#define SHIM_CFI_READER_H

#include <stdbool.h>
#include <stdint.h>

struct cfi_table {
	uintptr_t low, high; /* may be read: the segment with the tables */
	uintptr_t header;    /* .eh_frame_hdr */
};

/* A cursor over untrusted bytes. Past the end, it returns 0 and becomes bad. */
struct cfi_reader {
	uintptr_t at, end;
	bool bad;
};

uint64_t cfi_bytes(struct cfi_reader *reader, unsigned size);
uint64_t cfi_uleb(struct cfi_reader *reader);
int64_t cfi_sleb(struct cfi_reader *reader);
/* The block that an expression rule leads to. */
struct cfi_reader cfi_expression(const struct cfi_table *table, int32_t value);

static inline uint8_t cfi_byte(struct cfi_reader *reader)
{
	return (uint8_t)cfi_bytes(reader, 1);
}

struct cfi_reader cfi_reader_at(const struct cfi_table *table, uintptr_t at);
void cfi_skip(struct cfi_reader *reader, uint64_t size);
/* A reader of the next `size` bytes only. */
struct cfi_reader cfi_part(struct cfi_reader *reader, uint64_t size);

/* DW_EH_PE_*: pointer encodings. */
enum { ABSOLUTE = 0x00, UDATA2 = 0x02, UDATA4 = 0x03, UDATA8 = 0x04, FORMAT = 0x0f, SIGNED = 0x08,
       RELATIVE_TO_ITSELF = 0x10, APPLICATION = 0x70, INDIRECT = 0x80, OMITTED = 0xff,
       TABLE = 0x3b /* relative to the header, four bytes, signed */ };

uint64_t cfi_encoded(struct cfi_reader *reader, uint8_t encoding);

#endif
