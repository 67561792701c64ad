"""What follows the changes of a desk: the health of what the collector polls."""

from __future__ import annotations

import time
from pathlib import Path

from backends.contract import Actor
from console.config import BackendConfig, Config
from console.desk import Desk
from console.following import Following
from console.live import SourceState
from console.people import Identity


async def test_a_system_whose_poll_fails_is_down_also_where_none_ever_succeeded(tmp_path: Path) -> None:
    desk = Desk(Config(data=tmp_path, backends=(BackendConfig("devices", "here", "local"),)), Identity(Actor("ana", "Ana", "admin"), 0))
    await desk.open()
    opened, following = desk.backends("devices")[0], Following(desk)
    assert desk.live is not None and opened.health is not None and opened.health.word == "ok"

    def noted(state: str, error: str) -> None:
        assert desk.live is not None
        desk.live.note_source(SourceState("devices", "here", state, error, 0.0, time.time(), 60.0, 0.1, 1))  # type: ignore[arg-type]

    noted("ok", "")
    assert await following.look() == set()
    desk.want_polls()
    assert desk.live.take_wanted() == [("devices", "here")], "R asks the collector, too"
    noted("stale", "log-in refused: the password does not open it")
    assert await following.look() == {"devices"}
    assert (opened.health.word, opened.health.text) == ("down", "log-in refused: the password does not open it")
    assert await following.look() == set(), "said once"
    noted("ok", "")
    assert await following.look() == {"devices"} and opened.health.word == "ok"
    await desk.close()
