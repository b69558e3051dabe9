/* SPDX-License-Identifier: Apache-2.0 */
#include "decode_x86.h"

#include <stdbool.h>

/*
 * What follows an opcode, sixteen opcodes a line:
 *   .  nothing             m  ModRM              b  ModRM and a byte
 *   z  ModRM and a number  1  a byte             4  a number
 *   j  a short jump        J  a long jump        ?  unknown
 *   g  ModRM and, for the first two of the group, a byte (f6) or a number (f7)
 *   v  a number, of 8 bytes with REX.W           2  two bytes
 * A number has four bytes, or two after the prefix 66.
 */
static const char one_byte[] =
	"mmmm14??mmmm14??"
	"mmmm14??mmmm14??"
	"mmmm14??mmmm14??"
	"mmmm14??mmmm14??"
	"????????????????"
	"................"
	"???m????4z1b...."
	"jjjjjjjjjjjjjjjj"
	"bz?bmmmmmmmmmmm?"
	"..........?....."
	"????....14......"
	"11111111vvvvvvvv"
	"bb2.??bz?.??????"
	"mmmm???.mmmmmmmm"
	"jjjj????JJ?j????"
	"??????gg......mm";

static const char two_byte[] = /* after 0f */
	"?mmm?.?????.?m??"
	"mmmmmmmmmmmmmmmm"
	"????????mmmmmmmm"
	"......??????????"
	"mmmmmmmmmmmmmmmm"
	"mmmmmmmmmmmmmmmm"
	"mmmmmmmmmmmmmmmm"
	"bbbbmmm.????mmmm"
	"JJJJJJJJJJJJJJJJ"
	"mmmmmmmmmmmmmmmm"
	"...mbm??..?mbmmm"
	"mm?m??mmmmbmmmmm"
	"mmbmbbbm........"
	"mmmmmmmmmmmmmmmm"
	"mmmmmmmmmmmmmmmm"
	"mmmmmmmmmmmmmmmm";

struct decoding {
	const uint8_t *start, *at;
	bool narrow, wide; /* prefix 66, REX.W */
	char follows;
	struct instruction *out;
};

static bool is_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x2e: /* cs, also a branch hint */
	case 0x3e: /* ds, likewise, also notrack */
	case 0x64: /* fs: thread-local data */
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return false;
	}
}

static void skip_prefixes(struct decoding *d)
{
	for (int i = 0; i < 5 && is_prefix(*d->at); i++)
		d->narrow |= *d->at++ == 0x66;
	if ((*d->at & 0xf0) == 0x40)
		d->wide = *d->at++ & 8;
}

/* Maps 2 and 3: nearly all opcodes take ModRM, those of map 3 also a byte. */
static char of_map(unsigned map, const uint8_t *opcode)
{
	if (map == 1)
		return two_byte[*opcode];
	return map == 2 ? 'm' : map == 3 ? 'b' : '?';
}

static char take_vex(struct decoding *d)
{
	unsigned map = d->at[0] == 0xc5 ? 1 : d->at[1] & 0x1f;
	const uint8_t *opcode = d->at + (d->at[0] == 0xc5 ? 2 : 3);

	d->at = opcode + 1;
	return of_map(map, opcode);
}

static void note_kind(struct decoding *d, uint8_t opcode)
{
	unsigned group = *d->at >> 3 & 7;

	if (opcode == 0xe8 || (opcode == 0xff && (group == 2 || group == 3)))
		d->out->kind = INSTRUCTION_CALL;
	else if (opcode == 0xe9 || opcode == 0xeb)
		d->out->kind = INSTRUCTION_JUMP;
	else if (opcode == 0xc2 || opcode == 0xc3 || (opcode == 0xff && (group == 4 || group == 5)))
		d->out->kind = INSTRUCTION_END;
	else if (opcode >= 0xe0 && opcode <= 0xe3)
		d->out->kind = INSTRUCTION_LOOP;
	else if ((opcode & 0xf0) == 0x70)
		d->out->kind = INSTRUCTION_BRANCH;
}

static char take_opcode(struct decoding *d)
{
	uint8_t opcode = *d->at;

	if (opcode == 0xc4 || opcode == 0xc5)
		return take_vex(d);
	d->at++;
	if (opcode != 0x0f) {
		note_kind(d, opcode);
		/* `test` has an operand, the rest of its group has none */
		if (one_byte[opcode] == 'g')
			return (*d->at & 0x30) ? 'm' : opcode == 0xf6 ? 'b' : 'z';
		return one_byte[opcode];
	}
	opcode = *d->at++;
	if (opcode == 0x38 || opcode == 0x3a) {
		d->at++;
		return opcode == 0x38 ? 'm' : 'b';
	}
	if ((opcode & 0xf0) == 0x80)
		d->out->kind = INSTRUCTION_BRANCH;
	return of_map(1, &opcode);
}

static void take_displacement(struct decoding *d, uint8_t size)
{
	d->out->displacement_at = (uint8_t)(d->at - d->start);
	d->out->displacement_size = size;
	d->at += size;
}

static void take_modrm(struct decoding *d)
{
	uint8_t modrm = *d->at++, mode = modrm >> 6, base = modrm & 7;

	if (mode == 3)
		return;
	if (base == 4)
		base = *d->at++ & 7;
	else if (mode == 0 && base == 5) {
		take_displacement(d, 4);
		return;
	}
	d->at += mode == 1 ? 1 : mode == 2 || base == 5 ? 4 : 0;
}

static void take_operands(struct decoding *d)
{
	uint8_t number = d->narrow && !d->wide ? 2 : 4;

	if (d->follows == 'm' || d->follows == 'b' || d->follows == 'z')
		take_modrm(d);
	switch (d->follows) {
	case 'b':
	case '1':
		d->at += 1;
		break;
	case '2':
		d->at += 2;
		break;
	case 'z':
	case '4':
		d->at += number;
		break;
	case 'v':
		d->at += d->wide ? 8 : number;
		break;
	case 'j':
	case 'J':
		take_displacement(d, d->follows == 'j' ? 1 : 4);
		break;
	}
}

void decode_x86(const uint8_t *code, struct instruction *out)
{
	struct decoding d = {.start = code, .at = code, .out = out};

	*out = (struct instruction){0};
	skip_prefixes(&d);
	d.follows = take_opcode(&d);
	/* processors disagree about its length */
	if (d.follows == '?' || (d.follows == 'J' && d.narrow))
		return;
	take_operands(&d);
	if (d.at - code <= 15)
		out->length = (uint8_t)(d.at - code);
}
