"""Configuration, secrets, keys: every mistake has a file, a line and a sentence."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from backends.errors import BackendError, BadConfig
from backends.secret import Secret
from console.actions import ACTIONS, FORBIDDEN_KEYS, clashes
from console.config import embedded_default, load_config
from console.keymap import Keymap, keys_markdown
from console.registry import BUILT_IN, adapters, load_adapter
from console.secrets import resolve

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[site]\nname = \"x\"\ncolour = \"red\"\n", 3, "colour"), ("[site]\n[sight]\n", 2, "sight"), ("[site\n", 1, "line 1"),
        ("[site]\nname = 7\n", 2, "must be str"), ("\n[tickets.main]\nurl = \"x\"\n", 2, "adapter"), ("[views.x]\nquery = 1\n", 1, "query"),
        ("[keys]\n\"tickets.take\" = 7\n", 2, "keys are one text"), ("tickets = 3\n", 1, "must be a table"), ("[roles]\ndefault = \"king\"\n", 0, "king"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(text: str, line: int, words: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(BadConfig) as caught:
        load_config(file, tmp_path)
    assert words in caught.value.text
    if line:
        assert caught.value.where == f"{file}:{line}"


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"a" * 1_000_001, b"a = " + b"[" * 50_000])
def test_what_is_no_toml_is_a_sentence(raw: bytes, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(raw)
    with pytest.raises(BadConfig):
        load_config(file, tmp_path)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="can't be read"):
        load_config(tmp_path / "none.toml", tmp_path)


def test_the_default_opens_without_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("RESTIC_REPOSITORY", raising=False)
    config = load_config(None, tmp_path)
    assert [(item.domain, item.adapter) for item in config.backends] == [("tickets", "embedded"), ("devices", "local"), ("accounts", "posix")]
    assert config.roles.default == "admin"
    monkeypatch.setenv("RESTIC_REPOSITORY", "/srv/r")
    monkeypatch.setenv("RESTIC_PASSWORD_FILE", "/srv/p")
    assert embedded_default()[-1].options == {"repository": "/srv/r", "password": "file:/srv/p"}


def test_with_a_file_nobody_is_admin_by_chance(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[site]\nname = \"x\"\n")
    assert load_config(file, tmp_path).roles.default == "technician"


def test_a_secret_never_prints() -> None:
    secret = Secret("hunter2")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", json.dumps({"a": str(secret)}), repr({"a": secret}), "%s" % secret]  # noqa: UP031
    assert all("hunter2" not in text for text in shown) and secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "s"
    file.write_text("from file\nsecond line\n")
    file.chmod(0o600)
    monkeypatch.setenv("MINE", "from env")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert resolve(f"file:{file}").reveal() == "from file"
    assert resolve("env:MINE").reveal() == "from env"
    assert resolve("cred:s").reveal() == "from file"
    assert resolve("command:printf 'a b'").reveal() == "a b"
    file.chmod(0o604)
    for wrong in (f"file:{file}", "hunter2", "env:NOT_THERE", "cred:../x", "command:false", "command:/not/there", "file:/not/there", "env:"):
        with pytest.raises(BackendError) as caught:
            resolve(wrong)
        assert "hunter2" not in caught.value.sentence() and "from file" not in caught.value.sentence()


def test_no_two_actions_share_a_key_and_no_forbidden_one_is_used() -> None:
    assert clashes(ACTIONS, {}) == []
    assert not [key for action in ACTIONS for key in action.keys if key in FORBIDDEN_KEYS or key.startswith("alt+")]
    assert all(action.help and action.label for action in ACTIONS)


def test_keys_can_be_rebound_and_clashes_are_refused() -> None:
    keymap = Keymap({"tickets.take": "t,Y"})
    found = keymap.lookup(("tickets", "list", "global"), "Y")
    assert found is not None and found.id == "tickets.take"
    with pytest.raises(BadConfig, match=r"tickets\.take"):
        Keymap({"tickets.take": "/"})
    with pytest.raises(BadConfig, match="no action"):
        Keymap({"tickets.fly": "x"})
    with pytest.raises(BadConfig, match="can't be used"):
        Keymap({"tickets.take": "ctrl+s"})


def test_the_key_page_is_current() -> None:
    assert (ROOT / "docs/keys.md").read_text() == keys_markdown() + "\n"


def test_the_built_in_table_says_what_the_project_file_says() -> None:
    import tomllib

    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert {f"deskside.{domain}": table for domain, table in BUILT_IN.items()} == points


@pytest.mark.parametrize(("domain", "name"), [(domain, name) for domain, table in BUILT_IN.items() for name in table])
def test_every_adapter_loads_and_declares_itself(domain: str, name: str) -> None:
    adapter = load_adapter(domain, name)
    assert adapter.domain == domain and adapter.adapter == name  # type: ignore[attr-defined]
    assert all(option.help for option in adapter.OPTIONS)  # type: ignore[attr-defined]


def test_an_unknown_adapter_names_those_there_are() -> None:
    assert "embedded" in adapters("tickets")
    with pytest.raises(BadConfig, match="embedded"):
        load_adapter("tickets", "carrier-pigeon")
