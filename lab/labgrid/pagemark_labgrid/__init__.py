"""Boots pagemark on the places of a labgrid lab.

- ``records`` follows the log on a serial line: start, results, end, panic, and how long the run may take;
- ``providers`` bring the image and its command line to a machine: over the network, on a stick, into QEMU;
- ``strategy`` is labgrid's strategy ``off -> booted -> finished``;
- ``place`` holds one place of a coordinator, and boots it on request: the program ``pagemark-lab``;
- ``pytest_plugin`` has fixtures for tests in a lab.

An environment file names this package under ``imports``, which registers the drivers.
"""

from .providers import PagemarkNetbootDriver, PagemarkQEMUDriver, PagemarkStickDriver
from .records import Follower, Outcome
from .strategy import PagemarkStrategy, Status

__all__ = [
    "Follower",
    "Outcome",
    "PagemarkNetbootDriver",
    "PagemarkQEMUDriver",
    "PagemarkStickDriver",
    "PagemarkStrategy",
    "Status",
]
