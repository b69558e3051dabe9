/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi_reader.h"

#include <string.h>

uint64_t cfi_bytes(struct cfi_reader *reader, unsigned size)
{
	uint64_t value = 0;

	if (reader->bad || reader->end - reader->at < size) {
		reader->bad = true;
		return 0;
	}
	memcpy(&value, (const void *)reader->at, size);
	reader->at += size;
	return value;
}

static uint64_t leb(struct cfi_reader *reader, bool is_signed)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = cfi_byte(reader);
		if (shift < 64)
			value |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (is_signed && shift < 64 && (b & 0x40))
		value |= ~0ull << shift;
	return value;
}

uint64_t cfi_uleb(struct cfi_reader *reader)
{
	return leb(reader, false);
}

int64_t cfi_sleb(struct cfi_reader *reader)
{
	return (int64_t)leb(reader, true);
}

void cfi_skip(struct cfi_reader *reader, uint64_t size)
{
	if (reader->bad || reader->end - reader->at < size)
		reader->bad = true;
	else
		reader->at += size;
}

struct cfi_reader cfi_reader_at(const struct cfi_table *table, uintptr_t at)
{
	return (struct cfi_reader){at, table->high, at < table->low || at > table->high};
}

struct cfi_reader cfi_part(struct cfi_reader *reader, uint64_t size)
{
	struct cfi_reader out = *reader;

	cfi_skip(reader, size);
	out.end = reader->at;
	out.bad = reader->bad;
	return out;
}

uint64_t cfi_encoded(struct cfi_reader *reader, uint8_t encoding)
{
	uintptr_t at = reader->at;
	uint64_t value;

	switch (encoding & FORMAT) {
	case ABSOLUTE:
	case UDATA8:
	case UDATA8 | SIGNED:
		value = cfi_bytes(reader, 8);
		break;
	case UDATA4:
		value = cfi_bytes(reader, 4);
		break;
	case UDATA4 | SIGNED:
		value = (uint64_t)(int32_t)cfi_bytes(reader, 4);
		break;
	case UDATA2:
		value = cfi_bytes(reader, 2);
		break;
	case UDATA2 | SIGNED:
		value = (uint64_t)(int16_t)cfi_bytes(reader, 2);
		break;
	default:
		reader->bad = true;
		return 0;
	}
	return (encoding & APPLICATION) == RELATIVE_TO_ITSELF ? value + at : value;
}

struct cfi_reader cfi_expression(const struct cfi_table *table, int32_t value)
{
	struct cfi_reader reader = cfi_reader_at(table, table->low + (uint32_t)value);
	uint64_t length = cfi_uleb(&reader);

	return cfi_part(&reader, length);
}
