"""What people of a county write to their help desk: subjects, texts, answers by queue. Words only."""

from __future__ import annotations

# queue -> (category, subject, body, solution); {device}, {site}, {app} are filled in
CALLS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "Service desk": (
        (
            "printing",
            "Printer {device} jams on every second page",
            "Since this morning {device} jams when printing on both sides.",
            "Cleaned the pick-up roller of {device}, printed 50 pages.",
        ),
        (
            "printing",
            "Scans from {device} do not arrive",
            "Scan to e-mail from {device} says it was sent, nothing comes.",
            "The sender address was blocked; set it to the one of the department.",
        ),
        ("hardware", "{device} does not start", "Black screen, a fan runs, two beeps.", "Reseated the memory, ran a test for an hour."),
        ("hardware", "Second monitor stays dark on {device}", "The cable was swapped already.", "The dock needed new firmware."),
        (
            "account",
            "Can't log in after the week-end",
            "It says the password is wrong. I did not change it.",
            "The password had expired; changed together on the phone.",
        ),
        (
            "account",
            "New colleague starts on Monday",
            "Please prepare mailbox, badge and a notebook.",
            "Account made from the template, notebook handed out, sheet signed.",
        ),
        ("e-mail", "Mailbox is full", "I can't send anything any more.", "Archived 2023, showed how to empty the bin."),
        (
            "e-mail",
            "Invoice with an odd attachment",
            "It looks like the water company, is it real?",
            "Phishing. Deleted everywhere, sender blocked, thanked for asking.",
        ),
        ("phone", "No dial tone in {site}", "The desk phone is dead since the storm.", "Port on the switch was off, now on again."),
        ("other", "Projector remote is missing", "The council room has a meeting at two.", "Spare remote from the shelf."),
    ),
    "Network": (
        ("network", "No Wi-Fi in {site}", "Patrons and staff both.", "Access point restarted, channel changed."),
        (
            "network",
            "{device} is slow since noon",
            "Everything behind {device} crawls.",
            "A loop at a wall socket, port disabled and labelled.",
        ),
        ("network", "VPN drops every ten minutes", "From home only.", "New client, keepalive on."),
        ("network", "Please patch two sockets in {site}", "Rooms are being moved.", "Patched and labelled."),
    ),
    "Systems": (
        ("software", "{device} runs out of disk", "The monitor says 92 %.", "Old logs removed, the volume extended by 50 GB."),
        (
            "software",
            "Restore of a folder please",
            "Somebody moved the 2024 budget folder, it is gone.",
            "Restored from last night, owner checked it.",
        ),
        ("software", "Certificate of the intranet ends next week", "Found by the check.", "Renewed, chain checked from three sites."),
        ("software", "Nightly job on {device} failed", "See the mail of 02:10.", "Path had changed, job runs again."),
    ),
    "Applications": (
        (
            "software",
            "{app} shows an error when saving",
            "Error 0x2F, since the update.",
            "Vendor's patch applied, tested with the department.",
        ),
        ("software", "Rights in {app} for a substitute", "Two weeks, approved by the department head.", "Rights given with an end date."),
        ("software", "{app} prints the wrong letterhead", "Still the old address.", "Template replaced."),
        ("training", "Short training for {app}", "Four people, an hour.", "Done, sheet handed out."),
    ),
    "Web": (
        ("web site", "Agenda page shows last month", "Residents call about it.", "Page corrected, editor shown how to publish."),
        ("web site", "Form for dog licences does not send", "Nothing arrives since Friday.", "Mail address of the form corrected."),
        ("web site", "New page for road works", "Text is attached.", "Published, checked for accessibility."),
    ),
    "Facilities AV": (
        ("hardware", "Microphones in the council room crackle", "Worse on channel two.", "Cable replaced."),
        ("hardware", "Stream of the meeting has no sound", "Meeting tonight at six.", "Audio source set right, tested for ten minutes."),
        ("phone", "Conference phone in {site} is not heard", "Others can't hear us.", "Firmware updated."),
    ),
}
QUEUE_WEIGHTS = {"Service desk": 58, "Network": 12, "Systems": 9, "Applications": 14, "Web": 4, "Facilities AV": 3}
APPS = ("Permits", "Payroll", "Tax roll", "Dispatch", "Library catalog", "GIS viewer", "Court calendar", "Recorder", "Fleet")
FIRST_ANSWERS = (
    "Thank you, I am looking at it.", "Got it. I will call you this morning.", "Can you tell me what the screen says exactly?", "On my way.",
    "I have seen it too, working on it.",
)  # fmt: skip
VENDORS = ("Copytech", "Northline Telecom", "Gov Systems Inc", "Meridian Software")
WAITS = ("waiting for a part", "waiting for the requester", "waiting for {vendor}, case {case}", "waiting for the change window")
