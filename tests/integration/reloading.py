# SPDX-License-Identifier: Apache-2.0
"""A fleet whose configuration changes while it works, and what its daemons say of that."""
import os
import re

import yaml

import kit


def number(daemon, name):
    """The value of a metric without labels; None before it is there."""
    found = re.search(rf"^{name} (\S+)$", daemon.metrics(), re.M)
    return float(found[1]) if found else None


def generation(daemon):
    return number(daemon, "grisaille_config_generation")


def said(daemon, event):
    return [entry for entry in daemon.entries() if entry.get("event") == event]


class ConfigMap:
    """A file that is reached as Kubernetes mounts it: config/file → ..data/file, and ..data → a folder that is swapped as a whole."""

    def __init__(self, folder, text):
        self.folder, self.version = folder, 0
        folder.mkdir()
        self.path = folder / "grisaille.yaml"
        self.write(text)
        self.path.symlink_to("..data/grisaille.yaml")

    def write(self, text):
        self.version += 1
        new = self.folder / f"..version{self.version}"
        new.mkdir()
        (new / "grisaille.yaml").write_text(text)
        (self.folder / "..new").symlink_to(new.name)
        os.rename(self.folder / "..new", self.folder / "..data")


class Swapping(kit.Cluster):
    """A fleet whose configuration is such a file."""

    def write_config(self, extra):
        self.settings = yaml.safe_load(super().write_config(extra).read_text())
        self.map = ConfigMap(self.folder / f"config-{self.number}", yaml.safe_dump(self.settings))
        return self.map.path

    def change(self, **sections):
        for name, value in sections.items():
            self.settings[name] = {**self.settings.get(name, {}), **value} if isinstance(value, dict) and name != "pipelines" else value
        self.map.write(yaml.safe_dump(self.settings))

    def take_over(self, **sections):
        """Changes the file and waits until every daemon has taken it over."""
        before = {daemon: kit.wait_until(lambda: generation(daemon), 60, f"{daemon.name} tells its generation") for daemon in self.daemons}
        self.change(**sections)
        kit.wait_until(lambda: all(generation(daemon) == number + 1 for daemon, number in before.items()), 60,
                       lambda: f"one generation on: {[(generation(daemon), number) for daemon, number in before.items()]}\n{self.tails()}")
