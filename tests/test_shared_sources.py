"""What builds write into the source tree: no archive from what another was writing."""

from __future__ import annotations

import os
import textwrap
import time
import zipfile
from dataclasses import replace

import harness
import pytest
from _check.results import repeated_files  # what `check` makes of it

WHOLE = "first = 1\nsecond = 2\n"
# Whoever writes does so in two parts, and meets the test between them.
WRITING = harness.Meeting.CODE + textwrap.dedent(
    """
    import os

    def write(step, path):
        if os.environ["STEP"] != step or os.environ.get("WRITES") == "not":
            return
        target = path + ".new" if os.environ.get("RENAMES") else path
        if os.environ.get("WRITES") == "anew":  # as Cython does
            os.unlink(target)
            meet("removed")
        with open(target, "w") as file:
            file.write("first = 1" + os.linesep)
            file.flush()
            if os.environ.get("WRITES") == "slowly":
                meet(os.environ.get("NAME", "half-written"))
            file.write("second = 2" + os.linesep)
        os.replace(target, path)
        if os.environ.get("WRITES") == "whole":
            meet("written")
    """
)
SETUP = WRITING + textwrap.dedent(
    """
    MADE = "../p/made.py" if os.path.isdir("../p") else "p/made.py"
    write("setup.py", MADE)
    from setuptools import setup
    from setuptools.command.build_py import build_py
    from setuptools.command.egg_info import egg_info
    from setuptools.command.sdist import sdist

    class own_build_py(build_py):
        def run(self):
            if os.path.exists("broken"):
                raise SystemExit("error: this project is broken")
            write("build_py", MADE)
            if os.environ.get("WRITES") == "for a while":
                open("p/passing.py", "w").close()
                meet("written")
                os.unlink("p/passing.py")
            super().run()
            if os.environ.get("WRITES") == "not":
                meet("copied")

    class own_sdist(sdist):
        def make_release_tree(self, *args):
            super().make_release_tree(*args)
            meet("copied")

    class own_egg_info(egg_info):
        def run(self):
            write("egg_info", MADE)
            super().run()

    setup(name="n", version="1", packages=["p"], package_dir={"p": MADE[:-8]},
          package_data={"p": ["*.log"]},
          cmdclass={"build_py": own_build_py, "egg_info": own_egg_info,
                    "sdist": own_sdist})
    """
)
FILES = {
    "setup.py": SETUP,
    "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\n',
    "p/__init__.py": "",
    "p/made.py": WHOLE,
}
AGAIN = "this build runs again, alone"


def made(directory):
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("p/made.py").decode()


@pytest.fixture
def begin(start, plugged, project):
    return beginner(start, plugged, project(FILES))


def beginner(start, plugged, source):
    """Start a build of the tree: how it writes, in which step, who it is."""

    def begin_one(who, writes, step, frontend="wheel", environment=plugged, **more):
        variables = {"WRITES": writes, "STEP": step, **more}
        return start(environment, source, frontend, who, variables)

    return begin_one


def read_half(begin, meeting, step="build_py", frontend="wheel", **more):
    """Let a rival be in the middle of writing before, while and after a reader reads.

    Returns what the reader has said.
    """
    rival = begin("rival", "slowly", step, **more)
    assert meeting.arrival() == "half-written"
    reader = begin("reader", "not", step, frontend, **more)
    assert meeting.arrival() == "copied"
    meeting.let_go("copied")
    meeting.let_go("half-written")
    assert meeting.arrival() == "copied"
    meeting.let_go("copied")
    rival.finish(60)
    output = reader.finish(60)
    assert (rival.status, reader.status) == (0, 0), output
    return output


@pytest.mark.parametrize("frontend", ["wheel", "setup.py"])
@pytest.mark.parametrize("step", ["setup.py", "build_py", "egg_info"])
def test_half_written_all_the_time(
    step, frontend, begin, plugged, setup_at_once, meeting, tmp_path
):
    environment = setup_at_once if step == "setup.py" else plugged
    output = read_half(begin, meeting, step, frontend, environment=environment)
    assert made(tmp_path / "rival") == WHOLE
    assert made(tmp_path / "reader") == WHOLE
    assert AGAIN in output
    assert repeated_files(output, tmp_path / "project") == ["p/made.py"]


