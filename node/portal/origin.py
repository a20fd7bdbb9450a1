"""Origin: was this form sent from our own page?

* A browser says so itself: `Sec-Fetch-Site`, or `Origin`, or on phones of 2015 `Referer`
  (our policy keeps it on our own pages). The first that is there decides.
* Whoever sends none of them is refused: it is no browser, or one that hides where it is.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit


def same_origin(headers: Mapping[str, str], host: str) -> bool:
    """True when the headers of a POST prove that it comes from a page of `host`."""
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    source = headers.get("Origin") or headers.get("Referer")
    if not source:
        return False
    try:
        return urlsplit(source).netloc.lower() == host.lower()
    except ValueError:
        return False
