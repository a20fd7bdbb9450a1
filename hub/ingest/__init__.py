"""From files that people write to lessons; one file per format."""
