"""borgmatic's files as sites have them: includes, constants, variables, credentials, options of one repository; nothing dropped unsaid."""

from __future__ import annotations

import os
import platform
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from backends.backups.borgmatic_files import borgmatic, borgmatic_secret
from backends.backups.borgmatic_yaml import BorgmaticYaml
from backends.backups.configured import configured_jobs
from backends.backups.site_files import tables_of
from backends.backups.site_repository import SiteRepository
from backends.errors import BackendError, BadConfig

pytestmark = [
    pytest.mark.skipif(find_spec("yaml") is None and os.environ.get("DESKSIDE_TEST_ALL") != "1", reason="LEFT OUT: PyYAML is not installed"),
]
WORD = "hunter2-in-the-file"
COMMON = f"""
constants:
  site: north
  vault: ssh://backup@vault.{{site}}.example/./
repositories:
  - "{{vault}}web.borg"
  - {{path: "/mnt/{{site}}/fs01.borg", label: usb}}
encryption_passphrase: {WORD}
exclude_patterns: ['*.tmp', '*.iso']
keep_daily: 7
keep_weekly: 4
checks: [{{name: repository}}, {{name: archives}}]
"""
MAIN = """
<<: !include common.yaml
source_directories: [/etc, "/srv/{site}"]
exclude_patterns: [!omit '*.iso', '*.bak']
checks: !retain [{name: disabled}]
keep_daily: 14
archive_name_format: '{hostname}-{site}-\\{site\\}-{now}'
"""