@pytest.mark.parametrize("step", ["setup.py", "build_py"])
def test_sources_outside_of_the_project(
    step, start, plugged, setup_at_once, project, meeting, tmp_path
):
    """Of several projects in one repository, say."""
    inside = ("setup.py", "pyproject.toml")
    files = {f"sub/{x}" if x in inside else x: text for x, text in FILES.items()}
    environment = setup_at_once if step == "setup.py" else plugged
    begin = beginner(start, environment, project(files) / "sub")
    read_half(begin, meeting, step)
    assert made(tmp_path / "reader") == WHOLE


@pytest.mark.parametrize("results", [".", "p"])
def test_results_among_the_sources(results, begin, meeting, tmp_path):
    """What a rival writes there is not only its result."""
    (tmp_path / "rival").symlink_to(tmp_path / "project" / results)
    read_half(begin, meeting)
    assert made(tmp_path / "reader") == WHOLE


@pytest.mark.parametrize("mark", ["CACHEDIR.TAG", "pyvenv.cfg"])
def test_a_mark_beside_sources(mark, begin, meeting, tmp_path):
    """Also what looks like a cache or an environment may be what is shipped."""
    (tmp_path / "project" / "p" / mark).touch()
    harness.let_age(tmp_path / "project" / "p")
    read_half(begin, meeting)
    assert made(tmp_path / "reader") == WHOLE


def test_a_link_to_nothing(begin, meeting, tmp_path):
    """Nothing has changed about it: no reason to wait, or to build once more."""
    link = tmp_path / "project" / "p" / "link"
    link.symlink_to("nothing")
    harness.let_age(link.parent)
    read_whole(begin, meeting)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_in_the_tree(begin, meeting, tmp_path):
    """Nobody writes to it, so whoever opened it to look at it would not come back."""
    os.mkfifo(tmp_path / "project" / "p" / "pipe")
    read_whole(begin, meeting)


def test_results_in_the_project(begin, meeting, tmp_path):
    """Nobody reads what another build has put there."""
    (tmp_path / "project" / "out").mkdir()
    (tmp_path / "first").symlink_to(tmp_path / "project" / "out")
    read_whole(begin, meeting)


def read_whole(begin, meeting):
    """Let two builds read beside each other what nobody writes."""
    first = begin("first", "not", "")
    assert meeting.arrival() == "copied"
    second = begin("second", "not", "")
    assert meeting.arrival() == "copied"
    meeting.let_go("copied")
    output = first.finish(60)
    assert first.status == 0, output
    assert AGAIN not in output
    meeting.let_go("copied")
    output = second.finish(60)
    assert second.status == 0, output
    assert AGAIN not in output


ALONE = """
import os, sys
from setuptools_isolated_build._locks import neighbours, places
place = places.lock_place(print)
with neighbours.alone(os.getcwd(), place, 60, lambda text: print(text, flush=True)):
    print("alone")
"""


def test_the_writer_stands_at_the_gate(
    begin, plugged, setup_at_once, meeting, telling, tmp_path
):
    """It has written before it could be known, and cannot come in to be known."""
    rival = begin("rival", "slowly", "setup.py", environment=setup_at_once)
    assert meeting.arrival() == "half-written"
    reader = begin("reader", "not", "setup.py", environment=setup_at_once)
    assert meeting.arrival() == "copied"
    variables = {**meeting.variables, **telling}
    command = [str(plugged.python), "-c", ALONE]
    single = plugged.start(command, tmp_path / "project", variables)
    with harness.many([single]):
        assert meeting.arrival() == "waits"  # with the gate in hand
        meeting.let_go("waits")
        meeting.let_go("half-written")
        meeting.let_go("copied")
        assert meeting.arrival() == "copied"
        meeting.let_go("copied")
        output = reader.finish(60)
        assert reader.status == 0, output
        assert single.finish(60).endswith("alone\n")
    rival.finish(60)
    assert AGAIN in output
    assert made(tmp_path / "reader") == WHOLE


