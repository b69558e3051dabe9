# SPDX-License-Identifier: Apache-2.0
"""A part of the public suites that make check-suites runs, and how it reads what suites say."""
import importlib.machinery
import importlib.util
import subprocess
import sys

import pytest

import suite
import tracing

RUN = tracing.ROOT / "tests/suites/run"

PYTHON = '''
import ssl
import sys
import unittest

class Tests(unittest.TestCase):
    def test_context(self):
        ssl.create_default_context()
    def test_documented(self):
        """What it does."""
    def test_printing(self):
        print("test_other (suite.Tests.test_other) ... FAIL", file=sys.stderr)
    def test_parts(self):
        for part in range(3):
            with self.subTest(part=part):
                self.assertNotEqual(part, 1)
    def test_failed(self):
        self.fail()
    def test_skipped(self):
        self.skipTest("why")
    @unittest.expectedFailure
    def test_todo(self):
        self.fail()
    @unittest.expectedFailure
    def test_unexpected(self):
        pass

class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError
    def test_never(self):
        pass
'''
RESULTS = {"Tests.test_context": "ok", "Tests.test_documented": "ok", "Tests.test_failed": "failed", "Tests.test_parts": "failed",
           "Tests.test_printing": "ok", "Tests.test_skipped": "skipped", "Tests.test_todo": "todo",
           "Tests.test_unexpected": "unexpected"}
PERL = r'''
print STDERR "ok\nnot ok\n";
print "1..3\nok\nnot ok 2 - bad\nok 3 # skip why\n";
print STDERR "ok\n";
'''


@pytest.fixture
def suites(tmp_path, monkeypatch):
    """tests/suites/run as a module, with logs elsewhere."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("suites_run", str(RUN))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("suites_run", loader))
    loader.exec_module(module)
    monkeypatch.setattr(module, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(module, "SOURCES", {"mine"})
    monkeypatch.setattr(module, "source", lambda _: tmp_path)
    return module


@pytest.mark.parametrize("name", ["CPython asyncio"])
def test_same_results(name):
    done = subprocess.run([RUN, name], capture_output=True, text=True, timeout=900, check=False)
    if "not installed" in done.stdout:
        suite.lacks("libpython3.11-testsuite")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the same") == 3, done.stdout


def test_each_python_test_has_a_result(suites, tmp_path):
    (tmp_path / "mine.py").write_text(PYTHON, encoding="utf-8")
    suites.SUITES["mine"] = ("mine", suites.UNITTEST, ["mine"])
    results, _ = suites.run("mine", None)
    assert results == {f"mine.{test}": result for test, result in RESULTS.items()} | {"setUpClass (mine.Broken)": "error"}
    assert suites.only(suites.UNITTEST, results) == ["mine.Broken", *(f"mine.{test}" for test in RESULTS)]


def test_each_perl_test_has_a_result(suites, tmp_path):
    (tmp_path / "mine.t").write_text(PERL, encoding="utf-8")
    suites.SUITES["mine"] = ("mine", suites.PROVE, ["mine.t"])
    results, _ = suites.run("mine", None)
    assert results == {"mine.t 1": "ok", "mine.t 2": "not ok", "mine.t 3": "skipped"}
    assert suites.only(suites.PROVE, results) == ["mine.t"]


def test_results_that_are_not_understood(suites):
    with pytest.raises(RuntimeError, match="^2 tests ran, 0 files were skipped, 1 results"):
        suites.results_of(suites.PROVE, None, "a.t ..\nok\nok\nAll tests successful.\nFiles=1, Tests=2, 0 wallclock secs\n")


def test_a_context_is_no_handshake(suites, tmp_path):
    (tmp_path / "mine.py").write_text(PYTHON, encoding="utf-8")
    suites.SUITES["mine"] = ("mine", suites.UNITTEST, ["mine"])
    with pytest.raises(RuntimeError, match="no handshake was recorded"):
        suites.run("mine", "all")


def test_only_what_was_seen_without_the_shim_is_the_same(suites, monkeypatch):
    """A test that fails now and then, but never without the shim, differs; one that also fails without it varies."""
    plain = {"test": "ok", "flaky": "ok", "lost": "ok"}
    again = iter([{"test": "ok", "flaky": "ok"}, {"test": "ok", "flaky": "failed"}] + [{"test": "ok"}] * (suites.AGAIN - 2))
    asked = []
    monkeypatch.setattr(suites, "run", lambda name, mode, tests: (asked.append((mode, tests)), (next(again), None))[1])
    modes, vary = suites.compare("Twisted", plain, {"all": {"test": "failed", "flaky": "failed"}, "watch": plain})
    assert modes == {"all": {"test", "lost"}, "watch": set()}
    assert vary == {"flaky": {"ok", "failed"}}
    assert asked[0] == asked[1] == (None, ["flaky", "lost", "test"]) and asked[2] == (None, ["lost", "test"])
