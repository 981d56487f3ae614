"""The task of telling what happens in a clip, in a paragraph."""