def test_one_begins_while_another_is_alone(begin, setup_at_once, meeting, tmp_path):
    """Its setup.py has run before it comes to the gate: then it is done once more."""
    rival = begin("rival", "slowly", "build_py")
    assert meeting.arrival() == "half-written"
    reader = begin("reader", "not", "build_py")
    assert meeting.arrival() == "copied"
    rival.kill_session()
    rival.finish(60)
    name = {"NAME": "half-written by the third"}
    third = begin("third", "slowly", "setup.py", environment=setup_at_once, **name)
    assert meeting.arrival() == "half-written by the third"
    meeting.let_go("copied")
    assert meeting.arrival() == "copied"  # alone, and half of what the third one writes
    meeting.let_go("copied")
    meeting.let_go("half-written by the third")
    assert meeting.arrival() == "copied"
    meeting.let_go("copied")
    output = reader.finish(60)
    third.finish(60)
    assert (reader.status, third.status) == (0, 0), output
    assert "a build that begins has written it" in output
    assert made(tmp_path / "reader") == WHOLE


def test_without_the_plugin(begin, plain, meeting, tmp_path):
    """The same steps, without the plugin: half a file is shipped."""
    rival = begin("rival", "slowly", "build_py", environment=plain)
    assert meeting.arrival() == "half-written"
    reader = begin("reader", "not", "build_py", environment=plain)
    assert meeting.arrival() == "copied"
    meeting.let_go("copied")
    reader.finish(60)
    assert reader.status == 0
    assert made(tmp_path / "reader") == WHOLE.splitlines(keepends=True)[0]
    meeting.let_go("half-written")
    rival.finish(60)


def test_killed_while_it_writes(begin, meeting, tmp_path):
    """What a killed build has left half-written is not trusted; the next one mends it."""
    rival = begin("rival", "slowly", "build_py")
    assert meeting.arrival() == "half-written"
    reader = begin("reader", "not", "build_py")
    assert meeting.arrival() == "copied"
    rival.kill_session()
    rival.finish(60)
    meeting.let_go("copied")
    assert meeting.arrival() == "copied"
    meeting.let_go("copied")
    output = reader.finish(60)
    assert reader.status == 0, output
    assert AGAIN in output


def test_equal_contents(begin, meeting, tmp_path):
    """Who rewrites a file with the contents that it had disturbs nobody."""
    reader = begin("reader", "not", "build_py")
    assert meeting.arrival() == "copied"
    rival = begin("rival", "whole", "build_py")
    assert meeting.arrival() == "written"
    meeting.let_go("written")
    meeting.let_go("copied")
    rival.finish(60)
    output = reader.finish(60)
    assert (rival.status, reader.status) == (0, 0), output
    assert made(tmp_path / "reader") == WHOLE
    assert AGAIN not in output


def test_an_sdist_is_packed_from_copies(begin, meeting, tmp_path):
    """From links it would be packed as another build has left it by then: half."""
    reader = begin("reader", "not", "build_py", "sdist")
    assert meeting.arrival() == "copied"
    rival = begin("rival", "slowly", "build_py")
    assert meeting.arrival() == "half-written"
    meeting.let_go("copied")
    # It waits for the rival when it has packed.
    wait_for(tmp_path / "reader", "*/*.tar.gz")
    meeting.let_go("half-written")
    rival.finish(60)
    output = reader.finish(60)
    assert reader.status == 0, output
    (sdist,) = (tmp_path / "reader").iterdir()
    contents = {name: data for name, *_, data in harness.archive_contents(sdist)}
    assert contents["n-1/p/made.py"].decode() == WHOLE


def wait_for(directory, pattern):
    for _ in range(6000):
        if any(path.stat().st_size for path in directory.glob(pattern)):
            return
        time.sleep(0.01)
    pytest.fail(f"no {pattern} in {directory}")


