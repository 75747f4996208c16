"""What a user installs with cxmodel: licences, number of packages, size."""

import re
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PERMISSIVE = {
    "0BSD",
    "Apache-2.0",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "HPND",
    "ISC",
    "MIT",
    "MIT-CMU",
    "PSF-2.0",
    "Python-2.0",
    "Unlicense",
    "Zlib",
}
WEAK_COPYLEFT = {"MPL-2.0": {"hypothesis"}}
SPOKEN = {
    "apache software license": "Apache-2.0",
    "bsd license": "BSD",
    "bsd": "BSD",
    "mit license": "MIT",
    "the mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
}
# Shared libraries inside the Linux wheels, each with its licence; see docs/decisions/0002.
BUNDLED = {
    "libXau": "MIT",
    "libavif": "BSD-2-Clause",
    "libbrotlicommon": "MIT",
    "libbrotlidec": "MIT",
    "libfreetype": "FTL",
    "libharfbuzz": "MIT",
    "libjpeg": "IJG AND BSD-3-Clause AND Zlib",
    "liblcms2": "MIT",
    "liblzma": "0BSD",
    "libopenjp2": "BSD-2-Clause",
    "libpng16": "libpng-2.0",
    "libscipy_openblas": "BSD-3-Clause",
    "libscipy_openblas64_": "BSD-3-Clause",
    "libsharpyuv": "BSD-3-Clause",
    "libtiff": "libtiff",
    "libwebp": "BSD-3-Clause",
    "libwebpdemux": "BSD-3-Clause",
    "libwebpmux": "BSD-3-Clause",
    "libxcb": "MIT",
    "libzstd": "BSD-3-Clause",
}
UNAVOIDABLE = {
    "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libquadmath": "LGPL-2.1-or-later",
}
MOST_PACKAGES = 20  # beside cxmodel itself
MOST_MEGABYTES = 450


def closure(name: str, extras: frozenset[str] = frozenset()) -> dict[str, Distribution]:
    """Walk from a distribution to everything that installing it with these extras brings."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(name), extras)]
    while waiting:
        step = waiting.pop()
        if step in seen:
            continue
        seen.add(step)
        current, wanted = step
        found[current] = distribution(current)
        for line in found[current].requires or ():
            requirement = Requirement(line)
            choices = wanted or frozenset({""})
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in choices):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def declared(package: Distribution, key: str) -> list[str]:
    return [str(value) for value in package.metadata.get_all(key) or ()]


def licences(package: Distribution) -> set[str]:
    """Read the licence identifiers that a distribution declares."""
    expressions = declared(package, "License-Expression")
    if expressions:
        return set(re.split(r"\s+(?:AND|OR|WITH)\s+", re.sub(r"[()]", "", expressions[0])))
    classified = [line.split(" :: ")[-1] for line in declared(package, "Classifier") if line.startswith("License ::")]
    spoken = [name for name in classified if name != "OSI Approved"]
    spoken = spoken or [text.partition("\n")[0] for text in declared(package, "License")] or ["nothing"]
    return {SPOKEN.get(name.lower(), name) for name in spoken}


def size(package: Distribution) -> int:
    paths = (Path(str(package.locate_file(file))) for file in package.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


@pytest.mark.parametrize("name", sorted(closure("cxmodel", frozenset({"all"}))))
def test_every_licence_is_permissive_or_a_listed_exception(name: str) -> None:
    found = licences(distribution(name))
    listed = {licence for licence, packages in WEAK_COPYLEFT.items() if name in packages}
    assert found <= PERMISSIVE | listed, f"{name} declares {sorted(found)}"


def carried(package: Distribution) -> set[str]:
    """Name the shared libraries that a wheel brings along, without version and hash."""
    inside = [Path(str(file)) for file in package.files or ()]
    return {re.split(r"-(?:\d|[0-9a-f]{8}\b)|\.so", path.name)[0] for path in inside if path.parts[0].endswith(".libs")}


def test_every_library_inside_a_wheel_is_listed() -> None:
    everything = closure("cxmodel", frozenset({"all"})).values()
    assert set().union(*(carried(package) for package in everything)) <= BUNDLED.keys() | UNAVOIDABLE.keys()


def test_libraries_inside_wheels_are_seen() -> None:
    assert {"libpango", "libjbig"} <= carried(distribution("pygraphviz"))
    assert "pygraphviz" not in closure("cxmodel", frozenset({"all"}))


def test_install_is_small() -> None:
    packages = {name: package for name, package in closure("cxmodel").items() if name != "cxmodel"}
    megabytes = {name: size(package) / 1e6 for name, package in packages.items()}
    assert {"numpy", "duckdb", "kiwisolver"} <= packages.keys()
    assert len(packages) <= MOST_PACKAGES, sorted(packages)
    assert sum(megabytes.values()) <= MOST_MEGABYTES, sorted(megabytes.items(), key=lambda item: -item[1])
    assert megabytes["numpy"] > 1, "sizes are read from the installed files"
