"""What this machine says of itself, by psutil and /proc: numbers with their units. Nothing is invented: what is not there is left out."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.devices.model import Fact, Metric
from backends.text import clean, size

PSEUDO = {"tmpfs", "devtmpfs", "overlay", "squashfs", "proc", "sysfs", "cgroup", "cgroup2", "nsfs", "tracefs", "ramfs", "autofs"}
SYSTEMCTL_SECONDS = 3.0
TOP = 5


@dataclass
class Reading:
    """One look: metrics by name with their sentence, facts, and what could not be read."""

    at: float
    metrics: list[tuple[str, Metric, str]] = field(default_factory=list)
    """(check, metric, sentence)."""
    facts: list[Fact] = field(default_factory=list)
    failed_units: list[str] | None = None

    def add(self, check: str, name: str, value: float, unit: str, sentence: str = "") -> None:
        """One measured value."""
        self.metrics.append((check, Metric(name, round(float(value), 2), unit), sentence))

    def fact(self, group: str, name: str, value: str) -> None:
        """One thing worth knowing."""
        if value:
            self.facts.append(Fact(group, name, clean(value)))


class Machine:
    """Reads this machine. Rates need two looks; the first gives none."""

    def __init__(self) -> None:
        self._last_net: tuple[float, dict[str, Any]] | None = None
        self._primed = False

    def read(self) -> Reading:
        """Everything, in a thread: a hung mount may take its time."""
        import psutil

        reading = Reading(time.time())
        self._cpu(psutil, reading)
        self._memory(psutil, reading)
        self._disks(psutil, reading)
        self._network(psutil, reading)
        self._heat(psutil, reading)
        self._people(psutil, reading)
        self._processes(psutil, reading)
        self._system(psutil, reading)
        self._units(reading)
        return reading

    def _cpu(self, psutil: Any, reading: Reading) -> None:
        share = psutil.cpu_percent(interval=None if self._primed else 0.1)
        self._primed = True
        cores = psutil.cpu_count() or 1
        reading.add("CPU", "cpu", share, "%", f"{share:.0f} % of {cores} cores")
        one, five, fifteen = os.getloadavg()
        reading.add("Load", "load per core", one / cores, "", f"{one:.2f} {five:.2f} {fifteen:.2f} on {cores} cores")
        frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
        reading.fact("CPU", "Cores", f"{cores}" + (f" at {frequency.current:.0f} MHz" if frequency and frequency.current else ""))

    def _memory(self, psutil: Any, reading: Reading) -> None:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        reading.add("Memory", "memory", memory.percent, "%", f"{size(memory.total - memory.available)} of {size(memory.total)} used")
        if swap.total:
            reading.add("Swap", "swap", swap.percent, "%", f"{size(swap.used)} of {size(swap.total)} used")
        reading.fact("Memory", "Total", size(memory.total))
        reading.fact("Memory", "Available", size(memory.available))
        reading.fact("Memory", "Swap", size(swap.total) if swap.total else "none")

    def _disks(self, psutil: Any, reading: Reading) -> None:
        seen: set[str] = set()
        mounts = [part for part in psutil.disk_partitions(all=False) if part.fstype not in PSEUDO]
        places = [part.mountpoint for part in mounts] or ["/"]
        for place in dict.fromkeys(["/", *places]):
            try:
                usage, nodes = psutil.disk_usage(place), os.statvfs(place)
                device = str(os.stat(place).st_dev)
            except OSError:
                reading.fact("Disks", clean(place), "can't be read")
                continue
            if device in seen or not usage.total:
                continue
            seen.add(device)
            name = clean(place)
            reading.add(f"Disk {name}", f"disk {name}", usage.percent, "%", f"{size(usage.free)} free of {size(usage.total)}")
            if nodes.f_files:
                share = 100 * (nodes.f_files - nodes.f_ffree) / nodes.f_files
                reading.add(f"Inodes {name}", f"inodes {name}", share, "%", f"{nodes.f_ffree:,} free")

    def _network(self, psutil: Any, reading: Reading) -> None:
        counters, at = psutil.net_io_counters(pernic=True), time.monotonic()
        before, self._last_net = self._last_net, (at, counters)
        states = psutil.net_if_stats()
        for name, found in sorted(counters.items()):
            if name == "lo":
                continue
            label = clean(name)
            up = states.get(name)
            reading.fact(
                "Network",
                label,
                f"{'up' if up and up.isup else 'down'}, {size(found.bytes_recv)} in, {size(found.bytes_sent)} out since the start",
            )
            if before is not None and name in before[1] and at > before[0]:
                old, span = before[1][name], at - before[0]
                reading.add(f"Network {label}", f"{label} in", max(0, found.bytes_recv - old.bytes_recv) / span, "B/s")
                reading.add(f"Network {label}", f"{label} out", max(0, found.bytes_sent - old.bytes_sent) / span, "B/s")

    def _heat(self, psutil: Any, reading: Reading) -> None:
        try:
            sensors = psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {}
        except OSError:
            sensors = {}
        for chip, found in sensors.items():
            for place, sensor in enumerate(found[:4]):
                label = clean(sensor.label or f"{chip} {place}")
                reading.add(f"Temperature {label}", f"temperature {label}", sensor.current, "°C")
        if not sensors:
            reading.fact("System", "Temperatures", "this machine shows no sensors")

    def _people(self, psutil: Any, reading: Reading) -> None:
        users = psutil.users()
        reading.add("Users", "users", len(users), "", ", ".join(sorted({clean(user.name) for user in users})) or "nobody is logged in")
        for user in users[:8]:
            reading.fact("Users", clean(user.name), f"{clean(user.terminal or '-')} {clean(user.host or 'here')}")

    def _processes(self, psutil: Any, reading: Reading) -> None:
        found = []
        for process in psutil.process_iter(["name", "memory_info", "cpu_times"]):
            info = process.info
            if info["memory_info"] is not None:
                found.append((info["memory_info"].rss, clean(info["name"] or "?"), process.pid))
        reading.add("Processes", "processes", len(found), "", f"{len(found)} processes")
        for taken, name, pid in sorted(found, reverse=True)[:TOP]:
            reading.fact("Biggest processes", name, f"{size(taken)}, pid {pid}")

    def _system(self, psutil: Any, reading: Reading) -> None:
        reading.add("Uptime", "uptime", time.time() - psutil.boot_time(), "s")
        reading.fact("System", "Name", platform.node())
        reading.fact("System", "System", _release())
        reading.fact("System", "Kernel", platform.release())
        reading.fact("System", "Machine", platform.machine())

    def _units(self, reading: Reading) -> None:
        if not Path("/run/systemd/system").is_dir():
            reading.fact("System", "Services", "systemd does not run here: failed units are not known")
            return
        argv = ["systemctl", "list-units", "--failed", "--no-legend", "--plain", "--no-pager"]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SYSTEMCTL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            reading.fact("System", "Services", "systemctl does not answer")
            return
        reading.failed_units = [clean(line.split()[0]) for line in done.stdout.decode("utf-8", "replace").splitlines() if line.split()]


def _release() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
