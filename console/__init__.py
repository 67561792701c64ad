"""The core: who acts, what may be done, how it is recorded. Only `app.py` here may import textual."""
