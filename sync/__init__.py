"""The wire: all that two machines must agree on. See README.md and FORMAT.md."""
