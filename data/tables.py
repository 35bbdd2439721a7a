"""Find the tables of a set, CSV and Parquet files, and read them: one file, or one or several for each part."""

from pathlib import Path

from ..files.paths import is_file, list_folder
from ..images.folders import natural_order
from ..images.read_options import ReadOptions
from ..runtime.errors import InputError
from .csv_table import read_csv
from .images import UnsplitDataset
from .parquet_table import read_parquet
from .part_names import PART_OF_WORD, SEPARATORS, Part

CSV_SUFFIXES, PARQUET_SUFFIXES = (".csv", ".tsv"), (".parquet",)
PARQUET_MAGIC = b"PAR1"
Tables = dict[Part, list[Path]]


def is_table(path: Path) -> bool:
    """Whether a file is a table, by the end of its name."""
    return path.suffix.lower() in (*CSV_SUFFIXES, *PARQUET_SUFFIXES) and is_file(path)


def tables_in(folder: Path) -> Tables:
    """The tables in a folder by part, such as `train-00000-of-00002.parquet` or `mnist_test.csv`.

    If the folder holds one table only, it is the training part. Empty if no table's name has a word for the training
    part. If there are Parquet and CSV files, the Parquet files are taken, because the CSV files often only describe
    them.
    """
    paths = [path for path in list_folder(folder) if not path.name.startswith(".") and is_table(path)]
    paths = [path for path in paths if path.suffix.lower() in PARQUET_SUFFIXES] or paths
    if len(paths) == 1:
        return {"train": paths}
    tables: Tables = {}
    for path in sorted(paths, key=lambda path: natural_order(path.name)):
        words = SEPARATORS.split(path.stem.lower())
        part = next((PART_OF_WORD[word] for word in words if word in PART_OF_WORD), None)
        if part is not None:
            tables.setdefault(part, []).append(path)
    return tables if "train" in tables else {}


def read_tables(tables: Tables, options: ReadOptions) -> UnsplitDataset:
    """Read the tables of a set, all CSV or all Parquet. Raises InputError for a set that has both, or unusable ones."""
    paths = [path for part_paths in tables.values() for path in part_paths]
    parquet = [path for path in paths if path.suffix.lower() not in CSV_SUFFIXES]
    if parquet and len(parquet) < len(paths):
        remedy = "Put each in a folder of its own."
        raise InputError(str(paths[0].parent), found="CSV and Parquet files", expected="one kind", remedy=remedy)
    return read_parquet(tables, options) if parquet else read_csv(tables)
