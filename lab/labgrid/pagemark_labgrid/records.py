"""Follows a log as it comes from a serial line.

A record is a line with ``@pagemark`` and JSON behind it; docs/log-format.md describes them. The bytes are kept as they came: whether
the log is whole is proved by ``pagemark``, which has the checksum.
"""

import enum
import json

PREFIX = b"@pagemark "

#: Seconds from the start record to the end, by suite, as `pagemark run` has them.
SUITES = {"quick": 120, "full": 600, "probe": 30}
#: What a soak takes beside its own ``seconds=``.
SOAK_MARGIN = 120
#: And where that is not on the command line.
SOAK = 60


class Outcome(enum.Enum):
    """How a log ended."""

    passed = "pass"
    failed = "fail"
    error = "error"
    panic = "panic"


class Follower:
    """Takes in bytes, and knows what they amount to so far."""

    def __init__(self):
        self.raw = bytearray()
        self.line = bytearray()
        #: The start record, once it came.
        self.start = None
        #: Cases that were measured.
        self.cases = 0
        #: The last record in words, for a person who waits.
        self.progress = "nothing yet"
        #: The outcome, once the last record came.
        self.outcome = None

    def feed(self, data):
        """Takes in bytes from the line."""
        self.raw += data
        for byte in data:
            if byte == 0x0A:
                self._line(bytes(self.line))
                self.line.clear()
            else:
                self.line.append(byte)

    @property
    def seconds(self):
        """Seconds that the run may take from its start record on; None before that."""
        if self.start is None:
            return None
        suite = self.start.get("suite")
        if suite != "soak":
            return SUITES.get(suite, SUITES["full"])
        words = self.start.get("command_line", "").split()
        given = [word.removeprefix("seconds=") for word in words if word.startswith("seconds=")]
        seconds = int(given[-1]) if given and given[-1].isdigit() else SOAK
        return seconds + SOAK_MARGIN

    def _line(self, line):
        at = line.find(PREFIX)
        if at < 0:
            return
        try:
            record = json.loads(line[at + len(PREFIX) :])
        except ValueError:
            # A damaged record: the checksum will say so.
            return
        if not isinstance(record, dict):
            return
        kind = record.get("record")
        if kind == "start":
            # A machine that restarts begins again.
            self.start, self.cases, self.outcome = record, 0, None
            self.progress = f"started, suite {record.get('suite')}"
        elif kind == "result":
            self.cases += 1
            self.progress = f"{self.cases} cases, {record.get('case')}"
        elif kind == "panic":
            self.outcome = Outcome.panic
            self.progress = f"panic: {record.get('message')}"
        elif kind == "end" and record.get("verdict") in {item.value for item in Outcome}:
            self.outcome = Outcome(record["verdict"])
            self.progress = f"verdict {record['verdict']}"
