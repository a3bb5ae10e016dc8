"""The program ``pagemark-lab``, which `pagemark fleet run --lab` and `pagemark ab --lab` start.

``pagemark-lab places --match 'x86-*'`` lists the places of the coordinator. ``pagemark-lab hold --env ENV --place PLACE`` acquires one,
and boots it for each line on standard input, a JSON object with ``image``, ``loadable``, ``words``, ``tool`` and ``log``, the file for
the raw log; it answers each by a line on standard output: ``{"ended": "pass"}``, or ``{"ended": "failed", "why": "…"}``. At the end of
its input it switches the machine off and releases the place. Reserving, acquiring and releasing are `labgrid-client`'s.
"""

import argparse
import fnmatch
import json
import os
import shutil
import signal
import subprocess
import sys

from labgrid import Environment
from labgrid.logging import basicConfig

from .strategy import PagemarkStrategy, Status


class PlaceError(Exception):
    """Why a place cannot be had, in one line."""


def client(*words, env=None):
    """What `labgrid-client` says to these words."""
    program = shutil.which("labgrid-client", path=os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", ""))
    if program is None:
        raise PlaceError("labgrid-client is not installed")
    run = subprocess.run([program, *words], capture_output=True, text=True, env=env, check=False)
    if run.returncode != 0:
        lines = [line.strip() for line in (run.stdout + run.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "rror" in line or "already" in line]
        why = (errors or lines or [f"labgrid-client ended with {run.returncode}"])[-1]
        # Its advice on what others could type is left out.
        raise PlaceError(why.removeprefix("labgrid-client: Error: ").split(". To work simultaneously")[0])
    return run.stdout


def places(pattern):
    """The places of the coordinator whose names match."""
    names = [line.split()[0] for line in client("places").splitlines() if line.strip()]
    return sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))


class Place:
    """A place, held until this ends."""

    def __init__(self, env, name, wait):
        self.env, self.name, self.wait = env, name, wait
        self.acquired = False
        self.strategy = None

    def __enter__(self):
        if self.wait:
            self.reserve()
        else:
            client("-p", self.name, "acquire")
        self.acquired = True
        os.environ["LG_PLACE"] = self.name
        return self

    def reserve(self):
        """Waits in the coordinator's queue, and acquires the place."""
        reserved = client("reserve", "--shell", f"name={self.name}")
        token = reserved.strip().split("=", 1)[-1].strip("'\"")
        try:
            try:
                subprocess.run(
                    [shutil.which("labgrid-client") or "labgrid-client", "wait", token],
                    capture_output=True,
                    timeout=self.wait,
                    check=True,
                )
            except subprocess.SubprocessError as error:
                raise PlaceError(f"the place is taken, and was not free within {self.wait} s") from error
            client("-p", f"+{token}", "acquire")
        except PlaceError:
            client("cancel-reservation", token)
            raise

    def __exit__(self, *_):
        try:
            if self.strategy is not None:
                self.strategy.status = Status.unknown
                self.strategy.transition(Status.off)
        except Exception as error:  # the place has to be released whatever its power switch does
            print(f"pagemark-lab: {self.name}: {error}", file=sys.stderr)
        if self.acquired:
            client("-p", self.name, "release")

    def boot(self, request):
        """Boots once; returns the answer."""
        try:
            if self.strategy is None:
                environment = Environment(self.env)
                self.strategy = environment.get_target("main").get_driver(PagemarkStrategy, activate=False)
            with open(request["log"], "wb", buffering=0) as log:
                self.strategy.prepare(request, log.write)
                self.strategy.status = Status.unknown
                try:
                    self.strategy.transition(Status.finished)
                finally:
                    self.strategy.status = Status.unknown
                    self.strategy.transition(Status.off)
        except Exception as error:
            cause = error.__cause__ if type(error).__name__ == "StrategyError" and error.__cause__ else error
            why = getattr(cause, "msg", None) or str(cause) or type(cause).__name__
            return {"ended": "failed", "why": " ".join(why.split())}
        return {"ended": self.strategy.follower.outcome.value}


def hold(options):
    """Holds a place until standard input ends."""
    with Place(options.env, options.place, options.wait) as place:
        if options.boot_timeout or options.run_timeout:
            environment = Environment(options.env)
            place.strategy = environment.get_target("main").get_driver(PagemarkStrategy, activate=False)
            place.strategy.boot_timeout = options.boot_timeout or place.strategy.boot_timeout
            place.strategy.run_timeout = options.run_timeout or place.strategy.run_timeout
        answer({"held": options.place})
        for line in sys.stdin:
            answer(place.boot(json.loads(line)))


def answer(value):
    """Writes a line for the program that started this one."""
    # labgrid's own messages go to standard error.
    print(json.dumps(value), flush=True)


def main():
    """The program."""
    parser = argparse.ArgumentParser(prog="pagemark-lab", description="Boots pagemark on the places of a labgrid lab")
    parser.add_argument("--coordinator", help="its address [default: LG_COORDINATOR, else 127.0.0.1:20408]")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("places", help="list places")
    listing.add_argument("--match", default="*", help="only those whose names match this glob")
    holding = commands.add_parser("hold", help="hold a place, and boot it for each line of standard input")
    holding.add_argument("--env", required=True, help="the environment file, with a target `main`")
    holding.add_argument("--place", required=True)
    holding.add_argument("--wait", type=int, default=0, help="seconds to wait for a place that is taken")
    holding.add_argument("--boot-timeout", type=int, help="seconds from power on to the start record")
    holding.add_argument("--run-timeout", type=int, help="seconds from there to the last record")
    options = parser.parse_args()
    if options.coordinator:
        os.environ["LG_COORDINATOR"] = options.coordinator
    basicConfig(stream=sys.stderr)
    # A place is released however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.command == "places":
            print("\n".join(places(options.match)))
        else:
            hold(options)
    except PlaceError as error:
        answer({"ended": "failed", "why": str(error)}) if options.command == "hold" else print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
