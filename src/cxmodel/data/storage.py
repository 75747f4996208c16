"""Storage: prepared journeys in a folder, checksummed, and mapped into memory when they are opened again.

A folder holds ``manifest.json`` (version, vocabulary, reading, and a table of every array) and one binary file per
block, in which arrays lie one after the other, 64-byte aligned, in little-endian byte order. Saving is all or nothing:
every save writes files of names of its own, and puts its manifest in the place of the older one last. So whoever opens
the folder finds one whole version at every moment, also after a crash. Results may lie beside the blocks; where they
are damaged they are worked out again.
"""

from __future__ import annotations

import mmap
import os
import re
import secrets
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np
from attrs import asdict, field, fields, frozen
from numpy.typing import NDArray

from cxmodel.data.attaching import Attached
from cxmodel.data.blocks import Answers, Block, Labels, Vocabulary
from cxmodel.data.locks import held
from cxmodel.data.manifests import LOCK, MANIFEST, MARKED, SCHEMA, as_text, files_of, read_manifest, replaceable
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.renaming import Renaming
from cxmodel.data.roles import Roles
from cxmodel.data.soundness import check_alike, check_block, check_identifiers
from cxmodel.data.texts import Identifiers, Texts
from cxmodel.data.writing import flush, flush_folder, make_folder, told, write
from cxmodel.errors import CxmodelError, DocumentError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Count, Example, Matched, Reading
from cxmodel.model.rules import Rule
from cxmodel.model.scales import Question, Scale, scale_of

_ALIGNMENT: Final = 64
_KIND: Final = re.compile(r"\|[biu]1|<[iuf][248]")
_TRIES: Final = 100
_AGAIN: Final = "Prepare the journeys again"
_PLAIN: Final = (
    "customer_offsets", "journey_offsets", "customer", "touchpoint", "time", "until", "value", "journey_id", "removed",
    "still_open", "cut",
)  # fmt: skip

Arrays = dict[str, NDArray[Any]]
Entry = dict[str, Any]


@frozen(kw_only=True, eq=False)
class Prepared:
    """What a folder holds.

    Attributes:
        population: The journeys.
        attached: What became of attached answers; None without any.
        matched: How well joined tables met the journeys.
        results: Name and version of a result → its bytes.
    """

    population: MemoryPopulation
    attached: Attached | None = None
    matched: tuple[Matched, ...] = ()
    results: Mapping[str, bytes] = field(factory=dict, repr=False)


def save(prepared: Prepared, path: Path) -> None:
    """Write journeys into a folder; what was there before is replaced only when the new ones are whole.

    Those that save at once wait for each other. Files that a killed process left are removed by the next save.

    Args:
        prepared: What to write.
        path: The folder.

    Raises:
        InvalidValueError: When the folder holds something that is no part of prepared journeys.
        FullDiskError: There is no room.
        UnwritableError: It cannot be written there.
    """
    with told(path):
        replaceable(path)
        make_folder(path)
        with held(path / LOCK) as lock:
            before = replaceable(path)
            mark = secrets.token_hex(8)
            try:
                manifest = _write(prepared, path, mark)
                flush_folder(path)
                write(path / MANIFEST, as_text(manifest).encode())
            finally:
                _sweep(path, mark, before, everybodys=lock.sure)


def _sweep(path: Path, mark: str, before: frozenset[str], *, everybodys: bool) -> None:
    """Remove the data files that the manifest does not list.

    Args:
        path: The folder.
        mark: How the names of this save begin.
        before: The files of the version before.
        everybodys: Those that other saves left, too; without locks they may be those of a save that goes on.
    """
    with suppress(OSError, CxmodelError):
        keep = set(files_of(read_manifest(path)) if (path / MANIFEST).exists() else ())
        for each in path.iterdir():
            ours = each.name in before or each.name.startswith(mark) or (everybodys and MARKED.fullmatch(each.name))
            if ours and each.name not in keep:
                with suppress(OSError):  # where open files cannot be removed, the next save does it
                    each.unlink()


