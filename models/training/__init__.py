"""Training of the shipped models. Needs the extra [export]; never imported at run time."""
