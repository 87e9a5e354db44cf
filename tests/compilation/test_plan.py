"""Compilations at once: which of them, and what becomes of those that fail."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import types

import pytest
from setuptools import Extension
from setuptools_isolated_build._compilation import at_once
from setuptools_isolated_build._compilation import captured as captured_
from setuptools_isolated_build._compilation import flights, jobs, plan, pool, products
from setuptools_isolated_build._compilation import planned as planning

pytestmark = pytest.mark.skipif(os.name == "nt", reason="for Unix compilers")

SECONDS = 60  # to end a hang, not to measure


@pytest.fixture
def planned():
    """A plan for two compilers."""
    made = plan.Plan(2, pool.find(None, 2, {}))
    yield made
    made.end()


def job(name, compile_it=lambda captured, seconds: None):
    return jobs.Job(f"{name}.o", f"{name}.c", ["cc", name], compile_it)


def forbidden():
    raise AssertionError("setuptools compiles by itself")


def test_at_once(planned):
    """Two compilers meet; a third one waits for one of them."""
    meet = threading.Barrier(2)
    running, most = [], []

    def compile_it(captured, seconds):
        running.append(1)
        most.append(len(running))
        if len(most) <= 2:
            meet.wait(SECONDS)
        running.pop()

    todo = [job(name, compile_it) for name in "abc"]
    planned.add(todo)
    for each in todo:
        planned.compile(each, forbidden)
    assert len(most) == 3
    assert max(most) == 2


def test_the_build_links_meanwhile(planned):
    """As many compilers run while the build's own thread does something else."""
    meet = threading.Barrier(3)
    met = []

    def compile_it(captured, seconds):
        met.append(meet.wait(SECONDS))

    todo = [job("a"), job("b", compile_it), job("c", compile_it)]
    planned.add(todo)
    planned.compile(todo[0], forbidden)
    met.append(meet.wait(SECONDS))  # it links
    for each in todo[1:]:
        planned.compile(each, forbidden)
    assert sorted(met) == [0, 1, 2]


def test_no_thread_can_be_started(planned, monkeypatch):
    """The build's own thread compiles."""

    def start(thread):
        raise RuntimeError

    monkeypatch.setattr(threading.Thread, "start", start)
    compiled = []
    todo = [job(n, lambda *_, n=n: compiled.append(n)) for n in "ab"]
    planned.add(todo)
    for each in todo:
        planned.compile(each, forbidden)
    assert compiled == ["a", "b"]


def not_allowed(name):
    raise PermissionError(name)


@pytest.mark.parametrize("memory", ["as it is", None, not_allowed])
def test_said_in_order(memory, planned, capfd, monkeypatch):
    """Each says what it has to say in one piece, when it is its turn.

    Without files in memory, too; with them, nothing is written to a disk.
    """
    if memory == "as it is" and hasattr(os, "memfd_create"):
        monkeypatch.setattr(captured_.tempfile, "TemporaryFile", forbidden)
    elif memory is None:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    elif memory is not_allowed:
        monkeypatch.setattr(os, "memfd_create", not_allowed, raising=False)
    second_is_done = threading.Event()

    def first(captured, seconds):
        captured.run(["sh", "-c", "echo 1a; echo 1b >&2"])
        assert second_is_done.wait(SECONDS)
        captured.run(["sh", "-c", "echo 1c; echo 1d >&2"])

    def second(captured, seconds):
        captured.run(["sh", "-c", "echo 2a; echo 2b >&2"])
        second_is_done.set()

    todo = [job("a", first), job("b", second)]
    planned.add(todo)
    said = []
    for each in todo:
        planned.compile(each, forbidden)
        said.append(capfd.readouterr())
    assert [
        [line for line in text.out.splitlines() if len(line) == 2] for text in said
    ] == [
        ["1a", "1c"],
        ["2a"],
    ]
    assert [text.err for text in said] == ["1b\n1d\n", "2b\n"]


class CompilerError(Exception):
    """Setuptools' own."""


def test_the_first_error(planned):
    """Whichever fails first, it is setuptools that raises, in its order; others end."""
    both = threading.Barrier(2)
    raised = threading.Event()
    was_ended = []

    def first(captured, seconds):
        both.wait(SECONDS)
        assert raised.wait(SECONDS)
        raise ValueError

    def second(captured, seconds):
        both.wait(SECONDS)
        raised.set()
        raise ValueError

    def third(captured, seconds):
        started.set()
        try:
            captured.run(["sleep", str(SECONDS)])
        except subprocess.CalledProcessError:
            was_ended.append(True)
            raise

    started = threading.Event()
    todo = [job("a", first), job("b", second), job("c", third)]

    def fail():
        assert was_ended or not started.is_set()
        raise CompilerError

    planned.add(todo)
    with pytest.raises(CompilerError):
        planned.compile(todo[0], fail)


