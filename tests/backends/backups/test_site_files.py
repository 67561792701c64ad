"""Repositories and jobs out of borgmatic's and resticprofile's own files; their secrets are never shown."""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from backends.backups.borg import Borg
from backends.backups.borgmatic_files import borgmatic, borgmatic_secret
from backends.backups.configured import configured_jobs
from backends.backups.restic import Restic
from backends.backups.resticprofile_files import resticprofile
from backends.backups.site_files import tables_of
from backends.errors import BadConfig
from console.config import BackendConfig
from console.desk import Desk
from console.people import whoami
from console.site_backups import with_sites

WORD = "hunter2-in-the-file"
NEW = f"""
source_directories: [/etc, /srv/share]
repositories:
  - path: ssh://backup@vault/./{{hostname}}.borg
    label: vault
  - path: /mnt/usb/fs01.borg
exclude_patterns: ['*.tmp']
encryption_passphrase: "{WORD}"
ssh_command: ssh -p 2222
keep_daily: 7
keep_monthly: 6
archive_name_format: 'fs01-{{now}}'
"""
OLD = """
location:
  source_directories: [/var/www]
  repositories: [/mnt/usb/web.borg]
storage: {encryption_passcommand: cat /etc/pass}
retention: {keep_weekly: 4}
hooks: {postgresql_databases: [{name: all}]}
"""
PROFILES = """
version = "1"
[default]
repository = "local:/srv/restic"
password-file = "restic.pass"
[default.retention]
keep-daily = 14
[files]
inherit = "default"
[files.backup]
source = ["/srv/share"]
exclude = ["*.tmp"]
tag = ["nightly,files"]
schedule = "*-*-* 01:00"
[dumps]
inherit = "default"
run-before = "pg_dumpall"
[dumps.backup]
source = "/var/backups"
[cloud]
repository = "rest:https://user:hunter2@host/"
password-command = "pass show x"
"""
needs_yaml = pytest.mark.skipif(find_spec("yaml") is None and os.environ.get("DESKSIDE_TEST_ALL") != "1", reason="LEFT OUT: PyYAML is not installed")


@needs_yaml
def test_borgmatic_of_both_generations(tmp_path: Path) -> None:
    (tmp_path / "borgmatic.d").mkdir()
    (tmp_path / "config.yaml").write_text(NEW)
    (tmp_path / "borgmatic.d/web.yaml").write_text(OLD)
    found = {one.label: one.options for one in borgmatic(str(tmp_path))}
    assert list(found) == ["vault", "fs01", "web"] and WORD not in repr(found)
    assert found["vault"]["repository"] == f"ssh://backup@vault/./{platform.node()}.borg" and found["vault"]["rsh"] == "ssh -p 2222"
    assert found["web"]["password"] == "command:cat /etc/pass" and "password" not in found["vault"]
    job = configured_jobs(found["fs01"]["jobs"], "x")[0]
    assert job.paths == ("/etc", "/srv/share") and dict(job.keep) == {"daily": 7, "monthly": 6} and job.source.endswith("config.yaml") and not job.why_not
    assert "postgresql_databases" in configured_jobs(found["web"]["jobs"], "x")[0].why_not
    secret = borgmatic_secret(str(tmp_path / "config.yaml"), "/mnt/usb/fs01.borg")
    assert secret is not None and secret.reveal() == WORD and borgmatic_secret(str(tmp_path / "borgmatic.d/web.yaml"), "/mnt/usb/web.borg") is None


def test_resticprofile_inherits(tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(PROFILES)
    found = {one.label: one.options for one in resticprofile(str(file))}
    assert list(found) == ["default", "cloud"] and found["default"]["repository"] == "/srv/restic"
    assert found["default"]["password"] == f"file:{tmp_path}/restic.pass" and found["cloud"]["password"] == "command:pass show x"
    jobs = {job.name: job for job in configured_jobs(found["default"]["jobs"], "x")}
    assert jobs["files"].schedule == "*-*-* 01:00" and jobs["files"].tags == ("nightly", "files") and dict(jobs["files"].keep) == {"daily": 14}
    assert "run-before" in jobs["dumps"].why_not and jobs["dumps"].paths == ("/var/backups",)


@pytest.mark.parametrize(
    "text", ["not toml [", '[a]\ninherit = "b"\n[b]\ninherit = "a"\n', "", 'a = "text"\n', "[[a]]\nb = 1\n"]
)
def test_files_that_can_not_be_used(tmp_path: Path, text: str) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(text)
    with pytest.raises(BadConfig):
        tables_of("restic", {"resticprofile": str(file)})
    with pytest.raises(BadConfig):
        tables_of("restic", {"resticprofile": str(tmp_path / "none.toml")})


@needs_yaml
def test_an_error_in_yaml_does_not_quote_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"encryption_passphrase: '{WORD}\nrepositories: [")
    with pytest.raises(BadConfig) as caught:
        tables_of("borg", {"borgmatic": str(file)})
    assert WORD not in caught.value.sentence()


def test_what_we_fill_in_ourselves_is_offered_to_nobody() -> None:
    from console.cli.init import commented

    text = commented("x", "UTC")
    assert "# resticprofile = " in text and "# borgmatic = " in text and "# problem" not in text and "# notes" not in text


async def test_each_repository_becomes_a_backend(tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(PROFILES)
    (tmp_path / "restic.pass").write_text("p\n")
    (tmp_path / "restic.pass").chmod(0o600)
    item = BackendConfig("backups", "site", "restic", {"resticprofile": str(file), "rpo": "12h"}, "config.toml:3")
    broken = BackendConfig("backups", "gone", "restic", {"resticprofile": str(tmp_path / "none.toml")})
    found = with_sites([item, broken, BackendConfig("tickets", "desk", "embedded")])
    assert [one.name for one in found] == ["site-default", "site-cloud", "gone", "desk"]
    from console.config import Config

    desk = Desk(Config(data=tmp_path / "data", backends=found), whoami(Config().roles))
    made: Any = desk.make_backend(found[0])
    assert isinstance(made, Restic) and [job.name for job in await made.jobs()] == ["files", "dumps"] and made.location() == "/srv/restic"
    with pytest.raises(BadConfig, match=r"none\.toml"):
        await desk.make_backend(found[2]).open()
    with pytest.raises(BadConfig):
        desk.make_backend(BackendConfig("backups", "x", "restic", {"repository": "/r"}))
    with pytest.raises(BadConfig):
        desk.make_backend(BackendConfig("backups", "x", "borg", {}))
    assert isinstance(desk.make_backend(BackendConfig("backups", "x", "borg", {"repository": "/r"})), Borg)
    await desk.close()
