"""Macros, canned text and templates of the demo's county: examples to look at and to copy. Plain text; never imports anything."""

from __future__ import annotations

DESK_TEXTS = '''
[desk]
next_after_action = false

[macros.toner]
text = "Toner is ordered: take it, tell them, wait for the vendor"
steps = [
  {take = true},
  {tags = ["toner"]},
  {reply = "Dear {requester.first},\\n\\ntoner for {ticket.number} is ordered and should be here in three days.\\n\\n{me.name}", status = "Waiting on vendor", reason = "toner"},
]

[macros.on-site]
text = "Somebody goes there: whoever has the least"
steps = [
  {assign = "fair"},
  {note = "On site at {requester.location}, phone {requester.phone}"},
  {status = "In progress"},
]

[canned.restart]
text = "Dear {requester.first},\\n\\nplease restart it once, leave it on, and tell me whether {ticket.number} is solved.\\n\\n{me.name}"

[canned.thanks]
text = "Dear {requester.first},\\n\\nit should work again. If it does not, just answer this mail: it opens {ticket.number} again.\\n\\n{me.name}"
use = "reply"

[canned.voice-mail]
text = "Left a voice mail for {requester.name} ({requester.phone}) on {now}."
use = "note"

[templates.newcomer]
text = "Account, device and badge of a new colleague"
subject = "New colleague {name}, {department}, from {day}"
body = "Starts on {day} in {department}, room {room}."
category = "account"
kind = "request"
checklist = ["account of {name}", "laptop", "phone in {room}", "badge"]
ask = {name = "Name of the new colleague?", department = "Department?", room = "Room?", day = "First day?"}

[templates.leaver]
text = "Somebody leaves: account, devices, keys"
subject = "{name} leaves on {day}"
category = "account"
kind = "request"
checklist = ["disable the account on {day}", "laptop back", "keys and badge back", "mailbox handed over"]
ask = {name = "Who leaves?", day = "Last day?"}
'''
