"""Files that are whole or absent, processes that act as one, downloads; knows no picture."""
