"""The plain-text front end, one module a noun. Never imports textual."""
