"""Ask questions about the drawn world whose answers its scene graphs give."""
