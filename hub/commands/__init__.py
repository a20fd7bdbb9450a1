"""The commands of `chaski-hub`, one file per noun; `hub.cli` gathers them."""
