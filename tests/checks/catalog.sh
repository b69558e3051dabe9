# SPDX-License-Identifier: Apache-2.0
# The table of causes in doc/DIAGNOSIS.md is the one that `make catalog` writes.
exec /usr/bin/python3 tests/checks/catalog.py check
