"""Words: numbers, times and grades as a reader says them. Pure.

Sizes and dates follow Peru (decimal point). The node's clock may be wrong by hours, so times
are told as a distance ("5 minutes ago"), never as a date.
"""

import math
from dataclasses import dataclass

from node.portal.i18n.catalogue import Catalogue

MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Words:
    """The turns of phrase of one language."""

    catalogue: Catalogue

    def grade(self, grade: str) -> str:
        """`primaria-3` as a reader says it; unknown grades as they are."""
        level, _, number = grade.partition("-")
        gettext = self.catalogue.gettext
        if level == "primaria" and number:
            return gettext("%(n)s.º de primaria") % {"n": number}
        if level == "secundaria" and number:
            return gettext("%(n)s.º de secundaria") % {"n": number}
        return grade

    def size(self, count: int) -> str:
        """Bytes: `18 kB`, `1.2 MB`."""
        value = float(count)
        for unit in ("B", "kB", "MB"):
            if value < 1000:
                return (
                    f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
                )
            value /= 1000
        return f"{value:.1f} GB"

    def takes(self, seconds: float) -> str:
        """How long something takes, coarsely; never none."""
        ngettext = self.catalogue.ngettext
        minutes = max(1, math.ceil(seconds / MINUTE))
        if minutes < 100:
            return ngettext("%(n)d minuto", "%(n)d minutos", minutes) % {"n": minutes}
        hours = math.ceil(seconds / HOUR)
        return ngettext("%(n)d hora", "%(n)d horas", hours) % {"n": hours}

    def ago(self, seconds: float) -> str:
        """How long ago, coarsely."""
        ngettext = self.catalogue.ngettext
        if seconds < MINUTE:
            return self.catalogue.gettext("hace un momento")
        if seconds < HOUR:
            n = int(seconds // MINUTE)
            return ngettext("hace %(n)d minuto", "hace %(n)d minutos", n) % {"n": n}
        if seconds < DAY:
            n = int(seconds // HOUR)
            return ngettext("hace %(n)d hora", "hace %(n)d horas", n) % {"n": n}
        n = int(seconds // DAY)
        return ngettext("hace %(n)d día", "hace %(n)d días", n) % {"n": n}
