"""The page that app.py opens: what it loads, what it shows, and what keeps it on this machine."""