def test_a_file_that_was_there_for_a_while(begin, meeting, tmp_path):
    """A rival has made it and takes it away: it is no module of the project."""
    rival = begin("rival", "for a while", "build_py")
    assert meeting.arrival() == "written"
    reader = begin("reader", "not", "build_py")
    assert meeting.arrival() == "copied"
    meeting.let_go("written")
    meeting.let_go("copied")
    assert meeting.arrival() == "copied"
    meeting.let_go("copied")
    rival.finish(60)
    output = reader.finish(60)
    assert reader.status == 0, output
    assert AGAIN in output
    (wheel,) = (tmp_path / "reader").glob("*.whl")
    names = {name for name, *_ in harness.wheel_contents(wheel)}
    assert "p/made.py" in names
    assert "p/passing.py" not in names


def test_a_person_changes_a_file(begin, meeting, tmp_path):
    """While one build runs alone: it is not repeated, and says so."""
    reader = begin("reader", "not", "build_py")
    assert meeting.arrival() == "copied"
    (tmp_path / "project" / "p" / "made.py").write_text("edited = 1\n")
    meeting.let_go("copied")
    output = reader.finish(60)
    assert reader.status == 0, output
    assert made(tmp_path / "reader") == WHOLE
    assert AGAIN not in output
    assert "made.py: changed while this build ran, but not by another build" in output


@pytest.mark.long
def test_a_program_that_goes_on_writing(begin, meeting, tmp_path):
    """It is no build that will have ended when one is alone, and no reason to fail."""
    with (tmp_path / "project" / "p" / "program.log").open("w") as log:
        runs = [begin(who, "not", "") for who in ("first", "second")]
        assert [meeting.arrival() for _ in runs] == ["copied"] * 2
        print("a line", file=log, flush=True)
        meeting.let_go("copied")
        meeting.let_go("copied")
        for _ in range(len(runs) * 3):  # alone
            assert meeting.arrival() == "copied"
            print("a line", file=log, flush=True)
            meeting.let_go("copied")
        outputs = [run.finish(60) for run in runs]
    assert [run.status for run in runs] == [0, 0], outputs
    assert all("but not by another build" in output for output in outputs)


def test_renamed_into_place(begin, meeting, tmp_path):
    """A file that is exchanged is whole, but not the one that was copied."""
    rival = begin("rival", "slowly", "build_py", RENAMES="1")
    assert meeting.arrival() == "half-written"
    reader = begin("reader", "not", "build_py")
    assert meeting.arrival() == "copied"
    meeting.let_go("half-written")
    meeting.let_go("copied")
    output = reader.finish(60)
    rival.finish(60)
    assert (rival.status, reader.status) == (0, 0), output
    assert made(tmp_path / "reader") == WHOLE
    assert AGAIN not in output  # its contents are what they were


def test_switched_off(begin, meeting, tmp_path):
    """Then nothing is looked at, and the output says so."""
    off = {"SETUPTOOLS_ISOLATED_BUILD_TAKE_TURNS": "false"}
    rival = begin("rival", "slowly", "build_py", **off)
    assert meeting.arrival() == "half-written"
    reader = begin("reader", "not", "build_py", **off)
    assert meeting.arrival() == "copied"
    meeting.let_go("copied")
    output = reader.finish(60)
    assert reader.status == 0, output
    assert made(tmp_path / "reader") != WHOLE
    assert "take-turns = false" in output
    meeting.let_go("half-written")
    rival.finish(60)


@pytest.mark.parametrize("step", ["setup.py", "build_py", "egg_info"])
def test_six_at_once(step, begin, tmp_path):
    """The short form of ``tests/shared.py``: each writes, reads and publishes."""
    runs = {
        who: begin(who, "quickly", step, "setup.py" if number % 3 == 2 else "wheel")
        for number, who in enumerate("abcdef")
    }
    for who, run in runs.items():
        output = run.finish(60)
        assert run.status == 0, output
        assert made(tmp_path / who) == WHOLE


