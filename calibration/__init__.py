"""How probable it is that a caption names nothing that is not there."""
