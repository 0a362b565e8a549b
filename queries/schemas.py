"""``python -m queries.schemas`` writes schemas/: one JSON Schema per table, from the columns. A test knows when to."""

import json
from pathlib import Path

from lambdas.model.analyses import CATALOGUE
from queries.columns import JOBS, JOBS_TABLE, ROWS, VIDEO, json_schema

FOLDER = Path(__file__).parent.parent / "schemas"


def schemas() -> dict[str, str]:
    """Each file's text, by its path under schemas/."""
    tables = {f"rows/{analysis}": (*VIDEO, *ROWS[analysis]) for analysis in CATALOGUE} | {JOBS_TABLE: JOBS}
    return {
        f"{name}.json": json.dumps(json_schema(name, columns), indent=2, ensure_ascii=False) + "\n"
        for name, columns in tables.items()
    }


def main() -> None:
    """Write them."""
    for name, text in schemas().items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