FAILING = WRITING + textwrap.dedent(
    """
    {before}
    from setuptools import setup
    from setuptools.command.build_py import build_py

    class own(build_py):
        def run(self):
            write("build_py", "p/made.py")
            if os.environ["WHO"] == "reader":
                found = {{}}
                exec(open("p/made.py").read(), found)
                found["second"]
            super().run()

    setup(name="n", version="1", packages=["p"], cmdclass={{"build_py": own}})
    """
)


READS_IT = (
    'if os.environ["WHO"] == "reader":\n'
    '    exec(open("p/made.py").read(), found := {}); found["second"]'
)


@pytest.mark.parametrize(
    ("writes", "where"), [("slowly", "half-written"), ("anew", "removed")]
)
@pytest.mark.parametrize(
    ("backend", "before", "more"),
    [
        (harness.SETUPTOOLS, "", "p/py.typed"),
        (harness.OUR_BACKEND, "", "p/py.typed"),
        # Before its setup() is called: our backend knows of the build by then.
        (harness.OUR_BACKEND, READS_IT, "p/py.typed"),
        # What looks like a cache or an environment may be a package.
        (harness.SETUPTOOLS, "", "p/CACHEDIR.TAG"),
        (harness.SETUPTOOLS, "", "p/pyvenv.cfg"),
    ],
)
def test_a_build_that_fails(
    backend,
    before,
    more,
    writes,
    where,
    project,
    plugged,
    start,
    meeting,
    telling,
    tmp_path,
):
    """Of what another one is writing: in its commands, or in setup.py."""
    plugged = replace(plugged, backend=backend)
    files = {**FILES, "setup.py": FAILING.format(before=before), more: ""}
    source = project(files)
    step = {"STEP": "build_py"}
    rival = start(plugged, source, "wheel", "rival", {**step, "WRITES": writes})
    assert meeting.arrival() == where
    variables = {**step, **telling, "WRITES": "not"}
    reader = start(plugged, source, "wheel", "reader", variables)
    assert meeting.arrival() == "waits"
    meeting.let_go("waits")
    meeting.let_go(where)
    rival.finish(60)
    output = reader.finish(60)
    assert reader.status == 0, output
    assert AGAIN in output
    assert repeated_files(output, source) == ["p/made.py"]
    assert made(tmp_path / "reader") == WHOLE


@pytest.mark.parametrize("frontend", ["wheel", "setup.py"])
def test_what_fails_alone_too(frontend, begin, meeting, tmp_path):
    """The error is the project's, and the last line sends the reader to it."""
    rival = begin("rival", "slowly", "build_py")
    assert meeting.arrival() == "half-written"
    reader = begin("reader", "not", "build_py", frontend)
    assert meeting.arrival() == "copied"
    (tmp_path / "project" / "broken").write_text("")
    meeting.let_go("copied")
    meeting.let_go("half-written")
    rival.finish(60)
    output = reader.finish(60)
    assert reader.status == 1, output
    assert "error: this project is broken" in output
    last = output.strip().splitlines()[-1]
    said = f"error: {tmp_path / 'project'}: the build failed alone, too (status 1); "
    assert last.startswith(said + "correct what the output above shows (https://")
    assert not list((tmp_path / "reader").glob("*.whl"))


def test_what_cannot_be_published_after_all(begin, meeting, tmp_path):
    """Made again, by a hook, and refused by its place: one line, and no traceback."""
    rival = begin("rival", "slowly", "build_py")
    assert meeting.arrival() == "half-written"
    reader = begin("reader", "not", "build_py")
    assert meeting.arrival() == "copied"
    target = tmp_path / "reader" / "n-1-py3-none-any.whl"
    target.mkdir()
    meeting.let_go("copied")
    meeting.let_go("half-written")
    assert meeting.arrival() == "copied"
    meeting.let_go("copied")
    rival.finish(60)
    output = reader.finish(60)
    assert reader.status == 1, output
    assert AGAIN in output
    assert output.strip().splitlines()[-1].startswith(f"error: {target}: ")
    assert "Traceback" not in output
    assert list(target.iterdir()) == []


