"""The environment files: each loads, and the one for IPMI drives a stand-in for ipmitool to the verdict."""

import pathlib

import pytest
import yaml
from labgrid import Environment
from pagemark_labgrid.records import Outcome
from pagemark_labgrid.strategy import PagemarkStrategy, Status

FOLDER = pathlib.Path(__file__).parent.parent / "environments"

#: What ipmitool does: it notes its words, and serial over LAN is the log of a run.
IPMITOOL = """#!/bin/sh
echo "$@" >>"$IPMI_CALLS"
case "$*" in
*"sol activate")
    printf '@pagemark {"record":"start","schema":3,"revision":"x","suite":"quick","command_line":""}\\r\\n'
    printf '@pagemark {"record":"end","verdict":"pass","lines":1,"crc32":"0x0"}\\r\\n'
    exec sleep 5
    ;;
esac
"""


def alone(name, folder):
    """An environment file without what needs a coordinator or a folder for network boot."""
    text = (FOLDER / name).read_text(encoding="utf-8").replace("!template ", "!!str ")
    data = yaml.safe_load(text)
    main = data["targets"]["main"]
    main.pop("resources", None)
    main["drivers"].pop("PagemarkNetbootDriver", None)
    path = folder / name
    # labgrid fills in templates by a tag of its own.
    lines = yaml.safe_dump(data, width=10000).splitlines()
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yaml")))
def test_each_has_the_strategy_and_what_it_needs(name, tmp_path):
    """As labgrid reads it."""
    data = Environment(str(alone(name, tmp_path))).config.data
    drivers = data["targets"]["main"]["drivers"]
    assert "PagemarkStrategy" in drivers
    assert data["imports"] == ["pagemark_labgrid"]


def test_ipmi_to_the_verdict(tmp_path, monkeypatch):
    """Power and serial over LAN, with a session that somebody left open."""
    tool = tmp_path / "ipmitool"
    tool.write_text(IPMITOOL, encoding="utf-8")
    tool.chmod(0o755)
    calls = tmp_path / "calls"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("IPMI_CALLS", str(calls))
    path = alone("ipmi.yaml", tmp_path)
    text = path.read_text(encoding="utf-8").replace("${LG_PLACE}", "x86-1").replace("$LG_IPMI_USER", "admin")
    path.write_text(text, encoding="utf-8")
    strategy = Environment(str(path)).get_target("main").get_driver(PagemarkStrategy, activate=False)
    strategy.transition(Status.finished)
    assert strategy.follower.outcome == Outcome.passed
    strategy.transition(Status.off)
    lines = calls.read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("-I lanplus -H x86-1-bmc -U admin -E ") for line in lines), lines
    words = [" ".join(line.split()[-2:]) for line in lines]
    assert words[0] == words[-1] == "power off"
    assert {"power on", "sol activate"} <= set(words)
    assert words.index("sol deactivate") < words.index("sol activate")
