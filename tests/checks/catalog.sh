# SPDX-License-Identifier: Apache-2.0
# The table of causes in doc/DIAGNOSIS.md is up to date with `make catalog`.
exec /usr/bin/python3 tests/checks/catalog.py check