def test_what_cannot_be_repeated(project, plugged, start, meeting, tmp_path):
    """By hand, with a command that has left something in the tree: an error says so."""
    source = project(FILES)
    step = {"STEP": "build_py"}
    rival = start(plugged, source, "wheel", "rival", {**step, "WRITES": "slowly"})
    assert meeting.arrival() == "half-written"
    variables = {**meeting.variables, **step, "WHO": "reader", "WRITES": "not"}
    command = [str(plugged.python), "setup.py", "build_py", "bdist_wheel"]
    reader = plugged.start(command, source, variables)
    with harness.many([reader]):
        assert meeting.arrival() == "copied"
        meeting.let_go("copied")
        meeting.let_go("half-written")
        output = reader.finish(60)
    rival.finish(60)
    assert reader.status == 1
    last = output.strip().splitlines()[-1]
    assert "made.py: another build was writing it" in last
    assert "take-turns = true" in last
    assert not (source / "dist").exists() or not any((source / "dist").iterdir())


# Whoever makes the egg-info in the tree does so when the other one has begun.
EGG_INFO = harness.Meeting.CODE + textwrap.dedent(
    """
    import os
    from setuptools import Distribution, Extension, setup
    from setuptools.command.egg_info import egg_info

    class own_distribution(Distribution):
        def parse_command_line(self):
            if os.environ["WHO"] == "reader":
                meet("begun")
            return super().parse_command_line()

    class own_egg_info(egg_info):
        def run(self):
            if os.environ["WHO"] == "writer":
                meet("has the turn")
            super().run()

    setup(name="n", version="1", packages=["p"], ext_modules=[Extension("p.e", ["e.c"])],
          distclass=own_distribution, cmdclass={"egg_info": own_egg_info})
    """
)


@pytest.mark.parametrize("what", ["sdist", "build_py sdist", "editable"])
def test_an_egg_info_that_another_command_makes(
    what, project, plugged, meeting, tmp_path
):
    """A build has its own, and does not take it for what the other one has written."""
    source = project({"setup.py": EGG_INFO, "p/__init__.py": "", "e.c": harness.FAST_C})
    out = tmp_path / "out"
    out.mkdir()

    def start(who: str, command: list[str]) -> harness.Run:
        return plugged.start(command, source, {**meeting.variables, "WHO": who})

    setup = [str(plugged.python), "setup.py"]
    by_hand = [*setup, *what.split(), "-d", str(out)]
    command = by_hand if "sdist" in what else plugged.command(what, source, out)
    writer = start("writer", [*setup, "egg_info"])
    with harness.many([writer]):
        assert meeting.arrival() == "has the turn"
        reader = start("reader", command)
        with harness.many([reader]):
            assert meeting.arrival() == "begun"
            meeting.let_go("has the turn")
            output = writer.finish(60)
            assert writer.status == 0, output
            meeting.let_go("begun")
            output = reader.finish(60)
    assert reader.status == 0, output
    assert AGAIN not in output
    assert len(list(out.iterdir())) == 1


