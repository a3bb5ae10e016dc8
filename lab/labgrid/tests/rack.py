"""A rack for tests: machines that are QEMUs, each with a console server's TCP port and a power outlet that HTTP switches.

Run as a program it serves until it is ended: ``rack.py FOLDER FAULTS``, where FOLDER is one that `pagemark netboot` wrote and FAULTS is
JSON such as ``{"x86-2": "hang", "x86-3": "console"}``. It writes the exporter's configuration to standard output, one line of JSON.
A machine that hangs stops for good once it has printed its start record; one with a faulty console has the line closed there.
"""

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading

#: Machines of different CPU models and sizes.
MACHINES = {
    "x86-1": ("qemu64", "256M", 1),
    "x86-2": ("Nehalem", "512M", 1),
    "x86-3": ("Haswell", "768M", 2),
    "x86-4": ("max", "1G", 1),
}

QEMU = os.environ.get("PAGEMARK_QEMU", "qemu-system-x86_64")


def mac(name):
    """The address of a machine's network card."""
    return f"52:54:00:70:6d:{int(name.rsplit('-', 1)[1]):02x}"


class Machine:
    """One machine."""

    def __init__(self, name, folder, fault):
        self.name, self.folder, self.fault = name, folder, fault
        self.qemu = None
        self.clients = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.clients.append(client)

    def on(self):
        """Starts it."""
        with self.lock:
            if self.qemu is not None and self.qemu.poll() is None:
                return
            model, memory, cpus = MACHINES[self.name]
            command = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35", "-accel", "tcg"]
            command += ["-cpu", model, "-m", memory, "-smp", str(cpus), "-serial", "stdio", "-boot", "n"]
            command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x4"]
            command += ["-netdev", f"user,id=net,restrict=on,tftp={self.folder},bootfile=/boot/grub/i386-pc/core.0"]
            command += ["-device", f"virtio-net-pci,netdev=net,mac={mac(self.name)}"]
            self.qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self._copy, args=(self.qemu,), daemon=True).start()

    def off(self):
        """Stops it."""
        with self.lock:
            qemu, self.qemu = self.qemu, None
        if qemu is not None:
            qemu.send_signal(signal.SIGCONT)
            qemu.kill()
            qemu.wait()

    def is_on(self):
        """Whether it runs."""
        return self.qemu is not None and self.qemu.poll() is None

    def _copy(self, qemu):
        seen = b""
        while data := os.read(qemu.stdout.fileno(), 4096):
            seen = (seen + data)[-65536:]
            with self.lock:
                for client in list(self.clients):
                    try:
                        client.sendall(data)
                    except OSError:
                        self.clients.remove(client)
            if self.fault and b"\n" in seen.partition(b'"record":"start"')[2]:
                if self.fault == "hang":
                    qemu.send_signal(signal.SIGSTOP)
                else:
                    self.lose_console()
                return

    def lose_console(self):
        """Closes the line, and answers nobody any more."""
        self.listener.close()
        with self.lock:
            for client in self.clients:
                client.close()
            self.clients.clear()


def serve_power(machines):
    """The outlets: GET /NAME/1 switches on, /NAME/0 off, /NAME says."""

    class Outlets(http.server.BaseHTTPRequestHandler):
        """One request."""

        def do_GET(self):  # pylint: disable=invalid-name
            """Switches or says."""
            parts = self.path.strip("/").split("/")
            machine = machines.get(parts[0])
            if machine is None:
                self.send_error(404)
                return
            if parts[1:] == ["1"]:
                machine.on()
            elif parts[1:] == ["0"]:
                machine.off()
            body = b"1" if machine.is_on() else b"0"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Outlets)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Rack:
    """All machines and their outlets."""

    def __init__(self, folder, faults, names=tuple(MACHINES)):
        self.machines = {name: Machine(name, folder, faults.get(name)) for name in names}
        self.power = serve_power(self.machines)

    def exports(self):
        """The exporter's configuration."""
        return {
            name: {
                "NetworkSerialPort": {"host": "127.0.0.1", "port": machine.port, "protocol": "raw"},
                "NetworkPowerPort": {"model": "simplerest", "host": f"http://127.0.0.1:{self.power}/{name}/{{value}}", "index": "0"},
            }
            for name, machine in self.machines.items()
        }

    def close(self):
        """Stops every machine."""
        for machine in self.machines.values():
            machine.listener.close()
            machine.off()


def main():
    """The program."""
    rack = Rack(sys.argv[1], json.loads(sys.argv[2]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(json.dumps(rack.exports()), flush=True)
    try:
        signal.pause()
    finally:
        rack.close()


if __name__ == "__main__":
    main()
