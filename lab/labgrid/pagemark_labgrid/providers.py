"""Bring the image and its command line to a machine, before it is switched on.

Each has ``stage(boot)``; ``boot`` is a dictionary with ``image`` (the ELF file), ``loadable`` (the same without what GRUB does not
load), ``words`` (the command line) and ``tool`` (the program ``pagemark``).
"""

import os
import re
import shutil
import subprocess
import tempfile

import attr
from labgrid import target_factory
from labgrid.driver.common import Driver
from labgrid.resource.remote import RemotePlace
from labgrid.strategy import StrategyError

#: Characters that GRUB makes something of, as `pagemark netboot` refuses them.
ODD = re.compile(r"[\x00-\x1f\x7f\"'\\$`;&|<>{}]")


def machine_config(words, image):
    """The file of one machine in a folder that `pagemark netboot` wrote: its command line, and its image."""
    for word in words:
        if ODD.search(word):
            raise StrategyError(f"GRUB cannot pass on {word!r}")
    return f'set words="{" ".join(words)}"\nset image="{image}"\n'


@target_factory.reg_driver
@attr.s(eq=False)
class PagemarkNetbootDriver(Driver):
    """The machine boots over the network, from a folder that `pagemark netboot` wrote.

    Args:
        folder (str): the folder, on this host or mounted here
        mac (str): the address of the network card that it boots from, or the UUID in its SMBIOS; without it the place's tag ``mac``
    """

    bindings = {}
    folder = attr.ib(validator=attr.validators.instance_of(str))
    mac = attr.ib(default=None, validator=attr.validators.optional(attr.validators.instance_of(str)))

    def name_of_machine(self):
        """What GRUB calls the machine."""
        name = self.mac
        for resource in self.target.resources:
            if name is None and isinstance(resource, RemotePlace):
                name = resource.tags.get("mac")
        if not name or not re.fullmatch(r"[0-9a-fA-F:-]+", name):
            raise StrategyError(f"the network card's address is {name!r}: give mac, or the place a tag mac=52:54:00:12:34:56")
        return name.lower()

    def stage(self, boot):
        """Puts the image and its command line where the machine's GRUB looks for them."""
        name = self.name_of_machine()
        images = os.path.join(self.folder, "images")
        machines = os.path.join(self.folder, "machines")
        if not os.path.isdir(machines):
            raise StrategyError(f"{self.folder} is no folder that `pagemark netboot` wrote")
        os.makedirs(images, exist_ok=True)
        image = name.replace(":", "-")
        replace(os.path.join(images, image), lambda path: shutil.copyfile(boot["loadable"], path))
        config = machine_config(boot["words"], f"/images/{image}")

        def write(path):
            with open(path, "w", encoding="ascii") as file:
                file.write(config)

        replace(os.path.join(machines, f"{name}.cfg"), write)


def replace(path, write):
    """Writes a file whole or not at all, as a server may be reading it."""
    part = f"{path}.part"
    write(part)
    os.chmod(part, 0o644)
    os.replace(part, path)


@target_factory.reg_driver
@attr.s(eq=False)
class PagemarkStickDriver(Driver):
    """The machine boots from a stick or card behind a multiplexer, which is written before each boot."""

    bindings = {"mux": "USBSDMuxDriver", "storage": "USBStorageDriver"}

    def stage(self, boot):
        """Writes an ISO with the image and its command line to the stick, and hands it to the machine."""
        with tempfile.TemporaryDirectory() as folder:
            iso = os.path.join(folder, "pagemark.iso")
            append = [argument for word in boot["words"] for argument in ("--append", word)]
            command = [boot["tool"], "iso", "--image", boot["image"], "--output", iso, *append]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            self.target.activate(self.mux)
            self.mux.set_mode("host")
            self.target.activate(self.storage)
            self.storage.write_image(iso)
            self.target.deactivate(self.storage)
            self.mux.set_mode("dut")


@target_factory.reg_driver
@attr.s(eq=False)
class PagemarkQEMUDriver(Driver):
    """The machine is a QEMU of labgrid's ``QEMUDriver``, whose ``kernel`` is ``pagemark``."""

    bindings = {"qemu": "QEMUDriver"}

    def stage(self, boot):
        """Gives QEMU the image and its command line."""
        self.target.deactivate(self.qemu)
        images = self.target.env.config.data.setdefault("images", {})
        images["pagemark"] = os.path.abspath(boot["image"])
        self.qemu.kernel = "pagemark"
        self.qemu.boot_args = " ".join(boot["words"])