# Each build puts files of its own where the package has them, or sets their mode.
LEADING = harness.Meeting.CODE + textwrap.dedent(
    """
    import os
    from setuptools import setup
    from setuptools.command.build_py import build_py

    if "_SETUPTOOLS_ISOLATED_BUILD_ALONE" in os.environ:  # once more
        meet = print
    who = os.environ["WHO"]

    def owner(directory):
        with open(directory + "/1.txt") as file:
            return file.read()

    def lead(link, elsewhere):
        os.symlink(elsewhere, "p/new")
        os.replace("p/new", link)

    def put():
        if os.environ["HOW"] == "link":
            lead("p/d", "../of-" + who)
        elif os.environ["HOW"] == "anew":
            lead("p/1.txt", "../of-one/1.txt")
        elif os.environ["HOW"] == "mode":
            if who == "two":
                os.chmod("p/1.txt", 0o600)
                meet("half-made")
                os.chmod("p/1.txt", 0o755)
        elif not os.path.exists("p/d"):
            os.replace("of-" + who, "p/d")
        elif owner("p/d") != who:
            os.replace("p/d", "of-" + owner("p/d"))
            os.replace("of-" + who, "p/d")

    class own(build_py):
        def run(self):
            put()
            super().run()

        def copy_file(self, source, *args, **kwargs):
            copied = super().copy_file(source, *args, **kwargs)
            if source.endswith("1.txt"):
                meet(who)
            return copied

    setup(name="n", version="1", packages=["p"],
          package_data={"p": ["1.txt", "d/1.txt", "d/2.txt"]},
          cmdclass={"build_py": own})
    """
)


@pytest.fixture
def leading(project, plugged, start):
    """Make such a project of further files; then start a build as somebody."""

    def make(how, files):
        source = project({**FILES, "setup.py": LEADING, **files})
        return lambda who: start(plugged, source, "wheel", who, {"HOW": how})

    return make


def archives(directory):
    """Open the wheels of both builds; with each, whose it is."""
    for who in ("one", "two"):
        (wheel,) = (directory / who).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            yield who, archive


@pytest.mark.parametrize("how", ["link", "move"])
def test_a_path_that_leads_elsewhere(how, leading, meeting, tmp_path):
    """None of the files has changed: one was read before, the other one after it."""
    texts = {
        f"of-{who}/{number}.txt": who for who in ("one", "two") for number in (1, 2)
    }
    begin = leading(how, texts)
    one = begin("one")
    assert meeting.arrival() == "one"
    two = begin("two")
    assert meeting.arrival() == "two"
    meeting.let_go("two")
    meeting.let_go("one")
    output = one.finish(60)
    two.finish(60)
    assert (one.status, two.status) == (0, 0), output
    for who, archive in archives(tmp_path):
        found = [archive.read(f"p/d/{number}.txt").decode() for number in (1, 2)]
        assert found == [who, who]


def test_a_mode_that_is_yet_to_be_set(leading, meeting, tmp_path):
    """The file is whole by then: of a tool, say, that was downloaded."""
    begin = leading("mode", {"p/1.txt": "one"})
    two = begin("two")
    assert meeting.arrival() == "half-made"
    one = begin("one")
    assert meeting.arrival() == "one"
    meeting.let_go("half-made")
    assert meeting.arrival() == "two"
    meeting.let_go("two")
    meeting.let_go("one")
    output = one.finish(60)
    two.finish(60)
    assert (one.status, two.status) == (0, 0), output
    assert repeated_files(output, tmp_path / "project") == ["p/1.txt"]
    for _, archive in archives(tmp_path):
        assert archive.getinfo("p/1.txt").external_attr >> 16 == 0o100755


def test_a_link_that_is_made_anew(leading, meeting, tmp_path):
    """It leads to the same file: a copy of this is right."""
    begin = leading("anew", {"of-one/1.txt": "one"})
    one = begin("one")
    assert meeting.arrival() == "one"
    two = begin("two")
    assert meeting.arrival() == "two"
    meeting.let_go("one")
    meeting.let_go("two")
    for run in (one, two):
        output = run.finish(60)
        assert run.status == 0, output
        assert AGAIN not in output
    for _, archive in archives(tmp_path):
        assert archive.read("p/1.txt") == b"one"


PROBING = harness.Meeting.CODE + textwrap.dedent(
    """
    import os, tempfile
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext

    class own(build_ext):
        def build_extensions(self):
            with tempfile.TemporaryDirectory() as place:
                with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
                    file.write("int f;")
                    file.flush()
                    self.compiler.compile([file.name], output_dir=place)
            super().build_extensions()
            meet("compiled")

    setup(name="n", version="1", ext_modules=[Extension("n", ["c/n.c"])],
          cmdclass={"build_ext": own})
    """
)