def write(place: Path, **files: str) -> Path:
    """`a_b` is a file a/b.yaml below the place."""
    for name, text in files.items():
        file = place / (name.replace("_", "/") + ".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return place


def found(path: Path) -> dict[str, SiteRepository]:
    return {one.label: one for one in borgmatic(str(path))}


def job(one: SiteRepository, name: str = "main") -> Any:
    return next(job for job in configured_jobs(one.options["jobs"], "x") if job.name == name)


def test_an_include_is_joined_and_what_stands_in_the_file_wins(tmp_path: Path) -> None:
    write(tmp_path, common=COMMON, main=MAIN)
    read = BorgmaticYaml(tmp_path / "main.yaml")
    table = read.load()
    assert table["checks"] == [{"name": "disabled"}] and read.included == {str(tmp_path / "common.yaml")}
    assert found(tmp_path / "main.yaml")["web"].options["repository"] == "ssh://backup@vault.north.example/./web.borg"
    usb = found(tmp_path / "main.yaml")["usb"]
    assert usb.options["repository"] == "/mnt/north/fs01.borg" and WORD not in repr(usb) and not usb.notes
    main = job(usb)
    assert main.paths == ("/etc", "/srv/north") and main.excludes == ("*.tmp", "*.bak") and dict(main.keep) == {"daily": 14, "weekly": 4}
    assert main.archive == "{hostname}-north-{site}-{now}"
    secret = borgmatic_secret(str(tmp_path / "main.yaml"), "/mnt/north/fs01.borg")
    assert secret is not None and secret.reveal() == WORD


def test_lists_of_includes_and_includes_of_a_value(tmp_path: Path) -> None:
    write(
        tmp_path, parts_a="keep_daily: 1\nkeep_weekly: 1\nsource_directories: [/a]", parts_b="keep_daily: 2\nsource_directories: [/b]",
        parts_retention="keep_monthly: 6", repos="- path: /r.borg",
        main="<<: !include [parts/a.yaml, parts/b.yaml]\nretention: !include parts/retention.yaml\nrepositories: !include repos.yaml\nsource_directories: [/c]",
    )  # fmt: skip
    main = job(found(tmp_path / "main.yaml")["r"])
    assert main.paths == ("/a", "/b", "/c") and dict(main.keep) == {"daily": 2, "weekly": 1, "monthly": 6}


def test_an_include_is_found_beside_its_file_and_in_the_root(tmp_path: Path) -> None:
    write(tmp_path, base="<<: !include parts/inner.yaml\nrepositories: [/r.borg]", parts_inner="<<: !include last.yaml", parts_last="keep_daily: 3")
    (tmp_path / "borgmatic.d").mkdir()
    (tmp_path / "borgmatic.d/main.yaml").write_text("<<: !include base.yaml\nsource_directories: [/a]\n")
    assert dict(job(found(tmp_path / "borgmatic.d")["r"]).keep) == {"daily": 3}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"main": "<<: !include a.yaml", "a": "<<: !include b.yaml", "b": "<<: !include a.yaml"}, r"include each other: main.yaml > a.yaml > b.yaml > a.yaml"),
        ({"main": "<<: !include f0.yaml", **{f"f{n}": f"<<: !include f{n + 1}.yaml" for n in range(12)}}, r"more than 10 files .*f8.yaml > f9.yaml"),
        ({"main": "a: 1\n<<: !include none.yaml"}, r"main.yaml:2: includes none.yaml, which is not in "),
        ({"main": "<<: !include a.yaml\nkeep_daily: [1]", "a": "keep_daily: 1"}, r"main.yaml:2: keep_daily is a list or a table in one file"),
        ({"main": "keep_daily: 1\nchecks: !retain [a]"}, r"main.yaml:2: !retain stands where nothing is joined"),
        ({"main": "<<: !include a.yaml\nchecks: !retain [!omit b]", "a": "checks: [b]"}, r"main.yaml:2: !omit stands where nothing is joined"),
        ({"main": "a: !vault x"}, r"main.yaml:1: !vault is no tag"),
        ({"main": "<<: !include a.yaml", "a": f"encryption_passphrase: '{WORD}\nx: ["}, r"a.yaml:\d+: is no YAML"),
        ({"main": "<<: !include a.yaml", "a": ""}, r"a.yaml: is empty"),
        ({"main": "<<: 5"}, r"main.yaml:1: << takes options"),
        ({"main": "a: !include {b: c}"}, r"main.yaml:1: !include takes a file's name"),
        ({"main": "a: &a [*a]"}, r"main.yaml:1: an anchor holds itself"),
        ({"main": "- a\n- b"}, r"main.yaml: is no table"),
        ({"main": "a: &a [x, x, x, x, x, x, x, x]\n" + "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdef", "bcdefg", strict=True))}, "100,000 values"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_said_by_file_and_line(tmp_path: Path, files: dict[str, str], said: str) -> None:
    write(tmp_path, **files)
    with pytest.raises(BadConfig, match=said) as caught:
        borgmatic(str(tmp_path / "main.yaml"))
    assert WORD not in caught.value.sentence()


def test_a_variable_is_put_in_and_one_that_is_not_set_is_said_where_it_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/mnt/here")
    monkeypatch.delenv("NOWHERE", raising=False)
    write(
        tmp_path,
        a="repositories: ['${PLACE}/a.borg', '${NOWHERE:-/mnt}/b.borg', '${NOWHERE}/c.borg']\nsource_directories: ['/x\\${PLACE}']\nhealthchecks: {ping_url: '${NOWHERE}'}",
        b="repositories: [/d.borg]\nsource_directories: ['${NOWHERE}/x']",
        c="repositories: [/e.borg]\nencryption_passphrase: ${NOWHERE}\nsource_directories: [/x]",
    )
    read = found(tmp_path)
    assert read["a"].options["repository"] == "/mnt/here/a.borg" and read["b"].options["repository"] == "/mnt/b.borg"
    assert job(read["a"], "a").paths == ("/x${PLACE}",) and not job(read["a"], "a").why_not
    assert "NOWHERE is not set" in read["c"].problem and "NOWHERE is not set" in job(read["d"], "b").why_not
    assert "its passphrase can't be read" in read["e"].needs
    tables = dict(tables_of("borg", {"borgmatic": str(tmp_path)}))
    assert "repository" not in tables["c"] and "NOWHERE" in tables["c"]["problem"] and "repository" not in tables["e"]
    own = dict(tables_of("borg", {"borgmatic": str(tmp_path), "password": "file:/p"}))
    assert own["e"]["repository"] == "/e.borg" and own["e"]["password"] == "file:/p", "a password of our own is enough"


