"""The program with what it needs in one file, which any Python 3.11 or newer runs: `python single_file.py FILE`.

What is compiled for one machine stays outside: lxml, and what speeds wcwidth up. The rest is taken,
with its licences, from the environment that this runs in, whose versions are the tested ones.
"""

import shutil
import sys
import tempfile
import zipapp
from importlib.metadata import distribution
from pathlib import Path

OURS = Path(__file__).parents[2]
PARTS = ("asn1crypto", "click", "dnspython", "idna", "precis-i18n", "prompt_toolkit", "wcwidth")
COMPILED = {".so", ".pyd", ".pyc"}


def build(target: Path) -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(OURS / "xmppsh", folder / "xmppsh", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(OURS / "LICENSE", folder)
        for part in map(distribution, PARTS):
            for file in part.files or ():
                if ".." in file.parts or file.suffix in COMPILED:
                    continue
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(part.locate_file(file)), folder / file)
        target.parent.mkdir(parents=True, exist_ok=True)
        zipapp.create_archive(folder, target, "/usr/bin/env python3", "xmppsh.cli.__main__:main", compressed=True)
        target.chmod(0o755)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