def _write(prepared: Prepared, folder: Path, mark: str) -> Entry:
    population = prepared.population
    blocks = [
        write_arrays(folder / f"{mark}-block-{i:05d}.bin", block_arrays(block))
        for i, block in enumerate(population.parts)
    ]
    ids = _identifier_arrays(population.vocabulary) | _renaming_arrays(population.renaming)
    results = {name: np.frombuffer(each, np.uint8) for name, each in prepared.results.items()}
    return {
        "schema": SCHEMA,
        "vocabulary": _vocabulary_document(population.vocabulary),
        "reading": population.reading.to_dict(),
        "origin": {
            "source": population.origin.source, "filters": list(population.origin.filters),
            "window": list(population.origin.window), "rejected": population.origin.rejected,
        },
        "currency": population.currency,
        "roles": None if population.roles is None else _roles_document(population.roles),
        "attached": None if prepared.attached is None else prepared.attached.to_dict(),
        "matched": [asdict(each) for each in prepared.matched],
        "identifiers": write_arrays(folder / f"{mark}-identifiers.bin", ids),
        "blocks": blocks,
        "results": write_arrays(folder / f"{mark}-results.bin", results),
    }  # fmt: skip


def write_arrays(path: Path, arrays: Arrays) -> Entry:
    """Write arrays into one file; returns its entry for the manifest."""
    table: dict[str, list[Any]] = {}
    checksum, at = 0, 0
    with path.open("wb") as out:
        for name, array in arrays.items():
            padding = -at % _ALIGNMENT
            raw = np.ascontiguousarray(array)
            if raw.dtype.byteorder == ">":
                raw = raw.astype(raw.dtype.newbyteorder("<"))
            content = memoryview(raw.data).cast("B") if raw.size else memoryview(b"")
            for part in (memoryview(bytes(padding)), content):
                out.write(part)
                checksum = crc32(part, checksum)
            at += padding
            table[name] = [raw.dtype.str, list(raw.shape), at]
            at += content.nbytes
        flush(out)
    return {"file": path.name, "bytes": at, "checksum": checksum, "arrays": table}


def read_arrays(folder: Path, entry: Entry, *, verify: bool) -> Arrays:
    """Map the arrays of one file.

    Raises:
        DocumentError: When the file is missing, cut short or altered, or its entry describes another one.
    """
    path = folder / str(entry["file"])
    if not path.is_file():
        raise DocumentError(f"{path} is missing", hint=_AGAIN)
    places = _places(path, entry)
    try:
        with path.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            if size != entry["bytes"]:
                raise DocumentError(f"{path} has {size:,} bytes instead of {entry['bytes']:,}", hint=_AGAIN)
            mapped = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror or error}", hint=_AGAIN) from None
    if verify and crc32(mapped) != entry["checksum"]:
        raise DocumentError(f"{path} was altered: its checksum differs", hint=_AGAIN)
    return {
        name: np.frombuffer(mapped, kind, count, at) if count else np.zeros(0, kind)
        for name, (kind, count, at) in places.items()
    }


def _places(path: Path, entry: Entry) -> Mapping[str, tuple[np.dtype[Any], int, int]]:
    """Where each array lies: one after the other, aligned, to the end of the file; nothing else is believed."""
    out: dict[str, tuple[np.dtype[Any], int, int]] = {}
    end = 0
    for name, place in entry["arrays"].items():
        match place:
            case [str(text), [int(count)], int(at)] if _KIND.fullmatch(text) and count >= 0:
                begin = end + -end % _ALIGNMENT
                if at != begin:
                    raise DocumentError(f"{path}: the array {name!r} begins at {at}, not at {begin}", hint=_AGAIN)
                kind = np.dtype(text)
                out[name], end = (kind, count, at), at + count * kind.itemsize
            case _:
                raise DocumentError(f"{path}: {repr(place)[:100]} is no place of {name!r}", hint=_AGAIN)
    if end != entry["bytes"]:
        raise DocumentError(f"{path}: its arrays take {end:,} bytes of {entry['bytes']:,}", hint=_AGAIN)
    return out


def block_arrays(block: Block) -> Arrays:
    """The arrays of a block by name."""
    out = {name: getattr(block, name) for name in _PLAIN if getattr(block, name) is not None}
    out |= {f"event:{name}": column for name, column in block.event_columns.items()}
    out |= {f"journey:{name}": column for name, column in block.journey_columns.items()}
    if block.answers is not None:
        out |= {f"answer:{each.name}": getattr(block.answers, each.name) for each in fields(Answers)}
    return out


