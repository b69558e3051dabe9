/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi.h"

#include <string.h>

#include "cfi_run.h"

/* ---- the entries of a function --------------------------------------------------------- */

/* An entry of .eh_frame, from after its length to its end. */
static struct cfi_reader entry_at(const struct cfi_table *table, uintptr_t at)
{
	struct cfi_reader reader = cfi_reader_at(table, at);
	uint64_t length = cfi_bytes(&reader, 4);

	return cfi_part(&reader, length ? length : UINT64_MAX);
}

static void read_augmentation(struct cfi_entries *e, struct cfi_reader *cie, const char *letters)
{
	struct cfi_reader data = cfi_part(cie, cfi_uleb(cie));

	for (; *letters; letters++) {
		uint8_t personality;

		switch (*letters) {
		case 'R':
			e->encoding = cfi_byte(&data);
			break;
		case 'L':
			cfi_byte(&data);
			break;
		case 'P':
			personality = cfi_byte(&data);
			cfi_encoded(&data, personality);
			break;
		case 'S':
			e->signal = true;
			break;
		default: /* 'B' and 'G' of arm64 have no data; what follows an unknown
			    letter cannot be read */
			break;
		}
	}
	cie->bad |= data.bad;
}

#define LETTERS 8

static bool read_letters(struct cfi_reader *cie, char letters[LETTERS])
{
	for (int i = 0; i < LETTERS; i++) {
		letters[i] = (char)cfi_byte(cie);
		if (!letters[i])
			return !cie->bad;
	}
	return false;
}

static bool read_cie(const struct cfi_table *table, uintptr_t at, struct cfi_entries *e)
{
	struct cfi_reader cie = entry_at(table, at);
	char letters[LETTERS];
	uint8_t version;
	uint64_t column;

	if (cfi_bytes(&cie, 4))
		return false;
	version = cfi_byte(&cie);
	if ((version != 1 && version != 3) || !read_letters(&cie, letters))
		return false;
	e->code_align = cfi_uleb(&cie);
	e->data_align = cfi_sleb(&cie);
	column = version == 1 ? cfi_byte(&cie) : cfi_uleb(&cie);
	e->augmented = letters[0] == 'z';
	if (e->augmented)
		read_augmentation(e, &cie, letters + 1);
	e->initial = cie;
	return !cie.bad && column == CFI_RETURN && (e->augmented || !letters[0]) &&
	       !(e->encoding & INDIRECT);
}

static bool read_fde(const struct cfi_table *table, uintptr_t at, uintptr_t pc, struct cfi_entries *e)
{
	struct cfi_reader fde = entry_at(table, at);
	uintptr_t back = fde.at;
	uint64_t distance = cfi_bytes(&fde, 4);
	uint64_t size;

	*e = (struct cfi_entries){.encoding = ABSOLUTE};
	if (fde.bad || !distance || !read_cie(table, back - distance, e))
		return false;
	e->begin = cfi_encoded(&fde, e->encoding);
	size = cfi_encoded(&fde, e->encoding & FORMAT);
	if (e->augmented)
		cfi_skip(&fde, cfi_uleb(&fde));
	e->code = fde;
	return !fde.bad && pc - e->begin < size;
}

/* ---- the search table ------------------------------------------------------------------- */

static int64_t table_word(uintptr_t table, uint64_t index, unsigned column)
{
	int32_t word;

	memcpy(&word, (const void *)(table + index * 8 + column * 4), sizeof(word));
	return word;
}

/* The last FDE that begins at or before pc; 0: none. */
static uintptr_t find_fde(const struct cfi_table *table, uintptr_t pc)
{
	struct cfi_reader reader = cfi_reader_at(table, table->header);
	uint8_t version = cfi_byte(&reader), frame_encoding = cfi_byte(&reader);
	uint8_t count_encoding = cfi_byte(&reader), table_encoding = cfi_byte(&reader);
	int64_t distance = (int64_t)(pc - table->header);
	uint64_t low = 0, high;

	cfi_encoded(&reader, frame_encoding);
	high = cfi_encoded(&reader, count_encoding);
	if (reader.bad || version != 1 || count_encoding == OMITTED || table_encoding != TABLE ||
	    high > (reader.end - reader.at) / 8)
		return 0;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (table_word(reader.at, middle, 0) <= distance)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? table->header + (uintptr_t)table_word(reader.at, low - 1, 1) : 0;
}

bool cfi_find(const struct cfi_table *table, uintptr_t pc, struct cfi_frame *out)
{
	struct cfi_entries entries;
	uintptr_t fde = find_fde(table, pc);

	return fde && read_fde(table, fde, pc, &entries) && cfi_run(table, &entries, pc, out);
}
