"""Builds the wheel (PEP 517), with nothing but Python's own library and, for the native part, Swift.

The libraries come from `swift build` in the repository that this folder lies in. CHECKPOINT_CORPUS_PRODUCTS names a
folder that holds them already, and then nothing is built.
"""

import base64
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGE = HERE / "checkpoint_corpus"
LIBRARY = "libcheckpoint_corpus.so"
PLUGIN = "libH5ZCheckpointDelta.so"


def get_requires_for_build_wheel(config_settings=None):
    return []


get_requires_for_build_editable = get_requires_for_build_wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """A wheel with the library and the HDF5 plugin in it."""
    with tempfile.TemporaryDirectory() as folder:
        files = {f"checkpoint_corpus/{path.relative_to(PACKAGE)}": path for path in sources()}
        for name, where in ((LIBRARY, ""), (PLUGIN, "hdf5-plugins/")):
            files[f"checkpoint_corpus/{where}{name}"] = stripped(products() / name, pathlib.Path(folder))
        return write_wheel(wheel_directory, files)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """A wheel that points at this folder; the library is then taken from the repository's .build."""
    products()
    with tempfile.TemporaryDirectory() as folder:
        pointer = pathlib.Path(folder) / "checkpoint_corpus.pth"
        pointer.write_text(f"{HERE}\n")
        return write_wheel(wheel_directory, {pointer.name: pointer})


def build_sdist(sdist_directory, config_settings=None):
    sys.exit("checkpoint-corpus has no source distribution: its native part is built from the whole repository")


def sources():
    return sorted(p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".typed") and "__pycache__" not in p.parts)


def products():
    """The folder of the compiled libraries, compiled now if need be."""
    given = os.environ.get("CHECKPOINT_CORPUS_PRODUCTS")
    if given:
        return pathlib.Path(given)
    if not (ROOT / "Package.swift").exists():
        sys.exit(f"{HERE} does not lie in the repository of checkpoint-corpus, which its native part is built from")
    if not shutil.which("swift"):
        sys.exit("Swift 6.2 or newer is missing: install it (https://www.swift.org/install), or install a wheel")
    build = ["swift", "build", "-c", "release"]
    for product in ("checkpoint_corpus", "H5ZCheckpointDelta"):
        subprocess.run([*build, "--product", product], cwd=ROOT, check=True, stdout=sys.stderr)
    shown = subprocess.run([*build, "--show-bin-path"], cwd=ROOT, check=True, capture_output=True, text=True)
    return pathlib.Path(shown.stdout.strip())


def stripped(library, folder):
    """The library without what only debuggers need, where `strip` is at hand."""
    copy = folder / library.name
    shutil.copyfile(library, copy)
    if shutil.which("strip"):
        subprocess.run(["strip", "--strip-unneeded", copy], check=True)
    return copy


def project():
    """The lines of pyproject.toml that the metadata repeats, and the version; tomllib is too new for some Pythons."""
    text = (HERE / "pyproject.toml").read_text()
    plain = dict(re.findall(r'^([a-z-]+) = "(.*)"$', text, re.MULTILINE))
    swift = (ROOT / "Sources" / "Corpus" / "Version.swift").read_text()
    (plain["version"],) = re.findall(r'productVersion: StaticString = "(.*)"', swift)
    (dependencies,) = re.findall(r"^dependencies = \[(.*)\]$", text, re.MULTILINE)
    (extras,) = re.findall(r"^all = \[(.*)\]$", text, re.MULTILINE)
    return plain, re.findall(r'"(.*?)"', dependencies), re.findall(r'"(.*?)"', extras)


def write_wheel(directory, files):
    plain, dependencies, extras = project()
    name = f"checkpoint_corpus-{plain['version']}"
    tag = f"py3-none-linux_{platform.machine()}"
    metadata = [
        "Metadata-Version: 2.1", "Name: checkpoint-corpus", f"Version: {plain['version']}",
        f"Summary: {plain['description']}", f"License: {plain['license']}",
        f"Requires-Python: {plain['requires-python']}",
        *(f"Requires-Dist: {dependency}" for dependency in dependencies),
        "Provides-Extra: all", *(f'Requires-Dist: {extra}; extra == "all"' for extra in extras),
    ]  # fmt: skip
    wheel = ["Wheel-Version: 1.0", "Generator: checkpoint-corpus", "Root-Is-Purelib: false", f"Tag: {tag}"]
    contents = {target: path.read_bytes() for target, path in files.items()}
    contents[f"{name}.dist-info/METADATA"] = "\n".join(metadata + [""]).encode()
    contents[f"{name}.dist-info/WHEEL"] = "\n".join(wheel + [""]).encode()
    contents[f"{name}.dist-info/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    record = f"{name}.dist-info/RECORD"
    rows = [f"{target},sha256={digest(data)},{len(data)}" for target, data in contents.items()]
    contents[record] = "\n".join([*rows, f"{record},,", ""]).encode()
    with zipfile.ZipFile(pathlib.Path(directory) / f"{name}-{tag}.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for target, data in contents.items():
            # A fixed date: equal contents are equal wheels.
            entry = zipfile.ZipInfo(target, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if target.endswith(".so") else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return f"{name}-{tag}.whl"


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
