"""A whole lab on this host: labgrid's coordinator and exporter, four machines that are QEMUs and boot over the network.

PAGEMARK is the program `pagemark`, PAGEMARK_IMAGE the image; without these the tests are skipped.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from lab import Lab

TOOL, IMAGE = os.environ.get("PAGEMARK"), os.environ.get("PAGEMARK_IMAGE")
pytestmark = pytest.mark.skipif(not (TOOL and IMAGE), reason="PAGEMARK and PAGEMARK_IMAGE are not set")

ENVIRONMENT = """
imports: [pagemark_labgrid]
targets:
  main:
    resources:
      RemotePlace: {{name: !template "$LG_PLACE"}}
    drivers:
      NetworkPowerDriver: {{}}
      SerialDriver: {{}}
      PagemarkNetbootDriver: {{folder: {folder}}}
      PagemarkStrategy: {{}}
"""


def pagemark(*words, **more):
    """What `pagemark` says, and its exit status."""
    env = {**os.environ, "PAGEMARK_LAB": str(pathlib.Path(sys.executable).parent / "pagemark-lab")}
    run = subprocess.run([TOOL, *words], capture_output=True, text=True, env=env, timeout=1200, check=False, **more)
    return run.returncode, run.stdout, run.stderr


@pytest.fixture(name="folder")
def fixture_folder(tmp_path):
    """What the rack's TFTP servers hand out, and an environment file beside it."""
    folder = tmp_path / "netboot"
    status, _, messages = pagemark("netboot", str(folder), "--image", IMAGE)
    assert status == 0, messages
    (tmp_path / "env.yaml").write_text(ENVIRONMENT.format(folder=folder))
    return folder


def words(lab, tmp_path):
    """What `pagemark` takes for this lab."""
    return ["--lab", str(tmp_path / "env.yaml"), "--coordinator", lab.coordinator, "--image", IMAGE]


def test_one_hangs_one_loses_its_console_one_is_taken(folder, tmp_path):
    """The one that is left finishes, the other three are named, and a pack gives the same table elsewhere."""
    lab = Lab(folder, {"x86-2": "hang", "x86-3": "console", "x86-4": "taken"})
    try:
        options = [*words(lab, tmp_path), "--places", "x86-*", "--only", "control/*", "--boot-timeout", "900", "--run-timeout", "120"]
        status, out, messages = pagemark("fleet", "run", *options, "--output", str(tmp_path / "fleet"))
        assert status == 1, out + messages
        lost = out.split("\n  lost:\n")[1].strip().splitlines()
        assert [line.strip().split(":")[0] for line in lost] == ["x86-2", "x86-3", "x86-4"], out
        assert "the last record did not come within 120 s" in lost[0]
        assert "the console was" in lost[1]
        assert "already acquired by elsewhere/somebody" in lost[2]
        assert "1 machine, " in out and "x86-1" in out
        # Nothing is held or running once it is over, and what the others had is untouched.
        assert [line.split()[2] for line in lab.checked("who").splitlines()[1:]] == ["x86-4"]
        assert not any(machine.is_on() for machine in lab.rack.machines.values())
    finally:
        lab.close()
    packed = tmp_path / "packed"
    status, _, messages = pagemark("pack", str(tmp_path / "fleet" / "x86-1"), "--output", str(packed))
    assert status == 0, messages
    tables = []
    for logs, where in ((tmp_path / "fleet" / "x86-1", tmp_path), (packed, folder)):
        status, table, messages = pagemark("fleet", str(logs), "--format", "csv", cwd=where)
        assert status == 0, messages
        tables.append(table)
    assert tables[0] == tables[1]
    assert tables[0].splitlines()[1].startswith("x86-1,")


def test_two_places_boot_two_images_in_turns(folder, tmp_path):
    """Each place has a campaign of its own, and both are judged."""
    lab = Lab(folder, {})
    try:
        options = [*words(lab, tmp_path), "--places", "x86-[14]", "--only", "control/*", "--boots", "1", "--force", "--boot-timeout", "900", "--run-timeout", "600"]
        campaign = tmp_path / "campaign"
        status, out, messages = pagemark("ab", *options, "--base-image", IMAGE, "--output", str(campaign))
        # Too few boots to decide.
        assert status == 3, out + messages
        assert "2 machines" in out, out
        for place in ("x86-1", "x86-4"):
            boots = [json.loads(line) for line in (campaign / place / "boots.jsonl").read_text().splitlines()]
            assert sorted(boot["side"] for boot in boots) == ["base", "new"]
            assert all(boot["failure"] is None for boot in boots)
        assert lab.checked("who").splitlines()[1:] == []
    finally:
        lab.close()
