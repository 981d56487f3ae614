"""Let the drawn things move: clips whose events are known, told in paragraphs and labels."""
