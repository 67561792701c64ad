"""resticprofile's files as sites have them: includes, both versions, inheritance, groups, paths; nothing dropped unsaid."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from backends.backups.configured import configured_jobs
from backends.backups.resticprofile_files import resticprofile
from backends.backups.site_files import tables_of
from backends.backups.site_repository import SiteRepository
from backends.errors import BackendError, BadConfig

WORD = "hunter2-in-the-file"
needs_yaml = pytest.mark.skipif(find_spec("yaml") is None and os.environ.get("DESKSIDE_TEST_ALL") != "1", reason="LEFT OUT: PyYAML is not installed")
ONE = """
version = "1"
includes = ["conf.d/*.toml", "profiles.d/*.yaml", "last.json"]
[global]
priority = "low"
[groups]
night = ["files", "gone"]
[Default]
repository = "local:/srv/restic"
password-file = "keys/restic.pass"
base-dir = "/srv"
[default.retention]
keep-daily = 14
keep-hourly = false
keep-within-weekly = "3m"
[default.backup]
source = ["a", "b"]
exclude = ["*.tmp"]
tag = ["one", "two"]
[files]
inherit = "default"
[files.backup]
source = ["c"]
tag = "three,four"
schedule = ["01:00", "13:00"]
host = "fs01"
"""
TWO = """
version: 2
mixins:
  other: {repository: /elsewhere}
groups:
  night: {profiles: [files], schedules: {backup: {at: ["02:00"]}}}
schedules:
  weekly: {group: night, schedule: "Sat 04:00"}
  checks: {profiles: [files], run: check, schedule: "Sun"}
profiles:
  default:
    repository: "rest:https://user:pw@host/"
    password-command: "pass show x"
    backup: {exclude: ["*.tmp"], source: [/a, /b]}
  files:
    inherit: default
    backup: {exclude...: .git, ...source: /first}
  tight:
    inherit: default
    backup: {source: [/only], exclude__PREPEND: [x]}
  mixed: {use: other}
  from-mixed: {inherit: mixed}
