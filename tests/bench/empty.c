/* SPDX-License-Identifier: Apache-2.0 */
/* What any preloaded library costs at least: this one has nothing in it, and needs not even libc. */
const char empty_library;
