"""What is said at the demo's help desk: calls, answers, notes, solutions. Plain data; never imports anything of the console."""

from __future__ import annotations

Call = tuple[str, str, str, str, int]
"""Subject, body, queue, category, urgency."""

CALLS: tuple[Call, ...] = (
    ("Printer in {room} shows paper jam", "{name}: there is no paper in it that I can see, and it beeps.", "Service desk", "printing", 3),
    ("No network in {room}", "{name}: both computers and the phone say there is no connection.", "Network", "network", 2),
    ("New monitor flickers", "{name}: the second screen goes black for a second every minute or so.", "Service desk", "hardware", 4),
    ("Need a file back from last week", "{name}: the budget sheet was saved over. Can you get Thursday's?", "Systems", "other", 3),
    ("Permit application is very slow", "{name}: opening a permit takes half a minute, people are waiting.", "Applications", "software", 2),
    ("Password expired, can't change it", "{name}: the new one never meets the rules, whatever I type.", "Service desk", "account", 2),
    ("Phone in {room} has no dial tone", "{name}: I tried the cable in the other socket, same thing.", "Network", "phone", 3),
    ("Access to the parcel map", "{name}: I am new in the field office and need to edit the parcel layer.", "Service desk", "account", 4),
    ("Laptop does not charge", "{name}: the light stays off, and I am in court tomorrow.", "Service desk", "hardware", 3),
    ("Scanner sends blank mails", "{name}: scan to mail from {room} arrives with an empty page.", "Service desk", "printing", 3),
    ("Strange mail asks for my password", "{name}: it says it is from the county, I did not click on anything.", "Systems", "e-mail", 2),
    ("Wi-Fi drops in the meeting room", "{name}: every ten minutes during the commissioners' meeting.", "Network", "network", 3),
    ("Projector in {room} not found", "{name}: the laptop does not see it over HDMI.", "Service desk", "hardware", 3),
    ("Badge reader at the shop door is dark", "{name}: the night crew can't get in without a key.", "Facilities AV", "other", 2),
    ("Shared calendar is gone", "{name}: the room calendar of the library is not in my list any more.", "Applications", "software", 4),
    ("Label printer prints half labels", "{name}: since the new roll was put in.", "Service desk", "printing", 4),
)  # fmt: skip
LOCKED_OUT: Call = ("Locked out of my account", "{name}: it says my account is locked. I am in {room}.", "Service desk", "account", 2)

ANSWERS = (
    "I am on my way, ten minutes.",
    "Could you tell me the number on the sticker under the device?",
    "It should work again. Please try once more and tell me.",
    "I have ordered the part; it is due on Thursday.",
    "Please restart it once and leave it on, I am looking from here.",
    "Your manager has to agree first; I have asked.",
)
NOTES = (
    "Port shows CRC errors, cable swapped.",
    "Same fault as last month in the next room.",
    "Left a voice mail.",
    "Warranty until March, vendor case opened.",
    "Switch rebooted at noon, that explains the gap.",
    "Restored to a folder beside the original, waiting for the user to compare.",
)
SOLUTIONS = (
    "Fuser cleaned, test page fine.",
    "Old password was still on the phone; removed and unlocked.",
    "Cable replaced.",
    "File restored from last night's snapshot.",
    "Driver updated.",
    "Group membership added after approval.",
    "Device replaced from stock.",
)
