"""The studio: where people review, approve, publish, and see how the villages are."""