"""


def found(path: Path) -> dict[str, SiteRepository]:
    return {one.label: one for one in resticprofile(str(path))}


def jobs(one: SiteRepository) -> dict[str, Any]:
    return {job.name: job for job in configured_jobs(one.options["jobs"], "x")}


def write(place: Path, text: str, name: str = "profiles.toml") -> Path:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)
    return place / name


@needs_yaml
def test_version_1_with_includes_of_every_kind(tmp_path: Path) -> None:
    """Later files win, tables are joined, lists of an include replaced, lists of a parent joined by their places."""
    write(tmp_path, '[files.backup]\none-file-system = true\nexclude-caches = "{no bool}"\n', "conf.d/b.toml")
    write(tmp_path, '[files.backup]\none-file-system = false\nexclude = ["*.iso"]\n', "conf.d/a.toml")
    write(tmp_path, "default: {retention: {keep-weekly: 5}}\nincludes: [more.yaml]\n", "profiles.d/x.yaml")
    write(tmp_path, '{"default": {"retention": {"keep-daily": 7}}}', "last.json")
    read = found(write(tmp_path, ONE))
    assert list(read) == ["default"] and read["default"].options["repository"] == "/srv/restic"
    assert read["default"].options["password"] == f"file:{tmp_path}/keys/restic.pass"
    files, default = jobs(read["default"])["files"], jobs(read["default"])["default"]
    assert files.paths == ("/srv/c", "/srv/b") and files.excludes == ("*.iso",) and default.paths == ("/srv/a", "/srv/b")
    assert files.tags == ("three", "four") and files.host == "fs01" and files.schedule == "01:00, 13:00" and default.tags == ("one", "two")
    assert dict(files.keep) == {"daily": 7, "weekly": 5} and files.one_file_system and not files.exclude_caches and not files.why_not
    said = " ".join(read["default"].notes)
    assert "keep-within-weekly is not shown" in said and "x.yaml: includes in an included file" in said and "group night names gone" in said


@needs_yaml
def test_version_2_with_groups_schedules_and_lists_that_are_put_before_or_after(tmp_path: Path) -> None:
    read = found(write(tmp_path, TWO, "profiles.yaml"))
    assert list(read) == ["default"]
    made = jobs(read["default"])
    assert made["files"].paths == ("/first", "/a", "/b") and made["files"].excludes == ("*.tmp", ".git")
    assert made["tight"].paths == ("/only",) and made["tight"].excludes == ("x", "*.tmp")
    assert made["files"].schedule == "02:00 (group night), Sat 04:00" and made["tight"].schedule == ""
    said = " ".join(read["default"].notes)
    assert "profile mixed uses mixins" in said and "from-mixed inherits from one that uses mixins" in said


def test_a_file_is_found_by_its_ending(tmp_path: Path) -> None:
    text = '[a]\nrepository = "/r"\npassword-file = "p"\n'
    write(tmp_path, text, "profiles.conf")
    write(tmp_path, text.replace("/r", "/other"), "profiles.toml")
    for path in (tmp_path, tmp_path / "profiles", tmp_path / "profiles.conf"):
        assert found(path)["a"].options["repository"] == "/r"
    assert found(tmp_path / "profiles.toml")["a"].options["repository"] == "/other"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("profiles.toml", '[a]\nrepository = "/r"\npassword-file = "{{ .ConfigDir }}/p"\n', r"profiles.toml:3: holds a Go template"),
        ("profiles.toml", '# {{ define "x" }}\n[a]\n', r"profiles.toml:1: holds a Go template"),
        ("profiles.hcl", 'a {\n  repository = "/r"\n}\n', "HCL is not read"),
        ("profiles.ini", "[a]\n", "only .toml"),
        ("profiles.toml", f'[a]\nx = "{WORD}\n', r"profiles.toml:2: is no TOML"),
        ("profiles.json", f'{{"a": "{WORD}",}}', r"profiles.json:1: is no JSON"),
        ("profiles.toml", 'version = "3"\n[a]\n', "version 3"),
        ("profiles.toml", 'includes = "none.toml"\n', "includes none.toml, which is not there"),
        ("profiles.toml", 'includes = "more.hcl"\n', "more.hcl: HCL is not read"),
        ("profiles.toml", 'includes = "template.yaml"\n', r"template.yaml:1: holds a Go template"),
        ("profiles.toml", 'includes = "two.json"\n', "two.json: is of another version"),
        ("profiles.toml", '[a]\ninherit = "b"\n[b]\ninherit = "a"\n', "inherits itself .a > b > a"),
        ("profiles.toml", '[a]\ninherit = "b"\n', "inherits b, which is not there"),
        ("profiles.toml", '[a.backup]\nsource = "/x"\n', "profile a has a backup and no repository"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_said(tmp_path: Path, name: str, text: str, said: str) -> None:
    write(tmp_path, "a {}\n", "more.hcl")
    write(tmp_path, "{{ $x := 1 }}\n", "template.yaml")
    write(tmp_path, '{"version": "2"}', "two.json")
    with pytest.raises(BadConfig, match=said) as caught:
        tables_of("restic", {"resticprofile": str(write(tmp_path, text, name))})
    assert WORD not in caught.value.sentence()


def test_a_variable_in_a_comment_is_no_template(tmp_path: Path) -> None:
    assert found(write(tmp_path, '# tag = "{{ .Profile.Name }}"\n[a]\nrepository = "/r"\npassword-file = "p"\n'))["a"].options["repository"] == "/r"


def test_paths_variables_and_files_that_hold_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/mnt/here")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("NOWHERE", raising=False)
    write(tmp_path, "sftp:me@host:/r\n", "address")
    (tmp_path / "s1").mkdir()
    read = found(write(tmp_path, f"""
