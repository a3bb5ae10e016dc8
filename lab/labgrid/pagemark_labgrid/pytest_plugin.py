"""Fixtures for tests in a lab, beside labgrid's own: ``pytest --lg-env ENV --pagemark-image ELF``."""

import pytest

from .strategy import PagemarkStrategy, Status


def pytest_addoption(parser):
    """The image and its command line."""
    group = parser.getgroup("pagemark")
    group.addoption("--pagemark-image", help="the image, pagemark.elf")
    group.addoption("--pagemark-words", default="suite=quick", help="its command line")
    group.addoption("--pagemark-tool", default="pagemark", help="the program pagemark, for sticks")


@pytest.fixture
def pagemark_run(target, request):
    """Boots the image once on labgrid's target; gives what was followed: ``outcome``, ``cases``, ``raw``. Switches off at the end."""
    strategy = target.get_driver(PagemarkStrategy, activate=False)
    image = request.config.getoption("--pagemark-image")
    if image is not None:
        words = request.config.getoption("--pagemark-words").split()
        tool = request.config.getoption("--pagemark-tool")
        strategy.prepare({"image": image, "loadable": image, "words": words, "tool": tool})
    try:
        strategy.transition(Status.finished)
        yield strategy.follower
    finally:
        strategy.status = Status.unknown
        strategy.transition(Status.off)
