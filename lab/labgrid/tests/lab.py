"""A lab for tests: labgrid's own coordinator and exporter on this host, with the places of a rack.

Run as a program it serves until its standard input ends: ``lab.py FOLDER FAULTS`` as ``rack.py`` has them, where the fault ``taken``
has somebody else acquire the place. It writes the coordinator's address to standard output.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import rack as racks

WAIT = 60


def program(name):
    """labgrid's program of that name, beside this Python's."""
    return shutil.which(name, path=os.path.dirname(sys.executable)) or name


class Lab:
    """A coordinator, an exporter, and the places of a rack, with tags of their network cards."""

    def __init__(self, folder, faults):
        self.rack = racks.Rack(folder, faults)
        self.scratch = tempfile.mkdtemp(prefix="pagemark-lab-")
        self.programs = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.coordinator = f"127.0.0.1:{port}"
        self.env = {**os.environ, "LG_COORDINATOR": self.coordinator}
        try:
            self._start("labgrid-coordinator", "--listen", self.coordinator)
            self._until(lambda: self.client("places"))
            exports = os.path.join(self.scratch, "exports.yaml")
            with open(exports, "w", encoding="utf-8") as file:
                json.dump(self.rack.exports(), file)
            self._start("labgrid-exporter", "--coordinator", self.coordinator, "--name", "rack", "--hostname", "127.0.0.1", exports)
            for name in self.rack.machines:
                self.checked("-p", name, "create")
                self.checked("-p", name, "add-match", f"rack/{name}/*")
                self.checked("-p", name, "set-tags", f"mac={racks.mac(name)}")
            last = list(self.rack.machines)[-1]
            self._until(lambda: last if f"rack/{last}/NetworkPowerPort" in self.client("resources").stdout else None)
            for name, fault in faults.items():
                if fault == "taken":
                    self.checked("-p", name, "acquire", user="somebody", host="elsewhere")
        except BaseException:
            self.close()
            raise

    def _start(self, name, *words):
        log = open(os.path.join(self.scratch, f"{name}.log"), "wb")  # pylint: disable=consider-using-with
        self.programs.append(subprocess.Popen([program(name), *words], stdout=log, stderr=log, env=self.env, cwd=self.scratch))

    def client(self, *words, user=None, host=None):
        """What `labgrid-client` says, as somebody."""
        env = dict(self.env)
        if user:
            env |= {"LG_USERNAME": user, "LG_HOSTNAME": host}
        return subprocess.run([program("labgrid-client"), *words], capture_output=True, text=True, env=env, check=False)

    def checked(self, *words, **who):
        """The same, which has to succeed."""
        run = self.client(*words, **who)
        assert run.returncode == 0, f"{words}: {run.stdout}{run.stderr}"
        return run.stdout

    def _until(self, done):
        deadline = time.monotonic() + WAIT
        while True:
            found = done()
            if found and getattr(found, "returncode", 0) == 0:
                return
            assert time.monotonic() < deadline, f"the lab does not come up: {self.scratch}"
            time.sleep(0.3)

    def close(self):
        """Ends it all."""
        for started in reversed(self.programs):
            started.terminate()
            try:
                started.wait(10)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
        self.rack.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


def main():
    """The program."""
    lab = Lab(sys.argv[1], json.loads(sys.argv[2]))
    try:
        print(lab.coordinator, flush=True)
        sys.stdin.read()
    finally:
        lab.close()


if __name__ == "__main__":
    main()