def test_an_optional_extension_fails(planned):
    """What comes after it is compiled; what was ended because of it, once more."""
    done = []

    def fail(captured, seconds=0):
        raise CompilerError

    todo = [job("a", fail), *(job(x, lambda *_: done.append(1)) for x in "bcd")]
    planned.add(todo)
    with pytest.raises(CompilerError):
        planned.compile(todo[0], lambda: fail(None))
    for each in todo[1:]:
        planned.compile(each, forbidden)
    assert len(done) >= 3


def test_for_want_of_memory(planned, monkeypatch):
    """What fails beside others only is compiled, and then one after the other."""
    running = []

    def compile_it(captured, seconds):
        running.append(threading.current_thread())

    def fail(captured, seconds):
        raise subprocess.CalledProcessError(-9, "cc")

    said = []
    monkeypatch.setattr(plan, "warn", said.append)
    todo = [job("a", fail), *(job(name, compile_it) for name in "bcd")]
    planned.add(todo[:2])
    by_itself = []
    planned.compile(todo[0], lambda: by_itself.append(1))
    assert by_itself == [1]
    assert said[0].startswith("a.c: failed beside up to 1 other compilers")
    running.clear()
    planned.add(todo[1:])
    for each in todo[1:]:
        planned.compile(each, forbidden)
    assert set(running) <= {threading.current_thread()}


def test_all_that_a_compiler_has_started(planned, tmp_path):
    """A driver is ended with the compiler that it has started."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # What the shell has started holds the fifo open, until it is ended as well.
    driver = ["sh", "-c", f'sh -c "echo started; exec sleep {SECONDS}" > {fifo}; true']
    other = job("b", lambda captured, seconds: captured.run(driver))
    planned.add([other, job("a")])
    with open(fifo) as file:
        assert file.readline() == "started\n"
        planned.end()
        assert file.read() == ""


def test_tokens_are_given_back(monkeypatch):
    """Also by a thread that a busy machine lets wait; a make would lack them."""
    is_ending, done = threading.Event(), []

    class Tokens:
        def acquire(self):
            return self.give_back

        def give_back(self):
            assert is_ending.wait(SECONDS)
            done.append("given back")

        def close(self):
            done.append("closed")

    class Thread(threading.Thread):
        def join(self, timeout=None):
            is_ending.set()
            super().join(timeout)

    monkeypatch.setattr(plan.threading, "Thread", Thread)
    monkeypatch.setattr(plan, "_GRACE", 0)  # as if it were a long time
    made = plan.Plan(2, Tokens())
    meet = threading.Barrier(2)
    todo = [job(name, lambda captured, seconds: meet.wait(SECONDS)) for name in "ab"]
    made.add(todo)
    for each in todo:
        made.compile(each, forbidden)
    made.end()
    assert done == ["given back", "closed"]


@pytest.fixture(params=[1, 2])
def flown(request, tmp_path, monkeypatch):
    """A plan of "a", which another build compiles, with what is to be patched in it.

    Called with what "b" does, when "a" was asked for; and with for how many times it is
    in flight. Returns for how long "a" was to wait each time, and "b" in its place.
    """
    size = request.param
    flight, seen, done = tmp_path / "object.lock", threading.Event(), []
    flight.touch()

    def run(do=lambda flight: None, times=1, **constants):
        for name, value in constants.items():
            monkeypatch.setattr(flights if name == "LONGEST" else planning, name, value)

        def in_flight(captured, seconds):
            done.append(seconds)
            seen.set()
            if len(done) - done.count("b") <= times:
                raise flights.InFlightError(str(flight))

        def other(captured, seconds):
            assert seen.wait(SECONDS)
            done.append("b")
            do(flight)

        made = plan.Plan(size, pool.find(None, size, {}) if size > 1 else None)
        todo = [job("a", in_flight), job("b", other)]
        made.add(todo)
        for each in todo:
            made.compile(each, forbidden)
        made.end()
        return done

    return run


def test_another_builds_flight(flown):
    """It is put off, for others, and asked for when that build's lock file is gone."""
    assert flown(os.unlink, _KILLED=SECONDS) == [0, "b", None]