def block_of(arrays: Arrays, vocabulary: Vocabulary) -> Block:
    """The block that these arrays make."""
    answers = _prefixed(arrays, "answer:")
    return Block(
        vocabulary=vocabulary,
        **{name: arrays[name] for name in _PLAIN if name in arrays},
        event_columns=_prefixed(arrays, "event:"),
        journey_columns=_prefixed(arrays, "journey:"),
        answers=Answers(**answers) if answers else None,
    )


def _prefixed(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def load(path: Path, *, verify: bool = True) -> Prepared:
    """Open a folder of prepared journeys; arrays are mapped, not read.

    Args:
        path: The folder.
        verify: Compare the checksum of every file, and look whether all codes mean something.

    Raises:
        SourceNotFoundError: No such folder.
        DocumentError: Not a prepared folder, of another version, cut short or altered.
    """
    manifest = read_manifest(path)
    for _ in range(_TRIES):
        try:
            return _opened(path, manifest, verify=verify)
        except DocumentError:
            # another process may have put newer journeys in their place meanwhile
            older, manifest = manifest, read_manifest(path)
            if older == manifest:
                raise
    raise DocumentError(f"{path} is saved again and again while it is opened", hint="Open it when that is over")


def _opened(path: Path, manifest: Entry, *, verify: bool) -> Prepared:
    ids = read_arrays(path, manifest["identifiers"], verify=verify)
    with _fitting(path / MANIFEST):
        check_identifiers(manifest, ids)
        vocabulary = _vocabulary(manifest["vocabulary"], ids)

    def opened(entry: Entry) -> Arrays:
        arrays = read_arrays(path, entry, verify=verify)
        with _fitting(path / entry["file"]):
            check_block(arrays, vocabulary, thorough=verify)
        return arrays

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        blocks = list(pool.map(opened, manifest["blocks"]))
    with _fitting(path / MANIFEST):
        check_alike(blocks)
        parts = [block_of(arrays, vocabulary) for arrays in blocks]
        return Prepared(
            population=_population(manifest, parts, vocabulary, ids),
            attached=None if manifest.get("attached") is None else _attached(manifest["attached"]),
            matched=tuple(Matched(**each) for each in manifest.get("matched", ())), results=_results(path, manifest),
        )  # fmt: skip


@contextmanager
def _fitting(where: Path) -> Generator[None]:
    """Whatever does not fit is told as a fault of this file."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # errors of this library are among them
        why = str(error).splitlines()[0] if isinstance(error, CxmodelError) else f"{type(error).__name__} {error}"
        raise DocumentError(f"{where} does not fit together: {why}", hint=_AGAIN) from None


def _population(manifest: Entry, parts: Sequence[Block], vocabulary: Vocabulary, ids: Arrays) -> MemoryPopulation:
    about = manifest["origin"]
    begin, end = about["window"]
    origin = Origin(
        source=about["source"], filters=tuple(about["filters"]), window=(begin, end), rejected=about["rejected"]
    )
    return MemoryPopulation(
        parts=parts, vocabulary=vocabulary, reading=_reading(manifest["reading"]), origin=origin,
        currency=manifest["currency"], roles=(roles := _roles(manifest["roles"])), renaming=_renaming(ids, roles),
    )  # fmt: skip


def _results(path: Path, manifest: Entry) -> Mapping[str, bytes]:
    """Results that lie beside the blocks; none where they are missing or damaged."""
    entry = manifest.get("results")
    try:
        arrays = {} if entry is None else read_arrays(path, entry, verify=True)
    except DocumentError:
        return {}
    return {name: array.tobytes() for name, array in arrays.items()}


def _roles_document(roles: Roles) -> dict[str, Any]:
    return asdict(roles) | {"rules": [rule.to_dict() for rule in roles.rules]}


def _roles(document: Mapping[str, Any] | None) -> Roles | None:
    if document is None:
        return None
    about: dict[str, Any] = dict(document)
    about |= {name: tuple(about[name]) for name in ("attributes", "order")}
    about["rules"] = tuple(Rule.from_dict(rule) for rule in about.get("rules", ()))
    about["lifecycle"] = None if about["lifecycle"] is None else tuple(about["lifecycle"])
    return Roles(**about)


def _identifier_arrays(vocabulary: Vocabulary) -> Arrays:
    out: Arrays = {}
    for role, each in (("customers", vocabulary.customers), ("journeys", vocabulary.journeys)):
        if each is not None and each.keys is not None and each.texts is not None:
            out |= {f"{role}:keys": each.keys, f"{role}:data": each.texts.data, f"{role}:offsets": each.texts.offsets}
    for name, (codes, _) in vocabulary.touchpoint_columns.items():
        out[f"touchpoint:{name}"] = codes
    return out


def _renaming_arrays(renaming: Renaming | None) -> Arrays:
    if renaming is None:
        return {}
    touchpoints = Texts.of(renaming.touchpoints)
    return {
        "renaming:data": renaming.raw.data, "renaming:offsets": renaming.raw.offsets, "renaming:rule": renaming.rule,
        "renaming:touchpoint": renaming.touchpoint, "renaming:events": renaming.events,
        "renaming:touchpoints:data": touchpoints.data, "renaming:touchpoints:offsets": touchpoints.offsets,
    }  # fmt: skip


def _renaming(ids: Arrays, roles: Roles | None) -> Renaming | None:
    arrays = _prefixed(ids, "renaming:")
    if not arrays or roles is None:
        return None
    return Renaming(
        roles.rules, roles.unmatched, Texts(arrays["data"], arrays["offsets"]), arrays["rule"], arrays["touchpoint"],
        tuple(Texts(arrays["touchpoints:data"], arrays["touchpoints:offsets"])), arrays["events"],
    )  # fmt: skip


def _vocabulary_document(vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "touchpoints": list(vocabulary.touchpoints),
        "columns": {name: None if each is None else list(each.names) for name, each in vocabulary.columns.items()},
        "touchpoint_columns": {name: list(each.names) for name, (_, each) in vocabulary.touchpoint_columns.items()},
        "questions": {name: _question_document(each) for name, each in vocabulary.questions.items()},
        "journeys": vocabulary.journeys is not None,
    }


def _vocabulary(document: Mapping[str, Any], ids: Arrays) -> Vocabulary:
    codes = _prefixed(ids, "touchpoint:")
    customers = _identifiers(ids, "customers")
    return Vocabulary(
        touchpoints=document["touchpoints"],
        columns={name: None if each is None else Labels(each) for name, each in document["columns"].items()},
        touchpoint_columns={name: (codes[name], Labels(each)) for name, each in document["touchpoint_columns"].items()},
        questions={name: _question(each) for name, each in document["questions"].items()},
        customers=customers,
        journeys=_identifiers(ids, "journeys") if document["journeys"] else None,
    )


def _identifiers(ids: Arrays, role: str) -> Identifiers:
    if f"{role}:keys" not in ids:
        return Identifiers()
    return Identifiers(ids[f"{role}:keys"], Texts(ids[f"{role}:data"], ids[f"{role}:offsets"]))


def _question_document(question: Question) -> dict[str, Any]:
    scale = question.scale
    return {
        "scale": {
            "kind": scale.kind, "low": scale.low, "high": scale.high, "satisfied": scale.satisfied,
            "direction": scale.direction,
        },
        "codes": dict(question.codes), "kind": question.kind, "respondent": question.respondent,
    }  # fmt: skip


def _question(document: Mapping[str, Any]) -> Question:
    scale: Scale = scale_of(**document["scale"])
    return Question(
        scale, codes=document["codes"], kind=document["kind"], respondent=document.get("respondent", "customer")
    )


def _reading(document: Mapping[str, Any]) -> Reading:
    return Reading(
        rows=document["rows"], kept=document["kept"], rejected=_counts(document["rejected"]),
        notes=tuple(document["notes"]),
    )  # fmt: skip


def _attached(document: Mapping[str, Any]) -> Attached:
    return Attached(
        answers=document["answers"], at_event=document["at_event"], whole_journey=document["whole_journey"],
        unmatched=_counts(document["unmatched"]),
    )  # fmt: skip


def _counts(reasons: Sequence[Mapping[str, Any]]) -> Mapping[str, Count]:
    return {
        each["reason"]: Count(each["count"], tuple(Example(**example) for example in each["examples"]))
        for each in reasons
    }
