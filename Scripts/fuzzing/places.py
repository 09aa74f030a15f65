"""Where the command and the package are."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = os.environ.get("CORPUS", str(ROOT / ".build" / "bin" / "corpus"))

# The package as it lies in the repository, with the library that Scripts/build has made.
sys.path.insert(0, str(ROOT / "Sources" / "Python"))
# What crashes, is to do so at once.
os.environ["SWIFT_BACKTRACE"] = "enable=no"
