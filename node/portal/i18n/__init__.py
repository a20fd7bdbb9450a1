"""The words of the portal in three languages.

The source is Spanish: a message is its own key. `es.po`, `qu.po` and `en.po` are gettext
catalogues, read as they are (`catalogue.py`): a Quechua speaker who mends a line in a text
editor sees it after a restart, with no compiler and no binary file in between.
`python -m tests.portal.extract` renews their messages from the code and the templates.
"""
