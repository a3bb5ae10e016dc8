"""The strategy over drivers that only write down what is asked of them."""

import attr
import pytest
from labgrid import Target, target_factory
from labgrid.driver import Driver
from labgrid.protocol import ConsoleProtocol, PowerProtocol
from pexpect import TIMEOUT
from test_records import record

from pagemark_labgrid import Outcome, PagemarkNetbootDriver, PagemarkStrategy, Status, strategy as strategies
from pagemark_labgrid.strategy import ConsoleLost, TooLate

START = record("start", suite="quick", command_line="suite=quick")
END = record("result", case="tlb/invlpg") + record("end", verdict="pass")


@target_factory.reg_driver
@attr.s(eq=False)
class WritingPowerDriver(Driver, PowerProtocol):
    """A power switch."""

    def __attrs_post_init__(self):
        super().__attrs_post_init__()
        self.done = []

    def on(self):
        """Switches on."""
        self.done.append("on")

    def off(self):
        """Switches off."""
        self.done.append("off")

    def cycle(self):
        """Both."""

    def get(self):
        """Whether it is on."""
        return self.done[-1:] == ["on"]


@target_factory.reg_driver
@attr.s(eq=False)
class ScriptedConsoleDriver(Driver, ConsoleProtocol):
    """A console that says what its script has: bytes, or an exception; then nothing."""

    def __attrs_post_init__(self):
        super().__attrs_post_init__()
        self.script = []
        self.opens = True

    def on_activate(self):
        """Opens it."""
        if not self.opens:
            raise OSError("connection refused")

    def read(self, size=1, timeout=0.0):  # pylint: disable=unused-argument
        """The next piece."""
        if not self.script:
            raise TIMEOUT("nothing")
        piece = self.script.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def write(self, data):
        """Nothing is written."""


@pytest.fixture(name="lab")
def fixture_lab(monkeypatch):
    """A strategy on its drivers, whose clock goes on by a second each time that it is looked at."""
    now = iter(range(1 << 30))
    monkeypatch.setattr(strategies.time, "monotonic", lambda: next(now))
    target = Target("main")
    power = WritingPowerDriver(target, None)
    console = ScriptedConsoleDriver(target, None)
    return target, power, console, PagemarkStrategy(target, None)


def test_from_off_to_finished(lab):
    """The log is kept whole, and the machine is on until it is switched off."""
    _, power, console, strategy = lab
    console.script = [b"SeaBIOS\r\n", START, END]
    kept = []
    strategy.prepare(None, kept.append)
    strategy.transition("finished")
    assert (strategy.follower.outcome, strategy.status) == (Outcome.passed, Status.finished)
    assert b"".join(kept) == b"SeaBIOS\r\n" + START + END
    assert power.done == ["off", "on"]
    strategy.transition("off")
    assert power.done == ["off", "on", "off"]


def test_booted_is_the_start_record(lab):
    """What comes behind it is left for the next status."""
    _, power, console, strategy = lab
    console.script = [START, END]
    strategy.transition(Status.booted)
    assert strategy.follower.outcome is None
    strategy.transition(Status.finished)
    assert strategy.follower.outcome == Outcome.passed
    assert power.done == ["off", "on"]


def test_a_machine_that_never_starts(lab):
    """Firmware that waits for a key."""
    _, _, console, strategy = lab
    console.script = [b"Press F1 to continue\r\n"]
    with pytest.raises(TooLate, match="the start record did not come within 300 s"):
        strategy.transition(Status.finished)
    assert strategy.status == Status.unknown


def test_a_machine_that_hangs(lab):
    """The start record's suite says how long is too long, or the environment does."""
    _, _, console, strategy = lab
    console.script = [START, record("result", case="pt/map")]
    with pytest.raises(TooLate, match="the last record did not come within 120 s; the last one: 1 cases, pt/map"):
        strategy.transition(Status.finished)
    strategy.run_timeout = 30
    console.script = [START]
    with pytest.raises(TooLate, match="within 30 s"):
        strategy.transition(Status.finished)


def test_a_console_that_is_lost_and_a_place_that_recovers(lab):
    """The next boot begins with off."""
    target, power, console, strategy = lab
    console.script = [START, OSError("socket disconnected")]
    with pytest.raises(ConsoleLost, match="socket disconnected; the last record: started, suite quick"):
        strategy.transition(Status.finished)
    console.script = [START, END]
    strategy.transition(Status.finished)
    assert strategy.follower.outcome == Outcome.passed
    assert power.done == ["off", "on", "off", "on"]
    strategy.transition(Status.off)
    console.opens = False
    with pytest.raises(ConsoleLost, match="cannot be opened: connection refused"):
        strategy.transition(Status.finished)
    assert target is strategy.target


def test_the_image_is_there_before_the_power(lab, tmp_path):
    """And with it the command line, by the network card's address."""
    target, power, console, strategy = lab
    netboot = PagemarkNetbootDriver(target, None, folder=str(tmp_path), mac="52:54:00:AB:cd:01")
    strategy.provider = netboot
    (tmp_path / "machines").mkdir()
    (tmp_path / "image").write_bytes(b"\x7fELF")
    stage = netboot.stage
    order = []
    netboot.stage = lambda boot: (order.append(list(power.done)), stage(boot))
    strategy.prepare({"image": "-", "loadable": str(tmp_path / "image"), "words": ["suite=quick", "only=tlb/*"], "tool": "-"})
    console.script = [START]
    strategy.transition(Status.booted)
    assert order == [["off"]]
    config = (tmp_path / "machines" / "52:54:00:ab:cd:01.cfg").read_text()
    assert config == 'set words="suite=quick only=tlb/*"\nset image="/images/52-54-00-ab-cd-01"\n'
    assert (tmp_path / "images" / "52-54-00-ab-cd-01").read_bytes() == b"\x7fELF"