def test_a_flight_is_over(tmp_path):
    """That is seen at once, without asking for the object."""
    flight, planned = tmp_path / "object.lock", planning.Planned(job("a"))
    flight.touch()
    planned.put_off(str(flight))
    assert not planned.is_due
    flight.unlink()
    assert planned.is_due
    assert planned.seconds is None


def test_the_flight_of_a_killed_build(flown):
    """Its lock file stays: so it is asked for now and then, alone."""
    assert flown(times=3, _KILLED=0.01).count(0) == 4


def test_the_flight_of_a_stopped_build(flown):
    """After a long time it is compiled nonetheless."""
    done = flown(_KILLED=0.1, LONGEST=0.05)
    assert [seconds for seconds in done if seconds != "b"] == [0, None]


def test_equal_jobs_are_done_once(planned, tmp_path, monkeypatch):
    """Unless the object was made by another command since then."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.o").touch()
    done = []
    first, equal, third = (job("a", lambda *_: done.append("ahead")) for _ in "123")
    third.command = ["cc", "-O2", "a"]
    for each in (first, equal):
        planned.add([each])
        planned.compile(each, forbidden)
    assert done == ["ahead"]
    planned.compile(third, lambda: done.append("other"))
    planned.compile(equal, lambda: done.append("again"))
    assert done == ["ahead", "other", "again"]


def walked(*parts):
    """Return the objects that are compiled ahead in these parts, of jobs and links."""

    def walk(part):
        one = jobs.walk()
        for item in part:
            if isinstance(item, jobs.Job):
                one.jobs.append(item)
            else:
                used, linked = item
                one.used += used
                one.linked += linked

    found = jobs.collect([lambda part=part: walk(part) for part in parts])
    return [each.obj for each in found.jobs]


def test_objects_that_others_touch():
    """Who comes second in setuptools' order is not compiled ahead."""
    a, b, c = map(job, "abc")
    assert walked([a, b, (["a.o", "b.o"], ["lib/1.so"])], [c]) == ["a.o", "b.o", "c.o"]
    assert walked([a, (["a.o"], ["lib/1.so"])], [a, b]) == ["a.o", "b.o"]
    assert walked([a, a]) == ["a.o"]
    assert walked([a, job("A")]) == ["a.o"]  # one file on some systems
    # Linked as an extra object, before it is compiled.
    assert walked([a, (["a.o", "b.o"], ["lib/1.so"])], [b, c]) == ["a.o", "c.o"]
    # The one that is there decides about the other.
    assert walked([a, (["a.o"], ["lib/1.so"])], [b, (["b.o"], ["lib/1.so"])]) == ["a.o"]
    # A source that is made by an earlier link.
    assert walked([a, (["a.o"], ["src/b.c"])], [job("src/b")]) == ["a.o"]
    # A file that an earlier link makes, or what lies beside it.
    reading = job("b")
    reading.command = ["cc", "-DLIBRARY=lib/1.so", "b.c"]
    assert walked([a, (["a.o"], ["lib/1.so"])], [reading, c]) == ["a.o", "c.o"]
    assert walked([a, (["a.o"], ["1.so"])], [b]) == ["a.o"]


def test_nothing_ahead_of_the_unknown():
    """What an earlier extension may do besides, or where it fails."""
    a, b = map(job, "ab")

    def fails():
        jobs.walk().jobs.append(a)
        raise OSError

    def writes_more():
        jobs.walk().jobs.append(a)
        jobs.walk().is_known = False

    for part in (fails, writes_more):
        found = jobs.collect([part, lambda: jobs.walk().jobs.append(b)])
        assert [each.obj for each in found.jobs] == ["a.o"]


class Answering(Extension):
    def __getattribute__(self, name):
        return super().__getattribute__(name)


class Noting(Extension):
    def __setattr__(self, name, value):
        super().__setattr__(name, value)


class Converting(Extension):
    def _convert_pyx_sources_to_lang(self):
        pass


class Harmless(Extension):
    def __init__(self, *args):
        super().__init__(*args)
        self.standard = 17

    def __repr__(self):
        return self.name

    @property
    def cxx_std(self):
        return self.standard


