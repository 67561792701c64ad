"""The fakes are honest: each written fact about Zammad's and GLPI's wire format, asked of them over real HTTP by a plain client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.servers.fakes.glpi import FakeGlpi
from tests.servers.fakes.zammad import FakeZammad


@pytest.fixture
def zammad() -> Iterator[FakeZammad]:
    with FakeZammad() as fake:
        yield fake


@pytest.fixture
def glpi() -> Iterator[FakeGlpi]:
    with FakeGlpi() as fake:
        yield fake


def client(url: str, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=5)


@pytest.fixture
def ana(zammad: FakeZammad) -> Iterator[httpx.Client]:
    with client(f"{zammad.url}/api/v1", Authorization="Token token=token-ana") as opened:
        yield opened


def make(ana: httpx.Client, title: str = "one", **more: Any) -> dict[str, Any]:
    body = {"title": title, "group": "Service desk", "customer_id": "guess:jdoe@example.org", "article": {"body": "text", "type": "phone", "sender": "Customer"}, **more}
    made: dict[str, Any] = ana.post("/tickets", params={"expand": "true"}, json=body).json()
    return made


def test_zammad_says_403_for_no_log_in_and_401_for_a_wrong_one(zammad: FakeZammad) -> None:
    zammad.expired.add("old")
    for headers, status, words in (({}, 403, "Authentication required"), ({"Authorization": "Token token=x"}, 401, "Can't find User for Token"), ({"Authorization": "Token token=old"}, 401, "expired"),
                                   ({"Authorization": "Basic YTpi"}, 401, "Invalid BasicAuth credentials")):  # fmt: skip
        with client(f"{zammad.url}/api/v1", **headers) as asking:
            answer = asking.get("/users/me")
        assert answer.status_code == status and words in answer.json()["error"] and "error_human" in answer.json()
    with client(f"{zammad.url}/api/v1", Authorization="Token token=token-ana", From="bob") as asking:
        assert asking.get("/users/me").status_code == 403
    with client(f"{zammad.url}/api/v1", Authorization="Token token=token-root", From="bob") as asking:
        assert asking.get("/users/me").json()["login"] == "bob"


def test_zammad_tickets_numbers_times_and_nobody(ana: httpx.Client) -> None:
    made = make(ana)
    assert made["number"] != str(made["id"]) and (made["owner_id"], made["owner"]) == (1, "-") and made["state"] == "new" and made["updated_at"].endswith("Z") and "." in made["updated_at"]
    assert "owner" not in ana.get(f"/tickets/{made['id']}").json() and ana.get("/tickets/999").status_code == 404
    assert ana.post("/tickets", json={"title": "x", "group": "Service desk"}).json()["error"] == "article hash is missing"
    assert ana.post("/tickets", json={"title": "x", "group": "Nope", "article": {"body": "x"}}).status_code == 422
    assert make(ana, customer_id="guess:new@example.org")["customer"] == "new@example.org"


def test_zammad_search_has_two_engines(zammad: FakeZammad, ana: httpx.Client) -> None:
    zammad.lag = True
    first = make(ana, "printer")
    assert ana.get("/tickets/search", params={"query": "printer", "expand": "true"}).json() == []
    by_sql = {"condition": {"ticket.state_id": {"operator": "is", "value": ["1"]}, "ticket.updated_at": {"operator": "within last (relative)", "range": "minute", "value": "10"}}, "expand": True}
    assert [row["id"] for row in ana.post("/tickets/search", json=by_sql).json()] == [first["id"]]
    zammad.reindex()
    assert len(ana.get("/tickets/search", params={"query": "printer", "expand": "true"}).json()) == 1
    assert set(ana.get("/tickets/search", params={"query": "printer"}).json()) == {"tickets", "tickets_count", "assets"}
    assert ana.get("/tickets/search", params={"query": "printer", "expand": "true", "page": 51, "per_page": 200}).status_code == 422
    zammad.elasticsearch = False
    assert ana.get("/tickets/search", params={"query": "state.name:new", "expand": "true"}).json() == []
    assert ana.post("/tickets/search", json={**by_sql, "only_total_count": True}).json() == {"total_count": 1}
    zammad.counts = False
    assert isinstance(ana.post("/tickets/search", json={**by_sql, "only_total_count": True}).json(), list)
    assert ana.post("/tickets/search", json={"condition": {"ticket.title": {"operator": "like", "value": "x"}}}).status_code == 422


def test_zammad_pages(ana: httpx.Client) -> None:
    for number in range(60):
        make(ana, f"t{number}")
    search = {"condition": {"ticket.title": {"operator": "contains", "value": "t"}}, "expand": True}
    assert len(ana.post("/tickets/search", json=search).json()) == 50 and len(ana.post("/tickets/search", json={**search, "per_page": 500}).json()) == 60
    assert [row["id"] for row in ana.get("/tickets", params={"per_page": 2, "page": 2}).json()] == [3, 4]


def test_zammad_the_last_write_wins_and_merges_fail_with_200(zammad: FakeZammad, ana: httpx.Client) -> None:
    one, two = make(ana), make(ana)
    for owner in (2, 3):
        assert ana.put(f"/tickets/{one['id']}", json={"owner_id": owner}).status_code == 200
    changes = [entry for entry in ana.get(f"/ticket_history/{one['id']}").json()["history"] if entry.get("attribute") == "owner"]
    assert [(entry["id_from"], entry["id_to"]) for entry in changes] == [(1, 2), (2, 3)]
    failed = ana.put(f"/ticket_merge/{one['id']}/404")
    assert failed.status_code == 200 and failed.json()["result"] == "failed"
    assert ana.put(f"/ticket_merge/{one['id']}/{two['number']}").json()["result"] == "success"
    assert ana.get(f"/tickets/{one['id']}", params={"expand": "true"}).json()["state"] == "merged" and len(ana.get(f"/ticket_articles/by_ticket/{two['id']}").json()) == 2
    assert ana.get("/links", params={"link_object": "Ticket", "link_object_value": one["id"]}).json()["links"] == [{"link_type": "parent", "link_object": "Ticket", "link_object_value": two["id"]}]


def test_zammad_internal_mail_is_sent_all_the_same(zammad: FakeZammad, ana: httpx.Client) -> None:
    made = make(ana)
    ana.post("/ticket_articles", json={"ticket_id": made["id"], "type": "email", "internal": True, "to": "x@y.org", "body": "oops"})
    assert [mail["body"] for mail in zammad.mail] == ["oops"]
    ana.post("/ticket_articles", json={"ticket_id": made["id"], "type": "note", "internal": True, "body": "note"})
    assert ana.get(f"/tickets/{made['id']}").json()["first_response_at"] is None
    assert ana.put(f"/tickets/{made['id']}", json={"state": "pending reminder"}).status_code == 422
    zammad.forbids_follow_up.add("Service desk")
    assert ana.put(f"/tickets/{made['id']}", json={"state": "closed"}).status_code == 200
    assert ana.put(f"/tickets/{made['id']}", json={"state": "open"}).status_code == 422


# -- GLPI -----------------------------------------------------------------------------------------------


@pytest.fixture
def tech(glpi: FakeGlpi) -> Iterator[httpx.Client]:
    with client(f"{glpi.url}/apirest.php") as opened:
        token = opened.get("/initSession", headers={"Authorization": "user_token token-ana"}).json()["session_token"]
        opened.headers["Session-Token"] = token
        yield opened


def ticket(tech: httpx.Client, name: str = "one") -> int:
    answer = tech.post("/Ticket", json={"input": {"name": name, "content": "<p>a & b</p>"}})
    assert answer.status_code == 201 and answer.headers["Location"].endswith(f"/Ticket/{answer.json()['id']}")
    return int(answer.json()["id"])


def test_glpi_sessions_and_error_arrays(glpi: FakeGlpi, tech: httpx.Client) -> None:
    assert tech.get("/Ticket/1").json()[0] == "ERROR_ITEM_NOT_FOUND"
    glpi.sessions.clear()
    answer = tech.get("/Ticket/1")
    assert answer.status_code == 401 and answer.json()[0] == "ERROR_SESSION_TOKEN_INVALID" and "view documentation" in answer.json()[1]
    assert tech.get("/initSession", headers={"Authorization": "user_token no"}).status_code == 401
    glpi.app_token = "app"
    assert tech.get("/initSession").json()[0] == "ERROR_APP_TOKEN_PARAMETERS_MISSING"
    assert tech.request("GET", "/Ticket/1", json={"a": 1}, headers={"App-Token": "app"}).json()[0] == "ERROR_JSON_PAYLOAD_FORBIDDEN"


def test_glpi_windows(tech: httpx.Client) -> None:
    for number in range(20):
        ticket(tech, f"t{number}")
    search = {"forcedisplay[0]": "2", "sort": "2", "order": "ASC"}
    usual = tech.get("/search/Ticket", params=search)
    assert usual.status_code == 206 and usual.json()["count"] == 15 and usual.headers["Content-Range"] == "0-14/20"
    whole = tech.get("/search/Ticket", params={**search, "range": "0-49"})
    assert whole.status_code == 200 and whole.json()["totalcount"] == 20
    beyond = tech.get("/search/Ticket", params={**search, "range": "50-99"})
    assert beyond.status_code == 400 and beyond.json()[0] == "ERROR_RANGE_EXCEED_TOTAL"


def test_glpi_criteria_nest_and_negate(tech: httpx.Client) -> None:
    for name in ("printer", "printer jam", "switch"):
        ticket(tech, name)
    base = {"forcedisplay[0]": "1", "range": "0-9", "criteria[0][field]": "12", "criteria[0][searchtype]": "equals", "criteria[0][value]": "notold"}
    either = {"criteria[1][link]": "AND NOT", "criteria[1][criteria][0][field]": "1", "criteria[1][criteria][0][searchtype]": "contains", "criteria[1][criteria][0][value]": "jam",
              "criteria[1][criteria][1][link]": "OR", "criteria[1][criteria][1][field]": "1", "criteria[1][criteria][1][searchtype]": "contains", "criteria[1][criteria][1][value]": "^switch$"}  # fmt: skip
    assert [row["1"] for row in tech.get("/search/Ticket", params={**base, **either}).json()["data"]] == ["printer"]


def test_glpi_actors_move_the_status(glpi: FakeGlpi, tech: httpx.Client) -> None:
    ident = ticket(tech)
    row = tech.post("/Ticket_User", json={"input": {"tickets_id": ident, "users_id": 2, "type": 2}}).json()["id"]
    assert tech.get(f"/Ticket/{ident}").json()["status"] == 2
    assert tech.post("/Ticket_User", json={"input": {"tickets_id": ident, "users_id": 2, "type": 2}}).json()[0] == "ERROR_GLPI_ADD"
    assert tech.post("/Ticket_User", json={"input": {"tickets_id": ident, "users_id": 3, "type": 2}}).status_code == 201, "two may have it"
    for one in (row, row + 2):
        for place in [key for key, value in glpi.rows["Ticket_User"].items() if value["type"] == 2][:1]:
            assert tech.delete(f"/Ticket_User/{place}").status_code == 200, one
    assert tech.get(f"/Ticket/{ident}").json()["status"] == 1


def test_glpi_answers_true_also_where_nothing_was_changed(glpi: FakeGlpi, tech: httpx.Client) -> None:
    ident = ticket(tech)
    assert tech.put(f"/Ticket/{ident}", json={"input": {"status": 6}}).json() == [{str(ident): True, "message": ""}] and tech.get(f"/Ticket/{ident}").json()["status"] == 1
    before = tech.get(f"/Ticket/{ident}", params={"get_sha1": "true"}).json()
    tech.put(f"/Ticket/{ident}", json={"input": {"name": "x"}})
    assert isinstance(before, str) and tech.get(f"/Ticket/{ident}", params={"get_sha1": "true"}).json() != before
    tech.post("/ITILSolution", json={"input": {"itemtype": "Ticket", "items_id": ident, "content": "done"}})
    assert tech.get(f"/Ticket/{ident}").json()["status"] == 5


def test_glpi_texts_times_arrays_and_messages(glpi: FakeGlpi, tech: httpx.Client) -> None:
    glpi.clock = lambda: datetime(2026, 7, 1, 17, 0, tzinfo=UTC)
    ident = ticket(tech)
    shown = tech.get(f"/Ticket/{ident}").json()
    assert shown["content"] == "&#60;p&#62;a &#38; b&#60;/p&#62;" and shown["date"] == "2026-07-01 12:00:00"
    several = tech.post("/Ticket", json={"input": [{"name": "ok"}, {"content": "no title"}]})
    assert several.status_code == 207 and [row["id"] is not False for row in several.json()] == [True, False]
    glpi.notice = "<b>Notice</b>"
    assert tech.get(f"/Ticket/{ident}").text.startswith("<b>Notice</b>{")
