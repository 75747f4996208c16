"""Storage: prepared journeys in a folder, checksummed, and mapped into memory when they are opened again.

A folder holds ``manifest.json`` (version, vocabulary, reading, and a table of every array) and one binary file per
block, in which arrays lie one after the other, 64-byte aligned, in little-endian byte order. Saving is all or nothing:
the folder is written under another name and renamed when it is whole. Results may lie beside the blocks; where they
are damaged they are worked out again.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Final
from zlib import crc32

import numpy as np
from attrs import asdict, fields
from numpy.typing import NDArray

from cxmodel.data.blocks import Answers, Block, Labels, Vocabulary
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.renaming import Renaming
from cxmodel.data.roles import Roles
from cxmodel.data.temporary import alive
from cxmodel.data.texts import Identifiers, Texts
from cxmodel.errors import DocumentError, InvalidValueError, SourceNotFoundError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Count, Example, Reading
from cxmodel.model.rules import Rule
from cxmodel.model.scales import Question, Scale, scale_of

SCHEMA: Final = "cxmodel/prepared/1"
MANIFEST: Final = "manifest.json"
_ALIGNMENT: Final = 64
_PLAIN: Final = (
    "customer_offsets", "journey_offsets", "customer", "touchpoint", "time", "until", "value", "journey_id", "removed",
    "still_open", "cut",
)  # fmt: skip

Arrays = dict[str, NDArray[Any]]
Entry = dict[str, Any]


def save(population: MemoryPopulation, path: Path, results: Mapping[str, bytes] | None = None) -> None:
    """Write a population into a folder; what was there before is replaced only when the new one is whole.

    Args:
        population: What to write.
        path: The folder.
        results: Name and version of a result → its bytes, for `results_of`.

    Raises:
        InvalidValueError: When the path holds something that is no prepared folder.
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise InvalidValueError(f"{path} is there and is no folder of prepared journeys", hint="Choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    draft.mkdir()
    try:
        _write(population, draft, results or {})
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        if path.exists():
            path.rename(old)
        draft.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sweep(path: Path) -> None:
    """Remove what a killed process left behind beside this folder."""
    for left in path.parent.glob(f".{path.name}.*"):
        owner = left.name.rsplit(".", 2)[-2]
        if left.suffix in (".part", ".old") and owner.isdigit() and not alive(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _write(population: MemoryPopulation, folder: Path, results: Mapping[str, bytes]) -> None:
    blocks = [
        write_arrays(folder / f"block-{i:05d}.bin", block_arrays(block)) for i, block in enumerate(population.parts)
    ]
    ids = write_arrays(
        folder / "identifiers.bin", _identifier_arrays(population.vocabulary) | _renaming_arrays(population.renaming)
    )
    manifest = {
        "schema": SCHEMA,
        "vocabulary": _vocabulary_document(population.vocabulary),
        "reading": population.reading.to_dict(),
        "origin": {
            "source": population.origin.source, "filters": list(population.origin.filters),
            "window": list(population.origin.window), "rejected": population.origin.rejected,
        },
        "currency": population.currency,
        "inactivity": population.inactivity, "catalogues": list(population.catalogues),
        "roles": None if population.roles is None else _roles_document(population.roles),
        "identifiers": ids,
        "blocks": blocks,
        "results": write_arrays(
            folder / "results.bin", {name: np.frombuffer(each, np.uint8) for name, each in results.items()}
        ),
    }  # fmt: skip
    text = json.dumps(manifest, ensure_ascii=False)
    document = json.dumps({"checksum": crc32(text.encode()), "manifest": manifest}, ensure_ascii=False)
    with (folder / MANIFEST).open("w", encoding="utf-8") as out:
        out.write(document)
        _flush(out)


def _flush(out: IO[Any]) -> None:
    out.flush()
    os.fsync(out.fileno())


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
        _flush(out)
    return {"file": path.name, "bytes": at, "checksum": checksum, "arrays": table}


def read_arrays(folder: Path, entry: Entry, *, verify: bool) -> Arrays:
    """Map the arrays of one file.

    Raises:
        DocumentError: When the file is missing, cut short or altered.
    """
    path = folder / str(entry["file"])
    if not path.is_file():
        raise DocumentError(f"{path} is missing", hint="Prepare the journeys again")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise DocumentError(
            f"{path} has {size:,} bytes instead of {entry['bytes']:,}", hint="Prepare the journeys again"
        )
    if not size:
        return {name: np.zeros(shape, dtype) for name, (dtype, shape, _) in entry["arrays"].items()}
    with path.open("rb") as source:
        mapped = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
    if verify and crc32(mapped) != entry["checksum"]:
        raise DocumentError(f"{path} was altered: its checksum differs", hint="Prepare the journeys again")
    out = {}
    for name, (dtype, shape, at) in entry["arrays"].items():
        kind = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        if at + count * kind.itemsize > size:
            raise DocumentError(f"{path}: the array {name!r} reaches beyond the file")
        out[name] = np.frombuffer(mapped, kind, count, at).reshape(shape)
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


def load(path: Path, *, verify: bool = True) -> MemoryPopulation:
    """Open a folder of prepared journeys; arrays are mapped, not read.

    Args:
        path: The folder.
        verify: Compare the checksum of every file.

    Raises:
        SourceNotFoundError: No such folder.
        DocumentError: Not a prepared folder, of another version, cut short or altered.
    """
    manifest = read_manifest(path)
    ids = read_arrays(path, manifest["identifiers"], verify=verify)
    vocabulary = _vocabulary(manifest["vocabulary"], ids)

    def opened(entry: Entry) -> Block:
        return block_of(read_arrays(path, entry, verify=verify), vocabulary)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        blocks = list(pool.map(opened, manifest["blocks"]))
    about = manifest["origin"]
    origin = Origin(
        source=about["source"],
        filters=tuple(about["filters"]),
        window=tuple(about["window"]),
        rejected=about["rejected"],
    )
    return MemoryPopulation(
        parts=blocks, vocabulary=vocabulary, reading=_reading(manifest["reading"]), origin=origin,
        currency=manifest["currency"], roles=(roles := _roles(manifest["roles"])), renaming=_renaming(ids, roles),
        inactivity=manifest.get("inactivity"), catalogues=tuple(manifest.get("catalogues", ())),
    )  # fmt: skip


def results_of(path: Path) -> Mapping[str, bytes]:
    """Results that lie beside the blocks of a prepared folder; none where they are missing or damaged."""
    entry = read_manifest(path).get("results")
    try:
        arrays = {} if entry is None else read_arrays(path, entry, verify=True)
    except DocumentError:
        return {}
    return {name: array.tobytes() for name, array in arrays.items()}


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a prepared folder, checked."""
    file = path / MANIFEST
    if not path.exists():
        raise SourceNotFoundError(f"{path} does not exist", hint="Prepare it with journeys.save(…)")
    if not file.is_file():
        raise DocumentError(f"{path} is no folder of prepared journeys: it has no {MANIFEST}")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        manifest: dict[str, Any] = document["manifest"]
        whole = crc32(json.dumps(manifest, ensure_ascii=False).encode()) == document["checksum"]
    except (ValueError, KeyError, TypeError):
        raise DocumentError(f"{file} is cut short or was altered", hint="Prepare the journeys again") from None
    if not whole:
        raise DocumentError(f"{file} was altered: its checksum differs", hint="Prepare the journeys again")
    if manifest.get("schema") != SCHEMA:
        raise DocumentError(
            f"{path} was written as {manifest.get('schema')!r}, this version reads {SCHEMA!r}",
            hint="Prepare the journeys again with this version",
        )
    return manifest


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
    rejected = {
        each["reason"]: Count(each["count"], tuple(Example(**example) for example in each["examples"]))
        for each in document["rejected"]
    }
    return Reading(rows=document["rows"], kept=document["kept"], rejected=rejected, notes=tuple(document["notes"]))
