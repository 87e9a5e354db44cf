"""Builds of one source tree know of each other, and one of them can be alone."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from setuptools_isolated_build._locks import beside, lock, neighbours, records
from setuptools_isolated_build.errors import TurnError

pytestmark = pytest.mark.any_setuptools

TIMEOUT = 60
# A build in a process of its own, which says what it does and ends when it is told to.
# As a stranger it is no part of a build of this process.
OTHER = textwrap.dedent(
    """
    import os, sys
    from setuptools_isolated_build._locks import neighbours, processes
    kind, tree, place, *stranger = sys.argv[1:]
    if stranger:
        processes.ancestors = processes.inherited = set
    say = lambda text: print(text, flush=True)
    if kind != "alone":
        presence = neighbours.enter(
            tree, place, set(), 60, say, what="other", began=5)
        if kind == "fork" and os.fork() == 0:
            sys.stdin.readline()
            os._exit(0)
        say("inside")
        sys.stdin.readline()
        began = presence.stop().began
        if kind == "tell":
            say(began)
    else:
        with neighbours.alone(tree, place, 60, say):
            say("inside")
            sys.stdin.readline()
    say("done")
    """
)


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "locks"
    path.mkdir()
    return str(path)


@pytest.fixture
def enter(tmp_path, place):
    def begin(private=(), timeout=TIMEOUT, tell=lambda text: None, began=7):
        return neighbours.enter(
            *(str(tmp_path), place, set(private), timeout, tell),
            what="this",
            began=began,
        )

    return begin


@pytest.fixture
def other(tmp_path, place):
    """Start another process, that is no child of a build; all end with the test."""
    found = []

    def begin(kind):
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, kind, str(tmp_path), place, "stranger"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        found.append(process)
        return process

    yield begin
    for process in found:
        process.kill()
        process.wait(TIMEOUT)
        process.stdin.close()
        process.stdout.close()


def says(process, text):
    assert process.stdout.readline() == text + "\n"


def end(process):
    process.stdin.write("\n")
    process.stdin.flush()
    says(process, "done")
    assert process.wait(TIMEOUT) == 0


def test_alone(enter, place):
    """It finds nobody, and leaves nothing."""
    presence = enter()
    assert presence.stop().began is None
    assert not any(path.suffix == ".build" for path in map(Path, _names(place)))


@pytest.mark.parametrize("moment", ["before it has written", "after it has looked"])
def test_who_begins_at_the_same_moment(enter, other, monkeypatch, moment):
    """As a part of a build may, which takes no gate."""
    name = "append" if moment.startswith("before") else "live"
    real = getattr(records, name)
    found = []

    def interrupted(*args, **kwargs):
        monkeypatch.setattr(records, name, real)
        done = real(*args, **kwargs) if name == "live" else None
        found.append(other("tell"))
        says(found[0], "inside")
        return real(*args, **kwargs) if name == "append" else done

    monkeypatch.setattr(neighbours, "_gate", lambda *_: None)
    monkeypatch.setattr(records, name, interrupted)
    presence = enter()
    found[0].stdin.write("\n")
    found[0].stdin.flush()
    says(found[0], "7")
    says(found[0], "done")
    others = presence.stop()
    assert others.began == 5
    assert not others.was_killed


@pytest.mark.parametrize("text", ["", "1:2\n\nnow\nthis\n", "1:2\n\nnow\nthis\n7\t"])
def test_a_record_that_is_not_written_yet(enter, other, place, text):
    """It is passed over: whoever writes into it would stand where its note is to be."""
    killed = other("enter")
    says(killed, "inside")
    killed.kill()
    killed.wait(TIMEOUT)
    held, path = records.make(place, records.prefix(os.path.dirname(place)))
    Path(path).write_text(text)
    presence = enter()
    assert Path(path).read_text() == text
    assert presence.stop().began is None
    held.release(unlink=True)


def test_who_was_there_before(enter, other):
    one = other("enter")
    says(one, "inside")
    presence = enter()
    assert presence.others().began == 5
    end(one)
    assert presence.stop().began == 5  # also when it has ended


def test_who_comes_later(enter, other):
    presence = enter(private=["/mine"])
    one = other("enter")
    says(one, "inside")
    end(one)
    others = presence.stop()
    assert others.began == 5
    assert not others.was_killed


def test_who_is_killed(enter, other, tmp_path):
    presence = enter()
    one = other("enter")
    says(one, "inside")
    one.kill()
    one.wait(TIMEOUT)
    others = presence.stop()
    tell = pytest.fail
    assert beside.wait(str(tmp_path), others.opened, TIMEOUT, tell)


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell who is alive")
def test_a_child_of_a_killed_one(enter, other):
    """It has the lock, by a fork, and may live for days: nobody takes it for a build."""
    one = other("fork")
    says(one, "inside")
    presence = enter()
    assert presence.others().began == 5
    one.kill()
    one.wait(TIMEOUT)
    assert presence.stop().began == 5
    later = enter()
    assert later.stop().began is None


def test_who_is_killed_and_swept_away(enter, other):
    """By a third one that begins before this one looks."""
    presence = enter()
    one = other("enter")
    says(one, "inside")
    one.kill()
    one.wait(TIMEOUT)
    third = other("enter")
    says(third, "inside")
    assert presence.stop().was_killed


def test_one_that_has_to_be_alone(enter, other):
    """It waits for those inside, and those that come later wait for it."""
    first = other("enter")
    says(first, "inside")
    single = other("alone")
    assert "waiting for another build" in single.stdout.readline()
    second = other("enter")
    assert "a build that has to be alone" in second.stdout.readline()
    end(first)
    says(single, "inside")
    end(single)
    says(second, "inside")
    end(second)


def test_a_gate_that_is_swept(enter, place, monkeypatch):
    """A build of any tree takes it for a moment, and nobody waits for this one."""
    gate = os.path.join(place, f"{records.prefix(os.path.dirname(place))}gate.lock")
    presence = enter()
    swept = lock.acquire(gate, 0)
    trylock = lock._Exclusive.trylock

    def in_vain_once(self):
        try:
            trylock(self)
        except OSError:
            swept.release(unlink=True)
            raise

    monkeypatch.setattr(lock._Exclusive, "trylock", in_vain_once)
    assert not presence.is_waited_for()
    monkeypatch.undo()
    kept = lock.acquire(gate, 0)
    assert presence.is_waited_for()
    kept.release()
    presence.stop()


def test_it_is_not_starved(enter, other):
    """Builds that begin all the time do not keep it from its turn."""
    first = other("enter")
    says(first, "inside")
    single = other("alone")
    assert "waiting for another build" in single.stdout.readline()
    later = [other("enter") for _ in range(5)]
    for process in later:
        assert "a build that has to be alone" in process.stdout.readline()
    end(first)
    says(single, "inside")
    end(single)
    for process in later:
        says(process, "inside")
        end(process)


def test_a_part_of_it_does_not_wait(enter, tmp_path, place):
    """The fresh process is inside; by its parent, also in a clean environment."""
    with neighbours.alone(str(tmp_path), place, TIMEOUT, pytest.fail):
        command = [sys.executable, "-c", OTHER, "enter", str(tmp_path), place]
        for env in (None, {}):
            done = subprocess.run(
                *(command,),
                input="\n",
                capture_output=True,
                text=True,
                env=env,
                timeout=TIMEOUT,
                check=False,
            )
            assert done.stdout == "inside\ndone\n", done.stderr


def test_a_nested_build_is_no_other_one(enter, tmp_path, place):
    presence = enter()
    command = [sys.executable, "-c", OTHER, "enter", str(tmp_path), place]
    subprocess.run(command, input="\n", text=True, timeout=TIMEOUT, check=True)
    assert presence.stop().began is None


def test_the_wait_ends(enter, other, tmp_path, place):
    one = other("enter")
    says(one, "inside")
    with (
        pytest.raises(TurnError, match=r"has gone on for 0\.1 s: process"),
        neighbours.alone(str(tmp_path), place, 0.1, lambda text: None),
    ):
        pytest.fail("it is not alone")
    presence = enter()  # the gate is open again
    assert presence.others().began == 5
    presence.stop()


def test_a_clock_that_is_set(enter, other, monkeypatch):
    """Then all counts as changed."""
    presence = enter()
    one = other("enter")
    says(one, "inside")
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() - 3_600_000_000_000)
    assert presence.stop().began == 0


def test_a_record_that_is_removed(enter, place):
    """By somebody who respects no locks: whoever has come since, it does not know."""
    presence = enter()
    for path in map(Path, records.live(place, "source-")):
        path.unlink()
    assert presence.stop().began == 0


def _names(place):
    return [path.name for path in Path(place).iterdir()]


@pytest.mark.parametrize(("ahead", "began"), [(0, "7"), (60, "0"), (-60, "0")])
def test_another_time_than_files_have(enter, other, monkeypatch, ahead, began):
    """As faketime tells a build; what has changed since then cannot be known."""
    pretended = time.time_ns() + ahead * 1_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: pretended)
    presence = enter(began=7)
    assert presence.began == int(began)
    process = other("tell")
    says(process, "inside")
    process.stdin.write("\n")
    process.stdin.flush()
    says(process, began)
    says(process, "done")
    presence.end()
