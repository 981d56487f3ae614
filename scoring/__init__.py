"""coco-caption's numbers without Java."""
