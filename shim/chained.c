/* SPDX-License-Identifier: Apache-2.0 */
#include "chained.h"

#include "chain.h"
#include "copies.h"
#include "shapes.h"

/* The copy is in the table already: the call came through it. */
#define OF_OBJECT copies_of
#define OF_METHOD copies_of_method

#define CHAINED(type, name, by, object, parameters, arguments)                                     \
	static type chained_##name parameters                                                      \
	{                                                                                          \
		struct chain_place outer __attribute__((cleanup(chain_leave)));                    \
                                                                                                   \
		if (chain_takes(FN_##name, object, &outer))                                        \
			return chain_next.name arguments;                                          \
		return OF_##by(object)->real.name arguments;                                       \
	}
#define CHAINED_OP(name, parameters, arguments)                                                    \
	CHAINED(int, name, OBJECT, ssl, parameters, arguments)
#define INTERPOSED(name, kind, shape, ...) SHAPE_##shape(CHAINED_OP, name)
#include "functions.def"
SHAPES_OWN(CHAINED)

const struct functions chained = {
#define INTERPOSED(name, ...) .name = chained_##name,
#include "functions.def"
};
