"""What is refused, and what the environment files name."""

import pathlib

import pytest
from labgrid import Target, target_factory
from labgrid.config import Config
from labgrid.strategy import StrategyError

import pagemark_labgrid  # noqa: F401  registers the drivers
from pagemark_labgrid.providers import PagemarkNetbootDriver, machine_config

ENVIRONMENTS = pathlib.Path(__file__).parent.parent / "environments"


@pytest.mark.parametrize("word", ["a=$b", 'a="b', "a\nb", "a;b", "a=b\\", "a=`b`"])
def test_a_word_that_grub_makes_something_of(word):
    """It would start something else."""
    with pytest.raises(StrategyError, match="cannot pass on"):
        machine_config(["suite=quick", word], "/boot/pagemark")


@pytest.mark.parametrize("mac", [None, "", "../../etc/passwd", "rack7"])
def test_an_address_that_is_none(mac, tmp_path):
    """It names a file."""
    driver = PagemarkNetbootDriver(Target("main"), None, folder=str(tmp_path), mac=mac)
    with pytest.raises(StrategyError, match="network card's address"):
        driver.stage({})


def test_a_folder_that_is_no_netboot_folder(tmp_path):
    """A typing error is no empty folder to be filled."""
    driver = PagemarkNetbootDriver(Target("main"), None, folder=str(tmp_path), mac="52:54:00:00:00:01")
    with pytest.raises(StrategyError, match="pagemark netboot"):
        driver.stage({})


@pytest.mark.parametrize("path", sorted(ENVIRONMENTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_environment_files_name_drivers_that_there_are(path, monkeypatch):
    """labgrid reads each file, and knows every class in it."""
    monkeypatch.setenv("LG_PLACE", "rack7")
    monkeypatch.setenv("LG_IPMI_USER", "operator")
    config = Config(str(path))
    assert config.get_imports() == ["pagemark_labgrid"]
    main = config.get_targets()["main"]
    for kind, known in (("resources", target_factory.resources), ("drivers", target_factory.drivers)):
        for name in main.get(kind, {}):
            assert name in known, name
    assert "PagemarkStrategy" in main["drivers"]
