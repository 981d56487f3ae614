"""The detection task: find the objects of a picture and name them."""
