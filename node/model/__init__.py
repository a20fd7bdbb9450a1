"""The model of the tutor: which one answers, how another takes its place, and the way back."""
