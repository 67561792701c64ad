"""The record store's contract, on both engines. Faults, kills and many writers: `tests/backends/store`."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.errors import BadConfig, Conflict, Invalid, NotFound
from backends.store.contract import All, AnyOf, Not, Order, Store, Test, Where
from backends.store.opening import ENGINES, open_store
from backends.threads import in_thread


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(engine: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path, engine)
    yield opened
    opened.close()


def test_a_record_has_rev_and_seq(store: Store) -> None:
    first = store.insert("t", {"a": 1}, id="x")
    assert (first.rev, first.seq, first.doc) == (1, 1, {"a": 1})
    second = store.update("t", "x", {"a": 2}, rev=1)
    assert (second.rev, second.seq) == (2, 2)
    assert store.get("t", "x") == second
    assert store.get("t", "y") is None
    assert store.seq() == 2


def test_the_optimistic_lock_names_both_sides(store: Store) -> None:
    store.insert("t", {"a": 1}, id="x")
    store.update("t", "x", {"a": 2}, rev=1)
    with pytest.raises(Conflict) as caught:
        store.update("t", "x", {"a": 3}, rev=1)
    assert caught.value.theirs == {"a": 2} and caught.value.mine == {"a": 3}
    with pytest.raises(Conflict):
        store.insert("t", {}, id="x")
    with pytest.raises(NotFound):
        store.update("t", "nobody", {}, rev=None)
    with pytest.raises(Conflict):
        store.delete("t", "x", rev=1)


def test_an_operation_is_done_once(store: Store) -> None:
    first = store.insert("t", {"a": 1}, op_id="op1")
    again = store.insert("t", {"a": 1}, op_id="op1")
    assert again == first and store.count("t") == 1
    done = store.update("t", first.id, {"a": 2}, rev=1, op_id="op2")
    assert store.update("t", first.id, {"a": 2}, rev=1, op_id="op2") == done
    assert store.seq() == 2


def test_the_feed_shows_each_id_once_and_keeps_tombstones(store: Store) -> None:
    store.insert("t", {}, id="a")
    store.insert("u", {}, id="b")
    store.update("t", "a", {"x": 1}, rev=1)
    store.delete("u", "b")
    assert [(item.collection, item.id, item.deleted) for item in store.changes(0)] == [("t", "a", False), ("u", "b", True)]
    assert [item.id for item in store.changes(3)] == ["b"]
    assert [item.id for item in store.changes(0, collection="t")] == ["a"]
    assert store.changes(store.seq()) == []


def test_numbers_are_given_once(store: Store) -> None:
    assert [store.next_number("n", 1001), store.next_number("n", 1001), store.next_number("m")] == [1001, 1002, 1]


DOCS = [
    {"status": "open", "n": 3, "who": {"name": "Ärger"}, "tags": ["a", "b"]},
    {"status": "open", "n": 1, "who": {"name": "bob"}, "tags": []},
    {"status": "new", "n": 2, "who": {"name": "100% done_now"}},
    {"status": None, "who": {"name": "C\\d"}, "tags": ["b"]},
]
CASES: list[tuple[Where, set[int]]] = [
    (Test("status", "eq", "open"), {0, 1}), (Test("status", "ne", "open"), {2, 3}), (Test("status", "eq", None), {3}),
    (Test("n", "eq", None), {3}), (Test("n", "lt", 3), {1, 2}), (Test("n", "ge", 2), {0, 2}),
    (Test("status", "any", ("new", None)), {2, 3}), (Test("status", "any", ()), set()),
    (Not(Test("status", "any", ("new", "open"))), {3}), (Test("who.name", "has", "BO"), {1}),
    (Test("who.name", "has", "ÄR"), {0}), (Test("who.name", "has", "0%"), {2}), (Test("who.name", "has", "e_n"), {2}),
    (Test("who.name", "has", "\\"), {3}), (Not(Test("nothing", "has", "x")), {0, 1, 2, 3}), (Test("tags", "member", "b"), {0, 3}),
    (Test("status", "member", "open"), set()), (Test("who", "member", "bob"), set()), (Not(Test("n", "lt", 3)), {0, 3}),
    (AnyOf(()), set()), (All(()), {0, 1, 2, 3}), (Not(All(())), set()), (All((Test("status", "eq", "open"), Not(Test("n", "gt", 2)))), {1}),
    (AnyOf((Test("n", "eq", 1), Test("tags", "member", "a"))), {0, 1}), (Test("status", "gt", 5), set()), (Test("n", "lt", "zzz"), set()),
    (Test("n", "gt", "a"), set()), (Test("status", "lt", None), set()), (Not(Test("status", "le", "new")), {0, 1, 3}),
]  # fmt: skip


@pytest.mark.parametrize("declared", [False, True])
def test_conditions(store: Store, declared: bool) -> None:
    if declared:
        store.index("t", "status,n", "who.name", "tags", "who", "nothing")
    for place, doc in enumerate(DOCS):
        store.insert("t", doc, id=str(place))
    for where, expected in CASES:
        assert {int(record.id) for record in store.select("t", where)} == expected, where
        assert store.count("t", where) == len(expected), where


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([1.5, -0.25, 2.0, 10**20]),
    st.sampled_from(["", "a", "A", "b", "ab", "ß", "1", "É"]),
)  # fmt: skip
FIELDS = st.sampled_from(["a", "b", "c.d"])
TESTS = st.one_of(
    st.builds(Test, FIELDS, st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]), VALUES),
    st.builds(Test, FIELDS, st.just("has"), st.sampled_from(["a", "B", "1", "ß", "é", ""])),
    st.builds(Test, FIELDS, st.just("any"), st.lists(VALUES, max_size=3).map(tuple)),
    st.builds(Test, FIELDS, st.just("member"), VALUES),
)
WHERES = st.recursive(
    TESTS, lambda inner: st.one_of(st.builds(Not, inner), st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
                                   st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts)))), max_leaves=5,
)  # fmt: skip
ANY_DOC = st.fixed_dictionaries(
    {}, optional={
        "a": VALUES, "b": st.one_of(VALUES, st.lists(VALUES, max_size=2)), "c": st.one_of(VALUES, st.fixed_dictionaries({"d": VALUES})),
    }
)  # fmt: skip
ORDERS = st.lists(st.builds(Order, FIELDS, st.booleans()), max_size=2)


@settings(max_examples=60, deadline=None)
@given(docs=st.lists(ANY_DOC, max_size=12), where=WHERES, order=ORDERS, declared=st.booleans())
def test_the_engines_agree(docs: list[dict[str, Any]], where: Where, order: list[Order], declared: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stores = [open_store(Path(folder) / name, name) for name in ENGINES]
        seen = []
        for store in stores:
            if declared:
                store.index("t", "a", "b,a")
            store.load("t", ((str(place), doc) for place, doc in enumerate(docs)))
            found = store.select("t", where, order)
            assert [store.position("t", record.id, where, order) for record in found] == list(range(len(found)))
            assert store.count("t", where) == len(found)
            assert store.select("t", where, order, offset=1, limit=2) == found[1:3]
            seen.append([(record.id, record.rev, record.seq, record.doc) for record in found])
            store.close()
        assert seen[0] == seen[1]


@pytest.mark.parametrize("descending", [False, True])
def test_pages_sorts_and_positions_agree(store: Store, descending: bool) -> None:
    store.index("t", "n", "status,n")
    numbers = [5, None, 3, 5, 1, None, 2, 3]
    store.load("t", [(f"id{place}", {"n": n, "status": "a" if place % 2 else "b"}) for place, n in enumerate(numbers)])
    order = [Order("n", descending)]
    whole = [record.id for record in store.select("t", All(), order)]
    values = [numbers[int(ident[2:])] for ident in whole]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=descending) and values[-2:] == [None, None]
    paged = [record.id for start in range(0, 8, 3) for record in store.select("t", All(), order, offset=start, limit=3)]
    assert paged == whole
    assert [store.position("t", ident, All(), order) for ident in whole] == list(range(8))
    assert store.position("t", "id0", Test("status", "eq", "a"), order) is None


def test_only_the_fields_asked_for(store: Store) -> None:
    store.insert("t", {"a": 1, "b": {"c": True}, "d": "x"}, id="1")
    assert store.select("t", fields=["b", "z"])[0].doc == {"b": {"c": True}}


def test_what_is_stored_is_not_what_the_caller_changes_later(store: Store) -> None:
    doc: dict[str, Any] = {"a": [1]}
    store.insert("t", doc, id="1")
    doc["a"].append(2)
    assert store.get("t", "1").doc == {"a": [1]}  # type: ignore[union-attr]


def test_two_handles_see_each_other(engine: str, tmp_path: Path) -> None:
    one, two = open_store(tmp_path, engine), open_store(tmp_path)
    one.insert("t", {"a": 1}, id="x")
    assert two.get("t", "x").doc == {"a": 1}  # type: ignore[union-attr]
    two.update("t", "x", {"a": 2}, rev=1)
    assert one.get("t", "x").rev == 2  # type: ignore[union-attr]
    one.load("t", ((str(n), {"n": n}) for n in range(2000)))
    assert two.count("t") == 2001


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from("ipdu"), st.integers(0, 4), st.integers(0, 99)), max_size=30))
@pytest.mark.parametrize("name", ENGINES)
def test_it_is_a_dictionary(name: str, steps: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = open_store(tmp_path_factory.mktemp("s"), name)
    model: dict[str, int] = {}
    for step, key, value in steps:
        ident = f"k{key}"
        try:
            if step == "i":
                store.insert("t", {"v": value}, id=ident)
                assert ident not in model
                model[ident] = value
            elif step == "p":
                store.put("t", ident, {"v": value})
                model[ident] = value
            elif step == "u":
                store.update("t", ident, {"v": value}, rev=None)
                assert ident in model
                model[ident] = value
            else:
                store.delete("t", ident)
                assert model.pop(ident, None) is not None
        except (Conflict, NotFound):
            assert (step == "i") == (ident in model)
    store.close()
    again = open_store(store_folder(store))
    assert {record.id: record.doc["v"] for record in again.select("t")} == model
    again.close()


def store_folder(store: Any) -> Path:
    inside = store.path.parent if store.engine == "sqlite" else store.storage.folder
    return Path(inside).parent.parent


def test_a_newer_store_is_refused(engine: str, tmp_path: Path) -> None:
    open_store(tmp_path, engine).close()
    (tmp_path / "store/meta.json").write_text(json.dumps({"format": 99, "engine": engine}))
    with pytest.raises(BadConfig, match="newer"):
        open_store(tmp_path)


def test_what_json_has_not_is_refused(store: Store) -> None:
    for doc in ({"n": float("nan")}, {"n": float("inf")}, {"n": {1, 2}}, {"n": object()}):
        with pytest.raises(Invalid):
            store.insert("t", doc)
    assert store.collections() == {} and store.seq() == 0


def test_every_text_comes_back(store: Store) -> None:
    store.index("t", "text")
    texts = [
        "", "a\0b", "half a pair \ud800", "\U0001f600", "\r\n\x85\u2028\x1b[31m", '"; DROP TABLE feed; --', "x" * 100_000, "null", "[1",
    ]  # fmt: skip
    for place, text in enumerate(texts):
        store.insert("t", {"text": text}, id=str(place))
    assert [record.doc["text"] for record in store.select("t")] == texts
    for place in range(len(texts)):
        assert store.position("t", str(place), All(), [Order("text")]) is not None
    assert {record.id for record in store.select("t", Test("text", "eq", "null"))} == {"7"}
    assert store.check() == []


def test_names_can_not_carry_sql(store: Store) -> None:
    for name in ("", "T", "a b", "a;b", 'a"b', "1", "x'", "../x"):
        with pytest.raises(ValueError, match="collection"):
            store.put(name, "x", {})
    store.put("t", "x", {})
    for field in ("", "a'b", 'a"', "a b", "$", "a..b", "a\\"):
        with pytest.raises(ValueError, match="field"):
            store.select("t", Test(field, "eq", 1))


def test_fields_declared_later_are_filled(store: Store) -> None:
    store.load("t", ((str(n), {"n": n, "half": n // 2}) for n in range(2500)))
    store.index("t", "n", "half,n")
    store.index("t", "n", "half,n")
    assert store.count("t", Test("half", "eq", 7)) == 2
    assert [record.id for record in store.select("t", Test("n", "ge", 2498), [Order("n", True)])] == ["2499", "2498"]
    store.update("t", "3", {"n": 9999}, rev=1)
    assert store.select("t", order=[Order("n", True)], limit=1)[0].id == "3" and store.count("t", Test("half", "eq", 1)) == 1


def test_loading_replaces_and_counts_the_revisions(store: Store) -> None:
    store.insert("t", {"n": 0}, id="a")
    assert store.load("t", [("a", {"n": 1}), ("b", {"n": 1}), ("a", {"n": 2})]) == 3
    assert store.load("t", []) == 0
    record = store.get("t", "a")
    assert record is not None and (record.rev, record.seq, record.doc) == (3, 4, {"n": 2})
    assert [(item.id, item.seq, item.rev) for item in store.changes(0)] == [("b", 3, 1), ("a", 4, 3)]


def test_a_load_that_breaks_off_stores_nothing(store: Store) -> None:
    store.put("t", "kept", {})

    def broken() -> Iterator[tuple[str, dict[str, Any]]]:
        yield "a", {}
        raise RuntimeError("the file ends here")

    with pytest.raises(RuntimeError):
        store.load("t", broken())
    assert store.collections() == {"t": 1} and store.seq() == 1
    assert store.put("new", "x", {}).seq == 2


def test_a_made_again_record_starts_anew(store: Store) -> None:
    store.insert("t", {}, id="a")
    store.delete("t", "a", rev=1)
    assert store.get("t", "a") is None and store.collections() == {}
    again = store.insert("t", {}, id="a")
    assert (again.rev, again.seq) == (1, 3) and [(item.id, item.deleted) for item in store.changes(0)] == [("a", False)]


def test_only_so_many_operations_are_remembered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.store.sqlite.OPS_KEPT", 3)
    monkeypatch.setattr("backends.store.tinydb_state.OPS_KEPT", 3)
    first = [store.insert("t", {"n": n}, op_id=f"op{n}") for n in range(5)]
    assert store.insert("t", {}, op_id="op2") == first[2] and store.insert("t", {}, op_id="op4") == first[4]
    assert store.insert("t", {}, op_id="op0") != first[0]


def test_threads_share_one_store(store: Store) -> None:
    store.index("t", "n")
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(40):
                store.insert("t", {"n": n}, id=f"{number}-{n}")
                store.select("t", Test("n", "lt", 5), [Order("n")], limit=5)
                assert store.get("t", f"{number}-{n}") is not None
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == [] and store.count("t") == 240 and store.seq() == 240


async def test_from_an_event_loop(store: Store) -> None:
    made = await asyncio.gather(*(in_thread(20, store.insert, "t", {"n": n}) for n in range(20)))
    assert sorted(record.seq for record in made) == list(range(1, 21))


def test_a_tally_counts_by_values(store: Store) -> None:
    store.index("t", "queue")
    for number, queue in enumerate(("net", "net", "web", None)):
        store.insert("t", {"queue": queue, "phase": "new" if number else "paused", "n": number} if queue else {"phase": "new", "n": number})
    assert store.tally("t", All(), "queue", "phase") == {("net", "paused"): 1, ("net", "new"): 1, ("web", "new"): 1, (None, "new"): 1}
    assert store.tally("t", Test("n", "ge", 1), "queue") == {("net",): 1, ("web",): 1, (None,): 1} and store.tally("none", All(), "x") == {}


LETTERS = "aAäÄßẞσΣςiİıkKåÅωΩ%_\\\"[*?]' é"


@given(texts=st.lists(st.text(LETTERS, max_size=8), max_size=12), wanted=st.text(LETTERS.replace("i", "").replace("k", ""), min_size=1, max_size=4))
@settings(deadline=None, max_examples=50)
def test_text_is_found_alike_in_any_letters(texts: list[str], wanted: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        opened = open_store(Path(folder), "sqlite")
        opened.index("t", "at", "at,text")
        opened.load("t", ((str(number), {"at": number % 3, "text": text}) for number, text in enumerate(texts)))
        expected = {str(number) for number, text in enumerate(texts) if wanted.lower() in text.lower()}
        for where in (Test("text", "has", wanted), All((Test("text", "has", wanted), Test("at", "ge", 0)))):
            assert {record.id for record in opened.select("t", where, [Order("at")])} == expected
            assert opened.count("t", Not(where)) == len(texts) - len(expected)
        opened.close()


def test_lists_and_objects_are_found_by_their_column_as_by_the_document(tmp_path: Path) -> None:
    docs: list[dict[str, Any]] = [
        {"tags": ["a", "ä"]}, {"tags": "a"}, {"tags": {"a": "a"}}, {"tags": ["A", 1, None]}, {}, {"fields": {"room": "a", "n": 1}}, {"fields": "room"},
        {"fields": {"room": ["a"]}}, {"tags": ["\ud800", "ä"]}, {"fields": {"room": None}}, {"tags": ['a"', "\\"]},
    ]  # fmt: skip
    opened = [open_store(tmp_path / engine, engine) for engine in ENGINES]
    for one in opened:
        one.index("t", "tags", "fields")
        for number, doc in enumerate(docs):
            one.insert("t", doc, id=str(number))
    for value in ("a", "ä", "A", 1, None, 'a"', "\\", "room"):
        for test in (Test("tags", "member", value), Test("fields.room", "eq", value), Test("fields.room", "any", (value, "zz")), Test("fields.room", "member", value), Test("fields.n", "ne", value)):
            found = [sorted(record.id for record in one.select("t", test)) for one in opened]
            inverse = [sorted(record.id for record in one.select("t", Not(test))) for one in opened]
            assert found[0] == found[1] and inverse[0] == inverse[1], (test, found)
    for one in opened:
        one.close()