def test_a_service_account_takes_nothing_from_its_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "somebody")
    monkeypatch.setenv("PLACE", "/mnt/here")
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    write(tmp_path, main="repositories: [{path: '${PLACE}/a.borg'}]\nsource_directories: [/x]")
    assert "PLACE is not set" in found(tmp_path / "main.yaml")["a"].problem


@pytest.mark.parametrize(
    ("lines", "password", "needs"),
    [
        ("encryption_passphrase: '{credential file /etc/borg pass}'", "", "can't be read|kept by file"),
        ("encryption_passphrase: '{credential file \"/etc/borg pass\"}'", "file:/etc/borg pass", ""),
        ("encryption_passphrase: '{credential file keys/pass}'\nworking_directory: /etc", "file:/etc/keys/pass", ""),
        ("encryption_passphrase: '{credential file keys/pass}'", "", "relative"),
        ("encryption_passphrase: '{credential systemd borg}'", "cred:borg", ""),
        ("encryption_passphrase: '{credential keepassxc /x.kdbx borg}'", "", "kept by keepassxc"),
        ("encryption_passphrase: '{credential}'", "", "can't be read"),
        ("encryption_passcommand: pass show borg", "command:pass show borg", ""),
        (f"encryption_passphrase: {WORD}\nencryption_passcommand: pass show borg", None, ""),
    ],
)  # fmt: skip
def test_where_a_passphrase_is_kept(tmp_path: Path, lines: str, password: str | None, needs: str) -> None:
    write(tmp_path, main=f"repositories: [/r.borg]\nsource_directories: [/x]\n{lines}")
    one = found(tmp_path / "main.yaml")["r"]
    assert one.options.get("password") == (password or None) and bool(one.needs) == bool(needs)
    assert re.search(needs, one.needs) and WORD not in repr(one)


def test_repositories_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    write(tmp_path, main=f"""
repositories:
  - ~/a.borg
  - {{path: 'file:///mnt/b.borg', label: 'The Attic!', encryption_passphrase: {WORD}, keep_daily: 2, ssh_command: ssh -p 22}}
  - {{path: 'me@vault:{{hostname}}.borg'}}
  - {{path: 'sftp://me@vault/c'}}
  - {{path: rel/d.borg}}
  - {{label: nothing}}
  - 5
source_directories: [~/x, {tmp_path}/s*, {tmp_path}/none*]
keep_minutely: 3
borg_keys_directory: /etc/keys
""")
    for name in ("s1", "s2"):
        (tmp_path / name).mkdir()
    read = found(tmp_path / "main.yaml")
    assert [one.options["repository"] for one in read.values() if not one.problem] == ["/home/me/a.borg", "/mnt/b.borg", f"me@vault:{platform.node()}.borg"]
    attic = read["The-Attic"]
    assert attic.options["rsh"] == "ssh -p 22" and dict(job(attic).keep) == {"daily": 2} and "rsh" not in read["a"].options
    assert job(read["a"]).paths == ("/home/me/x", f"{tmp_path}/s1", f"{tmp_path}/s2", f"{tmp_path}/none*") and not job(read["a"]).why_not
    assert any("keep_minutely" in note for note in read["a"].notes) and any("borg_keys_directory" in note for note in read["a"].notes)
    problems = [one.problem for one in read.values() if one.problem]
    assert len(problems) == 4 and "borg 2" in problems[0] and "relative" in problems[1] and all("no path" in text for text in problems[2:])
    secret = borgmatic_secret(str(tmp_path / "main.yaml"), "/mnt/b.borg")
    assert secret is not None and secret.reveal() == WORD and borgmatic_secret(str(tmp_path / "main.yaml"), "/home/me/a.borg") is None