[home]
repository = "local:~/r"
password-file = "$PLACE/p"
option = ["sftp.args=-p 2222"]
[home.backup]
source = ["{tmp_path}/s*", "~/x", "$PLACE/$$x", "{tmp_path}/none*"]
source-base = "/base"
[based]
repository = "r"
base-dir = "/base"
password-file = "~/p"
[based.backup]
source = "x"
source-base = "deeper"
[held]
repository-file = "address"
password-command = "pass show x"
[lost]
repository-file = "not-there"
password-file = "p"
[relative]
repository = "local:r"
password-file = "p"
[unset]
repository = "${{NOWHERE}}/r"
password-file = "p"
[none]
repository = "/none"
[env]
password-file = "p"
env = {{RESTIC_REPOSITORY = "s3:host/bucket", AWS_ACCESS_KEY_ID = "{WORD}", RESTIC_PASSWORD = "{WORD}"}}
[secret]
repository = "/secret"
env = {{RESTIC_PASSWORD = "{WORD}"}}
[unset-password]
repository = "/u"
password-file = "$NOWHERE/p"
"""))
    home, based = read["home"], read["based"]
    assert home.options["repository"] == "/home/me/r" and home.options["password"] == "file:/mnt/here/p" and home.options["options"] == ["sftp.args=-p 2222"]
    assert jobs(home)["home"].paths == (f"{tmp_path}/s1", "/home/me/x", "/mnt/here/$x", f"{tmp_path}/none*") and not jobs(home)["home"].why_not
    assert based.options["repository"] == "/base/r" and based.options["password"] == "file:/home/me/p" and jobs(based)["based"].paths == ("/base/deeper/x",)
    assert read["held"].options["repository"] == "sftp:me@host:/r" and read["env"].options["repository"] == "s3:host/bucket"
    assert read["env"].notes == ("profiles.toml: profile env sets AWS_ACCESS_KEY_ID, RESTIC_PASSWORD, which is not passed on to restic",)
    assert "No such file" in read["lost"].problem and "relative" in read["relative"].problem and "NOWHERE is not set" in read["unset"].problem
    assert "no password-file" in read["none"].needs and "password in env" in read["secret"].needs and "NOWHERE" in read["unset-password"].needs
    assert WORD not in repr(read)
    tables = dict(tables_of("restic", {"resticprofile": str(tmp_path / "profiles.toml")}))
    assert {name for name, table in tables.items() if "problem" in table} == {"lost", "relative", "unset", "none", "secret", "unset-password"}
    assert not any("repository" in table for table in tables.values() if "problem" in table)
    own = dict(tables_of("restic", {"resticprofile": str(tmp_path / "profiles.toml"), "password": "file:/p"}))
    assert own["none"]["repository"] == "/none" and "problem" not in own["secret"]


def test_what_only_resticprofile_can_start_says_so(tmp_path: Path) -> None:
    read = found(write(tmp_path, """
[base]
repository = "/r"
password-file = "p"
run-after-fail = "mail"
[base.copy]
repository = "sftp:me@host:/copy"
password-file = "copy.pass"
[excluded]
inherit = "base"
backup = {source = "/x", exclude-file = "e", iexclude = ["x"]}
[relative]
inherit = "base"
backup = {source = "x"}
[dump]
inherit = "base"
backup = {stdin-command = "pg_dump"}
[listed]
inherit = "base"
backup = {files-from = "list"}
"""))
    assert read["base-copy"].options["password"] == f"file:{tmp_path}/copy.pass" and not read["base-copy"].options["jobs"]
    made = jobs(read["base"])
    assert made["excluded"].why_not == "it has hooks (run-after-fail), iexclude, exclude-file: start it with resticprofile"
    assert "relative" in made["relative"].why_not and set(made) == {"excluded", "relative"}
    assert any("profile dump takes what it backs up from" in note for note in read["base"].notes)
    assert any("profile listed takes what it backs up from files-from" in note for note in read["base"].notes)


async def test_a_problem_is_said_when_the_backend_is_opened(tmp_path: Path) -> None:
    from console.config import BackendConfig, Config
    from console.desk import Desk
    from console.people import whoami
    from console.site_backups import with_sites

    file = write(tmp_path, '[a]\nrepository = "/r"\n[b]\nrepository = "/s"\npassword-file = "p"\nenv = {X = "1"}\n')
    write(tmp_path, "p\n", "p").chmod(0o600)
    items = with_sites([BackendConfig("backups", "site", "restic", {"resticprofile": str(file)})])
    desk = Desk(Config(data=tmp_path / "data", backends=items), whoami(Config().roles))
    assert [one.name for one in items] == ["site-a", "site-b"]
    with pytest.raises(BadConfig, match="profile a has no password-file"):
        await desk.make_backend(items[0]).open()
    health = await desk.make_backend(items[1]).health()
    assert health.word == "warn" and "sets X" in health.text
    await desk.close()


@needs_yaml
def test_hostile_bytes_end_in_an_error_of_ours(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x]\n" + "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdef", "bcdefg", strict=True))
    for raw in (b"\xff", b"profiles: 5\nversion: 2", b"a: &a {x: *a}", b"a: 2024-13-45", b"{" * 3000, bomb.encode(), b"groups: [1]\na: {repository: [x], backup: 5}", b"includes: '.'"):
        file = tmp_path / "p.yaml"
        file.write_bytes(raw)
        try:
            assert all("problem" in table for _, table in tables_of("restic", {"resticprofile": str(file)}))
        except BackendError:
            pass