@pytest.mark.skipif(os.name == "nt", reason="for Unix compilers")
def test_a_probe_of_the_compiler(project, plugged, start, meeting):
    """As pybind11's `has_flag`: its source is gone, and was no other build's."""
    source = project({**FILES, "setup.py": PROBING, "c/n.c": "int PyInit_n;\n"})
    runs = []
    for who in ("first", "second"):
        runs.append(start(plugged, source, "wheel", who))
        assert meeting.arrival() == "compiled"
    for run in runs:
        meeting.let_go("compiled")
        output = run.finish(60)
        assert run.status == 0, output
        assert AGAIN not in output


# The rival writes half of it, then begins anew; the reader is done by then.
COMPILED = harness.Meeting.CODE + textwrap.dedent(
    """
    import os
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext

    if "_SETUPTOOLS_ISOLATED_BUILD_ALONE" in os.environ:  # once more
        meet = print
    made = os.environ["MADE"]

    def write(word):
        with open(made, "w") as file:
            file.write(f'const char word[] = "it is {word}"; int PyInit_n;')

    def begin(step):
        if os.environ["WHO"] == "rival" and os.environ["STEP"] == step:
            write("half")
            meet("half-written")

    class own(build_ext):
        def run(self):
            begin("build_ext")
            if os.environ["WHO"] == "rival":
                os.unlink(made)
                meet("removed")
            if not os.path.exists(made):
                write("whole")
            super().run()
            if os.environ["WHO"] == "reader":
                meet("compiled")
            if "REMOVES" in os.environ:
                os.unlink(made)
                meet("gone")

    begin("setup.py")
    source = made if made.endswith(".c") else "c/n.c"
    setup(name="n", version="1", ext_modules=[Extension("n", [source])],
          cmdclass={"build_ext": own})
    """
)


# In setup.py it is not known to the reader while that compiles.
@pytest.fixture(
    params=[
        ("c/made.c", "build_ext"),
        ("c/made.h", "build_ext"),
        ("c/made.c", "setup.py"),
    ],
    ids=" in ".join,
)
def half_compiled(request, project, plugged, setup_at_once, start, meeting):
    """A rival that has removed what it had written half, and a reader of that half."""
    if os.name == "nt":
        pytest.skip("for Unix compilers")
    include = '#include "made.h"\n'
    source = project({**FILES, "setup.py": COMPILED, "c/n.c": include})

    def begin_both(of_rival, of_reader):
        made = dict(zip(("MADE", "STEP"), request.param))
        environment = setup_at_once if made["STEP"] == "setup.py" else plugged
        rival = start(environment, source, "wheel", "rival", {**made, **of_rival})
        assert meeting.arrival() == "half-written"
        reader = start(environment, source, "wheel", "reader", {**made, **of_reader})
        assert meeting.arrival() == "compiled"
        meeting.let_go("half-written")
        assert meeting.arrival() == "removed"
        return rival, reader

    return begin_both


def is_whole(rival, reader, directory):
    """Whether the reader was done once more, and has compiled all of it."""
    rival.finish(60)
    output = reader.finish(60)
    assert (rival.status, reader.status) == (0, 0), output
    assert AGAIN in output
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        return b"it is whole" in archive.read(name)


def test_removed_when_the_reader_ends(half_compiled, meeting, telling, tmp_path):
    """What the compiler has read is not there then, and nothing else has changed."""
    both = half_compiled({}, telling)
    meeting.let_go("compiled")
    assert meeting.arrival() == "waits"
    meeting.let_go("waits")
    meeting.let_go("removed")
    assert is_whole(*both, tmp_path / "reader")


def test_removed_for_good(half_compiled, meeting, tmp_path):
    """What the compiler has read cannot be compared any more."""
    both = half_compiled({"REMOVES": "1"}, {})
    meeting.let_go("removed")
    assert meeting.arrival() == "gone"
    meeting.let_go("gone")
    meeting.let_go("compiled")
    assert is_whole(*both, tmp_path / "reader")
