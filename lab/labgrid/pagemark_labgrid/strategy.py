"""The strategy of a machine that pagemark boots on: off, booted (its start record came), finished (its last record came)."""

import enum
import time

import attr
from labgrid import target_factory
from labgrid.protocol import ConsoleProtocol, PowerProtocol
from labgrid.step import step
from labgrid.strategy import Strategy, StrategyError
from pexpect import EOF, TIMEOUT

from .records import Follower

#: How long one read waits, in seconds.
READ = 0.5
#: Reads in a row that come back at once with nothing, after which the console's other end has closed.
CLOSED = 20


class Status(enum.Enum):
    """What a machine is doing."""

    unknown = 0
    off = 1
    booted = 2
    finished = 3


class ConsoleLost(StrategyError):
    """The serial line gave out."""


class TooLate(StrategyError):
    """A record did not come in time."""


@target_factory.reg_driver
@attr.s(eq=False)
class PagemarkStrategy(Strategy):
    """Boots pagemark, over any driver for power and console.

    Args:
        boot_timeout (int): seconds from power on to the start record: firmware, loader
        run_timeout (int): seconds from there to the last record; without it, what the start record's suite takes
    """

    bindings = {
        "power": PowerProtocol,
        "console": ConsoleProtocol,
        "provider": {"PagemarkNetbootDriver", "PagemarkStickDriver", "PagemarkQEMUDriver", None},
    }

    boot_timeout = attr.ib(default=300, validator=attr.validators.instance_of(int))
    run_timeout = attr.ib(default=None, validator=attr.validators.optional(attr.validators.instance_of(int)))
    status = attr.ib(default=Status.unknown)

    def __attrs_post_init__(self):
        super().__attrs_post_init__()
        self.boot = None
        self.follower = Follower()
        #: Gets every piece of the log as it comes.
        self.keep = lambda data: None

    def prepare(self, boot, keep=None):
        """What the next boot is of, and who gets the log's bytes as they come; see ``providers``."""
        self.boot = boot
        self.keep = keep or (lambda data: None)

    @step(args=["status"])
    def transition(self, status):
        """Brings the machine to a status. One that failed can be tried again: every way begins with ``off``."""
        if not isinstance(status, Status):
            status = Status[status]
        if status == Status.unknown:
            raise StrategyError(f"no transition to {status}")
        if status == self.status:
            return
        if status == Status.off:
            self.target.activate(self.power)
            self.power.off()
            self.target.deactivate(self.console)
        elif status == Status.booted:
            self.transition(Status.off)
            if self.provider is not None and self.boot is not None:
                self.target.activate(self.provider)
                self.provider.stage(self.boot)
            self.follower = Follower()
            # Before the power: the first line counts.
            self.target.activate(self.power)
            self._open()
            self.power.on()
            self._follow(lambda follower: follower.start is not None, lambda follower: self.boot_timeout, "the start record")
        elif status == Status.finished:
            if self.status != Status.booted:
                self.transition(Status.booted)
            self._follow(
                lambda follower: follower.outcome is not None,
                lambda follower: self.run_timeout or follower.seconds,
                "the last record",
            )
        self.status = status

    def _open(self):
        try:
            self.target.activate(self.console)
        except Exception as error:
            raise ConsoleLost(f"the console cannot be opened: {error}") from error

    def _follow(self, done, seconds, what):
        """Takes in the console until ``done``; ``seconds`` is how long that may take from now on."""
        begun = time.monotonic()
        empty = 0
        while not done(self.follower):
            if time.monotonic() - begun > seconds(self.follower):
                self.status = Status.unknown
                raise TooLate(f"{what} did not come within {seconds(self.follower)} s; the last one: {self.follower.progress}")
            asked = time.monotonic()
            try:
                data = self.console.read(size=1, timeout=READ)
            except TIMEOUT:
                data = b""
            except (OSError, EOF) as error:
                # pyserial's errors are OSErrors.
                self.status = Status.unknown
                raise ConsoleLost(f"the console was lost: {error}; the last record: {self.follower.progress}") from error
            empty = empty + 1 if not data and time.monotonic() - asked < READ / 2 else 0
            if empty >= CLOSED:
                self.status = Status.unknown
                raise ConsoleLost(f"the console was closed; the last record: {self.follower.progress}")
            if empty:
                time.sleep(READ / 10)
            self.keep(data)
            self.follower.feed(data)
