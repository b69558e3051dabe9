/* SPDX-License-Identifier: Apache-2.0 */
/* The minimum cost of any preloaded library: this one is empty, and does not even need libc. */
const char empty_library;
