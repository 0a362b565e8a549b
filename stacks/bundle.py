"""What the functions are made of: ``lambdas/`` and the few libraries it imports, put in one folder without Docker or
network. The libraries are the installed ones, so requirements.txt pins them.

boto3 is not among them: AWS's Python runtimes bring it, and it is most of what a bundle with it would weigh.
"""

import hashlib
import shutil
from importlib.metadata import distribution
from pathlib import Path
from tempfile import mkdtemp

ROOT = Path(__file__).parent.parent
LIBRARIES = ("aws-lambda-powertools", "jmespath", "typing_extensions")


def bundle() -> str:
    """Path of a folder with the functions' code. Equal contents are the same folder: synth twice, copy once."""
    files = dict(sorted({**_ours(), **_libraries()}.items()))
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    folder = ROOT / ".build" / digest.hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        making = Path(mkdtemp(dir=folder.parent))
        for name, path in files.items():
            target = making / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        making.chmod(0o755)
        try:
            making.rename(folder)
        except OSError:  # another synth was faster
            shutil.rmtree(making)
    return str(folder)


def _ours() -> dict[str, Path]:
    found = [path for kind in ("*.py", "*.json") for path in (ROOT / "lambdas").rglob(kind)]
    return {str(path.relative_to(ROOT)): path for path in found}


def _libraries() -> dict[str, Path]:
    files = {}
    for name in LIBRARIES:
        for entry in distribution(name).files or ():
            inside = ".." not in entry.parts and ".dist-info" not in entry.parts[0]
            if inside and entry.suffix in (".py", ".json", ".typed"):
                files[str(entry)] = Path(str(entry.locate()))
    return files
