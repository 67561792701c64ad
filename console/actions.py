"""The registry of actions: what a person can do, on which keys, and why a key can't be used now. Never imports textual.

Footer, `?`, palette, `docs/keys.md` and `[keys]` all come from this one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.desk import Desk

ROLES = ("technician", "supervisor", "admin")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do. `verb` is the backend's write verb (`plan_<verb>`), "" for what needs none."""

    id: str
    keys: tuple[str, ...]
    label: str
    help: str
    verb: str = ""
    method: str = ""
    """A read method the backend must have ("files"), where the action needs one."""
    danger: int = 0
    role: str = "technician"

    @property
    def scope(self) -> str:
        """Where its keys work: global, list, or a domain."""
        return self.id.split(".", 1)[0]

    @property
    def domain(self) -> str:
        """The domain whose backend it uses, or ""."""
        if self.scope == "schedules":
            return "tickets"
        if self.scope == "files":
            return "backups"
        return self.scope if self.scope in ("tickets", "devices", "backups", "accounts") else ""


def _write(id: str, keys: tuple[str, ...], label: str, help: str, danger: int = 0, role: str = "technician", verb: str = "") -> Action:
    return Action(id, keys, label, help, verb or id.split(".", 1)[1], danger=danger, role=role)


ACTIONS: tuple[Action, ...] = (
    Action("global.command", (":",), "command", "Type a command; tab completes, up brings back what was typed"),
    Action("global.help", ("?", "f1"), "keys", "The keys of this view, with those that can't be used now and why"),
    Action("global.back", ("escape", "backspace"), "back", "Back; on a list: clear the filter, then the marks"),
    Action("global.pane-1", ("1",), "tickets", "The list of tickets"),
    Action("global.pane-2", ("2",), "devices", "The list of devices"),
    Action("global.pane-3", ("3",), "backups", "The list of backup jobs"),
    Action("global.pane-4", ("4",), "accounts", "The list of accounts"),
    Action("global.jobs", ("5",), "jobs", "Long work: what runs, what ran"),
    Action("global.ledger", ("6", "L"), "ledger", "Who did what, and whether the chain holds"),
    Action("global.wall", ("7", "W"), "wall", "The wallboard"),
    Action("global.refresh", ("R", "f5"), "refresh", "Ask the backends again"),
    Action("global.palette", ("ctrl+p",), "palette", "All actions by their words"),
    Action("global.quit", ("q",), "quit", "Leave the console; jobs go on"),
    Action("list.open", ("enter",), "open", "Open what is under the cursor"),
    Action("list.filter", ("/",), "filter", "Show only what matches; ! in front: what does not"),
    Action("list.views", ("v",), "views", "A saved view, by its digit or letter"),
    Action("list.jump", ("J",), "jump", "To what is linked: ticket, device, account, backup"),
    Action("list.mark", ("space",), "mark", "Mark the row and go on; verbs then act on all marked rows"),
    Action("list.mark-all", ("*",), "mark all", "Mark all rows that are loaded"),
    Action("list.unmark", ("u",), "unmark", "Nothing is marked any more"),
    Action("list.faults", ("z",), "faults", "Only what is not well (tickets: overdue), and back"),
    Action("list.full", ("f",), "full", "This pane over the whole screen, and back"),
    Action("list.wide", ("w",), "wide", "All columns, or those that matter"),
    Action("list.sort-next", (">",), "sort", "Sort by the next column"),
    Action("list.sort-previous", ("<",), "sort back", "Sort by the column before"),
    Action("list.reverse", ("o",), "turn round", "Sort the other way"),
    Action("list.copy", ("y",), "copy", "The id to the terminal's clipboard"),
    Action("list.next-pane", ("tab",), "next pane", "The next pane"),
    Action("list.previous-pane", ("shift+tab",), "previous pane", "The pane before"),
    Action("list.down", ("j", "down"), "down", "One down"),
    Action("list.up", ("k", "up"), "up", "One up"),
    Action("list.page-down", ("pagedown", "ctrl+f"), "page down", "A page on"),
    Action("list.page-up", ("pageup",), "page up", "A page back"),
    Action("list.first", ("g", "home"), "first", "To the first row"),
    Action("list.last", ("G", "end"), "last", "To the last row"),
    Action("list.undo", ("Z",), "take back", "Take back what was done last, where it can be; it is shown first"),
    _write("tickets.create", ("n",), "new", "A new ticket"),
    _write("tickets.template", ("N",), "from template", "A new ticket from a template of the site; its fields are asked", verb="create"),
    _write("tickets.intake", ("P",), "phone call", "A caller on the line: who and what in one line, found as you type", verb="create"),
    _write("tickets.take", ("t",), "take", "Take it; refused when somebody else has it"),
    _write("tickets.release", ("T",), "give back", "Give it back to the queue"),
    _write("tickets.assign", ("a",), "assign", "Assign it to somebody, a @team, or fair: who has the least"),
    _write("tickets.status", ("s",), "status", "Move it along; waiting and solved ask why"),
    _write("tickets.reply", ("r",), "reply", "A PUBLIC reply; recipients are shown before it goes"),
    _write("tickets.note", ("c",), "note", "An internal note for colleagues"),
    _write("tickets.edit", ("e",), "edit", "Change subject, queue, category, kind, impact, urgency, priority, place or tags"),
    _write("tickets.solve", ("C",), "solve", "A PUBLIC reply that solves it, in one step", verb="reply"),
    _write("tickets.macro", ("i",), "macro", "Several steps of the site at once, shown first", verb="note"),
    _write("tickets.steal", ("S",), "take over", "From whoever has it; they are named"),
    _write("tickets.refer", ("V",), "to vendor", "Give it to a vendor; it comes back by itself on the day of the follow-up"),
    _write("tickets.vendor-return", ("B",), "from vendor", "The vendor is done, or gave it back"),
    _write("tickets.log-call", ("p",), "call", "A telephone call with the requester: it counts as an answer"),
    _write("tickets.time", ("+",), "time", "Time spent, such as 1h15m, with a word about it"),
    _write("tickets.relate", ("l",), "tie", "Tie it to another ticket: parent, child, blocks, belongs together"),
    _write("tickets.merge", ("M",), "merge", "Merge it into another ticket", danger=2),
    _write("tickets.unmerge", ("U",), "unmerge", "Take it out again, as long as nothing was added"),
    _write("tickets.split", ("x",), "split", "A new ticket out of some entries of its timeline"),
    _write("tickets.watch", ("m",), "tell", "Who is told of public replies, who follows it"),
    _write("tickets.approve", ("A",), "authority", "Ask somebody to authorise it"),
    _write("tickets.decide", ("D",), "decide", "Give or refuse authority; the document is noted"),
    _write("tickets.check", ("h",), "checklist", "Tick an item of the checklist, or add one"),
    _write("tickets.attach", ("F",), "attach", "Attach a file of this machine"),
    Action("tickets.save", ("d",), "save file", "Save an attachment; nothing is overwritten", method="fetch"),
    Action("tickets.next", ("]",), "next ticket", "The next ticket of the list"),
    Action("tickets.previous", ("[",), "previous", "The ticket before it"),
    Action("tickets.restore", ("b",), "restore", "Bring back files for it: which job, before when was it good, then the files"),
    _write("devices.check", ("c",), "check now", "Look again now"),
    _write("devices.ack", ("a",), "acknowledge", "Say that somebody is on it"),
    _write("devices.unack", ("A",), "unacknowledge", "Take the acknowledgement back"),
    _write("devices.downtime", ("d",), "downtime", "Planned work for a time"),
    Action("devices.ticket", ("n",), "new ticket", "A new ticket about this device"),
    Action("devices.restore", ("b",), "restore", "Bring back files of this host"),
    Action("backups.diff", ("d",), "compare", "What changed between two snapshots", method="diff"),
    Action("backups.restore", ("r",), "restore", "Bring back what is marked, or what is under the cursor; shown by name before anything is done", method="extract"),
    Action("backups.search", ("s",), "search", "Look for a name in the whole snapshot, such as *.xlsx", method="find"),
    Action("backups.versions", ("V",), "versions", "This file through the snapshots", method="versions"),
    Action("backups.preview", ("p",), "look into", "The beginning of the file: text, else hex", method="read"),
    Action("backups.up", ("-", "left"), "folder above", "To the folder above, also above the one the snapshot was opened in", method="files"),
    Action("backups.before", ("b",), "good before", "The last snapshot before a time: when was it still good?", method="snapshots"),
    Action("backups.about", ("i",), "how it stands", "Runs, the repository and its growth, locks, holds, schedule, drills", method="runs"),
    _write("backups.run", ("n",), "run now", "Start this backup now; it is a job that goes on when you leave"),
    _write("backups.check", ("c",), "check", "Ask the tool whether the repository is whole: its structure, or a share of the data"),
    _write("backups.prune", ("P",), "free space", "Free the space of what was forgotten, apart from forgetting: shown first", danger=2, role="admin"),
    _write("backups.forget", ("F",), "forget", "What a policy would let go and keep, by name; then a yes", danger=2, role="admin"),
    _write("backups.hold", ("h",), "hold", "No policy may let this snapshot go", role="supervisor"),
    _write("backups.unhold", ("H",), "end hold", "A policy may let it go again", role="admin"),
    _write("backups.unlock", ("K",), "unlock", "Take away a lock that is proven stale", role="admin"),
    Action("backups.drill", ("D",), "drill", "Rehearse: a sample to scratch, audited, timed, with evidence", method="extract"),
    Action("files.live", ("d",), "against now", "The file or folder of the snapshot against what is on this host now", method="compare_live"),
    Action("restores.go", ("r",), "go on", "To the question: nothing is done before it"),
    Action("restores.thorough", ("t",), "compare content", "Look again, the content of files that look the same compared too"),
    Action("restores.override", ("O",), "set aside", "Set a refusal aside: an admin's, with a reason that stands in plan, report and ledger"),
    Action("restores.undo", ("U",), "take back", "As it was before the restore, while that is kept"),
    Action("restores.resume", ("e",), "resume", "Go on where it was cut off, audited again"),
    Action("restores.discard", ("x",), "give up", "One that was cut off before its swap; live files are untouched"),
    Action("restores.cancel", ("X",), "stop", "Ask it to stop; what that leaves behind is said", danger=1),
    _write("accounts.unlock", ("U",), "unlock", "Let them in again after too many bad passwords"),
    _write("accounts.enable", ("E",), "enable", "Switch the account on"),
    _write("accounts.disable", ("D",), "disable", "Switch the account off; nothing is deleted", danger=2),
    _write("accounts.add-member", ("+",), "add to group", "Into a group"),
    _write("accounts.remove-member", ("X",), "out of group", "Out of a group", danger=2),
    _write("accounts.expiry", ("x",), "end date", "The day the account ends"),
    Action("accounts.ticket", ("n",), "new ticket", "A new ticket about this account"),
    Action("accounts.restore", ("b",), "restore", "Bring back mail or files of this account: its mailbox or home folder is opened"),
    _write("schedules.new", ("n",), "new", "A recurring ticket; its next five dates are shown before it is saved", verb="schedule"),
    _write("schedules.edit", ("e",), "edit", "Another rule, text, queue or lead time", verb="schedule"),
    _write("schedules.pause", ("p",), "pause", "Nothing is made until it is resumed, and back", verb="schedule-pause"),
    _write("schedules.skip", ("s",), "skip", "Leave the next occurrence out, with the reason", verb="schedule-skip"),
    _write("schedules.run", ("x",), "run now", "A ticket now, beside its dates", verb="schedule-run"),
    _write("schedules.remove", ("X",), "remove", "For good; the tickets it made stay", danger=2, verb="schedule-remove"),
    Action("jobs.start", ("n",), "start", "Start a job"),
    Action("jobs.cancel", ("X",), "cancel", "Ask a running job to stop", danger=1),
    Action("results.stop", ("X",), "stop", "Stop after the one that is under way"),
    Action("compose.canned", ("f2",), "canned text", "A usual text of the site at the cursor, its fields filled in"),
    Action("compose.attach", ("f3",), "file", "A file of this machine that goes with it"),
    Action("compose.time", ("f4",), "time", "Time spent with it"),
)

