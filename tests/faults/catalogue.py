"""Catalogue: what can go wrong on the way of a lesson to a village, and what must happen then.

* Whatever happens: refused with the error of whose fault it is, nothing lost that was there, and
  the node serves on.
* A case lists its variations; each has at least one test, marked `fault(number, "variation")`,
  that no machine of CI may skip (`tests/faults/matrix.py` looks).
* `hardware`: what only a machine on a bench can show; the variations are the closest to it that
  runs anywhere.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of fault. `error` is the class that is raised, or the outcome of the sync."""

    number: int
    name: str
    must: str
    error: str
    variations: tuple[str, ...]
    hardware: str = ""


CASES = (
    Case(
        1,
        "the node is killed while it applies",
        "the next start shows the old version or the new one, and the next sync ends with the new",
        "none",
        (
            "before every change of an update",
            "in the middle of a write",
            "at every step and statement",
            "in the first sync of a new folder",
            "in a rollback",
        ),
    ),
    Case(
        2,
        "the power fails while the node writes",
        "what was not synced may be lost, torn or out of order; the old version or the new is"
        " there, and what was said to be done is done",
        "none",
        (
            "in an update",
            "in the first sync of a new folder",
            "in an update after a power cut",
            "in a rollback",
            "un-synced writes dropped, reordered and torn at 512 and 4096 bytes",
            "renames undone without an fsync of the folder",
        ),
    ),
    Case(
        3,
        "a machine is reset again and again",
        "after any number of cut-off tries the old version or the new is there, and a try that"
        " is let alone ends with the new",
        "none",
        ("a loop of kills at random times, 85 in 100",),
        "a loop of forced reboots of a Raspberry Pi with its own card",
    ),
    Case(
        4,
        "bits flip",
        "what is damaged is found by its hash or check, named, and fetched again",
        "`ContentError`",
        (
            "in any byte of a bundle",
            "in a chunk on its way",
            "in a chunk on the disk",
            "in the head and the root keys",
            "in an object of the installed version",
            "in any page of the database",
        ),
    ),
    Case(
        5,
        "files are cut short",
        "a bundle that is not whole is never read; a download goes on where it was cut",
        "`ContentError`, `TransportError`",
        ("a bundle at any byte", "a download at any byte", "a download at every edge of a chunk"),
    ),
    Case(
        6,
        "somebody shows what was signed before",
        "versions never go back, and one version never means two things",
        "`TrustError`",
        (
            "an older head",
            "the same version with another root",
            "an older snapshot in a newer timestamp",
            "in any order of messages",
        ),
    ),
    Case(
        7,
        "the head is frozen until it expires",
        "lessons are served on, nothing is deleted, health page and metrics raise the alarm;"
        " it ends with the next head that is accepted",
        "`TrustError` (`StaleHead`)",
        ("lessons are served on", "an alarm on the health page and in the metrics"),
    ),
    Case(
        8,
        "parts that were signed apart are mixed",
        "nothing is installed that is not one version as it was signed",
        "`TrustError`, `ContentError`",
        ("the files of two heads", "the groups of two bundles", "the chunks of two bundles"),
    ),
    Case(
        9,
        "a thief counts versions up",
        "his keys are replaced, and the hub's own versions count again",
        "`TrustError`",
        ("to 2^31, and new keys", "beyond all counting", "the whole way with hub and node"),
    ),
    Case(
        10,
        "keys are replaced, lost or too few",
        "what a revoked key signs is refused; a node that was away follows at most 32 rotations",
        "`TrustError`",
        (
            "a revoked key",
            "two of three keys",
            "intermediate roots of a year",
            "more than 32 rotations",
        ),
    ),
    Case(
        11,
        "paths point elsewhere",
        "the manifest is refused whole; objects lie under their hash, whatever a path says",
        "`ContentError`",
        (
            "upwards and absolute",
            "NUL, backslash and control characters",
            "names that Windows keeps",
            "equal but for case",
            "equal but for NFC",
            "a symlink in the place of an object",
        ),
    ),
    Case(
        12,
        "bombs",
        "what is declared is bounded before anything is unpacked, and what comes is bounded by"
        " what was declared",
        "`ContentError`",
        (
            "more produced than declared",
            "a window beyond the limit",
            "copies beyond the target",
            "a number that overflows",
            "operations without length",
            "a false offer",
        ),
    ),
    Case(
        13,
        "the disk refuses",
        "the sync ends as full and changes nothing; a node that starts on such a disk serves"
        " what it has, and writes again when it may",
        "`SpaceError`",
        (
            "ENOSPC from any change of a sync on",
            "EDQUOT from any change of a sync on",
            "EROFS from any change of a sync on",
            "one write of a sync refused, and none after it",
            "too little space, known beforehand",
            "a start on a full disk",
            "a start on a read-only disk",
            "space again while the node runs",
        ),
    ),
    Case(
        14,
        "the clock is wrong",
        "trusted time is the later of the clock and what was signed; it never goes back",
        "`TrustError`, only for heads too old or from the future",
        ("1970", "ten years ahead", "back in the middle of an update", "a head from the future"),
    ),
    Case(
        15,
        "the broker's records are not as they were",
        "a record is a hint; whatever order they come in, the newest signed version is installed",
        "none, or `TransportError`",
        (
            "repeated",
            "out of order",
            "missing",
            "an offset ahead of the end",
            "retention has eaten the place",
            "the topic was made anew",
        ),
    ),
    Case(
        16,
        "the link is bad",
        "a sync that cannot be done is an outcome; what has arrived is kept, and the node serves",
        "`TransportError`",
        (
            "the broker is away",
            "a connection that nobody answers",
            "thirty seconds there and back",
            "one connection in five dies",
        ),
    ),
    Case(
        17,
        "data without end, or hardly any",
        "every answer has a limit of bytes, every silence one of seconds",
        "`TransportError`",
        ("a head without end", "a bundle longer than offered", "a bundle that stalls"),
    ),
    Case(
        18,
        "a proxy changes answers",
        "bytes count only for the range and the file that were asked for",
        "`TransportError`, `ContentError`",
        (
            "200 in place of 206",
            "a wrong Content-Range",
            "another file under the address",
            "changed bytes",
            "gzip on the way",
            "a captive portal",
        ),
    ),
    Case(
        19,
        "sticks",
        "a stick that is wrong installs nothing; what was read from it is kept for the next",
        "`TransportError`, `ContentError`, `TrustError`",
        (
            "copied in part",
            "two sticks of different age",
            "times of FAT, two seconds apart",
            "pulled out while it is read",
            "a folder that vanishes between two reads",
        ),
    ),
    Case(
        20,
        "an object that a difference starts from is damaged here",
        "it is fetched by itself, once; else the whole channel is, and there is no loop",
        "none, or `ContentError`",
        ("fetched by itself", "nobody has it", "it comes damaged again and again"),
    ),
    Case(
        21,
        "the hub gives a bundle for another base",
        "it is refused with both names, and the whole channel is fetched instead",
        "`ContentError`",
        ("a bundle for another base", "an offer for another question"),
    ),
    Case(
        22,
        "two syncs at once",
        "they are one, or the second is refused; the data folder has one owner",
        "`BusyError`",
        ("in one process", "in two processes", "two that publish"),
    ),
    Case(
        23,
        "an older program meets a newer database",
        "it refuses in words and changes nothing; the newer one goes on",
        "`ContentError`",
        ("the node", "the newer one goes on"),
    ),
)