def test_what_only_borgmatic_can_start_is_shown_and_says_so(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="repositories: [/r.borg]\npatterns: ['R /srv', '# no', '- sh:/srv/*/cache', '+ /srv/x']\nexclude_if_present: .nobackup",
        b="repositories: [/r.borg]\npostgresql_databases: [{name: all}]",
        c="repositories: [/r.borg]\nsource_directories: [/c]\nskip_actions: [create]",
    )
    one = found(tmp_path)["r"]
    patterns = job(one, "a")
    assert patterns.paths == ("/srv",) and patterns.excludes == ("- sh:/srv/*/cache", "+ /srv/x")
    assert patterns.why_not == "it has patterns, exclude_if_present: start it with borgmatic" and "skip_actions" in job(one, "c").why_not
    assert one.notes == ("b.yaml: it backs up only what its hooks hand over (postgresql_databases); no job is shown",)


def test_a_folder_shows_what_can_be_read_and_what_can_not(tmp_path: Path) -> None:
    """One repository for two files; a part that others include is none; a broken file hides no other."""
    write(
        tmp_path, common="repositories: [/r.borg]\nkeep_daily: 7", web="<<: !include common.yaml\nsource_directories: [/var/www]",
        mail="<<: !include common.yaml\nsource_directories: [/var/mail]", broken="repositories: [", empty="source_directories: [/x]",
    )  # fmt: skip
    read = found(tmp_path)
    assert list(read) == ["empty", "r", "broken"] and list(read["r"].options["jobs"]) == ["mail", "web"] and not read["r"].notes
    assert "names no repository" in read["empty"].problem and "broken.yaml" in read["broken"].problem
    write(tmp_path, common="repositories: 5")
    assert all(one.problem for one in found(tmp_path).values())
    with pytest.raises(BadConfig, match=r"no \.yaml file"):
        borgmatic(str(write(tmp_path / "void", x_y="a: 1")))


async def test_a_problem_is_said_when_the_backend_is_opened(tmp_path: Path) -> None:
    from console.config import BackendConfig, Config
    from console.desk import Desk
    from console.doctor import examine
    from console.people import whoami
    from console.site_backups import with_sites

    write(tmp_path, good="repositories: [/r.borg]\nsource_directories: [/x]\nkeep_minutely: 3", bad="repositories: ['${NOT_SET_HERE}/x.borg']",
          worse="repositories: ['${NOT_SET_HERE}/x.borg']")  # fmt: skip
    config = Config(data=tmp_path / "data", backends=with_sites([BackendConfig("backups", "site", "borg", {"borgmatic": str(tmp_path), "program": "/bin/false"})]))
    desk = Desk(config, whoami(config.roles))
    assert [one.name for one in config.backends] == ["site-x", "site-r"]
    with pytest.raises(BadConfig, match="NOT_SET_HERE"):
        await desk.make_backend(config.backends[0]).open()
    health = await desk.make_backend(config.backends[1]).health()
    assert health.word == "warn" and "keep_minutely" in health.text
    shown = [(one.word, one.text) for one in await examine(desk) if one.what == "backups.site-x"]
    assert shown and shown[0][0] == "fail" and "NOT_SET_HERE" in shown[0][1]
    await desk.close()


def test_hostile_bytes_end_in_an_error_of_ours(tmp_path: Path) -> None:
    for number, raw in enumerate((b"\xff\xfe", b"a: 2024-13-45", b"? [a]\n: b", b"{" * 3000, b"a: !!python/object:os.system x", b"a: \x00", b"constants: [1]\n<<: {b: {c}}")):
        file = tmp_path / f"{number}.yaml"
        file.write_bytes(raw)
        try:
            assert all(one.problem for one in borgmatic(str(file)))
        except BackendError:
            pass