FORBIDDEN_KEYS = frozenset({
    "ctrl+a", "ctrl+b", "ctrl+s", "ctrl+q", "ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m", "ctrl+z", "ctrl+[", "ctrl+\\", "ctrl+c",
    "alt+b", "alt+f",
})  # fmt: skip
"""tmux and screen prefixes, flow control, and keys that terminals send for backspace, tab, enter, esc, quit."""


def clashes(actions: tuple[Action, ...], keys: dict[str, tuple[str, ...]]) -> list[str]:
    """Sentences about two actions of one scope on one key, a domain's key hiding a list's, or a forbidden key."""
    found: list[str] = []
    for scope in sorted({action.scope for action in actions}):
        visible = [action for action in actions if action.scope in (scope, "list", "global")]
        seen: dict[str, Action] = {}
        for action in visible:
            for key in keys.get(action.id, action.keys):
                if key in FORBIDDEN_KEYS or key.startswith("alt+"):
                    found.append(f"{action.id}: {key} can't be used in a terminal")
                other = seen.setdefault(key, action)
                if other is not action:
                    found.append(f"{key} is {other.id} and {action.id}")
    return sorted(set(found))


def disabled_reason(action: Action, desk: Desk, opened: Any) -> str | None:
    """Why the action can't be used now, in words; None when it can. `opened` is the backend's place at the desk."""
    if not action.verb and not action.method:
        return None
    if action.verb and desk.read_only:
        return "the console is read-only"
    if ROLES.index(desk.actor.role) < ROLES.index(action.role):
        return f"needs the role {action.role}, you are {desk.actor.role}"
    if opened is None:
        return f"no {action.domain} are configured"
    if opened.backend is None:
        return opened.error.title.lower() if opened.error is not None else "still opening"
    name = action.method or "plan_" + action.verb.replace("-", "_")
    if not hasattr(opened.backend, name):
        return f"{opened.name} ({opened.backend.adapter}) can't do that"
    return None


def only_half(verb: str, backend: Any) -> str:
    """What a backend can do only half of a verb or feature, in its own words; "" where it does it whole."""
    return str(getattr(backend, "HALF", {}).get(verb, ""))