@pytest.mark.parametrize(
    ("cls", "plain"),
    [
        (Extension, True),
        (Harmless, True),
        (Answering, False),
        (Noting, False),
        (Converting, False),
    ],
)
def test_extensions_that_may_be_read_before(cls, plain):
    """No class of somebody's answers for what setuptools reads."""
    assert at_once.is_plain(cls("n", ["a.c"])) == plain


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("", True),
        ("-Wl,-O1 -Wl,-Bsymbolic-functions -g -fwrapv -O2 -lm -Lx -L x -pthread", True),
        ("-Wl,--version-script=x.map -Wl,--version-script,x.map libx.a -B x", True),
        ("-Wl,-z,relro,-z,now -Wl,--build-id=sha1 -specs=/x -flto=auto", True),
        ("-fuse-ld=gold", True),
        ("-bundle -undefined dynamic_lookup -arch arm64 -Wl,-rpath,@loader_path", True),
        ("-Wl,-rpath,$ORIGIN", True),
        ("-Wl,-Map=x", False),
        ("-Wl,-O1,-Map,x", False),
        ("-Wl,-M", False),
        ("-Wl,@x", False),
        ("-Wl,--out-implib,x", False),
        ("-Wl,--dependency-file=x", False),
        ("-Xlinker -Map=x", False),
        ("-o x", False),
        ("-save-temps", False),
        ("-fplugin=x.so", False),
        ("@x", False),
    ],
)
@pytest.mark.parametrize("place", ["linker_so", "linker_so_cxx", "arguments"])
def test_links_that_write_nothing_else(words, known, place):
    """What they write, the next extension may include."""
    linkers = {"linker_so": ["gcc", "-shared"], "linker_so_cxx": ["g++", "-shared"]}
    arguments = [None, ["m"], [], words.split() if place == "arguments" else ()]
    if place in linkers:
        linkers[place] += words.split()
    compiler = types.SimpleNamespace(**linkers)
    assert products.is_only_linked(compiler, arguments) == known
    assert not products.is_only_linked(compiler, [*arguments, iter(())])


@pytest.mark.parametrize(
    ("flags", "known"),
    [
        ("-Wall -O2 -g -fPIC -DX=1 -Iinclude -std=c99 -march=native", True),
        ("-B /x -B/y", True),
        ("-isystem include -include x.h -arch arm64", True),
        ("-Wp,-D_FORTIFY_SOURCE=2 -specs=/usr/lib/specs --param=x=4", True),
        ("-save-temps", False),
        ("-MF x.d", False),
        ("-Wp,-U_FORTIFY_SOURCE,-D_FORTIFY_SOURCE=3 -flto=auto -pipe", True),
        ("-Wp,-MD,x.d", False),
        ("-Wp,-DX,-MD,x.d", False),
        ("-Wa,-a=x.lst", False),
        ("-fdump-tree-all", False),
        ("-fplugin=x.so", False),
        ("-fmodules-ts -std=c++20", False),
        ("-fdiagnostics-format=sarif-file", False),
        ("@file", False),
        ("-Xsomething", False),
    ],
)
def test_flags_of_which_the_effect_is_known(flags, known):
    """Others may write files of their own, which two compilers would share."""
    one = jobs.Job(
        "a.o", "a.c", ["gcc", *flags.split(), "-c", "a.c", "-o", "a.o"], None
    )
    assert one.writes_only_its_object() == known


@pytest.mark.parametrize("name", ["DEPENDENCIES_OUTPUT", "CC_PRINT_HEADERS_FILE"])
def test_a_variable_names_a_file(name, monkeypatch):
    """Compilers add to it, one after the other."""
    one = jobs.Job("a.o", "a.c", ["gcc", "-c", "a.c", "-o", "a.o"], None)
    assert one.writes_only_its_object()
    monkeypatch.setenv(name, "x.d")
    assert not one.writes_only_its_object()


def test_what_fails_in_a_walk():
    """It fails in its turn; what comes after it is not known."""

    def fail():
        jobs.walk().jobs.append(job("b"))
        raise ValueError

    found = jobs.collect([lambda: jobs.walk().jobs.append(job("a")), fail])
    assert [each.obj for each in found.jobs] == ["a.o", "b.o"]
    assert jobs.walk() is None


def test_a_terminal():
    """Compilers see a terminal where the build has one, as wide, and write no more."""
    code = """
from setuptools_isolated_build._compilation.captured import Captured
captured = Captured()
captured.run(["sh", "-c", "test -t 1 && test -t 2 && stty size <&2; echo said"])
captured.pass_on()
"""
    ours, theirs = os.openpty()
    subprocess.run(["stty", "rows", "7", "cols", "123"], stdin=theirs, check=True)
    for file in (theirs, subprocess.PIPE):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, stdout=file, stderr=file, timeout=SECONDS)
        assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == b"said"
    assert os.read(ours, 1000).endswith(b"7 123\r\nsaid\r\n")
    for number in (ours, theirs):
        os.close(number)
