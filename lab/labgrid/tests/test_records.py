"""What a log amounts to, record by record."""

import json

import pytest

from pagemark_labgrid import Follower, Outcome


def record(kind, **fields):
    """A line of a log."""
    return b"@pagemark " + json.dumps({"record": kind, **fields}).encode() + b"\r\n"


def started(suite="quick", line="suite=quick"):
    """A log that has begun."""
    follower = Follower()
    follower.feed(b"GRUB\r\npagemark: booting\r\n" + record("start", suite=suite, command_line=line))
    return follower


def test_a_log_in_pieces():
    """Pieces of any size give what the whole gives, and every byte is kept."""
    text = b"SeaBIOS\r\n" + record("start", suite="quick") + record("result", case="tlb/invlpg") + record("end", verdict="pass")
    for size in (1, 7, len(text)):
        follower = Follower()
        for at in range(0, len(text), size):
            assert follower.outcome is None
            follower.feed(text[at : at + size])
        assert (follower.outcome, follower.cases, bytes(follower.raw)) == (Outcome.passed, 1, text)


@pytest.mark.parametrize(
    "line, outcome",
    [
        (record("end", verdict="fail"), Outcome.failed),
        (record("end", verdict="error"), Outcome.error),
        (record("panic", message="out of frames"), Outcome.panic),
        (record("end", verdict="maybe"), None),
        (b'@pagemark {"record":"end","verdict":"pa\n', None),
        (b"@pagemark [1]\n", None),
        (b'verdict pass, says "record":"end"\n', None),
    ],
)
def test_how_it_ends(line, outcome):
    """Only a whole last record ends a log."""
    follower = started()
    follower.feed(line)
    assert follower.outcome == outcome


def test_a_prefix_of_a_logging_program():
    """conserver's and ts's stamps stand before the mark."""
    follower = Follower()
    follower.feed(b"[Mon Nov 30] " + record("start", suite="full"))
    assert follower.start["suite"] == "full"


@pytest.mark.parametrize(
    "suite, line, seconds",
    [
        ("quick", "suite=quick", 120),
        ("full", "suite=full", 600),
        ("soak", "suite=soak seconds=3600", 3720),
        ("soak", "suite=soak seconds=long", 180),
        ("new", "suite=new", 600),
    ],
)
def test_how_long_it_may_take(suite, line, seconds):
    """The start record says."""
    assert started(suite, line).seconds == seconds


def test_a_machine_that_restarts_begins_again():
    """The verdict of an earlier boot is not that of the next."""
    follower = started()
    follower.feed(record("result", case="a") + record("end", verdict="pass") + record("start", suite="quick"))
    assert (follower.outcome, follower.cases) == (None, 0)
