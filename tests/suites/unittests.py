# SPDX-License-Identifier: Apache-2.0
"""unittests.py FILE TEST...: what python3 -m unittest -v does, and a line in FILE for each test: its result and its id.
The output cannot tell: tests print into it, and a docstring comes between a name and its result."""
import os
import sys
import unittest

FILE = os.path.abspath(sys.argv[1])


def noting(method, result):
    def add(self, test, *details):
        getattr(unittest.TextTestResult, method)(self, test, *details)
        if method != "addSubTest" or details[-1]:
            with open(FILE, "a", encoding="utf-8") as file:
                file.write(f"{result} {test.id()}\n")
    return add


class Result(unittest.TextTestResult):
    addSuccess = noting("addSuccess", "ok")
    addError = noting("addError", "error")
    addFailure = noting("addFailure", "failed")
    addSubTest = noting("addSubTest", "failed")
    addSkip = noting("addSkip", "skipped")
    addExpectedFailure = noting("addExpectedFailure", "todo")
    addUnexpectedSuccess = noting("addUnexpectedSuccess", "unexpected")


class Runner(unittest.TextTestRunner):
    resultclass = Result


sys.path.insert(0, "")
unittest.main(module=None, argv=["unittest", "-v", *sys.argv[2:]], testRunner=Runner)
